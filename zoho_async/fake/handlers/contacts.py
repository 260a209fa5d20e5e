"""The operations of contacts that create, read, change and delete them. Pure functions, each a `Handler`."""

from __future__ import annotations

from zoho_async.fake.refusals import has_transactions, invalid_value, missing, not_found
from zoho_async.fake.rendering.documented import success_message
from zoho_async.fake.rendering.live import whole_contact
from zoho_async.fake.rendering.wire_format import envelope
from zoho_async.fake.world.state import ContactRecord, Organization

from . import bodies
from .contact_records import store_changed, store_new
from .handler import Handler, HandlerCall, HandlerResult, change, contacts_of_query, current, result
from .listing import list_contacts


def create(call: HandlerCall) -> HandlerResult:
    """POST /contacts"""
    return _created(call)


def get(call: HandlerCall) -> HandlerResult:
    """GET /contacts/{contact_id}"""
    return result(call, contact=whole_contact(current(call), call.organization))


def update(call: HandlerCall) -> HandlerResult:
    """PUT /contacts/{contact_id}"""
    return _updated(call, current(call))


def upsert(call: HandlerCall) -> HandlerResult:
    """PUT /contacts, the record identified by a custom field without duplicates.

    What the service does when the body of a creating call lacks that field is unknown. Here it stays empty: the next
    call does not find the record, so that tests see the duplicates of a client that forgets the field.
    """
    organization = call.organization
    field = call.headers.get("X-Unique-Identifier-Key", "")
    value = call.headers.get("X-Unique-Identifier-Value", "")
    if not field:
        raise missing("X-Unique-Identifier-Key")
    if not value:
        raise missing("X-Unique-Identifier-Value")
    if field not in organization.unique_fields:
        raise invalid_value("X-Unique-Identifier-Key")
    # Header bytes that are not UTF-8 arrive as lone surrogates, which JSON cannot hold.
    value = value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    contact_id = organization.id_by_unique(field, value)
    if contact_id is not None:
        return _updated(call, organization.contacts[contact_id])
    if call.headers.get("X-Upsert", "").lower() != "true":
        raise not_found("Contact")
    return _created(call)


def delete(call: HandlerCall) -> HandlerResult:
    """DELETE /contacts/{contact_id}"""
    record = current(call)
    remove(call.organization, [record])
    return result(call, record)


def delete_many(call: HandlerCall) -> HandlerResult:
    """DELETE /contacts?contact_ids=1,2: all of them or, when one cannot be deleted, none."""
    records = contacts_of_query(call)
    if not records:
        raise missing("contact_ids")
    remove(call.organization, records)
    return result(call, *records)


def mark_active(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/active"""
    return _mark(call, "active")


def mark_inactive(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/inactive"""
    return _mark(call, "inactive")


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


def remove(organization: Organization, records: list[ContactRecord]) -> None:
    """Delete contacts; Refusal 3000, with none deleted, when one has transactions."""
    if any(record["has_transaction"] for record in records):
        raise has_transactions()
    for record in records:
        organization.remove(record["contact_id"])


def _created(call: HandlerCall) -> HandlerResult:
    record = store_new(call.organization, bodies.data(call), call.now)
    # Not `result`: the document of upsert has the message of an update.
    message = success_message("books.contacts.create")
    body = envelope(0, message, contact=whole_contact(record, call.organization))
    return HandlerResult(status=201, body=body, touched=[record], created=True)


def _updated(call: HandlerCall, old: ContactRecord) -> HandlerResult:
    record = store_changed(call.organization, old, bodies.data(call), call.now)
    return result(call, record, contact=whole_contact(record, call.organization))


def _mark(call: HandlerCall, status: str) -> HandlerResult:
    return result(call, change(call, current(call), status=status))
