"""Contact persons, addresses, comments, files, owners and customers: state that every product sees."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeAlias

import aiohttp
import pytest

from zoho_async.fake import Clock, FakeZoho

Call: TypeAlias = Callable[..., Awaitable[tuple[int, dict[str, Any]]]]


@pytest.fixture
def contact_id(fake: FakeZoho) -> str:
    (record,) = fake.seed([{"contact_name": "Bowman", "billing_address": {"city": "Pleasanton"}}])
    return str(record["contact_id"])


async def done(call: Call, *arguments: Any, **options: Any) -> dict[str, Any]:
    status, answer = await call(*arguments, **options)
    assert (status in (200, 201), answer["code"]) == (True, 0), answer
    return answer


async def contact(call: Call, contact_id: str) -> dict[str, Any]:
    found: dict[str, Any] = (await done(call, "books", "GET", f"/contacts/{contact_id}"))["contact"]
    return found


# -- contact persons


@pytest.mark.parametrize("product", ["books", "invoice"])
async def test_contact_persons(call: Call, contact_id: str, product: str) -> None:
    persons = "/contacts/contactpersons"
    status, made = await call(product, "POST", persons, {"contact_id": contact_id, "first_name": "Will", "phone": 12})
    assert status == (201 if product == "invoice" else 200)
    (will,) = made["contact_person"]
    assert (will["first_name"], will["phone"], will["contact_id"]) == ("Will", "12", contact_id)
    assert will["is_primary_contact"] is True, "the first one is the main one"
    body = {"contact_id": contact_id, "first_name": "Ann", "last_name": "Lee"}
    (ann,) = (await done(call, product, "POST", persons, body))["contact_person"]
    assert ann["is_primary_contact"] is False

    in_contact = (await contact(call, contact_id))["contact_persons"]
    assert [each["contact_person_id"] for each in in_contact] == [will["contact_person_id"], ann["contact_person_id"]]
    listed = await done(call, product, "GET", f"/contacts/{contact_id}/contactpersons", query={"per_page": "1"})
    assert [each["first_name"] for each in listed["contact_persons"]] == ["Will"]
    assert listed["page_context"]["has_more_page"] is True

    await done(call, product, "POST", f"{persons}/{ann['contact_person_id']}/primary")
    main = await contact(call, contact_id)
    assert (main["first_name"], main["primary_contact_id"]) == ("Ann", ann["contact_person_id"])

    change = {"contact_id": contact_id, "first_name": "Anna", "email": "anna@bowman.invalid"}
    (changed,) = (await done(call, product, "PUT", f"{persons}/{ann['contact_person_id']}", change))["contact_person"]
    assert (changed["first_name"], changed["last_name"], changed["is_primary_contact"]) == ("Anna", "Lee", True)
    got = await done(call, product, "GET", f"/contacts/{contact_id}/contactpersons/{ann['contact_person_id']}")
    assert got["contact_person"] == changed

    await done(call, product, "DELETE", f"{persons}/{ann['contact_person_id']}")
    assert (await contact(call, contact_id))["first_name"] == "Will", "somebody must be the main one"
    status, gone = await call(product, "GET", f"/contacts/{contact_id}/contactpersons/{ann['contact_person_id']}")
    assert (status, gone["code"]) == (404, 1002)


async def test_persons_of_another_contact(call: Call, contact_id: str, fake: FakeZoho) -> None:
    (other,) = fake.seed([{"contact_name": "Other", "contact_persons": [{"first_name": "Eve"}]}])
    eve = other["contact_persons"][0]["contact_person_id"]
    assert (await call("books", "GET", f"/contacts/{contact_id}/contactpersons/{eve}"))[1]["code"] == 1002
    alien = {"contact_id": contact_id, "first_name": "Eve"}
    assert (await call("books", "PUT", f"/contacts/contactpersons/{eve}", alien))[1]["code"] == 1002
    everyone = await done(call, "books", "GET", "/contacts/contactpersons")
    assert [each["first_name"] for each in everyone["contact_persons"]] == ["Eve"]
    fake.organization().remove(other["contact_id"])
    assert (await call("books", "GET", f"/contacts/contactpersons/{eve}"))[1]["code"] == 1002


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"first_name": "A"}, 6),
        ({"contact_id": "1", "first_name": "A"}, 1002),
        ({"contact_id": "x", "first_name": "A"}, 2),
        ({"contact_id": "{id}"}, 6),
        ({"contact_id": "{id}", "first_name": "x" * 101}, 15),
    ],
)
async def test_persons_refused(call: Call, contact_id: str, body: dict[str, str], code: int) -> None:
    body = {name: value.replace("{id}", contact_id) for name, value in body.items()}
    assert (await call("books", "POST", "/contacts/contactpersons", body))[1]["code"] == code
    assert (await contact(call, contact_id))["contact_persons"] == []


async def test_portal_and_sms_of_a_person(call: Call, contact_id: str) -> None:
    body = {"contact_id": contact_id, "first_name": "Will"}
    (will,) = (await done(call, "books", "POST", "/contacts/contactpersons", body))["contact_person"]
    path = f"/contacts/contactpersons/{will['contact_person_id']}"
    for action, field, value in (
        ("portal/invite", "is_added_in_portal", True),
        ("sms/enable", "is_sms_enabled_for_cp", True),
        ("sms/disable", "is_sms_enabled_for_cp", False),
    ):
        await done(call, "books", "POST", f"{path}/{action}")
        assert (await done(call, "books", "GET", path))["contact_person"][field] is value


# -- addresses, comments, files


async def test_addresses(call: Call, contact_id: str) -> None:
    path = f"/contacts/{contact_id}/address"
    (billing,) = (await done(call, "books", "GET", path))["addresses"]
    made = (await done(call, "books", "POST", path, {"address": "Main St", "zip": 94588}))["address_info"]
    assert (made["address"], made["zip"], made["city"]) == ("Main St", "94588", "")
    assert (await contact(call, contact_id))["addresses"] == [made]
    change = {"city": "Dublin", "address_id": made["address_id"]}
    changed = (await done(call, "books", "PUT", f"{path}/{made['address_id']}", change))["address_info"]
    assert changed == {**made, "city": "Dublin"}
    await done(call, "books", "POST", f"{path}/{made['address_id']}/markasbilling")
    full = await contact(call, contact_id)
    assert (full["billing_address"], full["addresses"]) == (changed, [billing])
    await done(call, "books", "POST", f"{path}/{billing['address_id']}/markasshipping")
    assert (await contact(call, contact_id))["shipping_address"] == billing
    assert len((await done(call, "books", "GET", "/contacts/address"))["addresses"]) == 2
    await done(call, "books", "DELETE", f"{path}/{made['address_id']}")
    assert (await contact(call, contact_id))["billing_address"]["address"] == ""
    assert (await call("books", "DELETE", f"{path}/{made['address_id']}"))[1]["code"] == 1002
    assert (await call("books", "POST", path, {"zip": "x" * 51}))[1]["code"] == 15


async def test_comments(call: Call, contact_id: str) -> None:
    path = f"/contacts/{contact_id}/comments"
    assert (await done(call, "books", "GET", path))["contact_comments"] == []
    for text in ("first", "second"):
        await done(call, "books", "POST", path, {"description": text})
    rows = (await done(call, "books", "GET", path))["contact_comments"]
    assert [(row["description"], row["date"], row["time"]) for row in rows] == [
        ("second", "2026-06-09", "9:45 AM"),
        ("first", "2026-06-09", "9:45 AM"),
    ]
    await done(call, "books", "DELETE", f"{path}/{rows[0]['comment_id']}")
    assert (await done(call, "books", "GET", path))["contact_comments"] == rows[1:]
    assert (await call("books", "DELETE", f"{path}/{rows[0]['comment_id']}"))[1]["code"] == 1002
    assert (await call("books", "POST", path, {}))[1]["code"] == 6


async def test_files_come_back_byte_by_byte(
    call: Call, contact_id: str, fake: FakeZoho, session: aiohttp.ClientSession
) -> None:
    content = bytes(range(256)) * 3 + b"\r\n--boundary--\r\n"
    form = aiohttp.FormData()
    form.add_field("attachment", content, filename='a "b".pdf', content_type="application/pdf")
    form.add_field("attachment", b"", filename="empty")
    await done(call, "books", "POST", f"/contacts/{contact_id}/attachment", form)
    pdf, empty = (await contact(call, contact_id))["documents"]
    assert (pdf["file_type"], pdf["file_size"], empty["file_size"]) == ("pdf", len(content), 0)
    path = f"/contacts/{contact_id}/documents/{pdf['document_id']}"
    headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}

    async def read() -> tuple[int, str, bytes]:
        async with session.get(f"{fake.url}/books/v3{path}", headers=headers) as response:
            return response.status, response.content_type, await response.read()

    assert await read() == (200, "application/pdf", content)
    await done(call, "books", "PUT", path, {"file_name": "c.pdf", "can_show_in_portal": True})
    shown = (await contact(call, contact_id))["documents"][0]
    assert (shown["file_name"], shown["can_show_in_portal"]) == ("c.pdf", True)
    await done(call, "books", "DELETE", path)
    assert (await read())[0] == 404
    assert [each["document_id"] for each in (await contact(call, contact_id))["documents"]] == [empty["document_id"]]
    await done(call, "books", "POST", "/contacts/documents/restore", {"document_ids": [pdf["document_id"]]})
    assert await read() == (200, "application/pdf", content)
    none = await call("books", "POST", f"/contacts/{contact_id}/attachment", {})
    assert (none[0], none[1]["code"]) == (400, 6)
    assert (
        repr(fake.organization().documents[pdf["document_id"]])
        == f"<Document {pdf['document_id']} {len(content)} bytes>"
    )


# -- what else is done to a contact


async def test_owner_portal_reminders_1099(call: Call, contact_id: str) -> None:
    path = f"/contacts/{contact_id}"
    will = {"contact_id": contact_id, "first_name": "Will"}
    (person,) = (await done(call, "books", "POST", "/contacts/contactpersons", will))["contact_person"]
    wanted = {"contact_persons": [{"contact_person_id": person["contact_person_id"]}]}
    for action, query, body, field, value in (
        ("owner", {"owner_id": "460000000016051"}, None, "owner_id", "460000000016051"),
        ("portal/enable", {}, wanted, "portal_status", "enabled"),
        ("portal/disable", {}, None, "portal_status", "disabled"),
        ("paymentreminder/disable", {}, None, "payment_reminder_enabled", False),
        ("paymentreminder/enable", {}, None, "payment_reminder_enabled", True),
        ("track1099", {}, None, "track_1099", True),
        ("untrack1099", {}, None, "track_1099", False),
    ):
        await done(call, "books", "POST", f"{path}/{action}", body, query=query)
        assert (await contact(call, contact_id))[field] == value, action
    alien = {"contact_persons": [{"contact_person_id": "1"}]}
    assert (await call("books", "POST", f"{path}/portal/enable", alien))[1]["code"] == 1002
    assert (await call("books", "POST", f"{path}/portal/enable", {}))[1]["code"] == 6


async def test_owners_of_many(call: Call, contact_id: str, fake: FakeZoho) -> None:
    (other,) = fake.seed([{"contact_name": "Other"}])
    both = f"{contact_id},{other['contact_id']}"
    await done(call, "books", "POST", "/contacts/owner", query={"contact_ids": both, "owner_id": "5"})
    await done(call, "books", "POST", "/contacts/track1099", query={"contact_ids": both})
    assert {each["owner_id"] for each in fake.organization().contacts.values()} == {"5"}
    assert {each["track_1099"] for each in fake.organization().contacts.values()} == {True}
    refused = await call("books", "POST", "/contacts/owner", query={"contact_ids": f"{contact_id},1", "owner_id": "6"})
    assert refused[1]["code"] == 1002
    assert {each["owner_id"] for each in fake.organization().contacts.values()} == {"5"}, "all or none"


async def test_merge(call: Call, contact_id: str, fake: FakeZoho) -> None:
    person = {"first_name": "Eve"}
    rows = [{"contact_name": "B", "has_transaction": True, "contact_persons": [person], "cf_external_id": "7"}]
    (other,) = fake.seed(rows)
    await done(call, "books", "POST", f"/contacts/{other['contact_id']}/comments", {"description": "from B"})
    await done(call, "books", "POST", f"/contacts/{contact_id}/merge", {"contact_ids": [other["contact_id"]]})
    merged = await contact(call, contact_id)
    assert [each["first_name"] for each in merged["contact_persons"]] == ["Eve"]
    assert (merged["has_transaction"], merged["cf_external_id"]) == (True, "7")
    assert (await call("books", "GET", f"/contacts/{other['contact_id']}"))[1]["code"] == 1002
    comments = (await done(call, "books", "GET", f"/contacts/{contact_id}/comments"))["contact_comments"]
    assert [each["description"] for each in comments] == ["from B"]
    assert (await call("books", "DELETE", f"/contacts/{contact_id}"))[1]["code"] == 3000
    assert (await call("books", "POST", f"/contacts/{contact_id}/merge", {"contact_ids": "1"}))[1]["code"] == 1002
    eve = merged["contact_persons"][0]["contact_person_id"]
    assert (await done(call, "books", "GET", f"/contacts/contactpersons/{eve}"))["contact_person"][
        "first_name"
    ] == "Eve"


async def test_look_up_by_reference(call: Call, fake: FakeZoho) -> None:
    fake.seed([{"contact_name": "A", "zcrm_account_id": "77"}, {"contact_name": "B", "zcrm_contact_id": "78"}])
    for reference, name in (("77", "A"), ("78", "B")):
        assert (await done(call, "books", "GET", f"/contacts/reference/{reference}"))["contact"]["contact_name"] == name
    query = {"reference_id_type": "zcrm_account_id"}
    found = await done(call, "billing", "GET", "/customers/reference/77", query=query)
    assert found["customer"]["display_name"] == "A"
    assert (await call("billing", "GET", "/customers/reference/78", query=query))[1]["code"] == 1002


# -- customers

EXPENSE = ("expense", "/contacts", "contact", "contact_id", "contact_name", "contacts")
BILLING = ("billing", "/customers", "customer", "customer_id", "display_name", "customers")
CUSTOMERS = pytest.mark.parametrize(("product", "path", "record", "id_name", "name", "rows"), [EXPENSE, BILLING])


@CUSTOMERS
async def test_customers(
    call: Call, fake: FakeZoho, clock: Clock, product: str, path: str, record: str, id_name: str, name: str, rows: str
) -> None:
    body: dict[str, Any] = {
        name: "Bowman",
        "email": "b@bowman.invalid",
        "phone": 12,
        "custom_fields": [{"label": "Size", "value": 5}],
    }
    if product == "expense":
        body["custom_fields"] = [{"api_name": "cf_size", "value": 5}]
    status, made = await call(product, "POST", path, body)
    assert status == 201, made
    assert (made[record][name], made[record]["email"], made[record]["phone"]) == ("Bowman", "b@bowman.invalid", "12")
    assert made[record]["custom_fields"][0]["value"] == 5
    customer_id = made[record][id_name]
    one = f"{path}/{customer_id}"
    assert (await done(call, product, "GET", one))[record] == made[record]
    assert (await contact(call, customer_id))["cf_size"] == "5", "it is a contact of the organisation"

    twin = await call(product, "POST", path, {name: "Bowman", "email": "x"})
    assert (twin[0], twin[1]["code"]) == (400, 3062)
    clock.advance(60)
    changed = (await done(call, product, "PUT", one, {name: "Bowman & Co", "email": "c@bowman.invalid"}))[record]
    assert (changed[name], changed["email"], changed["phone"]) == ("Bowman & Co", "c@bowman.invalid", "12")

    fake.seed([{"contact_name": "Vendor", "contact_type": "vendor"}, {"contact_name": "Able", "has_transaction": True}])
    listed = await done(call, product, "GET", path)
    assert [row[name] for row in listed[rows]] == ["Able", "Bowman & Co"]
    assert listed["page_context"]["has_more_page"] is False
    second = await done(call, product, "GET", path, query={"page": "2", "per_page": "1"})
    assert [row[id_name] for row in second[rows]] == [customer_id]
    able = listed[rows][0][id_name]
    refused = await call(product, "DELETE", f"{path}/{able}")
    assert (refused[0], refused[1]["code"]) == (400, 3000)
    await done(call, product, "DELETE", one)
    for method in ("GET", "PUT", "DELETE"):
        sent = {name: "X", "email": "x"} if method == "PUT" else None
        assert (await call(product, method, one, sent))[1]["code"] == 1002


@CUSTOMERS
async def test_customers_refused(
    call: Call, fake: FakeZoho, product: str, path: str, record: str, id_name: str, name: str, rows: str
) -> None:
    nameless = await call(product, "POST", path, {"email": "x"})
    assert (nameless[1]["code"], name in nameless[1]["message"]) == (6, True)
    assert (await call(product, "POST", path, b"[]"))[1]["code"] == 1038
    vendors = fake.seed([{"contact_name": "Vendor", "contact_type": "vendor"}])
    assert (await call(product, "GET", f"{path}/{vendors[0]['contact_id']}"))[1]["code"] == 1002
    assert record
    assert id_name
    assert rows


async def test_billing_customers_active_and_filtered(call: Call) -> None:
    ids = []
    for name in "AB":
        made = await done(call, "billing", "POST", "/customers", {"display_name": name, "email": "x"})
        ids.append(made["customer"]["customer_id"])
    await done(call, "billing", "POST", f"/customers/{ids[0]}/markasinactive")
    for wanted, names in (("Status.Active", ["B"]), ("Status.Inactive", ["A"]), ("Status.Gapps", [])):
        found = await done(call, "billing", "GET", "/customers", query={"filter_by": wanted})
        assert [row["display_name"] for row in found["customers"]] == names
    await done(call, "billing", "POST", f"/customers/{ids[0]}/markasactive")
    assert (await done(call, "billing", "GET", f"/customers/{ids[0]}"))["customer"]["status"] == "active"


async def test_billing_streets_and_the_main_person(call: Call) -> None:
    body = {
        "display_name": "A",
        "email": "a@b.c",
        "first_name": "Ann",
        "salutation": "Mr.",
        "billing_address": {"street": "Harrington Bay", "zip": 92612},
    }
    made = (await done(call, "billing", "POST", "/customers", body))["customer"]
    assert (made["billing_address"]["street"], made["billing_address"]["zip"]) == ("Harrington Bay", "92612")
    full = await contact(call, made["customer_id"])
    assert full["billing_address"]["address"] == "Harrington Bay"
    assert full["contact_persons"][0]["contact_person_id"] == made["primary_contactperson_id"]
    second = {"contact_id": made["customer_id"], "first_name": "Bo"}
    await done(call, "books", "POST", "/contacts/contactpersons", second)
    change = {"display_name": "A", "email": "a@b.c", "last_name": "Lee"}
    await done(call, "billing", "PUT", f"/customers/{made['customer_id']}", change)
    persons = (await contact(call, made["customer_id"]))["contact_persons"]
    assert [(each["first_name"], each["last_name"]) for each in persons] == [("Ann", "Lee"), ("Bo", "")]


# -- seeding


async def test_what_was_stored_can_be_seeded(fake: FakeZoho) -> None:
    row = {"contact_name": "A", "contact_persons": [{"first_name": "Eve"}], "cf_external_id": "1", "owner_id": "5"}
    (record,) = fake.seed([{**row, "credit_limit": Decimal("1.50")}])
    (again,) = fake.seed([record], "20469390")
    same = {name: value for name, value in record.items() if not name.endswith("_address")}
    assert {name: value for name, value in again.items() if not name.endswith("_address")} == same
    with pytest.raises(ValueError, match="row 1: A contact with id"):
        fake.seed([record])
    with pytest.raises(ValueError, match="contact_person_id"):
        fake.seed([{"contact_name": "B", "contact_persons": [{"contact_person_id": "x"}]}])
