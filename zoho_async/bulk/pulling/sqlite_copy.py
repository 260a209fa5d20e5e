"""A copy of a list in an SQLite file, with the state that keeps it up to date in the same transactions."""

from __future__ import annotations

import inspect
import sqlite3
from collections.abc import Generator, Mapping
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args
from uuid import uuid4

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.state.owned_file import FileKind, open_owned
from zoho_async.wire.lenient import untyped

from .change import Change
from .id_index import SqliteIndex, content_hash
from .state_document import PullDocument, read_document
from .typed_columns import ColumnType, cell, columns_of, columns_of_target, custom_fields
from .typed_table import SqlValue, TypedTable

PULL_FILE = FileKind(
    application_id=0x5A6F5031,  # "ZoP1"
    version=2,
    subject="the file",
    wrong_kind="is not a file of an earlier pull; name another",
    in_use="",
    error=InputError,
)

_BASE = {
    "id": "TEXT PRIMARY KEY",
    "name": "TEXT NOT NULL",
    "last_modified_time": "TEXT NOT NULL",
    "row": "TEXT NOT NULL",
    "detail": "TEXT",
    "detail_of": "TEXT",
    "pulled_at": "TEXT NOT NULL",
    "deleted_at": "TEXT",
}
_LACKS_DETAILS = "detail_of IS NOT last_modified_time AND deleted_at IS NULL"
_MIGRATED_TOGETHER = 500
_encoder = msgspec.json.Encoder(decimal_format="number")


class CopyOverview(msgspec.Struct, frozen=True, kw_only=True):
    """What a file has before a pull.

    Attributes:
        document: The state.
        index: The ids.
        known: How many they are.
        pending: Those whose details are still to be read.
        without_details: Records without details, or with old ones.
    """

    document: PullDocument
    index: SqliteIndex
    known: int
    pending: int
    without_details: int

    @property
    def is_copy(self) -> bool:
        """Whether a first pull has begun to read the list."""
        document = self.document
        if document.swept_at > 0 or document.reading is None:
            return document.swept_at > 0 or bool(document.watermark)
        return document.reading.beyond is None


