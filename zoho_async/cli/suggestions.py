"""What a mistyped product, resource or operation was probably meant to be. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

from zoho_async import Operation, operations

from .console.exit_codes import ArgumentError

_AS_CONTACTS = frozenset(("contact", "customer", "customers", "vendor", "vendors", "supplier", "suppliers", "clients"))
_AS_CUSTOMERS = frozenset(("customer", "contact", "contacts", "client", "clients"))


def did_you_mean(word: str, known: Iterable[str], *, cutoff: float = 0.5) -> str:
    """A question that names the nearest words; empty when none is near."""
    folded = {one.lower(): one for one in known}
    near = difflib.get_close_matches(word.lower(), folded, n=3, cutoff=cutoff)
    return f"did you mean {' or '.join(f'`{folded[one]}`' for one in near)}?" if near else ""


def resource_names() -> tuple[str, ...]:
    """Every resource by product and name, such as `books.contacts`."""
    return tuple(dict.fromkeys(operation.id.rpartition(".")[0] for operation in operations()))


def check_resource(name: str) -> None:
    """Raises ArgumentError, which says what was probably meant, when there is no such product or resource."""
    names = resource_names()
    if name in names:
        return
    product, _, resource = name.partition(".")
    products = sorted({one.partition(".")[0] for one in names})
    if product not in products:
        help = did_you_mean(product, products) or f"products: {', '.join(products)}"
        raise ArgumentError(f"there is no product `{product}`", help)
    known = [one.partition(".")[2] for one in names if one.startswith(f"{product}.")]
    other = next((one for one in _other_names(resource) if one in known), None)
    if other is not None:
        raise ArgumentError(
            f"there is no `{product} {resource}`: they are `{other}` in {product.capitalize()}",
            f"write {product} {other}",
        )
    help = did_you_mean(resource, known) or f"resources of {product}: {', '.join(known)}"
    raise ArgumentError(f"there is no `{product} {resource}`", help)


def find_operation(operation_id: str) -> Operation[Any]:
    """The operation of that id. Raises ArgumentError, which names near ones, when there is none."""
    known = {operation.id: operation for operation in operations()}
    if operation_id in known:
        return known[operation_id]
    product, _, rest = operation_id.partition(".")
    resource, _, verb = rest.partition(".")
    others = [f"{product}.{other}.{verb}" for other in _other_names(resource)]
    found = next((one for one in others if one in known), None)
    help = f"did you mean `{found}`?" if found else did_you_mean(operation_id, known)
    raise ArgumentError(
        f"there is no operation `{operation_id}`",
        help or f"zoho-async operations {rest or product} lists those with that word",
    )


def _other_names(resource: str) -> list[str]:
    """What another product calls such a resource."""
    folded = resource.lower()
    names: list[str] = []
    if folded in _AS_CONTACTS:
        names.append("contacts")
    if folded in _AS_CUSTOMERS:
        names.append("customers")
    return names
