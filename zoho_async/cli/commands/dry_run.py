"""`zoho-async push --dry-run`: the plan, and when it would be done."""

from __future__ import annotations

import sys
from contextlib import AsyncExitStack
from datetime import datetime
from pathlib import Path
from typing import Any

import msgspec

from zoho_async.bulk.pushing.call_control import local_now
from zoho_async.bulk.pushing.forecast import Forecast, RateAllowance, forecast, larger_plans, organization_zone
from zoho_async.bulk.pushing.plan import Plan, plan
from zoho_async.bulk.pushing.window import Window
from zoho_async.bulk.results import RowOutcome
from zoho_async.cli.console.exit_codes import DONE, SOME_FAILED, SetupError
from zoho_async.cli.console.progress import Progress, open_progress
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.profiles import connect
from zoho_async.client import Zoho
from zoho_async.wire.encoding import to_json

from .push import SHOWN, Checked, PushArgs, check, chosen, default_state, resource_of

DIFFERENCES = 20
"""Planned rows that go to the screen."""


class Calendar(msgspec.Struct, frozen=True, kw_only=True):
    """When it would be done."""

    forecast: Forecast
    larger: dict[int, datetime]
    """When under plans with more calls a day."""
    left_today: int | None
    per_day: int | None
    reserve: int
    zone: str


async def dry_run_command(order: PushArgs, interruption: Interruption) -> int:
    """Says what a push would do. Reads, and says how often; writes nothing. Without credentials it only checks rows."""
    checked = check(order)
    zoho: Zoho | None
    try:
        zoho = connect(order.profile, allowed=order.limits)
    except SetupError:
        if order.retry is not None:
            # Which rows those are depends on the organisation.
            raise
        zoho = None
    stopped = False

    def stop() -> None:
        nonlocal stopped
        stopped = True

    interruption.gently = stop
    async with AsyncExitStack() as stack:
        target, label, state = checked.target, "", order.state
        if zoho is not None:
            await stack.enter_async_context(zoho)
            target = msgspec.structs.replace(target, resource=resource_of(zoho, target))
            label = target.label
            state = state or default_state(order, zoho)
        again = await chosen(order, checked, state or Path(), label, create=False)
        source = again.source.path
        progress = stack.enter_context(open_progress(f"dry run {source.name}", again.rows.count, json=order.json))
        faulty = _Faulty(source, progress)
        made = await plan(
            target,
            again.rows,
            checked.options,
            state=state,
            label=label,
            on_faulty=faulty,
            stopped=lambda: stopped,
        )
        calendar = _calendar(order, zoho, made)
    if order.json:
        sys.stdout.write(to_json(_as_json(source, checked, made, calendar)).decode() + "\n")
    else:
        sys.stdout.write("\n".join(_as_text(source, checked, made, calendar)) + "\n")
    return SOME_FAILED if made.faulty or made.colliding else DONE


class _Faulty:
    """Tells the first faulty rows."""

    def __init__(self, source: Path, progress: Progress) -> None:
        self._source = source
        self._progress = progress
        self._count = 0

    def __call__(self, outcome: RowOutcome) -> None:
        self._count += 1
        if self._count <= SHOWN:
            self._progress.say(
                outcome.sentence(str(self._source)),
                event="row",
                status="failed",
                row=outcome.row.number,
                field=outcome.field,
            )
        elif self._count == SHOWN + 1:
            self._progress.say("... more faulty rows; the push will write them all into a file")


def _calendar(order: PushArgs, zoho: Zoho | None, made: Plan) -> Calendar:
    quota = zoho.quota if zoho is not None else None
    now = local_now()
    zone: Any = organization_zone(quota.resets_at) if quota is not None and quota.resets_at is not None else None
    resets_at = quota.resets_at.astimezone(zone) if quota is not None and quota.resets_at is not None else None
    allowance = RateAllowance(
        per_minute=order.limits.per_minute,
        per_day=quota.limit if quota is not None else None,
        left_today=quota.remaining if quota is not None else None,
        resets_at=resets_at,
        headroom=order.limits.reserve,
        window=Window.parse(order.window) if order.window is not None else None,
    )
    return Calendar(
        forecast=forecast(made.calls, allowance, now),
        larger=larger_plans(made.calls, allowance, now),
        left_today=allowance.left_today,
        per_day=allowance.per_day,
        reserve=allowance.headroom,
        zone=f"{now:%Z}",
    )


