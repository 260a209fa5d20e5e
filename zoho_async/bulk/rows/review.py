"""What a plan says of an input besides its rows: warnings, what becomes of each column, and cells that are changed."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.source.files import RowFile, strip_blanks
from zoho_async.bulk.state.database import Database

from .cells import InvalidCell
from .duplicates import DuplicateDetector
from .validate import RowReader, WorkItem, batched
from .warnings import RowWarning, WarningCounter, cell_warnings, folded, row_warnings

MOST_COLUMNS = 10_000
"""Columns that are kept of rows that each name their own."""


class PlanColumn(msgspec.Struct, kw_only=True):
    """What becomes of a column of the input.

    Attributes:
        column: Its name in the input; with a mapping it may be a template of several.
        field: The field that gets its cells.
        first: Its first value.
        changed: Cells that are written otherwise than they stand in the input: without blanks at their ends, with
            other words or another decimal mark.
    """

    column: str
    field: str
    first: str = ""
    changed: int = 0


class Review:
    """Collects what a plan reports of an input, some rows at a time; memory does not grow with them."""

    def __init__(self, reader: RowReader, rows: Any, database: Database) -> None:
        self._reader = reader
        self._seen = DuplicateDetector(database)
        self._counter = WarningCounter()
        self._names = rows.columns if isinstance(rows, RowFile) else ()
        mapped = rows.mapped if isinstance(rows, RowFile) else ()
        self._is_mapped = bool(mapped)
        self._uses = {
            (column, field): PlanColumn(column=column, field=field, first=first) for column, field, first in mapped
        }
        self._places: list[tuple[int, PlanColumn]] | None = None

    @property
    def warnings(self) -> list[RowWarning]:
        """The warnings so far."""
        return self._counter.found

    @property
    def columns(self) -> list[PlanColumn]:
        """The columns that had a value so far."""
        return [one for one in self._uses.values() if one.first]

    async def take(self, items: Sequence[WorkItem]) -> None:
        """Reviews some rows, in the order of the input."""
        for item in items:
            if not item.row.fault:
                self._row(item)
        named = [item for item in items if item.name]
        firsts = await self._seen.first(
            "folded", [(_scoped(item, folded(item.name)), item.row.number) for item in named]
        )
        exact = await self._seen.first("exact", [(_scoped(item, item.name), item.row.number) for item in named])
        for item, first, same in zip(named, firsts, exact, strict=True):
            # Equal names are another matter: they collide, or are allowed.
            if first != item.row.number == same:
                self._counter.add("similar_name", item.row.number, item.name_field, item.name)

    def _row(self, item: WorkItem) -> None:
        row, number = item.row, item.row.number
        named = self._reader.named(row)
        values: Mapping[str, Any] = named if is_mapping(named) else item.body
        columns = self._reader.columns
        leaves = list(columns.leaves(values))
        for name, cell in leaves:
            if cell is None or cell == "" or isinstance(cell, InvalidCell):
                continue
            text = strip_blanks(cell) if isinstance(cell, str) else cell
            for kind in cell_warnings(name, columns.field(name), text):
                self._counter.add(kind, number, name, str(text))
        # A row of a table has its cells, one of JSON its text.
        raw: Sequence[str] | None = row.raw if is_sequence(row.raw) else None
        for kind, text in row_warnings(
            raw if raw is not None else [cell for _, cell in leaves if isinstance(cell, str)]
        ):
            self._counter.add(kind, number, "", text)
        if raw is not None:
            self._cells(raw, values)
        elif not self._is_mapped:
            self._members(leaves)

    def _cells(self, raw: Sequence[str], values: Mapping[str, Any]) -> None:
        """Counts the changed cells of a row of a table."""
        if self._places is None:
            self._places = self._bound()
        for place, use in self._places:
            before = raw[place] if place < len(raw) else ""
            if not before:
                continue
            use.first = use.first or strip_blanks(before)
            after = values.get(use.field)
            use.changed += isinstance(after, str) and after != before

    def _bound(self) -> list[tuple[int, PlanColumn]]:
        """The place of each column in a row, and what becomes of it."""
        places = {name: place for place, name in enumerate(self._names)}
        if not self._is_mapped:
            targets = self._reader.intake.targets(self._names)
            for name, field in targets.items():
                if field:
                    self._uses[name, field] = PlanColumn(column=name, field=field)
        # A template of one column stands for it: `{Zip}`.
        names = [(use.column if use.column in places else use.column[1:-1], use) for use in self._uses.values()]
        return [(places[name], use) for name, use in names if name in places]

    def _members(self, leaves: Iterable[tuple[str, Any]]) -> None:
        """Counts the changed cells of a row that names its own columns."""
        for name, cell in leaves:
            if cell is None or cell == "" or isinstance(cell, InvalidCell):
                continue
            use = self._uses.get((name, name))
            if use is None:
                if len(self._uses) >= MOST_COLUMNS:
                    continue
                use = self._uses[name, name] = PlanColumn(column=name, field=name)
            use.first = use.first or strip_blanks(str(cell))
            use.changed += isinstance(cell, str) and strip_blanks(cell) != cell


async def refuse_warnings(reader: RowReader, rows: Iterable[Any], database: Database, batch: int) -> None:
    """Raises InputError when any row has a warning; reads all of them, so many at a time."""
    review = Review(reader, rows, database)
    for some in batched(rows, batch):
        await review.take([reader.read(row) for row in some])
    if review.warnings:
        where = f"{rows.path}: " if isinstance(rows, RowFile) else ""
        sentences = "; ".join(one.sentence for one in review.warnings)
        raise InputError(f"{where}strict, and there are warnings: {sentences}")


def _scoped(item: WorkItem, name: str) -> str:
    return f"{item.name_scope}={name}"
