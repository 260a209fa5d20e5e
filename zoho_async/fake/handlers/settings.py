"""Lists of an organisation that other records refer to: currencies, taxes, users, price books, custom fields. Pure."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from zoho_async.fake.rendering.wire_format import encode, envelope
from zoho_async.fake.world.state import Organization
from zoho_async.schema.operation import Operation
from zoho_async.schema.registry import PRODUCTS

from .handler import Handler, HandlerCall, HandlerResult


def _currencies(organization: Organization) -> list[dict[str, Any]]:
    return [
        {
            "currency_id": currency_id,
            "currency_code": currency.code,
            "currency_name": f"{currency.code}- {currency.name}",
            "currency_symbol": currency.symbol,
            "price_precision": 2,
            "is_base_currency": currency_id == organization.currency_id,
            "exchange_rate": 0,
        }
        for currency_id, currency in organization.currencies.items()
    ]


def _taxes(organization: Organization) -> list[dict[str, Any]]:
    return [
        {"tax_id": organization.fixed_id(101), "tax_name": "VAT", "tax_percentage": 19, "tax_type": "tax"},
        {"tax_id": organization.fixed_id(102), "tax_name": "Reduced", "tax_percentage": 7, "tax_type": "tax"},
    ]


def _users(organization: Organization) -> list[dict[str, Any]]:
    return [
        {
            "user_id": organization.user_id,
            "name": "Fake User",
            "email": "user@fake.invalid",
            "user_role": "admin",
            "status": "active",
            "is_current_user": True,
        }
    ]


def _pricebooks(organization: Organization) -> list[dict[str, Any]]:
    return [{"pricebook_id": organization.fixed_id(201), "name": "Wholesale", "status": "active"}]


def _custom_fields(organization: Organization) -> list[dict[str, Any]]:
    for name in sorted(organization.unique_fields):
        # As a field without duplicates is there before its first value.
        organization.custom_field(name, "")
    return [
        {
            "customfield_id": field.id,
            "api_name": field.api_name,
            "label": field.label,
            "data_type": field.data_type,
            "index": field.index,
            "is_unique": field.api_name in organization.unique_fields,
            "is_active": True,
        }
        for field in organization.custom_fields.values()
    ]


_LISTS: dict[str, tuple[str, Callable[[Organization], list[dict[str, Any]]]]] = {
    "/settings/currencies": ("currencies", _currencies),
    "/settings/taxes": ("taxes", _taxes),
    "/users": ("users", _users),
    "/pricebooks": ("pricebooks", _pricebooks),
    "/settings/customfields": ("customfields", _custom_fields),
}


def _listing(member: str, rows: Callable[[Organization], list[dict[str, Any]]]) -> Handler:
    def handle(call: HandlerCall) -> HandlerResult:
        body = envelope(0, "success", **{member: rows(call.organization)})
        return HandlerResult(body=body, content=encode(body), content_type="application/json;charset=UTF-8")

    return handle


OPERATIONS: list[Operation[Any]] = [
    Operation(
        id=f"{product.name}.settings.{member}",
        product=product.name,
        method="GET",
        path=path,
        scope="",
        title=member,
        kind="untyped",
        idempotent=True,
        organization=product.organization,
    )
    for product in PRODUCTS.values()
    for path, (member, _) in _LISTS.items()
]
"""They have no place in the specs: the client has no methods for them."""
HANDLERS: dict[str, Handler] = {
    f"{product.name}.settings.{member}": _listing(member, rows)
    for product in PRODUCTS.values()
    for member, rows in _LISTS.values()
}
