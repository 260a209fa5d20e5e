"""Records out: a resource's list, with details on request, into SQLite, JSON Lines or CSV, nothing lost."""

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
from zoho_async.bulk.rows.resource import Target, required_path
from zoho_async.errors import NotFoundError

from .formats import open_sink
from .sink import Record

T = TypeVar("T")

Details = Literal["none", "changed", "all"]

_json = msgspec.json.Encoder(decimal_format="number")

_GROUP = 50
"""Details written together."""


class PullSummary(msgspec.Struct, kw_only=True):
    """Totals of a pull; handed to `on_progress` as it grows."""

    records: int = 0
    details: int = 0
    vanished: int = 0
    """Records of the list that were gone when their details were asked for."""
    dropped: int = 0
    """Records of an earlier pull that the list has no more (`full`)."""
    reads: int = 0
    """Calls, the client's own repetitions not counted."""
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
    """Reads a whole list into a file: `.sqlite`/`.db`, `.jsonl`/`.ndjson` or `.csv`.

    `resource` is a client's resource such as `zoho.books.contacts`. `details`: `none` keeps the rows of the list,
    `all` also reads every record alone (one call each), `changed` only those modified since the file has them (SQLite
    only). JSON Lines and CSV hold the fullest form that was read, and appear only when complete. SQLite keeps
    records that the list has no more, unless `full`. `on_progress` is called after every page and group of details.

    Raises InputError for a file that cannot be written or holds another organisation's records, and what the
    client's calls raise.
    """
    begun = monotonic()
    target = Target.of(resource)
    listing = target.operations.get("list")
    if listing is None or listing.kind != "page":
        raise InputError(f"{target.name} cannot be pulled: it has no paged list")
    get = target.operations.get("get")
    if details != "none" and (get is None or len(required_path(get)) != 1):
        raise InputError(f"{target.name} has no details to pull: its records cannot be read alone")
    path = Path(to)
    sink = open_sink(path, target.name, origin=target.origin, details=details != "none")
    if details == "changed" and not sink.remembers:
        raise InputError(f"{path}: only SQLite remembers what has changed; use --details all or a .sqlite file")
    summary = PullSummary()

    def report() -> None:
        summary.seconds = monotonic() - begun
        if on_progress is not None:
            on_progress(summary)

    # One thread does all the writing, so that a slow disk never holds up the loop.
    with ThreadPoolExecutor(1, thread_name_prefix="zoho-pull") as thread:
        loop = asyncio.get_running_loop()

        async def write(work: Callable[[], T]) -> T:
            return await loop.run_in_executor(thread, work)

        async def wanted() -> AsyncGenerator[Record, None]:
            async with aclosing(closable(resource.list(per_page=200).pages())) as pages:
                async for page in pages:
                    records = _records(target, page)
                    summary.records += len(records)
                    summary.reads += 1
                    await write(partial(sink.rows, records))
                    if details == "changed":
                        records = await write(partial(sink.stale, records))
                    report()
                    for record in records if details != "none" else ():
                        yield record

        async def read(record: Record) -> bytes:
            summary.reads += 1
            # Member by member as text, so that every value stays as Zoho wrote it.
            return _json.encode(await resource.get(record.id, type=dict[str, msgspec.Raw]))

        await write(sink.open)
        try:
            group: list[tuple[Record, bytes]] = []
            async with aclosing(closable(map(read, wanted(), concurrency=concurrency))) as outcomes:
                async for outcome in outcomes:
                    if isinstance(outcome.error, NotFoundError):
                        summary.vanished += 1
                        continue
                    if outcome.error is not None:
                        raise outcome.error
                    assert outcome.result is not None
                    group.append((outcome.item, outcome.result))
                    summary.details += 1
                    if len(group) >= _GROUP:
                        batch, group = group, []
                        await write(partial(sink.details, batch))
                        report()
            if group:
                await write(partial(sink.details, group))
            summary.dropped = await write(partial(sink.finish, full=full))
        except BaseException:
            await asyncio.shield(write(sink.abandon))
            raise
    report()
    return summary


def _records(target: Target, page: Any) -> list[Record]:
    """The rows of a page as they came over the wire, without those that an earlier page had."""
    listing = target.operations["list"]
    members: dict[str, msgspec.Raw] = msgspec.json.decode(page.response.body, type=dict[str, msgspec.Raw])
    key = next((key for key in listing.envelope if key in members), "")
    raws = msgspec.json.decode(members[key], type=list[msgspec.Raw]) if key else []
    fresh = {str(getattr(row, listing.row_id)): row for row in page.rows}
    records: list[Record] = []
    for raw in raws:
        row: dict[str, Any] = msgspec.json.decode(raw)
        identity = str(row.get(listing.row_id, ""))
        if fresh.pop(identity, None) is None:
            continue
        name = row.get(target.name_field, "") if target.name_field else ""
        modified = row.get("last_modified_time", "")
        records.append(Record(id=identity, name=str(name or ""), modified=str(modified or ""), raw=bytes(raw)))
    return records
