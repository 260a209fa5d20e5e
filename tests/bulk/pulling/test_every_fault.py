"""A small pull in which the n-th operation on a file, on SQLite or on a socket fails, for every n."""

from __future__ import annotations

import asyncio
import csv
import json
import shutil
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of
from support.faults import LAYERS, Layer, faults_in
from support.profiles import sized

from zoho_async import Zoho, bulk
from zoho_async.bulk.errors import InputError, StateError
from zoho_async.bulk.pulling import change_reader, listing
from zoho_async.bulk.pulling.csv_sink import flat
from zoho_async.errors import ZohoError
from zoho_async.fake import FakeZoho
from zoho_async.transport import retry_policy as policy

Records = dict[str, Any]

FILES = ("a.sqlite", "a.jsonl", "a.csv", "a.json")
"""A copy with details, two files, and the state of `changes`."""
BEGINS = ("without a file", "with an earlier one")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("retry_delay", "slow_delay", "pause_delay"):
        monkeypatch.setattr(policy, name, lambda *_: 0.001)
    # Three pages, so that the whole list and its changes are read.
    for module in (listing, change_reader):
        monkeypatch.setattr(module, "PER_PAGE", 3)
    monkeypatch.setattr("zoho_async.bulk.pulling.pull._COMMIT_EVERY", 2)


class Copy:
    """A folder with what was pulled; `consumed` is what a consumer of `changes` has."""

    def __init__(self, folder: Path, name: str, earlier: Copy | None = None) -> None:
        self.path = folder / name
        self.consumed: Records = dict(earlier.consumed) if earlier is not None else {}
        if earlier is None:
            folder.mkdir()
        else:
            shutil.copytree(earlier.path.parent, folder)

    async def pull(self, zoho: Zoho) -> tuple[int, int]:
        """Pulls once; how many records were changed and deleted."""
        async with asyncio.timeout(20):
            if self.path.suffix == ".json":
                return await self._consume(zoho)
            details = "changed" if self.path.suffix == ".sqlite" else "all"
            summary = await bulk.pull(zoho.books.contacts, self.path, details=details, concurrency=2)
            return summary.changed, summary.deleted

    async def _consume(self, zoho: Zoho) -> tuple[int, int]:
        async with bulk.changes(zoho.books.contacts, self.path, details="changed") as changes:
            async for change in changes:
                if change.kind == "delete":
                    self.consumed.pop(change.id, None)
                else:
                    assert change.record is not None
                    self.consumed[change.id] = json.loads(change.record)
                if len(self.consumed) % 2:
                    await changes.commit()
            await changes.commit()
        return changes.summary.upserts, changes.summary.deletes

    def read(self) -> tuple[Records, set[str]]:
        """The records, and the ids of those that are marked as deleted."""
        if self.path.suffix == ".json":
            return self.consumed, set()
        if not self.path.exists():
            return {}, set()
        if self.path.suffix == ".csv":
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                return {row["contact_id"]: row for row in csv.DictReader(file)}, set()
        if self.path.suffix == ".jsonl":
            lines = [json.loads(line) for line in self.path.read_text("utf-8").splitlines()]
            return {line["contact_id"]: line for line in lines}, set()
        with closing(sqlite3.connect(self.path)) as connection:
            assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
            if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'contacts'").fetchone():
                return {}, set()
            rows = connection.execute("SELECT id, detail, deleted_at FROM contacts").fetchall()
        return {one: detail and json.loads(detail) for one, detail, _ in rows}, {one[0] for one in rows if one[2]}

    def expected(self, records: Records) -> Records:
        """The records as this kind of file has them."""
        if self.path.suffix != ".csv":
            return records
        columns = {name: "" for record in records.values() for name in flat(record)}
        return {one: {**columns, **flat(record)} for one, record in records.items()}


async def answers(zoho: Zoho) -> Records:
    """The records as the API gives them, read another way."""
    listed = json.loads((await zoho.request("GET", "/books/v3/contacts")).body)["contacts"]
    paths = {row["contact_id"]: f"/books/v3/contacts/{row['contact_id']}" for row in listed}
    return {one: json.loads((await zoho.request("GET", path)).body)["contact"] for one, path in paths.items()}


@pytest.mark.parametrize("begin", BEGINS)
@pytest.mark.parametrize("name", FILES)
@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
async def test_whatever_fails_the_next_pull_has_what_the_server_has(
    tmp_path: Path, layer: Layer, name: str, begin: str
) -> None:
    async with FakeZoho(per_minute=None) as fake, client_of(fake) as zoho:
        fake.seed({"contact_name": f"N{number}"} for number in range(8))
        before = await answers(zoho)
        earlier = Copy(tmp_path / "earlier", name)
        if begin == BEGINS[1]:
            await earlier.pull(zoho)
        ids = sorted(before)
        await zoho.books.contacts.delete(ids[1])
        await zoho.books.contacts.update(ids[5], {"company_name": "changed"})
        await zoho.books.contacts.create({"contact_name": "New"})
        after = await answers(zoho)
        # In `make soak` every operation fails for each kind of file and layer, else for one of two layers and one kind.
        kinds = [(layer_number, file, start) for layer_number in (0, 1) for file in FILES for start in BEGINS]
        number, failed = sized(kinds.index((LAYERS.index(layer) % 2, name, begin)), 0), True
        while failed:
            copy = Copy(tmp_path / str(number), name, earlier)
            error: Exception | None = None
            async with client_of(fake) as other:
                with faults_in(layer, number, copy.path.parent, int(fake.url.rpartition(":")[2])) as faults:
                    try:
                        await copy.pull(other)
                    except (InputError, StateError, ZohoError, OSError) as caught:
                        error = caught
            failed = faults.failed
            place = f"operation {number}: {error!r}"
            check_half(copy, before, after, place)
            await copy.pull(zoho)
            found, marked = copy.read()
            assert marked <= {ids[1]}, place
            assert {one: found[one] for one in found if one not in marked} == copy.expected(after), place
            # The state says no more and no less than that.
            assert await copy.pull(zoho) == ((0, 0) if name in ("a.sqlite", "a.json") else (len(after), 0)), place
            left = {one.name for one in copy.path.parent.iterdir()}
            assert left == ({name, f"{name}.ids"} if name == "a.json" else {name}), place
            number += sized(len(kinds), 1)


def check_half(copy: Copy, before: Records, after: Records, place: str) -> None:
    """After a fault each record is as it was or as it is, and a file that is written whole is one of the two."""
    found, marked = copy.read()
    if copy.path.suffix in (".jsonl", ".csv"):
        assert found in ({}, copy.expected(before), copy.expected(after)), place
        return
    for one, record in found.items():
        assert record is None or record in (before.get(one), after.get(one)), place
    assert marked <= set(before) - set(after), place
