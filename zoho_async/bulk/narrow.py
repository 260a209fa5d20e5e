"""Type guards for values that came from outside."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

_PLAIN = (str, int, float, list, type(None))


def is_mapping(value: object) -> TypeGuard[Mapping[str, Any]]:
    """Whether it is a mapping; JSON's and a caller's keys are text."""
    # Asking the abstract class takes ten times as long as asking the plain ones.
    return isinstance(value, dict) or (not isinstance(value, _PLAIN) and isinstance(value, Mapping))


def is_list(value: object) -> TypeGuard[list[Any] | tuple[Any, ...]]:
    """Whether it is a list or a tuple."""
    return isinstance(value, list | tuple)
