"""What a request must not cost once the client is warm."""

from __future__ import annotations

import re
import sys
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from types import FrameType
from typing import Any

import pytest
from support.fault_server import FaultServer

import zoho_async
from zoho_async import Limits, StaticToken, Zoho

PACKAGE = str(Path(zoho_async.__file__).parent)
EXPRESSIONS = str(Path(re.__file__).parent)
CALLS: dict[str, Callable[[Zoho], Awaitable[Any]]] = {
    "get": lambda zoho: zoho.books.contacts.get("1"),
    "list": lambda zoho: zoho.books.contacts.list(page=1, search_text="a b"),
    "create": lambda zoho: zoho.books.contacts.create({"contact_name": "A", "notes": "b"}),
}


@pytest.mark.parametrize("name", CALLS)
async def test_no_regular_expression_is_used(name: str) -> None:
    used: Counter[str] = Counter()

    def watch(frame: FrameType, event: str, argument: Any) -> None:
        pattern = event == "c_call" and isinstance(getattr(argument, "__self__", None), re.Pattern)
        if event == "call" and frame.f_code.co_filename.startswith(EXPRESSIONS) and frame.f_back is not None:
            pattern, frame = True, frame.f_back
        if pattern and frame.f_code.co_filename.startswith(PACKAGE):
            used[f"{frame.f_code.co_filename}: {frame.f_code.co_name}"] += 1

    async with FaultServer() as server:
        limits = Limits(per_minute=None)
        async with Zoho(StaticToken("t"), organization_id="1", api_url=server.url, limits=limits) as zoho:
            for _ in range(3):
                await CALLS[name](zoho)
            before = sys.getprofile()
            sys.setprofile(watch)
            try:
                await CALLS[name](zoho)
            finally:
                sys.setprofile(before)
    assert used == {}
