"""What comes before a write: rows checked, the target's lists read, and a route found for every row."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Iterator, Sequence
from contextlib import aclosing
from decimal import Decimal
from itertools import islice
from typing import Any

import msgspec

from zoho_async.errors import Fault

from .index import Found, Index, Read, identified, keyed, named
from .journal import Journal
from .mapping import closable, iterate
from .options import Options
from .readers import Row, RowFile
from .routes import Decision, Known, decide, name_fault
from .rows import Job, RowReader, row_of
from .seen import Seen
from .target import Target

BATCH = 200
"""Rows looked up in the state at once, when the input is not asynchronous."""


class _Packed(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A checked row on its way through the table of checked rows, without the row itself."""

    body: dict[str, Any]
    cleared: tuple[str, ...]
    places: dict[str, str]
    missing: tuple[Fault, ...]
    key: str
    name: str
    name_field: str
    kind: str
    parent: str
    digest: str
    identity: str
    renamed: bool


_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(_Packed, float_hook=Decimal)


class Preparation:
    """Rows to decisions. `read` makes the calls that read; without a resource none is made."""

    def __init__(self, journal: Journal, target: Target, options: Options, read: Read) -> None:
        self._journal = journal
        self._target = target
        self._options = options
        self._reader = RowReader(target, options)
        self._seen = Seen(journal.database)
        self.index = Index(journal.database, target, options, read)

    async def check(self, rows: Iterable[Any]) -> AsyncGenerator[list[Job], None]:
        """Checks every row, a batch at a time; yields the faulty ones and keeps the others for `decisions`."""

        def prepare(connection: sqlite3.Connection) -> None:
            connection.execute("CREATE TEMP TABLE checked (number INTEGER PRIMARY KEY, job TEXT)")

        await self._journal.database.run(prepare)
        for batch in _batched(rows):
            jobs = await self._checked(batch)
            good = [(job.row.number, _packed(job)) for job in jobs if not job.faults]

            def keep(connection: sqlite3.Connection, good: list[tuple[int, str]] = good) -> None:
                connection.executemany("INSERT INTO checked VALUES (?, ?)", good)

            await self._journal.database.run(keep)
            yield [job for job in jobs if job.faults]

    async def decisions(
        self, rows: Iterable[Any] | AsyncIterable[Any], *, checked: bool
    ) -> AsyncGenerator[Decision, None]:
        """The decision for every row; `checked`: `check` has seen them, and only the good ones are of interest."""
        async with aclosing(_batches(rows)) as batches:
            async for batch in batches:
                jobs = await self._kept(batch) if checked else await self._checked(batch)
                for decision in await self.decide(jobs):
                    yield decision

    async def decide(self, jobs: Sequence[Job]) -> list[Decision]:
        """The routes of some rows, as things stand now."""
        await self._look(jobs)

        def work(connection: sqlite3.Connection) -> list[Decision]:
            return [
                decide(job, self._known(connection, job), self._options, rename=self._reader.rename) for job in jobs
            ]

        return await self._journal.database.run(work)

    def _known(self, connection: sqlite3.Connection, job: Job) -> Known:
        entry = self._journal.entry(connection, job.identity)

        def holder(name: str) -> Found | None:
            return named(connection, job.kind, name)

        def owned(record_id: str) -> bool:
            return self._journal.owner(connection, record_id) not in ("", job.identity)

        def claimed(name: str) -> bool:
            return self._seen.holder(connection, job.kind, name) not in (None, job.row.number)

        return Known(
            entry=entry,
            own=identified(connection, entry.record_id) if entry is not None else None,
            keyed=tuple(keyed(connection, job.key, job.parent)),
            indexed=self.index.knows(job.parent),
            holder=holder,
            owned=owned,
            claimed=claimed,
        )

    async def _look(self, jobs: Sequence[Job]) -> None:
        """Reads as much of the target as these rows need."""
        if self._target.resource is None or all(job.faults for job in jobs):
            return
        if not self._target.natural.parent:
            await self.index.read()
            return
        if not self._options.field:
            return
        good = [job for job in jobs if not job.faults]

        def unchanged(connection: sqlite3.Connection) -> set[str]:
            entries = {job.identity: self._journal.entry(connection, job.identity) for job in good}
            return {
                job.identity
                for job in good
                if (entry := entries[job.identity]) is not None and (entry.state, entry.digest) == ("done", job.digest)
            }

        same = await self._journal.database.run(unchanged)
        # One call for each parent: not for those whose rows an earlier run has settled.
        for parent in dict.fromkeys(job.parent for job in good if job.identity not in same):
            await self.index.read_parent(parent)

    async def _checked(self, batch: Sequence[Row]) -> list[Job]:
        """Jobs with every fault that can be found without a call, those of rows that get into each other's way too."""
        reader, options = self._reader, self._options
        jobs = [reader.read(row) for row in batch]
        matched = bool(options.field)
        known = [job for job in jobs if (job.key if matched else not job.faults)]
        looks = await self._seen.identify(
            [(_key(job, options) if matched else job.digest, job.row.number) for job in known],
            counted=not matched,
            carried={job.row.number: job.row.identity for job in known if job.row.identity},
        )
        for job, (identity, first) in zip(known, looks, strict=True):
            job.identity = identity
            if first != job.row.number:
                message = f"is the same as in row {first}; only one row can have it"
                job.faults = (*job.faults, Fault(path=options.field, rule="duplicate", message=message))
        if options.on_name_taken != "allow":
            await self._check_names([job for job in jobs if job.name and not job.faults])
        return jobs

    async def _check_names(self, jobs: Sequence[Job]) -> None:
        for kind in dict.fromkeys(job.kind for job in jobs):
            some = [job for job in jobs if job.kind == kind]
            firsts = await self._seen.first(kind, [(job.name, job.row.number) for job in some])
            for job, first in zip(some, firsts, strict=True):
                if first != job.row.number and not await self._told_apart(job):
                    job.faults = job.faults or (name_fault(job, f"row {first} has it"),)

    async def _told_apart(self, job: Job) -> bool:
        """Whether a suffix gives the job a name of its own."""
        if self._options.on_name_taken != "suffix":
            return False
        fault = self._reader.rename(job)
        if fault is not None:
            job.faults = (fault,)
            return False
        (first,) = await self._seen.first(job.kind, [(job.name, job.row.number)])
        return first == job.row.number

    async def _kept(self, batch: Sequence[Row]) -> list[Job]:
        numbers = [row.number for row in batch]

        def work(connection: sqlite3.Connection) -> dict[int, str]:
            return dict(
                connection.execute(
                    "SELECT number, job FROM checked WHERE number BETWEEN ? AND ?", (min(numbers), max(numbers))
                ).fetchall()
            )

        found = await self._journal.database.run(work)
        return [_unpacked(found[row.number], row) for row in batch if row.number in found]


