from __future__ import annotations

import asyncio
import os
import sqlite3
import stat
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from zoho_async.bulk.errors import StateError
from zoho_async.bulk.state import database as module
from zoho_async.bulk.state import snapshot
from zoho_async.bulk.state.database import Database, sqlite_text
from zoho_async.bulk.state.journal import Entry, Journal
from zoho_async.bulk.state.migrations import MIGRATIONS, VERSION

FIRST_VERSION = """
CREATE TABLE journal (
    target TEXT NOT NULL,
    identity TEXT NOT NULL,
    digest TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('intent', 'done', 'failed', 'unknown')),
    record_id TEXT NOT NULL DEFAULT '',
    code TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    intended_at TEXT NOT NULL,
    settled_at TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (target, identity)
) WITHOUT ROWID;
CREATE INDEX journal_record ON journal (target, record_id) WHERE record_id <> '';
CREATE TABLE files (digest TEXT PRIMARY KEY) WITHOUT ROWID;
PRAGMA application_id = 1517242929;
PRAGMA user_version = 1;
PRAGMA journal_mode = WAL;
"""
FIRST_COLUMNS = "target, identity, digest, state, record_id, code, message, intended_at, settled_at"
AT = "2026-01-02T03:04:05.678+00:00"
FIRST_ROWS = [
    ("t", "cf_id=A", "d1", "done", "460000000000001", "", "", AT, AT),
    ("t", "cf_id=B", "d2", "failed", "", "3062", "Der Name „B“ ist vergeben", AT, AT),
    ("t", "cf_id=C", "d3", "intent", "", "", "", AT, ""),
    ("u", "d4#1", "d4", "unknown", "", "", "", AT, AT),
]


def file_of_the_first_version(path: Path) -> Path:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.executescript(FIRST_VERSION)
        connection.executemany(f"INSERT INTO journal ({FIRST_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", FIRST_ROWS)
        connection.execute("INSERT INTO files VALUES ('f1')")
    return path


def version_of(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("PRAGMA user_version").fetchone()[0])


def everything_of(path: Path) -> list[Any]:
    """Tables with their definitions, and all that stands in them."""
    with closing(sqlite3.connect(path)) as connection:
        made = connection.execute("SELECT name, sql FROM sqlite_master ORDER BY name").fetchall()
        return [made, *(connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("journal", "files"))]


def schema_of(path: Path) -> dict[str, list[Any]]:
    with closing(sqlite3.connect(path)) as connection:
        names = [name for (name,) in connection.execute("SELECT name FROM sqlite_master ORDER BY name")]
        return {name: connection.execute(f"PRAGMA table_xinfo({name})").fetchall() for name in names}


async def count(database: Database, table: str) -> int:
    return await database.run(lambda connection: connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0])


async def commits_of(database: Database, commits: list[str]) -> None:
    """Hears of every transaction that ends; a statement that writes by itself is one."""
    begun: list[str] = []

    def heard(statement: str) -> None:
        text = statement.lstrip()
        if text.startswith("BEGIN"):
            begun.append(text)
        elif text == "COMMIT" or (not begun and text.startswith(("INSERT", "UPDATE", "DELETE"))):
            begun.clear()
            commits.append(text)

    await database.run(lambda connection: connection.set_trace_callback(heard))


async def test_a_file_of_the_first_version_loses_nothing(tmp_path: Path) -> None:
    path = file_of_the_first_version(tmp_path / "s")
    async with Database(path) as database:
        journal = Journal(database, "t")
        entries = await journal.entries(["cf_id=A", "cf_id=B", "cf_id=C", "d4#1"])
        assert [(entry.state, entry.content_hash, entry.record_id) for entry in entries.values()] == [
            ("done", "d1", "460000000000001"),
            ("failed", "d2", ""),
            ("intent", "d3", ""),
        ]
        assert {entry.operation for entry in entries.values()} == {""}
        moments = await database.run(lambda one: one.execute("SELECT DISTINCT intended_at FROM journal").fetchall())
        assert moments == [(AT,)]
        # What is new of a row can be written.
        await journal.record_outcome("cf_id=C", "done", record_id="77", child_ids=[("person", "x", "78")])
    assert version_of(path) == VERSION
    with closing(sqlite3.connect(path)) as connection:
        kept = connection.execute(f"SELECT {FIRST_COLUMNS} FROM journal WHERE identity <> 'cf_id=C'").fetchall()
    assert kept == [row for row in FIRST_ROWS if row[1] != "cf_id=C"]


