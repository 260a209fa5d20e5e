"""Two processes push the same rows with one state file: each row is sent by one of them."""

from __future__ import annotations

import asyncio
import sys
from collections import Counter
from pathlib import Path

from zoho_async.fake import FakeZoho

ROWS = 30
PUSHES = f"""
import asyncio, sys
from zoho_async import Limits, StaticToken, Zoho, bulk
url, token, organization_id, parent, state = sys.argv[1:]
rows = [{{"contact_id": parent, "first_name": f"P{{n}}", "email": f"p{{n}}@x.example"}} for n in range({ROWS})]
async def main():
    limits = Limits(per_minute=None)
    async with Zoho(StaticToken(token), organization_id=organization_id, api_url=url, limits=limits) as zoho:
        sys.stdin.readline()
        try:
            async with bulk.push(zoho.books.contact_persons, rows, state=state) as run:
                statuses = {{one.status async for one in run}}
            print(*statuses)
        except bulk.StateError as error:
            print(error)
asyncio.run(main())
"""


async def test_each_row_is_sent_once(fake: FakeZoho, tmp_path: Path) -> None:
    fake.latency = 0.01
    (contact,) = fake.seed([{"contact_name": "Parent"}])
    arguments = (fake.url, fake.access_token, fake.organization_id, contact["contact_id"], str(tmp_path / "s"))
    pipes = {"stdin": asyncio.subprocess.PIPE, "stdout": asyncio.subprocess.PIPE}
    processes = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", PUSHES, *arguments, **pipes) for _ in range(2)
    ]
    printed = [out.decode().strip() for out, _ in await asyncio.gather(*(one.communicate(b"\n") for one in processes))]
    (stored,) = fake.organization().contacts.values()
    made = Counter(person["email"] for person in stored["contact_persons"] if person.get("email"))
    assert made == {f"p{number}@x.example": 1 for number in range(ROWS)}
    assert "done" in printed
    assert all(line == "done" or "another run is using this state file" in line for line in printed)
