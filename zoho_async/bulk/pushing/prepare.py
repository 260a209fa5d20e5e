"""What comes before a write: rows checked, the target's lists read, and an action found for every row."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Collection, Iterable, Iterator, Sequence
from contextlib import aclosing
from decimal import Decimal
from functools import partial
from itertools import islice
from typing import Any

import msgspec

from zoho_async.bulk._aio import iterate
from zoho_async.bulk._pages import Read
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.rows.duplicates import KEYS, DuplicateDetector
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.refusal_tags import carried_key, is_tag, tag
from zoho_async.bulk.rows.resource import Target
from zoho_async.bulk.rows.validate import RowReader, WorkItem, keyed_by, row_key, row_of
from zoho_async.bulk.source.files import Row, RowFile
from zoho_async.bulk.state.journal import Entry, Journal
from zoho_async.errors import Fault

from .endpoint import look_up
from .index_queries import forget, identified, keyed, named
from .routing import RoutedRow, RowContext, decide, name_fault
from .target_index import Index

BATCH = 200
"""Rows checked at once, when the input is not asynchronous."""
DECIDED = 100
"""Rows decided upon at once, which then wait in memory for their turns: of hundreds of pushes in one process, each."""


class _Packed(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A checked row on its way through the table of checked rows."""

    row: Row | None
    body: dict[str, Any]
    cleared: tuple[str, ...]
    places: dict[str, str]
    missing: tuple[Fault, ...]
    record_id: str
    key_field: str
    key: str
    name: str
    name_field: str
    by_name: bool
    name_scope: str
    name_scope_given: bool
    parent: str
    key_scope: str
    content_hash: str
    row_key: str
    display_key: str
    renamed: bool


_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(_Packed, float_hook=Decimal)


