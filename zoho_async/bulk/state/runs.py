"""The runs of a state file: options, outcome, rejected rows, before-images, ids."""

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

from .database import Database, now, sqlite_text

RunState = Literal["running", "complete", "stopped", "failed"]

BATCH = 500
"""Rows read in one transaction."""
IMAGE_BATCH = 50
"""Before-images read in one transaction; one may be a hundred kilobytes."""


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a push.

    Attributes:
        id: Its number in the state file.
        target: Organisation and resource.
        source: Absolute path of the file that the rows came from; the type of anything else.
        options: Those of the push.
        started_at: UTC.
        ended_at: UTC; None while it runs, and for a run that was killed.
        state: `running` until it ends; a killed one becomes `stopped` when the next of its target begins.
        summary: The totals of the push.
        error: Why it failed.
    """

    id: int
    target: str
    source: str
    options: dict[str, Any]
    started_at: datetime
    ended_at: datetime | None
    state: RunState
    summary: dict[str, Any]
    error: str

    @property
    def untried(self) -> int | None:
        """Number of rows that were not tried; None when unknown, as for a killed run."""
        if self.state == "complete":
            return 0
        of, rows = self.summary.get("of"), self.summary.get("rows")
        return of - rows if isinstance(of, int) and isinstance(rows, int) else None

    @property
    def input_rows(self) -> int | None:
        """Number of rows of the whole input; None when unknown."""
        # Earlier versions wrote only `rows`: right for a run of the whole input.
        found: int | None = self.summary.get("input_rows", self.summary.get("rows"))
        return found


class RejectedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row of a run that was not done, and why. The fields are the columns of the table `problems`.

    Attributes:
        number: Of the row in the input.
        line: Of the input file; 0 when it has none.
        identity: The row key.
        digest: Content hash of the row as it stood in the input.
        status: `failed` or `unknown`.
        code: Zoho's error code.
        field: The column at fault.
        reason: For people.
        hint: What would help.
    """

    number: int
    line: int
    identity: str
    digest: str
    status: str
    code: str
    field: str
    reason: str
    hint: str


class BeforeImage(msgspec.Struct, frozen=True, kw_only=True):
    """A record as it was before a run changed it, or intended to.

    Attributes:
        target: Organisation and resource.
        record_id: Zoho's id.
        taken_at: UTC.
        record: JSON of Zoho's response, without numbers of cards and accounts.
    """

    target: str
    record_id: str
    taken_at: datetime
    record: msgspec.Raw


class StoredId(NamedTuple):
    """Zoho's id of a record or of a child of one, with the row that it came from.

    Attributes:
        label: Display key of the row: its key or name.
        target: Organisation and resource.
        part: `record`, or the kind of child.
        key: Distinguishes the children of one kind; empty for the record itself.
        id: Zoho's id.
    """

    label: str
    target: str
    part: str
    key: str
    id: str


async def begin(database: Database, target: str, *, source: str, options: Mapping[str, Any]) -> int:
    """Records a new run. Runs of the target that are still `running` become `stopped`: one process has the file open.

    Args:
        database: The state file.
        target: Organisation and resource.
        source: Where the rows come from.
        options: Those of the push, without secrets; what JSON has no type for becomes text.

    Returns:
        The number of the run.
    """

    def work(connection: sqlite3.Connection) -> int:
        connection.execute("UPDATE runs SET state = 'stopped' WHERE target = ? AND state = 'running'", (target,))
        (number,) = connection.execute(
            "INSERT INTO runs (target, source, options, started_at, state) VALUES (?, ?, ?, ?, 'running') RETURNING id",
            (target, sqlite_text(source), _json(options), now()),
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
    """Records how a run ended; what JSON has no type for becomes text in `summary`."""

    def work(connection: sqlite3.Connection) -> None:
        connection.execute(
            "UPDATE runs SET state = ?, ended_at = ?, summary = ?, error = ? WHERE id = ?",
            (state, now(), _json(summary), sqlite_text(error), run),
        )

    await database.run(work)


async def record_rejected(database: Database, run: int, rows: Sequence[RejectedRow]) -> None:
    """Records rows of a run that were not done; one of the same number is replaced."""

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
                    *(sqlite_text(text) for text in (one.identity, one.digest, one.status, one.code)),
                    *(sqlite_text(text) for text in (one.field, one.reason, one.hint)),
                )
                for one in rows
            ),
        )

    await database.run(work)


async def runs(database: Database, target: str | None = None) -> list[Run]:
    """The runs of a target, or of all, newest first."""

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


async def rejected_rows(database: Database, run: int) -> AsyncGenerator[RejectedRow, None]:
    """The rows of a run that were not done, in the order of the input; read in batches, so memory stays flat."""
    async with aclosing(rejected_batches(database, run)) as batches:
        async for batch in batches:
            for row in batch:
                yield row


async def rejected_batches(database: Database, run: int) -> AsyncGenerator[list[RejectedRow], None]:
    """The same, batch by batch."""
    names = RejectedRow.__struct_fields__
    last = -(2**63)
    more = True

    def work(connection: sqlite3.Connection) -> list[tuple[Any, ...]]:
        return connection.execute(
            f"SELECT {', '.join(names)} FROM problems WHERE run = ? AND number > ? ORDER BY number LIMIT ?",
            (run, last, BATCH),
        ).fetchall()

    while more:
        batch = await database.run(work)
        more = len(batch) == BATCH
        if batch:
            last = batch[-1][0]
            yield [RejectedRow(**dict(zip(names, row, strict=True))) for row in batch]


async def before_images(database: Database, run: int) -> AsyncGenerator[BeforeImage, None]:
    """Records as they were before a run changed them, in the order of the changes; read in batches."""
    last = 0

    def work(connection: sqlite3.Connection) -> list[tuple[int, str, str, str, bytes]]:
        return connection.execute(
            "SELECT id, target, record_id, taken_at, image FROM images WHERE run = ? AND id > ? ORDER BY id LIMIT ?",
            (run, last, IMAGE_BATCH),
        ).fetchall()

    while batch := await database.run(work):
        for last, target, record_id, taken_at, image in batch:  # noqa: B007 - `work` goes on from it
            moment = datetime.fromisoformat(taken_at)
            yield BeforeImage(target=target, record_id=record_id, taken_at=moment, record=msgspec.Raw(image))


async def stored_ids(database: Database, target: str | None) -> AsyncGenerator[StoredId, None]:
    """The ids of all records of a target's rows (None: of all targets), by display key; a record's children follow it.

    They are those of the moment when the first is requested, and read in batches, so memory stays flat.
    """
    # Sorted here, on disk: an index by label would cost every push.
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
                yield StoredId(label, of, "record", "", record_id)
                for part, key, part_id in json.loads(parts) if parts else ():
                    yield StoredId(label, of, part, key, part_id)
    finally:
        # A closed database has no temporary tables.
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
