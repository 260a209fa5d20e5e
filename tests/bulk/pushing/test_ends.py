"""However a push ends, it ends at once, and every row that was sent is reported."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of

from zoho_async import Limits, Zoho, bulk
from zoho_async.bulk.errors import AwaitCancelledError
from zoho_async.bulk.pushing import dispatch, target_index, writes
from zoho_async.bulk.pushing import push as pushing
from zoho_async.bulk.pushing.call_control import READ_THRESHOLD, CallControl
from zoho_async.bulk.pushing.events import Event
from zoho_async.bulk.pushing.push import BREAKER_THRESHOLD, QUEUE_DEPTH_FACTOR, Push
from zoho_async.bulk.results import RowOutcome
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Journal
from zoho_async.errors import (
    AuthError,
    DecodeError,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    RefusedError,
    UnavailableError,
    ZohoError,
)
from zoho_async.fake import FakeZoho
from zoho_async.fake.messages import FakeRequest, Reply
from zoho_async.transport import retry_policy as policy
from zoho_async.transport.hooks import DispatchHook
from zoho_async.transport.rate_limiter import Limiter, Quota

CREATE, UPDATE, UPSERT, GET, LIST = (f"books.contacts.{name}" for name in ("create", "update", "upsert", "get", "list"))
KEY = "cf_external_id"


def names(count: int, **more: Any) -> list[dict[str, Any]]:
    return [{"contact_name": f"N{number}", **more} for number in range(1, count + 1)]


class Heard:
    """What a push tells, to its end, and what it raises then."""

    def __init__(self, push: Push) -> None:
        self.push = push
        self.outcomes: list[RowOutcome] = []
        self.first = asyncio.Event()
        """Set with the first outcome."""

    async def all(self) -> list[tuple[str, str]]:
        """Status and action of every row, in the order of the input."""
        async for outcome in self.push:
            self.outcomes.append(outcome)
            self.first.set()
        return self.told

    @property
    def told(self) -> list[tuple[str, str]]:
        return [(one.status, one.action) for one in sorted(self.outcomes, key=lambda one: one.row.number)]


@pytest.mark.parametrize("operation", [CREATE, UPDATE])
async def test_stopped_while_a_refused_call_waits_out_its_pause(fake: FakeZoho, zoho: Zoho, operation: str) -> None:
    if operation == UPDATE:
        fake.seed(names(5))
    fake.script(operation, ["429:44:40"])
    heard = Heard(bulk.push(zoho.books.contacts, names(5, notes="x"), match_by="contact_name"))
    running = asyncio.create_task(heard.all())
    while zoho.quota.paused_until is None:  # noqa: ASYNC110 - no event for it
        await asyncio.sleep(0.001)
    heard.push.stop()
    assert await asyncio.wait_for(running, 10) == []
    assert fake.requests(operation) == 1
    assert not heard.push.summary.complete


async def test_no_record_is_read_once_the_push_has_ended(fake: FakeZoho, monkeypatch: pytest.MonkeyPatch) -> None:
    """The token dies while reads and writes wait their turn."""
    fake.seed(names(30))
    fake.script(UPDATE, ["pass", *["status:401"] * 30])
    read: list[int] = []
    abort = CallControl.abort

    def aborted(self: CallControl, error: ZohoError) -> None:
        read.append(fake.requests(GET))
        abort(self, error)

    monkeypatch.setattr(CallControl, "abort", aborted)
    async with client_of(fake, limits=Limits(per_minute=600, burst=1)) as slow:
        heard = Heard(bulk.push(slow.books.contacts, names(30, notes="x"), match_by="contact_name"))
        with pytest.raises(AuthError):
            await heard.all()
    # One may have been on its way.
    assert fake.requests(GET) <= read[0] + 1
    assert heard.told == [("done", "updated")]


async def test_cancelled_while_its_state_opens_a_push_leaves_the_file_free(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop, open_file = asyncio.get_running_loop(), Database._open
    push = bulk.push(zoho.books.contacts, names(1), state=tmp_path / "s")
    running = asyncio.create_task(Heard(push).all())

    def opened(self: Database) -> Any:
        connection = open_file(self)
        # The file is open, and its opener does not know yet.
        loop.call_soon_threadsafe(running.cancel)
        return connection

    with monkeypatch.context() as patch:
        patch.setattr(Database, "_open", opened)
        with pytest.raises(asyncio.CancelledError):
            await running
    again = bulk.push(zoho.books.contacts, names(1), state=tmp_path / "s")
    assert await Heard(again).all() == [("done", "created")]
    assert fake.requests(CREATE) == 1


async def test_a_push_that_is_closed_as_it_begins_ends_its_iteration(zoho: Zoho) -> None:
    push = bulk.push(zoho.books.contacts, names(1))
    running = asyncio.create_task(Heard(push).all())
    # Its work has a task, which has not begun.
    await asyncio.sleep(0)
    await push.aclose()
    assert await asyncio.wait_for(running, 10) == []


async def test_a_record_that_cannot_be_read_leaves_its_row_unknown_and_no_other(fake: FakeZoho, zoho: Zoho) -> None:
    fake.script(CREATE, ["reset_after"] * 2)
    fake.script(GET, ["status:400"])
    heard = Heard(bulk.push(zoho.books.contacts, names(6), concurrency=2, pause=0))
    told = await heard.all()
    assert sorted(told) == [("done", "created")] * 4 + [("done", "settled"), ("unknown", "none")]
    assert heard.push.summary.complete


@pytest.mark.parametrize("failing", ["input", "list"])
async def test_deferred_rows_are_reported_when_the_input_fails_or_the_list(
    fake: FakeZoho, monkeypatch: pytest.MonkeyPatch, failing: str
) -> None:
    monkeypatch.setattr(pushing, "IDLE_TICK_S", 600)
    fake.script(CREATE, ["reset_after"])

    async def rows() -> AsyncIterator[dict[str, Any]]:
        first, second, third = names(3)
        yield first
        yield second
        # The first row goes alone: when the second is done, the first is deferred.
        await heard.first.wait()
        if failing == "input":
            raise LookupError("the file server is gone")
        fake.script(LIST, ["status:503"] * 9)
        yield third

    async with client_of(fake, retries=0) as zoho:
        heard = Heard(bulk.push(zoho.books.contacts, rows(), on_name_taken="suffix:notes", concurrency=1, pause=0))
        with pytest.raises(LookupError if failing == "input" else UnavailableError):
            await heard.all()
    first = ("done", "settled") if failing == "input" else ("unknown", "none")
    assert heard.told == [first] + [("done", "created")] * (1 if failing == "input" else 2)
    assert not heard.push.summary.complete


async def test_an_upsert_of_unknown_outcome_is_reported_when_its_repetition_finds_the_day_used_up(
    fake: FakeZoho, zoho: Zoho
) -> None:
    fake.script(UPSERT, ["pass", "reset_after", *["429:45"] * 9])
    given = [{"contact_name": f"N{number}", KEY: str(number)} for number in range(4)]
    heard = Heard(bulk.push(zoho.books.contacts, given, upsert_by=KEY, concurrency=1, pause=0))
    with pytest.raises(QuotaExceededError):
        await heard.all()
    statuses = [status for status, _ in heard.told]
    assert statuses.count("unknown") == 1
    # What Zoho has made was told, whichever row the end met.
    assert len(statuses) == len(fake.organization().contacts)


async def test_a_list_that_cannot_be_read_when_a_row_is_routed_again_ends_the_push(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    given = [{**one, "company_name": one["contact_name"]} for one in names(3)]
    fake.script(CREATE, ["429:45:0"])
    fake.script(LIST, ["pass", "status:400"])
    options: dict[str, Any] = {"match_by": "company_name", "state": tmp_path / "s"}
    heard = Heard(bulk.push(zoho.books.contacts, given, wait=True, concurrency=1, **options))
    with pytest.raises(RefusedError):
        await heard.all()
    assert heard.told == []
    assert not heard.push.summary.complete
    assert await Heard(bulk.push(zoho.books.contacts, given, **options)).all() == [("done", "created")] * 3


async def test_a_record_that_cannot_be_read_again_fails_its_row_alone(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "pause_delay", lambda *_: 0.01)
    fake.seed(names(3))
    fake.script(UPDATE, ["pass", "429:44:1"])
    fake.script(GET, ["pass", "pass", "status:400"])
    heard = Heard(bulk.push(zoho.books.contacts, names(3, notes="x"), match_by="contact_name", concurrency=1))
    assert sorted(await heard.all()) == [("done", "updated")] * 2 + [("failed", "none")]
    assert heard.push.summary.complete


@pytest.mark.parametrize("operation", [CREATE, UPDATE])
async def test_what_stays_refused_for_a_limit_ends_the_push_after_nine_calls(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch, operation: str
) -> None:
    monkeypatch.setattr(policy, "slow_delay", lambda *_: 0.001)
    if operation == UPDATE:
        fake.seed(names(1))
    fake.script(operation, ["429:1070"] * 50)
    heard = Heard(bulk.push(zoho.books.contacts, names(1, notes="x"), match_by="contact_name"))
    with pytest.raises(RateLimitError):
        await heard.all()
    assert fake.requests(operation) == 9
    assert heard.push.summary.writes <= 1


@pytest.mark.parametrize(
    ("update", "get", "error"),
    [
        (["reset_after"], ["pass", "status:400"], None),
        (["reset_after"], ["pass", *["status:503"] * 9], None),
        (["reset_after"], ["pass", "429:45"], QuotaExceededError),
        (["reset_before", "429:45"], [], QuotaExceededError),
    ],
)
async def test_an_update_of_unknown_outcome_is_reported_so_whatever_ends_its_second_reading(
    fake: FakeZoho,
    zoho: Zoho,
    monkeypatch: pytest.MonkeyPatch,
    update: list[str],
    get: list[str],
    error: type[ZohoError] | None,
) -> None:
    monkeypatch.setattr(policy, "retry_delay", lambda *_: 0.0)
    fake.seed(names(1))
    fake.script(UPDATE, update)
    fake.script(GET, get)
    heard = Heard(bulk.push(zoho.books.contacts, names(1, notes="x"), match_by="contact_name", pause=0))
    if error is None:
        await heard.all()
    else:
        with pytest.raises(error):
            await heard.all()
    assert heard.told == [("unknown", "none")]
    assert heard.outcomes[0].reason.startswith("it is not known whether Zoho has it: ")


async def test_an_update_that_never_reaches_the_wire_is_given_up(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its record, always too old, is read again for its turn and for each rejection, but not for ever."""
    fake.seed(names(1))

    async def send(*arguments: Any, hook: DispatchHook, **options: Any) -> None:
        for _ in range(3):
            await hook.before_send()
            hook.on_rejected()
        raise UnavailableError("no connection", sent=False)

    monkeypatch.setattr(dispatch, "send_write", send)
    monkeypatch.setattr(writes, "TTL_S", -1.0)
    heard = Heard(bulk.push(zoho.books.contacts, names(1, notes="x"), match_by="contact_name", pause=0))
    assert await heard.all() == [("failed", "none")]
    assert fake.requests(GET) == 2 + dispatch.MAX_REJECTIONS


