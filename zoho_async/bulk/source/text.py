"""Blanks around cells, and names of columns as they are compared."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from typing import Any

INVISIBLE = "\u00ad\u180e\u200b\u200c\u200d\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2060\ufeff"
"""Characters without width that files carry along: soft hyphen, joiners, direction marks, byte order marks."""

_BLANKS = INVISIBLE + "".join(chr(code) for code in range(0x3001) if chr(code).isspace())


def strip_blanks(text: str) -> str:
    """A cell without blanks at its ends, no-break spaces and characters without width included."""
    short = text.strip()
    return short if short.isascii() else short.strip(_BLANKS)


def joined(cells: Iterable[Any]) -> str | None:
    """All cells as one text; None when one is no text."""
    try:
        return "".join(cells)
    except TypeError:
        return None


def strip_all(cells: Iterable[str], text: str) -> Iterator[str]:
    """`strip_blanks` of each cell; `text`: all of them joined."""
    return map(str.strip if text.isascii() else strip_blanks, cells)


def is_filled(cells: Iterable[str]) -> bool:
    """Whether a row has any value."""
    return bool(strip_blanks("".join(cells)))


@lru_cache(maxsize=4096)
def comparable(name: str) -> str:
    """A column's name without case, blanks and punctuation; a name of punctuation alone stays as it is."""
    return "".join(filter(str.isalnum, name)).casefold() or name


def excerpt(text: str, limit: int = 40) -> str:
    """The beginning of a cell, quoted, for a message."""
    return repr(text if len(text) <= limit else f"{text[: limit - 3]}...")


def listed(names: Iterable[str], most: int = 20) -> str:
    """Names for a message, in backquotes, at most so many."""
    every = [f"`{name if len(name) <= 100 else name[:97] + '...'}`" for name in names]
    shown = ", ".join(
        "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in name)
        for name in every[:most]
    )
    return f"{shown} and {len(every) - most:,} others" if len(every) > most else shown
