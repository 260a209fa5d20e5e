"""Records into an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from zoho_async.bulk.errors import InputError

from .sink import Record

APPLICATION = 0x5A6F5031
"""SQLite's application id, by which we know files of pulls ("ZoP1")."""


class SqliteSink:
    """One table, named like the resource: id, name, last_modified_time, row and detail (JSON text), pulled_at.

    `row` is the record as the list has it, `detail` as it is when read alone (NULL until then) with the modification
    it belongs to in `detail_of`. Each page is one transaction, so an interrupted pull keeps what it has.
    Another table, `pulled_from`, says whose records these are: those of two organisations never come together.
    """

    remembers = True

    def __init__(self, path: Path, name: str, origin: tuple[str, str]) -> None:
        self._path = path
        self._name = name
        self._origin = origin
        self._table = f'"{name.rpartition(".")[2]}"'
        self._connection: sqlite3.Connection | None = None
        self._pulled_at = ""

    def open(self) -> None:
        try:
            connection = sqlite3.connect(self._path, isolation_level=None, timeout=5, check_same_thread=False)
        except sqlite3.Error as error:
            raise InputError(f"{self._path}: cannot be opened: {error}") from None
        try:
            connection.execute("BEGIN IMMEDIATE")
            self._claim(connection)
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} (id TEXT PRIMARY KEY, name TEXT NOT NULL, "
                "last_modified_time TEXT NOT NULL, row TEXT NOT NULL, detail TEXT, detail_of TEXT, "
                "pulled_at TEXT NOT NULL)"
            )
            connection.execute(
                f"SELECT id, name, last_modified_time, row, detail, detail_of FROM {self._table} LIMIT 0"
            )
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("PRAGMA synchronous = NORMAL")
        except sqlite3.OperationalError as error:
            connection.close()
            raise InputError(f"{self._path}: cannot be used: {error}") from None
        except sqlite3.Error as error:
            connection.close()
            raise InputError(f"{self._path}: is not a file of an earlier pull: {error}") from None
        except InputError:
            connection.close()
            raise
        self._connection = connection
        self._pulled_at = datetime.now(UTC).isoformat(timespec="microseconds")

    def _claim(self, connection: sqlite3.Connection) -> None:
        """Makes an empty file ours; InputError for one that is another's."""
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION:
            if application or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
                raise InputError(f"{self._path}: is not a file of an earlier pull; name another")
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(
                "CREATE TABLE pulled_from (resource TEXT PRIMARY KEY, place TEXT NOT NULL, "
                "organization_id TEXT NOT NULL, held_in TEXT NOT NULL UNIQUE)"
            )
        for resource, held_in, *origin in connection.execute(
            "SELECT resource, held_in, place, organization_id FROM pulled_from"
        ):
            if tuple(origin) != self._origin or (held_in == self._table and resource != self._name):
                place, organization = origin
                raise InputError(
                    f"{self._path}: holds {resource} of organisation {organization} ({place}), not {self._name} of "
                    f"{self._origin[1]} ({self._origin[0]}); name another file"
                )
        connection.execute(
            "INSERT OR IGNORE INTO pulled_from VALUES (?, ?, ?, ?)", (self._name, *self._origin, self._table)
        )

    def stale(self, records: Sequence[Record]) -> list[Record]:
        database = self._open
        return [
            record
            for record in records
            if not record.modified
            or database.execute(
                f"SELECT 1 FROM {self._table} WHERE id = ? AND detail_of = ?",
                (record.id, record.modified),
            ).fetchone()
            is None
        ]

    def rows(self, records: Sequence[Record]) -> None:
        self._many(
            f"INSERT INTO {self._table} (id, name, last_modified_time, row, pulled_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, last_modified_time = excluded.last_modified_time, "
            "row = excluded.row, pulled_at = excluded.pulled_at",
            [(one.id, one.name, one.modified, one.raw.decode(), self._pulled_at) for one in records],
        )

    def details(self, found: Sequence[tuple[Record, bytes]]) -> None:
        self._many(
            f"UPDATE {self._table} SET detail = ?, detail_of = ? WHERE id = ?",
            [(raw.decode(), record.modified, record.id) for record, raw in found],
        )

    def finish(self, *, full: bool) -> int:
        database = self._open
        gone = 0
        if full:
            gone = database.execute(
                f"DELETE FROM {self._table} WHERE pulled_at <> ?",
                (self._pulled_at,),
            ).rowcount
        self.abandon()
        return gone

    def abandon(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    @property
    def _open(self) -> sqlite3.Connection:
        assert self._connection is not None
        return self._connection

    def _many(self, statement: str, values: Sequence[tuple[str, ...]]) -> None:
        database = self._open
        database.execute("BEGIN IMMEDIATE")
        try:
            database.executemany(statement, values)
        except BaseException:
            database.execute("ROLLBACK")
            raise
        database.execute("COMMIT")
