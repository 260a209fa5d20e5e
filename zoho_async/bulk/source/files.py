"""CSV and JSON Lines files as rows, streamed; what makes the whole file unusable is found before the first row.

A file is gone through once when it is opened: its encoding, its quoting, its header. So a run never stops in the
middle because of where line 90,000 leaves open what a row is. Memory does not grow with the file.
"""

from __future__ import annotations

import codecs
import csv
import hashlib
import stat
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import zip_longest
from pathlib import Path
from typing import Any, Literal

import msgspec

from zoho_async._typeguards import is_mapping
from zoho_async.bulk.errors import InputError, printable

from .csv_records import records
from .json_keys import given_twice
from .text_damage import UNREAD, errors_of, family, first_marked, fit, marked, word

LONGEST = 131_072
"""Characters a cell may have; a row with a longer one is faulty."""
_LISTED = 20
"""So many columns are named in one sentence."""

SEPARATORS = (",", ";", "\t", "|")

ADDED = ("zoho_row", "zoho_reason", "zoho_code", "zoho_field", "zoho_hint", "zoho_identity")
"""Columns that stand in a file of failed rows beside the input's own; ignored when that file is pushed."""
ADDED_IDENTITY = ADDED[-1]
ADDED_LINE = "zoho_line"
"""In JSON Lines: the text of a line that could not be read at all."""

_IGNORED = frozenset({*ADDED, ADDED_LINE})

TWICE = "is given more than once"
_ZERO = (
    "holds a zero byte; the file is not text in UTF-8, or it is UTF-16 without a byte order mark: save it as UTF-8 "
    "and try again"
)

_json = msgspec.json.Decoder(float_hook=Decimal)


class Row(msgspec.Struct, kw_only=True):
    """One row of the input."""

    number: int
    """From 1, the header not counted."""
    line: int = 0
    """Line of the file where the row begins, from 1; 0 when it comes from no file."""
    values: Any = msgspec.field(default_factory=dict[str, Any])
    """Column name -> cell, a nested mapping, or a request struct."""
    raw: Any = None
    """As it stood in the file: list of cells (CSV) or the text of the line (JSON Lines)."""
    fault: str = ""
    """Why the row cannot be read; then there are no values."""
    field: str = ""
    """The column that is the reason, if it is one."""
    identity: str = ""
    """What the state calls the row, if it comes from a file of failed rows; so equal rows stay apart."""


