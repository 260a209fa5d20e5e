"""Operations the fake has no handler for: it says so, and goes on."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from zoho_async import Upload, Zoho, ZohoError, operations
from zoho_async.fake import FakeZoho
from zoho_async.registry import PRODUCTS

HANDLED = ["create", "list", "get", "update", "upsert", "delete", "delete_many", "mark_active", "mark_inactive"]


async def test_every_operation_is_found_and_answered(fake: FakeZoho, zoho: Zoho) -> None:
    once = zoho.with_options(retries=0)
    without: set[str] = set()
    for operation in operations():
        place = PRODUCTS[operation.product].root + re.sub(r"\{\w+\}", "460000000000001", operation.path)
        try:
            await once.request(operation.method, place, body={} if operation.method in ("POST", "PUT") else None)
        except ZohoError as error:
            if error.status == 501:
                without.add(operation.id)
        assert fake.counts[operation.id]["requests"] == 1, operation
    assert {one.id for one in operations()} - without == {f"books.contacts.{name}" for name in HANDLED}


async def test_files_do_not_upset_it(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    async def stream() -> AsyncIterator[bytes]:
        yield b"x" * 10_000

    for source in (b"x", Upload(stream)):
        with pytest.raises(ZohoError) as caught:
            await zoho.with_options(retries=0).books.contacts.add_attachment("1", attachment=source)
        assert caught.value.status == 501
    with pytest.raises(ZohoError) as caught:
        await zoho.with_options(retries=0).books.documents.get("1", "2", to=tmp_path / "a")
    assert caught.value.status == 501
    assert not (tmp_path / "a").exists()
