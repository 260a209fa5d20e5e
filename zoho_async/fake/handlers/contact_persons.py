"""Contact persons, of Books and of Invoice alike: the very persons that stand in the contacts. Pure."""

from __future__ import annotations

from typing import Any

from zoho_async.fake.rendering import live
from zoho_async.fake.world.state import Record

from . import bodies, checking
from .by_example import message
from .contact_fields import read_person
from .contacts import changed, current, find
from .handler import Answer, Call, Handler, missing, unknown
from .listing import page_of


def create(call: Call) -> Answer:
    """POST /contacts/contactpersons: the contact is named in the body."""
    sent = bodies.data(call)
    body = checking.check_body(call.operation, sent)
    contact_id = str(body.get("contact_id") or "")
    if not contact_id:
        raise missing("contact_id")
    record = find(call.organization, contact_id)
    person = _set({}, read_person("contact_person", body))
    if not person:
        raise missing("first_name")
    person = {"contact_person_id": call.organization.new_id(), **person}
    persons = [*record["contact_persons"], person]
    record = changed(call, record, contact_persons=_one_primary(persons, person))
    return _answered(call, record, person["contact_person_id"], status=201, in_list=True)


def list_all(call: Call) -> Answer:
    """GET /contacts/contactpersons: the persons of every contact."""
    pairs = [(record, person) for record in call.organization.contacts.values() for person in record["contact_persons"]]
    return page_of(call, "contact_persons", "Contact Persons", pairs, lambda pair: _shown(*pair))


def list_of_contact(call: Call) -> Answer:
    """GET /contacts/{contact_id}/contactpersons"""
    record = current(call)
    persons: list[Record] = record["contact_persons"]
    return page_of(call, "contact_persons", "Contact Persons", persons, lambda person: _shown(record, person))


def get(call: Call) -> Answer:
    """GET a person, with or without its contact in the path."""
    record, person = _found(call)
    return _answered(call, record, person["contact_person_id"])


def update(call: Call) -> Answer:
    """PUT /contacts/contactpersons/{contact_person_id}: what is not sent stays."""
    record, person = _found(call)
    body = checking.check_body(call.operation, bodies.data(call))
    if body.get("contact_id") and str(body["contact_id"]) != record["contact_id"]:
        raise unknown("Contact person")
    changes = read_person("contact_person", body)
    changes.pop("contact_person_id", None)
    new = _set(person, changes)
    persons = [new if each is person else each for each in record["contact_persons"]]
    record = changed(call, record, contact_persons=_one_primary(persons, new))
    return _answered(call, record, person["contact_person_id"], in_list=True)


def delete(call: Call) -> Answer:
    """DELETE /contacts/contactpersons/{contact_person_id}"""
    record, person = _found(call)
    persons = [each for each in record["contact_persons"] if each is not person]
    return _done(call, changed(call, record, contact_persons=_one_primary(persons, None)))


def mark_primary(call: Call) -> Answer:
    """POST /contacts/contactpersons/{contact_person_id}/primary"""
    return _flagged(call, is_primary_contact=True)


def invite(call: Call) -> Answer:
    """POST .../portal/invite and .../portal/invite/resend"""
    return _flagged(call, is_added_in_portal=True)


def enable_sms(call: Call) -> Answer:
    """POST .../sms/enable"""
    return _flagged(call, is_sms_enabled_for_cp=True)


def disable_sms(call: Call) -> Answer:
    """POST .../sms/disable"""
    return _flagged(call, is_sms_enabled_for_cp=False)


_BOTH: dict[str, Handler] = {
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
        for name, handler in _BOTH.items()
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


def _found(call: Call) -> tuple[Record, Record]:
    person_id = call.path["contact_person_id"]
    contact_id = call.organization.contact_of(person_id)
    if contact_id is None or call.path.get("contact_id", contact_id) != contact_id:
        raise unknown("Contact person")
    record = call.organization.contacts[contact_id]
    return record, next(each for each in record["contact_persons"] if each["contact_person_id"] == person_id)


def _flagged(call: Call, **flags: bool) -> Answer:
    record, person = _found(call)
    new = {**person, **flags}
    persons = [new if each is person else each for each in record["contact_persons"]]
    return _done(call, changed(call, record, contact_persons=_one_primary(persons, new)))


def _set(old: Record, changes: dict[str, Any]) -> Record:
    return {name: value for name, value in {**old, **changes}.items() if value is not None}


def _one_primary(persons: list[Record], latest: Record | None) -> list[Record]:
    """The same persons, one of them primary: the one that was just made so, else who it was, else the first."""
    main = latest if latest is not None and latest.get("is_primary_contact") else None
    main = main or next((each for each in persons if each.get("is_primary_contact")), persons[0] if persons else None)
    return [{**each, "is_primary_contact": each is main} for each in persons]


def _shown(record: Record, person: Record) -> dict[str, Any]:
    return {"contact_id": record["contact_id"], "contact_name": record["contact_name"], **live.person_of(person)}


def _answered(call: Call, record: Record, person_id: str, *, status: int = 200, in_list: bool = False) -> Answer:
    person = next(each for each in record["contact_persons"] if each["contact_person_id"] == person_id)
    shown = _shown(record, person)
    body = {"code": 0, "message": message(call.operation.id), "contact_person": [shown] if in_list else shown}
    written = [] if call.operation.reads else [record]
    # Books' document answers 200 to a new person, Invoice's 201.
    return Answer(status=status if call.operation.product == "invoice" else 200, body=body, touched=written)


def _done(call: Call, record: Record) -> Answer:
    return Answer(body=live.error(0, message(call.operation.id)), touched=[record])
