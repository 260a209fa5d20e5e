"""Plans, runs, retries and ids: what a migration of many days needs beside the push itself."""

from __future__ import annotations

import csv
import json
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
from support.process import Cli

from zoho_async.cli.commands.dry_run import _reserved
from zoho_async.fake import FakeZoho

Write = Callable[[str, str], Path]
PUSH = ("push", "books", "contacts", "--per-minute", "0", "--from")
KEY = ("--upsert-by", "cf_external_id")


def calls(fake: FakeZoho) -> int:
    return sum(one["requests"] for name, one in fake.counts.items() if name.startswith("books."))


async def test_the_plan_is_what_the_push_does_to_the_call(fake: FakeZoho, cli: Cli, write: Write) -> None:
    fake.seed([{"contact_name": f"N{i}", "cf_external_id": f"K{i}", "notes": "x"} for i in range(450)])
    fake.seed([{"contact_name": f"Taken {i}"} for i in range(3)])
    rows = [f"N{i},K{i},{'y' if i % 3 == 0 else 'x'}" for i in range(300)]
    rows += [f"New {i},L{i},x" for i in range(50)] + [f"Taken {i},M{i},x" for i in range(3)] + [",Z,x", "New 1,Y,x"]
    write("a.csv", "contact_name,cf_external_id,notes\n" + "\n".join(rows) + "\n")
    before = calls(fake)
    planned = await cli(*PUSH, "a.csv", *KEY, "--dry-run", "--json")
    assert planned.code == 3, planned.err
    plan = planned.json
    assert calls(fake) - before == plan["reads_spent"]
    assert [plan[name] for name in ("rows", "create", "update", "unchanged", "faulty", "colliding")] == [
        *(355, 50, 100, 200, 1, 4),
    ]
    assert plan["exact"]
    assert plan["planned"][0]["differences"] == [{"path": "notes", "before": "x", "after": "y"}]
    before = calls(fake)
    pushed = (await cli(*PUSH, "a.csv", *KEY, "--json")).json
    assert calls(fake) - before == plan["calls"] == pushed["reads"] + pushed["writes"]
    assert (pushed["reads"], pushed["writes"]) == (plan["reads"], plan["writes"])
    assert [pushed[name] for name in ("created", "updated", "unchanged", "failed")] == [50, 100, 200, 5]
    text = (await cli(*PUSH, "a.csv", *KEY, "--dry-run")).out
    assert "0 to create, 0 to update, 350 unchanged, 1 invalid, 4 colliding" in text


async def test_the_plan_says_when_it_will_be_done(cli: Cli, write: Write) -> None:
    async with FakeZoho(per_day=1_000, per_minute=None, unique=["cf_external_id"]) as fake:
        environment = {**cli.environment, "ZOHO_ACCESS_TOKEN": fake.access_token, "ZOHO_API_URL": fake.url}
        rows = "".join(f"N{i},K{i}\n" for i in range(2_500))
        write("a.csv", "contact_name,cf_external_id\n" + rows)
        arguments = (*PUSH, "a.csv", *KEY, "--reserve", "100", "--dry-run")
        plan = (await cli(*arguments, "--json", environment=environment)).json
        assert (plan["left_today"], plan["per_day"], plan["reserve"], plan["days"]) == (998, 1000, 100, 3)
        assert plan["limited_by"] == "day"
        assert set(plan["larger_plans"]) == {"2000", "5000", "10000"}
        text = (await cli(*arguments, environment=environment)).out
        assert "calls left today: 996, of which 100 are left to others" in text
        assert "done with a plan of so many calls a day: 2,000: " in text


async def test_a_used_up_day_leaves_the_reserve(cli: Cli, write: Write) -> None:
    async with FakeZoho(per_day=100, per_minute=None, unique=["cf_external_id"]) as fake:
        environment = {**cli.environment, "ZOHO_ACCESS_TOKEN": fake.access_token, "ZOHO_API_URL": fake.url}
        write("a.csv", "contact_name,cf_external_id\n" + "".join(f"N{i},K{i}\n" for i in range(200)))
        result = await cli(*PUSH, "a.csv", *KEY, "--reserve", "40", environment=environment)
        assert result.code == 5, result
        assert "the day's calls are used up: run the same command again after 20" in result.out
        assert calls(fake) == 60
        listed = await cli("runs", environment=environment)
        assert "run 1 " in listed.out
        assert " stopped " in listed.out


