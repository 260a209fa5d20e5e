"""When the calls of a push are made, and which of them end when it drains."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of

from zoho_async import Limits, Zoho, bulk
from zoho_async.bulk.errors import AwaitCancelledError
from zoho_async.bulk.pushing import call_control
from zoho_async.bulk.pushing.call_control import CallControl, Withheld
from zoho_async.bulk.pushing.events import Event
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.scheduling.window import Window
from zoho_async.bulk.state.database import Database
from zoho_async.errors import AuthError, ConfigError, QuotaExceededError
from zoho_async.fake import FakeZoho

CREATE = "books.contacts.create"


class Clock:
    """This machine's clock, turned by hand: sleeping turns it."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, hour: int) -> None:
        self.now = datetime(2026, 3, 10, hour, tzinfo=UTC)
        self.slept: list[datetime] = []

        async def sleep(moment: datetime, **_: Any) -> None:
            await asyncio.sleep(0)
            self.slept.append(moment)
            self.now = max(self.now, moment)

        monkeypatch.setattr(call_control, "sleep_until", sleep)
        monkeypatch.setattr(call_control, "local_now", lambda: self.now)


def control_of(
    emit: Callable[[Event], None] = lambda event: None,
    *,
    concurrency: int = 2,
    wait: bool = False,
    window: str | None = None,
) -> CallControl:
    opened = Window.parse(window) if window is not None else None
    return CallControl(
        bulk.PushSummary(),
        concurrency=concurrency,
        threshold=9,
        max_failures=10,
        pause=0,
        wait=wait,
        window=opened,
        emit=emit,
    )


def answering(*answers: Any) -> Callable[[], Awaitable[Any]]:
    left = list(answers)

    async def call() -> Any:
        answer = left.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer

    return call


def used_up(resets_at: datetime | None = None) -> QuotaExceededError:
    return QuotaExceededError("used up", operation="x", resets_at=resets_at)


