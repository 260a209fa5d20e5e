"""The records of the destination, read by lists into a table of the run, by key and by name."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk._pages import Read, read_pages
from zoho_async.bulk.rows.matching import matchable
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.rows.validate import custom_value
from zoho_async.bulk.source.files import strip_blanks
from zoho_async.bulk.state.database import Database
from zoho_async.errors import NotFoundError, UnavailableError
from zoho_async.wire.pagination import Page

from .endpoint import read_record
from .index_queries import COLUMNS, identified, made_at

PER_PAGE = 200

_OLDEST_FIRST = {"sort_column": "created_time", "sort_order": "A"}
_NEWEST_FIRST = {"sort_column": "created_time", "sort_order": "D"}

_json = msgspec.json.Encoder(decimal_format="number")


class TargetIndex:
    """The destination's records. Pages are no snapshot: a record can be missing while others shift it between pages,
    which is why nothing is decided by absence alone that Zoho would not refuse to do twice."""

    def __init__(
        self,
        database: Database,
        destination: Destination,
        options: Options,
        read: Read,
        *,
        wait_epoch: Callable[[], int],
        recorded_key: Callable[[sqlite3.Connection, str, str], str],
    ) -> None:
        """`wait_epoch`: how often the push has waited for hours; what was read before is old then.
        `recorded_key`: the key by which an earlier run knew a record, of a parent where it belongs to one; empty when
        none did."""
        self._wait_epoch = wait_epoch
        self._recorded_key = recorded_key
        self._database = database
        self._destination = destination
        self._options = options
        self._field = options.field or destination.natural.field
        self._read = read
        self._reading = asyncio.Lock()
        self._sorted = destination.resource is not None and "sort_column" in destination.filters
        """Whether the newest records can be asked for first."""
        self.empty = True
        """Whether no record was found so far."""
        self._read_in: dict[str, int] = {}
        """The wait epoch in which a list was read: of each parent, or the whole one under an empty name."""
        self._missing: set[str] = set()
        self._newest: datetime | None = None
        """When the newest record was made that a whole reading has seen."""

    async def __aenter__(self) -> TargetIndex:
        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "CREATE TEMP TABLE records (record_id TEXT PRIMARY KEY, parent TEXT, kind TEXT, name TEXT, match TEXT, "
                "created TEXT, row TEXT) WITHOUT ROWID"
            )
            connection.execute("CREATE INDEX temp.by_match ON records (parent, match)")
            connection.execute("CREATE INDEX temp.by_name ON records (name, kind)")

        await self._database.run(work)
        return self

    async def __aexit__(self, *_: object) -> None:
        return

    def knows(self, parent: str) -> bool:
        """Whether the list of a parent was read; the whole one where records have no parent."""
        return parent in self._read_in

    def parent_missing(self, parent: str) -> bool:
        """Whether Zoho has no such parent."""
        return parent in self._missing

    async def read(self, parents: Collection[str] = ("",)) -> None:
        """Reads the lists of parents that were not read since the last wait of hours."""
        async with self._reading:
            for parent in parents:
                old = self._read_in.get(parent) != self._wait_epoch()
                if not self.knows(parent) or (old and self._options.follows(self._destination.natural)):
                    await self._read_list(parent)

    async def read_again(self, parents: Collection[str]) -> None:
        """Reads the lists of parents, or what was added to the whole list since it was read."""
        async with self._reading:
            for parent in parents:
                await self._read_list(parent)

    async def _read_list(self, parent: str) -> None:
        if parent:
            try:
                await self._read_pages(parent, {})
                self._missing.discard(parent)
            except NotFoundError:
                await self._put([], parent)
                self._missing.add(parent)
        elif self._sorted and self.knows(parent):
            # Records that two readings show do no harm; clocks and fractions of seconds differ.
            since = self._newest - timedelta(seconds=2) if self._newest is not None else None
            await self._read_pages(parent, _NEWEST_FIRST, since)
        else:
            # With the oldest first, what is added meanwhile comes behind all that is read.
            await self._read_pages(parent, _OLDEST_FIRST if self._sorted else {})
        self._read_in[parent] = self._wait_epoch()

    async def _read_pages(self, parent: str, order: Mapping[str, str], since: datetime | None = None) -> None:
        """Reads a list to its end, or until its records were made before a moment.

        Twice when a wait came in between: pages of before it are old. Not for ever, for a list may be longer than a
        day's calls reach.
        """
        newest = self._newest
        for _ in range(2):
            epoch: int | None = None
            of_parent: list[Mapping[str, Any]] = []
            async with aclosing(self._pages(parent, order)) as pages:
                async for page in pages:
                    rows = [row for row in page.rows if is_mapping(row)]
                    epoch = self._wait_epoch() if epoch is None else epoch
                    if parent:
                        of_parent += rows
                        continue
                    await self._put(rows, parent)
                    made = [moment for row in rows if (moment := made_at(_text(row.get("created_time")))) is not None]
                    newest = max([newest, *made] if newest is not None else made, default=newest)
                    if since is not None and made and min(made) < since:
                        break
            if parent:
                await self._put(of_parent, parent)
            # What is added during a wait comes behind all where the oldest come first.
            if epoch == self._wait_epoch() or order == _OLDEST_FIRST:
                break
        self._newest = newest

    def _pages(self, parent: str, query: Mapping[str, str]) -> AsyncGenerator[Page[dict[str, Any]], None]:
        destination, place = self._destination, (parent,) if parent else ()
        return read_pages(
            destination.resource, *place, read=self._read, row_id=destination.record_id, per_page=PER_PAGE, **query
        )

    async def check_deleted(self, record_id: str, parent: str) -> None:
        """Reads the list again for a record that it has shown and that Zoho says is deleted.

        Raises:
            UnavailableError: The list still shows it.
        """
        shown = await self._database.run(lambda connection: identified(connection, record_id))
        if shown is not None:
            await self._check_deleted(record_id, shown.name, parent)

    async def _check_deleted(self, record_id: str, name: str, parent: str) -> None:
        field, id_field = self._destination.natural.name, self._destination.record_id
        query = {field: name} if name and field in self._destination.filters else {}
        with suppress(NotFoundError):
            async with aclosing(self._pages(parent, query)) as pages:
                async for page in pages:
                    if any(is_mapping(row) and _text(row.get(id_field)) == record_id for row in page.rows):
                        raise UnavailableError(
                            f"Zoho lists record {record_id} and says that it does not exist; no other is made in its "
                            "place",
                            sent=True,
                        )

    async def _put(self, rows: Sequence[Mapping[str, Any]], parent: str) -> None:
        destination, field = self._destination, self._field
        natural = destination.natural
        rows = [row for row in rows if _text(row.get(destination.record_id))]
        keys = {_text(row.get(destination.record_id)): self.key(row) for row in rows}
        if field and (hidden := _without(field, rows)):
            of_hidden = await self._read_keys(hidden, parent)
            for row in hidden:
                del keys[_text(row.get(destination.record_id))]
            keys.update(of_hidden)
        records: list[tuple[str, ...]] = []
        for row in rows:
            record_id = _text(row.get(destination.record_id))
            match = keys.get(record_id)
            if match is None:
                # Deleted since it was listed.
                continue
            kind = (_text(row.get(natural.name_scope)) or natural.default_name_scope) if natural.name_scope else ""
            name = strip_blanks(_text(row.get(natural.name))) if natural.name else ""
            raw = _json.encode(row).decode() if parent else ""
            records.append((record_id, parent, kind, name, match, _text(row.get("created_time")), raw))

        self.empty = self.empty and not records

        def work(connection: sqlite3.Connection) -> None:
            if parent:
                # Records that the parent no longer has.
                connection.execute("DELETE FROM temp.records WHERE parent = ?", (parent,))
            connection.executemany(
                f"INSERT OR REPLACE INTO temp.records ({COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", records
            )

        await self._database.run(work)

    def key(self, record: Mapping[str, Any]) -> str:
        """The value a record is matched by; empty when it does not show."""
        key = _text(value_of(record, self._field)) if self._field else ""
        return key if self._options.upsert_by else matchable(key, self._field)

    async def _read_keys(self, rows: Sequence[Mapping[str, Any]], parent: str) -> dict[str, str]:
        """The keys of records whose list does not show them: as they are known, else from the records themselves."""
        names = {
            _text(row.get(self._destination.record_id)): _text(row.get(self._destination.natural.name)) for row in rows
        }

        def known(connection: sqlite3.Connection) -> dict[str, str]:
            keys: dict[str, str] = {}
            for record_id in names:
                found = identified(connection, record_id)
                if found is not None:
                    keys[record_id] = found.match
                elif key := self._recorded_key(connection, record_id, parent):
                    keys[record_id] = key
            return keys

        keys = await self._database.run(known)
        for record_id, name in names.items():
            if record_id not in keys:
                try:
                    record = await self._read(partial(read_record, self._destination, record_id, parent))
                except NotFoundError:
                    await self._check_deleted(record_id, name, parent)
                    continue
                keys[record_id] = self.key(record)
        return keys


def value_of(row: Mapping[str, Any], field: str) -> Any:
    """A field of a record or row as it came; custom fields stand in one of several places."""
    if not field.startswith("cf_"):
        return row.get(field)
    value = custom_value(row.get("custom_fields"), field)
    hashed: Any = row.get("custom_field_hash")
    for name in (f"{field}_unformatted", field):
        if value is None or value == "":
            value = row.get(name)
        if (value is None or value == "") and is_mapping(hashed):
            value = hashed.get(name)
    return value


def _without(field: str, rows: Sequence[Mapping[str, Any]]) -> Sequence[Mapping[str, Any]]:
    """The rows of a page that do not show a field; null counts as shown where another row has a value."""
    if not any(_shows(row, field) for row in rows):
        return rows
    return [] if field.startswith("cf_") else [row for row in rows if field not in row]


def _shows(row: Mapping[str, Any], field: str) -> bool:
    if not field.startswith("cf_"):
        return row.get(field) is not None
    return is_sequence(row.get("custom_fields")) or is_mapping(row.get("custom_field_hash")) or field in row


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)
