"""`zoho-async push --dry-run`: the plan, and when it would be done."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import msgspec

from zoho_async import Zoho, bulk, to_json
from zoho_async.cli.console.exit_codes import DONE, SOME_FAILED, USAGE, SetupError
from zoho_async.cli.console.progress import Progress, open_progress
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.profiles import connect, resource_of

from .push import SHOWN, PushArgs, open_input, select_rows, show_notes

DIFFERENCES = 20
"""Planned rows that go to the screen."""
COLUMNS = 100
"""Columns that go to the screen."""


async def dry_run_command(args: PushArgs, interruption: Interruption) -> int:
    """Plans a push: reads, and reports how often; writes nothing. Without credentials it only checks rows."""
    source = open_input(args)
    if args.decisions is not None and source is not None and args.decisions.absolute() == source.path.absolute():
        raise bulk.InputError(f"{args.decisions}: is the input itself; name another file with --to")
    zoho: Zoho | None
    try:
        zoho = connect(args.profile, allowed=args.limits, redis=args.redis)
    except SetupError:
        if args.retry is not None:
            # Which rows those are depends on the organisation.
            raise
        zoho = None
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True

    interruption.graceful = stop
    async with AsyncExitStack() as stack:
        resource: Any = args.name
        options = args.options.copy()
        if zoho is not None:
            await stack.enter_async_context(zoho)
            resource = resource_of(zoho, args.name)
            options["state"] = args.state or bulk.default_state(resource, source.path.parent if source else "")
        selected = await select_rows(resource, args, source, options)
        rows = selected if isinstance(selected, bulk.RowFile) else selected.rows
        progress = stack.enter_context(open_progress(f"dry run {rows.path.name}", rows.count, json=args.json))
        # The whole plan is shown first, the warnings in it.
        strict = options.pop("strict", False)
        decisions = stack.enter_context(bulk.DecisionsFile(args.decisions)) if args.decisions is not None else None
        plan = await bulk.plan(
            resource,
            rows,
            on_rejected=_Rejected(rows.path, progress),
            on_row=decisions.record if decisions is not None else None,
            stopped=lambda: stopped,
            **options,
        )
        show_notes(rows, progress)
    quota = zoho.quota if zoho is not None else None
    when = bulk.forecast_of(plan, quota=quota, limits=args.limits, window=args.options.get("window"))
    if args.json:
        sys.stdout.write(to_json(_as_json(rows, args.name, plan, when)).decode() + "\n")
    else:
        sys.stdout.write("\n".join(_as_text(rows.path, args.name, plan, when)) + "\n")
    if strict and plan.warnings:
        sys.stderr.write(f"{rows.path}: --strict, and there are warnings: {_kinds(plan)}\n")
        return USAGE
    return SOME_FAILED if plan.faulty or plan.colliding or plan.unknown else DONE


class _Rejected:
    """Reports the first rejected rows."""

    def __init__(self, source: Path, progress: Progress) -> None:
        self._source = source
        self._progress = progress
        self._count = 0

    def __call__(self, outcome: bulk.RowOutcome) -> None:
        self._count += 1
        if self._count <= SHOWN:
            self._progress.message(
                outcome.sentence(str(self._source)),
                event="row",
                status="failed",
                row=outcome.row.number,
                field=outcome.field,
            )
        elif self._count == SHOWN + 1:
            self._progress.message("... more invalid rows; the push will write them all into the rejects file")


def _as_json(source: bulk.RowFile, target: str, plan: bulk.Plan, when: bulk.PlanForecast) -> dict[str, Any]:
    members = msgspec.structs.asdict(plan)
    for name in ("planned", "warnings", "columns"):
        members[name] = [msgspec.to_builtins(one) for one in members[name]]
    return {
        "dry_run": True,
        "file": str(source.path),
        "notes": source.notes,
        "target": target,
        "rows": plan.rows,
        **members,
        "cells_changed": plan.cells_changed,
        "calls": plan.calls,
        "left_today": when.left_today,
        "per_day": when.per_day,
        "reserve": when.reserve,
        "done_at": when.done_at,
        "days": when.days,
        "limited_by": when.limited_by,
        "time_zone": when.time_zone,
        "larger_plans": {str(calls): moment for calls, moment in when.larger_plans.items()},
    }


def _as_text(source: Path, name: str, plan: bulk.Plan, when: bulk.PlanForecast) -> list[str]:
    most = "" if plan.exact else "at most "
    lines = [
        f"{source} -> {name}, dry run: nothing was written, {plan.reads_spent:,} calls were spent on reading",
        f"  {plan.rows:,} rows: {plan.create:,} to create, {most}{plan.update:,} to update, "
        f"{plan.unchanged:,} unchanged, "
        + (f"{plan.skipped:,} skipped, " if plan.skipped else "")
        + f"{plan.faulty:,} invalid, {plan.colliding:,} colliding, {plan.unknown:,} of unknown outcome",
        f"  calls a push needs: {most}{plan.calls:,} ({plan.writes:,} writes, {plan.reads:,} reads)",
    ]
    if plan.limited:
        lines.append("  more rows need sending than --limit lets through: they are not counted")
    if not plan.looked:
        lines.append("  without credentials Zoho was not looked at: rows it has already count as new here")
    lines += [f"  warning ({one.kind}): {one.sentence}" for one in plan.warnings]
    if plan.kinds:
        lines.append("  invalid: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(plan.kinds.items())))
    if when.left_today is not None:
        lines.append(f"  calls left today: {when.left_today:,}, {_reserved(when.left_today, when.reserve)}")
    done = when.done_at
    if done is None:
        lines.append("  it would never be done: the calls a day, less those left to others, do not suffice")
    else:
        days = when.days
        lines.append(f"  done: {done:%Y-%m-%d %H:%M} {when.time_zone}" + (f", on the {days}th day" if days > 3 else ""))
        if when.limited_by == "day" or when.per_day is None:
            sooner = ", ".join(f"{calls:,}: {moment:%Y-%m-%d %H:%M}" for calls, moment in when.larger_plans.items())
            if sooner:
                lines.append(f"  done with a plan of so many calls a day: {sooner}")
    for one in plan.planned[:DIFFERENCES]:
        record = f" {one.record_id}" if one.record_id else ""
        lines.append(f"  row {one.row}: {one.action} {one.label}{record}")
        lines += [f"    {diff.path}: {_shown(diff.before)} -> {_shown(diff.after)}" for diff in one.differences]
        if one.left_out:
            lines.append(f"    an update does not take: {', '.join(one.left_out)}")
    more = plan.create + plan.update - min(len(plan.planned), DIFFERENCES)
    if more > 0:
        lines.append(f"  ... and {more:,} more")
    lines += [f"  first bodies: {to_json(body).decode()}" for body in plan.samples]
    return [*lines, *_columns(plan)]


def _columns(plan: bulk.Plan) -> Iterator[str]:
    """What becomes of each column: its field, its first value, and how many cells are changed."""
    for one in plan.columns[:COLUMNS]:
        changed = f" ({one.changed:,} cell{'s' * (one.changed > 1)} changed)" if one.changed else ""
        yield f"  {_cut(one.column)} -> {one.field}: {_cut(one.first)}{changed}"
    if len(plan.columns) > COLUMNS:
        yield f"  ... and {len(plan.columns) - COLUMNS:,} more columns"
    if plan.cells_changed:
        yield f"  cells that are written otherwise than they stand in the file: {plan.cells_changed:,}"


def _kinds(plan: bulk.Plan) -> str:
    return ", ".join(f"{one.kind} {one.count:,}" for one in plan.warnings)


def _cut(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= 60 else f"{line[:57]}..."


def _reserved(left: int, reserve: int) -> str:
    if reserve > left:
        return f"all of which are left to others, who are to have {reserve:,} a day"
    return f"of which {reserve:,} are left to others"


def _shown(value: Any) -> str:
    return "nothing" if value is None else to_json(value).decode()
