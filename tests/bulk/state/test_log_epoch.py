"""A state file without its log is refused; one whose log was put into it is not."""

from __future__ import annotations

import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from zoho_async.bulk.errors import StateError
from zoho_async.bulk.state import database as module
from zoho_async.bulk.state import owned_file
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Journal
from zoho_async.bulk.state.migrations import MIGRATIONS

ROWS = 30
HEAD = 32
"""Bytes of the header of a log."""
FRAME = 24 + 4096
WINDOW = {"PRAGMA wal_checkpoint(PASSIVE)", "PRAGMA synchronous", "UPDATE epoch SET confirmed"}
"""Statements between an announcement and its confirmation."""
LOST = "has lost its log"

KILLED = f"""
import asyncio, os, signal, sys
from pathlib import Path
from zoho_async.bulk.state import database
from zoho_async.bulk.state.journal import Journal
database.CHECKPOINT_INTERVAL = int(sys.argv[2])
async def main():
    async with database.Database(Path(sys.argv[1]), durable=True) as opened:
        for number in range({ROWS}):
            await Journal(opened, "t").record_intent(str(number), "d", operation="create")
        os.kill(os.getpid(), signal.SIGKILL)
asyncio.run(main())
"""


@pytest.fixture(params=[7, 1000])
def killed(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A state file as a killed run has left it: its log was put into it some times, or never."""
    path = tmp_path / "left" / "s"
    arguments = [sys.executable, "-c", KILLED, str(path), str(request.param)]
    assert subprocess.run(arguments, check=False).returncode == -9
    assert sorted(one.name for one in path.parent.iterdir()) == ["s", "s-wal"]
    return path


async def rows_of(path: Path, *, create: bool = True) -> int:
    async with Database(path, create=create) as database:
        return len(await Journal(database, "t").entries([str(number) for number in range(ROWS)]))


async def is_refused(path: Path, message: str = LOST) -> bool:
    """Whether a file is refused, by runs and by readers, and stays as it is."""
    before, refused = bytes_of(path), 0
    for create in (True, False, True):
        try:
            await rows_of(path, create=create)
        except StateError as error:
            assert message in str(error)
            refused += 1
        assert refused == 0 or bytes_of(path) == before
    assert refused in (0, 3)
    return refused == 3


def bytes_of(path: Path) -> bytes:
    return path.read_bytes()


def log_of(path: Path) -> Path:
    return path.with_name(f"{path.name}-wal")


def without_log(path: Path) -> Path:
    log_of(path).unlink()
    return path


def cut(path: Path, length: int) -> None:
    with path.open("r+b") as file:
        file.truncate(length)


def checkpoint(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def backup(path: Path) -> None:
    with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(path.with_name("b"))) as copy:
        source.backup(copy)
    log_of(path).unlink(missing_ok=True)
    path.with_name("b").replace(path)


def vacuum(path: Path) -> None:
    with closing(sqlite3.connect(path)) as source:
        source.execute(f"VACUUM INTO '{path.with_name('v')}'")
    log_of(path).unlink(missing_ok=True)
    path.with_name("v").replace(path)


def look(path: Path) -> None:
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM journal").fetchone() == (ROWS,)


@pytest.mark.parametrize("change", [lambda _: None, checkpoint, backup, vacuum, look])
async def test_a_log_that_was_put_into_its_file_is_not_lost(killed: Path, change: Callable[[Path], object]) -> None:
    change(killed)
    assert await rows_of(killed, create=False) == ROWS
    assert await rows_of(killed) == ROWS
    assert not log_of(killed).exists()
    assert await rows_of(killed) == ROWS


async def test_a_copy_with_its_log_goes_on(killed: Path, tmp_path: Path) -> None:
    shutil.copytree(killed.parent, tmp_path / "moved")
    assert await rows_of(tmp_path / "moved" / "s") == ROWS


async def test_a_link_leads_to_the_file_and_its_log(killed: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(killed)
    assert await rows_of(tmp_path / "link", create=False) == ROWS
    assert await rows_of(tmp_path / "link") == ROWS


@pytest.mark.parametrize(
    "change",
    [
        without_log,
        lambda path: cut(log_of(path), 0),
        lambda path: cut(log_of(path), HEAD),
        lambda path: cut(log_of(path), HEAD + FRAME - 1),
        lambda path: log_of(path).write_bytes(bytes(HEAD + FRAME)),
        lambda path: log_of(path).write_bytes(b"\x37\x7f\x06\x82" + bytes(HEAD - 4)),
        lambda path: checkpoint(without_log(path)),
        lambda path: vacuum(without_log(path)),
        lambda path: backup(without_log(path)),
    ],
    ids=[
        *("removed", "emptied", "header", "less than a page", "zeroes", "another"),
        *("removed-checkpoint", "removed-vacuum", "removed-backup"),
    ],
)
async def test_a_file_without_its_log_is_refused(killed: Path, change: Callable[[Path], object]) -> None:
    change(killed)
    assert await is_refused(killed)


async def test_a_log_put_back_is_good_again(killed: Path) -> None:
    kept = log_of(killed).rename(killed.with_name("kept"))
    assert await is_refused(killed)
    assert await is_refused(killed, "without either, push into a new state file with upsert_by or match_by")
    kept.rename(log_of(killed))
    assert await rows_of(killed) == ROWS


@pytest.mark.parametrize("length", [0, 4096])
async def test_a_file_that_was_emptied_is_refused(killed: Path, length: int) -> None:
    log = bytes_of(log_of(killed))
    cut(killed, 0)
    cut(killed, length)
    if length:
        log_of(killed).unlink()
    assert await is_refused(killed, "is not a state file")
    assert length or bytes_of(log_of(killed)) == log


async def test_a_database_without_a_table_is_refused(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "s")) as connection:
        connection.execute("VACUUM")
    assert await is_refused(tmp_path / "s", "is not a state file")


async def test_a_killed_run_of_an_earlier_version_goes_on_without_its_log(tmp_path: Path) -> None:
    path = tmp_path / "s"
    connection = sqlite3.connect(path, isolation_level=None)
    for version in (0, 1):
        for statement in MIGRATIONS[version]:
            connection.execute(statement)
    for pragma in ("application_id = 1517242929", "user_version = 2", "journal_mode = WAL"):
        connection.execute(f"PRAGMA {pragma}")
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    connection.execute("INSERT INTO journal VALUES ('t','1','d','intent','','','','','','','','','',0,'')")
    shutil.copyfile(path, tmp_path / "alone")
    shutil.copyfile(path, tmp_path / "whole")
    shutil.copyfile(log_of(path), tmp_path / "whole-wal")
    connection.close()
    assert await rows_of(tmp_path / "alone") == 0
    assert await rows_of(tmp_path / "whole") == 1


class Snapshots:
    """The files as a kill before each statement of a connection would leave them."""

    def __init__(self, path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.path, self.folder = path, folder
        self.statements: list[str] = []
        connect = sqlite3.connect

        class Module:
            Error, OperationalError, DatabaseError = sqlite3.Error, sqlite3.OperationalError, sqlite3.DatabaseError

            @staticmethod
            def connect(*arguments: object, **options: object) -> sqlite3.Connection:
                connection: sqlite3.Connection = connect(*arguments, **options)  # type: ignore[call-overload]
                connection.set_trace_callback(self.keep)
                return connection

        monkeypatch.setattr(owned_file, "sqlite3", Module)

    def keep(self, statement: str) -> None:
        kept = self.folder / str(len(self.statements))
        kept.mkdir(parents=True)
        for one in (self.path, log_of(self.path)):
            if one.exists():
                shutil.copyfile(one, kept / one.name)
        self.statements.append(statement)


@pytest.mark.parametrize("durable", [True, False])
async def test_a_kill_before_any_statement_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, durable: bool
) -> None:
    path = tmp_path / "s"
    monkeypatch.setattr(module, "CHECKPOINT_INTERVAL", 7)
    with monkeypatch.context() as patch:
        snapshots = Snapshots(path, tmp_path / "kept", patch)
        for begin in (0, ROWS // 2):
            async with Database(path, durable=durable) as database:
                for number in range(begin, begin + ROWS // 2):
                    await Journal(database, "t").record_intent(str(number), "d", operation="create")
    before, lost, folded_lost = 0, 0, []
    for number, statement in enumerate(snapshots.statements):
        whole = tmp_path / "kept" / str(number) / path.name
        alone, folded = tmp_path / f"{number}.alone", tmp_path / f"{number}.folded"
        for copy in (alone, folded):
            shutil.copyfile(whole, copy)
        if log_of(whole).exists():
            shutil.copyfile(log_of(whole), log_of(folded))
        checkpoint(folded)
        rows = await rows_of(whole)
        assert before <= rows <= before + 1, statement
        before = rows
        if await is_refused(alone):
            lost += 1
        else:
            assert await rows_of(alone) == rows, statement
        if await is_refused(folded):
            folded_lost.append(statement)
        else:
            assert await rows_of(folded) == rows, statement
    assert (before, await rows_of(path)) == (ROWS, ROWS)
    assert lost > ROWS
    # Nothing was sent after the announcement, but only the log can tell.
    assert {one.split(" = ")[0] for one in folded_lost} == WINDOW


async def test_a_torn_log_loses_its_end_alone(tmp_path: Path) -> None:
    """A kill within a write, or a power cut that takes what was not flushed."""
    path = tmp_path / "s"
    async with Database(path) as database:
        for number in range(5):
            await Journal(database, "t").record_intent(str(number), "d", operation="create")
        whole, log = path.read_bytes(), log_of(path).read_bytes()
    found: list[int] = []
    for number, length in enumerate([*range(HEAD, len(log), FRAME // 3), len(log)]):
        # A log that is shorter than its first page was not torn, but cut off.
        for rest in (b"", bytes(len(log) - length))[length < HEAD + FRAME :]:
            copy = tmp_path / f"{number}{len(rest)}"
            copy.write_bytes(whole)
            log_of(copy).write_bytes(log[:length] + rest)
            found.append(await rows_of(copy))
    assert found == sorted(found)
    assert set(found) == set(range(6))


async def test_a_failure_after_a_kill_between_announcement_and_confirmation_loses_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "s"
    async with Database(path):
        for one in (path, log_of(path)):
            shutil.copyfile(one, one.with_name(one.name.replace("s", "k", 1)))
    killed = tmp_path / "k"
    log = log_of(killed)
    log.write_bytes(log.read_bytes()[:HEAD] + bytes(FRAME))
    with monkeypatch.context() as patch:
        patch.setattr(module, "_PRAGMAS", ("a mistake",))
        with pytest.raises(StateError, match="the state file cannot be used"):
            await rows_of(killed)
    assert await rows_of(killed) == 0


async def test_a_file_that_was_moved_leaves_no_log_to_the_next(killed: Path) -> None:
    shutil.move(killed, killed.with_name("moved"))
    log = log_of(killed).read_bytes()
    assert await rows_of(killed) == 0
    assert killed.with_name("s-wal.old").read_bytes() == log


async def test_a_new_file_is_not_left_beside_a_log_that_cannot_be_set_aside(killed: Path) -> None:
    shutil.move(killed, killed.with_name("moved"))
    occupied = killed.with_name("s-wal.old")
    (occupied / "sub").mkdir(parents=True)
    for _ in range(2):
        with pytest.raises(StateError, match="the state file cannot be opened"):
            await rows_of(killed)
    assert sorted(one.name for one in occupied.parent.iterdir()) == ["moved", "s-wal", "s-wal.old"]


OPENS = """
import asyncio, sys
from pathlib import Path
from zoho_async.bulk.errors import StateError
from zoho_async.bulk.state.database import Database
async def main():
    print("ready", flush=True)
    sys.stdin.readline()
    try:
        async with Database(Path(sys.argv[1])):
            print("open", flush=True)
            sys.stdin.readline()
    except StateError as error:
        print(error, flush=True)
asyncio.run(main())
"""

IN_USE = "{}: another run is using this state file; wait for it to end, or name another with --state\n"


def test_of_two_processes_that_make_a_file_one_has_it(tmp_path: Path) -> None:
    for turn in range(5):
        arguments = [sys.executable, "-c", OPENS, str(tmp_path / str(turn))]
        processes = [
            subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, bufsize=1)
            for _ in range(2)
        ]
        for expected in ({"ready\n"}, {"open\n", IN_USE.format(tmp_path / str(turn))}):
            assert {process.stdout.readline() for process in processes if process.stdout} == expected
            for process in processes:
                if expected == {"ready\n"} and process.stdin is not None:
                    process.stdin.write("\n")
        for process in processes:
            process.communicate("\n")
        assert [one.name for one in tmp_path.iterdir() if one.suffix == ".part"] == []
