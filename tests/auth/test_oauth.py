from __future__ import annotations

import asyncio
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.accounts_server import AccountsServer
from support.client import client_of
from support.fault_server import FaultServer
from support.profiles import examples
from support.simulation import simulate

from zoho_async import (
    AuthError,
    ConfigError,
    Credentials,
    FileStore,
    OAuth,
    ScopeError,
    StaticToken,
    UnavailableError,
    Zoho,
)
from zoho_async.auth import data_centers
from zoho_async.auth.token_response import read_token
from zoho_async.auth.token_stores import MemoryStore, Stored, Token, TokenStore
from zoho_async.fake import FakeZoho


def oauth(store: TokenStore | None = None) -> OAuth:
    return OAuth("id", "client-secret", "refresh-secret", store=store)


async def test_a_thousand_callers_cause_one_refresh() -> None:
    accounts, auth = AccountsServer(delay=0.01), oauth()
    tokens = await asyncio.gather(*(auth.token(accounts) for _ in range(1000)))
    assert {token.value for token in tokens} == {"t1"}
    assert accounts.asked == 1


async def test_a_hundred_refusals_of_one_token_cause_one_refresh() -> None:
    accounts, auth = AccountsServer(delay=0.01), oauth()
    dead = await auth.token(accounts)
    tokens = await asyncio.gather(*(auth.refresh(dead, accounts) for _ in range(100)))
    assert {token.value for token in tokens} == {"t2"}
    assert accounts.asked == 2


async def test_a_cancelled_leader_does_not_cancel_the_others() -> None:
    accounts, auth = AccountsServer(delay=0.05), oauth()
    calls = [asyncio.ensure_future(auth.token(accounts)) for _ in range(10)]
    for _ in range(5):  # by then the first asks and the others wait, however slow the machine
        await asyncio.sleep(0)
    calls[0].cancel()
    results = await asyncio.gather(*calls, return_exceptions=True)
    assert isinstance(results[0], asyncio.CancelledError)
    assert {result.value for result in results[1:] if isinstance(result, Token)} == {"t2"}
    assert accounts.asked == 2


async def test_the_last_five_minutes_are_renewed_in_passing_and_the_last_one_is_waited_for() -> None:
    accounts, store = AccountsServer(delay=0.02), MemoryStore()
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
    accounts, store = AccountsServer(), MemoryStore()
    auth = oauth(store)
    await store.save(Stored(token=Token(value="old", expires_at=time.time() + 200)))
    await auth.token(accounts)
    accounts.trouble = UnavailableError("down")
    assert (await auth.token(accounts)).value == "old"


async def test_the_budget_of_ten_in_ten_minutes_is_kept_before_zoho_has_to_refuse() -> None:
    accounts, auth = AccountsServer(), oauth()
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
        token = read_token(200, body, 0)
        assert (token.api_url, token.unknown_api_url) == (None, evil)


