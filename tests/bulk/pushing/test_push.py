from __future__ import annotations

import asyncio
import gc
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of

from zoho_async import StaticToken, Zoho, bulk
from zoho_async.books import ContactCreate
from zoho_async.bulk.pushing.push import Push
from zoho_async.bulk.results import RowOutcome
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.rows.validate import RowReader
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Journal
from zoho_async.errors import AuthError, ConfigError, OutcomeUnknownError, QuotaExceededError, UnavailableError
from zoho_async.fake import FakeZoho
from zoho_async.transport.call_state import CallState
from zoho_async.transport.http import HttpAdapter
from zoho_async.wire.encoding import EncodedRequest

CREATE = "books.contacts.create"
UPSERT = "books.contacts.upsert"
LIST = "books.contacts.list"


def rows(count: int, prefix: str = "K") -> list[dict[str, Any]]:
    return [{"contact_name": f"Name {prefix}{i}", "cf_external_id": f"{prefix}{i}"} for i in range(1, count + 1)]


async def run(push: Push) -> list[RowOutcome]:
    return [outcome async for outcome in push]


async def test_upsert_sends_every_good_row_once_with_its_key_in_the_body(fake: FakeZoho, zoho: Zoho) -> None:
    push = bulk.push(zoho.books.contacts, rows(50), upsert_by="cf_external_id")
    outcomes = await run(push)
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert all(outcome.record_id for outcome in outcomes)
    assert fake.created("cf_external_id") == {f"K{i}": 1 for i in range(1, 51)}
    assert (push.summary.rows, push.summary.sent, push.summary.writes, push.summary.reads) == (50, 50, 50, 2)
    assert push.summary.complete
    assert fake.requests() == 52


async def test_create_takes_mappings_nested_rows_and_structs(fake: FakeZoho, zoho: Zoho) -> None:
    async def source() -> AsyncIterator[Any]:
        yield {"contact_name": "A", "billing_address.city": "Roma"}
        yield {"contact_name": "B", "billing_address": {"city": "Milano"}}
        yield ContactCreate(contact_name="C")
        yield ["not", "a", "row"]

    outcomes = await run(bulk.push(zoho.books.contacts, source()))
    assert [(o.row.number, o.status) for o in sorted(outcomes, key=lambda o: o.row.number)] == [
        (1, "done"),
        (2, "done"),
        (3, "done"),
        (4, "failed"),
    ]
    stored = {record["contact_name"]: record for record in fake.organization().contacts.values()}
    assert stored["B"]["billing_address"]["city"] == "Milano"
    assert fake.created() == {"A": 1, "B": 1, "C": 1}


async def test_a_trickle_of_rows_is_sent_as_it_comes(fake: FakeZoho, zoho: Zoho) -> None:
    feed: asyncio.Queue[dict[str, Any]] = asyncio.Queue()

    async def source() -> AsyncIterator[dict[str, Any]]:
        for _ in range(3):
            yield await feed.get()

    seen: list[str] = []
    feed.put_nowait({"contact_name": "1"})
    async for outcome in bulk.push(zoho.books.contacts, source()):
        seen.append(outcome.status)
        feed.put_nowait({"contact_name": str(len(seen) + 1)})
    assert seen == ["done"] * 3


async def test_invalid_rows_cost_no_call_and_list_every_fault(fake: FakeZoho, zoho: Zoho) -> None:
    given = [
        {"contact_name": "Good", "cf_external_id": "1"},
        {"contact_name": "", "cf_external_id": "2"},
        {"contact_name": "x" * 231, "cf_external_id": "3", "credit_limit": "much", "colour": "red"},
        {"contact_name": "D", "cf_external_id": "1"},
        {"contact_name": "E", "cf_external_id": ""},
        {"contact_name": "F", "cf_external_id": "4.6E+14"},
        {"contact_name": "G", "cf_external_id": "7\n8"},
        {"contact_name": "H", "cf_external_id": "8", "contact_persons[3].email": "e" * 101},
        {"contact_name": "I", "cf_external_id": "9", "custom_fields": [{"index": "one", "value": 1}]},
    ]
    outcomes = sorted(
        await run(bulk.push(zoho.books.contacts, given, upsert_by="cf_external_id")), key=lambda o: o.row.number
    )
    assert [outcome.sentence("a.csv") for outcome in outcomes[1:]] == [
        "a.csv row 2: contact_name: is required",
        "a.csv row 3: credit_limit: must be a number such as 1234.50, is 'much'; colour: is no known field; "
        "contact_name: must be at most 200 characters, has 231",
        "a.csv row 4: cf_external_id: is the same as in row 1; only one row can have it",
        "a.csv row 5: cf_external_id: is required: rows are matched by it",
        "a.csv row 6: cf_external_id: was rounded by a spreadsheet (4.6E+14); export the column as text",
        "a.csv row 7: cf_external_id: must not begin or end with a blank or hold line breaks: rows are matched by it",
        "a.csv row 8: contact_persons[3].email: must be at most 100 characters, has 101",
        "a.csv row 9: custom_fields[0].index: must be a whole number, is 'one'",
    ]
    assert fake.requests(UPSERT) == 1
    assert fake.created() == {"Good": 1}


