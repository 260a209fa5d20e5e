"""Pulled records in a CSV file."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping
from typing import IO, Any

import msgspec

from zoho_async._atomic_file import AtomicFile
from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.source.csv_file import write_row
from zoho_async.bulk.source.formula_cells import escape_cell, unescape_cell
from zoho_async.wire.lenient import untyped

from .jsonl_sink import JsonLinesSink

_LONGEST_CELL = 1 << 27
"""Characters of a cell of an earlier file."""


class CsvSink(JsonLinesSink):
    """One record a row, nested members as dotted columns; the header is the union of what the records have.

    No cell is a formula to a spreadsheet, see `escape_cell`.

    The union is known only at the end, so until then the lines are in a temporary file.
    """

    def _complete(self, target: AtomicFile) -> None:
        columns = list(dict.fromkeys(name for record in self._records() for name in flat(record)))
        # Without it spreadsheets take the text for their own code page.
        target.file.write("\ufeff")
        write_row(target.file, map(escape_cell, columns))
        for record in self._records():
            cells = flat(record)
            write_row(target.file, (escape_cell(cells.get(name, "")) for name in columns))

    def _earlier(self) -> Iterator[tuple[str, bytes]]:
        # A cell may be longer than the limit, which is the whole process's.
        usual = csv.field_size_limit(_LONGEST_CELL)
        try:
            with self._path.open(encoding="utf-8-sig", newline="") as file:
                reader = csv.reader(file)
                header = next(reader, None) or []
                columns = [unescape_cell(name) for name in header]
                for row in reader if self._record_id in columns else ():
                    cells = {name: unescape_cell(cell) for name, cell in zip(columns, row, strict=False) if cell}
                    if record_id := cells.get(self._record_id):
                        yield record_id, msgspec.json.encode(cells)
        except (FileNotFoundError, UnicodeDecodeError, csv.Error):
            # There is no earlier file, or it is none of ours.
            return
        finally:
            csv.field_size_limit(usual)

    def abandon(self) -> None:
        if self._lines is not None:
            self._lines.close()
        super().abandon()

    def _opened(self, target: AtomicFile) -> IO[str]:
        # In the target's folder, which has room for it; without a name, so that a killed process leaves nothing.
        return tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=target.temporary.parent)

    def _records(self) -> Iterator[dict[str, Any]]:
        assert self._lines is not None
        self._lines.seek(0)
        for line in self._lines:
            yield untyped(line.encode())


def flat(record: Mapping[str, Any], prefix: str = "") -> dict[str, str]:
    """A record as columns and texts: `billing_address.city`, `contact_persons[0].email`; numbers digit by digit."""
    columns: dict[str, str] = {}
    for key, value in record.items():
        _flatten(f"{prefix}{key}", value, columns)
    return columns


def _flatten(name: str, value: Any, columns: dict[str, str]) -> None:
    if is_mapping(value) and value:
        columns.update(flat(value, f"{name}."))
    elif is_sequence(value) and value:
        for place, item in enumerate(value):
            _flatten(f"{name}[{place}]", item, columns)
    elif isinstance(value, bool):
        columns[name] = "true" if value else "false"
    elif value is None:
        columns[name] = ""
    elif is_mapping(value) or is_sequence(value):
        columns[name] = "{}" if is_mapping(value) else "[]"
    else:
        columns[name] = str(value)
