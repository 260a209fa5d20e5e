"""A push that is killed again and again, over a bad line, ends with every good row there exactly once.

The rows, the moments of the kills and the throws for the faults come from seeds; what is asserted holds however fast
the machine is.
"""

from __future__ import annotations

import asyncio
import csv
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cli.process import Cli, Ended, ended, until

from zoho_async.fake import FakeZoho

ROWS = 1_500
"""Each run starts a process and reads the list of what is there: with 5,000 rows a route takes minutes, not seconds."""
KILLS = 40
RUNS_TO_KILL = 60
"""A run may end by itself, over a line so bad, before it is killed; in so many runs all kills must have been done."""
FAULTY_EVERY = 100
EARLY_EVERY = 3
"""Every so many kills one comes at any moment from the start on; the others come while rows are written."""
WRITTEN_BEFORE_KILL = 30
"""At most so many acts come before a kill, and some in flight: rows are left for the runs that are not killed."""
EXPIRING = (10, 20, 30)
"""Before these kills every access token expires under the run. Zoho deals out ten in ten minutes."""
CONCURRENCY = 10
ENDING_RUNS = 6
"""So many runs may end with unknown rows; each settles what the one before it could not."""
FAULTS = ("reset_before", "reset_after", "torn", "status:503", "status:503_after", "html:502_after")
FAULT_RATE = 0.03

LONG = "n" * 231


class Route(msgspec.Struct, frozen=True, kw_only=True):
    """One way of pushing: what is added to the command, the key's column, and what a key looks like."""

    options: tuple[str, ...]
    write: str
    column: str
    key: Callable[[int], str]


ROUTES = {
    "upsert": Route(
        options=("--upsert-by", "cf_external_id"),
        write="books.contacts.upsert",
        column="cf_external_id",
        key=lambda number: f"K{number}",
    ),
    "match": Route(
        options=("--match-by", "email"),
        write="books.contacts.create",
        column="contact_persons[0].email",
        key=lambda number: f"person{number}@example.com",
    ),
    "create": Route(
        options=(),
        write="books.contacts.create",
        column="notes",
        key=lambda number: f"note {number}",
    ),
}


class Input(msgspec.Struct, frozen=True, kw_only=True):
    """A file of rows, and which of them can be pushed: by name the key, by number of the row why not."""

    text: str
    good: dict[str, str]
    faulty: dict[int, str]


def made(route: Route) -> Input:
    """Rows of which one in `FAULTY_EVERY` is faulty, each kind of fault in turn, and a word its reason must have."""
    lines = [f"contact_name,is_portal_enabled,{route.column}"]
    good: dict[str, str] = {}
    faulty: dict[int, str] = {}
    for number in range(1, ROWS + 1):
        name, portal, key = f"Name {number}", "false", route.key(number)
        if number % FAULTY_EVERY:
            good[name] = key
        else:
            match number // FAULTY_EVERY % 4:
                case 0:
                    name, reason = LONG, "at most 200 characters"
                case 1:
                    portal, reason = "maybe", "true or false"
                case 2:
                    name, reason = "", "required"
                case _:
                    name, reason = f"Name {number - 1}", f"row {number - 1} has it"
            faulty[number] = reason
        lines.append(f"{name},{portal},{key}")
    return Input(text="\n".join(lines) + "\n", good=good, faulty=faulty)


class Bench:
    """A push over a line with faults, killed at random."""

    def __init__(self, fake: FakeZoho, cli: Cli, route: Route, seed: int) -> None:
        self.fake, self.cli, self.route = fake, cli, route
        self.random = random.Random(seed)
        self.push = (
            *("push", "books", "contacts", "--from", "a.csv", *route.options),
            *("--per-minute", "0", "--concurrency", CONCURRENCY, "--json"),
        )

    async def kill_one(self, number: int) -> bool:
        """Starts a run and kills it; whether it was still there to be killed."""
        early = number % EARLY_EVERY == 0
        acts = self.fake.acts(self.route.write)
        expire_at = acts + WRITTEN_BEFORE_KILL // 4 if number in EXPIRING else None
        wanted = acts + self.random.randrange(1, WRITTEN_BEFORE_KILL)
        if expire_at is not None:
            wanted = max(wanted, expire_at + CONCURRENCY)
        process = await self.cli.start(*self.push)
        waiting = asyncio.ensure_future(process.wait())
        if early and expire_at is None:
            # From the first import to the first writes: the list is read in between.
            moment = asyncio.ensure_future(asyncio.sleep(self.random.random() * 1.5))
            await until(lambda: self.fake.acts(self.route.write) >= wanted or waiting.done() or moment.done())
            moment.cancel()
        else:
            if expire_at is not None:
                await until(lambda: self.fake.acts(self.route.write) >= expire_at or waiting.done())
                self.fake.expire_tokens()
            await until(lambda: self.fake.acts(self.route.write) >= wanted or waiting.done())
            await asyncio.sleep(self.random.random() * 0.01)
        alive = not waiting.done()
        if alive:
            process.kill()
        _, err = await process.communicate()
        await waiting
        assert b"Traceback" not in err, err.decode()
        return alive

    async def whole(self) -> Ended:
        """A run that nobody kills."""
        return await ended(await self.cli.start(*self.push))


