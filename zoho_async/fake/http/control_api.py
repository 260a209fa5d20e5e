"""`/_fake/...`: controlling and inspecting a FakeZoho from any language.

No credentials are needed and nothing is counted. So that no web page can read or change anything, a request with a
foreign Host or Origin is refused (403); Host may be the address it listens on or this machine's. Bodies are JSON. The
organisation is that of the query, `?organization_id=`, else the first one. `GET /_fake` returns this list and a line of
JSON with address, credentials and a `grant_code` that can be spent; with `Accept: application/json` only that line:

    GET    /_fake/stats            requests and executions by operation, token requests, crashes, calls per limit
    GET    /_fake/received         the last requests, one a line, oldest first; credentials are not in it
    GET    /_fake/contacts         the stored contacts, one a line; POST /_fake/seed takes such lines
    POST   /_fake/seed             contacts as a JSON list or as JSON Lines: stored without a call
    GET    /_fake/organizations    the organisations
    POST   /_fake/organizations    one more: {"id": "1", "name": "A", "plan": "free", "edition": "in", "zone": "+05:30"}
    POST   /_fake/script           {"operation": "books.contacts.create", "faults": ["reset_after", "429:44:30"]}
    POST   /_fake/faults           {"operation": "*", "fault": "status:503", "probability": 0.1}
    DELETE /_fake/faults           removes every script and chance
    GET    /_fake/clock            the time of the fake
    POST   /_fake/clock            {"advance": 3600}: seconds forward
    GET    /_fake/limits           per_minute, per_day, concurrency, block_seconds
    POST   /_fake/limits           those to change; null is off
    POST   /_fake/expire_tokens    invalidates every access token, the announced one too
    POST   /_fake/reset            everything as at the start, except credentials and clock
"""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable, Mapping
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from zoho_async.fake.handlers.organizations import organization_row
from zoho_async.fake.messages import FakeRequest, Reply, json_reply
from zoho_async.fake.refusals import Refusal, no_such_url
from zoho_async.fake.rendering.wire_format import decode, encode

from .announcement import access_line

if TYPE_CHECKING:
    from zoho_async.fake.service import FakeService
    from zoho_async.fake.world.quotas import Allowance
    from zoho_async.fake.world.state import Organization

_ControlAction: TypeAlias = "Callable[[FakeService, FakeRequest, Organization], Reply]"


def handle_control(service: FakeService, request: FakeRequest, listening_on: str) -> Reply:
    """The reply of a control address; Refusal: 404 unknown, 403 foreign request, 400 invalid body."""
    if not _is_own(request.headers, listening_on):
        raise Refusal(403, 57, "The control of FakeZoho takes no foreign Host or Origin.")
    organization_id = request.query.get("organization_id") or service.organization_id
    organization = service.organizations.get(organization_id)
    if organization is None:
        raise Refusal(404, 6041, f"There is no organization {organization_id} here.")
    action = ACTIONS.get(f"{request.method} {'/'.join(request.segments[1:])}".strip())
    if action is None:
        raise no_such_url()
    try:
        return action(service, request, organization)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise Refusal(400, 2, str(error)) from None


class _ScriptRequest(msgspec.Struct, forbid_unknown_fields=True):
    operation: str
    faults: list[str]


class _ChanceRequest(msgspec.Struct, forbid_unknown_fields=True):
    operation: str
    fault: str
    probability: float


class _ClockRequest(msgspec.Struct, forbid_unknown_fields=True):
    advance: float


class _LimitsRequest(msgspec.Struct, forbid_unknown_fields=True):
    per_minute: int | msgspec.UnsetType | None = msgspec.UNSET
    per_day: int | msgspec.UnsetType | None = msgspec.UNSET
    concurrency: int | msgspec.UnsetType | None = msgspec.UNSET
    block_seconds: float | msgspec.UnsetType | None = msgspec.UNSET


_HOST = re.compile(r"(?P<name>\[[0-9a-f:.]+\]|[^\[\]:@/]+)(:\d{1,5})?")
_LOOPBACK = ("localhost", "127.0.0.1", "[::1]")


