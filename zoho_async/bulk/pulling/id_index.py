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


_TABLES = (
    "CREATE TABLE IF NOT EXISTS pulled_ids (id TEXT PRIMARY KEY, hash BLOB NOT NULL, handed BLOB, "
    "modified TEXT NOT NULL, generation INTEGER NOT NULL, pending INTEGER NOT NULL DEFAULT 0, row BLOB) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS pulled_handed ON pulled_ids (id) WHERE handed IS NOT NULL",
    "CREATE INDEX IF NOT EXISTS pulled_pending ON pulled_ids (modified, id) WHERE pending",
    "CREATE TABLE IF NOT EXISTS pulled_index (token TEXT NOT NULL)",
)
"""`hash` is of the content that the consumer has, `handed` of what was handed out since the commit; both are empty for
a record that it does not have."""

_KNOWN = "handed IS NOT x''"


class SqliteIndex:
    """An index in two tables of an SQLite database, `pulled_ids` and `pulled_index`.

    Args:
        connection: The database, in a transaction whenever this is used.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    @staticmethod
    def create(connection: sqlite3.Connection) -> None:
        """Makes the tables."""
        for statement in _TABLES:
            connection.execute(statement)

    def begin(self, token: str) -> bool:
        if self._connection.execute("SELECT token FROM pulled_index").fetchone() == (token,):
            self._connection.execute("UPDATE pulled_ids SET handed = NULL WHERE handed IS NOT NULL")
            return True
        self._connection.execute("DELETE FROM pulled_ids")
        self._connection.execute("DELETE FROM pulled_index")
        self._connection.execute("INSERT INTO pulled_index VALUES (?)", (token,))
        return False

    def announce(self, ids: Sequence[str]) -> None:
        self._connection.executemany(
            "INSERT OR IGNORE INTO pulled_ids (id, hash, modified, generation) VALUES (?, x'', '', 0)",
            [(record_id,) for record_id in ids],
        )
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")

    def confirm(self) -> None:
        """Keeps what was handed out; the caller commits."""
        self._connection.execute("DELETE FROM pulled_ids WHERE handed = x''")
        self._connection.execute(
            "UPDATE pulled_ids SET hash = handed, handed = NULL, pending = 0, row = NULL WHERE handed IS NOT NULL"
        )

    def hashes(self, ids: Sequence[str]) -> dict[str, bytes]:
        marks = ", ".join("?" * len(ids))
        query = f"SELECT id, coalesce(handed, hash) FROM pulled_ids WHERE id IN ({marks})"
        return dict(self._connection.execute(query, ids))

    def put(self, record_id: str, content_hash: bytes, modified: str, generation: int) -> None:
        self._connection.execute(
            "INSERT INTO pulled_ids (id, hash, handed, modified, generation) VALUES (?, x'', ?, ?, ?) "
            "ON CONFLICT (id) DO UPDATE SET handed = excluded.handed, modified = excluded.modified, "
            "generation = excluded.generation",
            (record_id, content_hash, modified, generation),
        )

    def put_pending(self, record_id: str, content_hash: bytes, modified: str, generation: int, row: bytes) -> None:
        # At once: a pending record is not forgotten, so its hash need not be.
        self._connection.execute(
            "INSERT OR REPLACE INTO pulled_ids (id, hash, modified, generation, pending, row) "
            "VALUES (?, ?, ?, ?, 1, ?)",
            (record_id, content_hash, modified, generation, row),
        )

    def remove(self, record_id: str) -> None:
        self._connection.execute("UPDATE pulled_ids SET handed = x'' WHERE id = ?", (record_id,))

    def settle(self, record_id: str) -> None:
        self._connection.execute("UPDATE pulled_ids SET handed = hash WHERE id = ?", (record_id,))

    def mark_listed(self, ids: Iterable[str], generation: int) -> None:
        self._connection.executemany(
            "UPDATE pulled_ids SET generation = ? WHERE id = ?", [(generation, record_id) for record_id in ids]
        )

    def count(self, generation: int | None = None) -> int:
        query = f"SELECT count(*) FROM pulled_ids WHERE {_KNOWN}"
        if generation is None:
            return int(self._connection.execute(query).fetchone()[0])
        return int(self._connection.execute(f"{query} AND generation <> ?", (generation,)).fetchone()[0])

    def unlisted(self, generation: int, limit: int) -> list[str]:
        query = f"SELECT id FROM pulled_ids WHERE {_KNOWN} AND generation <> ? LIMIT ?"
        return [record_id for (record_id,) in self._connection.execute(query, (generation, limit))]

    def last_generation(self) -> int:
        return int(self._connection.execute("SELECT coalesce(max(generation), 0) FROM pulled_ids").fetchone()[0])

    def pending(self, limit: int) -> list[PendingRecord]:
        query = (
            "SELECT id, modified, row FROM pulled_ids WHERE pending AND handed IS NULL ORDER BY modified, id LIMIT ?"
        )
        found = self._connection.execute(query, (limit,))
        return [PendingRecord(id=record_id, modified=modified, row=row) for record_id, modified, row in found]

    def pending_count(self) -> int:
        query = "SELECT count(*) FROM pulled_ids WHERE pending AND handed IS NULL"
        return int(self._connection.execute(query).fetchone()[0])

    def ask_for_all(self) -> None:
        """Makes the details of every record pending."""
        self._connection.execute("UPDATE pulled_ids SET pending = 1")


def content_hash(raw: bytes) -> bytes:
    """Tells two states of a row apart."""
    return blake2b(raw, digest_size=16).digest()
