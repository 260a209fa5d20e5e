"""A bounded concurrent map that reports each item's fate instead of raising for one of them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing
from typing import Any, Generic, Literal, TypeVar, cast

import msgspec

from zoho_async.errors import (
    AuthError,
    ConfigError,
    DecodeError,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    ZohoError,
)

T = TypeVar("T")
R = TypeVar("R")

Status = Literal["done", "failed", "unknown"]

FATAL = (AuthError, ConfigError, QuotaExceededError, RateLimitError)
"""Errors that would meet every other item too, so that going on would only spend calls."""


class BrokenOffError(RuntimeError):
    """Somebody has cancelled what was awaited, and not the task that awaited it."""


class Outcome(msgspec.Struct, Generic[T, R], frozen=True, kw_only=True):
    """What became of one item."""

    item: T
    index: int
    """Position in the input, from 0; outcomes come as they are ready, not in this order."""
    status: Status
    """`unknown`: a write was sent and nobody can say whether it took effect."""
    result: R | None = None
    error: Exception | None = None
    """Why it failed. Also set on a `done` item whose answer could not be read (DecodeError)."""


def status_of(error: Exception) -> Status:
    """What an exception says about the fate of the call that raised it."""
    if isinstance(error, DecodeError):
        return "done"
    if isinstance(error, OutcomeUnknownError | BrokenOffError) or (isinstance(error, ZohoError) and error.sent is None):
        return "unknown"
    return "failed"


async def iterate(items: Iterable[T] | AsyncIterable[T]) -> AsyncIterator[T]:
    """Any iterable as an async one, closed in the end when it can be closed."""
    if isinstance(items, AsyncIterable):
        source = aiter(items)
        try:
            async for item in source:
                yield item
        finally:
            close: Any = getattr(source, "aclose", None)
            if close is not None:
                await close()
    else:
        plain = iter(items)
        try:
            for item in plain:
                yield item
        finally:
            shut: Any = getattr(plain, "close", None)
            if shut is not None:
                shut()


def broken_off(error: BaseException, task: asyncio.Task[Any]) -> BrokenOffError | None:
    """What a CancelledError or GeneratorExit in `task` means; None when it is meant for the task itself."""
    # A task that is thrown away is closed by whoever does that, perhaps when its loop has ended.
    if task.cancelling() or asyncio.current_task(task.get_loop()) is not task:
        return None
    broken = BrokenOffError(f"what was awaited has been cancelled elsewhere ({type(error).__name__})")
    broken.__cause__ = error
    return broken


async def with_lulls(
    source: AsyncGenerator[T, None], *, seconds: float, wanted: Callable[[], bool]
) -> AsyncGenerator[T | None, None]:
    """The same items, closed in the end; and None whenever none has come for so long, if that was `wanted` before."""
    async with aclosing(source):
        while True:
            if not wanted():
                item = await anext(source, None)
            else:
                following = asyncio.ensure_future(anext(source, None))
                try:
                    while not (await asyncio.wait([following], timeout=seconds))[0]:
                        yield None
                finally:
                    # Nobody can close what is under way.
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
                item = following.result()
            if item is None:
                return
            yield item


def closable(source: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """An async generator as what it is, for `contextlib.aclosing`."""
    assert isinstance(source, AsyncGenerator)
    return cast("AsyncGenerator[T, None]", source)


async def map(
    fn: Callable[[T], Awaitable[R]],
    items: Iterable[T] | AsyncIterable[T],
    *,
    concurrency: int = 10,
) -> AsyncIterator[Outcome[T, R]]:
    """Calls `fn` with every item, at most `concurrency` at a time, and yields one `Outcome` per item as it is ready.

    An exception of `fn` becomes the item's outcome. Only errors that concern every item end the run: AuthError,
    ConfigError, QuotaExceededError and RateLimitError. Then no further item is begun, an asynchronous input that is
    waited for is cancelled, calls in flight are finished and their outcomes yielded, and the error is raised; items
    without an outcome were not executed. An error of the input itself ends the run in the same way. When something that
    `fn` or the input awaits is cancelled elsewhere, that is an error of theirs like any other; an item that `fn` was at
    is `unknown`.

    Items are taken from the input only as they are needed, and at most twice `concurrency` are under way or waiting
    to be consumed. Whoever leaves the loop early should close it (`contextlib.aclosing`): calls in flight are then
    cancelled and the input is closed.
    """
    if concurrency < 1:
        raise ValueError("concurrency must be at least 1")
    source = iterate(items)
    taking = asyncio.Lock()
    ready: asyncio.Queue[Outcome[T, R] | None] = asyncio.Queue(concurrency)
    ends: list[BaseException] = []
    count = 0
    working = concurrency
    over = leaving = False
    taker: asyncio.Task[None] | None = None
    """Who waits for the next item."""

    def end(error: BaseException) -> None:
        nonlocal over
        ends.append(error)
        if taker is not None and not over:
            taker.cancel()
        over = True

    async def take(task: asyncio.Task[None]) -> tuple[int, T] | None:
        nonlocal count, over, taker
        async with taking:
            if over:
                return None
            error: BaseException | None
            taker = task
            try:
                item = await anext(source)
            except StopAsyncIteration:
                over = True
                return None
            except (asyncio.CancelledError, GeneratorExit) as signal:
                error = broken_off(signal, task)
                if error is None:
                    # `end` has cancelled it, or somebody else has.
                    raise
            except Exception as raised:  # noqa: BLE001 - whatever the caller's input raises is handed to the caller
                error = raised
            else:
                if over:
                    # It came although it was cancelled.
                    return None
                count += 1
                return count - 1, item
            finally:
                taker = None
            end(error)
            return None

    async def work() -> None:
        task = cast("asyncio.Task[None]", asyncio.current_task())
        while (taken := await take(task)) is not None:
            index, item = taken
            try:
                outcome = Outcome[T, R](item=item, index=index, status="done", result=await fn(item))
            except FATAL as error:
                end(error)
                break
            except (asyncio.CancelledError, GeneratorExit) as signal:
                broken = broken_off(signal, task)
                if broken is None:
                    raise
                outcome = Outcome[T, R](item=item, index=index, status=status_of(broken), error=broken)
            except Exception as error:  # noqa: BLE001 - one bad item must not harm the others
                outcome = Outcome[T, R](item=item, index=index, status=status_of(error), error=error)
            if leaving:
                # It was cancelled and has gone on all the same: nobody takes the outcome any more.
                break
            await ready.put(outcome)

    def ended(worker: asyncio.Task[None]) -> None:
        nonlocal working
        working -= 1
        error = asyncio.CancelledError() if worker.cancelled() else worker.exception()
        if error is not None:
            end(error)
        if not working and ready.empty():
            ready.put_nowait(None)

    workers = [asyncio.create_task(work(), name=f"zoho-bulk-{number}") for number in range(concurrency)]
    for worker in workers:
        worker.add_done_callback(ended)
    try:
        while working or not ready.empty():
            outcome = await ready.get()
            if outcome is not None:
                yield outcome
    finally:
        over = leaving = True
        for worker in workers:
            worker.cancel()
        await asyncio.gather(*workers, return_exceptions=True)
        aclose: Any = getattr(source, "aclose", None)
        await aclose()
    if ends:
        raise ends[0]
