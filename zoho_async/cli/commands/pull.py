"""`zoho-async pull`."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import msgspec

from zoho_async.bulk.pulling.pull import Details, PullSummary, pull
from zoho_async.bulk.rows.resource import Target
from zoho_async.cli.console.exit_codes import DONE
from zoho_async.cli.console.progress import open_progress
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.profiles import connect
from zoho_async.transport.rate_limiter import Limits


class PullArgs(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked for on the command line."""

    name: str
    to: Path
    details: Details
    full: bool
    json: bool
    limits: Limits
    profile: str | None


async def pull_command(order: PullArgs, interruption: Interruption) -> int:
    """Pulls; the summary goes to stdout."""
    target = Target.named(order.name)
    zoho = connect(order.profile, allowed=order.limits)
    product, _, name = order.name.partition(".")
    async with zoho:
        with open_progress(f"pull {target.name}", None, json=order.json) as progress:

            def tell(summary: PullSummary) -> None:
                numbers = msgspec.structs.asdict(summary)
                progress.advance(summary.records, f"{summary.details:,} details", **numbers)

            resource: Any = getattr(getattr(zoho, product), name)
            summary = await pull(
                resource,
                order.to,
                details=order.details,
                full=order.full,
                concurrency=order.limits.concurrency,
                on_progress=tell,
            )
    if order.json:
        result = {"target": target.name, "to": str(order.to), **msgspec.structs.asdict(summary)}
        sys.stdout.write(msgspec.json.encode(result).decode() + "\n")
    else:
        more = f", {summary.vanished:,} gone meanwhile" * bool(summary.vanished)
        more += f", {summary.dropped:,} dropped" * bool(summary.dropped)
        sys.stdout.write(
            f"{target.name} of organisation {zoho.organization_id} -> {order.to}\n"
            f"  {summary.records:,} records, {summary.details:,} read in full{more}\n"
            f"  {summary.reads:,} calls in {summary.seconds:.1f} s\n"
        )
    return DONE
