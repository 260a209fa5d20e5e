"""Building stored contacts: from a request body, from a body over an old record, from a seeded row. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from zoho_async._typeguards import is_list, is_mapping, is_object
from zoho_async.fake.refusals import Refusal, invalid_value, missing, name_taken, not_found, value_taken
from zoho_async.fake.rendering.wire_format import read_timestamp
from zoho_async.fake.world.state import ContactRecord, Organization

from .contact_fields import is_api_name, read_contact, read_custom_fields
from .handler import overlay

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
"""Fields that a seeded row may set and a create may not."""


def store_new(organization: Organization, body: dict[str, Any], now: datetime) -> ContactRecord:
    """Store a new contact; Refusal when its body is invalid or its name or a unique value is taken."""
    record = _new_contact(organization, body, now)
    organization.put(record)
    return record


def store_changed(organization: Organization, old: ContactRecord, body: dict[str, Any], now: datetime) -> ContactRecord:
    """Store the changes of the body; Refusal as in `store_new`."""
    record = _merged_contact(organization, old, body)
    record["last_modified_time"] = organization.stamp(now)
    organization.put(record)
    return record


def _new_contact(organization: Organization, body: dict[str, Any], now: datetime) -> ContactRecord:
    """A record from the body of a create, with an id; not stored yet."""
    stamp = organization.stamp(now)
    empty: ContactRecord = {
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
    record = _merged_contact(organization, empty, body)
    record["contact_id"] = organization.new_id()
    return record


def _merged_contact(organization: Organization, old: ContactRecord, body: dict[str, Any]) -> ContactRecord:
    """The old record with the changes of the body, not stored yet; a Refusal changes nothing."""
    record = dict(old)
    for name, value in read_contact(body).items():
        if name in ("billing_address", "shipping_address", "default_templates"):
            record[name] = overlay(old.get(name, {}), value)
        elif name == "contact_persons":
            record[name] = _merged_persons(old["contact_persons"], value)
        elif value is not None:
            record[name] = value
        elif name == "contact_name":
            record[name] = ""
        else:
            record.pop(name, None)
    if not record["contact_name"].strip():
        raise missing("contact_name")
    holder = organization.id_by_name(record["contact_type"], record["contact_name"])
    if holder is not None and holder != old["contact_id"]:
        raise name_taken(record["contact_type"], record["contact_name"].strip())
    if "custom_fields" in body:
        record["custom_fields"] = _merged_custom_fields(organization, old, body["custom_fields"])
    _assign_ids(organization, record)
    return record


def _assign_ids(organization: Organization, record: ContactRecord) -> None:
    """Ids for new parts, once nothing can be refused any more."""
    for name in ("billing_address", "shipping_address"):
        if "address_id" not in record[name]:
            record[name] = {"address_id": organization.new_id(), **record[name]}
    for person in record["contact_persons"]:
        if "contact_person_id" not in person:
            person["contact_person_id"] = organization.new_id()
    for api_name, value in record["custom_fields"].items():
        organization.custom_field(api_name, value)


def with_one_primary(persons: list[ContactRecord], latest: ContactRecord | None = None) -> list[ContactRecord]:
    """The persons with one of them primary: `latest` if it is marked so, else the first marked, else the first."""
    main = latest if latest is not None and latest.get("is_primary_contact") else None
    main = main or next((each for each in persons if each.get("is_primary_contact")), persons[0] if persons else None)
    return [{**each, "is_primary_contact": each is main} for each in persons]


def _merged_persons(old: list[ContactRecord], sent: list[ContactRecord]) -> list[ContactRecord]:
    """The sent list replaces the old one; a person with an id keeps its fields that were not sent."""
    known: dict[str, ContactRecord] = {person["contact_person_id"]: person for person in old}
    persons: list[ContactRecord] = []
    for person in sent:
        person_id = person.get("contact_person_id")
        if person_id is None:
            persons.append(overlay({}, person))
        elif person_id in known:
            persons.append(overlay(known.pop(person_id), person))
        else:
            raise not_found("Contact person")
    return with_one_primary(persons)


def _merged_custom_fields(organization: Organization, old: ContactRecord, sent: object) -> dict[str, Any]:
    values = dict(old["custom_fields"])
    for field in read_custom_fields(sent):
        name = _api_name(organization, field)
        value = field.get("value")
        if value is None or value == "" or value == []:
            values.pop(name, None)
            continue
        values[name] = value
        if name in organization.unique_fields:
            holder = organization.id_by_unique(name, value)
            if holder is not None and holder != old["contact_id"]:
                raise value_taken(name, value)
    return values


def _api_name(organization: Organization, field: Mapping[str, Any]) -> str:
    """The api name of a custom field that is given by api name, id, label (as in Billing) or index."""
    known = organization.custom_fields.values()
    if "api_name" in field:
        name = field["api_name"]
        if not is_api_name(name):
            raise invalid_value("api_name")
        return str(name)
    if "customfield_id" in field:
        wanted = str(field["customfield_id"])
        for definition in known:
            if definition.id == wanted:
                return definition.api_name
        raise invalid_value("customfield_id")
    index = field.get("index")
    if index is None and isinstance(field.get("label"), str):
        label: str = field["label"]
        for definition in known:
            if definition.label == label:
                return definition.api_name
        return "cf_" + (re.sub(r"\W+", "_", label, flags=re.ASCII).strip("_").lower() or "field")[:100]
    if isinstance(index, bool) or not isinstance(index, int) or index <= 0:
        raise invalid_value("custom_fields")
    for definition in known:
        if definition.index == index:
            return definition.api_name
    if index > 99_999:
        raise invalid_value("custom_fields")
    return f"cf_field_{index}"


# -- seeding


def seed(organization: Organization, row: Mapping[str, Any], now: datetime) -> ContactRecord:
    """Store one contact without a call and return it; Refusal when a create would refuse it.

    Besides a create's fields a row may set `contact_id`, the ids of contact persons, `status`, `has_transaction`,
    `owner_id`, the ids in CRM, the outstanding amounts and the times. Custom fields may be `cf_...` keys or a mapping
    by api name. A stored record is such a row.
    """
    body = {name: value for name, value in row.items() if not is_api_name(name)}
    custom = {name: value for name, value in row.items() if is_api_name(name)}
    given: Any = body.get("custom_fields")
    if is_mapping(given):
        custom |= given
        given = []
    listed = [{"api_name": name, "value": value} for name, value in custom.items()]
    body["custom_fields"] = [*(given or []), *listed]
    body["contact_persons"], person_ids = _separate_ids(row.get("contact_persons"))
    given_id = row.get("contact_id")
    if given_id is not None and not _is_id(given_id):
        raise invalid_value("contact_id")
    if given_id in organization.contacts:
        raise Refusal(400, 2, f"A contact with id {given_id} is there already.")
    record = _new_contact(organization, body, now)
    for person, person_id in zip(record["contact_persons"], person_ids, strict=True):
        person["contact_person_id"] = person_id or person["contact_person_id"]
    for name in _SEEDED:
        if name in row:
            value = row[name]
            if name.endswith("_time"):
                value = organization.stamp(_timestamp(name, value))
            record[name] = value
    organization.put(record)
    return record


def _separate_ids(persons: object) -> tuple[list[dict[str, Any]], list[str | None]]:
    """The persons without their ids, and the ids: a create accepts no ids of new persons."""
    if persons is None:
        return [], []
    if not is_list(persons) or not all(is_object(each) for each in persons):
        raise invalid_value("contact_persons")
    rest = [dict(each) for each in persons]
    ids = [each.pop("contact_person_id", None) for each in rest]
    if not all(each is None or _is_id(each) for each in ids):
        raise invalid_value("contact_person_id")
    return rest, ids


def _is_id(value: object) -> bool:
    return isinstance(value, str) and value.isascii() and value.isdigit()


def _timestamp(name: str, value: object) -> datetime:
    try:
        return read_timestamp(str(value))
    except ValueError:
        raise invalid_value(name) from None
