"""Writes `docs/architecture.svg`: the wings of the package, each above those it imports.

python docs/make_map.py
"""

from __future__ import annotations

import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

import test_arrows  # noqa: E402

PICTURE = ROOT / "docs" / "architecture.svg"
PRODUCTS = "books, invoice, expense, billing"
WIDTH, LEFT, ROW, GAP = 480, 72, 32, 8
_HEAD = """<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" role="img">
<title>The packages of zoho_async: each imports only packages below it</title>
<style>
text {{ font: 14px system-ui, sans-serif; text-anchor: middle; fill: #fff }}
.group {{ font-weight: 600; fill: #7c87c9 }}
.client {{ fill: #3949ab }} .bulk {{ fill: #00695c }} .tools {{ fill: #6a4a8c }}
</style>
"""


def group_of(wing: str) -> str:
    """The part of the picture that a wing stands in."""
    if wing.partition(".")[0] == "bulk":
        return "bulk"
    order = test_arrows.LAYERS.index
    return "client" if order(wing) <= order("client") else "tools"


def rows() -> list[tuple[str, list[str]]]:
    """The rows from the top to the bottom: each wing one row above the highest of its group that it imports."""
    imports: dict[str, set[str]] = {}
    for name in test_arrows.FILES:
        home = test_arrows.wing_of(name)
        wings = {test_arrows.wing_of(one) for one in test_arrows.imported(name) if not one.startswith("/")}
        imports.setdefault(home, set()).update(wings - {home})
    shown = [wing for wing in test_arrows.LAYERS if not wing.rpartition(".")[2].startswith("_")]
    level: dict[str, int] = {}
    for wing in shown:
        mine = (level[one] + 1 for one in imports[wing] & level.keys() if group_of(one) == group_of(wing))
        level[wing] = max(mine, default=0)
    found: list[tuple[str, list[str]]] = []
    for group in ("client", "bulk", "tools"):
        wings = [wing for wing in shown if group_of(wing) == group]
        heights = sorted({level[wing] for wing in wings})
        found += [(group, [wing for wing in wings if level[wing] == height]) for height in heights]
    return found[::-1]


def picture() -> str:
    """The picture, as SVG."""
    lines: list[str] = []
    top, last = 0, ""
    for group, wings in rows():
        if group != last:
            top += GAP if last else 0
            lines.append(f'<text class="group" x="{LEFT // 2 - 4}" y="{top + 21}">{group}</text>')
            last = group
        names = [PRODUCTS if wing == "product" else wing.removeprefix("bulk.") for wing in wings]
        share = (WIDTH - LEFT - GAP * (len(names) - 1)) / sum(len(name) + 4 for name in names)
        left: float = LEFT
        for name in names:
            width = share * (len(name) + 4)
            lines.append(
                f'<rect class="{group}" x="{left:.1f}" y="{top + 2}" width="{width:.1f}" height="{ROW - 4}" rx="4"/>'
            )
            lines.append(f'<text x="{left + width / 2:.1f}" y="{top + 21}">{name}</text>')
            left += width + GAP
        top += ROW
    return _HEAD.format(width=WIDTH, height=top) + "\n".join(lines) + "\n</svg>\n"


if __name__ == "__main__":
    PICTURE.write_text(picture(), encoding="utf-8")
