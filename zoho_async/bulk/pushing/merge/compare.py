"""Comparing the value that a record has with the one that a row sets. Pure."""

from __future__ import annotations

import re
from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.source.files import strip_blanks

_NUMBER = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{1,60})?")
_MAX_DIGITS = 60
"""Longer numbers compare as written: expanding an exponent could take megabytes."""


def same(before: Any, after: Any, *, loose: bool = False) -> bool:
    """Whether a record that has `before` already has what a row sets by `after`.

    Absent, None, "", [] and {} are all empty and equal. Objects compare by the members that `after` sets, lists item
    by item, numbers by value, booleans also as the texts `true` and `false`. A number of the record and a text of the
    row compare as text, without the blanks at its ends.

    Args:
        before: The record's value, of any shape.
        after: The row's value.
        loose: Compare a number of the record with a text of the row by value too.

    Returns:
        True if an update by `after` would change nothing.
    """
    if is_empty(before) or is_empty(after):
        return is_empty(before) and is_empty(after)
    if is_mapping(after):
        return is_mapping(before) and all(same(before.get(name), value, loose=loose) for name, value in after.items())
    if is_sequence(after):
        return (
            is_sequence(before)
            and len(before) == len(after)
            and all(same(old, new, loose=loose) for old, new in zip(before, after, strict=True))
        )
    if isinstance(before, bool) or isinstance(after, bool):
        return truth(before) is not None and truth(before) is truth(after)
    by_value = is_number(after) or (loose and is_number(before))
    if by_value and (old := number(before)) is not None and (new := number(after)) is not None:
        return old == new
    if _is_scalar(before) and _is_scalar(after):
        return strip_blanks(text(before)) == strip_blanks(text(after))
    return bool(before == after)


def is_blank(value: Any) -> bool:
    """Whether a value empties a field."""
    return value is None or value is msgspec.UNSET or (isinstance(value, str) and value == "")


def is_empty(value: Any) -> bool:
    """Whether a value is blank, an empty list, or an object of empty members."""
    if is_mapping(value):
        return all(map(is_empty, value.values()))
    return is_blank(value) or (is_sequence(value) and not value)


def is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str) or is_number(value)


def number(value: Any) -> Decimal | None:
    """A finite number, or a text that is one, as a decimal; None for anything else."""
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, float):
        return Decimal(repr(value)) if isfinite(value) else None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        decimal = Decimal(value)
        return decimal if decimal.is_finite() else None
    return None


def text(value: Any) -> str:
    """A scalar as text; "" for anything else."""
    if isinstance(value, str):
        return value
    if not is_number(value):
        return ""
    decimal = number(value)
    if decimal is None:
        return str(value)
    return format(decimal, "f") if abs(decimal.adjusted()) <= _MAX_DIGITS else str(decimal)


def truth(value: Any) -> bool | None:
    """A boolean, or `true` or `false` as text; None for anything else."""
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None
