"""Operations without behaviour of their own: checked, then answered with the documents' example. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import msgspec

from zoho_async.fake.rendering import live
from zoho_async.fake.rendering.examples import RESPONSES

from . import bodies, checking
from .handler import Answer, Call, malformed, not_allowed, unknown


def by_example(call: Call) -> Answer:
    """Check path, parameters and body; answer what the documents answer.

    The contact must exist in this organisation, or be the one of the documents' examples, so that lines copied from
    them work as they stand. Other ids only have to look like one.
    """
    operation = call.operation
    checking.check_path(call.path)
    contact_id = call.path.get("contact_id", call.path.get("customer_id"))
    if contact_id is not None:
        check_contact(call, contact_id)
    checking.check_parameters(call)
    if operation.request is not None:
        sent = bodies.read(call)
        if sent.data is not None:
            checking.check_body(operation, sent.data)
        elif not operation.body_optional:
            raise malformed()
        for file in sent.files:
            if file.name not in operation.files:
                raise not_allowed(file.name)
    return Answer(body=example(operation.id))


def check_contact(call: Call, contact_id: str) -> None:
    """Whether there is such a contact; Refusal 1002."""
    if contact_id not in call.organization.contacts and contact_id not in documented_contacts():
        raise unknown("Contact")


def example(operation_id: str) -> dict[str, Any]:
    """The documented answer, ids as the running service writes them; a bare success where there is none."""
    return _live(_parsed(operation_id)) or {"code": 0, "message": "success"}


def message(operation_id: str) -> str:
    """What the documents say on success."""
    return str(_parsed(operation_id).get("message", "success"))


@cache
def documented_contacts() -> frozenset[str]:
    """Ids of the contacts and customers that stand in the documents' examples."""
    found: set[str] = set()
    for operation_id in RESPONSES:
        _gather(_parsed(operation_id), found)
    return frozenset(found)


@cache
def _parsed(operation_id: str) -> dict[str, Any]:
    text = RESPONSES.get(operation_id)
    return cast("dict[str, Any]", live.decode(text)) if text is not None else {}


def _gather(value: object, found: set[str]) -> None:
    if isinstance(value, dict):
        for name, item in cast("dict[str, object]", value).items():
            if name in ("contact_id", "customer_id") and isinstance(item, int | str):
                found.add(str(item))
            _gather(item, found)
    elif isinstance(value, list):
        for item in cast("list[object]", value):
            _gather(item, found)


def _live(value: Any, name: str = "") -> Any:
    if isinstance(value, dict):
        return {key: _live(item, key) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, list):
        items = cast("list[Any]", value)  # type: ignore[redundant-cast] # pyright wants it
        return [_live(item, name) for item in items]
    if name.endswith("_id") and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return "" if value is None or value is msgspec.UNSET else value
