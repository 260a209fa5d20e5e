"""`/_fake/...`: everything that can be done from another language."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import aiohttp
import pytest

from zoho_async.fake import FakeZoho
from zoho_async.fake.http.control_api import ACTIONS

Ask: TypeAlias = Callable[..., Awaitable[Any]]
Control: TypeAlias = Callable[..., Awaitable[tuple[int, Any]]]


@pytest.fixture
def control(fake: FakeZoho, session: aiohttp.ClientSession) -> Control:
    async def call(method: str, path: str, body: object = None, **query: str) -> tuple[int, Any]:
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        async with session.request(method, f"{fake.url}/_fake{path}", data=data, params=query) as response:
            text = await response.text()
            lines = response.content_type == "application/x-ndjson"
            return response.status, [json.loads(line) for line in text.splitlines()] if lines else json.loads(text)

    return call


async def test_the_help_lists_everything_there_is(fake: FakeZoho, session: aiohttp.ClientSession) -> None:
    async with session.get(f"{fake.url}/_fake") as response:
        assert response.content_type == "text/plain"
        listed = re.findall(r"^    (GET|POST|DELETE) +/_fake/(\w+)", await response.text(), re.MULTILINE)
    assert [f"{method} {name}" for method, name in listed] and {f"{m} {n}" for m, n in listed} == {*ACTIONS} - {"GET"}


async def test_organisations_and_their_contacts(control: Control, fake: FakeZoho) -> None:
    status, made = await control("POST", "/organizations", {"id": "7", "name": "Zylker", "plan": "free"})
    assert (status, made["name"], fake.limits["7"].per_day) == (200, "Zylker", 1000)
    assert [each["organization_id"] for each in (await control("GET", "/organizations"))[1]][-1] == "7"
    lines = b'{"contact_name": "A", "has_transaction": true}\n\n{"contact_name": "B"}\n'
    assert (await control("POST", "/seed", lines.replace(b"\n\n", b"\n"), organization_id="7"))[1] == {"seeded": 2}
    rows = (await control("GET", "/contacts", organization_id="7"))[1]
    assert [(row["contact_name"], row["has_transaction"]) for row in rows] == [("A", True), ("B", False)]
    assert (await control("GET", "/contacts"))[1] == []


async def test_faults(control: Control, ask: Ask) -> None:
    order = {"operation": "books.contacts.list", "fault": "status:503", "probability": 1}
    assert (await control("POST", "/faults", order))[0] == 200
    await control("POST", "/script", {"operation": "books.contacts.list", "faults": ["429:44:30"]})
    assert [(await ask("GET", "/contacts")).status for _ in range(3)] == [429, 503, 503]
    await control("DELETE", "/faults")
    assert (await ask("GET", "/contacts")).status == 200


async def test_clock_limits_and_tokens(control: Control, ask: Ask, fake: FakeZoho) -> None:
    assert (await control("POST", "/limits", {"per_minute": 1, "block_seconds": None}))[1] == {
        "per_minute": 1,
        "per_day": None,
        "concurrency": None,
        "block_seconds": None,
    }
    assert [(await ask("GET", "/contacts")).status for _ in range(2)] == [200, 429]
    before = (await control("GET", "/clock"))[1]
    after = (await control("POST", "/clock", {"advance": 60}))[1]
    assert after["time"] - before["time"] == 60
    assert (before["now"], after["now"]) == ("2026-06-09T13:45:19+00:00", "2026-06-09T13:46:19+00:00")
    assert (await ask("GET", "/contacts")).status == 200
    assert (await control("GET", "/limits"))[1]["per_minute"] == 1
    assert (await control("GET", "/limits", organization_id="20469390"))[1]["per_minute"] == 100
    await control("POST", "/expire_tokens")
    assert (await ask("GET", "/contacts")).body["code"] == 57
    assert fake.token_requests == 0


async def test_received_and_reset(control: Control, ask: Ask, fake: FakeZoho) -> None:
    await ask("POST", "/contacts", {"contact_name": "A"})
    await ask("POST", "/contacts", b"\xff")
    text, bytes_ = (await control("GET", "/received"))[1]
    assert (text["operation"], json.loads(text["body"])) == ("books.contacts.create", {"contact_name": "A"})
    assert text["headers"]["authorization"] == "***"
    assert (bytes_["body_base64"], "body" in bytes_) == ("/w==", False)
    assert fake.access_token not in json.dumps([text, bytes_])
    fake.script("*", ["status:503"])
    await control("POST", "/reset")
    assert (fake.received, fake.counts, fake.organization().contacts) == ([], {}, {})
    assert (await ask("POST", "/contacts", {"contact_name": "A"})).status == 201


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("POST", "/seed", b"{"),
        ("POST", "/seed", [1]),
        ("POST", "/seed", [{"contact_name": ""}]),
        ("POST", "/script", {"operation": "x"}),
        ("POST", "/script", {"operation": "x", "faults": ["boom"]}),
        ("POST", "/faults", {"operation": "x", "fault": "gzip", "probability": 2}),
        ("POST", "/clock", {"advance": -1}),
        ("POST", "/clock", {"advance": 1e300}),
        ("POST", "/clock", b'{"advance": 1e999}'),
        ("POST", "/clock", None),
        ("POST", "/limits", {"per_minute": -1}),
        ("POST", "/limits", {"per_hour": 1}),
        ("POST", "/organizations", {"name": "no id"}),
        ("POST", "/organizations", {"id": "10234695"}),
        ("POST", "/organizations", [1]),
    ],
)
async def test_what_cannot_be_understood(
    control: Control, fake: FakeZoho, method: str, path: str, body: object
) -> None:
    status, answer = await control(method, path, body)
    assert (status, answer["code"]) == (400, 2)
    assert answer["message"]
    assert fake.organization().contacts == {}


async def test_an_unknown_organisation(control: Control) -> None:
    assert (await control("GET", "/contacts", organization_id="1"))[0] == 404


OWN = ["127.0.0.1", "127.0.0.1:8181", "localhost", "LocalHost:8181", "[::1]:8181"]
FOREIGN = [
    *("attacker.example", "attacker.example:8181", "localhost.attacker.example", "127.0.0.1.attacker.example"),
    *("localhost@attacker.example", "attacker.example#localhost", "192.168.0.7", "localhost:8181:8181", "[::2]"),
]


@pytest.mark.parametrize("host", OWN)
async def test_its_own_hosts_are_served(fake: FakeZoho, session: aiohttp.ClientSession, host: str) -> None:
    for headers in ({}, {"Origin": f"http://{host}"}, {"Origin": f"https://{host}"}):
        async with session.get(f"{fake.url}/_fake/stats", headers={"Host": host, **headers}) as response:
            assert response.status == 200


@pytest.mark.parametrize("path", ["/_fake", "/_fake/organizations", "/%5Ffake/stats", "/_fake/nothing"])
@pytest.mark.parametrize("host", FOREIGN)
async def test_a_foreign_host_is_refused(fake: FakeZoho, session: aiohttp.ClientSession, host: str, path: str) -> None:
    async with session.get(f"{fake.url}{path}", headers={"Host": host}) as response:
        assert response.status == 403
        assert fake.access_token not in await response.text()


@pytest.mark.parametrize(
    "origin", ["https://attacker.example", "null", "", "http://localhost", "http://127.0.0.1:1", "file://"]
)
async def test_a_foreign_origin_is_refused(fake: FakeZoho, session: aiohttp.ClientSession, origin: str) -> None:
    token = fake.access_token
    for method, action in (("POST", "expire_tokens"), ("POST", "reset"), ("DELETE", "faults"), ("GET", "received")):
        async with session.request(method, f"{fake.url}/_fake/{action}", headers={"Origin": origin}) as response:
            assert response.status == 403
    assert fake.accounts.allows(token, "", 0.0)


async def test_the_page_of_the_fake_itself_is_no_foreign_origin(fake: FakeZoho, session: aiohttp.ClientSession) -> None:
    url = f"{fake.url}/_fake/expire_tokens"
    async with session.post(url, headers={"Origin": fake.url}) as response:
        assert response.status == 200


@pytest.mark.parametrize(
    ("listening_on", "host", "status"),
    [
        ("0.0.0.0", "172.17.0.2:8181", 200),
        ("0.0.0.0", "attacker.example", 403),
        ("localhost", "localhost:8181", 200),
        ("127.0.0.1", "172.17.0.2:8181", 403),
    ],
)
async def test_the_address_it_listens_on_is_its_own(listening_on: str, host: str, status: int) -> None:
    async with FakeZoho(host=listening_on) as fake, aiohttp.ClientSession() as session:
        url = f"http://127.0.0.1:{fake.url.rpartition(':')[2]}/_fake"
        async with session.get(url, headers={"Host": host}) as response:
            assert response.status == status
