"""All operations as data."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from typing import Any

from .operation import Operation
from .registry import OPERATIONS


@cache
def operations() -> tuple[Operation[Any], ...]:
    """Every documented operation, sorted by id. Loads every product's structs, so ask once there is time for it."""
    return tuple(getattr(import_module(module), name) for _, (module, name) in sorted(OPERATIONS.items()))
