"""What a pull says it costs is what it costs, found out in three calls at most and without a change to its file."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of

from zoho_async import Zoho, bulk, errors
from zoho_async.bulk.pulling import listing
from zoho_async.bulk.pulling.listing import CallBudget, ListReader
from zoho_async.fake import FakeZoho


def seed(fake: FakeZoho, count: int) -> None:
    fake.seed({"contact_name": f"Name {number:04d}"} for number in range(count))


def names_in(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("count", [0, 150, 200, 201, 650])
@pytest.mark.parametrize("product", ["books", "billing"])
@pytest.mark.parametrize("name", ["a.sqlite", "a.jsonl"])
async def test_a_first_and_an_idle_pull_cost_what_is_planned(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str, product: str, count: int
) -> None:
    seed(fake, count)
    resource = zoho.books.contacts if product == "books" else zoho.billing.customers
    path = tmp_path / name
    for turn in ("first", "idle"):
        reported: list[bulk.PullCost] = []
        files = names_in(tmp_path)
        before = fake.requests()
        planned = await bulk.plan_pull(resource, path)
        assert fake.requests() - before == planned.reads <= 3
        assert names_in(tmp_path) == files
        summary = await bulk.pull(resource, path, on_cost=reported.append)
        assert summary.reads == planned.calls == reported[0].calls
        assert len(reported) == 1
        assert turn == "first" or planned.idle == summary.reads
        assert planned.records == count
        assert planned.in_full is (product == "billing" or name == "a.jsonl")


async def test_the_cost_of_details_changes_and_deletes(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    seed(fake, 450)
    contacts, path = zoho.books.contacts, tmp_path / "a.sqlite"
    planned = await bulk.plan_pull(contacts, path, details="changed")
    assert (planned.calls, planned.details) == (7 + 450, 450)
    assert (await bulk.pull(contacts, path, details="changed")).reads == 7 + 450
    changed, gone, *_ = fake.organization().contacts
    await contacts.update(changed, {"contact_name": "new"})
    planned = await bulk.plan_pull(contacts, path, details="changed")
    assert (planned.calls, planned.at_least) == (2 + 1, False)
    fake.organization().remove(gone)
    planned = await bulk.plan_pull(contacts, path)
    assert planned.calls == 2 + planned.daily == 2 + 5
    summary = await bulk.pull(contacts, path)
    # The record that is missing is counted and asked for too.
    assert (summary.reads, summary.deleted) == (2 + 5 + 2, 1)
    assert (await bulk.plan_pull(contacts, path, details="all")).calls == 2 + 449
    assert (await bulk.plan_pull(contacts, path, full=True)).calls == 2 + 5
    limited = await bulk.plan_pull(contacts, path, details="all", max_calls=20)
    assert limited.sentence().startswith("20 calls now, of the 451 that are needed")


async def test_the_cost_of_an_interrupted_pull_is_what_is_left(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    seed(fake, 1000)
    path = tmp_path / "a.sqlite"
    await bulk.pull(zoho.books.contacts, path, max_calls=5)
    planned = await bulk.plan_pull(zoho.books.contacts, path)
    assert planned.calls == (await bulk.pull(zoho.books.contacts, path)).reads == 2 + 2


async def test_a_plan_reads_a_file_that_a_pull_is_writing(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    seed(fake, 450)
    path = tmp_path / "a.sqlite"
    await bulk.pull(zoho.books.contacts, path)
    with closing(sqlite3.connect(path, isolation_level=None)) as writer:
        writer.execute("UPDATE contacts SET notes = 'x'")
        writer.execute("BEGIN IMMEDIATE")
        assert "a.sqlite-wal" in names_in(tmp_path)
        assert (await bulk.plan_pull(zoho.books.contacts, path)).calls == 2


async def test_a_plan_refuses_what_a_pull_refuses(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    with pytest.raises(bulk.InputError, match="only SQLite remembers"):
        await bulk.plan_pull(zoho.books.contacts, tmp_path / "a.csv", max_calls=3)
    with pytest.raises(bulk.InputError, match="reading a page and a record needs at least 2 calls a run"):
        await bulk.plan_pull(zoho.books.contacts, tmp_path / "a.sqlite", details="all", max_calls=1)
    fake.seed({"contact_name": f"N{number}"} for number in range(201))
    with pytest.raises(bulk.InputError, match="reading a list of several pages needs at least 3 calls a run"):
        await bulk.plan_pull(zoho.books.contacts, tmp_path / "a.sqlite", max_calls=2)
    other = tmp_path / "other.db"
    other.write_bytes(b"something else" * 100)
    with pytest.raises(bulk.InputError, match="is not a file of an earlier pull"):
        await bulk.plan_pull(zoho.books.contacts, other)
    async with FakeZoho(organizations=("1",), per_minute=None) as second, client_of(second) as another:
        await bulk.pull(another.books.contacts, tmp_path / "a.sqlite")
    with pytest.raises(bulk.InputError, match=r"holds books.contacts of organisation 1 "):
        await bulk.plan_pull(zoho.books.contacts, tmp_path / "a.sqlite")
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as connection:
        connection.execute("PRAGMA user_version = 99")
    with pytest.raises(bulk.InputError, match="was written by a newer zoho_async"):
        await bulk.plan_pull(zoho.books.contacts, tmp_path / "a.sqlite")


async def test_a_list_that_is_not_counted_has_no_known_cost(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count(self: ListReader) -> None:
        return None

    seed(fake, 450)
    monkeypatch.setattr(ListReader, "count", count)
    reported: list[bulk.PullCost] = []
    planned = await bulk.plan_pull(zoho.books.contacts, tmp_path / "a.jsonl")
    await bulk.pull(zoho.books.contacts, tmp_path / "a.jsonl", on_cost=reported.append)
    assert (planned.calls, [one.calls for one in reported]) == (None, [None])
    assert planned.sentence() == (
        "an unknown number of calls now, for Zoho does not count this list: each pull reads the list in full"
    )


@pytest.mark.parametrize(
    ("cost", "every", "expected"),
    [
        ({"calls": 101, "idle": 2}, 3600, "101 calls now, about 2 an hour when nothing changes"),
        ({"calls": 1, "idle": 1}, 900, "1 call now, about 4 an hour when nothing changes"),
        (
            {"calls": 5104, "details": 5000, "idle": 2, "daily": 102},
            86_400,
            "5,104 calls now (5,000 for details), about 1 an hour when nothing changes and 102 once a day to look for "
            "deletes",
        ),
        (
            {"calls": 2, "idle": 2, "at_least": True},
            3600,
            "2 calls now, more for what has changed, about 2 an hour when nothing changes",
        ),
        ({"calls": 9, "idle": None, "allowed": 9}, 3600, "9 calls now"),
        (
            {"calls": 28, "idle": 26, "in_full": True},
            3600,
            "28 calls now, about 26 an hour when nothing changes: each pull reads the list in full",
        ),
    ],
)
def test_the_sentence(cost: dict[str, Any], every: float, expected: str) -> None:
    assert bulk.PullCost(**cost).sentence(every) == expected


@pytest.mark.parametrize("name", ["a.sqlite", "a.jsonl"])
async def test_a_pull_can_wait_for_the_next_days_calls(
    days: None, fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    async def sleep_until(moment: datetime, **_: Any) -> None:
        slept.append(moment)

    slept: list[datetime] = []
    waited: list[datetime] = []
    seed(fake, 30)
    fake.script("books.contacts.get", ["pass"] * 5 + ["429:45"])
    with pytest.raises(errors.QuotaExceededError):
        await bulk.pull(zoho.books.contacts, tmp_path / name, details="all")
    monkeypatch.setattr(listing, "sleep_until", sleep_until)
    fake.script("books.contacts.list", ["429:45"])
    fake.script("books.contacts.get", ["pass"] * 5 + ["429:45"])
    summary = await bulk.pull(
        zoho.books.contacts, tmp_path / name, details="all", wait=True, on_wait=waited.append, concurrency=1
    )
    assert (summary.records, summary.complete, slept) == (30, True, waited)
    assert len(waited) == 2


async def test_several_calls_wait_for_one_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    async def sleep_until(moment: datetime, **_: Any) -> None:
        slept.append(moment)

    async def call() -> str:
        calls.append(1)
        if len(calls) <= 2:
            raise errors.QuotaExceededError("used up", operation="x", resets_at=moment)
        return "done"

    monkeypatch.setattr(listing, "sleep_until", sleep_until)
    moment = datetime.now(UTC) + timedelta(hours=3)
    slept: list[datetime] = []
    calls: list[int] = []
    waited: list[datetime] = []
    assert await CallBudget(wait=True, on_wait=waited.append).make(call) == "done"
    assert (slept, waited) == ([moment, moment], [moment])
    calls.clear()
    with pytest.raises(errors.QuotaExceededError):
        await CallBudget().make(call)
