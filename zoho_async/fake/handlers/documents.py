"""Files attached to contacts, kept byte for byte. Pure."""

from __future__ import annotations

import re
from typing import Any

from zoho_async._typeguards import is_list
from zoho_async.fake.refusals import missing, not_allowed, not_found
from zoho_async.fake.rendering.wire_format import envelope
from zoho_async.fake.world.state import ContactRecord, Document, Organization

from . import bodies
from .handler import Handler, HandlerCall, HandlerResult, change, current, result


def attach(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/attachment: a form with the part `attachment`, which may come several times."""
    record = current(call)
    files = bodies.read(call).files
    if not files:
        raise missing("attachment")
    for file in files:
        if file.name not in call.operation.files:
            raise not_allowed(file.name)
    organization = call.organization
    for file in files:
        document = Document(
            id=organization.new_id(),
            contact_id=record["contact_id"],
            filename=file.filename,
            content_type=file.content_type,
            content=file.content,
        )
        organization.documents[document.id] = document
    message = "Your file has been successfully attached to the contact."
    return HandlerResult(body=envelope(0, message), touched=[_relisted(call, record)])


def get(call: HandlerCall) -> HandlerResult:
    """GET /contacts/{contact_id}/documents/{document_id}: the bytes themselves."""
    _, document = _current_document(call)
    return HandlerResult(body={}, content=document.content, content_type=document.content_type)


def update(call: HandlerCall) -> HandlerResult:
    """PUT /contacts/{contact_id}/documents/{document_id}: its name, and whether the portal shows it."""
    record, document = _current_document(call)
    body = bodies.read(call).data or {}
    name, shown = body.get("file_name"), body.get("can_show_in_portal")
    if isinstance(name, str) and name:
        document.filename = name
    if isinstance(shown, bool):
        document.can_show_in_portal = shown
    return result(call, _relisted(call, record))


def delete(call: HandlerCall) -> HandlerResult:
    """DELETE /contacts/{contact_id}/documents/{document_id}: into the recycle bin."""
    record, document = _current_document(call)
    document.deleted = True
    return result(call, _relisted(call, record))


def restore(call: HandlerCall) -> HandlerResult:
    """POST /contacts/documents/restore: out of the recycle bin.

    The body is undocumented: every id in it counts; without ids all are restored.
    """
    wanted = ids_in(bodies.read(call).data or {})
    organization = call.organization
    unknown_ids = [each for each in wanted if each not in organization.documents]
    if unknown_ids:
        raise not_found("Document")
    touched: list[ContactRecord] = []
    for document in organization.documents.values():
        record = organization.contacts.get(document.contact_id)
        if document.deleted and record is not None and (not wanted or document.id in wanted):
            document.deleted = False
            touched.append(_relisted(call, record))
    return result(call, *touched)


HANDLERS: dict[str, Handler] = {
    "books.contacts.add_attachment": attach,
    "books.documents.get": get,
    "books.documents.update": update,
    "books.documents.delete": delete,
    "books.documents.restore": restore,
}


def ids_in(body: dict[str, Any]) -> list[str]:
    """Every id in an undocumented body: under keys that end in `_id` or `_ids`."""
    found: list[str] = []
    for name, value in body.items():
        if name.endswith(("_id", "_ids")):
            items: list[Any] = value if is_list(value) else str(value).split(",")
            found += [text for text in (str(item).strip() for item in items) if text.isascii() and text.isdigit()]
    return list(dict.fromkeys(found))


def _current_document(call: HandlerCall) -> tuple[ContactRecord, Document]:
    record = current(call)
    document = call.organization.documents.get(call.path["document_id"])
    if document is None or document.deleted or document.contact_id != record["contact_id"]:
        raise not_found("Document")
    return record, document


def _relisted(call: HandlerCall, record: ContactRecord) -> ContactRecord:
    """The contact with its list of documents up to date."""
    return change(call, record, documents=_document_rows(call.organization, record["contact_id"]))


def _document_rows(organization: Organization, contact_id: str) -> list[dict[str, Any]]:
    mine = [each for each in organization.documents.values() if each.contact_id == contact_id and not each.deleted]
    return [
        {
            "document_id": document.id,
            "file_name": document.filename,
            "file_type": _file_type(document.filename),
            "file_size": len(document.content),
            "file_size_formatted": f"{len(document.content) / 1024:.1f} KB",
            "attachment_order": order,
            "can_show_in_portal": document.can_show_in_portal,
        }
        for order, document in enumerate(mine, 1)
    ]


def _file_type(filename: str) -> str:
    found = re.search(r"\.([A-Za-z0-9]{1,10})$", filename)
    return found[1].lower() if found else ""
