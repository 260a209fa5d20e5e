from __future__ import annotations

import asyncio
import random
import sys
from collections import deque
from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples
from support.simulation import simulate

from zoho_async.transport import rate_limiter
from zoho_async.transport.rate_limiter import Exhausted, Limiter, Limits, Paused


async def calls(limiter: Limiter, count: int, seconds: float, seen: list[float], seed: int = 0) -> None:
    """`count` calls that reach the server at a random moment of their `seconds` in flight."""
    loop = asyncio.get_running_loop()
    chance = random.Random(seed)

    async def call() -> None:
        await limiter.acquire()
        arrival = chance.random() * seconds
        await asyncio.sleep(arrival)
        seen.append(loop.time())
        await asyncio.sleep(seconds - arrival)
        limiter.release()

    await asyncio.gather(*(call() for _ in range(count)))


def most_in_a_minute(moments: list[float]) -> int:
    moments = sorted(moments)
    first = most = 0
    for last, moment in enumerate(moments):
        while moment - moments[first] >= 60.0:
            first += 1
        most = max(most, last - first + 1)
    return most


@pytest.mark.parametrize("seconds", [0.0, 0.3, 2.0, 5.0])
def test_no_minute_sees_more_calls_than_the_pace_and_none_is_wasted(seconds: float) -> None:
    async def main() -> list[float]:
        seen: list[float] = []
        limiter = Limiter(Limits(per_minute=95, concurrency=50, burst=10))
        running = asyncio.ensure_future(calls(limiter, 2000, seconds, seen))
        await asyncio.sleep(600)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        return [moment for moment in seen if moment < seen[0] + 600]

    seen = simulate(main())
    assert most_in_a_minute(seen) <= 95
    # A call counts until a minute after its end, so long calls cost a little of the rate; instant ones cost none.
    assert len(seen) >= (940 if seconds == 0 else 940 * 60 / (60 + seconds) - 10)


@pytest.mark.parametrize("per_minute", [None, 95])
def test_calls_of_earlier_minutes_are_forgotten(per_minute: int | None) -> None:
    """A process that makes calls for weeks must not grow; those of this minute count when a limit is set."""

    async def main() -> None:
        limiter = Limiter(Limits(per_minute=per_minute, concurrency=50))
        await calls(limiter, 2000, 10.0, [])
        kept = sum(len(held) for name in Limiter.__slots__ if isinstance(held := getattr(limiter, name), deque))
        assert 1 <= kept <= 400
        limiter.change(Limits(per_minute=10))
        assert limiter.quota().minute_left == 0

    simulate(main())


@settings(max_examples=examples(30))
@given(
    per_minute=st.integers(1, 40),
    burst=st.integers(1, 40),
    concurrency=st.integers(1, 20),
    seconds=st.floats(0, 20),
    seed=st.integers(0, 1000),
)
def test_the_pace_holds_for_any_settings(
    per_minute: int, burst: int, concurrency: int, seconds: float, seed: int
) -> None:
    async def main() -> list[float]:
        seen: list[float] = []
        limiter = Limiter(Limits(per_minute=per_minute, burst=burst, concurrency=concurrency))
        await calls(limiter, per_minute * 4, seconds, seen, seed)
        return seen

    seen = simulate(main())
    assert len(seen) == per_minute * 4
    assert most_in_a_minute(seen) <= per_minute


def test_the_first_burst_is_short_and_then_the_pace_is_even() -> None:
    async def main() -> list[float]:
        seen: list[float] = []
        await calls(Limiter(Limits(per_minute=60, concurrency=100, burst=10)), 100, 0.0, seen)
        return [moment - seen[0] for moment in seen]

    seen = simulate(main())
    assert seen[9] == pytest.approx(0)
    assert seen[10] == pytest.approx(1.0, abs=0.01)
    assert seen[50] - seen[49] == pytest.approx(1.0, abs=0.01)


def test_no_more_are_in_flight_than_allowed_and_1070_halves_them() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=8))
        running = most = 0

        async def call() -> None:
            nonlocal running, most
            await limiter.acquire()
            running += 1
            most = max(most, running)
            await asyncio.sleep(1)
            running -= 1
            limiter.release()
            limiter.succeeded()

        await asyncio.gather(*(call() for _ in range(50)))
        assert most == 8
        limiter.slow_down()
        most = 0
        await asyncio.gather(*(call() for _ in range(4)))
        assert most == 4
        await asyncio.gather(*(call() for _ in range(100)))
        assert most == 8, "it grows back"
        for _ in range(10):
            limiter.slow_down()
        await asyncio.gather(call(), call())

    simulate(main())


def test_a_pause_holds_everybody_and_gives_up_on_the_impatient() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=1))
        loop = asyncio.get_running_loop()
        await limiter.acquire()
        patient = asyncio.ensure_future(limiter.acquire())
        impatient = asyncio.ensure_future(limiter.acquire(max_pause=120))
        await asyncio.sleep(0)
        limiter.pause(1800)
        with pytest.raises(Paused) as caught:
            await impatient
        assert caught.value.seconds == pytest.approx(1800)
        with pytest.raises(Paused):
            await limiter.acquire(max_pause=120)
        start = loop.time()
        limiter.release()
        await patient
        assert loop.time() - start == pytest.approx(1800)

    simulate(main())


