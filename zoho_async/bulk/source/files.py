"""Opens a file of rows, whatever its format; what makes the whole file unusable is found before the first row.

A file is read once when it is opened: its encoding, its quoting, its header. Memory does not grow with a CSV or JSON
Lines file; a workbook, a JSON document and standard input are kept in memory.
"""

from __future__ import annotations

import stat
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import cast

from zoho_async.bulk.errors import InputError

from .content import Content
from .csv_file import csv_table
from .detect import check_format, kind_of, refuse_address
from .encodings import check_text, encoding_of
from .excel_file import excel_table
from .json_file import json_reader
from .jsonl_file import read_object
from .mapped import MappedRows, Reader
from .mapping import FileMapping, read_mapping
from .reading import Reading
from .row import ADDED, ADDED_LINE, LONGEST, Row, content_hash
from .table import wanted_names
from .text import strip_blanks

__all__ = [
    "ADDED",
    "ADDED_LINE",
    "LONGEST",
    "Row",
    "RowFile",
    "content_hash",
    "open_rows",
    "read_object",
    "strip_blanks",
]

_UNREADABLE_TWICE = {stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK}
STANDARD_INPUT = "-"
_STANDARD_INPUT_NAME = Path("push")
"""What standard input is called: in messages, and in the name of its rejects file."""


class RowFile:
    """A file of rows, checked as a whole; can be iterated as often as wanted. Made by `open_rows`.

    Attributes:
        path: The file; `push` for standard input.
        format: `csv` for tables, workbooks too, or `jsonl`.
        encoding: Python's name of its encoding.
        separator: What separates the cells of a CSV file; empty for JSON.
        columns: The header of a table, in order; empty for JSON, where each row names its own.
        fields: The names that its rows have: those of the mapping, else `columns`.
        header_row: Line of the header, from 1; 0 for JSON.
        mapped: With a mapping: column or template, field and first value.
        mapping: What the mapping is called and the resource that it is for; empty: none, or any resource.
        total: Number of rows in the file.
        count: Number of rows that iteration gives.
        is_file: Whether it is a file, and not standard input.
        columns_checked: Whether unknown columns refuse the file (`check`); else they are errors of its rows.
    """

    def __init__(
        self,
        path: Path,
        *,
        encoding: str,
        reader: Reader,
        identities: Mapping[int, str] | None = None,
        is_file: bool = True,
    ) -> None:
        self.path = path
        self.encoding = encoding
        self.format = reader.format
        self.separator = reader.separator
        self.columns = reader.columns
        self.fields = reader.targets if isinstance(reader, MappedRows) else reader.columns
        self.header_row = reader.header_row
        self.mapped = reader.shown if isinstance(reader, MappedRows) else ()
        self.mapping = reader.made_for if isinstance(reader, MappedRows) else ("", "")
        self.total = reader.count
        self.count = reader.count if identities is None else len(identities)
        self.is_file = is_file
        self.columns_checked = False
        self._reader = reader
        self._row_keys = identities
        self._notes: list[str] = []

    def __iter__(self) -> Iterator[Row]:
        return self._reader.rows() if self._row_keys is None else _selected(self._reader.rows(), self._row_keys)

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out of the file and what was taken for what, as sentences."""
        return tuple(dict.fromkeys([*self._reader.notes, *self._notes]))

    def note(self, text: str) -> None:
        """Adds a message to `notes`.

        Args:
            text: The message.
        """
        self._notes.append(text)

    def only(self, identities: Mapping[int, str]) -> RowFile:
        """The same file with some of its rows only.

        Args:
            identities: Row number to the row key that an earlier run gave it; empty for the one that the file says.
        """
        some = RowFile(
            self.path, encoding=self.encoding, reader=self._reader, identities=identities, is_file=self.is_file
        )
        some.columns_checked, some._notes = self.columns_checked, self._notes
        return some


def _selected(rows: Iterator[Row], row_keys: Mapping[int, str]) -> Iterator[Row]:
    for row in rows:
        if row.number in row_keys:
            row.identity = row_keys[row.number] or row.identity
            yield row


def open_rows(
    path: str | Path, *, encoding: str | None = None, mapping: FileMapping | str | Path | None = None
) -> RowFile:
    """Opens a file of rows and checks it as a whole.

    Formats, recognised by their first bytes: CSV (separated by comma, semicolon, tab or bar), JSON Lines, a JSON list,
    one JSON object, Zoho's own answers (`{"contacts": [...]}`), Excel workbooks (.xlsx, with the extra `excel`), and
    all of these compressed with gzip. Blanks around cells, rows without any value, and columns without a name and
    without any value are left out.

    A row that has fewer cells than the header, or more that hold something, and a line that is no JSON object are read
    as rows with a `fault`: they fail alone.

    Args:
        path: The file, or `-` for standard input. It is read more than once, so it can be no pipe.
        encoding: Python's name of the encoding; None: what the mapping says, else UTF-8, or UTF-16 with a byte order
            mark. A byte order mark counts before it.
        mapping: What becomes of the columns: what `read_mapping` gives, a TOML file or the name of a preset; None: the
            columns are the fields.

    Returns:
        The file, ready to be iterated.

    Raises:
        InputError: The file is not there, is empty or has no rows, is of another format or damaged, is not text in its
            encoding, has a quoted cell that never ends or that text follows, or its header names a column twice or not
            at all.
        UnknownColumnError: The mapping says nothing of a column, or names one that is not there.
    """
    given = mapping if mapping is None or isinstance(mapping, FileMapping) else read_mapping(mapping)
    reading = given.reading if given is not None else Reading()
    named = encoding or reading.encoding or None
    content = _content(path)
    wanted = _wanted(given) if given is not None else frozenset[str]()
    if kind_of(content) == "excel":
        # Rejected rows come back as CSV, which Excel reads as UTF-8 by its mark alone.
        found, reader = "utf-8-sig", cast("Reader", excel_table(content, reading, wanted))
    else:
        found, reader = _text(content, named, reading, wanted)
    if given is not None:
        reader = MappedRows(content.path, reader, given)
    return RowFile(content.path, encoding=found, reader=reader, is_file=content.data is None)


def _text(content: Content, named: str | None, reading: Reading, wanted: frozenset[str]) -> tuple[str, Reader]:
    encoding = encoding_of(content.start(4), named)
    check_text(content, encoding)
    with content.text(encoding, newline=None) as file:
        head = next((line for line in file if line.strip("\ufeff \t\r\n")), "").lstrip("\ufeff \t\r\n")
    if not head:
        raise InputError(f"{content.path}: the file is empty")
    check_format(content, encoding)
    if content.suffix in (".jsonl", ".ndjson", ".json") or head.startswith(("{", "[")):
        return encoding, json_reader(content, encoding)
    return encoding, csv_table(content, encoding, reading, wanted)


def _content(path: str | Path) -> Content:
    if str(path) == STANDARD_INPUT:
        return Content.of(_STANDARD_INPUT_NAME, sys.stdin.buffer.read())
    path = Path(path)
    refuse_address(path)
    try:
        if stat.S_IFMT(path.stat().st_mode) in _UNREADABLE_TWICE:
            raise InputError(f"{path}: is a pipe, which cannot be read twice; save the rows in a file, or give `-`")
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    return Content.of(path)


def _wanted(mapping: FileMapping) -> frozenset[str]:
    """The columns by which the header is found."""
    return wanted_names(mapping.sources)
