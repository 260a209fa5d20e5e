"""The rejects file: rows that were not done, in the input's own format, the reason beside each, to correct and push."""

from __future__ import annotations

import os
from errno import EISDIR
from itertools import count
from pathlib import Path
from typing import IO, Any, Self

import msgspec

from zoho_async._atomic_file import OWNER_ONLY, AtomicFile, remove_leftovers
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.results import PushSummary, RowOutcome
from zoho_async.bulk.rows.rejection_tags import is_tag, sent_under
from zoho_async.bulk.source.csv_file import write_row
from zoho_async.bulk.source.files import ADDED, ADDED_LINE, Row, RowFile, open_rows

from .retry import RemainingRows

_OTHERS = frozenset({".xlsx", ".xlsm", ".xls"})
"""Endings of workbooks, whose rejects are CSV."""

NOT_TRIED = "remained after an earlier run and was not tried again since"


class RejectsFile:
    """Collects the rows of a push that were not done into `<stem>.failed.<ext>` beside the input.

        async with bulk.push(zoho.books.contacts, rows) as run, bulk.RejectsFile(rows, run.summary) as rejects:
            async for outcome in run:
                rejects.record(outcome)

    It is written under another name and moved into place at the end, so it is never incomplete. One that an earlier run
    left is kept under a numbered name (`backup`). Without rejected rows nothing is written; the earlier one makes way
    when every row was tried, and stays otherwise. The rejects file of a rejects file is that file itself. Where only
    some rows were tried, of a rejects file or of `RemainingRows`, the others stay in it.

    It has the permissions of the input, and its owner can write it. What prevents writing later than at the start is
    not raised but stands in `write_error`: the push goes on.

    Args:
        rows: The file that is pushed, or the rows of it that a run has left.
        summary: That of the push, whose `complete` says at the end whether every row was tried; None: they were not.

    Raises:
        InputError: A file cannot be written there.
    """

    def __init__(self, rows: RowFile | RemainingRows, summary: PushSummary | None = None) -> None:
        self._remaining = rows if isinstance(rows, RemainingRows) else None
        self._source = source = rows.source if isinstance(rows, RemainingRows) else rows
        self._summary = summary
        self.path = rejects_path(source)
        self._part: AtomicFile | None = None
        self._tried: set[int] = set()
        self.count = 0
        """Rows of this push that were not done."""
        self.kept = 0
        """Rows of earlier runs that stay in the file."""
        self.write_error = ""
        """Why the file cannot be written, or the earlier one not be moved; empty when all is well."""
        self.backup: Path | None = None
        """Where the file of an earlier run is now."""
        try:
            self._mode = source.path.stat().st_mode & 0o777 | OWNER_ONLY if source.is_file else OWNER_ONLY
            self._probe()
        except OSError as error:
            reason = error.strerror or error
            raise InputError(f"{self.path}: failed rows could not be written there: {reason}") from None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        try:
            if not self.write_error:
                self._finish()
        except OSError as error:
            self._give_up(error)
        finally:
            self._discard()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self.__exit__()

    def record(self, outcome: RowOutcome) -> None:
        """Takes the outcome of a row; the row goes into the file unless it is done.

        Args:
            outcome: As the push gave it.
        """
        self._tried.add(outcome.row.number)
        if outcome.status != "done":
            # A tag stays with its row until the row is corrected; other rows are known by their keys.
            identity = next((one for one in (outcome.identity, outcome.row.identity) if is_tag(one)), "")
            if outcome.status == "unknown":
                identity = sent_under(outcome.identity)
            self.add(
                outcome.row,
                reason=outcome.reason,
                code=outcome.code,
                field=outcome.field,
                hint=outcome.hint,
                identity=identity,
            )

    def add(
        self, row: Row, *, reason: str, code: str = "", field: str = "", hint: str = "", identity: str = ""
    ) -> None:
        """Adds one row, as it is in the input.

        Args:
            row: The row.
            reason: Why it was not done, as a sentence.
            code: Zoho's code.
            field: The columns that are wrong.
            hint: How to correct it, as a sentence.
            identity: Row key or rejection tag by which a later push knows it.
        """
        self._tried.add(row.number)
        self.count += 1
        if not self.write_error:
            number = _number(row, self._source) if self._of_rejects else row.number
            try:
                self._add(row, number, (reason, code, field, hint, identity))
            except OSError as error:
                self._give_up(error)

    @property
    def _of_rejects(self) -> bool:
        return self.path == self._source.path

    def _finish(self) -> None:
        complete = self._summary is not None and self._summary.complete
        if self._of_rejects:
            if not self.count:
                return
            self._copy_untried(self._source)
        elif self._remaining is not None:
            if not self._keep_remaining(self._remaining):
                return
            complete = not self.count and not self.kept
        if self._part is not None:
            # The earlier file gives up its name only once this one is on the disk.
            self._part.sync()
            self._back_up()
            self._part.commit()
        elif complete and self.path.is_file():
            self._back_up()

    def _keep_remaining(self, remaining: RemainingRows) -> bool:
        """Writes the rows that remain of earlier runs; False when the file that exists says it all already."""
        earlier = self._earlier()
        listed = {_number(row, earlier) for row in earlier} if earlier is not None else set[int | None]()
        missing = {n: tag for n, tag in remaining.remaining.items() if n not in self._tried and n not in listed}
        if earlier is not None and not (self.count or missing or listed & self._tried):
            self.kept = earlier.total
            return False
        if earlier is not None:
            self._copy_untried(earlier)
        for row in self._source.only(missing) if missing else ():
            self.kept += 1
            self._add(row, row.number, (NOT_TRIED, "", "", "", missing[row.number]))
        return True

    def _earlier(self) -> RowFile | None:
        """The rejects file that exists; None when there is none, or it cannot be read."""
        try:
            earlier = open_rows(self.path) if self.path.exists() else None
        except InputError:
            return None
        return earlier if earlier is None or earlier.format == self._source.format else None

    def _copy_untried(self, earlier: RowFile) -> None:
        for row in earlier:
            number = row.number if earlier is self._source else _number(row, earlier)
            if number not in self._tried:
                self.kept += 1
                self._copy(row, earlier)

    def _copy(self, row: Row, earlier: RowFile) -> None:
        """Writes a row of a rejects file as it is there."""
        file = self._opened()
        if self._source.format != "csv":
            file.write(f"{row.raw}\n")
            return
        cells = dict(zip(earlier.columns, row.raw, strict=False))
        own = [name for name in self._source.columns if name not in ADDED]
        self._write([*(cells.get(name, "") for name in (*own, *ADDED)), *row.raw[len(earlier.columns) :]])

    def _add(self, row: Row, number: int | None, added: tuple[str, ...]) -> None:
        file = self._opened()
        if self._source.format == "csv":
            cells: list[str] = list(row.raw)
            width = len(self._source.columns)
            padded = [*cells, *[""] * (width - len(cells))]
            kept = [cell for cell, name in zip(padded, self._source.columns, strict=False) if name not in ADDED]
            # Cells beyond the header go behind the added ones, so that none is lost.
            self._write([*kept, "" if number is None else str(number), *added, *cells[width:]])
        else:
            file.write(_object_with(row, number, added) + "\n")
        for further in row.more:
            self._add(msgspec.structs.replace(row, raw=further, more=[]), number, added)

    def _opened(self) -> IO[Any]:
        if self._part is None:
            newline = "" if self._source.format == "csv" else "\n"
            # A reason may hold characters that another encoding lacks; the mark says which one it is.
            named = self._source.encoding
            encoding = named if named.startswith("utf") else "utf-8-sig"
            self._part = AtomicFile(self.path, mode=self._mode, encoding=encoding, newline=newline)
            if self._source.format == "csv":
                self._write([*(name for name in self._source.columns if name not in ADDED), *ADDED])
        return self._part.file

    def _write(self, cells: list[str]) -> None:
        write_row(self._opened(), cells, separator=self._source.separator)

    def _probe(self) -> None:
        """Raises OSError when the file could not be written."""
        if self.path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        AtomicFile(self.path, mode=OWNER_ONLY).discard()
        remove_leftovers(self.path)

    def _back_up(self) -> None:
        if self.path.is_dir():
            raise IsADirectoryError(EISDIR, os.strerror(EISDIR))
        if self.path.exists():
            names = (self.path.with_name(f"{self.path.stem}.{number}{self.path.suffix}") for number in count(1))
            self.backup = next(name for name in names if not os.path.lexists(name))
            self.path.rename(self.backup)

    def _give_up(self, error: OSError) -> None:
        self.write_error = error.strerror or str(error)
        self._discard()

    def _discard(self) -> None:
        """Leaves no incomplete file behind, where that is possible."""
        if self._part is not None:
            self._part.discard()
            self._part = None


