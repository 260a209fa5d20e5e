"""Tags of rows that were refused because another row of their input has the same key.

Alone, in the file of failed rows or in a retry, such a row would be written over what the other has become. The tag
stands in place of the row's identity, and refuses the row until it says something else.
"""

from __future__ import annotations

import hashlib
import re

from zoho_async._typeguards import is_mapping
from zoho_async.bulk.source.files import Row

from .options import Options

# Earlier versions wrote other words in its middle and an identity behind it.
_TAG = re.compile(r"duplicate-(?:key|name):([0-9a-f]{32}):.*", re.DOTALL)


def tag(row: Row, options: Options) -> str:
    """What stands in place of the row's identity."""
    return f"duplicate-key:{_content_hash(row, options)}:"


def is_tag(identity: str) -> bool:
    """Whether it is a tag, and no key of a row."""
    return _TAG.fullmatch(identity) is not None


def still_rejected(row: Row, options: Options, *, by_id: bool) -> bool:
    """Whether a row is tagged, says what it said, and would be written over its double's record."""
    found = _TAG.fullmatch(row.identity) if row.identity else None
    updates = options.existing(by_id=by_id) == "update"
    return found is not None and updates and found[1] == _content_hash(row, options)


def _content_hash(row: Row, options: Options) -> str:
    values = row.values if is_mapping(row.values) else {"": row.values}
    # Added or moved columns and blanks around a cell change nothing.
    cells = {str(name): cell.strip() if isinstance(cell, str) else cell for name, cell in values.items()}
    own = sorted((name, repr(cell)) for name, cell in cells.items() if cell not in ("", None))
    return hashlib.sha256(repr((options.field, own)).encode(errors="replace")).hexdigest()[:32]
