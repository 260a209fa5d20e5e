"""All operations as data, and their OAuth scopes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any

from .operation import Operation
from .registry import OPERATIONS


@cache
def operations() -> tuple[Operation[Any], ...]:
    """List all operations. The first call loads the structs of every product.

    Returns:
        All operations, sorted by id.
    """
    return tuple(getattr(import_module(module), name) for _, (module, name) in sorted(OPERATIONS.items()))


def scopes(operations: Iterable[Operation[Any]]) -> str:
    """The OAuth scope string that some operations need, for example for the `scope` of Zoho's consent page.

    Args:
        operations: The operations; `scopes(operations())` gives the scopes of all.

    Returns:
        The scopes without repetition, sorted and separated by commas.
    """
    return ",".join(sorted({part.strip() for operation in operations for part in operation.scope.split(",")} - {""}))
