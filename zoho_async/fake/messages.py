"""A request and its response, as they pass between the HTTP server and the handlers."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from zoho_async.fake.world.faults import Fault
from zoho_async.fake.world.quotas import Allowance

from .refusals import Refusal
from .rendering import wire_format

_JSON_TYPE = "application/json;charset=UTF-8"
_GATEWAY_PAGE = b"<html><head><title>Zoho</title></head><body><h1>Something went wrong</h1></body></html>"


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it was received, and the status of its response."""

    operation: str
    """Operation id; `oauth.token` for a token request, empty for an unknown path."""
    method: str
    """In capitals."""
    path: str
    """As received, without the query."""
    query: dict[str, str]
    """Names and values, decoded."""
    headers: dict[str, str]
    """Names in lower case; credentials are replaced by `***`."""
    body: bytes
    """As received; empty for token requests, which carry secrets."""
    organization_id: str
    """The organisation it was checked against; empty when it was refused before that."""
    status: int | None
    """None when the connection was cut before the response was complete."""
    code: int | None
    """Zoho's code, if the response had one."""


class Reply(msgspec.Struct, frozen=True):
    """An HTTP response; `code` is Zoho's, for `received`."""

    status: int
    body: bytes
    headers: dict[str, str]
    code: int | None = None
    content_type: str = _JSON_TYPE


class FakeRequest(msgspec.Struct):
    """One request with what is found out about it while it is processed."""

    method: str
    path: str
    segments: list[str]
    query: dict[str, str]
    headers: Mapping[str, str]
    """Names compare without regard to case."""
    form: bool
    """Whether the body came as form fields."""
    body: bytes = b""
    operation_id: str = ""
    organization_id: str = ""
    fault: Fault | None = None
    allowance: Allowance | None = None


def json_reply(value: object, status: int = 200) -> Reply:
    """A reply of JSON that is no error."""
    return Reply(status, wire_format.encode(value), {})


def error_reply(status: int, code: int, message: str, retry_after: int | None = None) -> Reply:
    """An error in Zoho's shape; `retry_after` in seconds."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(status, wire_format.encode(wire_format.envelope(code, message)), headers, code)


def refusal_reply(refusal: Refusal) -> Reply:
    """The reply to a refused request."""
    return error_reply(refusal.status, refusal.code, refusal.message)


def fault_reply(fault: Fault) -> Reply:
    """The reply that an ordered fault puts in place of the true one."""
    if fault.kind == "html":
        return Reply(fault.status, _GATEWAY_PAGE, {}, content_type="text/html;charset=UTF-8")
    code = 1000 if fault.code is None else fault.code
    return error_reply(fault.status, code, "This was ordered by a script.", fault.retry_after)
