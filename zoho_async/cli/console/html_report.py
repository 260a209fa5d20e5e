"""A run as a page of HTML that needs nothing else: plots of outcomes, time and calls, and what was rejected. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

import msgspec

WIDTH, HEIGHT = 640, 180
_MARGIN = 56
COLOURS = {
    "created": "#2a9d5c",
    "updated": "#2f7fd1",
    "unchanged": "#8a94a0",
    "settled": "#5fb3b3",
    "skipped": "#b8a04a",
    "failed": "#d1453b",
    "unknown": "#c77b1f",
    "changed": "#2a9d5c",
    "details": "#2f7fd1",
    "deleted": "#d1453b",
}
_STYLE = """
:root { color-scheme: light dark; --ink: #1b1f24; --paper: #fff; --line: #d5dae0; --soft: #5d6772; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e9ed; --paper: #15181c; --line: #373d45; --soft: #9aa4af; }
}
body { font: 15px/1.45 system-ui, sans-serif; color: var(--ink); background: var(--paper); max-width: 60rem;
  margin: 2rem auto; padding: 0 1rem; }
h1 { font-size: 1.4rem; } h2 { font-size: 1.05rem; margin-top: 2rem; }
table { border-collapse: collapse; width: 100%; } th { text-align: left; color: var(--soft); font-weight: 600; }
th, td { padding: .3rem .8rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
td:last-child { overflow-wrap: anywhere; }
td.number { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
svg { width: 100%; height: auto; } svg text { font: 11px system-ui, sans-serif; fill: var(--soft); }
svg .axis { stroke: var(--line); } p.note { color: var(--soft); }
"""


class ReportedRow(msgspec.Struct, frozen=True, kw_only=True):
    """A row that is not done."""

    number: int
    status: str
    kind: str
    reason: str


class RunPage(msgspec.Struct, frozen=True, kw_only=True):
    """What the page shows."""

    title: str
    facts: Mapping[str, str]
    outcomes: Mapping[str, int]
    """Numbers by name, in the order in which they are drawn."""
    samples: Sequence[tuple[float, int, int]]
    """Seconds since the start, rows done, calls made."""
    rejected: Sequence[ReportedRow] = ()
    kinds: Mapping[str, int] = {}
    """Numbers of all rejected rows by kind."""
    more_rejected: int = 0
    """Rejected rows that the page does not list."""


def html_page(report: RunPage) -> str:
    """The whole page."""
    facts = "".join(f"<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>" for name, value in report.facts.items())
    parts = [
        f'<!doctype html><html lang="en"><meta charset="utf-8"><title>{escape(report.title)}</title>',
        '<meta name="viewport" content="width=device-width, initial-scale=1">',
        f"<style>{_STYLE}</style><h1>{escape(report.title)}</h1><table>{facts}</table>",
        f"<h2>Outcomes</h2>{_outcomes(report.outcomes)}",
    ]
    if len(report.samples) > 1:
        rows = [(seconds, done) for seconds, done, _ in report.samples]
        calls = [(seconds, made) for seconds, _, made in report.samples]
        parts += [f"<h2>Rows over time</h2>{_line(rows, '#2a9d5c', 'rows')}"]
        parts += [f"<h2>Calls over time</h2>{_line(calls, '#2f7fd1', 'calls')}"]
    if report.rejected:
        parts += ["<h2>Rejected rows</h2>", _reasons(report), _rejected(report)]
    return "\n".join(parts) + "\n</html>\n"


def _outcomes(outcomes: Mapping[str, int]) -> str:
    shown = {name: count for name, count in outcomes.items() if count}
    total = sum(shown.values())
    if not total:
        return '<p class="note">Nothing to show.</p>'
    bars: list[str] = []
    place = 0.0
    for name, count in shown.items():
        width = WIDTH * count / total
        colour = COLOURS.get(name, "#8a94a0")
        title = f"<title>{escape(name)}: {count:,}</title>"
        bars.append(f'<rect x="{place:.1f}" y="0" width="{width:.1f}" height="28" fill="{colour}">{title}</rect>')
        place += width
    rows = "".join(
        f'<tr><td><svg viewBox="0 0 10 10" style="width:10px"><rect width="10" height="10" '
        f'fill="{COLOURS.get(name, "#8a94a0")}"/></svg> {escape(name)}</td><td class="number">{count:,}</td>'
        f'<td class="number">{100 * count / total:.1f}%</td></tr>'
        for name, count in shown.items()
    )
    label = escape(", ".join(f"{name} {count:,}" for name, count in shown.items()))
    drawn = f'<svg viewBox="0 0 {WIDTH} 28" role="img" aria-label="{label}">{"".join(bars)}</svg>'
    return f"{drawn}<table>{rows}</table>"


def _line(points: Sequence[tuple[float, int]], colour: str, unit: str) -> str:
    """A line from the first sample to the last, with the ends of both axes labelled."""
    longest = max(seconds for seconds, _ in points) or 1.0
    highest = max(value for _, value in points) or 1
    across, up = WIDTH - _MARGIN - 8, HEIGHT - 30
    drawn = " ".join(
        f"{_MARGIN + across * seconds / longest:.1f},{10 + up - up * value / highest:.1f}" for seconds, value in points
    )
    bottom = 10 + up
    return (
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{highest:,} {unit} in {longest:.1f} s">'
        f'<path class="axis" fill="none" d="M{_MARGIN} 10V{bottom}H{WIDTH - 8}"/>'
        f'<polyline points="{drawn}" fill="none" stroke="{colour}" stroke-width="2"/>'
        f'<text x="{_MARGIN - 6}" y="16" text-anchor="end">{highest:,}</text>'
        f'<text x="{_MARGIN - 6}" y="{bottom}" text-anchor="end">0</text>'
        f'<text x="{_MARGIN}" y="{HEIGHT - 4}">0 s</text>'
        f'<text x="{WIDTH - 8}" y="{HEIGHT - 4}" text-anchor="end">{longest:,.1f} s</text></svg>'
    )


def _reasons(report: RunPage) -> str:
    listed = sorted(report.kinds.items(), key=lambda one: (-one[1], one[0]))
    return f'<p class="note">{escape(", ".join(f"{kind}: {count:,}" for kind, count in listed))}</p>'


def _rejected(report: RunPage) -> str:
    rows = "".join(
        f'<tr><td class="number">{row.number:,}</td><td>{escape(row.status)}</td><td>{escape(row.kind)}</td>'
        f"<td>{escape(row.reason)}</td></tr>"
        for row in report.rejected
    )
    more = f'<p class="note">and {report.more_rejected:,} more</p>' if report.more_rejected else ""
    return f"<table><tr><th>row</th><th>status</th><th>kind</th><th>reason</th></tr>{rows}</table>{more}"
