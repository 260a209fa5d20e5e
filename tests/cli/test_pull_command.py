from __future__ import annotations

import sqlite3
from contextlib import closing

from support.process import Cli

from zoho_async.fake import FakeZoho


async def test_pull_names_the_option_when_a_list_lacks_too_much(fake: FakeZoho, cli: Cli) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(20))
    pull = ("pull", "books", "contacts", "--to", "a.sqlite", "--full")
    assert (await cli(*pull)).code == 0
    for contact_id in list(fake.organization().contacts)[:15]:
        fake.organization().remove(contact_id)
    refused = await cli(*pull)
    assert refused.code == 1
    assert "--max-deleted 100%" in refused.err
    with closing(sqlite3.connect(cli.folder / "a.sqlite")) as connection:
        assert connection.execute("SELECT count(*) FROM contacts").fetchone() == (20,)
    assert (await cli(*pull, "--max-deleted", "many")).code == 2
    assert (await cli(*pull, "--max-deleted", "101%")).code == 2
    done = await cli(*pull, "--max-deleted", "80%")
    assert (done.code, "15 dropped" in done.out) == (0, True), done.err


async def test_pull_goes_on_where_its_calls_ended(fake: FakeZoho, cli: Cli) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(30))
    pull = ("pull", "books", "contacts", "--to", "a.sqlite", "--details", "changed", "--max-calls", "20")
    first = await cli(*pull)
    assert (first.code, "11 details" in first.out) == (0, True), first.err
    second = await cli(*pull, "--json")
    assert (second.json["details"], second.json["pending"], second.json["complete"]) == (11, 0, True)
    assert (await cli("pull", "books", "contacts", "--to", "a.jsonl", "--max-calls", "20")).code == 2
