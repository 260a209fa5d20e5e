"""A row of the input, before its columns and cells are interpreted."""

from __future__ import annotations

import hashlib
from typing import Any, Self

import msgspec

from .reading import ADDED_ROW, Reading

LONGEST = 131_072
"""Characters a cell may have; a row with a longer one fails."""

ADDED = (ADDED_ROW, "zoho_reason", "zoho_code", "zoho_field", "zoho_hint", "zoho_identity")
"""Columns of a rejects file beside the input's own; ignored when that file is pushed."""
ADDED_IDENTITY = ADDED[-1]
ADDED_LINE = "zoho_line"
"""Member of a JSON Lines rejects file: the text of a line that is no JSON object."""
IGNORED = frozenset({*ADDED, ADDED_LINE})


class LostFormula(str):
    """The empty cell of a formula whose value the file lacks."""

    __slots__ = ("place",)
    place: str
    """Its name in the sheet, such as C3."""

    def __new__(cls, place: str) -> Self:
        """The cell at a place."""
        made = super().__new__(cls)
        made.place = place
        return made


class Row(msgspec.Struct, kw_only=True):
    """One row of the input.

    Attributes:
        number: Place in the input, from 1; a header is not counted.
        line: Line of the file where the row begins, from 1; 0 when the row comes from no file.
        values: Column name to cell, a nested mapping, or a request struct.
        raw: As it stands in the file: list of cells (CSV) or text of the line (JSON Lines).
        fault: Why the row cannot be read; then there are no values.
        field: The column that `fault` is about, if it is about one.
        identity: Row key that an earlier run gave the row, from a rejects file; keeps equal rows apart.
        more: `raw` of the further rows of the file that are part of this one.
        reading: How amounts and words for yes and no are written, where they are not written as by default.
    """

    number: int
    line: int = 0
    values: Any = msgspec.field(default_factory=dict[str, Any])
    raw: Any = None
    fault: str = ""
    field: str = ""
    identity: str = ""
    more: list[Any] = msgspec.field(default_factory=list[Any])
    reading: Reading | None = None


def content_hash(row: Row) -> str:
    """Hash of a row as it stands in the input."""
    try:
        text = repr(row.raw if row.raw is not None else row.values) + (repr(row.more) if row.more else "")
    except Exception:  # noqa: BLE001 - a caller's values may have any `repr`
        text = f"row {row.number}, which cannot be shown"
    return hashlib.sha256(text.encode(errors="replace")).hexdigest()
