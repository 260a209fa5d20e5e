"""Brings a file up to date with a resource's list: SQLite, JSON Lines or CSV."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, suppress
from datetime import datetime
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, TypeVar

import msgspec

from zoho_async.bulk._aio import closable
from zoho_async.bulk.concurrent_map import map  # noqa: A004 - our own map, named like the builtin
from zoho_async.bulk.errors import InputError, StateError
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.scheduling.pull_cost import PullCost, PullNeeds, pull_cost
from zoho_async.errors import NotFoundError

from .change import Change
from .change_reader import Deletes
from .changes import Changes, is_read_alone
from .csv_sink import CsvSink
from .deletions import MAX_DELETED, check_missing, deleted_of
from .jsonl_sink import JsonLinesSink
from .listing import CallBudget, ListReader, WholeList, in_utf8
from .pull_plan import CSV, Details, check_pull, needs_of
from .sink import Record, Sink
from .sqlite_copy import SqliteCopy, is_sqlite
from .target_lock import TargetLock

T = TypeVar("T")

_GROUP = 50
"""Details written together."""
_COMMIT_EVERY = 200
"""Changes written together."""


class PullSummary(msgspec.Struct, kw_only=True):
    """Totals of a pull; handed to `on_progress` as it grows.

    Attributes:
        records: Records of the list; in SQLite those of the file that are not deleted.
        details: Records read by themselves.
        vanished: Records of the list that were deleted before their details were read (JSON Lines and CSV).
        dropped: Records of an earlier pull that were removed from the file, because they are deleted in Zoho.
        changed: Records that were written, new ones included.
        deleted: Records found to be deleted in Zoho; in SQLite they stay, with `deleted_at`.
        pending: Records whose details are left to the next pull (`max_calls`).
        complete: Whether everything was read; False when `max_calls` was too few.
        end_known: Whether Zoho reported where the list ends, and every row could be read; nothing is dropped otherwise.
        reads: Calls, without the client's retries.
        seconds: Time since the start.
    """

    records: int = 0
    details: int = 0
    vanished: int = 0
    dropped: int = 0
    changed: int = 0
    deleted: int = 0
    pending: int = 0
    complete: bool = True
    end_known: bool = True
    reads: int = 0
    seconds: float = 0.0


async def pull(
    resource: Any,
    to: str | Path,
    *,
    details: Details = "none",
    full: bool = False,
    concurrency: int = 10,
    max_calls: int | None = None,
    deletes: Deletes = "auto",
    max_deleted: float = MAX_DELETED,
    wait: bool = False,
    on_progress: Callable[[PullSummary], None] | None = None,
    on_cost: Callable[[PullCost], None] | None = None,
    on_wait: Callable[[datetime], None] | None = None,
) -> PullSummary:
    """Brings a file up to date with a list.

    SQLite keeps a copy: the first pull reads the whole list, later ones what has changed (see `changes`), in one or two
    calls when nothing has. A record that is deleted in Zoho stays, with `deleted_at`. An interrupted pull keeps what it
    has.

    JSON Lines and CSV are read in full each time. They hold the fullest form that was read, and appear only when
    complete. A file is made for its owner alone, and one pull at a time writes it.

    A record of the earlier file that the list lacks is asked for, and dropped only when Zoho says that it is not there.
    Nothing is dropped when Zoho does not say where the list ends.

    Args:
        resource: A client's resource, such as `zoho.books.contacts`.
        to: The file: `.sqlite` or `.db`, `.jsonl` or `.ndjson`, `.csv`.
        details: `none` keeps the rows of the list; `all` also reads every record by itself, one call each; `changed`
            only those that were changed since the file has them (SQLite only).
        full: Look for deletes in any case, and remove deleted records from the file (SQLite only; the other files never
            keep them).
        concurrency: Details read at a time.
        max_calls: Most calls of this pull, without the client's retries; the rest is left to the next one (SQLite
            only).
        deletes: `auto`, `off` or `now`, as in `changes` (SQLite only).
        max_deleted: Share of the file's records, from 0 to 1, that may be deleted at once; ten may be in any case. An
            empty list is believed with 1 only.
        wait: Wait for the next day's calls when those of this one are used up; else QuotaExceededError ends the pull.
        on_progress: Is called after every page and group of details.
        on_cost: Is called once, with the calls that the pull needs; see `plan_pull`.
        on_wait: Is called with the moment that is waited for.

    Returns:
        The totals.

    Raises:
        InputError: The file cannot be written, is being written by another pull or holds another organisation's
            records, or the resource has no list or no details.
        StateError: The state in an SQLite file cannot be read or written, or is of a newer version.
        MassDeleteError: The list lacks more records than `max_deleted` allows; nothing was dropped.
        ZohoError: What the client's calls raise.
    """
    destination, path = Destination.of(resource), Path(to)
    check_pull(destination, path, details, max_calls=max_calls, deletes=deletes, max_deleted=max_deleted)
    lock = TargetLock(path)
    lock.take()
    try:
        # One thread does the writing, so that a slow disk does not delay the event loop.
        with ThreadPoolExecutor(1, thread_name_prefix="zoho-pull") as thread:
            if is_sqlite(path):
                copy = SqliteCopy(path, destination)
                deletes = "now" if full else deletes
                cost = _CostReport(copy, destination, details, deletes, max_calls, on_cost)
                changes = Changes(
                    destination,
                    copy,
                    str(path),
                    details=details != "none",
                    max_calls=max_calls,
                    deletes=deletes,
                    max_deleted=max_deleted,
                    concurrency=concurrency,
                    wait=wait,
                    on_wait=on_wait,
                    on_size=cost.sized,
                )
                updating = _Update(copy, changes, cost)
                return await updating.run(thread, details, full=full, on_progress=on_progress)
            cost = _CostReport(None, destination, details, deletes, None, on_cost)
            sink_type = CsvSink if path.suffix.lower() in CSV else JsonLinesSink
            sink = sink_type(path, destination.record_id, details=details != "none")
            budget = CallBudget(wait=wait, on_wait=on_wait)
            running = _Pull(path, destination, sink, thread, details, budget, cost, on_progress)
            return await running.run(concurrency=concurrency, max_deleted=max_deleted)
    except sqlite3.Error as error:
        raise InputError(f"{path}: cannot be read or written: {error}") from error
    finally:
        lock.release()


class _CostReport:
    """Reports the cost of a pull once: before its first call, or when the size of the list is known."""

    def __init__(
        self,
        copy: SqliteCopy | None,
        target: Destination,
        details: Details,
        deletes: Deletes,
        max_calls: int | None,
        report: Callable[[PullCost], None] | None,
    ) -> None:
        self._copy = copy
        self._target = target
        self._details: Details = details
        self._deletes: Deletes = deletes
        self._max_calls = max_calls
        self._report = report

    def before(self) -> None:
        """Called before the first call."""
        if self._copy is None or self._report is None:
            return
        with self._copy.overview() as found:
            if found is not None and found.is_copy:
                self._say(needs_of(self._target, found, None, self._details, self._deletes, keeps_state=True))

    def sized(self, records: int | None) -> None:
        """Called with the size of the list; None when it is not known and will not be."""
        if self._report is None:
            # Also called for every change.
            return
        keeps_state = self._copy is not None
        self._say(needs_of(self._target, None, records, self._details, self._deletes, keeps_state=keeps_state))

    def _say(self, needs: PullNeeds) -> None:
        report, self._report = self._report, None
        if report is not None:
            report(pull_cost(needs, max_calls=self._max_calls))


class _Update:
    """One pull into an SQLite file."""

    def __init__(self, copy: SqliteCopy, changes: Changes, cost: _CostReport) -> None:
        self._copy = copy
        self._changes = changes
        self._cost = cost

    async def run(
        self,
        thread: ThreadPoolExecutor,
        details: Details,
        *,
        full: bool,
        on_progress: Callable[[PullSummary], None] | None,
    ) -> PullSummary:
        started = monotonic()
        summary = PullSummary()

        def write(batch: list[Change]) -> None:
            for change in batch:
                self._copy.store(change)
            # After its rows: what the state says is in the file.
            self._changes.commit()

        written = True

        async def keep(batch: list[Change]) -> None:
            nonlocal written
            written = False
            writing = asyncio.get_running_loop().run_in_executor(thread, write, batch)
            try:
                await asyncio.shield(writing)
            finally:
                # However often it is cancelled: the file is not closed under it.
                while not writing.done():
                    with suppress(asyncio.CancelledError):
                        await asyncio.wait([writing])
            written = True
            summary.details += sum(change.record is not None for change in batch)
            done = self._changes.summary
            summary.reads, summary.pending, summary.complete = done.calls, done.pending, done.complete
            summary.changed, summary.deleted = done.upserts, done.deletes
            summary.end_known = done.end_known
            summary.records = self._copy.records
            summary.seconds = monotonic() - started
            if on_progress is not None:
                on_progress(summary)

        batch: list[Change] = []
        self._cost.before()
        async with self._changes:
            # Of all, once: pending ones are what an earlier run has left of them.
            if details == "changed" or (details == "all" and not self._changes.pending):
                self._copy.ask_for_details(every=details == "all")
            try:
                async for change in self._changes:
                    self._cost.sized(None)
                    batch.append(change)
                    if len(batch) >= _COMMIT_EVERY:
                        full_batch, batch = batch, []
                        await keep(full_batch)
            except BaseException as error:
                # Their calls were paid for. After a failed write the state would take for stored what is not.
                if written and not isinstance(error, StateError):
                    await keep(batch)
                raise
            await keep(batch)
            if full:
                summary.dropped = self._copy.purge()
                await keep([])
        return summary


class _Pull:
    """One pull under way."""

    def __init__(
        self,
        path: Path,
        destination: Destination,
        sink: Sink,
        thread: ThreadPoolExecutor,
        details: Details,
        budget: CallBudget,
        cost: _CostReport,
        on_progress: Callable[[PullSummary], None] | None,
    ) -> None:
        self._path = path
        self._destination = destination
        self._budget = budget
        self._cost = cost
        self._sink = sink
        self._thread = thread
        self._details = details
        self._on_progress = on_progress
        self._started = monotonic()
        self._summary = PullSummary()
        self._reader = ListReader(destination, budget, cost.sized)
        self._list = WholeList(self._reader)

    async def run(self, *, concurrency: int, max_deleted: float) -> PullSummary:
        await self._in_thread(self._sink.open)
        try:
            await self._read_all(concurrency)
            deleted = await self._deleted(concurrency, max_deleted)
            await self._in_thread(partial(self._sink.finish, deleted))
            self._summary.dropped = self._summary.deleted = len(deleted)
            self._summary.changed = self._summary.records - self._summary.vanished
        except BaseException:
            await asyncio.shield(self._in_thread(self._sink.abandon))
            raise
        self._report()
        return self._summary

    async def _deleted(self, concurrency: int, max_deleted: float) -> list[str]:
        """The file's records that are to be dropped."""
        missing = await self._in_thread(self._sink.missing)
        summary = self._summary
        check_missing(
            self._destination, len(missing.ids), missing.known, listed=summary.records, max_deleted=max_deleted
        )
        # The list has just shown them, so these are missing too.
        check_missing(
            self._destination,
            summary.vanished,
            summary.records,
            listed=summary.records - summary.vanished,
            max_deleted=max_deleted,
        )
        self._summary.end_known = self._list.end_known and not self._reader.unreadable
        if not self._summary.end_known:
            return []
        read = self._read if is_read_alone(self._destination) else None
        return await deleted_of(missing.ids, read, concurrency=concurrency)

    async def _read_all(self, concurrency: int) -> None:
        """Reads the list and, while it goes on, the details."""
        group: list[tuple[Record, bytes]] = []
        async with aclosing(closable(map(self._read_record, self._listed(), concurrency=concurrency))) as outcomes:
            async for outcome in outcomes:
                if isinstance(outcome.error, NotFoundError):
                    self._summary.vanished += 1
                    continue
                if outcome.error is not None:
                    raise outcome.error
                assert outcome.result is not None
                group.append((outcome.item, outcome.result))
                self._summary.details += 1
                if len(group) >= _GROUP:
                    batch, group = group, []
                    await self._in_thread(partial(self._sink.details, batch))
                    self._report()
        if group:
            await self._in_thread(partial(self._sink.details, group))

    async def _listed(self) -> AsyncGenerator[Record, None]:
        """Writes the list page by page, and gives the records whose details are to be read."""
        async with aclosing(self._list.pages()) as pages:
            async for records in pages:
                self._cost.sized(None)
                self._summary.records += len(records)
                await self._in_thread(partial(self._sink.rows, records))
                self._report()
                for record in records if self._details == "all" else ():
                    yield record

    async def _read_record(self, record: Record) -> bytes:
        return await self._read(record.id)

    async def _read(self, record_id: str) -> bytes:
        self._budget.take()
        # Member by member as text, so that every value stays as Zoho wrote it.
        read = partial(self._destination.resource.get, record_id, type=dict[str, msgspec.Raw])
        return in_utf8(await self._budget.make(read))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work)
        except OSError as error:
            raise InputError(f"{self._path}: cannot be read or written: {error.strerror or error}") from error

    def _report(self) -> None:
        self._summary.reads = self._budget.used
        self._summary.seconds = monotonic() - self._started
        if self._on_progress is not None:
            self._on_progress(self._summary)