def _is_own(headers: Mapping[str, str], listening_on: str) -> bool:
    """Whether Host and Origin, as a browser sends them, show that no foreign page made the request.

    A page of another site has its own Origin; one that had its name resolve to this machine has its own Host.
    """
    host = headers.get("Host", "").lower()
    found = _HOST.fullmatch(host)
    if found is None:
        return False
    name, own = found["name"], listening_on.lower()
    allowed = name in _LOOPBACK or name in (own, f"[{own}]")
    if not allowed and own in ("", "0.0.0.0", "::"):
        # On every address: a name may be anybody's, an address is not.
        allowed = _is_address(name)
    return allowed and headers.get("Origin", f"http://{host}").lower() in (f"http://{host}", f"https://{host}")


def _is_address(name: str) -> bool:
    try:
        ip_address(name.strip("[]"))
    except ValueError:
        return False
    return True


def _help(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    access = access_line(service, f"http://{request.headers.get('Host', '')}").encode()
    if "application/json" in request.headers.get("Accept", ""):
        return Reply(200, access, {})
    content = (__doc__ or "").encode() + b"\n" + access + b"\n"
    return Reply(200, content, {}, content_type="text/plain;charset=UTF-8")


def _stats(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    return json_reply(service.stats())


def _received(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    rows: list[dict[str, Any]] = []
    for each in service.received:
        shown: dict[str, Any] = msgspec.structs.asdict(each)
        try:
            shown["body"] = each.body.decode()
        except UnicodeDecodeError:
            del shown["body"]
            shown["body_base64"] = base64.b64encode(each.body).decode()
        rows.append(shown)
    return _lines(rows)


def _contacts(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    return _lines(organization.contacts.values())


def _seed(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    return json_reply({"seeded": len(service.seed(_parsed_rows(request.body), organization.id))})


def _organizations(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    known = service.organizations.values()
    return json_reply([organization_row(each, is_default=each.id == service.organization_id) for each in known])


def _add_organization(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    made = service.add_organization(msgspec.json.decode(request.body, type=dict[str, Any]))
    return json_reply(organization_row(made, is_default=False))


def _script(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    wanted = msgspec.json.decode(request.body, type=_ScriptRequest)
    service.script(wanted.operation, wanted.faults)
    return json_reply({"scripted": len(wanted.faults)})


def _chance(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    wanted = msgspec.json.decode(request.body, type=_ChanceRequest)
    service.chance(wanted.operation, wanted.fault, wanted.probability)
    return json_reply({"probability": wanted.probability})


def _no_faults(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    service.clear_faults()
    return json_reply({})


def _clock(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    return json_reply({"now": service.clock.now().isoformat(), "time": service.clock.time()})


def _advance(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    service.clock.advance(msgspec.json.decode(request.body, type=_ClockRequest).advance)
    return _clock(service, request, organization)


def _limits(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    return json_reply(_limit_numbers(organization.limits))


def _set_limits(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    wanted = msgspec.structs.asdict(msgspec.json.decode(request.body, type=_LimitsRequest))
    given = {name: value for name, value in wanted.items() if value is not msgspec.UNSET}
    if any(value is not None and value < 0 for value in given.values()):
        raise ValueError("a limit is not negative")
    for name, value in given.items():
        setattr(organization.limits, name, value)
    return json_reply(_limit_numbers(organization.limits))


def _expire(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    service.expire_tokens()
    return json_reply({})


def _reset(service: FakeService, request: FakeRequest, organization: Organization) -> Reply:
    service.reset()
    return json_reply({})


ACTIONS: dict[str, _ControlAction] = {
    "GET": _help,
    "GET stats": _stats,
    "GET received": _received,
    "GET contacts": _contacts,
    "POST seed": _seed,
    "GET organizations": _organizations,
    "POST organizations": _add_organization,
    "POST script": _script,
    "POST faults": _chance,
    "DELETE faults": _no_faults,
    "GET clock": _clock,
    "POST clock": _advance,
    "GET limits": _limits,
    "POST limits": _set_limits,
    "POST expire_tokens": _expire,
    "POST reset": _reset,
}


def _limit_numbers(limits: Allowance) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in _LimitsRequest.__struct_fields__}


def _lines(rows: Iterable[object]) -> Reply:
    body = b"".join(encode(each) + b"\n" for each in rows)
    return Reply(200, body, {}, content_type="application/x-ndjson")


def _parsed_rows(body: bytes) -> list[dict[str, Any]]:
    """Rows from a JSON list or from JSON Lines."""
    text = body.strip()
    rows: object = decode(text) if text.startswith(b"[") else [decode(line) for line in text.splitlines()]
    return msgspec.convert(rows, list[dict[str, Any]])
