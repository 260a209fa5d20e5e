"""A small push in which the n-th operation on a file, on SQLite or on a socket fails, for every n."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of
from support.faults import LAYERS, Layer, faults_in
from support.history import History, contradictions
from support.profiles import sized

from zoho_async import Zoho, bulk
from zoho_async.bulk.errors import StateError
from zoho_async.bulk.results import RowOutcome
from zoho_async.errors import ZohoError
from zoho_async.fake import FakeZoho
from zoho_async.transport import retry_policy as policy

Row = dict[str, Any]

KEY = "cf_external_id"
THERE = [{"contact_name": f"N{number}", "company_name": f"K{number}", KEY: f"K{number}"} for number in range(2)]
ROWS = [
    {**THERE[0]},
    *({"contact_name": f"N{n}", "company_name": f"K{n}", KEY: f"K{n}", "notes": "x"} for n in (1, 2, 3)),
]
"""One that is there as it is, one that changes a record, and two new ones."""
PERSONS = [{"first_name": "Ann", "email": f"o{number}@x.example", "department": f"K{number}"} for number in range(3)]


MODES: dict[str, dict[str, Any]] = {
    "match": {"match_by": "company_name"},
    "natural": {"on_existing": "update"},
    "upsert": {"upsert_by": KEY},
    "persons": {},
}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("retry_delay", "slow_delay", "pause_delay"):
        monkeypatch.setattr(policy, name, lambda *_: 0.001)


class Ended:
    """What a push reported, and the error that it ended with."""

    def __init__(self) -> None:
        self.outcomes: list[RowOutcome] = []
        self.error: Exception | None = None


async def pushed(zoho: Zoho, rows: list[Row], state: Path, options: dict[str, Any]) -> Ended:
    ended = Ended()
    resource = zoho.books.contact_persons if "contact_id" in rows[0] else zoho.books.contacts
    async with asyncio.timeout(20):
        try:
            async with bulk.push(resource, rows, state=state, pause=0.001, concurrency=2, **options) as run:
                async for outcome in run:
                    ended.outcomes.append(outcome)
        except (StateError, ZohoError, OSError) as error:
            ended.error = error
    return ended


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
async def test_whatever_fails_every_row_is_there_once_after_the_next_run(
    tmp_path: Path, layer: Layer, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with FakeZoho(per_minute=None) as fake:
        port = int(fake.url.rpartition(":")[2])
        # Every operation fails in one mode, and in `make soak` in all of them.
        number, failed = sized(list(MODES).index(mode), 0), True
        while failed:
            folder = tmp_path / str(number)
            folder.mkdir()
            fake.reset()
            rows = seeded(fake, mode)
            with monkeypatch.context() as patch:
                history = History()
                history.watch(patch, fake, row_of_key=row_of_key, row_of_write=row_of_write)
                async with client_of(fake) as zoho:
                    with faults_in(layer, number, folder, port) as faults:
                        first = await pushed(zoho, rows, folder / "s", MODES[mode])
                    failed = faults.failed
                history.report(first.outcomes)
                check_done(fake, mode, first.outcomes)
                async with client_of(fake) as zoho:
                    history.run = 1
                    second = await pushed(zoho, rows, folder / "s", MODES[mode])
                    history.report(second.outcomes)
            place = f"operation {number}"
            assert contradictions(history.entries) == [], place
            assert second.error is None, (place, first.error)
            assert [one.status for one in second.outcomes] == ["done"] * len(rows), place
            assert counted(fake, mode) == {f"K{row}": 1 for row in range(len(rows))}, place
            number += sized(len(MODES), 1)
        assert number > 10


def seeded(fake: FakeZoho, mode: str) -> list[Row]:
    if mode != "persons":
        fake.seed(THERE)
        return ROWS
    (contact,) = fake.seed([{"contact_name": "Parent"}])
    return [{"contact_id": contact["contact_id"], **person} for person in PERSONS]


def row_of_key(key: str) -> int:
    return int("".join(letter for letter in key.partition("=")[2].partition("@")[0] if letter.isdigit())) + 1


def row_of_write(target: str, body: bytes, touched: Sequence[Row]) -> int:
    text = body.decode() if b'"K' in body else repr([one for one in touched if one["contact_id"] in target])
    return int(text.partition('"K' if b'"K' in body else "'K")[2][0]) + 1


def counted(fake: FakeZoho, mode: str) -> dict[str, int]:
    contacts = list(fake.organization().contacts.values())
    if mode == "persons":
        keys = [one.get("department", "") for one in contacts[0]["contact_persons"] if one.get("department")]
    else:
        keys = [one["company_name"] for one in contacts]
    return {key: keys.count(key) for key in sorted(keys)}


def check_done(fake: FakeZoho, mode: str, ended: list[RowOutcome]) -> None:
    """What is reported as done is there."""
    found = counted(fake, mode)
    for one in ended:
        if one.status == "done":
            assert found[f"K{one.row.number - 1}"] == 1
