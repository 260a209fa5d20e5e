"""Pulled records in an SQLite file."""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from datetime import UTC, datetime
from pathlib import Path

from zoho_async.bulk.errors import InputError
from zoho_async.bulk.state.owned_file import FileKind, open_owned

from .sink import Missing, Record

PULL_FILE = FileKind(
    application_id=0x5A6F5031,  # "ZoP1"
    version=1,
    subject="the file",
    wrong_kind="is not a file of an earlier pull; name another",
    in_use="",
    error=InputError,
)


class SqliteSink:
    """One table, named like the resource: id, name, last_modified_time, row and detail (JSON text), pulled_at.

    `row` is the record as the list has it; `detail` the record as read alone (NULL until then), with its modification
    time in `detail_of`. Each page is one transaction, so an interrupted pull keeps its pages. The table `pulled_from`
    names the organisation of each resource: records of two never come together.
    """

    remembers = True

    def __init__(self, path: Path, name: str, origin: tuple[str, str]) -> None:
        self._path = path
        self._name = name
        self._origin = origin
        self._table = f'"{name.rpartition(".")[2]}"'
        self._opened: sqlite3.Connection | None = None
        self._pulled_at = ""
        self._known = 0
        """Records of earlier pulls."""

    def open(self) -> None:
        self._opened = open_owned(
            str(self._path.absolute()),
            PULL_FILE,
            self._prepare,
            where=str(self._path),
            timeout=5,
            pragmas=("synchronous = NORMAL",),
        )
        (self._known,) = self._connection.execute(f"SELECT count(*) FROM {self._table}").fetchone()
        self._pulled_at = datetime.now(UTC).isoformat(timespec="microseconds")

    def stale(self, records: Sequence[Record]) -> list[Record]:
        known = f"SELECT 1 FROM {self._table} WHERE id = ? AND detail_of = ?"
        return [
            record
            for record in records
            if not record.modified or self._connection.execute(known, (record.id, record.modified)).fetchone() is None
        ]

    def rows(self, records: Sequence[Record]) -> None:
        self._write(
            f"INSERT INTO {self._table} (id, name, last_modified_time, row, pulled_at) VALUES (?, ?, ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET name = excluded.name, last_modified_time = excluded.last_modified_time, "
            "row = excluded.row, pulled_at = excluded.pulled_at",
            [(one.id, one.name, one.modified, one.raw.decode(), self._pulled_at) for one in records],
        )

    def details(self, found: Sequence[tuple[Record, bytes]]) -> None:
        self._write(
            f"UPDATE {self._table} SET detail = ?, detail_of = ? WHERE id = ?",
            [(raw.decode(), record.modified, record.id) for record, raw in found],
        )

    def missing(self) -> Missing:
        found = self._connection.execute(f"SELECT id FROM {self._table} WHERE pulled_at <> ?", (self._pulled_at,))
        return Missing(known=self._known, ids=[record_id for (record_id,) in found])

    def finish(self, deleted: Collection[str]) -> None:
        self._write(f"DELETE FROM {self._table} WHERE id = ?", [(record_id,) for record_id in deleted])
        self.abandon()

    def abandon(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._opened is not None
        return self._opened

    def _write(self, statement: str, values: Sequence[tuple[str, ...]]) -> None:
        connection = self._connection
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(statement, values)
        except BaseException:
            connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def _prepare(self, connection: sqlite3.Connection, version: int) -> None:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS pulled_from (resource TEXT PRIMARY KEY, place TEXT NOT NULL, "
            "organization_id TEXT NOT NULL, held_in TEXT NOT NULL UNIQUE)"
        )
        self._check_origin(connection)
        connection.execute(
            "INSERT OR IGNORE INTO pulled_from VALUES (?, ?, ?, ?)", (self._name, *self._origin, self._table)
        )
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {self._table} (id TEXT PRIMARY KEY, name TEXT NOT NULL, "
            "last_modified_time TEXT NOT NULL, row TEXT NOT NULL, detail TEXT, detail_of TEXT, "
            "pulled_at TEXT NOT NULL)"
        )
        # Fails for a table of that name with other columns.
        connection.execute(f"SELECT id, name, last_modified_time, row, detail, detail_of FROM {self._table} LIMIT 0")

    def _check_origin(self, connection: sqlite3.Connection) -> None:
        for resource, held_in, *origin in connection.execute(
            "SELECT resource, held_in, place, organization_id FROM pulled_from"
        ):
            if tuple(origin) != self._origin or (held_in == self._table and resource != self._name):
                place, organization = origin
                raise InputError(
                    f"{self._path}: holds {resource} of organisation {organization} ({place}), not {self._name} of "
                    f"{self._origin[1]} ({self._origin[0]}); name another file"
                )
