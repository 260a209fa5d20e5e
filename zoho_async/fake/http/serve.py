"""FakeZoho as a process of its own."""

from __future__ import annotations

import asyncio
import contextlib
import signal
import sys
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from zoho_async.fake.rendering import live
from zoho_async.fake.rendering.shapes import Shape

from .server import FakeZoho

_KEPT = 1_000
"""Requests that `GET /_fake/received` remembers."""


def serve(
    *,
    host: str = "127.0.0.1",
    port: int = 0,
    organizations: Iterable[str | Mapping[str, Any]] = ("10234695",),
    per_minute: int | None = 100,
    per_day: int | None = None,
    concurrency: int | None = None,
    unique: Iterable[str] = ("cf_external_id",),
    shape: Shape = "live",
    data_center: str = "us",
    seed: int = 0,
    announce: Callable[[str], None] | None = None,
) -> None:
    """Run a FakeZoho until SIGINT or SIGTERM, then end cleanly.

    Once it listens, `announce` gets one line of JSON (without line end): url, organization_id, client_id,
    client_secret, refresh_token, access_token. None: it is printed to stdout. OSError when the port is taken;
    ValueError for an organisation that cannot be.
    """
    fake = FakeZoho(
        organizations=organizations,
        per_minute=per_minute,
        per_day=per_day,
        concurrency=concurrency,
        unique=unique,
        host=host,
        port=port,
        shape=shape,
        data_center=data_center,
        seed=seed,
        # A long migration would fill the memory.
        keep_received=_KEPT,
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
        announce(live.encode(line).decode())
        await stop.wait()


def _print(line: str) -> None:
    sys.stdout.write(line + "\n")
    sys.stdout.flush()
