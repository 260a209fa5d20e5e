"""Comments on contacts. Pure."""

from __future__ import annotations

from zoho_async.fake.refusals import missing, not_found
from zoho_async.fake.world.state import ContactRecord

from . import bodies, checking
from .handler import Handler, HandlerCall, HandlerResult, current, result
from .listing import page_of


def list_of_contact(call: HandlerCall) -> HandlerResult:
    """GET /contacts/{contact_id}/comments, newest first."""
    rows = call.organization.comments.get(current(call)["contact_id"], [])
    return page_of(call, "contact_comments", "Comments", rows, dict)


def create(call: HandlerCall) -> HandlerResult:
    """POST /contacts/{contact_id}/comments"""
    record = current(call)
    body = checking.check_body(call.operation, bodies.data(call))
    text = body.get("description")
    if not text:
        raise missing("description")
    organization = call.organization
    local = organization.local(call.now)
    comment: ContactRecord = {
        "comment_id": organization.new_id(),
        "contact_id": record["contact_id"],
        "contact_name": record["contact_name"],
        "description": text,
        "commented_by_id": organization.user_id,
        "commented_by": "Fake User",
        "comment_type": "internal",
        "date": local.date().isoformat(),
        "date_description": "few seconds ago",
        "time": local.strftime("%I:%M %p").lstrip("0"),
        "transaction_id": "",
        "transaction_type": "",
        "is_entity_deleted": False,
        "operation_type": "added",
    }
    organization.comments.setdefault(record["contact_id"], []).insert(0, comment)
    return result(call, record)


def delete(call: HandlerCall) -> HandlerResult:
    """DELETE /contacts/{contact_id}/comments/{comment_id}"""
    record = current(call)
    comments = call.organization.comments.get(record["contact_id"], [])
    for at, comment in enumerate(comments):
        if comment["comment_id"] == call.path["comment_id"]:
            del comments[at]
            return result(call, record)
    raise not_found("Comment")


HANDLERS: dict[str, Handler] = {
    "books.comments.list": list_of_contact,
    "books.comments.create": create,
    "books.comments.delete": delete,
}
