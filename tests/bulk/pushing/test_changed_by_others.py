"""What others change in the target while a push waits, reads or looks up an outcome is kept."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from zoho_async import Zoho, bulk
from zoho_async.bulk.pushing import call_control, writes
from zoho_async.bulk.pushing.push import Push
from zoho_async.bulk.results import RowOutcome
from zoho_async.errors import RefusedError
from zoho_async.fake import FakeZoho
from zoho_async.fake.messages import FakeRequest, Reply
from zoho_async.transport import retry_policy as policy

CREATE, UPDATE, UPSERT, GET, LIST = (f"books.contacts.{name}" for name in ("create", "update", "upsert", "get", "list"))
PERSON_CREATE, PERSON_LIST = "books.contact_persons.create", "books.contact_persons.list"
KEY = "cf_external_id"
ANN = {"first_name": "Ann", "email": "ann@x.example"}
BOB = {"first_name": "Bob", "email": "bob@x.example"}
ZOE = {"first_name": "Zoe", "email": "zoe@x.example"}

When = Callable[[str, int, Callable[[], object]], None]


@pytest.fixture
def when(fake: FakeZoho, monkeypatch: pytest.MonkeyPatch) -> When:
    """Does something as soon as Zoho has dealt with so many requests of an operation, before it answers the last."""
    note, seen, awaited = fake.record_received, list[str](), list[tuple[str, int, Callable[[], object]]]()

    def noted(request: FakeRequest, reply: Reply | None) -> None:
        note(request, reply)
        seen.append(request.operation_id)
        for operation, number, act in awaited:
            if (request.operation_id, seen.count(operation)) == (operation, number):
                act()

    monkeypatch.setattr(fake, "record_received", noted)
    return lambda operation, number, act: awaited.append((operation, number, act))


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(policy, "pause_delay", lambda *_: 0.01)


async def run(push: Push) -> list[RowOutcome]:
    return sorted([outcome async for outcome in push], key=lambda one: one.row.number)


def add_person(fake: FakeZoho, person: dict[str, Any], place: int = 0, **fields: Any) -> None:
    """Somebody adds a person to a contact, and sets fields of it."""
    organization = fake.organization()
    record = list(organization.contacts.values())[place]
    persons = [*record["contact_persons"], {**person, "contact_person_id": organization.new_id()}]
    organization.put({**record, **fields, "contact_persons": persons})


def people(fake: FakeZoho, place: int = 0) -> list[str]:
    """The persons of a contact by their first names."""
    record = list(fake.organization().contacts.values())[place]
    return [person["first_name"] for person in record["contact_persons"]]


@pytest.mark.parametrize(
    ("fault", "action"), [("reset_before", "updated"), ("status:503", "updated"), ("reset_after", "settled")]
)
async def test_an_update_of_unknown_outcome_is_read_and_merged_again(
    fake: FakeZoho, zoho: Zoho, when: When, fault: str, action: str
) -> None:
    fake.seed([{"contact_name": "A", "contact_persons": [ZOE]}])
    fake.script(UPDATE, [fault])
    when(UPDATE, 1, lambda: add_person(fake, BOB))
    given = [{"contact_name": "A", "contact_persons": [ANN]}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, match_by="contact_name", pause=0))
    assert outcome.action == action
    assert sorted(people(fake)) == ["Ann", "Bob", "Zoe"]


async def test_an_update_is_tried_three_times_while_its_outcome_stays_unknown(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": "A"}])
    fake.script(UPDATE, ["reset_before"] * 9)
    given = [{"contact_name": "A", "notes": "x"}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, match_by="contact_name", pause=0))
    assert (outcome.status, fake.requests(UPDATE), fake.requests(GET)) == ("unknown", 3, 3)


@pytest.mark.usefixtures("days")
@pytest.mark.parametrize("limit", ["429:45", "429:44:1"])
async def test_an_upsert_of_unknown_outcome_that_a_limit_holds_back_is_looked_up(
    fake: FakeZoho, zoho: Zoho, when: When, limit: str
) -> None:
    fake.script(UPSERT, ["reset_after", limit])
    when(UPSERT, 2, lambda: add_person(fake, BOB, website="theirs.example"))
    given = [{"contact_name": "A", KEY: "1", "notes": "ours", "contact_persons": [ANN]}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, upsert_by=KEY, wait=True, pause=0))
    assert (outcome.status, outcome.action) == ("done", "settled")
    assert people(fake) == ["Ann", "Bob"]
    (stored,) = fake.organization().contacts.values()
    assert (stored["notes"], stored["website"]) == ("ours", "theirs.example")


@pytest.mark.usefixtures("days")
@pytest.mark.parametrize("waits", [1, 2])
@pytest.mark.parametrize(("operation", "options"), [(CREATE, {"match_by": KEY}), (UPSERT, {"upsert_by": KEY})])
async def test_after_every_wait_of_hours_a_row_is_routed_again(
    fake: FakeZoho, zoho: Zoho, when: When, operation: str, options: dict[str, str], waits: int
) -> None:
    fake.script(operation, ["429:45"] * waits)
    when(operation, waits, lambda: fake.seed([{"contact_name": "Theirs", KEY: "1", "contact_persons": [BOB]}]))
    given = [{"contact_name": "A", KEY: "1", "contact_persons": [ANN]}]
    push = bulk.push(zoho.books.contacts, given, wait=True, **options)  # type: ignore[arg-type]
    assert [one.action for one in await run(push)] == ["updated"]
    assert people(fake) == ["Bob", "Ann"]
    assert len(fake.organization().contacts) == 1


async def test_a_window_that_closes_between_a_second_reading_and_its_write(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.seed([{"contact_name": "A", "contact_persons": [ZOE]}])
    waited: list[datetime] = []

    async def sleep(moment: datetime, **_: Any) -> None:
        add_person(fake, BOB)
        waited.append(moment)

    def now() -> datetime:
        closed = fake.requests(GET) == 2 and not waited
        return datetime(2026, 3, 4, 18 if closed else 12, tzinfo=UTC)

    monkeypatch.setattr(call_control, "sleep_until", sleep)
    monkeypatch.setattr(call_control, "local_now", now)
    # Whatever was read is old, so it is read a second time.
    monkeypatch.setattr(writes, "TTL_S", -1.0)
    given = [{"contact_name": "A", "contact_persons": [ANN]}]
    push = bulk.push(zoho.books.contacts, given, match_by="contact_name", window="08:00-17:00")
    assert [one.action for one in await run(push)] == ["updated"]
    assert len(waited) == 1
    assert people(fake) == ["Zoe", "Bob", "Ann"]


@pytest.mark.usefixtures("days")
@pytest.mark.parametrize("parents", [2, 3])
async def test_parents_read_before_a_wait_are_read_again(fake: FakeZoho, zoho: Zoho, when: When, parents: int) -> None:
    """The day's calls run out while those of one batch are read."""
    contacts = [one["contact_id"] for one in fake.seed([{"contact_name": name} for name in "ABC"[:parents]])]
    fake.script(PERSON_LIST, ["pass", "429:45"])
    when(PERSON_LIST, 2, lambda: add_person(fake, ANN))
    given = [{"contact_id": one, **ANN} for one in contacts]
    push = bulk.push(zoho.books.contact_persons, given, match_by="email", wait=True)
    assert [one.action for one in await run(push)] == ["unchanged"] + ["created"] * (parents - 1)
    assert [people(fake, place) for place in range(parents)] == [["Ann"]] * parents


