"""The records of a CSV file: rows of cells, and those whose quotes are wrong but whose end is certain."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec

from zoho_async.bulk.errors import InputError

from .text_damage import UNREAD, errors_of, fit

_UNCLOSED = 1 << 24
"""From so many characters on, a cell is taken for a quote that is never closed."""
_OPEN = "a quote is opened and never closed"


class Record(msgspec.Struct, frozen=True, gc=False):
    """One record; never an empty line."""

    line: int
    """Where it begins, from 1."""
    cells: list[str]
    fit: bool = True
    """Whether all of it is known to be text."""
    fault: str = ""
    """Why the line cannot be taken apart; then it stands in one cell, behind `UNREAD`."""


def records(path: Path, encoding: str, separator: str) -> Iterator[Record]:
    """Every record of a CSV file, the header too.

    A line whose quotes are wrong is a record with a fault if each way to read it ends it where the line ends. Else
    nobody can tell what the lines behind it are: InputError, naming the line where the quote was opened.
    """
    taken: list[str] = []

    def lines() -> Iterator[str]:
        for line in file:
            taken.append(line)
            yield line

    with path.open(encoding=encoding, errors=errors_of(encoding), newline="") as file:
        reader = csv.reader(lines(), delimiter=separator, strict=True)
        end = 0
        while True:
            taken.clear()
            fault = ""
            # The limit is the whole process's: nobody else may find it changed.
            usual = csv.field_size_limit(_UNCLOSED)
            try:
                cells = next(reader, None)
            except csv.Error as error:
                fault = _word(error)
                cells = [UNREAD + _kept("".join(taken).rstrip("\r\n"))]
            finally:
                csv.field_size_limit(usual)
            if cells is None:
                return
            line, end = end + 1, reader.line_num
            if fault and not (len(taken) == 1 and _certain(taken[0], separator)):
                raise InputError(f"{path}: {_unreadable(taken, line, separator, fault)}")
            if cells:
                whole = fit(taken[0]) if len(taken) == 1 else all(map(fit, taken))
                yield Record(line, cells, whole, f"cannot be read: {fault}" if fault else "")


def _kept(line: str) -> str:
    # Of a cell that is too long for any file of ours only the beginning is of use to people.
    return line if len(line) <= _UNCLOSED // 2 else f"{line[:1_000]} ..."


def _word(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return _OPEN
    if "expected after" in text:
        return "text follows a closing quote (a quote inside a quoted cell is written twice)"
    if "field larger" in text:
        return f"a cell is longer than {_UNCLOSED:,} characters, or a quote is opened and never closed"
    return text


def _unreadable(taken: Sequence[str], line: int, separator: str, fault: str) -> str:
    opened = _opened("".join(taken), separator)
    for text in taken:
        if opened < len(text):
            break
        opened -= len(text)
        line += 1
    if fault == _OPEN:
        return f"line {line}: a quote is opened there and never closed"
    return f"line {line}: where the row ends whose quote is opened there cannot be told: {fault}"


def _opened(text: str, separator: str) -> int:
    """Where the quote is opened that is not closed as it should be."""
    place = 0
    while True:
        if text.startswith('"', place):
            start = place
            place += 1
            while True:
                place = text.find('"', place) + 1
                if not place:
                    return start
                if not text.startswith('"', place):
                    break
                place += 1
            if place < len(text) and text[place] not in f"{separator}\r\n":
                return start
        following = text.find(separator, place)
        if following < 0:
            return place
        place = following + 1


def _certain(line: str, separator: str) -> bool:
    """Whether a line with text behind a closing quote ends its row, both if that quote closes the cell and if it is
    one inside the cell that should have been written twice."""
    body = line.rstrip("\r\n")
    return _closed(body, separator, doubled=True) and _closed(body, separator, doubled=False)


def _closed(body: str, separator: str, *, doubled: bool) -> bool:
    place = 0
    while True:
        if body.startswith('"', place):
            place += 1
            while True:
                place = body.find('"', place) + 1
                if not place:
                    return False
                if place == len(body) or body[place] == separator:
                    break
                if doubled:
                    if body[place] != '"':
                        break
                    place += 1
        place = body.find(separator, place) + 1
        if not place:
            return True
