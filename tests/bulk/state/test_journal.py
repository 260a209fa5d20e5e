from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from zoho_async.bulk.errors import StateError
from zoho_async.bulk.state import journal as module
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Entry, Journal, JournalState


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
        await journal.record_outcome("B", "done", record_id="77")
    async with Database(path) as database:
        entries = await Journal(database, "t").entries(["B", "C", "A"])
        assert list(entries) == ["B", "A"]
        assert (entries["A"].state, entries["A"].content_hash, entries["A"].operation) == ("intent", "d1", "create")
        assert (entries["B"].state, entries["B"].record_id, entries["B"].operation) == ("done", "77", "update")
        assert await Journal(database, "another target").entries(["A"]) == {}


async def test_an_intent_is_written_with_all_that_is_known(database: Database, journal: Journal) -> None:
    await journal.record_intent("A", "d", operation="upsert", display_key="Ann \ud83c")
    row = await row_of(database, "A")
    assert row is not None
    assert (row["run"], row["operation"], row["label"], row["state"]) == (7, "upsert", "Ann ?", "intent")
    await Journal(database, "t", 8).record_intent("A", "d", operation="update")
    row = await row_of(database, "A")
    assert row is not None
    assert (row["run"], row["operation"], row["label"]) == (8, "update", "Ann ?")


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
    await journal.record_intent("A", "d", operation="create", display_key="Ann")
    child_ids = [("contact_person", "ann@example.com", "78"), ("billing_address", "", "79")]
    await journal.record_outcome("A", "done", record_id="77", child_ids=child_ids)
    await journal.record_intent("A", "e", operation="update")
    await journal.record_outcome("A", "failed", code="3062", message="name \ud83c taken")
    row = await row_of(database, "A")
    assert row is not None
    assert (row["state"], row["record_id"], row["label"]) == ("failed", "77", "Ann")
    assert json.loads(row["parts"]) == [list(part) for part in child_ids]
    assert (row["code"], row["message"]) == ("3062", "name ? taken")
    await journal.record_outcome("A", "done", record_id="80", child_ids=[("contact_person", "\ud83c", "81")])
    row = await row_of(database, "A")
    assert row is not None
    assert (row["record_id"], row["code"], row["message"]) == ("80", "", "")
    assert json.loads(row["parts"]) == [["contact_person", "?", "81"]]


async def test_a_row_can_be_done_without_a_call(database: Database, journal: Journal) -> None:
    await journal.record_done("A", "d", display_key="Ann", record_id="77", child_ids=[("person", "k", "78")])
    entry = await entry_of(journal, "A")
    assert (entry.state, entry.content_hash, entry.record_id, entry.operation) == ("done", "d", "77", "")
    await journal.record_intent("B", "d", operation="create", display_key="Bob")
    await journal.record_outcome("B", "failed", record_id="80", code="1", message="no")
    await Journal(database, "t", 9).record_done("B", "e", display_key="", record_id="81")
    row = await row_of(database, "B")
    assert row is not None
    assert (row["state"], row["digest"], row["record_id"], row["run"]) == ("done", "e", "81", 9)
    assert (row["label"], row["operation"]) == ("Bob", "create")
    assert (row["code"], row["message"], row["prior"]) == ("", "", "")


async def test_a_note_over_an_intent_leaves_nothing_to_roll_back(journal: Journal) -> None:
    await journal.record_intent("A", "d", operation="create")
    await journal.record_done("A", "d", display_key="", record_id="77")
    await journal.rollback_intent("A")
    assert (await entry_of(journal, "A")).record_id == "77"


async def test_a_rollback_forgets_only_an_intent(journal: Journal) -> None:
    await journal.record_intent("a", "d", operation="create")
    await journal.record_intent("b", "d", operation="create")
    await journal.record_outcome("b", "done")
    for identity in ("a", "b", "c"):
        await journal.rollback_intent(identity)
    assert set(await journal.entries(["a", "b", "c"])) == {"b"}


@pytest.mark.parametrize("state", ["done", "failed", "unknown"])
async def test_a_rollback_brings_back_what_was_there(database: Database, journal: Journal, state: JournalState) -> None:
    await journal.record_intent("A", "d", operation="upsert", display_key='An "n"')
    await journal.record_outcome(
        "A", state, record_id="77", child_ids=[("person", "k", "78")], code="9", message="it's “so”\n"
    )
    before = await row_of(database, "A")
    for digest in ("d", "e"):
        await Journal(database, "t", 8).record_intent("A", digest, operation="update", display_key="Ben")
        during = await row_of(database, "A")
        assert during is not None and during != before
        await journal.rollback_intent("A")
        assert await row_of(database, "A") == before
    # Nothing is left of the intent that another call could take back.
    await journal.rollback_intent("A")
    assert await row_of(database, "A") == before


async def test_a_rollback_keeps_the_call_of_a_killed_run(database: Database, journal: Journal) -> None:
    await journal.record_intent("A", "d", operation="create")
    killed = await row_of(database, "A")
    assert killed is not None
    await journal.record_intent("A", "e", operation="create")
    await journal.rollback_intent("A")
    await journal.rollback_intent("A")
    assert await row_of(database, "A") == {**killed, "state": "unknown"}


async def test_a_settled_intent_has_nothing_before_it(database: Database, journal: Journal) -> None:
    await journal.record_intent("A", "d", operation="create")
    await journal.record_outcome("A", "done", record_id="77")
    await journal.record_intent("A", "e", operation="update")
    await journal.record_outcome("A", "failed")
    row = await row_of(database, "A")
    assert row is not None and row["prior"] == ""
    await journal.record_intent("A", "f", operation="update")
    await journal.rollback_intent("A")
    entry = await entry_of(journal, "A")
    assert (entry.state, entry.content_hash) == ("failed", "e")


