"""Decisions about shared limits: pure, with time handed in."""

from __future__ import annotations

from collections import Counter
from heapq import heappop, heappush
from itertools import count
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from zoho_async import Limits
from zoho_async.fleet.limit_record import GRACE, LimitRecord, Now
from zoho_async.fleet.turns import Ask
from zoho_async.transport.hooks import Report

WINDOW = 60.0
OFF = Limits(per_minute=None)
SENT = Report(sent=True)


class Desk:
    """A record and its clock."""

    def __init__(self) -> None:
        self.time, self.wall, self.boot = 1000.0, 5000.0, "a"
        self.record = LimitRecord("a", 1000.0, 5000.0)
        self.dead: set[str] = set()

    def advance(self, seconds: float = 0.0) -> None:
        self.time += seconds
        self.wall += seconds
        self.record.advance(Now(time=self.time, wall=self.wall, boot=self.boot), WINDOW)

    def ask(self, holder: str, limits: Limits = OFF, **options: Any) -> Any:
        self.advance()
        now = Now(time=self.time, wall=self.wall, boot=self.boot)
        ask = Ask(limits=limits, **options)
        return self.record.ask(holder, ask, now, lambda name: name not in self.dead, WINDOW)

    def report(self, holder: str, slot: int, report: Report = SENT, limits: Limits = OFF) -> None:
        self.advance()
        self.record.report(holder, slot, report, limits, self.time, WINDOW)

    def call(self, holder: str, limits: Limits = OFF, report: Report = SENT) -> None:
        self.report(holder, self.ask(holder, limits).slot, report, limits)


def test_a_call_counts_until_a_window_after_its_end() -> None:
    desk, limits = Desk(), Limits(per_minute=2, burst=2)
    first = desk.ask("p", limits)
    desk.call("p", limits)
    desk.advance(100)
    assert desk.ask("q", limits).slot, "one of the two has been over for a minute"
    assert desk.ask("q", limits).wait is None, "two are in flight"
    desk.report("p", first.slot, limits=limits)
    assert desk.ask("q", limits).wait == pytest.approx(60)


def test_slots_are_counted_over_all_processes() -> None:
    desk, limits = Desk(), Limits(per_minute=None, concurrency=2)
    first = desk.ask("p", limits)
    assert desk.ask("q", limits).slot
    assert desk.ask("r", limits).slot is None
    desk.report("p", first.slot)
    assert desk.ask("r", limits).slot


def test_the_calls_of_a_dead_process_end_when_it_is_noticed() -> None:
    desk, limits = Desk(), Limits(per_minute=2, burst=2, concurrency=2)
    desk.ask("p", limits)
    desk.ask("p", limits)
    desk.advance(100)
    assert desk.ask("q", limits).wait is None
    desk.dead.add("p")
    assert desk.ask("q", limits).wait == pytest.approx(60)
    desk.advance(60)
    assert desk.ask("q", limits).slot


def test_processes_take_turns_and_priority_goes_first() -> None:
    desk, limits = Desk(), Limits(per_minute=60, burst=1)
    assert desk.ask("p", limits, more=True).slot
    assert desk.ask("q", limits).wait == pytest.approx(2), "the other call of `p` came first"
    assert desk.ask("p", limits).wait == pytest.approx(1)
    assert desk.ask("r", limits, priority=True).wait == pytest.approx(1)
    assert desk.ask("p", limits).wait == pytest.approx(2)
    desk.advance(1)
    assert desk.ask("p", limits).slot is None
    assert desk.ask("r", limits, priority=True).slot
    desk.advance(1)
    assert desk.ask("q", limits).slot is None
    assert desk.ask("p", limits, more=True).slot
    assert desk.ask("p", limits).wait == pytest.approx(2), "behind `q`"


