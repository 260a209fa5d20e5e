"""`zoho-async fleet look`."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from datetime import UTC, datetime

import msgspec

from zoho_async.cli.console.exit_codes import DONE
from zoho_async.cli.profiles import open_fleet
from zoho_async.fleet import FleetView

Views = dict[tuple[str, ...], FleetView]


async def look_command(redis: str, organizations: Sequence[str], *, prometheus: bool, json: bool) -> int:
    """What the processes of a fleet share at this moment, of all organisations or of some."""
    async with open_fleet(redis) as fleet:
        known = await fleet.organizations()
        views: Views = {one: await fleet.look(one) for one in known if not organizations or one[1] in organizations}
        owners = await fleet.owners()
    write = as_prometheus if prometheus else as_json if json else as_text
    sys.stdout.write(write(views, owners))
    return DONE


def as_json(views: Views, owners: dict[str, str]) -> str:
    """One JSON object."""
    listed = [
        {
            "place": place,
            "organization_id": number,
            "product": product[0] if product else None,
            "limit": view.quota.limit,
            "remaining": view.quota.remaining,
            "resets_at": view.quota.resets_at,
            "paused_until": view.quota.paused_until,
            "counted": view.counted,
            "in_flight": view.in_flight,
            "waiting": view.waiting,
        }
        for (place, number, *product), view in views.items()
    ]
    return msgspec.json.encode({"organizations": listed, "leases": owners}).decode() + "\n"


def as_text(views: Views, owners: dict[str, str]) -> str:
    """Tables for people."""
    rows = [("ORGANISATION", "DAY LEFT", "THIS MINUTE", "IN FLIGHT", "WAITING", "PAUSED UNTIL")]
    who: list[tuple[str, str, str]] = []
    for organization, view in views.items():
        quota, name = view.quota, " ".join(organization)
        left = "?" if quota.remaining is None else f"{quota.remaining:,}"
        left += f" of {quota.limit:,}" if quota.limit is not None else ""
        paused = f"{quota.paused_until.astimezone():%H:%M:%S}" if quota.paused_until is not None else "-"
        rows.append((name, left, str(view.counted), str(sum(view.in_flight.values())), str(len(view.waiting)), paused))
        who += [(name, f"holds {count}", holder) for holder, count in view.in_flight.items()]
        who += [(name, f"waits, {place}.", holder) for place, holder in enumerate(view.waiting, 1)]
    who += [(name, "lease", holder) for name, holder in owners.items()]
    if len(rows) == 1 and not who:
        return "Redis knows no organisation yet\n"
    return _table(rows) + (("\n" + _table([("WHAT", "", "PROCESS"), *who])) if who else "")


def _table(rows: Sequence[Sequence[str]]) -> str:
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows)
    return "".join(f"{line}\n" for line in lines)


_METRICS = (
    ("calls_in_window", "Calls that count in the window of a minute."),
    ("calls_in_flight", "Calls in flight."),
    ("processes_waiting", "Processes that wait for a call."),
    ("day_limit", "Calls of the day."),
    ("day_remaining", "Calls left of the day."),
    ("day_resets_seconds", "Seconds until the next day begins."),
    ("paused_seconds", "Rest of the pause of the organisation."),
)


def as_prometheus(views: Views, owners: dict[str, str]) -> str:
    """The text format of Prometheus; what is not known is left out."""
    lines: list[str] = []
    values = {organization: _values(view) for organization, view in views.items()}
    for name, meaning in _METRICS:
        lines += [f"# HELP zoho_{name} {meaning}", f"# TYPE zoho_{name} gauge"]
        for (place, number, *product), found in values.items():
            labels = {"place": place, "organization": number} | ({"product": product[0]} if product else {})
            if (value := found[name]) is not None:
                lines.append(f"zoho_{name}{_labels(labels)} {value:.12g}")
    lines += ["# HELP zoho_lease_held A lease that a process holds.", "# TYPE zoho_lease_held gauge"]
    lines += [f"zoho_lease_held{_labels({'lease': what, 'process': holder})} 1" for what, holder in owners.items()]
    return "".join(f"{line}\n" for line in lines)


def _values(view: FleetView) -> dict[str, float | None]:
    quota = view.quota
    return {
        "calls_in_window": view.counted,
        "calls_in_flight": sum(view.in_flight.values()),
        "processes_waiting": len(view.waiting),
        "day_limit": quota.limit,
        "day_remaining": quota.remaining,
        "day_resets_seconds": _until(quota.resets_at),
        "paused_seconds": _until(quota.paused_until) or 0,
    }


def _until(moment: datetime | None) -> float | None:
    return None if moment is None else max(0.0, round((moment - datetime.now(UTC)).total_seconds(), 1))


def _labels(labels: dict[str, str]) -> str:
    def escaped(value: str) -> str:
        return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")

    return "{" + ",".join(f'{name}="{escaped(value)}"' for name, value in labels.items()) + "}"
