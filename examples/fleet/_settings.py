"""What the workers of these recipes share."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from zoho_async import Zoho
from zoho_async.fleet import Fleet

TRIAL = "ZOHO_FLEET_TRIAL" in os.environ
"""Against a fake: seconds instead of minutes."""
TAKEOVER = 2.0 if TRIAL else 5.0
"""Seconds after which a worker that is silent counts as dead."""


@asynccontextmanager
async def fleet_and_client() -> AsyncIterator[tuple[Fleet, Zoho]]:
    """One client a process; limits and tokens are those of all processes."""
    trial: dict[str, Any] = {"lease": TAKEOVER, "_window": 1.0} if TRIAL else {}
    async with (
        Fleet(os.environ["REDIS_URL"], **trial) as fleet,
        Zoho.from_env(limiters=fleet.limiters, store=fleet.store("main")) as zoho,
    ):
        yield fleet, zoho


async def kill_the_worker_that_pushes(
    fleet: Fleet, organization_id: str, workers: list[asyncio.subprocess.Process]
) -> float:
    """Kill it in the middle of its work, and return the moment."""
    place = os.environ.get("ZOHO_API_URL") or "us"
    lease, owner, in_flight = f"push/{place}/{organization_id}/books.contacts", "", 0
    while not owner or in_flight < 5:
        await asyncio.sleep(0.02)
        in_flight = sum((await fleet.look((place, organization_id))).in_flight.values())
        owner = (await fleet.owners()).get(lease, "")
    number = int(owner.split("/")[-2])
    next(one for one in workers if one.pid == number).kill()
    return time.monotonic()
