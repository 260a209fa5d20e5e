"""Which way each row goes, and that nothing of others is lost on it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.client import client_of

from zoho_async import Zoho, bulk
from zoho_async.books import ContactCreate, CustomFieldInput
from zoho_async.bulk.pushing import call_control as line
from zoho_async.bulk.pushing import writes
from zoho_async.bulk.pushing.index_queries import TargetRecord
from zoho_async.bulk.pushing.push import Push
from zoho_async.bulk.pushing.routing import RowContext, decide
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.validate import WorkItem
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Entry
from zoho_async.errors import Fault
from zoho_async.fake import FakeZoho
from zoho_async.wire.encoding import to_builtins

KEY = "cf_external_id"
UPSERT, MATCH, NATURAL = Options(upsert_by=KEY), Options(match_by="email"), Options()
UPDATE, SKIP = Options(on_existing="update"), Options(on_existing="skip")
BY_NAME, ALLOW = Options(on_name_taken="match"), Options(match_by="email", on_name_taken="allow")
SUFFIX = Options(on_name_taken="suffix", suffix_field="notes")
HERE = TargetRecord(record_id="1", name="A", match="k")
ANOTHER = TargetRecord(record_id="2", name="B", match="x")
TAKEN = TargetRecord(record_id="3", name="A")
REKEYED = TargetRecord(record_id="4", name="A", match="77")
RENAMED = TargetRecord(record_id="5", name="A (x)")


def entry(state: Any, content_hash: str = "d", sent_as: str = "", record_id: str = "1") -> Entry:
    return Entry(row_key="r", content_hash=content_hash, state=state, record_id=record_id, display_key=sent_as)


def of(options: Options, policy: Any) -> Options:
    return msgspec.structs.replace(options, on_existing=policy)


UNKNOWN = entry("unknown", record_id="")
INTENT = entry("intent", record_id="")
OTHER = lambda key: key == "77"  # noqa: E731 - another row of the input has that key


@pytest.mark.parametrize(
    ("options", "known", "action", "record"),
    [
        # The record is not there.
        (UPSERT, {}, "upsert", None),
        (MATCH, {}, "create", None),
        (NATURAL, {}, "create", None),
        (NATURAL, {"entry": entry("failed")}, "create", None),
        (NATURAL, {"parent_missing": "contact_id"}, "refuse", None),
        # The record is there.
        (UPSERT, {"keyed": [HERE]}, "update", "1"),
        (MATCH, {"keyed": [HERE]}, "update", "1"),
        (of(MATCH, "skip"), {"keyed": [HERE]}, "skip", "1"),
        (of(UPSERT, "fail"), {"keyed": [HERE]}, "refuse", None),
        (NATURAL, {"named": [HERE]}, "refuse", None),
        (SKIP, {"named": [HERE]}, "skip", "1"),
        (UPDATE, {"named": [HERE]}, "update", "1"),
        (BY_NAME, {"named": [HERE]}, "update", "1"),
        (of(BY_NAME, "skip"), {"named": [HERE]}, "skip", "1"),
        (MATCH, {"keyed": [HERE, ANOTHER]}, "refuse", None),
        (UPDATE, {"named": [HERE, TAKEN]}, "refuse", None),
        # An earlier run has sent it.
        (UPSERT, {"entry": entry("done"), "own": HERE}, "unchanged", "1"),
        (NATURAL, {"entry": entry("done"), "own": HERE, "named": [HERE]}, "unchanged", "1"),
        (NATURAL, {"entry": entry("done"), "indexed": False}, "unchanged", None),
        (NATURAL, {"entry": entry("done")}, "confirm_exists", "1"),
        (UPSERT, {"entry": entry("done")}, "upsert", None),
        (NATURAL, {"entry": entry("done"), "deleted": True}, "create", None),
        (NATURAL, {"entry": entry("done"), "deleted": True, "named": [TAKEN]}, "refuse", None),
        (UPSERT, {"entry": entry("done", "other"), "own": HERE}, "update", "1"),
        (NATURAL, {"entry": entry("done", "other"), "own": HERE, "named": [HERE]}, "refuse", None),
        (UPDATE, {"entry": entry("done", "other"), "own": HERE, "named": [HERE, TAKEN]}, "update", "1"),
        (UPDATE, {"entry": entry("done", "other"), "indexed": False}, "update", "1"),
        (UPDATE, {"entry": entry("done", "other"), "indexed": False, "deleted": True}, "create", None),
        # Somebody has given its record another key, which another row has, or none has.
        (UPSERT, {"entry": entry("done"), "own": REKEYED, "expected_key": OTHER}, "upsert", None),
        (UPSERT, {"entry": entry("done"), "own": REKEYED}, "unchanged", "4"),
        (UPSERT, {"entry": entry("done", "other"), "own": REKEYED}, "update", "4"),
        # A call has an unknown outcome: the key tells.
        (UPSERT, {"entry": INTENT}, "upsert", None),
        (MATCH, {"entry": UNKNOWN}, "create", None),
        (NATURAL, {"entry": INTENT}, "create", None),
        (ALLOW, {"entry": UNKNOWN}, "create", None),
        (NATURAL, {"entry": UNKNOWN, "indexed": False}, "unknown", None),
        (MATCH, {"entry": UNKNOWN, "indexed": False}, "unknown", None),
        (UPSERT, {"entry": UNKNOWN, "indexed": False}, "upsert", None),
        (NATURAL, {"entry": UNKNOWN, "named": [HERE]}, "link_existing", "1"),
        (SKIP, {"entry": INTENT, "named": [HERE]}, "link_existing", "1"),
        (UPDATE, {"entry": UNKNOWN, "named": [HERE]}, "update", "1"),
        (BY_NAME, {"entry": UNKNOWN, "named": [HERE]}, "update", "1"),
        (UPSERT, {"entry": UNKNOWN, "keyed": [HERE]}, "update", "1"),
        (of(UPSERT, "fail"), {"entry": UNKNOWN, "keyed": [HERE]}, "link_existing", "1"),
        (of(MATCH, "skip"), {"entry": UNKNOWN, "keyed": [HERE]}, "link_existing", "1"),
        (NATURAL, {"entry": UNKNOWN, "key_changed": True}, "refuse", None),
        # Its name is another record's.
        (UPSERT, {"keyed": [ANOTHER], "named": [TAKEN]}, "refuse", None),
        (UPSERT, {"keyed": [HERE], "named": [TAKEN]}, "update", "1"),
        (UPSERT, {"named": [TAKEN]}, "refuse", None),
        (ALLOW, {"named": [TAKEN]}, "create", None),
        (Options(upsert_by=KEY, on_name_taken="match"), {"named": [TAKEN]}, "update", "3"),
        (Options(upsert_by=KEY, on_name_taken="match", on_existing="skip"), {"named": [TAKEN]}, "skip", "3"),
        # A name does not make a record a row's that has another key.
        (Options(upsert_by=KEY, on_name_taken="match"), {"named": [REKEYED]}, "refuse", None),
        # With a suffix it is sent under another name.
        (SUFFIX, {"named": [TAKEN]}, "create", None),
        (SUFFIX, {"named": [TAKEN], "renamed": [RENAMED]}, "refuse", None),
        (SUFFIX, {"named": [TAKEN], "reserved": lambda name: name == "A (x)"}, "refuse", None),
        (of(SUFFIX, "skip"), {"named": [TAKEN]}, "skip", "3"),
        (SUFFIX, {"entry": entry("done"), "own": RENAMED, "named": [TAKEN]}, "unchanged", "5"),
        (
            SUFFIX,
            {"entry": entry("unknown", sent_as="A (x)"), "named": [TAKEN], "renamed": [RENAMED]},
            "link_existing",
            "5",
        ),
        (SUFFIX, {"entry": entry("unknown", sent_as="A (x)"), "named": [TAKEN]}, "create", None),
        (SUFFIX, {"entry": entry("unknown", sent_as="A"), "named": [TAKEN]}, "link_existing", "3"),
        # By other options it has another name, under which Zoho would not refuse a second.
        (NATURAL, {"entry": entry("unknown", sent_as="A (x)"), "renamed": [RENAMED]}, "link_existing", "5"),
        (NATURAL, {"entry": entry("unknown", sent_as="A (x)")}, "unknown", None),
        (SUFFIX, {"entry": entry("unknown", sent_as="A (y)")}, "unknown", None),
    ],
)
def test_the_action(options: Options, known: dict[str, Any], action: str, record: str | None) -> None:
    item = WorkItem(
        row=bulk.Row(number=1),
        key_field=options.field or "contact_name",
        key="k" if options.field else "A",
        by_name=not options.field,
        name="A",
        name_field="contact_name",
        content_hash="d",
    )
    assert_action(item, options, known, action, record)


@pytest.mark.parametrize(
    ("options", "known", "action", "record"),
    [
        (NATURAL, {}, "update", "7"),
        (NATURAL, {"own": HERE}, "update", "1"),
        (UPSERT, {"keyed": [ANOTHER]}, "update", "7"),
        (SKIP, {"own": HERE}, "skip", "1"),
        (SKIP, {}, "confirm_exists", "7"),
        (Options(on_existing="fail"), {}, "refuse", None),
        (NATURAL, {"deleted": True}, "refuse", None),
        (NATURAL, {"entry": UNKNOWN}, "update", "7"),
        (SKIP, {"entry": UNKNOWN}, "link_existing", "7"),
        (NATURAL, {"entry": entry("done", record_id="7"), "indexed": False}, "unchanged", None),
        (NATURAL, {"entry": entry("done", record_id="7")}, "confirm_exists", "7"),
        (NATURAL, {"entry": entry("done", record_id="7"), "deleted": True}, "refuse", None),
        # It is given a name that another record has.
        (NATURAL, {"own": ANOTHER, "named": [TAKEN]}, "refuse", None),
    ],
)
def test_the_action_of_a_row_with_an_id(
    options: Options, known: dict[str, Any], action: str, record: str | None
) -> None:
    item = WorkItem(row=bulk.Row(number=1), record_id="7", key_field="contact_id", key="7", name="A", content_hash="d")
    assert_action(item, options, known, action, record)


def assert_action(item: WorkItem, options: Options, known: dict[str, Any], action: str, record: str | None) -> None:
    names = {"A": known.get("named", []), "A (x)": known.get("renamed", [])}
    known = {name: value for name, value in known.items() if name not in ("named", "renamed")}

    def rename(one: WorkItem) -> Fault | None:
        one.name, one.renamed = "A (x)", True
        return None

    context = RowContext(**{"indexed": True, **known}, records_of_same_name=lambda scope, name: names.get(name, []))
    made = decide(item, context, options, rename=rename)
    assert (made.action, made.record and made.record.record_id) == (action, record)
    assert bool(made.item.faults) == (action == "refuse")


async def run(push: Push) -> list[bulk.RowOutcome]:
    return sorted([outcome async for outcome in push], key=lambda one: one.row.number)


async def planned(zoho_resource: Any, rows: list[Any], state: Path | None = None, **options: Any) -> bulk.Plan:
    return await bulk.plan(zoho_resource, rows, state=state, **options)


def row(number: int, **more: Any) -> dict[str, Any]:
    return {"contact_name": f"N{number}", KEY: f"K{number}", **more}


async def test_what_others_have_made_of_a_record_stays(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    contacts, state = zoho.books.contacts, tmp_path / "s"
    person = {"contact_persons[0].first_name": "Ann", "contact_persons[0].email": "ann@x.example"}
    (first,) = await run(bulk.push(contacts, [row(1, notes="ours", **person)], upsert_by=KEY, state=state))
    record = await contacts.get(first.record_id)
    ann = (record.contact_persons or [])[0].contact_person_id
    theirs = [{"contact_person_id": ann, "phone": "777"}, {"first_name": "Bob", "email": "bob@x.example"}]
    await contacts.update(first.record_id, {"website": "theirs.example", "contact_persons": theirs})
    # Unchanged on our side: theirs stays.
    push = bulk.push(contacts, [row(1, notes="ours", **person)], upsert_by=KEY, state=state)
    assert [one.action for one in await run(push)] == ["unchanged"]
    assert push.summary.writes == 0
    changed = row(1, notes="ours, too", **person, **{"contact_persons[0].designation": "CEO"})
    assert [one.action for one in await run(bulk.push(contacts, [changed], upsert_by=KEY, state=state))] == ["updated"]
    (stored,) = fake.organization().contacts.values()
    assert (stored["notes"], stored["website"]) == ("ours, too", "theirs.example")
    assert [(one["first_name"], one.get("phone"), one.get("designation")) for one in stored["contact_persons"]] == [
        ("Ann", "777", "CEO"),
        ("Bob", None, None),
    ]
    assert stored["contact_persons"][0]["contact_person_id"] == ann
    async with Database(state) as database:
        (image,) = await database.run(lambda connection: connection.execute("SELECT image FROM images").fetchall())
    before = msgspec.json.decode(image[0])
    assert (before["notes"], len(before["contact_persons"])) == ("ours", 2)


async def test_a_target_that_has_the_rows_already_is_left_alone(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": f"N{i}", KEY: f"K{i}", "notes": "x"} for i in range(1, 6)])
    rows = [row(i, notes="x") for i in range(1, 5)] + [row(5, notes="y"), row(6)]
    expected = await planned(zoho.books.contacts, rows, upsert_by=KEY)
    assert (expected.create, expected.update, expected.unchanged) == (1, 1, 4)
    assert [(one.path, one.before, one.after) for one in expected.planned[0].differences] == [("notes", "x", "y")]
    push = bulk.push(zoho.books.contacts, rows, upsert_by=KEY)
    outcomes = await run(push)
    assert [one.action for one in outcomes] == ["unchanged"] * 4 + ["updated", "created"]
    assert (push.summary.reads, push.summary.writes) == (expected.reads, expected.writes) == (7, 2)


async def test_a_record_that_is_deleted_is_made_again(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    for options in ({"upsert_by": KEY}, {"match_by": "contact_name"}, {}):
        state = tmp_path / str(len(options) and next(iter(options)))
        given = [row(1), row(2)]
        if not options.get("upsert_by"):
            given = [{"contact_name": one["contact_name"] + str(options)} for one in given]
        first, _ = await run(bulk.push(zoho.books.contacts, given, state=state, **options))  # type: ignore[arg-type]
        await zoho.books.contacts.delete(first.record_id)
        expected = await planned(zoho.books.contacts, given, state, **options)
        push = bulk.push(zoho.books.contacts, given, state=state, **options)  # type: ignore[arg-type]
        assert [one.action for one in await run(push)] == ["created", "unchanged"]
        assert (push.summary.reads, push.summary.writes) == (expected.reads, expected.writes)


@pytest.mark.parametrize(
    ("policy", "action", "calls"),
    [("fail", "none", (2, 0)), ("match", "updated", (3, 1)), ("suffix:notes", "created", (2, 1))],
)
async def test_a_record_that_somebody_has_made_again_is_found_by_its_name(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, policy: str, action: str, calls: tuple[int, int]
) -> None:
    given = [{"contact_name": "A", "notes": "n"}]
    (first,) = await run(bulk.push(zoho.books.contacts, given, state=tmp_path / "s"))
    await zoho.books.contacts.delete(first.record_id)
    fake.seed([{"contact_name": "A", "website": "theirs.example"}])
    expected = await planned(zoho.books.contacts, given, tmp_path / "s", on_name_taken=policy)
    push = bulk.push(zoho.books.contacts, given, state=tmp_path / "s", on_name_taken=policy)
    (outcome,) = await run(push)
    assert outcome.action == action
    assert (push.summary.reads, push.summary.writes) == (expected.reads, expected.writes) == calls
    assert expected.create + expected.update == calls[1]
    assert expected.colliding == (action == "none")


async def test_a_record_deleted_after_the_list_was_read_has_its_row_routed_again(fake: FakeZoho, zoho: Zoho) -> None:
    (theirs,) = fake.seed([{"contact_name": "A", KEY: "K1", "notes": "old"}])

    async def rows() -> AsyncIterator[dict[str, Any]]:
        yield {"contact_name": "B", KEY: "K2"}
        await zoho.books.contacts.delete(theirs["contact_id"])
        yield {"contact_name": "A", KEY: "K1", "notes": "new"}

    push = bulk.push(zoho.books.contacts, rows(), upsert_by=KEY, concurrency=1)
    assert [one.action for one in await run(push)] == ["created", "created"]
    # Its list is read again: it must not show a deleted record.
    assert (push.summary.reads, push.summary.writes) == (4, 2)


@pytest.mark.parametrize("field", ["contact_name", "gst_no", "email", "company_name"])
async def test_rows_are_matched_by_any_field(fake: FakeZoho, zoho: Zoho, field: str) -> None:
    key: dict[str, Any] = {field: "27AAAAA0000A1Z5" if field != "email" else None}
    persons = [{"first_name": "Ann", "email": "ann@x.example"}]
    seeded = {"contact_name": "There", **{name: value for name, value in key.items() if value}}
    fake.seed([{**seeded, "contact_persons": persons}, {"contact_name": "Other"}])
    cells: dict[str, Any] = (
        {field: "27AAAAA0000A1Z5"} if field != "email" else {"contact_persons[0].email": "ANN@x.example"}
    )
    given = [{"contact_name": seeded["contact_name"], **cells, "notes": "new"}]
    expected = await planned(zoho.books.contacts, given, match_by=field)
    push = bulk.push(zoho.books.contacts, given, match_by=field)
    assert [(one.status, one.action) for one in await run(push)] == [("done", "updated")]
    assert len(fake.organization().contacts) == 2
    assert (push.summary.reads, push.summary.writes) == (expected.reads, expected.writes)


async def test_a_key_that_several_records_have_is_no_key(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": name, "company_name": "Twin"} for name in ("A", "B")])
    given = [{"contact_name": "C", "company_name": "Twin"}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, match_by="company_name"))
    assert (outcome.kind, outcome.reason) == (
        "ambiguous",
        "company_name: 2 records in Zoho have it; a row is matched with one only",
    )


async def test_names_that_are_taken(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": "N1", "notes": "theirs"}])
    given = [row(1, notes="ours"), row(2)]

    async def pushed(policy: str) -> list[Any]:
        expected = await planned(zoho.books.contacts, given, upsert_by=KEY, on_name_taken=policy)
        push = bulk.push(zoho.books.contacts, given, upsert_by=KEY, on_name_taken=policy)
        outcomes = await run(push)
        assert (push.summary.reads, push.summary.writes) == (expected.reads, expected.writes)
        return [(one.action, one.code) for one in outcomes]

    assert await pushed("fail") == [("none", "3062"), ("created", "")]
    assert await pushed(f"suffix:{KEY}") == [("created", ""), ("unchanged", "")]
    names = sorted(one["contact_name"] for one in fake.organization().contacts.values())
    assert names == ["N1", "N1 (K1)", "N2"]
    given = [{"contact_name": "N1", KEY: "K9", "notes": "ours"}]
    assert await pushed("match") == [("updated", "")]
    (there,) = [one for one in fake.organization().contacts.values() if one["contact_name"] == "N1"]
    assert (there["custom_fields"][KEY], there["notes"]) == ("K9", "ours")


async def test_a_row_of_a_run_that_was_cut_off_is_found_under_the_name_its_suffix_gave_it(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    fake.seed([{"contact_name": "A"}])
    given = [{"contact_name": "A", "company_name": "X"}]
    options: dict[str, Any] = {"on_name_taken": "suffix:company_name", "state": tmp_path / "s"}
    fake.script("books.contacts.create", ["stall_after"])
    cut_off = bulk.push(zoho.books.contacts, given, **options)
    running = asyncio.create_task(run(cut_off))
    while not fake.acts("books.contacts.create"):  # noqa: ASYNC110 - no event for it
        await asyncio.sleep(0.001)
    await cut_off.aclose()
    assert await running == []
    for action in ("settled", "unchanged"):
        push = bulk.push(zoho.books.contacts, given, **options)
        assert [(one.status, one.action) for one in await run(push)] == [("done", action)]
        assert push.summary.writes == 0
    assert sorted(one["contact_name"] for one in fake.organization().contacts.values()) == ["A", "A (X)"]


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ({}, {"contact_name": "Corrected"}),
        ({}, {"contact_type": "vendor"}),
        ({"on_name_taken": "match"}, {"contact_name": "Corrected"}),
        ({"on_name_taken": "suffix:company_name"}, {"company_name": "Y"}),
        ({"match_by": "company_name"}, {"company_name": "Y"}),
    ],
    ids=str,
)
async def test_a_row_of_unknown_outcome_whose_key_is_changed_is_not_sent(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, options: dict[str, Any], changed: dict[str, str]
) -> None:
    contacts, state = zoho.books.contacts, tmp_path / "s"
    values = {"contact_name": "A", "company_name": "X"}
    fake.script("books.contacts.create", ["reset_after"])
    fake.script("books.contacts.get", ["status:400"])
    (outcome,) = await run(bulk.push(contacts, [values], state=state, pause=0, **options))
    assert outcome.status == "unknown"
    for _ in range(2):
        given = [bulk.Row(number=1, values={**values, **changed}, identity=outcome.identity)]
        expected = await planned(contacts, given, state, **options)
        push = bulk.push(contacts, given, state=state, **options)
        (outcome,) = await run(push)
        assert (outcome.status, expected.unknown, push.summary.writes) == ("unknown", 1, 0)
        assert "when the row was sent with unknown outcome" in outcome.reason
        assert (push.summary.reads, push.summary.writes) == (expected.reads, expected.writes)
    given = [bulk.Row(number=1, values=values, identity=outcome.identity)]
    assert [one.action for one in await run(bulk.push(contacts, given, state=state, **options))] == ["settled"]
    # Whoever has looked in Zoho may name the record by its id.
    (record_id,) = fake.organization().contacts
    given = [bulk.Row(number=1, values={**values, **changed, "contact_id": record_id}, identity=outcome.identity)]
    assert [one.action for one in await run(bulk.push(contacts, given, state=state, **options))] == ["updated"]
    assert len(fake.organization().contacts) == 1


@pytest.mark.parametrize(("operation", "way"), [("create", {"match_by": "email"}), ("upsert", {"upsert_by": KEY})])
async def test_a_row_of_unknown_outcome_warns_not_to_change_its_key(
    fake: FakeZoho, zoho: Zoho, operation: str, way: dict[str, str]
) -> None:
    fake.script(f"books.contacts.{operation}", ["reset_before"] * 3)
    given = [row(1, **{"contact_persons[0].email": "ann=1@x.example"})]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, pause=0, **way))  # type: ignore[arg-type]
    assert (outcome.status, outcome.hint) == (
        "unknown",
        f"push again: its outcome is looked up first; do not change {next(iter(way.values()))} before that",
    )


async def test_empty_cells_keep_or_clear(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": "N1", KEY: "K1", "notes": "x", "cf_region": "south"}])
    given = [row(1, notes="", cf_region="")]
    push = bulk.push(zoho.books.contacts, given, upsert_by=KEY)
    assert [one.action for one in await run(push)] == ["unchanged"]
    await run(bulk.push(zoho.books.contacts, given, upsert_by=KEY, empty="clear"))
    (stored,) = fake.organization().contacts.values()
    assert "notes" not in stored
    assert stored["custom_fields"] == {KEY: "K1"}


@pytest.mark.parametrize("form", ["struct", "mapping"])
async def test_nulls_keep_or_clear(fake: FakeZoho, zoho: Zoho, form: str) -> None:
    address = {"address": "Via", "city": "Roma"}
    fake.seed([{"contact_name": "N1", KEY: "K1", "notes": "x", "cf_region": "south", "billing_address": address}])
    struct = ContactCreate(
        contact_name="N1",
        notes=None,
        billing_address=None,
        custom_fields=[
            CustomFieldInput(api_name=KEY, value="K1"),
            CustomFieldInput(api_name="cf_region", value=None),
        ],
    )
    given: Any = [struct if form == "struct" else to_builtins(struct)]
    assert [one.action for one in await run(bulk.push(zoho.books.contacts, given, upsert_by=KEY))] == ["unchanged"]
    cleared = bulk.push(zoho.books.contacts, given, upsert_by=KEY, empty="clear")
    assert [one.action for one in await run(cleared)] == ["updated"]
    (stored,) = fake.organization().contacts.values()
    assert "notes" not in stored
    assert stored["custom_fields"] == {KEY: "K1"}
    assert not any(stored["billing_address"].get(name) for name in address)
    again = bulk.push(zoho.books.contacts, given, upsert_by=KEY, empty="clear")
    assert [one.action for one in await run(again)] == ["unchanged"]


@pytest.mark.parametrize(
    ("product", "name", "key"), [("expense", "contact_name", "email"), ("billing", "display_name", "email")]
)
async def test_customers_of_expense_and_billing(fake: FakeZoho, zoho: Zoho, product: str, name: str, key: str) -> None:
    customers = getattr(zoho, product).customers
    operation = f"{product}.customers.create"
    given = [{name: f"N{i}", "email": f"n{i}@x.example"} for i in range(1, 6)]
    fake.script(operation, ["pass", "reset_after", "pass", "reset_before"])
    push = bulk.push(customers, given, match_by=key, pause=0)
    assert {one.status for one in await run(push)} == {"done"}
    assert len(fake.organization().contacts) == 5
    assert push.summary.settled == 1
    given[0]["company_name"] = "New"
    again = bulk.push(customers, given, match_by=key)
    assert [one.action for one in await run(again)] == ["updated"] + ["unchanged"] * 4
    assert sum(one.get("company_name") == "New" for one in fake.organization().contacts.values()) == 1


@pytest.mark.parametrize("product", ["books", "invoice"])
async def test_persons_of_unknown_outcome_are_looked_up_among_those_of_their_contacts(
    fake: FakeZoho, zoho: Zoho, product: str
) -> None:
    """Of three contacts only those are read again whose persons nobody knows of."""
    contacts = [one["contact_id"] for one in fake.seed([{"contact_name": name} for name in "ABC"])]
    given = [{"contact_id": one, "first_name": "Ann", "email": "a@x.example"} for one in contacts]
    fake.script(f"{product}.contact_persons.create", ["reset_after", "reset_before"])
    push = bulk.push(getattr(zoho, product).contact_persons, given, match_by="email", pause=0, concurrency=1)
    outcomes = await run(push)
    assert {one.row.number: one.action for one in outcomes} == {1: "settled", 2: "created", 3: "created"}
    assert (push.summary.reads, push.summary.writes) == (5, 4)
    stored = fake.organization().contacts
    assert [len(stored[one]["contact_persons"]) for one in contacts] == [1, 1, 1]


@pytest.mark.parametrize("product", ["books", "invoice"])
async def test_contact_persons(fake: FakeZoho, zoho: Zoho, product: str) -> None:
    persons = getattr(zoho, product).contact_persons
    seeded = fake.seed(
        [{"contact_name": name, "contact_persons": [{"first_name": "Ann", "email": "a@x.example"}]} for name in "AB"]
    )
    first, second = (one["contact_id"] for one in seeded)
    given = [
        {"contact_id": first, "first_name": "Ann", "email": "A@x.example", "phone": "7"},
        {"contact_id": first, "first_name": "Bob", "email": "b@x.example"},
        {"contact_id": second, "first_name": "Ann", "email": "a@x.example"},
        {"first_name": "Nobody", "email": "n@x.example"},
    ]
    fake.script(f"{product}.contact_persons.create", ["reset_after"])
    push = bulk.push(persons, given, match_by="email", pause=0)
    outcomes = await run(push)
    assert [one.action for one in outcomes] == ["updated", "settled", "unchanged", "none"]
    assert outcomes[3].reason == "contact_id: is required: it belongs to that one"
    stored = fake.organization().contacts
    assert [one["first_name"] for one in stored[first]["contact_persons"]] == ["Ann", "Bob"]
    assert stored[first]["contact_persons"][0]["phone"] == "7"


@pytest.mark.parametrize("product", ["books", "invoice"])
async def test_a_person_that_somebody_has_deleted_is_made_again(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, product: str
) -> None:
    """It is looked for by itself, since a list may have skipped it."""
    persons = getattr(zoho, product).contact_persons
    (contact,) = fake.seed([{"contact_name": "A"}])
    given = [
        {"contact_id": contact["contact_id"], "first_name": name, "email": f"{name}@x.example"}
        for name in ("Ann", "Bob")
    ]
    ann, _ = await run(bulk.push(persons, given, match_by="email", state=tmp_path / "s"))
    await persons.delete(ann.record_id)
    given[1]["phone"] = "7"
    before = await planned(persons, given, tmp_path / "s", match_by="email")
    again = bulk.push(persons, given, match_by="email", state=tmp_path / "s")
    assert [one.action for one in await run(again)] == ["created", "updated"]
    assert (before.create, before.update) == (1, 1)
    assert (again.summary.reads, again.summary.writes) == (before.reads, before.writes) == (2, 2)
    (stored,) = fake.organization().contacts.values()
    assert sorted(one["first_name"] for one in stored["contact_persons"]) == ["Ann", "Bob"]


async def test_impossible_options_are_errors(zoho: Zoho) -> None:
    for resource, options, word in (
        (zoho.books.contacts, {"upsert_by": KEY, "match_by": "email"}, "either by"),
        (zoho.books.contacts, {"match_by": "company_nam"}, "did you mean `company_name`"),
        (zoho.books.contacts, {"empty": "drop"}, "keep"),
        (zoho.books.contacts, {"on_existing": "overwrite"}, "update, skip or fail"),
        (zoho.books.contacts, {"on_name_taken": "allow"}, "upsert_by or match_by"),
        (zoho.books.contacts, {"on_name_taken": "suffix"}, "suffix:FIELD"),
        (zoho.books.contacts, {"on_name_taken": "suffix:nothing"}, "no column `nothing`"),
        (zoho.books.contacts, {"window": "now"}, "now"),
        (zoho.billing.customers, {"upsert_by": KEY}, "no upsert"),
        (zoho.books.contact_persons, {"on_name_taken": "match"}, "no name"),
        (zoho.books.comments, {}, "cannot be pushed"),
    ):
        with pytest.raises(bulk.InputError, match=word):
            bulk.push(resource, [], **options)  # type: ignore[arg-type]


async def test_one_record_is_written_by_one_row(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    contacts, state = zoho.books.contacts, tmp_path / "s"
    (first,) = await run(bulk.push(contacts, [row(1)], upsert_by=KEY, state=state))
    # Somebody gives the record the key of a row that is yet to come.
    await contacts.update(first.record_id, {"custom_fields": [{"api_name": KEY, "value": "K2"}]})
    given = [row(1, contact_name="One", notes="one"), row(2, notes="two")]
    outcomes = await run(bulk.push(contacts, given, upsert_by=KEY, state=state))
    assert [one.action for one in outcomes] == ["created", "updated"]
    assert {one["custom_fields"][KEY]: one["notes"] for one in fake.organization().contacts.values()} == {
        "K1": "one",
        "K2": "two",
    }
    # The record of one row by its key, of the other by its name.
    fake.seed([{"contact_name": "A", KEY: "K77"}, {"contact_name": "B"}])
    given = [row(1, contact_name="A"), row(77, contact_name="C"), row(78, contact_name="B"), row(79, contact_name="B2")]
    outcomes = await run(bulk.push(contacts, given, upsert_by=KEY, on_name_taken="match"))
    assert [(one.action, one.code) for one in outcomes] == [
        ("none", "3062"),
        ("updated", ""),
        ("updated", ""),
        ("created", ""),
    ]
    # Two rows that lead to one record by two ways: the second is refused.
    fake.seed([{"contact_name": "D", "contact_persons": [{"first_name": "Ann", "email": "d@x.example"}]}])
    given = [
        {"contact_name": "D", "contact_persons[0].email": "new@x.example"},
        {"contact_name": "E", "contact_persons[0].email": "d@x.example"},
    ]
    expected = await planned(contacts, given, match_by="email", on_name_taken="match")
    push = bulk.push(contacts, given, match_by="email", on_name_taken="match")
    outcomes = await run(push)
    assert [one.status for one in outcomes].count("done") == 1
    assert (push.summary.reads, push.summary.writes) == (expected.reads, expected.writes)


async def test_persons_of_a_contact_that_is_not_there_cost_no_write(fake: FakeZoho, zoho: Zoho) -> None:
    given = [{"contact_id": "999", "first_name": "Ann", "email": "a@x.example"}]
    expected = await planned(zoho.books.contact_persons, given, match_by="email")
    push = bulk.push(zoho.books.contact_persons, given, match_by="email")
    (outcome,) = await run(push)
    assert (outcome.status, outcome.reason) == ("failed", "contact_id: names a record that Zoho does not have")
    assert (push.summary.reads, push.summary.writes) == (expected.reads, expected.writes) == (1, 0)


async def test_a_name_that_a_row_does_not_change_is_not_taken(fake: FakeZoho, zoho: Zoho) -> None:
    """A vendor and a customer may have one name; a row that does not say its kind is the record's."""
    fake.seed([{"contact_name": "A", "contact_type": "vendor", KEY: "K1"}, {"contact_name": "A"}])
    (outcome,) = await run(bulk.push(zoho.books.contacts, [row(1, contact_name="A", notes="x")], upsert_by=KEY))
    assert outcome.action == "updated"
    given = [{"contact_name": "A", "contact_type": "vendor", "notes": "y"}]
    (outcome,) = await run(bulk.push(zoho.books.contacts, given, match_by="contact_name"))
    assert outcome.action == "updated"
    assert [one["notes"] for one in fake.organization().contacts.values() if "notes" in one] == ["y"]


