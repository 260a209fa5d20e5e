"""Every row has a key: its record's id, a field to match by, or the natural one."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from zoho_async import Zoho, bulk
from zoho_async.bulk.pushing.push import Push
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import NATURAL_KEYS, Destination
from zoho_async.bulk.rows.validate import RowReader
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Journal
from zoho_async.fake import FakeZoho

KEY = "cf_external_id"
Resource = tuple[Any, Callable[[str], dict[str, Any]], Callable[[str], str], str]


async def run(push: Push) -> list[bulk.RowOutcome]:
    return sorted([outcome async for outcome in push], key=lambda one: one.row.number)


async def planned(resource: Any, rows: Any, state: Path | None = None, **options: Any) -> bulk.Plan:
    return await bulk.plan(resource, rows, state=state, **options)


async def both(resource: Any, rows: Any, state: Path | None = None, **options: Any) -> list[bulk.RowOutcome]:
    """The outcomes of a push that has done what was planned, in as many calls, and whose totals add up."""
    expected = await planned(resource, rows, state, **options)
    push = bulk.push(resource, rows, state=state, pause=0, **options)
    outcomes = await run(push)
    totals = push.summary
    assert (totals.reads, totals.writes) == (expected.reads, expected.writes)
    assert (totals.created, totals.updated, totals.skipped) == (expected.create, expected.update, expected.skipped)
    assert expected.faulty + expected.colliding == totals.failed
    assert expected.unknown == totals.unknown
    sent = totals.created + totals.updated
    assert (
        totals.rows
        == expected.rows
        == sent + totals.unchanged + totals.settled + totals.skipped + (totals.failed + totals.unknown)
    )
    return outcomes


@pytest.fixture(params=NATURAL_KEYS)
def resource(request: pytest.FixtureRequest, fake: FakeZoho, zoho: Zoho) -> Resource:
    """A resource that has a record "one", a row of a name for it, the phone of the record of a name, and the first
    record's id."""
    product, _, name = request.param.partition(".")
    (contact,) = fake.seed(
        [{"contact_name": "one", "contact_persons": [{"first_name": "one", "email": "one@x.example"}]}]
    )
    organization = fake.organization()
    found = getattr(getattr(zoho, product), name)
    if name == "contact_persons":
        record_id = contact["contact_persons"][0]["contact_person_id"]

        def row(key: str) -> dict[str, Any]:
            return {"contact_id": contact["contact_id"], "first_name": key, "email": f"{key}@x.example"}

        def note(key: str) -> str:
            persons = organization.contacts[contact["contact_id"]]["contact_persons"]
            return ",".join(str(one.get("designation", "")) for one in persons if one["first_name"] == key)

        return found, lambda key: {**row(key), "designation": "ours"}, note, record_id
    field = NATURAL_KEYS[request.param].name

    def company(key: str) -> str:
        return ",".join(
            str(one.get("company_name", "")) for one in organization.contacts.values() if one["contact_name"] == key
        )

    more = {"email": "e@x.example"} if product == "billing" else {}
    return found, lambda key: {field: key, "company_name": "ours", **more}, company, contact["contact_id"]


@pytest.mark.parametrize(
    ("policy", "action", "kept"),
    [(None, "none", ""), ("fail", "none", ""), ("skip", "skipped", ""), ("update", "updated", "ours")],
)
async def test_a_row_whose_natural_key_the_list_shows(
    resource: Resource, tmp_path: Path, policy: str | None, action: str, kept: str
) -> None:
    found, row, note, record_id = resource
    given, state = [row("one"), row("two")], tmp_path / "s"
    first, second = await both(found, given, state, on_existing=policy)
    assert (first.action, second.action) == (action, "created")
    assert (note("one"), note("two")) == (kept, "ours")
    if action == "none":
        assert first.kind in ("name_taken", "exists")
        assert ("--on-existing" in first.hint, "--match-by" in first.hint) == (True, True)
        assert record_id in first.reason
    else:
        assert first.record_id == record_id
    # What was skipped is not taken for sent when it is to be updated later.
    again = await both(found, given, state, on_existing="update")
    assert [one.action for one in again] == ["unchanged" if action == "updated" else "updated", "unchanged"]
    assert (note("one"), note("two")) == ("ours", "ours")


