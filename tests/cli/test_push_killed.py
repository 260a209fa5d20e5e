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

import msgspec
import pytest
from support.killing import FAULT_RATE, Bench, Schedule
from support.process import Cli
from support.profiles import sized

from zoho_async.fake import FakeZoho

ROWS = sized(1_000, big=5_000)
FAULTY_EVERY = 100
SCHEDULE = sized(
    Schedule(start=2, check=1, list=2, write=5, end=2), big=Schedule(start=7, check=6, list=6, write=17, end=4)
)
EXPIRING = sized((1, 3), big=(4, 9, 14))
"""Of the kills while rows are written. Zoho deals out ten tokens in ten minutes."""

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


@pytest.mark.timeout(900)
async def test_a_push_killed_many_times_over_a_bad_line(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as side_by_side:
        for seed, (name, route) in enumerate(ROUTES.items()):
            folder = tmp_path / name
            folder.mkdir()
            side_by_side.create_task(killed_many_times(route, folder, seed), name=name)


async def killed_many_times(route: Route, folder: Path, seed: int) -> None:
    rows = made(route)
    (folder / "a.csv").write_text(rows.text, encoding="utf-8", newline="")
    async with FakeZoho(per_minute=None, seed=seed) as fake:
        contacts = fake.organization().contacts
        bench = Bench(
            fake,
            Cli.against(fake, folder),
            route.options,
            rows=len(rows.good),
            written=lambda: len(contacts),
            seed=seed,
        )
        await bench.kill(SCHEDULE.kills(random.Random(seed), len(rows.good), EXPIRING))
        assert len(bench.killed) == sized(12, big=40)

        summary = (result := await bench.settled()).json
        assert (result.code, summary["complete"], summary["failed"]) == (3, True, len(rows.faulty))
        assert (summary["rows"], summary["rows"] - summary["failed"]) == (ROWS, len(rows.good))
        holds(fake, route, rows)
        tells(folder / "a.failed.csv", rows)
        # One token for all runs, and one for each time it expired; a kill can lose one that was not yet written down.
        assert len(EXPIRING) < fake.token_requests <= 10
        # So bad was the line: some of it was not acted upon at all.
        asked = fake.counts[route.write]
        assert asked["requests"] - asked["acted"] > ROWS * FAULT_RATE / 10

        fake.clear_faults()
        before, writes = bench.requests(), fake.acts(route.write)
        again = (await bench.whole()).json
        assert (again["unchanged"], again["failed"], again["writes"]) == (len(rows.good), len(rows.faulty), 0)
        assert bench.requests() - before == again["reads"]
        assert fake.acts(route.write) == writes
        holds(fake, route, rows)
        assert fake.crashes == 0


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
