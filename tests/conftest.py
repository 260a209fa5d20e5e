from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from typing import Any

import aiohttp
import pytest
from support import aioresponses_compat
from support.client import client_of
from support.secrets import SECRETS, Eavesdropper

from zoho_async import Zoho
from zoho_async.fake import FakeZoho
from zoho_async.fake.world.oauth import OAuthServer
from zoho_async.transport.http import HttpAdapter

aioresponses_compat.install()


@pytest.fixture(autouse=True, scope="session")
def no_secret_is_ever_logged() -> Iterator[None]:
    """Everything logged at DEBUG during the whole suite, by us or by aiohttp, searched for every secret used."""
    ear = Eavesdropper()
    make_accounts, loggers = OAuthServer.__init__, [logging.getLogger(name) for name in ("zoho_async", "aiohttp")]

    def remembered(self: OAuthServer, *arguments: Any, **options: Any) -> None:
        make_accounts(self, *arguments, **options)
        SECRETS.update({self.client_secret, self.refresh_token, self.access_token})

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(OAuthServer, "__init__", remembered)
        for logger in loggers:
            logger.addHandler(ear)
            logger.setLevel(logging.DEBUG)
        yield
        for logger in loggers:
            logger.removeHandler(ear)
            logger.setLevel(logging.NOTSET)
    assert not ear.heard & SECRETS, "a secret was logged"


@pytest.fixture(autouse=True)
def no_connection_stays_taken(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """After every test, however it went, no connection of any client is still in use."""
    sessions: list[aiohttp.ClientSession] = []
    opening = HttpAdapter._open

    def opened(self: HttpAdapter) -> aiohttp.ClientSession:
        sessions.append(opening(self))
        return sessions[-1]

    monkeypatch.setattr(HttpAdapter, "_open", opened)
    yield
    for session in sessions:
        assert session.closed or not session.connector or not session.connector._acquired


@pytest.fixture
async def fake() -> AsyncIterator[FakeZoho]:
    """A Zoho on this machine, with no limit on the pace."""
    async with FakeZoho(per_minute=None) as server:
        yield server
        assert server.crashes == 0


@pytest.fixture
async def zoho(fake: FakeZoho) -> AsyncIterator[Zoho]:
    """A client of that fake, without a pace of its own."""
    async with client_of(fake) as client:
        yield client