async def test_only_the_remaining_rows_of_a_run_are_retried(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", "contact_name,cf_external_id\n" + "".join(f"N{i},K{i}\n" for i in range(20)))
    fake.script("books.contacts.upsert", ["pass"] * 5 + ["status:400"] * 3)
    first = await cli(*PUSH, "a.csv", *KEY, "--json", "--concurrency", "1")
    assert (first.code, first.json["failed"], first.json["run"]) == (3, 3, 1)
    with (cli.folder / "a.failed.csv").open(encoding="utf-8", newline="") as file:
        assert len(list(csv.DictReader(file))) == 3
    retried = await cli(*PUSH, "a.csv", *KEY, "--retry", "1", "--json")
    assert (retried.code, retried.json["rows"], retried.json["created"]) == (0, 3, 3)
    assert set(fake.created("cf_external_id").values()) == {1}
    unknown = await cli(*PUSH, "a.csv", *KEY, "--retry", "9")
    assert (unknown.code, unknown.err) == (
        2,
        "error: there is no run 9 of this destination in the state file; see `zoho-async runs`\n",
    )
    shown = await cli("runs", "show", "1")
    assert shown.code == 0
    assert shown.out.count(" failed: Zoho refused it") == 3
    lines = [json.loads(line) for line in (await cli("runs", "--json")).out.splitlines()]
    assert [(one["id"], one["state"], one["undone"]) for one in lines] == [(2, "complete", 0), (1, "complete", 3)]
    assert (await cli("runs", "show", "7")).code == 2
    assert (await cli("runs", "--state", "none")).code == 2


async def test_records_as_they_were_before_a_run(fake: FakeZoho, cli: Cli, write: Write) -> None:
    seeded = fake.seed([{"contact_name": f"N{i}", "cf_external_id": f"K{i}", "notes": f"old {i}"} for i in range(60)])
    for record in seeded:
        record["bank_accounts"] = [{"account_number": "4111111111111111"}]
    write("a.csv", "contact_name,cf_external_id,notes\n" + "".join(f"N{i},K{i},new\n" for i in range(70)))
    assert (await cli(*PUSH, "a.csv", *KEY)).code == 0
    written = await cli("runs", "images", "1", "--to", "before.jsonl")
    assert (written.code, written.out) == (0, "before.jsonl: 60 records as they were before run 1 changed them\n")
    before = cli.folder / "before.jsonl"
    assert stat.S_IMODE(before.stat().st_mode) == 0o600
    before.chmod(0o640)
    assert (await cli("runs", "images", "1", "--to", "before.jsonl")).code == 0
    assert stat.S_IMODE(before.stat().st_mode) == 0o640
    lines = before.read_text(encoding="utf-8").splitlines()
    images = {one["record_id"]: one["record"] for one in map(json.loads, lines)}
    assert {key: one["notes"] for key, one in images.items()} == {
        one["contact_id"]: f"old {i}" for i, one in enumerate(seeded)
    }
    assert all(one["contact_name"] and "bank_accounts" not in one for one in images.values())
    (state,) = cli.folder.glob("*.sqlite")
    assert b"4111111111111111" not in state.read_bytes()
    missing = await cli("runs", "images", "2", "--to", "other.jsonl")
    assert (missing.code, missing.err) == (2, "error: there is no run 2\nhelp: zoho-async runs lists them\n")
    assert not (cli.folder / "other.jsonl").exists()
    unwritable = await cli("runs", "images", "1", "--to", "none/before.jsonl")
    assert unwritable.code == 2
    assert unwritable.err.startswith("error: none/before.jsonl: cannot be written: ")
    (cli.folder / "other.jsonl").mkdir()
    assert (await cli("runs", "images", "1", "--to", "other.jsonl")).err.startswith(
        "error: other.jsonl: cannot be written: "
    )


async def test_several_state_files_of_one_folder(fake: FakeZoho, cli: Cli, write: Write) -> None:
    contacts = [one["contact_id"] for one in fake.seed([{"contact_name": name} for name in "AB"])]
    write("a.csv", "contact_name\nC\n")
    write("p.csv", "contact_id,first_name,email\n" + "".join(f"{one},Ann,same@x.example\n" for one in contacts))
    assert (await cli(*PUSH, "a.csv")).code == 0
    persons = ["push", "books", "contact_persons", "--per-minute", "0", "--from", "p.csv", "--match-by", "email"]
    assert (await cli(*persons)).code == 0
    listed = (await cli("runs")).out.splitlines()
    assert [" books contacts  complete" in line for line in listed].count(True) == 1
    assert [" books contact_persons  complete" in line for line in listed].count(True) == 1
    both = await cli("runs", "images", "1", "--to", "before.jsonl")
    assert both.code == 2
    assert both.err.endswith("have a run 1 each: name one with --state\n")
    # An e-mail is one person's only within a contact.
    assert (await cli("ids", "--to", "map.csv")).code == 0
    assert stat.S_IMODE((cli.folder / "map.csv").stat().st_mode) == 0o600
    with (cli.folder / "map.csv").open(encoding="utf-8", newline="") as file:
        keys = [row["source_key"] for row in csv.DictReader(file) if row["target"] == "books.contact_persons"]
    assert keys == [f"{one}/same@x.example" for one in contacts]


async def test_ids_of_records_persons_and_addresses(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write(
        "a.csv",
        "contact_name,cf_external_id,billing_address.city,contact_persons[0].email\n"
        "A,1,Roma,a@x.example\nB,2,,b@x.example\n",
    )
    assert (await cli(*PUSH, "a.csv", *KEY)).code == 0
    written = await cli("ids", "--to", "map.csv")
    with (cli.folder / "map.csv").open(encoding="utf-8", newline="") as file:
        listed = list(csv.DictReader(file))
    assert (written.code, written.out) == (0, f"map.csv: {len(listed)} ids\n")
    records = {one["source_key"]: one["zoho_id"] for one in listed if one["part"] == "record"}
    stored = fake.organization().contacts
    assert {key: stored[zoho_id]["contact_name"] for key, zoho_id in records.items()} == {"1": "A", "2": "B"}
    persons = {one["part_key"]: one["zoho_id"] for one in listed if one["part"] == "contact_persons"}
    assert persons == {
        person["email"]: person["contact_person_id"] for one in stored.values() for person in one["contact_persons"]
    }
    assert {one["zoho_id"] for one in listed if one["part"] == "billing_address"} == {
        one["billing_address"]["address_id"] for one in stored.values()
    }
    assert (await cli("ids", "--to", "none/map.csv")).code == 2


async def test_ids_name_persons_by_their_e_mails(fake: FakeZoho, cli: Cli, write: Write) -> None:
    (contact,) = fake.seed([{"contact_name": "P"}])
    number = contact["contact_id"]
    rows = f"{number},Ann,ann@x.example\n{number},Ben,Ben@x.example\n"
    write("p.csv", f"contact_id,first_name,email\n{rows}")
    assert (await cli("push", "books", "contact_persons", "--from", "p.csv")).code == 0
    assert (await cli("ids", "--to", "map.csv")).code == 0
    with (cli.folder / "map.csv").open(encoding="utf-8", newline="") as file:
        found = [row["source_key"] for row in csv.DictReader(file) if row["part"] == "record"]
    assert found == [f"{number}/{name}@x.example" for name in ("ann", "ben")]


def test_a_reserve_is_never_more_than_what_is_left() -> None:
    assert _reserved(100, 4) == "of which 4 are left to others"
    assert _reserved(4, 4) == "of which 4 are left to others"
    assert _reserved(3, 4) == "all of which are left to others, who are to have 4 a day"


@pytest.mark.parametrize(
    ("options", "word"),
    [
        (("--match-by", "company_nam"), "did you mean `company_name`"),
        (("--upsert-by", "cf_external_id", "--match-by", "email"), "either by"),
        (("--empty", "drop"), "keep"),
        (("--on-name-taken", "ignore"), "suffix:FIELD"),
        (("--window", "7-19"), "7-19"),
    ],
)
async def test_options_that_cannot_be_end_before_any_call(
    fake: FakeZoho, cli: Cli, write: Write, options: tuple[str, ...], word: str
) -> None:
    write("a.csv", "contact_name,cf_external_id\nA,1\n")
    result = await cli(*PUSH, "a.csv", *options)
    assert (result.code, word in result.err, result.err.count("\n")) == (2, True, 1), result
    assert calls(fake) == 0