@pytest.mark.parametrize("late", [0.0, 0.05])
def test_processes_share_the_pace_fairly_and_waste_none(late: float) -> None:
    """Ten minutes in which three processes want to call all the time; `late`: each is so late for its turn."""
    desk, limits, took, minutes = Desk(), Limits(), 0.3, 10
    made, begun = Counter[str](), desk.time
    due = [(desk.time, number, name, 0) for number, name in enumerate("pqr")]
    order = count(3)
    while due and due[0][0] < begun + minutes * WINDOW:
        moment, _, name, slot = heappop(due)
        desk.advance(moment - desk.time)
        if slot:
            desk.report(name, slot, limits=limits)
            continue
        turn = desk.ask(name, limits, more=True)
        if turn.slot is None:
            heappush(due, (desk.time + late + (0.01 if turn.wait is None else turn.wait), next(order), name, 0))
        else:
            made[name] += 1
            heappush(due, (desk.time + took, next(order), name, turn.slot))
            heappush(due, (desk.time, next(order), name, 0))
    total = made.total()
    assert 0.9 * minutes * 95 * WINDOW / (WINDOW + took + late) <= total <= minutes * 95
    assert all(0.75 * total / 3 <= one <= 1.25 * total / 3 for one in made.values()), made


def test_a_place_is_lost_by_a_process_that_does_not_come_back() -> None:
    desk, limits = Desk(), Limits(per_minute=60, burst=1)
    desk.ask("p", limits)
    assert desk.ask("p", limits).wait == pytest.approx(1)
    assert desk.ask("q", limits).wait == pytest.approx(2)
    desk.advance(1.5)
    assert desk.ask("q", limits).slot is None
    desk.advance(GRACE)
    assert desk.ask("q", limits).slot


def test_a_place_is_given_up() -> None:
    desk, limits = Desk(), Limits(per_minute=60, burst=1)
    desk.ask("p", limits)
    desk.ask("p", limits)
    desk.record.stop_waiting("p")
    assert desk.ask("q", limits).wait == pytest.approx(1)


def test_what_was_not_sent_counts_for_nothing() -> None:
    desk, limits = Desk(), Limits(per_minute=60, burst=1, per_day=5)
    for _ in range(50):
        desk.call("p", limits, Report(sent=False))
    for _ in range(5):
        desk.call("p", limits)
        desk.advance(1)
    turn = desk.ask("p", limits)
    assert turn.exhausted
    assert turn.resets == pytest.approx(86395)
    desk.advance(86395)
    assert desk.ask("p", limits).slot


def test_the_day_is_learnt_from_headers_and_shared() -> None:
    desk, limits = Desk(), Limits(per_minute=None, reserve=10)
    headers = {"x-rate-limit-limit": "1000", "x-rate-limit-remaining": "11", "x-rate-limit-reset": "3600"}
    desk.call("p", limits, Report(sent=True, headers=headers))
    slot = desk.ask("q", limits).slot
    desk.report("q", slot, Report(sent=True, headers={**headers, "x-rate-limit-remaining": "10"}))
    desk.report("q", slot, Report(sent=True, headers=headers))
    turn = desk.ask("p", limits)
    assert (turn.slot, turn.exhausted, turn.day_limit, turn.remaining) == (None, True, 1000, 10)
    desk.advance(3601)
    assert desk.ask("p", limits).slot


@pytest.mark.parametrize(("seconds", "resets"), [(None, 900), (100.0, 100), (1e9, 86400)])
def test_code_45_ends_the_day_for_all(seconds: float | None, resets: float) -> None:
    desk = Desk()
    desk.call("p", report=Report(sent=True, decision="exhausted", seconds=seconds))
    turn = desk.ask("q")
    assert turn.exhausted
    assert turn.resets == pytest.approx(resets)


def test_a_pause_holds_all_and_a_shorter_one_does_not_end_it() -> None:
    desk = Desk()
    desk.call("p", report=Report(sent=True, decision="throttled", seconds=30))
    desk.report("p", 0, Report(sent=True, decision="throttled", seconds=3))
    turn = desk.ask("q")
    assert (turn.slot, turn.wait, turn.paused) == (None, 30, 30)
    desk.report("p", 0, Report(sent=True, decision="throttled", seconds=1e9))
    assert desk.ask("q").paused == 86400


