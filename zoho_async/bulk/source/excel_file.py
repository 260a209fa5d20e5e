"""Excel workbooks (.xlsx), read with python-calamine; every cell becomes text, as CSV has it."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Iterator
from datetime import date, datetime, time
from decimal import Decimal
from html import unescape
from importlib import import_module
from typing import IO, Any

import msgspec

from zoho_async.bulk.errors import InputError, printable

from .content import Content
from .reading import LineCells, Reading
from .row import LostFormula
from .table import Table, header_of
from .text import listed

_EXACT = 10**15
"""From here on a spreadsheet's numbers have lost digits: they hold 15."""
_CELL = re.compile(rb"<row\b([^>]*)>|<c\b([^>]*?)(?:/>|>(.*?)</c>)", re.DOTALL)
_LETTERS = re.compile(rb'\br="([A-Z]{1,3})[1-9]')
_NUMBER = re.compile(rb'\br="([1-9][0-9]{0,6})"')
_VALUE = re.compile(rb"<v\b[^>]*>([^<]*)</v>")
_SHEET = re.compile(rb"<sheet\b[^>]*>")
_RELATION = re.compile(rb"<Relationship\b[^>]*>")


class LostCell(msgspec.Struct, frozen=True):
    """An error such as #N/A, or a formula without a stored value (`error` is empty); row from 1, column from 0."""

    row: int
    column: int
    error: str

    @property
    def name(self) -> str:
        """Its name in the sheet: C3."""
        letters, rest = "", self.column + 1
        while rest:
            rest, letter = divmod(rest - 1, 26)
            letters = chr(65 + letter) + letters
        return f"{letters}{self.row}"


def excel_table(content: Content, reading: Reading, wanted: frozenset[str]) -> Table:
    """A sheet of a workbook, in memory.

    Raises:
        InputError: python-calamine is not installed, the workbook is damaged or has a password, it has no such sheet,
            or the sheet has no header or no row.
    """
    name, rows, others, notes = _sheet(content, reading.sheet)

    def records() -> Iterator[LineCells]:
        return ((line, _texts(cells)) for line, cells in rows)

    try:
        header = header_of(content.path, records, reading, wanted)
        # Of its rejects, which are CSV.
        table = Table(content.path, records, header, reading, reading.separator or ",", wanted)
    except InputError as error:
        if not others:
            raise
        raise InputError(
            f"{error}; it is the sheet {listed([name])}; there is also {listed(others)}: name one in a mapping "
            "([read] sheet)"
        ) from None
    table.notes[:0] = notes
    if others:
        table.notes.insert(0, f"sheet {listed([name])} is read; left out: {listed(others)}")
    return table


def _sheet(content: Content, wanted: str) -> tuple[str, list[tuple[int, list[Any]]], list[str], list[str]]:
    """The name and the rows of a sheet, other sheets that hold something, and what is to be reported of it."""
    try:
        calamine: Any = import_module("python_calamine")
    except ModuleNotFoundError:
        raise InputError(
            f"{content.path}: reading Excel workbooks needs python-calamine: pip install 'zoho_async[excel]'; or save "
            "it as CSV"
        ) from None
    try:
        with content.open() as file:
            book = calamine.CalamineWorkbook.from_filelike(file)
        visible = [
            one.name
            for one in book.sheets_metadata
            if one.typ == calamine.SheetTypeEnum.WorkSheet
            and (one.visible == calamine.SheetVisibleEnum.Visible or one.name == wanted)
        ]
        if wanted and wanted not in visible:
            raise InputError(f"{content.path}: there is no sheet {listed([wanted])}; there is {listed(visible)}")
        found: dict[str, list[tuple[int, list[Any]]]] = {}
        starts: dict[str, int] = {}
        for name in [wanted] if wanted else visible:
            sheet: Any = book.get_sheet_by_name(name)
            cells: Iterator[list[Any]] = sheet.iter_rows()
            rows = list(enumerate(cells, 1))
            if any(any(cell != "" for cell in row) for _, row in rows):
                found[name] = rows
                starts[name] = sheet.start[1] if sheet.start is not None else 0
        if not found:
            raise InputError(f"{content.path}: the workbook is empty")
        first, *others = found
        with content.open() as file:
            lost = _lost_cells(file, first)
        return first, found[first], others, _restored(found[first], lost, starts[first])
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged workbook must not end in a traceback
        what = printable(str(error)) or type(error).__name__
        raise InputError(f"{content.path}: the workbook cannot be read ({what}); save it again as .xlsx") from None