def rejects_path(source: RowFile | Path) -> Path:
    """Where the rejects of a file go: into its folder; those of a rejects file into that file.

    They are CSV or JSON Lines: those of a workbook, and of what is compressed, have another ending than it.
    """
    if isinstance(source, Path):
        path, suffix = source, source.suffix
    else:
        path, suffix = source.path, source.path.suffix
        if suffix.lower() in (".gz", ".gzip"):
            path = path.with_suffix("")
            suffix = path.suffix
        if suffix.lower() in _OTHERS or (source.format == "jsonl" and suffix.lower() == ".json") or not source.is_file:
            suffix = ".csv" if source.format == "csv" else ".jsonl"
    if path.stem.endswith(".failed") and path.suffix == suffix:
        return path
    return path.with_name(f"{path.stem}.failed{suffix}")


def _number(row: Row, rejects: RowFile) -> int | None:
    """The number in the input of a row of a rejects file; None when it says none."""
    name = ADDED[0]
    if rejects.format == "csv":
        text = str(dict(zip(rejects.columns, row.raw, strict=False)).get(name, ""))
    else:
        try:
            text = str(msgspec.json.decode(row.raw, type=dict[str, Any]).get(name, ""))
        except (msgspec.MsgspecError, ValueError, RecursionError):
            return None
    return int(text) if text.isascii() and text.isdigit() else None


def _object_with(row: Row, number: int | None, added: tuple[str, ...]) -> str:
    text = str(row.raw)
    try:
        # Raw keeps every member as it was written, digit by digit.
        members: dict[str, Any] = dict(msgspec.json.decode(text, type=dict[str, msgspec.Raw]))
    except (msgspec.MsgspecError, ValueError, RecursionError):
        members = {ADDED_LINE: text}
    members |= dict(zip(ADDED, (number, *added), strict=True))
    return msgspec.json.encode(members).decode()
