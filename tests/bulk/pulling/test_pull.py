from __future__ import annotations

import csv
import json
import os
import sqlite3
import stat
from contextlib import closing
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.client import client_of

from zoho_async import Zoho, bulk
from zoho_async.bulk.pulling.csv_sink import flat
from zoho_async.bulk.pulling.sqlite_copy import SqliteCopy
from zoho_async.bulk.rows.resource import Destination
from zoho_async.errors import UnavailableError
from zoho_async.fake import FakeZoho

LIST = "books.contacts.list"
GET = "books.contacts.get"


def seed(fake: FakeZoho, count: int) -> None:
    fake.seed(
        {
            "contact_name": f"Größe {number:04d} 髙",
            "notes": 'a "b", c\nd',
            "credit_limit": number,
            "billing_address": {"city": "Roma", "zip": f"0{number}"},
            "contact_persons": [{"email": f"p{number}@example.test"}],
            "custom_fields": [{"api_name": "cf_external_id", "value": f"00{number}"}],
        }
        for number in range(1, count + 1)
    )


async def answers(zoho: Zoho, *, full: bool) -> dict[str, Any]:
    """The records as the API gives them, read another way."""
    found: dict[str, Any] = {}
    page = 1
    while True:
        answer = json.loads((await zoho.request("GET", "/books/v3/contacts", query={"page": page})).body)
        for row in answer["contacts"]:
            path = f"/books/v3/contacts/{row['contact_id']}"
            found[row["contact_id"]] = json.loads((await zoho.request("GET", path)).body)["contact"] if full else row
        if not answer["page_context"]["has_more_page"]:
            return found
        page += 1


def sqlite(path: Path, column: str) -> dict[str, Any]:
    connection = sqlite3.connect(path)
    found = {one: raw and json.loads(raw) for one, raw in connection.execute(f"SELECT id, {column} FROM contacts")}
    connection.close()
    return found


@pytest.mark.parametrize("details", ["none", "all"])
async def test_every_format_holds_what_the_api_gave(fake: FakeZoho, zoho: Zoho, tmp_path: Path, details: Any) -> None:
    seed(fake, 230)
    full = details == "all"
    expected = await answers(zoho, full=full)
    assert len(expected) == 230
    before = fake.requests(LIST)
    # Page 1, the count, and both pages from the last one on; for SQLite also what has changed meanwhile, and a count.
    for name, calls in (("a.sqlite", 6), ("a.jsonl", 4), ("a.csv", 4)):
        summary = await bulk.pull(zoho.books.contacts, tmp_path / name, details=details)
        assert (summary.records, summary.details, summary.reads) == (230, 230 * full, calls + 230 * full)
    assert fake.requests(LIST) - before == 14
    assert sqlite(tmp_path / "a.sqlite", "detail" if full else "row") == expected
    lines = [json.loads(line) for line in (tmp_path / "a.jsonl").read_text("utf-8").splitlines()]
    assert {line["contact_id"]: line for line in lines} == expected
    with (tmp_path / "a.csv").open(encoding="utf-8-sig", newline="") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 230
    for row in table:
        wanted = flat(expected[row["contact_id"]])
        assert {name: cell for name, cell in row.items() if name in wanted} == wanted
        assert all(cell == "" for name, cell in row.items() if name not in wanted)
    assert sorted(path.name for path in tmp_path.iterdir() if "part" in path.name) == []  # noqa: ASYNC240


