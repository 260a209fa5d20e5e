from __future__ import annotations

from collections.abc import AsyncIterator

import aioresponses_compat
import pytest

from zoho_async import Limits, StaticToken, Zoho
from zoho_async.fake import FakeZoho

aioresponses_compat.install()


@pytest.fixture
async def fake() -> AsyncIterator[FakeZoho]:
    """A Zoho on this machine, with no limit on the pace."""
    async with FakeZoho(per_minute=None) as server:
        yield server
        assert server.crashes == 0


@pytest.fixture
async def zoho(fake: FakeZoho) -> AsyncIterator[Zoho]:
    """A client of that fake, without a pace of its own."""
    async with client_of(fake) as client:
        yield client


def client_of(fake: FakeZoho, **options: object) -> Zoho:
    settings: dict[str, object] = {
        "organization_id": fake.organization_id,
        "api_url": fake.url,
        "accounts_url": fake.url,
        "limits": Limits(per_minute=None),
        **options,
    }
    auth = settings.pop("auth", StaticToken(fake.access_token))
    return Zoho(auth, **settings)  # type: ignore[arg-type]
