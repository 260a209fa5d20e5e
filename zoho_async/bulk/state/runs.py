"""The runs of a state file: what each was asked to do, what came of it, and the rows that were not done."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing, suppress
from datetime import datetime
from typing import Any, Literal, NamedTuple
from uuid import uuid4

import msgspec

from zoho_async.bulk.errors import StateError

from .database import Database, now, storable

RunState = Literal["running", "complete", "stopped", "failed"]

BATCH = 500
"""Rows read from the file at once."""
IMAGES = 50
"""Records read from the file at once; one may be a hundred kilobytes."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a push."""

    id: int
    target: str
    source: str
    """Where the rows came from: a file by its whole path, anything else by its type."""
    options: dict[str, Any]
    started_at: datetime
    """UTC."""
    ended_at: datetime | None
    """UTC. None while it runs, and for a run that was killed: nobody wrote down when."""
    state: RunState
    summary: dict[str, Any]
    error: str

    @property
    def untried(self) -> int | None:
        """How many rows it did not come to; None when nobody knows, as of a run that was killed."""
        if self.state == "complete":
            return 0
        of, rows = self.summary.get("of"), self.summary.get("rows")
        return of - rows if isinstance(of, int) and isinstance(rows, int) else None

    @property
    def input_rows(self) -> int | None:
        """How many rows the whole input had; None when nobody knows."""
        # What an earlier version wrote down: right for a run of the whole input.
        found: int | None = self.summary.get("input_rows", self.summary.get("rows"))
        return found


class ProblemRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a run that was not done, and why."""

    number: int
    """Of the row in the input."""
    line: int
    """Of the input file; 0 when it has none."""
    identity: str
    digest: str
    """Of the row as it stood in the input."""
    status: str
    code: str
    field: str
    reason: str
    hint: str


class Image(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it was before a run changed it, or was about to."""

    target: str
    record_id: str
    taken_at: datetime
    """UTC."""
    record: msgspec.Raw
    """JSON, as Zoho answered, without numbers of cards and accounts."""


class Identified(NamedTuple):
    """The id of a record or of a part of one, by the row it came from."""

    label: str
    """The row's key or name."""
    target: str
    part: str
    """`record`, or the name of the part."""
    key: str
    """What tells the part from others of the record; empty for the record itself."""
    id: str


async def begin(database: Database, target: str, *, source: str, options: Mapping[str, Any]) -> int:
    """Puts a new run on record and gives its number. `options` must be fit for JSON and hold no secrets.

    Runs of the target that are still `running` become `stopped`: whoever has the file open is the only one, so
    their process is gone. Of one target, therefore, one run at a time.
    """

    def work(connection: sqlite3.Connection) -> int:
        connection.execute("UPDATE runs SET state = 'stopped' WHERE target = ? AND state = 'running'", (target,))
        (number,) = connection.execute(
            "INSERT INTO runs (target, source, options, started_at, state) VALUES (?, ?, ?, ?, 'running') RETURNING id",
            (target, storable(source), _json(options), now()),
        ).fetchone()
        return int(number)

    return await database.run(work)


async def end(
    database: Database,
    run: int,
    state: Literal["complete", "stopped", "failed"],
    *,
    summary: Mapping[str, Any],
    error: str = "",
) -> None:
    """Puts on record how a run ended. `summary` must be fit for JSON."""

    def work(connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE runs SET state = ?, ended_at = ?, summary = ?, error = ? WHERE id = ?",
            (state, now(), _json(summary), storable(error), run),
        )

    await database.run(work)


async def remember(database: Database, run: int, problems: Sequence[ProblemRow]) -> None:
    """Puts rows that were not done on record; what was said of the same row of the run before is replaced."""

    def work(connection: sqlite3.Connection) -> None:
        connection.executemany(
            "INSERT OR REPLACE INTO problems "
            "(run, number, line, identity, digest, status, code, field, reason, hint) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    run,
                    one.number,
                    one.line,
                    *(storable(text) for text in (one.identity, one.digest, one.status, one.code)),
                    *(storable(text) for text in (one.field, one.reason, one.hint)),
                )
                for one in problems
            ),
        )

    await database.run(work)


async def runs(database: Database, target: str | None = None) -> list[Run]:
    """The runs of a target, or of all, newest first.

    A run that was killed stays `running` until the next run of its target begins; the file alone cannot tell it from
    one that is alive.
    """

    def work(connection: sqlite3.Connection) -> list[Run]:
        rows = connection.execute(f"{_RUN} WHERE target = coalesce(?, target) ORDER BY id DESC", (target,))
        return [_run(row) for row in rows]

    return await database.run(work)


