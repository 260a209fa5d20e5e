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
    """What `changes` keeps of every record. Its writes take effect with the commit of its state only."""

    def hashes(self, ids: Sequence[str]) -> dict[str, bytes]:
        """The hash of each of these records that is known."""
        ...

    def put(
        self, record_id: str, content_hash: bytes, modified: str, generation: int, *, pending_row: bytes | None
    ) -> None:
        """Adds or replaces a record, with its row when its details are still to be read."""
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

    def remove(self, record_id: str) -> None:
        """Removes a record."""
        ...

    def pending(self, limit: int) -> list[PendingRecord]:
        """Records whose details are still to be read, the longest unchanged first."""
        ...

    def pending_count(self) -> int:
        """How many they are."""
        ...

    def settle(self, record_id: str) -> None:
        """Notes that the details of a record were read."""
        ...

    def last_generation(self) -> int:
        """The highest number of a reading that any record has."""
        ...

    def begin(self, token: str) -> bool:
        """Removes everything unless it was begun with this token; whether it was."""
        ...


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
        connection.execute(
            "CREATE TABLE IF NOT EXISTS pulled_ids (id TEXT PRIMARY KEY, hash BLOB NOT NULL, modified TEXT NOT NULL, "
            "generation INTEGER NOT NULL, pending INTEGER NOT NULL DEFAULT 0, row BLOB) WITHOUT ROWID"
        )
        connection.execute("CREATE INDEX IF NOT EXISTS pulled_pending ON pulled_ids (modified, id) WHERE pending")
        connection.execute("CREATE TABLE IF NOT EXISTS pulled_index (token TEXT NOT NULL)")

    def hashes(self, ids: Sequence[str]) -> dict[str, bytes]:
        marks = ", ".join("?" * len(ids))
        return dict(self._connection.execute(f"SELECT id, hash FROM pulled_ids WHERE id IN ({marks})", ids))

    def put(
        self, record_id: str, content_hash: bytes, modified: str, generation: int, *, pending_row: bytes | None
    ) -> None:
        self._connection.execute(
            "INSERT OR REPLACE INTO pulled_ids (id, hash, modified, generation, pending, row) "
            "VALUES (?, ?, ?, ?, ?, ?)",
            (record_id, content_hash, modified, generation, pending_row is not None, pending_row),
        )

    def mark_listed(self, ids: Iterable[str], generation: int) -> None:
        self._connection.executemany(
            "UPDATE pulled_ids SET generation = ? WHERE id = ?", [(generation, record_id) for record_id in ids]
        )

    def count(self, generation: int | None = None) -> int:
        query = "SELECT count(*) FROM pulled_ids"
        if generation is None:
            return int(self._connection.execute(query).fetchone()[0])
        return int(self._connection.execute(f"{query} WHERE generation <> ?", (generation,)).fetchone()[0])

    def unlisted(self, generation: int, limit: int) -> list[str]:
        query = "SELECT id FROM pulled_ids WHERE generation <> ? LIMIT ?"
        return [record_id for (record_id,) in self._connection.execute(query, (generation, limit))]

    def remove(self, record_id: str) -> None:
        self._connection.execute("DELETE FROM pulled_ids WHERE id = ?", (record_id,))

    def pending(self, limit: int) -> list[PendingRecord]:
        query = "SELECT id, modified, row FROM pulled_ids WHERE pending ORDER BY modified, id LIMIT ?"
        found = self._connection.execute(query, (limit,))
        return [PendingRecord(id=record_id, modified=modified, row=row) for record_id, modified, row in found]

    def pending_count(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM pulled_ids WHERE pending").fetchone()[0])

    def settle(self, record_id: str) -> None:
        self._connection.execute("UPDATE pulled_ids SET pending = 0, row = NULL WHERE id = ?", (record_id,))

    def ask_for_all(self) -> None:
        """Makes the details of every record pending."""
        self._connection.execute("UPDATE pulled_ids SET pending = 1")

    def last_generation(self) -> int:
        return int(self._connection.execute("SELECT coalesce(max(generation), 0) FROM pulled_ids").fetchone()[0])

    def begin(self, token: str) -> bool:
        if self._connection.execute("SELECT token FROM pulled_index").fetchone() == (token,):
            return True
        self._connection.execute("DELETE FROM pulled_ids")
        self._connection.execute("DELETE FROM pulled_index")
        self._connection.execute("INSERT INTO pulled_index VALUES (?)", (token,))
        return False


def content_hash(raw: bytes) -> bytes:
    """Tells two states of a row apart."""
    return blake2b(raw, digest_size=16).digest()
