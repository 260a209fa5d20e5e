"""How a file is to be read, where it does not say so itself."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import msgspec

from zoho_async.bulk.errors import InputError

from .text import comparable, is_filled, strip_blanks

ADDED_ROW = "zoho_row"
"""The first column of a rejects file beside the input's own."""
SEARCHED = 50
"""Records among which the header is looked for."""

LineCells = tuple[int, list[str]]
"""The line where a record begins, and its cells."""


class Reading(msgspec.Struct, frozen=True, kw_only=True):
    """The reading options of a mapping.

    Attributes:
        encoding: Python's name of the file's encoding; empty: UTF-8, or UTF-16 with a byte order mark.
        separator: What separates the cells of a CSV file; empty: recognised by the header.
        header_row: The line of the header, from 1; 0: the first line that is no comment, or the one that has most of
            the mapping's columns.
        sheet: Name of the sheet of a workbook; empty: the first visible one that holds something.
        decimal: The decimal mark of amounts, `.` or `,`; the other one then separates thousands.
        yes: Words that mean true beside `true`, `yes` and `1`.
        no: Words that mean false beside `false`, `no` and `0`.
        skip_rows: Rows whose first filled cell begins with one of these texts are left out.
    """

    encoding: str = ""
    separator: str = ""
    header_row: int = 0
    sheet: str = ""
    decimal: str = "."
    yes: tuple[str, ...] = ()
    no: tuple[str, ...] = ()
    skip_rows: tuple[str, ...] = ()


class Header(msgspec.Struct, frozen=True):
    """The header that was found."""

    line: int
    cells: list[str]
    before: list[LineCells]
    """The records before it: titles and comments."""
    hits: int = 0
    """How many of the wanted columns it has."""


def find_header(path: object, sample: Sequence[LineCells], header_row: int, wanted: frozenset[str]) -> Header:
    """The header among the first records of a table.

    Args:
        path: The file, for messages.
        sample: The first records.
        header_row: Its line, where it is known; else 0.
        wanted: Columns that are looked for, as `comparable` has them; may be empty.

    Raises:
        InputError: There is no record on that line, or the first line is no header.
    """
    if sample and ADDED_ROW in map(strip_blanks, sample[0][1]):
        # A rejects file has its header in the first line, whatever the file that it comes from.
        return Header(*sample[0], [])
    if header_row:
        for place, (line, cells) in enumerate(sample):
            if line == header_row:
                return Header(line, cells, list(sample[:place]))
        raise InputError(f"{path}: header_row is {header_row}, but no row begins on line {header_row}")
    if wanted:
        scores = [len({comparable(cell) for cell in cells} & wanted) for _, cells in sample]
        best = max(range(len(scores)), key=scores.__getitem__, default=0)
        if scores and scores[best]:
            line, cells = sample[best]
            return Header(line, cells, list(sample[:best]), scores[best])
    place = next((place for place, (_, cells) in enumerate(sample) if not _is_comment(cells)), 0)
    if any(_filled(cells) >= _filled(sample[place][1]) for _, cells in sample[:place]):
        # A header may begin with a number sign.
        place = 0
    line, cells = sample[place]
    return Header(line, cells, list(sample[:place]))


def check_header(path: object, header: Header, sample: Iterable[LineCells]) -> None:
    """Raises InputError when the rows below a header of one name have several cells: it is a title."""
    if _filled(header.cells) != 1:
        return
    below = [(line, _filled(cells)) for line, cells in sample if line > header.line][:10]
    wide = [(line, count) for line, count in below if count > 1]
    if wide and 2 * len(wide) > len(below):
        line, count = wide[0]
        raise InputError(
            f"{path}: line {header.line} is no header: it has one cell where line {line} has {count}; name the "
            f"header's line in a mapping ([read] header_row = {line}), as `zoho-async map FILE` drafts it, or delete "
            "the lines before it"
        )


def _is_comment(cells: Sequence[str]) -> bool:
    first = strip_blanks(cells[0]) if cells else ""
    return len(first) > 1 and first.startswith(("#", "//"))


def _filled(cells: Sequence[str]) -> int:
    return sum(1 for cell in cells if is_filled((cell,)))
