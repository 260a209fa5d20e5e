"""Plan, retry, runs, ids and records as they were, for callers of the library."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from zoho_async import Limits, Zoho, bulk
from zoho_async.fake import FakeZoho

KEY = "cf_external_id"


def write(path: Path, names: list[str]) -> bulk.RowFile:
    rows = "".join(f"{name},K{number}\n" for number, name in enumerate(names, 1))
    path.write_text(f"contact_name,{KEY}\n{rows}", encoding="utf-8")
    return bulk.open_rows(path)


async def outcomes(push: bulk.Push) -> list[str]:
    found = [one async for one in push]
    return [one.action for one in sorted(found, key=lambda one: one.row.number)]


async def test_a_plan_needs_no_client(tmp_path: Path) -> None:
    rejected: list[bulk.RowOutcome] = []
    rows = write(tmp_path / "a.csv", ["A", "", "C"])
    made = await bulk.plan("books.contacts", rows, upsert_by=KEY, on_rejected=rejected.append)
    assert (made.looked, made.create, made.faulty, made.writes) == (False, 2, 1, 2)
    assert [one.row.number for one in rejected] == [2]
    stopped = await bulk.plan("books.contacts", rows, upsert_by=KEY, stopped=lambda: True)
    assert stopped.create == 0
    with pytest.raises(bulk.InputError, match="there is no `books nothing`"):
        await bulk.plan("books.nothing", rows)


async def test_beyond_its_reads_a_plan_counts_upper_bounds(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    fake.seed([{"contact_name": name, KEY: f"K{number}", "notes": "x"} for number, name in enumerate("AB", 1)])
    rows = [{"contact_name": name, KEY: f"K{number}", "notes": "y"} for number, name in enumerate("AB", 1)]
    made = await bulk.plan(zoho.books.contacts, rows, upsert_by=KEY)
    assert (made.update, made.exact, made.reads_spent) == (2, True, 4)
    made = await bulk.plan(zoho.books.contacts, rows, upsert_by=KEY, max_reads=1)
    assert (made.update, made.exact, made.reads_spent) == (2, False, 2)


async def test_a_forecast_of_a_plan(fake: FakeZoho, zoho: Zoho) -> None:
    made = bulk.Plan(create=2_000, writes=2_000)
    when = bulk.forecast_of(made, limits=Limits(per_minute=100, reserve=5))
    assert when.done_at is not None
    assert (when.limited_by, when.days, when.left_today, when.per_day, when.reserve) == ("minute", 1, None, None, 5)
    assert set(when.larger_plans) == {1000, 2000, 5000, 10000}
    with pytest.raises(bulk.InputError):
        bulk.forecast_of(made, limits=Limits(), window="7-19")


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"upsert_by": KEY, "match_by": "email"}, "either by"),
        ({"window": "7-19"}, "7-19"),
        ({"match_by": "notes"}, "there is no column `notes`"),
    ],
)
def test_a_check_finds_what_is_wrong_before_any_call(tmp_path: Path, options: Any, word: str) -> None:
    rows = write(tmp_path / "a.csv", ["A"])
    with pytest.raises(bulk.InputError, match=word):
        bulk.check("books.contacts", rows, **options)
    bulk.check("books.contacts", rows, upsert_by=KEY)
    bulk.check("books.contacts")


async def test_a_retry_pushes_what_a_run_has_left(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    contacts, path, state = zoho.books.contacts, tmp_path / "a.csv", tmp_path / "s"
    push = bulk.push(contacts, write(path, ["A", "", "C"]), upsert_by=KEY, state=state)
    assert await outcomes(push) == ["created", "none", "created"]
    write(path, ["A", "B", "C"])
    left = await bulk.remaining_rows(contacts, 1, state=state, upsert_by=KEY)
    assert ([row.number for row in left.rows], left.source.count, dict(left.remaining)) == ([2], 3, {2: ""})
    async with await bulk.retry(contacts, 1, state=state, upsert_by=KEY) as run:
        assert await outcomes(run) == ["created"]
    assert (run.summary.complete, run.summary.of, run.summary.input_rows) == (True, 1, 3)
    # Done since.
    left = await bulk.remaining_rows(contacts, 1, state=state, upsert_by=KEY, rows=bulk.open_rows(path))
    assert ([row.number for row in left.rows], dict(left.remaining)) == ([2], {})
    again = await bulk.retry(contacts, 1, state=state, upsert_by=KEY)
    assert await outcomes(again) == ["unchanged"]
    for options, word in (({}, "name the state file"), ({"state": tmp_path / "none"}, "there is no state file")):
        with pytest.raises(bulk.InputError, match=word):
            await bulk.retry(contacts, 1, upsert_by=KEY, **options)
    with pytest.raises(bulk.InputError, match="there is no run 9"):
        await bulk.retry(contacts, 9, state=state, upsert_by=KEY)


async def test_runs_and_what_they_did(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    contacts = zoho.books.contacts
    fake.seed([{"contact_name": "old", KEY: "K1"}])
    state = bulk.default_state(contacts, tmp_path)
    assert state == tmp_path / f"zoho-{fake.organization_id}-books-contacts.state.sqlite"
    assert bulk.state_files(tmp_path) == []
    await outcomes(bulk.push(contacts, write(tmp_path / "a.csv", ["A", "", "C"]), upsert_by=KEY, state=state))
    await outcomes(bulk.push(contacts, write(tmp_path / "a.csv", ["A"]), upsert_by=KEY, state=state))
    before = state.read_bytes()
    assert bulk.state_files(tmp_path) == [state]
    assert [(one.id, one.state, one.rejected) for one in await bulk.runs(state)] == [
        (2, "complete", 0),
        (1, "complete", 1),
    ]
    rows = [row async for row in bulk.rejected_rows(state, 1)]
    assert [(row.number, row.field, row.status) for row in rows] == [(2, "contact_name", "failed")]
    images = [image async for image in bulk.before_images(state, 1)]
    assert [json.loads(bytes(image.record))["contact_name"] for image in images] == ["old"]
    found = [one async for one in bulk.ids(state)]
    assert {one.label for one in found} == {"K1", "K3"}
    assert await bulk.save_before_images(state, 1, tmp_path / "images.jsonl") == 1
    assert await bulk.save_ids([state], tmp_path / "ids.csv") == len(found)
    with (tmp_path / "ids.csv").open(encoding="utf-8", newline="") as file:
        assert [row["zoho_id"] for row in csv.DictReader(file)] == [one.id for one in found]
    assert state.read_bytes() == before
    with pytest.raises(bulk.InputError, match="there is no such state file"):
        await bulk.runs(tmp_path / "none")