async def test_a_spent_day_is_waited_for_when_that_is_wanted(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, events = Clock(monkeypatch, 20), list[Event]()
    midnight = clock.now.replace(hour=0) + timedelta(days=1)
    with pytest.raises(QuotaExceededError):
        await control_of().call_when_allowed(answering(used_up(midnight), "done"))
    assert not clock.slept
    control = control_of(events.append, wait=True)
    assert await control.call_when_allowed(answering(used_up(midnight), "done")) == "done"
    assert clock.slept == [midnight]
    # Where the next day's begin is not known, it is tried by the hour.
    assert await control.call_when_allowed(answering(used_up(), used_up(), "done")) == "done"
    assert clock.now == midnight + timedelta(hours=2)
    assert [(event.stage, event.until) for event in events] == [
        ("wait", midnight + timedelta(hours=hours)) for hours in (0, 1, 2)
    ]


@pytest.mark.parametrize("wait", [False, True])
async def test_a_reserve_that_no_day_can_leave_is_not_waited_for(tmp_path: Path, wait: bool) -> None:
    events = list[Event]()
    async with FakeZoho(per_minute=None, per_day=20) as fake:
        async with client_of(fake, limits=Limits(per_minute=None, reserve=20)) as zoho:
            given = [{"contact_name": f"N{number}"} for number in range(5)]
            push = bulk.push(zoho.books.contacts, given, wait=wait, on_event=events.append, state=tmp_path / "s")
            with pytest.raises(ConfigError, match="the reserve of 20 leaves none of the 20 calls a day") as told:
                await asyncio.wait_for(outcomes_of(push), 30)
        # What a day holds is known from the first answer.
        assert (len(fake.received), fake.created()) == (1, {})
    assert told.value.sent is False
    assert "wait" not in {event.stage for event in events}


async def outcomes_of(push: bulk.Push) -> list[bulk.RowOutcome]:
    return [outcome async for outcome in push]


async def test_waits_for_one_moment_are_one_event(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, events = Clock(monkeypatch, 20), list[Event]()
    control = control_of(events.append, wait=True)
    moments = [clock.now + timedelta(hours=1, milliseconds=number) for number in range(5)]
    await asyncio.gather(*(control.call_when_allowed(answering(used_up(moment), "done")) for moment in moments))
    assert len(clock.slept) == 5
    assert len(events) == 1


async def test_a_closed_window_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, 12)
    assert await control_of(window="19:00-07:00").call_when_allowed(answering("done")) == "done"
    assert clock.now.hour == 19
    clock.now = clock.now.replace(hour=3)
    assert await control_of(window="19:00-07:00").call_when_allowed(answering("done")) == "done"
    assert clock.now.hour == 3


async def test_a_call_that_waited_its_turn_until_the_window_closed_waits_for_the_next(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, 6)
    control, before_send = control_of(window="19:00-07:00"), list[datetime]()

    async def call() -> str:
        if not clock.slept:
            clock.now = clock.now.replace(hour=7)
        control.before_send()
        before_send.append(clock.now)
        return "done"

    assert await control.call_when_allowed(call) == "done"
    assert [moment.hour for moment in before_send] == [19]


async def test_draining_ends_calls_that_wait_and_not_those_that_were_sent() -> None:
    control = control_of(concurrency=2)
    both, ends, inside = asyncio.Event(), asyncio.Event(), list[str]()

    async def call(name: str, *, before_send: bool) -> str:
        if before_send:
            control.before_send()
        inside.append(name)
        if len(inside) == 2:
            both.set()
        await ends.wait()
        return name

    sent = asyncio.create_task(control.call_when_allowed(lambda: call("sent", before_send=True)))
    waiting = asyncio.create_task(control.call_when_allowed(lambda: call("waiting", before_send=False)))
    queued = asyncio.create_task(control.call_when_allowed(lambda: call("queued", before_send=True)))
    await asyncio.wait_for(both.wait(), 30)
    control.drain()
    for task in (waiting, queued):
        with pytest.raises(Withheld):
            await task
    with pytest.raises(Withheld):
        await control.call_when_allowed(answering("late"))
    ends.set()
    assert await sent == "sent"
    assert inside == ["sent", "waiting"]


@pytest.mark.parametrize("why", ["quota", "window"])
async def test_an_abort_ends_waits_of_hours_at_once(monkeypatch: pytest.MonkeyPatch, why: str) -> None:
    clock, asleep, both = Clock(monkeypatch, 12), list[datetime](), asyncio.Event()

    async def sleep(moment: datetime, **_: Any) -> None:
        asleep.append(moment)
        if len(asleep) == 2:
            both.set()
        await asyncio.Event().wait()

    monkeypatch.setattr(call_control, "sleep_until", sleep)
    control = control_of(wait=True, window="19:00-07:00" if why == "window" else None)
    refused = answering(*[used_up(clock.now + timedelta(hours=5))] * 2)
    waiting = [
        asyncio.create_task(control.call_when_allowed(refused)),
        asyncio.create_task(control.read(refused)),
    ]
    await asyncio.wait_for(both.wait(), 30)
    dead = AuthError("the token is dead")
    control.abort(dead)
    for task in waiting:
        with pytest.raises(Withheld):
            await asyncio.wait_for(task, 30)
    assert control.abort_reason is dead
    assert control.summary.reads == 0
    with pytest.raises(Withheld):
        await control.read(answering("late"))


async def test_what_belongs_together_is_not_parted_by_other_rows() -> None:
    control, made = control_of(concurrency=1), list[str]()

    async def call(name: str) -> None:
        control.before_send()
        made.append(name)
        await asyncio.sleep(0)

    async def row(name: str) -> None:
        async with control.slot():
            await control.read(lambda: call(f"read {name}"), in_slot=True)
            await control.call_when_allowed(lambda: call(f"write {name}"), in_slot=True)

    await asyncio.gather(row("A"), row("B"), row("C"))
    assert made == [f"{step} {name}" for name in "ABC" for step in ("read", "write")]


async def test_an_update_follows_the_reading_of_its_record(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": f"N{number}"} for number in range(5)])
    given = [{"contact_name": f"N{number}", "notes": "x"} for number in range(5)]
    push = bulk.push(zoho.books.contacts, given, match_by="contact_name", concurrency=1)
    assert [outcome.action async for outcome in push] == ["updated"] * 5
    made = [received.operation.rpartition(".")[2] for received in fake.received]
    assert made == ["list", *["get", "update"] * 5]


async def test_a_read_given_up_is_not_counted() -> None:
    control = control_of()
    control.drain()
    with pytest.raises(Withheld):
        await control.read(answering("never"))
    assert control.summary.reads == 0


async def test_a_read_cancelled_is_not_counted() -> None:
    control = control_of()
    task = asyncio.create_task(control.read(asyncio.Event().wait))
    await asyncio.sleep(0)
    assert control.summary.reads == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert control.summary.reads == 0


async def test_cancelled_from_outside_while_stopping_is_cancelled() -> None:
    control = control_of()
    task = asyncio.create_task(control.call_when_allowed(asyncio.Event().wait))
    await asyncio.sleep(0)
    control.drain()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_cancellation_of_what_a_call_awaits_is_an_error_of_the_call() -> None:
    async def call() -> None:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        await future

    with pytest.raises(AwaitCancelledError):
        await control_of().read(call)


@pytest.mark.parametrize("minds", [True, False])
async def test_draining_ends_a_wait_for_the_input(minds: bool) -> None:
    control, waits = control_of(), asyncio.Event()

    async def give() -> str:
        waits.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            if minds:
                raise
        return "late"

    waiting = asyncio.create_task(control.wait_for(give))
    await waits.wait()
    control.drain()
    with pytest.raises(Withheld):
        await asyncio.wait_for(waiting, 10)
    with pytest.raises(Withheld):
        await control.wait_for(give)


async def test_a_stopped_push_does_not_wait_for_its_turn(fake: FakeZoho, tmp_path: Path) -> None:
    """At one call a minute nothing would end here if rows that only wait were sent."""
    given = [{"contact_name": f"N{number}"} for number in range(40)]
    async with client_of(fake, limits=Limits(per_minute=2, burst=2)) as zoho:
        push = bulk.push(zoho.books.contacts, given, state=tmp_path / "s")
        outcomes: list[bulk.RowOutcome] = []
        async for outcome in push:
            outcomes.append(outcome)
            push.stop()
        label = Destination.of(zoho.books.contacts).label
    assert [outcome.status for outcome in outcomes] == ["done"]
    assert not push.summary.complete
    assert push.summary.writes == fake.requests(CREATE) == 1
    assert await states(tmp_path / "s", label) == ["done"]
    # No outcome is unknown: the next run sends all the others.
    async with client_of(fake) as zoho:
        again = bulk.push(zoho.books.contacts, given, state=tmp_path / "s")
        assert {outcome.status async for outcome in again} == {"done"}
    assert len(fake.created()) == fake.requests(CREATE) == 40


async def test_a_push_cut_off_has_meant_to_send_only_what_was_on_the_wire(fake: FakeZoho, tmp_path: Path) -> None:
    given = [{"contact_name": f"N{number}"} for number in range(40)]
    async with client_of(fake, limits=Limits(per_minute=2, burst=2)) as zoho:
        push = bulk.push(zoho.books.contacts, given, state=tmp_path / "s")
        async for _ in push:
            break
        await push.aclose()
        label = Destination.of(zoho.books.contacts).label
    assert await states(tmp_path / "s", label) == ["done"]
    assert push.summary.writes == fake.requests(CREATE) == 1


async def test_a_push_cut_off_has_read_only_what_was_on_the_wire(fake: FakeZoho) -> None:
    names = [f"N{number}" for number in range(40)]
    fake.seed([{"contact_name": name} for name in names])
    given = [{"contact_name": name, "notes": "x"} for name in names]
    async with client_of(fake, limits=Limits(per_minute=3, burst=3)) as zoho:
        push = bulk.push(zoho.books.contacts, given, match_by="contact_name")
        async for _ in push:
            break
        await push.aclose()
    assert (push.summary.reads, push.summary.writes, fake.requests()) == (2, 1, 3)


async def test_a_push_whose_window_closes_sends_nothing_more(
    fake: FakeZoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock, events = Clock(monkeypatch, 6), list[Event]()
    given = [{"contact_name": f"N{number}"} for number in range(30)]
    sent_at: list[tuple[int, int]] = []
    async with client_of(fake) as zoho:
        push = bulk.push(
            zoho.books.contacts,
            given,
            window="19:00-07:00",
            on_event=events.append,
            concurrency=3,
            state=tmp_path / "s",
        )
        async for outcome in push:
            assert outcome.status == "done"
            if push.summary.rows == 10:
                sent_at.append((clock.now.hour, fake.requests(CREATE)))
                clock.now = clock.now.replace(hour=7)
    assert push.summary.complete
    assert len(fake.created()) == 30
    ((hour, sent),) = sent_at
    assert hour == 6
    assert sent <= 10 + 2 * 3
    assert [event.until.hour for event in events if event.stage == "wait" and event.until is not None] == [19]


async def states(file: Path, label: str) -> list[str]:
    """What the journal says of every row it knows."""
    async with Database(file) as database:
        return await database.run(
            lambda connection: [
                str(state) for (state,) in connection.execute("SELECT state FROM journal WHERE target = ?", (label,))
            ]
        )


async def test_waits_for_the_same_moment_are_one_wait_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also when each, woken up, finds at once that it has to wait for the next; what was read is old once for each."""
    clock, events = Clock(monkeypatch, 20), list[Event]()
    days = [clock.now + timedelta(days=number) for number in (1, 2, 3)]
    control = control_of(events.append, wait=True, concurrency=9)
    calls = [control.call_when_allowed(answering(*map(used_up, days), "done")) for _ in range(9)]
    assert await asyncio.gather(*calls) == ["done"] * 9
    assert control.wait_epoch == 3
    assert [event.until for event in events] == days
    # A call that comes back a moment too early waits for the same; a later moment is another wait.
    assert await control.call_when_allowed(answering(used_up(days[-1]), "done")) == "done"
    assert (control.wait_epoch, len(events)) == (3, 3)
    later = days[-1] + timedelta(days=1)
    assert await control.call_when_allowed(answering(used_up(later), "done")) == "done"
    assert (control.wait_epoch, len(events)) == (4, 4)
