"""The documents' own example responses, by operation. Pure."""

from __future__ import annotations

from functools import cache
from typing import Any, cast

import msgspec

from zoho_async._typeguards import is_list, is_object

from .examples import RESPONSES
from .wire_format import decode


@cache
def documented_response(operation_id: str) -> dict[str, Any]:
    """The example as the documents print it; empty when they have none. Not to be changed."""
    text = RESPONSES.get(operation_id)
    return cast("dict[str, Any]", decode(text)) if text is not None else {}


def example_response(operation_id: str) -> dict[str, Any]:
    """The example with ids as the live service writes them; a bare success when there is none."""
    return _live_value(documented_response(operation_id)) or {"code": 0, "message": "success"}


def success_message(operation_id: str) -> str:
    """The message that the documents show on success."""
    return str(documented_response(operation_id).get("message", "success"))


@cache
def documented_contacts() -> frozenset[str]:
    """Ids of the contacts and customers in the documents' examples."""
    found: set[str] = set()
    for operation_id in RESPONSES:
        _collect_contacts(documented_response(operation_id), found)
    return frozenset(found)


def _collect_contacts(value: object, found: set[str]) -> None:
    if is_object(value):
        for name, item in value.items():
            if name in ("contact_id", "customer_id") and isinstance(item, int | str):
                found.add(str(item))
            _collect_contacts(item, found)
    elif is_list(value):
        for item in value:
            _collect_contacts(item, found)


def _live_value(value: Any, name: str = "") -> Any:
    if is_object(value):
        return {key: _live_value(item, key) for key, item in value.items()}
    if is_list(value):
        return [_live_value(item, name) for item in value]
    if name.endswith("_id") and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return "" if value is None or value is msgspec.UNSET else value
