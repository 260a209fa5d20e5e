"""Contacts: what their nine operations do to an organisation. Pure functions, each a `Handler`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from zoho_async.fake.rendering import live
from zoho_async.fake.world.state import Organization, Record

from . import bodies
from .contact_fields import is_api_name, read_contact, read_custom_fields
from .handler import Answer, Call, Handler, Refusal, invalid, missing, unknown
from .listing import list_contacts

_SEEDED = (
    "contact_id",
    "status",
    "has_transaction",
    "portal_status",
    "is_linked_with_zohocrm",
    "outstanding_receivable_amount",
    "outstanding_payable_amount",
    "unused_credits_receivable_amount",
    "owner_id",
    "zcrm_account_id",
    "zcrm_contact_id",
    "payment_reminder_enabled",
    "created_time",
    "last_modified_time",
)


def create(call: Call) -> Answer:
    """POST /contacts"""
    return created(call.organization, bodies.data(call), call.now)


def get(call: Call) -> Answer:
    """GET /contacts/{contact_id}"""
    record = current(call)
    return _answer("success", record, call.organization)


def update(call: Call) -> Answer:
    """PUT /contacts/{contact_id}"""
    record = current(call)
    return updated(call.organization, record, bodies.data(call), call.now)


def upsert(call: Call) -> Answer:
    """PUT /contacts, the record named by a custom field without duplicates.

    What the service does when the body of a creating call lacks that field is unknown. Here it stays empty: the
    record is then not found by the next call, so a client that forgets it doubles the record, and tests see it.
    """
    organization = call.organization
    field = call.headers.get("X-Unique-Identifier-Key", "")
    value = call.headers.get("X-Unique-Identifier-Value", "")
    if not field:
        raise missing("X-Unique-Identifier-Key")
    if not value:
        raise missing("X-Unique-Identifier-Value")
    if field not in organization.unique_fields:
        raise invalid("X-Unique-Identifier-Key")
    # Header bytes that are not UTF-8 arrive as lone surrogates, which no JSON could carry back.
    value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    contact_id = organization.holding(field, value)
    if contact_id is not None:
        return updated(organization, organization.contacts[contact_id], bodies.data(call), call.now)
    if call.headers.get("X-Upsert", "").lower() != "true":
        raise unknown("Contact")
    return created(organization, bodies.data(call), call.now)


def delete(call: Call) -> Answer:
    """DELETE /contacts/{contact_id}"""
    record = current(call)
    check_deletable(record)
    call.organization.remove(record["contact_id"])
    return Answer(body=live.error(0, "The contact has been deleted."), touched=[record])


def delete_many(call: Call) -> Answer:
    """DELETE /contacts?contact_ids=1,2: all of them or, when one cannot go, none."""
    ids = dict.fromkeys(part.strip() for part in call.query.get("contact_ids", "").split(",") if part.strip())
    if not ids:
        raise missing("contact_ids")
    records = [find(call.organization, contact_id) for contact_id in ids]
    for record in records:
        check_deletable(record)
    for record in records:
        call.organization.remove(record["contact_id"])
    return Answer(body=live.error(0, "The contacts have been deleted."), touched=records)


def mark_active(call: Call) -> Answer:
    """POST /contacts/{contact_id}/active"""
    return _marked(call, "active")


def mark_inactive(call: Call) -> Answer:
    """POST /contacts/{contact_id}/inactive"""
    return _marked(call, "inactive")


HANDLERS: dict[str, Handler] = {
    "books.contacts.create": create,
    "books.contacts.list": list_contacts,
    "books.contacts.get": get,
    "books.contacts.update": update,
    "books.contacts.upsert": upsert,
    "books.contacts.delete": delete,
    "books.contacts.delete_many": delete_many,
    "books.contacts.mark_active": mark_active,
    "books.contacts.mark_inactive": mark_inactive,
}


def seed(organization: Organization, row: Mapping[str, Any], now: datetime) -> Record:
    """Put one contact in, as a create would, and return the stored record; Refusal when a create would refuse it.

    Besides a create's fields a row may set `contact_id`, the ids of contact persons, `status`, `has_transaction`,
    `owner_id`, the ids in CRM, the outstanding amounts and the times, and give `custom_fields` as a mapping by api
    name or as `cf_...` keys; a stored record is such a row.
    """
    body = {name: value for name, value in row.items() if not is_api_name(name)}
    custom = {name: value for name, value in row.items() if is_api_name(name)}
    given = body.get("custom_fields")
    if isinstance(given, Mapping):
        custom |= cast("Mapping[str, Any]", given)
        given = []
    listed = [{"api_name": name, "value": value} for name, value in custom.items()]
    body["custom_fields"] = [*(given or []), *listed]
    body["contact_persons"], person_ids = _without_ids(row.get("contact_persons"))
    given_id = row.get("contact_id")
    if given_id is not None and not (isinstance(given_id, str) and given_id.isascii() and given_id.isdigit()):
        raise invalid("contact_id")
    if given_id in organization.contacts:
        raise Refusal(400, 2, f"A contact with id {given_id} is there already.")
    record = _new(organization, body, now)
    for person, person_id in zip(record["contact_persons"], person_ids, strict=True):
        person["contact_person_id"] = person_id or person["contact_person_id"]
    for name in _SEEDED:
        if name in row:
            value = row[name]
            if name.endswith("_time"):
                value = organization.stamp(_moment(name, value))
            record[name] = value
    organization.put(record)
    return record


def _without_ids(persons: object) -> tuple[list[dict[str, Any]], list[str | None]]:
    """The persons without their ids, and the ids: only what is seeded may bring ids of its own."""
    if persons is None:
        return [], []
    if not isinstance(persons, list) or not all(isinstance(each, dict) for each in cast("list[object]", persons)):
        raise invalid("contact_persons")
    rest = [dict(each) for each in cast("list[dict[str, Any]]", persons)]
    ids = [each.pop("contact_person_id", None) for each in rest]
    if not all(each is None or (isinstance(each, str) and each.isascii() and each.isdigit()) for each in ids):
        raise invalid("contact_person_id")
    return rest, ids


# -- building


def created(organization: Organization, body: dict[str, Any], now: datetime) -> Answer:
    """Store a new contact and answer it."""
    record = _new(organization, body, now)
    organization.put(record)
    return _answer("The contact has been created", record, organization, status=201, touched=True, created=True)


def updated(organization: Organization, old: Record, body: dict[str, Any], now: datetime) -> Answer:
    """Change a contact and answer it."""
    record = _merged(organization, old, body)
    record["last_modified_time"] = organization.stamp(now)
    organization.put(record)
    return _answer("Contact has been updated successfully", record, organization, touched=True)


def _new(organization: Organization, body: dict[str, Any], now: datetime) -> Record:
    stamp = organization.stamp(now)
    empty: Record = {
        "contact_id": "",
        "contact_name": "",
        "contact_type": "customer",
        "customer_sub_type": "business",
        "status": "active",
        "has_transaction": False,
        "billing_address": {},
        "shipping_address": {},
        "contact_persons": [],
        "custom_fields": {},
        "created_time": stamp,
        "last_modified_time": stamp,
    }
    record = _merged(organization, empty, body)
    record["contact_id"] = organization.new_id()
    return record


def _merged(organization: Organization, old: Record, body: dict[str, Any]) -> Record:
    """A new record: the old one with what the body changes. Refusal leaves everything as it was."""
    changes = read_contact(body)
    record = dict(old)
    for name, value in changes.items():
        if name in ("billing_address", "shipping_address", "default_templates"):
            record[name] = _overlaid(old.get(name, {}), value)
        elif name == "contact_persons":
            record[name] = _persons(old["contact_persons"], value)
        elif value is not None:
            record[name] = value
        elif name == "contact_name":
            record[name] = ""
        else:
            record.pop(name, None)
    if not record["contact_name"].strip():
        raise missing("contact_name")
    holder = organization.named(record["contact_type"], record["contact_name"])
    if holder is not None and holder != old["contact_id"]:
        kind, name = record["contact_type"], record["contact_name"].strip()
        raise Refusal(400, 3062, f'The {kind} "{name}" already exists. Please specify a different name.')
    if "custom_fields" in body:
        record["custom_fields"] = _custom(organization, old, body["custom_fields"])
    # Nothing can be refused any more: only now ids are given out.
    for name in ("billing_address", "shipping_address"):
        if "address_id" not in record[name]:
            record[name] = {"address_id": organization.new_id(), **record[name]}
    for person in record["contact_persons"]:
        if "contact_person_id" not in person:
            person["contact_person_id"] = organization.new_id()
    for api_name, value in record["custom_fields"].items():
        organization.custom_field(api_name, value)
    return record


def _overlaid(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**old, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def _persons(old: list[Record], sent: list[Record]) -> list[Record]:
    """The list as sent replaces the old one; a person sent with an id keeps what was not sent of it."""
    known: dict[str, Record] = {person["contact_person_id"]: person for person in old}
    persons: list[Record] = []
    for person in sent:
        person_id = person.get("contact_person_id")
        if person_id is None:
            persons.append(_overlaid({}, person))
        elif person_id in known:
            persons.append(_overlaid(known.pop(person_id), person))
        else:
            raise unknown("Contact person")
    main = next((person for person in persons if person.get("is_primary_contact")), persons[0] if persons else None)
    for person in persons:
        person["is_primary_contact"] = person is main
    return persons


def _custom(organization: Organization, old: Record, sent: object) -> dict[str, Any]:
    values = dict(old["custom_fields"])
    for field in read_custom_fields(sent):
        name = _api_name(organization, field)
        value = field.get("value")
        if value is None or value == "" or value == []:
            values.pop(name, None)
            continue
        values[name] = value
        if name in organization.unique_fields:
            holder = organization.holding(name, value)
            if holder is not None and holder != old["contact_id"]:
                # No document names the code of this refusal.
                raise Refusal(400, 2, f"The value {value} of {name} belongs to another contact already.")
    return values


def _api_name(organization: Organization, field: Mapping[str, Any]) -> str:
    if "api_name" in field:
        name = field["api_name"]
        if not is_api_name(name):
            raise invalid("api_name")
        return str(name)
    if "customfield_id" in field:
        wanted = str(field["customfield_id"])
        for known in organization.custom_fields.values():
            if known.id == wanted:
                return known.api_name
        raise invalid("customfield_id")
    index = field.get("index")
    if index is None and isinstance(field.get("label"), str):
        # The way of Billing's document: by the name people see.
        label: str = field["label"]
        for known in organization.custom_fields.values():
            if known.label == label:
                return known.api_name
        return "cf_" + (re.sub(r"\W+", "_", label, flags=re.ASCII).strip("_").lower() or "field")[:100]
    if isinstance(index, bool) or not isinstance(index, int) or index <= 0:
        raise invalid("custom_fields")
    for known in organization.custom_fields.values():
        if known.index == index:
            return known.api_name
    if index > 99_999:
        raise invalid("custom_fields")
    return f"cf_field_{index}"


# -- small parts


def changed(call: Call, old: Record, **changes: Any) -> Record:
    """Store the contact with these fields set, now; returns it as stored."""
    record = {**old, **changes, "last_modified_time": call.organization.stamp(call.now)}
    call.organization.put(record)
    return record


def _marked(call: Call, status: str) -> Answer:
    record = changed(call, current(call), status=status)
    return Answer(body=live.error(0, f"The contact has been marked as {status}."), touched=[record])


def _answer(
    message: str,
    record: Record,
    organization: Organization,
    *,
    status: int = 200,
    touched: bool = False,
    created: bool = False,
) -> Answer:
    body = {"code": 0, "message": message, "contact": live.contact(record, organization)}
    return Answer(status=status, body=body, touched=[record] if touched else [], created=created)


def current(call: Call) -> Record:
    """The contact that the path names; Refusal 1002."""
    return find(call.organization, call.path["contact_id"])


def find(organization: Organization, contact_id: str) -> Record:
    """The contact of this id; Refusal 1002."""
    record = organization.contacts.get(contact_id)
    if record is None:
        raise unknown("Contact")
    return record


def check_deletable(record: Record) -> None:
    """Refusal 3000 when it stands in transactions."""
    if record["has_transaction"]:
        message = "Customers involved in transactions cannot be deleted. Instead, you can mark them as inactive."
        raise Refusal(400, 3000, message)


def _moment(name: str, value: object) -> datetime:
    try:
        return live.read_stamp(str(value))
    except ValueError:
        raise invalid(name) from None