class SqliteCopy:
    """The table of one resource: columns from the specs, custom fields as they are met, and the raw JSON beside them.

    `row` is the record as the list has it; `detail` the record as read by itself (NULL until then), with its
    modification time in `detail_of`; `deleted_at` is when the pull found that Zoho has it no more. With details the
    tables `contact_persons` and `addresses` hold those of every record; of a second resource in the file, tables named
    `customers_contact_persons`, say. The table `pulled_from` names the organisation
    of each resource: records of two never come together. A `PullState`.

    Args:
        path: The file.
        target: The resource.
    """

    def __init__(self, path: Path, target: Destination) -> None:
        self._path = path
        self._target = target
        self._name = target.name
        self._table_name = target.name.rpartition(".")[2]
        self._types: dict[str, ColumnType] = columns_of_target(target)
        self._part_types = _part_types(target)
        self._opened: sqlite3.Connection | None = None
        self._table: TypedTable | None = None
        self._parts: dict[str, TypedTable] = {}
        self.records = 0
        """Records of the file that are not deleted."""

    # -- the state

    def open(self) -> bytes | None:
        self._opened = open_owned(
            str(self._path.absolute()),
            PULL_FILE,
            self._prepare,
            where=str(self._path),
            timeout=5,
            pragmas=("synchronous = NORMAL",),
        )
        try:
            self._opened.execute("BEGIN IMMEDIATE")
            counting = f'SELECT count(*) FROM "{self._table_name}" WHERE deleted_at IS NULL'
            (self.records,) = self._opened.execute(counting).fetchone()
            query = "SELECT document FROM pulled_state WHERE resource = ?"
            found = self._opened.execute(query, (self._name,)).fetchone()
        except BaseException:
            self.close()
            raise
        return found[0] if found is not None else None

    @property
    def index(self) -> SqliteIndex:
        return SqliteIndex(self._connection, self._index_name)

    def commit(self, document: bytes) -> None:
        connection = self._connection
        self.index.confirm()
        connection.execute("INSERT OR REPLACE INTO pulled_state VALUES (?, ?)", (self._name, document))
        connection.execute("COMMIT")
        connection.execute("BEGIN IMMEDIATE")

    def close(self) -> None:
        if self._opened is not None:
            self._opened.close()
            self._opened = None

    @contextmanager
    def overview(self) -> Generator[CopyOverview | None, None, None]:
        """What the file has, read without a change to it; None where it has no copy yet.

        Raises:
            InputError: It is not a file of an earlier pull, or holds another organisation's records.
            StateError: Its state cannot be read.
        """
        if not self._path.is_file() or not self._path.stat().st_size:
            yield None
            return
        # Without a log nothing else has to be made to read it.
        log = self._path.with_name(f"{self._path.name}-wal")
        mode = "mode=ro" if log.exists() else "mode=ro&immutable=1"
        try:
            with closing(sqlite3.connect(f"{self._path.absolute().as_uri()}?{mode}", uri=True)) as connection:
                yield self._overview(connection)
        except sqlite3.Error as error:
            raise InputError(f"{self._path}: {PULL_FILE.wrong_kind} ({error})") from None

    def _overview(self, connection: sqlite3.Connection) -> CopyOverview | None:
        (application_id,) = connection.execute("PRAGMA application_id").fetchone()
        if application_id != PULL_FILE.application_id:
            raise InputError(f"{self._path}: {PULL_FILE.wrong_kind}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > PULL_FILE.version:
            raise InputError(f"{self._path}: was written by a newer zoho_async (version {version})")
        self._check_origin(connection)
        query = "SELECT count(*) FROM sqlite_master WHERE name IN ('pulled_state', ?)"
        if connection.execute(query, (self._index_name,)).fetchone() != (2,):
            return None
        found = connection.execute("SELECT document FROM pulled_state WHERE resource = ?", (self._name,)).fetchone()
        if found is None:
            return None
        index = SqliteIndex(connection, self._index_name)
        lacking = f'SELECT count(*) FROM "{self._table_name}" WHERE {_LACKS_DETAILS}'
        return CopyOverview(
            document=read_document(
                found[0], resource=self._name, origin=self._target.origin, token="", where=str(self._path)
            ),
            index=index,
            known=index.count(),
            pending=index.pending_count(),
            without_details=connection.execute(lacking).fetchone()[0],
        )

    # -- the records

    def store(self, change: Change) -> None:
        """Writes one change."""
        if change.kind == "delete":
            query = f'UPDATE "{self._table_name}" SET deleted_at = ? WHERE id = ? AND deleted_at IS NULL'
            self.records -= self._connection.execute(query, (_now(), change.id)).rowcount
            for part in self._parts.values():
                self._connection.execute(f'DELETE FROM "{part.name}" WHERE {self._part_key} = ?', (change.id,))
            return
        raw = change.row if change.row is not None else self._row_of(change.id)
        cells = self._cells(change.id, raw, change.record)
        query = f'SELECT deleted_at IS NULL, last_modified_time, row FROM "{self._table_name}" WHERE id = ?'
        is_there, modified, row = self._connection.execute(query, (change.id,)).fetchone() or (False, None, "")
        self.records += not is_there
        if change.record is not None:
            cells |= {"detail": change.record.decode(), "detail_of": cells["last_modified_time"]}
            self._store_parts(change.id, untyped(change.record))
        elif modified == cells["last_modified_time"] and untyped(row.encode()) != untyped(raw):
            # Changed twice in a second: the stamp does not show that the details are older.
            cells["detail_of"] = None
        assert self._table is not None
        self._table.write(cells)

    def ask_for_details(self, *, every: bool) -> None:
        """Makes the details of every record pending, or of those whose details are missing or old."""
        if every:
            self.index.ask_for_all()
        else:
            self._connection.execute(
                f"UPDATE {self._index_name} SET pending = 1 WHERE hash <> x'' AND id IN (SELECT id FROM "
                f'"{self._table_name}" WHERE {_LACKS_DETAILS})'
            )

    def purge(self) -> int:
        """Removes the rows of deleted records; how many."""
        return self._connection.execute(f'DELETE FROM "{self._table_name}" WHERE deleted_at IS NOT NULL').rowcount

    def _cells(self, record_id: str, raw: bytes, detail: bytes | None) -> dict[str, SqlValue]:
        row: Mapping[str, Any] = untyped(raw)
        name = row.get(self._target.name_field, "") if self._target.name_field else ""
        modified = row.get("last_modified_time") or row.get("updated_time") or ""
        read: Mapping[str, Any] = untyped(detail) if detail is not None else {}
        cells: dict[str, SqlValue] = {"id": record_id}
        cells |= {one: cell(value, self._types[one]) for one, value in {**row, **read}.items() if one in self._types}
        for record in (row, read):
            cells |= {one: cell(value, None) for one, value in custom_fields(record)}
        return cells | {
            "name": str(name or ""),
            "last_modified_time": str(modified),
            "row": raw.decode(),
            "pulled_at": _now(),
            "deleted_at": None,
        }

    def _row_of(self, record_id: str) -> bytes:
        query = f'SELECT row FROM "{self._table_name}" WHERE id = ?'
        found = self._connection.execute(query, (record_id,)).fetchone()
        return str(found[0]).encode() if found is not None else b"{}"

    # -- persons and addresses

    @property
    def _part_key(self) -> str:
        return self._target.record_id

    def _store_parts(self, record_id: str, record: Mapping[str, Any]) -> None:
        for part, table in self._parts.items():
            self._connection.execute(f'DELETE FROM "{table.name}" WHERE {self._part_key} = ?', (record_id,))
            for position, (kind, item) in enumerate(_parts_of(record, part)):
                types = self._part_types[part]
                cells = {one: cell(value, types[one]) for one, value in item.items() if one in types}
                cells |= {one: cell(value, None) for one, value in custom_fields(item)}
                cells.pop(self._part_key, None)
                key: dict[str, SqlValue] = {"part": f"{record_id}/{position}", self._part_key: record_id}
                table.write(key | {"position": position, "kind": kind, "row": _encoder.encode(item).decode()} | cells)

    # -- the file

    @property
    def _connection(self) -> sqlite3.Connection:
        assert self._opened is not None
        return self._opened

    @property
    def _index_name(self) -> str:
        return f"pulled_ids_{self._name.replace('.', '_')}"

    def _prepare(self, connection: sqlite3.Connection, version: int) -> None:
        connection.execute(
            "CREATE TABLE IF NOT EXISTS pulled_from (resource TEXT PRIMARY KEY, place TEXT NOT NULL, "
            "organization_id TEXT NOT NULL, held_in TEXT NOT NULL UNIQUE)"
        )
        self._check_origin(connection)
        connection.execute(
            "INSERT OR IGNORE INTO pulled_from VALUES (?, ?, ?, ?)",
            (self._name, *self._target.origin, f'"{self._table_name}"'),
        )
        connection.execute(
            "CREATE TABLE IF NOT EXISTS pulled_state (resource TEXT PRIMARY KEY, document BLOB NOT NULL)"
        )
        SqliteIndex.create(connection, self._index_name)
        self._table = TypedTable(connection, self._table_name, _BASE, self._types)
        # Two products may have the same ids.
        first = connection.execute("SELECT resource FROM pulled_from ORDER BY rowid").fetchone() == (self._name,)
        prefix = "" if first else f"{self._table_name}_"
        for part, types in self._part_types.items():
            base = {
                "part": "TEXT PRIMARY KEY",
                self._part_key: "TEXT NOT NULL",
                "position": "INTEGER NOT NULL",
                "kind": "TEXT",
                "row": "TEXT NOT NULL",
            }
            name = f"{prefix}{part}"
            self._parts[part] = TypedTable(connection, name, base, types)
            connection.execute(f'CREATE INDEX IF NOT EXISTS "{name}_of" ON "{name}" ({self._part_key})')
        # Not by the file's version: it is brought up to date by the first of its resources that is pulled.
        has_rows = connection.execute(f'SELECT 1 FROM "{self._table_name}"').fetchone() is not None
        query = "SELECT 1 FROM pulled_state WHERE resource = ?"
        if has_rows and connection.execute(query, (self._name,)).fetchone() is None:
            self._migrate(connection)

    def _migrate(self, connection: sqlite3.Connection) -> None:
        """Fills the columns of a table of version 1, and the index with what it has."""
        assert self._table is not None
        self._opened = connection
        query = (
            f'SELECT id, row, detail, detail_of, last_modified_time, pulled_at FROM "{self._table_name}" WHERE id > ? '
            f"ORDER BY id LIMIT {_MIGRATED_TOGETHER}"
        )
        last = ""
        while rows := connection.execute(query, (last,)).fetchall():
            for record_id, row, detail, detail_of, modified, pulled_at in rows:
                cells = self._cells(record_id, row.encode(), detail.encode() if detail is not None else None)
                cells |= {"detail_of": detail_of, "last_modified_time": modified, "pulled_at": pulled_at}
                self._table.write(cells)
                if detail is not None:
                    self._store_parts(record_id, untyped(detail))
                self.index.put(record_id, content_hash(row.encode()), modified, 0)
            last = rows[-1][0]
        place, organization_id = self._target.origin
        token = uuid4().hex
        document = PullDocument(resource=self._name, place=place, organization_id=organization_id, index=token)
        self.index.confirm()
        self.index.mark_begun(token)
        connection.execute(
            "INSERT OR REPLACE INTO pulled_state VALUES (?, ?)", (self._name, msgspec.json.encode(document))
        )
        self._opened = None

    def _check_origin(self, connection: sqlite3.Connection) -> None:
        held = f'"{self._table_name}"'
        for resource, held_in, *origin in connection.execute(
            "SELECT resource, held_in, place, organization_id FROM pulled_from"
        ):
            if tuple(origin) != self._target.origin or (held_in == held and resource != self._name):
                place, organization = origin
                raise InputError(
                    f"{self._path}: holds {resource} of organisation {organization} ({place}), not {self._name} of "
                    f"{self._target.origin[1]} ({self._target.origin[0]}); name another file"
                )


def is_sqlite(path: Path) -> bool:
    """Whether the name is that of an SQLite file: `.sqlite`, `.sqlite3` or `.db`."""
    return path.suffix.lower() in (".sqlite", ".sqlite3", ".db")


def _part_types(target: Destination) -> dict[str, dict[str, ColumnType]]:
    """The columns of persons and addresses, as far as the records of a target have them."""
    get = target.operations.get("get")
    fields = {one.encode_name: one.type for one in msgspec.structs.fields(get.response)} if get else {}
    persons, address = _struct_in(fields.get("contact_persons")), _struct_in(fields.get("billing_address"))
    found = {"contact_persons": persons, "addresses": address}
    return {name: columns_of(struct) for name, struct in found.items() if struct is not None}


def _parts_of(record: Mapping[str, Any], part: str) -> list[tuple[str | None, Mapping[str, Any]]]:
    """The persons or addresses of a record, each with its kind."""
    listed: Any = record.get(part)
    found: list[tuple[str | None, Mapping[str, Any]]] = []
    if part == "addresses":
        kinds = {"billing": record.get("billing_address"), "shipping": record.get("shipping_address")}
        found += [(kind, address) for kind, address in kinds.items() if is_mapping(address)]
    found += [(None, item) for item in (listed if is_sequence(listed) else ()) if is_mapping(item)]
    return found


def _struct_in(kind: Any) -> Any:
    """The struct in a type such as `list[Address] | None`; None when there is none."""
    if inspect.isclass(kind) and issubclass(kind, msgspec.Struct):
        return kind
    for argument in get_args(kind):
        if (found := _struct_in(argument)) is not None:
            return found
    return None


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="microseconds")
