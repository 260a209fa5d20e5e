"""Addresses of a contact: billing, shipping and further ones. Pure."""

from __future__ import annotations

from typing import Any

from zoho_async.fake.refusals import not_found
from zoho_async.fake.rendering.live import whole_address
from zoho_async.fake.world.state import ContactRecord

from . import bodies, checking
from .contact_fields import read_address
from .handler import Handler, HandlerCall, HandlerResult, change, current, overlay, result

_MAIN = ("billing_address", "shipping_address")


def list_of_contact(call: HandlerCall) -> HandlerResult:
    """GET /contacts/{contact_id}/address: billing and shipping address unless empty, then the others."""
    rows = [whole_address(address) for address in _all_addresses(current(call))]
    return result(call, addresses=rows)


def list_all(call: HandlerCall) -> HandlerResult:
    """GET /contacts/address: those of every contact."""
    rows = [
        {**whole_address(address), "contact_id": record["contact_id"]}
        for record in call.organization.contacts.values()
        for address in _all_addresses(record)
    ]
    return result(call, addresses=rows)


def create(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/address"""
    record = current(call)
    new = overlay({"address_id": ""}, _read_body(call))
    new["address_id"] = call.organization.new_id()
    record = change(call, record, addresses=[*record.get("addresses", []), new])
    return result(call, record, address_info=whole_address(new))


def update(call: HandlerCall) -> HandlerResult:
    """PUT /contacts/{contact_id}/address/{address_id}: fields not sent stay."""
    record, place, old = _current_address(call)
    new = overlay(old, _read_body(call))
    return result(call, _replaced(call, record, place, old, new), address_info=whole_address(new))


def delete(call: HandlerCall) -> HandlerResult:
    """DELETE /contacts/{contact_id}/address/{address_id}: the billing or shipping address is emptied."""
    record, place, old = _current_address(call)
    new = None if place == "addresses" else {"address_id": call.organization.new_id()}
    return result(call, _replaced(call, record, place, old, new))


def mark_billing(call: HandlerCall) -> HandlerResult:
    """POST .../markasbilling: the two change places."""
    return _mark_as(call, "billing_address")


def mark_shipping(call: HandlerCall) -> HandlerResult:
    """POST .../markasshipping: the two change places."""
    return _mark_as(call, "shipping_address")


HANDLERS: dict[str, Handler] = {
    "books.addresses.list": list_of_contact,
    "books.addresses.list_all": list_all,
    "books.addresses.create": create,
    "books.addresses.update": update,
    "books.addresses.delete": delete,
    "books.addresses.mark_billing": mark_billing,
    "books.addresses.mark_shipping": mark_shipping,
}


def _all_addresses(record: ContactRecord) -> list[ContactRecord]:
    main = [record[place] for place in _MAIN if len(record[place]) > 1]
    return [*main, *record.get("addresses", [])]


def _read_body(call: HandlerCall) -> dict[str, Any]:
    # The documents require the id in the body as well.
    named = {"address_id": call.path["address_id"]} if "address_id" in call.path else {}
    body = checking.check_body(call.operation, {**bodies.data(call), **named})
    return {name: value for name, value in read_address("address", body).items() if name != "address_id"}


def _current_address(call: HandlerCall) -> tuple[ContactRecord, str, ContactRecord]:
    record, wanted = current(call), call.path["address_id"]
    for place in _MAIN:
        if record[place].get("address_id") == wanted:
            return record, place, record[place]
    for address in record.get("addresses", []):
        if address["address_id"] == wanted:
            return record, "addresses", address
    raise not_found("Address")


def _replaced(
    call: HandlerCall, record: ContactRecord, place: str, old: ContactRecord, new: ContactRecord | None
) -> ContactRecord:
    if place != "addresses":
        return change(call, record, **{place: new})
    kept = [new if each is old else each for each in record["addresses"]]
    return change(call, record, addresses=[each for each in kept if each is not None])


def _mark_as(call: HandlerCall, wanted: str) -> HandlerResult:
    record, place, address = _current_address(call)
    if place == wanted:
        return result(call, record)
    before = record[wanted]
    if place != "addresses":
        return result(call, change(call, record, **{wanted: address, place: before}))
    others = [each for each in record["addresses"] if each is not address]
    if len(before) > 1:
        others.append(before)
    return result(call, change(call, record, **{wanted: address}, addresses=others))
