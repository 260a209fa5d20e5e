"""Faults by script and by probability, and what their deliveries look like on the wire."""

from __future__ import annotations

import asyncio
import gzip
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import aiohttp
import pytest

from zoho_async.fake import FakeZoho, Fault
from zoho_async.fake.world.faults import FaultPlan

Ask: TypeAlias = Callable[..., Awaitable[Any]]
CREATE = "books.contacts.create"


async def test_a_refused_connection_reaches_nothing(ask: Ask, fake: FakeZoho) -> None:
    fake.script(CREATE, ["refuse"])
    with pytest.raises(aiohttp.ClientConnectionError):
        await ask("POST", "/contacts", {"contact_name": "A"})
    assert (fake.received, fake.counts, fake.refused_connections) == ([], {}, 1)
    assert (await ask("POST", "/contacts", {"contact_name": "A"})).status == 201


async def test_the_token_endpoint_refuses_too(fake: FakeZoho, session: aiohttp.ClientSession) -> None:
    fake.script("oauth.token", ["refuse"])
    with pytest.raises(aiohttp.ClientConnectionError):
        await session.post(f"{fake.url}/oauth/v2/token", data={})
    assert fake.token_requests == 0


async def test_latency_acts_first(ask: Ask, fake: FakeZoho) -> None:
    fake.script(CREATE, ["latency:60"])
    request = asyncio.create_task(ask("POST", "/contacts", {"contact_name": "A"}))
    while not fake.acts(CREATE):  # noqa: ASYNC110 - nothing to wait on
        await asyncio.sleep(0)
    assert not request.done()
    request.cancel()
    await asyncio.gather(request, return_exceptions=True)
    fake.script(CREATE, ["latency:0.05"])
    began = time.monotonic()
    assert (await ask("POST", "/contacts", {"contact_name": "B"})).status == 201
    assert time.monotonic() - began >= 0.05


async def test_a_drip_is_whole_in_the_end(ask: Ask, fake: FakeZoho) -> None:
    fake.script("*", ["drip:0.02"])
    answered = await ask("POST", "/contacts", {"contact_name": "A"})
    assert (answered.status, answered.body["contact"]["contact_name"]) == (201, "A")
    assert "x-rate-limit-limit" in answered.headers


async def test_a_drip_comes_in_pieces(fake: FakeZoho) -> None:
    fake.script("*", ["drip:3600"])
    reader, writer = await asyncio.open_connection(*fake.url.removeprefix("http://").split(":"))
    head = f"GET /books/v3/contacts HTTP/1.1\r\nHost: x\r\nAuthorization: Zoho-oauthtoken {fake.access_token}\r\n\r\n"
    writer.write(head.encode())
    assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 200")
    with pytest.raises(TimeoutError):
        await asyncio.wait_for(reader.read(1), 0.02)
    writer.close()
    await writer.wait_closed()


async def test_gzip(fake: FakeZoho) -> None:
    fake.script("*", ["gzip"])
    headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}
    async with (
        aiohttp.ClientSession(auto_decompress=False) as session,
        session.get(f"{fake.url}/books/v3/contacts", headers=headers) as response,
    ):
        assert response.headers["Content-Encoding"] == "gzip"
        assert json.loads(gzip.decompress(await response.read()))["code"] == 0


# -- by probability


def thrown(seed: int, probability: float = 0.3) -> list[bool]:
    plan = FaultPlan(seed)
    plan.chance("*", "status:503", probability)
    return [plan.take("any") is not None for _ in range(1000)]


def test_chances_follow_the_seed() -> None:
    assert thrown(1) == thrown(1) != thrown(2)
    assert 230 < sum(thrown(1)) < 370
    assert (sum(thrown(1, 0)), sum(thrown(1, 1))) == (0, 1000)


def test_a_script_goes_before_chances_and_refusals_come_early() -> None:
    plan = FaultPlan(0)
    plan.chance("a", "status:503", 1)
    plan.chance("*", "refuse", 1)
    plan.script("a", ["pass"])
    assert plan.take_refusal("a") is False, "the script lets this one through"
    assert plan.take("a") == Fault(kind="pass")
    assert plan.take_refusal("a") is True
    assert plan.take("a") == Fault.parse("status:503")
    assert plan.take("b") is None
    plan.clear()
    assert (plan.take_refusal("a"), plan.take("a")) == (False, None)


@pytest.mark.parametrize(("fault", "probability"), [("status:503", 1.1), ("status:503", -0.1), ("boom", 0.5)])
def test_chances_that_are_none(fault: str, probability: float) -> None:
    with pytest.raises(ValueError, match="not a"):
        FaultPlan(0).chance("*", fault, probability)


async def test_a_chance_over_the_wire(ask: Ask, fake: FakeZoho) -> None:
    fake.chance(CREATE, "status:503_after", 1)
    assert (await ask("POST", "/contacts", {"contact_name": "A"})).status == 503
    assert fake.acts(CREATE) == 1
    assert (await ask("GET", "/contacts")).status == 200
    fake.clear_faults()
    assert (await ask("POST", "/contacts", {"contact_name": "B"})).status == 201
