from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from zoho_async import bulk
from zoho_async.bulk._aio import cancelled_elsewhere, closable
from zoho_async.bulk.errors import AwaitCancelledError
from zoho_async.errors import (
    AuthError,
    DecodeError,
    OutcomeUnknownError,
    QuotaExceededError,
    RefusedError,
    UnavailableError,
)


async def test_one_outcome_per_item_never_an_exception() -> None:
    async def fn(item: int) -> int:
        if item == 3:
            raise RefusedError("no", sent=True)
        if item == 4:
            raise OutcomeUnknownError("timeout", sent=None)
        if item == 5:
            raise ValueError("raised after the call, or before it")
        if item == 6:
            raise DecodeError("unreadable", sent=True)
        return item * 10

    outcomes = sorted([one async for one in bulk.map(fn, range(8))], key=lambda one: one.index)
    assert [one.item for one in outcomes] == list(range(8))
    assert [one.status for one in outcomes] == ["done"] * 3 + ["failed", "unknown", "unknown", "done", "done"]
    assert outcomes[2].result == 20
    assert isinstance(outcomes[5].error, ValueError)
    assert isinstance(outcomes[6].error, DecodeError)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (RefusedError("no", sent=True), "failed"),
        (UnavailableError("not sent", sent=False), "failed"),
        (UnavailableError("lost", sent=None), "unknown"),
        (OutcomeUnknownError("lost", sent=None), "unknown"),
        (OutcomeUnknownError("a response that cannot be read", sent=True), "unknown"),
        (DecodeError("unreadable", sent=True), "done"),
        (KeyError("of a hook"), "unknown"),
        (OSError("of a disk"), "unknown"),
        (AwaitCancelledError("elsewhere"), "unknown"),
    ],
)
async def test_only_an_error_of_zoho_says_that_an_item_failed(error: Exception, status: str) -> None:
    async def fn(_: int) -> None:
        raise error

    assert bulk.status_of(error) == status
    assert [(one.status, one.error) async for one in bulk.map(fn, [1])] == [(status, error)]


@pytest.mark.parametrize("concurrency", [1, 3, 50])
async def test_never_more_than_concurrency_at_once(concurrency: int) -> None:
    running = most = 0

    async def fn(item: int) -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        for _ in range(item % 5):
            await asyncio.sleep(0)
        running -= 1

    before = len(asyncio.all_tasks())
    count = 0
    async for _ in bulk.map(fn, range(200), concurrency=concurrency):
        count += 1
        assert len(asyncio.all_tasks()) - before <= concurrency
    assert count == 200
    assert most == min(concurrency, most)
    assert most <= concurrency


async def test_the_input_is_taken_only_as_needed() -> None:
    taken = 0

    async def items() -> AsyncIterator[int]:
        nonlocal taken
        for number in range(1000):
            taken = number + 1
            yield number

    async def fn(item: int) -> int:
        return item

    async with aclosing(closable(bulk.map(fn, items(), concurrency=4))) as outcomes:
        async for _ in outcomes:
            break
    assert taken <= 10


@pytest.mark.parametrize("error", [AuthError("no"), QuotaExceededError("used up")])
async def test_an_error_that_concerns_everything_ends_the_run_after_what_is_in_flight(error: Exception) -> None:
    hook = asyncio.Event()
    begun: list[int] = []

    async def fn(item: int) -> int:
        begun.append(item)
        if item == 2:
            hook.set()
            raise error
        await hook.wait()
        return item

    done: set[int] = set()
    with pytest.raises(type(error)):
        async for one in bulk.map(fn, range(100), concurrency=4):
            done |= {one.item}
    assert done == set(begun) - {2}
    assert len(begun) <= 5


async def test_leaving_early_cancels_what_runs_and_closes_the_input() -> None:
    closed: list[bool] = []
    cancelled = 0

    async def items() -> AsyncIterator[int]:
        try:
            for number in range(1000):
                yield number
        finally:
            closed.append(True)

    async def fn(item: int) -> int:
        nonlocal cancelled
        if item:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                cancelled += 1
                raise
        return item

    before = asyncio.all_tasks()
    async with aclosing(closable(bulk.map(fn, items(), concurrency=5))) as outcomes:
        async for one in outcomes:
            assert one.item == 0
            break
    assert closed == [True]
    assert cancelled >= 4
    assert asyncio.all_tasks() == before


async def test_an_error_of_the_input_is_raised_after_the_outcomes() -> None:
    def items() -> object:
        yield 1
        raise OSError("disk")

    async def fn(item: int) -> int:
        return item

    seen: set[int] = set()
    with pytest.raises(OSError, match="disk"):
        async for one in bulk.map(fn, items()):  # type: ignore[arg-type]
            seen |= {one.item}
    assert seen == {1}


async def test_concurrency_must_be_positive() -> None:
    async def fn(item: int) -> int:
        return item

    with pytest.raises(ValueError, match="at least 1"):
        bulk.map(fn, [1], concurrency=0)


