"""Reads a resource's list, with details on request, into SQLite, JSON Lines or CSV."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing
from functools import partial
from pathlib import Path
from time import monotonic
from typing import Any, Literal, TypeVar

import msgspec

from zoho_async.bulk._aio import closable
from zoho_async.bulk.concurrent_map import map  # noqa: A004 - our own map, named like the builtin
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.rows.resource import Destination, required_path
from zoho_async.errors import NotFoundError

from .deletions import MAX_DELETED, check_missing, deleted_of
from .formats import open_sink
from .listing import ListReader, WholeList
from .sink import Record, Sink
from .target_lock import TargetLock

T = TypeVar("T")

Details = Literal["none", "changed", "all"]

_json = msgspec.json.Encoder(decimal_format="number")

_GROUP = 50
"""Details written together."""


class PullSummary(msgspec.Struct, kw_only=True):
    """Totals of a pull; handed to `on_progress` as it grows.

    Attributes:
        records: Records of the list.
        details: Records read in full.
        vanished: Records of the list that were deleted before their details were read.
        dropped: Records of an earlier pull that are deleted in Zoho.
        end_known: Whether Zoho has stated where the list ends; nothing is dropped otherwise.
        reads: Calls, without the client's retries.
        seconds: Time since the start.
    """

    records: int = 0
    details: int = 0
    vanished: int = 0
    dropped: int = 0
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
    max_deleted: float = MAX_DELETED,
    on_progress: Callable[[PullSummary], None] | None = None,
) -> PullSummary:
    """Reads a whole list into a file.

    JSON Lines and CSV hold the fullest form that was read, and appear only when complete. SQLite keeps the pages of an
    interrupted pull, and records that the list has no more unless `full`. A file is made for its owner alone, and one
    pull at a time writes it.

    A record of the earlier file that the list lacks is asked for, and dropped only when Zoho says that it is not there.
    Nothing is dropped when Zoho does not say where the list ends.

    Args:
        resource: A client's resource, such as `zoho.books.contacts`.
        to: The file: `.sqlite` or `.db`, `.jsonl` or `.ndjson`, `.csv`.
        details: `none` keeps the rows of the list; `all` also reads every record alone, one call each; `changed` only
            those modified since the file has them (SQLite only).
        full: Drop records that the list has no more (SQLite only; the other files always do).
        concurrency: Details read at a time.
        max_deleted: Share of the file's records, from 0 to 1, that may be deleted at once; ten may be in any case. An
            empty list is believed with 1 only.
        on_progress: Is called after every page and group of details.

    Returns:
        The totals.

    Raises:
        InputError: The file cannot be written, is being written by another pull or holds another organisation's
            records, or the resource has no list or no details.
        MassDeleteError: The list lacks more records than `max_deleted` allows; nothing was dropped.
        ZohoError: What the client's calls raise.
    """
    destination = Destination.of(resource)
    _check(destination, details)
    path = Path(to)
    sink = open_sink(
        path, destination.name, record_id=destination.record_id, origin=destination.origin, details=details != "none"
    )
    if details == "changed" and not sink.remembers:
        raise InputError(f"{path}: only SQLite remembers what has changed; use --details all or a .sqlite file")
    lock = TargetLock(path)
    lock.take()
    try:
        # One thread does all the writing, so a slow disk does not delay the event loop.
        with ThreadPoolExecutor(1, thread_name_prefix="zoho-pull") as thread:
            running = _Pull(destination, sink, thread, details, on_progress)
            return await running.run(full=full, concurrency=concurrency, max_deleted=max_deleted)
    finally:
        lock.release()


def _check(destination: Destination, details: Details) -> None:
    listing = destination.operations.get("list")
    if listing is None or listing.kind != "page" or required_path(listing):
        raise InputError(f"{destination.name} cannot be pulled: it has no paged list")
    if details != "none" and not _read_alone(destination):
        raise InputError(f"{destination.name} has no details to pull: its records cannot be read alone")


def _read_alone(destination: Destination) -> bool:
    get = destination.operations.get("get")
    return get is not None and len(required_path(get)) == 1


class _Pull:
    """One pull under way."""

    def __init__(
        self,
        destination: Destination,
        sink: Sink,
        thread: ThreadPoolExecutor,
        details: Details,
        on_progress: Callable[[PullSummary], None] | None,
    ) -> None:
        self._destination = destination
        self._sink = sink
        self._thread = thread
        self._details = details
        self._on_progress = on_progress
        self._started = monotonic()
        self._summary = PullSummary()
        self._list = WholeList(ListReader(destination, self._count_call))

    async def run(self, *, full: bool, concurrency: int, max_deleted: float) -> PullSummary:
        await self._in_thread(self._sink.open)
        try:
            await self._read_all(concurrency)
            deleted: list[str] = []
            if full or not self._sink.remembers or not self._summary.records:
                deleted = await self._deleted(full, concurrency, max_deleted)
            await self._in_thread(partial(self._sink.finish, deleted))
            self._summary.dropped = len(deleted)
        except BaseException:
            await asyncio.shield(self._in_thread(self._sink.abandon))
            raise
        self._report()
        return self._summary

    async def _deleted(self, full: bool, concurrency: int, max_deleted: float) -> list[str]:
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
        self._summary.end_known = self._list.end_known
        if not self._list.end_known or (self._sink.remembers and not full):
            return []
        read = self._read if _read_alone(self._destination) else None
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
                self._summary.records += len(records)
                await self._in_thread(partial(self._sink.rows, records))
                wanted = records if self._details == "all" else []
                if self._details == "changed":
                    wanted = await self._in_thread(partial(self._sink.stale, records))
                self._report()
                for record in wanted:
                    yield record

    async def _read_record(self, record: Record) -> bytes:
        return await self._read(record.id)

    async def _read(self, record_id: str) -> bytes:
        self._count_call()
        # Member by member as text, so that every value stays as Zoho wrote it.
        return _json.encode(await self._destination.resource.get(record_id, type=dict[str, msgspec.Raw]))

    def _count_call(self) -> None:
        self._summary.reads += 1

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _report(self) -> None:
        self._summary.seconds = monotonic() - self._started
        if self._on_progress is not None:
            self._on_progress(self._summary)
