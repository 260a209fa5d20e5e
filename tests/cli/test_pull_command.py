from __future__ import annotations

import json
import sqlite3
from contextlib import closing

from support.process import Cli, ended

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


async def test_changes_are_lines_that_come_once(fake: FakeZoho, cli: Cli) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(30))
    changes = ("changes", "books", "contacts", "--state", "a.json")
    first = await cli(*changes)
    lines = [json.loads(line) for line in first.out.splitlines()]
    assert (first.code, {line["id"] for line in lines}) == (0, set(fake.organization().contacts)), first.err
    assert list(lines[0]) == ["kind", "id", "row", "record", "modified", "seen_at"]
    assert (lines[0]["kind"], lines[0]["row"]["contact_id"], lines[0]["record"]) == ("upsert", lines[0]["id"], None)
    gone = next(iter(fake.organization().contacts))
    fake.organization().remove(gone)
    (second,) = map(json.loads, (await cli(*changes)).out.splitlines())
    assert (second["kind"], second["id"], second["row"]) == ("delete", gone, None)
    assert (await cli(*changes)).out == ""


async def test_changes_without_a_reader_come_again(fake: FakeZoho, cli: Cli) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(900))
    process = await cli.start("changes", "books", "contacts", "--state", "a.json", "--per-minute", "0")
    assert process.stdout is not None
    first = json.loads(await process.stdout.readline())
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
    assert (await ended(process)).code == 1
    rest = [
        json.loads(line)["id"]
        for line in (await cli("changes", "books", "contacts", "--state", "a.json")).out.splitlines()
    ]
    assert {first["id"], *rest} == set(fake.organization().contacts)
    assert len(rest) >= 500
