"""The file of failed rows: the input's own format, the reason beside each row, ready to be mended and pushed."""

from __future__ import annotations

import csv
import hashlib
from collections.abc import Mapping
from itertools import count
from pathlib import Path
from typing import IO, Any

import msgspec

from zoho_async._atomic_file import OWNER_ONLY, AtomicFile, remove_leftovers
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.source.files import ADDED, ADDED_LINE, Row, RowFile, open_rows, read_object

NOT_TRIED = "was left undone by an earlier run and not tried again since"


class RejectsFile:
    """Collects failed rows into `<stem>.failed.<ext>` beside the input. Use as a context manager.

    Written under another name and moved into place at the end, so that it is never half there. When no row failed
    and the caller says that all were tried (`finished`), one left by an earlier run is removed. Somebody may be
    mending that one: unless its content is the one the caller `trusted`, it is kept under another name (`aside`).
    A file of that name that is not ours is never touched, and one that could not be written is found out before the
    run (InputError at once). When it turns out later that it cannot be written, nothing is raised: `unwritten` says
    why, and what is in the way stays. It has the permissions of the input, from its first row on.

    Where only some rows are tried again (`again`), what the file that is there says of the others stays.
    """

    def __init__(self, source: RowFile) -> None:
        self._source = source
        self.path = failed_path(source.path)
        self._part: AtomicFile | None = None
        self.count = 0
        self.unwritten = ""
        """Why it cannot be written, or removed when no row failed; empty when all is well."""
        self.finished = False
        self.trusted = ""
        """Digest of the content that an earlier run wrote, or that has been pushed since."""
        self.aside: Path | None = None
        self.digest = ""
        """Of the file that an earlier run left there."""
        self.written = ""
        """Digest of the file that this run wrote; empty until it stands in its place."""
        self.again: Mapping[int, str] | None = None
        """When only some rows are tried, those that were known to be undone: their identities by their numbers."""
        self.tried: set[int] = set()
        """Numbers of the rows that were tried; of use only with `again`."""
        self.kept = 0
        """Rows that were not tried and are in the file still."""
        try:
            # Whoever may not change the input shall mend its failed rows all the same.
            self._mode = source.path.stat().st_mode & 0o777 | OWNER_ONLY
            self._try()
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{self.path}: failed rows could not be written there: {reason}") from None

    def __enter__(self) -> RejectsFile:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if not self.unwritten:
                self._finish()
        except OSError as error:
            self._give_up(error)
        finally:
            self._discard()

    def _finish(self) -> None:
        if self.again is not None and not self._keep(self.again):
            return
        if self._part is not None:
            self._part.sync()
            digest = digest_of_file(self._part.temporary)
            self._displace()
            self._part.commit()
            self.written = digest
        elif self.finished and self.path.is_file():
            self._displace()
            self.path.unlink(missing_ok=True)

    def _give_up(self, error: OSError) -> None:
        self.unwritten = error.strerror or str(error)
        self._discard()

    def _discard(self) -> None:
        """Leaves nothing half-written behind, if that can be."""
        if self._part is not None:
            self._part.discard()
            self._part = None

    def _try(self) -> None:
        if self.path.exists():
            if not ours(self.path):
                raise InputError(
                    f"{self.path}: stands where failed rows would be written and is not ours; move it away"
                )
            self.digest = digest_of_file(self.path)
        AtomicFile(self.path, mode=OWNER_ONLY).discard()
        remove_leftovers(self.path)

    def _displace(self) -> None:
        if not self.path.exists() or digest_of_file(self.path) == self.trusted:
            return
        names = (self.path.with_name(f"{self.path.stem}.{number}{self.path.suffix}") for number in count(1))
        self.aside = next(name for name in names if not name.exists())
        self.path.rename(self.aside)

    def add(
        self, row: Row, *, reason: str, code: str = "", field: str = "", hint: str = "", identity: str = ""
    ) -> None:
        """Adds one row as it stood in the input."""
        self.count += 1
        if not self.unwritten:
            try:
                self._add(row, (str(row.number), reason, code, field, hint, identity))
            except OSError as error:
                self._give_up(error)

    def _add(self, row: Row, added: tuple[str, ...]) -> None:
        file = self._opened()
        if self._source.format == "csv":
            cells: list[str] = list(row.raw)
            width = len(self._source.columns)
            padded = [*cells, *[""] * (width - len(cells))]
            kept = [cell for cell, name in zip(padded, self._source.columns, strict=False) if name not in ADDED]
            # Cells beyond the header go behind our own, so that none is lost.
            self._write([*kept, *added, *cells[width:]])
        else:
            file.write(_object_with(row, added) + "\n")

    def _keep(self, again: Mapping[int, str]) -> bool:
        """Writes what is still undone of the rows that were not tried; False when the file that is there may stay."""
        left = self._left()
        told: set[int] = set()
        if left is not None:
            told = {number for row in left if (number := _number(row, left)) is not None}
            self.kept = sum(_number(row, left) not in self.tried for row in left)
        # One that we wrote is complete: what it does not tell was done since.
        known = left is not None and digest_of_file(self.path) == self.trusted
        missing = {} if known else {n: own for n, own in again.items() if n not in self.tried and n not in told}
        if left is not None and not (self.count or missing or told & self.tried):
            return False
        if left is not None:
            for row in left:
                if _number(row, left) not in self.tried:
                    self._copy(row, left)
        for row in self._source.only(missing) if missing else ():
            self.kept += 1
            self._add(row, (str(row.number), NOT_TRIED, "", "", "", missing[row.number]))
        self.finished = not self.count and not self.kept
        return True

    def _left(self) -> RowFile | None:
        """The file that is there; None when there is none, or nobody can read it any more."""
        try:
            left = open_rows(self.path) if self.path.exists() else None
        except InputError:
            return None
        return left if left is None or left.format == self._source.format else None

    def _copy(self, row: Row, left: RowFile) -> None:
        """One row of the file that is there, as it stands in it."""
        if self._source.format != "csv":
            self._opened().write(f"{row.raw}\n")
            return
        cells = dict(zip(left.columns, row.raw, strict=False))
        own = [name for name in self._source.columns if name not in ADDED]
        self._write([*(cells.get(name, "") for name in (*own, *ADDED)), *row.raw[len(left.columns) :]])

    def _opened(self) -> IO[str]:
        if self._part is None:
            source = self._source
            newline = "" if source.format == "csv" else "\n"
            self._part = AtomicFile(self.path, mode=self._mode, encoding=source.encoding, newline=newline)
            if source.format == "csv":
                self._write([*(name for name in source.columns if name not in ADDED), *ADDED])
        return self._part.file

    def _write(self, cells: list[str]) -> None:
        # By itself the writer of Python 3.11 and 3.12 leaves a lone carriage return unquoted, which ends a row.
        lone = any("\r" in cell for cell in cells)
        writer = csv.writer(
            self._opened(),
            delimiter=self._source.separator,
            lineterminator="\n",
            quoting=csv.QUOTE_ALL if lone else csv.QUOTE_MINIMAL,
        )
        writer.writerow(cells)


