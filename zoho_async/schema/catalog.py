"""All operations as data, and their OAuth scopes."""

from __future__ import annotations

from collections.abc import Iterable
from functools import cache
from importlib import import_module
from typing import Any

from zoho_async.errors import ConfigError

from .operation import Operation
from .registry import OPERATIONS
from .suggestions import did_you_mean


@cache
def operations() -> tuple[Operation[Any], ...]:
    """List all operations. The first call loads the structs of every product.

    Returns:
        All operations, sorted by id.
    """
    return tuple(getattr(import_module(module), name) for _, (module, name) in sorted(OPERATIONS.items()))


def scopes(operations: Iterable[Operation[Any] | str]) -> str:
    """The OAuth scope string that some operations need, for example for the `scope` of Zoho's consent page.

    Args:
        operations: The operations or their ids, such as `books.contacts.create`; `scopes(operations())` gives the
            scopes of all.

    Returns:
        The scopes without repetition, sorted and separated by commas.

    Raises:
        ConfigError: There is no operation of an id.
    """
    found = [find_operation(operations)] if isinstance(operations, str) else map(find_operation, operations)
    return ",".join(sorted({part.strip() for operation in found for part in operation.scope.split(",")} - {""}))


def find_operation(operation: Operation[Any] | str) -> Operation[Any]:
    """The operation of an id; an operation is returned as it is.

    Args:
        operation: An operation or its id.

    Raises:
        ConfigError: There is no operation of that id.
    """
    if isinstance(operation, Operation):
        return operation
    if operation not in OPERATIONS:
        hint = did_you_mean(str(operation), OPERATIONS) or "`zoho_async.operations()` lists all"
        raise ConfigError(f"there is no operation {operation!r}; {hint}")
    module, name = OPERATIONS[operation]
    found: Operation[Any] = getattr(import_module(module), name)
    return found
