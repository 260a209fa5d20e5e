"""The ids of the records that a consumer has, each with the hash of its row."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from hashlib import blake2b
from typing import Protocol

import msgspec


class PendingRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A changed record whose details are still to be read.

    Attributes:
        id: Zoho's id.
        modified: The time of its last change as Zoho wrote it.
        row: The list's row; None where it is known already.
    """

    id: str
    modified: str
    row: bytes | None


class IdIndex(Protocol):
    """What `changes` keeps of every record.

    `announce` takes effect at once, for a consumer may store a change and be killed: the next run has to know the
    record. That a change was handed out (`put`, `remove`, `settle`) counts from the commit of the state on; until then
    it is forgotten by a crash.
    """

    def begin(self, token: str) -> bool:
        """Forgets what was not committed; removes everything unless it was begun with this token, and says so."""
        ...

    def announce(self, ids: Sequence[str]) -> None:
        """Notes records that are about to be handed out."""
        ...

    def hashes(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The hash of each of these records whose content the consumer has."""
        ...

    def put(self, record_id: str, content_hash: bytes, modified: str, generation: int) -> None:
        """Adds or replaces a record that is handed out."""
        ...

    def put_pending(self, record_id: str, content_hash: bytes, modified: str, generation: int, row: bytes) -> None:
        """Adds or replaces a record that is handed out later, with its details."""
        ...

    def remove(self, record_id: str) -> None:
        """Removes a record that is handed out as deleted."""
        ...

    def settle(self, record_id: str) -> None:
        """Notes that a pending record is handed out."""
        ...

    def mark_listed(self, ids: Iterable[str], generation: int) -> None:
        """Notes that the reading of this number has shown these records."""
        ...

    def count(self, generation: int | None = None) -> int:
        """How many records are known; of a generation: those that its reading has not shown."""
        ...

    def unlisted(self, generation: int, limit: int) -> list[str]:
        """Ids of records that the reading of this number has not shown."""
        ...

    def last_generation(self) -> int:
        """The highest number of a reading that any record has."""
        ...

    def pending(self, limit: int) -> list[PendingRecord]:
        """Records whose details are still to be read, the longest unchanged first."""
        ...

    def pending_count(self) -> int:
        """How many they are."""
        ...


_KNOWN = "handed IS NOT x''"


class SqliteIndex:
    """An index in two tables of an SQLite database.

    `hash` is of the content that the consumer has, `handed` of what was handed out since the commit; both are empty for
    a record that it does not have.

    Args:
        connection: The database, in a transaction whenever this is used.
        table: Name of the first table, without characters that need quotes.
    """

    def __init__(self, connection: sqlite3.Connection, table: str = "pulled_ids") -> None:
        self._connection = connection
        self._table = table

    @staticmethod
    def create(connection: sqlite3.Connection, table: str = "pulled_ids") -> None:
        """Makes the tables."""
        connection.execute(
            f"CREATE TABLE IF NOT EXISTS {table} (id TEXT PRIMARY KEY, hash BLOB NOT NULL, handed BLOB, "
            "modified TEXT NOT NULL, generation INTEGER NOT NULL, pending INTEGER NOT NULL DEFAULT 0, row BLOB) "
            "WITHOUT ROWID"
        )
        connection.execute(f"CREATE INDEX IF NOT EXISTS {table}_handed ON {table} (id) WHERE handed IS NOT NULL")
        connection.execute(f"CREATE INDEX IF NOT EXISTS {table}_pending ON {table} (modified, id) WHERE pending")
        connection.execute(f"CREATE TABLE IF NOT EXISTS {table}_token (token TEXT NOT NULL)")

    def begin(self, token: str) -> bool:
        if self._connection.execute(f"SELECT token FROM {self._table}_token").fetchone() == (token,):
            self._connection.execute(f"UPDATE {self._table} SET handed = NULL WHERE handed IS NOT NULL")
            return True
        self._connection.execute(f"DELETE FROM {self._table}")
        self.mark_begun(token)
        return False

    def mark_begun(self, token: str) -> None:
        """Notes the document that it belongs to."""
        self._connection.execute(f"DELETE FROM {self._table}_token")
        self._connection.execute(f"INSERT INTO {self._table}_token VALUES (?)", (token,))

    def announce(self, ids: Sequence[str]) -> None:
        self._connection.executemany(
            f"INSERT OR IGNORE INTO {self._table} (id, hash, modified, generation) VALUES (?, x'', '', 0)",
            [(record_id,) for record_id in ids],
        )
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")

    def confirm(self) -> None:
        """Keeps what was handed out; the caller commits."""
        self._connection.execute(f"DELETE FROM {self._table} WHERE handed = x''")
        self._connection.execute(
            f"UPDATE {self._table} SET hash = handed, handed = NULL, pending = 0, row = NULL WHERE handed IS NOT NULL"
        )

    def hashes(self, ids: Sequence[str]) -> dict[str, bytes]:
        marks = ", ".join("?" * len(ids))
        query = f"SELECT id, coalesce(handed, hash) FROM {self._table} WHERE id IN ({marks})"
        return dict(self._connection.execute(query, ids))

    def put(self, record_id: str, content_hash: bytes, modified: str, generation: int) -> None:
        self._connection.execute(
            f"INSERT INTO {self._table} (id, hash, handed, modified, generation) VALUES (?, x'', ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET handed = excluded.handed, modified = excluded.modified, "
            "generation = excluded.generation",
            (record_id, content_hash, modified, generation),
        )

    def put_pending(self, record_id: str, content_hash: bytes, modified: str, generation: int, row: bytes) -> None:
        # At once: a pending record is not forgotten, so its hash need not be.
        self._connection.execute(
            f"INSERT OR REPLACE INTO {self._table} (id, hash, modified, generation, pending, row) "
            "VALUES (?, ?, ?, ?, 1, ?)",
            (record_id, content_hash, modified, generation, row),
        )

    def remove(self, record_id: str) -> None:
        self._connection.execute(f"UPDATE {self._table} SET handed = x'' WHERE id = ?", (record_id,))

    def settle(self, record_id: str) -> None:
        self._connection.execute(f"UPDATE {self._table} SET handed = hash WHERE id = ?", (record_id,))

    def mark_listed(self, ids: Iterable[str], generation: int) -> None:
        self._connection.executemany(
            f"UPDATE {self._table} SET generation = ? WHERE id = ?", [(generation, record_id) for record_id in ids]
        )

    def count(self, generation: int | None = None) -> int:
        query = f"SELECT count(*) FROM {self._table} WHERE {_KNOWN}"
        if generation is None:
            return int(self._connection.execute(query).fetchone()[0])
        return int(self._connection.execute(f"{query} AND generation <> ?", (generation,)).fetchone()[0])

    def unlisted(self, generation: int, limit: int) -> list[str]:
        query = f"SELECT id FROM {self._table} WHERE {_KNOWN} AND generation <> ? LIMIT ?"
        return [record_id for (record_id,) in self._connection.execute(query, (generation, limit))]

    def last_generation(self) -> int:
        return int(self._connection.execute(f"SELECT coalesce(max(generation), 0) FROM {self._table}").fetchone()[0])

    def pending(self, limit: int) -> list[PendingRecord]:
        query = f"SELECT id, modified, row FROM {self._table} WHERE pending AND handed IS NULL"
        found = self._connection.execute(f"{query} ORDER BY modified, id LIMIT ?", (limit,))
        return [PendingRecord(id=record_id, modified=modified, row=row) for record_id, modified, row in found]

    def pending_count(self) -> int:
        # Two counts that each read an index alone.
        counts = (
            self._connection.execute(f"SELECT count(*) FROM {self._table} WHERE pending{more}").fetchone()[0]
            for more in ("", " AND handed IS NOT NULL")
        )
        pending, handed = counts
        return int(pending - handed)

    def ask_for_all(self) -> None:
        """Makes the details of every record pending."""
        self._connection.execute(f"UPDATE {self._table} SET pending = 1 WHERE hash <> x''")


class IdSet:
    """A set of ids on disk: a million of them would take 150 MB of memory."""

    def __init__(self) -> None:
        self._opened: sqlite3.Connection | None = None

    @property
    def _connection(self) -> sqlite3.Connection:
        if self._opened is None:
            # SQLite's own temporary file, which ends with the process.
            self._opened = sqlite3.connect("", isolation_level=None, check_same_thread=False)
            self._opened.execute("CREATE TABLE ids (id TEXT PRIMARY KEY) WITHOUT ROWID")
            self._opened.execute("BEGIN")
        return self._opened

    def add(self, ids: Iterable[str]) -> list[str]:
        """Adds ids; those that are new, in their order."""
        query = "INSERT OR IGNORE INTO ids VALUES (?)"
        return [one for one in ids if self._connection.execute(query, (one,)).rowcount]

    def __contains__(self, record_id: str) -> bool:
        query = "SELECT 1 FROM ids WHERE id = ?"
        return self._connection.execute(query, (record_id,)).fetchone() is not None

    def close(self) -> None:
        """Removes it."""
        if self._opened is not None:
            self._opened.close()
            self._opened = None


def content_hash(raw: bytes) -> bytes:
    """Tells two states of a row apart."""
    return blake2b(raw, digest_size=16).digest()