@pytest.mark.usefixtures("days")
async def test_a_person_that_comes_back_while_its_second_making_waits_is_not_doubled(
    fake: FakeZoho, zoho: Zoho, when: When, tmp_path: Path
) -> None:
    """What the row says was sent by an earlier run already; its list is read again nevertheless."""
    persons, state = zoho.books.contact_persons, tmp_path / "s"
    (contact,) = fake.seed([{"contact_name": "A"}])
    given: list[dict[str, Any]] = [{"contact_id": contact["contact_id"], **one} for one in (ANN, BOB)]
    ann, _ = await run(bulk.push(persons, given, match_by="email", state=state))
    await persons.delete(ann.record_id)
    given[1]["phone"] = "7"
    fake.script(PERSON_CREATE, ["429:45"])
    when(PERSON_CREATE, 3, lambda: add_person(fake, ANN))
    again = bulk.push(persons, given, match_by="email", state=state, wait=True, concurrency=1)
    assert [one.action for one in await run(again)] == ["unchanged", "updated"]
    assert sorted(people(fake)) == ["Ann", "Bob"]
    assert fake.requests("books.contact_persons.get_of_contact") == 1


async def test_another_person_with_the_e_mail_of_a_lost_one_gets_what_the_row_says(
    fake: FakeZoho, zoho: Zoho, when: When
) -> None:
    (contact,) = fake.seed([{"contact_name": "A"}])
    fake.script(PERSON_CREATE, ["reset_before"])
    when(PERSON_CREATE, 1, lambda: add_person(fake, {**ANN, "first_name": "Anna", "phone": "1", "mobile": "2"}))
    given = [{"contact_id": contact["contact_id"], **ANN, "phone": "7", "department": "Sales"}]
    push = bulk.push(zoho.books.contact_persons, given, match_by="email", pause=0)
    assert [one.action for one in await run(push)] == ["updated"]
    ((person,),) = [one["contact_persons"] for one in fake.organization().contacts.values()]
    assert [person[name] for name in ("first_name", "phone", "department", "mobile")] == ["Ann", "7", "Sales", "2"]


