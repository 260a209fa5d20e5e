"""A FakeZoho on loopback and a plain aiohttp client for it."""

from __future__ import annotations

import io
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, TypeAlias

import aiohttp
import msgspec
import pytest

from zoho_async.fake import Clock, FakeZoho
from zoho_async.schema.registry import PRODUCTS


class Answered(msgspec.Struct):
    """What came back, the body with every digit."""

    status: int
    headers: Any
    body: Any


Ask: TypeAlias = Callable[..., Awaitable[Answered]]


@pytest.fixture
def clock() -> Clock:
    """Stands still until a test advances it."""
    return Clock(datetime(2026, 6, 9, 13, 45, 19, tzinfo=UTC))


@pytest.fixture
async def fake(clock: Clock) -> AsyncIterator[FakeZoho]:
    async with FakeZoho(organizations=("10234695", "20469390"), clock=clock) as running:
        yield running
        assert running.crashes == 0, "\n".join(running.problems)


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as opened:
        yield opened


@pytest.fixture
def ask(fake: FakeZoho, session: aiohttp.ClientSession) -> Ask:
    """Call a path below Books with the static token; `body` is sent as JSON, bytes as they are."""

    encoder = msgspec.json.Encoder(decimal_format="number")
    decoder = msgspec.json.Decoder(float_hook=Decimal)

    async def call(
        method: str,
        path: str,
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        headers: dict[str, str] | None = None,
        token: str | None = None,
    ) -> Answered:
        if token is None:
            token = fake.access_token
        sent_body = encoder.encode(body) if body is not None and not isinstance(body, bytes) else body
        sent = {"Content-Type": "application/json", **(headers or {})}
        if token:
            sent["Authorization"] = f"Zoho-oauthtoken {token}"
        async with session.request(
            method,
            f"{fake.url}/books/v3{path}",
            params={"organization_id": fake.organization_id, **(query or {})},
            # A file, because aiohttp warns of large bytes.
            data=io.BytesIO(sent_body) if sent_body is not None else None,
            headers=sent,
        ) as response:
            return Answered(response.status, response.headers, decoder.decode(await response.read()))

    return call


@pytest.fixture
def call(fake: FakeZoho, session: aiohttp.ClientSession) -> Ask:
    """Any product's path, raw; the organisation goes where the product wants it."""

    async def ask(
        product: str,
        method: str,
        path: str,
        body: object = None,
        *,
        query: dict[str, str] | None = None,
        **options: Any,
    ) -> tuple[int, dict[str, Any]]:
        place = PRODUCTS[product].organization
        organization = options.get("organization", fake.organization_id)
        headers = {"Authorization": f"Zoho-oauthtoken {options.get('token', fake.access_token)}"}
        query = dict(query or {})
        (query if place.location == "query" else headers)[place.name] = organization
        url = f"{fake.url}{PRODUCTS[product].root}{path}"
        data = body if isinstance(body, bytes | aiohttp.FormData) else json.dumps(body) if body is not None else None
        async with session.request(method, url, params=query, headers=headers, data=data) as response:
            return response.status, await response.json()

    return ask
