"""Updates that are killed again and again: each record says what its row says, and nothing of anybody else is lost."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.killing import Bench, Schedule
from support.process import Cli
from support.profiles import sized

from zoho_async.fake import FakeZoho

ROWS = sized(200, big=600)
SCHEDULE = sized(
    Schedule(start=1, check=1, list=1, write=3, end=1), big=Schedule(start=2, check=1, list=2, write=8, end=2)
)
EXPIRING = sized((1,), big=(3,))
UPDATE = "books.contacts.update"
UNCHANGED_EVERY = 10
ADDED_EVERY = 3


class Way(msgspec.Struct, frozen=True, kw_only=True):
    """How rows are matched, and which person of a record they name: the second, or the primary one."""

    options: tuple[str, ...]
    person: int


WAYS = {
    "upsert": Way(options=("--upsert-by", "cf_external_id"), person=1),
    "match": Way(options=("--match-by", "email"), person=0),
}


def theirs(number: int) -> dict[str, Any]:
    """A record that somebody else has made, with much that the file does not know."""
    return {
        "contact_name": f"Name {number}",
        "company_name": f"Company {number}",
        "website": f"https://{number}.example",
        "notes": "old",
        "credit_limit": 100 + number,
        "cf_external_id": f"K{number}",
        "cf_region": f"region {number % 7}",
        "billing_address": {"address": f"{number} Main Road", "city": "Roma", "zip": f"{number:05}"},
        "contact_persons": [
            {
                "first_name": "Ada",
                "email": f"ada{number}@example.com",
                "phone": f"1{number}",
                "department": "Purchase",
                "is_primary_contact": True,
            },
            {
                "first_name": "Bo",
                "last_name": "Lind",
                "email": f"bo{number}@example.com",
                "phone": f"2{number}",
                "mobile": f"3{number}",
            },
            {"first_name": "Cem", "designation": "Driver"},
        ],
    }


def changes(number: int) -> bool:
    return number % UNCHANGED_EVERY != 0


def adds(number: int) -> bool:
    return changes(number) and number % ADDED_EVERY == 0


def file_of(way: Way) -> str:
    """A row for every record: some change nothing, some add a person, who must not come twice."""
    person = ("contact_persons[0].email", "contact_persons[0].phone")
    added = ("contact_persons[1].first_name", "contact_persons[1].email")
    lines = [",".join(("contact_name", "cf_external_id", "notes", "billing_address.city", *person, *added))]
    for number in range(ROWS):
        known = theirs(number)
        named = known["contact_persons"][way.person]
        cells = [known["contact_name"], known["cf_external_id"]]
        if changes(number):
            cells += ["new", "Milano", named["email"], f"9{number}"]
        else:
            cells += ["old", "Roma", named["email"], named["phone"]]
        cells += ["Dua", f"dua{number}@example.com"] if adds(number) else ["", ""]
        lines.append(",".join(cells))
    return "\n".join(lines) + "\n"


def wanted(seeded: Iterable[dict[str, Any]], way: Way) -> list[dict[str, Any]]:
    """What every record must be at the end: as it was, but for what its row says."""
    records = [deepcopy(one) for one in seeded]
    for number, record in enumerate(records):
        if changes(number):
            record["notes"] = "new"
            record["billing_address"]["city"] = "Milano"
            record["contact_persons"][way.person]["phone"] = f"9{number}"
        if adds(number):
            person = {"first_name": "Dua", "email": f"dua{number}@example.com", "is_primary_contact": False}
            record["contact_persons"].append(person)
    return records


@pytest.mark.timeout(600)
async def test_updates_that_are_killed_lose_nothing_of_anybody(tmp_path: Path) -> None:
    async with asyncio.TaskGroup() as side_by_side:
        for seed, (name, way) in enumerate(WAYS.items()):
            folder = tmp_path / name
            folder.mkdir()
            side_by_side.create_task(killed(way, folder, seed), name=name)


async def killed(way: Way, folder: Path, seed: int) -> None:
    (folder / "a.csv").write_text(file_of(way), encoding="utf-8", newline="")
    async with FakeZoho(per_minute=None, seed=seed) as fake:
        seeded = deepcopy(fake.seed(theirs(number) for number in range(ROWS)))
        contacts = fake.organization().contacts
        to_change = {one["contact_id"] for number, one in enumerate(seeded) if changes(number)}

        def written() -> int:
            return sum(contacts[one]["notes"] == "new" for one in to_change)

        bench = Bench(fake, Cli.against(fake, folder), way.options, rows=len(to_change), written=written, seed=seed)
        await bench.kill(SCHEDULE.kills(random.Random(seed), len(to_change), EXPIRING))

        summary = (result := await bench.settled()).json
        assert (result.code, summary["complete"], summary["rows"], summary["failed"]) == (0, True, ROWS, 0)
        holds(fake, seeded, way)
        assert len(EXPIRING) < fake.token_requests <= 10
        asked = fake.counts[UPDATE]
        assert asked["requests"] > asked["acted"] >= len(to_change)

        fake.clear_faults()
        before = bench.requests()
        again = (await bench.whole()).json
        assert (again["unchanged"], again["writes"]) == (ROWS, 0)
        assert bench.requests() - before == again["reads"]
        holds(fake, seeded, way)
        assert fake.crashes == 0


def holds(fake: FakeZoho, seeded: Iterable[dict[str, Any]], way: Way) -> None:
    """Every record is what it must be, whole; none was made, and those that no row changes were not touched."""
    assert fake.created() == {}
    stored = deepcopy(list(fake.organization().contacts.values()))
    for number, (record, before) in enumerate(zip(stored, seeded, strict=True)):
        if changes(number):
            record["last_modified_time"] = before["last_modified_time"]
        if adds(number):
            assert record["contact_persons"][-1].pop("contact_person_id")
    assert stored == wanted(seeded, way)