@settings(max_examples=examples(50))
@given(seed=st.integers(0, 10_000))
def test_a_storm_of_cancellations_loses_no_slot_and_no_pace(seed: int) -> None:
    async def main() -> None:
        chance = random.Random(seed)
        limiter = Limiter(Limits(per_minute=30, concurrency=3, burst=5))
        seen: list[float] = []
        loop = asyncio.get_running_loop()

        async def call() -> None:
            await limiter.acquire()
            try:
                seen.append(loop.time())
                await asyncio.sleep(chance.random() * 3)
            finally:
                limiter.release()

        tasks = [asyncio.ensure_future(call()) for _ in range(60)]
        for task in tasks:
            if chance.random() < 0.5:
                loop.call_later(chance.random() * 100, task.cancel)
            if chance.random() < 0.1:
                await asyncio.sleep(chance.random())
        await asyncio.gather(*tasks, return_exceptions=True)
        assert most_in_a_minute(seen) <= 30
        assert limiter._in_flight == 0
        await asyncio.sleep(60)
        start = loop.time()
        await calls(limiter, 5, 0.0, [])
        assert loop.time() - start < 60 / 30 * 5, "after a quiet minute everything is free again"

    simulate(main())


def test_a_waiter_cancelled_in_the_moment_it_is_let_through_gives_its_slot_back() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=1))
        await limiter.acquire()
        waiter = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(0)
        limiter.release()  # lets the waiter through
        waiter.cancel()  # before it has run
        await asyncio.gather(waiter, return_exceptions=True)
        await asyncio.wait_for(limiter.acquire(), 1)

    simulate(main())


def test_the_day_is_learnt_from_headers_and_a_reserve_is_left() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, reserve=100))
        await limiter.acquire()
        limiter.update_from_headers(
            {"x-rate-limit-limit": "2000", "x-rate-limit-remaining": "101", "x-rate-limit-reset": "3600"}
        )
        limiter.release()
        quota = limiter.quota()
        assert (quota.limit, quota.remaining) == (2000, 101)
        assert quota.resets_at is not None
        assert 3590 < (quota.resets_at - datetime.now(UTC)).total_seconds() < 3610
        await limiter.acquire()
        limiter.update_from_headers(
            {"x-rate-limit-limit": "2000", "x-rate-limit-remaining": "100", "x-rate-limit-reset": "3599"}
        )
        limiter.release()
        with pytest.raises(Exhausted):
            await limiter.acquire()
        await asyncio.sleep(3601)
        await limiter.acquire()

    simulate(main())


@pytest.mark.parametrize(
    ("limits", "never"),
    [
        (Limits(reserve=99), ""),
        (Limits(reserve=100), "the reserve of 100 leaves none of the 100 calls a day"),
        (Limits(reserve=50, share=0.5), "the reserve of 50 leaves none of the 50 calls a day"),
        (Limits(reserve=49, share=0.5), ""),
        (Limits(reserve=200, per_day=200), "the reserve of 200 leaves none of the 100 calls a day"),
        (Limits(reserve=10, per_day=10), "the reserve of 10 leaves none of the 10 calls a day"),
    ],
)
def test_a_reserve_that_no_day_can_leave_differs_from_a_day_that_is_used_up(limits: Limits, never: str) -> None:
    async def main() -> None:
        limiter = Limiter(limits)
        limiter.update_from_headers(
            {"x-rate-limit-limit": "100", "x-rate-limit-remaining": "1", "x-rate-limit-reset": "3600"}
        )
        with pytest.raises(Exhausted) as caught:
            await limiter.acquire()
        assert caught.value.never == never

    simulate(main())


def test_a_day_of_our_own_is_kept_by_count_and_shared() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, per_day=20, share=0.5, concurrency=10))
        done = 0
        with pytest.raises(Exhausted):
            for _ in range(30):
                await limiter.acquire()
                limiter.release()
                done += 1
        assert done == 10
        await asyncio.sleep(86400)
        await limiter.acquire()

    simulate(main())


def test_code_45_stops_those_who_wait() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=1))
        await limiter.acquire()
        waiting = [asyncio.ensure_future(limiter.acquire()) for _ in range(5)]
        await asyncio.sleep(0)
        assert limiter.mark_exhausted(7200) is not None
        limiter.release()
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            assert isinstance(result, Exhausted)

    simulate(main())


def test_settings_that_cannot_be_meant_are_refused() -> None:
    for wrong in ({"concurrency": 0}, {"burst": 0}, {"per_minute": 0}, {"per_day": 0}, {"reserve": -1}, {"share": 0}):
        with pytest.raises(ValueError, match="Limits"):
            Limits(**wrong)  # type: ignore[arg-type]


def test_a_thousand_organisations_are_served_fairly() -> None:
    async def main() -> None:
        counts = [0] * 1000

        async def organization(number: int) -> None:
            limiter = Limiter(Limits(per_minute=20, burst=5))
            while True:
                await limiter.acquire()
                await asyncio.sleep(0.2)
                counts[number] += 1
                limiter.release()

        tasks = [asyncio.ensure_future(organization(number)) for number in range(1000)]
        await asyncio.sleep(180)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert min(counts) >= 0.95 * max(counts)
        assert min(counts) >= 0.9 * 60

    simulate(main())


