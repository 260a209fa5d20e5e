from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async import Zoho, bulk
from zoho_async.bulk.errors import StateError
from zoho_async.bulk.rows.duplicates import DuplicateDetector
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.refusal_tags import mark
from zoho_async.bulk.source.files import Row
from zoho_async.bulk.state.database import Database
from zoho_async.fake import FakeZoho


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with Database(None) as opened:
        yield opened


async def test_equal_keys_are_told_apart_or_named(database: Database) -> None:
    rows = [("k", 1), ("x", 2), ("k", 3)]
    assert await DuplicateDetector(database).identify(rows, counted=True) == [("k#1", 1), ("x#1", 2), ("k#2", 3)]
    seen = DuplicateDetector(database)
    assert await seen.identify(rows, counted=False) == [("k", 1), ("x", 2), ("k", 1)]
    assert await seen.identify([("k", 4)], counted=False) == [("k", 1)]


async def test_a_row_keeps_the_identity_it_had(database: Database) -> None:
    keys = [("k", 1), ("mended", 2), ("k", 3), ("k", 4)]
    found = await DuplicateDetector(database).identify(keys, counted=True, carried={1: "k#2", 2: "old#1"})
    assert found == [("k#2", 1), ("old#1", 2), ("k#1", 3), ("k#3", 4)]
    # A key is the identity, whatever a file says.
    assert await DuplicateDetector(database).identify([("k", 1)], counted=False, carried={1: "k#2"}) == [("k", 1)]


async def test_only_the_first_row_keeps_an_identity_that_was_copied(database: Database) -> None:
    seen = DuplicateDetector(database)
    assert await seen.identify([("k", 1), ("x", 2)], counted=True, carried={1: "k#1", 2: "k#1"}) == [
        ("k#1", 1),
        ("x#1", 2),
    ]
    assert await seen.identify([("k", 3)], counted=True, carried={3: "k#1"}) == [("k#2", 3)]


async def test_a_mark_is_no_identity(database: Database) -> None:
    rows = [("k", 1), ("k", 2)]
    marks = {number: mark(Row(number=number), "name", Options()) for _, number in rows}
    assert await DuplicateDetector(database).identify(rows, counted=True, carried=marks) == [("k#1", 1), ("k#2", 2)]
    # One may hold an identity.
    marks[1] = mark(Row(number=1), "name", Options(), "k#2")
    assert await DuplicateDetector(database).identify(rows, counted=True, carried=marks) == [("k#2", 1), ("k#1", 2)]


KEYS = st.sampled_from(["k", "k#1", "k#1#1", "k#2", "#", ""]) | st.text(st.characters(codec="utf-8"), max_size=3)


@given(keys=st.lists(KEYS), cut=st.integers(0, 9))
async def test_counted_rows_are_all_different_however_they_are_batched(keys: list[str], cut: int) -> None:
    rows = [(key, number) for number, key in enumerate(keys, 1)]
    async with Database(None) as database:
        seen = DuplicateDetector(database)
        found = await seen.identify(rows[:cut], counted=True) + await seen.identify(rows[cut:], counted=True)
        assert [first for _, first in found] == list(range(1, len(rows) + 1))
        assert len({identity for identity, _ in found}) == len(rows)
        assert [identity.rpartition("#")[0] for identity, _ in found] == keys
        assert await DuplicateDetector(database).identify(rows, counted=True) == found


async def test_the_first_row_of_a_name_is_named(database: Database) -> None:
    seen = DuplicateDetector(database)
    assert await seen.first("name", [("Ann", 1), ("Ben", 2), ("Ann", 3)]) == [1, 2, 1]
    assert await seen.first("name", [("Ben", 4), ("ann", 5), ("Ben", 2)]) == [2, 5, 2]
    assert await seen.first("email", [("Ann", 6)]) == [6]
    assert await seen.first("name", []) == []


async def test_runs_do_not_see_each_others_rows(database: Database) -> None:
    one, other = DuplicateDetector(database), DuplicateDetector(database)
    assert await one.identify([("k", 1)], counted=False) == [("k", 1)]
    assert await other.identify([("k", 2)], counted=False) == [("k", 2)]
    assert await one.first("name", [("Ann", 1)]) == [1]
    assert await other.first("name", [("Ann", 2)]) == [2]
    # Nor does a key have to do with a name.
    assert await one.identify([("Ann", 3)], counted=False) == [("Ann", 3)]


async def test_a_transaction_that_fails_is_forgotten(database: Database) -> None:
    seen = DuplicateDetector(database)
    for _ in range(2):
        with pytest.raises(StateError):
            await seen.identify([("k", 1), (object(), 2)], counted=False)  # type: ignore[list-item]
        with pytest.raises(StateError):
            await seen.first("name", [("k", 1), (object(), 2)])  # type: ignore[list-item]
    assert await seen.identify([("k", 3)], counted=False) == [("k", 3)]
    assert await seen.first("name", [("k", 3)]) == [3]


async def test_nothing_of_it_is_in_the_file(database: Database) -> None:
    seen = DuplicateDetector(database)
    await seen.identify([("k", 1)], counted=True)
    await seen.first("name", [("Ann", 1)])
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
