"""The plan's numbers are what the push then does, to the call, whatever the target and the state hold."""

from __future__ import annotations

import random
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from zoho_async import Zoho, bulk
from zoho_async.books.contacts import UPDATE
from zoho_async.fake import FakeZoho

KEY = "cf_external_id"
WAYS: list[dict[str, Any]] = [
    {"upsert_by": KEY},
    {"upsert_by": KEY, "on_name_taken": "match", "empty": "clear"},
    {"upsert_by": KEY, "on_name_taken": "suffix:company_name"},
    {"match_by": "email"},
    {"match_by": "contact_name"},
    {"match_by": "company_name", "on_name_taken": "suffix:notes", "empty": "clear"},
    {"match_by": "notes"},
    {},
    {"on_name_taken": "match"},
    {"on_name_taken": "suffix:company_name"},
    {"on_existing": "update", "empty": "clear"},
    {"on_existing": "skip"},
    {"match_by": "email", "on_existing": "skip"},
    {"upsert_by": KEY, "on_existing": "fail"},
]


def a_row(chance: random.Random, number: int, *, keyed: bool, ids: list[str]) -> dict[str, Any]:
    """A row out of a small world, so that keys, names and e-mails meet."""
    row: dict[str, Any] = {"contact_name": f"Name {chance.randrange(40)}"}
    if chance.random() < 0.15:
        row["contact_id"] = chance.choice([*ids, "999"])
    if keyed and "contact_id" not in row:
        row[KEY] = f"K{number if chance.random() < 0.9 else chance.randrange(30)}"
    if chance.random() < 0.8:
        row["company_name"] = f"Company {chance.randrange(30)}"
    if chance.random() < 0.8:
        row["contact_persons[0].email"] = f"p{chance.randrange(40)}@x.example"
        row["contact_persons[0].first_name"] = chance.choice(["Ann", "Bob"])
    if chance.random() < 0.7:
        row["notes"] = chance.choice(["", f"note {chance.randrange(40)}"])
    if chance.random() < 0.05:
        row["credit_limit"] = "much"
    return row


async def somebody(fake: FakeZoho, zoho: Zoho, chance: random.Random) -> None:
    """What others do in Zoho between two runs."""
    ids = sorted(fake.organization().contacts)
    for contact_id in chance.sample(ids, len(ids) // 3):
        change = chance.choice(
            [
                None,
                {"notes": f"note {chance.randrange(40)}"},
                {"company_name": f"Company {chance.randrange(30)}"},
                {"contact_name": f"Theirs {contact_id}"},
            ]
        )
        if change is None:
            await zoho.books.contacts.delete(contact_id)
        else:
            await zoho.send(UPDATE, path={"contact_id": contact_id}, body=change)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("way", WAYS, ids=str)
async def test_the_plan_is_what_the_push_does(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, way: dict[str, Any], seed: int
) -> None:
    chance = random.Random(seed)
    seeded = fake.seed(
        [
            {"contact_name": f"Name {number}", KEY: f"K{20 + number}", "company_name": f"Company {number}"}
            for number in range(10)
        ]
    )
    contacts, state = zoho.books.contacts, tmp_path / "s"
    ids = [one["contact_id"] for one in seeded]
    given = [a_row(chance, number, keyed="upsert_by" in way, ids=ids) for number in range(40)]
    for _ in range(3):
        planned = await bulk.plan(contacts, given, state=state, **way)
        before = fake.requests()
        push = bulk.push(contacts, given, state=state, **way)
        outcomes = [outcome async for outcome in push]
        counts = Counter(one.action for one in outcomes)
        said = [(one.row.number, one.reason) for one in outcomes if one.error is not None]
        assert not said
        assert (planned.create, planned.update) == (counts["created"], counts["updated"])
        assert planned.unchanged == counts["unchanged"] + counts["settled"]
        assert planned.skipped == counts["skipped"] == push.summary.skipped
        assert planned.faulty + planned.colliding == counts["none"] == push.summary.failed
        assert planned.rows == len(outcomes) == len(given)
        assert (planned.reads, planned.writes) == (push.summary.reads, push.summary.writes)
        assert fake.requests() - before == planned.calls
        await somebody(fake, zoho, chance)
        for number in chance.sample(range(40), 8):
            given[number] = {**given[number], "notes": f"note {chance.randrange(40)}"}
        for number in chance.sample(range(40), 3):
            given[number] = a_row(chance, number, keyed="upsert_by" in way, ids=ids)