async def test_a_record_is_linked_once(database: Database, journal: Journal) -> None:
    await journal.record_intent("a", "d", operation="create")
    await journal.record_intent("b", "d", operation="create")
    assert await journal.link_existing("a", "77", child_ids=[("person", "k", "78")])
    assert not await journal.link_existing("b", "77")
    assert await journal.link_existing("a", "77")
    row = await row_of(database, "a")
    assert row is not None
    assert (row["state"], row["record_id"]) == ("done", "77")
    assert json.loads(row["parts"]) == [["person", "k", "78"]]
    assert (await entry_of(journal, "b")).state == "intent"
    # Another target's rows have other records.
    other = Journal(database, "u")
    await other.record_intent("b", "d", operation="create")
    assert await other.link_existing("b", "77")


async def test_the_owner_of_a_record_is_the_row_settled_last(database: Database, journal: Journal) -> None:
    for identity, record_id in (("z", "77"), ("a", "78"), ("m", "77"), ("n", "")):
        await journal.record_done(identity, "d", display_key="", record_id=record_id)
    await Journal(database, "u").record_done("other", "d", display_key="", record_id="79")

    async def owners(*ids: str) -> list[str]:
        return await database.run(lambda connection: [journal.owner(connection, one) for one in ids])

    assert await owners("77", "78", "79", "") == ["m", "a", "", ""]
    await journal.record_outcome("z", "done")
    assert await owners("77") == ["z"]


async def test_owners_are_found_by_the_index(database: Database) -> None:
    def work(connection: sqlite3.Connection) -> str:
        plan = connection.execute(
            "EXPLAIN QUERY PLAN SELECT identity FROM journal WHERE target = ? AND record_id = ? AND record_id <> ''",
            ("t", "77"),
        )
        return str(plan.fetchall())

    assert "journal_record" in await database.run(work)


OLD = {name: letter * 32 for name, letter in (("a", "a"), ("b", "b"), ("c", "c"))}
"""Content hashes by which an earlier version called rows without a key, with a number behind."""


async def keyless(journal: Journal, content_hash: str, *names: str) -> list[str]:
    found = await journal.database.run(lambda connection: journal.keyless(connection, content_hash, names))
    return [entry.row_key for entry in found]


async def test_entries_without_a_key_are_found_by_content_and_name(database: Database) -> None:
    journal = Journal(database, "t")
    a, b, c = (f"{OLD[name]}#1" for name in "abc")
    await journal.record_intent(b, OLD["b"], operation="create", display_key="Ann")
    await journal.record_done(a, OLD["a"], display_key="Ann", record_id="77")
    await journal.record_done(c, OLD["c"], display_key="Ben", record_id="78")
    await journal.record_done("contact_name=Ann@customer", OLD["a"], display_key="Ann", record_id="79")
    await Journal(database, "u").record_done(f"{OLD['a']}#2", OLD["a"], display_key="Ann", record_id="80")
    assert await keyless(journal, OLD["b"], "Ann") == [a, b]
    assert await keyless(journal, OLD["b"], "Nobody") == [b]
    assert await keyless(journal, "0" * 32, "Ben", "Ann") == [a, c, b]
    assert await keyless(journal, "0" * 32, "Nobody") == []


async def test_an_entry_is_called_by_its_key(database: Database, journal: Journal) -> None:
    await journal.record_done(f"{OLD['a']}#1", OLD["b"], display_key="Ann", record_id="77")
    before = await row_of(database, f"{OLD['a']}#1")
    assert before is not None
    await database.run(lambda connection: journal.give_key(connection, f"{OLD['a']}#1", "contact_name=Ann", OLD["a"]))
    # What was first sent says nothing new, though it was corrected since.
    assert await row_of(database, "contact_name=Ann") == {**before, "identity": "contact_name=Ann", "digest": OLD["a"]}
    assert await row_of(database, f"{OLD['a']}#1") is None
    assert await keyless(journal, OLD["a"], "Ann") == []


async def test_one_pass_finds_entries_without_a_key(database: Database, journal: Journal) -> None:
    """A new state file has none, and no row looks for them again."""
    await journal.record_done("contact_name=Ann", "d", display_key="Ann", record_id="77")
    assert await keyless(journal, OLD["a"], "Ann") == []
    await journal.record_done(f"{OLD['a']}#1", OLD["a"], display_key="Ann", record_id="78")
    assert await keyless(journal, OLD["a"], "Ann") == []


async def test_a_transaction_that_fails_leaves_an_entry_without_its_key(database: Database, journal: Journal) -> None:
    await journal.record_done(f"{OLD['a']}#1", OLD["a"], display_key="Ann", record_id="77")

    def fails(connection: sqlite3.Connection) -> None:
        (entry,) = journal.keyless(connection, OLD["a"], ["Ann"])
        journal.give_key(connection, entry.row_key, "contact_name=Ann", OLD["a"])
        raise sqlite3.OperationalError("the disk is full")

    with pytest.raises(StateError):
        await database.run(fails)
    assert await keyless(journal, OLD["a"], "Ann") == [f"{OLD['a']}#1"]


@pytest.mark.parametrize("statement", ["_RECORD_INTENT", "_RECORD_OUTCOME"])
async def test_statements_of_a_row_make_no_table(database: Database, statement: str) -> None:
    text = getattr(module, statement)

    def work(connection: sqlite3.Connection) -> list[str]:
        steps = connection.execute(f"EXPLAIN {text}", [""] * text.count("?"))
        return [step[1] for step in steps]

    steps = await database.run(work)
    assert "Insert" in steps or "IdxInsert" in steps
    # SQLite makes one for a check against several texts, for every row that it writes.
    assert "OpenEphemeral" not in steps
