"""A contact's addresses: the two it is billed and shipped to, and the further ones. Pure."""

from __future__ import annotations

from typing import Any

from zoho_async.fake.rendering import live
from zoho_async.fake.world.state import Record

from . import bodies, checking
from .by_example import message
from .contact_fields import read_address
from .contacts import changed, current
from .handler import Answer, Call, Handler, unknown

_MAIN = ("billing_address", "shipping_address")


def list_of_contact(call: Call) -> Answer:
    """GET /contacts/{contact_id}/address: billing and shipping address unless empty, then the others."""
    rows = [live.address_of(address) for address in _all(current(call))]
    return Answer(body={"code": 0, "message": "success", "addresses": rows})


def list_all(call: Call) -> Answer:
    """GET /contacts/address: those of every contact."""
    rows = [
        {**live.address_of(address), "contact_id": record["contact_id"]}
        for record in call.organization.contacts.values()
        for address in _all(record)
    ]
    return Answer(body={"code": 0, "message": "success", "addresses": rows})


def create(call: Call) -> Answer:
    """POST /contacts/{contact_id}/address"""
    record = current(call)
    new = _set({"address_id": ""}, _read(call))
    new["address_id"] = call.organization.new_id()
    record = changed(call, record, addresses=[*record.get("addresses", []), new])
    return _answered(call, record, new)


def update(call: Call) -> Answer:
    """PUT /contacts/{contact_id}/address/{address_id}: what is not sent stays."""
    record, place, old = _found(call)
    new = _set(old, _read(call))
    return _answered(call, _placed(call, record, place, old, new), new)


def delete(call: Call) -> Answer:
    """DELETE /contacts/{contact_id}/address/{address_id}: the billing or shipping address is emptied."""
    record, place, old = _found(call)
    new = None if place == "addresses" else {"address_id": call.organization.new_id()}
    return _done(call, _placed(call, record, place, old, new))


def mark_billing(call: Call) -> Answer:
    """POST .../markasbilling: the two change places."""
    return _marked(call, "billing_address")


def mark_shipping(call: Call) -> Answer:
    """POST .../markasshipping: the two change places."""
    return _marked(call, "shipping_address")


HANDLERS: dict[str, Handler] = {
    "books.addresses.list": list_of_contact,
    "books.addresses.list_all": list_all,
    "books.addresses.create": create,
    "books.addresses.update": update,
    "books.addresses.delete": delete,
    "books.addresses.mark_billing": mark_billing,
    "books.addresses.mark_shipping": mark_shipping,
}


def _all(record: Record) -> list[Record]:
    main = [record[place] for place in _MAIN if len(record[place]) > 1]
    return [*main, *record.get("addresses", [])]


def _read(call: Call) -> dict[str, Any]:
    body = checking.check_body(call.operation, {**bodies.data(call), **_named(call)})
    return {name: value for name, value in read_address("address", body).items() if name != "address_id"}


def _named(call: Call) -> dict[str, str]:
    # The documents want the address named in the body as well; the path has said it already.
    return {"address_id": call.path["address_id"]} if "address_id" in call.path else {}


def _found(call: Call) -> tuple[Record, str, Record]:
    record, wanted = current(call), call.path["address_id"]
    for place in _MAIN:
        if record[place].get("address_id") == wanted:
            return record, place, record[place]
    for address in record.get("addresses", []):
        if address["address_id"] == wanted:
            return record, "addresses", address
    raise unknown("Address")


def _placed(call: Call, record: Record, place: str, old: Record, new: Record | None) -> Record:
    if place != "addresses":
        return changed(call, record, **{place: new})
    kept = [new if each is old else each for each in record["addresses"]]
    return changed(call, record, addresses=[each for each in kept if each is not None])


def _marked(call: Call, wanted: str) -> Answer:
    record, place, address = _found(call)
    if place == wanted:
        return _done(call, record)
    before = record[wanted]
    if place != "addresses":
        return _done(call, changed(call, record, **{wanted: address, place: before}))
    others = [each for each in record["addresses"] if each is not address]
    if len(before) > 1:
        others.append(before)
    return _done(call, changed(call, record, **{wanted: address}, addresses=others))


def _set(old: Record, changes: dict[str, Any]) -> Record:
    return {name: value for name, value in {**old, **changes}.items() if value is not None}


def _answered(call: Call, record: Record, address: Record) -> Answer:
    body = {"code": 0, "message": message(call.operation.id), "address_info": live.address_of(address)}
    return Answer(body=body, touched=[record])


def _done(call: Call, record: Record) -> Answer:
    return Answer(body=live.error(0, message(call.operation.id)), touched=[record])
