"""When the calls of a push are made: within its slots and allowed hours, and not once it is to end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from types import TracebackType
from typing import Any, Literal, TypeVar

from zoho_async.bulk._aio import cancelled_elsewhere
from zoho_async.bulk.results import PushSummary
from zoho_async.bulk.scheduling.window import UNKNOWN_RESET, Window, local_now, sleep_until
from zoho_async.errors import NotFoundError, QuotaExceededError, UnavailableError, ZohoError

from .circuit_breaker import CircuitBreaker, outage, refusal
from .events import Event

T = TypeVar("T")

READ_THRESHOLD = 100
"""At least so many consecutive outages of reads abort a push. Some neighbouring records that Zoho always fails to show
are no outage, and would abort every run at the same row."""

DELETED_THRESHOLD = 10
"""So many consecutive records that Zoho says are deleted abort a push: rather their address is wrong."""


CAUTION = 100
"""Writes go one at a time while fewer refusals than this end the push."""


class Withheld(Exception):  # noqa: N818 - ends a call that was not sent; nothing went wrong
    """A call was not sent."""

    def __init__(self, reason: Literal["stopped", "closed", "stale"]) -> None:
        """`stopped`: the push is to end. `closed`: its allowed hours are over. `stale`: what it was planned from is
        too old."""
        super().__init__(reason)
        self.reason: Literal["stopped", "closed", "stale"] = reason


class SendLimit:
    """How many rows a push may write; a row that turns out to need no write gives its place back."""

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self._reserved = 0
        self._sent = 0
        self._released = asyncio.Event()

    def take(self) -> bool:
        """Takes a place, if one is free."""
        if self._limit is not None and self._reserved >= self._limit:
            return False
        self._reserved += 1
        return True

    async def wait(self) -> bool:
        """Takes a place, when one is free; False when as many rows as may be were sent."""
        while not self.take():
            if self._limit is not None and self._sent >= self._limit:
                return False
            self._released.clear()
            await self._released.wait()
        return True

    def release(self, *, sent: bool) -> None:
        """Called when a row with a place has ended."""
        self._sent += sent
        self._reserved -= not sent
        self._released.set()


class CallControl:
    """Makes the calls of one push."""

    def __init__(
        self,
        summary: PushSummary,
        *,
        concurrency: int,
        threshold: int,
        max_failures: int,
        pause: float,
        wait: bool,
        window: Window | None,
        emit: Callable[[Event], None],
    ) -> None:
        """`threshold`: consecutive outages of writes that abort the push. `max_failures`: so many first writes that are
        all refused for one reason end it. `pause`: seconds before an unknown outcome is looked up."""
        self.summary = summary
        self.pause = pause
        self.stopped = False
        """Whether the push was asked to end gracefully."""
        self.abort_reason: ZohoError | None = None
        """What has ended the push before its time."""
        self.refused_for: ZohoError | None = None
        """The last of the refusals that have ended the push, all of one reason."""
        self.wait_epoch = 0
        """How often the push has waited for hours: for the next day or its allowed hours."""
        self._wait = wait
        self._window = window
        self._emit = emit
        self._writes = CircuitBreaker(threshold)
        self._reads = CircuitBreaker(max(READ_THRESHOLD, threshold))
        self._deleted = CircuitBreaker(DELETED_THRESHOLD)
        self._refusals = CircuitBreaker(max_failures, first_only=True)
        self._slots = asyncio.Semaphore(concurrency)
        self.waiting: set[asyncio.Task[Any]] = set()
        """Tasks whose call was not sent yet."""
        self._awaited: datetime | None = None

    def drain(self) -> None:
        """Sends no further call: those that wait end in Withheld, those in flight are finished."""
        self._cancel_waiting()
        self.stopped = True

    def abort(self, reason: ZohoError) -> None:
        """Drains, and has `reason` raised at the end."""
        self._cancel_waiting()
        self.abort_reason = self.abort_reason or reason

    @property
    def draining(self) -> bool:
        """Whether no further call is sent."""
        return self.stopped or self.abort_reason is not None

    def _cancel_waiting(self) -> None:
        # Once: a second cancellation would look like one from outside.
        if not self.draining:
            for task in self.waiting:
                task.cancel()

    def before_send(self) -> None:
        """Called in the last moment before a write is sent; from then on it is finished."""
        self.waiting.discard(_task())
        if self.draining:
            raise Withheld("stopped")
        if self._window is not None and not self._window.open_at(local_now()):
            raise Withheld("closed")

    def on_rejected(self) -> None:
        """Called when a write waits for another attempt."""
        self.add_waiting(_task())

    def add_waiting(self, task: asyncio.Task[Any]) -> None:
        """A task waits for its call, or for something else, until the push drains."""
        if self.draining:
            raise Withheld("stopped")
        self.waiting.add(task)

    async def read(self, call: Callable[[], Awaitable[T]], *, in_slot: bool = False) -> T:
        """Makes a call that reads; arguments as in `call_when_allowed`."""
        self.summary.reads += 1
        self._emit(Event(stage="read", done=self.summary.reads))
        try:
            read = await self.call_when_allowed(call, in_slot=in_slot)
        except (Withheld, asyncio.CancelledError):
            # Given up: perhaps it was not made.
            self.summary.reads -= 1
            raise
        except ZohoError as error:
            self._count(self._reads, error)
            raise
        self._count(self._reads, None)
        return read

    def count_write(self, error: ZohoError | None) -> None:
        """Counts a write by its error, if any; aborts the push when no write succeeds any more."""
        self._count(self._writes, error)
        if error is None:
            self._refusals.record(None)

    def count_refusal(self, error: ZohoError, values: Iterable[str]) -> None:
        """Counts a row that Zoho has refused; drains when the first ones are all refused for one reason.

        `values`: those of the row, which the message may repeat.
        """
        reason = refusal(error, values)
        if reason is not None and self._refusals.record(reason) and not self.draining:
            self.refused_for = error
            self.drain()

    @property
    def nearly_open(self) -> bool:
        """Whether a few more refusals for one reason end the push."""
        remaining = self._refusals.remaining
        return remaining is not None and remaining < CAUTION

    def count_record(self, error: NotFoundError | None) -> None:
        """Counts a record that was read, or deleted; aborts the push when all of them seem deleted."""
        if self._deleted.record("deleted" if error is not None else None):
            self.abort(
                UnavailableError(
                    f"Zoho says of {DELETED_THRESHOLD} records in a row that they do not exist; so they are not made "
                    "again. If their ids are in the input and of another organisation, leave that column out; if they "
                    "were all deleted, push to another state file",
                    operation=error.operation if error is not None else None,
                    sent=True,
                )
            )

    def _count(self, breaker: CircuitBreaker, error: ZohoError | None) -> None:
        if breaker.record(outage(error)) and error is not None:
            self.abort(error)

    async def call_when_allowed(self, call: Callable[[], Awaitable[T]], *, in_slot: bool = False) -> T:
        """Makes a call within the allowed hours; one that exceeds the day's quota is made again when there is some.

        A write reports by `before_send` and `on_rejected` whether it may still be given up; a read always may.

        Args:
            call: Called once for each attempt.
            in_slot: Whether the caller holds a slot.

        Raises:
            Withheld: The push is to end before the call was sent, or the call itself refused to be sent.
        """
        with _CancellableWait(self):
            while True:
                if self._window is not None:
                    now = local_now()
                    if not self._window.open_at(now):
                        await self._wait_until(self._window.next_opening(now), "the window is closed")
                try:
                    if in_slot:
                        return await call()
                    async with self._slots:
                        return await call()
                except QuotaExceededError as error:
                    if not self._wait:
                        raise
                    self.on_rejected()
                    await self._wait_until(
                        error.resets_at or local_now() + UNKNOWN_RESET, "the day's calls are used up"
                    )
                except Withheld as withheld:
                    if withheld.reason != "closed":
                        raise
                self.on_rejected()

    async def wait_for(self, give: Callable[[], Awaitable[T]]) -> T:
        """Waits for something else than a call; Withheld when the push is to end before it comes."""
        with _CancellableWait(self):
            given = await give()
            if self.draining:
                # The giver may have asked for the end itself: the cancellation for that arrives here.
                await asyncio.sleep(0)
                raise Withheld("stopped")
        return given

    @asynccontextmanager
    async def slot(self) -> AsyncGenerator[None, None]:
        """One slot for calls that belong together: those of other rows do not come between."""
        with _CancellableWait(self):
            await self._slots.acquire()
        try:
            yield
        finally:
            self._slots.release()

    async def _wait_until(self, moment: datetime, why: str) -> None:
        # Waits for the same moment are one, also those of calls that come back a moment too early.
        if self._awaited is None or abs(moment - self._awaited) > timedelta(seconds=2):
            self._awaited = moment
            self.wait_epoch += 1
            self._emit(Event(stage="wait", until=moment, why=why))
        await sleep_until(moment, now=local_now)


class _CancellableWait:
    """What ends in Withheld when the push drains."""

    # A class: a generator as a context manager takes several times as long, once a call.
    __slots__ = ("_control", "_task")

    def __init__(self, control: CallControl) -> None:
        self._control = control

    def __enter__(self) -> None:
        self._task = _task()
        self._control.add_waiting(self._task)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        control, task = self._control, self._task
        waited = task in control.waiting
        control.waiting.discard(task)
        if isinstance(error, asyncio.CancelledError):
            # Cancelled by us, unless somebody else has cancelled it too.
            if waited and control.draining and task.uncancel() == 0:
                raise Withheld("stopped") from None
            broken = cancelled_elsewhere(error, task)
            if broken is not None:
                raise broken from error


def _task() -> asyncio.Task[Any]:
    task = asyncio.current_task()
    assert task is not None, "calls are made by tasks"
    return task
