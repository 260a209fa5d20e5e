from __future__ import annotations

import asyncio
import json
import signal
import sqlite3
import sys
from pathlib import Path

import pytest
from support.process import Cli, ended, until

from zoho_async import operations
from zoho_async.fake import FakeZoho


async def test_pull_and_push_again_change_nothing(fake: FakeZoho, cli: Cli) -> None:
    (cli.folder / "a.csv").write_text(
        'contact_name,notes,cf_external_id,contact_persons[0].email\n"Größe, ""A""","x\ny",001,a@example.test\n'
    )
    push = ("push", "books", "contacts", "--from", "a.csv", "--upsert-by", "cf_external_id")
    assert (await cli(*push)).code == 0
    result = await cli("pull", "books", "contacts", "--to", "b.sqlite", "--details", "all", "--json")
    assert result.code == 0, result.err
    assert (result.json["records"], result.json["details"]) == (1, 1)
    connection = sqlite3.connect(cli.folder / "b.sqlite")
    ((name, detail),) = connection.execute("SELECT name, detail FROM contacts").fetchall()
    connection.close()
    record = json.loads(detail)
    assert name == record["contact_name"] == 'Größe, "A"'
    assert record["notes"] == "x\ny"
    assert record["cf_external_id"] == "001"
    result = await cli("pull", "books", "contacts", "--to", "b.csv")
    assert (result.code, "1 records" in result.out) == (0, True)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_an_interrupted_pull_leaves_no_half_file(fake: FakeZoho, cli: Cli, number: signal.Signals) -> None:
    fake.seed({"contact_name": f"N{i}"} for i in range(50))
    fake.script("books.contacts.get", ["pass"] * 5 + ["stall"] * 50)
    process = await cli.start("pull", "books", "contacts", "--to", "b.jsonl", "--details", "all", "--per-minute", "0")
    await until(lambda: fake.requests("books.contacts.get") >= 8)
    process.send_signal(number)
    result = await ended(process)
    assert (result.code, "not finished: b.jsonl is as it was before" in result.err) == (130, True)
    assert list(cli.folder.iterdir()) == []


async def test_call_gives_the_answer_as_it_came(fake: FakeZoho, cli: Cli) -> None:
    body = '{"contact_name": "A", "credit_limit": 10.10}'
    created = await cli("call", "books.contacts.create", "--body", body)
    assert created.code == 0, created.err
    assert created.json["code"] == 0
    assert fake.received[-1].body == b'{"contact_name":"A","credit_limit":10.10}'
    (cli.folder / "body.json").write_text('{"notes": "x"}')
    identity = created.json["contact"]["contact_id"]
    assert (
        await cli("call", "books.contacts.update", "-p", f"contact_id={identity}", "--body", "@body.json")
    ).code == 0
    got = await cli("call", "books.contacts.get", "-p", f"contact_id={identity}", "--output", "c.json")
    assert (got.code, got.out) == (0, "")
    assert json.loads((cli.folder / "c.json").read_bytes())["contact"]["notes"] == "x"
    upserted = await cli(
        "call", "books.contacts.upsert", "-H", "X-Unique-Identifier-Key=cf_external_id",
        "-H", "X-Unique-Identifier-Value=1", "-H", "X-Upsert=true",
        "--body", '{"contact_name": "B", "custom_fields": [{"api_name": "cf_external_id", "value": "1"}]}',
    )  # fmt: skip
    assert upserted.code == 0, upserted.err
    refused = await cli("call", "books.contacts.create", "--body", body)
    assert (refused.code, "3062" in refused.err) == (1, True)


async def test_call_all_gives_every_row_a_line(fake: FakeZoho, cli: Cli) -> None:
    fake.seed({"contact_name": f"N{i}"} for i in range(450))
    result = await cli("call", "books.contacts.list", "--all", "--per-minute", "0", "-q", "per_page=200")
    rows = [json.loads(line) for line in result.out.splitlines()]
    assert {row["contact_name"] for row in rows} == {f"N{i}" for i in range(450)}
    result = await cli("call", "books.contacts.list", "--all", "--output", "rows.jsonl")
    assert result.code == 0
    assert len((cli.folder / "rows.jsonl").read_text().splitlines()) == 450