class RowFile:
    """A CSV or JSON Lines file, checked as a whole and ready to be iterated, as often as wanted."""

    def __init__(
        self,
        path: Path,
        *,
        format: Literal["csv", "jsonl"],
        encoding: str,
        separator: str = "",
        columns: tuple[str, ...] = (),
        count: int = 0,
        identities: Mapping[int, str] | None = None,
    ) -> None:
        self.path = path
        self.format: Literal["csv", "jsonl"] = format
        self.encoding = encoding
        self.separator = separator
        self.columns = columns
        """The header of a CSV file, in order; empty for JSON Lines, where each row names its own."""
        self.total = count
        """How many rows the file has."""
        self.count = count if identities is None else len(identities)
        """How many of them are gone through."""
        self._identities = identities
        self._family: str | None = None
        """What the file's encoding seems to be, once somebody had to ask."""

    def __iter__(self) -> Iterator[Row]:
        rows = self._csv() if self.format == "csv" else self._jsonl()
        return rows if self._identities is None else _chosen(rows, self._identities)

    def only(self, identities: Mapping[int, str]) -> RowFile:
        """The same file with some of its rows only, given by their numbers, each with the identity it had in an
        earlier run; empty: the one that the file says."""
        return RowFile(
            self.path,
            format=self.format,
            encoding=self.encoding,
            separator=self.separator,
            columns=self.columns,
            count=self.total,
            identities=identities,
        )

    def _csv(self) -> Iterator[Row]:
        width = len(self.columns)
        place = self.columns.index(ADDED_IDENTITY) if ADDED_IDENTITY in self.columns else -1
        rows = records(self.path, self.encoding, self.separator)
        next(rows, None)
        for number, record in enumerate(rows, 1):
            cells, line = record.cells, record.line
            if not record.fit or record.fault:
                field, fault = ("", record.fault) if record.fault else self._unfit(cells)
                cells = [marked(cell, self.encoding) for cell in cells]
                if fault:
                    yield Row(number=number, line=line, raw=cells, fault=fault, field=field)
                    continue
            if (longest := max(map(len, cells))) > LONGEST:
                fault = f"has a cell of {longest:,} characters; at most {LONGEST:,} are read"
                yield Row(number=number, line=line, raw=cells, fault=fault)
            elif len(cells) == width:
                values = {name: cell for name, cell in zip(self.columns, cells, strict=True) if name not in _IGNORED}
                identity = cells[place] if place >= 0 else ""
                yield Row(number=number, line=line, values=values, raw=cells, identity=identity)
            else:
                fault = f"has {len(cells):,} cells where the header has {width:,} columns"
                yield Row(number=number, line=line, raw=cells, fault=fault)

    def _unfit(self, cells: Sequence[str]) -> tuple[str, str]:
        """The column of the first cell that is no text, and what is wrong with it."""
        for name, cell in zip_longest(self.columns, cells, fillvalue=""):
            if name not in _IGNORED and not fit(cell) and (fault := word(cell, self.encoding)):
                return name, self._told(fault, cell)
        return "", ""

    def _told(self, fault: str, text: str) -> str:
        """The fault of a text, with what can be said of the file's encoding when it holds what its encoding has not."""
        if self.encoding == "utf-16" or marked(text, self.encoding) == text:
            return fault
        if self._family is None:
            self._family = family(self.path)
        return fault + self._family

    def _jsonl(self) -> Iterator[Row]:
        with self.path.open(encoding=self.encoding, errors=errors_of(self.encoding)) as file:
            number = 0
            for line, text in enumerate(file, 1):
                stripped = text.strip()
                if not stripped:
                    continue
                number += 1
                yield self._object(number, line, stripped)

    def _object(self, number: int, line: int, text: str) -> Row:
        if "\0" in text:
            return Row(number=number, line=line, raw=marked(text, self.encoding), fault=word("\0", self.encoding))
        unfit = not fit(text)
        raw = marked(text, self.encoding) if unfit else text
        members, fault, field = read_object(raw)
        values = {name: cell for name, cell in members.items() if name not in _IGNORED}
        if unfit:
            found = first_marked(values)
            if raw != text and (found or fault):
                field, fault = found[0] if found else "", self._told(word(text, self.encoding), text)
            elif found:
                field, fault = found[0], word(found[1], self.encoding)
        if field and fault == TWICE and field in members:
            # Of a member given twice the file of failed rows would keep one: so it gets the line as it is.
            raw = UNREAD + raw
        if ADDED_LINE in members and not values:
            fault = f"still is a line that could not be read: write the row in place of `{ADDED_LINE}`"
        identity = str(members.get(ADDED_IDENTITY, ""))
        if fault:
            return Row(number=number, line=line, raw=raw, fault=fault, field=printable(field, 100), identity=identity)
        return Row(number=number, line=line, values=values, raw=raw, identity=identity)


def _chosen(rows: Iterable[Row], identities: Mapping[int, str]) -> Iterator[Row]:
    for row in rows:
        if row.number in identities:
            row.identity = identities[row.number] or row.identity
            yield row


def read_object(text: str) -> tuple[dict[str, Any], str, str]:
    """One line of JSON Lines as a mapping; or the word on why it is none, and the member at fault, if it is one."""
    try:
        value: Any = _json.decode(text)
        if not is_mapping(value):
            return {}, "is not a JSON object", ""
        twice = given_twice(text, value)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return {}, f"is not valid JSON: {error}", ""
    except ArithmeticError:
        return {}, "is not valid JSON that can be read: it holds a number with an immense exponent", ""
    return dict(value), TWICE if twice else "", twice


