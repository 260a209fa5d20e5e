"""The command line, in this process or in one of its own."""

from __future__ import annotations

import asyncio
import io
import logging
import os
import shutil
import sys
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import msgspec

from zoho_async.cli import main
from zoho_async.fake import FakeZoho


class Ended(msgspec.Struct):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


class Cli:
    """Runs the command line against the test's fake.

    Called, it runs in a thread of this process. `process` and `start` run one of its own: for signals, kills, streams
    and what a process reads at its start. Each begins with a new minute and a new day, as far as it knows.
    """

    shares_limits = False
    """Whether it knows of the calls of those before it."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment
        self._started: list[asyncio.subprocess.Process] = []

    @classmethod
    def against(cls, fake: FakeZoho, folder: Path) -> Self:
        """With the static token of a fake."""
        return cls(
            folder,
            {
                "ZOHO_ACCESS_TOKEN": fake.access_token,
                "ZOHO_ORGANIZATION_ID": fake.organization_id,
                "ZOHO_API_URL": fake.url,
                "ZOHO_ACCOUNTS_URL": fake.url,
            },
        )

    async def start(
        self,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        stderr: int = asyncio.subprocess.PIPE,
    ) -> asyncio.subprocess.Process:
        self._forget_limits()
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "zoho_async",
            *map(str, arguments),
            cwd=self.folder,
            env=self.environ(environment),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )
        self._started.append(process)
        return process

    async def process(self, *arguments: object, environment: Mapping[str, str] | None = None) -> Ended:
        """Runs a process to its end."""
        return await ended(await self.start(*arguments, environment=environment))

    async def __call__(
        self, *arguments: object, environment: Mapping[str, str] | None = None, stdin: bytes = b""
    ) -> Ended:
        """Runs `main` in a thread: its event loop is another than the fake's. One at a time."""
        self._forget_limits()
        return await asyncio.to_thread(self._run, [*map(str, arguments)], self.environ(environment), stdin)

    def _run(self, arguments: list[str], environment: dict[str, str], stdin: bytes) -> Ended:
        out, err = _Captured(), _Captured()
        before = Path.cwd()
        os.chdir(self.folder)
        try:
            with (
                patch.dict(os.environ, environment, clear=True),
                patch.object(sys, "argv", ["zoho-async", *arguments]),
                patch.object(sys, "stdin", io.TextIOWrapper(io.BytesIO(stdin), encoding="utf-8")),
                redirect_stdout(out),
                redirect_stderr(err),
                _logging_as_before(),
            ):
                code = _exit_code()
        finally:
            os.chdir(before)
        return Ended(code, out.text, err.text)

    def environ(self, given: Mapping[str, str] | None = None) -> dict[str, str]:
        """The environment of a process."""
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("ZOHO_", "XDG_"))}
        own = self.environment if given is None else given
        return {**clean, "XDG_STATE_HOME": str(self.state_home), **own}

    @property
    def state_home(self) -> Path:
        """Beside the folder: where commands share tokens and limits."""
        return self.folder.with_name(f"{self.folder.name}-state")

    def _forget_limits(self) -> None:
        if not self.shares_limits and all(process.returncode is not None for process in self._started):
            shutil.rmtree(self.state_home / "zoho-async" / "limits", ignore_errors=True)


class _Captured(io.TextIOBase):
    """A stream of text that keeps what is written, also what is written to its buffer."""

    encoding = "utf-8"

    def __init__(self) -> None:
        self.buffer = io.BytesIO()

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        self.buffer.write(text.encode("utf-8", "backslashreplace"))
        return len(text)

    @property
    def text(self) -> str:
        return self.buffer.getvalue().decode()


@contextmanager
def _logging_as_before() -> Generator[None, None, None]:
    """Takes back what `--json` does to logging for the rest of a process."""
    handlers = list(logging.getLogger().handlers)
    try:
        yield
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.captureWarnings(False)


def _exit_code() -> int:
    try:
        main()
    except SystemExit as ending:
        code = 0 if ending.code is None else ending.code
        assert isinstance(code, int)
        return code
    return 0


async def ended(process: asyncio.subprocess.Process) -> Ended:
    out, err = await process.communicate()
    assert process.returncode is not None
    error = err.decode()
    assert "Traceback" not in error, error
    return Ended(process.returncode, out.decode(), error)


async def until(happened: Callable[[], bool]) -> None:
    """Waits until another process has come so far."""
    while not happened():  # noqa: ASYNC110 - there is no event across processes
        await asyncio.sleep(0.002)
