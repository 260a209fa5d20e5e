"""`/_fake/...`: seeding, scripting and reading a FakeZoho from another process."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from . import answers
from .calls import Refusal
from .messages import Reply, Request

if TYPE_CHECKING:
    from .service import Service


def answer(service: Service, request: Request) -> Reply:
    """GET stats, GET contacts (JSON Lines), POST seed (a JSON list or JSON Lines), POST script; else Refusal."""
    what = f"{request.method} {'/'.join(request.segments[1:])}"
    organization_id = request.query.get("organization_id") or service.organization_id
    if organization_id not in service.limits:
        raise Refusal(404, 6041, f"There is no organization {organization_id} here.")
    if what == "GET stats":
        return Reply(200, answers.encode(service.stats()), {})
    if what == "GET contacts":
        records = service.organization(organization_id).contacts.values()
        lines = b"".join(answers.encode(record) + b"\n" for record in records)
        return Reply(200, lines, {}, content_type="application/x-ndjson")
    try:
        if what == "POST seed":
            stored = service.seed(_rows(request.body), organization_id)
            return Reply(200, answers.encode({"seeded": len(stored)}), {})
        if what == "POST script":
            order = msgspec.json.decode(request.body, type=_Script)
            service.script(order.operation, order.faults)
            return Reply(200, answers.encode({"scripted": len(order.faults)}), {})
    except (ValueError, msgspec.MsgspecError) as error:
        raise Refusal(400, 2, str(error)) from None
    raise Refusal(404, 5, "Invalid URL Passed")


class _Script(msgspec.Struct, forbid_unknown_fields=True):
    operation: str
    faults: list[str]


def _rows(body: bytes) -> list[dict[str, Any]]:
    """Rows from a JSON list or from JSON Lines."""
    text = body.strip()
    rows: object = (
        answers.decode(text) if text.startswith(b"[") else [answers.decode(line) for line in text.splitlines()]
    )
    return msgspec.convert(rows, list[dict[str, Any]])
