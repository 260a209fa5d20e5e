from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any

import pytest

from zoho_async.bulk.pushing import call_control as line
from zoho_async.transport.rate_limiter import Limiter, Quota


@pytest.fixture
def days(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time the day's calls are used up it is another day, and the next one has come when it is waited for."""
    numbers = count(1)

    async def sleep(moment: datetime, **_: Any) -> None:
        await asyncio.sleep(0)

    monkeypatch.setattr(Limiter, "mark_exhausted", lambda *_: None)
    monkeypatch.setattr(Limiter, "quota", lambda _: Quota(resets_at=datetime.now(UTC) + timedelta(days=next(numbers))))
    monkeypatch.setattr(line, "sleep_until", sleep)
