"""Pulled records in a CSV file."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import IO, Any

import msgspec

from zoho_async._atomic_file import AtomicFile
from zoho_async._typeguards import is_mapping, is_sequence

from .jsonl_sink import JsonLinesSink

_json = msgspec.json.Decoder(float_hook=Decimal)


class CsvSink(JsonLinesSink):
    """One record a row, nested members as dotted columns; the header is the union of what the records have.

    The union is known only at the end, so until then the lines are in a temporary file.
    """

    def finish(self, *, full: bool) -> int:
        assert self._target is not None
        columns = list(dict.fromkeys(name for record in self._records() for name in flat(record)))
        writer = csv.DictWriter(self._target.file, columns, restval="", lineterminator="\n")
        writer.writeheader()
        writer.writerows(flat(record) for record in self._records())
        self._target.commit()
        self.abandon()
        return 0

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
            yield _json.decode(line)


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
