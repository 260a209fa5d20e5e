"""Checked rows as they wait in a table of the state file."""

from __future__ import annotations

from decimal import Decimal

import msgspec

from zoho_async.bulk.source.files import Row

from .validate import WorkItem

# `str`: a lost formula is a kind of text.
_encoder = msgspec.json.Encoder(decimal_format="number", enc_hook=str)
_decoder = msgspec.json.Decoder(WorkItem, float_hook=Decimal)


def packed(item: WorkItem, *, whole: bool) -> str:
    """A row in JSON; `whole`: with what stands in the file."""
    kept = item if whole else msgspec.structs.replace(item, row=Row(number=item.row.number))
    return _encoder.encode(kept).decode()


def unpacked(text: str, row: Row | None = None) -> WorkItem:
    """The row again; `row`: as it stands in the input, where it was not packed whole."""
    item = _decoder.decode(text)
    item.row = row or item.row
    return item
