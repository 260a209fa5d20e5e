from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async import Zoho, bulk
from zoho_async.bulk.errors import StateError
from zoho_async.bulk.rows.duplicates import KEYS, DuplicateDetector
from zoho_async.bulk.state.database import Database
from zoho_async.fake import FakeZoho


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with Database(None) as opened:
        yield opened


async def test_the_first_row_of_a_value_is_named(database: Database) -> None:
    seen = DuplicateDetector(database)
    assert await seen.first(KEYS, [("Ann", 1), ("Ben", 2), ("Ann", 3)]) == [1, 2, 1]
    assert await seen.first(KEYS, [("Ben", 4), ("ann", 5), ("Ben", 2)]) == [2, 5, 2]
    assert await seen.first("customer", [("Ann", 6)]) == [6]
    assert await seen.first(KEYS, []) == []


VALUES = st.sampled_from(["k", "K", "k ", "", "#", "k=a@b"]) | st.text(st.characters(codec="utf-8"), max_size=3)


@given(values=st.lists(VALUES), cut=st.integers(0, 9))
async def test_batches_change_nothing(values: list[str], cut: int) -> None:
    rows = [(value, number) for number, value in enumerate(values, 1)]
    async with Database(None) as database:
        seen = DuplicateDetector(database)
        found = await seen.first(KEYS, rows[:cut]) + await seen.first(KEYS, rows[cut:])
        assert found == [values.index(value) + 1 for value in values]

        def holders(connection: sqlite3.Connection) -> list[int | None]:
            return [seen.holder(connection, KEYS, value) for value in [*values, "nowhere"]]

        assert await database.run(holders) == [*found, None]


async def test_runs_do_not_see_each_others_rows(database: Database) -> None:
    one, other = DuplicateDetector(database), DuplicateDetector(database)
    assert await database.run(lambda connection: one.holder(connection, KEYS, "k")) is None
    assert await one.first(KEYS, [("k", 1)]) == [1]
    assert await other.first(KEYS, [("k", 2)]) == [2]


async def test_a_transaction_that_fails_is_forgotten(database: Database) -> None:
    seen = DuplicateDetector(database)
    for _ in range(2):
        with pytest.raises(StateError):
            await seen.first(KEYS, [("k", 1), (object(), 2)])  # type: ignore[list-item]
    assert await seen.first(KEYS, [("k", 3)]) == [3]


async def test_nothing_of_it_is_in_the_file(database: Database) -> None:
    await DuplicateDetector(database).first(KEYS, [("k", 1)])
    names = await database.run(lambda connection: connection.execute("SELECT name FROM main.sqlite_master").fetchall())
    assert not [name for (name,) in names if "seen" in name]


@pytest.mark.parametrize("kind", [list, iter])
async def test_rows_of_several_files_are_numbered_by_their_places(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, kind: Any
) -> None:
    rows: list[bulk.Row] = []
    for name in ("A", "B"):
        path = tmp_path / f"{name}.csv"
        path.write_text(f"contact_name,cf_external_id\n{name}1,1\n{name}2,2\n{name}3,{name}\n")
        rows += bulk.open_rows(path)
    rows[0], rows[1] = rows[1], rows[0]
    push = bulk.push(zoho.books.contacts, kind(rows), upsert_by="cf_external_id")
    outcomes = sorted([outcome async for outcome in push], key=lambda one: one.row.number)
    assert [(one.row.number, one.row.values["contact_name"], one.status) for one in outcomes] == [
        (1, "A2", "done"),
        (2, "A1", "done"),
        (3, "A3", "done"),
        (4, "B1", "failed"),
        (5, "B2", "failed"),
        (6, "B3", "done"),
    ]
    assert [one.reason.partition(";")[0] for one in outcomes[3:5]] == [
        "cf_external_id: is the same as in row 2",
        "cf_external_id: is the same as in row 1",
    ]
