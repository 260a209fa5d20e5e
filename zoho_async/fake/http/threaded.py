"""FakeZoho in a thread of its own."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Coroutine, Generator
from concurrent.futures import Future
from contextlib import contextmanager
from typing import Any, Self

from .server import FakeZoho


class ThreadedFakeZoho(FakeZoho):
    """A FakeZoho that serves in a thread with its own event loop, so that it depends on no loop of its callers.

    Everything that controls and inspects it can be called from any thread; `start()` and `close()` from any loop.
    """

    _loop: asyncio.AbstractEventLoop | None = None

    @contextmanager
    def in_thread(self) -> Generator[Self, None, None]:
        """Listen as long as the block runs.

        Raises:
            OSError: The port is taken.
        """
        started: Future[asyncio.Event] = Future()
        thread = threading.Thread(target=self._run, args=(started,), name="FakeZoho", daemon=True)
        thread.start()
        stopped = started.result()
        try:
            yield self
        finally:
            assert self._loop is not None
            self._loop.call_soon_threadsafe(stopped.set)
            thread.join()
            self._loop = None

    async def start(self) -> None:
        """Listen; `url` is known afterwards.

        Raises:
            OSError: The port is taken.
            RuntimeError: It is running already, or `in_thread()` is not.
        """
        await self._submit(super().start())

    async def close(self) -> None:
        """Stop listening and drop every connection, stalled ones too. The state stays readable."""
        await self._submit(super().close())

    def _run(self, started: Future[asyncio.Event]) -> None:
        try:
            asyncio.run(self._serve_until_stopped(started))
        except BaseException as error:
            if started.done():
                raise
            started.set_exception(error)

    async def _serve_until_stopped(self, started: Future[asyncio.Event]) -> None:
        stopped = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        await super().start()
        started.set_result(stopped)
        await stopped.wait()
        await super().close()

    async def _submit(self, work: Coroutine[Any, Any, None]) -> None:
        if self._loop is None:
            work.close()
            raise RuntimeError("this FakeZoho serves only inside in_thread()")
        await asyncio.wrap_future(asyncio.run_coroutine_threadsafe(work, self._loop))
