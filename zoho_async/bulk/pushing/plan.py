"""What a push would do, in how many calls and until when: the same preparation, and no write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import Any, Literal, Unpack

import msgspec

from zoho_async.bulk._pages import Read
from zoho_async.bulk.errors import RUN_ENDING_ERRORS
from zoho_async.bulk.pushing.merge import Difference
from zoho_async.bulk.results import RowOutcome, faulty
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Target
from zoho_async.bulk.rows.validate import RowReader, WorkItem
from zoho_async.bulk.scheduling.window import Window
from zoho_async.bulk.source.files import RowFile
from zoho_async.bulk.state.database import Database, sqlite_text
from zoho_async.bulk.state.journal import Journal
from zoho_async.errors import NotFoundError, ZohoError

from .dispatch import merge_job
from .endpoint import read_record
from .prepare import Planner
from .push_options import PushOptions, matching, takes_push_options, with_defaults
from .routing import RoutedRow

SAMPLES = 3
"""Bodies of new records that a plan shows."""
SHOWN = 100
"""Planned rows that are kept with their differences."""
UNREAD = 10
"""Records that cannot be read after which a plan fails."""


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
    skipped: int = 0
    """Rows whose record is there and stays as it is."""
    faulty: int = 0
    colliding: int = 0
    """Rows whose name or key another row or record has."""
    unknown: int = 0
    """Sent by an earlier run, with an outcome that cannot be looked up."""
    reads: int = 0
    """Calls a push needs for reading."""
    writes: int = 0
    """Calls a push needs for writing."""
    reads_spent: int = 0
    """Calls that the plan itself has made."""
    unread: int = 0
    """Records that could not be read."""
    exact: bool = True
    """False: not all records that a row differs from were read; then `update` and `writes` are upper bounds."""
    looked: bool = True
    """False: without credentials the target was not read."""
    kinds: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    samples: list[Any] = msgspec.field(default_factory=list[Any])
    """The first bodies of new records."""
    planned: list[PlannedRow] = msgspec.field(default_factory=list[PlannedRow])
    """The first rows that would be written."""

    @property
    def rows(self) -> int:
        """Rows that were checked."""
        return self.create + self.update + self.unchanged + self.skipped + self.faulty + self.colliding + self.unknown

    @property
    def calls(self) -> int:
        """Calls a push needs."""
        return self.reads + self.writes


@takes_push_options
def check(resource: Any, rows: RowFile | None = None, **options: Unpack[PushOptions]) -> None:
    """Checks what can be found wrong with a push before any call: resource, options and the columns of the file.

    Args:
        resource: A client's resource, or its name such as `books.contacts`, for which no credentials are needed.
        rows: The file to push; None checks the rest.
        **options: See `PushOptions`.

    Raises:
        InputError: The resource cannot be pushed, options exclude each other, or a column is unknown or missing.
    """
    given = with_defaults(options)
    target = _target_of(resource)
    checked = Options.of(target, **matching(given))
    if given["window"] is not None:
        Window.parse(given["window"])
    if rows is not None:
        RowReader(target, checked).check(rows)


@takes_push_options
async def plan(
    resource: Any,
    rows: Iterable[Any],
    *,
    max_reads: int = 1_000,
    on_rejected: Callable[[RowOutcome], None] | None = None,
    stopped: Callable[[], bool] | None = None,
    **options: Unpack[PushOptions],
) -> Plan:
    """Plans a push of a file or sequence; writes nothing, neither to Zoho nor to the state.

    Options of the run itself, such as `wait`, change nothing.

    Args:
        resource: A client's resource. Its name, such as `books.contacts`, plans without credentials: the target is not
            read, and every valid row that no earlier run has sent counts as new.
        rows: What would be pushed: a `RowFile` or a sequence.
        max_reads: Records read at most for their differences, one call each; beyond it the numbers are upper bounds.
        on_rejected: Called with every row that would not be sent.
        stopped: Asked between rows; when it returns True, the plan ends with what was counted so far.
        **options: See `PushOptions`.

    Returns:
        What the push would do, in how many calls. `forecast_of` says when it would be done.

    Raises:
        InputError: The resource or the options are not possible.
        ZohoError: The target cannot be read.
    """
    made, target, given = Plan(), _target_of(resource), with_defaults(options)
    made.looked = target.resource is not None
    checked = Options.of(target, **matching(given))
    label = sqlite_text(given["label"]) or (target.label if made.looked else "")

    async def read(call: Callable[[], Awaitable[Any]]) -> Any:
        made.reads_spent += 1
        return await call()

    def ended() -> bool:
        return stopped is not None and stopped()

    async with Database(Path(given["state"]) if given["state"] is not None else None, create=False) as database:
        preparation = Planner(Journal(database, label), target, checked, read)
        skips = checked.on_existing == "skip"
        counting = _Counting(made, target, preparation, read, max_reads, on_rejected, skips=skips)
        async with preparation.index:
            async with aclosing(preparation.check(rows)) as batches:
                async for rejected in batches:
                    for job in rejected:
                        counting.rejected(job)
                    if ended():
                        return made
            # Lists that rows refer to.
            made.reads = spent = made.reads_spent
            async with aclosing(preparation.decisions(rows, checked=True)) as decisions:
                async for decision in decisions:
                    if ended():
                        break
                    made.reads += made.reads_spent - spent
                    await counting.decided(decision)
                    spent = made.reads_spent
    return made


def _target_of(resource: Any) -> Target:
    return Target.named(resource) if isinstance(resource, str) else Target.of(resource)


class _Counting:
    """Counts rows into a plan."""

    def __init__(
        self,
        made: Plan,
        target: Target,
        preparation: Planner,
        read: Read,
        max_reads: int,
        on_rejected: Callable[[RowOutcome], None] | None,
        *,
        skips: bool,
    ) -> None:
        self._made = made
        self._skips = skips
        self._target = target
        self._preparation = preparation
        self._read = read
        self._max_reads = max_reads
        self._on_rejected = on_rejected

    async def decided(self, decision: RoutedRow) -> None:
        """Counts a row whose route is known, by its record if need be."""
        job, made = decision.job, self._made
        match decision.action:
            case "refuse" if not decision.outcome_unknown:
                self.rejected(job)
            case "unchanged":
                made.unchanged += 1
            case "skip":
                made.skipped += 1
            case "unknown" | "refuse":
                # A call of an earlier run may have changed the record.
                made.unknown += 1
            case "upsert" | "create":
                self._new(job)
            case "update" | "link_existing" | "confirm_exists":
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
        if self._target.resource is None or made.reads_spent >= self._max_reads:
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
            # The push may be able to read it.
            self._not_compared(decision)
        else:
            self._compared(decision, record)

    def _not_compared(self, decision: RoutedRow) -> None:
        """Counts a row whose record was not read: an upper bound."""
        made = self._made
        made.exact = False
        if decision.action == "link_existing":
            # Nothing is written, whatever the record holds.
            made.unknown += 1
        else:
            made.update += 1
            made.writes += 1

    def _compared(self, decision: RoutedRow, record: dict[str, Any]) -> None:
        """Counts a row by what its record says."""
        job, made, found = decision.job, self._made, decision.record
        assert found is not None
        if decision.action == "confirm_exists":
            entry = decision.known.entry
            same = entry is not None and (entry.state, entry.content_hash) == ("done", job.content_hash)
            made.unchanged += same
            made.skipped += not same
            return
        merged = merge_job(self._target, job, record)
        if not (merged.faults or merged.changes):
            made.unchanged += 1
        elif decision.action == "link_existing" and self._skips:
            made.skipped += 1
        elif decision.action == "link_existing" or (merged.faults and decision.outcome_unknown):
            # It has the row's key, and is not what the row says: it may be another's.
            made.unknown += 1
        elif merged.faults:
            job.faults = merged.faults
            self.rejected(job)
        else:
            made.update += 1
            made.writes += 1
            self._show(
                PlannedRow(
                    row=job.row.number,
                    action="update",
                    label=job.display_key,
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
        self._show(PlannedRow(row=job.row.number, action="create", label=job.display_key))

    def _show(self, row: PlannedRow) -> None:
        if len(self._made.planned) < SHOWN:
            self._made.planned.append(row)

    def rejected(self, job: WorkItem) -> None:
        """Counts a row that is not sent."""
        outcome, made = faulty(job), self._made
        if outcome.kind in ("name_taken", "duplicate", "ambiguous", "exists"):
            made.colliding += 1
        else:
            made.faulty += 1
        made.kinds[outcome.kind] = made.kinds.get(outcome.kind, 0) + 1
        if self._on_rejected is not None:
            self._on_rejected(outcome)