def open_rows(path: str | Path) -> RowFile:
    """Opens a CSV or JSON Lines file for reading.

    Recognised by themselves: the separator (comma, semicolon, tab, bar) and the encoding (UTF-8 with or without a
    byte order mark, UTF-16 with one). JSON Lines by its name (.jsonl, .ndjson) or by a first character `{`.

    Raises InputError, in one sentence, for a file that is not there, is empty, has no rows, is in another encoding,
    has a quote that leaves open where rows end, or names a column twice or not at all. What is wrong in one row only,
    be it bytes that are no text, is that row's fault.
    """
    path = Path(path)
    try:
        if stat.S_IFMT(path.stat().st_mode) in {stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK}:
            raise InputError(f"{path}: is a pipe, which cannot be read twice; save the rows in a file")
        with path.open("rb") as file:
            start = file.read(1 << 16)
    except FileNotFoundError:
        raise InputError(f"{path}: there is no such file") from None
    except OSError as error:
        raise InputError(f"{path}: cannot be read: {error.strerror or error}") from None
    if not start:
        raise InputError(f"{path}: the file is empty")
    if b"\0" in start[:4] and not start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise InputError(f"{path}: line 1 {_ZERO}")
    encoding = _encoding(start)
    if encoding == "utf-16":
        _check_utf_16(path)
    with path.open(encoding=encoding, errors=errors_of(encoding), newline="") as file:
        head = next((line for line in file if line.strip()), "")
    if not head:
        raise InputError(f"{path}: the file is empty")
    if path.suffix.lower() in {".jsonl", ".ndjson"} or head.lstrip().startswith("{"):
        return _open_jsonl(path, encoding)
    if head.lstrip().startswith("["):
        raise InputError(f"{path}: is one JSON list; give JSON Lines, one object a line")
    return _open_csv(path, encoding)


def _open_jsonl(path: Path, encoding: str) -> RowFile:
    with path.open(encoding=encoding, errors=errors_of(encoding)) as file:
        count = sum(1 for line in file if line.strip())
    return RowFile(path, format="jsonl", encoding=encoding, count=count)


def _open_csv(path: Path, encoding: str) -> RowFile:
    separator, columns = _header(path, encoding)
    names = [name.strip() for name in columns]
    for position, name in enumerate(names, 1):
        if not name:
            raise InputError(f"{path}: column {position} has no name in the header")
    twice = [name for name, times in Counter(names).items() if times > 1]
    if twice:
        raise InputError(f"{path}: the header names {_listed(twice)} more than once")
    count = sum(1 for _ in records(path, encoding, separator)) - 1
    if count < 1:
        raise InputError(f"{path}: there is a header but not one row")
    return RowFile(path, format="csv", encoding=encoding, separator=separator, columns=tuple(names), count=count)


def _header(path: Path, encoding: str) -> tuple[str, list[str]]:
    """The separator that splits the header into most columns, and those columns."""
    best = ",", list[str]()
    for separator in SEPARATORS:
        with path.open(encoding=encoding, errors=errors_of(encoding), newline="") as file:
            try:
                cells = _first(csv.reader(file, delimiter=separator, strict=True))
            except csv.Error:
                continue
        if len(cells) > len(best[1]):
            best = separator, cells
    if not best[1]:
        raise InputError(f"{path}: line 1: the quotes of the header do not match")
    text = "".join(best[1])
    if "\0" in text:
        raise InputError(f"{path}: the header {_ZERO}")
    if marked(text, encoding) != text:
        like = family(path) if encoding != "utf-16" else ""
        raise InputError(f"{path}: the header {word(text, encoding)} and try again{like}")
    return best


def _first(rows: Iterator[list[str]]) -> list[str]:
    for cells in rows:
        if cells:
            return cells
    return []


def _encoding(start: bytes) -> str:
    if start.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return "utf-16"
    return "utf-8-sig" if start.startswith(codecs.BOM_UTF8) else "utf-8"


def _check_utf_16(path: Path) -> None:
    """Raises InputError where a byte is missing, for nobody can tell where."""
    if path.stat().st_size % 2:
        raise InputError(f"{path}: is not valid UTF-16, for a byte is missing or too many; save the file as UTF-8")


def _listed(names: list[str]) -> str:
    listed = ", ".join(f"`{printable(name, 100)}`" for name in names[:_LISTED])
    return f"{listed} and {len(names) - _LISTED:,} others" if len(names) > _LISTED else listed


def digest_of_row(row: Row) -> str:
    """What tells a row, as it stands in the input, from another."""
    try:
        text = repr(row.raw if row.raw is not None else row.values)
    except Exception:  # noqa: BLE001 - whatever a caller puts into a row, it must not harm the others
        text = f"row {row.number}, which cannot be shown"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
