"""Typical uses of the package, and the exact types they must have. Never run: `tests/test_typing.py` has it checked."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal, assert_type

import msgspec

from zoho_async import (
    Limits,
    OAuth,
    Operation,
    OutcomeUnknownError,
    Page,
    Pages,
    Quota,
    Response,
    Upload,
    Zoho,
    bulk,
    custom_fields,
    operations,
    scopes,
    to_builtins,
    to_json,
    validate,
)
from zoho_async.billing import Customer, CustomerCreate, CustomerRow, TransactionRow
from zoho_async.books import (
    Address,
    AddressCreate,
    AddressInput,
    AddressRow,
    CardCreate,
    Contact,
    ContactCreate,
    ContactEmail,
    ContactPersonInput,
    ContactRow,
    ContactUpdate,
    ContactUpsert,
)
from zoho_async.books.contacts import GET, LIST
from zoho_async.books.documents import GET as DOWNLOAD
from zoho_async.expense import Customer as ExpenseCustomer
from zoho_async.invoice import ContactPerson, ContactPersonCreate


class Crm(msgspec.Struct):
    """A record of the user's own."""

    contact_id: str
    cf_crm_id: str | None = None


async def chunks() -> AsyncIterator[bytes]:
    yield b"one"


def clients() -> None:
    auth = OAuth("client", "secret", "refresh")
    zoho = Zoho(auth, organization_id="10234695", data_center="eu", limits=Limits(per_minute=50, per_day=None))
    assert_type(zoho.with_options(retries=0), Zoho)
    assert_type(Zoho.from_env(), Zoho)
    assert_type(Zoho.from_env(retries=0, session=None, organization_id=10234695), Zoho)
    assert_type(zoho.quota, Quota)
    assert_type(zoho.drift(), dict[str, dict[str, int]])


async def records(zoho: Zoho) -> None:
    contact = await zoho.books.contacts.get("460000000026049")
    assert_type(contact, Contact)
    assert_type(contact.contact_id, str)
    assert_type(contact.contact_name, str | None)
    assert_type(contact.outstanding_receivable_amount, Decimal | None)
    assert_type(contact.created_time, datetime | None)
    assert_type(await zoho.books.contacts.get("460000000026049", type=Crm), Crm)
    assert_type(await zoho.books.contacts.update("460000000026049", ContactUpdate(notes=None)), Contact)
    assert_type(await zoho.books.contacts.update("460000000026049", {"notes": "new"}), Contact)
    upserted = zoho.books.contacts.upsert(ContactUpsert(contact_name="B"), field="cf_id", value="42", create=True)
    assert_type(await upserted, Contact)
    person = await zoho.invoice.contact_persons.create(ContactPersonCreate(first_name="Will", contact_id="46"))
    assert_type(person, ContactPerson)
    assert_type(await zoho.billing.customers.get("903"), Customer)
    assert_type(await zoho.billing.customers.get_by_reference("903", reference_id_type="zcrm_account_id"), Customer)
    assert_type(await zoho.expense.customers.get("163"), ExpenseCustomer)


async def writing(zoho: Zoho) -> None:
    body = ContactCreate(
        contact_name="Bowman and Co",
        contact_type="customer",
        credit_limit=Decimal("1000.50"),
        billing_address=AddressInput(city="Pleasanton", zip="94588"),
        contact_persons=[ContactPersonInput(first_name="Will", is_primary_contact=True)],
        custom_fields=custom_fields(cf_crm_id="42", cf_limit=Decimal("1.5")),
    )
    assert_type(await zoho.books.contacts.create(body), Contact)
    assert_type(custom_fields(cf_a=1), list[Any])
    assert_type(await zoho.books.addresses.create("46", AddressCreate(city="Salem")), Address)
    assert_type(await zoho.billing.customers.create(CustomerCreate(display_name="B", email="b@example.com")), Customer)
    assert_type(to_json(body), bytes)
    assert_type(to_builtins(body), Any)
    assert_type(len(validate(body)), int)


async def lists(zoho: Zoho) -> None:
    pages = zoho.books.contacts.list(contact_type="vendor", per_page=200)
    assert_type(pages, Pages[ContactRow])
    page = await pages
    assert_type(page, Page[ContactRow])
    assert_type(page.rows, list[ContactRow])
    assert_type([*page], list[ContactRow])
    assert_type(len(page), int)
    assert_type(page.cursor, str | None)
    assert_type(page.context.has_more_page, bool | None)
    async for row in pages:
        assert_type(row, ContactRow)
    async for one in pages.pages():
        assert_type(one, Page[ContactRow])
    assert_type(pages.resume("2"), Pages[ContactRow])
    assert_type(zoho.books.contacts.list(type=Crm), Pages[Crm])
    async for customer in zoho.billing.customers.list():
        assert_type(customer, CustomerRow)
    assert_type(await zoho.billing.transactions.list(), list[TransactionRow])
    assert_type(await zoho.books.addresses.list("46"), list[AddressRow])
    assert_type(await zoho.books.addresses.list("46", type=Crm), list[Crm])


