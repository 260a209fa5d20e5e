"""The list of the target: what it costs, and when it is read again."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from zoho_async import Zoho, bulk
from zoho_async.bulk.pushing import target_index
from zoho_async.bulk.pushing.index_queries import identified
from zoho_async.bulk.pushing.push import Push
from zoho_async.bulk.pushing.target_index import TargetIndex
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.state.database import Database
from zoho_async.fake import FakeZoho

CREATE, GET, LIST = (f"books.contacts.{name}" for name in ("create", "get", "list"))


class Reader:
    """Reads for an index, in a wait epoch that is set by hand."""

    def __init__(self) -> None:
        self.epoch = 0
        self.wait_at: set[int] = set()
        """Numbers of calls that wait for hours first."""
        self.calls = 0

    async def __call__(self, call: Callable[[], Awaitable[Any]]) -> Any:
        self.calls += 1
        self.epoch += self.calls in self.wait_at
        return await call()


@asynccontextmanager
async def index_of(
    resource: Any, reader: Reader, options: Options
) -> AsyncGenerator[tuple[TargetIndex, Database], None]:
    async with Database(None) as database:
        destination = Destination.of(resource)
        index = TargetIndex(
            database, destination, options, reader, wait_epoch=lambda: reader.epoch, recorded_key=lambda *_: ""
        )
        async with index:
            yield index, database


async def shows(database: Database, record_id: str) -> bool:
    return await database.run(lambda connection: identified(connection, record_id) is not None)


async def actions(push: Push) -> set[str]:
    return {outcome.action async for outcome in push}


@pytest.mark.parametrize("resource", ["books.contacts", "expense.customers"])
async def test_the_list_is_read_again_only_after_a_wait_of_hours(fake: FakeZoho, zoho: Zoho, resource: str) -> None:
    product, _, name = resource.partition(".")
    reader = Reader()
    fake.seed([{"contact_name": "A"}])
    async with index_of(getattr(getattr(zoho, product), name), reader, Options(match_by="company_name")) as (index, db):
        assert not index.knows("")
        await index.read()
        (theirs,) = fake.seed([{"contact_name": "B"}])
        await index.read()
        assert (reader.calls, await shows(db, theirs["contact_id"])) == (1, False)
        reader.epoch += 1
        await index.read()
        await index.read()
        assert (reader.calls, await shows(db, theirs["contact_id"])) == (2, True)


async def test_where_the_list_decides_nothing_it_is_read_once(zoho: Zoho) -> None:
    """Zoho itself refuses a name that somebody has taken meanwhile."""
    reader = Reader()
    async with index_of(zoho.books.contacts, reader, Options()) as (index, _):
        await index.read()
        reader.epoch += 1
        await index.read()
    assert reader.calls == 1


async def test_a_list_that_cannot_be_sorted_is_known_while_it_is_read_again(fake: FakeZoho, zoho: Zoho) -> None:
    (record,) = fake.seed([{"contact_name": "A"}])
    seen = list[tuple[bool, bool]]()

    class Looking(Reader):
        async def __call__(self, call: Callable[[], Awaitable[Any]]) -> Any:
            seen.append((index.knows(""), await shows(database, record["contact_id"])))
            return await super().__call__(call)

    async with index_of(zoho.expense.customers, Looking(), Options(match_by="company_name")) as (index, database):
        await index.read()
        await index.read_again([""])
    assert seen == [(False, False), (True, True)]


async def test_what_a_parent_has_lost_is_absent_after_another_reading(fake: FakeZoho, zoho: Zoho) -> None:
    people = [{"first_name": name, "email": f"{name}@x.example"} for name in ("ann", "bob")]
    (contact,) = fake.seed([{"contact_name": "A", "contact_persons": people}])
    parent, organization = contact["contact_id"], fake.organization()
    ann, bob = (person["contact_person_id"] for person in contact["contact_persons"])
    async with index_of(zoho.books.contact_persons, Reader(), Options(match_by="email")) as (index, database):
        await index.read([parent])
        assert [await shows(database, one) for one in (ann, bob)] == [True, True]
        organization.put({**contact, "contact_persons": [contact["contact_persons"][1]]})
        await index.read_again([parent])
        assert [await shows(database, one) for one in (ann, bob)] == [False, True]
        del organization.contacts[parent]
        await index.read_again([parent])
        assert index.parent_missing(parent)
        assert not await shows(database, bob)


async def test_a_parent_is_read_again_only_after_a_wait_of_hours(fake: FakeZoho, zoho: Zoho) -> None:
    contacts = [one["contact_id"] for one in fake.seed([{"contact_name": name} for name in "AB"])]
    reader = Reader()
    async with index_of(zoho.books.contact_persons, reader, Options(match_by="email")) as (index, _):
        await index.read(contacts)
        await index.read(contacts)
        assert reader.calls == 2
        reader.epoch += 1
        await index.read(contacts[:1])
        assert reader.calls == 3


@pytest.mark.parametrize(("wait_at", "calls"), [(set[int](), 2), ({1}, 2), ({2}, 4), ({2, 4}, 4)])
async def test_pages_read_before_a_wait_are_read_once_more(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch, wait_at: set[int], calls: int
) -> None:
    """Not for ever, for a list may be longer than a day's calls reach."""
    monkeypatch.setattr(target_index, "PER_PAGE", 2)
    fake.seed([{"contact_name": f"N{number}"} for number in range(4)])
    reader = Reader()
    reader.wait_at = wait_at
    async with index_of(zoho.expense.customers, reader, Options(match_by="company_name")) as (index, _):
        await index.read()
        await index.read()
    assert reader.calls == calls


