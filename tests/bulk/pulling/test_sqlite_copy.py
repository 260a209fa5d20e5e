"""The SQLite file of a pull: its layout, its state, and files of version 1."""

from __future__ import annotations

import asyncio
import json
import sqlite3
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zoho_async import Zoho, bulk, errors
from zoho_async.bulk.pulling import pull, sqlite_copy
from zoho_async.bulk.pulling.typed_columns import cell, custom_fields
from zoho_async.fake import FakeZoho

LIST = "books.contacts.list"
GET = "books.contacts.get"


def query(path: Path, sql: str) -> list[tuple[Any, ...]]:
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(sql).fetchall()


async def test_the_columns_of_a_record_can_be_asked_for(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    fake.seed(
        [
            {
                "contact_name": "A",
                "contact_persons": [{"email": "a@example.test", "first_name": "Ann"}, {"email": "b@example.test"}],
                "outstanding_receivable_amount": 10.10,
                "billing_address": {"city": "Roma", "zip": "00184"},
                "credit_limit": 7,
                "cf_region": "north",
            },
            {"contact_name": "B"},
        ]
    )
    await bulk.pull(zoho.books.contacts, path)
    rows = query(path, "SELECT contact_name, email, cf_region, outstanding_receivable_amount, deleted_at FROM contacts")
    assert sorted(map(str, rows)) == [
        "('A', 'a@example.test', 'north', '10.1', None)",
        "('B', '', None, '0.0', None)",
    ]
    assert query(path, "SELECT credit_limit, track_1099, typeof(last_modified_time) FROM contacts")[0][0] is None
    await bulk.pull(zoho.books.contacts, path, details="changed")
    ((limit, notes, detail),) = query(path, "SELECT credit_limit, notes, detail FROM contacts WHERE contact_name = 'A'")
    assert (limit, notes, json.loads(detail)["contact_name"]) == ("7", "", "A")
    persons = (
        "SELECT contact_name, p.email, p.first_name, position FROM contact_persons p JOIN contacts USING (contact_id)"
    )
    assert query(path, persons) == [("A", "a@example.test", "Ann", 0), ("A", "b@example.test", "", 1)]
    addresses = "SELECT kind, city, zip FROM addresses JOIN contacts USING (contact_id) WHERE contact_name = 'A'"
    assert query(path, addresses)[0] == ("billing", "Roma", "00184")


async def test_a_deleted_record_stays_with_a_time_and_comes_back_when_it_is_restored(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    path = tmp_path / "a.sqlite"
    fake.seed({"contact_name": f"N{number}"} for number in range(30))
    await bulk.pull(zoho.books.contacts, path, details="changed")
    gone, record = next(iter(fake.organization().contacts.items()))
    fake.organization().remove(gone)
    summary = await bulk.pull(zoho.books.contacts, path)
    assert (summary.deleted, summary.dropped, summary.records) == (1, 0, 29)
    assert query(path, "SELECT id FROM contacts WHERE deleted_at IS NOT NULL") == [(gone,)]
    fake.organization().put(record)
    assert (await bulk.pull(zoho.books.contacts, path)).changed == 1
    assert query(path, "SELECT id FROM contacts WHERE deleted_at IS NOT NULL") == []
    fake.organization().remove(gone)
    summary = await bulk.pull(zoho.books.contacts, path, full=True)
    assert (summary.deleted, summary.dropped, summary.records) == (1, 1, 29)
    assert query(path, "SELECT count(*) FROM contacts") == [(29,)]


async def test_an_idle_pull_is_cheap_and_a_change_is_one_row(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    fake.seed({"contact_name": f"N{number}"} for number in range(1000))
    assert (await bulk.pull(zoho.books.contacts, path)).reads <= 5 + 5
    assert (await bulk.pull(zoho.books.contacts, path)).reads <= 3
    changed = list(fake.organization().contacts)[500]
    await zoho.books.contacts.update(changed, {"contact_name": "new"})
    before = query(path, f"SELECT id, pulled_at FROM contacts WHERE id <> '{changed}' ORDER BY id")
    summary = await bulk.pull(zoho.books.contacts, path)
    assert (summary.changed, summary.records) == (1, 1000)
    assert query(path, f"SELECT contact_name FROM contacts WHERE id = '{changed}'") == [("new",)]
    assert query(path, f"SELECT id, pulled_at FROM contacts WHERE id <> '{changed}' ORDER BY id") == before


async def test_few_calls_leave_the_rest_to_the_next_pull(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    fake.seed({"contact_name": f"N{number}"} for number in range(60))
    pulls = 0
    summary = bulk.PullSummary(complete=False)
    while not summary.complete:
        before = fake.requests()
        summary = await bulk.pull(zoho.books.contacts, path, details="changed", max_calls=20)
        assert fake.requests() - before == summary.reads <= 20
        pulls += 1
        assert summary.pending == 60 - query(path, "SELECT count(detail) FROM contacts")[0][0]
    assert pulls == 4
    with pytest.raises(bulk.InputError, match="only SQLite remembers"):
        await bulk.pull(zoho.books.contacts, tmp_path / "a.jsonl", max_calls=20)


async def test_an_interrupted_first_pull_goes_on_at_its_page(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    fake.seed({"contact_name": f"N{number}"} for number in range(1000))

    def interrupt(summary: bulk.PullSummary) -> None:
        if summary.changed >= 400:
            raise asyncio.CancelledError

    with pytest.raises(asyncio.CancelledError):
        await bulk.pull(zoho.books.contacts, path, on_progress=interrupt)
    assert query(path, "SELECT count(*) FROM contacts") == [(400,)]
    summary = await bulk.pull(zoho.books.contacts, path)
    assert (summary.changed, summary.records) == (600, 1000)
    assert summary.reads <= 4 + 2


async def test_details_that_were_read_before_an_error_are_kept(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    fake.seed({"contact_name": f"N{number}"} for number in range(60))
    fake.script(GET, ["pass"] * 50 + ["status:503"])
    with pytest.raises(errors.UnavailableError):
        await bulk.pull(zoho.with_options(retries=0).books.contacts, path, details="changed", concurrency=5)
    ((kept,),) = query(path, "SELECT count(detail) FROM contacts")
    assert 40 <= kept <= 59
    summary = await bulk.pull(zoho.books.contacts, path, details="changed")
    assert (summary.details, summary.records) == (60 - kept, 60)
    assert query(path, "SELECT count(detail) FROM contacts") == [(60,)]


async def test_details_are_read_again_after_a_pull_without_them_in_the_second_of_a_change(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    path = tmp_path / "a.sqlite"
    fake.seed([{"contact_name": "before"}])
    await bulk.pull(zoho.books.contacts, path, details="changed")
    organization = fake.organization()
    (record,) = organization.contacts.values()
    organization.put({**record, "contact_name": "after"})  # its stamp stays
    await bulk.pull(zoho.books.contacts, path)
    await bulk.pull(zoho.books.contacts, path, details="changed")
    ((detail,),) = query(path, "SELECT detail FROM contacts")
    assert json.loads(detail)["contact_name"] == "after"


async def test_records_that_lack_details_get_them_beside_those_that_are_pending(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.sqlite"
    fake.seed({"contact_name": f"N{number}"} for number in range(2))
    await bulk.pull(zoho.books.contacts, path)
    fake.script(LIST, ["status:503"])
    with pytest.raises(errors.UnavailableError):
        await bulk.pull(zoho.with_options(retries=0).books.contacts, path, details="changed")

    def stop(summary: bulk.PullSummary) -> None:
        if summary.changed:
            raise RuntimeError("interrupted")

    # Without details it hands out the first of the pending ones, and is interrupted.
    monkeypatch.setattr(pull, "_COMMIT_EVERY", 1)
    with pytest.raises(RuntimeError, match="interrupted"):
        await bulk.pull(zoho.books.contacts, path, on_progress=stop)
    await bulk.pull(zoho.books.contacts, path, details="changed")
    assert query(path, "SELECT count(*) FROM contacts WHERE detail IS NULL") == [(0,)]


async def test_types_are_worked_out_once_a_pull(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.seed({"contact_name": f"N{number}", "contact_persons": [{"email": "a@b.test"}]} for number in range(120))
    worked_out: list[Any] = []
    original = msgspec.structs.fields

    def fields(kind: Any) -> Any:
        worked_out.append(kind)
        return original(kind)

    monkeypatch.setattr(msgspec.structs, "fields", fields)
    summary = await bulk.pull(zoho.books.contacts, tmp_path / "a.sqlite", details="all")
    assert summary.details == 120
    assert len(worked_out) < 50


async def test_a_file_of_version_1_is_migrated(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / "a.sqlite"
    fake.seed({"contact_name": f"N{number}", "cf_region": "north"} for number in range(230))
    rows = json.loads((await zoho.request("GET", "/books/v3/contacts", query={"per_page": 200})).body)["contacts"]
    gone = {**rows[0], "contact_id": "1", "contact_name": "gone"}
    detail = json.loads((await zoho.request("GET", f"/books/v3/contacts/{rows[0]['contact_id']}")).body)["contact"]
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(
            "CREATE TABLE pulled_from (resource TEXT PRIMARY KEY, place TEXT NOT NULL, organization_id TEXT NOT NULL, "
            "held_in TEXT NOT NULL UNIQUE)"
        )
        connection.execute(
            "INSERT INTO pulled_from VALUES ('books.contacts', ?, ?, '\"contacts\"')", (fake.url, fake.organization_id)
        )
        connection.execute(
            "CREATE TABLE contacts (id TEXT PRIMARY KEY, name TEXT NOT NULL, last_modified_time TEXT NOT NULL, "
            "row TEXT NOT NULL, detail TEXT, detail_of TEXT, pulled_at TEXT NOT NULL)"
        )
        for row in (*rows, gone):
            own = (json.dumps(detail), row["last_modified_time"]) if row is rows[0] else (None, None)
            values = (row["contact_id"], row["contact_name"], row["last_modified_time"], json.dumps(row), *own, "then")
            connection.execute("INSERT INTO contacts VALUES (?, ?, ?, ?, ?, ?, ?)", values)
        connection.execute(f"PRAGMA application_id = {0x5A6F5031}")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    summary = await bulk.pull(zoho.books.contacts, path)
    assert (summary.records, summary.deleted) == (230, 1)
    assert query(path, "SELECT contact_name FROM contacts WHERE deleted_at IS NOT NULL") == [("gone",)]
    assert query(path, "SELECT DISTINCT cf_region FROM contacts") == [("north",)]
    assert query(path, "SELECT count(*) FROM contacts WHERE detail IS NOT NULL") == [(1,)]
    summary = await bulk.pull(zoho.books.contacts, path, details="changed")
    assert (summary.details, summary.reads) == (229, 229 + 2)
    assert (await bulk.pull(zoho.books.contacts, path, details="changed")).reads == 2


async def test_each_resource_of_a_file_of_version_1_is_migrated(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sqlite_copy, "_MIGRATED_TOGETHER", 2)
    path = tmp_path / "a.sqlite"
    fake.seed({"contact_name": f"N{number}"} for number in range(5))
    await bulk.pull(zoho.books.contacts, path)
    await bulk.pull(zoho.expense.customers, path)
    with closing(sqlite3.connect(path)) as connection:
        for table in ("contacts", "customers"):
            connection.execute(f"CREATE TABLE old AS SELECT * FROM {table}")
            connection.execute(f"DROP TABLE {table}")
            connection.execute(
                f"CREATE TABLE {table} (id TEXT PRIMARY KEY, name TEXT NOT NULL, last_modified_time TEXT NOT NULL, "
                "row TEXT NOT NULL, detail TEXT, detail_of TEXT, pulled_at TEXT NOT NULL)"
            )
            columns = "id, name, last_modified_time, row, detail, detail_of, pulled_at"
            connection.execute(f"INSERT INTO {table} SELECT {columns} FROM old")
            connection.execute("DROP TABLE old")
        for table in ("pulled_state", "pulled_ids_books_contacts", "pulled_ids_expense_customers"):
            connection.execute(f"DROP TABLE {table}")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    fake.organization().remove(next(iter(fake.organization().contacts)))
    for resource in (zoho.books.contacts, zoho.expense.customers):
        summary = await bulk.pull(resource, path)
        assert (summary.records, summary.changed, summary.deleted) == (4, 0, 1)
    for table in ("contacts", "customers"):
        assert query(path, f"SELECT count(*) FROM {table} WHERE created_time IS NOT NULL") == [(5,)]


@pytest.mark.parametrize("other", ["billing", "expense"])
async def test_two_resources_of_a_file_have_their_own_persons_and_addresses(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, other: str
) -> None:
    path = tmp_path / "a.sqlite"
    fake.seed([{"contact_name": "A", "billing_address": {"city": "Roma"}}])
    customers = getattr(zoho, other).customers
    for resource in (zoho.books.contacts, customers, zoho.books.contacts, customers):
        await bulk.pull(resource, path, details="changed")
    key = {"billing": "customer_id", "expense": "contact_id"}[other]
    for table, column in (("addresses", "contact_id"), ("customers_addresses", key)):
        found = query(path, f"SELECT {column}, city FROM {table} WHERE kind = 'billing'")
        assert found == [(one, "Roma") for one in fake.organization().contacts]
    fake.organization().remove(next(iter(fake.organization().contacts)))
    await bulk.pull(customers, path, max_deleted=1)
    assert query(path, "SELECT city FROM customers_addresses") == []
    assert query(path, "SELECT city FROM addresses WHERE kind = 'billing'") == [("Roma",)]


def test_columns_have_the_types_of_the_specs(zoho: Zoho) -> None:
    found = bulk.columns(zoho.books.contacts)
    assert found == bulk.columns("books.contacts")
    assert next(iter(found)) == "contact_id"
    assert {name: found[name] for name in ("contact_id", "credit_limit", "last_modified_time", "payment_terms")} == {
        "contact_id": "text",
        "credit_limit": "decimal",
        "last_modified_time": "timestamp",
        "payment_terms": "bigint",
    }
    assert (found["track_1099"], found["contact_persons"], found["status"]) == ("bool", "json", "text")
    with pytest.raises(bulk.InputError, match="there is no `books nothing`"):
        bulk.columns("books.nothing")


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        ("", "decimal", None),
        ("", "text", ""),
        (None, "text", None),
        (True, "bool", 1),
        (12, "decimal", "12"),
        (12, "bigint", 12),
        (460000000000000001, "text", "460000000000000001"),
        ({"a": 1}, "json", '{"a":1}'),
        ([], "json", "[]"),
        ("10.10", "decimal", "10.10"),
        (Decimal("1E+20"), "decimal", "100000000000000000000"),
        (Decimal("1E+999999999999"), "decimal", "1E+999999999999"),
        (Decimal("0.10"), "decimal", "0.10"),
        (Decimal("1e30"), "decimal", "1" + "0" * 30),
        # Written out it would fill the memory.
        (Decimal("-1e-400000"), "decimal", "-1E-400000"),
    ],
)
def test_cells_of_sqlite(value: Any, kind: Any, expected: Any) -> None:
    found = cell(value, kind)
    assert (found, type(found)) == (expected, type(expected))


def test_custom_fields_are_found_wherever_they_stand() -> None:
    record = {
        "cf_a": "1,000.00",
        "cf_a_unformatted": 1000,
        "custom_field_hash": {"cf_b": "x"},
        "custom_fields": [{"api_name": "cf_c", "value": True}, {"api_name": "bad name", "value": 1}, "none"],
    }
    assert dict(custom_fields(record)) == {"cf_a": 1000, "cf_b": "x", "cf_c": True}


@pytest.mark.parametrize("document", [b"{", b"", b"\xff", "null"])
async def test_a_damaged_state_is_named(fake: FakeZoho, zoho: Zoho, tmp_path: Path, document: bytes | str) -> None:
    fake.seed([{"contact_name": "A"}])
    path = tmp_path / "a.sqlite"
    await bulk.pull(zoho.books.contacts, path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE pulled_state SET document = ?", (document,))
        connection.commit()
    with pytest.raises(bulk.StateError, match="is not a state of pulled changes"):
        await bulk.pull(zoho.books.contacts, path, on_cost=print)
    with pytest.raises(bulk.StateError, match="is not a state of pulled changes"):
        await bulk.plan_pull(zoho.books.contacts, path)
