from __future__ import annotations

import json
import signal
import sqlite3
from contextlib import closing
from pathlib import Path

from support.process import Cli, ended, until

from zoho_async.fake import FakeZoho

FAST = ("--per-minute", "0")


async def test_pull_names_the_option_when_a_list_lacks_too_much(fake: FakeZoho, cli: Cli) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(20))
    pull = ("pull", "books", "contacts", "--to", "a.sqlite", "--full", *FAST)
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
    pull = ("pull", "books", "contacts", "--to", "a.sqlite", "--details", "changed", "--max-calls", "20", *FAST)
    first = await cli(*pull)
    assert (first.code, "11 details" in first.out) == (0, True), first.err
    second = await cli(*pull, "--json")
    assert (second.json["details"], second.json["pending"], second.json["complete"]) == (11, 0, True)
    assert (await cli("pull", "books", "contacts", "--to", "a.jsonl", "--max-calls", "20")).code == 2


async def test_a_dry_run_reports_the_cost_first_and_so_does_a_pull(fake: FakeZoho, cli: Cli) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(450))
    pull = ("pull", "books", "contacts", "--to", "a.sqlite", "--per-minute", "0")
    dry = await cli(*pull, "--dry-run", "--every", "30m")
    lines = dry.out.splitlines()
    assert lines[0] == "7 calls now, about 4 an hour when nothing changes and 5 once a day to look for deletes"
    assert "nothing was written, 2 calls were spent on reading" in lines[1]
    assert (dry.code, fake.requests(), (cli.folder / "a.sqlite").exists()) == (0, 2, False)
    first = await cli(*pull)
    assert first.err.splitlines()[0].startswith("7 calls now, about 2 an hour when nothing changes")
    planned = await cli(*pull, "--dry-run", "--json", "--reserve", "300")
    assert planned.json["dry_run"] is True
    assert [planned.json[name] for name in ("calls", "idle", "daily", "reads", "records", "reserve")] == [
        2,
        2,
        5,
        2,
        450,
        300,
    ]
    second = await cli(*pull, "--json")
    assert json.loads(second.err.splitlines()[0])["event"] == "cost"


async def test_a_pull_leaves_the_reserve_and_keeps_what_it_has(tmp_path: Path) -> None:
    async with FakeZoho(per_minute=None, per_day=20) as fake:
        cli = Cli.against(fake, tmp_path)
        fake.seed({"contact_name": f"N{number}"} for number in range(30))
        pull = ("pull", "books", "contacts", "--details", "changed", "--concurrency", "1", "--reserve", "10", "--to")
        ended = await cli(*pull, "a.sqlite")
        assert (ended.code, fake.requests()) == (5, 10), ended.err
        assert "not finished: a.sqlite keeps 9 records, 9 of them written by this pull" in ended.err
        ended = await cli("pull", "books", "contacts", "--details", "all", "--concurrency", "1", "--to", "a.csv")
        assert (ended.code, fake.requests()) == (5, 20), ended.err
        assert "not finished: a.csv is as it was before" in ended.err


async def test_a_pull_again_and_again_ends_upon_a_signal(fake: FakeZoho, cli: Cli) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(30))
    fake.script("books.contacts.list", ["pass", *["status:503"] * 4])
    process = await cli.start("pull", "books", "contacts", "--to", "a.sqlite", "--every", "1s", "--json")
    assert process.stdout is not None
    lines = [json.loads(await process.stdout.readline()) for _ in range(2)]
    process.send_signal(signal.SIGTERM)
    done = await ended(process)
    assert done.code == 130, done.err
    # The outage between the two pulls has not ended it.
    assert [line["changed"] for line in lines] == [30, 0]
    assert '"kind":"UnavailableError"' in done.err
    assert [
        (await cli("pull", "books", "contacts", "--to", "a.sqlite", "--every", text)).code for text in ("0m", "x")
    ] == [
        2,
        2,
    ]


async def test_a_pull_that_waits_for_the_next_days_calls_ends_upon_a_signal(tmp_path: Path) -> None:
    async with FakeZoho(per_minute=None, per_day=20) as fake:
        fake.seed({"contact_name": f"N{number}"} for number in range(30))
        cli = Cli.against(fake, tmp_path)
        pull = ("pull", "books", "contacts", "--to", "a.sqlite", "--details", "all", "--concurrency", "1", *FAST)
        process = await cli.start(*pull, "--wait")
        assert process.stderr is not None
        lines = [(await process.stderr.readline()).decode() for _ in range(2)]
        process.send_signal(signal.SIGTERM)
        done = await ended(process)
        assert lines[0].startswith("31 calls now (30 for details)")
        assert lines[1].startswith("the day's calls are used up: waiting until 20")
        assert (done.code, fake.requests()) == (130, 20)
        assert "not finished: a.sqlite keeps 19 records" in done.err


async def test_an_interrupted_pull_says_what_it_keeps(fake: FakeZoho, cli: Cli) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(400))
    fake.script("books.contacts.get", ["pass"] * 250 + ["stall"])
    process = await cli.start(
        *(
            "pull",
            "books",
            "contacts",
            "--to",
            "a.sqlite",
            "--details",
            "all",
            "--per-minute",
            "0",
            "--concurrency",
            "1",
        )
    )
    await until(lambda: fake.requests("books.contacts.get") > 250)
    process.send_signal(signal.SIGINT)
    done = await ended(process)
    assert done.code == 130, done.err
    assert "not finished: a.sqlite keeps 250 records, 250 of them written by this pull" in done.err
    with closing(sqlite3.connect(cli.folder / "a.sqlite")) as connection:
        assert connection.execute("SELECT count(detail) FROM contacts").fetchone() == (250,)


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


async def test_changes_keep_what_was_written_when_the_calls_of_the_day_are_used_up(tmp_path: Path) -> None:
    async with FakeZoho(per_minute=None, per_day=20) as fake:
        fake.seed({"contact_name": f"N{number}"} for number in range(30))
        cli = Cli.against(fake, tmp_path)
        changes = ("changes", "books", "contacts", "--state", "a.json", "--details", "changed", "--concurrency", "1")
        first = await cli(*changes, *FAST)
        assert (first.code, len(first.out.splitlines())) == (5, 19), first.err
        fake.clock.advance(90_000)
        second = await cli(*changes, *FAST, "--max-calls", "8")
        assert (second.code, len(second.out.splitlines())) == (0, 7)
        assert second.err == "not complete: 4 details and what else is left come with the next run\n"
        third = await cli(*changes, *FAST)
        lines = [*first.out.splitlines(), *second.out.splitlines(), *third.out.splitlines()]
        assert (third.code, third.err) == (0, "")
        assert sorted(json.loads(line)["id"] for line in lines) == sorted(fake.organization().contacts)


async def test_changes_leave_out_our_own_pushes(fake: FakeZoho, cli: Cli) -> None:
    (cli.folder / "a.csv").write_text("contact_name\nA\nB\n")
    pushed = await cli("push", "books", "contacts", "--from", "a.csv", "--state", "push.sqlite", *FAST)
    assert pushed.code == 0, pushed.err
    fake.seed([{"contact_name": "C"}])
    changes = ("changes", "books", "contacts", "--state", "a.json", "--own", "push.sqlite", *FAST)
    (line,) = (await cli(*changes)).out.splitlines()
    assert json.loads(line)["row"]["contact_name"] == "C"
    refused = await cli(*changes[:-3], "none.sqlite", *FAST)
    assert (refused.code, "there is no such state file" in refused.err) == (2, True)
