"""Parts of the generated structs: datetimes with a time zone, and reprs that redact secrets."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any

import msgspec

AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]
"""A datetime with a time zone. One without is decoded as None and counted as drift."""


def secret_fields(struct: msgspec.Struct, names: Collection[str]) -> list[tuple[str, Any]]:
    """Name and value of every field that is set, the named ones as `***`."""
    fields = [(name, getattr(struct, name)) for name in struct.__struct_fields__]
    return [(name, "***" if name in names else value) for name, value in fields if _is_set(value)]


def secret_repr(struct: msgspec.Struct, names: Collection[str]) -> str:
    """The struct's repr, the named fields as `***`."""
    fields = ", ".join(f"{name}={value!r}" for name, value in secret_fields(struct, names))
    return f"{type(struct).__name__}({fields})"


def _is_set(value: object) -> bool:
    return value is not None and value is not msgspec.UNSET