def _restored(rows: list[tuple[int, list[Any]]], lost: list[LostCell], first: int) -> list[str]:
    """Puts errors into their cells, as CSV has them; names formulas without a value. `first`: the first column."""
    formulas: list[str] = []
    for one in lost:
        cells = rows[one.row - 1][1] if one.row <= len(rows) else []
        if 0 <= one.column - first < len(cells):
            cells[one.column - first] = one.error or LostFormula(one.name)
        if not one.error:
            formulas.append(one.name)
    if not formulas:
        return []
    more = f" and {len(formulas) - 10:,} more" if len(formulas) > 10 else ""
    return [
        f"formulas without a value in the file, read as empty: {', '.join(formulas[:10])}{more}; open it in a "
        "spreadsheet program and save it"
    ]


def _texts(cells: list[Any]) -> list[str]:
    return [cell if isinstance(cell, str) else _text(cell) for cell in cells]


def _text(cell: Any) -> str:
    """A cell as CSV has it. A number that lost digits keeps its exponent, by which it is refused as an id."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        if abs(cell) >= _EXACT:
            return f"{cell:E}"
        return str(int(cell)) if cell == int(cell) else format(Decimal(repr(cell)), "f")
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)


def _lost_cells(file: IO[bytes], sheet: str) -> list[LostCell]:
    """The cells of a sheet that calamine gives as empty."""
    with zipfile.ZipFile(file) as archive:
        part = _part(archive, sheet)
        if part not in archive.namelist():
            return []
        data = archive.read(part)
    return list(_lost(data)) if b't="e"' in data or b"<f" in data else []


def _lost(data: bytes) -> Iterator[LostCell]:
    row, column = 0, -1
    for match in _CELL.finditer(data):
        if match[1] is not None:
            row, column = int(found[1]) if (found := _NUMBER.search(match[1])) else row + 1, -1
            continue
        column += 1
        attributes, inner = match[2], match[3] or b""
        is_error = b't="e"' in attributes
        # A formula whose value is an empty text says that it is text.
        if not is_error and (b"<f" not in inner or b't="str"' in attributes):
            continue
        value = _VALUE.search(inner)
        if not is_error and value and value[1]:
            continue
        error = (unescape(value[1].decode(errors="replace")) if value else "#N/A") if is_error else ""
        # Some programs leave out where a cell stands: it follows the one before.
        place = _column(found[1]) if (found := _LETTERS.search(attributes)) else column
        yield LostCell(row=row, column=place, error=error)


def _column(letters: bytes) -> int:
    number = 0
    for letter in letters:
        number = 26 * number + letter - 64
    return number - 1


def _part(archive: zipfile.ZipFile, sheet: str) -> str:
    """The part of the workbook that holds a sheet; empty when it is not found."""
    try:
        sheets = archive.read("xl/workbook.xml")
        relations = archive.read("xl/_rels/workbook.xml.rels")
    except KeyError:
        return ""
    wanted = next((_attribute(one, b"r:id") for one in _SHEET.findall(sheets) if _attribute(one, b"name") == sheet), "")
    for one in _RELATION.findall(relations):
        if wanted and _attribute(one, b"Id") == wanted:
            target = _attribute(one, b"Target")
            return target.lstrip("/") if target.startswith("/") else f"xl/{target}"
    return ""


def _attribute(tag: bytes, name: bytes) -> str:
    found = re.search(rb"\s" + name + rb'="([^"]*)"', tag)
    return unescape(found[1].decode(errors="replace")) if found else ""
