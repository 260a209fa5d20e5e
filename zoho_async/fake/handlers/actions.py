"""Further actions on contacts: owner, portal, reminders, 1099, merge, look-up by reference. Pure."""

from __future__ import annotations

from typing import Any

from zoho_async.fake.refusals import not_found
from zoho_async.fake.rendering.live import whole_contact
from zoho_async.fake.world.state import ContactRecord

from . import bodies, checking
from .documents import ids_in
from .handler import Handler, HandlerCall, HandlerResult, change, contacts_of_query, current, find, result


def assign_owner(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/owner?owner_id=: without an id it has no owner."""
    return result(call, change(call, current(call), owner_id=_owner(call)))


def assign_owner_many(call: HandlerCall) -> HandlerResult:
    """POST /contacts/owner?contact_ids=&owner_id=: all of them or, when one is unknown, none."""
    checking.check_parameters(call)
    return result(call, *[change(call, record, owner_id=_owner(call)) for record in contacts_of_query(call)])


def enable_portal(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/portal/enable: for the persons named."""
    record = current(call)
    body = checking.check_body(call.operation, bodies.data(call))
    wanted = [str(person.get("contact_person_id")) for person in body["contact_persons"]]
    known = {person["contact_person_id"] for person in record["contact_persons"]}
    if not known.issuperset(wanted):
        raise not_found("Contact person")
    persons = [
        {**each, "is_added_in_portal": True, "enable_portal": True} if each["contact_person_id"] in wanted else each
        for each in record["contact_persons"]
    ]
    return result(call, change(call, record, is_portal_enabled=True, portal_status="enabled", contact_persons=persons))


def disable_portal(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/portal/disable"""
    record = current(call)
    bodies.read(call)
    persons = [{**each, "is_added_in_portal": False, "enable_portal": False} for each in record["contact_persons"]]
    changes: dict[str, Any] = {"is_portal_enabled": False, "portal_status": "disabled", "contact_persons": persons}
    return result(call, change(call, record, **changes))


def enable_payment_reminders(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/paymentreminder/enable"""
    return result(call, change(call, current(call), payment_reminder_enabled=True))


def disable_payment_reminders(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/paymentreminder/disable"""
    return result(call, change(call, current(call), payment_reminder_enabled=False))


def track_1099(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/track1099"""
    return result(call, change(call, current(call), track_1099=True))


def untrack_1099(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/untrack1099"""
    return result(call, change(call, current(call), track_1099=False))


def track_1099_many(call: HandlerCall) -> HandlerResult:
    """POST /contacts/track1099?contact_ids="""
    return result(call, *[change(call, record, track_1099=True) for record in contacts_of_query(call)])


def merge(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/merge: the contacts named in the body become one with that of the path.

    The body is undocumented: every id in it counts. Their persons, addresses, comments, files and transactions move;
    then they are deleted. Without ids nothing is merged.
    """
    organization, record = call.organization, current(call)
    wanted = [each for each in ids_in(bodies.read(call).data or {}) if each != record["contact_id"]]
    others = [find(organization, each) for each in wanted]
    for other in others:
        persons = [{**person, "is_primary_contact": False} for person in other["contact_persons"]]
        extra = [other[place] for place in ("billing_address", "shipping_address") if len(other[place]) > 1]
        comments = organization.comments.get(other["contact_id"], [])
        organization.remove(other["contact_id"])
        if comments:
            organization.comments.setdefault(record["contact_id"], []).extend(comments)
        for document in organization.documents.values():
            if document.contact_id == other["contact_id"]:
                document.contact_id = record["contact_id"]
        record = change(
            call,
            record,
            contact_persons=[*record["contact_persons"], *persons],
            addresses=[*record.get("addresses", []), *extra, *other.get("addresses", [])],
            documents=[*record.get("documents", []), *other.get("documents", [])],
            has_transaction=record["has_transaction"] or other["has_transaction"],
            custom_fields={**other["custom_fields"], **record["custom_fields"]},
        )
    return result(call, record, *others)


def get_by_reference(call: HandlerCall) -> HandlerResult:
    """GET /contacts/reference/{reference_id}: by its id in Zoho CRM."""
    record = by_reference(call, ("zcrm_account_id", "zcrm_contact_id"))
    return result(call, contact=whole_contact(record, call.organization))


def by_reference(call: HandlerCall, names: tuple[str, ...]) -> ContactRecord:
    """The contact that has the `reference_id` of the path in one of these fields; Refusal 1002."""
    wanted = call.path["reference_id"]
    for record in call.organization.contacts.values():
        if any(record.get(name) == wanted for name in names):
            return record
    raise not_found("Contact")


HANDLERS: dict[str, Handler] = {
    f"books.contacts.{handler.__name__}": handler
    for handler in (
        assign_owner,
        assign_owner_many,
        enable_portal,
        disable_portal,
        enable_payment_reminders,
        disable_payment_reminders,
        track_1099,
        untrack_1099,
        track_1099_many,
        merge,
        get_by_reference,
    )
}


def _owner(call: HandlerCall) -> str:
    owner_id = call.query.get("owner_id", "")
    if owner_id:
        checking.check_path({"owner_id": owner_id})
    return owner_id
