"""Type guards for values that come from outside: JSON, rows, callers' bodies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeGuard

_NO_MAPPING = (str, int, float, list, type(None))


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether it is a JSON object."""
    return isinstance(value, dict)


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a mapping; the keys of JSON and of callers' rows are text."""
    # The abstract class takes ten times as long to check as the plain ones.
    return isinstance(value, dict) or (not isinstance(value, _NO_MAPPING) and isinstance(value, Mapping))


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether it is a JSON list."""
    return isinstance(value, list)


def is_sequence(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether it is a list or a tuple."""
    return isinstance(value, list | tuple)


def is_series(value: Any) -> TypeGuard[Iterable[Any]]:
    """Whether it is several values in one: a list, tuple or set."""
    return isinstance(value, list | tuple | set | frozenset)


def kind_of(value: object) -> type[object]:
    """A value's exact type."""
    return type(value)


def scalar_text(value: object) -> str:
    """The text of a JSON text or whole number, such as an id; empty for anything else."""
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""