async def test_operations_are_listed(cli: Cli) -> None:
    listed = await cli("operations", "--json", environment={})
    listed_ids = [json.loads(line)["id"] for line in listed.out.splitlines()]
    assert listed_ids == [operation.id for operation in operations()]
    table = await cli("operations", environment={})
    assert len(table.out.splitlines()) == len(operations())


async def test_the_fake_runs_as_a_command(cli: Cli) -> None:
    process = await cli.start("fake", "--port", "0", "--per-minute", "0", environment={})
    assert process.stdout is not None
    place = json.loads(await process.stdout.readline())
    environment = {
        "ZOHO_CLIENT_ID": place["client_id"],
        "ZOHO_CLIENT_SECRET": place["client_secret"],
        "ZOHO_REFRESH_TOKEN": place["refresh_token"],
        "ZOHO_ORGANIZATION_ID": place["organization_id"],
        "ZOHO_API_URL": place["url"],
        "ZOHO_ACCOUNTS_URL": place["url"],
    }
    assert (await cli("call", "books.contacts.list", environment=environment)).code == 0
    process.terminate()
    assert (await ended(process)).code == 0


async def test_without_the_extra_a_sentence_says_what_to_install(cli: Cli) -> None:
    program = (
        "import sys\n"
        "from importlib.machinery import PathFinder\n"
        "find = PathFinder.find_spec\n"
        "PathFinder.find_spec = lambda name, *rest: None if name == 'typer' else find(name, *rest)\n"
        "from zoho_async.cli import main\n"
        "main()\n"
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", program, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    result = await ended(process)
    assert result.code == 2
    assert result.err == "error: zoho-async needs typer and rich: pip install 'zoho_async[cli]'\n"


async def test_the_demo_compares_everything_and_notices_a_difference(cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    root = Path(__file__).parents[2]
    monkeypatch.syspath_prepend(str(root))
    arguments = (sys.executable, "-m", "demo", "--rows", "120", "--output", str(cli.folder / "out"))
    process = await asyncio.create_subprocess_exec(
        *arguments, cwd=root, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    result = await ended(process)
    assert result.code == 0, result
    assert "all equal" in result.out
    # The preflight, a page of the list, which is empty, and 119 upserts; a page of the list and 119 details.
    assert "  both: 241 calls, 3 minutes, within one day's calls" in result.out
    from demo.__main__ import real

    assert real(4_950 + 4_975) == "9,925 calls, 100 minutes, spread over 2 days by the daily limit"
    from demo.compare import differences, pulled
    from demo.contacts import contacts

    rows = contacts(120)
    assert rows == contacts(120)
    records = pulled(cli.folder / "out" / "contacts.sqlite")
    # One row of the 120 was spoiled on purpose, and one cell is changed here.
    good = {number for number, row in enumerate(rows, 1) if row["cf_external_id"] in records}
    assert len(good) == 119
    assert differences(rows, good, records)[1] == []
    first = rows[min(good) - 1]
    first["billing_address.zip"] += "0"
    ((_, wrong),) = [differences(rows, good, records)]
    assert len(wrong) == 1
    assert "billing_address.zip" in wrong[0]


async def test_commands_one_after_another_ask_for_one_token(fake: FakeZoho, cli: Cli) -> None:
    environment = {
        "ZOHO_CLIENT_ID": fake.client_id,
        "ZOHO_CLIENT_SECRET": fake.client_secret,
        "ZOHO_REFRESH_TOKEN": fake.refresh_token,
        "ZOHO_ORGANIZATION_ID": fake.organization_id,
        "ZOHO_API_URL": fake.url,
        "ZOHO_ACCOUNTS_URL": fake.url,
    }
    for _ in range(3):
        assert (await cli("call", "books.contacts.list", environment=environment)).code == 0
    assert fake.token_requests == 1
