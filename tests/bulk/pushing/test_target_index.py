"""The list of the target: what it costs, and from when on decisions made with it are out of date."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from zoho_async import Zoho, bulk
from zoho_async.bulk.pushing.prepare import Planner
from zoho_async.bulk.pushing.push import Push
from zoho_async.bulk.pushing.target_index import Index
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Target
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Journal
from zoho_async.fake import FakeZoho

CREATE, GET, LIST = (f"books.contacts.{name}" for name in ("create", "get", "list"))


async def actions(push: Push) -> set[str]:
    return {outcome.action async for outcome in push}


async def test_what_was_decided_is_out_of_date_as_soon_as_an_unsorted_list_is_read_anew(zoho: Zoho) -> None:
    asked, answers = asyncio.Event(), asyncio.Event()
    answers.set()

    async def read(call: Callable[[], Awaitable[Any]]) -> Any:
        asked.set()
        await answers.wait()
        return await call()

    target = Target.of(zoho.expense.customers)
    async with Database(None) as database:
        index = Index(database, target, Options(match_by="company_name"), read, waited=lambda: 0, noted=lambda *_: "")
        async with index:
            await index.read()
            decided = index.version("")
            asked.clear()
            answers.clear()
            reading = asyncio.create_task(index.again([""]))
            await asked.wait()
            assert index.version("") != decided
            begun = index.version("")
            answers.set()
            await reading
            assert index.version("") not in (decided, begun)


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


async def test_parents_forgotten_while_others_were_read_are_read_again_before_anything_is_decided(
    fake: FakeZoho, zoho: Zoho
) -> None:
    """Somebody else looks up outcomes meanwhile, more than once: without the lists every row would be new."""
    ann = {"first_name": "Ann", "email": "ann@x.example"}
    seeded = fake.seed([{"contact_name": name, "contact_persons": [ann]} for name in "ABC"])
    parents = [one["contact_id"] for one in seeded]
    # While the list of that number is read, somebody asks for those parents to be forgotten, and is next.
    forgotten = {2: parents[:2], 4: parents[:1]}
    lists = 0
    looks: list[asyncio.Task[None]] = []

    async def read(call: Callable[[], Awaitable[Any]]) -> Any:
        nonlocal lists
        lists += 1
        if lists in forgotten:
            looks.append(asyncio.create_task(preparation.index.again(forgotten[lists])))
            await asyncio.sleep(0)
        return await call()

    target = Target.of(zoho.books.contact_persons)
    given = [{"contact_id": parent, **ann, "phone": "7"} for parent in parents]
    async with Database(None) as database:
        preparation = Planner(Journal(database, ""), target, Options(match_by="email"), read)
        async with preparation.index:
            decisions = [one async for one in preparation.decisions(given, checked=False)]
            assert [one.action for one in decisions] == ["update"] * 3
            assert all(one.version == preparation.index.version(one.job.parent) for one in decisions)
            assert all(look.done() for look in looks)
    # A B, forgotten; C; A, forgotten once more; B; A.
    assert (lists, len(looks)) == (6, 2)
