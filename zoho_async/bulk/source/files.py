"""Opens a file of rows, whatever its format; what makes the whole file unusable is found before the first row.

A file is read once when it is opened: its encoding, its quoting, its header. Memory does not grow with the file.
"""

from __future__ import annotations

import stat
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Literal, Protocol

from zoho_async.bulk.errors import InputError

from .csv_file import CsvFile
from .encodings import check_text, encoding_of
from .jsonl_file import JsonLinesFile, read_object
from .row import ADDED, ADDED_LINE, LONGEST, Row, content_hash, strip_blanks

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


class Reader(Protocol):
    """One format: how the rows of a checked file are read."""

    @property
    def format(self) -> Literal["csv", "jsonl"]: ...
    @property
    def separator(self) -> str: ...
    @property
    def columns(self) -> tuple[str, ...]: ...
    @property
    def count(self) -> int: ...
    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the file."""
        ...


class RowFile:
    """A file of rows, checked as a whole; can be iterated as often as wanted. Made by `open_rows`.

    Attributes:
        path: The file.
        format: `csv` or `jsonl`.
        encoding: Python's name of its encoding.
        separator: What separates the cells of a CSV file; empty for JSON Lines.
        columns: The header of a CSV file, in order; empty for JSON Lines, where each row names its own.
        total: Number of rows in the file.
        count: Number of rows that iteration gives.
    """

    def __init__(
        self, path: Path, *, encoding: str, reader: Reader, identities: Mapping[int, str] | None = None
    ) -> None:
        self.path = path
        self.encoding = encoding
        self.format = reader.format
        self.separator = reader.separator
        self.columns = reader.columns
        self.total = reader.count
        self.count = reader.count if identities is None else len(identities)
        self._reader = reader
        self._row_keys = identities

    def __iter__(self) -> Iterator[Row]:
        return self._reader.rows() if self._row_keys is None else _selected(self._reader.rows(), self._row_keys)

    def only(self, identities: Mapping[int, str]) -> RowFile:
        """The same file with some of its rows only.

        Args:
            identities: Row number to the row key that an earlier run gave it; empty for the one that the file says.
        """
        return RowFile(self.path, encoding=self.encoding, reader=self._reader, identities=identities)


def _selected(rows: Iterator[Row], row_keys: Mapping[int, str]) -> Iterator[Row]:
    for row in rows:
        if row.number in row_keys:
            row.identity = row_keys[row.number] or row.identity
            yield row


def open_rows(path: str | Path) -> RowFile:
    """Opens a CSV or JSON Lines file and checks it as a whole.

    JSON Lines is recognised by the file's name (.jsonl, .ndjson) or a first character `{`; the separator of CSV
    (comma, semicolon, tab, bar) by the header. The encoding is UTF-8, or UTF-16 with a byte order mark.

    A row that has fewer cells than the header, or more that hold something, and a line that is no JSON object are read
    as rows with a `fault`: they fail alone.

    Args:
        path: The file. It is read more than once, so it can be no pipe.

    Returns:
        The file, ready to be iterated.

    Raises:
        InputError: The file is not there, is empty or has no rows, is not text in its encoding, has a quoted cell that
            never ends or that text follows, or its header names a column twice or not at all.
    """
    path = Path(path)
    try:
        if stat.S_IFMT(path.stat().st_mode) in _UNREADABLE_TWICE:
            raise InputError(f"{path}: is a pipe, which cannot be read twice; save the rows in a file")
        with path.open("rb") as file:
            start = file.read(4)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    encoding = encoding_of(start)
    check_text(path, encoding)
    with path.open(encoding=encoding) as file:
        head = next((line for line in file if line.strip()), "").lstrip()
    if not head:
        raise InputError(f"{path}: the file is empty")
    if path.suffix.lower() in {".jsonl", ".ndjson"} or head.startswith("{"):
        return RowFile(path, encoding=encoding, reader=JsonLinesFile(path, encoding))
    if head.startswith("["):
        raise InputError(f"{path}: is one JSON list; give JSON Lines, one object a line")
    return RowFile(path, encoding=encoding, reader=CsvFile(path, encoding))
