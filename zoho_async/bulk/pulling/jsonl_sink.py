"""Pulled records in a JSON Lines file."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import IO

from zoho_async._atomic_file import AtomicFile, remove_leftovers
from zoho_async.bulk.errors import InputError

from .sink import Record


class JsonLinesSink:
    """One record a line, as Zoho sent it: with details the record in full, else the list's row.

    The file is complete or it is the earlier one.
    """

    remembers = False

    def __init__(self, path: Path, *, details: bool) -> None:
        self._path = path
        self._details = details
        self._target: AtomicFile | None = None
        self._lines: IO[str] | None = None

    def open(self) -> None:
        try:
            self._target = AtomicFile(self._path)
            self._lines = self._opened(self._target)
        except OSError as error:
            self.abandon()
            raise InputError(f"{self._path}: cannot be written: {error.strerror or error}") from None
        remove_leftovers(self._path)

    def stale(self, records: Sequence[Record]) -> list[Record]:
        return list(records)

    def rows(self, records: Sequence[Record]) -> None:
        if not self._details:
            self._write([record.raw for record in records])

    def details(self, found: Sequence[tuple[Record, bytes]]) -> None:
        self._write([raw for _, raw in found])

    def finish(self, *, full: bool) -> int:
        assert self._target is not None
        self._target.commit()
        return 0

    def abandon(self) -> None:
        if self._target is not None:
            self._target.discard()

    def _opened(self, target: AtomicFile) -> IO[str]:
        """The file that the lines go to."""
        return target.file

    def _write(self, raws: Sequence[bytes]) -> None:
        assert self._lines is not None
        self._lines.writelines(f"{one_line(raw)}\n" for raw in raws)


def one_line(raw: bytes) -> str:
    """JSON text without line breaks, which it can have only between its tokens."""
    return raw.decode().replace("\r", " ").replace("\n", " ")