def _as_json(source: Path, checked: Checked, made: Plan, calendar: Calendar) -> dict[str, Any]:
    members = msgspec.structs.asdict(made)
    members["planned"] = [msgspec.to_builtins(one) for one in made.planned]
    return {
        "dry_run": True,
        "file": str(source),
        "target": checked.target.name,
        "rows": made.rows,
        **members,
        "calls": made.calls,
        "left_today": calendar.left_today,
        "per_day": calendar.per_day,
        "reserve": calendar.reserve,
        "done_at": calendar.forecast.done_at,
        "days": calendar.forecast.days,
        "limited_by": calendar.forecast.limited_by,
        "time_zone": calendar.zone,
        "larger_plans": {str(calls): moment for calls, moment in calendar.larger.items()},
    }


def _as_text(source: Path, checked: Checked, made: Plan, calendar: Calendar) -> list[str]:
    most = "" if made.exact else "at most "
    lines = [
        f"{source} -> {checked.target.name}, dry run: nothing was written, "
        f"{made.reads_spent:,} calls were spent on reading",
        f"  {made.rows:,} rows: {made.create:,} to create, {most}{made.update:,} to update, "
        f"{made.unchanged:,} unchanged, "
        f"{made.faulty:,} faulty, {made.colliding:,} colliding, {made.unknown:,} of unknown outcome",
        f"  calls a push needs: {most}{made.calls:,} ({made.writes:,} writes, {made.reads:,} reads)",
    ]
    if not made.looked:
        lines.append("  without credentials Zoho was not looked at: rows it has already count as new here")
    if made.kinds:
        lines.append("  faulty: " + ", ".join(f"{kind} {count:,}" for kind, count in sorted(made.kinds.items())))
    if calendar.left_today is not None:
        lines.append(f"  calls left today: {calendar.left_today:,}, {_reserved(calendar.left_today, calendar.reserve)}")
    done = calendar.forecast.done_at
    if done is None:
        lines.append("  it would never be done: the calls a day, less those left to others, do not suffice")
    else:
        days = calendar.forecast.days
        lines.append(f"  done: {done:%Y-%m-%d %H:%M} {calendar.zone}" + (f", on the {days}th day" if days > 3 else ""))
        if calendar.forecast.limited_by == "day" or calendar.per_day is None:
            sooner = ", ".join(f"{calls:,}: {moment:%Y-%m-%d %H:%M}" for calls, moment in calendar.larger.items())
            if sooner:
                lines.append(f"  done with a plan of so many calls a day: {sooner}")
    for one in made.planned[:DIFFERENCES]:
        record = f" {one.record_id}" if one.record_id else ""
        lines.append(f"  row {one.row}: {one.action} {one.label}{record}")
        lines += [f"    {diff.path}: {_shown(diff.before)} -> {_shown(diff.after)}" for diff in one.differences]
        if one.left_out:
            lines.append(f"    an update does not take: {', '.join(one.left_out)}")
    more = made.create + made.update - min(len(made.planned), DIFFERENCES)
    if more > 0:
        lines.append(f"  ... and {more:,} more")
    lines += [f"  first bodies: {to_json(body).decode()}" for body in made.samples]
    return lines


def _reserved(left: int, reserve: int) -> str:
    if reserve > left:
        return f"all of which are left to others, who are to have {reserve:,} a day"
    return f"of which {reserve:,} are left to others"


def _shown(value: Any) -> str:
    return "nothing" if value is None else to_json(value).decode()
