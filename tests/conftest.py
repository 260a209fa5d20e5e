from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal

import aiohttp
import pytest
from support import aioresponses_compat, profiles
from support.client import client_of
from support.secrets import SECRETS, Eavesdropper

from zoho_async import Zoho
from zoho_async.fake import FakeZoho
from zoho_async.fake.world.grants import OAuthServer
from zoho_async.transport.http import HttpAdapter

aioresponses_compat.install()
profiles.register()

TESTS = Path(__file__).parent


def pytest_ignore_collect(collection_path: Path) -> Literal[True] | None:
    """In `make quick` slow files are not even imported."""
    name = collection_path.relative_to(TESTS).as_posix()
    return True if profiles.size() == "quick" and f"{name}/".startswith(profiles.SLOW) else None


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Deselect `slow` tests in `make quick`, and `soak` tests everywhere but in `make soak`."""
    for item in items:
        if item.nodeid.removeprefix("tests/").startswith(profiles.SLOW):
            item.add_marker(pytest.mark.slow)
    left_out = {"quick": {"slow", "soak"}, "soak": set[str]()}.get(profiles.size(), {"soak"})
    deselected = [item for item in items if left_out & {mark.name for mark in item.iter_markers()}]
    config.hook.pytest_deselected(items=deselected)
    items[:] = [item for item in items if item not in set(deselected)]


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