def adds_up(summary: dict[str, Any]) -> bool:
    parts = ("sent", "unchanged", "settled", "failed", "unknown")
    return (
        summary["rows"] == sum(summary[part] for part in parts)
        and summary["sent"] == summary["created"] + summary["updated"]
        and summary["failed"] + summary["unknown"] == sum(summary["kinds"].values())
    )


def requests(fake: FakeZoho) -> int:
    return sum(one["requests"] for name, one in fake.counts.items() if not name.startswith("oauth"))


@pytest.mark.timeout(900)
@pytest.mark.parametrize("name", ROUTES)
async def test_a_push_killed_forty_times_over_a_bad_line(
    fake: FakeZoho, cli: Cli, write: Callable[[str, str], Path], name: str
) -> None:
    route = ROUTES[name]
    rows = made(route)
    write("a.csv", rows.text)
    del cli.environment["ZOHO_ACCESS_TOKEN"]
    cli.environment |= {
        "ZOHO_CLIENT_ID": fake.client_id,
        "ZOHO_CLIENT_SECRET": fake.client_secret,
        "ZOHO_REFRESH_TOKEN": fake.refresh_token,
    }
    for fault in FAULTS:
        fake.chance("*", fault, FAULT_RATE / len(FAULTS))
    bench = Bench(fake, cli, route, seed=1)
    killed = 0
    for _ in range(RUNS_TO_KILL):
        killed += await bench.kill_one(killed + 1)
        if killed == KILLS:
            break
    assert killed == KILLS
    assert fake.acts(route.write) < len(rows.good), "nothing was left for the runs that end"

    for _ in range(ENDING_RUNS):
        before = requests(fake)
        result = await bench.whole()
        summary = result.json
        assert adds_up(summary), summary
        if result.code in (0, 3) and not summary["unknown"]:
            break
    else:
        pytest.fail(f"rows stay unknown: {summary}")
    assert (result.code, summary["complete"], summary["failed"]) == (3, True, len(rows.faulty))
    # The client repeats some calls by itself and does not count them.
    assert requests(fake) - before >= summary["reads"] + summary["writes"]
    holds(fake, route, rows)
    tells(cli.folder / "a.failed.csv", rows)
    # One token for all runs, and one for each time it expired; a kill can lose one that was not yet written down.
    assert len(EXPIRING) < fake.token_requests <= 10

    fake.clear_faults()
    before, writes = requests(fake), fake.acts(route.write)
    again = (await bench.whole()).json
    assert adds_up(again)
    assert (again["unchanged"], again["failed"], again["writes"]) == (len(rows.good), len(rows.faulty), 0)
    assert requests(fake) - before == again["reads"]
    assert fake.acts(route.write) == writes
    holds(fake, route, rows)


def holds(fake: FakeZoho, route: Route, rows: Input) -> None:
    """Every good row is there, was made once, and has the key of its row; nothing else is there."""
    assert fake.created() == dict.fromkeys(rows.good, 1)
    contacts = fake.organization().contacts
    assert len(contacts) == len(rows.good)
    if route.column == "cf_external_id":
        assert fake.created("cf_external_id") == dict.fromkeys(rows.good.values(), 1)
    elif route.column == "notes":
        assert {one["contact_name"]: one["notes"] for one in contacts.values()} == rows.good
    else:
        emails = {
            one["contact_name"]: [person["email"] for person in one["contact_persons"]] for one in contacts.values()
        }
        assert emails == {who: [email] for who, email in rows.good.items()}


def tells(path: Path, rows: Input) -> None:
    """Every faulty row stands in the file, with its reason, and no other row does."""
    with path.open(encoding="utf-8", newline="") as file:
        reasons = {int(row["zoho_row"]): row["zoho_reason"] for row in csv.DictReader(file)}
    assert reasons.keys() == rows.faulty.keys()
    assert [number for number, reason in rows.faulty.items() if reason not in reasons[number]] == []
