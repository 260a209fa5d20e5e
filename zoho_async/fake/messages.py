"""A request and its reply, as they pass between the HTTP edge and the service."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from zoho_async.fake.handlers.handler import Refusal
from zoho_async.fake.world.faults import Fault
from zoho_async.fake.world.quotas import Allowance

from .rendering import live

JSON = "application/json;charset=UTF-8"
_GATEWAY_PAGE = b"<html><head><title>Zoho</title></head><body><h1>Something went wrong</h1></body></html>"


class Received(msgspec.Struct, frozen=True, kw_only=True):
    """One request as it came in and how it was answered."""

    operation: str
    """Operation id, `oauth.token` for a token request, empty for a path nobody knows."""
    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    """Names in lower case; credentials are replaced by `***`."""
    body: bytes
    """As received; empty for token requests, which carry secrets."""
    organization_id: str
    status: int | None
    """None when the connection was cut instead of an answer."""
    code: int | None


class Reply(msgspec.Struct, frozen=True):
    """What goes back; `code` is Zoho's, for the records."""

    status: int
    body: bytes
    headers: dict[str, str]
    code: int | None = None
    content_type: str = JSON


class Request(msgspec.Struct):
    """What is known of the request at hand, filled in on its way through."""

    method: str
    path: str
    segments: list[str]
    query: dict[str, str]
    headers: Mapping[str, str]
    form: bool
    body: bytes = b""
    operation_id: str = ""
    organization_id: str = ""
    fault: Fault | None = None
    allowance: Allowance | None = None


def refused(refusal: Refusal) -> Reply:
    """The reply to what a handler would not do."""
    return error(refusal.status, refusal.code, refusal.message)


def error(status: int, code: int, message: str, retry_after: int | None = None) -> Reply:
    """An error in Zoho's shape; `retry_after` is in seconds."""
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(status, live.encode(live.error(code, message)), headers, code)


def faulty(fault: Fault) -> Reply:
    """The reply that a fault puts in place of the true one."""
    if fault.kind == "html":
        return Reply(fault.status, _GATEWAY_PAGE, {}, content_type="text/html;charset=UTF-8")
    code = 1000 if fault.code is None else fault.code
    return error(fault.status, code, "This was ordered by a script.", fault.retry_after)
