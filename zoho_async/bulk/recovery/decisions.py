"""The decisions file: what a push would do with each row, as CSV to review."""

from __future__ import annotations

import csv
from contextlib import ExitStack
from pathlib import Path
from typing import Any, Self

import msgspec

from zoho_async._atomic_file import atomic_write
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.pushing.plan import RowDecision
from zoho_async.bulk.source.formula_cells import escape_cell

_HEADER = ("row", "line", "key", "decision", "record_id", "changes", "reason")
_encoder = msgspec.json.Encoder(decimal_format="number")


class DecisionsFile:
    """Writes what a plan decides for each row into a CSV file, which is there when the block ends without an exception.

        with bulk.DecisionsFile("plan.csv") as decisions:
            await bulk.plan(zoho.books.contacts, rows, on_row=decisions.record)

    No cell is a formula to a spreadsheet: an apostrophe stands before what would be run as one.

    Args:
        path: The file; its folder must exist.

    Raises:
        InputError: The file cannot be written there.
    """

    def __init__(self, path: str | Path) -> None:
        self._stack = ExitStack()
        try:
            # The mark makes Excel read it as UTF-8.
            file = self._stack.enter_context(atomic_write(Path(path), encoding="utf-8-sig"))
        except OSError as error:
            raise InputError(f"{path}: cannot be written: {error.strerror or error}") from None
        self._writer = csv.writer(file, lineterminator="\n")
        self._writer.writerow(_HEADER)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: Any) -> None:
        self._stack.__exit__(*error)

    def record(self, decision: RowDecision) -> None:
        """Writes one row's decision.

        Args:
            decision: As `plan` gave it.
        """
        changes = [f"{one.path}: {_shown(one.before)} -> {_shown(one.after)}" for one in decision.differences]
        texts = (decision.key, decision.decision, decision.record_id, "; ".join(changes), decision.reason)
        self._writer.writerow((decision.row, decision.line or "", *map(escape_cell, texts)))


def _shown(value: Any) -> str:
    return "nothing" if value is None else _encoder.encode(value).decode()
