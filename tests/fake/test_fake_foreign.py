"""Clients that nobody here wrote: the documents' own curl lines, a client from the package registry."""

from __future__ import annotations

import asyncio
import json
import shlex
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.request import Request, build_opener

import pytest
import zohopy
import zohopy.config
from zohopy.products.books import AsyncZohoBooks, ZohoBooks

from zoho_async.fake import FakeZoho
from zoho_async.fake.world.state import Document

HOST = "https://www.zohoapis.com"
LINES = [
    line.partition(" ")[::2] for line in Path(__file__).with_name("documented_curl.txt").read_text("utf-8").splitlines()
]
"""Every curl line of the documents, as it stands there, behind the code it is answered with."""
TOKEN = shlex.split(LINES[0][1].partition("Zoho-oauthtoken ")[2].partition("'")[0])[0]


@pytest.fixture
async def documented() -> AsyncIterator[FakeZoho]:
    """A fake that knows the documents' token and custom field."""
    async with FakeZoho(access_token=TOKEN, unique=("cf_unique_cf",), per_minute=None) as fake:
        yield fake
        assert fake.crashes == 0, "\n".join(fake.problems)


def prepare(fake: FakeZoho) -> None:
    """The records that the documents' lines speak of, and nothing else."""
    fake.reset()
    organization = fake.organization()
    bowman = {
        "contact_id": "460000000026049",
        "contact_name": "Bowman and Co",
        "contact_persons": [{"contact_person_id": "460000000026051", "first_name": "Will"}],
        "cf_unique_cf": "unique Value",
        "zcrm_account_id": "460000000026049",
    }
    others = [
        {"contact_id": id_, "contact_name": id_} for id_ in ("460000000026055", "460000000026051", "16367000000096001")
    ]
    furniture = {
        "contact_id": "903000000000099",
        "contact_name": "Bowman Furniture",
        "zcrm_account_id": "903000000021976",
    }
    record = fake.seed([bowman, *others, furniture])[0]
    addresses = [{"address_id": id_, "city": "Pleasanton"} for id_ in ("1053791000000186000", "460000000031043")]
    organization.put({**record, "addresses": addresses})
    organization.comments[record["contact_id"]] = [{"comment_id": "460000000080001", "description": "A"}]
    organization.documents["460000000123001"] = Document(
        id="460000000123001",
        contact_id=record["contact_id"],
        filename="a.pdf",
        content_type="application/pdf",
        content=b"{}",
    )


