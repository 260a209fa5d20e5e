from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.redis_server import RedisServer

from zoho_async.fake import FakeZoho


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with RedisServer() as running:
        yield running


@pytest.fixture
async def short_window(fake: FakeZoho) -> AsyncIterator[None]:
    """The fake counts the calls of some seconds, and refuses none. No worker outlives its test."""
    # Imported late: a conftest may be loaded before the profile that the sizes depend on.
    from support.limit_workers import SERVER_WINDOW, Worker

    fake.limits[fake.organization_id].window = SERVER_WINDOW
    fake.limits[fake.organization_id].per_minute = None
    yield
    await Worker.kill_all()
