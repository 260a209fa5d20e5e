"""All operations as data, and the scopes they need."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any

from .operation import Operation
from .registry import OPERATIONS


@cache
def operations() -> tuple[Operation[Any], ...]:
    """Every documented operation, sorted by id. Loads every product's structs, so ask once there is time for it."""
    return tuple(getattr(import_module(module), name) for _, (module, name) in sorted(OPERATIONS.items()))


def scopes(operations: Iterable[Operation[Any]]) -> str:
    """The smallest OAuth scope string that allows all of these operations: comma-separated, sorted, each once.

    `scopes(operations())` is that of everything; what it gives goes into the `scope` of the consent address.
    """
    return ",".join(sorted({part.strip() for operation in operations for part in operation.scope.split(",")} - {""}))
