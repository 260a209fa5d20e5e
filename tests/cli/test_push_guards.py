"""What keeps a push from burning a quota, on the command line: preflight, first refusals, pilot."""

from __future__ import annotations

import csv
import re
from collections.abc import Callable
from pathlib import Path

from support.process import Cli

from zoho_async.fake import FakeZoho
from zoho_async.fake.world.faults import Fault

Write = Callable[[str, str], Path]
PUSH = ("push", "books", "contacts", "--per-minute", "0", "--from", "a.csv")
REFUSED = Fault(kind="status", status=400, code=2)


def writes(fake: FakeZoho) -> int:
    return sum(1 for request in fake.received if request.method != "GET")


async def test_a_field_that_is_not_there_ends_dry_run_and_push_before_the_list(
    fake: FakeZoho, cli: Cli, write: Write
) -> None:
    write("a.csv", "contact_name,cf_nothere\n" + "".join(f"N{i},K{i}\n" for i in range(500)))
    for options in (("--dry-run",), ()):
        result = await cli(*PUSH, "--upsert-by", "cf_nothere", *options)
        assert (result.code, len(re.findall("^error: ", result.err, re.MULTILINE)), result.out) == (2, 1, "")
        assert "the organisation has no custom field `cf_nothere`" in result.err
    result = await cli(*PUSH, "--upsert-by", "cf_nothere", "--json")
    assert (result.code, result.json["columns"], result.json["kind"]) == (2, ["cf_nothere"], "UnknownColumnError")
    assert [request.operation for request in fake.received] == ["books.settings.customfields"] * 3
    assert not (cli.folder / "a.failed.csv").exists()


async def test_first_refusals_of_one_reason_end_a_push_with_a_sentence(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name\n" + "".join(f"N{i}\n" for i in range(40)))
    fake.script("books.contacts.create", [REFUSED] * 15)
    result = await cli(*PUSH)
    assert (result.code, writes(fake)) == (3, 10)
    assert "  not finished: 30 of 40 rows remain; run the same command again to go on\n" in result.out
    (line,) = [line for line in result.out.splitlines() if line.startswith("  stopped: ")]
    assert "first 10 rows, all for one reason: This was ordered by a script (code 2); " in line
    assert "(code 2: 10 rows)" in result.out
    with (cli.folder / "a.failed.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 10
    # Five more, and then it is as it should be: another row has been accepted.
    result = await cli(*PUSH, "--json")
    assert (result.code, result.json["created"], result.json["failed"]) == (3, 35, 5)
    assert (result.json["complete"], result.json["ended_by"]) == (True, "")
    fake.script("books.contacts.create", [REFUSED] * 15)
    write("a.csv", "contact_name\n" + "".join(f"M{i}\n" for i in range(40)))
    result = await cli(*PUSH, "--max-failures", "2", "--json")
    assert (result.code, result.json["failed"], result.json["ended_by"]) == (3, 2, "max_failures")
    assert (await cli(*PUSH, "--max-failures", "0")).code == 2


async def test_a_pilot_ends_well_and_the_next_run_goes_on(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name\n" + "".join(f"N{i}\n" for i in range(30)))
    planned = await cli(*PUSH, "--limit", "10", "--dry-run")
    assert (planned.code, "10 rows: 10 to create" in planned.out) == (0, True)
    assert "more rows need sending than --limit lets through" in planned.out
    result = await cli(*PUSH, "--limit", "10")
    assert (result.code, writes(fake)) == (0, 10)
    assert "sent as many as --limit asked: 20 of 30 rows remain; run the same command again" in result.out
    result = await cli(*PUSH, "--limit", "10", "--json")
    assert (result.code, result.json["created"], result.json["ended_by"]) == (0, 10, "limit")
    result = await cli(*PUSH)
    assert (result.code, "30 rows: 10 sent (10 created, 0 updated), 20 unchanged" in result.out) == (0, True)
    assert set(fake.created().values()) == {1}
