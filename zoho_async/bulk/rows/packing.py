"""Checked rows as they wait in a table of the state file."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import msgspec

from zoho_async.bulk.source.files import Row
from zoho_async.errors import Fault

from .validate import WorkItem


class _Packed(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a row keeps on its way through the table."""

    row: Row | None
    body: dict[str, Any]
    cleared: tuple[str, ...]
    places: dict[str, str]
    missing: tuple[Fault, ...]
    record_id: str
    key_field: str
    key: str
    name: str
    name_field: str
    by_name: bool
    name_scope: str
    name_scope_given: bool
    parent: str
    key_scope: str
    content_hash: str
    row_key: str
    display_key: str
    renamed: bool


# `str`: a lost formula is a kind of text.
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_decoder = msgspec.json.Decoder(_Packed, float_hook=Decimal)


def packed(item: WorkItem, *, whole: bool) -> str:
    """A row in JSON; `whole`: with what stands in the file."""
    values = {name: getattr(item, name) for name in _Packed.__struct_fields__}
    if not whole:
        values["row"] = None
    return _encoder.encode(_Packed(**values)).decode()


def unpacked(text: str, row: Row | None = None) -> WorkItem:
    """The row again; `row`: as it stands in the input, where it was not packed whole."""
    found = _decoder.decode(text)
    found.row = row or found.row
    return WorkItem(**msgspec.structs.asdict(found))
