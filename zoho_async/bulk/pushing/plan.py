"""What a push would do, and in how many calls: the same preparation, and no write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal

import msgspec

from zoho_async.bulk._pages import Read
from zoho_async.bulk.errors import RUN_ENDING_ERRORS
from zoho_async.bulk.pushing.merge import Difference
from zoho_async.bulk.results import RowOutcome, faulty
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Target
from zoho_async.bulk.rows.validate import WorkItem
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Journal
from zoho_async.errors import NotFoundError, ZohoError

from .dispatch import merge_job
from .endpoint import read_record
from .prepare import Planner
from .routing import RoutedRow

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
    """What a push would do."""

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
    def rows(self) -> int:
        """Rows that were looked at."""
        return self.create + self.update + self.unchanged + self.faulty + self.colliding + self.unknown

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
        preparation = Planner(Journal(database, label), target, options, read)
        counting = _Counting(made, target, preparation, read, most_reads, on_faulty)
        async with preparation.index:
            async with aclosing(preparation.check(rows)) as batches:
                async for wrong in batches:
                    for job in wrong:
                        counting.faulty(job)
                    if stopped():
                        return made
            spent = made.reads_spent
            async with aclosing(preparation.decisions(rows, checked=True)) as decisions:
                async for decision in decisions:
                    if stopped():
                        break
                    made.reads += made.reads_spent - spent
                    await counting.decided(decision)
                    spent = made.reads_spent
    return made


class _Counting:
    """Rows into a plan."""

    def __init__(
        self,
        made: Plan,
        target: Target,
        preparation: Planner,
        read: Read,
        most_reads: int,
        on_faulty: Callable[[RowOutcome], None] | None,
    ) -> None:
        self._made = made
        self._target = target
        self._preparation = preparation
        self._read = read
        self._most_reads = most_reads
        self._on_faulty = on_faulty

    async def decided(self, decision: RoutedRow) -> None:
        """Counts a row whose route is known, by its record if need be."""
        job, made = decision.job, self._made
        match decision.route:
            case "refuse" if not decision.outcome_unknown:
                self.faulty(job)
            case "skip":
                made.unchanged += 1
            case "unknown" | "refuse":
                # A call of an earlier run may have made things as they are.
                made.unknown += 1
            case "upsert" | "create":
                self._new(job)
            case "update" | "adopt" | "verify":
                await self._found(decision)

    async def _found(self, decision: RoutedRow) -> None:
        """Counts a row that has a record."""
        made, found = self._made, decision.record
        assert found is not None
        if found.row:
            record: dict[str, Any] = msgspec.json.decode(found.row)
            self._compared(decision, record)
            return
        made.reads += 1
        if self._target.resource is None or made.reads_spent >= self._most_reads:
            self._not_compared(decision)
            return
        try:
            record = await self._read(lambda: read_record(self._target, found.record_id, decision.job.parent))
        except NotFoundError:
            (fresh,) = await self._preparation.decide([decision.job], gone=found.record_id)
            await self.decided(fresh)
        except RUN_ENDING_ERRORS:
            raise
        except ZohoError:
            made.unread += 1
            if made.unread >= UNREAD:
                raise
            # The push may have better luck.
            self._not_compared(decision)
        else:
            self._compared(decision, record)

    def _not_compared(self, decision: RoutedRow) -> None:
        """Counts what a row comes to at most."""
        made = self._made
        made.exact = False
        if decision.route == "adopt":
            # Whatever its record says, nothing is written.
            made.unknown += 1
        else:
            made.update += 1
            made.writes += 1

    def _compared(self, decision: RoutedRow, record: dict[str, Any]) -> None:
        """Counts a row by what its record says."""
        job, made, found = decision.job, self._made, decision.record
        assert found is not None
        if decision.route == "verify":
            made.unchanged += 1
            return
        merged = merge_job(self._target, job, record)
        if not (merged.faults or merged.changes):
            made.unchanged += 1
        elif decision.route == "adopt" or (merged.faults and decision.outcome_unknown):
            # Made since, and not what the row says: nobody can say whose it is.
            made.unknown += 1
        elif merged.faults:
            job.faults = merged.faults
            self.faulty(job)
        else:
            made.update += 1
            made.writes += 1
            self._show(
                PlannedRow(
                    row=job.row.number,
                    action="update",
                    label=job.label,
                    record_id=found.record_id,
                    differences=merged.differences,
                    left_out=merged.left_out,
                )
            )

    def _new(self, job: WorkItem) -> None:
        made = self._made
        made.create += 1
        made.writes += 1
        if len(made.samples) < SAMPLES:
            made.samples.append(job.body)
        self._show(PlannedRow(row=job.row.number, action="create", label=job.label))

    def _show(self, row: PlannedRow) -> None:
        if len(self._made.planned) < SHOWN:
            self._made.planned.append(row)

    def faulty(self, job: WorkItem) -> None:
        """Counts a row that is not sent."""
        outcome, made = faulty(job), self._made
        if outcome.kind in ("name_taken", "duplicate", "ambiguous"):
            made.colliding += 1
        else:
            made.faulty += 1
        made.kinds[outcome.kind] = made.kinds.get(outcome.kind, 0) + 1
        if self._on_faulty is not None:
            self._on_faulty(outcome)