async def test_a_key_taken_by_an_invalid_row_is_taken(fake: FakeZoho, zoho: Zoho) -> None:
    given = [{"contact_name": "", "cf_external_id": "1"}, {"contact_name": "B", "cf_external_id": "1"}]
    outcomes = await run(bulk.push(zoho.books.contacts, given, upsert_by="cf_external_id"))
    assert {outcome.status for outcome in outcomes} == {"failed"}
    assert fake.requests() == 0


async def test_the_same_push_again_makes_no_call(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    state = tmp_path / "state"
    for upsert_by in ("cf_external_id", None):
        given = rows(30, upsert_by or "C")
        await run(bulk.push(zoho.books.contacts, given, upsert_by=upsert_by, state=state))
        before = fake.requests()
        push = bulk.push(zoho.books.contacts, given, upsert_by=upsert_by, state=state)
        outcomes = await run(push)
        assert {(o.status, o.action) for o in outcomes} == {("done", "unchanged")}
        assert all(o.record_id for o in outcomes)
        assert (push.summary.unchanged, push.summary.reads) == (30, 1)
        assert fake.requests() == before + 1


async def test_a_changed_row_updates_what_has_changed(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    given = rows(5)
    await run(bulk.push(zoho.books.contacts, given, upsert_by="cf_external_id", state=tmp_path / "s"))
    given[2]["notes"] = "new"
    push = bulk.push(zoho.books.contacts, given, upsert_by="cf_external_id", state=tmp_path / "s")
    await run(push)
    assert (push.summary.updated, push.summary.unchanged) == (1, 4)
    assert (push.summary.reads, push.summary.writes) == (3, 1)
    assert fake.created("cf_external_id") == {f"K{i}": 1 for i in range(1, 6)}
    (body,) = [one.body for one in fake.received if one.operation == "books.contacts.update"]
    assert json.loads(body) == {"notes": "new"}


async def test_rows_of_one_name_get_into_each_others_way(fake: FakeZoho, zoho: Zoho) -> None:
    given = [{"contact_name": "Twin"}, {"contact_name": " Twin"}, {"contact_name": "Twin", "contact_type": "vendor"}]
    outcomes = sorted(await run(bulk.push(zoho.books.contacts, given)), key=lambda o: o.row.number)
    assert [outcome.status for outcome in outcomes] == ["done", "failed", "done"]
    assert (outcomes[1].code, outcomes[1].kind) == ("3062", "name_taken")
    assert outcomes[1].reason == "contact_name: is taken: row 1 has it"
    assert fake.requests(CREATE) == 2


async def test_equal_names_are_sent_where_they_are_allowed(fake: FakeZoho, zoho: Zoho) -> None:
    given = [{"contact_name": "Twin", "company_name": name} for name in "XY"]
    push = bulk.push(zoho.books.contacts, given, match_by="company_name", concurrency=1, on_name_taken="allow")
    outcomes = await run(push)
    # The second is Zoho's to judge.
    assert [outcome.status for outcome in outcomes] == ["done", "failed"]
    assert outcomes[1].code == "3062"
    assert outcomes[1].reason.startswith("Zoho refused it: ")
    assert fake.requests(CREATE) == 2


async def test_a_refused_row_is_tried_again_by_the_next_run(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    (taken,) = fake.seed([{"contact_name": "Name K1"}])
    first = bulk.push(zoho.books.contacts, rows(2), state=tmp_path / "s")
    await run(first)
    assert (first.summary.sent, first.summary.failed, first.summary.kinds) == (1, 1, {"name_taken": 1})
    await zoho.books.contacts.update(taken["contact_id"], {"contact_name": "Another"})
    second = bulk.push(zoho.books.contacts, rows(2), state=tmp_path / "s")
    await run(second)
    assert (second.summary.sent, second.summary.unchanged) == (1, 1)


@pytest.mark.parametrize("fault", ["reset_after", "status:503_after", "html_after", "torn"])
async def test_an_upsert_of_unknown_outcome_is_sent_once_more(fake: FakeZoho, zoho: Zoho, fault: str) -> None:
    fake.script(UPSERT, [fault])
    push = bulk.push(zoho.books.contacts, rows(1), upsert_by="cf_external_id", pause=0)
    (outcome,) = await run(push)
    assert (outcome.status, outcome.action) == ("done", "created")
    assert fake.created("cf_external_id") == {"K1": 1}
    assert push.summary.writes == 2


async def test_an_upsert_that_stays_unknown_is_reported_and_sent_by_the_next_run(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    fake.script(UPSERT, ["reset_after"] * 3)
    push = bulk.push(zoho.books.contacts, rows(1), upsert_by="cf_external_id", state=tmp_path / "s", pause=0)
    (outcome,) = await run(push)
    assert outcome.status == "unknown"
    assert push.summary.unknown == 1
    assert outcome.reason.startswith("it is not known whether Zoho has it")
    again = bulk.push(zoho.books.contacts, rows(1), upsert_by="cf_external_id", state=tmp_path / "s", pause=0)
    (outcome,) = await run(again)
    assert outcome.status == "done"
    assert fake.created("cf_external_id") == {"K1": 1}


@pytest.mark.parametrize("fault", ["reset_after", "status:503_after", "html_after", "torn"])
async def test_a_create_of_unknown_outcome_is_looked_up_not_repeated(fake: FakeZoho, zoho: Zoho, fault: str) -> None:
    fake.script(CREATE, [fault])
    push = bulk.push(zoho.books.contacts, rows(1), pause=0)
    (outcome,) = await run(push)
    assert (outcome.status, outcome.action) == ("done", "settled")
    assert outcome.record_id in fake.organization().contacts
    assert fake.created() == {"Name K1": 1}
    # The preflight, the list, the newest of the list once more, and what was found.
    assert (push.summary.writes, push.summary.reads) == (1, 4)
    assert fake.requests(CREATE) == 1


async def test_many_of_unknown_outcome_are_looked_up_together(fake: FakeZoho, zoho: Zoho) -> None:
    """2 % ambiguous failures cost less than 2 % more calls."""
    given = rows(1000)
    fake.script(
        CREATE,
        [("reset_after" if number % 100 else "reset_before") if number % 50 == 0 else "pass" for number in range(1000)],
    )
    push = bulk.push(zoho.books.contacts, given, pause=0)
    assert {outcome.status for outcome in await run(push)} == {"done"}
    assert set(fake.created().values()) == {1}
    assert len(fake.created()) == 1000
    assert push.summary.settled == 10
    assert fake.requests(CREATE) == 1010
    # The empty list; five pages of the newest and what was found.
    assert push.summary.reads <= 1 + 6 + 10


async def test_an_outage_of_creates_ends_and_doubles_nothing(fake: FakeZoho, tmp_path: Path) -> None:
    fake.script(CREATE, ["reset_after", *["status:503"] * 10_000])
    async with client_of(fake, retries=0) as zoho:
        push = bulk.push(zoho.books.contacts, rows(500), pause=0, concurrency=2, state=tmp_path / "s")
        with pytest.raises((UnavailableError, OutcomeUnknownError)):
            await run(push)
        assert push.summary.unknown == push.summary.rows < 20
        fake.clear_faults()
        again = bulk.push(zoho.books.contacts, rows(500), pause=0, state=tmp_path / "s")
        assert {outcome.status for outcome in await run(again)} == {"done"}
    assert again.summary.settled == 1
    assert set(fake.created().values()) == {1}
    assert len(fake.created()) == 500


async def test_a_long_name_is_looked_up_in_full(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": "n" * 150 + "another"}])
    fake.script(CREATE, ["reset_after"])
    (outcome,) = await run(bulk.push(zoho.books.contacts, [{"contact_name": "n" * 199}], pause=0))
    assert (outcome.status, outcome.action) == ("done", "settled")


@pytest.mark.parametrize("fault", ["reset_before", "status:503", "html"])
async def test_a_create_that_is_not_found_is_sent_again_where_names_are_unique(
    fake: FakeZoho, zoho: Zoho, fault: str
) -> None:
    fake.script(CREATE, [fault])
    push = bulk.push(zoho.books.contacts, rows(1), pause=0)
    (outcome,) = await run(push)
    assert (outcome.status, outcome.action) == ("done", "created")
    # The preflight, the list, and the newest of the list once more.
    assert (push.summary.writes, push.summary.reads) == (2, 3)
    assert fake.created() == {"Name K1": 1}


@pytest.mark.parametrize("fault", ["reset_before", "status:503", "html"])
async def test_a_create_that_no_key_finds_is_sent_again_where_names_may_be_equal(
    fake: FakeZoho, zoho: Zoho, fault: str
) -> None:
    fake.script(CREATE, [fault])
    push = bulk.push(zoho.books.contacts, rows(1), match_by="cf_external_id", pause=0, on_name_taken="allow")
    (outcome,) = await run(push)
    assert (outcome.status, outcome.action) == ("done", "created")
    assert (push.summary.writes, push.summary.reads) == (2, 3)
    assert fake.created() == {"Name K1": 1}


def jobs_of(zoho: Zoho, given: list[dict[str, Any]]) -> list[bulk.rows.WorkItem]:
    destination = Destination.of(zoho.books.contacts)
    reader = RowReader(destination, Options.of(destination))
    return [reader.read(bulk.Row(number=i, values=row)) for i, row in enumerate(given, 1)]


async def test_an_intent_of_a_killed_run_is_settled_by_the_list(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    state = tmp_path / "s"
    async with Database(state) as database:
        journal = Journal(database, Destination.of(zoho.books.contacts).label)
        for item in jobs_of(zoho, rows(3)):
            await journal.record_intent(item.row_key, item.content_hash, operation="create")
    fake.seed([rows(2)[1]])
    push = bulk.push(zoho.books.contacts, rows(4), state=state)
    outcomes = {outcome.row.number: outcome for outcome in await run(push)}
    assert [outcomes[i].action for i in (1, 2, 3, 4)] == ["created", "settled", "created", "created"]
    assert fake.requests(CREATE) == 3
    assert set(fake.created().values()) == {1}
    # The preflight, the list, and what was found, for the ids of its parts.
    assert push.summary.reads == 3


async def test_a_record_somebody_else_has_made_meanwhile_is_not_taken_for_ours(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    given = [{"contact_name": "Bowman", "notes": "ours", "credit_limit": "1000"}]
    async with Database(tmp_path / "s") as database:
        journal = Journal(database, Destination.of(zoho.books.contacts).label)
        (item,) = jobs_of(zoho, given)
        await journal.record_intent(item.row_key, item.content_hash, operation="create")
    (theirs,) = fake.seed([{"contact_name": "Bowman", "notes": "theirs"}])
    for _ in range(2):
        (outcome,) = await run(bulk.push(zoho.books.contacts, given, state=tmp_path / "s"))
        assert (outcome.status, outcome.action) == ("unknown", "none")
        assert f"record {theirs['contact_id']} has its key and is not" in outcome.reason
    assert theirs["notes"] == "theirs"
    # Who says that it is the record has the row written to it.
    push = bulk.push(zoho.books.contacts, given, match_by="contact_name", state=tmp_path / "s")
    assert [one.action for one in await run(push)] == ["updated"]


async def test_a_file_changed_while_it_is_pushed_is_pushed_as_it_was(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    file = tmp_path / "a.csv"
    file.write_text("contact_name\n" + "".join(f"Name {number}\n" for number in range(700)))
    push = bulk.push(zoho.books.contacts, bulk.open_rows(file))
    async for outcome in push:
        assert outcome.row.values["contact_name"] == outcome.row.raw[0]
        if push.summary.rows == 50:
            file.write_text("contact_name\nAnother\n")
    assert push.summary.complete
    assert len(fake.created()) == 700
    assert "Another" not in fake.created()


async def test_a_list_changed_while_it_is_pushed_is_pushed_as_it_was(fake: FakeZoho, zoho: Zoho) -> None:
    given = rows(700)
    push = bulk.push(zoho.books.contacts, given)
    names: set[str] = set()
    async for outcome in push:
        names.add(outcome.row.values["contact_name"])
        del given[397:]
        given[:5] = rows(10, "L")
    assert push.summary.complete
    assert names == set(fake.created()) == {row["contact_name"] for row in rows(700)}


class Shrinking(Sequence[Any]):
    """A sequence that promises not to change, and does."""

    def __init__(self, given: list[Any]) -> None:
        self.given = given

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, place: Any) -> Any:
        return self.given[place]


async def test_a_sequence_that_loses_rows_while_it_is_pushed_is_an_error(fake: FakeZoho, zoho: Zoho) -> None:
    given = rows(700)
    push = bulk.push(zoho.books.contacts, Shrinking(given))
    with pytest.raises(bulk.InputError, match="has changed while it was pushed: 3"):
        async for _ in push:
            del given[397:]
    assert not push.summary.complete


@pytest.mark.parametrize("stage", ["check", "read", "write"])
async def test_a_listener_that_fails_ends_the_push_and_harms_no_row(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, stage: str
) -> None:
    told: list[Any] = []

    def hear(event: bulk.Event) -> None:
        told.append(event)
        if event.stage == stage:
            raise LookupError("nobody is there")

    push = bulk.push(zoho.books.contacts, rows(300), state=tmp_path / "s", on_event=hear)
    outcomes: list[RowOutcome] = []
    with pytest.raises(LookupError, match="nobody is there"):
        async for outcome in push:
            outcomes.append(outcome)  # noqa: PERF401 - those before the exception count
    assert {one.action for one in outcomes} <= {"created"}
    assert len(outcomes) == len(fake.created()) == push.summary.rows < 100
    # It is not asked again.
    assert [event.stage for event in told].count(stage) == 1
    assert not push.summary.complete
    assert (await tally(bulk.push(zoho.books.contacts, rows(300), state=tmp_path / "s")))["none"] == 0
    assert set(fake.created().values()) == {1}
    assert len(fake.created()) == 300


async def tally(push: Push) -> Counter[str]:
    return Counter(outcome.action for outcome in await run(push))


async def test_wrong_credentials_cost_one_call_beside_the_preflight(fake: FakeZoho) -> None:
    async with client_of(fake, auth=StaticToken("wrong")) as zoho:
        push = bulk.push(zoho.books.contacts, rows(50), upsert_by="cf_external_id")
        with pytest.raises(AuthError):
            await run(push)
    assert fake.requests() <= 2
    assert (push.summary.reads, push.summary.writes) == (2, 0)


async def test_a_wrong_organisation_costs_one_call(fake: FakeZoho, tmp_path: Path) -> None:
    async with client_of(fake, organization_id="99") as zoho:
        push = bulk.push(zoho.books.contacts, rows(50), state=tmp_path / "s")
        with pytest.raises(ConfigError) as caught:
            await run(push)
    assert caught.value.code == 6041
    assert (push.summary.reads, push.summary.writes) == (1, 0)
    assert fake.organization().contacts == {}


async def test_when_the_day_is_used_up_the_rest_waits_for_the_next_run(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    fake.script(CREATE, ["pass"] * 10 + ["429:45"] * 40)
    push = bulk.push(zoho.books.contacts, rows(50), state=tmp_path / "s", concurrency=4)
    with pytest.raises(QuotaExceededError):
        await run(push)
    assert not push.summary.complete
    assert push.summary.sent == 10
    assert push.summary.failed == push.summary.unknown == 0
    fake.clear_faults()
    async with client_of(fake) as tomorrow:
        again = bulk.push(tomorrow.books.contacts, rows(50), state=tmp_path / "s")
        await run(again)
    assert (again.summary.sent, again.summary.unchanged, again.summary.reads) == (40, 10, 2)
    assert set(fake.created().values()) == {1}
    assert len(fake.created()) == 50


async def test_a_service_that_is_down_ends_the_run_instead_of_failing_every_row(fake: FakeZoho) -> None:
    fake.script(UPSERT, ["status:503"] * 10_000)
    async with client_of(fake, retries=0) as zoho:
        push = bulk.push(zoho.books.contacts, rows(1000), upsert_by="cf_external_id", pause=0, concurrency=2)
        with pytest.raises((UnavailableError, OutcomeUnknownError)):
            await run(push)
    assert push.summary.rows < 20


async def test_stopping_finishes_what_is_in_flight(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    push = bulk.push(zoho.books.contacts, rows(500), state=tmp_path / "s", concurrency=5)
    count = 0
    async for outcome in push:
        count += 1
        assert outcome.status == "done"
        push.stop()
    assert count <= 20
    assert not push.summary.complete
    assert len(fake.organization().contacts) == count
    again = bulk.push(zoho.books.contacts, rows(500), state=tmp_path / "s")
    await run(again)
    assert (again.summary.unchanged, again.summary.sent, again.summary.reads) == (count, 500 - count, 2)
    assert set(fake.created().values()) == {1}


async def test_leaving_early_leaves_a_state_to_go_on_from(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    push = bulk.push(zoho.books.contacts, rows(100), upsert_by="cf_external_id", state=tmp_path / "s")
    async for _ in push:
        break
    await push.aclose()
    again = bulk.push(zoho.books.contacts, rows(100), upsert_by="cf_external_id", state=tmp_path / "s")
    await run(again)
    assert fake.created("cf_external_id") == {f"K{i}": 1 for i in range(1, 101)}


async def test_the_context_ends_a_run_that_is_left_early(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    async with bulk.push(zoho.books.contacts, rows(200), state=tmp_path / "s", concurrency=3) as push:
        async for _ in push:
            break
    made = fake.requests(CREATE)
    assert made < 20
    async with Database(tmp_path / "s"):
        assert {task.get_name() for task in asyncio.all_tasks()} & {"zoho-push", "zoho-bulk-0"} == set()
    await asyncio.sleep(0.05)
    assert fake.requests(CREATE) == made


async def test_the_context_closes_the_source_of_a_run_that_is_left_early(fake: FakeZoho, zoho: Zoho) -> None:
    closed: list[bool] = []

    async def source() -> AsyncIterator[dict[str, Any]]:
        try:
            for row in rows(200):
                yield row
        finally:
            # What takes a while must not be broken off by the loop, which ends what was left in it as well.
            for _ in range(5):
                await asyncio.sleep(0)
            closed.append(True)

    async with bulk.push(zoho.books.contacts, source(), concurrency=3) as push:
        async for _ in push:
            break
    assert closed == [True]


async def test_a_run_left_early_without_a_context_ends_too(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    async for _ in bulk.push(zoho.books.contacts, rows(200), state=tmp_path / "s", concurrency=3):
        break
    while any(task.get_name().startswith("zoho-") for task in asyncio.all_tasks()):  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    assert fake.requests(CREATE) < 20
    async with Database(tmp_path / "s"):
        pass


@pytest.mark.parametrize("collected", [False, True])
def test_a_loop_that_ends_right_after_is_left_without_a_word(tmp_path: Path, collected: bool) -> None:
    trouble: list[Any] = []

    async def main() -> None:
        asyncio.get_running_loop().set_exception_handler(lambda _, context: trouble.append(context))
        async with FakeZoho(per_minute=None) as fake, client_of(fake) as zoho:
            async for _ in bulk.push(zoho.books.contacts, rows(200), state=tmp_path / "s", concurrency=3):
                break
            if collected:
                gc.collect()
                await asyncio.sleep(0)

    asyncio.run(main())
    assert trouble == []


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (OverflowError("port must be 0-65535"), "port must be 0-65535"),
        (asyncio.CancelledError(), "what was awaited has been cancelled elsewhere (CancelledError)"),
    ],
)
async def test_an_error_that_is_no_calls_fails_its_row_and_counts_no_write(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException, reason: str
) -> None:
    transport = type(zoho.books.contacts._transport)
    send = transport.send

    async def broken(self: Any, operation: Any, **values: Any) -> Any:
        if operation.id == CREATE:
            raise error
        return await send(self, operation, **values)

    with monkeypatch.context() as patch:
        patch.setattr(transport, "send", broken)
        push = bulk.push(zoho.books.contacts, rows(3), state=tmp_path / "s")
        outcomes = await run(push)
    assert [(one.status, one.reason) for one in outcomes] == [("failed", reason)] * 3
    assert push.summary.writes == 0
    again = bulk.push(zoho.books.contacts, rows(3), state=tmp_path / "s")
    await run(again)
    assert (again.summary.sent, again.summary.reads) == (3, 2)


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), asyncio.CancelledError()])
async def test_an_error_outside_calls_leaves_what_was_sent_unknown(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    send = HttpAdapter.send

    async def broken(self: HttpAdapter, base: str, request: EncodedRequest, *arguments: Any, **options: Any) -> Any:
        answer = await send(self, base, request, *arguments, **options)
        if request.method == "POST":
            raise error
        return answer

    with monkeypatch.context() as patch:
        patch.setattr(HttpAdapter, "send", broken)
        push = bulk.push(zoho.books.contacts, rows(3), state=tmp_path / "s")
        outcomes = await run(push)
    assert [one.status for one in outcomes] == ["unknown"] * 3
    assert push.summary.writes == fake.requests(CREATE) == 3
    again = bulk.push(zoho.books.contacts, rows(3), state=tmp_path / "s")
    await run(again)
    assert (again.summary.settled, again.summary.writes) == (3, 0)
    assert fake.created() == {f"Name K{i}": 1 for i in range(1, 4)}


async def test_an_error_that_is_no_calls_rolls_back_what_was_refused(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def broken(*_: Any) -> None:
        raise OSError(28, "No space left on device")

    fake.script(CREATE, ["429:44:1"] * 3)
    with monkeypatch.context() as patch:
        patch.setattr(CallState, "apply_throttle", broken)
        push = bulk.push(zoho.books.contacts, rows(3), state=tmp_path / "s")
        assert [one.status for one in await run(push)] == ["failed"] * 3
    again = bulk.push(zoho.books.contacts, rows(3), state=tmp_path / "s")
    await run(again)
    assert (again.summary.sent, again.summary.reads) == (3, 2)


async def test_a_run_that_was_ended_with_its_last_rows_is_not_complete(fake: FakeZoho, zoho: Zoho) -> None:
    fake.script(CREATE, ["pass", "429:45", "429:45"])
    push = bulk.push(zoho.books.contacts, rows(3), concurrency=3)
    with pytest.raises(QuotaExceededError):
        await run(push)
    assert (push.summary.rows, push.summary.complete) == (1, False)


@pytest.mark.parametrize(("upsert_by", "durable"), [(None, True), ("cf_external_id", False)])
async def test_only_creates_flush_every_intent(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch, upsert_by: str | None, durable: bool
) -> None:
    asked: list[bool] = []

    class Noted(Database):
        def __init__(self, *arguments: Any, durable: bool) -> None:
            asked.append(durable)
            super().__init__(*arguments, durable=durable)

    monkeypatch.setattr(bulk.pushing.push, "Database", Noted)
    await run(bulk.push(zoho.books.contacts, rows(1), upsert_by=upsert_by))
    assert asked == [durable]


async def test_targets_that_share_a_state_file_do_not_mix(tmp_path: Path) -> None:
    async with FakeZoho(organizations=("1", "2"), per_minute=None) as fake:
        for organization in ("1", "2"):
            async with client_of(fake, organization_id=organization) as zoho:
                push = bulk.push(zoho.books.contacts, rows(3), state=tmp_path / "s")
                await run(push)
                assert push.summary.sent == 3


async def test_what_cannot_be_pushed_is_an_error_before_any_call(zoho: Zoho) -> None:
    with pytest.raises(TypeError, match="no resource"):
        bulk.push(object(), [])
    with pytest.raises(bulk.InputError, match="custom field"):
        bulk.push(zoho.books.contacts, [], upsert_by="email")
    with pytest.raises(bulk.InputError, match=r"there is no `books nothing`; there is: .*books contacts,"):
        Destination.named("books.nothing")
    push = bulk.push(zoho.books.contacts, [])
    assert await run(push) == []
    with pytest.raises(RuntimeError, match="only once"):
        await run(push)


async def test_the_state_holds_no_content_and_no_secret(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    given = [{"contact_name": "Visible Name", "notes": "private words", "cf_external_id": "K1"}]
    await run(bulk.push(zoho.books.contacts, given, upsert_by="cf_external_id", state=tmp_path / "s"))
    data = b"".join(path.read_bytes() for path in tmp_path.iterdir())  # noqa: ASYNC240 - a test may block
    assert b"K1" in data
    assert b"private words" not in data
    assert b"Visible Name" not in data
    assert fake.access_token.encode() not in data


async def test_stopping_twice_is_stopping_once(fake: FakeZoho, zoho: Zoho) -> None:
    push = bulk.push(zoho.books.contacts, rows(200), concurrency=3)
    async with asyncio.timeout(60):
        async for _ in push:
            push.stop()
            push.stop()
    assert not push.summary.complete
    assert push.summary.rows == len(fake.created()) < 200


async def test_open_outcomes_are_reported_when_the_calls_run_out(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    fake.script(CREATE, ["pass", "reset_after", "reset_before", "pass", "429:45"])
    push = bulk.push(zoho.books.contacts, rows(30), pause=0, concurrency=1, state=tmp_path / "s")
    statuses: Counter[str] = Counter()
    with pytest.raises(QuotaExceededError):
        async for outcome in push:
            statuses[outcome.status] += 1
    assert statuses["unknown"] == 2
    assert set(statuses) == {"done", "unknown"}
    assert push.summary.unknown == 2


@pytest.mark.parametrize("step", ["record_intent", "record_outcome"])
async def test_a_state_that_cannot_be_written_ends_the_push(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    write = getattr(Journal, step)

    async def full(self: Journal, *given: Any, **more: Any) -> None:
        if len(fake.created()) > 5:
            raise bulk.StateError("the disk is full")
        await write(self, *given, **more)

    monkeypatch.setattr(Journal, step, full)
    push = bulk.push(zoho.books.contacts, rows(100), state=tmp_path / "s", concurrency=2)
    with pytest.raises(bulk.StateError, match="the disk is full"):
        await run(push)
    monkeypatch.undo()
    assert not push.summary.failed
    again = bulk.push(zoho.books.contacts, rows(100), state=tmp_path / "s")
    assert {one.status for one in await run(again)} == {"done"}
    assert set(fake.created().values()) == {1}
    assert len(fake.created()) == 100


class Unspeakable:
    def __repr__(self) -> str:
        raise RuntimeError("not to be shown")


async def test_a_row_that_cannot_be_shown_harms_no_other(zoho: Zoho) -> None:
    deep: dict[str, Any] = {}
    for _ in range(3_000):
        deep = {"x": deep}
    given = [{"contact_name": "A"}, {"contact_name": deep}, {"contact_name": Unspeakable()}, {"contact_name": "B"}]
    outcomes = {one.row.number: one.status async for one in bulk.push(zoho.books.contacts, given)}
    assert outcomes == {1: "done", 2: "failed", 3: "failed", 4: "done"}


async def test_a_label_may_hold_anything(zoho: Zoho, tmp_path: Path) -> None:
    for action in ("created", "unchanged"):
        push = bulk.push(zoho.books.contacts, rows(1), state=tmp_path / "s", label="half \ud83c of one")
        assert [one.action async for one in push] == [action]


async def test_a_state_file_that_is_removed_ends_the_push(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    push = bulk.push(zoho.books.contacts, rows(500), state=tmp_path / "s")
    with pytest.raises(bulk.StateError, match="was removed or replaced while it was in use"):
        async with push:
            async for _ in push:
                if push.summary.rows == 20:
                    (tmp_path / "s").unlink()
    # What was let out before is finished; nothing is sent that could not be put on record.
    assert 20 <= len(fake.created()) < 100


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ("rows.csv", "open_rows"),
        (Path("rows.csv"), "open_rows"),
        (b"contact_name", "open_rows"),
        ({"contact_name": "A"}, "put it into a list"),
        (ContactCreate(contact_name="A"), "put it into a list"),
        (None, "not NoneType"),
        (5, "not int"),
    ],
)
async def test_what_is_no_rows_is_refused_at_once(rows: Any, message: str) -> None:
    zoho = Zoho(StaticToken("x"), organization_id="1")
    with pytest.raises(TypeError, match=message):
        bulk.push(zoho.books.contacts, rows)
    with pytest.raises(TypeError, match=message):
        await bulk.plan("books.contacts", rows)
