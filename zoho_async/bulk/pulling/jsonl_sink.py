"""Records into JSON Lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TextIO

from zoho_async.bulk.errors import InputError

from .sink import Record


class LinesSink:
    """One record a line, as Zoho sent it. With details, each line is the record in full instead of the list's row.

    Written under another name and moved into place at the end: the file is complete or it is the old one.
    """

    remembers = False

    def __init__(self, path: Path, *, details: bool) -> None:
        self._path = path
        self._details = details
        self._part = path.with_name(f"{path.name}.part")
        self._file: TextIO | None = None

    def open(self) -> None:
        try:
            self._file = self._part.open("w", encoding="utf-8", newline="\n")
        except OSError as error:
            raise InputError(f"{self._path}: cannot be written: {error.strerror or error}") from None

    def stale(self, records: Sequence[Record]) -> list[Record]:
        return list(records)

    def rows(self, records: Sequence[Record]) -> None:
        if not self._details:
            self._write([record.raw for record in records])

    def details(self, found: Sequence[tuple[Record, bytes]]) -> None:
        self._write([raw for _, raw in found])

    def finish(self, *, full: bool) -> int:
        self._close()
        self._part.replace(self._path)
        return 0

    def abandon(self) -> None:
        self._close()
        self._part.unlink(missing_ok=True)

    def _write(self, raws: Sequence[bytes]) -> None:
        assert self._file is not None
        # JSON text holds no line break outside its white space, which carries no meaning.
        self._file.writelines(f"{one_line(raw)}\n" for raw in raws)

    def _close(self) -> None:
        if self._file is not None:
            self._file.close()
            self._file = None


def one_line(raw: bytes) -> str:
    """JSON text without line breaks; anything else stays as it was written."""
    return raw.decode().replace("\r", " ").replace("\n", " ")
