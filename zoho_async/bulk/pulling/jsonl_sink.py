"""Pulled records in a JSON Lines file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from decimal import Decimal
from pathlib import Path
from typing import IO, Any

import msgspec

from zoho_async._atomic_file import AtomicFile, remove_leftovers
from zoho_async._typeguards import is_mapping
from zoho_async.bulk.errors import InputError

from .id_index import IdSet
from .sink import Missing, Record


class JsonLinesSink:
    """One record a line, as Zoho sent it: with details the record in full, else the list's row.

    The file is complete or it is the earlier one. A record of the earlier file that the list lacks keeps its line,
    unless it is deleted.
    """

    def __init__(self, path: Path, record_id: str, *, details: bool) -> None:
        self._path = path
        self._record_id = record_id
        self._details = details
        self._target: AtomicFile | None = None
        self._lines: IO[str] | None = None
        self._brought = IdSet()

    def open(self) -> None:
        try:
            self._target = AtomicFile(self._path)
            self._lines = self._opened(self._target)
        except OSError as error:
            self.abandon()
            raise InputError(f"{self._path}: cannot be written: {error.strerror or error}") from None
        remove_leftovers(self._path)

    def rows(self, records: Sequence[Record]) -> None:
        self._brought.add(record.id for record in records)
        if not self._details:
            self._write([record.raw for record in records])

    def details(self, found: Sequence[tuple[Record, bytes]]) -> None:
        self._write([raw for _, raw in found])

    def missing(self) -> Missing:
        known = 0
        ids: dict[str, None] = {}
        for record_id, _ in self._earlier():
            known += 1
            if record_id not in self._brought:
                ids[record_id] = None
        return Missing(known=known, ids=list(ids))

    def finish(self, deleted: Collection[str]) -> None:
        assert self._target is not None
        self._brought.add(deleted)
        for record_id, raw in self._earlier():
            if record_id not in self._brought:
                self._write([raw])
        self._complete(self._target)
        self._target.commit()
        self.abandon()

    def abandon(self) -> None:
        self._brought.close()
        if self._target is not None:
            self._target.discard()

    def _opened(self, target: AtomicFile) -> IO[str]:
        """The file that the lines go to."""
        return target.file

    def _complete(self, target: AtomicFile) -> None:
        """Writes what can only be written at the end."""

    def _earlier(self) -> Iterator[tuple[str, bytes]]:
        """Id and JSON of each record of the earlier file; lines that are none are left out."""
        try:
            with self._path.open("rb") as file:
                for line in file:
                    if record_id := _id_in(line, self._record_id):
                        yield record_id, line.strip()
        except OSError:
            # There is no earlier file.
            return

    def _write(self, raws: Sequence[bytes]) -> None:
        assert self._lines is not None
        self._lines.writelines(f"{one_line(raw)}\n" for raw in raws)


def _id_in(line: bytes, name: str) -> str:
    """The id in a line of JSON; empty when it has none."""
    try:
        record: Any = _lines.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return ""
    value: Any = record.get(name) if is_mapping(record) else None
    return str(value) if isinstance(value, str | int) else ""


_lines = msgspec.json.Decoder(float_hook=Decimal)


def one_line(raw: bytes) -> str:
    """JSON text without line breaks, which it can have only between its tokens."""
    return raw.decode().replace("\r", " ").replace("\n", " ")
