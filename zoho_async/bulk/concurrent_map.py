"""A bounded concurrent map that reports each item's outcome instead of raising for one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any, Generic, TypeVar, cast

import msgspec

from ._aio import cancelled_elsewhere, iterate
from .errors import RUN_ENDING_ERRORS, Status, status_of

T = TypeVar("T")
R = TypeVar("R")


class Outcome(msgspec.Struct, Generic[T, R], frozen=True, kw_only=True):
    """The outcome of one item."""

    item: T
    """As it came from the input."""
    index: int
    """Position in the input, from 0; outcomes come as they are ready, not in this order."""
    status: Status
    """`unknown`: whether a write took effect is not known; so is every exception of `fn` that is no ZohoError."""
    result: R | None = None
    """What `fn` returned; None unless `done`."""
    error: Exception | None = None
    """Why it is not done. Also set on a `done` item whose response could not be read (DecodeError)."""


def map(
    fn: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    concurrency: int = 10,
) -> AsyncIterator[Outcome[T, R]]:
    """Calls `fn` with every item and yields one `Outcome` per item as it is ready.

    An exception of `fn` becomes the item's outcome: `failed` for a ZohoError that says the call was not executed,
    and `unknown` for any other exception, since it may have been raised after a request had left. Only errors that
    concern every item end the run: AuthError, ConfigError, QuotaExceededError and RateLimitError. Then no further
    item is begun, an asynchronous input that is being awaited is cancelled, calls in flight are finished and their
    outcomes yielded, and the error is raised. The call that met it was not executed, and its item has no outcome;
    where an earlier attempt of it may have been executed, the outcome is `unknown`. An error of the input ends the run
    in the same way. When something that `fn` or the input awaits is cancelled elsewhere, that is an
    error of theirs like any other.

    Close the iterator when leaving the loop early (`contextlib.aclosing`): calls in flight are then cancelled and the
    input is closed.

    Args:
        fn: Called once with each item.
        items: Taken only as needed: at most twice `concurrency` are under way or waiting to be consumed.
        concurrency: How many calls of `fn` run at a time, at least 1.

    Returns:
        An asynchronous generator of outcomes.

    Raises:
        ValueError: `concurrency` is less than 1.
        AuthError: Like ConfigError, QuotaExceededError and RateLimitError: raised after the last outcome.
        Exception: The input's own error, after the last outcome; AwaitCancelledError (a RuntimeError) when what the
            input awaited was cancelled elsewhere.
    """
    if concurrency < 1:
        raise ValueError("concurrency must be at least 1")
    return _ConcurrentMap(fn, items, concurrency).outcomes()


class _ConcurrentMap(Generic[T, R]):
    """One run of `map`: workers take items one after the other and queue their outcomes."""

    def __init__(
        self, fn: Callable[[T], Awaitable[R]], items: Iterable[T] | AsyncIterable[T], concurrency: int
    ) -> None:
        self._fn = fn
        self._source = iterate(items)
        self._concurrency = concurrency
        self._ready: asyncio.Queue[Outcome[T, R] | None] = asyncio.Queue(concurrency)
        """Outcomes; None only wakes the consumer when the last worker has ended."""
        self._workers: list[asyncio.Task[None]] = []
        """Those that have not ended."""
        self._taking = asyncio.Lock()
        self._taker: asyncio.Task[None] | None = None
        """The worker that awaits the next item."""
        self._taken = 0
        self._draining = False
        """Whether no further item is begun."""
        self._abandoned = False
        """Whether the consumer has left."""
        self._error: BaseException | None = None
        """What ended the run, raised after the last outcome."""

    async def outcomes(self) -> AsyncGenerator[Outcome[T, R], None]:
        self._workers = [
            asyncio.create_task(self._work(), name=f"zoho-bulk-{number}") for number in range(self._concurrency)
        ]
        for worker in self._workers:
            worker.add_done_callback(self._worker_ended)
        try:
            while self._workers or not self._ready.empty():
                outcome = await self._ready.get()
                if outcome is not None:
                    yield outcome
        finally:
            self._draining = self._abandoned = True
            for worker in self._workers:
                worker.cancel()
            await asyncio.gather(*self._workers, return_exceptions=True)
            await self._source.aclose()
        if self._error is not None:
            raise self._error

    async def _work(self) -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        while (taken := await self._take(task)) is not None:
            outcome = await self._execute(*taken, task)
            # An abandoned queue is never emptied: a full one would block.
            if outcome is None or self._abandoned:
                return
            await self._ready.put(outcome)

    async def _take(self, task: asyncio.Task[None]) -> tuple[int, T] | None:
        """The next item with its position; None when no further one is to be begun."""
        async with self._taking:
            if self._draining:
                return None
            try:
                item = await self._next_item(task)
            except StopAsyncIteration:
                self._draining = True
                return None
            except Exception as error:  # noqa: BLE001 - the input may raise anything; the caller gets it
                self._end(error)
                return None
            # An input may suppress its cancellation and yield all the same.
            if self._draining:
                return None
            self._taken += 1
            return self._taken - 1, item

    async def _next_item(self, task: asyncio.Task[None]) -> T:
        self._taker = task
        try:
            return await _own_cancellation_only(anext(self._source), task)
        finally:
            self._taker = None

    async def _execute(self, index: int, item: T, task: asyncio.Task[None]) -> Outcome[T, R] | None:
        """The outcome of one item; None when its error ends the run."""
        try:
            result = await _own_cancellation_only(self._fn(item), task)
        except RUN_ENDING_ERRORS as error:
            self._end(error)
            if error.sent is not None:
                return None
            # An earlier attempt of this write may have taken effect.
            return Outcome(item=item, index=index, status="unknown", error=error)
        except Exception as error:  # noqa: BLE001 - one item's error must not end the others
            return Outcome(item=item, index=index, status=status_of(error), error=error)
        return Outcome(item=item, index=index, status="done", result=result)

    def _end(self, error: BaseException) -> None:
        """Begins no further item; the first error is the one raised."""
        if self._error is None:
            self._error = error
        if self._taker is not None and not self._draining:
            self._taker.cancel()
        self._draining = True

    def _worker_ended(self, worker: asyncio.Task[None]) -> None:
        self._workers.remove(worker)
        error = asyncio.CancelledError() if worker.cancelled() else worker.exception()
        if error is not None:
            self._end(error)
        if not self._workers and self._ready.empty():
            self._ready.put_nowait(None)


async def _own_cancellation_only(awaitable: Awaitable[R], task: asyncio.Task[Any]) -> R:
    """Awaits; a cancellation that is not meant for `task` is raised as AwaitCancelledError."""
    try:
        return await awaitable
    except (asyncio.CancelledError, GeneratorExit) as signal:
        error = cancelled_elsewhere(signal, task)
        if error is None:
            raise
        raise error from signal
