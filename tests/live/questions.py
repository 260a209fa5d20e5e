"""What the documents leave open, and how Zoho is asked. Each answer names codes, keys and kinds, never data."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from zoho_async import Limits, Upload, Zoho, errors

PREFIX = "zoho_async live"
"""All contacts that are created here have names that begin so."""

CONTACTS = "/books/v3/contacts"
UNKNOWN_ID = "1"


@dataclass
class Trial:
    """One run: its client, what it may do, and what it has seen."""

    zoho: Zoho
    name: str
    """Of the contact that is used by most questions."""
    throttled: Mapping[int, list[str]]
    """Names and values of the headers of each 429, by code."""
    email: str | None = None
    """Of somebody who expects an e-mail."""
    contact_id: str = ""
    unique_field: str | None = None


@dataclass(frozen=True)
class Question:
    """One row of the table."""

    name: str
    title: str
    assumed: str
    """What this library does until somebody has asked."""
    calls: int
    ask: Callable[[Trial], Awaitable[str]]
    needs: str = ""
    """The option without which it is not asked."""


async def ask(question: Question, trial: Trial) -> str:
    """The answer in a few words; a refusal is one too."""
    try:
        return await question.ask(trial)
    except errors.ZohoError as error:
        return f"not answered: {refusal(error)}"
    except (LookupError, TypeError, AttributeError, ValueError) as error:
        return f"not understood: {type(error).__name__}"


def refusal(error: errors.ZohoError) -> str:
    """Class, status, code and message of an error, without its operation and organisation."""
    message = (error.message or type(error).__name__).replace(error.organization_id or "\0", "ORGANISATION")
    return f"{type(error).__name__} (HTTP {error.status}, code {error.code}): {message}"


async def expect_refusal(call: Awaitable[Any]) -> str:
    """How a call is refused."""
    try:
        await call
    except errors.RefusedError as error:
        return refusal(error)
    return "accepted"


async def first_contact(trial: Trial) -> str:
    contact = await trial.zoho.books.contacts.create(
        {
            "contact_name": trial.name,
            "notes": "may be deleted",
            "contact_persons": [{"email": trial.email, "is_primary_contact": True}] if trial.email else [],
        }
    )
    trial.contact_id = contact.contact_id
    raw = await trial.zoho.request("GET", f"{CONTACTS}/{contact.contact_id}")
    return f"`{raw.data['contact'].get('last_modified_time', '')}`"


async def rate_headers(trial: Trial) -> str:
    response = await trial.zoho.request("GET", CONTACTS, query={"per_page": 1})
    names = sorted(name.lower() for name in response.headers if "rate" in name.lower() or "retry" in name.lower())
    return keys(names)


async def count_only(trial: Trial) -> str:
    response = await trial.zoho.request("GET", CONTACTS, query={"response_option": 2, "per_page": 1})
    rows = "with rows" if response.data.get("contacts") else "without rows"
    return f"{rows}; page_context: {keys(response.data.get('page_context'))}"


def page_context(operation: str) -> Callable[[Trial], Awaitable[str]]:
    async def asked(trial: Trial) -> str:
        response = await trial.zoho.send(operation, query={"page": 1, "per_page": 1})
        return f"{len(response.data)} row; page_context: {keys(json.loads(response.body).get('page_context'))}"

    return asked


async def page_of_201(trial: Trial) -> str:
    response = await trial.zoho.request("GET", CONTACTS, query={"per_page": 201})
    return f"per_page is {response.data['page_context'].get('per_page')}"


async def unknown_filter(trial: Trial) -> str:
    response = await trial.zoho.request("GET", CONTACTS, query={"filter_by": "Status.Nonsense", "per_page": 1})
    return f"applied_filter is `{response.data['page_context'].get('applied_filter')}`"


async def sorted_by_change(trial: Trial) -> str:
    query = {"sort_column": "last_modified_time", "sort_order": "D", "per_page": 1}
    context = (await trial.zoho.request("GET", CONTACTS, query=query)).data["page_context"]
    return f"sorted by {context.get('sort_column')}, {context.get('sort_order')}"


async def unknown_record(trial: Trial) -> str:
    return await expect_refusal(trial.zoho.request("GET", f"{CONTACTS}/{UNKNOWN_ID}"))


async def duplicate_name(trial: Trial) -> str:
    return await expect_refusal(trial.zoho.books.contacts.create({"contact_name": trial.name}))


async def cleared_by_null(trial: Trial) -> str:
    path = f"{CONTACTS}/{trial.contact_id}"
    await trial.zoho.request("PUT", path, body={"notes": None})
    contact = (await trial.zoho.request("GET", path)).data["contact"]
    return "null clears" if not contact.get("notes") else "null changes nothing"


async def custom_fields(trial: Trial) -> str:
    response = await trial.zoho.request("GET", "/books/v3/settings/customfields", query={"entity": "contact"})
    found = list(field_records(response.data))
    unique = [one["api_name"] for one in found if one.get("is_unique") or one.get("unique")]
    trial.unique_field = trial.unique_field or next(iter(unique), None)
    return f"answered; {len(found)} fields, {len(unique)} of them unique; a field has {keys(found[0] if found else {})}"


def field_records(data: Any) -> Sequence[Mapping[str, Any]]:
    """Every object with an api_name, wherever it lies."""
    if isinstance(data, dict):
        own = [data] if isinstance(data.get("api_name"), str) else []
        return [*own, *(one for value in data.values() for one in field_records(value))]
    return [one for value in data for one in field_records(value)] if isinstance(data, list) else []


async def upsert_fills(trial: Trial) -> str:
    if trial.unique_field is None:
        return "not asked: the organisation has no unique custom field (--unique-field names one)"
    value = trial.name.rsplit(" ", 1)[-1]
    body = {"contact_name": f"{trial.name} upsert"}
    response = await upsert(trial, trial.unique_field, value, body, create=True)
    path = f"{CONTACTS}/{response.data['contact']['contact_id']}"
    contact = (await trial.zoho.request("GET", path)).data["contact"]
    filled = any(one.get("value") == value for one in contact.get("custom_fields") or [])
    return "Zoho fills the field" if filled or contact.get(trial.unique_field) == value else "the field stays empty"


async def upsert_unknown_field(trial: Trial) -> str:
    body = {"contact_name": f"{trial.name} unknown field"}
    return await expect_refusal(upsert(trial, "cf_zoho_async_no_such_field", "1", body, create=True))


async def upsert_unknown_value(trial: Trial) -> str:
    if trial.unique_field is None:
        return "not asked: the organisation has no unique custom field (--unique-field names one)"
    return await expect_refusal(upsert(trial, trial.unique_field, "no such value", {"notes": "x"}, create=False))


async def upsert(trial: Trial, name: str, value: str, body: dict[str, Any], *, create: bool) -> Any:
    """Without the field in the body, which the method of the client would put there."""
    headers = {"X-Unique-Identifier-Key": name, "X-Unique-Identifier-Value": value, "X-Upsert": str(create).lower()}
    return await trial.zoho.request("PUT", CONTACTS, headers=headers, body=body)


async def attachment(trial: Trial) -> str:
    file = Upload(b"%PDF-1.4 zoho_async", filename="live.pdf", content_type="application/pdf")
    await trial.zoho.books.contacts.add_attachment(trial.contact_id, file)
    contact = (await trial.zoho.request("GET", f"{CONTACTS}/{trial.contact_id}")).data["contact"]
    documents = contact.get("documents") or []
    return f"accepted; documents hold {keys(documents[-1]) if documents else 'nothing'}"


async def statement_as_pdf(trial: Trial) -> str:
    path = f"{CONTACTS}/{trial.contact_id}/statements"
    plain = await trial.zoho.request("GET", path)
    pdf = await trial.zoho.request("GET", path, query={"accept": "pdf"})
    kind = next((value for name, value in pdf.headers.items() if name.lower() == "content-type"), "")
    return f"without accept: {keys(plain.data)}; with accept=pdf: {kind}"


async def email_as_multipart(trial: Trial) -> str:
    body = {"to_mail_ids": [trial.email], "subject": "zoho_async live", "body": "A test that you have asked for."}
    file = Upload(b"%PDF-1.4 zoho_async", filename="live.pdf", content_type="application/pdf")
    return await expect_refusal(trial.zoho.books.contacts.email(trial.contact_id, body, attachments=file))


async def too_many_at_once(trial: Trial) -> str:
    return await provoke(trial, 1070, calls=40, at_once=40)


async def too_many_a_minute(trial: Trial) -> str:
    return await provoke(trial, 44, calls=130, at_once=4)


async def provoke(trial: Trial, code: int, *, calls: int, at_once: int) -> str:
    """Reads until Zoho refuses one with this code; none is repeated."""
    limits = Limits(per_minute=None, concurrency=at_once, burst=at_once)
    zoho = trial.zoho.with_options(limits=limits, retries=0, max_wait=0)
    turns, sent = asyncio.Semaphore(at_once), 0

    async def one() -> None:
        nonlocal sent
        async with turns:
            if code in trial.throttled or zoho.quota.remaining in range(200):
                return
            sent += 1
            with contextlib.suppress(errors.RateLimitError):
                await zoho.books.contacts.list(per_page=1)

    await asyncio.gather(*(one() for _ in range(calls)))
    if code not in trial.throttled:
        others = "".join(f", but with code {other}" for other in trial.throttled)
        return f"not refused with code {code}{others} in {sent} calls"
    return f"after {sent} calls: {', '.join(trial.throttled[code]) or 'no header of a limit'}"


def keys(value: Any) -> str:
    """The names in an object or list, for the table."""
    return ", ".join(f"`{name}`" for name in value) if value else "none"


QUESTIONS = (
    Question("created", "what is the finest part of `last_modified_time`", "whole seconds", 2, first_contact),
    Question("rate_headers", "headers of a limit in a success", "`x-rate-limit-*` of the day", 1, rate_headers),
    Question("count_only", "`response_option=2`", "only a count, `total` in page_context", 1, count_only),
    Question("books_page", "page_context of Books", "has_more_page", 1, page_context("books.contacts.list")),
    Question(
        "expense_page",
        "page_context of Expense",
        "may be missing: read to a page without rows",
        1,
        page_context("expense.customers.list"),
    ),
    Question(
        "billing_page",
        "page_context of Billing",
        "may be missing: read to a page without rows",
        1,
        page_context("billing.customers.list"),
    ),
    Question("page_of_201", "`per_page=201`", "refused here, before a call", 1, page_of_201),
    Question("unknown_filter", "a misspelt filter_by", "ignored: the applied filter is compared", 1, unknown_filter),
    Question("sorted", "`sort_column=last_modified_time`, `sort_order=D`", "works", 1, sorted_by_change),
    Question("unknown_record", "a contact that is not there", "HTTP 404, code 1002", 1, unknown_record),
    Question("duplicate_name", "a second contact of one name", "refused with code 3062", 1, duplicate_name),
    Question("null", "null in an update", "clears the field", 2, cleared_by_null),
    Question("custom_fields", "`settings/customfields`", "lists the fields and which are unique", 1, custom_fields),
    Question("upsert_fills", "whether an upsert fills its field", "unknown: sent in the body too", 2, upsert_fills),
    Question("upsert_field", "an upsert by an unknown field", "refused", 1, upsert_unknown_field),
    Question("upsert_value", "an update by an unknown value", "refused with code 1002", 1, upsert_unknown_value),
    Question("attachment", "a file in the part `attachment`", "accepted, listed in documents", 2, attachment),
    Question("statement", "a statement as PDF", "not offered", 2, statement_as_pdf),
    Question("email", "an e-mail as multipart", "accepted", 1, email_as_multipart, "--email"),
)
"""In this order; the first makes the contact of the others."""

PROVOKED = (
    Question("at_once", "headers of 429, code 1070", "none", 40, too_many_at_once, "--provoke"),
    Question("a_minute", "headers of 429, code 44", "`retry-after`", 130, too_many_a_minute, "--provoke"),
)
"""Asked after everything has been deleted. The day's quota is never used up: they stop at 200 calls left."""
