"""What the target holds, read by lists into a table of the run: who has which key and which name."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import aclosing
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from typing import Any, NamedTuple

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Target
from zoho_async.bulk.rows.validate import custom_value, matchable
from zoho_async.bulk.state.database import Database
from zoho_async.errors import NotFoundError

from .index_queries import RECORD_COLUMNS, identified, made_at

Read = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Makes a call that reads, counts it, and waits for whatever it has to wait for."""

PER_PAGE = 200

REFRESH = timedelta(minutes=15)
"""So long a list is taken for what Zoho has; then what others have added since is read."""

_OLDEST_FIRST = {"sort_column": "created_time", "sort_order": "A"}
_NEWEST_FIRST = {"sort_column": "created_time", "sort_order": "D"}

_json = msgspec.json.Encoder(decimal_format="number")


class _Reading(NamedTuple):
    """One reading of a list."""

    version: int
    waits: int
    """How often the push had waited for long."""
    at: datetime


class Index:
    """The target's records. Pages are no snapshot: a record can be missing while others shift it from page to page,
    which is why nothing is decided by absence alone that Zoho would not refuse to do twice."""

    def __init__(
        self,
        database: Database,
        target: Target,
        options: Options,
        read: Read,
        *,
        waited: Callable[[], int],
        noted: Callable[[sqlite3.Connection, str, str], str],
    ) -> None:
        """`waited`: how often the push has had to wait for long; what was read before is old then. `noted`: the key
        by which an earlier run knew a record, of a parent where it belongs to one; empty when none did."""
        self._waited = waited
        self._noted = noted
        self._database = database
        self._target = target
        self._options = options
        self._field = options.field or target.natural.field
        self._read = read
        self._reading = asyncio.Lock()
        self._sorted = target.resource is not None and "sort_column" in target.filters
        """Whether the newest records can be asked for first."""
        self.empty = True
        """Whether nothing was found so far, so that nobody need look."""
        self._version = 0
        self._complete = False
        self._readings: dict[str, _Reading] = {}
        """Of the whole list, under an empty name, or of each parent's."""
        self._orphaned: set[str] = set()
        self._newest: datetime | None = None
        """When the newest record was made that a whole reading has seen."""

    async def __aenter__(self) -> Index:
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

    def stale(self, parent: str) -> bool:
        """Whether it is so long since the list, of a parent where there are such, was read that others may have added
        records worth knowing."""
        reading = self._readings.get(parent)
        if reading is None:
            return False
        ages = self._sorted or bool(parent)
        return reading.waits != self._waited() or (ages and datetime.now(UTC) - reading.at > REFRESH)

    def version(self, parent: str) -> int:
        """Another number whenever the records, those of a parent where they belong to one, were read anew or are
        forgotten: what was decided under another may be out of date."""
        if not parent:
            return self._version
        reading = self._readings.get(parent)
        return 0 if reading is None else reading.version

    def knows(self, parent: str) -> bool:
        """Whether the records of a parent are known."""
        return self._complete or parent in self._readings

    def fresh(self, parent: str) -> bool:
        """Whether the records of a parent need not be read."""
        return parent in self._readings and not self.stale(parent)

    def parent_missing(self, parent: str) -> bool:
        """Whether Zoho has no such parent."""
        return parent in self._orphaned

    async def read(self) -> None:
        """Reads the whole list, once; what was added since when that is some time ago and matters."""
        async with self._reading:
            if not self._complete:
                await self._read_all()
            elif self._options.follows(self._target.natural) and self.stale(""):
                await self._read_anew()

    async def read_parent(self, parent: str) -> None:
        """Reads the records of one parent, unless they are known and that is not long ago."""
        async with self._reading:
            if self.fresh(parent):
                return
            await self._forget([parent])
            at = datetime.now(UTC)
            try:
                await self._read_pages(parent, {})
            except NotFoundError:
                self._orphaned.add(parent)
            self._note(parent, at)

    def _note(self, parent: str, at: datetime) -> None:
        self._version += 1
        self._readings[parent] = _Reading(version=self._version, waits=self._waited(), at=at)

    async def _forget(self, parents: Collection[str]) -> None:
        # First of all: who decides meanwhile must see that nothing is known.
        gone = [(parent,) for parent in parents if self._readings.pop(parent, None) is not None]
        self._orphaned.difference_update(parents)

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany("DELETE FROM temp.records WHERE parent = ?", gone)

        if gone:
            await self._database.run(work)

    async def again(self, parents: Collection[str]) -> None:
        """Reads what was added since the list was read; the whole list where that cannot be told apart.

        Where records belong to parents, those of `parents` are forgotten, and read when they are next asked for.
        """
        async with self._reading:
            if self._target.natural.parent:
                await self._forget(parents)
            else:
                await self._read_anew()

    async def _read_anew(self) -> None:
        if self._sorted and self._complete:
            # A record more than one reading has seen does no harm; clocks and second fractions are allowed for.
            since = self._newest - timedelta(seconds=2) if self._newest is not None else None
            await self._read_whole(_NEWEST_FIRST, since)
            return
        # Who has decided already must hear of it now, not when all is read.
        self._version += 1
        self._complete = False
        await self._database.run(lambda connection: connection.execute("DELETE FROM temp.records") and None)
        await self._read_all()

    async def _read_all(self) -> None:
        # What is made meanwhile comes behind all that is read: nothing shifts.
        await self._read_whole(_OLDEST_FIRST if self._sorted else {})
        self._complete = True

    async def _read_whole(self, order: Mapping[str, str], since: datetime | None = None) -> None:
        at = datetime.now(UTC)
        await self._read_pages("", order, since)
        self._note("", at)

    async def _read_pages(self, parent: str, order: Mapping[str, str], since: datetime | None = None) -> None:
        """Reads a list to its end, or until its records were made before a moment.

        Once more when a wait came in between: pages of before it are old. Not for ever, for a list may be longer than
        a day's calls reach.
        """
        newest = self._newest
        for _ in range(2):
            waits: int | None = None
            async with aclosing(self.pages(parent, order)) as pages:
                async for rows in pages:
                    waits = self._waited() if waits is None else waits
                    await self._put(rows, parent)
                    made = [moment for row in rows if (moment := made_at(_text(row.get("created_time")))) is not None]
                    newest = max([newest, *made] if newest is not None else made, default=newest)
                    if since is not None and made and min(made) < since:
                        break
            # What comes after a wait comes behind all that is there, where a list begins with the oldest.
            if waits == self._waited() or order == _OLDEST_FIRST:
                break
        self._newest = newest

    async def pages(
        self, parent: str, order: Mapping[str, str] | None = None
    ) -> AsyncGenerator[list[Mapping[str, Any]], None]:
        """The rows of a list as Zoho has it now, a page at a time; of one parent where records belong to one."""
        place = (parent,) if parent else ()
        numbers = count(1)
        more = True
        while more:
            listing = partial(
                self._target.resource.list,
                *place,
                **(order or {}),
                page=next(numbers),
                per_page=PER_PAGE,
                type=dict[str, Any],
            )

            async def page(listing: Callable[[], Awaitable[Any]] = listing) -> Any:
                return await listing()

            found = await self._read(page)
            yield [row for row in found.rows if is_mapping(row)]
            more = found.cursor is not None

    async def _put(self, rows: Sequence[Mapping[str, Any]], parent: str) -> None:
        target, field = self._target, self._field
        natural = target.natural
        rows = [row for row in rows if _text(row.get(target.record_id))]
        if field and rows and not any(_shows(row, field) for row in rows):
            # The list does not tell the field.
            keys = await self._read_keys([_text(row.get(target.record_id)) for row in rows], parent)
        else:
            keys = {_text(row.get(target.record_id)): self.key(row) for row in rows}
        records: list[tuple[str, ...]] = []
        for row in rows:
            record_id = _text(row.get(target.record_id))
            match = keys.get(record_id)
            if match is None:
                # Gone since it was listed.
                continue
            kind = (_text(row.get(natural.name_scope)) or natural.default_name_scope) if natural.name_scope else ""
            name = _text(row.get(natural.name)).strip() if natural.name else ""
            raw = _json.encode(row).decode() if parent else ""
            records.append((record_id, parent, kind, name, match, _text(row.get("created_time")), raw))

        self.empty = self.empty and not records

        def work(connection: sqlite3.Connection) -> None:
            connection.executemany(
                f"INSERT OR REPLACE INTO temp.records ({RECORD_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?)", records
            )

        await self._database.run(work)

    def key(self, record: Mapping[str, Any]) -> str:
        """The value a record is matched by; empty when it does not tell."""
        key = _text(value_of(record, self._field)) if self._field else ""
        return key if self._options.upsert_by else matchable(key, self._field)

    async def _read_keys(self, ids: Sequence[str], parent: str) -> dict[str, str]:
        """The keys of records whose list does not tell them: as they are known, else from the records themselves."""

        def known(connection: sqlite3.Connection) -> dict[str, str]:
            keys: dict[str, str] = {}
            for record_id in ids:
                found = identified(connection, record_id)
                if found is not None:
                    keys[record_id] = found.match
                elif key := self._noted(connection, record_id, parent):
                    keys[record_id] = key
            return keys

        keys = await self._database.run(known)
        for record_id in ids:
            if record_id not in keys:
                try:
                    record = await self._read(partial(self._target.get, record_id, parent))
                except NotFoundError:
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


def _shows(row: Mapping[str, Any], field: str) -> bool:
    if not field.startswith("cf_"):
        return field in row
    return is_sequence(row.get("custom_fields")) or is_mapping(row.get("custom_field_hash")) or field in row


def _text(value: Any) -> str:
    return "" if value is None or isinstance(value, dict | list) else str(value)
