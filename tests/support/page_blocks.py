"""The code blocks of a page, and running them as a reader would: in order, in one shell and one folder."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import signal
import socket
import sys
from pathlib import Path
from typing import NamedTuple

NEEDS_ACCOUNT = "<!-- needs an account -->"
SHELLS = ("shell", "console", "bash", "sh")
RUN = ("python", *SHELLS)
"""Languages of blocks that are run."""

_BLOCK = re.compile(
    r"(?P<before>^[^\n]*\n)?^```(?P<language>\w+)(?P<options>[^\n]*)\n(?P<source>.*?)^```$", re.MULTILINE | re.DOTALL
)
_TITLE = re.compile(r'title="([^"]+)"')
_OUTPUT = "text"
_BOUND_S = 90.0
"""Seconds of a whole page."""


class Block(NamedTuple):
    """A fenced block."""

    language: str
    title: str
    """The file that it is; empty for one to run."""
    source: str
    needs_account: bool


def blocks(text: str) -> list[Block]:
    """Every fenced block of a page."""
    return [
        Block(
            found["language"],
            "".join(_TITLE.findall(found["options"])),
            found["source"],
            (found["before"] or "").strip() == NEEDS_ACCOUNT,
        )
        for found in _BLOCK.finditer(text)
    ]


def script(text: str) -> str:
    """The page as a program of bash that ends at the first command that fails."""
    lines = ["set -e"]
    for number, block in enumerate(blocks(text), 1):
        if block.needs_account:
            continue
        lines.append(f"echo '--- block {number}'")
        if block.title:
            lines.append(f"cat > '{block.title}' <<'END_OF_BLOCK'\n{block.source}END_OF_BLOCK")
        elif block.language == "python":
            lines.append(f"python - <<'END_OF_BLOCK'\n{block.source}END_OF_BLOCK")
        elif block.language in SHELLS:
            lines.append(block.source.rstrip("\n"))
    return "\n".join(lines) + "\n"


def expected_output(text: str) -> list[str]:
    """What the page says is printed: the parts of lines of blocks of text, between `...`."""
    shown = "".join(block.source for block in blocks(text) if block.language == _OUTPUT and not block.needs_account)
    parts = (part.strip() for line in shown.splitlines() for part in line.split("..."))
    return [part for part in parts if part]


def is_free(port: int) -> bool:
    """Whether a server can listen there."""
    with socket.socket() as one:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            one.bind(("127.0.0.1", port))
        except OSError:
            return False
        return True


def free_port() -> int:
    """A port that a server can listen on."""
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


async def run(text: str, folder: Path, environment: dict[str, str]) -> str:
    """Run all blocks of a page that need no account, and end what they left in the background.

    Args:
        text: The page.
        folder: Empty; where the commands work.
        environment: Variables beside `PATH`; no other `ZOHO_...` is passed on.

    Returns:
        What the page has printed.

    Raises:
        AssertionError: A command failed, or the page took too long.
    """
    programs, home, output = (folder.parent / f"{folder.name}-{name}" for name in ("bin", "home", "output"))
    for one in (folder, programs, home):
        one.mkdir()
    for name, command in (("python", ""), ("zoho-async", "-m zoho_async"), ("uvicorn", "-m uvicorn")):
        (programs / name).write_text(f'#!/bin/sh\nexec "{sys.executable}" {command} "$@"\n')
        (programs / name).chmod(0o755)
    bash = shutil.which("bash")
    assert bash is not None
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("ZOHO_", "XDG_"))}
    path = f"{programs}{os.pathsep}{os.environ['PATH']}"
    with output.open("wb") as printed:
        process = await asyncio.create_subprocess_exec(
            *(bash, "-c", script(text)),
            cwd=folder,
            env={**kept, "PATH": path, "HOME": str(home), **environment},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=printed,
            stderr=printed,
            start_new_session=True,
        )
        try:
            code = await asyncio.wait_for(process.wait(), _BOUND_S)
        finally:
            _end_group(process.pid)
    shown = output.read_text("utf-8")
    assert code == 0, f"exit code {code}\n{shown}"
    return shown


def _end_group(leader: int) -> None:
    try:
        os.killpg(leader, signal.SIGKILL)
    except ProcessLookupError:
        return