async def test_an_old_file_and_a_new_one_end_up_the_same(tmp_path: Path) -> None:
    old = file_of_the_first_version(tmp_path / "old")
    for path in (old, tmp_path / "new"):
        async with Database(path):
            pass
    assert schema_of(old) == schema_of(tmp_path / "new")
    assert {"journal", "files", "images", "runs", "problems"} <= set(schema_of(old))


async def test_every_version_can_become_the_next() -> None:
    assert sorted(MIGRATIONS) == list(range(VERSION))


@pytest.mark.parametrize("steps", range(len(MIGRATIONS[1]) + 1))
async def test_a_migration_that_fails_anywhere_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, steps: int
) -> None:
    path = file_of_the_first_version(tmp_path / "s")
    before = everything_of(path)
    with monkeypatch.context() as patch:
        patch.setitem(MIGRATIONS, 1, (*MIGRATIONS[1][:steps], "SELECT * FROM missing"))
        with pytest.raises(StateError, match="the state file cannot be used"):
            async with Database(path):
                pass
    assert version_of(path) == 1
    assert everything_of(path) == before
    async with Database(path) as database:
        assert await count(database, "journal") == len(FIRST_ROWS)
    assert version_of(path) == VERSION


async def test_a_migration_interrupted_by_an_exception_of_any_kind_leaves_the_old_version(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Interrupted:
        def __iter__(self) -> Iterator[str]:
            yield from MIGRATIONS_BEFORE[:3]
            raise MemoryError

    MIGRATIONS_BEFORE = MIGRATIONS[1]  # noqa: N806 - as they are, before the patch
    path = file_of_the_first_version(tmp_path / "s")
    before = everything_of(path)
    monkeypatch.setitem(MIGRATIONS, 1, Interrupted())  # type: ignore[arg-type]
    with pytest.raises(MemoryError):
        async with Database(path):
            pass
    assert (version_of(path), everything_of(path)) == (1, before)


def test_a_migration_that_is_killed_leaves_the_old_version(tmp_path: Path) -> None:
    path = file_of_the_first_version(tmp_path / "s")
    before = everything_of(path)
    program = (
        "import asyncio, os, sys\n"
        "from pathlib import Path\n"
        "from zoho_async.bulk.state.database import Database\n"
        "from zoho_async.bulk.state.migrations import MIGRATIONS\n"
        "def killed(statements):\n"
        "    yield from statements\n"
        "    os._exit(9)\n"
        "MIGRATIONS[1] = killed(MIGRATIONS[1])\n"
        "async def main():\n"
        "    async with Database(Path(sys.argv[1])):\n"
        "        pass\n"
        "asyncio.run(main())\n"
    )
    assert subprocess.run([sys.executable, "-c", program, str(path)], check=False).returncode == 9
    assert (version_of(path), everything_of(path)) == (1, before)


async def test_looking_at_a_file_of_the_first_version_changes_no_byte(tmp_path: Path) -> None:
    path = file_of_the_first_version(tmp_path / "s")
    before = path.read_bytes()
    async with Database(path, create=False) as database:
        assert set(await Journal(database, "t").entries(["cf_id=A"])) == {"cf_id=A"}
        assert await count(database, "runs") == 0
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir()] == ["s"]  # noqa: ASYNC240 - a test may block


async def test_a_thousand_callers_share_a_few_commits(tmp_path: Path) -> None:
    path = tmp_path / "s"
    commits: list[str] = []
    async with Database(path) as database:
        journal = Journal(database, "t")
        await commits_of(database, commits)
        await asyncio.gather(*(journal.record_intent(str(number), "d", operation="create") for number in range(1_000)))
    # One may be the transaction in which the counting began.
    assert 1 <= len(commits) <= 4
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(DISTINCT identity) FROM journal").fetchone() == (1_000,)


