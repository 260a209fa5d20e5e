"""FakeZoho as a process: its flags, and running it until a signal comes."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import os
import signal
import sys
import tempfile
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from zoho_async.fake.rendering.shapes import SHAPES, Shape

from .announcement import access_line, shell_lines, what_to_type
from .server import FakeZoho

_KEPT_REQUESTS = 1_000
"""Requests that `GET /_fake/received` returns: a long migration would fill the memory."""
_ORGANIZATIONS = ("10234695",)
_UNIQUE = ("cf_external_id",)
_LEADER_POLL_S = 2.0
"""Seconds between two looks at the shell that a fake in the background belongs to."""


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    organizations: Iterable[str | Mapping[str, Any]] | None = None,
    per_minute: int | None = 100,
    per_day: int | None = None,
    concurrency: int | None = None,
    unique: Iterable[str] | None = None,
    custom_fields: Iterable[str] | None = None,
    shape: Shape = "live",
    data_center: str = "us",
    seed: int = 0,
    env: bool = False,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Run a FakeZoho until SIGINT or SIGTERM, then end cleanly.

    Args:
        host: Address to listen on.
        port: 0: a free one.
        organizations: Their ids, or mappings as `FakeZoho` takes them; None: `10234695`.
        per_minute: Calls in any 60 seconds; None and 0: no limit.
        per_day: Calls a day; None and 0: no limit.
        concurrency: Calls in process at a time; None and 0: no limit.
        unique: Custom fields that allow no duplicates; None: `cf_external_id`.
        custom_fields: Other custom fields; any that a record has is there too.
        shape: How responses are written: `live`, `documented` or `clean`, see `FakeZoho`.
        data_center: Its short name.
        seed: Of the random numbers for faults by probability.
        env: Print lines that a shell evaluates instead, and then close stdout: `eval "$(zoho-async fake --env &)"`.
        announce: Gets one line of JSON (without line end) once the fake listens: url, organization_id, client_id,
            client_secret, refresh_token, access_token, grant_code. None: the line is printed to stdout; on a terminal,
            what to type instead.

    Raises:
        OSError: The port is taken.
        ValueError: An invalid organisation or shape.
    """
    fake = FakeZoho(
        organizations=_ORGANIZATIONS if organizations is None else organizations,
        per_minute=per_minute or None,
        per_day=per_day or None,
        concurrency=concurrency or None,
        unique=_UNIQUE if unique is None else unique,
        custom_fields=custom_fields or (),
        host=host,
        port=port,
        shape=shape,
        data_center=data_center,
        seed=seed,
        keep_received=_KEPT_REQUESTS,
    )

    # Its name is of this fake alone; a client makes it, for its owner alone.
    token_file = Path(tempfile.gettempdir()) / f"zoho-fake-{fake.client_id}.json"

    def printed() -> None:
        if announce is not None:
            announce(access_line(fake, fake.url))
        elif sys.stdout.isatty():
            _print(what_to_type(fake, fake.url, os.getpid(), str(token_file)))
        elif env:
            _print(shell_lines(fake, fake.url, os.getpid(), str(token_file)))
            _close_stdout()
        else:
            _print(f"{access_line(fake, fake.url)}\n")

    try:
        asyncio.run(_run(fake, printed, leader=_leave_the_shells_group() if env else None))
    finally:
        for path in (token_file, token_file.with_name(f"{token_file.name}.lock")):
            path.unlink(missing_ok=True)


def parse(arguments: Sequence[str] | None = None) -> dict[str, Any]:
    """The flags of `python -m zoho_async.fake` as arguments of `serve`.

    Args:
        arguments: The command line without the program; None: that of this process.

    Returns:
        Keyword arguments of `serve`.

    Raises:
        SystemExit: Unknown flags (code 2) or `--help` (code 0).
    """
    parser = argparse.ArgumentParser(
        prog="python -m zoho_async.fake", description="Run a FakeZoho for anything that speaks HTTP."
    )
    add = parser.add_argument
    add("--host", default="127.0.0.1", help="address to listen on")
    add("--port", type=int, default=0, help="0: a free one")
    add("--organization", dest="organizations", action="append", metavar="ID", help="repeatable; default: 10234695")
    add("--per-minute", type=int, default=100, metavar="N", help="calls in 60 seconds; 0: no limit; default: 100")
    add("--per-day", type=int, metavar="N", help="calls a day; 0: no limit, the default")
    add("--concurrency", type=int, metavar="N", help="calls in process; 0: no limit, the default")
    add("--unique", action="append", metavar="FIELD", help="custom field without duplicates, repeatable")
    add("--custom-field", dest="custom_fields", action="append", metavar="FIELD", help="custom field, repeatable")
    add("--shape", choices=SHAPES, default="live", help="how responses are written")
    add("--data-center", default="us", metavar="NAME", help="its short name")
    add("--seed", type=int, default=0, metavar="N", help="of the random numbers for faults by probability")
    add("--env", action="store_true", help='lines that a shell evaluates: eval "$(python -m zoho_async.fake --env &)"')
    return vars(parser.parse_args(arguments))


def main(arguments: Sequence[str] | None = None) -> int:
    """Parse the flags and serve; 0 after a clean end, 2 when the port is taken or a value is invalid."""
    try:
        serve(**parse(arguments))
    except OSError as error:
        sys.stderr.write(f"cannot listen: {error}\n")
        return 2
    except ValueError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    return 0


async def _run(fake: FakeZoho, announce: Callable[[], None], *, leader: int | None) -> None:
    """Serve until a signal comes; `leader`: or until that process has ended."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Loops without signal handlers (Windows): Ctrl-C still ends asyncio.run.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    async with fake:
        announce()
        while not stop.is_set():
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), None if leader is None else _LEADER_POLL_S)
            if leader is not None and not _is_running(leader):
                break


def _leave_the_shells_group() -> int | None:
    """Leaves the process group of a shell, whose Ctrl-C is meant for other programs; the shell's number then."""
    if not hasattr(os, "getsid"):
        return None
    shell = os.getsid(0)
    if shell in (0, os.getpid()) or os.getpgrp() != shell:
        return None
    os.setpgid(0, 0)
    return shell


def _is_running(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _print(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()


def _close_stdout() -> None:
    """Let the reader of a pipe see its end while the fake goes on."""
    with contextlib.suppress(OSError, ValueError):  # no file: a stream in memory
        number = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)
