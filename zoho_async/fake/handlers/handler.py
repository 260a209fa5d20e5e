"""What goes into a handler and what comes out. Handlers are plain functions, keyed by operation id."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

if TYPE_CHECKING:
    from zoho_async.fake.world.state import Organization, Record
    from zoho_async.schema.operation import Operation


class Call(msgspec.Struct, frozen=True, kw_only=True):
    """One request that was let in: authenticated, within the limits, its body read."""

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


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler that acted answers."""

    status: int = 200
    body: dict[str, Any]
    content: bytes | None = None
    """What goes back instead of the body when the answer is a file."""
    content_type: str = ""
    touched: list[Record] = msgspec.field(default_factory=list[dict[str, Any]])
    """The records it changed, as they are now."""
    created: bool = False


class Refusal(Exception):  # noqa: N818 - an answer of Zoho, no error of ours
    """Zoho does not do it: nothing was changed."""

    def __init__(self, status: int, code: int, message: str) -> None:
        super().__init__(message)
        self.status = status
        self.code = code
        self.message = message


Handler: TypeAlias = Callable[[Call], Answer]


def missing(name: str) -> Refusal:
    """A mandatory field or header is not there."""
    return Refusal(400, 6, f"Mandatory Field {name} is missing.")


def invalid(name: str) -> Refusal:
    """A value of the wrong kind, or outside the allowed ones."""
    return Refusal(400, 2, f"Invalid value passed for {name}")


def not_allowed(name: str) -> Refusal:
    """A value outside a closed list, or a parameter that the operation does not have."""
    return Refusal(400, 4, f"Invalid value passed for {name}")


def malformed() -> Refusal:
    """A body that cannot be read."""
    return Refusal(400, 1038, "JSON is not well formed")


def too_long(name: str, maximum: int) -> Refusal:
    """A text longer than its field takes."""
    return Refusal(400, 15, f"Please ensure that the {name} has less than {maximum} characters.")


def unknown(what: str) -> Refusal:
    """The record does not exist, or not in this organisation."""
    return Refusal(404, 1002, f"{what} does not exist.")
