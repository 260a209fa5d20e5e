from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from zoho_async.bulk.state import journal as module
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Entry, Journal, State


@pytest.fixture
async def database() -> AsyncIterator[Database]:
    async with Database(None) as opened:
        yield opened


@pytest.fixture
def journal(database: Database) -> Journal:
    return Journal(database, "t", 7)


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every look at the clock finds it a second later."""
    ticks = iter(range(10_000))
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    monkeypatch.setattr(
        module, "now", lambda: (begin + timedelta(seconds=next(ticks))).isoformat(timespec="milliseconds")
    )


async def row_of(database: Database, identity: str, target: str = "t") -> dict[str, Any] | None:
    """Everything the table holds of a row."""

    def work(connection: sqlite3.Connection) -> dict[str, Any] | None:
        found = connection.execute("SELECT * FROM journal WHERE target = ? AND identity = ?", (target, identity))
        row = found.fetchone()
        return None if row is None else {name[0]: value for name, value in zip(found.description, row, strict=True)}

    return await database.run(work)


async def entry_of(journal: Journal, identity: str) -> Entry:
    return (await journal.entries([identity]))[identity]


async def test_an_intent_and_its_outcome_outlive_the_process(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "state.sqlite"
    async with Database(path) as database:
        journal = Journal(database, "t")
        await journal.record_intent("A", "d1", operation="create")
        await journal.record_intent("B", "d2", operation="update")
        await journal.settle("B", "done", record_id="77", modified="2026-01-01T00:00:00+0530")
    async with Database(path) as database:
        entries = await Journal(database, "t").entries(["B", "C", "A"])
        assert list(entries) == ["B", "A"]
        assert (entries["A"].state, entries["A"].digest, entries["A"].operation) == ("intent", "d1", "create")
        assert (entries["B"].state, entries["B"].record_id, entries["B"].operation) == ("done", "77", "update")
        assert entries["B"].modified == "2026-01-01T00:00:00+0530"
        assert await Journal(database, "another target").entries(["A"]) == {}


async def test_an_intent_is_written_with_all_that_is_known(database: Database, journal: Journal) -> None:
    await journal.record_intent("A", "d", operation="upsert", label="Ann \ud83c")
    row = await row_of(database, "A")
    assert row is not None
    assert (row["run"], row["operation"], row["label"], row["state"]) == (7, "upsert", "Ann ?", "intent")
    await Journal(database, "t", 8).record_intent("A", "d", operation="update")
    row = await row_of(database, "A")
    assert row is not None
    assert (row["run"], row["operation"], row["label"]) == (8, "update", "Ann ?")


@pytest.mark.parametrize(
    ("state", "digest", "kept"),
    [
        (None, "d", True),
        ("unknown", "d", True),
        (None, "e", False),
        ("unknown", "e", False),
        ("done", "d", False),
        ("failed", "d", False),
    ],
)
async def test_only_an_open_outcome_of_the_same_body_keeps_its_time(
    journal: Journal, state: State | None, digest: str, kept: bool
) -> None:
    await journal.record_intent("A", "d", operation="create")
    if state is not None:
        await journal.settle("A", state)
    before = await entry_of(journal, "A")
    await journal.record_intent("A", digest, operation="create")
    after = await entry_of(journal, "A")
    assert after.state == "intent"
    assert (after.intended_at == before.intended_at) is kept
    assert after.intended_at >= before.intended_at


async def test_the_record_is_kept_as_it_was(database: Database, journal: Journal) -> None:
    await journal.record_intent("A", "d", operation="update", image=("77", b'{"contact_name":"before"}'))
    await journal.record_intent("B", "d", operation="create")
    await journal.record_intent("A", "e", operation="update", image=("77", b'{"contact_name":"later"}'))
    await journal.rollback_intent("A")

    def work(connection: sqlite3.Connection) -> list[Any]:
        return connection.execute(
            "SELECT target, run, identity, record_id, image, taken_at <> '' FROM images ORDER BY id"
        ).fetchall()

    assert await database.run(work) == [
        ("t", 7, "A", "77", b'{"contact_name":"before"}', 1),
        ("t", 7, "A", "77", b'{"contact_name":"later"}', 1),
    ]


async def test_settling_overwrites_only_what_it_names(database: Database, journal: Journal) -> None:
    await journal.record_intent("A", "d", operation="create", label="Ann")
    parts = [("contact_person", "ann@example.com", "78"), ("billing_address", "", "79")]
    await journal.settle("A", "done", record_id="77", modified="m1", parts=parts)
    await journal.record_intent("A", "e", operation="update")
    await journal.settle("A", "failed", code="3062", message="name \ud83c taken")
    row = await row_of(database, "A")
    assert row is not None
    assert (row["state"], row["record_id"], row["modified"], row["label"]) == ("failed", "77", "m1", "Ann")
    assert json.loads(row["parts"]) == [list(part) for part in parts]
    assert (row["code"], row["message"]) == ("3062", "name ? taken")
    await journal.settle("A", "done", record_id="80", modified="m2", parts=[("contact_person", "\ud83c", "81")])
    row = await row_of(database, "A")
    assert row is not None
    assert (row["record_id"], row["modified"], row["code"], row["message"]) == ("80", "m2", "", "")
    assert json.loads(row["parts"]) == [["contact_person", "?", "81"]]


async def test_a_row_can_be_done_without_a_call(database: Database, journal: Journal) -> None:
    await journal.note("A", "d", label="Ann", record_id="77", modified="m", parts=[("person", "k", "78")])
    entry = await entry_of(journal, "A")
    assert (entry.state, entry.digest, entry.record_id, entry.operation) == ("done", "d", "77", "")
    assert entry.modified == "m"
    await journal.record_intent("B", "d", operation="create", label="Bob")
    await journal.settle("B", "failed", record_id="80", modified="m1", code="1", message="no")
    await Journal(database, "t", 9).note("B", "e", label="", record_id="81")
    row = await row_of(database, "B")
    assert row is not None
    assert (row["state"], row["digest"], row["record_id"], row["run"]) == ("done", "e", "81", 9)
    assert (row["label"], row["modified"], row["operation"]) == ("Bob", "m1", "create")
    assert (row["code"], row["message"], row["prior"]) == ("", "", "")


async def test_a_note_over_an_intent_leaves_nothing_to_withdraw(journal: Journal) -> None:
    await journal.record_intent("A", "d", operation="create")
    await journal.note("A", "d", label="", record_id="77")
    await journal.rollback_intent("A")
    assert (await entry_of(journal, "A")).record_id == "77"


async def test_withdrawing_forgets_only_an_intent(journal: Journal) -> None:
    await journal.record_intent("a", "d", operation="create")
    await journal.record_intent("b", "d", operation="create")
    await journal.settle("b", "done")
    for identity in ("a", "b", "c"):
        await journal.rollback_intent(identity)
    assert set(await journal.entries(["a", "b", "c"])) == {"b"}


@pytest.mark.parametrize("state", ["done", "failed", "unknown"])
async def test_withdrawing_brings_back_what_was_there(database: Database, journal: Journal, state: State) -> None:
    await journal.record_intent("A", "d", operation="upsert", label='An "n"')
    await journal.settle(
        "A", state, record_id="77", modified="m", parts=[("person", "k", "78")], code="9", message="it's “so”\n"
    )
    before = await row_of(database, "A")
    for digest in ("d", "e"):
        await Journal(database, "t", 8).record_intent("A", digest, operation="update", label="Ben")
        during = await row_of(database, "A")
        assert during is not None and during != before
        await journal.rollback_intent("A")
        assert await row_of(database, "A") == before
    # Nothing is left of the intent that another call could take back.
    await journal.rollback_intent("A")
    assert await row_of(database, "A") == before


async def test_withdrawing_does_not_take_back_the_call_of_a_killed_run(journal: Journal) -> None:
    await journal.record_intent("A", "d", operation="create")
    killed = await entry_of(journal, "A")
    await journal.record_intent("A", "e", operation="create")
    await journal.rollback_intent("A")
    await journal.rollback_intent("A")
    entry = await entry_of(journal, "A")
    assert (entry.state, entry.digest, entry.intended_at) == ("unknown", "d", killed.intended_at)


async def test_a_settled_intent_has_nothing_before_it(database: Database, journal: Journal) -> None:
    await journal.record_intent("A", "d", operation="create")
    await journal.settle("A", "done", record_id="77")
    await journal.record_intent("A", "e", operation="update")
    await journal.settle("A", "failed")
    row = await row_of(database, "A")
    assert row is not None and row["prior"] == ""
    await journal.record_intent("A", "f", operation="update")
    await journal.rollback_intent("A")
    entry = await entry_of(journal, "A")
    assert (entry.state, entry.digest) == ("failed", "e")


async def test_a_record_is_adopted_once(database: Database, journal: Journal) -> None:
    await journal.record_intent("a", "d", operation="create")
    await journal.record_intent("b", "d", operation="create")
    assert await journal.adopt("a", "77", modified="m", parts=[("person", "k", "78")])
    assert not await journal.adopt("b", "77")
    assert await journal.adopt("a", "77")
    row = await row_of(database, "a")
    assert row is not None
    assert (row["state"], row["record_id"], row["modified"]) == ("done", "77", "m")
    assert json.loads(row["parts"]) == [["person", "k", "78"]]
    assert (await entry_of(journal, "b")).state == "intent"
    # Another target's rows have other records.
    other = Journal(database, "u")
    await other.record_intent("b", "d", operation="create")
    assert await other.adopt("b", "77")


async def test_the_owner_of_a_record_is_the_row_settled_last(database: Database, journal: Journal) -> None:
    for identity, record_id in (("z", "77"), ("a", "78"), ("m", "77"), ("n", "")):
        await journal.note(identity, "d", label="", record_id=record_id)
    await Journal(database, "u").note("other", "d", label="", record_id="79")

    async def owners(*ids: str) -> list[str]:
        return await database.run(lambda connection: [journal.owner(connection, one) for one in ids])

    assert await owners("77", "78", "79", "") == ["m", "a", "", ""]
    await journal.settle("z", "done")
    assert await owners("77") == ["z"]


async def test_labels_of_several_rows_that_are_open_are_contested(database: Database, journal: Journal) -> None:
    for label in ("both open", "one done", "alone", "elsewhere"):
        await journal.record_intent(f"{label} 1", "d", operation="create", label=label)
    for label in ("both open", "one done"):
        await journal.record_intent(f"{label} 2", "d", operation="create", label=label)
    await journal.settle("both open 2", "unknown")
    await journal.settle("one done 2", "done", record_id="77")
    await Journal(database, "u").record_intent("elsewhere 2", "d", operation="create", label="elsewhere")
    assert await database.run(journal.ambiguous_keys) == {"both open"}
    await journal.settle("one done 2", "unknown")
    assert await database.run(journal.ambiguous_keys) == {"both open", "one done"}


async def test_owners_are_found_by_the_index(database: Database) -> None:
    def work(connection: sqlite3.Connection) -> str:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT identity FROM journal WHERE target = ? AND record_id = ? AND record_id <> ''",
            ("t", "77"),
        )
        return str(plan.fetchall())

    assert "journal_record" in await database.run(work)


async def test_files_are_known_by_their_content(journal: Journal) -> None:
    assert not await journal.knows_file("f")
    await journal.note_file("f")
    await journal.note_file("f")
    assert await journal.knows_file("f")
