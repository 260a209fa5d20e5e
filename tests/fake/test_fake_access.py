"""Who is let in: tokens, organisations, the three limits."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Any, TypeAlias

import aiohttp
import pytest
from support.client import client_of

from zoho_async.fake import Clock, FakeZoho
from zoho_async.fake.http.announcement import shell_lines, what_to_type
from zoho_async.fake.world.grants import OAuthServer
from zoho_async.fake.world.quotas import Allowance

Ask: TypeAlias = Callable[..., Awaitable[Any]]
TODAY = date(2026, 6, 9)


async def token(session: aiohttp.ClientSession, fake: FakeZoho, **changes: str) -> tuple[int, dict[str, Any]]:
    form = {
        "grant_type": "refresh_token",
        "refresh_token": fake.refresh_token,
        "client_id": fake.client_id,
        "client_secret": fake.client_secret,
        **changes,
    }
    async with session.post(f"{fake.url}/oauth/v2/token", data=form) as response:
        return response.status, await response.json()


# -- tokens


@pytest.mark.parametrize("given", [["A.b.READ", "C.d.ALL"], "A.b.READ,C.d.ALL", "A.b.READ C.d.ALL"])
def test_scopes_are_a_list_or_a_text(given: list[str] | str) -> None:
    server = OAuthServer(given)
    code = server.self_client_code(0.0)
    assert server._codes[code].scopes == {"A.b.READ", "C.d.ALL"}


async def test_without_or_with_a_dead_token(ask: Ask, fake: FakeZoho) -> None:
    none = await ask("GET", "/contacts", token="")
    assert (none.status, none.body["code"]) == (401, 14)
    bearer = await ask("GET", "/contacts", token="", headers={"Authorization": f"Bearer {fake.access_token}"})
    assert (bearer.status, bearer.body["code"]) == (401, 14)
    dead = await ask("GET", "/contacts", token="1000.dead")
    assert (dead.status, dead.body["code"]) == (401, 57)
    assert not any(name.lower().startswith("x-rate-limit") for name in dead.headers)
    assert fake.counts["books.contacts.list"] == {"requests": 3, "acted": 0}


async def test_refreshing(ask: Ask, fake: FakeZoho, session: aiohttp.ClientSession, clock: Clock) -> None:
    status, body = await token(session, fake)
    assert (status, body["expires_in"], body["api_domain"]) == (200, 3600, fake.url)
    assert (await ask("GET", "/contacts", token=body["access_token"])).status == 200
    clock.advance(3599)
    assert (await ask("GET", "/contacts", token=body["access_token"])).status == 200
    clock.advance(1)
    assert (await ask("GET", "/contacts", token=body["access_token"])).body["code"] == 57
    assert (await ask("GET", "/contacts")).status == 200, "the static token does not age"
    fake.expire_tokens()
    assert (await ask("GET", "/contacts")).body["code"] == 57
    assert fake.token_requests == 1


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"refresh_token": "1000.x"}, "invalid_code"),
        ({"client_id": "1000.X"}, "invalid_client"),
        ({"client_secret": "x"}, "invalid_client_secret"),
        ({"grant_type": "password"}, "unsupported_grant_type"),
        ({"grant_type": "authorization_code", "code": "x"}, "invalid_code"),
    ],
)
async def test_token_errors_come_with_200(
    fake: FakeZoho, session: aiohttp.ClientSession, changes: dict[str, str], error: str
) -> None:
    assert await token(session, fake, **changes) == (200, {"error": error})


async def test_a_code_is_exchanged_once(ask: Ask, fake: FakeZoho, session: aiohttp.ClientSession, clock: Clock) -> None:
    code = fake.accounts.issue_code(clock.time(), redirect_uri="https://x.y/")
    grant = {"grant_type": "authorization_code", "code": code}
    assert (await token(session, fake, **grant))[1] == {"error": "invalid_redirect_uri"}
    _, body = await token(session, fake, **grant, redirect_uri="https://x.y/")
    assert (await ask("GET", "/contacts", token=body["access_token"])).status == 200
    assert "access_token" in (await token(session, fake, refresh_token=body["refresh_token"]))[1]
    assert (await token(session, fake, **grant, redirect_uri="https://x.y/"))[1] == {"error": "invalid_code"}
    late = fake.accounts.issue_code(clock.time(), seconds=60)
    clock.advance(60)
    assert (await token(session, fake, grant_type="authorization_code", code=late))[1] == {"error": "invalid_code"}


async def test_the_eleventh_token_request_is_locked_out(
    fake: FakeZoho, session: aiohttp.ClientSession, clock: Clock
) -> None:
    for _ in range(10):
        assert "access_token" in (await token(session, fake))[1]
    status, body = await token(session, fake)
    assert (status, body["error"], body["status"]) == (400, "Access Denied", "failure")
    clock.advance(599)
    assert (await token(session, fake))[0] == 400
    clock.advance(1)
    assert (await token(session, fake))[0] == 200
    assert fake.token_requests == 13


def test_the_eleventh_live_token_kills_the_oldest() -> None:
    accounts = OAuthServer()
    form = {
        "grant_type": "refresh_token",
        "refresh_token": accounts.refresh_token,
        "client_id": accounts.client_id,
        "client_secret": accounts.client_secret,
    }
    tokens = [accounts.token(form, at * 100.0, "")[1]["access_token"] for at in range(11)]
    assert [accounts.allows(each, "", 1100.0) for each in tokens] == [False, *[True] * 10]


async def test_revoking(ask: Ask, fake: FakeZoho, session: aiohttp.ClientSession) -> None:
    _, body = await token(session, fake)
    for expected in ({"status": "success"}, {"error": "invalid_code"}):
        form = {"token": fake.refresh_token}
        async with session.post(f"{fake.url}/oauth/v2/token/revoke", data=form) as response:
            assert await response.json() == expected
    assert (await ask("GET", "/contacts", token=body["access_token"])).body["code"] == 57
    assert (await token(session, fake))[1] == {"error": "invalid_code"}


@pytest.mark.parametrize(
    ("granted", "allowed"),
    [
        ("ZohoBooks.contacts.READ", True),
        ("ZohoBooks.contacts.ALL", True),
        ("ZohoBooks.fullaccess.all", True),
        ("ZohoBooks.contacts.CREATE", False),
        ("ZohoBooks.invoices.ALL", False),
        ("ZohoInvoice.fullaccess.all", False),
    ],
)
def test_scopes(granted: str, allowed: bool) -> None:
    accounts = OAuthServer([granted])
    assert accounts.allows(accounts.access_token, "ZohoBooks.contacts.READ", 0.0) is allowed


async def test_a_missing_scope_answers_like_a_dead_token(session: aiohttp.ClientSession) -> None:
    async with FakeZoho(scopes=["ZohoBooks.contacts.READ"]) as fake:
        headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}
        async with session.get(f"{fake.url}/books/v3/contacts", headers=headers) as response:
            assert response.status == 200
        async with session.post(f"{fake.url}/books/v3/contacts", headers=headers, data=b"{}") as response:
            assert (response.status, (await response.json())["code"]) == (401, 57)
        async with session.get(f"{fake.url}/books/v3/nothing", headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (404, 5)


# -- organisations


async def test_the_organisation(ask: Ask, fake: FakeZoho) -> None:
    wrong = await ask("GET", "/contacts", query={"organization_id": "1"})
    assert (wrong.status, wrong.body["code"]) == (400, 6041)
    await ask("POST", "/contacts", {"contact_name": "A"}, query={"organization_id": ""})
    assert len(fake.organization().contacts) == 1, "left out, the default one is taken"
    assert [each.organization_id for each in fake.received] == ["", "10234695"]


# -- limits


async def test_the_minute_limit(ask: Ask, fake: FakeZoho, clock: Clock) -> None:
    fake.limits[fake.organization_id].per_minute = 2
    assert (await ask("POST", "/contacts", {"contact_name": "A"})).status == 201
    clock.advance(10)
    assert (await ask("POST", "/contacts", {"contact_name": "B"})).status == 201
    clock.advance(10.5)
    refused = await ask("POST", "/contacts", {"contact_name": "C"})
    assert (refused.status, refused.body["code"], refused.headers["Retry-After"]) == (429, 44, "40")
    assert len(fake.organization().contacts) == 2
    assert (await ask("GET", "/contacts", query={"organization_id": "20469390"})).status == 200
    clock.advance(39.4)
    assert (await ask("GET", "/contacts")).headers["Retry-After"] == "1"
    clock.advance(0.1)
    assert (await ask("GET", "/contacts")).status == 200
    assert fake.stats()["organizations"][fake.organization_id]["most_in_a_minute"] == 2
    assert fake.acts("books.contacts.create") == 2


def test_a_punished_burst_stays_blocked() -> None:
    allowance = Allowance(per_minute=1, block_seconds=1800)
    assert allowance.admit(0.0, TODAY) is None
    for now, retry_after in ((1.0, 1800), (61.0, 1740), (1800.9, 1)):
        refused = allowance.admit(now, TODAY)
        assert refused is not None
        assert (refused.code, refused.retry_after) == (44, retry_after)
    assert allowance.admit(1801.0, TODAY) is None


def test_no_sixty_seconds_hold_more_than_the_limit() -> None:
    allowance = Allowance(per_minute=5)
    admitted = [at for at in (step * 0.7 for step in range(400)) if allowance.admit(at, TODAY) is None]
    assert all(sum(start <= at < start + 60 for at in admitted) <= 5 for start in admitted)
    assert len(admitted) >= 5 * (280 // 61)


@pytest.mark.parametrize(("now", "let_in"), [(59.99, False), (60.0, True)])
def test_a_call_counts_for_sixty_seconds(now: float, let_in: bool) -> None:
    allowance = Allowance(per_minute=1)
    assert allowance.admit(0.0, TODAY) is None
    assert (allowance.admit(now, TODAY) is None) is let_in


async def test_the_minute_can_be_shorter_for_tests(session: aiohttp.ClientSession, clock: Clock) -> None:
    async with FakeZoho(per_minute=2, clock=clock, _window=0.5) as fake:
        fake.add_organization("2")
        headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}
        for organization_id in (fake.organization_id, "2"):
            url = f"{fake.url}/books/v3/contacts?organization_id={organization_id}"
            for seconds, status in ((0.1, 200), (0.39, 200), (0.02, 429), (0, 200)):
                async with session.get(url, headers=headers) as response:
                    assert response.status == status, seconds
                    assert response.headers.get("Retry-After") == ("1" if status == 429 else None)
                clock.advance(seconds)


def test_limits_switched_off_and_to_nothing() -> None:
    allowance = Allowance(per_minute=None)
    assert all(allowance.admit(0.0, TODAY) is None for _ in range(1000))
    allowance.per_minute = 3
    refused = allowance.admit(1.0, TODAY)
    assert refused is not None
    assert refused.retry_after == 59
    nothing = Allowance(per_minute=0)
    assert nothing.admit(0.0, TODAY) is not None


def test_the_day_ends_at_midnight_of_the_organisation() -> None:
    allowance = Allowance(per_minute=None, per_day=2)
    assert allowance.admit(0.0, TODAY) is allowance.admit(0.0, TODAY) is None
    refused = allowance.admit(0.0, TODAY)
    assert refused is not None
    assert refused.code == 45
    local = datetime(2026, 6, 9, 23, 59, 30, tzinfo=UTC)
    expected = {"x-rate-limit-limit": "2", "x-rate-limit-remaining": "0", "x-rate-limit-reset": "30"}
    assert allowance.headers(local) == expected
    assert allowance.admit(0.0, TODAY + timedelta(days=1)) is None
    assert allowance.headers(local + timedelta(days=1))["x-rate-limit-remaining"] == "1"


async def test_calls_in_process(ask: Ask, fake: FakeZoho) -> None:
    fake.limits[fake.organization_id].concurrency = 2
    fake.script("books.contacts.get", ["stall", "stall"])
    stalled = [asyncio.create_task(ask("GET", "/contacts/1")) for _ in range(2)]
    while fake.limits[fake.organization_id].in_process < 2:  # noqa: ASYNC110 - nothing to wait on
        await asyncio.sleep(0)
    refused = await ask("GET", "/contacts")
    assert (refused.status, refused.body["code"]) == (429, 1070)
    for task in stalled:
        task.cancel()
    await asyncio.gather(*stalled, return_exceptions=True)
    while fake.limits[fake.organization_id].in_process:  # noqa: ASYNC110 - nothing to wait on
        await asyncio.sleep(0)
    assert (await ask("GET", "/contacts")).status == 200


async def test_a_self_client_code_can_be_spent_once_and_is_then_another(
    fake: FakeZoho, session: aiohttp.ClientSession
) -> None:
    code = fake.grant_code
    async with session.get(f"{fake.url}/_fake", headers={"Accept": "application/json"}) as response:
        access = await response.json()
    assert (access["grant_code"], access["url"]) == (code, fake.url)
    async with session.get(f"{fake.url}/_fake") as response:
        assert json.loads((await response.text()).splitlines()[-1]) == access
    form = {"grant_type": "authorization_code", "client_id": fake.client_id, "client_secret": fake.client_secret}
    replies = []
    for _ in range(2):
        async with session.post(f"{fake.url}/oauth/v2/token", data={**form, "code": code}) as response:
            replies.append(await response.json(content_type=None))
    assert replies[0]["refresh_token"]
    assert replies[1] == {"error": "invalid_code"}
    assert fake.grant_code != code


@pytest.mark.parametrize("product", ["books", "invoice", "expense", "billing"])
async def test_every_product_lists_the_organisations(fake: FakeZoho, product: str) -> None:
    async with client_of(fake) as zoho:
        version = "v3" if product in ("books", "invoice") else "v1"
        response = await zoho.request("GET", f"/{product}/{version}/organizations")
    assert [one["organization_id"] for one in response.data["organizations"]] == [*fake.organizations]


def test_what_a_shell_evaluates_and_what_a_terminal_shows() -> None:
    fake = FakeZoho()
    lines = shell_lines(fake, "http://127.0.0.1:1", 7, "/tmp/t.json").splitlines()
    names = [line.removeprefix("export ").partition("=")[0] for line in lines]
    assert all(re.fullmatch(r"export ZOHO_[A-Z_]+=[\w.:/]+", line) for line in lines)
    assert {"ZOHO_API_URL", "ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN", "ZOHO_GRANT_CODE"} < {*names}
    assert "export ZOHO_FAKE_PID=7" in lines
    shown = what_to_type(fake, "http://127.0.0.1:1", 7, "/tmp/t.json")
    assert all(f"  {line}\n" in shown for line in lines)
    assert "export ZOHO_TOKEN_FILE='/a b/$x.json'\n" in shell_lines(fake, "http://127.0.0.1:1", 7, "/a b/$x.json")


@pytest.mark.parametrize("operation_id", ["books.contacts.crate", "*", ""])
async def test_counts_of_an_operation_that_there_is_not_are_refused(fake: FakeZoho, operation_id: str) -> None:
    for count in (fake.acts, fake.requests):
        with pytest.raises(ValueError, match="there is no operation"):
            count(operation_id)
    assert fake.acts("books.contacts.create") == fake.requests("oauth.token") == fake.requests() == 0
