"""Leases in Redis: the right of one process to work on something, with a fencing token."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from types import TracebackType
from typing import Self

from zoho_async.errors import LeaseError

from .clocks import host_time
from .connection import RedisAwayError, RedisConnection, Script

_POLL = 0.1
"""Seconds between two tries to take a lease that another process holds."""
_MARGIN = 0.1
"""Part of a lease that is not used: a request needs time to leave."""


class Lease:
    """The right to be the only one who works on something, as long as the `async with` block lasts.

    It is renewed all the while. When that fails, because the process was stopped or Redis was away, the lease ends
    by the clock of this machine before Redis gives it to another process; `check` then raises.

    Attributes:
        what: What it is for.
        fence: Grows with every process that gets the lease, so that a store can refuse older ones; 0 outside.
    """

    def __init__(
        self, connection: RedisConnection, key: str, what: Sequence[str], *, holder: str, seconds: float, wait: float
    ) -> None:
        self.what = tuple(what)
        self.fence = 0
        self.keys = (f"{key}:lease", f"{key}:fence")
        """Of one hash slot of a cluster."""
        self._connection = connection
        self._holder = holder
        self._seconds = seconds
        self._wait = wait
        self._script = Script("leases.lua")
        self._valid_until = 0.0
        self._renewing: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        return f"<Lease {'/'.join(self.what)} fence={self.fence}>"

    @property
    def lost(self) -> bool:
        """Whether it is not, or no longer, held."""
        return host_time() >= self._valid_until

    def check(self) -> None:
        """Make sure that it is still held: to be called in the last moment before something is sent.

        Raises:
            LeaseError: It is not.
        """
        if self.lost:
            raise LeaseError(f"the lease of {'/'.join(self.what)} is lost: another process may work on it")

    async def __aenter__(self) -> Self:
        end = host_time() + self._wait
        while True:
            begun = host_time()
            fence, owner = await self._connection.script(
                self._script, self.keys, "take", self._holder, self._milliseconds
            )
            if fence:
                self.fence = int(fence)
                self._held_since(begun)
                self._renewing = asyncio.get_running_loop().create_task(self._renew())
                return self
            if host_time() >= end:
                holder = owner.decode() if isinstance(owner, bytes) else str(owner)
                raise LeaseError(f"{'/'.join(self.what)} is being worked on by {holder.partition('|')[0]}")
            await asyncio.sleep(min(_POLL, max(0.0, end - host_time())))

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        self._valid_until = 0.0
        with suppress(RedisAwayError):  # it ends by itself
            await self._connection.script(self._script, self.keys, "give", self._holder, 0, self.fence)
        self.fence = 0

    @property
    def _milliseconds(self) -> int:
        return int(self._seconds * 1000)

    def _held_since(self, begun: float) -> None:
        self._valid_until = begun + self._seconds * (1 - _MARGIN)

    async def _renew(self) -> None:
        while not self.lost:
            await asyncio.sleep(self._seconds / 3)
            begun = host_time()
            if self.lost:
                return
            try:
                held, _ = await self._connection.script(
                    self._script, self.keys, "renew", self._holder, self._milliseconds, self.fence
                )
            except RedisAwayError:
                continue
            if not held or self.lost:
                self._valid_until = 0.0  # for good, even if Redis has just renewed it
                return
            self._held_since(begun)
