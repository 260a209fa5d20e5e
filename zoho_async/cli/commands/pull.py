"""`zoho-async pull` and `zoho-async changes`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Literal

import msgspec

from zoho_async import Limits, bulk
from zoho_async.cli.console.exit_codes import ABORTED, DONE
from zoho_async.cli.console.progress import open_progress
from zoho_async.cli.console.streams import is_output_lost
from zoho_async.cli.profiles import check_resource, connect, resource_of


class PullArgs(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of the command."""

    name: str
    to: Path
    details: Literal["none", "changed", "all"]
    full: bool
    max_deleted: str
    max_calls: int | None
    deletes: Literal["auto", "off", "now"]
    json: bool
    limits: Limits
    profile: str | None
    redis: str | None = None


class ChangesArgs(msgspec.Struct, frozen=True, kw_only=True):
    """The arguments of `changes`."""

    name: str
    state: Path
    details: Literal["none", "changed"]
    max_deleted: str
    max_calls: int | None
    deletes: Literal["auto", "off", "now"]
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
        bulk.changes(
            resource_of(zoho, args.name),
            args.state,
            details=args.details,
            max_calls=args.max_calls,
            deletes=args.deletes,
            max_deleted=max_deleted,
        ) as changes,
    ):
        waiting = 0
        async for change in changes:
            sys.stdout.write(change_line(change))
            waiting += 1
            if waiting == _COMMIT_EVERY:
                waiting = 0
                if not _flushed():
                    return ABORTED
                await changes.commit()
        if not _flushed():
            return ABORTED
        await changes.commit()
    return DONE


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
    """Pulls; the summary goes to stdout."""
    check_resource(args.name)
    max_deleted = _share(args.max_deleted)
    zoho = connect(args.profile, allowed=args.limits, redis=args.redis)
    async with zoho:
        with open_progress(f"pull {args.name}", None, json=args.json) as progress:

            def on_progress(summary: bulk.PullSummary) -> None:
                numbers = msgspec.structs.asdict(summary)
                progress.advance(summary.records, f"{summary.details:,} details", **numbers)

            summary = await bulk.pull(
                resource_of(zoho, args.name),
                args.to,
                details=args.details,
                full=args.full,
                max_calls=args.max_calls,
                deletes=args.deletes,
                max_deleted=max_deleted,
                concurrency=args.limits.concurrency,
                on_progress=on_progress,
            )
    if args.json:
        result = {"target": args.name, "to": str(args.to), **msgspec.structs.asdict(summary)}
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    else:
        more = f", {summary.vanished:,} deleted meanwhile" * bool(summary.vanished)
        more += f", {summary.deleted:,} deleted in Zoho" * bool(summary.deleted)
        more += f", {summary.dropped:,} dropped" * bool(summary.dropped)
        if not summary.end_known:
            more += "; nothing was dropped, for Zoho did not say where the list ends"
        if not summary.complete:
            more += f"; {summary.pending:,} details and what else is left come with the next pull"
        sys.stdout.write(
            f"{args.name} of organisation {zoho.organization_id} -> {args.to}\n"
            f"  {summary.records:,} records, {summary.changed:,} written, {summary.details:,} read in full{more}\n"
            f"  {summary.reads:,} calls in {summary.seconds:.1f} s\n"
        )
    return DONE


def _share(text: str) -> float:
    """A percentage such as `20%` as a share."""
    try:
        percent = float(text.strip().removesuffix("%"))
    except ValueError:
        percent = -1
    if not 0 <= percent <= 100:
        raise bulk.InputError(f"--max-deleted {text}: must be a percentage from 0% to 100%")
    return percent / 100
