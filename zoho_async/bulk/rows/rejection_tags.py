"""What goes with a rejected row into the rejects file, besides its own cells.

A row may be rejected because another row of its input has the same key: alone it would overwrite the other's record,
and its tag rejects it until it is changed. A row of unknown outcome carries the key it was sent under, so that it is
not sent again under another.
"""

from __future__ import annotations

import hashlib
import re
from base64 import urlsafe_b64decode, urlsafe_b64encode

from zoho_async._typeguards import is_mapping
from zoho_async.bulk.source.files import Row, strip_blanks

from .options import Options

# Earlier versions wrote other words in its middle and an identity behind it.
_TAG = re.compile(r"duplicate-(?:key|name):([0-9a-f]{32}):.*", re.DOTALL)

_SENT = "sent:"


def tag(row: Row) -> str:
    """What stands in place of the row's identity."""
    return f"duplicate-key:{_content_hash(row)}:"


def is_tag(identity: str) -> bool:
    """Whether it is a tag, and no key of a row."""
    return _TAG.fullmatch(identity) is not None


def still_rejected(row: Row, options: Options, *, by_id: bool) -> bool:
    """Whether a row is tagged, unchanged, and would overwrite the record of its duplicate."""
    found = _TAG.fullmatch(row.identity) if row.identity else None
    updates = options.existing(by_id=by_id) == "update"
    if found is None or not updates:
        return False
    columns = row.values if is_mapping(row.values) else ()
    former = (_content_hash(row, (field,)) for field in ("", options.field, *map(str, columns)))
    return found[1] == _content_hash(row) or found[1] in former


def sent_under(row_key: str) -> str:
    """The key a row was sent under, in a form that search and replace in the file leaves alone."""
    return _SENT + urlsafe_b64encode(row_key.encode(errors="replace")).decode()


def carried_key(identity: str) -> str:
    """The key that a row carries with it."""
    if not identity.startswith(_SENT):
        return identity
    try:
        return urlsafe_b64decode(identity.removeprefix(_SENT)).decode()
    except ValueError:
        return ""


def _content_hash(row: Row, field: tuple[str, ...] = ()) -> str:
    """Hash of a row's own cells; earlier versions took in the field it was matched by."""
    values = row.values if is_mapping(row.values) else {"": row.values}
    # Added or moved columns and blanks around a cell change nothing.
    cells = {str(name): strip_blanks(cell) if isinstance(cell, str) else cell for name, cell in values.items()}
    own = sorted((name, repr(cell)) for name, cell in cells.items() if cell not in ("", None))
    return hashlib.sha256(repr((*field, own)).encode(errors="replace")).hexdigest()[:32]
