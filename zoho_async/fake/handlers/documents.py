"""Files attached to contacts: what went in comes out, byte by byte. Pure."""

from __future__ import annotations

import re
from typing import Any

from zoho_async.fake.rendering import live
from zoho_async.fake.world.state import Document, Organization, Record

from . import bodies
from .contacts import changed, current
from .handler import Answer, Call, Handler, missing, not_allowed, unknown


def attach(call: Call) -> Answer:
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
    return _done(call, _relisted(call, record), "Your file has been successfully attached to the contact.")


def get(call: Call) -> Answer:
    """GET /contacts/{contact_id}/documents/{document_id}: the bytes themselves."""
    _, document = _found(call)
    return Answer(body={}, content=document.content, content_type=document.content_type)


def update(call: Call) -> Answer:
    """PUT /contacts/{contact_id}/documents/{document_id}: its name, and whether the portal shows it."""
    record, document = _found(call)
    body = bodies.read(call).data or {}
    name, shown = body.get("file_name"), body.get("can_show_in_portal")
    if isinstance(name, str) and name:
        document.filename = name
    if isinstance(shown, bool):
        document.can_show_in_portal = shown
    return _done(call, _relisted(call, record))


def delete(call: Call) -> Answer:
    """DELETE /contacts/{contact_id}/documents/{document_id}: into the bin."""
    record, document = _found(call)
    document.deleted = True
    return _done(call, _relisted(call, record))


def restore(call: Call) -> Answer:
    """POST /contacts/documents/restore: out of the bin; the ids stand in the body, in whatever field, or nowhere.

    No document says what the body looks like; without ids all are restored.
    """
    wanted = ids_in(bodies.read(call).data or {})
    organization = call.organization
    unknown_ids = [each for each in wanted if each not in organization.documents]
    if unknown_ids:
        raise unknown("Document")
    touched: list[Record] = []
    for document in organization.documents.values():
        record = organization.contacts.get(document.contact_id)
        if document.deleted and record is not None and (not wanted or document.id in wanted):
            document.deleted = False
            touched.append(_relisted(call, record))
    return Answer(body=live.error(0, "success"), touched=touched)


HANDLERS: dict[str, Handler] = {
    "books.contacts.add_attachment": attach,
    "books.documents.get": get,
    "books.documents.update": update,
    "books.documents.delete": delete,
    "books.documents.restore": restore,
}


def ids_in(body: dict[str, Any]) -> list[str]:
    """Every id that stands in a body whose shape nobody documents: under keys that end in `_id` or `_ids`."""
    found: list[str] = []
    for name, value in body.items():
        if name.endswith(("_id", "_ids")):
            items: list[Any] = value if isinstance(value, list) else str(value).split(",")  # pyright: ignore[reportUnknownVariableType]
            found += [text for text in (str(item).strip() for item in items) if text.isascii() and text.isdigit()]
    return list(dict.fromkeys(found))


def _found(call: Call) -> tuple[Record, Document]:
    record = current(call)
    document = call.organization.documents.get(call.path["document_id"])
    if document is None or document.deleted or document.contact_id != record["contact_id"]:
        raise unknown("Document")
    return record, document


def _relisted(call: Call, record: Record) -> Record:
    return changed(call, record, documents=_rows(call.organization, record["contact_id"]))


def _rows(organization: Organization, contact_id: str) -> list[dict[str, Any]]:
    mine = [each for each in organization.documents.values() if each.contact_id == contact_id and not each.deleted]
    return [
        {
            "document_id": document.id,
            "file_name": document.filename,
            "file_type": _kind(document.filename),
            "file_size": len(document.content),
            "file_size_formatted": f"{len(document.content) / 1024:.1f} KB",
            "attachment_order": order,
            "can_show_in_portal": document.can_show_in_portal,
        }
        for order, document in enumerate(mine, 1)
    ]


def _kind(filename: str) -> str:
    found = re.search(r"\.([A-Za-z0-9]{1,10})$", filename)
    return found[1].lower() if found else ""


def _done(call: Call, record: Record, message: str = "success") -> Answer:
    return Answer(body=live.error(0, message), touched=[record])