@pytest.mark.parametrize("durable", [False, True])
async def test_the_event_loop_does_not_wait_for_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    statements: list[tuple[str, bool]] = []
    here = threading.get_ident()

    def listen(connection: sqlite3.Connection) -> None:
        connection.set_trace_callback(lambda text: statements.append((text, threading.get_ident() == here)))

    async def written(rows: int) -> list[bool]:
        """Where transactions ended while some rows were written: here, or on another thread."""
        statements.clear()
        await asyncio.gather(*(journal.record_intent(str(n), "d", operation="create") for n in range(rows)))
        return [at_hand for text, at_hand in statements if text == "COMMIT"]

    monkeypatch.setattr(module, "CHECKPOINT_INTERVAL", 300)
    async with Database(tmp_path / "s", durable=durable) as database:
        journal = Journal(database, "t")
        await database.run(listen)
        assert await written(3) == [not durable]
        assert await written(module.INLINE_BATCH) == [not durable]
        # Many rows take long, whatever else takes long is no row, and a flush is the disk's.
        assert await written(module.INLINE_BATCH + 1) == [False]
        statements.clear()
        await journal.rollback_intent("1")
        assert [at_hand for text, at_hand in statements if text == "COMMIT"] == [False]
        flushes = 0
        for _ in range(40):
            commits = await written(module.INLINE_BATCH)
            # Putting the log into the file flushes it, and so does the first transaction of a new log.
            flushed = [at_hand for text, at_hand in statements if "checkpoint" in text]
            flushes += len(flushed)
            assert (flushed, commits) in (([], [not durable]), ([False], [False]))
        assert flushes == 6


