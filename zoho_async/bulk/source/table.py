"""What CSV files and Excel sheets have in common: a header, then one row a record."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import Literal

from zoho_async.bulk.errors import InputError, printable

from .reading import SEARCHED, Header, LineCells, Reading, check_header, find_header
from .row import ADDED_IDENTITY, IGNORED, LONGEST, Row
from .text import comparable, excerpt, is_filled, listed, strip_all, strip_blanks

_QUOTED = re.compile(r"'.+'|`.+[`´]|‘.+’|“.+”|„.+[“”]|«.+»")
"""A cell in quotes that CSV does not know."""

Records = Callable[[], Iterator[LineCells]]


class Table:
    """One table whose header has been checked; `records` opens it.

    Attributes:
        columns: Names of the columns, in order.
        count: Number of its rows.
        header_row: Line of the header.
        notes: What was left out, as sentences.
    """

    format: Literal["csv"] = "csv"

    def __init__(
        self,
        path: Path,
        records: Records,
        header: Header,
        reading: Reading,
        separator: str = ",",
        wanted: frozenset[str] = frozenset(),
    ) -> None:
        """Reads the table once. `wanted`: the columns that a mapping reads; of any other there may be several.

        Raises:
            InputError: A column has no name or another's, or there is no row.
        """
        self._path = path
        self._records = records
        self._header = header
        self.header_row = header.line
        self._skipped = tuple(text.casefold() for text in reading.skip_rows)
        self.separator = separator
        self.notes: list[str] = []
        names = [strip_blanks(name) for name in header.cells]
        nameless = self._count(names)
        self._places = [place for place, name in enumerate(names) if name]
        self.columns = tuple(names[place] for place in self._places)
        self._width, self._least = len(names), (self._places or [0])[-1] + 1
        self._note(header, nameless)
        doubled = [name for name, times in Counter(self.columns).items() if times > 1]
        if wanted:
            doubled = [name for name in doubled if comparable(name) in wanted]
        if doubled:
            raise InputError(f"{path}: the header names {listed(doubled)} more than once; rename or delete all but one")
        self.columns = tuple(_numbered(self.columns))
        if self.columns and all(_QUOTED.fullmatch(name) for name in self.columns):
            first = printable(self.columns[0], 40)
            raise InputError(
                f"{path}: line {header.line}: its cells are in quotes of another kind ({first}); write double quotes "
                '("), or none'
            )
        if not self.columns:
            raise InputError(f"{path}: line {header.line}, which should be the header, names no column")
        if not self.count:
            raise InputError(f"{path}: there is a header but not one row")

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the file."""
        columns, places, width = self.columns, self._places, self._width
        key = columns.index(ADDED_IDENTITY) if ADDED_IDENTITY in columns else -1
        whole = len(places) == width and not IGNORED.intersection(columns)
        number = 0
        for line, cells in self._below():
            text = "".join(cells)
            if not strip_blanks(text) or (self._skipped and self._is_skipped(cells)):
                continue
            number += 1
            # Without the cells of nameless columns, which are empty.
            raw = cells if whole else [cells[place] for place in places if place < len(cells)] + cells[width:]
            if len(text) > LONGEST and (longest := max(map(len, cells))) > LONGEST:
                fault = f"has a cell of {longest:,} characters; at most {LONGEST:,} are read"
            elif len(cells) < self._least or (len(cells) > width and is_filled(cells[width:])):
                fault = f"has {len(cells):,} cells where the header has {self._least:,} columns"
                if len([cell for cell in cells if cell]) == 1 and self._least > 2:
                    fault += f", and its only text is {excerpt(printable(next(filter(None, cells))))}: a footer?"
                elif len(cells) < self._least:
                    fault += "; if it was not cut off, end it with empty cells"
                else:
                    fault += f"; put a cell that has {self.separator!r} in it into quotes"
            elif whole:
                values = dict(zip(columns, strip_all(cells, text), strict=False))
                yield Row(number=number, line=line, values=values, raw=cells)
                continue
            else:
                values = {
                    name: strip_blanks(cells[place])
                    for name, place in zip(columns, places, strict=True)
                    if name not in IGNORED
                }
                identity = cells[places[key]] if key >= 0 else ""
                yield Row(number=number, line=line, values=values, raw=raw, identity=identity)
                continue
            yield Row(number=number, line=line, raw=raw, fault=fault)

    def first_values(self, names: Collection[str]) -> dict[str, str]:
        """The first value of each of some columns, in order; columns without any value are left out."""
        left = {place: name for name, place in zip(self.columns, self._places, strict=True) if name in names}
        found: dict[str, str] = {}
        for _, cells in self._below():
            for place in [one for one in left if one < len(cells) and is_filled((cells[one],))]:
                found[left.pop(place)] = strip_blanks(cells[place])
            if not left:
                break
        return {name: found[name] for name in self.columns if name in found}

    def _below(self) -> Iterator[LineCells]:
        """The records below the header."""
        line = self._header.line
        return (record for record in self._records() if record[0] > line)

    def _count(self, names: Sequence[str]) -> int:
        """Counts the rows; the number of columns without a name, which must be empty to the last row."""
        nameless = [place for place, name in enumerate(names) if not name]
        self.count = self._blank = 0
        self._skipped_rows: list[str] = []
        for line, cells in self._below():
            if not is_filled(cells):
                self._blank += 1
                continue
            if self._skipped and self._is_skipped(cells):
                self._skipped_rows.append(f"line {line} ({excerpt(printable(next(filter(None, cells))))})")
                continue
            self.count += 1
            for place in nameless:
                if place < len(cells) and is_filled((cells[place],)):
                    raise InputError(
                        f"{self._path}: column {place + 1} has no name in the header, but line {line} has "
                        f"{excerpt(printable(cells[place]))} in it; give it a name, delete it, or name the line of the "
                        f"header in a mapping ([read] header_row), if it is not line {self._header.line}"
                    )
        return len(nameless)

    def _is_skipped(self, cells: Sequence[str]) -> bool:
        first = next((text for cell in cells if (text := strip_blanks(cell))), "")
        return first.casefold().startswith(self._skipped)

    def _note(self, header: Header, nameless: int) -> None:
        before = [next((cell for cell in cells if cell), "") for _, cells in header.before]
        if any(before):
            texts = ", ".join(excerpt(printable(text)) for text in before if text)
            self.notes.append(f"the header is line {header.line}; left out before it: {texts}")
        if self._blank:
            self.notes.append(f"{self._blank:,} row{'s' * (self._blank > 1)} without any value left out")
        if nameless:
            self.notes.append(
                f"{nameless:,} column{'s' * (nameless > 1)} without a name and without any value left out"
            )
        if self._skipped_rows:
            texts = ", ".join(self._skipped_rows[:10])
            more = f" and {len(self._skipped_rows) - 10:,} more" if len(self._skipped_rows) > 10 else ""
            self.notes.append(f"rows left out as the mapping says (skip_rows): {texts}{more}")


def _numbered(names: Sequence[str]) -> Iterator[str]:
    """The names, the second and further of one name with a number behind: `Phone (2)`."""
    seen = set(names)
    times: Counter[str] = Counter()
    for name in names:
        times[name] += 1
        if times[name] == 1:
            yield name
            continue
        while (made := f"{name} ({times[name]})") in seen:
            times[name] += 1
        seen.add(made)
        yield made


def header_of(path: Path, records: Records, reading: Reading, wanted: frozenset[str]) -> Header:
    """The header of a table.

    Raises:
        InputError: There is none.
    """
    sample = list(islice(records(), max(SEARCHED, reading.header_row)))
    if not reading.header_row:
        sample = [(line, cells) for line, cells in sample if is_filled(cells)]
    if not sample:
        raise InputError(f"{path}: the file is empty")
    header = find_header(path, sample, reading.header_row, wanted)
    if not reading.header_row and not header.hits:
        check_header(path, header, sample)
    return header


def wanted_names(names: Sequence[str]) -> frozenset[str]:
    """Names of columns as headers are searched for them."""
    return frozenset(map(comparable, names))