async def messages_only(zoho: Zoho) -> None:
    assert_type(await zoho.books.contacts.delete("46"), None)
    assert_type(await zoho.books.cards.create("46", CardCreate(gateway="stripe")), None)
    await zoho.books.contacts.mark_active("46")
    await zoho.books.contacts.delete_many(contact_ids=["46", "47"])
    await zoho.books.contacts.merge("46")
    await zoho.books.contacts.merge("46", {"anything": "goes"})


async def undocumented(zoho: Zoho) -> None:
    assert_type(await zoho.books.cards.get("46", "47"), dict[str, Any])
    assert_type(await zoho.books.cards.get("46", "47", type=Crm), Crm)


async def files(zoho: Zoho) -> None:
    await zoho.books.contacts.add_attachment("46", attachment="contract.pdf")
    await zoho.books.contacts.add_attachment("46", attachment=Path("contract.pdf"))
    await zoho.books.contacts.add_attachment("46", attachment=b"bytes")
    await zoho.books.contacts.add_attachment("46", "contract.pdf")
    await zoho.books.contacts.add_attachment("46", Path("contract.pdf"))
    await zoho.books.contacts.add_attachment("46", attachment=Upload(chunks, filename="contract.pdf"))
    letter = ContactEmail(to_mail_ids=["will@example.com"], subject="Statement", body="See the attachment.")
    await zoho.books.contacts.email("46", letter, attachments=Upload(b"bytes", content_type="application/pdf"))
    assert_type(await zoho.books.documents.get("46", "47"), bytes)
    assert_type(await zoho.books.documents.get("46", "47", to="contract.pdf"), Path)
    assert_type(await zoho.books.documents.get("46", "47", to=Path("contract.pdf")), Path)


async def generic(zoho: Zoho) -> None:
    assert_type(GET, Operation[Contact])
    response = await zoho.send(GET, path={"contact_id": "46"})
    assert_type(response, Response[Contact])
    assert_type(response.data, Contact)
    assert_type((await zoho.send(LIST)).data, Page[ContactRow])
    assert_type((await zoho.send(GET, path={"contact_id": "46"}, type=Crm)).data, Any)
    assert_type((await zoho.send(DOWNLOAD, path={"contact_id": "46", "document_id": "47"})).data, bytes)
    saved = await zoho.send(DOWNLOAD, path={"contact_id": "46", "document_id": "47"}, to="contract.pdf")
    assert_type(saved.data, Path)
    assert_type(await zoho.request("GET", "/books/v3/items"), Response[Any])
    assert_type(await zoho.request("GET", "/books/v3/items", type=Crm), Response[Crm])
    assert_type(await zoho.send("books.contacts.get", path={"contact_id": "46"}), Response[Any])
    assert_type(operations(), tuple[Operation[Any], ...])
    assert_type(scopes([GET, LIST]), str)
    assert_type(scopes(["books.contacts.get", LIST]), str)
    kind: Literal["record", "page", "list", "nothing", "untyped", "file", "any"] = GET.kind
    assert_type(GET.reads, bool)
    print(kind)


async def bulk_work(zoho: Zoho) -> None:
    rows = [{"contact_name": "Bowman and Co"}]
    async with bulk.push(zoho.books.contacts, rows, upsert_by="cf_crm_id") as run:
        async for outcome in run:
            assert_type(outcome, bulk.RowOutcome)
    bulk.push(zoho.billing.customers, rows)
    assert_type(await bulk.plan(zoho.books.contact_persons, bulk.open_rows("persons.csv")), bulk.Plan)


async def failures(zoho: Zoho) -> None:
    try:
        await zoho.books.contacts.create({"contact_name": "Bowman and Co"})
    except OutcomeUnknownError as error:
        assert_type(error.sent, bool | None)
        assert_type(error.status, int | None)


async def refused(zoho: Zoho, contact: Contact, day: date) -> None:
    """What must not pass: an ignore that nothing needs is itself an error."""
    await zoho.books.contacts.create(contact)  # type: ignore[arg-type]
    await zoho.books.contacts.create(ContactUpdate())  # type: ignore[arg-type]
    await zoho.books.contacts.get(contact_id="46")  # type: ignore[call-overload]
    await zoho.books.contacts.get(46)  # type: ignore[call-overload]
    zoho.books.contacts.list(contact_type="friend")  # type: ignore[call-overload]
    zoho.books.contacts.list(page="1")  # type: ignore[call-overload]
    await zoho.books.contacts.upsert(ContactUpsert())  # type: ignore[call-arg]
    await zoho.books.contacts.delete_many(["46"])  # type: ignore[call-arg]
    await zoho.books.documents.get("46", "47", type=Crm)  # type: ignore[call-overload]
    await zoho.books.contacts.add_attachment("46", attachment=day)  # type: ignore[arg-type]
    zoho.with_options(retry=1)  # type: ignore[call-arg]
    zoho.with_options(session=None)  # type: ignore[call-arg]
    zoho.with_options(deadline="soon")  # type: ignore[arg-type]
    Zoho.from_env(organisation_id="1")  # type: ignore[call-arg]
    bulk.push(zoho.books.cards, [])  # type: ignore[arg-type]
    bulk.push(zoho.books, [])  # type: ignore[arg-type]
    ContactCreate()  # type: ignore[call-arg]
    ContactCreate(contact_name="B", credit_limit=1.5)  # type: ignore[arg-type]
    ContactCreate(contact_name="B", contact_type="friend")  # type: ignore[arg-type]
