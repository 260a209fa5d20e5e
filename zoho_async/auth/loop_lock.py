"""A lock for tasks of one event loop, of several loops in turn, and of loops in several threads."""

from __future__ import annotations

import asyncio
import threading
from types import TracebackType


class LoopLock:
    """An async lock that is bound to no event loop.

    Tasks of one loop wait for an `asyncio.Lock` of that loop; loops wait for each other by polling, because an
    `asyncio.Lock` cannot be shared. A loop that stopped while it held the lock holds it no longer.
    """

    __slots__ = ("_guard", "_locks", "_owner")

    POLL = 0.02
    """Seconds between two attempts while a loop of another thread holds the lock."""

    def __init__(self) -> None:
        self._guard = threading.Lock()
        self._locks: dict[asyncio.AbstractEventLoop, asyncio.Lock] = {}
        self._owner: asyncio.AbstractEventLoop | None = None

    async def __aenter__(self) -> None:
        loop = asyncio.get_running_loop()
        lock = self._lock_of(loop)
        await lock.acquire()
        try:
            while True:
                if self._take(loop):
                    return
                await asyncio.sleep(self.POLL)
        except BaseException:
            lock.release()
            raise

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        loop = asyncio.get_running_loop()
        with self._guard:
            if self._owner is loop:
                self._owner = None
        self._lock_of(loop).release()

    def _lock_of(self, loop: asyncio.AbstractEventLoop) -> asyncio.Lock:
        with self._guard:
            lock = self._locks.get(loop)
            if lock is None:
                # A program may call asyncio.run() any number of times.
                self._locks = {known: lock for known, lock in self._locks.items() if not known.is_closed()}
                lock = self._locks[loop] = asyncio.Lock()
            return lock

    def _take(self, loop: asyncio.AbstractEventLoop) -> bool:
        with self._guard:
            if self._owner is not None and self._owner is not loop and self._owner.is_running():
                return False
            self._owner = loop
            return True