async def test_a_key_that_the_list_does_not_show_is_read_once_of_every_record(fake: FakeZoho, zoho: Zoho) -> None:
    """Also when the newest are looked at because an outcome is unknown."""
    fake.seed([{"contact_name": f"T{number}", "notes": f"t{number}"} for number in range(5)])
    fake.script(CREATE, ["pass", "reset_before"])
    given = [{"contact_name": f"N{number}", "notes": f"n{number}"} for number in range(4)]
    push = bulk.push(zoho.books.contacts, given, match_by="notes", pause=0)
    assert await actions(push) == {"created"}
    assert (fake.requests(LIST), fake.requests(GET)) == (2, 5)


async def test_a_key_that_the_list_does_not_show_is_known_from_the_state(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    given = [{"contact_name": f"N{number}", "notes": f"n{number}"} for number in range(5)]
    for action, lists in (("created", 1), ("unchanged", 2)):
        push = bulk.push(zoho.books.contacts, given, match_by="notes", state=tmp_path / "s")
        assert await actions(push) == {action}
        assert (fake.requests(LIST), fake.requests(GET)) == (lists, 0)


async def test_what_is_added_while_a_list_is_read_comes_behind_what_was_read(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_index, "PER_PAGE", 2)
    fake.seed([{"contact_name": f"N{number}", "created_time": made(60 - number)} for number in range(5)])

    class Adding(Reader):
        async def __call__(self, call: Callable[[], Awaitable[Any]]) -> Any:
            if self.calls == 1:
                fake.seed([{"contact_name": "A0", "created_time": made(0)}])
            return await super().__call__(call)

    async with index_of(zoho.books.contacts, Adding(), Options(match_by="company_name")) as (index, database):
        await index.read()
        for record_id in fake.organization().contacts:
            assert await shows(database, record_id)
    assert [order_of(one.query) for one in fake.received] == ["created_time A"] * 3


async def test_only_the_newest_are_read_again_and_those_made_just_before_the_newest(
    fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Clocks differ: what is added now may have been made a moment before what was read."""
    monkeypatch.setattr(target_index, "PER_PAGE", 1)
    fake.seed([{"contact_name": f"N{number}", "created_time": made(60 + 10 * number)} for number in range(5)])
    reader = Reader()
    async with index_of(zoho.books.contacts, reader, Options(match_by="company_name")) as (index, database):
        await index.read()
        reader.calls = 0
        added = fake.seed([{"contact_name": f"A{age}", "created_time": made(60 + age)} for age in (-30, 1, 2)])
        await index.read_again([""])
        for record in added:
            assert await shows(database, record["contact_id"])
        # The three that were added, the newest, and the first one that is older.
        assert reader.calls == 5
    assert [order_of(one.query) for one in fake.received[-5:]] == ["created_time D"] * 5


def order_of(query: Mapping[str, str]) -> str:
    return f"{query.get('sort_column')} {query.get('sort_order')}"


def made(seconds_ago: int) -> str:
    return (datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC) - timedelta(seconds=seconds_ago)).isoformat()
