"""What untyped JSON is, in words both type checkers understand."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, TypeGuard


def is_object(value: Any) -> TypeGuard[dict[str, Any]]:
    """Whether it is a JSON object."""
    return isinstance(value, dict)


def is_list(value: Any) -> TypeGuard[list[Any]]:
    """Whether it is a JSON list."""
    return isinstance(value, list)


def is_series(value: Any) -> TypeGuard[Iterable[Any]]:
    """Whether it is several values in one: a list, tuple or set."""
    return isinstance(value, list | tuple | set | frozenset)


def kind_of(value: object) -> type[object]:
    """A value's exact type."""
    return type(value)
