from __future__ import annotations

import json
from decimal import Decimal
from pathlib import Path
from typing import Any

from support.process import Cli, ended

from zoho_async import bulk
from zoho_async.cli.commands.pull import _COMMIT_EVERY
from zoho_async.cli.commands.singer import SingerMessages
from zoho_async.fake import FakeZoho

STREAM = "books_contacts"
COMMAND = ("changes", "books", "contacts", "--state", "a.json", "--singer", "--per-minute", "0")


class Target:
    """Reads Singer messages as strictly as the strictest target."""

    def __init__(self) -> None:
        self.schema: dict[str, Any] = {}
        self.records: dict[str, dict[str, Any]] = {}
        self.states: list[Any] = []
        self.kinds: list[str] = []

    def read(self, text: str) -> None:
        for line in text.splitlines():
            message = json.loads(line, parse_float=Decimal)
            self.kinds.append(message["type"])
            getattr(self, f"_{message['type'].lower()}")(message)

    def _schema(self, message: dict[str, Any]) -> None:
        assert (message["stream"], message["key_properties"]) == (STREAM, ["contact_id"])
        assert message["schema"]["properties"].keys() >= self.schema.keys(), "columns are added only"
        self.schema = message["schema"]["properties"]

    def _record(self, message: dict[str, Any]) -> None:
        assert message["stream"] == STREAM
        record = message["record"]
        for name, value in record.items():
            assert allowed(value, self.schema[name]), (name, value)
        self.records[record["contact_id"]] = record

    def _state(self, message: dict[str, Any]) -> None:
        self.states.append(message["value"]["bookmarks"][STREAM])


def allowed(value: Any, schema: dict[str, Any]) -> bool:
    types: dict[type, str] = {
        str: "string",
        bool: "boolean",
        int: "integer",
        Decimal: "number",
        dict: "object",
        list: "array",
        type(None): "null",
    }
    name = types[type(value)]
    return name in schema["type"] or (name == "integer" and "number" in schema["type"])


async def test_changes_are_messages_of_a_tap(fake: FakeZoho, cli: Cli) -> None:
    money = "12345678901234.56"
    fake.seed({"contact_name": f"N{number}", "outstanding_receivable_amount": Decimal(money)} for number in range(210))
    first, second, *_ = fake.organization().contacts
    target = Target()
    done = await cli(*COMMAND)
    target.read(done.out)
    assert done.code == 0, done.err
    assert target.records.keys() == set(fake.organization().contacts)
    assert target.kinds[:2] == ["SCHEMA", "RECORD"]
    assert target.kinds.index("STATE") == _COMMIT_EVERY + 1
    assert target.kinds[-1] == "STATE"
    assert target.states[-1] == document(cli.folder / "a.json")
    record = target.records[second]
    assert (str(record["outstanding_receivable_amount"]), record["_sdc_deleted_at"]) == (money, None)
    assert record["created_time"].endswith("Z")
    assert target.schema["created_time"] == {"type": ["null", "string"], "format": "date-time"}
    assert target.schema["outstanding_receivable_amount"] == {"type": ["null", "number"]}

    fake.clock.advance(10)
    fake.organization().remove(first)
    changed = {**fake.organization().contacts[second], "custom_fields": {"cf_region": "N"}}
    fake.organization().put(changed | {"last_modified_time": fake.organization().stamp(fake.clock.now())})
    target.read((await cli(*COMMAND, "--details", "changed")).out)
    assert target.records[first].keys() == {"contact_id", "_sdc_deleted_at"}
    assert target.records[first]["_sdc_deleted_at"].endswith("Z")
    assert (target.records[second]["cf_region"], target.schema["cf_region"]) == ("N", {"type": ["null", "string"]})
    assert isinstance(target.records[second]["contact_persons"], list)

    idle = Target()
    idle.read((await cli(*COMMAND)).out)
    assert idle.kinds == ["SCHEMA", "STATE"]


async def test_messages_without_a_reader_come_again(fake: FakeZoho, cli: Cli) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(600))
    process = await cli.start(*COMMAND)
    assert process.stdout is not None
    target = Target()
    for _ in range(3):
        target.read((await process.stdout.readline()).decode())
    process._transport.get_pipe_transport(1).close()  # type: ignore[attr-defined]
    assert (await ended(process)).code == 1
    known = document(cli.folder / "a.json")
    assert known["watermark"] == "" or known["pass"]["page"] >= 1, "the state has not moved past what was read"
    target.read((await cli(*COMMAND)).out)
    assert target.records.keys() == set(fake.organization().contacts)


def document(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(path.read_text(), parse_float=Decimal)
    return found


def test_a_time_that_utc_cannot_hold_is_written_as_it_is(tmp_path: Path) -> None:
    row = b'{"contact_id":"1","created_time":"9999-12-31T23:59:59-0700"}'
    line = SingerMessages("books.contacts", tmp_path / "a.json").record(bulk.Change(kind="upsert", id="1", row=row))
    assert json.loads(line)["record"]["created_time"] == "9999-12-31T23:59:59-07:00"
