from __future__ import annotations

import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zoho_async.bulk.state import runs as module
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Journal
from zoho_async.bulk.state.runs import RejectedRow, begin, end, record_rejected, rejected_rows, runs, show, stored_ids


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with Database(None) as opened:
        yield opened


def problem(number: int, **changes: Any) -> RejectedRow:
    row = RejectedRow(
        number=number,
        line=number + 1,
        identity=f"cf_id={number}",
        digest=f"d{number}",
        status="failed",
        code="3062",
        field="contact_name",
        reason="is taken",
        hint="choose another",
    )
    return msgspec.structs.replace(row, **changes)


async def all_problems(database: Database, run: int) -> list[RejectedRow]:
    return [row async for row in rejected_rows(database, run)]


async def all_identities(database: Database, target: str | None) -> list[tuple[str, ...]]:
    return [tuple(row) async for row in stored_ids(database, target)]


async def test_a_run_from_beginning_to_end(database: Database) -> None:
    before = datetime.now(UTC) - timedelta(milliseconds=1)
    number = await begin(database, "t", source="a\ud83c.csv", options={"upsert_by": "cf_id", "file": Path("a.csv")})
    run = await show(database, number)
    assert run is not None
    assert (run.id, run.target, run.source, run.state, run.error) == (number, "t", "a?.csv", "running", "")
    assert (run.options, run.summary, run.ended_at) == ({"upsert_by": "cf_id", "file": "a.csv"}, {}, None)
    assert run.started_at >= before
    summary = {"rows": 3, "kinds": {"3062": 1, "\ud83c": 1}, "amount": Decimal("1.50"), "complete": True}
    await end(database, number, "failed", summary=summary, error="the day's calls \ud83c are used up")
    run = await show(database, number)
    assert run is not None
    assert (run.state, run.error) == ("failed", "the day's calls ? are used up")
    assert run.summary == {"rows": 3, "kinds": {"3062": 1, "\ud83c": 1}, "amount": "1.50", "complete": True}
    assert run.ended_at is not None
    assert run.ended_at >= run.started_at
    assert await show(database, number + 1) is None


async def test_a_new_run_stops_those_of_its_target_that_still_run(database: Database) -> None:
    old = await begin(database, "t", source="1", options={})
    complete = await begin(database, "t", source="2", options={})
    await end(database, complete, "complete", summary={})
    other = await begin(database, "u", source="3", options={})
    new = await begin(database, "t", source="4", options={})
    found = {run.id: run for run in await runs(database)}
    assert {number: run.state for number, run in found.items()} == {
        old: "stopped",
        complete: "complete",
        other: "running",
        new: "running",
    }
    assert found[old].ended_at is None


@pytest.mark.parametrize(
    ("state", "summary", "untried", "input_rows"),
    [
        ("complete", {"rows": 3, "of": 3, "input_rows": 9}, 0, 9),
        ("stopped", {"rows": 3, "of": 5, "input_rows": 5}, 2, 5),
        # Asked to end when everything was done.
        ("stopped", {"rows": 5, "of": 5, "input_rows": 5}, 0, 5),
        ("failed", {"rows": 3, "of": None, "input_rows": None}, None, None),
        ("complete", {"rows": 3}, 0, 3),
    ],
)
async def test_how_many_rows_a_run_did_not_come_to(
    database: Database, state: Any, summary: dict[str, Any], untried: int | None, input_rows: int | None
) -> None:
    number = await begin(database, "t", source="a.csv", options={})
    run = await show(database, number)
    assert run is not None
    assert run.untried is None
    await end(database, number, state, summary=summary)
    run = await show(database, number)
    assert run is not None
    assert (run.untried, run.input_rows) == (untried, input_rows)


async def test_runs_are_listed_newest_first(database: Database) -> None:
    assert await runs(database) == []
    numbers = [await begin(database, target, source="", options={}) for target in ("t", "u", "t")]
    assert len(set(numbers)) == 3
    assert [run.id for run in await runs(database)] == numbers[::-1]
    assert [run.id for run in await runs(database, "t")] == [numbers[2], numbers[0]]
    assert await runs(database, "") == []


