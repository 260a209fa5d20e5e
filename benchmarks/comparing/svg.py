"""Plots as SVG: bars, and lines over a logarithmic axis. Text and axes follow the page's light or dark scheme."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from math import ceil, floor, log10

STYLE = """
text { font: 13px system-ui, sans-serif; fill: currentColor }
.title { font-weight: 600 }
.quiet { fill-opacity: .7 }
.grid { stroke: currentColor; stroke-opacity: .2 }
svg { color: #3d444d }
.c0 { --c: #0969da } .c1 { --c: #59636e } .c2 { --c: #bc4c00 } .c3 { --c: #1a7f37 }
.c4 { --c: #8250df } .c5 { --c: #bf3989 } .c6 { --c: #9a6700 } .c7 { --c: #0e7c86 }
.c8 { --c: #cf222e }
.bar { fill: var(--c) } .line { stroke: var(--c); fill: none; stroke-width: 2 } .dot { fill: var(--c) }
@media (prefers-color-scheme: dark) {
svg { color: #d1d7e0 }
.c0 { --c: #4493f8 } .c1 { --c: #9198a1 } .c2 { --c: #db6d28 } .c3 { --c: #3fb950 }
.c4 { --c: #ab7df8 } .c5 { --c: #db61a2 } .c6 { --c: #d29922 } .c7 { --c: #39c5cf }
.c8 { --c: #f85149 }
}
"""
COLORS = 9
WIDTH = 760
LABELS = 260
"""Width of the labels beside bars."""


def document(height: int, title: str, parts: Sequence[str]) -> str:
    """A whole SVG file."""
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img">',
            f"<title>{escape(title)}</title>",
            f"<style>{STYLE}</style>",
            text(0, 18, title, "title"),
            *parts,
            "</svg>",
            "",
        ]
    )


def text(x: float, y: float, content: str, kind: str = "", anchor: str = "start") -> str:
    """One line of text."""
    return f'<text x="{x:.1f}" y="{y:.1f}" class="{kind}" text-anchor="{anchor}">{escape(content)}</text>'


def bars(title: str, rows: Sequence[tuple[str, float, str]], colors: Sequence[int]) -> str:
    """Horizontal bars.

    Args:
        title: Stands above.
        rows: Label, length and the text behind the bar.
        colors: Number of the color of each bar.
    """
    longest = max((length for _, length, _ in rows), default=0) or 1
    scale = (WIDTH - LABELS - 110) / longest
    parts: list[str] = []
    for at, ((label, length, shown), color) in enumerate(zip(rows, colors, strict=True)):
        y = 32 + at * 26
        parts.append(text(LABELS - 8, y + 14, label, anchor="end"))
        width = max(length * scale, 1)
        parts.append(
            f'<rect class="bar c{color % COLORS}" x="{LABELS}" y="{y}" width="{width:.1f}" height="18" rx="2"/>'
        )
        parts.append(text(LABELS + width + 6, y + 14, shown))
    return document(40 + len(rows) * 26, title, parts)


Points = Sequence[tuple[float, float]]


def lines(title: str, series: Mapping[str, Points], colors: Mapping[str, int], x_label: str) -> str:
    """Lines over a logarithmic horizontal axis; the vertical one is logarithmic as well.

    Args:
        title: Stands above.
        series: Points of each line, all above 0.
        colors: Number of the color of each line.
        x_label: What the horizontal axis shows.
    """
    every = [point for points in series.values() for point in points]
    if not every:
        return document(40, title, [])
    left, top, right, bottom = 60, 34, WIDTH - 10, 300
    x_low, x_high = span([x for x, _ in every])
    y_low, y_high = span([y for _, y in every])

    def place(x: float, y: float) -> tuple[float, float]:
        across = (log10(x) - x_low) / (x_high - x_low)
        up = (log10(y) - y_low) / (y_high - y_low)
        return left + across * (right - left - 10), bottom - up * (bottom - top)

    parts: list[str] = []
    for value in decades(y_low, y_high):
        _, y = place(10**x_low, value)
        parts.append(f'<line class="grid" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>')
        parts.append(text(left - 6, y + 4, short(value), "quiet", "end"))
    for value in sorted({x for x, _ in every}):
        x, _ = place(value, 10**y_low)
        parts.append(text(x, bottom + 18, short(value), "quiet", "middle"))
    parts.append(text(right, bottom + 36, x_label, "quiet", "end"))
    for at, (name, points) in enumerate(series.items()):
        kind = f"c{colors[name] % COLORS}"
        placed = [place(x, y) for x, y in points]
        path = " ".join(f"{x:.1f},{y:.1f}" for x, y in placed)
        parts.append(f'<polyline class="line {kind}" points="{path}"/>')
        parts += [f'<circle class="dot {kind}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>' for x, y in placed]
        x, y = left + at % 2 * 340, bottom + 58 + at // 2 * 20
        parts.append(f'<rect class="bar {kind}" x="{x}" y="{y - 10}" width="12" height="12" rx="2"/>')
        parts.append(text(x + 18, y, name))
    return document(bottom + 70 + (len(series) + 1) // 2 * 20, title, parts)


def span(values: Sequence[float]) -> tuple[float, float]:
    """Ends of a logarithmic axis that holds all values."""
    low, high = log10(min(values)), log10(max(values))
    low, high = floor(low * 5) / 5, ceil(high * 5) / 5
    return (low, high) if high > low else (low - 0.5, low + 0.5)


def decades(low: float, high: float) -> Iterator[float]:
    """Round values between the ends of a logarithmic axis; more of them on a short one."""
    for exponent in range(floor(low), ceil(high) + 1):
        for digit in (1, 2, 5) if high - low > 1 else range(1, 10):
            value = float(digit * 10.0**exponent)
            if low <= log10(value) <= high:
                yield value


def short(value: float) -> str:
    """A number for an axis: 1,000 as 1k."""
    for size, letter in ((1e6, "M"), (1e3, "k")):
        if value >= size:
            return f"{value / size:g}{letter}"
    return f"{value:g}"
