from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

import pytest

from zoho_async import bulk
from zoho_async.bulk.mapping import closable
from zoho_async.errors import AuthError, DecodeError, OutcomeUnknownError, QuotaExceededError, RefusedError


async def test_one_outcome_per_item_never_an_exception() -> None:
    async def fn(item: int) -> int:
        if item == 3:
            raise RefusedError("no", sent=True)
        if item == 4:
            raise OutcomeUnknownError("who knows", sent=None)
        if item == 5:
            raise ValueError("a bug")
        if item == 6:
            raise DecodeError("unreadable", sent=True)
        return item * 10

    outcomes = sorted([one async for one in bulk.map(fn, range(8))], key=lambda one: one.index)
    assert [one.item for one in outcomes] == list(range(8))
    assert [one.status for one in outcomes] == ["done"] * 3 + ["failed", "unknown", "failed", "done", "done"]
    assert outcomes[2].result == 20
    assert isinstance(outcomes[5].error, ValueError)
    assert isinstance(outcomes[6].error, DecodeError)


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
    gate = asyncio.Event()
    begun: list[int] = []

    async def fn(item: int) -> int:
        begun.append(item)
        if item == 2:
            gate.set()
            raise error
        await gate.wait()
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
        await anext(bulk.map(fn, [1], concurrency=0))
