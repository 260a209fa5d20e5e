"""What the reference pages list is what the code has."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from zoho_async import Zoho, bulk, errors
from zoho_async.auth.data_centers import DATA_CENTERS
from zoho_async.bulk.state.migrations import APPLICATION, VERSION, new_database
from zoho_async.cli.console import exit_codes
from zoho_async.cli.profile_file import KEYS
from zoho_async.cli.profiles import ENVIRONMENT
from zoho_async.fake import FakeZoho
from zoho_async.fake.world.faults import FAULT_WORDS, Fault

REFERENCE = Path(__file__).parents[2] / "docs" / "reference"
Call = Callable[[Zoho], Awaitable[None]]
CREATE, LIST = "books.contacts.create", "books.contacts.list"


def page(name: str) -> str:
    return (REFERENCE / f"{name}.md").read_text("utf-8")


def cells(line: str) -> list[str]:
    return [one.strip() for one in line.strip("|").split("|")]


def rows(text: str) -> list[list[str]]:
    """The cells of every row of every table."""
    return [cells(line) for line in text.splitlines() if line.startswith("| ") and not line.startswith("|---")]


FAULTS = [(fault, row) for row in rows(page("faults"))[1:] for fault in re.findall(r"`([^`]+)`", row[0])]
ENDS = {
    "done": None,
    "tried again": None,
    "unknown": errors.OutcomeUnknownError,
    "waits": None,
    "`RateLimitError`": errors.RateLimitError,
    "`QuotaExceededError`": errors.QuotaExceededError,
}


async def read(zoho: Zoho) -> None:
    await zoho.books.contacts.list()


async def create(zoho: Zoho) -> None:
    await zoho.books.contacts.create({"contact_name": "Bowman"})


@pytest.mark.parametrize(
    ("operation", "call", "column"), [(LIST, read, 3), (CREATE, create, 4)], ids=["read", "create"]
)
@pytest.mark.parametrize(("fault", "row"), FAULTS, ids=[fault for fault, _ in FAULTS])
async def test_a_fault_does_what_its_row_says(
    fault: str, row: list[str], operation: str, call: Call, column: int, zoho_fake: FakeZoho, zoho_client: Zoho
) -> None:
    zoho = zoho_client.with_options(timeout=0.3) if fault.startswith("stall") else zoho_client
    error, again = ENDS[row[column]], int(row[column] in ("tried again", "waits"))
    zoho_fake.script(operation, [fault.replace("drip:2", "drip:0.1").replace("latency:0.5", "latency:0.05")])
    if error is None:
        await call(zoho)
    else:
        with pytest.raises(error):
            await call(zoho)
    seen = int(fault != "refuse")  # nothing of it was read
    assert zoho_fake.requests(operation) == seen + again
    assert zoho_fake.acts(operation) == int(row[1] == "yes") + again


def test_every_fault_has_a_row() -> None:
    kinds = {(parsed.kind, parsed.after) for parsed in (Fault.parse(fault) for fault, _ in FAULTS)}
    forms = re.sub(r"SECONDS", "1", FAULT_WORDS.replace("STATUS", "503").replace("CODE", "44")).replace(" and ", ", ")
    assert {(one.kind, one.after) for one in map(Fault.parse, forms.split(", "))} == kinds


def test_every_error_has_a_row() -> None:
    named = set(re.findall(r"`(\w+)`", page("errors")))
    assert set(errors.__all__) <= named
    assert {f"bulk.{name}" for name in ("InputError", "UnknownColumnError", "StateError")} <= set(
        re.findall(r"`(bulk\.\w+)`", page("errors"))
    )
    assert all(hasattr(bulk, name) for name in ("InputError", "UnknownColumnError", "StateError"))


def test_every_exit_code_has_a_row() -> None:
    codes = {value for name, value in vars(exit_codes).items() if name.isupper() and name != "WRONG_ORGANIZATION"}
    assert {int(row[0]) for row in rows(page("exit-codes")) if row[0].isdigit()} == codes


def test_every_data_center_has_a_row() -> None:
    named = {row[0].strip("`"): (row[1], row[2].partition(" ")[0]) for row in rows(page("../auth")) if len(row) == 3}
    hosts = {
        name: (center.accounts_url.removeprefix("https://"), center.api_url.removeprefix("https://"))
        for name, center in DATA_CENTERS.items()
    }
    assert {name: named.get(name) for name in hosts} == hosts


def test_every_variable_and_key_is_named() -> None:
    text = page("configuration")
    named = set(re.findall(r"`(\w+)`", text))
    assert set(ENVIRONMENT) | set(KEYS) <= named
    sources = "".join(path.read_text("utf-8") for path in Path(bulk.__file__).parents[1].rglob("*.py"))
    assert set(re.findall(r"\b(?:ZOHO|XDG)_[A-Z]+(?:_[A-Z]+)*\b", sources)) <= named


def test_every_table_and_column_of_a_state_file_is_named() -> None:
    text = page("sqlite")
    assert f"0x{APPLICATION:X}" in text
    assert f"`user_version` is {VERSION}" in text
    named = set(re.findall(r"`(\w+)`", text))
    connection = sqlite3.connect(":memory:")
    connection.deserialize(new_database())
    tables = [name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
    for table in tables:
        columns = {name for _, name, *_ in connection.execute(f"PRAGMA table_info({table})")}
        assert {table} | columns <= named
    connection.close()


async def test_every_table_of_a_copy_is_named(zoho_fake: FakeZoho, zoho_client: Zoho, tmp_path: Path) -> None:
    zoho_fake.seed([{"contact_name": "Bowman", "contact_persons": [{"email": "a@x.example"}]}])
    await bulk.pull(zoho_client.books.contacts, tmp_path / "copy.sqlite", details="all")
    connection = sqlite3.connect(tmp_path / "copy.sqlite")
    tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    connection.close()
    named = {
        name.replace("<product>_<resource>", "books_contacts") for name in re.findall(r"`([^`]+)`", page("sqlite"))
    }
    named.add("pulled_ids_books_contacts_token")  # named by its ending
    assert tables <= named