@pytest.mark.parametrize("options", [{"match_by": "company_name"}, {"match_by": KEY}, {"upsert_by": KEY}])
async def test_a_record_whose_key_has_moved_since_the_list_was_read_is_left_alone(
    fake: FakeZoho, zoho: Zoho, options: dict[str, str]
) -> None:
    (field,) = options.values()
    (theirs,) = fake.seed([{"contact_name": "A", field: "1", "notes": "theirs", "contact_persons": [ZOE]}])

    async def rows() -> AsyncIterator[dict[str, Any]]:
        yield {"contact_name": "B", field: "2"}
        moved = {"custom_fields": [{"api_name": KEY, "value": "9"}]} if field == KEY else {field: "9"}
        await zoho.books.contacts.update(theirs["contact_id"], moved)
        yield {"contact_name": "C", field: "1", "notes": "ours"}

    push = bulk.push(zoho.books.contacts, rows(), concurrency=1, **options)  # type: ignore[arg-type]
    first, second = await run(push)
    assert (first.action, second.action, second.kind) == ("created", "none", "moved")
    assert second.reason.startswith(f"{field}: had record {theirs['contact_id']} when the list was read")
    stored = fake.organization().contacts[theirs["contact_id"]]
    assert (stored["contact_name"], stored["notes"]) == ("A", "theirs")
    assert fake.requests(UPDATE) == 1


@pytest.mark.parametrize(
    ("fault", "change", "reason"),
    [
        (UPDATE, {"company_name": "OTHER"}, "company_name: had record "),
        (CREATE, {"company_name": "OTHER"}, "contact_name: is taken: another record in Zoho has it"),
        (CREATE, None, "company_name: 2 records in Zoho have it"),
    ],
)
async def test_what_is_refused_for_what_others_did_after_a_call_of_unknown_outcome_is_unknown(
    fake: FakeZoho, zoho: Zoho, when: When, fault: str, change: dict[str, str] | None, reason: str
) -> None:
    """The call was executed; the push got no response."""
    if fault == UPDATE:
        fake.seed([{"contact_name": "A", "company_name": "K"}])
    fake.script(fault, ["reset_after"])
    organization = fake.organization()

    def act() -> None:
        if change is None:
            fake.seed([{"contact_name": "B", "company_name": "K"}])
        else:
            (record,) = organization.contacts.values()
            organization.put({**record, **change})

    when(fault, 1, act)
    given = [{"contact_name": "A", "company_name": "K", "notes": "mine"}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, match_by="company_name", pause=0))
    assert outcome.status == "unknown"
    assert outcome.reason.startswith(reason)


