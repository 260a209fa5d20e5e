"""Text that is none: bytes that an encoding does not have, zero bytes, and the marks that stand for them.

Such a row goes into the file of failed rows, which must be text itself. So a mark stands there for what could not be
read; a row that still holds one has not been mended, and must not be sent.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from zoho_async._typeguards import is_mapping, is_sequence

ERRORS: Mapping[str, str] = {"utf-16": "surrogatepass"}
"""How a file of an encoding is opened so that what is not valid in it stays recognisable; others by `ESCAPE`."""
ESCAPE = "surrogateescape"

UNREAD = "⟦unread⟧"
"""Stands before a whole line whose cells or members could not be told apart."""
_MARK = re.compile(r"⟦(?:0x[0-9A-F]+|unread)⟧")
_LONE = re.compile("[\ud800-\udfff]+")
_SHOWN = 3
"""So many bytes are named in one sentence."""
_SAMPLE = 1_000
"""So many lines say in which encoding a file is."""


def errors_of(encoding: str) -> str:
    """The `errors` that a file of an encoding is opened with."""
    return ERRORS.get(encoding, ESCAPE)


def fit(text: str) -> bool:
    """Whether there is nothing in it to look for; quick, for every row is asked."""
    if "\0" in text:
        return False
    if text.isascii():
        return True
    if "⟦" in text:
        return False
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def marked(text: str, encoding: str) -> str:
    """The text with marks in place of what is not valid in its encoding."""
    return _LONE.sub(lambda found: f"⟦0x{''.join(_codes(found[0], encoding))}⟧", text)


def word(text: str, encoding: str) -> str:
    """What is wrong with a text, as the end of a sentence; empty when nothing is."""
    codes = [code for found in _LONE.findall(text) for code in _codes(found, encoding)]
    if codes:
        shown = " ".join(f"0x{code}" for code in codes[:_SHOWN]) + " ..." * (len(codes) > _SHOWN)
        name = "UTF-16" if encoding == "utf-16" else "UTF-8"
        return f"holds bytes that are no {name} ({shown}): save the file as UTF-8"
    if "\0" in text:
        return "holds a zero byte, which is no text: write what belongs there"
    found = _MARK.search(text)
    if found is None:
        return ""
    if found[0] == UNREAD:
        return "still is a line that could not be read: write its cells into their columns"
    return f"holds {found[0][:40]} in place of bytes that could not be read: write what belongs there"


def _codes(run: str, encoding: str) -> Iterable[str]:
    if encoding == "utf-16":
        return (f"{ord(one):04X}" for one in run)
    return (f"{ord(one) - 0xDC00:02X}" for one in run)


def first_marked(values: Mapping[str, Any]) -> tuple[str, str] | None:
    """The path of the first text or name in a JSON object that holds a mark, and the text."""
    for path, value in _texts(values):
        for text in (value, path):
            if "⟦" in text and _MARK.search(text):
                return path, text
    return None


def _texts(values: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    # With a stack of its own: how deep JSON goes is not ours to say.
    stack: list[tuple[str, Any]] = [*reversed(list(values.items()))]
    while stack:
        path, value = stack.pop()
        if is_mapping(value):
            stack += [(f"{path}.{name}", item) for name, item in reversed(list(value.items()))] or [(path, "")]
        elif is_sequence(value):
            stack += [(f"{path}[{place}]", item) for place, item in reversed(list(enumerate(value)))]
        else:
            yield path, value if isinstance(value, str) else ""


def family(path: Path) -> str:
    """What a file is that has no UTF-8 beyond ASCII in any line, as the end of a sentence; else empty."""
    alone = together = 0
    western = True
    lines = 0
    with path.open("rb") as file:
        for line in file:
            if line.isascii():
                continue
            try:
                line.decode()
            except UnicodeDecodeError:
                pass
            else:
                return ""
            lines += 1
            if lines > _SAMPLE:
                continue
            for run in re.findall(rb"[\x80-\xff]+", line):
                alone += len(run) == 1
                together += len(run) > 1
                western = western and not set(run) & _UNDEFINED
    if western and alone > together:
        return "; all of it looks like Windows-1252"
    # One line may be damaged; several, and none that is good, are no accident.
    return "; all of it seems to be in another encoding" if lines > 1 else ""


_UNDEFINED = frozenset(b"\x81\x8d\x8f\x90\x9d")
"""Bytes that Windows-1252 does not have."""