async def test_only_changed_records_are_read_again(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    seed(fake, 10)
    path = tmp_path / "a.db"
    first = await bulk.pull(zoho.books.contacts, path, details="changed")
    assert (first.details, first.reads) == (10, 11)
    again = await bulk.pull(zoho.books.contacts, path, details="changed")
    assert (again.details, again.reads) == (0, 1)
    fake.clock.advance(60)
    changed = next(iter(fake.organization().contacts))
    await zoho.books.contacts.update(changed, {"notes": "new"})
    third = await bulk.pull(zoho.books.contacts, path, details="changed")
    assert (third.details, third.reads) == (1, 2)
    assert sqlite(path, "detail")[changed]["notes"] == "new"


async def test_records_that_are_deleted_stay_unless_full(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    seed(fake, 3)
    path = tmp_path / "a.sqlite"
    await bulk.pull(zoho.books.contacts, path)
    gone = next(iter(fake.organization().contacts))
    await zoho.books.contacts.delete(gone)
    await bulk.pull(zoho.books.contacts, path)
    assert gone in sqlite(path, "row")
    summary = await bulk.pull(zoho.books.contacts, path, full=True)
    assert summary.dropped == 1
    assert set(sqlite(path, "row")) == set(fake.organization().contacts)


async def test_a_record_that_vanishes_meanwhile_is_counted(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    seed(fake, 5)
    victim = list(fake.organization().contacts)[3]
    deleted = False
    original = zoho.books.contacts.get

    class Contacts(type(zoho.books.contacts)):  # type: ignore[misc]
        async def get(self, contact_id: str, /, **options: Any) -> Any:
            nonlocal deleted
            if not deleted:
                deleted = True
                await zoho.books.contacts.delete(victim)
            return await original(contact_id, **options)

    Contacts.__module__ = type(zoho.books.contacts).__module__
    resource = Contacts(zoho._transport)
    summary = await bulk.pull(resource, tmp_path / "a.jsonl", details="all", concurrency=1)
    assert (summary.records, summary.details, summary.vanished) == (5, 4, 1)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
async def test_a_pull_that_fails_leaves_the_old_file(fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str) -> None:
    seed(fake, 5)
    path = tmp_path / name
    await bulk.pull(zoho.books.contacts, path)
    old = path.read_bytes()
    fake.script(GET, ["pass"] * 3 + ["status:503"] * 50)
    with pytest.raises(UnavailableError):
        await bulk.pull(zoho.with_options(retries=0).books.contacts, path, details="all", concurrency=1)
    assert path.read_bytes() == old
    assert [one.name for one in tmp_path.iterdir()] == [name]  # noqa: ASYNC240


async def test_what_cannot_be_written_is_reported_before_any_call(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    contacts = zoho.books.contacts
    with pytest.raises(bulk.InputError, match="xlsx"):
        await bulk.pull(contacts, tmp_path / "a.xlsx")
    with pytest.raises(bulk.InputError, match="only SQLite remembers"):
        await bulk.pull(contacts, tmp_path / "a.csv", details="changed")
    with pytest.raises(bulk.InputError, match="cannot be"):
        await bulk.pull(contacts, tmp_path / "none" / "a.csv")
    with pytest.raises(bulk.InputError, match="cannot be"):
        await bulk.pull(contacts, tmp_path / "none" / "a.sqlite")
    for name in ("a.csv", "a.jsonl", "a.sqlite"):
        os.mkfifo(tmp_path / name)
        with pytest.raises(bulk.InputError, match="it is no file"):
            await bulk.pull(contacts, tmp_path / name)
    (tmp_path / "mine.db").write_text("hello " * 100)
    with pytest.raises(bulk.InputError, match="not a file of an earlier pull"):
        await bulk.pull(contacts, tmp_path / "mine.db")
    assert fake.counts.get(LIST) is None


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv", "a.sqlite"])
async def test_a_file_is_its_owners_alone_unless_it_was_there(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str
) -> None:
    seed(fake, 1)
    path = tmp_path / name
    # What a killed pull has left.
    left = tmp_path / f"{name}.{'0' * 16}.part"
    left.touch()
    await bulk.pull(zoho.books.contacts, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert left.exists() is (name == "a.sqlite")
    path.chmod(0o640)
    await bulk.pull(zoho.books.contacts, path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o640


async def test_a_file_of_todays_version_goes_on_and_a_newer_one_is_refused(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    seed(fake, 1)
    path = tmp_path / "a.sqlite"
    await bulk.pull(zoho.books.contacts, path)
    for version in (0, 99):
        with closing(sqlite3.connect(path)) as connection:
            connection.execute(f"PRAGMA user_version = {version}")
        if not version:
            await bulk.pull(zoho.books.contacts, path)
            assert len(sqlite(path, "row")) == 1
        else:
            with pytest.raises(bulk.InputError, match="was written by a newer zoho_async"):
                await bulk.pull(zoho.books.contacts, path)


@pytest.mark.parametrize("full", [False, True])
async def test_two_organisations_never_come_together_in_a_file(tmp_path: Path, full: bool) -> None:
    path = tmp_path / "a.sqlite"
    async with FakeZoho(organizations=("1", "2"), per_minute=None) as fake:
        async with client_of(fake, organization_id="1") as zoho:
            await zoho.books.contacts.create({"contact_name": "A"})
            await bulk.pull(zoho.books.contacts, path)
            before = sqlite(path, "row")
            # Another product's list may have the same name.
            with pytest.raises(bulk.InputError, match=r"holds books\.contacts .*, not invoice\.contacts"):
                target = msgspec.structs.replace(Destination.of(zoho.books.contacts), name="invoice.contacts")
                SqliteCopy(path, target).open()
        async with client_of(fake, organization_id="2") as zoho:
            with pytest.raises(bulk.InputError, match=r"holds books\.contacts of organisation 1 .*, not .* of 2 "):
                await bulk.pull(zoho.books.contacts, path, full=full)
        assert fake.requests(LIST) == 1
        assert len(before) == 1
        assert sqlite(path, "row") == before


async def test_another_programs_file_is_no_target(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    state = tmp_path / "state.sqlite"
    async for _ in bulk.push(zoho.books.contacts, [{"contact_name": "A"}], state=state):
        pass
    other = tmp_path / "other.sqlite"
    connection = sqlite3.connect(other)
    connection.execute("CREATE TABLE contacts (id TEXT)")
    connection.close()
    listed = fake.requests(LIST)
    for path in (state, other):
        before = path.read_bytes()
        with pytest.raises(bulk.InputError, match="is not a file of an earlier pull"):
            await bulk.pull(zoho.books.contacts, path)
        assert path.read_bytes() == before
    assert fake.requests(LIST) == listed
    pulled = tmp_path / "pulled.db"
    await bulk.pull(zoho.books.contacts, pulled)
    with pytest.raises(bulk.StateError, match="is not a state file"):
        async for _ in bulk.push(zoho.books.contacts, [{"contact_name": "B"}], state=pulled):
            pass


async def test_progress_is_reported_as_it_grows(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    seed(fake, 450)
    seen: list[int] = []
    await bulk.pull(zoho.books.contacts, tmp_path / "a.jsonl", on_progress=lambda summary: seen.append(summary.records))
    assert seen == [50, 250, 450, 450]