async def test_an_update_of_unknown_outcome_whose_record_is_deleted_is_unknown(
    fake: FakeZoho, zoho: Zoho, when: When
) -> None:
    (theirs,) = fake.seed([{"contact_name": "A"}])
    fake.script(UPDATE, ["reset_before"])
    when(GET, 2, lambda: fake.organization().remove(theirs["contact_id"]))
    given = [{"contact_name": "A", "notes": "x"}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, match_by="contact_name", pause=0))
    assert outcome.status == "unknown"


async def test_an_update_rejected_for_a_limit_is_merged_again_when_its_record_has_grown_old(
    fake: FakeZoho, zoho: Zoho, when: When, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.seed([{"contact_name": "A", "contact_persons": [ZOE]}])
    fake.script(UPDATE, ["429:44"] * 3)
    when(UPDATE, 3, lambda: add_person(fake, BOB))
    monkeypatch.setattr(writes, "TTL_S", -1.0)
    given = [{"contact_name": "A", "contact_persons": [ANN]}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, match_by="contact_name"))
    assert outcome.action == "updated"
    assert people(fake) == ["Zoe", "Bob", "Ann"]
    # Once more for its turn, and once for each rejection.
    assert (fake.requests(GET), fake.requests(UPDATE)) == (5, 4)


async def test_an_update_rejected_for_a_limit_is_not_read_again_within_the_ttl(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": "A"}])
    fake.script(UPDATE, ["429:44"] * 3)
    given = [{"contact_name": "A", "notes": "x"}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, match_by="contact_name"))
    assert (outcome.action, fake.requests(GET), fake.requests(UPDATE)) == ("updated", 1, 4)


async def test_an_update_that_only_waits_its_turn_is_read_again_once(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    """At a low rate reading more often would not make it younger."""
    fake.seed([{"contact_name": "A"}])
    monkeypatch.setattr(writes, "TTL_S", -1.0)
    given = [{"contact_name": "A", "notes": "x"}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, match_by="contact_name"))
    assert (outcome.action, fake.requests(GET), fake.requests(UPDATE)) == ("updated", 2, 1)


async def test_lists_are_not_read_again_for_a_limit_of_the_minute(fake: FakeZoho, zoho: Zoho, when: When) -> None:
    fake.script(CREATE, ["429:44"] * 3)
    when(CREATE, 3, lambda: fake.seed([{"contact_name": "THEIRS", "company_name": "K"}]))
    given = [{"contact_name": "mine", "company_name": "K"}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, match_by="company_name"))
    assert (outcome.action, fake.requests(LIST)) == ("created", 1)


async def test_a_person_of_unknown_outcome_is_read_again_with_the_list_it_stands_in(
    fake: FakeZoho, zoho: Zoho, when: When
) -> None:
    (contact,) = fake.seed([{"contact_name": "A", "contact_persons": [ANN]}])
    fake.script("books.contact_persons.update", ["reset_after"])
    given = [{"contact_id": contact["contact_id"], **ANN, "phone": "7"}]
    (outcome,) = await run(bulk.push(zoho.books.contact_persons, given, match_by="email", pause=0))
    assert (outcome.status, outcome.action) == ("done", "settled")
    assert fake.requests("books.contact_persons.update") == 1


async def test_a_plan_counts_as_unknown_what_the_push_does(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    """Begun by an earlier run, and refused for how things stand by now; but not what is wrong in itself."""
    contacts, state = zoho.books.contacts, tmp_path / "s"
    given = [{"contact_name": name, "company_name": f"K{name}"} for name in "ABC"]
    fake.script(CREATE, ["reset_after"] * 3)
    push = bulk.push(contacts, given, match_by="company_name", state=state, pause=0)
    fake.script(LIST, ["pass", "status:400"])
    with pytest.raises(RefusedError):
        await run(push)
    fake.seed([{"contact_name": "X", "company_name": "KA"}])
    given[1]["credit_limit"] = "much"
    planned = await bulk.plan(contacts, given, match_by="company_name", state=state)
    again = bulk.push(contacts, given, match_by="company_name", state=state, pause=0)
    outcomes = await run(again)
    assert [one.status for one in outcomes] == ["unknown", "failed", "done"]
    assert (planned.unknown, planned.faulty, planned.unchanged) == (1, 1, 1)
    assert (planned.reads, planned.writes) == (again.summary.reads, again.summary.writes)