def test_the_day_rolls_over_by_the_clock() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, per_day=100))
        for _ in range(99):
            await limiter.acquire()
            limiter.release()
        await asyncio.sleep(86399)
        await limiter.acquire()
        await asyncio.sleep(10)  # over midnight
        limiter.update_from_headers(
            {"x-rate-limit-limit": "100", "x-rate-limit-remaining": "99", "x-rate-limit-reset": "86390"}
        )
        limiter.release()
        await limiter.acquire()

    simulate(main())


def test_a_remainder_that_names_no_end_is_not_believed_for_ever() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None))
        await limiter.acquire()
        limiter.update_from_headers({"x-rate-limit-remaining": "0"})
        limiter.release()
        with pytest.raises(Exhausted):
            await limiter.acquire()
        await asyncio.sleep(3600)
        await limiter.acquire()
        limiter.update_from_headers({"x-rate-limit-remaining": "0", "x-rate-limit-reset": "9" * 30})

    simulate(main())


def test_what_was_never_sent_costs_no_pace_and_no_day() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=60, burst=1, per_day=5, concurrency=1))
        start = asyncio.get_running_loop().time()
        for _ in range(50):
            await limiter.acquire()
            limiter.release(sent=False)
        assert asyncio.get_running_loop().time() - start < 1
        for _ in range(5):
            await limiter.acquire()
            limiter.release()

    simulate(main())


def test_other_limits_give_nobody_back_what_zoho_took() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None, concurrency=8))
        limiter.slow_down()
        limiter.change(Limits(per_minute=None, concurrency=10))
        for _ in range(4):
            await limiter.acquire()
        waiter = asyncio.ensure_future(limiter.acquire())
        await asyncio.sleep(1)
        assert not waiter.done()
        waiter.cancel()
        await asyncio.gather(waiter, return_exceptions=True)
        fresh = Limiter(Limits(per_minute=None, concurrency=1))
        fresh.change(Limits(per_minute=None, concurrency=3))
        for _ in range(3):
            await fresh.acquire()

    simulate(main())


def test_a_shorter_pause_does_not_end_a_longer_one() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None))
        limiter.pause(100)
        limiter.pause(1)
        assert limiter.paused_for() == pytest.approx(100)

    simulate(main())


def test_an_older_answer_does_not_raise_what_is_left() -> None:
    async def main() -> None:
        limiter = Limiter(Limits(per_minute=None))
        for left in ("50", "70"):
            limiter.update_from_headers({"x-rate-limit-remaining": left, "x-rate-limit-reset": "3600"})
        assert limiter.quota().remaining == 50
        await limiter.acquire()
        assert limiter.quota().remaining == 49, "a call in flight is not in Zoho's number yet"

    simulate(main())


def test_a_cancelled_wait_costs_the_same_however_many_wait() -> None:
    """Function calls are counted: a queue that is built again for each cancellation makes 500 times as many."""

    async def calls(waiting: int) -> int:
        limiter = Limiter(Limits(per_minute=1, concurrency=1, burst=1))
        await limiter.acquire()
        tasks = [asyncio.ensure_future(limiter.acquire()) for _ in range(waiting)]
        await asyncio.sleep(0)
        counted = 0

        def count(*_: object) -> None:
            nonlocal counted
            counted += 1

        for task in tasks:
            task.cancel()
        sys.setprofile(count)
        try:
            await asyncio.wait(tasks)
        finally:
            sys.setprofile(None)
        return counted

    few, many = (simulate(calls(waiting)) for waiting in (10, 1_000))
    assert many < 150 * few


@pytest.mark.parametrize(("jump", "left"), [(8 * 3600.0, 0.0), (900.0, 900.0), (-86_400.0, 1_800.0)])
def test_a_pause_ends_by_the_clock_that_comes_first(monkeypatch: pytest.MonkeyPatch, jump: float, left: float) -> None:
    """The machine sleeps for so long, or its clock is set back by a day: the loop's clock stands still."""
    wall = 1_800_000_000.0

    async def paused() -> float:
        nonlocal wall
        limiter = Limiter(Limits())
        await limiter.acquire()
        limiter.pause(1_800)
        wall += jump
        return limiter.paused_for()

    monkeypatch.setattr(rate_limiter, "time", lambda: wall)
    assert simulate(paused()) == pytest.approx(left, abs=1)


def test_a_day_ends_while_the_machine_sleeps(monkeypatch: pytest.MonkeyPatch) -> None:
    wall = 1_800_000_000.0

    async def used_up() -> None:
        nonlocal wall
        limiter = Limiter(Limits())
        limiter.mark_exhausted(8 * 3600)
        with pytest.raises(Exhausted):
            await limiter.acquire()
        wall += 9 * 3600
        await limiter.acquire()

    monkeypatch.setattr(rate_limiter, "time", lambda: wall)
    simulate(used_up())
