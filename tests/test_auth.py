from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from typing import Any

import pytest
from conftest import client_of
from fault_server import FaultServer

from zoho_async import AuthError, OAuth, StaticToken, UnavailableError, Zoho
from zoho_async.auth import MemoryStore, Stored, Token, read_token
from zoho_async.fake import FakeZoho


class Accounts:
    """An accounts server as the auth module sees it: a callable that counts."""

    def __init__(self, lifetime: float = 3600, delay: float = 0.0) -> None:
        self.asked = 0
        self.lifetime = lifetime
        self.delay = delay
        self.trouble: Exception | None = None

    async def __call__(self, path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        assert path == "/oauth/v2/token"
        assert form["grant_type"] == "refresh_token"
        self.asked += 1
        await asyncio.sleep(self.delay)
        if self.trouble is not None:
            raise self.trouble
        return 200, b'{"access_token":"t%d","expires_in":%d}' % (self.asked, self.lifetime)


def oauth(store: MemoryStore | None = None) -> OAuth:
    return OAuth("id", "client-secret", "refresh-secret", store=store)


async def test_a_thousand_callers_cause_one_refresh() -> None:
    accounts, auth = Accounts(delay=0.01), oauth()
    tokens = await asyncio.gather(*(auth.token(accounts) for _ in range(1000)))
    assert {token.value for token in tokens} == {"t1"}
    assert accounts.asked == 1


async def test_a_hundred_refusals_of_one_token_cause_one_refresh() -> None:
    accounts, auth = Accounts(delay=0.01), oauth()
    dead = await auth.token(accounts)
    tokens = await asyncio.gather(*(auth.refresh(dead, accounts) for _ in range(100)))
    assert {token.value for token in tokens} == {"t2"}
    assert accounts.asked == 2


async def test_a_cancelled_leader_does_not_cancel_the_others() -> None:
    accounts, auth = Accounts(delay=0.05), oauth()
    calls = [asyncio.ensure_future(auth.token(accounts)) for _ in range(10)]
    await asyncio.sleep(0.01)
    calls[0].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {result.value for result in results[1:] if isinstance(result, Token)} == {"t2"}
    assert accounts.asked == 2


async def test_the_last_five_minutes_are_renewed_in_passing_and_the_last_one_is_waited_for() -> None:
    accounts, store = Accounts(delay=0.02), MemoryStore()
    auth = oauth(store)
    await store.save(Stored(token=Token(value="old", expires_at=time.time() + 200)))
    await auth.token(accounts)
    assert accounts.asked == 0, "what the store holds is good enough to begin with"
    first, *others = await asyncio.gather(*(auth.token(accounts) for _ in range(5)))
    assert first.value == "t1"
    assert {token.value for token in others} == {"old"}
    assert accounts.asked == 1

    await store.save(Stored(token=Token(value="older", expires_at=time.time() + 30)))
    late = oauth(store)
    tokens = await asyncio.gather(*(late.token(accounts) for _ in range(5)))
    assert {token.value for token in tokens} == {"t2"}


async def test_a_renewal_in_passing_that_fails_harms_nobody() -> None:
    accounts, store = Accounts(), MemoryStore()
    auth = oauth(store)
    await store.save(Stored(token=Token(value="old", expires_at=time.time() + 200)))
    await auth.token(accounts)
    accounts.trouble = UnavailableError("down")
    assert (await auth.token(accounts)).value == "old"


async def test_the_budget_of_ten_in_ten_minutes_is_kept_before_zoho_has_to_refuse() -> None:
    accounts, auth = Accounts(), oauth()
    token = await auth.token(accounts)
    for _ in range(9):
        token = await auth.refresh(token, accounts)
    with pytest.raises(AuthError, match="ten minutes"):
        await auth.refresh(token, accounts)
    assert accounts.asked == 10


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        (b'{"access_token":"t","expires_in":3600}', 3600),
        (b'{"access_token":"t","expires_in":3600000,"expires_in_sec":3600}', 3600),
        (b'{"access_token":"t","expires_in":3600000}', 3600),
        (b'{"access_token":"t","expires_in":"1800"}', 1800),
        (b'{"access_token":"t"}', 3540),
        (b'{"access_token":"t","expires_in":""}', 3540),
    ],
)
def test_lifetimes_come_in_odd_forms(body: bytes, seconds: float) -> None:
    assert read_token(200, body, now=1000.0).expires_at == 1000 + seconds


def test_an_api_domain_is_trusted_only_when_it_is_zohos() -> None:
    known = b'{"access_token":"t","api_domain":"https://www.zohoapis.eu"}'
    assert read_token(200, known, 0).api_url == "https://www.zohoapis.eu"
    for evil in (
        "https://www.zohoapis.eu.evil.example",
        "http://www.zohoapis.eu",
        "https://www.zohoapis.com@evil.example",
        "https://www.zohoapis.eu:444",
    ):
        body = b'{"access_token":"t","api_domain":"%s"}' % evil.encode()
        assert read_token(200, body, 0).api_url is None


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b'{"error":"invalid_code"}', "revoked"),
        (200, b'{"error":"invalid_client"}', "data centre"),
        (400, b'{"error":"Access Denied","error_description":"Zu viele"}', "ten in ten minutes"),
        (200, b"<html>", "no token"),
        (200, b"{}", "no reason"),
    ],
)
def test_refusals_are_explained_whatever_their_status(status: int, body: bytes, words: str) -> None:
    with pytest.raises(AuthError, match=words):
        read_token(status, body, 0)


def test_no_secret_is_in_any_repr() -> None:
    token = Token(value="access-secret")
    shown = f"{oauth()!r} {StaticToken('access-secret')!r} {token!r} {Stored(token=token)!r}"
    assert "secret" not in shown


@pytest.mark.parametrize("value", ["", "with blank", "line\nbreak", "nön-ascii"])
def test_what_is_no_token_is_refused(value: str) -> None:
    with pytest.raises(ValueError, match="token"):
        StaticToken(value)


def oauth_of(fake: FakeZoho) -> OAuth:
    return OAuth(fake.client_id, fake.client_secret, fake.refresh_token)


async def test_against_a_server_one_refresh_serves_a_hundred_refused_calls(fake: FakeZoho) -> None:
    async with client_of(fake, auth=oauth_of(fake)) as zoho:
        await zoho.books.contacts.list()
        fake.expire_tokens()
        pages = await asyncio.gather(*(zoho.books.contacts.list() for _ in range(100)))
        assert all(page.rows == [] for page in pages)
    assert fake.token_requests == 2


async def test_wrong_credentials_end_before_any_call_is_spent(fake: FakeZoho) -> None:
    async with client_of(fake, auth=OAuth(fake.client_id, "wrong", fake.refresh_token)) as zoho:
        with pytest.raises(AuthError, match="secret"):
            await zoho.books.contacts.list()
    assert not [seen for seen in fake.received if seen.path.startswith("/books")]


async def test_an_accounts_server_out_of_order_is_told_as_such() -> None:
    async with FaultServer() as gone:
        url = gone.url
    options: dict[str, Any] = {"organization_id": "1", "api_url": url, "accounts_url": url}
    async with Zoho(OAuth("a", "b", "c"), **options) as zoho:
        with pytest.raises(UnavailableError, match="accounts server"):
            await zoho.books.contacts.list()