async def test_the_log_is_put_into_the_file_now_and_then(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CHECKPOINT_INTERVAL", 20)
    async with Database(tmp_path / "s") as database:
        journal = Journal(database, "t")
        for number in range(400):
            await journal.record_intent(str(number), "d", operation="create")
        # Every transaction writes a page of 4 kB at least.
        assert (tmp_path / "s-wal").stat().st_size < 100 * 4_096
        assert await count(database, "journal") == 400


async def test_everyone_gets_his_own_result() -> None:
    async with Database(None) as database:
        results = await asyncio.gather(
            *(
                database.run(lambda connection, number=number: connection.execute("SELECT ?", (number,)).fetchone()[0])
                for number in range(1_000)
            )
        )
    assert results == list(range(1_000))


@pytest.mark.parametrize(
    ("trouble", "kind", "text"),
    [
        ("INSERT INTO missing VALUES (1)", StateError, "the state cannot be written: no such table"),
        ("", ValueError, "not this"),
    ],
)
async def test_a_group_that_fails_fails_for_all_and_for_nobody_after(
    tmp_path: Path, trouble: str, kind: type[Exception], text: str
) -> None:
    def bad(connection: sqlite3.Connection) -> None:
        if trouble:
            connection.execute(trouble)
        raise ValueError("not this")

    async with Database(tmp_path / "s") as database:
        journal = Journal(database, "t")
        works = [journal.record_intent(str(number), "d", operation="create") for number in range(5)]
        results = await asyncio.gather(*works, database.run(bad), return_exceptions=True)
        assert {type(result) for result in results} == {kind}
        assert all(text in str(result) for result in results)
        assert await count(database, "journal") == 0
        await journal.record_intent("after", "d", operation="create")
        assert await count(database, "journal") == 1


async def test_a_cancelled_wait_does_not_harm_the_others(tmp_path: Path) -> None:
    async with Database(tmp_path / "s") as database:
        journal = Journal(database, "t")
        tasks = [asyncio.create_task(journal.record_intent(str(n), "d", operation="create")) for n in range(20)]
        await asyncio.sleep(0)
        tasks[3].cancel()
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert [type(result) for result in results].count(asyncio.CancelledError) == 1
        assert [result for n, result in enumerate(results) if n != 3 and result is not None] == []
        assert await count(database, "journal") == 20


async def test_what_was_asked_for_is_written_before_the_end(tmp_path: Path) -> None:
    async with Database(tmp_path / "s") as database:
        journal = Journal(database, "t")
        tasks = [asyncio.create_task(journal.record_intent(str(n), "d", operation="create")) for n in range(20)]
        await asyncio.sleep(0)
    await asyncio.gather(*tasks)
    async with Database(tmp_path / "s") as database:
        assert await count(database, "journal") == 20


async def test_an_end_that_is_cancelled_still_writes_and_gives_the_file_back(tmp_path: Path) -> None:
    database = Database(tmp_path / "s")
    await database.__aenter__()
    asking = asyncio.create_task(Journal(database, "t").record_intent("a", "d", operation="create"))
    await asyncio.sleep(0)
    ending = asyncio.create_task(database.__aexit__(None, None, None))
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait([ending])
    assert ending.cancelled()
    await asking
    async with Database(tmp_path / "s") as again:
        assert await count(again, "journal") == 1


async def test_an_end_that_is_cancelled_behind_a_busy_thread_gives_the_file_back(tmp_path: Path) -> None:
    began, ends = threading.Event(), threading.Event()

    def slow(connection: sqlite3.Connection) -> None:
        began.set()
        ends.wait()

    database = Database(tmp_path / "s")
    await database.__aenter__()
    waiting = asyncio.create_task(database.run(slow))
    await asyncio.to_thread(began.wait)
    for task in asyncio.all_tasks():
        if task.get_name() == "zoho-state":
            task.cancel()
    await asyncio.wait([waiting])
    ending = asyncio.create_task(database.__aexit__(None, None, None))
    for _ in range(3):
        await asyncio.sleep(0)
    ending.cancel()
    threading.Timer(0.05, ends.set).start()
    await asyncio.wait([ending])
    assert ending.cancelled()
    async with Database(tmp_path / "s"):
        pass


def test_a_loop_that_ends_in_the_middle_gives_the_file_back(tmp_path: Path) -> None:
    written: list[str] = []

    async def work() -> None:
        async with Database(tmp_path / "s") as database:
            journal = Journal(database, "t")

            async def write(name: str) -> None:
                for number in range(100_000):
                    await journal.record_intent(f"{name}{number}", "d", operation="create")
                    written.append(f"{name}{number}")

            await asyncio.gather(*(write(name) for name in "abc"))

    async def main() -> None:
        task = asyncio.create_task(work())
        while len(written) < 10 and not task.done():  # noqa: ASYNC110 - no event for it
            await asyncio.sleep(0)
        assert not task.done()

    asyncio.run(main())

    async def after() -> None:
        async with Database(tmp_path / "s") as database:
            assert set(await Journal(database, "t").entries(written)) == set(written)

    asyncio.run(after())


@pytest.mark.parametrize("replaced", [False, True])
async def test_a_file_that_is_taken_away_while_it_is_used_is_noticed(tmp_path: Path, replaced: bool) -> None:
    async with Database(tmp_path / "s") as database:
        journal = Journal(database, "t")
        await journal.record_intent("a", "d", operation="create")
        (tmp_path / "s").rename(tmp_path / "elsewhere")
        if replaced:
            async with Database(tmp_path / "s") as other:
                await Journal(other, "t").record_intent("b", "d", operation="create")
        with pytest.raises(StateError, match="/s: the state file was removed or replaced while it was in use"):
            await journal.record_intent("c", "d", operation="create")
        with pytest.raises(StateError, match="was removed or replaced"):
            await database.run(lambda _: None)


async def test_a_file_is_the_same_from_another_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    async with Database(Path("s")) as database:
        monkeypatch.chdir(tmp_path / "below")
        await Journal(database, "t").record_intent("a", "d", operation="create")
    async with Database(tmp_path / "s") as database:
        assert await count(database, "journal") == 1


async def test_a_waiting_task_gets_an_error_when_a_transaction_is_rolled_back(tmp_path: Path) -> None:
    began, ends = threading.Event(), threading.Event()
    order: list[str] = []

    def slow(connection: sqlite3.Connection) -> None:
        began.set()
        ends.wait()
        order.append("slow")

    async with Database(tmp_path / "s") as database:
        journal = Journal(database, "t")
        waiting = asyncio.create_task(database.run(slow))
        await asyncio.to_thread(began.wait)
        behind = asyncio.create_task(journal.record_intent("behind", "d", operation="create"))
        await asyncio.sleep(0)
        (flusher,) = (task for task in asyncio.all_tasks() if task.get_name() == "zoho-state")
        flusher.cancel()
        with pytest.raises(asyncio.CancelledError):
            await waiting
        # It goes on all the same, and what comes next comes after it.
        after = asyncio.create_task(journal.record_intent("after", "d", operation="create"))
        after.add_done_callback(lambda _: order.append("after"))
        for _ in range(2 * module.COALESCING_ROUNDS):
            await asyncio.sleep(0)
        ends.set()
        await asyncio.gather(behind, after)
        assert order == ["slow", "after"]
        assert set(await journal.entries(["behind", "after"])) == {"behind", "after"}


@pytest.mark.parametrize("rounds", range(5))
async def test_a_cancelled_writer_is_replaced(tmp_path: Path, rounds: int) -> None:
    async with Database(tmp_path / "s") as database:
        journal = Journal(database, "t")
        waiting = asyncio.create_task(journal.record_intent("a", "d", operation="create"))
        for _ in range(rounds):
            await asyncio.sleep(0)
        for task in asyncio.all_tasks():
            if task.get_name() == "zoho-state":
                # Before it has begun, while it waits for others, or behind.
                task.cancel()
        await waiting
        assert set(await journal.entries(["a"])) == {"a"}


@pytest.mark.parametrize("name", [":memory:", "file:s?mode=memory"])
async def test_any_name_is_a_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.chdir(tmp_path)
    async with Database(Path(name)) as database:
        await Journal(database, "t").record_intent("a", "d", operation="create")
    async with Database(Path(name)) as database:
        assert await count(database, "journal") == 1


async def test_an_impossible_file_name_is_one_sentence() -> None:
    with pytest.raises(StateError, match="the state file cannot be opened: "):
        async with Database(Path("a\0b")):
            pass


async def test_a_closed_database_says_so() -> None:
    async with Database(None) as database:
        pass
    with pytest.raises(StateError, match="the state file is closed"):
        await count(database, "journal")
    with pytest.raises(StateError, match="the state file is closed"):
        await count(Database(None), "journal")


KILLED = """
import asyncio, os, sys
from pathlib import Path
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Journal
async def main():
    async with Database(Path(sys.argv[1])) as database:
        journal = Journal(database, "t")
        await asyncio.gather(*(journal.record_intent(str(n), "d", operation="create") for n in range(200)))
        await asyncio.gather(*(journal.record_outcome(str(n), "done", record_id=f"r{n}") for n in range(100)))
        def half(connection):
            connection.execute("UPDATE journal SET state = 'failed'")
            os._exit(9)
        if sys.argv[2] == "between":
            os._exit(9)
        await database.run(half)
asyncio.run(main())
"""


@pytest.mark.parametrize("moment", ["between", "within"])
async def test_a_killed_process_keeps_what_was_committed_and_no_half(tmp_path: Path, moment: str) -> None:
    path = tmp_path / "s"
    arguments = [sys.executable, "-c", KILLED, str(path), moment]
    assert subprocess.run(arguments, check=False).returncode == 9  # noqa: ASYNC221 - the loop has nothing else to do
    async with Database(path) as database:
        entries = await Journal(database, "t").entries([str(n) for n in range(201)])
    assert [entry.state for entry in entries.values()] == ["done"] * 100 + ["intent"] * 100
    assert [entry.record_id for entry in entries.values()] == [f"r{n}" for n in range(100)] + [""] * 100


OPENS = """
import asyncio, sys
from pathlib import Path
from zoho_async.bulk.state.database import Database
async def main():
    async with Database(Path(sys.argv[1])):
        print("open", flush=True)
        sys.stdin.readline()
asyncio.run(main())
"""
"""Opens a state file, says so, and keeps it until it is told a line, or that there is none."""


async def test_a_second_user_is_refused_in_a_clear_word(tmp_path: Path) -> None:
    path = tmp_path / "s"
    other = subprocess.Popen(  # noqa: ASYNC220 - the loop has nothing else to do
        [sys.executable, "-c", OPENS, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    with other:
        assert other.stdout is not None
        assert other.stdout.readline() == "open\n"
        with pytest.raises(StateError, match="another run is using this state file"):
            async with Database(path):
                pass
        # Looking on is allowed.
        async with Database(path, create=False) as looking:
            assert await count(looking, "journal") == 0
        other.kill()
    async with Database(path):
        with pytest.raises(StateError, match="another run"):
            async with Database(path):
                pass


@pytest.mark.skipif(os.name != "posix", reason="locks that closing a file gives back")
async def test_looking_on_in_the_same_process_does_not_give_the_file_away(tmp_path: Path) -> None:
    path = tmp_path / "s"

    def opened() -> subprocess.CompletedProcess[str]:
        program = [sys.executable, "-c", OPENS, str(path)]
        return subprocess.run(program, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)

    async with Database(path):
        async with Database(path, create=False) as looking:
            assert await count(looking, "journal") == 0
        refused = await asyncio.to_thread(opened)
        assert "another run is using this state file" in refused.stderr
        assert refused.stdout == ""
    assert (await asyncio.to_thread(opened)).stdout == "open\n"


async def test_files_that_are_not_ours_are_left_alone(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello " * 1000)
    with pytest.raises(StateError, match="is not a state file"):
        async with Database(text):
            pass
    assert text.read_text().startswith("hello")
    other = tmp_path / "other.sqlite"
    with closing(sqlite3.connect(other)) as connection:
        connection.execute("CREATE TABLE mine (x)")
    with pytest.raises(StateError, match="is not a state file"):
        async with Database(other):
            pass
    assert list(schema_of(other)) == ["mine"]


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "s"
    async with Database(path):
        pass
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA user_version = 99")
    for create in (True, False):
        with pytest.raises(StateError, match="newer"):
            async with Database(path, create=create):
                pass
    assert version_of(path) == 99


async def test_looking_only_creates_no_file(tmp_path: Path) -> None:
    async with Database(tmp_path / "s", create=False) as database:
        await Journal(database, "t").record_intent("a", "d", operation="create")
        assert await count(database, "journal") == 1
    assert list(tmp_path.iterdir()) == []  # noqa: ASYNC240 - a test may block


async def test_looking_only_changes_no_byte_and_works_while_a_run_writes(tmp_path: Path) -> None:
    path = tmp_path / "s"
    empty = tmp_path / "empty"
    empty.touch()
    async with Database(path) as database:
        await Journal(database, "t").record_intent("old", "d", operation="create")
    before = {one.name: one.read_bytes() for one in tmp_path.iterdir()}  # noqa: ASYNC240 - a test may block
    async with Database(path, create=False) as looking:
        assert set(await Journal(looking, "t").entries(["old"])) == {"old"}
    with pytest.raises(StateError, match="is not a state file: it is empty"):
        async with Database(empty, create=False):
            pass
    assert {one.name: one.read_bytes() for one in tmp_path.iterdir()} == before  # noqa: ASYNC240
    async with Database(path) as database:
        journal = Journal(database, "t")
        for number in range(300):
            await journal.record_intent(str(number), "d", operation="create")
            if number % 60 == 0:
                async with Database(path, create=False) as looking:
                    found = await Journal(looking, "t").entries(["old", str(number), str(number + 1)])
                assert set(found) == {"old", str(number)}


async def test_looking_while_a_run_ends_looks_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with Database(tmp_path / "s") as database:
        await Journal(database, "t").record_intent("a", "d", operation="create")
    # There was a log, and when it was to be copied the run had ended and taken it away.
    heads = iter([b"log", b"", b"", b""])
    monkeypatch.setattr(snapshot, "log_head", lambda _: next(heads))
    async with Database(tmp_path / "s", create=False) as looking:
        entries: dict[str, Entry] = await Journal(looking, "t").entries(["a"])
    assert set(entries) == {"a"}


async def test_a_state_file_that_cannot_be_created_is_one_sentence() -> None:
    with pytest.raises(StateError, match=r"/dev/null/x\.sqlite: the state file cannot be opened"):
        async with Database(Path("/dev/null/x.sqlite")):
            pass


@pytest.mark.parametrize(("durable", "level"), [(True, 2), (False, 1)])
async def test_durable_flushes_every_commit(tmp_path: Path, durable: bool, level: int) -> None:
    async with Database(tmp_path / "s", durable=durable) as database:
        found = await database.run(lambda connection: connection.execute("PRAGMA synchronous").fetchone())
    assert found == (level,)


@pytest.mark.parametrize(
    ("text", "stored"), [("Ünïcode 🎉", "Ünïcode 🎉"), ("half \ud83c of one", "half ? of one"), ("", "")]
)
def test_halves_of_characters_become_question_marks(text: str, stored: str) -> None:
    assert sqlite_text(text) == stored


async def test_a_new_state_file_is_its_owners_alone(tmp_path: Path) -> None:
    for file in (tmp_path / "s", tmp_path / "folder" / "s"):
        async with Database(file):
            assert stat.S_IMODE(file.stat().st_mode) == 0o600
        file.chmod(0o640)
        async with Database(file):
            assert stat.S_IMODE(file.stat().st_mode) == 0o640
