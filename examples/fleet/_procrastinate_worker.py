"""A Procrastinate worker that pushes files, a slice at a time; run any number of them.

DATABASE_URL=postgresql://... REDIS_URL=redis://... python _procrastinate_worker.py
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["zoho_async[redis]", "procrastinate>=3.10", "psycopg[binary,pool]>=3.2"]
# ///

from __future__ import annotations

import asyncio
import os
from math import ceil

from _settings import TAKEOVER, fleet_and_client
from procrastinate import App, JobContext, PsycopgConnector, RetryStrategy

from zoho_async import LeaseError, bulk
from zoho_async.fleet import push_slice

app = App(connector=PsycopgConnector(conninfo=os.environ["DATABASE_URL"]))


# LeaseError: another worker has it, one that was slow, and not dead.
@app.task(name="push", pass_context=True, retry=RetryStrategy(wait=ceil(TAKEOVER), retry_exceptions={LeaseError}))
async def push(context: JobContext, organization_id: str, file: str) -> None:
    """Push a file to an organisation. The state lies beside the file, on a volume that all workers mount."""
    fleet, zoho = context.additional_context["fleet"], context.additional_context["zoho"]
    contacts = zoho.with_options(organization_id=organization_id).books.contacts
    rows = bulk.open_rows(file)
    ended = await push_slice(fleet, contacts, rows, state=f"{file}.state.sqlite", upsert_by="cf_external_id")
    if ended.again_at is not None:
        again = push.configure(lock=context.job.lock, schedule_at=ended.again_at)
        await again.defer_async(organization_id=organization_id, file=file)
    elif not ended.done:
        raise RuntimeError(f"{ended.summary.failed} rows have failed")


@app.periodic(cron="* * * * * */2" if TAKEOVER < 5 else "* * * * * */5")
@app.task(name="rescue", queueing_lock="rescue")
async def rescue(timestamp: int) -> None:
    """Give the jobs of dead workers to others; Procrastinate leaves that to its users."""
    for job in await app.job_manager.get_stalled_jobs(seconds_since_heartbeat=TAKEOVER):
        await app.job_manager.retry_job(job)


async def main() -> None:
    async with app.open_async(), fleet_and_client() as (fleet, zoho):
        await app.run_worker_async(
            concurrency=8,
            update_heartbeat_interval=TAKEOVER / 4,
            stalled_worker_timeout=TAKEOVER,
            additional_context={"fleet": fleet, "zoho": zoho},
        )


if __name__ == "__main__":
    asyncio.run(main())
