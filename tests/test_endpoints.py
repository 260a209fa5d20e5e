"""The shape of every generated call of Books contacts: verb, address, arguments, and the type that comes back."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
from aioresponses import CallbackResult, aioresponses

from zoho_async import Limits, Page, StaticToken, Zoho
from zoho_async.books import Contact, ContactCreate, ContactRow

API = "https://www.zohoapis.eu/books/v3"
ORGANIZATION = "organization_id=10234695"
RECORD = {"code": 0, "message": "success", "contact": {"contact_id": "42"}}
ROWS = {"code": 0, "message": "success", "contacts": [{"contact_id": "42"}], "page_context": {"page": 1}}
DONE = {"code": 0, "message": "done"}
BODY = {"contact_name": "x"}

CASES: list[tuple[str, str, str, dict[str, Any], Callable[[Zoho], Any], Any]] = [
    ("create", "POST", f"/contacts?{ORGANIZATION}", RECORD, lambda zoho: zoho.books.contacts.create(BODY), Contact),
    ("get", "GET", f"/contacts/42?{ORGANIZATION}", RECORD, lambda zoho: zoho.books.contacts.get("42"), Contact),
    (
        "update",
        "PUT",
        f"/contacts/42?{ORGANIZATION}",
        RECORD,
        lambda zoho: zoho.books.contacts.update("42", BODY),
        Contact,
    ),
    (
        "upsert",
        "PUT",
        f"/contacts?{ORGANIZATION}",
        RECORD,
        lambda zoho: zoho.books.contacts.upsert(BODY, field="cf_a", value="1", create=True),
        Contact,
    ),
    (
        "list",
        "GET",
        f"/contacts?filter_by=Status.Active&{ORGANIZATION}&per_page=5",
        ROWS,
        lambda zoho: zoho.books.contacts.list(filter_by="Status.Active", per_page=5),
        Page,
    ),
    (
        "delete",
        "DELETE",
        f"/contacts/42?{ORGANIZATION}",
        DONE,
        lambda zoho: zoho.books.contacts.delete("42"),
        type(None),
    ),
    (
        "delete_many",
        "DELETE",
        f"/contacts?contact_ids=1%2C2&{ORGANIZATION}",
        DONE,
        lambda zoho: zoho.books.contacts.delete_many(contact_ids=["1", "2"]),
        type(None),
    ),
    (
        "mark_active",
        "POST",
        f"/contacts/42/active?{ORGANIZATION}",
        DONE,
        lambda zoho: zoho.books.contacts.mark_active("42"),
        type(None),
    ),
    (
        "mark_inactive",
        "POST",
        f"/contacts/42/inactive?{ORGANIZATION}",
        DONE,
        lambda zoho: zoho.books.contacts.mark_inactive("42"),
        type(None),
    ),
]


@pytest.fixture
async def eu() -> AsyncIterator[Zoho]:
    limits = Limits(per_minute=None)
    async with Zoho(StaticToken("token"), organization_id="10234695", data_center="eu", limits=limits) as client:
        yield client


@pytest.mark.parametrize(
    ("verb", "target", "answer", "call", "result"), [case[1:] for case in CASES], ids=[case[0] for case in CASES]
)
async def test_each_method_sends_its_call_and_returns_its_type(
    eu: Zoho, verb: str, target: str, answer: dict[str, Any], call: Callable[[Zoho], Any], result: type[Any]
) -> None:
    sent: list[dict[str, Any]] = []

    def record(_: Any, **options: Any) -> CallbackResult:
        sent.append(options)
        return CallbackResult(body=json.dumps(answer))

    with aioresponses() as mocked:
        mocked.add(f"{API}{target}", verb, callback=record)
        assert isinstance(await call(eu), result)
    [options] = sent
    assert options["headers"]["Authorization"] == "Zoho-oauthtoken token"
    assert options["allow_redirects"] is False
    if verb in ("POST", "PUT") and "active" not in target:
        upserts = verb == "PUT" and "/42" not in target
        field = {"custom_fields": [{"api_name": "cf_a", "value": "1"}]}
        assert json.loads(options["data"]) == BODY | (field if upserts else {})
    else:
        assert options["data"] is None
    if verb == "PUT" and "/42" not in target:
        headers = {name: value for name, value in options["headers"].items() if name.startswith("X-")}
        assert headers == {
            "X-Unique-Identifier-Key": "cf_a",
            "X-Unique-Identifier-Value": "1",
            "X-Upsert": "true",
        }


async def test_a_struct_and_a_mapping_send_the_same(eu: Zoho) -> None:
    sent: list[bytes] = []

    def record(_: Any, **options: Any) -> CallbackResult:
        sent.append(options["data"])
        return CallbackResult(body=json.dumps(RECORD))

    with aioresponses() as mocked:
        mocked.post(f"{API}/contacts?{ORGANIZATION}", callback=record, repeat=True)
        await eu.books.contacts.create(BODY)
        await eu.books.contacts.create(ContactCreate(contact_name="x"))
    assert sent == [b'{"contact_name":"x"}'] * 2


async def test_a_page_of_the_size_of_real_ones_reads(eu: Zoho) -> None:
    rows = [{"contact_id": str(number), "contact_name": "n" * 900} for number in range(200)]
    body = json.dumps({"code": 0, "contacts": rows, "page_context": {"page": 1}})
    assert len(body) > 65536, "the mock once broke above 64 KiB"
    with aioresponses() as mocked:
        mocked.get(f"{API}/contacts?{ORGANIZATION}", body=body)
        page = await eu.books.contacts.list()
    assert isinstance(page.rows[199], ContactRow)
    assert page.rows[199].contact_id == "199"
