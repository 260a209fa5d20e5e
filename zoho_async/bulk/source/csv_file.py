"""CSV files: a header, then one row a record."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Literal

from zoho_async.bulk.errors import InputError, printable

from .row import ADDED_IDENTITY, IGNORED, LONGEST, Row

SEPARATORS = (",", ";", "\t", "|")
_UNCLOSED = 1 << 24
"""From so many characters on, a cell is taken for one whose quote is never closed."""
_LISTED = 20
"""Columns that a message names."""


class CsvFile:
    """One CSV file whose quoting and header have been checked."""

    format: Literal["csv"] = "csv"

    def __init__(self, path: Path, encoding: str) -> None:
        """Reads the file once.

        Raises:
            InputError: A quoted cell never ends or is followed by text, a column has no name or another's, or there is
                no row.
        """
        self._path = path
        self._encoding = encoding
        self.separator = self._separator()
        records = self._records()
        _, header = next(records)
        self.columns = tuple(name.strip() for name in header)
        self._check_header()
        self.count = sum(1 for _ in records)
        if not self.count:
            raise InputError(f"{path}: there is a header but not one row")

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the file."""
        width = len(self.columns)
        key = self.columns.index(ADDED_IDENTITY) if ADDED_IDENTITY in self.columns else -1
        records = self._records()
        next(records, None)
        for number, (line, cells) in enumerate(records, 1):
            if (longest := max(map(len, cells))) > LONGEST:
                fault = f"has a cell of {longest:,} characters; at most {LONGEST:,} are read"
                yield Row(number=number, line=line, raw=cells, fault=fault)
            elif len(cells) != width and (len(cells) < width or any(map(str.strip, cells[width:]))):
                fault = f"has {len(cells):,} cells where the header has {width:,} columns"
                yield Row(number=number, line=line, raw=cells, fault=fault)
            else:
                named = zip(self.columns, cells, strict=False)
                values = {name: cell for name, cell in named if name not in IGNORED}
                yield Row(number=number, line=line, values=values, raw=cells, identity=cells[key] if key >= 0 else "")

    def _records(self) -> Iterator[tuple[int, list[str]]]:
        """The line where each record begins, and its cells; blank lines left out."""
        with self._path.open(encoding=self._encoding, newline="") as file:
            # Strict: otherwise an unclosed quote swallows the rest of the file, and text after a quote loses it.
            reader = csv.reader(file, delimiter=self.separator, strict=True)
            end = 0
            while True:
                # Set for one record only: the limit is the whole process's.
                usual = csv.field_size_limit(_UNCLOSED)
                try:
                    cells = next(reader, None)
                except csv.Error as error:
                    raise InputError(f"{self._path}: line {end + 1}: {_quoting_error(error)}") from None
                finally:
                    csv.field_size_limit(usual)
                if cells is None:
                    return
                line, end = end + 1, reader.line_num
                if cells:
                    yield line, cells

    def _separator(self) -> str:
        """The one that splits the header into most columns."""
        widths: dict[str, int] = {}
        for separator in SEPARATORS:
            with self._path.open(encoding=self._encoding, newline="") as file:
                reader = csv.reader(file, delimiter=separator, strict=True)
                try:
                    widths[separator] = next((len(cells) for cells in reader if cells), 0)
                except csv.Error:
                    continue
        return max(widths, key=widths.__getitem__, default=SEPARATORS[0])

    def _check_header(self) -> None:
        for position, name in enumerate(self.columns, 1):
            if not name:
                raise InputError(f"{self._path}: column {position} has no name in the header")
        doubled = [name for name, times in Counter(self.columns).items() if times > 1]
        if doubled:
            raise InputError(f"{self._path}: the header names {_listed(doubled)} more than once")


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


def _listed(names: list[str]) -> str:
    listed = ", ".join(f"`{printable(name, 100)}`" for name in names[:_LISTED])
    return f"{listed} and {len(names) - _LISTED:,} others" if len(names) > _LISTED else listed
