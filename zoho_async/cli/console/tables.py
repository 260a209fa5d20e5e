"""Tables and JSON for people on a terminal, plain lines and raw JSON for programs."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Mapping, Sequence
from typing import TypeAlias

from .streams import json_line

GAP = "  "
INDENT = "    "
"""Before the further lines of a row."""

_Json: TypeAlias = "dict[str, _Json] | list[_Json] | str | float | bool | None"


def is_terminal() -> bool:
    """Whether stdout is read by a person."""
    return sys.stdout.isatty()


def has_colours() -> bool:
    """Whether stdout takes colours: a terminal, and neither NO_COLOR nor TERM=dumb is set."""
    return is_terminal() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"


def plain(text: str) -> str:
    """Text from Zoho on one line, with what a terminal would obey escaped."""
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def write_rows(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> None:
    """Writes rows aligned in columns; on a terminal with a header above, and in several lines where it is narrow."""
    texts = [["" if cell is None else plain(str(cell)) for cell in row] for row in rows]
    header = [name.upper() for name in columns]
    shown = [header, *texts] if is_terminal() else texts
    widths = [max((len(row[place]) for row in shown), default=0) for place in range(len(columns))]
    groups = folded(widths, shutil.get_terminal_size().columns) if is_terminal() else [range(len(columns))]
    for number, row in enumerate(shown):
        bold = number == 0 and shown is not texts and has_colours()
        for position, group in enumerate(groups):
            line = GAP.join(f"{row[place]:<{widths[place]}}" for place in group).rstrip()
            if line or not position:
                line = (INDENT if position else "") + line
                sys.stdout.write(f"\x1b[1m{line}\x1b[0m\n" if bold else f"{line}\n")


def folded(widths: Sequence[int], available: int) -> list[range]:
    """The columns of each line, when a row needs several; a column that is wider alone has a line of its own."""
    groups: list[range] = []
    start, taken = 0, 0
    for place, width in enumerate(widths):
        if place > start and taken + len(GAP) + width > available:
            groups.append(range(start, place))
            start, taken = place, len(INDENT)
        taken += width + (len(GAP) if place > start else 0)
    return [*groups, range(start, len(widths))]


def write_objects(objects: Sequence[Mapping[str, object]]) -> None:
    """Writes one JSON object a line."""
    sys.stdout.writelines(json_line(one) for one in objects)


def pretty_json(data: bytes) -> bytes:
    """JSON as people read it, digit by digit as it came; other content unchanged."""
    try:
        value = json.loads(data, parse_float=_Digits, parse_int=_Digits)
    except ValueError:
        return data
    return _written(value, "").encode("utf-8", "backslashreplace") + b"\n"


class _Digits(str):
    """A number as it was written."""

    __slots__ = ()


def _written(value: _Json, indent: str) -> str:
    inner = f"{indent}  "
    if isinstance(value, _Digits):
        return str(value)
    if isinstance(value, dict) and value:
        members = [f"{_quoted(key)}: {_written(one, inner)}" for key, one in value.items()]
        return f"{{\n{inner}" + f",\n{inner}".join(members) + f"\n{indent}}}"
    if isinstance(value, list) and value:
        return f"[\n{inner}" + f",\n{inner}".join(_written(one, inner) for one in value) + f"\n{indent}]"
    return _quoted(value)


def _quoted(value: object) -> str:
    """A scalar as JSON; what a terminal would obey is escaped."""
    text = json.dumps(value, ensure_ascii=False)
    if text.isprintable():
        return text
    return "".join(one if one.isprintable() else json.dumps(one)[1:-1] for one in text)