def test_1070_halves_the_slots_of_all_until_calls_succeed() -> None:
    desk, limits = Desk(), Limits(per_minute=None, concurrency=8)
    desk.call("p", limits, Report(sent=True, decision="slow"))
    assert sum(desk.ask("q", limits).slot is not None for _ in range(8)) == 4
    for slot in list(desk.record.slots["q"]):
        desk.report("q", slot, limits=limits)
    for _ in range(40):
        desk.call("p", limits, Report(sent=True, decision="done"))
    assert sum(desk.ask("q", limits).slot is not None for _ in range(9)) == 8


def test_a_restart_of_the_machine_holds_for_a_window_and_keeps_pause_and_day() -> None:
    desk = Desk()
    desk.call("p", report=Report(sent=True, decision="throttled", seconds=1000))
    desk.report("p", 0, Report(sent=True, decision="exhausted", seconds=5000))
    desk.ask("p")
    desk.time, desk.wall, desk.boot = 7.0, desk.wall + 400, "b"
    desk.advance()
    turn = desk.record.look(OFF)
    assert (turn.paused, turn.resets) == (pytest.approx(600), pytest.approx(4600))
    assert desk.record.in_flight() == 0
    assert desk.record.held_until == 67


@pytest.mark.parametrize("jump", [90.0, -90.0, 1e7, -1e7])
def test_the_wall_clock_changes_nothing_while_the_machine_runs(jump: float) -> None:
    desk, limits = Desk(), Limits(per_minute=1)
    desk.call("p", limits, Report(sent=True, decision="exhausted", seconds=3600))
    desk.wall += jump
    turn = desk.ask("q", limits)
    assert (turn.resets, turn.counted) == (3600, 1)


def test_a_lost_record_holds_for_a_window() -> None:
    record = LimitRecord.unknown(Now(time=50.0, wall=0.0, boot="a"), WINDOW)
    now = Now(time=60.0, wall=0.0, boot="a")
    assert record.ask("p", Ask(limits=OFF), now, lambda _: True, WINDOW).wait == 50


@settings(max_examples=examples(60))
@given(
    rate=st.integers(1, 12),
    burst=st.integers(1, 12),
    concurrency=st.integers(1, 6),
    steps=st.lists(
        st.tuples(st.sampled_from("pqr"), st.floats(0, 30), st.booleans(), st.sampled_from(("end", "die", "none"))),
        max_size=80,
    ),
)
def test_no_window_sees_more_than_the_pace_whatever_happens(
    rate: int, burst: int, concurrency: int, steps: list[tuple[str, float, bool, str]]
) -> None:
    desk, limits = Desk(), Limits(per_minute=rate, burst=burst, concurrency=concurrency)
    seen: list[tuple[float, float | None]] = []  # start, end
    flying: dict[tuple[str, int], int] = {}
    for holder, seconds, priority, then in steps:
        desk.advance(seconds)
        desk.dead.discard(holder)
        turn = desk.ask(holder, limits, priority=priority)
        if turn.slot is not None:
            seen.append((desk.time, None))
            flying[holder, turn.slot] = len(seen) - 1
            assert len(flying) <= concurrency
        if then == "end":
            for (name, slot), place in [*flying.items()]:
                if name == holder:
                    desk.report(name, slot, limits=limits)
                    seen[place] = seen[place][0], desk.time
                    del flying[name, slot]
        elif then == "die":
            # Its requests are over at the latest now, and another process will notice.
            desk.dead.add(holder)
            for name, slot in [*flying]:
                if name == holder:
                    del flying[name, slot]
                    if slot in desk.record.slots.get(name, []):
                        desk.record.slots[name].remove(slot)
                        desk.record.ends.append(desk.time)
    starts = sorted(start for start, _ in seen)
    for last, start in enumerate(starts):
        assert sum(start - WINDOW < other <= start for other in starts[: last + 1]) <= rate
