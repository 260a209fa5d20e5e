"""Pushes through storms: faults before and after acting, limits, stops and cuts, run after run on one state.

What befalls which call follows from a seed, which call comes when does not: what is asserted holds in any order.
"""

from __future__ import annotations

import re
import sqlite3
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any

import msgspec
import pytest
from support.client import client_of
from support.history import History, contradictions

from zoho_async import Zoho, bulk
from zoho_async.bulk.pushing import dispatch, writes
from zoho_async.bulk.pushing.push import Push
from zoho_async.bulk.results import RowOutcome
from zoho_async.bulk.state.database import Database
from zoho_async.errors import OutcomeUnknownError, QuotaExceededError, RateLimitError, UnavailableError
from zoho_async.fake import FakeZoho
from zoho_async.transport import retry_policy as policy

SEED = 100
ROWS = 80
RUNS = 7
"""In the storm; one more follows in fair weather."""
KEY = "cf_external_id"
THEIRS = "555-0100"
"""The phone of every person of somebody else."""
LONG_AGO = (datetime.now(UTC) - timedelta(days=9)).isoformat()

BEFORE_OR_AFTER = ("reset_before", "reset_after", "status:503", "status:503_after", "torn", "html_after")
LIMITS = ("429:44:0", "429:1070", "429:45:0")
ENDS = (OutcomeUnknownError, QuotaExceededError, RateLimitError, UnavailableError)
"""What may end a run in such weather."""

Row = dict[str, Any]


class Mode(msgspec.Struct, frozen=True, kw_only=True):
    """A way of pushing, into a target that has some records already."""

    resource: str = "books.contacts"
    options: dict[str, str]
    row: Callable[[int], Row]
    there: Callable[[int], Row]
    """A record of somebody else, made for every fifth row."""
    key: str = "company_name"
    """What tells at the end which row a record is of."""


def named(number: int, **more: Any) -> Row:
    return {"contact_name": f"N{number}", "company_name": f"K{number}", **more}


def ours(number: int) -> Row:
    return named(number, notes="ours", contact_persons=[{"first_name": "Ours", "email": f"o{number}@x.example"}])


def theirs(number: int, **more: Any) -> Row:
    persons = [{"first_name": "Theirs", "email": f"t{number}@x.example", "phone": THEIRS}]
    return {**named(number), "created_time": LONG_AGO, "contact_persons": persons, **more}


def parent(number: int) -> Row:
    """A contact without a key, whose person has the e-mail of a row."""
    person = {"first_name": "Theirs", "email": f"o{number // 5}@x.example", "phone": THEIRS}
    return theirs(number, company_name="", contact_persons=[person])


