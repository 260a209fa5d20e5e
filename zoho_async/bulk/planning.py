"""What a push would do, and in how many calls: the same preparation, and no write."""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

import msgspec

from zoho_async.errors import NotFoundError, ZohoError

from .database import Database
from .journal import Journal
from .mapping import FATAL
from .merging import Difference
from .options import Options
from .outcomes import RowOutcome
from .preparing import Preparation
from .routes import Decision
from .rows import Job
from .sending import merge_job
from .target import Target

SAMPLES = 3
SHOWN = 100
"""So many planned rows are kept with their differences."""
UNREAD = 10
"""So many records that cannot be read end a plan."""
READS = 1_000
"""So many records are read for their differences; beyond it the numbers are upper bounds."""


class PlannedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row that a push would write."""

    row: int
    action: Literal["create", "update"]
    label: str
    record_id: str = ""
    differences: tuple[Difference, ...] = ()
    left_out: tuple[str, ...] = ()


class Plan(msgspec.Struct, kw_only=True):
    """What a push would do. rows = create + update + unchanged + faulty + colliding + unknown."""

    rows: int = 0
    create: int = 0
    update: int = 0
    unchanged: int = 0
    faulty: int = 0
    colliding: int = 0
    """Rows whose name or key another row or record has."""
    unknown: int = 0
    """Begun by an earlier run, with an outcome that cannot be looked up."""
    reads: int = 0
    """Calls a push needs for reading."""
    writes: int = 0
    """Calls a push needs for writing."""
    reads_spent: int = 0
    """Calls that the plan itself has made."""
    unread: int = 0
    """Records that could not be read."""
    exact: bool = True
    """False: so many records were to be compared that not all were read, or some could not be; then `update` and
    `writes` are the most it can be."""
    looked: bool = True
    """False: without credentials the target was not looked at."""
    kinds: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    samples: list[Any] = msgspec.field(default_factory=list[Any])
    """The first bodies of new records."""
    planned: list[PlannedRow] = msgspec.field(default_factory=list[PlannedRow])
    """The first rows that would be written."""

    @property
    def calls(self) -> int:
        """Calls a push needs."""
        return self.reads + self.writes


async def plan(
    target: Target,
    rows: Iterable[Any],
    options: Options,
    *,
    state: Path | None,
    label: str,
    most_reads: int = READS,
    on_faulty: Callable[[RowOutcome], None] | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Plan:
    """Plans a push of a file or sequence; nothing is written, neither to Zoho nor to the state.

    A target without a resource (no credentials) is not looked at: then every good row that no earlier run has sent
    counts as new.
    """
    made = Plan(looked=target.resource is not None)

    async def read(call: Callable[[], Awaitable[Any]]) -> Any:
        made.reads_spent += 1
        return await call()

    async with Database(state, create=False) as database:
        preparation = Preparation(Journal(database, label), target, options, read)
        async with preparation.index:
            async with aclosing(preparation.check(rows)) as batches:
                async for faulty in batches:
                    for job in faulty:
                        _count_faulty(made, job, on_faulty)
                    if stopped():
                        return made
            spent = made.reads_spent
            async with aclosing(preparation.decisions(rows, checked=True)) as decisions:
                async for decision in decisions:
                    if stopped():
                        break
                    made.reads += made.reads_spent - spent
                    await _count(made, decision, preparation, target, most_reads, read, on_faulty)
                    spent = made.reads_spent
    return made


async def _count(
    made: Plan,
    decision: Decision,
    preparation: Preparation,
    target: Target,
    most_reads: int,
    read: Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]],
    on_faulty: Callable[[RowOutcome], None] | None,
) -> None:
    job = decision.job
    if decision.route == "refuse" and not decision.in_doubt:
        _count_faulty(made, job, on_faulty)
        return
    made.rows += 1
    match decision.route:
        case "skip":
            made.unchanged += 1
            return
        case "unknown" | "refuse":
            # A call of an earlier run may have made things as they are.
            made.unknown += 1
            return
        case "upsert" | "create":
            _count_new(made, job)
            return
        case _:
            pass
    found = decision.record
    assert found is not None
    if not found.row:
        made.reads += 1
    if target.resource is None:
        made.exact = False
        made.update += 1
        made.writes += 1
        return
    record: Any = msgspec.json.decode(found.row) if found.row else None
    if record is None:
        if made.reads_spent >= most_reads:
            made.exact = False
            made.update += 1
            made.writes += 1
            return
        try:
            record = await read(lambda: target.get(found.record_id, job.parent))
        except NotFoundError:
            (fresh,) = await preparation.decide([job], gone=found.record_id)
            made.rows -= 1
            await _count(made, fresh, preparation, target, most_reads, read, on_faulty)
            return
        except FATAL:
            raise
        except ZohoError:
            made.unread += 1
            if made.unread >= UNREAD:
                raise
            # The push may have better luck.
            made.exact = False
            _count_unread(made, decision)
            return
    if decision.route == "verify":
        made.unchanged += 1
        return
    merged = merge_job(target, job, record)
    if decision.route == "adopt":
        # Made since, and not what the row says: nobody can say whose it is.
        same = not (merged.faults or merged.changes)
        made.unchanged, made.unknown = made.unchanged + same, made.unknown + (not same)
    elif merged.faults and decision.in_doubt:
        made.unknown += 1
    elif merged.faults:
        made.rows -= 1
        job.faults = merged.faults
        _count_faulty(made, job, on_faulty)
    elif merged.changes:
        made.update += 1
        made.writes += 1
        if len(made.planned) < SHOWN:
            made.planned.append(
                PlannedRow(
                    row=job.row.number,
                    action="update",
                    label=job.label,
                    record_id=found.record_id,
                    differences=merged.differences,
                    left_out=merged.left_out,
                )
            )
    else:
        made.unchanged += 1


def _count_unread(made: Plan, decision: Decision) -> None:
    """A record that cannot be read now: what it may come to at most."""
    if decision.route == "update":
        made.update += 1
        made.writes += 1
    elif decision.route == "adopt":
        made.unknown += 1
    else:
        made.unchanged += 1


def _count_new(made: Plan, job: Job) -> None:
    made.create += 1
    made.writes += 1
    if len(made.samples) < SAMPLES:
        made.samples.append(job.body)
    if len(made.planned) < SHOWN:
        made.planned.append(PlannedRow(row=job.row.number, action="create", label=job.label))


def _count_faulty(made: Plan, job: Job, on_faulty: Callable[[RowOutcome], None] | None) -> None:
    outcome = RowOutcome(row=job.row, status="failed", action="none", faults=job.faults)
    made.rows += 1
    if outcome.kind in ("name_taken", "duplicate", "ambiguous"):
        made.colliding += 1
    else:
        made.faulty += 1
    made.kinds = dict(Counter(made.kinds) + Counter({outcome.kind: 1}))
    if on_faulty is not None:
        on_faulty(outcome)
