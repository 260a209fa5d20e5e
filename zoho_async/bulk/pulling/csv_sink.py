"""Records into CSV."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence

from .jsonl_sink import LinesSink

_json = msgspec.json.Decoder(float_hook=Decimal)


class CsvSink(LinesSink):
    """One record a row, nested members as dotted columns; the header is the union of what the records have.

    The union is known only at the end, so the records wait in a file of JSON Lines beside it.
    """

    def finish(self, *, full: bool) -> int:
        self._close()
        columns = list(dict.fromkeys(name for record in self._records() for name in flat(record)))
        table = self._path.with_name(f"{self._path.name}.table.part")
        try:
            with table.open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, columns, restval="", lineterminator="\n")
                writer.writeheader()
                writer.writerows(flat(record) for record in self._records())
            table.replace(self._path)
        finally:
            table.unlink(missing_ok=True)
            self._part.unlink(missing_ok=True)
        return 0

    def _records(self) -> Iterator[dict[str, Any]]:
        with self._part.open(encoding="utf-8") as file:
            for line in file:
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
