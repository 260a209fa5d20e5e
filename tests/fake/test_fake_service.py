"""Counting, faults on demand, malformed input, start and close."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import aiohttp
import pytest

from zoho_async.fake import FakeZoho, Fault
from zoho_async.fake.routes import Router
from zoho_async.fake.world.faults import FAULT_WORDS
from zoho_async.schema.operation import Operation

Ask: TypeAlias = Callable[..., Awaitable[Any]]


# -- counting


async def test_everything_is_received_and_counted(ask: Ask, fake: FakeZoho) -> None:
    await ask("POST", "/contacts", {"contact_name": "A"})
    await ask("POST", "/contacts", {"contact_name": "A"})
    await ask("GET", "/nothing")
    assert fake.counts == {"books.contacts.create": {"requests": 2, "acted": 1}}
    made, twin, lost = fake.received
    assert (made.operation, made.method, made.path) == ("books.contacts.create", "POST", "/books/v3/contacts")
    assert (made.status, made.code, twin.status, twin.code) == (201, 0, 400, 3062)
    assert (lost.operation, lost.status, lost.code) == ("", 404, 5)
    assert json.loads(made.body) == {"contact_name": "A"}
    assert made.query == {"organization_id": fake.organization_id}
    assert made.headers["authorization"] == "***"
    assert fake.created() == {"A": 1}


def test_former_names_of_the_audit_log(fake: FakeZoho) -> None:
    assert fake.ledger is fake.audit_log
    assert fake.ledger.acted is fake.audit_log.executed


async def test_no_secret_is_remembered(ask: Ask, fake: FakeZoho, session: aiohttp.ClientSession) -> None:
    form = {"refresh_token": fake.refresh_token, "client_secret": fake.client_secret}
    async with session.post(f"{fake.url}/oauth/v2/token", data=form, params=form):
        pass
    await ask("GET", "/contacts")
    shown = repr(fake.received) + repr(fake) + repr(fake.accounts)
    assert len(fake.received) == 2
    for secret in (fake.refresh_token, fake.client_secret, fake.access_token):
        assert secret not in shown


async def test_repeated_writes_are_found(ask: Ask, fake: FakeZoho) -> None:
    (record,) = fake.seed([{"contact_name": "A"}])
    path = f"/contacts/{record['contact_id']}"
    await ask("PUT", path, {"notes": "1"})
    await ask("PUT", path, {"notes": "2"})
    assert fake.audit_log.repeated() == []
    await ask("PUT", path, {"notes": "2"})
    ((operation_id, target, _),) = fake.audit_log.repeated()
    assert (operation_id, target) == ("books.contacts.update", f"/books/v3{path}")


async def test_seeding_counts_no_call(fake: FakeZoho) -> None:
    fake.seed([{"contact_name": "A"}])
    assert fake.counts == {}
    assert fake.received == []


async def test_received_is_bounded(session: aiohttp.ClientSession) -> None:
    for keep, paths in ((2, ["/b", "/c"]), (0, [])):
        async with FakeZoho(keep_received=keep) as fake:
            for path in "abc":
                async with session.get(f"{fake.url}/{path}"):
                    pass
            assert [each.path for each in fake.received] == paths


# -- faults


@pytest.mark.parametrize(
    ("fault", "acted", "status", "code"),
    [
        ("status:503", False, 503, 1000),
        ("status:503_after", True, 503, 1000),
        ("429:44", False, 429, 44),
        ("429:45", False, 429, 45),
        ("429:1070", False, 429, 1070),
    ],
)
async def test_scripted_answers(ask: Ask, fake: FakeZoho, fault: str, acted: bool, status: int, code: int) -> None:
    fake.script("books.contacts.create", [fault])
    answered = await ask("POST", "/contacts", {"contact_name": "A"})
    assert (answered.status, answered.body["code"]) == (status, code)
    assert "Retry-After" not in answered.headers
    assert fake.acts("books.contacts.create") == len(fake.organization().contacts) == int(acted)
    assert (await ask("POST", "/contacts", {"contact_name": "B"})).status == 201


async def test_scripted_retry_after(ask: Ask, fake: FakeZoho) -> None:
    fake.script("*", ["pass", "429:44:1800"])
    assert (await ask("GET", "/contacts")).status == 200
    assert (await ask("GET", "/contacts")).headers["Retry-After"] == "1800"


@pytest.mark.parametrize(("fault", "acted"), [("reset_before", False), ("reset_after", True), ("torn", True)])
async def test_scripted_cuts(ask: Ask, fake: FakeZoho, fault: str, acted: bool) -> None:
    fake.script("books.contacts.create", [fault])
    with pytest.raises((aiohttp.ClientConnectionError, aiohttp.ClientPayloadError)):
        await ask("POST", "/contacts", {"contact_name": "A"})
    assert fake.acts("books.contacts.create") == len(fake.organization().contacts) == int(acted)
    assert fake.received[-1].status is None
    assert (await ask("POST", "/contacts", {"contact_name": "B"})).status == 201


@pytest.mark.parametrize(("fault", "acted", "status"), [("html", False, 200), ("html:502_after", True, 502)])
async def test_scripted_html(
    fake: FakeZoho, session: aiohttp.ClientSession, fault: str, acted: bool, status: int
) -> None:
    fake.script("books.contacts.create", [fault])
    headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}
    body = b'{"contact_name": "A"}'
    async with session.post(f"{fake.url}/books/v3/contacts", headers=headers, data=body) as response:
        assert (response.status, response.content_type) == (status, "text/html")
        assert (await response.text()).startswith("<html>")
    assert fake.acts("books.contacts.create") == int(acted)


async def test_closing_ends_what_is_stalled(session: aiohttp.ClientSession) -> None:
    async with FakeZoho() as fake:
        fake.script("books.contacts.create", ["stall_after"])
        headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}
        body = b'{"contact_name": "A"}'
        request = asyncio.create_task(session.post(f"{fake.url}/books/v3/contacts", headers=headers, data=body))
        while not fake.received:  # noqa: ASYNC110 - nothing to wait on
            await asyncio.sleep(0)
    with pytest.raises(aiohttp.ClientError):
        await request
    assert fake.acts("books.contacts.create") == 1


async def test_faults_at_the_token_endpoint(fake: FakeZoho, session: aiohttp.ClientSession) -> None:
    fake.script("oauth.token", ["status:500"])
    for status in (500, 200):
        async with session.post(f"{fake.url}/oauth/v2/token", data={}) as response:
            assert response.status == status


@pytest.mark.parametrize("text", ["", "boom", "status:99", "429", "429:x", "reset", "status:503_before"])
def test_what_is_no_fault(text: str) -> None:
    with pytest.raises(ValueError, match="not a fault"):
        Fault.parse(text)


# -- malformed input


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'"text"',
        b"null",
        b'{"contact_name": "A",}',
        b'{"contact_name": "\xff"}',
        b'{"contact_name": "\\ud800"}',
        b"[" * 100_000,
        b'{"a":' * 100_000,
        b'{"contact_name": "A", "credit_limit": NaN}',
        b"\x00" * 100,
    ],
    ids=lambda body: repr(body[:20]),
)
async def test_broken_json(ask: Ask, fake: FakeZoho, body: bytes) -> None:
    answered = await ask("POST", "/contacts", body)
    assert (answered.status, answered.body["code"]) == (400, 1038)
    assert fake.organization().contacts == {}


@pytest.mark.parametrize(
    "body",
    [
        b'{"contact_name": "A", "credit_limit": 1e999999999}',
        b'{"contact_name": "A", "payment_terms": 1e999999}',
        b'{"contact_name": "A", "credit_limit": 99999999999999999999999999999999}',
        b'{"contact_name": "A", "custom_fields": [{"api_name": "cf_x", "value": 1e400}]}',
        b'{"contact_name": 1e999999}',
        b'{"contact_name": "A", "contact_persons": [[[[]]]]}',
        b'{"contact_name": "A", "custom_fields": [{"index": 99999999999999999999999, "value": 1}]}',
    ],
)
async def test_odd_values_crash_nothing(ask: Ask, fake: FakeZoho, body: bytes) -> None:
    answered = await ask("POST", "/contacts", body)
    assert answered.status in (201, 400)
    assert isinstance(answered.body["code"], int)
    assert (await ask("GET", "/contacts")).status == 200


async def test_a_body_too_large(ask: Ask, fake: FakeZoho) -> None:
    answered = await ask("POST", "/contacts", b"x" * (33 * 1024 * 1024))
    assert (answered.status, answered.body["code"]) == (413, 15)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("GET", "/books/v3"),
        ("GET", "/books/v3/"),
        ("GET", "/books/v3/contact"),
        ("PATCH", "/books/v3/contacts"),
        ("GET", "/books/v3/contacts/"),
        ("GET", "/books/v3/contacts/1/2/3"),
        ("GET", "/books/v9/contacts"),
        ("GET", "/"),
        ("GET", "/oauth/v2/token"),
        ("POST", "/oauth"),
        ("GET", "/_fake/nothing"),
        ("GET", "/books/v3/%FF%00"),
    ],
)
async def test_unknown_paths(fake: FakeZoho, session: aiohttp.ClientSession, method: str, path: str) -> None:
    headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}
    async with session.request(method, f"{fake.url}{path}", headers=headers) as response:
        assert (response.status, (await response.json())["code"]) == (404, 5)


@pytest.mark.parametrize("contact_id", ["0", "x", "%2F", "..%2f", "%FF", "1" * 5000])
async def test_bad_ids(fake: FakeZoho, session: aiohttp.ClientSession, contact_id: str) -> None:
    # Sent by hand, for the client would tidy the path up.
    reader, writer = await asyncio.open_connection(*fake.url.removeprefix("http://").split(":"))
    head = f"GET /books/v3/contacts/{contact_id} HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"
    writer.write(f"{head}Authorization: Zoho-oauthtoken {fake.access_token}\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    await writer.wait_closed()
    assert answer.startswith(b"HTTP/1.1 404 ")
    assert json.loads(answer.partition(b"\r\n\r\n")[2])["code"] == 1002


async def test_a_fault_of_the_fake_itself_is_counted(session: aiohttp.ClientSession) -> None:
    async with FakeZoho() as fake:
        fake.organization().contacts["1"] = {}
        headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}
        async with session.get(f"{fake.url}/books/v3/contacts/1", headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (500, 1000)
        assert (fake.crashes, len(fake.problems)) == (1, 1)


# -- routing


def test_a_literal_beats_a_parameter() -> None:
    def operation(path: str) -> tuple[str, Operation[Any]]:
        made = Operation[Any](
            id=path, product="p", method="GET", path=path, scope="", title="", kind="nothing", idempotent=True
        )
        return "/p/v1", made

    router = Router(operation(path) for path in ("/a/{id}", "/a/all", "/a/all/{x}/end", "/a/{id}/b/{other}"))

    def found(path: str) -> tuple[str, dict[str, str]] | None:
        match = router.find("GET", ["p", "v1", *path.split("/")])
        return (match[0].id, match[1]) if match is not None else None

    assert found("a/all") == ("/a/all", {})
    assert found("a/1") == ("/a/{id}", {"id": "1"})
    assert found("a/all/1/end") == ("/a/all/{x}/end", {"x": "1"})
    assert found("a/all/b/2") == ("/a/{id}/b/{other}", {"id": "all", "other": "2"})
    assert found("a/") is None
    assert found("b") is None


# -- life


async def test_it_starts_again_with_its_state(session: aiohttp.ClientSession) -> None:
    fake = FakeZoho()
    with pytest.raises(RuntimeError, match="not started"):
        _ = fake.url
    for expected in (0, 1):
        async with fake:
            assert len(fake.organization().contacts) == expected
            with pytest.raises(RuntimeError, match="running already"):
                await fake.start()
            fake.seed([{"contact_name": str(expected)}])


async def test_a_port_that_is_taken(fake: FakeZoho) -> None:
    with pytest.raises(OSError, match="address already in use"):
        await FakeZoho(port=int(fake.url.rpartition(":")[2])).start()


def test_unknown_operations_and_faults_are_refused_with_what_is_possible() -> None:
    fake = FakeZoho()
    with pytest.raises(ValueError, match=r"no operation 'books.contacts.gett'; did you mean `books.contacts.get` "):
        fake.script("books.contacts.gett", ["torn"])
    with pytest.raises(ValueError, match=r"no operation 'xyz'; possible are \*, billing.customers.create, "):
        fake.chance("xyz", "torn", 1.0)
    with pytest.raises(ValueError, match=r"not a fault: '429'; possible are pass, .* 429:CODE"):
        fake.script("books.contacts.get", ["429"])
    assert not fake.faults.scripts


def test_every_possible_fault_that_is_listed_can_be_read() -> None:
    values = {"SECONDS": "2", "STATUS": "502", "CODE": "44"}
    for word in re.split(r", | and ", FAULT_WORDS):
        for name, value in values.items():
            word = word.replace(name, value)
        Fault.parse(word)


def test_one_fault_needs_no_list() -> None:
    fake = FakeZoho()
    fake.script("books.contacts.get", "429:44")
    assert len(fake.faults.scripts["books.contacts.get"]) == 1
