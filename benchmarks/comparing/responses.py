"""Responses in the shape of the live service, and the same for clients that cannot read its empty text."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

CONTACT_ID = "460000000000000"
LIVE, NULL, ABSENT = "live", "null", "absent"
SHAPES = (LIVE, NULL, ABSENT)
"""As the live service sends it; null for empty text where a number or date belongs; without these members."""


def record(folder: Path) -> None:
    """Write a contact in every shape, and pages of 200 rows, as FakeZoho sends them."""
    import instructions

    asyncio.run(instructions.record(folder))
    live = (folder / instructions.CONTACT).read_bytes()
    (folder / "contact-live").write_bytes(live)
    (folder / "contact-null").write_bytes(instructions.without_empty(live))
    (folder / "contact-absent").write_bytes(without_members(live, instructions.EMPTY))


def without_members(text: bytes, names: tuple[str, ...]) -> bytes:
    """The response without members of the contact that are empty text."""
    whole = json.loads(text)
    record = whole["contact"]
    whole["contact"] = {name: value for name, value in record.items() if name not in names or value != ""}
    return json.dumps(whole, separators=(",", ":"), ensure_ascii=False).encode()


def page_of(body: bytes, number: int, pages: int) -> bytes:
    """One page of a long list: ids of its own, its number, and whether another page follows."""
    rows = body.replace(b'"contact_id":"4600000', b'"contact_id":"%d' % (4_600_000 + number))  # as long as real ones
    context = b'"page":%d,"per_page":200,"has_more_page":%s' % (number, b"true" if number < pages else b"false")
    return rows.replace(b'"page":1,"per_page":200,"has_more_page":false', context)