async def test_a_row_that_carries_its_records_id_updates_that_one(resource: Resource, tmp_path: Path) -> None:
    found, row, note, record_id = resource
    field, state = Destination.of(found).record_id, tmp_path / "s"
    given = [{**row("other"), field: record_id}, {**row("three"), field: "999"}, {**row("four"), field: " "}]
    first, unknown, new = await both(found, given, state)
    assert (first.action, first.record_id, first.identity) == ("updated", record_id, f"{field}={record_id}")
    assert (unknown.status, unknown.reason) == ("failed", f"{field}: names a record that Zoho does not have")
    assert (new.action, note("other"), note("one"), note("three")) == ("created", "ours", "", "")
    assert [one.action for one in await both(found, given, state)] == ["unchanged", "none", "unchanged"]
    assert [one.action for one in await both(found, given[:2], state, on_existing="skip")] == ["unchanged", "none"]
    refused = await both(found, given[:1], on_existing="fail")
    assert [(one.status, one.kind) for one in refused] == [("failed", "exists")]


@pytest.mark.parametrize(
    "options", [{"upsert_by": KEY}, {"match_by": "company_name"}, {"on_existing": "skip"}], ids=str
)
async def test_an_id_goes_before_every_other_key(fake: FakeZoho, zoho: Zoho, options: dict[str, Any]) -> None:
    theirs, ours = fake.seed([{"contact_name": "A", KEY: "1", "company_name": "K"}, {"contact_name": "B"}])
    given = [{"contact_id": ours["contact_id"], "contact_name": "B", KEY: "", "company_name": "K", "notes": "x"}]
    (outcome,) = await both(zoho.books.contacts, given, **options)
    assert outcome.record_id == ours["contact_id"]
    assert outcome.action == ("skipped" if options.get("on_existing") else "updated")
    assert "notes" not in fake.organization().contacts[theirs["contact_id"]]


