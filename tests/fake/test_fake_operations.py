"""Every operation of the registry answers, in every shape, and is checked before it does."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

import aiohttp
import pytest

from zoho_async import Limits, StaticToken, Zoho, operations
from zoho_async.fake import Clock, FakeZoho
from zoho_async.fake.pipeline import HANDLERS
from zoho_async.fake.rendering.examples import REQUESTS, RESPONSES
from zoho_async.fake.rendering.shapes import SHAPES
from zoho_async.schema.operation import Operation, Parameter
from zoho_async.schema.registry import PRODUCTS

Ask: TypeAlias = Callable[..., Awaitable[Any]]

DOCUMENTED = "460000000026049"
BY_ID = {operation.id: operation for operation in operations()}
VALUES = {"integer": "1", "number": "0.50", "boolean": "true", "date": "2026-06-09", "strings": DOCUMENTED}
UNDOCUMENTED: dict[str, Any] = {
    "books.tags.update": {"tags": []},
    "books.contacts.add_attachment": {},
    "books.contact_persons.create": {"first_name": "Will", "contact_id": DOCUMENTED},
    "books.contact_persons.update": {"first_name": "Will"},
}


@pytest.fixture(params=SHAPES)
async def shaped(request: pytest.FixtureRequest, clock: Clock) -> AsyncIterator[FakeZoho]:
    async with FakeZoho(shape=request.param, clock=clock, per_minute=None) as running:
        yield running
        assert running.crashes == 0, "\n".join(running.problems)


def prepared(fake: FakeZoho) -> dict[str, str]:
    """One contact with something of everything; returns the ids as paths name them."""
    address = {"address": "4900 Hopyard Rd", "city": "Pleasanton"}
    (record,) = fake.seed(
        [
            {
                "contact_id": DOCUMENTED,
                "contact_name": "Bowman",
                "billing_address": address,
                "contact_persons": [
                    {"contact_person_id": "460000000026051", "first_name": "Will", "email": "will@bowman.invalid"}
                ],
                "zcrm_account_id": "77",
                "cf_external_id": "42",
            }
        ]
    )
    return {
        "contact_id": DOCUMENTED,
        "customer_id": DOCUMENTED,
        "contact_person_id": record["contact_persons"][0]["contact_person_id"],
        "address_id": record["billing_address"]["address_id"],
        "reference_id": "77",
    }


def sample(parameter: Parameter) -> str:
    return parameter.values[0] if parameter.values else VALUES.get(parameter.type, "1")


def body_of(operation: Operation[Any], ids: dict[str, str]) -> Any:
    if operation.request is None:
        return None
    body = json.loads(REQUESTS[operation.id]) if operation.id in REQUESTS else UNDOCUMENTED.get(operation.id, {})
    if operation.id == "books.contacts.enable_portal":
        body = {"contact_persons": [{"contact_person_id": ids["contact_person_id"]}]}
    if operation.id in ("expense.customers.create", "expense.customers.update"):
        # The field of the example does not exist here.
        body = {name: value for name, value in body.items() if name != "custom_fields"}
    if body.get("tax_treatment") == "string":
        # The document gives the kind of the value where a value should stand.
        body["tax_treatment"] = "non_mexico"
    if operation.id.endswith(("contact_persons.create", "contact_persons.update")):
        body["contact_id"] = DOCUMENTED
    return body


def client(fake: FakeZoho) -> Zoho:
    return Zoho(
        StaticToken(fake.access_token),
        organization_id=fake.organization_id,
        api_url=fake.url,
        limits=Limits(per_minute=None),
        retries=0,
    )


def arguments(operation: Operation[Any], ids: dict[str, str]) -> dict[str, Any]:
    found: dict[str, dict[str, str]] = {"path": {}, "query": {}, "header": {}}
    for parameter in operation.parameters:
        if parameter.location == "path":
            found["path"][parameter.name] = ids.get(parameter.name, "1")
        elif parameter.required:
            found[parameter.location][parameter.name] = sample(parameter)
    if operation.id == "books.contacts.upsert":
        found["header"] = {"X-Unique-Identifier-Key": "cf_external_id", "X-Unique-Identifier-Value": "42"}
    return {"path": found["path"], "query": found["query"], "headers": found["header"]}


@pytest.mark.parametrize("operation_id", BY_ID)
async def test_every_operation_answers_what_its_method_reads(shaped: FakeZoho, operation_id: str) -> None:
    operation, ids = BY_ID[operation_id], prepared(shaped)
    async with client(shaped) as zoho:
        if operation.id in ("books.documents.get", "books.documents.update", "books.documents.delete"):
            await zoho.books.contacts.add_attachment(DOCUMENTED, attachment=b"\x00\r\n--x\xff")
            ids["document_id"] = next(iter(shaped.organization().documents))
        if operation.id == "books.comments.delete":
            await zoho.books.comments.create(DOCUMENTED, {"description": "A"})
            ids["comment_id"] = shaped.organization().comments[DOCUMENTED][0]["comment_id"]
        files = {"attachment": b"bytes"} if operation.id == "books.contacts.add_attachment" else {}
        response = await zoho.send(
            operation, **arguments(operation, ids), body=body_of(operation, ids), **({"files": files} if files else {})
        )
        assert response.status in (200, 201)
        if operation.kind != "file":
            assert response.code == 0
        else:
            assert response.data == b"\x00\r\n--x\xff"
        # The one exception answers with the documents' own example, which has a number where text belongs.
        if shaped.shape != "documented" and (shaped.shape, operation.id) != ("live", "books.reports.list_refunds"):
            assert zoho.drift() == {}
    assert shaped.acts(operation_id) >= 1


def test_what_has_no_behaviour_is_documented_or_undocumented() -> None:
    bare = [each for each in BY_ID if each not in HANDLERS and each not in RESPONSES]
    # It has no behaviour table entry because it needs all organisations, and no document at all.
    assert bare == ["books.organizations.list", "books.tags.update"]


@pytest.mark.parametrize(
    ("method", "path", "query", "body", "expected"),
    [
        ("GET", "/contacts/x1/refunds", {}, None, (404, 1002)),
        ("GET", "/contacts/1/refunds", {}, None, (404, 1002)),
        ("GET", f"/contacts/{'9' * 20}/refunds", {}, None, (404, 1002)),
        ("GET", f"/contacts/{DOCUMENTED}/refunds", {}, None, (200, 0)),
        ("GET", f"/contacts/{DOCUMENTED}/refunds", {"pge": "1"}, None, (400, 4)),
        ("GET", f"/contacts/{DOCUMENTED}/refunds", {"page": "one"}, None, (400, 2)),
        ("GET", f"/contacts/{DOCUMENTED}/statements/email", {"start_date": "yesterday"}, None, (400, 2)),
        ("GET", f"/contacts/{DOCUMENTED}/statements/email", {"start_date": "2026-06-09"}, None, (200, 0)),
        ("GET", "/contacts/address/verify", {}, None, (400, 6)),
        ("GET", "/contacts/address/verify", {"line1": "x" * 61}, None, (400, 15)),
        ("GET", "/contacts/address/verify", {"line1": "x" * 60}, None, (200, 0)),
        ("POST", f"/contacts/{DOCUMENTED}/email", {}, {"to_mail_ids": ["a@b.c"], "subject": "S"}, (400, 6)),
        ("POST", f"/contacts/{DOCUMENTED}/email", {}, {"to_mail_ids": "x", "subject": "S", "body": "B"}, (400, 2)),
        ("POST", f"/contacts/{DOCUMENTED}/email", {}, {"to_mail_ids": ["x"], "subject": "S", "body": "B"}, (200, 0)),
        ("POST", f"/contacts/{DOCUMENTED}/email", {}, b"{", (400, 1038)),
        ("POST", f"/contacts/{DOCUMENTED}/email", {}, None, (400, 1038)),
        ("POST", f"/contacts/{DOCUMENTED}/bankaccount", {}, {"accept_license": "perhaps"}, (400, 2)),
        ("POST", f"/contacts/{DOCUMENTED}/card", {}, {"expire_month": "12", "unheard_of": 1}, (200, 0)),
    ],
)
async def test_requests_are_checked(
    call: Ask, method: str, path: str, query: dict[str, str], body: object, expected: tuple[int, int]
) -> None:
    status, answer = await call("books", method, path, body, query=query)
    assert (status, answer["code"]) == expected, answer
    assert answer["message"]


async def test_a_closed_value_of_another_product(call: Ask) -> None:
    status, answer = await call("billing", "GET", "/customers/reference/1", query={"reference_id_type": "sql_id"})
    assert (status, answer["code"]) == (400, 4)
    status, answer = await call(
        "billing", "POST", "/customers", {"display_name": "A", "email": "a@b.c", "vat_treatment": "x"}
    )
    assert (status, answer["code"]) == (400, 4)


@pytest.mark.parametrize(
    ("product", "path"), [("books", "/contacts"), ("expense", "/contacts"), ("billing", "/customers")]
)
async def test_the_organisation_stands_where_the_product_wants_it(
    call: Ask, fake: FakeZoho, product: str, path: str
) -> None:
    status, answer = await call(product, "GET", path, organization="1")
    assert (status, answer["code"]) == (400, 6041)
    assert (await call(product, "GET", path, organization="20469390"))[0] == 200
    assert fake.received[-1].organization_id == "20469390"


@pytest.mark.parametrize("operation_id", BY_ID)
async def test_every_operation_wants_its_scope(operation_id: str, session: aiohttp.ClientSession) -> None:
    operation = BY_ID[operation_id]
    async with FakeZoho(scopes=["ZohoBooks.nothing.READ"]) as fake:
        path = "/".join("1" if part.startswith("{") else part for part in operation.path.split("/"))
        headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}
        url = f"{fake.url}{PRODUCTS[operation.product].root}{path}"
        async with session.request(operation.method, url, headers=headers) as response:
            assert (response.status, (await response.json())["code"]) == (401, 57)
        assert fake.counts == {operation_id: {"requests": 1, "acted": 0}}