async def test_a_killed_run_is_running_until_the_next_begins(tmp_path: Path) -> None:
    path = tmp_path / "s"
    program = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from zoho_async.bulk.state.database import Database\n"
        "from zoho_async.bulk.state.runs import begin\n"
        "async def main():\n"
        "    async with Database(Path(sys.argv[1])) as database:\n"
        "        await begin(database, 't', source='a.csv', options={})\n"
        "        os._exit(9)\n"
        "asyncio.run(main())\n"
    )
    arguments = [sys.executable, "-c", program, str(path)]
    assert subprocess.run(arguments, check=False).returncode == 9  # noqa: ASYNC221 - the loop has nothing else to do
    async with Database(path, create=False) as database:
        assert [run.state for run in await runs(database)] == ["running"]
    async with Database(path) as database:
        await begin(database, "t", source="a.csv", options={})
        assert [run.state for run in await runs(database)] == ["running", "stopped"]


@pytest.mark.parametrize("count", [0, 1, module.BATCH - 1, module.BATCH, module.BATCH + 1, 2 * module.BATCH])
async def test_problems_come_in_the_order_of_the_rows(database: Database, count: int) -> None:
    rows = [problem(number) for number in range(count)]
    await record_rejected(database, 1, rows[::-1])
    await record_rejected(database, 2, [problem(5)])
    assert await all_problems(database, 1) == rows
    assert await all_problems(database, 2) == [problem(5)]
    assert await all_problems(database, 3) == []


async def test_a_problem_of_the_same_row_is_replaced(database: Database) -> None:
    await record_rejected(database, 1, [problem(1), problem(2)])
    await record_rejected(database, 1, [problem(2, status="unknown", reason="odd \ud83c", line=0)])
    assert await all_problems(database, 1) == [problem(1), problem(2, status="unknown", reason="odd ?", line=0)]


async def test_ids_come_by_label_the_record_before_its_parts(database: Database) -> None:
    journal = Journal(database, "t")
    await journal.record_done(
        "2", "d", display_key="B", record_id="20", child_ids=[("person", "x@example.com", "21"), ("address", "", "22")]
    )
    await journal.record_done("1", "d", display_key="C", record_id="10")
    await journal.record_done("4", "d", display_key="B", record_id="40")
    await journal.record_intent("3", "d", operation="create", display_key="A")
    # A refused change leaves the record where it is.
    await journal.record_intent("1", "e", operation="update")
    await journal.record_outcome("1", "failed")
    await Journal(database, "u").record_done("1", "d", display_key="B", record_id="50")
    of_t = [
        ("B", "t", "record", "", "20"),
        ("B", "t", "person", "x@example.com", "21"),
        ("B", "t", "address", "", "22"),
        ("B", "t", "record", "", "40"),
        ("C", "t", "record", "", "10"),
    ]
    assert await all_identities(database, "t") == of_t
    assert await all_identities(database, None) == [*of_t[:4], ("B", "u", "record", "", "50"), of_t[4]]
    assert await all_identities(database, "nothing") == []


@pytest.mark.parametrize("count", [module.BATCH, module.BATCH + 1, 2 * module.BATCH + 1])
async def test_ids_in_many_batches_are_neither_lost_nor_doubled(database: Database, count: int) -> None:
    def work(connection: Any) -> None:
        connection.executemany(
            "INSERT INTO journal (target, identity, digest, state, record_id, intended_at, label) "
            "VALUES ('t', ?, 'd', 'done', ?, '', ?)",
            ((str(n), f"r{n}", f"{n % 7}") for n in range(count)),
        )

    await database.run(work)
    found = await all_identities(database, "t")
    assert [row[0] for row in found] == sorted(str(n % 7) for n in range(count))
    assert {row[4] for row in found} == {f"r{n}" for n in range(count)}


async def test_ids_are_those_of_the_moment_and_leave_nothing_behind(database: Database) -> None:
    def temporary(connection: Any) -> list[Any]:
        return [name for (name,) in connection.execute("SELECT name FROM temp.sqlite_master") if "identities" in name]

    journal = Journal(database, "t")
    for number in range(module.BATCH + 1):
        await journal.record_done(str(number), "d", display_key=f"{number:04}", record_id=f"r{number}")
    async with aclosing(stored_ids(database, "t")) as all_:
        assert (await anext(all_)).id == "r0"
        await journal.record_done("late", "d", display_key="9999", record_id="late")
        await journal.record_outcome("500", "done", record_id="changed")
        rest = [row.id async for row in all_]
        assert rest[-1] == "r500"
    assert await database.run(temporary) == []
    async with aclosing(stored_ids(database, "t")) as all_:
        await anext(all_)
        assert len(await database.run(temporary)) == 1
    assert await database.run(temporary) == []


async def test_ids_left_open_when_the_file_is_closed_end_without_a_word() -> None:
    async with Database(None) as database:
        await Journal(database, "t").record_done("1", "d", display_key="A", record_id="10")
        left = stored_ids(database, "t")
        await anext(left)
    await left.aclose()
