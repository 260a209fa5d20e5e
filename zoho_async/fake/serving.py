"""FakeZoho as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterable

from . import answers
from .server import FakeZoho


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    organizations: Iterable[str] = ("10234695",),
    per_minute: int | None = 100,
    per_day: int | None = None,
    concurrency: int | None = None,
    unique: Iterable[str] = ("cf_external_id",),
    announce: Callable[[str], None] | None = None,
) -> None:
    """Run a FakeZoho until SIGINT or SIGTERM, then end cleanly.

    Once it listens, `announce` gets one line of JSON (without line end): url, organization_id, client_id,
    client_secret, refresh_token, access_token. None: it is printed to stdout. OSError when the port is taken.
    """
    fake = FakeZoho(
        organizations=organizations,
        per_minute=per_minute,
        per_day=per_day,
        concurrency=concurrency,
        unique=unique,
        host=host,
        port=port,
        # Nobody reads them from outside, and a long migration would fill the memory.
        keep_received=0,
    )
    asyncio.run(_run(fake, announce if announce is not None else _print))


async def _run(fake: FakeZoho, announce: Callable[[str], None]) -> None:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        # Where loops have no signal handlers (Windows), Ctrl-C still ends asyncio.run.
        with contextlib.suppress(NotImplementedError):
            loop.add_signal_handler(number, stop.set)
    async with fake:
        line = {
            "url": fake.url,
            "organization_id": fake.organization_id,
            "client_id": fake.client_id,
            "client_secret": fake.client_secret,
            "refresh_token": fake.refresh_token,
            "access_token": fake.access_token,
        }
        announce(answers.encode(line).decode())
        await stop.wait()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