async def show(database: Database, run: int) -> Run | None:
    """The run of that number; None when there is none."""

    def work(connection: sqlite3.Connection) -> Run | None:
        row = connection.execute(f"{_RUN} WHERE id = ?", (run,)).fetchone()
        return None if row is None else _run(row)

    return await database.run(work)


async def problems(database: Database, run: int) -> AsyncGenerator[ProblemRow, None]:
    """The rows of a run that were not done, in the order of the input. Read in batches: memory stays flat."""
    async with aclosing(problem_batches(database, run)) as batches:
        async for batch in batches:
            for row in batch:
                yield row


async def problem_batches(database: Database, run: int) -> AsyncGenerator[list[ProblemRow], None]:
    """The same, as they are read: some at a time."""
    names = ProblemRow.__struct_fields__
    # A number no row comes before.
    last = -(2**63)
    fresh = True

    def work(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
        return connection.execute(
            f"SELECT {', '.join(names)} FROM problems WHERE run = ? AND number > ? ORDER BY number LIMIT ?",
            (run, last, BATCH),
        ).fetchall()

    while fresh:
        batch = await database.run(work)
        fresh = len(batch) == BATCH
        if batch:
            last = batch[-1][0]
            yield [ProblemRow(**dict(zip(names, row, strict=True))) for row in batch]


async def images(database: Database, run: int) -> AsyncGenerator[Image, None]:
    """Records as they were before a run changed them, in the order in which it did. Read in batches."""
    last = 0

    def work(connection: sqlite3.Connection) -> list[tuple[int, str, str, str, bytes]]:
        return connection.execute(
            "SELECT id, target, record_id, taken_at, image FROM images WHERE run = ? AND id > ? ORDER BY id LIMIT ?",
            (run, last, IMAGES),
        ).fetchall()

    while batch := await database.run(work):
        for last, target, record_id, taken_at, image in batch:  # noqa: B007 - `work` goes on from it
            moment = datetime.fromisoformat(taken_at)
            yield Image(target=target, record_id=record_id, taken_at=moment, record=msgspec.Raw(image))


async def identities(database: Database, target: str | None) -> AsyncGenerator[Identified, None]:
    """The ids of all records that rows of a target (None: of all) have, and of their parts, in the order of labels.

    One for the record, then one for each of its parts. They are as they stood when the first was asked for, and read
    in batches: memory stays flat.
    """
    # Sorted once, on disk: an order by label that the journal kept would cost every push.
    sorted_rows = f"temp.identities_{uuid4().hex}"
    last = 0

    def sort(connection: sqlite3.Connection) -> None:
        connection.execute(
            f"CREATE TABLE {sorted_rows} "
            "(place INTEGER PRIMARY KEY, label TEXT, target TEXT, record_id TEXT, parts TEXT)"
        )
        connection.execute(
            f"INSERT INTO {sorted_rows} (label, target, record_id, parts) SELECT label, target, record_id, parts "
            "FROM journal WHERE record_id <> '' AND target = coalesce(?, target) ORDER BY label, target, identity",
            (target,),
        )

    def read(connection: sqlite3.Connection) -> list[tuple[int, str, str, str, str]]:
        return connection.execute(
            f"SELECT place, label, target, record_id, parts FROM {sorted_rows} WHERE place > ? ORDER BY place LIMIT ?",
            (last, BATCH),
        ).fetchall()

    await database.run(sort)
    try:
        while batch := await database.run(read):
            for last, label, of, record_id, parts in batch:  # noqa: B007 - `read` goes on from it
                yield Identified(label, of, "record", "", record_id)
                for part, key, part_id in json.loads(parts) if parts else ():
                    yield Identified(label, of, part, key, part_id)
    finally:
        # Closed already: then it is gone.
        with suppress(StateError):
            await database.run(lambda connection: connection.execute(f"DROP TABLE {sorted_rows}"))


_RUN = "SELECT id, target, source, options, started_at, ended_at, state, summary, error FROM runs"


def _run(row: tuple[Any, ...]) -> Run:
    number, target, source, options, started_at, ended_at, state, summary, error = row
    return Run(
        id=number,
        target=target,
        source=source,
        options=json.loads(options),
        started_at=datetime.fromisoformat(started_at),
        ended_at=datetime.fromisoformat(ended_at) if ended_at else None,
        state=state,
        summary=json.loads(summary),
        error=error,
    )


def _json(values: Mapping[str, Any]) -> str:
    # What JSON has no type for, such as paths and amounts, becomes text.
    return json.dumps(dict(values), default=str)
