"""However few calls each run has, a number of runs brings everything."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of

from zoho_async import Zoho, bulk, errors
from zoho_async.bulk.pulling import change_reader, listing
from zoho_async.bulk.pulling.listing import ListReader
from zoho_async.fake import FakeZoho

RUNS = 40


@pytest.fixture(autouse=True)
def small_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (listing, change_reader):
        monkeypatch.setattr(module, "PER_PAGE", 4)


class Copy:
    def __init__(self, fake: FakeZoho, resource: Any, state: Path) -> None:
        self.fake, self.resource, self.state = fake, resource, state
        self.rows: dict[str, str] = {}
        self.details: dict[str, str] = {}

    async def run(self, **options: Any) -> bool:
        before = self.fake.requests()
        async with bulk.changes(self.resource, self.state, max_deleted=1, **options) as changes:
            async for change in changes:
                if change.row is None:
                    self.rows.pop(change.id, None)
                    continue
                row = json.loads(change.row)
                self.rows[change.id] = row["contact_name" if "contact_name" in row else "display_name"]
                if change.record is not None:
                    self.details[change.id] = json.loads(change.record)["notes"]
            changes.commit()
        assert self.fake.requests() - before <= options["max_calls"]
        return changes.summary.complete

    async def runs(self, **options: Any) -> int:
        """How many runs it takes until one is complete."""
        for number in range(1, RUNS + 1):
            if await self.run(**options):
                return number
        raise AssertionError(f"not complete after {RUNS} runs")

    def equals_zoho(self) -> bool:
        contacts = self.fake.organization().contacts
        return self.rows == {one: record["contact_name"] for one, record in contacts.items()}


def change(fake: FakeZoho, ids: list[str], text: str) -> None:
    organization = fake.organization()
    fake.clock.advance(1000)
    stamp = organization.stamp(fake.clock.now())
    for one in ids:
        changed = {"contact_name": f"{text} {one}", "notes": text, "last_modified_time": stamp}
        organization.put({**organization.contacts[one], **changed})


@pytest.mark.parametrize(
    ("product", "answers_the_count", "max_calls"),
    [("books", True, 3), ("books", False, 4), ("billing", True, 5), ("billing", False, 3)],
)
async def test_everything_comes_in_a_number_of_runs(
    fake: FakeZoho,
    zoho: Zoho,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    product: str,
    answers_the_count: bool,
    max_calls: int,
) -> None:
    async def unanswered(self: ListReader) -> None:
        self._budget.take()

    if not answers_the_count:
        monkeypatch.setattr(ListReader, "count", unanswered)
    fake.seed({"contact_name": f"N{number}"} for number in range(32))
    copy = Copy(fake, zoho.books.contacts if product == "books" else zoho.billing.customers, tmp_path / "a.json")
    await copy.runs(max_calls=max_calls)
    assert copy.equals_zoho()
    ids = list(fake.organization().contacts)
    change(fake, ids[6:16], "changed")
    for one in ids[20:25]:
        fake.organization().remove(one)
    await copy.runs(max_calls=max_calls, deletes="now")
    assert copy.equals_zoho()
    change(fake, ids[:8], "again")
    await copy.runs(max_calls=max_calls, details="changed")
    assert copy.equals_zoho()
    assert copy.details == dict.fromkeys(ids[:8], "again")


async def test_a_last_page_that_is_looked_for_in_many_runs_may_move(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def unanswered(self: ListReader) -> None:
        self._budget.take()

    monkeypatch.setattr(ListReader, "count", unanswered)
    fake.seed({"contact_name": f"N{number}"} for number in range(60))
    copy = Copy(fake, zoho.books.contacts, tmp_path / "a.json")
    for _ in range(3):
        assert not await copy.run(max_calls=3)
    reading = json.loads(copy.state.read_bytes())["pass"]
    assert reading["page"] > 3 and "beyond" in reading
    for one in list(fake.organization().contacts)[8:]:
        fake.organization().remove(one)
    await copy.runs(max_calls=3)
    assert copy.equals_zoho()
    for one in list(fake.organization().contacts):
        fake.organization().remove(one)
    await copy.runs(max_calls=3, deletes="now")
    assert copy.rows == {}


@pytest.mark.parametrize(
    ("records", "options", "least"),
    [(6, {"max_calls": 2}, 3), (6, {"max_calls": 1}, 3), (4, {"max_calls": 1, "details": "changed"}, 2)],
    ids=str,
)
@pytest.mark.parametrize("product", ["books", "billing"])
async def test_calls_too_few_for_a_known_list_are_refused_before_any_call(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, product: str, records: int, options: dict[str, Any], least: int
) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(records))
    copy = Copy(fake, zoho.books.contacts if product == "books" else zoho.billing.customers, tmp_path / "a.json")
    await copy.runs(max_calls=10)
    before = fake.requests()
    with pytest.raises(bulk.InputError, match=f"needs at least {least} calls a run"):
        await copy.run(**options)
    assert fake.requests() == before


async def test_one_call_does_not_begin_a_list_of_several_pages(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(6))
    copy = Copy(fake, zoho.books.contacts, tmp_path / "a.json")
    with pytest.raises(bulk.InputError, match="needs at least 3 calls a run"):
        await copy.run(max_calls=1)


async def test_a_first_run_that_fails_at_the_count_has_not_begun(fake: FakeZoho, tmp_path: Path) -> None:
    fake.seed({"contact_name": f"N{number}"} for number in range(9))
    for passing in range(5):
        fake.script("books.contacts.list", ["pass"] * passing + ["status:503"])
        state = tmp_path / f"{passing}.json"
        async with client_of(fake, retries=0) as zoho, bulk.changes(zoho.books.contacts, state) as changes:
            with pytest.raises(errors.UnavailableError):
                async for _ in changes:
                    pass
            changes.commit()
        document = json.loads(state.read_bytes())
        assert bool(document["watermark"]) == (document["pass"] is not None) == (passing >= 2)
