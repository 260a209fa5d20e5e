"""Helpers for asyncio: iterables, idle ticks, and cancellations meant for others."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable
from contextlib import aclosing
from typing import Any, TypeVar, cast

from .errors import AwaitCancelledError

T = TypeVar("T")


async def iterate(items: Iterable[T] | AsyncIterable[T]) -> AsyncGenerator[T, None]:
    """Any iterable as an async one; its iterator is closed at the end if it can be."""
    if isinstance(items, AsyncIterable):
        source = aiter(items)
        try:
            async for item in source:
                yield item
        finally:
            aclose: Any = getattr(source, "aclose", None)
            if aclose is not None:
                await aclose()
    else:
        iterator = iter(items)
        try:
            for item in iterator:
                yield item
        finally:
            close: Any = getattr(iterator, "close", None)
            if close is not None:
                close()


def closable(source: AsyncIterator[T]) -> AsyncGenerator[T, None]:
    """An async generator typed as one, for `contextlib.aclosing`."""
    assert isinstance(source, AsyncGenerator)
    return cast("AsyncGenerator[T, None]", source)


def cancelled_elsewhere(error: BaseException, task: asyncio.Task[Any]) -> AwaitCancelledError | None:
    """What a CancelledError or GeneratorExit raised in `task` means; None when it is meant for the task itself."""
    # A discarded task is closed from outside, perhaps after its loop.
    if task.cancelling() or asyncio.current_task(task.get_loop()) is not task:
        return None
    found = AwaitCancelledError(f"what was awaited has been cancelled elsewhere ({type(error).__name__})")
    found.__cause__ = error
    return found


async def with_idle_ticks(
    source: AsyncGenerator[T, None], *, seconds: float, wanted: Callable[[], bool]
) -> AsyncGenerator[T | None, None]:
    """The same items, and None after each `seconds` without one if `wanted()` was true before; closes `source`."""
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
                    # A generator cannot be closed while it runs.
                    following.cancel()
                    await asyncio.gather(following, return_exceptions=True)
                item = following.result()
            if item is None:
                return
            yield item
