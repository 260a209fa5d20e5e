"""Pulled records in a CSV file."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import msgspec

from zoho_async._atomic_file import AtomicFile, remove_leftovers
from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import InputError

from .jsonl_sink import one_line
from .sink import Record

_json = msgspec.json.Decoder(float_hook=Decimal)


class CsvSink:
    """One record a row, nested members as dotted columns; the header is the union of what the records have.

    The union is known only at the end, so until then the records are in a temporary file of JSON Lines. The file is
    complete or it is the earlier one.
    """

    remembers = False

    def __init__(self, path: Path, *, details: bool) -> None:
        self._path = path
        self._details = details
        self._target: AtomicFile | None = None
        self._spool: IO[str] | None = None

    def open(self) -> None:
        try:
            self._target = AtomicFile(self._path)
            # In the target's folder, which has room for it; it has no name, so a killed process leaves nothing.
            self._spool = tempfile.TemporaryFile("w+", encoding="utf-8", newline="\n", dir=self._path.absolute().parent)
        except OSError as error:
            self.abandon()
            raise InputError(f"{self._path}: cannot be written: {error.strerror or error}") from None
        remove_leftovers(self._path)

    def stale(self, records: Sequence[Record]) -> list[Record]:
        return list(records)

    def rows(self, records: Sequence[Record]) -> None:
        if not self._details:
            self._keep([record.raw for record in records])

    def details(self, found: Sequence[tuple[Record, bytes]]) -> None:
        self._keep([raw for _, raw in found])

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
        if self._spool is not None:
            self._spool.close()
        if self._target is not None:
            self._target.discard()

    def _keep(self, raws: Sequence[bytes]) -> None:
        assert self._spool is not None
        self._spool.writelines(f"{one_line(raw)}\n" for raw in raws)

    def _records(self) -> Iterator[dict[str, Any]]:
        assert self._spool is not None
        self._spool.seek(0)
        for line in self._spool:
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
