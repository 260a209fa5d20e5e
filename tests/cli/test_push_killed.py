"""A push that is killed again and again ends with every good row there exactly once."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from pathlib import Path

from cli.process import Cli, ended, until

from zoho_async.fake import FakeZoho

ROWS = 400
KILLS = 5


async def killed_runs(fake: FakeZoho, cli: Cli, operation: str, *arguments: object) -> int:
    """Starts the same push again and again and kills it while it works; gives how often it was killed."""
    chance = random.Random(1)
    kills = 0
    while kills < KILLS:
        before = fake.acts(operation)
        process = await cli.start(*arguments)
        waiting = asyncio.ensure_future(process.wait())
        wanted = before + chance.randrange(1, ROWS // (KILLS + 3))
        await until(lambda wanted=wanted, waiting=waiting: fake.acts(operation) >= wanted or waiting.done())
        await asyncio.sleep(chance.random() * 0.01)
        assert not waiting.done(), "it was to be killed in the middle"
        process.kill()
        await waiting
        await process.communicate()
        kills += 1
    return kills


async def test_a_push_by_upsert_killed_five_times(fake: FakeZoho, cli: Cli, write: Callable[[str, str], Path]) -> None:
    rows = "".join(f"Name {i},{'maybe' if i % 50 == 7 else 'true'},K{i}\n" for i in range(ROWS))
    write("a.csv", "contact_name,is_portal_enabled,cf_external_id\n" + rows)
    fake.latency = 0.01
    push = ("push", "books", "contacts", "--from", "a.csv", "--upsert-by", "cf_external_id", "--per-minute", "0")
    assert await killed_runs(fake, cli, "books.contacts.upsert", *push) == KILLS
    fake.latency = 0
    result = await ended(await cli.start(*push, "--json"))
    assert result.code == 3
    good = {f"K{i}": 1 for i in range(ROWS) if i % 50 != 7}
    assert fake.created("cf_external_id") == good
    assert len(fake.organization().contacts) == len(good)
    summary = result.json
    assert summary["failed"] == ROWS - len(good)
    assert summary["unknown"] == 0
    assert summary["sent"] + summary["unchanged"] + summary["settled"] == len(good)
    assert summary["unchanged"] > 0
    # Only what was in flight at a kill may have been sent twice.
    assert fake.acts("books.contacts.upsert") <= len(good) + KILLS * 10
    assert (await cli(*push)).code == 3
    assert fake.created("cf_external_id") == good


async def test_a_push_by_create_killed_five_times_doubles_nothing_and_is_honest(
    fake: FakeZoho, cli: Cli, write: Callable[[str, str], Path]
) -> None:
    write("a.csv", "contact_name\n" + "".join(f"Name {i}\n" for i in range(ROWS)))
    fake.latency = 0.01
    push = ("push", "books", "contacts", "--from", "a.csv", "--per-minute", "0")
    await killed_runs(fake, cli, "books.contacts.create", *push)
    fake.latency = 0
    result = await ended(await cli.start(*push, "--json"))
    summary = result.json
    names = {record["contact_name"] for record in fake.organization().contacts.values()}
    assert set(fake.created().values()) == {1}
    assert summary["sent"] + summary["unchanged"] + summary["settled"] == len(names)
    assert summary["unknown"] == ROWS - len(names)
    assert summary["failed"] == 0
    assert result.code == (3 if summary["unknown"] else 0)
    # Never was a row sent whose outcome was open: every request was for another row.
    assert fake.counts["books.contacts.create"]["requests"] <= ROWS
