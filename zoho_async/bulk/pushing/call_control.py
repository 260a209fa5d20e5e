"""The line to Zoho that a push works over: counted, patient, and cut when nothing gets through any more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from datetime import datetime, timedelta
from typing import Any, TypeVar

from zoho_async.bulk._aio import cancelled_elsewhere
from zoho_async.bulk.pushing.window import Window, sleep_until
from zoho_async.bulk.results import PushSummary
from zoho_async.errors import OutcomeUnknownError, QuotaExceededError, UnavailableError, ZohoError

from .events import Event

T = TypeVar("T")

_UNKNOWN_RESET = timedelta(hours=1)
"""How long to wait for a new day when nobody says when it begins."""


READS = 100
"""So many reads in a row at least that find the service unavailable end a push. One record that Zoho always fails to
show is no outage, and neither are its neighbours: they would end every run at the same row."""


class Stopped(Exception):  # noqa: N818 - a signal: nothing went wrong
    """The push was asked to end before a call was let out; nothing of that call was sent."""


class _Closed(Exception):  # noqa: N818 - a signal
    """The window has closed while a call waited its turn."""


class CallControl:
    """Makes the calls of one push."""

    def __init__(
        self,
        summary: PushSummary,
        *,
        concurrency: int,
        patience: int,
        pause: float,
        wait: bool,
        window: Window | None,
        tell: Callable[[Event], None],
    ) -> None:
        """`patience`: so many calls in a row that find the service unavailable end the push."""
        self.summary = summary
        self.pause = pause
        """Seconds before an unknown outcome is looked up."""
        self.stopped = False
        """Whether the push was asked to end gently."""
        self.waits = 0
        """How many moments were waited for, of a new day or a window."""
        self.ended: ZohoError | None = None
        """What ended the push before its time."""
        self._patience = patience
        self._wait = wait
        self._window = window
        self._tell = tell
        self._sick = 0
        self._sick_reads = 0
        self._slots = asyncio.Semaphore(concurrency)
        self._held: set[asyncio.Task[Any]] = set()
        """Who waits for a call to be let out."""
        self._awaited: datetime | None = None

    def stop(self) -> None:
        """Lets no further call out: who waits for that gets Stopped, what is in flight is finished."""
        if not self.closed:
            self._cut()
        self.stopped = True

    def end(self, error: ZohoError) -> None:
        """The same for a reason: `error` is raised in the end."""
        if not self.closed:
            self._cut()
        self.ended = self.ended or error

    def _cut(self) -> None:
        # Once: a second time would look like somebody else's doing.
        for task in self._held:
            task.cancel()

    @property
    def closed(self) -> bool:
        """Whether nothing more is let out."""
        return self.stopped or self.ended is not None

    def before_send(self) -> None:
        """A call's last moment before the wire; from now on it is finished, come what may."""
        self._held.discard(_task())
        if self.closed:
            raise Stopped
        if self._window is not None and not self._window.open_at(local_now()):
            raise _Closed

    def on_rejected(self) -> None:
        """A call waits, at first or again after it was let out and refused."""
        if self.closed:
            raise Stopped
        self._held.add(_task())

    async def read(self, call: Callable[[], Awaitable[T]], *, turn: bool = True) -> T:
        """Makes a call that reads."""
        self.summary.reads += 1
        self._tell(Event(stage="read", done=self.summary.reads))
        try:
            read = await self.call_when_allowed(call, turn=turn)
        except (Stopped, asyncio.CancelledError):
            # Given up; nobody heard whether it was made.
            self.summary.reads -= 1
            raise
        except ZohoError as error:
            if is_outage(error):
                self._sick_reads += 1
                if self._sick_reads >= max(READS, self._patience):
                    self.end(error)
            raise
        self._sick_reads = 0
        return read

    async def call_when_allowed(self, call: Callable[[], Awaitable[T]], *, turn: bool = True) -> T:
        """Makes a call, once it may be made; a call refused for want of quota is made again when there is some.

        Raises Stopped when the push is asked to end, or ends, while the call waits. A write says by `before_send` when
        it no longer does; a read may be given up at any time. `turn`: False within a `turn`.
        """
        with self._cancellable_wait():
            while True:
                self.on_rejected()
                if self._window is not None:
                    now = local_now()
                    if not self._window.open_at(now):
                        await self._until(self._window.next_opening(now), "the window is closed")
                try:
                    if not turn:
                        return await call()
                    async with self._slots:
                        return await call()
                except QuotaExceededError as error:
                    if not self._wait:
                        raise
                    self.on_rejected()
                    await self._until(error.resets_at or local_now() + _UNKNOWN_RESET, "the day's calls are used up")
                except _Closed:
                    continue

    async def wait_for(self, give: Callable[[], Awaitable[T]]) -> T:
        """Waits for what others give; raises Stopped when the push is asked to end, or ends, before it comes."""
        with self._cancellable_wait():
            given = await give()
            if self.closed:
                # Who gives it may have asked for the end itself: the cancellation for that is met here.
                await asyncio.sleep(0)
                raise Stopped
        return given

    @asynccontextmanager
    async def turn(self) -> AsyncGenerator[None, None]:
        """Calls that belong together, a read and the write after it: none of other rows gets in between."""
        with self._cancellable_wait():
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    @contextmanager
    def _cancellable_wait(self) -> Generator[None, None, None]:
        task = _task()
        self.on_rejected()
        try:
            yield
        except asyncio.CancelledError as error:
            # Only who is still held was cancelled by us, unless somebody else has cancelled it too.
            if task in self._held and self.closed and task.uncancel() == 0:
                raise Stopped from None
            broken = cancelled_elsewhere(error, task)
            if broken is not None:
                raise broken from error
            raise
        finally:
            self._held.discard(task)

    async def _until(self, moment: datetime, why: str) -> None:
        # All who wait for the same moment tell of it once.
        if self._awaited is None or abs(moment - self._awaited) > timedelta(seconds=2):
            self._awaited = moment
            self.waits += 1
            self._tell(Event(stage="wait", until=moment, why=why))
        awaited = self._awaited
        await sleep_until(moment, now=local_now)
        if self._awaited is awaited:
            # Whoever waits from now on waits for another.
            self._awaited = None

    def count_outage(self, error: ZohoError | None) -> None:
        """Of writes: ends the run when none gets through any more, before every row of a long input has failed."""
        self._sick = self._sick + 1 if error is not None and is_outage(error) else 0
        if error is not None and self._sick >= self._patience:
            self.end(error)


def is_outage(error: ZohoError) -> bool:
    return isinstance(error, UnavailableError | OutcomeUnknownError)


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None, "calls are made by tasks"
    return task


def local_now() -> datetime:
    """This machine's clock, with its zone."""
    return datetime.now().astimezone()
