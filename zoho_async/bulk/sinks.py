"""Where pulled records go: SQLite, JSON Lines or CSV. A sink takes records as raw JSON and keeps every digit."""

from __future__ import annotations

import csv
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, TextIO

import msgspec

from .errors import InputError
from .narrow import is_list, is_mapping

_json = msgspec.json.Decoder(float_hook=Decimal)

APPLICATION = 0x5A6F5031
"""SQLite's application id, by which we know files of pulls ("ZoP1")."""


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the list, as it came."""

    id: str
    name: str
    modified: str
    """`last_modified_time` as Zoho wrote it, empty when the row has none."""
    raw: bytes


class Sink(Protocol):
    """Takes rows a page at a time and details one by one. All calls come from one thread."""

    remembers: bool
    """Whether it knows what an earlier pull brought."""

    def open(self) -> None: ...
    def stale(self, records: Sequence[Record]) -> list[Record]:
        """Those of a page whose details it has not, or has from another modification."""
        ...

    def rows(self, records: Sequence[Record]) -> None:
        """Takes one page."""
        ...

    def details(self, found: Sequence[tuple[Record, bytes]]) -> None:
        """Takes records read in full."""
        ...

    def finish(self, *, full: bool) -> int:
        """Makes it final; returns how many records were dropped because the list has them no more."""
        ...

    def abandon(self) -> None:
        """Gives up; what can be kept stays, half files do not."""
        ...


def open_sink(path: Path, name: str, *, origin: tuple[str, str], details: bool) -> Sink:
    """The sink for a file name: `.sqlite` or `.db`, `.jsonl` or `.ndjson`, `.csv`. InputError for any other.

    `name` is product and resource, `origin` place and organisation, `details` whether records will come in full.
    """
    match path.suffix.lower():
        case ".sqlite" | ".sqlite3" | ".db":
            return SqliteSink(path, name, origin)
        case ".jsonl" | ".ndjson":
            return LinesSink(path, details=details)
        case ".csv":
            return CsvSink(path, details=details)
        case other:
            raise InputError(f"{path}: cannot write `{other}` files; use .sqlite, .db, .jsonl, .ndjson or .csv")


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


class LinesSink:
    """One record a line, as Zoho sent it. With details, each line is the record in full instead of the list's row.

    Written under another name and moved into place at the end: the file is complete or it is the old one.
    """

    remembers = False

    def __init__(self, path: Path, *, details: bool) -> None:
        self._path = path
        self._details = details
        self._part = path.with_name(f"{path.name}.part")
        self._file: TextIO | None = None

    def open(self) -> None:
        try:
            self._file = self._part.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written: {error.strerror or error}") from None

    def stale(self, records: Sequence[Record]) -> list[Record]:
        return list(records)

    def rows(self, records: Sequence[Record]) -> None:
        if not self._details:
            self._write([record.raw for record in records])

    def details(self, found: Sequence[tuple[Record, bytes]]) -> None:
        self._write([raw for _, raw in found])

    def finish(self, *, full: bool) -> int:
        self._close()
        self._part.replace(self._path)
        return 0

    def abandon(self) -> None:
        self._close()
        self._part.unlink(missing_ok=True)

    def _write(self, raws: Sequence[bytes]) -> None:
        assert self._file is not None
        # JSON text holds no line break outside its white space, which carries no meaning.
        self._file.writelines(f"{one_line(raw)}\n" for raw in raws)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


class CsvSink(LinesSink):
    """One record a row, nested members as dotted columns; the header is the union of what the records have.

    The union is known only at the end, so the records wait in a file of JSON Lines beside it.
    """

    def finish(self, *, full: bool) -> int:
        self._close()
        columns = list(dict.fromkeys(name for record in self._records() for name in flat(record)))
        table = self._path.with_name(f"{self._path.name}.table.part")
        try:
            with table.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
                writer.writeheader()
                writer.writerows(flat(record) for record in self._records())
            table.replace(self._path)
        finally:
            table.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
        return 0

    def _records(self) -> Iterator[dict[str, Any]]:
        with self._part.open(encoding="utf-8") as file:
            for line in file:
                yield _json.decode(line)


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A record as columns and texts: `billing_address.city`, `contact_persons[0].email`; numbers digit by digit."""
    columns: dict[str, str] = {}
    for key, value in record.items():
        _flatten(f"{prefix}{key}", value, columns)
    return columns


def _flatten(name: str, value: Any, columns: dict[str, str]) -> None:
    if is_mapping(value) and value:
        columns.update(flat(value, f"{name}."))
    elif is_list(value) and value:
        for place, item in enumerate(value):
            _flatten(f"{name}[{place}]", item, columns)
    elif isinstance(value, bool):
        columns[name] = "true" if value else "false"
    elif value is None:
        columns[name] = ""
    elif is_mapping(value) or is_list(value):
        columns[name] = "{}" if is_mapping(value) else "[]"
    else:
        columns[name] = str(value)


def one_line(raw: bytes) -> str:
    """JSON text without line breaks; anything else stays as it was written."""
    return raw.decode().replace("\r", " ").replace("\n", " ")
