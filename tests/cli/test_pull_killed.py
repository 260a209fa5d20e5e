"""A pull that is killed again and again: in the end the file holds what the server has, row for row."""

from __future__ import annotations

import json
import random
import sqlite3
from contextlib import closing

from support.process import Cli, until
from support.profiles import sized

from zoho_async.fake import FakeZoho
from zoho_async.fake.rendering.live import list_row
from zoho_async.fake.rendering.wire_format import encode


async def test_pulls_that_are_killed_lose_nothing(fake: FakeZoho, cli: Cli) -> None:
    source = random.Random(7)
    organization = fake.organization()
    fake.seed({"contact_name": f"N{number}"} for number in range(900))
    made, kills = 900, 0
    while kills < sized(6, 20):
        pull = ["pull", "books", "contacts", "--to", "a.sqlite", "--per-minute", "0"]
        pull += ["--details", "changed"] * (kills % 3 == 2)
        goal = fake.requests() + source.choice([1, 2, 4, 7, 40 if kills % 3 == 2 else 3])
        process = await cli.start(*pull)
        await until(lambda process=process, goal=goal: fake.requests() >= goal or process.returncode is not None)
        kills += process.returncode is None
        if process.returncode is None:
            process.kill()
        await process.wait()
        fake.clock.advance(source.choice([0, 10, 1000]))
        for contact_id in source.sample(list(organization.contacts), 3):
            organization.remove(contact_id)
        for contact_id in source.sample(list(organization.contacts), 30):
            made += 1
            changed = {"contact_name": f"N{made}", "last_modified_time": organization.stamp(fake.clock.now())}
            organization.put({**organization.contacts[contact_id], **changed})
        fake.seed([{"contact_name": f"N{(made := made + 1)}"}])
    done = await cli("pull", "books", "contacts", "--to", "a.sqlite", "--json")
    assert done.code == 0, done.err
    with closing(sqlite3.connect(cli.folder / "a.sqlite")) as connection:
        rows = connection.execute("SELECT id, row FROM contacts WHERE deleted_at IS NULL").fetchall()
    assert {one: json.loads(row) for one, row in rows} == {
        one: json.loads(encode(list_row(record, organization))) for one, record in organization.contacts.items()
    }
    idle = await cli("pull", "books", "contacts", "--to", "a.sqlite", "--json")
    assert idle.json["reads"] <= 3
