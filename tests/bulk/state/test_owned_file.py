from __future__ import annotations

import sqlite3
import stat
from contextlib import closing
from pathlib import Path

import pytest

from zoho_async.bulk.errors import InputError
from zoho_async.bulk.state.owned_file import MEMORY, FileKind, open_owned

KIND = FileKind(
    application_id=77,
    version=2,
    subject="the test file",
    wrong_kind="is not a test file",
    in_use="is in use",
    error=InputError,
)


def prepare(connection: sqlite3.Connection, version: int) -> None:
    connection.execute("CREATE TABLE IF NOT EXISTS versions (opened INTEGER)")
    connection.execute("INSERT INTO versions VALUES (?)", (version,))


def versions(connection: sqlite3.Connection) -> list[int]:
    return [version for (version,) in connection.execute("SELECT opened FROM versions")]


def test_a_new_file_is_its_owners_alone_and_is_known_again(tmp_path: Path) -> None:
    path = tmp_path / "a"
    for opened in ([0], [0, 2]):
        with closing(open_owned(str(path), KIND, prepare, pragmas=("synchronous = OFF",))) as connection:
            assert versions(connection) == opened
            found = [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]
            assert found == ["wal", 0]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    path.chmod(0o644)
    open_owned(str(path), KIND, prepare).close()
    assert stat.S_IMODE(path.stat().st_mode) == 0o644


def test_an_empty_file_is_taken_and_memory_has_no_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a").touch()
    for file in ("a", MEMORY):
        with closing(open_owned(file, KIND, prepare)) as connection:
            assert versions(connection) == [0]
    assert [path.name for path in tmp_path.iterdir()] == ["a"]


@pytest.mark.parametrize(
    ("made", "message"),
    [
        ("CREATE TABLE mine (x)", "is not a test file"),
        ("PRAGMA application_id = 78", "is not a test file"),
        (
            "PRAGMA application_id = 77; PRAGMA user_version = 3",
            r"was written by a newer zoho_async \(version 3, known 2",
        ),
    ],
)
def test_other_files_are_refused_and_stay_as_they_are(tmp_path: Path, made: str, message: str) -> None:
    path = tmp_path / "a"
    with closing(sqlite3.connect(path)) as connection:
        connection.executescript(made)
    before = path.read_bytes()
    with pytest.raises(InputError, match=f"^name: {message}"):
        open_owned(str(path), KIND, prepare, where="name")
    assert path.read_bytes() == before


def test_what_is_no_database_or_no_place_is_refused(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("hello " * 1_000)
    with pytest.raises(InputError, match="is not a test file"):
        open_owned(str(text), KIND, prepare)
    for file in (str(tmp_path / "none" / "a"), str(tmp_path), "a\0b"):
        with pytest.raises(InputError, match="the test file cannot be opened: "):
            open_owned(file, KIND, prepare)


def test_a_preparation_that_fails_changes_nothing(tmp_path: Path) -> None:
    path = str(tmp_path / "a")

    def fail(connection: sqlite3.Connection, version: int) -> None:
        prepare(connection, version)
        connection.execute("SELECT nothing")

    with pytest.raises(InputError, match="the test file cannot be used: "):
        open_owned(path, KIND, fail)
    with closing(open_owned(path, KIND, prepare)) as connection:
        assert versions(connection) == [0]


def test_an_exclusive_file_is_in_use_until_it_is_closed(tmp_path: Path) -> None:
    path = str(tmp_path / "a")
    with closing(open_owned(path, KIND, prepare, exclusive=True)), pytest.raises(InputError, match=r": is in use$"):
        open_owned(path, KIND, prepare)
    open_owned(path, KIND, prepare).close()