@pytest.mark.parametrize(
    ("status", "body", "words"),
    [
        (200, b'{"error":"invalid_code"}', "revoked"),
        (200, b'{"error":"invalid_client"}', "data center"),
        (400, b'{"error":"Access Denied","error_description":"Zu viele"}', "ten token requests in ten minutes"),
        (200, b"<html>", "no token"),
        (200, b"{}", "no token"),
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


async def test_an_unreachable_accounts_server_is_reported_as_such() -> None:
    async with FaultServer() as gone:
        url = gone.url
    options: dict[str, Any] = {"organization_id": "1", "api_url": url, "accounts_url": url}
    async with Zoho(OAuth("a", "b", "c"), **options) as zoho:
        with pytest.raises(UnavailableError, match="accounts server"):
            await zoho.books.contacts.list()


async def test_a_token_file_is_private_and_shared(tmp_path: Path) -> None:
    accounts, path = AccountsServer(), tmp_path / "tokens" / "zoho.json"
    first = await oauth(FileStore(path)).token(accounts)
    assert path.stat().st_mode & 0o777 == 0o600
    second = await oauth(FileStore(path)).token(accounts)
    assert first.value == second.value == "t1"
    assert accounts.asked == 1
    text = path.read_text()
    assert "refresh-secret" not in text
    assert "client-secret" not in text
    assert [name.name for name in path.parent.iterdir() if name.suffix == ".part"] == []


async def test_a_token_file_others_can_read_is_refused(tmp_path: Path) -> None:
    accounts, path = AccountsServer(), tmp_path / "zoho.json"
    await oauth(FileStore(path)).token(accounts)
    path.chmod(0o644)
    with pytest.raises(ConfigError, match="chmod 600"):
        await oauth(FileStore(path)).token(accounts)
    assert accounts.asked == 1


async def test_a_token_file_of_another_client_is_refused(tmp_path: Path) -> None:
    accounts, path = AccountsServer(), tmp_path / "zoho.json"
    await oauth(FileStore(path)).token(accounts)
    for other in (
        OAuth("other", "s", "refresh-secret", store=FileStore(path)),
        OAuth("id", "s", "x", store=FileStore(path)),
    ):
        with pytest.raises(ConfigError, match="another client"):
            await other.token(accounts)
    assert accounts.asked == 1


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 0}', '{"version": "x"}', '{"version": 1}', "\x00\xff"])
async def test_a_torn_or_old_token_file_costs_one_refresh(tmp_path: Path, content: str) -> None:
    accounts, path = AccountsServer(), tmp_path / "zoho.json"
    path.write_text(content)
    path.chmod(0o600)
    assert (await oauth(FileStore(path)).token(accounts)).value == "t1"
    assert (await oauth(FileStore(path)).token(accounts)).value == "t1"


async def test_a_token_file_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    path = tmp_path / "zoho.json"
    path.write_text('{"version": 2, "stored": {}}')
    path.chmod(0o600)
    with pytest.raises(ConfigError, match="newer"):
        await oauth(FileStore(path)).token(AccountsServer())


async def test_a_token_file_that_cannot_be_written_is_reported_before_any_request(tmp_path: Path) -> None:
    accounts = AccountsServer()
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(ConfigError, match="cannot be"):
        await oauth(FileStore(tmp_path / "file" / "zoho.json")).token(accounts)
    assert accounts.asked == 0


async def test_a_cancelled_wait_for_the_file_lock_leaves_nothing_behind(tmp_path: Path) -> None:
    accounts, path = AccountsServer(), tmp_path / "zoho.json"
    async with FileStore(path).lock():
        waiting = asyncio.ensure_future(oauth(FileStore(path)).token(accounts))
        await asyncio.sleep(0.12)
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
    assert accounts.asked == 0
    assert (await oauth(FileStore(path)).token(accounts)).value == "t1"


PROCESS = """
import asyncio, sys
from zoho_async import FileStore, Limits, OAuth, Zoho

async def main():
    url, path, client_id, client_secret, refresh_token, organization_id = sys.argv[1:]
    auth = OAuth(client_id, client_secret, refresh_token, store=FileStore(path))
    options = dict(organization_id=organization_id, api_url=url, accounts_url=url, limits=Limits(per_minute=None))
    async with Zoho(auth, **options) as zoho:
        await asyncio.gather(*(zoho.books.contacts.list() for _ in range(20)))

asyncio.run(main())
"""


async def test_processes_that_share_a_token_file_cause_one_refresh(fake: FakeZoho, tmp_path: Path) -> None:
    arguments = [
        *(fake.url, str(tmp_path / "zoho.json"), fake.client_id, fake.client_secret),
        *(fake.refresh_token, fake.organization_id),
    ]
    for expected in (1, 2):
        processes = [
            await asyncio.create_subprocess_exec(sys.executable, "-c", PROCESS, *arguments, stderr=subprocess.PIPE)
            for _ in range(3)
        ]
        for process in processes:
            _, errors = await process.communicate()
            assert process.returncode == 0, errors.decode()
        assert fake.token_requests == expected
        fake.expire_tokens()


async def test_credentials_from_a_callable_are_fetched_for_every_token_and_kept_nowhere(fake: FakeZoho) -> None:
    fetched = 0

    async def vault() -> Credentials:
        nonlocal fetched
        fetched += 1
        return Credentials(fake.client_id, fake.client_secret, fake.refresh_token)

    async with client_of(fake, auth=OAuth.from_callable(vault)) as zoho:
        await zoho.books.contacts.list()
        await zoho.books.contacts.list()
        assert fetched == 1
        fake.expire_tokens()
        await zoho.books.contacts.list()
    assert fetched == 2
    assert "secret" not in repr(Credentials("id", "client-secret", "refresh-secret"))


async def test_a_grant_code_is_exchanged_once_and_its_refresh_token_kept(fake: FakeZoho, tmp_path: Path) -> None:
    code = fake.accounts.issue_code(fake.clock.time())
    store = FileStore(tmp_path / "zoho.json")

    def auth() -> OAuth:
        return OAuth.from_code(fake.client_id, fake.client_secret, code, store=store)

    async with client_of(fake, auth=auth()) as zoho:
        await zoho.books.contacts.list()
    fake.expire_tokens()
    async with client_of(fake, auth=auth()) as zoho:
        await zoho.books.contacts.list()
    stored = await store.load()
    assert stored.refresh_token
    assert stored.refresh_token != fake.refresh_token
    assert fake.token_requests == 2

    used = OAuth.from_code(fake.client_id, fake.client_secret, code, store=MemoryStore())
    async with client_of(fake, auth=used) as zoho:
        with pytest.raises(AuthError, match="invalid_code"):
            await zoho.books.contacts.list()


async def test_a_revoked_refresh_token_gives_no_more_tokens(fake: FakeZoho, tmp_path: Path) -> None:
    store = FileStore(tmp_path / "zoho.json")
    auth = OAuth(fake.client_id, fake.client_secret, fake.refresh_token, store=store)
    async with client_of(fake, auth=auth) as zoho:
        await zoho.books.contacts.list()
        await zoho.revoke()
        assert (await store.load()).token is None
        with pytest.raises(AuthError, match="invalid_code"):
            await zoho.books.contacts.list()
    async with client_of(fake) as zoho:
        with pytest.raises(ConfigError, match="revoke"):
            await zoho.revoke()


@pytest.mark.parametrize("error", ["invalid_client", "invalid_code"])
async def test_refused_credentials_go_to_no_other_accounts_server(error: str) -> None:
    accounts = AccountsServer()
    accounts.other_data_centers = ("eu", "in")
    accounts.refusal = (200, b'{"error":"%s"}' % error.encode())
    with pytest.raises(AuthError, match=r"data_center= to it \(eu, in\).*find_data_center\(\)") as caught:
        await oauth().token(accounts)
    assert accounts.asked_in == [None]
    assert caught.value.code == error


async def test_the_data_centre_of_credentials_is_found_on_demand(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FakeZoho() as us, FakeZoho() as eu:
        centers = {
            name: data_centers.DataCenter(name=name, accounts_url=fake.url, api_url=fake.url)
            for name, fake in (("us", us), ("eu", eu))
        }
        for module in ("transport", "accounts_server"):
            monkeypatch.setattr(f"zoho_async.transport.{module}.DATA_CENTERS", centers)
        auth = OAuth(eu.client_id, eu.client_secret, eu.refresh_token)
        async with Zoho(auth, organization_id="1", data_center="us") as zoho:
            with pytest.raises(AuthError, match=r"data_center= to it \(eu\)"):
                await zoho.books.contacts.list()
            assert eu.token_requests == 0
            assert await auth.find_data_center(zoho._transport.accounts) == "eu"
            assert eu.token_requests == 1
            unknown = OAuth("nobody", "knows", "this")
            assert await unknown.find_data_center(zoho._transport.accounts) is None
        assert "books.contacts.list" not in us.counts


async def test_searching_the_data_centre_respects_the_budget_and_spends_no_grant_code() -> None:
    accounts, auth = AccountsServer(), oauth()
    accounts.other_data_centers = ("eu", "in")
    accounts.refusal = (200, b'{"error":"invalid_client"}')
    for _ in range(10):
        assert await auth.find_data_center(accounts) is None
    assert accounts.asked_in == ["eu", "in"] * 10
    with pytest.raises(AuthError, match="ten minutes"):
        await auth.find_data_center(accounts)
    with pytest.raises(AuthError, match="grant code"):
        await OAuth.from_code("id", "secret", "code", store=MemoryStore()).find_data_center(accounts)
    assert accounts.asked == 20


async def test_a_scope_that_is_missing_after_a_fresh_token_is_named() -> None:
    async with FakeZoho(scopes=["ZohoBooks.contacts.READ"]) as fake:
        async with client_of(fake, auth=oauth_of(fake)) as zoho:
            await zoho.books.contacts.list()
            with pytest.raises(ScopeError, match=r"ZohoBooks\.contacts\.CREATE") as caught:
                await zoho.books.contacts.create({"contact_name": "x"})
        assert caught.value.scope == "ZohoBooks.contacts.CREATE"
        assert len(caught.value.attempts) == 2
        assert fake.token_requests == 2


async def test_nothing_secret_stands_in_a_token_file_but_the_token(tmp_path: Path) -> None:
    path = tmp_path / "zoho.json"
    await oauth(FileStore(path)).token(AccountsServer())
    assert json.loads(path.read_text())["stored"]["token"]["value"] == "t1"
    assert path.with_name("zoho.json.lock").read_bytes() == b""


@settings(max_examples=examples(30))
@given(seed=st.integers(0, 10_000))
def test_a_storm_of_cancellations_leaves_one_refresh_at_a_time_and_no_lock(seed: int) -> None:
    async def main() -> None:
        chance = random.Random(seed)
        accounts, auth = AccountsServer(delay=0.5), oauth()
        busy = most = 0
        ask = accounts.__call__

        async def watched(path: str, form: Mapping[str, str], data_center: str | None = None) -> tuple[int, bytes]:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            try:
                return await ask(path, form, data_center)
            finally:
                busy -= 1

        watched.other_data_centers = ()  # type: ignore[attr-defined]
        tasks = [asyncio.ensure_future(auth.token(watched)) for _ in range(50)]  # type: ignore[arg-type]
        for task in tasks[:8]:
            asyncio.get_running_loop().call_later(chance.random() * 4, task.cancel)
        results = await asyncio.gather(*tasks, return_exceptions=True)
        assert most == 1
        assert all(isinstance(result, Token | asyncio.CancelledError) for result in results)
        assert len({result.value for result in results if isinstance(result, Token)}) == 1
        assert (await auth.token(accounts)).value == results[-1].value  # type: ignore[union-attr]

    simulate(main())


async def test_a_vault_that_rotates_its_refresh_token_is_still_the_same_client(tmp_path: Path) -> None:
    accounts, turns = AccountsServer(), iter(range(10))

    async def vault() -> Credentials:
        return Credentials("id", "secret", f"refresh-{next(turns)}")

    auth = OAuth.from_callable(vault, store=FileStore(tmp_path / "zoho.json"))
    token = await auth.token(accounts)
    assert (await auth.refresh(token, accounts)).value == "t2"


async def test_the_budget_of_tokens_is_whole_again_after_ten_minutes(monkeypatch: pytest.MonkeyPatch) -> None:
    accounts, auth = AccountsServer(), oauth()
    token = await auth.token(accounts)
    for _ in range(9):
        token = await auth.refresh(token, accounts)
    now = time.time()
    monkeypatch.setattr("zoho_async.auth.oauth.time.time", lambda: now + 601)
    assert (await auth.refresh(token, accounts)).value == "t11"


@pytest.mark.parametrize(
    "body",
    [
        b'{"access_token":"t","scope":["a","b"]}',
        b'{"access_token":"t","expires_in":true}',
        b'{"access_token":"t","refresh_token":5,"error":{"code":1}}',
        b'{"access_token":"t","api_domain":5}',
        b'{"access_token":"t","expires_in":{}}',
        b'{"access_token":"t","expires_in":"1e999"}',
    ],
)
def test_a_good_token_is_not_refused_for_what_stands_beside_it(body: bytes) -> None:
    assert read_token(200, body, now=0.0).expires_at == 3540


def test_a_token_that_no_header_can_carry_is_none() -> None:
    with pytest.raises(AuthError):
        read_token(200, b'{"access_token":"a\\r\\nb"}', now=0.0)


async def test_a_token_file_of_bytes_that_are_no_text_costs_one_refresh(tmp_path: Path) -> None:
    path = tmp_path / "zoho.json"
    path.write_bytes(b'{"version":1,"stored":{"client":"\xc3"}}')
    path.chmod(0o600)
    assert (await oauth(FileStore(path)).token(AccountsServer())).value == "t1"


async def test_a_link_where_a_token_file_is_written_is_replaced_and_not_followed(tmp_path: Path) -> None:
    path, other = tmp_path / "zoho.json", tmp_path / "other"
    other.write_text("mine")
    other.chmod(0o600)
    path.symlink_to(other)
    await oauth(FileStore(path)).token(AccountsServer())
    assert other.read_text() == "mine"
    assert not path.is_symlink()
    assert path.stat().st_mode & 0o777 == 0o600


class Unreadable(MemoryStore):
    async def load(self) -> Stored:
        raise OSError(5, "I/O error")


@pytest.mark.parametrize("kind", ["folder", "pipe", "other"])
async def test_a_store_that_cannot_be_read_is_a_config_error(fake: FakeZoho, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "t"
    if kind == "folder":
        path.mkdir(0o700)
    elif kind == "pipe":
        os.mkfifo(path, 0o600)
    store = Unreadable() if kind == "other" else FileStore(path)
    auth = OAuth(fake.client_id, fake.client_secret, fake.refresh_token, store=store)
    async with client_of(fake, auth=auth) as zoho:
        if kind == "pipe":  # nothing in it
            await zoho.books.contacts.list()
            return
        with pytest.raises(ConfigError, match="cannot be read") as caught:
            await zoho.books.contacts.list()
    assert caught.value.sent is False


async def test_an_api_on_this_machine_alone_issues_the_tokens_too(fake: FakeZoho) -> None:
    auth = OAuth(fake.client_id, fake.client_secret, fake.refresh_token)
    async with client_of(fake, auth=auth, accounts_url=None) as zoho:
        await zoho.books.contacts.list()
    assert fake.token_requests == 1
