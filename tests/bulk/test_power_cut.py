"""The power fails at any moment of a push or a pull, and what was not synced is lost."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import time
from collections import Counter
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of
from support.power import Machine
from support.profiles import sized

from zoho_async import Zoho, bulk
from zoho_async.bulk.errors import InputError, StateError
from zoho_async.bulk.pulling import change_reader, listing
from zoho_async.bulk.pulling.state_document import FileState
from zoho_async.bulk.results import RowOutcome
from zoho_async.bulk.state import owned_file
from zoho_async.errors import ZohoError
from zoho_async.fake import FakeZoho
from zoho_async.transport import retry_policy as policy

KEY = "cf_external_id"
MODES: dict[str, dict[str, Any]] = {
    "match": {"match_by": "company_name"},
    "natural": {"on_existing": "update"},
    "persons": {},
    "upsert": {"upsert_by": KEY},
}
STEP = 10
CLOCKS = (0, -3 * 86400, 400 * 86400)
"""Seconds by which the clock is another one after the cut."""


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("retry_delay", "slow_delay", "pause_delay"):
        monkeypatch.setattr(policy, name, lambda *_: 0.001)


async def pushed(zoho: Zoho, rows: list[dict[str, Any]], state: Path, **options: Any) -> list[RowOutcome]:
    """The outcomes that were reported, whatever ended the push."""
    outcomes: list[RowOutcome] = []
    note = outcomes.append
    resource = zoho.books.contact_persons if "contact_id" in rows[0] else zoho.books.contacts
    async with asyncio.timeout(20):
        with suppress(StateError, ZohoError, OSError):
            async with bulk.push(resource, rows, state=state, pause=0.001, concurrency=2, **options) as run:
                async for outcome in run:
                    note(outcome)
    return outcomes


@pytest.mark.parametrize("mode", MODES)
async def test_a_push_after_a_power_cut_makes_nothing_twice(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    number, clock = sized(list(MODES).index(mode), 0), time.time
    async with FakeZoho(per_minute=None) as fake:
        off = True
        while off:
            fake.reset()
            (parent,) = fake.seed([{"contact_name": "Parent"}])
            row: dict[str, Any] = {"contact_name": "N%", "company_name": "K%", KEY: "K%"}
            if mode == "persons":
                row = {"contact_id": parent["contact_id"], "first_name": "K%", "email": "k%@x.test"}
            rows = [{name: value.replace("%", digit) for name, value in row.items()} for digit in "123"]
            folder = tmp_path / str(number)
            folder.mkdir()
            machine = Machine(folder, int(fake.url.rpartition(":")[2]), number)
            with monkeypatch.context() as patch:
                machine.run(patch)
                async with client_of(fake) as zoho:
                    reported = await pushed(zoho, rows, folder / "s", **MODES[mode])
            off = machine.is_off
            left = tmp_path / f"{number} left"
            machine.disk(left)
            machine.disk(tmp_path / f"{number} read")
            on_record = states(tmp_path / f"{number} read" / "s")
            done = [one for one in reported if one.status == "done"]
            # A repeated upsert is harmless, so an upsert may be forgotten; see docs/push.md.
            assert mode == "upsert" or len(done) <= on_record["done"], number
            with monkeypatch.context() as patch:
                jump = CLOCKS[number // STEP % len(CLOCKS)]
                patch.setattr(time, "time", lambda jump=jump: clock() + jump)
                async with client_of(fake) as zoho:
                    again = await pushed(zoho, rows, left / "s", **MODES[mode])
            assert [one.status for one in again] == ["done"] * 3, number
            assert made(fake, mode) == {"K1": 1, "K2": 1, "K3": 1}, number
            number += sized(STEP, 1)
        assert number > 40


def states(path: Path) -> Counter[str]:
    """How many rows of a state file are in which state."""
    if not path.exists():
        return Counter()
    with closing(sqlite3.connect(path)) as connection:
        return Counter(state for (state,) in connection.execute("SELECT state FROM journal"))


def made(fake: FakeZoho, mode: str) -> Counter[str]:
    contacts = list(fake.organization().contacts.values())
    if mode == "persons":
        return Counter(
            one["first_name"] for contact in contacts for one in contact["contact_persons"] if one.get("email")
        )
    return Counter(one["company_name"] for one in contacts if one.get("company_name"))


@pytest.mark.parametrize("name", ["a.sqlite", "a.jsonl", "a.csv", "a.json"])
async def test_a_pull_after_a_power_cut_has_what_the_server_has(
    tmp_path: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (listing, change_reader):
        monkeypatch.setattr(module, "PER_PAGE", 2)
    monkeypatch.setattr("zoho_async.bulk.pulling.pull._COMMIT_EVERY", 2)
    async with FakeZoho(per_minute=None) as fake, client_of(fake) as zoho:
        fake.seed({"contact_name": f"N{number}"} for number in range(5))
        number, off = sized(1, 0), True
        while off:
            folder = tmp_path / str(number)
            folder.mkdir()
            machine = Machine(folder, int(fake.url.rpartition(":")[2]), number)
            # The consumer of `changes` is on another machine, and loses nothing.
            consumed: set[str] = set()
            with monkeypatch.context() as patch:
                machine.run(patch)
                async with client_of(fake) as other:
                    with suppress(InputError, StateError, ZohoError, OSError):
                        await pulled(other, folder / name, consumed)
            off = machine.is_off
            left = tmp_path / f"{number} left"
            machine.disk(left)
            if name in ("a.jsonl", "a.csv") and (left / name).exists():
                # It is there as a whole.
                assert ids_in(left / name) == set(fake.organization().contacts), number
            await pulled(zoho, left / name, consumed)
            found = consumed if name == "a.json" else ids_in(left / name)
            assert found == set(fake.organization().contacts), number
            number += sized(3 * STEP if name in ("a.sqlite", "a.json") else 3, 1)


async def pulled(zoho: Zoho, path: Path, consumed: set[str]) -> None:
    if path.suffix != ".json":
        await bulk.pull(zoho.books.contacts, path)
        return
    async with bulk.changes(zoho.books.contacts, path) as changes:
        async for change in changes:
            consumed.add(change.id)
            await changes.commit()
        await changes.commit()


def ids_in(path: Path) -> set[str]:
    if path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as connection:
            return {one for (one,) in connection.execute("SELECT id FROM contacts")}
    lines = path.read_text("utf-8-sig").splitlines()
    if path.suffix == ".csv":
        return {line.partition(",")[0] for line in lines[1:]}
    return {json.loads(line)["contact_id"] for line in lines}


def test_the_index_of_changes_is_synced_before_its_document(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also where SQLite was built to sync less."""

    class Connection(sqlite3.Connection):
        def execute(self, *arguments: Any) -> sqlite3.Cursor:
            found = super().execute(*arguments)
            if arguments[0] == "PRAGMA journal_mode = WAL":
                super().execute("PRAGMA synchronous = NORMAL")
            return found

    class Module:
        Error, OperationalError, DatabaseError = sqlite3.Error, sqlite3.OperationalError, sqlite3.DatabaseError

        @staticmethod
        def connect(*arguments: Any, **options: Any) -> sqlite3.Connection:
            return sqlite3.connect(*arguments, factory=Connection, **options)

    monkeypatch.setattr(owned_file, "sqlite3", Module)
    state = FileState(tmp_path / "a.json")
    state.open()
    assert state._connection is not None
    assert state._connection.execute("PRAGMA synchronous").fetchone() == (2,)
    state.close()
