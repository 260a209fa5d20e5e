"""CSV files: which separator they have, and their records."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import IO, Literal

from zoho_async.bulk.errors import InputError

from .content import Content
from .reading import SEARCHED, LineCells, Reading, find_header
from .table import Table, header_of
from .text import is_filled

SEPARATORS = (",", ";", "\t", "|")
_UNCLOSED = 1 << 24
"""From so many characters on, a cell is taken for one whose quote is never closed."""
_SEP_LINE = re.compile(r'"?sep=(.)"?\r?\n?', re.IGNORECASE | re.DOTALL)


def csv_table(content: Content, encoding: str, reading: Reading, wanted: frozenset[str]) -> Table:
    """A CSV file whose quoting and header have been checked; it is read once.

    Raises:
        InputError: A quoted cell never ends or is followed by text, the header cannot be used, or there is no row.
    """
    with content.text(encoding) as file:
        named = _SEP_LINE.fullmatch(file.readline())
    skip = 1 if named else 0
    separator = reading.separator or (named[1] if named else _separator(content, encoding, reading, wanted))

    def records() -> Iterator[LineCells]:
        return _records(content, encoding, separator, skip)

    # To the end: an error of quoting refuses the file.
    header = header_of(content.path, records, reading, wanted)
    return Table(content.path, records, header, reading, separator, wanted)


def _records(content: Content, encoding: str, separator: str, skip: int = 0) -> Iterator[LineCells]:
    """The line where each record begins, and its cells; blank lines left out."""
    with content.text(encoding) as file:
        for _ in range(skip):
            file.readline()
        # Strict: otherwise an unclosed quote swallows the rest of the file, and text after a quote loses it.
        reader = csv.reader(file, delimiter=separator, strict=True)
        end = skip
        while True:
            # Set for one record only: the limit is the whole process's.
            usual = csv.field_size_limit(_UNCLOSED)
            try:
                cells = next(reader, None)
            except csv.Error as error:
                raise InputError(f"{content.path}: line {end + 1}: {_quoting_error(error)}") from None
            finally:
                csv.field_size_limit(usual)
            if cells is None:
                return
            line, end = end + 1, reader.line_num + skip
            if cells:
                yield line, cells


def _separator(content: Content, encoding: str, reading: Reading, wanted: frozenset[str]) -> str:
    """The one that splits the header into most columns, or finds most of the wanted ones."""
    scores: dict[str, tuple[int, int, int]] = {}
    for separator in SEPARATORS:
        try:
            sample = list(islice(_records(content, encoding, separator), max(SEARCHED, reading.header_row)))
        except InputError:
            # The header alone can still tell.
            sample = _first(content, encoding, separator)
        filled = [(line, cells) for line, cells in sample if is_filled(cells)]
        if not filled:
            continue
        try:
            header = find_header(content.path, filled, reading.header_row, wanted)
        except InputError:
            continue
        scores[separator] = (header.hits, len(header.cells), max(len(cells) for _, cells in filled))
    return max(scores, key=scores.__getitem__, default=SEPARATORS[0])


def _first(content: Content, encoding: str, separator: str) -> list[LineCells]:
    try:
        return list(islice(_records(content, encoding, separator), 1))
    except InputError:
        return []


def _quoting_error(error: csv.Error) -> str:
    text = str(error)
    if "unexpected end of data" in text:
        return "the row that begins there has a quoted cell that never ends; close its quote and try again"
    if "expected after" in text:
        return (
            "the row that begins there has text behind a quoted cell; write a quote inside a quoted cell twice and "
            "try again"
        )
    if "field larger" in text:
        return (
            f"the row that begins there has a cell of more than {_UNCLOSED:,} characters, or a quoted cell that never "
            "ends; close its quote and try again"
        )
    return f"the row that begins there cannot be read: {text}"


def write_row(file: IO[str], cells: Iterable[str], *, separator: str = ",") -> None:
    """Writes one row of a file that was opened with `newline=""`.

    Args:
        file: The file.
        cells: The cells.
        separator: What stands between them.
    """
    row = list(cells)
    # Python 3.11 and 3.12 leave a lone carriage return unquoted, which ends a row.
    quoting: Literal[0, 1] = csv.QUOTE_ALL if any("\r" in cell for cell in row) else csv.QUOTE_MINIMAL
    csv.writer(file, delimiter=separator, lineterminator="\n", quoting=quoting).writerow(row)