async def curl(line: str, url: str) -> str:
    """What the line prints, its host changed and nothing else."""
    arguments = shlex.split(line.replace(HOST, url))
    assert arguments[0] == "curl"
    if shutil.which("curl") is None:
        return await asyncio.to_thread(without_curl, arguments[1:])
    process = await asyncio.create_subprocess_exec(
        *arguments, "--silent", "--noproxy", "*", stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    out, errors = await process.communicate()
    assert process.returncode == 0, errors
    return out.decode()


def without_curl(arguments: list[str]) -> str:
    """The same request where there is no curl: the four options that the documents use."""
    options = list(zip(arguments[::2], arguments[1::2], strict=True))
    headers = dict(value.split(": ", 1) for name, value in options if name == "--header")
    data = next((value.encode() for name, value in options if name == "--data"), None)
    named = dict(options)
    request = Request(named["--url"], data, headers, method=named["--request"])
    opener = build_opener()
    for handler in opener.handlers:
        handler.http_error_default = lambda *rest: rest[1]  # type: ignore[attr-defined]
    with opener.open(request) as response:
        text: str = response.read().decode()
        return text


def test_the_lines_are_those_of_all_the_documents() -> None:
    assert len(LINES) == 117
    assert all(line.startswith("curl --request ") and HOST in line for _, line in LINES)


async def test_every_curl_line_of_the_documents(documented: FakeZoho) -> None:
    answered = []
    for _, line in LINES:
        prepare(documented)
        text = await curl(line, documented.url)
        answered.append((str(json.loads(text).get("code", 0)), line))
    assert answered == [tuple(each) for each in LINES]
    # Nothing but what needs a body that the documents only hint at is refused.
    assert all("--data" in line or "attachment" in line for code, line in answered if code != "0")


async def test_the_way_without_curl_does_the_same(documented: FakeZoho, monkeypatch: pytest.MonkeyPatch) -> None:
    prepare(documented)
    line = LINES[6][1]
    texts = [await curl(line, documented.url)]
    monkeypatch.setattr(shutil, "which", lambda name: None)
    texts.append(await curl(line, documented.url))
    assert texts[0] == texts[1]
    assert '"code":6' in texts[0]
    first, second = documented.received
    assert (first.method, first.path, first.query, first.body) == (
        second.method,
        second.path,
        second.query,
        second.body,
    )
    assert first.headers["content-type"] == second.headers["content-type"]


# -- zohopy


@pytest.fixture
def configured(fake: FakeZoho, monkeypatch: pytest.MonkeyPatch) -> zohopy.ZohoConfig:
    """Its settings, with the addresses of the data centre changed and nothing else."""
    data_center = zohopy.DataCenter.US
    for table in (zohopy.config._ACCOUNTS_URLS, zohopy.config._API_URLS):
        monkeypatch.setitem(table, data_center, fake.url)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    return zohopy.ZohoConfig(
        client_id=fake.client_id,
        client_secret=fake.client_secret,
        refresh_token=fake.refresh_token,
        organization_id=fake.organization_id,
        data_center=data_center,
        max_retries=1,
        _env_file=None,
    )


async def test_zohopy(configured: zohopy.ZohoConfig, fake: FakeZoho) -> None:
    fake.seed([{"contact_name": f"N{number:03}"} for number in range(250)])
    async with zohopy.AsyncZohoClient(configured) as client:
        contacts = AsyncZohoBooks(client).contacts
        made = await contacts.create({"contact_name": "Bowman and Co"})
        contact_id = made["contact"]["contact_id"]
        assert (await contacts.get(contact_id))["contact"]["contact_name"] == "Bowman and Co"
        assert (await contacts.update(contact_id, {"notes": "by zohopy"}))["contact"]["notes"] == "by zohopy"
        pages = [page async for page in contacts.list_all()]
        assert [len(page["contacts"]) for page in pages] == [200, 51]
        assert fake.token_requests == 1

        fake.expire_tokens()
        assert (await contacts.list(contact_name="Bowman and Co"))["contacts"][0]["contact_id"] == contact_id
        assert fake.token_requests == 2, "it refreshed by itself"

        with pytest.raises(zohopy.ZohoDuplicateError):
            await contacts.create({"contact_name": "Bowman and Co"})
        assert (fake.received[-1].status, fake.received[-1].code) == (400, 3062)
        await contacts.delete(contact_id)
        with pytest.raises(zohopy.ZohoNotFoundError):
            await contacts.get(contact_id)
    assert {name: count["acted"] for name, count in fake.counts.items()} == {
        "books.contacts.create": 1,
        "books.contacts.delete": 1,
        "books.contacts.get": 1,
        "books.contacts.list": 3,
        "books.contacts.update": 1,
        "oauth.token": 2,
    }


async def test_zohopy_without_asyncio(configured: zohopy.ZohoConfig, fake: FakeZoho) -> None:
    def work() -> int:
        with zohopy.SyncZohoClient(configured) as client:
            contacts = ZohoBooks(client).contacts
            contact_id = contacts.create({"contact_name": "A"})["contact"]["contact_id"]
            contacts.mark_inactive(contact_id)
            contacts.add_address(contact_id, {"city": "Pleasanton"})
            return len(contacts.list_addresses(contact_id)["addresses"])

    assert await asyncio.to_thread(work) == 1
    assert [each["status"] for each in fake.organization().contacts.values()] == ["inactive"]
