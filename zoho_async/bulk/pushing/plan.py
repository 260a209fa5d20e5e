"""What a push would do, in how many calls and until when: the same planning, and no write."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from contextlib import aclosing
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Unpack

import msgspec

from zoho_async.bulk._pages import Read
from zoho_async.bulk.errors import RUN_ENDING_ERRORS
from zoho_async.bulk.pushing.merge import Difference
from zoho_async.bulk.results import RowOutcome, invalid
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.rows.review import PlanColumn, Review
from zoho_async.bulk.rows.validate import RowReader, WorkItem, check_rows
from zoho_async.bulk.rows.warnings import RowWarning
from zoho_async.bulk.scheduling.window import Window
from zoho_async.bulk.source.files import RowFile
from zoho_async.bulk.state.database import Database, sqlite_text
from zoho_async.bulk.state.journal import Journal
from zoho_async.errors import NotFoundError, ZohoError

from .dispatch import merge_item
from .endpoint import read_record
from .prepare import Planner
from .push_options import PushOptions, matching, takes_push_options, with_defaults
from .routing import RoutedRow

if TYPE_CHECKING:
    from zoho_async.bulk.rows.resource import PushableResource

SAMPLES = 3
"""Bodies of new records that a plan shows."""
PLANNED_ROWS = 100
"""Planned rows that are kept with their differences."""
UNREAD = 10
"""Records that cannot be read after which a plan fails."""


Decision = Literal["create", "update", "unchanged", "skip", "invalid", "colliding", "unknown"]


class PlannedRow(msgspec.Struct, frozen=True, kw_only=True):
    """One row that a push would write.

    Attributes:
        row: Its number in the input.
        action: Whether its record would be created or updated.
        label: What people know it by: its key or its name.
        record_id: Id of the record that would be updated.
        differences: The fields that an update would change.
        left_out: Columns that differ and that an update does not take.
    """

    row: int
    action: Literal["create", "update"]
    label: str
    record_id: str = ""
    differences: tuple[Difference, ...] = ()
    left_out: tuple[str, ...] = ()


class RowDecision(msgspec.Struct, frozen=True, kw_only=True):
    """What a push would do with one row, given to `on_row` of `plan`.

    Attributes:
        row: Its number in the input.
        line: Line of the file where it begins; 0 when it comes from no file.
        key: What people know it by: its key or its name.
        decision: `skip`: its record is there and stays; `unknown`: sent by an earlier run with an unknown outcome.
        record_id: Id of its record, where that is known.
        differences: The fields that an update would change.
        reason: Why the row would be rejected, or what is not known; empty otherwise.
    """

    row: int
    line: int
    key: str
    decision: Decision
    record_id: str = ""
    differences: tuple[Difference, ...] = ()
    reason: str = ""


class Plan(msgspec.Struct, kw_only=True):
    """What a push would do."""

    create: int = 0
    """Rows whose record would be created."""
    update: int = 0
    """Rows whose record would be changed."""
    unchanged: int = 0
    """Rows whose record has all that they say."""
    skipped: int = 0
    """Rows whose record is there and stays as it is."""
    faulty: int = 0
    """Rows that are invalid in themselves."""
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
    limited: bool = False
    """True: more rows need sending than `limit` lets the push send; they, and the rows after them, are not counted."""
    looked: bool = True
    """False: without credentials the destination was not read."""
    kinds: dict[str, int] = msgspec.field(default_factory=dict[str, int])
    """Rows that would be rejected, by `RowOutcome.kind`."""
    samples: list[Any] = msgspec.field(default_factory=list[Any])
    """The first bodies of new records."""
    planned: list[PlannedRow] = msgspec.field(default_factory=list[PlannedRow])
    """The first rows that would be written."""
    warnings: list[RowWarning] = msgspec.field(default_factory=list[RowWarning])
    """What is probably not meant so, by kind."""
    columns: list[PlanColumn] = msgspec.field(default_factory=list[PlanColumn])
    """What becomes of each column that has a value."""

    @property
    def rows(self) -> int:
        """Rows that were checked."""
        return self.create + self.update + self.unchanged + self.skipped + self.faulty + self.colliding + self.unknown

    @property
    def cells_changed(self) -> int:
        """Cells that are written otherwise than they stand in the input."""
        return sum(column.changed for column in self.columns)

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
    destination = _destination_of(resource)
    checked = Options.of(destination, **matching(given))
    if given["window"] is not None:
        Window.parse(given["window"])
    if rows is not None:
        RowReader(destination, checked).check(rows)


@takes_push_options
async def plan(
    resource: PushableResource,
    rows: Iterable[Any],
    *,
    max_reads: int = 1_000,
    on_rejected: Callable[[RowOutcome], None] | None = None,
    on_row: Callable[[RowDecision], None] | None = None,
    stopped: Callable[[], bool] | None = None,
    **options: Unpack[PushOptions],
) -> Plan:
    """Plans a push of a file or sequence; writes nothing, neither to Zoho nor to the state.

    Options of the run itself, such as `wait`, change nothing.

    Args:
        resource: A client's resource. Its name, such as `books.contacts`, plans without credentials: the destination
            is not read, and every valid row that no earlier run has sent counts as new.
        rows: What would be pushed: a `RowFile` or a sequence.
        max_reads: Records read at most for their differences, one call each; beyond it the numbers are upper bounds.
        on_rejected: Called with every row that would not be sent.
        on_row: Called with what would be done with each row, invalid ones first.
        stopped: Asked between rows; when it returns True, the plan ends with what was counted so far.
        **options: See `PushOptions`.

    Returns:
        What the push would do, in how many calls. `forecast_of` says when it would be done.

    Raises:
        InputError: The resource or the options are not possible, or the organisation lacks a field or a currency.
        ZohoError: The destination cannot be read.
    """
    check_rows(rows)
    totals, destination, given = Plan(), _destination_of(resource), with_defaults(options)
    totals.looked = destination.resource is not None
    checked = Options.of(destination, **matching(given))
    label = sqlite_text(given["label"]) or (destination.label if totals.looked else "")

    async def read(call: Callable[[], Awaitable[Any]]) -> Any:
        totals.reads_spent += 1
        return await call()

    def ended() -> bool:
        return stopped is not None and stopped()

    async with Database(Path(given["state"]) if given["state"] is not None else None, create=False) as database:
        planner = Planner(Journal(database, label), destination, checked, read)
        skips = checked.on_existing == "skip"
        counting = _Counting(totals, destination, planner, read, max_reads, on_rejected, on_row, skips=skips)
        review = Review(planner.reader, rows, database)
        async with planner.index:
            async with aclosing(planner.check(rows, review, strict=given["strict"])) as batches:
                async for rejected in batches:
                    for item in rejected:
                        counting.rejected(item)
                    totals.warnings, totals.columns = review.warnings, review.columns
                    if ended():
                        return totals
            # Lists that rows refer to.
            totals.reads = spent = totals.reads_spent
            async with aclosing(planner.routed_rows(rows, checked=True)) as routed_rows:
                async for routed in routed_rows:
                    if ended():
                        break
                    totals.reads += totals.reads_spent - spent
                    if given["limit"] is not None and routed.needs_call and totals.writes >= given["limit"]:
                        totals.limited = True
                        break
                    await counting.count(routed)
                    spent = totals.reads_spent
    return totals


def _destination_of(resource: Any) -> Destination:
    return Destination.named(resource) if isinstance(resource, str) else Destination.of(resource)


class _Counting:
    """Counts rows into a plan."""

    def __init__(
        self,
        totals: Plan,
        destination: Destination,
        planner: Planner,
        read: Read,
        max_reads: int,
        on_rejected: Callable[[RowOutcome], None] | None,
        on_row: Callable[[RowDecision], None] | None,
        *,
        skips: bool,
    ) -> None:
        self._totals = totals
        self._skips = skips
        self._destination = destination
        self._planner = planner
        self._read = read
        self._max_reads = max_reads
        self._on_rejected = on_rejected
        self._on_row = on_row

    async def count(self, routed: RoutedRow) -> None:
        """Counts a row whose route is known, by its record if need be."""
        item = routed.item
        match routed.action:
            case "refuse" if not routed.outcome_unknown:
                self.rejected(item)
            case "unchanged":
                self._stays(routed, "unchanged")
            case "skip":
                self._stays(routed, "skip")
            case "unknown" | "refuse":
                # A call of an earlier run may have changed the record.
                self._stays(routed, "unknown")
            case "upsert" | "create":
                self._new(item)
            case "update" | "link_existing" | "confirm_exists":
                await self._found(routed)

    async def _found(self, routed: RoutedRow) -> None:
        """Counts a row that has a record."""
        totals, found = self._totals, routed.record
        assert found is not None
        if found.row:
            record: dict[str, Any] = msgspec.json.decode(found.row)
            self._compared(routed, record)
            return
        totals.reads += 1
        if self._destination.resource is None or totals.reads_spent >= self._max_reads:
            self._not_compared(routed)
            return
        try:
            record = await self._read(lambda: read_record(self._destination, found.record_id, routed.item.parent))
        except NotFoundError:
            (fresh,) = await self._planner.decide([routed.item], deleted=found.record_id)
            await self.count(fresh)
        except RUN_ENDING_ERRORS:
            raise
        except ZohoError:
            totals.unread += 1
            if totals.unread >= UNREAD:
                raise
            # The push may be able to read it.
            self._not_compared(routed)
        else:
            self._compared(routed, record)

    def _not_compared(self, routed: RoutedRow) -> None:
        """Counts a row whose record was not read: an upper bound."""
        totals = self._totals
        totals.exact = False
        if routed.action == "link_existing":
            # Nothing is written, whatever the record holds.
            self._stays(routed, "unknown")
        else:
            totals.update += 1
            totals.writes += 1
            self._decide(routed.item, "update", record_id=_id_of(routed), reason="at most: its record was not read")

    def _compared(self, routed: RoutedRow, record: dict[str, Any]) -> None:
        """Counts a row by what its record says."""
        item, totals, found = routed.item, self._totals, routed.record
        assert found is not None
        if routed.action == "confirm_exists":
            entry = routed.context.entry
            same = entry is not None and (entry.state, entry.content_hash) == ("done", item.content_hash)
            self._stays(routed, "unchanged" if same else "skip")
            return
        merged = merge_item(self._destination, item, record)
        if not (merged.faults or merged.changes):
            self._stays(routed, "unchanged")
        elif routed.action == "link_existing" and self._skips:
            self._stays(routed, "skip")
        elif routed.action == "link_existing" or (merged.faults and routed.outcome_unknown):
            # It has the row's key, and is not what the row says: it may be another's.
            self._stays(routed, "unknown")
        elif merged.faults:
            item.faults = merged.faults
            self.rejected(item)
        else:
            totals.update += 1
            totals.writes += 1
            self._show(
                PlannedRow(
                    row=item.row.number,
                    action="update",
                    label=item.display_key,
                    record_id=found.record_id,
                    differences=merged.differences,
                    left_out=merged.left_out,
                )
            )
            self._decide(item, "update", record_id=found.record_id, differences=merged.differences)

    def _new(self, item: WorkItem) -> None:
        totals = self._totals
        totals.create += 1
        totals.writes += 1
        if len(totals.samples) < SAMPLES:
            totals.samples.append(item.body)
        self._show(PlannedRow(row=item.row.number, action="create", label=item.display_key))
        self._decide(item, "create")

    def _stays(self, routed: RoutedRow, decision: Literal["unchanged", "skip", "unknown"]) -> None:
        """Counts a row for which nothing is written."""
        totals = self._totals
        totals.unchanged += decision == "unchanged"
        totals.skipped += decision == "skip"
        totals.unknown += decision == "unknown"
        reason = "sent by an earlier run; its outcome is not known" if decision == "unknown" else ""
        self._decide(routed.item, decision, record_id=_id_of(routed), reason=reason)

    def _decide(self, item: WorkItem, decision: Decision, **more: Any) -> None:
        if self._on_row is not None:
            row, key = item.row, item.display_key or item.name
            self._on_row(RowDecision(row=row.number, line=row.line, key=key, decision=decision, **more))

    def _show(self, row: PlannedRow) -> None:
        if len(self._totals.planned) < PLANNED_ROWS:
            self._totals.planned.append(row)

    def rejected(self, item: WorkItem) -> None:
        """Counts a row that is not sent."""
        outcome, totals = invalid(item), self._totals
        collides = outcome.kind in ("name_taken", "duplicate", "ambiguous", "exists")
        totals.colliding += collides
        totals.faulty += not collides
        self._decide(item, "colliding" if collides else "invalid", reason=outcome.reason)
        totals.kinds[outcome.kind] = totals.kinds.get(outcome.kind, 0) + 1
        if self._on_rejected is not None:
            self._on_rejected(outcome)


def _id_of(routed: RoutedRow) -> str:
    """Id of the record that a row has, where that is known."""
    if routed.record is not None:
        return routed.record.record_id
    entry = routed.context.entry
    return entry.record_id if entry is not None else ""
