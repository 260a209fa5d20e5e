"""Contact persons of Books and Invoice: the persons in the stored contacts. Pure."""

from __future__ import annotations

from typing import Any

from zoho_async.fake.refusals import missing, not_found
from zoho_async.fake.rendering.live import whole_person
from zoho_async.fake.world.state import ContactRecord

from . import bodies, checking
from .contact_fields import read_person
from .contact_records import with_one_primary
from .handler import Handler, HandlerCall, HandlerResult, change, current, find, overlay, result
from .listing import page_of


def create(call: HandlerCall) -> HandlerResult:
    """POST /contacts/contactpersons: the contact is named in the body."""
    body = checking.check_body(call.operation, bodies.data(call))
    contact_id = str(body.get("contact_id") or "")
    if not contact_id:
        raise missing("contact_id")
    record = find(call.organization, contact_id)
    person = overlay({}, read_person("contact_person", body))
    if not person:
        raise missing("first_name")
    person = {"contact_person_id": call.organization.new_id(), **person}
    persons = [*record["contact_persons"], person]
    record = change(call, record, contact_persons=with_one_primary(persons, person))
    return _person_result(call, record, person["contact_person_id"], status=201, in_list=True)


def list_all(call: HandlerCall) -> HandlerResult:
    """GET /contacts/contactpersons: the persons of every contact."""
    pairs = [(record, person) for record in call.organization.contacts.values() for person in record["contact_persons"]]
    return page_of(call, "contact_persons", "Contact Persons", pairs, lambda pair: _with_contact(*pair))


def list_of_contact(call: HandlerCall) -> HandlerResult:
    """GET /contacts/{contact_id}/contactpersons"""
    record = current(call)
    persons: list[ContactRecord] = record["contact_persons"]
    return page_of(call, "contact_persons", "Contact Persons", persons, lambda person: _with_contact(record, person))


def get(call: HandlerCall) -> HandlerResult:
    """GET a person, with or without its contact in the path."""
    record, person = _current_person(call)
    return _person_result(call, record, person["contact_person_id"])


def update(call: HandlerCall) -> HandlerResult:
    """PUT /contacts/contactpersons/{contact_person_id}: what is not sent stays."""
    record, person = _current_person(call)
    body = checking.check_body(call.operation, bodies.data(call))
    if body.get("contact_id") and str(body["contact_id"]) != record["contact_id"]:
        raise not_found("Contact person")
    changes = read_person("contact_person", body)
    changes.pop("contact_person_id", None)
    record = _replace(call, record, person, overlay(person, changes))
    return _person_result(call, record, person["contact_person_id"], in_list=True)


def delete(call: HandlerCall) -> HandlerResult:
    """DELETE /contacts/contactpersons/{contact_person_id}"""
    record, person = _current_person(call)
    persons = [each for each in record["contact_persons"] if each is not person]
    return result(call, change(call, record, contact_persons=with_one_primary(persons)))


def mark_primary(call: HandlerCall) -> HandlerResult:
    """POST /contacts/contactpersons/{contact_person_id}/primary"""
    return _set_flags(call, is_primary_contact=True)


def invite(call: HandlerCall) -> HandlerResult:
    """POST .../portal/invite and .../portal/invite/resend"""
    return _set_flags(call, is_added_in_portal=True)


def enable_sms(call: HandlerCall) -> HandlerResult:
    """POST .../sms/enable"""
    return _set_flags(call, is_sms_enabled_for_cp=True)


def disable_sms(call: HandlerCall) -> HandlerResult:
    """POST .../sms/disable"""
    return _set_flags(call, is_sms_enabled_for_cp=False)


_IN_BOTH_PRODUCTS: dict[str, Handler] = {
    "create": create,
    "update": update,
    "delete": delete,
    "list": list_of_contact,
    "mark_primary": mark_primary,
}
HANDLERS: dict[str, Handler] = {
    **{
        f"{product}.contact_persons.{name}": handler
        for product in ("books", "invoice")
        for name, handler in _IN_BOTH_PRODUCTS.items()
    },
    "invoice.contact_persons.get": get,
    "books.contact_persons.get": get,
    "books.contact_persons.get_of_contact": get,
    "books.contact_persons.list_all": list_all,
    "books.contact_persons.invite_to_portal": invite,
    "books.contact_persons.resend_portal_invite": invite,
    "books.contact_persons.enable_sms": enable_sms,
    "books.contact_persons.disable_sms": disable_sms,
}


def _current_person(call: HandlerCall) -> tuple[ContactRecord, ContactRecord]:
    """The contact and the person that the path names; Refusal 1002."""
    person_id = call.path["contact_person_id"]
    contact_id = call.organization.id_by_person(person_id)
    if contact_id is None or call.path.get("contact_id", contact_id) != contact_id:
        raise not_found("Contact person")
    record = call.organization.contacts[contact_id]
    return record, next(each for each in record["contact_persons"] if each["contact_person_id"] == person_id)


def _set_flags(call: HandlerCall, **flags: bool) -> HandlerResult:
    record, person = _current_person(call)
    return result(call, _replace(call, record, person, {**person, **flags}))


def _replace(call: HandlerCall, record: ContactRecord, old: ContactRecord, new: ContactRecord) -> ContactRecord:
    persons = [new if each is old else each for each in record["contact_persons"]]
    return change(call, record, contact_persons=with_one_primary(persons, new))


def _with_contact(record: ContactRecord, person: ContactRecord) -> dict[str, Any]:
    return {"contact_id": record["contact_id"], "contact_name": record["contact_name"], **whole_person(person)}


def _person_result(
    call: HandlerCall, record: ContactRecord, person_id: str, *, status: int = 200, in_list: bool = False
) -> HandlerResult:
    person = next(each for each in record["contact_persons"] if each["contact_person_id"] == person_id)
    shown = _with_contact(record, person)
    touched = [] if call.operation.reads else [record]
    # A new person has status 200 in Books' document, 201 in Invoice's.
    status = status if call.operation.product == "invoice" else 200
    return result(call, *touched, status=status, contact_person=[shown] if in_list else shown)