class Planner:
    """Rows to decisions. `read` makes the calls that read; without a resource none is made."""

    def __init__(
        self,
        journal: Journal,
        target: Target,
        options: Options,
        read: Read,
        wait_epoch: Callable[[], int] = lambda: 0,
    ) -> None:
        self._journal = journal
        self._target = target
        self._options = options
        self._reader = RowReader(target, options)
        self._read = read
        self._duplicates = DuplicateDetector(journal.database)
        self.checked = 0
        """Rows that `check` has seen, faulty ones included."""
        self.good = 0
        self._keeping = False
        self._wait_epoch = wait_epoch
        self.index = Index(journal.database, target, options, read, wait_epoch=wait_epoch, noted=self._noted)

    async def check(self, rows: Iterable[Any]) -> AsyncGenerator[list[WorkItem], None]:
        """Checks every row, a batch at a time; yields the faulty ones and keeps the others for `decisions`.

        The rows of a file are kept themselves: whatever happens to the file meanwhile, what was checked is pushed.
        """
        whole = isinstance(rows, RowFile)

        def prepare(connection: sqlite3.Connection) -> None:
            connection.execute("CREATE TEMP TABLE checked (number INTEGER PRIMARY KEY, job TEXT)")

        await self._journal.database.run(prepare)
        await look_up(self._reader.intake, self._target, rows, self._read)
        self._keeping = True
        for batch in _batched(rows, BATCH):
            jobs = await self._checked(batch)
            good = [(job.row.number, _packed(job, whole=whole)) for job in jobs if not job.faults]

            def keep(connection: sqlite3.Connection, good: list[tuple[int, str]] = good) -> None:
                connection.executemany("INSERT INTO checked VALUES (?, ?)", good)

            await self._journal.database.run(keep)
            self.checked += len(batch)
            self.good += len(good)
            yield [job for job in jobs if job.faults]

    async def decisions(
        self, rows: Iterable[Any] | AsyncIterable[Any], *, checked: bool
    ) -> AsyncGenerator[RoutedRow, None]:
        """The decision for every row; `checked`: `check` has seen them, and only the good ones are of interest."""
        if not checked:
            async with aclosing(_batches(rows)) as batches:
                async for batch in batches:
                    for decision in await self.decide(await self._checked(batch)):
                        yield decision
            return
        taken = 0
        async with aclosing(self._kept(rows)) as kept:
            async for jobs in kept:
                taken += len(jobs)
                for decision in await self.decide(jobs):
                    yield decision
        if taken < self.good:
            raise InputError(f"the input has changed while it was pushed: {self.good - taken:,} rows are gone from it")

    async def decide(self, jobs: Sequence[WorkItem], *, gone: str = "") -> list[RoutedRow]:
        """The actions for some rows, as things stand now. `gone`: id of a record that was found not to be there."""
        wait_epoch = self._wait_epoch()
        await self._look(jobs, changed=bool(gone))

        def work(connection: sqlite3.Connection) -> list[RoutedRow]:
            if gone:
                forget(connection, gone)
            connection.execute(
                "CREATE TABLE IF NOT EXISTS temp.used (record_id TEXT PRIMARY KEY, number INTEGER) WITHOUT ROWID"
            )
            made: list[RoutedRow] = []
            for job in jobs:
                known = self._known(connection, job, gone=gone)
                decision = decide(job, known, self._options, rename=self._reader.rename)
                decision.wait_epoch = wait_epoch
                made.append(self._alone(connection, decision))
            return made

        return await self._journal.database.run(work)

    def _alone(self, connection: sqlite3.Connection, decision: RoutedRow) -> RoutedRow:
        """The same decision, or another one when an earlier row has the record."""
        job, found = decision.job, decision.record
        if found is None:
            return decision
        (first,) = connection.execute(
            "INSERT INTO temp.used VALUES (?, ?) ON CONFLICT (record_id) DO UPDATE SET number = number "
            "RETURNING number",
            (found.record_id, job.row.number),
        ).fetchone()
        if first == job.row.number:
            return decision
        message = f"leads to the same record ({found.record_id}) as row {first}"
        job.faults = (Fault(path=job.key_field, rule="ambiguous", message=message),)
        job.row_key = tag(job.row, self._options)
        return RoutedRow(job=job, action="refuse", known=decision.known)

    def _known(self, connection: sqlite3.Connection, job: WorkItem, *, gone: str) -> RowContext:
        entry = self._journal.entry(connection, job.row_key)
        natural, options = self._target.natural, self._options
        looking = not self.index.empty
        if entry is None and not (options.field or job.record_id or job.faults):
            entry = self._renamed_entry(connection, job, looking=looking)
        sent = self._sent_under_another_key(connection, job)
        same_key = keyed(connection, job.key, job.parent) if looking and not job.record_id else []
        if options.field == natural.name and job.name_scope_given:
            same_key = [one for one in same_key if one.name_scope == job.name_scope]
        own_id = job.record_id or (entry.record_id if entry is not None else "")

        def is_of_another(kind: str, value: str) -> bool:
            return self._duplicates.holder(connection, kind, value) not in (None, job.row.number)

        return RowContext(
            entry=sent or entry,
            key_changed=sent is not None,
            own=identified(connection, own_id) if looking else None,
            keyed=tuple(same_key),
            indexed=self.index.knows(job.parent),
            parent_missing=natural.parent if self.index.parent_missing(job.parent) else "",
            records_of_same_name=partial(named, connection) if looking else lambda name_scope, name: (),
            gone=bool(gone) and gone == own_id,
            reserved=partial(is_of_another, job.name_scope),
            expected_key=lambda key: is_of_another(KEYS, row_key(job.key_field, key, job.key_scope)),
        )

    def _sent_under_another_key(self, connection: sqlite3.Connection, job: WorkItem) -> Entry | None:
        """What is known of a row that was sent with unknown outcome, and whose key was changed since."""
        carried = carried_key(job.row.identity)
        if not carried or carried == job.row_key or job.record_id or keyed_by(carried) not in ("", job.key_field):
            return None
        entry = self._journal.entry(connection, carried)
        return entry if entry is not None and entry.state in ("intent", "unknown") else None

    def _renamed_entry(self, connection: sqlite3.Connection, job: WorkItem, *, looking: bool) -> Entry | None:
        """What is known of a row by another name of its: without its suffix, or of a version whose rows had no key.

        It has the row's key from now on.
        """
        plain_key = row_key(job.key_field, job.key, job.key_scope)
        plain = self._journal.entry(connection, plain_key) if plain_key != job.row_key else None
        # Several rows may have one name: the first is the one that was sent under it.
        is_second = job.renamed or is_tag(job.row.identity)
        found = [plain] if plain is not None and (plain.content_hash == job.content_hash or not is_second) else []
        names = {job.display_key, f"{job.parent}/{str(job.body.get(job.key_field) or '').strip()}"}
        for entry in found or self._journal.keyless(connection, job.content_hash, sorted(names)):
            record = identified(connection, entry.record_id) if looking else None
            if record is None or record.name_scope == job.name_scope:
                self._journal.give_key(connection, entry.row_key, job.row_key, job.content_hash)
                return self._journal.entry(connection, job.row_key)
        return None

    def _noted(self, connection: sqlite3.Connection, record_id: str, parent: str) -> str:
        """The key of the row that has a record; empty when none has, or it was matched by another field."""
        owner = self._journal.owner(connection, record_id)
        begin, end = row_key(self._options.field, ""), f"@{parent}" if parent else ""
        if not (self._options.field and owner.startswith(begin) and owner.endswith(end)):
            return ""
        return owner[len(begin) : len(owner) - len(end)]

    async def _look(self, jobs: Sequence[WorkItem], *, changed: bool) -> None:
        """Reads as much of the target as these rows need. `changed`: what an earlier run has settled is not so now."""
        # A row that carries its record's id needs no list.
        if self._target.resource is None or all(job.faults or job.record_id for job in jobs):
            return
        if not self._target.natural.parent:
            await self.index.read()
            return
        good = [job for job in jobs if not (job.faults or job.record_id)]

        def unchanged(connection: sqlite3.Connection) -> set[str]:
            entries = {job.row_key: self._journal.entry(connection, job.row_key) for job in good}
            return {
                job.row_key
                for job in good
                if (entry := entries[job.row_key]) is not None
                and (entry.state, entry.content_hash) == ("done", job.content_hash)
            }

        same = set[str]() if changed else await self._journal.database.run(unchanged)
        # One call for each parent: not for those whose rows an earlier run has settled.
        parents = dict.fromkeys(job.parent for job in good if job.row_key not in same)
        await self.index.read(parents)

    async def _checked(self, batch: Sequence[Row]) -> list[WorkItem]:
        """Work items with every fault that can be found without a call, those of rows that collide too."""
        options = self._options
        jobs = [self._reader.read(row) for row in batch]
        keyed_jobs = [job for job in jobs if job.key]
        firsts = await self._duplicates.first(KEYS, [(job.row_key, job.row.number) for job in keyed_jobs])
        later: list[tuple[WorkItem, int]] = []
        for job, first in zip(keyed_jobs, firsts, strict=True):
            if first != job.row.number:
                message = f"is the same as in row {first}; only one row can have it"
                fault = Fault(path=job.key_field, rule="duplicate", message=message)
                job.faults = (*job.faults, name_fault(job, f"row {first} has it") if job.by_name else fault)
                later.append((job, first))
        if options.on_name_taken != "allow":
            await self._check_names([job for job in jobs if job.name and not job.faults])
        good = await self._good({first for _, first in later}, jobs)
        for job, first in later:
            # Beside a row that is not sent either it may take that one's place.
            if first in good:
                job.row_key = tag(job.row, options)
        return jobs

    async def _good(self, numbers: Collection[int], batch: Sequence[WorkItem]) -> set[int]:
        """Which of some rows, of this batch and earlier ones, are without a fault; all that nobody can tell of."""
        good = {job.row.number for job in batch if not job.faults}
        earlier = sorted(set(numbers) - {job.row.number for job in batch})
        if not self._keeping:
            return good.union(earlier)

        def work(connection: sqlite3.Connection) -> list[int]:
            select = "SELECT 1 FROM checked WHERE number = ?"
            return [number for number in earlier if connection.execute(select, (number,)).fetchone()]

        return good.union(await self._journal.database.run(work)) if earlier else good

    async def _check_names(self, jobs: Sequence[WorkItem]) -> None:
        for scope in dict.fromkeys(job.name_scope for job in jobs):
            some = [job for job in jobs if job.name_scope == scope]
            firsts = await self._duplicates.first(scope, [(job.name, job.row.number) for job in some])
            for job, first in zip(some, firsts, strict=True):
                if first != job.row.number and not await self._told_apart(job) and not job.faults:
                    job.faults = (name_fault(job, f"row {first} has it"),)

    async def _told_apart(self, job: WorkItem) -> bool:
        """Whether a suffix gives the job a name of its own."""
        if self._options.on_name_taken != "suffix":
            return False
        fault = self._reader.rename(job)
        if fault is not None:
            job.faults = (fault,)
            return False
        (first,) = await self._duplicates.first(job.name_scope, [(job.name, job.row.number)])
        return first == job.row.number

    async def _kept(self, rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[list[WorkItem], None]:
        """The good rows that `check` has kept, some at a time."""
        if isinstance(rows, RowFile):
            last = 0
            while found := await self._between(last + 1, None):
                last = max(found)
                yield [_unpacked(text) for text in found.values()]
            return
        async with aclosing(_batches(rows)) as batches:
            async for batch in batches:
                found = await self._between(batch[0].number, batch[-1].number)
                yield [_unpacked(found[row.number], row) for row in batch if row.number in found]

    async def _between(self, first: int, last: int | None) -> dict[int, str]:
        def work(connection: sqlite3.Connection) -> dict[int, str]:
            return dict(
                connection.execute(
                    "SELECT number, job FROM checked WHERE number >= ? AND (?2 IS NULL OR number <= ?2) "
                    "ORDER BY number LIMIT ?3",
                    (first, last, DECIDED),
                ).fetchall()
            )

        return await self._journal.database.run(work)


def repeatable(rows: Any) -> bool:
    """Whether an input can be gone through twice."""
    return isinstance(rows, RowFile) or (isinstance(rows, Sequence) and not isinstance(rows, str | bytes))


def _packed(job: WorkItem, *, whole: bool) -> str:
    values = {name: getattr(job, name) for name in _Packed.__struct_fields__}
    if not whole:
        values["row"] = None
    return _encoder.encode(_Packed(**values)).decode()


def _unpacked(text: str, row: Row | None = None) -> WorkItem:
    packed = _decoder.decode(text)
    packed.row = row or packed.row
    return WorkItem(**msgspec.structs.asdict(packed))


def _batched(rows: Iterable[Any], size: int) -> Iterator[list[Row]]:
    # A file numbers its rows itself: some of them may be left out.
    numbered = ((row.number, row) for row in rows) if isinstance(rows, RowFile) else enumerate(rows, 1)
    while batch := [row_of(values, number) for number, values in islice(numbered, size)]:
        yield batch


async def _batches(rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[list[Row], None]:
    if isinstance(rows, AsyncIterable):
        # One at a time: who feeds rows as they arise must not wait for a batch to fill.
        number = 0
        async with aclosing(iterate(rows)) as source:
            async for values in source:
                number += 1
                yield [row_of(values, number)]
        return
    for batch in _batched(rows, DECIDED):
        yield batch