def repeatable(rows: Any) -> bool:
    """Whether an input can be gone through twice."""
    return isinstance(rows, RowFile) or (isinstance(rows, Sequence) and not isinstance(rows, str | bytes))


def _key(job: Job, options: Options) -> str:
    return f"{options.field}={job.key}" + (f"@{job.parent}" if job.parent else "")


def _packed(job: Job) -> str:
    values = {name: getattr(job, name) for name in _Packed.__struct_fields__}
    return _encoder.encode(_Packed(**values)).decode()


def _unpacked(text: str, row: Row) -> Job:
    return Job(row=row, **msgspec.structs.asdict(_decoder.decode(text)))


def _batched(rows: Iterable[Any]) -> Iterator[list[Row]]:
    numbered = enumerate(rows, 1)
    while batch := [row_of(values, number) for number, values in islice(numbered, BATCH)]:
        yield batch


async def _batches(rows: Iterable[Any] | AsyncIterable[Any]) -> AsyncGenerator[list[Row], None]:
    if isinstance(rows, AsyncIterable):
        # One at a time: who feeds rows as they arise must not wait for a batch to fill.
        number = 0
        async with aclosing(closable(iterate(rows))) as source:
            async for values in source:
                number += 1
                yield [row_of(values, number)]
        return
    for batch in _batched(rows):
        yield batch
