"""What all handlers share: the call, its result, finding and changing the contact that the path names. Pure."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from zoho_async.fake.refusals import not_found
from zoho_async.fake.rendering.documented import success_message
from zoho_async.fake.rendering.wire_format import envelope

if TYPE_CHECKING:
    from zoho_async.fake.world.state import ContactRecord, Organization
    from zoho_async.schema.operation import Operation


class HandlerCall(msgspec.Struct, frozen=True, kw_only=True):
    """One admitted request: authenticated, within the limits, its body read."""

    operation: Operation[Any]
    organization: Organization
    path: Mapping[str, str]
    query: Mapping[str, str]
    headers: Mapping[str, str]
    """Names compare without regard to case."""
    body: bytes
    form: bool
    """Whether the body came as form fields."""
    now: datetime


class HandlerResult(msgspec.Struct, frozen=True, kw_only=True):
    """The outcome of an executed request."""

    status: int = 200
    body: dict[str, Any]
    content: bytes | None = None
    """Replaces the body when the response is a file."""
    content_type: str = ""
    touched: list[ContactRecord] = msgspec.field(default_factory=list[dict[str, Any]])
    """The changed records as they are now."""
    created: bool = False


Handler: TypeAlias = Callable[[HandlerCall], HandlerResult]
"""Executes a call; raises Refusal, with nothing changed, when Zoho would not."""


def find(organization: Organization, contact_id: str) -> ContactRecord:
    """The contact of this id; Refusal 1002."""
    record = organization.contacts.get(contact_id)
    if record is None:
        raise not_found("Contact")
    return record


def current(call: HandlerCall) -> ContactRecord:
    """The contact that the path names; Refusal 1002."""
    return find(call.organization, call.path["contact_id"])


def contacts_of_query(call: HandlerCall) -> list[ContactRecord]:
    """The contacts that the parameter `contact_ids` names, each once; Refusal 1002 when one is unknown."""
    ids = dict.fromkeys(part.strip() for part in call.query.get("contact_ids", "").split(",") if part.strip())
    return [find(call.organization, contact_id) for contact_id in ids]


def change(call: HandlerCall, old: ContactRecord, **changes: Any) -> ContactRecord:
    """Store the contact with these fields set and a new time of change; returns it as stored."""
    record = {**old, **changes, "last_modified_time": call.organization.stamp(call.now)}
    call.organization.put(record)
    return record


def overlay(old: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """The old fields with the changed ones; None removes a field."""
    merged = {**old, **changes}
    return {name: value for name, value in merged.items() if value is not None}


def result(
    call: HandlerCall, *touched: ContactRecord, status: int = 200, created: bool = False, **content: Any
) -> HandlerResult:
    """A success with the documented message and this content."""
    body = envelope(0, success_message(call.operation.id), **content)
    return HandlerResult(status=status, body=body, touched=[*touched], created=created)