def _number(row: Row, left: RowFile) -> int | None:
    """The number that a row of a file of failed rows has in the input; None when nobody can say."""
    name = ADDED[0]
    if left.format == "csv":
        text = str(dict(zip(left.columns, row.raw, strict=False)).get(name, ""))
    else:
        text = str(read_object(str(row.raw))[0].get(name, ""))
    return int(text) if text.isascii() and text.isdigit() else None


def failed_path(path: Path) -> Path:
    """Where the failed rows of an input go."""
    return path.with_name(f"{path.stem}.failed{path.suffix}")


def _object_with(row: Row, added: tuple[str, ...]) -> str:
    text = str(row.raw)
    try:
        # Raw keeps every member as it was written, digit by digit.
        members: dict[str, Any] = dict(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        members = {ADDED_LINE: text}
    members |= dict(zip(ADDED, (row.number, *added[1:]), strict=True))
    return msgspec.json.encode(members).decode()


def digest_of_file(path: Path) -> str:
    """What tells two contents of a file apart."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def ours(path: Path) -> bool:
    """Whether it looks like a file of failed rows."""
    try:
        with path.open("rb") as file:
            wide = file.read(2) in {b"\xff\xfe", b"\xfe\xff"}
        with path.open(encoding="utf-16" if wide else "utf-8", errors="replace") as file:
            # To the end of a line: in JSON our members stand behind the row's own, however long it is.
            text = file.read(1 << 16) + file.readline()
    except IsADirectoryError:
        return False
    return all(name in text for name in ADDED[:4])
