from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from support.redis_server import RedisServer


@pytest.fixture
async def redis() -> AsyncIterator[RedisServer]:
    async with RedisServer() as running:
        yield running