async def test_rows_of_ids_read_no_list_and_need_no_name(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    seeded = fake.seed([{"contact_name": name} for name in "AB"])
    path = tmp_path / "a.csv"
    path.write_text("contact_id,notes\n" + "".join(f"{one['contact_id']},new\n" for one in seeded))
    source = bulk.open_rows(path)
    RowReader(Destination.of(zoho.books.contacts), Options()).check(source)
    assert [one.action for one in await both(zoho.books.contacts, source)] == ["updated"] * 2
    assert fake.requests("books.contacts.list") == 0
    bodies = [one.body for one in fake.received if one.operation == "books.contacts.update"]
    assert bodies == [b'{"notes":"new"}'] * 2


async def test_ids_that_cannot_be_fail_before_any_call(fake: FakeZoho, zoho: Zoho) -> None:
    cells: list[Any] = ["4.6E+17", "A1", True, 4.5]
    given = [{"contact_id": cell, "contact_name": f"N{place}"} for place, cell in enumerate(cells)]
    outcomes = await run(bulk.push(zoho.books.contacts, given))
    assert [(one.status, one.field) for one in outcomes] == [("failed", "contact_id")] * 4
    same = [{"contact_id": "7", "notes": "x"}, {"contact_id": 7, "notes": "y"}]
    _, second = await run(bulk.push(zoho.books.contacts, same))
    assert second.reason == "contact_id: is the same as in row 1; only one row can have it"
    assert fake.acts("books.contacts.create") == fake.acts("books.contacts.update") == 0


@pytest.mark.parametrize("product", ["books", "invoice"])
async def test_a_person_without_e_mail_and_id_fails_before_any_call(fake: FakeZoho, zoho: Zoho, product: str) -> None:
    given = [{"contact_id": "1", "first_name": "Ann"}, {"contact_id": "1", "first_name": "Bob", "email": " "}]
    outcomes = await run(bulk.push(getattr(zoho, product).contact_persons, given))
    message = "email: is required: within its contact a person is known by it, or by contact_person_id"
    assert [one.reason for one in outcomes] == [message] * 2
    assert fake.requests() == 0


async def test_names_of_different_scopes_are_different_keys(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    fake.seed([{"contact_name": "A", "contact_type": "vendor"}])
    given = [{"contact_name": "A", "contact_type": kind} for kind in ("customer", "vendor")] + [{"contact_name": "A"}]
    outcomes = await both(zoho.books.contacts, given, tmp_path / "s")
    assert [(one.action, one.kind) for one in outcomes] == [
        ("created", ""),
        ("none", "name_taken"),
        ("none", "name_taken"),
    ]
    assert outcomes[0].identity == "contact_name=A@customer"


ROW = {"contact_name": "A", "website": "ours", "company_name": "K"}
LOST: list[tuple[dict[str, str], str, str]] = [
    # How a row is pushed, what becomes of it when its create was executed, and when another's record is there.
    ({}, "settled", "unknown"),
    ({"on_existing": "fail"}, "settled", "unknown"),
    ({"on_existing": "skip"}, "settled", "skipped"),
    ({"on_existing": "update"}, "settled", "updated"),
    ({"on_name_taken": "match"}, "settled", "updated"),
    ({"match_by": "company_name"}, "settled", "updated"),
    ({"match_by": "company_name", "on_existing": "fail"}, "settled", "unknown"),
    ({"match_by": "company_name", "on_existing": "skip"}, "settled", "skipped"),
]


@pytest.mark.parametrize("theirs", [False, True], ids=["executed", "another's"])
@pytest.mark.parametrize(("options", "ours", "others"), LOST, ids=str)
async def test_a_create_of_unknown_outcome_is_reconciled_by_its_key(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, options: dict[str, str], ours: str, others: str, theirs: bool
) -> None:
    """The call of a run that was killed: executed, or not and somebody has made a record of the key meanwhile."""
    contacts, state = zoho.books.contacts, tmp_path / "s"
    destination = Destination.of(contacts)
    item = RowReader(destination, Options.of(destination, **options)).read(bulk.Row(number=1, values=ROW))
    async with Database(state) as database:
        journal = Journal(database, destination.label)
        await journal.record_intent(item.row_key, item.content_hash, operation="create", display_key=item.display_key)
    (record,) = fake.seed([{**ROW, "website": "theirs"} if theirs else ROW])
    expected = others if theirs else ours
    (outcome,) = await run(bulk.push(contacts, [ROW], state=state, pause=0, **options))  # type: ignore[arg-type]
    assert (outcome.action if outcome.status == "done" else outcome.status) == expected
    stored = fake.organization().contacts[record["contact_id"]]
    assert stored["website"] == ("theirs" if theirs and expected != "updated" else "ours")
    assert len(fake.organization().contacts) == 1


@pytest.mark.parametrize(("options", "_ours", "_others"), LOST, ids=str)
@pytest.mark.parametrize("product", ["books", "expense"])
async def test_a_create_that_was_not_executed_is_sent_again(
    fake: FakeZoho, zoho: Zoho, product: str, options: dict[str, str], _ours: str, _others: str
) -> None:
    destination = zoho.books.contacts if product == "books" else zoho.expense.customers
    name = "contacts" if product == "books" else "customers"
    fake.script(f"{product}.{name}.create", ["reset_before"])
    (outcome,) = await run(bulk.push(destination, [ROW], pause=0, **options))  # type: ignore[arg-type]
    assert (outcome.status, outcome.action) == ("done", "created")
    assert len(fake.organization().contacts) == 1


@pytest.mark.parametrize("product", ["books", "invoice"])
@pytest.mark.parametrize(("fault", "action"), [("reset_after", "settled"), ("reset_before", "created")])
async def test_a_person_of_unknown_outcome_is_found_by_its_e_mail(
    fake: FakeZoho, zoho: Zoho, product: str, fault: str, action: str
) -> None:
    (contact,) = fake.seed([{"contact_name": "A"}])
    fake.script(f"{product}.contact_persons.create", [fault])
    given = [{"contact_id": contact["contact_id"], "first_name": "Ann", "email": "Ann@x.example"}]
    (outcome,) = await run(bulk.push(getattr(zoho, product).contact_persons, given, pause=0))
    assert outcome.action == action
    assert len(fake.organization().contacts[contact["contact_id"]]["contact_persons"]) == 1


async def test_rows_that_are_done_stay_so_when_a_suffix_is_asked_for(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    """As the hint of those that failed says."""
    contacts, state = zoho.books.contacts, tmp_path / "s"
    fake.seed([{"contact_name": "B"}])
    given = [{"contact_name": name, "company_name": "X"} for name in "AB"]
    assert [one.action for one in await both(contacts, given, state)] == ["created", "none"]
    # The first was changed since: it is the record it was.
    given[0]["notes"] = "new"
    options = {"on_name_taken": "suffix:company_name"}
    assert [one.action for one in await both(contacts, given, state, **options)] == ["none", "created"]
    del given[0]["notes"]
    assert [one.action for one in await both(contacts, given, state, **options)] == ["unchanged"] * 2
    assert sorted(one["contact_name"] for one in fake.organization().contacts.values()) == ["A", "B", "B (X)"]


# -- state files of versions in which rows without a field to match by had no key


def content_hash(resource: Any, row: dict[str, Any]) -> str:
    return RowReader(Destination.of(resource), Options()).read(bulk.Row(number=1, values=row)).content_hash


async def old_state(path: Path, label: str, entries: list[tuple[str, str, str, str]]) -> None:
    """Writes what such a version has left: (hash#number, state, record's id, label) a row."""

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT INTO journal (target, identity, digest, state, record_id, intended_at, settled_at, operation, "
            "label, run) VALUES (?, ?, ?, ?, ?, '2026-01-01T00:00:00.000+00:00', '', 'create', ?, 1)",
            [(label, one, one.partition("#")[0], state, record_id, name) for one, state, record_id, name in entries],
        )

    async with Database(path) as database:
        await database.run(work)


async def identities(path: Path) -> list[str]:
    async with Database(path, create=False) as database:
        found = await database.run(lambda connection: connection.execute("SELECT identity FROM journal").fetchall())
    return sorted(one for (one,) in found)


async def test_rows_without_a_key_in_an_old_state_file_go_on(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    contacts, state = zoho.books.contacts, tmp_path / "s"
    given = [{"contact_name": name, "notes": "x"} for name in ("Done", "Changed", "Lost", "Found", "Refused", "New")]
    hashes = [content_hash(contacts, one) for one in given]
    done, changed, found = fake.seed([given[0], {**given[1], "notes": "old"}, given[3]])
    old = content_hash(contacts, {**given[1], "notes": "old"})
    entries = [
        (f"{hashes[0]}#1", "done", done["contact_id"], "Done"),
        (f"{old}#1", "done", changed["contact_id"], "Changed"),
        (f"{hashes[2]}#1", "intent", "", "Lost"),
        (f"{hashes[3]}#1", "unknown", "", "Found"),
        (f"{hashes[4]}#1", "failed", "", "Refused"),
        # Of a row that is in no input any more.
        ("0" * 32 + "#1", "done", "77", "Elsewhere"),
    ]
    await old_state(state, Destination.of(contacts).label, entries)
    before = state.read_bytes()
    assert (await planned(contacts, given, state)).unchanged == 2
    assert state.read_bytes() == before
    outcomes = await run(bulk.push(contacts, given, state=state))
    assert [one.action for one in outcomes] == ["unchanged", "none", "created", "settled", "created", "created"]
    assert outcomes[3].record_id == found["contact_id"]
    names = [f"contact_name={one['contact_name']}@customer" for one in given]
    assert await identities(state) == sorted(["0" * 32 + "#1", *names])
    updated = [one.action for one in await run(bulk.push(contacts, given, state=state, on_existing="update"))]
    assert updated == ["unchanged", "updated", *["unchanged"] * 4]
    assert len(fake.organization().contacts) == 6


async def test_a_row_that_an_old_version_sent_under_a_suffix_is_known(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    contacts, state = zoho.books.contacts, tmp_path / "s"
    row = {"contact_name": "A", "company_name": "X"}
    _, made, lost = fake.seed(
        [{"contact_name": "A"}, {**row, "contact_name": "A (X)"}, {"contact_name": "B (Y)", "company_name": "Y"}]
    )
    other = {"contact_name": "B", "company_name": "Y"}
    entries = [
        (f"{content_hash(contacts, row)}#1", "done", made["contact_id"], "A (X)"),
        (f"{content_hash(contacts, other)}#1", "unknown", "", "B (Y)"),
    ]
    await old_state(state, Destination.of(contacts).label, entries)
    options = {"on_name_taken": "suffix:company_name"}
    outcomes = await run(bulk.push(contacts, [row, other], state=state, **options))  # type: ignore[arg-type]
    assert [one.action for one in outcomes] == ["unchanged", "settled"]
    assert outcomes[1].record_id == lost["contact_id"]
    assert len(fake.organization().contacts) == 3


@pytest.mark.parametrize("product", ["books", "invoice"])
async def test_persons_without_a_key_in_an_old_state_file_go_on(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, product: str
) -> None:
    persons, state = getattr(zoho, product).contact_persons, tmp_path / "s"
    (contact,) = fake.seed(
        [{"contact_name": "A", "contact_persons": [{"first_name": "Ann", "email": "Ann@x.example"}]}]
    )
    number, person = contact["contact_id"], contact["contact_persons"][0]["contact_person_id"]
    given = [{"contact_id": number, "first_name": name, "email": f"{name}@x.example"} for name in ("Ann", "Bob")]
    entries = [
        # Ann was sent with another phone.
        ("1" * 32 + "#1", "done", person, f"{number}/Ann@x.example"),
        (f"{content_hash(persons, given[1])}#1", "unknown", "", f"{number}/Bob@x.example"),
        ("2" * 32 + "#1", "done", "77", f"{number}/Cy Cole"),
    ]
    await old_state(state, Destination.of(persons).label, entries)
    outcomes = await run(bulk.push(persons, given, state=state, on_existing="update"))
    assert [one.action for one in outcomes] == ["unchanged", "created"]
    keys = [f"email={name}@x.example@{number}" for name in ("ann", "bob")]
    assert await identities(state) == sorted(["2" * 32 + "#1", *keys])


async def test_of_two_old_rows_of_one_name_the_done_one_is_taken(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    contacts, state = zoho.books.contacts, tmp_path / "s"
    vendor, record = fake.seed([{"contact_name": "A", "contact_type": "vendor"}, {"contact_name": "A"}])
    given = [{"contact_name": "A", "notes": "changed"}]
    entries = [
        ("1" * 32 + "#1", "unknown", "", "A"),
        # A vendor is no customer, whatever its name.
        ("2" * 32 + "#1", "done", vendor["contact_id"], "A"),
        ("3" * 32 + "#1", "done", record["contact_id"], "A"),
    ]
    await old_state(state, Destination.of(contacts).label, entries)
    (outcome,) = await run(bulk.push(contacts, given, state=state, on_existing="update"))
    assert (outcome.action, outcome.record_id) == ("updated", record["contact_id"])
    assert await identities(state) == ["1" * 32 + "#1", "2" * 32 + "#1", "contact_name=A@customer"]


async def test_an_old_row_of_unknown_outcome_whose_name_is_changed_is_not_sent(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    """In the file of failed rows of that version, which holds what the state calls it."""
    contacts, state = zoho.books.contacts, tmp_path / "s"
    identity = hashlib.sha256(b"then").hexdigest()[:32] + "#1"
    await old_state(state, Destination.of(contacts).label, [(identity, "unknown", "", "Alpha Gmbh")])
    given = [bulk.Row(number=1, values={"contact_name": "Alpha GmbH"}, identity=identity)]
    (outcome,) = await both(contacts, given, state)
    assert (outcome.status, "was `Alpha Gmbh`" in outcome.reason) == ("unknown", True)
    assert fake.requests("books.contacts.create") == 0


async def old_persons(fake: FakeZoho, zoho: Zoho, state: Path) -> list[dict[str, str]]:
    """Rows of persons without e-mail that an old version has sent, and what it knew of them."""
    people = [{"first_name": "Same", "last_name": "L"}, {"first_name": "Changed", "last_name": "L"}]
    (contact,) = fake.seed([{"contact_name": "A", "contact_persons": people}])
    number, persons = contact["contact_id"], zoho.books.contact_persons
    same, changed = (one["contact_person_id"] for one in contact["contact_persons"])
    names = ("Same", "Changed", "Open", "Lost", "Refused", "New")
    given = [{"contact_id": number, "first_name": name, "last_name": "L"} for name in names]
    hashes = [content_hash(persons, one) for one in given]
    entries = [
        (f"{hashes[0]}#1", "done", same, f"{number}/Same L"),
        ("1" * 32 + "#1", "done", changed, f"{number}/Changed L"),
        (f"{hashes[2]}#1", "intent", "", f"{number}/Open L"),
        ("2" * 32 + "#1", "unknown", "", f"{number}/Lost L"),
        (f"{hashes[4]}#1", "failed", "", f"{number}/Refused L"),
    ]
    await old_state(state, Destination.of(persons).label, entries)
    return given


async def test_persons_without_e_mail_in_an_old_state_file_go_on(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    given = await old_persons(fake, zoho, tmp_path / "s")
    given.append(given[0])
    persons = zoho.books.contact_persons
    for _ in range(2):
        outcomes = await both(persons, given, tmp_path / "s", on_existing="update")
        assert [(one.status, one.action, one.kind) for one in outcomes] == [
            ("done", "unchanged", ""),
            ("done", "unchanged", ""),
            ("unknown", "none", "unknown_outcome"),
            ("unknown", "none", "unknown_outcome"),
            *[("failed", "none", "required")] * 3,
        ]
        assert "contact_person_id" in outcomes[2].hint
    assert fake.acts("books.contact_persons.create") == 0


async def test_a_person_of_unknown_outcome_is_not_made_under_a_new_e_mail(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    given = await old_persons(fake, zoho, tmp_path / "s")
    mailed = [{**one, "email": f"{one['first_name']}@x.example"} for one in given]
    persons = zoho.books.contact_persons
    outcomes = await both(persons, mailed, tmp_path / "s", on_existing="update")
    actions = [(one.status, one.action) for one in outcomes]
    assert actions == [("done", "updated")] * 2 + [("unknown", "none")] * 2 + [("done", "created")] * 2
    assert outcomes[2].reason.startswith("email: was empty when")
    assert "contact_person_id" in outcomes[2].hint
    by_email = await run(bulk.push(persons, mailed[2:4], state=tmp_path / "s", match_by="email"))
    assert [one.status for one in by_email] == ["unknown"] * 2
    (contact,) = fake.organization().contacts.values()
    assert sorted(one["first_name"] for one in contact["contact_persons"]) == ["Changed", "New", "Refused", "Same"]


async def test_a_create_of_unknown_outcome_whose_record_differs_names_the_option(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    contacts, state = zoho.books.contacts, tmp_path / "s"
    fake.seed([{"contact_name": "A", "notes": "theirs"}])
    await old_state(state, Destination.of(contacts).label, [("contact_name=A@customer", "unknown", "", "A")])
    push = bulk.push(contacts, [{"contact_name": "A", "notes": "ours"}], state=state)
    (outcome,) = await run(push)
    assert (outcome.status, outcome.kind, push.summary.kinds) == ("unknown", "unknown_outcome", {"unknown_outcome": 1})
    assert "--on-existing update" in outcome.hint
    assert "field to match by" not in outcome.reason
    (updated,) = await both(contacts, [{"contact_name": "A", "notes": "ours"}], state, on_existing="update")
    assert updated.action == "updated"


OTHER_NAME = "give it another name"
UPDATE = "push with --on-existing update to update the record"
MATCH = "push with --match-by FIELD to identify records by another field"
MATCH_NAME = "push with --on-name-taken match to update the record that has the name"
SUFFIX = "push with --on-name-taken suffix:FIELD to distinguish them"
ONE_ROW = "change one of the two rows"
TAKEN: list[tuple[dict[str, Any], list[str], list[str]]] = [
    ({}, [OTHER_NAME, UPDATE, MATCH, SUFFIX], [ONE_ROW, SUFFIX]),
    ({"on_existing": "fail"}, [OTHER_NAME, UPDATE, MATCH, SUFFIX], [ONE_ROW, SUFFIX]),
    (
        {"match_by": "notes"},
        [OTHER_NAME, MATCH_NAME, SUFFIX],
        [ONE_ROW, SUFFIX],
    ),
    ({"match_by": "notes", "on_name_taken": "suffix:company_name"}, [OTHER_NAME, MATCH_NAME], [ONE_ROW]),
]


@pytest.mark.parametrize(("options", "of_record", "of_row"), TAKEN)
async def test_the_hint_for_a_taken_name_is_of_its_cause_and_names_no_option_in_force(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, options: dict[str, Any], of_record: list[str], of_row: list[str]
) -> None:
    fake.seed([{"contact_name": name} for name in ("A", "A (1)")])
    given = [
        {"contact_name": name, "notes": str(at), "company_name": "1"} for at, name in enumerate(("A", "B", "B", "B"))
    ]
    outcomes = await both(zoho.books.contacts, given, tmp_path / "s", **options)
    hints = {one.row.number: one.hint.split(", or ") for one in outcomes if one.status == "failed"}
    assert hints[1] == of_record
    assert hints[4] == of_row


async def test_the_hint_for_a_taken_key_names_no_key_option_beside_one(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    fake.seed([{"contact_name": "A", "notes": "1"}])
    given = [{"contact_name": "A", "notes": "1"}]
    (outcome,) = await both(zoho.books.contacts, given, tmp_path / "s", match_by="notes", on_existing="fail")
    assert (outcome.kind, outcome.hint) == ("exists", f"{UPDATE}, or with --on-existing skip to leave it as it is")
