"""Marks of rows that were refused because of another row of their input.

Such a row is wrong only beside the other. Pushed again by itself, from the file of failed rows or by a retry, it would
be written over what the other has become; so a mark goes with it, by which it is known until it is mended.
"""

from __future__ import annotations

import hashlib
import re
from typing import Any, Literal

from zoho_async._typeguards import is_mapping
from zoho_async.bulk.source.files import Row
from zoho_async.errors import Fault

from .options import Options

Same = Literal["key", "name"]
"""What it has that another row has."""

_MARK = re.compile(r"duplicate-(key|name):([0-9a-f]{32}):(.*)", re.DOTALL)


def mark(row: Row, same: Same, options: Options, identity: str = "") -> str:
    """What goes with a row in place of its identity, which it holds; empty when that is another row's."""
    return f"duplicate-{same}:{_digest(row, same, options)}:{identity}"


def is_mark(identity: str) -> bool:
    """Whether it is a mark, and no identity of the state."""
    return _MARK.fullmatch(identity) is not None


def strip_tag(identity: str) -> str:
    """The identity of the state, without the mark; empty when there is none."""
    found = _MARK.fullmatch(identity)
    return identity if found is None else found[3]


def still_rejected(row: Row, options: Options, name_field: str) -> Fault | None:
    """The fault of a row that is marked and still says what it said then.

    One whose name another row has is written over that one only where rows are matched with records of their names;
    elsewhere names are looked at anew.
    """
    found = _MARK.fullmatch(row.identity) if row.identity else None
    if found is None:
        return None
    same: Any = found[1]
    if found[2] != _digest(row, same, options) or (same == "name" and options.on_name_taken != "match"):
        return None
    message = "is the same as another row of the input it came from; change or delete it"
    if same == "name":
        return Fault(path=name_field, rule="name_taken", message=message)
    return Fault(path=options.field or name_field, rule="duplicate", message=message)


def _digest(row: Row, same: Same, options: Options) -> str:
    values = row.values if is_mapping(row.values) else {"": row.values}
    # Columns that somebody has added or moved, or blanks around a cell, mend nothing.
    cells = {str(name): cell.strip() if isinstance(cell, str) else cell for name, cell in values.items()}
    own = sorted((name, repr(cell)) for name, cell in cells.items() if cell not in ("", None))
    by = options.field if same == "key" else ""
    return hashlib.sha256(repr((by, own)).encode(errors="replace")).hexdigest()[:32]
