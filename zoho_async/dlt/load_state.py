"""What a dlt source keeps between loads, and what it asks the destination; see `dlt`."""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import msgspec
from dlt.common.destination.exceptions import SqlClientNotAvailable
from dlt.destinations.exceptions import DatabaseUndefinedRelation

from zoho_async.bulk.errors import StateError
from zoho_async.bulk.pulling.id_index import SqliteIndex
from zoho_async.bulk.state.owned_file import FileKind, open_owned

if TYPE_CHECKING:
    import dlt

_FETCH = 10_000
_log = logging.getLogger("zoho_async.dlt")

_DOCUMENT, _BATCH, RUN, COMPLETE = "document", "batch", "run", "complete"

_INDEX_FILE = FileKind(
    application_id=0x5A6F4449,  # "ZoDI"
    version=1,
    subject="the index of ids",
    wrong_kind="is not an index of ids",
    in_use="another run of this pipeline is using it",
    error=StateError,
)


class LoadState:
    """A `PullState` whose document is in dlt's state, which is loaded together with the rows.

    The index is a file beside dlt's own, because dlt's state must stay small. What it was given counts when dlt's state
    names its batch: dlt keeps that with the rows, or neither. An index of another batch is made again from the table.

    Args:
        state: dlt's state of the resource; changed in place.
        file: The index.
        destination: What was loaded.
    """

    def __init__(self, state: dict[str, Any], file: str, destination: LoadedTable) -> None:
        self._state = state
        self._file = file
        self._destination = destination
        self._connection: sqlite3.Connection | None = None

    def open(self) -> bytes | None:
        self._connection = open_owned(self._file, _INDEX_FILE, _prepare)
        self._connection.execute("BEGIN IMMEDIATE")
        document = self._state.get(_DOCUMENT)
        return msgspec.json.encode(document) if document is not None else None

    @property
    def index(self) -> LoadIndex:
        assert self._connection is not None
        return LoadIndex(self._connection, self._state, self._destination)

    def commit(self, document: bytes) -> None:
        assert self._connection is not None
        batch = uuid4().hex
        self._connection.execute("UPDATE batches SET prepared = ?", (batch,))
        self._connection.execute("COMMIT")
        self._connection.execute("BEGIN IMMEDIATE")
        self._state |= {_DOCUMENT: msgspec.json.decode(document), _BATCH: batch}

    def note(self, *, run: int, complete: bool) -> None:
        """Notes whether the source of this number has read the list to its end."""
        self._state |= {RUN: run, COMPLETE: complete}

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None


def _prepare(connection: sqlite3.Connection, version: int) -> None:
    SqliteIndex.create(connection)
    connection.execute("CREATE TABLE IF NOT EXISTS batches (confirmed TEXT, prepared TEXT)")
    if not version:
        connection.execute("INSERT INTO batches VALUES (NULL, NULL)")


class LoadIndex(SqliteIndex):
    """An index whose changes are one transaction with the batch that they belong to."""

    def __init__(
        self,
        connection: sqlite3.Connection,
        state: Mapping[str, Any],
        destination: LoadedTable,
    ) -> None:
        super().__init__(connection)
        self._state = state
        self._destination = destination

    def begin(self, token: str) -> bool:
        batch = self._state.get(_BATCH)
        confirmed, prepared = self._connection.execute("SELECT confirmed, prepared FROM batches").fetchone()
        if batch is not None and batch == prepared:
            self.confirm()
        ours = batch is not None and batch in (confirmed, prepared)
        self._connection.execute("UPDATE batches SET confirmed = ?, prepared = NULL", (batch if ours else None,))
        if super().begin(token) and ours:
            if self._is_in_destination():
                return True
            self._rebuilt(token)
            # What is missing there may be older than the watermark.
            return False
        return self._rebuilt(token)

    def _is_in_destination(self) -> bool:
        """Whether the destination has as many records as were handed out: tables are dropped, rows deleted."""
        known, found = self.count(), self._destination.count()
        # A pending record may be there from before.
        return found is None or known - self.pending_count() <= found <= known

    def _rebuilt(self, token: str) -> bool:
        """Takes over what the destination has; whether that is all that the document says."""
        super().begin(uuid4().hex)
        self.mark_begun(token)
        document = self._state.get(_DOCUMENT)
        # Without a document dlt may be about to drop the table: every row is sent again.
        rows = ((one, bytes.fromhex(hashed) if document else b"") for one, hashed in self._destination.records())
        self._connection.executemany(
            "INSERT OR REPLACE INTO pulled_ids (id, hash, modified, generation) VALUES (?, ?, '', 0)", rows
        )
        return document is not None and not document["pending"] and document.get("pass") is None

    def announce(self, ids: Sequence[str]) -> None:
        # Not at once: dlt stores nothing of a run that is killed.
        self._connection.executemany(
            "INSERT OR IGNORE INTO pulled_ids (id, hash, modified, generation) VALUES (?, x'', '', 0)",
            [(record_id,) for record_id in ids],
        )


class LoadedTable:
    """The rows that a destination has of one list, where it can be asked in SQL.

    Args:
        name: Of the list, in messages.
        table: Of the list.
        record_id: The column of Zoho's id.
        organization_id: The organisation.
        pipeline: What loads it; None outside of one.
    """

    def __init__(
        self, name: str, table: str, record_id: str, organization_id: str, pipeline: dlt.Pipeline | None
    ) -> None:
        self._name = name
        self._table = table
        self._record_id = record_id
        self._organization_id = organization_id
        self._pipeline = pipeline

    def records(self) -> Iterator[tuple[str, str]]:
        """Id and hash of each record that it has of the organisation."""
        try:
            for record_id, hashed in self._query(self._record_id, "zoho_hash"):
                yield str(record_id), hashed or ""
        except SqlClientNotAvailable:
            _log.warning("%s: the destination cannot be asked which records it has; deletes may be missed", self._name)

    def count(self) -> int | None:
        """How many they are; None when it cannot be asked."""
        if self._pipeline is None:
            return None
        try:
            return sum(int(count) for (count,) in self._query())
        except SqlClientNotAvailable:
            return None

    def _query(self, *columns: str) -> Iterator[tuple[Any, ...]]:
        """These columns of the organisation's rows; without columns how many rows there are."""
        if self._pipeline is None or not self._pipeline.destination:
            return
        try:
            with self._pipeline.sql_client() as client:
                wanted = ", ".join(client.escape_column_name(name) for name in columns) or "count(*)"
                table = client.make_qualified_table_name(self._table)
                query = f"SELECT {wanted} FROM {table} WHERE {client.escape_column_name('organization_id')} = %s"
                with client.execute_query(query, self._organization_id) as cursor:
                    while rows := cursor.fetchmany(_FETCH):
                        yield from rows
        except DatabaseUndefinedRelation:
            # The first load, or the table was dropped.
            return
