"""`/_fake/...`: controlling and inspecting a FakeZoho from any language.

No credentials are asked for and nothing is counted. Bodies are JSON; what concerns one organisation takes it from the
query, `?organization_id=`, else it is the first one. `GET /_fake` answers this list:

    GET    /_fake/stats            counts of requests and acts by operation, token requests, crashes, calls per limit
    GET    /_fake/received         the last requests, one a line, oldest first; credentials are not in it
    GET    /_fake/contacts         the stored contacts, one a line; POST /_fake/seed takes such lines
    POST   /_fake/seed             contacts as a JSON list or as JSON Lines: put in without a call
    GET    /_fake/organizations    the organisations
    POST   /_fake/organizations    one more: {"id": "1", "name": "A", "plan": "free", "edition": "in", "zone": "+05:30"}
    POST   /_fake/script           {"operation": "books.contacts.create", "faults": ["reset_after", "429:44:30"]}
    POST   /_fake/faults           {"operation": "*", "fault": "status:503", "probability": 0.1}
    DELETE /_fake/faults           no script and no chance any more
    GET    /_fake/clock            the time as the fake sees it
    POST   /_fake/clock            {"advance": 3600}: seconds forward
    GET    /_fake/limits           per_minute, per_day, concurrency, block_seconds
    POST   /_fake/limits           those to change; null is off
    POST   /_fake/expire_tokens    every access token is dead, the announced one too
    POST   /_fake/reset            everything as at the start, but for credentials and clock
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

import msgspec

from zoho_async.fake.handlers.handler import Refusal
from zoho_async.fake.handlers.organizations import row
from zoho_async.fake.messages import Reply, Request
from zoho_async.fake.rendering import live

if TYPE_CHECKING:
    from zoho_async.fake.service import Service
    from zoho_async.fake.world.quotas import Allowance
    from zoho_async.fake.world.state import Organization

_Act: TypeAlias = "Callable[[Service, Request, Organization], Reply]"


def answer(service: Service, request: Request) -> Reply:
    """Do what is asked; Refusal 404 for what is not in the list, 400 for a body that cannot be understood."""
    organization_id = request.query.get("organization_id") or service.organization_id
    organization = service.organizations.get(organization_id)
    if organization is None:
        raise Refusal(404, 6041, f"There is no organization {organization_id} here.")
    act = _ACTS.get(f"{request.method} {'/'.join(request.segments[1:])}".strip())
    if act is None:
        raise Refusal(404, 5, "Invalid URL Passed")
    try:
        return act(service, request, organization)
    except (ValueError, TypeError, msgspec.MsgspecError) as error:
        raise Refusal(400, 2, str(error)) from None


class _Script(msgspec.Struct, forbid_unknown_fields=True):
    operation: str
    faults: list[str]


class _Chance(msgspec.Struct, forbid_unknown_fields=True):
    operation: str
    fault: str
    probability: float


class _Move(msgspec.Struct, forbid_unknown_fields=True):
    advance: float


class _Limits(msgspec.Struct, forbid_unknown_fields=True):
    per_minute: int | msgspec.UnsetType | None = msgspec.UNSET
    per_day: int | msgspec.UnsetType | None = msgspec.UNSET
    concurrency: int | msgspec.UnsetType | None = msgspec.UNSET
    block_seconds: float | msgspec.UnsetType | None = msgspec.UNSET


def _help(service: Service, request: Request, organization: Organization) -> Reply:
    return Reply(200, (__doc__ or "").encode(), {}, content_type="text/plain;charset=UTF-8")


def _stats(service: Service, request: Request, organization: Organization) -> Reply:
    return _json(service.stats())


def _received(service: Service, request: Request, organization: Organization) -> Reply:
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


def _contacts(service: Service, request: Request, organization: Organization) -> Reply:
    return _lines(organization.contacts.values())


def _seed(service: Service, request: Request, organization: Organization) -> Reply:
    return _json({"seeded": len(service.seed(_rows(request.body), organization.id))})


def _organizations(service: Service, request: Request, organization: Organization) -> Reply:
    known = service.organizations.values()
    return _json([row(each, is_default=each.id == service.organization_id) for each in known])


def _add_organization(service: Service, request: Request, organization: Organization) -> Reply:
    made = service.add_organization(msgspec.json.decode(request.body, type=dict[str, Any]))
    return _json(row(made, is_default=False))


def _script(service: Service, request: Request, organization: Organization) -> Reply:
    order = msgspec.json.decode(request.body, type=_Script)
    service.script(order.operation, order.faults)
    return _json({"scripted": len(order.faults)})


def _chance(service: Service, request: Request, organization: Organization) -> Reply:
    order = msgspec.json.decode(request.body, type=_Chance)
    service.chance(order.operation, order.fault, order.probability)
    return _json({"probability": order.probability})


def _no_faults(service: Service, request: Request, organization: Organization) -> Reply:
    service.clear_faults()
    return _json({})


def _clock(service: Service, request: Request, organization: Organization) -> Reply:
    return _json({"now": service.clock.now().isoformat(), "time": service.clock.time()})


def _advance(service: Service, request: Request, organization: Organization) -> Reply:
    service.clock.advance(msgspec.json.decode(request.body, type=_Move).advance)
    return _clock(service, request, organization)


def _limits(service: Service, request: Request, organization: Organization) -> Reply:
    return _json(_numbers(organization.limits))


def _set_limits(service: Service, request: Request, organization: Organization) -> Reply:
    wanted = msgspec.structs.asdict(msgspec.json.decode(request.body, type=_Limits))
    given = {name: value for name, value in wanted.items() if value is not msgspec.UNSET}
    if any(value is not None and value < 0 for value in given.values()):
        raise ValueError("a limit is not negative")
    for name, value in given.items():
        setattr(organization.limits, name, value)
    return _json(_numbers(organization.limits))


def _expire(service: Service, request: Request, organization: Organization) -> Reply:
    service.expire_tokens()
    return _json({})


def _reset(service: Service, request: Request, organization: Organization) -> Reply:
    service.reset()
    return _json({})


_ACTS: dict[str, _Act] = {
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


def _numbers(limits: Allowance) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in _Limits.__struct_fields__}


def _json(value: object) -> Reply:
    return Reply(200, live.encode(value), {})


def _lines(rows: Iterable[object]) -> Reply:
    body = b"".join(live.encode(each) + b"\n" for each in rows)
    return Reply(200, body, {}, content_type="application/x-ndjson")


def _rows(body: bytes) -> list[dict[str, Any]]:
    """Rows from a JSON list or from JSON Lines."""
    text = body.strip()
    rows: object = live.decode(text) if text.startswith(b"[") else [live.decode(line) for line in text.splitlines()]
    return msgspec.convert(rows, list[dict[str, Any]])
