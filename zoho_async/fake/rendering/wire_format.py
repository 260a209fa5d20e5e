"""JSON and timestamps as Zoho writes and reads them. Pure."""

from __future__ import annotations

from datetime import datetime
from decimal import Decimal
from typing import Any

import msgspec

_json_encoder = msgspec.json.Encoder(decimal_format="number")
_json_decoder = msgspec.json.Decoder(float_hook=Decimal)


def encode(value: object) -> bytes:
    """JSON, decimals digit by digit."""
    return _json_encoder.encode(value)


def decode(body: bytes | str) -> Any:
    """Untyped JSON, fractions as decimals; ValueError when it is not well formed."""
    try:
        return _json_decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, ArithmeticError) as error:
        raise ValueError("not well-formed JSON") from error


def envelope(code: int, message: str, **content: Any) -> dict[str, Any]:
    """The body of every response: Zoho's code (0: success), its message, and the content."""
    return {"code": code, "message": message, **content}


def read_timestamp(text: str) -> datetime:
    """A time as Zoho writes it; ValueError when it is none or has no zone."""
    moment = datetime.fromisoformat(text)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {text!r}")
    return moment


def formatted_timestamp(text: str) -> str:
    """A timestamp as lists display it: `06/09/2026 09:45 AM`."""
    # By slices: strptime and strftime cost more than the rest of a row.
    year, month, day, hour, minute = text[:4], text[5:7], text[8:10], int(text[11:13]), text[14:16]
    return f"{month}/{day}/{year} {(hour + 11) % 12 + 1:02d}:{minute} {'AM' if hour < 12 else 'PM'}"