async def test_a_row_matched_by_its_name_is_matched_again(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    fake.seed([{"contact_name": "A", "notes": "theirs"}])
    for note in ("first", "second", "third"):
        given = [{"contact_name": "A", "notes": note}]
        push = bulk.push(zoho.books.contacts, given, on_name_taken="match", state=tmp_path / "s")
        assert [one.action for one in await run(push)] == ["updated"]
    assert [one["notes"] for one in fake.organization().contacts.values()] == ["third"]


THEIRS = {"contact_name": "Theirs", KEY: "K300", "contact_persons": [{"first_name": "Bob", "email": "bob@x.example"}]}
OURS = {"contact_persons[0].first_name": "Ann", "contact_persons[0].email": "ann@x.example"}


async def test_an_upsert_warns_of_what_it_has_overwritten(fake: FakeZoho, zoho: Zoho) -> None:
    push = bulk.push(zoho.books.contacts, [row(number, **OURS) for number in range(1, 301)], upsert_by=KEY)
    warned: list[bulk.RowOutcome] = []
    async for outcome in push:
        if push.summary.rows == 10:
            (theirs,) = fake.seed([THEIRS])
            moment = datetime.fromisoformat(theirs["created_time"]) - timedelta(minutes=1)
            theirs["created_time"] = moment.strftime("%Y-%m-%dT%H:%M:%S%z")
        if outcome.warning:
            warned.append(outcome)
    ((number, action, warning),) = [(one.row.number, one.action, one.warning) for one in warned]
    assert (number, action) == (300, "updated")
    assert warning.startswith("somebody has made a record with this key")


async def test_a_record_is_read_again_when_its_update_had_to_wait(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(writes, "TTL_S", 0.5)
    (record,) = fake.seed(
        [{"contact_name": "N1", KEY: "K1", "contact_persons": [{"first_name": "Zoe", "email": "z@x.example"}]}]
    )
    contact_id = record["contact_id"]
    zoe = fake.organization().contacts[contact_id]["contact_persons"][0]["contact_person_id"]
    fake.script("books.contacts.update", ["429:44:1"])
    push = bulk.push(zoho.books.contacts, [row(1, **OURS)], upsert_by=KEY)

    async def somebody() -> None:
        while fake.requests("books.contacts.update") == 0:  # noqa: ASYNC110
            await asyncio.sleep(0.005)
        persons = [{"contact_person_id": zoe}, {"first_name": "Bob", "email": "bob@x.example"}]
        async with client_of(fake) as other:
            await other.books.contacts.update(contact_id, {"contact_persons": persons})

    async with asyncio.TaskGroup() as group:
        group.create_task(somebody())
        outcomes = await run(push)
    assert [one.action for one in outcomes] == ["updated"]
    stored = fake.organization().contacts[contact_id]
    assert [person["first_name"] for person in stored["contact_persons"]] == ["Zoe", "Bob", "Ann"]


async def test_a_person_is_looked_for_on_every_page_of_its_parent(fake: FakeZoho, zoho: Zoho) -> None:
    people = [{"first_name": f"P{number}", "email": f"p{number}@x.example"} for number in range(230)]
    (parent,) = fake.seed([{"contact_name": "N", "contact_persons": people}])
    fake.script("books.contact_persons.create", ["reset_after"])
    given = [{"contact_id": parent["contact_id"], "first_name": "Bob", "email": "bob@x.example"}]
    (outcome,) = await run(bulk.push(zoho.books.contact_persons, given, match_by="email", pause=0))
    assert outcome.action == "settled"
    stored = fake.organization().contacts[parent["contact_id"]]
    assert len(stored["contact_persons"]) == 231


async def test_after_a_wait_a_list_that_cannot_be_sorted_is_read_again(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    theirs = [{"contact_name": f"T{number}", "company_name": f"C{number}"} for number in (60, 90)]

    async def sleep(moment: datetime, **_: Any) -> None:
        fake.seed(theirs)
        theirs.clear()
        # The client, too, holds back until the day it was told of.
        await asyncio.sleep(max(0.0, (moment - datetime.now(moment.tzinfo)).total_seconds()))

    monkeypatch.setattr(line, "sleep_until", sleep)
    fake.script("expense.customers.create", [*["pass"] * 20, *["429:45:1"] * 3])
    given = [{"contact_name": f"N{number}", "company_name": f"C{number}"} for number in range(100)]
    push = bulk.push(zoho.expense.customers, given, match_by="company_name", wait=True, concurrency=2)
    assert {one.status for one in await run(push)} == {"done"}
    companies = [one["company_name"] for one in fake.organization().contacts.values()]
    assert sorted(companies) == sorted(set(companies))
    assert push.summary.updated == 2
