"""`zoho-async pull` and `zoho-async changes`."""

from __future__ import annotations

import asyncio
import re
import sys
from datetime import datetime
from pathlib import Path
from time import monotonic
from typing import Literal

import msgspec

from zoho_async import (
    DeadlineError,
    Limits,
    QuotaExceededError,
    RateLimitError,
    UnavailableError,
    Zoho,
    ZohoError,
    bulk,
)
from zoho_async.cli.console.error_report import report, report_error
from zoho_async.cli.console.exit_codes import ABORTED, DONE
from zoho_async.cli.console.progress import explained_waits, open_progress
from zoho_async.cli.console.streams import is_output_lost
from zoho_async.cli.profiles import connect, resource_of
from zoho_async.cli.suggestions import check_resource

from .report_file import ReportFile
from .singer import SingerMessages

HOUR = 3600.0
"""Seconds between pulls that the cost is computed for, without `--every`."""
_DURATION = re.compile(r"([0-9]{1,5})([smhd])")


class PullArgs(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    name: str
    to: Path
    details: Literal["none", "changed", "all"]
    full: bool
    max_deleted: str
    max_calls: int | None
    deletes: Literal["auto", "off", "now"]
    every: str | None
    """Time from the start of one pull to that of the next; None: one pull."""
    wait: bool
    json: bool
    limits: Limits
    profile: str | None
    report: Path | None = None
    """HTML file to write a report to."""
    redis: str | None = None


class ChangesArgs(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of `changes`."""

    name: str
    state: Path
    details: Literal["none", "changed"]
    max_deleted: str
    max_calls: int | None
    deletes: Literal["auto", "off", "now"]
    own: Path | None
    """State file of pushes whose own changes are left out."""
    singer: bool
    limits: Limits
    profile: str | None
    redis: str | None = None


_COMMIT_EVERY = 200
"""Changes that are written together, before they are committed."""


async def changes_command(args: ChangesArgs) -> int:
    """Writes one change a line to stdout; each is flushed before it is committed."""
    check_resource(args.name)
    max_deleted = _share(args.max_deleted)
    zoho = connect(args.profile, allowed=args.limits, redis=args.redis)
    async with (
        zoho,
        explained_waits(lambda: zoho.quota),
        bulk.changes(
            resource_of(zoho, args.name),
            args.state,
            details=args.details,
            max_calls=args.max_calls,
            deletes=args.deletes,
            max_deleted=max_deleted,
            own=args.own,
        ) as changes,
    ):
        singer = SingerMessages(args.name, args.state) if args.singer else None
        if singer is not None:
            sys.stdout.write(singer.schema())
        waiting = 0
        try:
            async for change in changes:
                sys.stdout.write(change_line(change) if singer is None else singer.record(change))
                waiting += 1
                if waiting == _COMMIT_EVERY:
                    waiting = 0
                    if not _committed(changes, singer):
                        return ABORTED
        except (ZohoError, asyncio.CancelledError):
            # Their calls were paid for.
            _committed(changes, singer)
            raise
        if not _committed(changes, singer):
            return ABORTED
        if not changes.summary.complete:
            message = f"not complete: {changes.pending:,} details and what else is left come with the next run"
            report(message, json=False, event="incomplete")
        return DONE


def _committed(changes: bulk.Changes, singer: SingerMessages | None) -> bool:
    """Commits what was written; not when nobody reads it any more."""
    if not _flushed():
        return False
    changes.commit()
    if singer is not None:
        sys.stdout.write(singer.state())
    return _flushed()


def change_line(change: bulk.Change) -> str:
    """A change as one line of JSON, its row and record as they came over the wire."""
    members = {
        "kind": change.kind,
        "id": change.id,
        "row": msgspec.Raw(change.row) if change.row is not None else None,
        "record": msgspec.Raw(change.record) if change.record is not None else None,
        "modified": change.modified,
        "seen_at": change.seen_at,
    }
    return msgspec.json.encode(members).decode().replace("\r", " ").replace("\n", " ") + "\n"


def _flushed() -> bool:
    """Whether everything that was written has reached its reader."""
    sys.stdout.flush()
    return not is_output_lost()


async def pull_command(args: PullArgs) -> int:
    """Pulls, with `--every` again and again; each summary goes to stdout."""
    check_resource(args.name)
    max_deleted = _share(args.max_deleted)
    every = _seconds(args.every) if args.every is not None else None
    page = ReportFile(args.report)
    zoho = connect(args.profile, allowed=args.limits, redis=args.redis)
    async with zoho:
        while True:
            begun = monotonic()
            try:
                await _pull_once(args, zoho, max_deleted, every, page)
            except (UnavailableError, QuotaExceededError, RateLimitError, DeadlineError) as error:
                if every is None:
                    raise
                report_error(error, json=args.json)
            if every is None:
                return DONE
            await asyncio.sleep(max(0.0, begun + every - monotonic()))


async def _pull_once(args: PullArgs, zoho: Zoho, max_deleted: float, every: float | None, page: ReportFile) -> None:
    latest = bulk.PullSummary()
    with open_progress(f"pull {args.name}", None, json=args.json, quota=lambda: zoho.quota) as progress:

        def on_progress(summary: bulk.PullSummary) -> None:
            nonlocal latest
            latest = summary
            numbers = msgspec.structs.asdict(summary)
            page.sample(summary.records, summary.reads)
            progress.advance(summary.records, f"{summary.details:,} details", **numbers)

        def on_cost(cost: bulk.PullCost) -> None:
            progress.message(cost.sentence(every or HOUR), event="cost", **msgspec.structs.asdict(cost))

        def on_wait(until: datetime) -> None:
            when = f"{until.astimezone():%Y-%m-%d %H:%M %Z}"
            progress.message(f"the day's calls are used up: waiting until {when}", event="wait", until=until)

        try:
            summary = await bulk.pull(
                resource_of(zoho, args.name),
                args.to,
                details=args.details,
                full=args.full,
                max_calls=args.max_calls,
                deletes=args.deletes,
                max_deleted=max_deleted,
                concurrency=args.limits.concurrency,
                wait=args.wait,
                on_progress=on_progress,
                on_cost=on_cost,
                on_wait=on_wait,
            )
        except (asyncio.CancelledError, QuotaExceededError):
            progress.message(_kept(args, latest), event="kept", **msgspec.structs.asdict(latest))
            raise
    sys.stdout.write(_json_line(args, summary) if args.json else _text(args, zoho, summary))
    sys.stdout.flush()
    facts = {
        "from": f"{args.name} of organisation {zoho.organization_id}",
        "file": str(args.to),
        "records": f"{summary.records:,}, {summary.details:,} read in full",
        "calls": f"{summary.reads:,}",
        "time": f"{summary.seconds:.1f} s",
    }
    page.write_pull(f"Pull of {args.name}", facts, summary, json=args.json)


def _kept(args: PullArgs, summary: bulk.PullSummary) -> str:
    """What a pull leaves that did not come to its end."""
    if args.to.suffix.lower() in (".jsonl", ".ndjson", ".csv"):
        return f"not finished: {args.to} is as it was before; the same command begins again"
    return (
        f"not finished: {args.to} keeps {summary.records:,} records, {summary.changed:,} of them written by this "
        f"pull, and its place in the list; the same command goes on"
    )


def _json_line(args: PullArgs, summary: bulk.PullSummary) -> str:
    result = {"target": args.name, "to": str(args.to), **msgspec.structs.asdict(summary)}
    return msgspec.json.encode(result).decode() + "\n"


def _text(args: PullArgs, zoho: Zoho, summary: bulk.PullSummary) -> str:
    more = f", {summary.vanished:,} deleted meanwhile" * bool(summary.vanished)
    more += f", {summary.deleted:,} deleted in Zoho" * bool(summary.deleted)
    more += f", {summary.dropped:,} dropped" * bool(summary.dropped)
    if not summary.end_known:
        more += "; nothing was dropped, for the end of the list is not known, or rows of it cannot be read"
    if not summary.complete:
        more += f"; {summary.pending:,} details and what else is left come with the next pull"
    return (
        f"{args.name} of organisation {zoho.organization_id} -> {args.to}\n"
        f"  {summary.records:,} records, {summary.changed:,} written, {summary.details:,} read in full{more}\n"
        f"  {summary.reads:,} call{'s' * (summary.reads != 1)} in {summary.seconds:.1f} s\n"
    )


async def dry_pull_command(args: PullArgs) -> int:
    """Reports what a pull would cost; writes nothing."""
    check_resource(args.name)
    every = _seconds(args.every) if args.every is not None else HOUR
    _share(args.max_deleted)
    zoho = connect(args.profile, allowed=args.limits, redis=args.redis)
    async with zoho, explained_waits(lambda: zoho.quota, json=args.json):
        cost = await bulk.plan_pull(
            resource_of(zoho, args.name),
            args.to,
            details=args.details,
            full=args.full,
            max_calls=args.max_calls,
            deletes=args.deletes,
        )
    left, limits = zoho.quota.remaining, args.limits
    if args.json:
        result = {"dry_run": True, "target": args.name, "to": str(args.to), **msgspec.structs.asdict(cost)}
        result |= {"left_today": left, "reserve": limits.reserve, "message": cost.sentence(every)}
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
        return DONE
    lines = [
        cost.sentence(every),
        f"{args.name} of organisation {zoho.organization_id} -> {args.to}, dry run: nothing was written, "
        f"{cost.reads:,} calls were spent on reading",
    ]
    if cost.records is not None:
        lines.append(f"  {cost.records:,} records")
    if limits.per_minute is not None and cost.calls is not None and cost.calls > limits.per_minute:
        minutes = -(-min(cost.calls, cost.allowed or cost.calls) // limits.per_minute)
        lines.append(f"  about {minutes:,} minutes at {limits.per_minute:,} calls a minute")
    if left is not None:
        lines.append(f"  calls left today: {left:,}, of which {min(left, limits.reserve):,} are left to others")
    sys.stdout.write("\n".join(lines) + "\n")
    return DONE


def _seconds(text: str) -> float:
    """A duration such as `15m` in seconds."""
    found = _DURATION.fullmatch(text.strip())
    if found is None or not int(found[1]):
        raise bulk.InputError(f"--every {text}: must be a duration such as 30s, 15m, 6h or 1d")
    return float(int(found[1]) * {"s": 1, "m": 60, "h": 3600, "d": 86400}[found[2]])


def _share(text: str) -> float:
    """A percentage such as `20%` as a share."""
    try:
        percent = float(text.strip().removesuffix("%"))
    except ValueError:
        percent = -1
    if not 0 <= percent <= 100:
        raise bulk.InputError(f"--max-deleted {text}: must be a percentage from 0% to 100%")
    return percent / 100
