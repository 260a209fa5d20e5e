"""Which OAuth scopes a purpose needs, and which of them a token lacks. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from fnmatch import fnmatchcase
from typing import Any

from zoho_async import Operation, operations, scopes

from .console.exit_codes import ArgumentError
from .suggestions import did_you_mean, find_operation

PRODUCTS = ("books", "invoice", "expense", "billing")
PURPOSES: dict[str, frozenset[str] | None] = {
    "pull": frozenset(("list", "get")),
    "push": frozenset(("list", "get", "create", "update", "upsert")),
    "all": None,
}
"""The operations of each; None: every one."""
_RESOURCES = ("contacts", "customers", "contact_persons")
"""What is pulled and pushed."""
_ORGANIZATIONS = {
    "books": ("/books/v3/organizations", "ZohoBooks.settings.READ"),
    "invoice": ("/invoice/v3/organizations", "ZohoInvoice.settings.READ"),
    "expense": ("/expense/v1/organizations", "ZohoExpense.orgsettings.READ"),
    "billing": ("/billing/v1/organizations", "ZohoSubscriptions.settings.READ"),
}


def organizations_path(product: str) -> str:
    """Path of the list of organisations."""
    return _ORGANIZATIONS[product][0]


def organizations_scope(product: str) -> str:
    """The scope of the list of organisations."""
    return _ORGANIZATIONS[product][1]


def check_products(names: Sequence[str]) -> tuple[str, ...]:
    """The products of these names; books for none. Raises ArgumentError for an unknown one."""
    for name in names:
        if name not in PRODUCTS:
            help = did_you_mean(name, PRODUCTS) or f"products: {', '.join(PRODUCTS)}"
            raise ArgumentError(f"--product {name}: there is no such product", help)
    return tuple(dict.fromkeys(names)) or ("books",)


def scopes_for(purposes: Iterable[str], products: Iterable[str]) -> str:
    """The fewest scopes for what one wants to do, the list of organisations included.

    Args:
        purposes: Some of `PURPOSES`.
        products: Some of `PRODUCTS`.

    Returns:
        The scopes, separated by commas.

    Raises:
        ArgumentError: A purpose is unknown.
    """
    found: set[str] = set()
    chosen = tuple(products)
    for purpose in purposes:
        if purpose not in PURPOSES:
            help = did_you_mean(purpose, PURPOSES) or f"purposes: {', '.join(PURPOSES)}"
            raise ArgumentError(f"--for {purpose}: there is no such purpose", help)
        for operation in operations():
            if operation.product in chosen and _serves(operation, PURPOSES[purpose]):
                found.update(scopes([operation]).split(","))
    found.update(organizations_scope(product) for product in chosen)
    return ",".join(sorted(found - {""}))


def _serves(operation: Operation[Any], verbs: frozenset[str] | None) -> bool:
    _, resource, verb = operation.id.split(".")
    return verbs is None or (resource in _RESOURCES and verb in verbs)


def scopes_of(ids: Sequence[str]) -> str:
    """The fewest scopes for operations by id or by pattern such as `books.contacts.*`; none given: for all.

    Raises:
        ArgumentError: No operation has that id or pattern.
    """
    found: list[Operation[Any]] = []
    for one in ids:
        matching = [operation for operation in operations() if fnmatchcase(operation.id, one)]
        found += matching or [find_operation(one)]
    return scopes(found if ids else operations())


def missing_scopes(granted: Iterable[str], wanted: Iterable[str]) -> list[str]:
    """The wanted scopes that granted ones do not cover: `X.fullaccess.all` and `X.contacts.ALL` cover others."""
    have = {one.lower() for one in granted}
    return [one for one in wanted if not _covered(one.lower(), have)]


def _covered(scope: str, granted: set[str]) -> bool:
    service, _, rest = scope.partition(".")
    module = rest.partition(".")[0]
    return bool(granted & {scope, f"{service}.fullaccess.all", f"{service}.{module}.all"})
