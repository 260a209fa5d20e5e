"""The list of the target: what it costs, and from when on decisions made with it are out of date."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from zoho_async import Zoho, bulk
from zoho_async.bulk.database import Database
from zoho_async.bulk.index import Index
from zoho_async.bulk.options import Options
from zoho_async.bulk.pushing import Push
from zoho_async.bulk.target import Target
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
