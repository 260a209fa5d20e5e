from __future__ import annotations

import asyncio
import contextlib
import csv
import json
import os
import signal
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.process import Cli, ended, until

from zoho_async import Limits
from zoho_async.bulk import RejectsFile, RowOutcome, open_rows
from zoho_async.cli.commands.push import PushArgs, write_error
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.profiles import connect
from zoho_async.fake import FakeZoho

Write = Callable[[str, str], Path]
PUSH = ("push", "books", "contacts", "--per-minute", "0", "--from")
KEY = ("--upsert-by", "cf_external_id")
GOOD = "contact_name,cf_external_id\nA,1\nB,2\n"
LONG = "n" * 231


def requests(fake: FakeZoho) -> int:
    """Calls other than those of the preflight and of the list, which every push reads first."""
    return sum(
        one["requests"] for name, one in fake.counts.items() if not (name.endswith(".list") or ".settings." in name)
    )


async def test_good_rows_are_sent_and_the_summary_is_on_stdout(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", GOOD)
    result = await cli(*PUSH, "a.csv", *KEY)
    assert result.code == 0, result.err
    assert "2 rows: 2 sent" in result.out
    assert fake.created("cf_external_id") == {"1": 1, "2": 1}
    again = await cli(*PUSH, "a.csv", *KEY, "--json")
    assert (again.code, again.json["unchanged"], again.json["writes"]) == (0, 2, 0)
    assert requests(fake) == 2
    assert not (cli.folder / "a.failed.csv").exists()


async def test_every_bad_row_is_reported_in_one_sentence_and_harms_no_other(
    fake: FakeZoho, cli: Cli, write: Write
) -> None:
    text = f'contact_name,is_portal_enabled,notes\nA,true,\n,,nameless\n{LONG},,\nD,maybe,\nE,1,"x\ny"\nF\n'
    write("a.csv", text)
    result = await cli(*PUSH, "a.csv")
    assert result.code == 3
    assert [line for line in result.err.splitlines() if line] == [
        "a.csv row 2 (line 3): contact_name: is required",
        "a.csv row 3 (line 4): contact_name: must be at most 200 characters, has 231",
        "a.csv row 4 (line 5): is_portal_enabled: must be true or false, is 'maybe' (known words: true, "
        "false, yes, no, 1, 0, and those that a mapping names ([read] yes, no))",
        "a.csv row 6 (line 8): has 1 cells where the header has 3 columns, and its only text is 'F': a footer?",
    ]
    assert fake.created() == {"A": 1, "E": 1}
    assert requests(fake) == 2
    with (cli.folder / "a.failed.csv").open(encoding="utf-8", newline="") as file:
        failed = list(csv.reader(file))
    assert failed[0] == [
        "contact_name",
        "is_portal_enabled",
        "notes",
        "zoho_row",
        "zoho_reason",
        "zoho_code",
        "zoho_field",
        "zoho_hint",
        "zoho_identity",
    ]
    assert [(row[3], row[6]) for row in failed[1:]] == [
        ("2", "contact_name"),
        ("3", "contact_name"),
        ("4", "is_portal_enabled"),
        ("6", ""),
    ]


async def test_a_broken_line_of_json_harms_no_other(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write(
        "a.jsonl", '{"contact_name": "A"}\n{"contact_name": \n{"contact_name": "C", "billing_address": {"city": "X"}}\n'
    )
    result = await cli(*PUSH, "a.jsonl")
    assert result.code == 3
    (sentence,) = result.err.splitlines()
    assert sentence.startswith("a.jsonl row 2 (line 2): is not valid JSON")
    assert fake.created() == {"A": 1, "C": 1}
    (failed,) = (cli.folder / "a.failed.jsonl").read_text().splitlines()
    assert json.loads(failed)["zoho_line"] == '{"contact_name":'


async def test_an_odd_row_of_json_harms_no_other(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write(
        "a.jsonl",
        '{"contact_name": "A", "billing_address": null}\n{"contact_name": "B", "contact_persons": "x"}\n'
        '{"contact_name": "C", "billing_address": "Roma"}\n{"contact_name": "D", "notes": null}\n',
    )
    result = await cli(*PUSH, "a.jsonl")
    assert result.code == 3
    assert result.err.splitlines() == [
        "a.jsonl row 2 (line 2): contact_persons: must be a list, is 'x'",
        "a.jsonl row 3 (line 3): billing_address: must be an object, is 'Roma'",
    ]
    assert fake.created() == {"A": 1, "D": 1}


async def test_a_corrected_rejects_file_sends_only_its_rows(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name,cf_external_id\nA,1\n,2\n")
    assert (await cli(*PUSH, "a.csv", *KEY)).code == 3
    path = cli.folder / "a.failed.csv"
    path.write_text(path.read_text().replace("\n,2,", "\nB,2,"))
    result = await cli(*PUSH, "a.failed.csv", *KEY)
    assert result.code == 0, result.err
    assert fake.created("cf_external_id") == {"1": 1, "2": 1}
    assert requests(fake) == 2
    write("a.csv", "contact_name,cf_external_id\nA,1\nB,2\n")
    assert (await cli(*PUSH, "a.csv", *KEY)).code == 0
    assert not path.exists()
    assert requests(fake) == 2


@pytest.mark.parametrize(
    ("name", "content", "options", "word"),
    [
        ("a.csv", b"", (), "is empty"),
        ("none.csv", None, (), "there is no such file"),
        (
            "a.csv",
            "contact_name,Straße\nA,B\n".encode("latin-1"),
            (),
            "line 1 cannot be read as UTF-8 (byte 0xDF)",
        ),
        ("a.csv", b"contact_nam\nA\n", (), "`contact_nam` (did you mean `contact_name`"),
        ("a.csv", b"contact_nam\nA\n", (), "help: zoho-async columns books contacts lists the columns"),
        ("a.jsonl", b'{"contact_name": "A"}\n{"contact_name": "B", "billing_address": {"citty": "X"}}\n', (), "citty"),
        ("a.csv", b"contact_name,zoho_crm_id\nA,1\n", (), "`zoho_crm_id`"),
        ("a.jsonl", b'{"contact_name": "A", "zoho_crm_id": "1"}\n', (), "`zoho_crm_id`"),
        ("a.csv", b"contact_name\nA\n", KEY, "there is no column `cf_external_id`"),
        (
            "a.csv",
            b"contact_name,cf_external\nA,1\n",
            KEY,
            "by which rows are to be matched; did you mean `cf_external`?",
        ),
        ("a.csv", b"contact_name,email\nA,x\n", ("--upsert-by", "email"), "email"),
        ("a.csv", b"contact_name,contact_name\nA,B\n", (), "more than once"),
    ],
)
async def test_a_file_that_cannot_be_used_ends_before_any_call(
    fake: FakeZoho, cli: Cli, name: str, content: bytes | None, options: tuple[str, ...], word: str
) -> None:
    if content is not None:
        (cli.folder / name).write_bytes(content)
    before = sorted(path.name for path in cli.folder.iterdir())
    result = await cli(*PUSH, name, *options)
    assert result.code == 2, result
    assert word in result.err
    assert [line.partition(":")[0] for line in result.err.splitlines()] in (["error"], ["error", "help"])
    assert requests(fake) == 0
    assert sorted(path.name for path in cli.folder.iterdir()) == before


@pytest.mark.parametrize(
    "arguments",
    [
        ("push", "books", "nothing", "--from", "a.csv"),
        ("push", "crm", "contacts", "--from", "a.csv"),
        ("push", "books", "contacts"),
        ("pull", "books", "contacts", "--to", "a.xlsx"),
        ("pull", "books", "contacts", "--to", "a.csv", "--details", "changed"),
        ("pull", "books", "contacts", "--to", "a.csv", "--details", "some"),
        ("push", "books", "contacts", "--from", "a.csv", "--per-minute", "-1"),
        ("call", "books.contacts.gett"),
        ("call", "books.contacts.get"),
        ("call", "books.contacts.get", "-p", "contact_id"),
        ("call", "books.contacts.create", "--body", "{"),
        ("call", "books.contacts.create", "--body", "@none.json"),
        ("call", "books.contacts.get", "-p", "contact_id=1", "--all"),
        ("call", "books.contacts.list", "-q", "colour=red"),
        ("nonsense",),
    ],
)
async def test_wrong_usage_is_2_before_any_call(fake: FakeZoho, cli: Cli, write: Write, arguments: Any) -> None:
    write("a.csv", GOOD)
    result = await cli(*arguments)
    assert result.code == 2, result
    assert result.err
    assert requests(fake) == 0


@pytest.mark.parametrize("missing", ["ZOHO_ACCESS_TOKEN", "ZOHO_ORGANIZATION_ID"])
async def test_without_credentials_no_call_is_made(fake: FakeZoho, cli: Cli, write: Write, missing: str) -> None:
    write("a.csv", GOOD)
    del cli.environment[missing]
    for arguments in (
        (*PUSH, "a.csv"),
        ("pull", "books", "contacts", "--to", "b.csv"),
        ("call", "books.contacts.list"),
    ):
        result = await cli(*arguments)
        assert result.code == 4, result
        assert missing in result.err
    assert requests(fake) == 0


async def test_refused_credentials_and_a_wrong_organisation_cost_a_call_or_two(
    fake: FakeZoho, cli: Cli, write: Write
) -> None:
    write("a.csv", "contact_name,cf_external_id\n" + "".join(f"N{i},{i}\n" for i in range(50)))
    result = await cli(*PUSH, "a.csv", environment={**cli.environment, "ZOHO_ACCESS_TOKEN": "secret-and-wrong"})
    assert result.code == 4
    assert "secret-and-wrong" not in result.err + result.out
    # That of the preflight may want a scope alone.
    assert len(fake.received) == 2
    result = await cli(*PUSH, "a.csv", environment={**cli.environment, "ZOHO_ORGANIZATION_ID": "99"})
    assert result.code == 4
    assert "99" in result.err + result.out
    assert len(fake.received) == 3
    assert fake.organization().contacts == {}
    assert not (cli.folder / "a.failed.csv").exists()
    assert (await cli(*PUSH, "a.csv")).code == 0
    assert set(fake.created().values()) == {1}


async def test_a_used_up_day_is_5_and_goes_before_3(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name,notes\n,nameless\n" + "".join(f"N{i},\n" for i in range(30)))
    fake.script("books.contacts.create", ["pass"] * 5 + ["429:45"] * 30)
    result = await cli(*PUSH, "a.csv", "--json")
    assert result.code == 5, result
    assert (result.json["sent"], result.json["failed"], result.json["complete"]) == (5, 1, False)
    before, cli.shares_limits = fake.acts("books.contacts.create"), True
    fake.script("*", ["429:45"])
    sent = len(fake.received)
    assert (await cli(*PUSH, "a.csv", "--json")).code == 5
    assert len(fake.received) - sent == 1, "the next command asks once whether it is so"
    assert fake.acts("books.contacts.create") == before
    fake.clear_faults()
    result = await cli(*PUSH, "a.csv", "--json")
    assert result.code == 3
    assert (result.json["sent"], result.json["unchanged"], result.json["failed"]) == (25, 5, 1)
    assert set(fake.created().values()) == {1}


async def test_a_dry_run_sends_nothing_and_tells_the_plan(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name,credit_limit,cf_external_id\nA,1.10,1\n,,2\nC,,3\n")
    before = sorted(path.name for path in cli.folder.iterdir())
    result = await cli(*PUSH, "a.csv", *KEY, "--dry-run", "--json")
    assert result.code == 3
    plan = result.json
    assert (plan["rows"], plan["create"], plan["faulty"], plan["writes"], plan["reads_spent"]) == (3, 2, 1, 2, 2)
    assert '"credit_limit":1.10' in result.out
    assert sorted(path.name for path in cli.folder.iterdir()) == before
    assert requests(fake) == 0
    write("b.csv", GOOD)
    assert (await cli(*PUSH, "b.csv", *KEY)).code == 0
    result = await cli("push", "books", "contacts", "--from", "b.csv", *KEY, "--dry-run")
    assert result.code == 0
    assert "0 to create, 0 to update, 2 unchanged" in result.out
    result = await cli("push", "books", "contacts", "--from", "b.csv", *KEY, "--dry-run", environment={})
    assert result.code == 0
    assert "2 to create" in result.out
    assert "Zoho was not looked at" in result.out
    assert requests(fake) == 2


async def test_json_makes_both_streams_machine_readable(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name\nA\n" + LONG + "\n")
    result = await cli(*PUSH, "a.csv", "--json")
    events = [json.loads(line) for line in result.err.splitlines()]
    assert [(event["event"], event.get("row"), event.get("field")) for event in events] == [("row", 2, "contact_name")]
    assert result.json["failed_file"].endswith("a.failed.csv")
    result = await cli(*PUSH, "none.csv", "--json")
    assert json.loads(result.err)["event"] == "error"


async def test_profiles_stand_for_the_environment(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", GOOD)
    folder = cli.folder / "config" / "zoho-async"
    folder.mkdir(parents=True)
    lines = "".join(f'{name.removeprefix("ZOHO_").lower()} = "{value}"\n' for name, value in cli.environment.items())
    (folder / "config.toml").write_text(f"[shop]\n{lines}[odd]\ncolour = 1\n")
    environment = {"XDG_CONFIG_HOME": str(cli.folder / "config"), "ZOHO_ORGANIZATION_ID": "99"}
    assert (await cli(*PUSH, "a.csv", "--profile", "shop", environment=environment)).code == 0
    assert len(fake.organization().contacts) == 2
    # Not even what the profile lacks is taken from the environment: that may be another account's.
    (folder / "config.toml").write_text(
        """[odd]
colour = 1
[bare]
organization_id = "1"
[homeless]
access_token = "x"
[blank]
organization_id = "1"
access_token = "abc "
"""
    )
    for profile, word in (("bare", "credentials"), ("homeless", "no organisation"), ("blank", "without blanks")):
        whole = {**cli.environment, "XDG_CONFIG_HOME": environment["XDG_CONFIG_HOME"]}
        result = await cli(*PUSH, "a.csv", "--profile", profile, environment=whole)
        assert (result.code, word in result.err, result.err.count("\n")) == (4, True, 2), result
        assert f"\nhelp: zoho-async {'orgs' if profile == 'homeless' else 'login'} --profile {profile}" in result.err
        assert "abc" not in result.err
    for profile, word in (("none", "no profile `none`"), ("odd", "unknown keys: colour")):
        result = await cli(*PUSH, "a.csv", "--profile", profile, environment=environment)
        assert (result.code, word in result.err) == (4, True)


async def test_an_impossible_token_and_an_impossible_state_file_are_one_sentence(
    fake: FakeZoho, cli: Cli, write: Write
) -> None:
    write("a.csv", GOOD)
    result = await cli(*PUSH, "a.csv", environment={**cli.environment, "ZOHO_ACCESS_TOKEN": "abc "})
    assert (result.code, result.err) == (
        4,
        "error: an access token is printable ASCII without blanks\nhelp: zoho-async login\n",
    )
    for options in ((), ("--dry-run",)):
        result = await cli(*PUSH, "a.csv", "--state", "/dev/null/x.sqlite", *options)
        assert (result.code, result.err.count("\n")) == ((2, 1) if not options else (0, 0)), result
    long = f"{'n' * 246}.csv"
    write(long, GOOD)
    result = await cli(*PUSH, long)
    assert (result.code, "failed rows could not be written there" in result.err) == (2, True)
    assert requests(fake) == 0


def test_the_command_line_waits_as_long_as_zoho_wants(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ZOHO_ACCESS_TOKEN", "x")
    monkeypatch.setenv("ZOHO_ORGANIZATION_ID", "1")
    assert connect(None, allowed=Limits())._transport.settings.max_wait is None


async def test_of_equal_rows_one_is_sent_and_stands_for_the_other(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name\nTwin X\nTwin X\n")
    result = await cli(*PUSH, "a.csv", "--json")
    assert (result.code, result.json["sent"], result.json["kinds"]) == (3, 1, {"name_taken": 1})
    (taken,) = fake.organization().contacts
    renamed = ("call", "books.contacts.update", "-p", f"contact_id={taken}", "--body", '{"contact_name": "Another"}')
    assert (await cli(*renamed)).code == 0
    result = await cli(*PUSH, "a.failed.csv", "--json")
    assert (result.code, result.json["unchanged"], result.json["writes"]) == (0, 1, 0)
    assert [one["contact_name"] for one in fake.organization().contacts.values()] == ["Another"]


async def test_the_rejects_file_of_an_earlier_run_is_always_kept(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name\nA\n" + LONG + "\n")
    assert (await cli(*PUSH, "a.csv", "--json")).json["kept_aside"] is None
    path = cli.folder / "a.failed.csv"
    corrected = path.read_text().replace(LONG, "B")
    path.write_text(corrected)
    result = await cli(*PUSH, "a.csv")
    assert result.code == 3
    assert "the a.failed.csv of an earlier run is kept as a.failed.1.csv" in result.out
    assert (cli.folder / "a.failed.1.csv").read_text() == corrected
    assert LONG in path.read_text()
    path.write_text(corrected + "C,,,,,,\n")
    write("a.csv", "contact_name\nA\n")
    result = await cli(*PUSH, "a.csv", "--json")
    assert (result.code, result.json["kept_aside"]) == (0, "a.failed.2.csv")
    assert not path.exists()
    assert (await cli(*PUSH, "a.failed.2.csv")).code == 0
    assert fake.created() == {"A": 1, "B": 1, "C": 1}


async def test_a_rejects_file_that_is_pushed_ends_in_one_rejects_file(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", f"contact_name,cf_external_id\n{LONG},1\nB,2\n{LONG},3\n")
    assert (await cli(*PUSH, "a.csv", *KEY)).code == 3
    path = cli.folder / "a.failed.csv"
    first = path.read_text().replace(f"{LONG},1", "A,1")
    path.write_text(first)
    result = await cli(*PUSH, "a.failed.csv", *KEY, "--json")
    assert (result.code, result.json["failed_file"], result.json["kept_aside"]) == (
        *(3, "a.failed.csv", "a.failed.1.csv"),
    )
    assert (cli.folder / "a.failed.1.csv").read_text() == first
    with path.open(encoding="utf-8", newline="") as file:
        # The number is still that of the first input.
        assert [(row["cf_external_id"], row["zoho_row"]) for row in csv.DictReader(file)] == [("3", "3")]
    path.write_text(path.read_text().replace(LONG, "C"))
    result = await cli(*PUSH, "a.failed.csv", *KEY, "--json")
    assert (result.code, result.json["failed_file"], result.json["kept_aside"]) == (0, None, None)
    assert fake.created("cf_external_id") == {"1": 1, "2": 1, "3": 1}
    again = await cli(*PUSH, "a.failed.csv", *KEY, "--json")
    assert (again.code, again.json["unchanged"]) == (0, 1)


async def test_a_rejects_file_whose_push_is_stopped_keeps_the_untried_rows(
    fake: FakeZoho, cli: Cli, write: Write
) -> None:
    rows = "".join(f"N{number},{number}\n" for number in range(1, 9))
    write("a.csv", f"contact_name,cf_external_id\n{rows}")
    fake.script("books.contacts.upsert", ["status:400"] * 8)
    assert (await cli(*PUSH, "a.csv", *KEY, "--json")).json["failed"] == 8
    fake.script("books.contacts.upsert", ["pass", "status:400", "pass", *["429:45"] * 40])
    result = await cli(*PUSH, "a.failed.csv", *KEY, "--json", "--concurrency", "1")
    assert (result.code, result.json["sent"], result.json["failed"], result.json["failed_before"]) == (5, 2, 1, 5)
    with (cli.folder / "a.failed.csv").open(encoding="utf-8", newline="") as file:
        left = {row["cf_external_id"] for row in csv.DictReader(file)}
    assert left == {str(number) for number in range(1, 9)} - {*fake.created("cf_external_id")}
    fake.clear_faults()
    assert (await cli(*PUSH, "a.failed.csv", *KEY, "--json")).json["sent"] == 6


async def test_a_dry_run_changes_no_byte_and_works_beside_a_push(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", GOOD)
    assert (await cli(*PUSH, "a.csv", *KEY, "--state", "s")).code == 0
    before = {path.name: path.read_bytes() for path in cli.folder.iterdir()}
    # Without a state what the destination has is found by reading it: the same.
    for state, count in (("s", 2), ("none", 2)):
        result = await cli(*PUSH, "a.csv", *KEY, "--state", state, "--dry-run", "--json")
        assert (result.code, result.json["unchanged"]) == (0, count), result
    assert {path.name: path.read_bytes() for path in cli.folder.iterdir()} == before
    write("b.csv", GOOD + "C,3\n")
    fake.script("books.contacts.upsert", ["stall"])
    push = await cli.start(*PUSH, "b.csv", *KEY, "--state", "s")
    await until(lambda: fake.requests("books.contacts.upsert") >= 3)
    result = await cli(*PUSH, "b.csv", *KEY, "--state", "s", "--dry-run", "--json")
    assert (result.code, result.json["unchanged"], result.json["create"]) == (0, 2, 1)
    push.kill()
    await push.communicate()


async def test_two_runs_on_one_state_are_refused(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", GOOD)
    fake.script("books.contacts.create", ["stall"])
    first = await cli.start(*PUSH, "a.csv", "--state", "s")
    await until(lambda: "books.contacts.create" in fake.counts)
    second = await cli(*PUSH, "a.csv", "--state", "s")
    assert second.code == 2
    assert "another run is using this state file" in second.err
    first.kill()
    await first.communicate()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_an_interrupted_push_finishes_what_is_in_flight(
    fake: FakeZoho, cli: Cli, write: Write, number: signal.Signals
) -> None:
    write("a.csv", "contact_name\n" + "".join(f"N{i}\n" for i in range(300)))
    fake.latency = 0.02
    process = await cli.start(*PUSH, "a.csv", "--json")
    await until(lambda: fake.acts("books.contacts.create") >= 20)
    process.send_signal(number)
    result = await ended(process)
    assert result.code == 130, result
    summary = result.json
    assert summary["complete"] is False
    assert summary["sent"] == fake.acts("books.contacts.create") < 300
    fake.latency = 0
    again = await cli(*PUSH, "a.csv", "--json")
    assert again.code == 0
    assert (again.json["unchanged"], again.json["reads"]) == (summary["sent"], 1)
    assert set(fake.created().values()) == {1}
    assert len(fake.created()) == 300


async def test_a_second_signal_stops_at_once(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", GOOD)
    fake.script("books.contacts.create", ["stall"] * 10)
    process = await cli.start(*PUSH, "a.csv")
    await until(lambda: "books.contacts.create" in fake.counts)
    assert process.stderr is not None
    process.send_signal(signal.SIGINT)
    assert b"finishing the calls in flight" in await process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert (await ended(process)).code == 130


async def test_a_terminal_that_is_closed_hangs_up_more_than_once_and_does_not_insist() -> None:
    interruption, asked = Interruption(), list[bool]()
    interruption.graceful = lambda: asked.append(True)
    task = asyncio.create_task(asyncio.sleep(0, 3))
    for _ in range(3):
        interruption(task, hangup=True)
    assert (asked, task.cancelling()) == ([True], 0)
    interruption(task)
    assert task.cancelling() == 1
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_where_hanging_up_is_ignored_a_push_goes_on(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name\n" + "".join(f"N{i}\n" for i in range(300)))
    fake.latency = 0.01
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        process = await cli.start(*PUSH, "a.csv", "--json")
    finally:
        signal.signal(signal.SIGHUP, before)
    await until(lambda: fake.acts("books.contacts.create") >= 20)
    process.send_signal(signal.SIGHUP)
    result = await ended(process)
    assert (result.code, result.json["sent"]) == (0, 300)


async def test_on_a_terminal_a_bar_goes_to_stderr(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name\nA\n" + LONG + "\n")
    ours, theirs = os.openpty()
    process = await cli.start(*PUSH, "a.csv", stderr=theirs)
    os.close(theirs)
    out, _ = await process.communicate()
    seen = b""
    with contextlib.suppress(OSError):  # a terminal whose other end is closed
        while chunk := os.read(ours, 65536):
            seen += chunk
    os.close(ours)
    assert process.returncode == 3
    assert b"2/2" in seen
    assert b"row 2 (line 3): contact_name: must be at most 200 characters" in seen.replace(b"\r\n", b"")
    assert out.startswith(b"a.csv -> books.contacts")


@pytest.mark.parametrize("options", [(), ("--json", "--state", "other state")])
async def test_a_push_goes_on_when_its_rejects_file_cannot_be_written(
    fake: FakeZoho, cli: Cli, write: Write, monkeypatch: pytest.MonkeyPatch, options: tuple[str, ...]
) -> None:
    write("a.csv", "contact_name\n" + f"{LONG}\n" * 25 + "A\nB\n")
    path = cli.folder / "a.failed.csv"
    record = RejectsFile.record

    def obstructed(self: RejectsFile, outcome: RowOutcome) -> None:
        record(self, outcome)
        path.mkdir(exist_ok=True)

    monkeypatch.setattr(RejectsFile, "record", obstructed)
    result = await cli(*PUSH, "a.csv", *options)
    assert result.code == 3
    assert list(path.iterdir()) == []
    assert not (cli.folder / "a.failed.csv.part").exists()
    if options:
        assert (result.json["failed_file"], result.json["failed_file_error"]) == (None, "Is a directory")
    else:
        assert "27 rows: 2 sent" in result.out
        assert "  failed rows: max_length: 25 rows\n" in result.out
        told = "  a.failed.csv cannot be written: Is a directory; `zoho-async runs show 1` lists the rows\n"
        assert told in result.out
        shown = await cli("runs", "show", "1")
        assert shown.out.count(" failed: contact_name: must be at most 200 characters") == 25


def test_the_command_that_lists_the_rows_names_a_state_elsewhere(tmp_path: Path, write: Write) -> None:
    state = write("a state", "")
    rejects = RejectsFile(open_rows(write("a.csv", "contact_name\nA\n")))
    args = PushArgs(name="books.contacts", file=None, options={}, json=False, limits=Limits(), profile=None)
    rejects.write_error = "no"
    assert "an earlier run cannot be moved: no" in write_error(args, state, rejects, 2)
    rejects.count = 1
    told = write_error(args, state, rejects, 2)
    assert told == f"{rejects.path} cannot be written: no; `zoho-async runs show 2 --state '{state}'` lists the rows"
    state.unlink()
    assert write_error(args, state, rejects, 2) == f"{rejects.path} cannot be written: no"


async def test_a_dry_run_with_rows_of_unknown_outcome_ends_as_the_push_would(
    fake: FakeZoho, cli: Cli, write: Write
) -> None:
    write("a.csv", "contact_name,notes\nA,x\n")
    assert (await cli(*PUSH, "a.csv")).code == 0
    (state,) = cli.folder.glob("*.sqlite")
    with closing(sqlite3.connect(state)) as connection, connection:
        connection.execute("UPDATE journal SET state = 'unknown', record_id = ''")
    write("a.csv", "contact_name,notes\nA,y\n")
    planned = await cli(*PUSH, "a.csv", "--dry-run", "--json")
    assert (planned.code, planned.json["unknown"], planned.json["faulty"]) == (3, 1, 0)
    pushed = await cli(*PUSH, "a.csv", "--json")
    assert (pushed.code, pushed.json["kinds"]) == (3, {"unknown_outcome": 1})
    assert "--on-existing update" in (cli.folder / "a.failed.csv").read_text()


async def test_skipped_rows_are_shown(fake: FakeZoho, cli: Cli, write: Write) -> None:
    fake.seed([{"contact_name": "A"}])
    write("a.csv", "contact_name\nA\nB\n")
    options = (*PUSH, "a.csv", "--on-existing", "skip")
    planned = await cli(*options, "--dry-run")
    assert "2 rows: 1 to create, 0 to update, 0 unchanged, 1 skipped, 0 invalid" in planned.out
    assert (await cli(*options)).code == 0
    for command in (("runs",), ("runs", "show", "1")):
        assert "1 created, 0 updated, 0 unchanged, 1 skipped, 0 failed, 0 unknown" in (await cli(*command)).out


@pytest.mark.parametrize("options", [(), ("--dry-run",)])
async def test_a_file_is_pushed_under_a_name_of_its_own_only(
    fake: FakeZoho, cli: Cli, write: Write, options: tuple[str, ...]
) -> None:
    with write("a.csv", "contact_name\nA\n").open() as file:
        result = await cli(*PUSH, f"/proc/{os.getpid()}/fd/{file.fileno()}", *options)
    assert (result.code, "name the file itself" in result.err, result.err.count("\n")) == (2, True, 1)
    assert fake.requests() == 0
