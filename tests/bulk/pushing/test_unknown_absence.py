"""Nothing is made on the strength of a list whose end is not known, or of a record that is only said to be deleted."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.client import client_of

from zoho_async import Zoho, bulk
from zoho_async.bulk.pushing import target_index
from zoho_async.bulk.pushing.call_control import DELETED_THRESHOLD
from zoho_async.errors import UnavailableError, ZohoError
from zoho_async.fake import FakeZoho
from zoho_async.transport import retry_policy as policy
from zoho_async.transport.http import HttpAdapter, HttpResult
from zoho_async.wire.encoding import EncodedRequest

Rewrite = Callable[[EncodedRequest, dict[str, Any]], object]
"""Changes the response to a request; what it returns, if anything, takes its place: a status and a body."""

KEY = "cf_external_id"
RESOURCES = ("books.contacts", "billing.customers", "expense.customers", "books.contact_persons")


class Responses:
    """Responses on their way to the client."""

    rewrite: Rewrite | None = None


@pytest.fixture
def responses(monkeypatch: pytest.MonkeyPatch) -> Responses:
    found, send = Responses(), HttpAdapter.send

    async def sent(
        self: HttpAdapter, base: str, request: EncodedRequest, *arguments: Any, **options: Any
    ) -> HttpResult:
        result = await send(self, base, request, *arguments, **options)
        if found.rewrite is None or result.outcome.status is None:
            return result
        body = msgspec.json.decode(result.body)
        other: Any = found.rewrite(request, body)
        status, body = other if isinstance(other, tuple) else (result.outcome.status, body)
        content = body if isinstance(body, bytes) else msgspec.json.encode(body)
        outcome = msgspec.structs.replace(result.outcome, status=status)
        return msgspec.structs.replace(result, outcome=outcome, body=content)

    monkeypatch.setattr(HttpAdapter, "send", sent)
    monkeypatch.setattr(policy, "retry_delay", lambda *_: 0.001)
    return found


def resource_of(zoho: Zoho, name: str) -> Any:
    product, _, resource = name.partition(".")
    return getattr(getattr(zoho, product), resource)


Filled = tuple[FakeZoho, Any, list[dict[str, Any]]]


@asynccontextmanager
async def filled(resource: str, count: int, **options: Any) -> AsyncIterator[Filled]:
    """A fake with records of a resource, and rows that each change one."""
    async with FakeZoho(per_minute=None, **options) as fake, client_of(fake, retries=1) as zoho:
        people = [{"first_name": f"N{number}", "email": f"e{number}@x.example"} for number in range(count)]
        if resource == "books.contact_persons":
            (contact,) = fake.seed([{"contact_name": "A", "contact_persons": people}])
            rows = [{"contact_id": contact["contact_id"], **one, "phone": "7"} for one in people]
        else:
            fake.seed({"contact_name": one["first_name"], **one, "contact_persons": [one]} for one in people)
            rows = [row_of(resource, one) for one in people]
        yield fake, resource_of(zoho, resource), rows


def row_of(resource: str, person: dict[str, str]) -> dict[str, Any]:
    match resource:
        case "books.contacts":
            return {"contact_name": person["first_name"], "notes": "x", "contact_persons": [person]}
        case "billing.customers":
            return {"display_name": person["first_name"], "email": person["email"], "company_name": "x"}
        case _:
            return {"contact_name": person["first_name"], "email": person["email"], "company_name": "x"}


async def actions_of(push: Any) -> list[str]:
    async with push:
        return [f"{one.status} {one.action}" async for one in push]


def listed(request: EncodedRequest, body: dict[str, Any]) -> bool:
    lists = [name for name, value in body.items() if isinstance(value, list)]
    return request.method == "GET" and bool(lists) and "customfields" not in lists


CONTEXTS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "absent": lambda body: body.pop("page_context", None) and None,
    "null": lambda body: body.update(page_context=None),
    "list": lambda body: body.update(page_context=[body.get("page_context")]),
    "text": lambda body: body.update(page_context={"has_more_page": "maybe"}),
    "empty": lambda body: body.update(page_context={}),
}


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("count", [7, 8, 12])
@pytest.mark.parametrize("resource", RESOURCES)
async def test_a_list_that_does_not_say_its_end_is_read_to_its_end(
    responses: Responses, monkeypatch: pytest.MonkeyPatch, resource: str, count: int, context: str
) -> None:
    monkeypatch.setattr(target_index, "PER_PAGE", 4)
    responses.rewrite = lambda request, body: CONTEXTS[context](body) if listed(request, body) else None
    async with filled(resource, count) as (fake, target, rows):
        assert await actions_of(bulk.push(target, rows, match_by="email")) == ["done updated"] * count
        assert fake.requests(f"{resource}.create") == 0


@pytest.mark.parametrize("resource", ["billing.customers", "expense.customers"])
@pytest.mark.parametrize("match_by", ["email", None])
async def test_the_documented_shape_makes_no_second_record(resource: str, match_by: str | None) -> None:
    async with filled(resource, 215, shape="documented") as (fake, target, rows):
        push = bulk.push(target, rows, match_by=match_by, on_existing="update")
        assert await actions_of(push) == ["done updated"] * 215
        assert fake.requests(f"{resource}.create") == 0


@pytest.mark.parametrize("resource", ["books.contacts", "books.contact_persons"])
async def test_a_server_with_smaller_pages_than_asked_for_is_read_to_the_end(
    responses: Responses, resource: str
) -> None:
    key = resource.partition(".")[2]

    def small(request: EncodedRequest, body: dict[str, Any]) -> None:
        if listed(request, body) and key in body:
            del body["page_context"]
            page = int(request.target.partition("page=")[2].partition("&")[0])
            body[key] = everything[3 * page - 3 : 3 * page]

    async with filled(resource, 8) as (fake, target, rows):
        of = [one] if (one := rows[0].get("contact_id")) else []
        everything = [msgspec.json.decode(raw) for raw in (await target.list(*of, per_page=200)).raw]
        responses.rewrite = small
        assert await actions_of(bulk.push(target, rows, match_by="email")) == ["done updated"] * 8
        assert fake.requests(f"{resource}.create") == 0


@pytest.mark.parametrize("resource", RESOURCES)
async def test_a_list_that_repeats_its_first_page_does_not_say_what_follows(
    responses: Responses, resource: str
) -> None:
    first: dict[str, Any] = {}

    def repeat(request: EncodedRequest, body: dict[str, Any]) -> None:
        if listed(request, body):
            body["page_context"] = None
            name = next(name for name, value in body.items() if isinstance(value, list))
            body[name] = first.setdefault(name, body[name][:5])

    async with filled(resource, 8) as (fake, target, rows):
        responses.rewrite = repeat
        with pytest.raises(UnavailableError, match="the end of the list is not known"):
            await actions_of(bulk.push(target, rows, match_by="email"))
        assert fake.requests(f"{resource}.create") == 0


async def test_a_row_that_was_shifted_to_the_last_page_is_no_repetition(
    responses: Responses, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(target_index, "PER_PAGE", 4)
    last: list[Any] = []

    def shift(request: EncodedRequest, body: dict[str, Any]) -> None:
        if listed(request, body):
            body["page_context"] = None
            if request.target.find("page=2&") > 0 and not body["contacts"]:
                body["contacts"] = last
            last[:] = body["contacts"][-1:] or last

    async with filled("books.contacts", 4) as (_, target, rows):
        responses.rewrite = shift
        assert await actions_of(bulk.push(target, rows, match_by="email")) == ["done updated"] * 4


@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("resource", RESOURCES)
async def test_one_empty_response_that_does_not_say_its_end_shows_no_absence(
    responses: Responses, resource: str, context: str
) -> None:
    left = [1]

    def empty_once(request: EncodedRequest, body: dict[str, Any]) -> None:
        if listed(request, body):
            CONTEXTS[context](body)
            if left and left.pop():
                body.update({name: [] for name, value in body.items() if isinstance(value, list)})

    async with filled(resource, 8) as (fake, target, rows):
        responses.rewrite = empty_once
        assert await actions_of(bulk.push(target, rows, match_by="email")) == ["done updated"] * 8
        assert fake.requests(f"{resource}.create") == 0


UNREADABLE: dict[str, Callable[[list[Any]], Any]] = {
    "null": lambda rows: None,
    "text": lambda rows: "[]",
    "false": lambda rows: False,
    "empty object": lambda rows: {},
    "object": lambda rows: {str(number): row for number, row in enumerate(rows)},
    "nested": lambda rows: [rows],
    "a null row": lambda rows: [None, *rows[1:]],
    "a row without an id": lambda rows: [*rows[1:], {**rows[0], "contact_id": None}],
    "a row with an empty id": lambda rows: [*rows[1:], {**rows[0], "contact_id": ""}],
}


@pytest.mark.parametrize("shape", UNREADABLE)
async def test_a_list_that_cannot_be_read_says_nothing_of_what_it_does_not_show(
    responses: Responses, shape: str
) -> None:
    def rewrite(request: EncodedRequest, body: dict[str, Any]) -> None:
        if listed(request, body):
            body["contacts"] = UNREADABLE[shape](body["contacts"])

    async with filled("books.contacts", 3) as (fake, target, rows):
        responses.rewrite = rewrite
        with pytest.raises(UnavailableError, match="cannot be read"):
            await actions_of(bulk.push(target, rows, match_by="email"))
        assert fake.requests("books.contacts.create") == 0


@pytest.mark.parametrize(("hidden", "null"), [([0, 1, 2], True), ([0, 1, 2], False), ([1], False)])
async def test_a_key_that_the_list_hides_is_read_from_the_record(
    responses: Responses, hidden: list[int], null: bool
) -> None:
    def rewrite(request: EncodedRequest, body: dict[str, Any]) -> None:
        for number in hidden if listed(request, body) else ():
            del body["contacts"][number]["email"]
            if null:
                body["contacts"][number]["email"] = None

    async with filled("books.contacts", 3) as (fake, target, rows):
        responses.rewrite = rewrite
        assert await actions_of(bulk.push(target, rows, match_by="email")) == ["done updated"] * 3
        assert fake.requests("books.contacts.create") == 0


def repeats(request: EncodedRequest, body: dict[str, Any]) -> None:
    """The first page for ever."""
    if listed(request, body):
        body["contacts"] = [{"contact_id": "1", "contact_name": "A", "email": "a@x.example", KEY: "K7"}]
        body["page_context"]["has_more_page"] = True


def without_ids(request: EncodedRequest, body: dict[str, Any]) -> None:
    if listed(request, body):
        body["contacts"] = [{**row, "contact_id": None} for row in body["contacts"]]
        body["page_context"]["has_more_page"] = True


@pytest.mark.parametrize("rewrite", [repeats, without_ids])
@pytest.mark.parametrize("options", [{"match_by": "email"}, {}, {"upsert_by": KEY}])
async def test_a_list_without_an_end_makes_nothing_and_ends_the_push(
    responses: Responses, rewrite: Rewrite, options: dict[str, Any]
) -> None:
    responses.rewrite = rewrite
    async with filled("books.contacts", 3) as (fake, target, rows):
        given = [{**row, KEY: f"K{number}"} for number, row in enumerate(rows)]
        with pytest.raises(UnavailableError, match=r"the end of the list is not known: page \d should"):
            await actions_of(bulk.push(target, given, **options))
        with pytest.raises(UnavailableError, match="the end of the list is not known"):
            await bulk.plan(target, given, **options)
        assert [fake.requests(f"books.contacts.{name}") for name in ("create", "upsert", "update")] == [0, 0, 0]
        assert fake.requests("books.contacts.list") <= 4


GONE = (404, {"code": 1002, "message": "Contact does not exist."})
GATEWAY: list[tuple[int, Any]] = [
    (404, b"no healthy upstream"),
    (404, b""),
    (404, {"code": 5, "message": "Invalid URL Passed"}),
]


def says(response: tuple[int, Any]) -> Rewrite:
    """Every record by itself is answered so."""
    return lambda request, body: response if request.method == "GET" and not listed(request, body) else None


async def made_and_enriched(fake: FakeZoho, target: Any, options: dict[str, Any], state: Path) -> list[dict[str, Any]]:
    """Rows that were pushed, and whose contacts got a person by hand since."""
    rows = [
        {
            "contact_name": f"N{number}",
            KEY: f"K{number}",
            "contact_persons": [{"first_name": "A", "email": f"g{number}@x.example"}],
        }
        for number in range(3)
    ]
    assert await actions_of(bulk.push(target, rows, state=state, **options)) == ["done created"] * 3
    organization = fake.organization()
    for record in list(organization.contacts.values()):
        by_hand = {"first_name": "By hand", "contact_person_id": organization.new_id()}
        organization.put({**record, "contact_persons": [*record["contact_persons"], by_hand]})
    return [{**row, "notes": "second"} for row in rows]


@pytest.mark.parametrize("response", [GONE, *GATEWAY])
@pytest.mark.parametrize("options", [{"match_by": "email"}, {"on_existing": "update"}, {"upsert_by": KEY}])
@pytest.mark.parametrize("known", [True, False])
async def test_a_record_that_the_list_shows_is_not_deleted(
    responses: Responses, tmp_path: Path, response: tuple[int, Any], options: dict[str, Any], known: bool
) -> None:
    async with filled("books.contacts", 0) as (fake, target, _):
        rows = await made_and_enriched(fake, target, options, tmp_path / "s")
        responses.rewrite = says(response)
        push = bulk.push(target, rows, state=tmp_path / "s" if known else None, **options)
        if response is GONE:
            with pytest.raises(UnavailableError, match=r"Zoho lists record \d+ and says that it does not exist"):
                await actions_of(push)
            assert push.summary.rows == 0
        else:
            assert await actions_of(push) == ["failed none"] * 3
        contacts = fake.organization().contacts.values()
        assert [len(one["contact_persons"]) for one in contacts] == [2, 2, 2]
        responses.rewrite = None
        again = bulk.push(target, rows, state=tmp_path / "s", **options)
        assert await actions_of(again) == ["done updated"] * 3
        assert [len(one["contact_persons"]) for one in contacts] == [2, 2, 2]


@pytest.mark.parametrize("response", [GONE, *GATEWAY])
async def test_a_key_that_the_list_does_not_show_is_not_absent(responses: Responses, response: tuple[int, Any]) -> None:
    async with filled("books.contacts", 3) as (fake, target, rows):
        responses.rewrite = says(response)
        with pytest.raises(ZohoError, match=r"does not exist|HTTP 404|Invalid URL"):
            await actions_of(bulk.push(target, rows, match_by="notes"))
        assert fake.requests("books.contacts.create") == 0


@pytest.mark.parametrize("resource", RESOURCES)
async def test_a_record_that_was_deleted_is_made_again(resource: str, tmp_path: Path) -> None:
    """Where the list that is read again agrees."""
    async with filled(resource, 2) as (fake, target, rows):
        organization = fake.organization()

        async def given() -> AsyncIterator[dict[str, Any]]:
            yield rows[0]
            contact = list(organization.contacts.values())[-1]
            if resource == "books.contact_persons":
                organization.put({**contact, "contact_persons": contact["contact_persons"][:1]})
            else:
                organization.remove(contact["contact_id"])
            yield rows[1]

        push = bulk.push(target, given(), match_by="email", concurrency=1, state=tmp_path / "s")
        # Only a list shows a person, and the update finds it deleted: the next run makes it.
        end = "failed none" if resource == "books.contact_persons" else "done created"
        assert await actions_of(push) == ["done updated", end]


async def test_many_deleted_records_in_a_row_end_the_push(responses: Responses, tmp_path: Path) -> None:
    """What an earlier run has made, the list does not show any more, and Zoho says does not exist."""

    def hides(request: EncodedRequest, body: dict[str, Any]) -> Any:
        if listed(request, body):
            body["contacts"] = []
            return None
        return GONE if request.method == "GET" else None

    count = 3 * DELETED_THRESHOLD
    async with filled("books.contacts", 0) as (fake, target, _):
        rows = [{"contact_name": f"N{number}", "company_name": f"K{number}"} for number in range(count)]
        options: dict[str, Any] = {"match_by": "company_name", "state": tmp_path / "s", "concurrency": 1}
        assert await actions_of(bulk.push(target, rows, **options)) == ["done created"] * count
        responses.rewrite = hides
        with pytest.raises(UnavailableError, match=f"{DELETED_THRESHOLD} records in a row .* of another organisation"):
            await actions_of(bulk.push(target, rows, **options))
        assert fake.requests("books.contacts.create") < count + DELETED_THRESHOLD
