"""Excel workbooks (.xlsx), read with python-calamine; every cell becomes text, as CSV has it."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date, datetime, time
from importlib import import_module
from typing import Any

from zoho_async.bulk.errors import InputError, printable

from .content import Content
from .reading import LineCells, Reading
from .table import Table, header_of
from .text import listed

_EXACT = 10**15
"""From here on a spreadsheet's numbers have lost digits: they hold 15."""


def excel_table(content: Content, reading: Reading, wanted: frozenset[str]) -> Table:
    """A sheet of a workbook, in memory.

    Raises:
        InputError: python-calamine is not installed, the workbook is damaged or has a password, it has no such sheet,
            or the sheet has no header or no row.
    """
    name, rows, others = _sheet(content, reading.sheet)

    def records() -> Iterator[LineCells]:
        return ((line, _texts(cells)) for line, cells in rows)

    header = header_of(content.path, records, reading, wanted)
    # Of its rejects, which are CSV.
    table = Table(content.path, records, header, reading, reading.separator or ",")
    if others:
        table.notes.insert(0, f"sheet {listed([name])} is read; left out: {listed(others)}")
    return table


def _sheet(content: Content, wanted: str) -> tuple[str, list[tuple[int, list[Any]]], list[str]]:
    """The name and the rows of a sheet, and other sheets that hold something."""
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
        for name in [wanted] if wanted else visible:
            cells: Iterator[list[Any]] = book.get_sheet_by_name(name).iter_rows()
            rows = list(enumerate(cells, 1))
            if any(any(cell != "" for cell in row) for _, row in rows):
                found[name] = rows
    except InputError:
        raise
    except Exception as error:  # noqa: BLE001 - a damaged workbook must not end in a traceback
        what = printable(str(error)) or type(error).__name__
        raise InputError(f"{content.path}: the workbook cannot be read ({what}); save it again as .xlsx") from None
    if not found:
        raise InputError(f"{content.path}: the workbook is empty")
    name, *others = found
    return name, found[name], others


def _texts(cells: list[Any]) -> list[str]:
    return [cell if isinstance(cell, str) else _text(cell) for cell in cells]


def _text(cell: Any) -> str:
    """A cell as CSV has it. A number that lost digits keeps its exponent, by which it is refused as an id."""
    if isinstance(cell, bool):
        return "true" if cell else "false"
    if isinstance(cell, int | float):
        if abs(cell) >= _EXACT:
            return f"{cell:E}"
        return str(int(cell)) if cell == int(cell) else repr(cell)
    if isinstance(cell, datetime):
        return cell.date().isoformat() if cell.time() == time() else cell.isoformat(sep=" ")
    return cell.isoformat() if isinstance(cell, date | time) else str(cell)