@pytest.mark.parametrize("end", ["stop", "error"])
async def test_a_call_in_flight_that_finds_the_day_used_up_after_the_end_waits_for_no_other_day(
    fake: FakeZoho, zoho: Zoho, end: str
) -> None:
    fake.script(CREATE, ["pass", "429:45", "429:45"])
    push = bulk.push(zoho.books.contacts, names(3), wait=True, concurrency=2)
    heard = Heard(push)
    note = fake.record_received
    seen: list[str] = []

    def noted(request: FakeRequest, reply: Reply | None) -> None:
        note(request, reply)
        seen.append(request.operation_id)
        if seen.count(CREATE) == 2:
            # Before Zoho's answer is there.
            if end == "stop":
                push.stop()
            else:
                push._control.abort(AuthError("dead"))

    fake.record_received = noted  # type: ignore[method-assign]
    async with asyncio.timeout(10):
        if end == "stop":
            await heard.all()
        else:
            with pytest.raises(AuthError):
                await heard.all()
    assert heard.told == [("done", "created")]


async def test_records_that_cannot_be_read_fail_alone(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However many of them are neighbours: each run would meet them again."""
    monkeypatch.setattr(policy, "retry_delay", lambda *_: 0.0)
    fake.seed(names(9))
    fake.script(GET, ["status:503"] * 4 * 5)
    heard = Heard(bulk.push(zoho.books.contacts, names(9, notes="x"), match_by="contact_name", concurrency=1))
    assert sorted(await heard.all()) == [("done", "updated")] * 4 + [("failed", "none")] * 5
    assert heard.push.summary.complete
    reasons = [one.reason for one in heard.outcomes if one.status == "failed"]
    assert all(reason.startswith("books.contacts.get: ") for reason in reasons)


async def test_a_service_that_shows_no_record_any_more_ends_the_push(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "retry_delay", lambda *_: 0.0)
    fake.seed(names(140))
    fake.chance(GET, "status:503", 1.0)
    heard = Heard(bulk.push(zoho.books.contacts, names(140, notes="y"), match_by="contact_name", concurrency=2))
    with pytest.raises(UnavailableError):
        await heard.all()
    assert len(heard.told) <= READ_THRESHOLD


async def test_a_service_that_takes_no_write_any_more_ends_the_push_though_it_can_be_read(
    fake: FakeZoho, zoho: Zoho
) -> None:
    fake.seed(names(40))
    fake.chance(UPDATE, "status:503", 1.0)
    given = names(40, notes="x")
    heard = Heard(bulk.push(zoho.books.contacts, given, match_by="contact_name", concurrency=2, pause=0))
    with pytest.raises(OutcomeUnknownError):
        await heard.all()
    assert fake.requests(UPDATE) <= BREAKER_THRESHOLD * 2 + 2 * QUEUE_DEPTH_FACTOR
    assert not heard.push.summary.complete


async def test_a_plan_goes_on_when_a_record_cannot_be_read_and_ends_when_ten_cannot(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(policy, "retry_delay", lambda *_: 0.0)
    fake.seed(names(20))
    fake.script(GET, ["status:503"] * 4 * 2)
    planned = await bulk.plan(zoho.books.contacts, names(20, notes="x"), match_by="contact_name")
    assert (planned.update, planned.unread, planned.exact) == (20, 2, False)
    fake.chance(GET, "status:503", 1.0)
    with pytest.raises(UnavailableError):
        await bulk.plan(zoho.books.contacts, names(20, notes="x"), match_by="contact_name")


async def test_a_record_whose_answer_cannot_be_understood_fails_its_row_alone(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of a read, "the call has succeeded" says nothing of the row."""
    fake.seed(names(3))
    contacts = zoho.books.contacts
    first = next(iter(fake.organization().contacts))
    get = type(contacts).get

    async def unreadable(self: Any, contact_id: str, /, **more: Any) -> Any:
        if contact_id == first:
            raise DecodeError("no contact in it", sent=True)
        return await get(self, contact_id, **more)

    monkeypatch.setattr(type(contacts), "get", unreadable)
    given = names(3, notes="x")
    heard = Heard(bulk.push(contacts, given, match_by="contact_name"))
    assert await heard.all() == [("failed", "none"), ("done", "updated"), ("done", "updated")]
    planned = await bulk.plan(contacts, given, match_by="contact_name")
    assert (planned.update, planned.unchanged, planned.exact) == (1, 2, False)


async def test_an_error_of_ours_leaves_unknown_rows_unknown(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.script(CREATE, ["reset_after"] * 2)

    def broken(*_: Any, **__: Any) -> Any:
        raise LookupError("an unexpected record")

    monkeypatch.setattr(dispatch, "merge", broken)
    heard = Heard(bulk.push(zoho.books.contacts, names(3), pause=0, concurrency=1))
    assert sorted(await heard.all()) == [("done", "created"), ("unknown", "none"), ("unknown", "none")]


@pytest.mark.parametrize("target", ["expense.customers", "books.contact_persons"])
async def test_a_list_that_takes_more_calls_than_a_day_has_is_read_all_the_same(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch, target: str
) -> None:
    """Three calls a day; the waits cost no time here."""
    product, _, name = target.partition(".")
    contacts = fake.seed([{"contact_name": f"old {number}"} for number in range(12)])
    monkeypatch.setattr(target_index, "PER_PAGE", 2)
    fake.script(f"{target}.list", (["pass"] * 3 + ["429:45"]) * 40)

    async def until(self: CallControl, *_: Any) -> None:
        self.wait_epoch += 1
        await asyncio.sleep(0)

    monkeypatch.setattr(CallControl, "_wait_until", until)
    monkeypatch.setattr(Limiter, "mark_exhausted", lambda *_: None)
    monkeypatch.setattr(Limiter, "quota", lambda _: Quota(resets_at=datetime.now(UTC)))
    if product == "expense":
        given = names(3, company_name="K")[:1]
        options = {"match_by": "company_name"}
    else:
        given = [{"contact_id": one["contact_id"], "first_name": "Ann", "email": "a@x.example"} for one in contacts]
        options = {"match_by": "email"}
    push = bulk.push(getattr(getattr(zoho, product), name), given, wait=True, **options)  # type: ignore[arg-type]
    async with asyncio.timeout(20):
        assert await Heard(push).all() == [("done", "created")] * len(given)


class Fed:
    """Rows that a push waits for: one comes, then no other ever."""

    def __init__(self, *rows: dict[str, Any]) -> None:
        self.waits = asyncio.Event()
        self.closed = False
        self._rows = rows

    async def __aiter__(self) -> AsyncIterator[dict[str, Any]]:
        try:
            for row in self._rows:
                yield row
            self.waits.set()
            await asyncio.Event().wait()
        finally:
            self.closed = True


@pytest.mark.parametrize("end", ["stop", "error", "listener"])
async def test_no_row_is_waited_for_once_the_push_has_ended(fake: FakeZoho, zoho: Zoho, end: str) -> None:
    first, second = names(2)
    fed = Fed(first, second)

    def heard_of(event: Event) -> None:
        if end == "listener" and event.stage == "write" and event.done == 2:
            raise LookupError("the window is gone")

    heard = Heard(bulk.push(zoho.books.contacts, fed, concurrency=2, on_event=heard_of))
    if end == "error":
        fake.script(CREATE, ["pass", *["status:401"] * 9])
    running = asyncio.create_task(heard.all())
    async with asyncio.timeout(10):
        await fed.waits.wait()
        await heard.first.wait()
        if end == "stop":
            heard.push.stop()
            await running
        else:
            with pytest.raises(AuthError if end == "error" else LookupError):
                await running
    assert fed.closed
    assert heard.told in ([("done", "created")], [("done", "created")] * 2)
    assert len(heard.told) == len(fake.created())
    assert not heard.push.summary.complete


@pytest.mark.parametrize("then", ["goes on", "ends", "raises"])
async def test_an_input_may_stop_its_push_itself(fake: FakeZoho, zoho: Zoho, then: str) -> None:
    closed: list[bool] = []

    async def rows() -> AsyncIterator[dict[str, Any]]:
        first, second = names(2)
        yield first
        await heard.first.wait()
        heard.push.stop()
        if then == "raises":
            raise LookupError("enough")
        if then == "goes on":
            try:
                yield second
            finally:
                # It is closed in peace.
                await asyncio.sleep(0)
                closed.append(True)

    heard = Heard(bulk.push(zoho.books.contacts, rows(), concurrency=1))
    async with asyncio.timeout(10):
        if then == "raises":
            with pytest.raises(LookupError):
                await heard.all()
        else:
            await heard.all()
    assert heard.told == [("done", "created")]
    assert closed == [True] * (then == "goes on")
    assert fake.requests(CREATE) == 1
    assert not heard.push.summary.complete


async def test_deferred_rows_are_reconciled_when_their_input_may_be_waiting_for_them(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pushing, "IDLE_TICK_S", 0.01)
    fake.script(CREATE, ["reset_after", "pass", "reset_after", "reset_after"])

    async def rows() -> AsyncIterator[dict[str, Any]]:
        for number, row in enumerate(names(5)):
            while len(heard.outcomes) < number:
                heard.first.clear()
                await heard.first.wait()
            yield row

    heard = Heard(bulk.push(zoho.books.contacts, rows(), pause=0))
    async with asyncio.timeout(20):
        told = await heard.all()
    assert told == [("done", action) for action in ("settled", "created", "settled", "settled", "created")]
    assert heard.push.summary.complete


async def test_a_push_is_left_while_it_waits_with_deferred_rows(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    deferred = asyncio.Event()

    def has_deferred(self: dispatch.Dispatcher) -> bool:
        if self._deferred:
            deferred.set()
        return bool(self._deferred)

    monkeypatch.setattr(pushing, "IDLE_TICK_S", 600)
    monkeypatch.setattr(dispatch.Dispatcher, "has_deferred", property(has_deferred))
    fake.script(CREATE, ["reset_after"])
    fed = Fed(*names(1))
    heard = Heard(bulk.push(zoho.books.contacts, fed, state=tmp_path / "s", pause=0))
    running = asyncio.create_task(heard.all())
    await asyncio.wait_for(deferred.wait(), 10)
    running.cancel()
    assert await asyncio.wait([running], timeout=10) == ({running}, set())
    assert running.cancelled()
    assert fed.closed
    again = bulk.push(zoho.books.contacts, names(1), state=tmp_path / "s")
    assert await Heard(again).all() == [("done", "settled")]


async def test_an_input_that_awaits_what_is_cancelled_elsewhere_ends_with_an_error(fake: FakeZoho, zoho: Zoho) -> None:
    async def rows() -> AsyncIterator[dict[str, Any]]:
        future = asyncio.get_running_loop().create_future()
        future.cancel()
        yield names(1)[0]
        await future

    heard = Heard(bulk.push(zoho.books.contacts, rows()))
    async with asyncio.timeout(10):
        with pytest.raises(AwaitCancelledError):
            await heard.all()
    assert heard.told == [("done", "created")]
    assert not heard.push.summary.complete


async def test_a_reading_that_is_cancelled_elsewhere_fails_its_row_alone(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.seed(names(3))
    contacts = zoho.books.contacts
    first = next(iter(fake.organization().contacts))
    get = type(contacts).get

    async def cancelled(self: Any, contact_id: str, /, **more: Any) -> Any:
        if contact_id == first:
            future = asyncio.get_running_loop().create_future()
            future.cancel()
            await future
        return await get(self, contact_id, **more)

    monkeypatch.setattr(type(contacts), "get", cancelled)
    heard = Heard(bulk.push(contacts, names(3, notes="x"), match_by="contact_name"))
    async with asyncio.timeout(10):
        assert await heard.all() == [("failed", "none"), ("done", "updated"), ("done", "updated")]


@pytest.mark.parametrize("place", [(writes, "child_ids_of"), (Journal, "record_outcome"), (writes, "existed_before")])
@pytest.mark.parametrize("error", [ValueError("a bug"), AwaitCancelledError("elsewhere")])
async def test_what_is_raised_after_a_create_was_sent_leaves_its_row_unknown(
    fake: FakeZoho,
    zoho: Zoho,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    place: tuple[Any, str],
    error: Exception,
) -> None:
    def raises(*_: Any, **__: Any) -> None:
        monkeypatch.undo()
        raise error

    rows = names(3)
    monkeypatch.setattr(*place, raises)
    first = Heard(bulk.push(zoho.books.contacts, rows, state=tmp_path / "s"))
    assert await first.all() == [("unknown", "none"), ("done", "created"), ("done", "created")]
    assert first.outcomes[0].error is error
    second = Heard(bulk.push(zoho.books.contacts, rows, state=tmp_path / "s"))
    assert await second.all() == [("done", "settled"), ("done", "unchanged"), ("done", "unchanged")]
    assert fake.created() == {"N1": 1, "N2": 1, "N3": 1}
