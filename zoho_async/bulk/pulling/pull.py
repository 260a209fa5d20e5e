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

from .formats import open_sink
from .sink import Record, Sink

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
        dropped: Records of an earlier pull that the list has no more (`full`).
        reads: Calls, without the client's retries.
        seconds: Time since the start.
    """

    records: int = 0
    details: int = 0
    vanished: int = 0
    dropped: int = 0
    reads: int = 0
    seconds: float = 0.0


async def pull(
    resource: Any,
    to: str | Path,
    *,
    details: Details = "none",
    full: bool = False,
    concurrency: int = 10,
    on_progress: Callable[[PullSummary], None] | None = None,
) -> PullSummary:
    """Reads a whole list into a file.

    JSON Lines and CSV hold the fullest form that was read, and appear only when complete. SQLite keeps the pages of an
    interrupted pull, and records that the list has no more unless `full`. A file is made for its owner alone.

    Args:
        resource: A client's resource, such as `zoho.books.contacts`.
        to: The file: `.sqlite` or `.db`, `.jsonl` or `.ndjson`, `.csv`.
        details: `none` keeps the rows of the list; `all` also reads every record alone, one call each; `changed` only
            those modified since the file has them (SQLite only).
        full: Drop records that the list has no more (SQLite only).
        concurrency: Details read at a time.
        on_progress: Is called after every page and group of details.

    Returns:
        The totals.

    Raises:
        InputError: The file cannot be written or holds another organisation's records, or the resource has no list or
            no details.
        ZohoError: What the client's calls raise.
    """
    destination = Destination.of(resource)
    _check(destination, details)
    path = Path(to)
    sink = open_sink(path, destination.name, origin=destination.origin, details=details != "none")
    if details == "changed" and not sink.remembers:
        raise InputError(f"{path}: only SQLite remembers what has changed; use --details all or a .sqlite file")
    # One thread does all the writing, so a slow disk does not delay the event loop.
    with ThreadPoolExecutor(1, thread_name_prefix="zoho-pull") as thread:
        return await _Pull(resource, destination, sink, thread, details, on_progress).run(
            full=full, concurrency=concurrency
        )


def _check(destination: Destination, details: Details) -> None:
    listing, get = destination.operations.get("list"), destination.operations.get("get")
    if listing is None or listing.kind != "page":
        raise InputError(f"{destination.name} cannot be pulled: it has no paged list")
    if details != "none" and (get is None or len(required_path(get)) != 1):
        raise InputError(f"{destination.name} has no details to pull: its records cannot be read alone")


class _Pull:
    """One pull under way."""

    def __init__(
        self,
        resource: Any,
        destination: Destination,
        sink: Sink,
        thread: ThreadPoolExecutor,
        details: Details,
        on_progress: Callable[[PullSummary], None] | None,
    ) -> None:
        self._resource = resource
        self._destination = destination
        self._sink = sink
        self._thread = thread
        self._details = details
        self._on_progress = on_progress
        self._started = monotonic()
        self._summary = PullSummary()

    async def run(self, *, full: bool, concurrency: int) -> PullSummary:
        await self._in_thread(self._sink.open)
        try:
            await self._read_all(concurrency)
            self._summary.dropped = await self._in_thread(partial(self._sink.finish, full=full))
        except BaseException:
            await asyncio.shield(self._in_thread(self._sink.abandon))
            raise
        self._report()
        return self._summary

    async def _read_all(self, concurrency: int) -> None:
        """Reads the list and, while it goes on, the details."""
        group: list[tuple[Record, bytes]] = []
        async with aclosing(closable(map(self._read, self._listed(), concurrency=concurrency))) as outcomes:
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
        async with aclosing(closable(self._resource.list(per_page=200).pages())) as pages:
            async for page in pages:
                records = _records(self._destination, page)
                self._summary.records += len(records)
                self._summary.reads += 1
                await self._in_thread(partial(self._sink.rows, records))
                if self._details == "changed":
                    records = await self._in_thread(partial(self._sink.stale, records))
                self._report()
                for record in records if self._details != "none" else ():
                    yield record

    async def _read(self, record: Record) -> bytes:
        self._summary.reads += 1
        # Member by member as text, so that every value stays as Zoho wrote it.
        return _json.encode(await self._resource.get(record.id, type=dict[str, msgspec.Raw]))

    async def _in_thread(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _report(self) -> None:
        self._summary.seconds = monotonic() - self._started
        if self._on_progress is not None:
            self._on_progress(self._summary)


def _records(destination: Destination, page: Any) -> list[Record]:
    """The rows of a page as they came over the wire, without those of earlier pages."""
    listing = destination.operations["list"]
    members: dict[str, msgspec.Raw] = msgspec.json.decode(page.response.body, type=dict[str, msgspec.Raw])
    key = next((key for key in listing.envelope if key in members), "")
    raws = msgspec.json.decode(members[key], type=list[msgspec.Raw]) if key else []
    fresh = {str(getattr(row, listing.row_id)): row for row in page.rows}
    records: list[Record] = []
    for raw in raws:
        row: dict[str, Any] = msgspec.json.decode(raw)
        record_id = str(row.get(listing.row_id, ""))
        if fresh.pop(record_id, None) is None:
            continue
        name = row.get(destination.name_field, "") if destination.name_field else ""
        modified = row.get("last_modified_time", "")
        records.append(Record(id=record_id, name=str(name or ""), modified=str(modified or ""), raw=bytes(raw)))
    return records
