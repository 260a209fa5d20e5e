"""A streaQ worker that pushes files, a slice at a time; run any number of them.

REDIS_URL=redis://... streaq run _streaq_worker:worker
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["zoho_async[redis]", "streaq>=7.2"]
# ///

from __future__ import annotations

import os
from datetime import timedelta

from _settings import TAKEOVER, fleet_and_client
from streaq import StreaqRetry, Worker

from zoho_async import LeaseError, bulk
from zoho_async.fleet import push_slice

# A job whose worker is silent for `idle_timeout` goes to another one.
worker = Worker(redis_url=os.environ["REDIS_URL"], lifespan=fleet_and_client, idle_timeout=TAKEOVER, concurrency=8)


@worker.task(max_tries=None, timeout=None)
async def push(organization_id: str, file: str) -> dict[str, int | bool]:
    """Push a file to an organisation. The state lies beside the file, on a volume that all workers mount."""
    fleet, zoho = worker.context
    contacts = zoho.with_options(organization_id=organization_id).books.contacts
    rows = bulk.open_rows(file)
    try:
        ended = await push_slice(fleet, contacts, rows, state=f"{file}.state.sqlite", upsert_by="cf_external_id")
    except LeaseError:
        # Another worker has it: one that was slow, and not dead.
        raise StreaqRetry("another worker pushes", delay=timedelta(seconds=TAKEOVER)) from None
    if ended.again_at is not None:
        raise StreaqRetry("the day is used up, or Zoho is away", schedule=ended.again_at)
    return {"done": ended.done, "failed": ended.summary.failed}
