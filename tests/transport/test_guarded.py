"""A guarded resource: what is checked, when, and what a check that fails leaves behind."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from aiohttp import ClientHandlerType, ClientRequest, ClientResponse, ClientSession, TraceConfig
from support.client import client_of

from zoho_async import LeaseError, Zoho
from zoho_async.books.contacts import CREATE
from zoho_async.fake import FakeZoho
from zoho_async.transport import hooks


class Steps:
    """A hook and a check that note the order in which they are called."""

    throttle_count = 0

    def __init__(self, lost_at: int = 0) -> None:
        self.steps: list[str] = []
        self.lost_at = lost_at

    async def before_send(self) -> None:
        self.steps.append("hook")

    def on_rejected(self) -> None:
        self.steps.append("rejected")

    def check(self) -> None:
        self.steps.append("check")
        if self.steps.count("check") == self.lost_at:
            raise LeaseError("lost")


async def test_every_attempt_is_checked_after_its_hook(fake: FakeZoho, zoho: Zoho) -> None:
    fake.script("books.contacts.create", ["429:1070"])
    steps = Steps()
    contacts = hooks.guarded(zoho.books.contacts, steps.check)
    await hooks.send(contacts, CREATE, body={"contact_name": "A"}, hook=steps)
    assert steps.steps == ["hook", "check", "rejected", "hook", "check"]
    assert fake.requests() == 2


async def test_reads_and_their_retries_are_checked_too(fake: FakeZoho, zoho: Zoho) -> None:
    fake.script("books.contacts.list", ["status:503", "pass"])
    steps = Steps()
    assert [row async for row in hooks.guarded(zoho.books.contacts, steps.check).list()] == []
    assert steps.steps == ["check", "check"]


async def test_a_check_that_fails_ends_the_call_unsent_and_frees_its_slot(fake: FakeZoho) -> None:
    fake.script("books.contacts.create", ["429:1070"])
    steps = Steps(lost_at=2)
    async with client_of(fake) as zoho:
        contacts = hooks.guarded(zoho.books.contacts, steps.check)
        with pytest.raises(LeaseError, match="lost"):
            await hooks.send(contacts, CREATE, body={"contact_name": "A"}, hook=steps)
        assert fake.requests() == 1
        assert fake.created() == {}
        await contacts.list()
        await zoho.books.contacts.list()
    assert steps.steps.count("check") == 3, "the client itself is not guarded"


async def test_guards_add_up_and_the_longest_wait_only_shrinks(fake: FakeZoho, zoho: Zoho) -> None:
    one, two = Steps(), Steps()
    contacts = hooks.guarded(zoho.books.contacts, one.check, max_wait=5)
    contacts = hooks.guarded(contacts, two.check, max_wait=50)
    await contacts.list()
    assert (one.steps, two.steps) == (["check"], ["check"])
    assert contacts._transport.settings.max_wait == 5
    with pytest.raises(TypeError, match="is no resource"):
        hooks.guarded(object(), one.check)


async def test_what_is_lost_while_a_connection_is_opened_is_not_sent(fake: FakeZoho) -> None:
    """A process may stand still there, and wake up when another one works on it."""
    held = True

    async def stand_still(request: ClientRequest, handler: ClientHandlerType) -> ClientResponse:
        nonlocal held
        held = False
        return await handler(request)

    def check() -> None:
        if not held:
            raise LeaseError("lost")

    async with ClientSession(middlewares=(stand_still,)) as session, client_of(fake, session=session) as zoho:
        with pytest.raises(LeaseError, match="lost") as caught:
            await hooks.guarded(zoho.books.contacts, check).create({"contact_name": "A"})
    assert caught.value.sent is False
    assert fake.requests() == 0


async def test_no_step_of_the_loop_lies_between_the_check_and_the_body(fake: FakeZoho) -> None:
    """A process may be stopped in every step, and wake up when another one works on it."""
    held, written = True, False

    def check() -> None:
        asyncio.get_running_loop().call_soon(lose)

    def lose() -> None:
        nonlocal held
        held = False

    async def on_chunk(*_: Any) -> None:
        nonlocal written
        written = True
        assert held

    traces = TraceConfig()
    traces.on_request_chunk_sent.append(on_chunk)
    async with ClientSession(trace_configs=[traces]) as session, client_of(fake, session=session) as zoho:
        await hooks.guarded(zoho.books.contacts, check).create({"contact_name": "A"})
    assert written
    assert fake.received[-1].headers["content-length"] == "20"


async def test_a_check_that_fails_when_the_body_is_written_leaves_the_client_usable(fake: FakeZoho) -> None:
    lost = True

    def check() -> None:
        if lost:
            raise LeaseError("lost")

    async with client_of(fake) as zoho:
        contacts = hooks.guarded(zoho.books.contacts, check)
        for _ in range(3):
            with pytest.raises(LeaseError, match="lost") as caught:
                await contacts.create({"contact_name": "A"})
            assert caught.value.sent is False
        assert fake.requests() == 0
        lost = False
        await contacts.create({"contact_name": "A"})
    assert fake.requests() == 1
