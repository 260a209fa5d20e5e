"""What the generated structs are made of beyond msgspec: moments with a zone, and reprs that keep secrets."""

from __future__ import annotations

from collections.abc import Collection
from datetime import datetime
from typing import Annotated, Any

import msgspec

AwareDatetime = Annotated[datetime, msgspec.Meta(tz=True)]
"""A moment that says where on the clock it is; without a zone it is no moment, and reading it is drift."""


def secret_fields(struct: msgspec.Struct, names: Collection[str]) -> list[tuple[str, Any]]:
    """Name and value of every field that is set; of the named ones `***` in the value's place."""
    fields = [(name, getattr(struct, name)) for name in struct.__struct_fields__]
    return [(name, "***" if name in names else value) for name, value in fields if _is_set(value)]


def secret_repr(struct: msgspec.Struct, names: Collection[str]) -> str:
    """The struct's repr, the values of the named fields left out."""
    fields = ", ".join(f"{name}={value!r}" for name, value in secret_fields(struct, names))
    return f"{type(struct).__name__}({fields})"


def _is_set(value: object) -> bool:
    return value is not None and value is not msgspec.UNSET
