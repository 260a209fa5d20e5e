"""The nine operations of Books contacts, through their methods, against FakeZoho."""

from __future__ import annotations

from decimal import Decimal

import msgspec
import pytest

from zoho_async import DuplicateError, InvalidError, NotFoundError, RefusedError, Zoho, custom_fields, operations
from zoho_async.books import AddressInput, ContactCreate, ContactPersonInput, ContactUpdate, ContactUpsert
from zoho_async.fake import FakeZoho


async def test_create_and_get_give_back_what_was_sent(fake: FakeZoho, zoho: Zoho) -> None:
    body = ContactCreate(
        contact_name="Bowman & Söhne 株式会社",
        credit_limit=Decimal("1000.10"),
        payment_terms=15,
        billing_address=AddressInput(city="Pleasanton", zip="01234"),
        contact_persons=[
            ContactPersonInput(first_name="Will", email="will@bowman.example", is_primary_contact=True),
            ContactPersonInput(first_name="Ann", email="ann@bowman.example"),
        ],
        custom_fields=custom_fields(cf_external_id="A-1", cf_rank=3),
    )
    created = await zoho.books.contacts.create(body)
    got = await zoho.books.contacts.get(created.contact_id)
    assert got == created
    assert got.contact_name == "Bowman & Söhne 株式会社"
    assert got.credit_limit == Decimal("1000.10")
    assert got.billing_address is not None
    assert got.billing_address.zip == "01234"
    assert [person.first_name for person in got.contact_persons or []] == ["Will", "Ann"]
    assert got.created_time is not None
    assert got.created_time.utcoffset() is not None
    values = {field.api_name: field.value for field in got.custom_fields or []}
    assert values == {"cf_external_id": "A-1", "cf_rank": 3}
    assert fake.acts("books.contacts.create") == 1


async def test_list_finds_rows_by_filter_and_order(zoho: Zoho) -> None:
    for name in ("Alpha", "Beta", "Gamma"):
        await zoho.books.contacts.create({"contact_name": name, "contact_type": "customer"})
    found = await zoho.books.contacts.list(contact_name_contains="a", sort_column="contact_name", sort_order="D")
    assert [row.contact_name for row in found.rows] == ["Gamma", "Beta", "Alpha"]
    assert [row.contact_name async for row in zoho.books.contacts.list(contact_name="Beta")] == ["Beta"]


async def test_update_changes_what_it_names_and_nothing_else(zoho: Zoho) -> None:
    contact = await zoho.books.contacts.create({"contact_name": "Alpha", "notes": "old", "website": "a.example"})
    updated = await zoho.books.contacts.update(contact.contact_id, ContactUpdate(notes="new"))
    assert (updated.notes, updated.website, updated.contact_name) == ("new", "a.example", "Alpha")
    cleared = await zoho.books.contacts.update(contact.contact_id, ContactUpdate(website=None))
    assert not cleared.website


async def test_upsert_updates_or_creates_by_a_unique_value(fake: FakeZoho, zoho: Zoho) -> None:
    body = ContactUpsert(contact_name="Alpha", custom_fields=custom_fields(cf_external_id="7"))
    with pytest.raises(RefusedError):
        await zoho.books.contacts.upsert(body, field="cf_external_id", value="7")
    first = await zoho.books.contacts.upsert(body, field="cf_external_id", value="7", create=True)
    body.notes = "again"
    second = await zoho.books.contacts.upsert(body, field="cf_external_id", value="7", create=True)
    assert (second.contact_id, second.notes) == (first.contact_id, "again")
    assert fake.created("cf_external_id") == {"7": 1}


async def test_delete_and_delete_many_remove(fake: FakeZoho, zoho: Zoho) -> None:
    ids = [(await zoho.books.contacts.create({"contact_name": name})).contact_id for name in "abc"]
    await zoho.books.contacts.delete(ids[0])
    await zoho.books.contacts.delete_many(contact_ids=ids[1:])
    assert fake.organization().contacts == {}
    with pytest.raises(NotFoundError) as caught:
        await zoho.books.contacts.delete(ids[0])
    assert (caught.value.status, caught.value.code) == (404, 1002)


async def test_active_and_inactive(zoho: Zoho) -> None:
    contact = await zoho.books.contacts.create({"contact_name": "Alpha"})
    await zoho.books.contacts.mark_inactive(contact.contact_id)
    assert (await zoho.books.contacts.get(contact.contact_id)).status == "inactive"
    await zoho.books.contacts.mark_active(contact.contact_id)
    assert (await zoho.books.contacts.get(contact.contact_id)).status == "active"


async def test_refusals_say_what_zoho_says(zoho: Zoho) -> None:
    await zoho.books.contacts.create({"contact_name": "Alpha"})
    with pytest.raises(DuplicateError) as taken:
        await zoho.books.contacts.create({"contact_name": "Alpha"})
    assert taken.value.code == 3062
    assert taken.value.message
    with pytest.raises(InvalidError) as nameless:
        await zoho.books.contacts.create({"notes": "no name"})
    assert nameless.value.faults == ()
    assert nameless.value.sent is True


class Mine(msgspec.Struct):
    contact_id: str
    cf_rank: int | None = None


async def test_a_read_fills_a_struct_of_the_callers_own(zoho: Zoho) -> None:
    contact = await zoho.books.contacts.create(
        ContactCreate(contact_name="Alpha", custom_fields=custom_fields(cf_rank=3))
    )
    assert await zoho.books.contacts.get(contact.contact_id, type=Mine) == Mine(contact.contact_id, 3)
    assert [row async for row in zoho.books.contacts.list(type=Mine)] == [Mine(contact.contact_id, 3)]


async def test_send_gives_the_same_with_everything_around_it(zoho: Zoho) -> None:
    by_id = {operation.id: operation for operation in operations()}
    contact = await zoho.books.contacts.create({"contact_name": "Alpha"})
    response = await zoho.send(by_id["books.contacts.get"], path={"contact_id": contact.contact_id})
    assert response.data == contact
    assert (response.status, response.code, response.message, response.attempts) == (200, 0, "success", 1)
    assert response.headers["X-RATE-LIMIT-REMAINING"] == response.headers["x-rate-limit-remaining"]
    assert msgspec.json.decode(response.body)["contact"]["contact_id"] == contact.contact_id
    gone = await zoho.send(by_id["books.contacts.delete"], path={"contact_id": contact.contact_id})
    assert gone.data is None
    with pytest.raises(InvalidError, match="contact_id"):
        await zoho.send(by_id["books.contacts.get"])
    with pytest.raises(InvalidError, match="contactid"):
        await zoho.send(by_id["books.contacts.get"], path={"contactid": "1", "contact_id": "1"})
    page = await zoho.send(by_id["books.contacts.list"], query={"per_page": 1})
    assert page.data.rows == []