MODES = {
    "upsert": Mode(
        options={"upsert_by": KEY},
        row=lambda number: {**ours(number), KEY: f"K{number}"},
        there=lambda number: theirs(number, **{KEY: f"K{number}"}),
    ),
    "match_by": Mode(options={"match_by": "company_name"}, row=ours, there=theirs),
    "suffix": Mode(
        options={"on_name_taken": "suffix:company_name"},
        row=ours,
        there=lambda number: theirs(number, company_name=""),
    ),
    "match": Mode(options={"on_name_taken": "match"}, row=ours, there=theirs),
    "persons": Mode(
        resource="books.contact_persons",
        options={"match_by": "email"},
        row=lambda number: {"first_name": "Ours", "email": f"o{number}@x.example", "department": f"K{number}"},
        there=parent,
        key="department",
    ),
    "expense": Mode(
        resource="expense.customers",
        options={"match_by": "company_name"},
        row=named,
        there=theirs,
    ),
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """No pause is long, and deferred rows are looked up by fours."""
    for name in ("retry_delay", "slow_delay", "pause_delay"):
        monkeypatch.setattr(policy, name, lambda *_: 0.002)
    monkeypatch.setattr(dispatch, "RECONCILE_BATCH", 4)


@pytest.mark.parametrize("mode", MODES.values(), ids=MODES.keys())
async def test_every_row_is_there_once_when_the_storm_is_over(
    mode: Mode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    chance, history = Random(SEED), History()
    async with FakeZoho(per_minute=None, seed=SEED) as fake, client_of(fake) as zoho:
        fake.latency = 0.002
        contacts = fake.seed(mode.there(number) for number in range(0, ROWS, 5))
        rows = [mode.row(number) for number in range(ROWS)]
        if mode.resource == "books.contact_persons":
            rows = [{**row, "contact_id": contacts[number % 8]["contact_id"]} for number, row in enumerate(rows)]
        history.watch(monkeypatch, fake, row_of_key=row_of_key, row_of_write=row_of_write)
        order_storm(fake, mode.resource)
        for _ in range(RUNS):
            monkeypatch.setattr(writes, "TTL_S", chance.choice([15.0, 0.05, 0.01]))
            history.run += 1
            push = push_of(zoho, mode, rows, tmp_path / "s", chance)
            end, after = chance.choice(["stop", "leave", ""]), chance.randrange(1, ROWS)
            outcomes = list[RowOutcome]()
            with suppress(*ENDS):
                await listen(push, outcomes, end, after)
                assert end or push.summary.complete
            check_outcomes(push, outcomes)
            history.report(outcomes)
            if end != "leave":
                assert await sent(push, tmp_path / "s") <= {one.identity for one in outcomes}
        fake.clear_faults()
        history.run += 1
        push, outcomes = push_of(zoho, mode, rows, tmp_path / "s", chance), []
        await listen(push, outcomes)
        check_outcomes(push, outcomes)
        history.report(outcomes)
        assert contradictions(history.entries) == []
        assert push.summary.complete
        assert [(one.row.number, one.status, one.reason) for one in outcomes if one.status != "done"] == []
        check_records(fake, mode, len(contacts))
        assert fake.crashes == 0


def row_of_key(key: str) -> int:
    found = re.search(r"=[NKo]([0-9]+)", key)
    assert found is not None, key
    return int(found[1]) + 1


def row_of_write(target: str, body: bytes, touched: Sequence[Row]) -> int:
    """By the key that a write sets, or else by the key of the record or person that it changes."""
    record_id = target.rpartition("/")[2].partition(" ")[0]
    persons = [person for record in touched for person in record["contact_persons"]]
    changed = [one for one in touched if one["contact_id"] == record_id]
    changed += [one for one in persons if one["contact_person_id"] == record_id]
    found = re.search(r'"K([0-9]+)"', body.decode()) or re.search(r"'K([0-9]+)'", repr(changed))
    assert found is not None, (target, body)
    return int(found[1]) + 1


def order_storm(fake: FakeZoho, resource: str) -> None:
    writes = ("create", "update", "upsert") if resource == "books.contacts" else ("create", "update")
    for operation in writes:
        for fault in (*BEFORE_OR_AFTER, *LIMITS):
            fake.chance(f"{resource}.{operation}", fault, 0.02)
    for operation in ("get", "list"):
        for fault in ("reset_before", "status:503", *LIMITS):
            fake.chance(f"{resource}.{operation}", fault, 0.02)


def push_of(zoho: Zoho, mode: Mode, rows: list[Row], state: Path, chance: Random) -> Push:
    product, _, name = mode.resource.partition(".")

    async def trickle() -> AsyncIterator[Row]:
        for row in rows:
            yield row

    given: Any = rows if chance.random() < 0.5 else trickle()
    return bulk.push(
        getattr(getattr(zoho, product), name),
        given,
        state=state,
        pause=0.002,
        wait=chance.random() < 0.6,
        concurrency=chance.choice([2, 10]),
        **mode.options,  # type: ignore[arg-type]
    )


async def listen(push: Push, outcomes: list[RowOutcome], end: str = "", after: int = 0) -> None:
    """Notes the outcomes; stops the push, or leaves it, after so many rows."""
    async with push:
        async for outcome in push:
            outcomes.append(outcome)
            if len(outcomes) == after and end == "stop":
                push.stop()
            if len(outcomes) == after and end == "leave":
                break


async def sent(push: Push, state: Path) -> set[str]:
    """The rows that a run has sent to be made, or knows to be there."""

    def work(connection: sqlite3.Connection) -> set[str]:
        select = "SELECT identity FROM journal WHERE run = ?"
        return {identity for (identity,) in connection.execute(select, (push.summary.run,))}

    async with Database(state, create=False) as database:
        return await database.run(work)


def check_outcomes(push: Push, outcomes: list[RowOutcome]) -> None:
    numbers = Counter(one.row.number for one in outcomes)
    assert [number for number, times in numbers.items() if times > 1] == [], "reported twice"
    assert not push.summary.complete or len(numbers) == ROWS
    assert push.summary.rows >= len(outcomes)


def check_records(fake: FakeZoho, mode: Mode, seeded: int) -> None:
    """Every row is there once, and everybody else's persons are."""
    records = fake.organization().contacts.values()
    persons = [person for record in records for person in record["contact_persons"]]
    found = Counter(one.get(mode.key) for one in (persons if mode.key == "department" else records))
    assert {f"K{number}": found[f"K{number}"] for number in range(ROWS)} == {f"K{number}": 1 for number in range(ROWS)}
    assert sum(person.get("phone") == THEIRS for person in persons) == seeded