async def test_an_error_that_concerns_everything_does_not_wait_for_the_next_item() -> None:
    waits, refused, closed = asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def items() -> AsyncIterator[int]:
        try:
            yield 0
            yield 1
            waits.set()
            await asyncio.Event().wait()
        finally:
            closed.set()

    async def fn(item: int) -> int:
        await waits.wait()
        if item:
            refused.set()
            raise AuthError("no")
        await refused.wait()
        # What is in flight is finished.
        await closed.wait()
        return item

    yielded: set[int] = set()
    async with asyncio.timeout(10):
        with pytest.raises(AuthError):
            async for one in bulk.map(fn, items(), concurrency=3):
                yielded |= {one.item}
    assert yielded == {0}


async def test_an_item_that_comes_although_the_input_is_over_is_not_begun() -> None:
    waits, cancelled = asyncio.Event(), asyncio.Event()
    begun: list[int] = []

    async def items() -> AsyncIterator[int]:
        yield 0
        try:
            waits.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            cancelled.set()
        yield 1

    async def fn(item: int) -> int:
        begun.append(item)
        await waits.wait()
        raise AuthError("no")

    async with asyncio.timeout(10):
        with pytest.raises(AuthError):
            async for _ in bulk.map(fn, items(), concurrency=2):
                pass
    assert cancelled.is_set()
    assert begun == [0]


async def foreign_cancellation(error: BaseException) -> None:
    """Awaits a future that its owner has cancelled, or raises GeneratorExit."""
    if isinstance(error, asyncio.CancelledError):
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future
    raise error


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
async def test_what_is_cancelled_inside_an_item_is_its_outcome(error: BaseException) -> None:
    async def fn(item: int) -> int:
        if item == 1:
            await foreign_cancellation(error)
        return item

    async with asyncio.timeout(10):
        outcomes = sorted([one async for one in bulk.map(fn, range(4), concurrency=2)], key=lambda one: one.index)
    assert [one.status for one in outcomes] == ["done", "unknown", "done", "done"]
    assert isinstance(outcomes[1].error, AwaitCancelledError)
    assert isinstance(outcomes[1].error.__cause__, type(error))


@pytest.mark.parametrize("error", [asyncio.CancelledError(), GeneratorExit()])
async def test_what_is_cancelled_inside_the_input_is_an_error_of_the_input(error: BaseException) -> None:
    async def items() -> AsyncIterator[int]:
        yield 0
        await foreign_cancellation(error)
        yield 1

    async def fn(item: int) -> int:
        return item

    yielded: set[int] = set()
    async with asyncio.timeout(10):
        with pytest.raises(AwaitCancelledError):
            async for one in bulk.map(fn, items(), concurrency=2):
                yielded |= {one.item}
    assert yielded == {0}


async def test_a_discarded_task_is_not_cancelled_elsewhere() -> None:
    """It is closed from outside, perhaps after its loop, and must not await anything."""
    task, other = asyncio.current_task(), asyncio.create_task(asyncio.sleep(0))
    assert task is not None
    assert cancelled_elsewhere(GeneratorExit(), other) is None
    assert cancelled_elsewhere(GeneratorExit(), task) is not None
    await other


async def test_leaving_early_ends_though_a_call_suppresses_its_cancellation() -> None:
    """Its outcome has no consumer, and the queue is full."""
    full, begun = asyncio.Event(), list[int]()

    async def fn(item: int) -> int:
        begun.append(item)
        if item == 1:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                return item
        if item == 4:
            # One was taken, two fill the queue, this one has to wait.
            full.set()
        return item

    async with asyncio.timeout(10):
        async with aclosing(closable(bulk.map(fn, range(100), concurrency=2))) as outcomes:
            async for _ in outcomes:
                await full.wait()
                break
    assert begun == [0, 1, 2, 3, 4]


async def test_a_cancellation_of_its_workers_from_outside_cancels_the_run() -> None:
    async def fn(item: int) -> int:
        for task in asyncio.all_tasks():
            if task.get_name().startswith("zoho-bulk"):
                task.cancel()
        await asyncio.sleep(0)
        return item

    with pytest.raises(asyncio.CancelledError):
        async with asyncio.timeout(10):
            async for _ in bulk.map(fn, range(9), concurrency=3):
                pass


async def test_leaving_early_begins_no_item_that_comes_although_the_input_is_cancelled() -> None:
    waits, begun = asyncio.Event(), list[int]()

    async def items() -> AsyncIterator[int]:
        yield 0
        try:
            waits.set()
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            yield 1

    async def fn(item: int) -> int:
        begun.append(item)
        return item

    async with asyncio.timeout(10):
        async with aclosing(closable(bulk.map(fn, items(), concurrency=2))) as outcomes:
            async for _ in outcomes:
                await waits.wait()
                break
    assert begun == [0]
