"""Rows of a file as a mapping says: bound to its columns once, then made row by row."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from fnmatch import translate
from pathlib import Path
from typing import Any, Literal, Protocol

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import InputError, UnknownColumnError, printable

from .mapping import FileMapping, Grouping
from .reading import Reading
from .row import ADDED_LINE, IGNORED, Row
from .table import Table
from .templates import Cell, Template, columns_of
from .text import comparable, excerpt, listed, strip_blanks

_IGNORED = 100
"""Columns that go nowhere that are named."""
_NOTED = 10
"""Values left out that are named."""


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
    @property
    def header_row(self) -> int: ...
    @property
    def notes(self) -> list[str]:
        """What was left out of the file, as sentences."""
        ...

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the file."""
        ...


class MappedRows:
    """The rows of a reader, mapped. A reader itself.

    Attributes:
        columns: Of the file, in order.
        targets: The fields that its rows fill.
        count: Number of records.
        shown: What becomes of each column that has a value: column or template, field, first value.
    """

    def __init__(self, path: Path, reader: Reader, mapping: FileMapping) -> None:
        """Binds a mapping to the columns of a file.

        Raises:
            UnknownColumnError: The file has columns of which the mapping says nothing, or lacks one that it names.
            InputError: No column of the file is in the mapping.
        """
        self.format: Literal["csv", "jsonl"] = reader.format
        self.separator = reader.separator
        self.columns = reader.columns
        self.header_row = reader.header_row
        self._path = path
        self._reader = reader
        self._mapping = mapping
        self._reading: Reading | None = mapping.reading
        if (mapping.reading.decimal, mapping.reading.yes, mapping.reading.no) == (".", (), ()):
            self._reading = None
        names = reader.columns or tuple(dict.fromkeys(name for row in reader.rows() for name, _ in _flat(row.values)))
        self._left_out: list[str] = []
        self._left_out_count = 0
        self._bind([name for name in names if name not in IGNORED])
        self.count = reader.count if mapping.group is None else sum(1 for _ in self.rows())
        values = self._first_values(reader)
        self._fixed_notes = [*reader.notes, *self._ignored_note(values)]
        self.shown = self._shown(values)

    @property
    def made_for(self) -> tuple[str, str]:
        """The mapping's name, and the resource that it is for; empty: any."""
        mapping = self._mapping
        return mapping.name, f"{mapping.product}.{mapping.resource}" if mapping.product and mapping.resource else ""

    @property
    def notes(self) -> list[str]:
        """What was left out, the values of the rows that were read last included."""
        more = self._left_out_count - len(self._left_out)
        return [*self._fixed_notes, *self._left_out, *([f"{more:,} more values left out"] if more > 0 else [])]

    def rows(self) -> Iterator[Row]:
        """Every record, in the order of the file."""
        self._left_out, self._left_out_count = [], 0
        mapped = (self._mapped(row) for row in self._reader.rows())
        group = self._mapping.group
        if group is None:
            yield from (row for row, _ in mapped)
            return
        yield from self._grouped(mapped, group)

    def _bind(self, names: Sequence[str]) -> None:
        mapping, path = self._mapping, self._path
        by_name: dict[str, list[str]] = {}
        for name in names:
            by_name.setdefault(comparable(name), []).append(name)
        self._names = {key: found[0] for key, found in by_name.items()}
        columns = self._columns(names)
        group = mapping.group
        grouped = [column for templates in group.fields.values() for column in columns_of(templates)] if group else []
        alone = [*columns, *(group.by if group and len(group.by) == 1 else ())]
        tried = [*columns_of([one for templates in mapping.fields.values() for one in templates]), *grouped]
        missing = [name for name in (*alone, *tried) if comparable(name) not in self._names]
        if missing and not mapping.optional_columns:
            # Of several the first filled counts: one must be there.
            needed = [*alone, *(name for name in tried if not self._is_optional(name))]
            missing = [name for name in missing if name in needed]
            if missing:
                raise UnknownColumnError(
                    f"{path}: there is no column {listed(missing)}, which the mapping {mapping.name} names; the file "
                    f"has {listed(names)}",
                    missing,
                )
        used = {comparable(name) for name in (*alone, *tried, *(group.by if group else ()))}
        if not used & set(self._names):
            raise InputError(f"{path}: has none of the columns of the mapping {mapping.name}; it has {listed(names)}")
        patterns = [re.compile(translate(_pattern(one))) for one in mapping.ignore]
        unmapped = [name for name in names if comparable(name) not in used]
        self._ignored = [name for name in unmapped if any(one.match(_pattern(name)) for one in patterns)]
        unknown = [name for name in unmapped if name not in self._ignored]
        twice = [one for key, found in by_name.items() if len(found) > 1 and key in used for one in found]
        if twice:
            raise UnknownColumnError(f"{path}: {listed(twice)} count as one name; rename or delete all but one", twice)
        if unknown:
            raise UnknownColumnError(
                f"{path}: the mapping {mapping.name} says nothing of the column{'s' * (len(unknown) > 1)} "
                f"{listed(unknown)}: map them, or list them under ignore",
                unknown,
            )
        self.targets = self._bound_targets(columns)

    def _columns(self, names: Sequence[str]) -> dict[str, tuple[str, ...]]:
        """The columns to which the mapping gives fields; one with `*` stands for all that fit it, under their names."""
        given = {comparable(column) for column in self._mapping.columns}
        found: dict[str, tuple[str, ...]] = {}
        for column, targets in self._mapping.columns.items():
            # A star at the beginning is part of names too, as in Xero's `*ContactName`.
            if column != "*" and "*" not in column[1:]:
                found[column] = targets
                continue
            pattern = re.compile(translate(_pattern(column)))
            fitting = [name for name in names if pattern.match(_pattern(name)) and comparable(name) not in given]
            found.update({name: tuple(name if one == "*" else one for one in targets) for name in fitting})
        return found

    def _bound_targets(self, columns: Mapping[str, tuple[str, ...]]) -> tuple[str, ...]:
        """The fields for which the file has a column, and how each is made."""
        mapping = self._mapping
        self._plain = [
            (self._names[comparable(column)], target)
            for column, targets in columns.items()
            if comparable(column) in self._names
            for target in targets
        ]
        self._made = {
            target: templates
            for target, templates in mapping.fields.items()
            if any(comparable(name) in self._names for name in columns_of(templates))
        }
        self._together = {target for alternatives in mapping.objects for one in alternatives for target in one}
        self._alternatives = self._bound_alternatives()
        found = [target for _, target in self._plain]
        group = mapping.group
        if group is not None:
            found += [f"{group.into}[0].{field}" for field in group.fields]
        return tuple(dict.fromkeys([*found, *self._made, *mapping.constants]))

    def _bound_alternatives(self) -> list[str]:
        """The columns of the file that only stand beside others, of which the first filled counts."""
        group = self._mapping.group
        always = {name for name, _ in self._plain}
        always.update(self._names.get(comparable(name), "") for name in (group.by if group is not None else ()))
        tried: dict[str, None] = {}
        for templates in self._made.values():
            names = [self._names.get(comparable(name), "") for name in columns_of(templates)]
            if len(templates) > 1:
                tried.update(dict.fromkeys(names))
            else:
                always.update(names)
        return [name for name in tried if name and name not in always]

    def _is_optional(self, column: str) -> bool:
        """Whether every field that names a column has another one that the file has."""
        named = [templates for templates in self._mapping.fields.values() if column in columns_of(templates)]
        return bool(named) and all(
            len(templates) > 1 and any(comparable(one) in self._names for one in columns_of(templates))
            for templates in named
        )

    def _first_values(self, reader: Reader) -> dict[str, str]:
        """The first value of every column that has one."""
        if isinstance(reader, Table):
            return reader.first_values(reader.columns)
        found: dict[str, str] = {}
        for row in reader.rows():
            for name, text in _flat(row.values):
                if text:
                    found.setdefault(name, text)
        return found

    def _ignored_note(self, values: Mapping[str, str]) -> list[str]:
        ignored = [f"`{name}` ({excerpt(printable(values[name]))})" for name in self._ignored if name in values]
        more = f" and {len(ignored) - _IGNORED:,} others" if len(ignored) > _IGNORED else ""
        return [f"columns that go nowhere: {', '.join(ignored[:_IGNORED])}{more}"] if ignored else []

    def _shown(self, values: Mapping[str, str]) -> tuple[tuple[str, str, str], ...]:
        """Column or template, field and first value."""
        shown = [(name, target, values[name]) for name, target in self._plain if name in values]
        for target, templates in self._made.items():
            filled = [
                one
                for one in templates
                if any(self._names.get(comparable(name)) in values for name in columns_of([one]))
            ]
            texts = [
                "".join(part if isinstance(part, str) else f"{{{part.column}}}" for part in one.parts) for one in filled
            ]
            firsts = [
                values[name] for one in columns_of(filled) if (name := self._names.get(comparable(one), "")) in values
            ]
            if firsts:
                shown.append((" or ".join(texts), target, firsts[0]))
        return (*shown, *((f"always {value!r}", target, value) for target, value in self._mapping.constants.items()))

    def _mapped(self, row: Row) -> tuple[Row, Mapping[str, str]]:
        """A row with the fields as its values, and the cells they are made of."""
        if row.fault or (not row.values and isinstance(row.raw, str) and ADDED_LINE in row.raw):
            return row, {}
        cells: Mapping[str, str] = row.values if self.columns else dict(_flat(row.values))
        values = {target: cells.get(name, "") for name, target in self._plain}
        used: set[str] = set()
        for target, templates in self._made.items():
            if target not in self._together:
                values[target] = self._filled(templates, cells, row.line, used)
        for alternatives in self._mapping.objects:
            values.update(self._object(alternatives, cells, row.line, used))
        self._note_alternatives(cells, values, used, row.line)
        values.update(self._mapping.constants)
        for target, words in self._mapping.values.items():
            if text := values.get(target):
                values[target] = words.get(comparable(text), text)
        made = Row(
            number=row.number,
            line=row.line,
            values=values,
            raw=row.raw,
            identity=row.identity,
            reading=self._reading,
        )
        return made, cells

    def _note_alternatives(
        self, cells: Mapping[str, str], values: Mapping[str, str], used: set[str], line: int
    ) -> None:
        """Names the values that go nowhere because another column came first."""
        for name in self._alternatives:
            text = cells.get(name, "")
            # What another column says too is not lost.
            if text and name not in used and not set(text.split()) <= set(" ".join(values.values()).split()):
                self._leave_out(f"line {line}: {excerpt(printable(text), 80)} of {listed([name])} left out")

    def _filled(
        self, templates: Sequence[Template], cells: Mapping[str, str], line: int, used: set[str] | None = None
    ) -> str:
        """The first template that is filled; `used` gets its columns."""

        def get(column: str) -> str:
            return cells.get(self._names.get(comparable(column), ""), "")

        def cell_of(column: str) -> Cell:
            def leave_out(text: str) -> None:
                self._leave_out(f"line {line}: {excerpt(printable(text), 80)} of {listed([column])} left out")

            return Cell(self._mapping.reading, leave_out)

        for template in templates:
            if text := template.filled(get, cell_of):
                if used is not None:
                    used.update(self._names.get(comparable(hole.column), "") for hole in template.holes)
                return text
        return ""

    def _object(
        self,
        alternatives: Sequence[Mapping[str, Sequence[Template]]],
        cells: Mapping[str, str],
        line: int,
        used: set[str],
    ) -> dict[str, str]:
        """The fields of the first alternative that has any value."""
        for one in alternatives:
            found = {
                target: self._filled(templates, cells, line, used)
                for target, templates in one.items()
                if target in self._made
            }
            if any(found.values()):
                return found
        return {}

    def _leave_out(self, note: str) -> None:
        self._left_out_count += 1
        if len(self._left_out) < _NOTED:
            self._left_out.append(note)

    def _grouped(self, rows: Iterable[tuple[Row, Mapping[str, str]]], group: Grouping) -> Iterator[Row]:
        """Adjacent rows of one key as one record."""
        current: Row | None = None
        current_key, number, items = "", 0, 0
        seen: set[str] = set()
        for row, cells in rows:
            key = next(
                (text for name in group.by if (text := cells.get(self._names.get(comparable(name), ""), ""))), ""
            )
            if current is not None and key and key == current_key and not row.fault:
                items = self._join(current, row, cells, group, items)
                continue
            if current is not None:
                yield current
            number += 1
            current, current_key = row, key
            row.number = number
            items = 1 + max((place for place, _, _ in _items(row.values, group.into)), default=-1)
            if key and key in seen:
                row.fault = (
                    f"belongs to an earlier row with {excerpt(printable(key))} in {listed(group.by)}, but does not "
                    "follow it; sort the file by that column"
                )
                row.values = {}
            seen.add(key)
        if current is not None:
            yield current

    def _join(self, first: Row, row: Row, cells: Mapping[str, str], group: Grouping, items: int) -> int:
        """Adds a row to the record of the first; the number of items that it then has."""
        first.more = [*first.more, row.raw]
        own = {name: text for name, text in row.values.items() if not name.startswith(f"{group.into}[")}
        if group.fields:
            item = {field: self._filled(templates, cells, row.line) for field, templates in group.fields.items()}
            found = [(0, field, text) for field, text in item.items()]
            # What else the row has is not asked for: only what is not in the first row is worth a word.
            used = {comparable(one) for templates in group.fields.values() for one in columns_of(templates)}
            own = {
                target: text
                for name, target in self._plain
                if comparable(name) not in used and (text := own.get(target, ""))
            }
        else:
            found = list(_items(row.values, group.into))
        places = sorted({place for place, _, text in found if text})
        for place, field, text in found:
            if place in places:
                first.values[f"{group.into}[{items + places.index(place)}].{field}"] = text
        for target, text in own.items():
            if text and not first.values.get(target):
                first.values[target] = text
            elif text and text != first.values[target]:
                self._leave_out(
                    f"line {row.line}: {excerpt(printable(text), 80)} for {listed([target])} left out: line "
                    f"{first.line}, which it belongs to, has {excerpt(printable(first.values[target]), 80)}"
                )
        return items + len(places)


def _items(values: Mapping[str, str], into: str) -> Iterator[tuple[int, str, str]]:
    """Place, field and text of what goes into a list."""
    for name, text in values.items():
        if found := re.fullmatch(rf"{re.escape(into)}\[(\d+)\]\.(.+)", name):
            yield int(found[1]), found[2], text


def _pattern(name: str) -> str:
    """A name for comparing with patterns: `*` stays."""
    return "*".join(part if not part else comparable(part) for part in name.split("*"))


def _flat(value: Any, prefix: str = "") -> Iterator[tuple[str, str]]:
    """A nested row as columns and texts: `address.city`, `emails[0]`."""
    if is_mapping(value):
        for key, item in value.items():
            yield from _flat(item, f"{prefix}.{key}" if prefix else str(key))
    elif is_sequence(value):
        for place, item in enumerate(value):
            yield from _flat(item, f"{prefix}[{place}]")
    elif isinstance(value, bool):
        yield prefix, "true" if value else "false"
    elif value is not None:
        yield prefix, strip_blanks(str(value))
