"""The file of failed rows: the input's own format, the reason beside each row, ready to be mended and pushed."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any, TextIO

import msgspec

from .problems import InputError
from .readers import ADDED, ADDED_LINE, Row, RowFile


class FailedFile:
    """Collects failed rows into `<stem>.failed.<ext>` beside the input. Use as a context manager.

    Written under another name and moved into place at the end, so that it is never half there. When no row failed
    and the caller says that all were tried (`finished`), one left by an earlier run is removed; a file of that name
    that is not ours is never touched (InputError at once).
    """

    def __init__(self, source: RowFile) -> None:
        self._source = source
        self.path = failed_path(source.path)
        self._part = self.path.with_name(f"{self.path.name}.part")
        self._file: TextIO | None = None
        self._writer: Any = None
        self.count = 0
        self.finished = False
        if self.path.exists() and not _ours(self.path):
            raise InputError(f"{self.path}: stands where failed rows would be written and is not ours; move it away")

    def __enter__(self) -> FailedFile:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
            self._part.replace(self.path)
        elif self.finished:
            self.path.unlink(missing_ok=True)

    def add(self, row: Row, *, reason: str, code: str = "", field: str = "") -> None:
        """Adds one row as it stood in the input."""
        if self._file is None:
            self._open()
        self.count += 1
        added = (str(row.number), reason, code, field)
        if self._source.format == "csv":
            cells: list[str] = list(row.raw)
            width = len(self._source.columns)
            padded = [*cells, *[""] * (width - len(cells))]
            kept = [cell for cell, name in zip(padded, self._source.columns, strict=False) if name not in ADDED]
            # Cells beyond the header go behind our own, so that none is lost.
            self._writer.writerow([*kept, *added, *cells[width:]])
        else:
            assert self._file is not None
            self._file.write(_object_with(row, added) + "\n")

    def _open(self) -> None:
        source = self._source
        # The handle lives as long as this object; __exit__ closes it.
        self._file = self._part.open("w", encoding=source.encoding, newline="" if source.format == "csv" else "\n")
        if source.format == "csv":
            self._writer = csv.writer(self._file, delimiter=source.separator, lineterminator="\n")
            self._writer.writerow([*(name for name in source.columns if name not in ADDED), *ADDED])


def failed_path(path: Path) -> Path:
    """Where the failed rows of an input go."""
    return path.with_name(f"{path.stem}.failed{path.suffix}")


def _object_with(row: Row, added: tuple[str, ...]) -> str:
    text = str(row.raw)
    try:
        # Raw keeps every member as it was written, digit by digit.
        members: dict[str, Any] = dict(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
    except (msgspec.MsgspecError, ValueError):
        members = {ADDED_LINE: text}
    members |= dict(zip(ADDED, (row.number, *added[1:]), strict=True))
    return msgspec.json.encode(members).decode()


def _ours(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            head = file.read(1 << 16)
    except OSError:
        return False
    text = head.decode("utf-16" if head[:2] in {b"\xff\xfe", b"\xfe\xff"} else "utf-8", "replace")
    return all(name in text for name in ADDED)
