"""The nine contact operations, over the wire."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from decimal import Decimal
from typing import Any, TypeAlias

import pytest

from zoho_async.fake import Clock, FakeZoho
from zoho_async.fake.rendering.examples import REQUESTS

Ask: TypeAlias = Callable[..., Awaitable[Any]]


def external(value: object) -> dict[str, Any]:
    return {"custom_fields": [{"api_name": "cf_external_id", "value": value}]}


async def create(ask: Ask, name: str = "Bowman and Co", **fields: Any) -> dict[str, Any]:
    answered = await ask("POST", "/contacts", {"contact_name": name, **fields})
    assert answered.status == 201, answered.body
    return answered.body["contact"]


async def upsert(ask: Ask, value: str, body: dict[str, Any], *, make: bool = True) -> Any:
    headers = {"X-Unique-Identifier-Key": "cf_external_id", "X-Unique-Identifier-Value": value}
    if make:
        headers["X-Upsert"] = "true"
    return await ask("PUT", "/contacts", body, headers=headers)


async def test_create_then_get_answer_the_same_record(ask: Ask) -> None:
    made = await ask("POST", "/contacts", {"contact_name": "Bowman and Co", "notes": "by check"})
    assert (made.status, made.body["code"]) == (201, 0)
    got = await ask("GET", f"/contacts/{made.body['contact']['contact_id']}")
    assert got.status == 200
    assert got.body["contact"] == made.body["contact"]
    assert got.body["contact"]["notes"] == "by check"


async def test_the_live_shape(ask: Ask) -> None:
    contact = await create(
        ask, billing_address={"zip": 94588}, contact_persons=[{"first_name": "Will", "email": "w@x.y"}]
    )
    ids = [contact["contact_id"], contact["primary_contact_id"], contact["billing_address"]["address_id"]]
    assert all(re.fullmatch(r"\d{18,19}", each) for each in ids)
    assert len(set(ids)) == 3
    assert contact["exchange_rate"] == contact["consent_date"] == contact["owner_id"] == ""
    assert contact["billing_address"]["zip"] == "94588"
    assert (contact["first_name"], contact["email"]) == ("Will", "w@x.y")
    assert contact["contact_persons"][0]["is_primary_contact"] is True
    assert contact["created_time"] == "2026-06-09T09:45:19-0400"
    assert contact["created_date"] == "2026-06-09"
    assert len(contact) > 100


async def test_neighbouring_ids_are_one_number_to_a_float(ask: Ask) -> None:
    first, second = await create(ask, "A"), await create(ask, "B")
    assert first["contact_id"] != second["contact_id"]
    assert float(first["contact_id"]) == float(second["contact_id"])


async def test_success_carries_the_daily_quota(ask: Ask) -> None:
    answered = await ask("GET", "/contacts")
    assert answered.headers["x-rate-limit-limit"] == "1000000"
    assert answered.headers["x-rate-limit-remaining"] == "999999"
    # 09:45:19 in the organisation's zone
    assert answered.headers["x-rate-limit-reset"] == str(86400 - (9 * 3600 + 45 * 60 + 19))


async def test_the_documented_example_is_kept(ask: Ask) -> None:
    answered = await ask("POST", "/contacts", REQUESTS["books.contacts.create"].encode())
    assert answered.status == 201, answered.body
    contact = answered.body["contact"]
    assert contact["credit_limit"] == 1000
    assert contact["cf_field_1"] == "GBGD078"
    assert contact["default_templates"]["invoice_template_id"] == "460000000052069"
    assert contact["opening_balance_amount"] == 1200
    assert contact["contact_persons"][0]["skype"] == "Zoho"


async def test_money_keeps_every_digit(ask: Ask) -> None:
    contact = await create(ask, credit_limit=Decimal("12345678901234567.10"), exchange_rate=Decimal("0.100"))
    assert str(contact["credit_limit"]) == "12345678901234567.10"
    assert str(contact["exchange_rate"]) == "0.100"


async def test_custom_fields_come_three_ways(ask: Ask) -> None:
    fields = [
        {"api_name": "cf_text", "value": "x"},
        {"api_name": "cf_flag", "value": True},
        {"api_name": "cf_many", "value": ["a", "b"]},
        {"index": 3, "value": Decimal("1.50")},
    ]
    contact = await create(ask, custom_fields=fields)
    assert [field["api_name"] for field in contact["custom_fields"]] == ["cf_text", "cf_flag", "cf_many", "cf_field_3"]
    assert [field["value"] for field in contact["custom_fields"]] == ["x", True, ["a", "b"], Decimal("1.50")]
    assert (contact["cf_flag"], contact["cf_flag_unformatted"]) == ("true", True)
    assert (contact["cf_many"], contact["cf_field_3"]) == ("a,b", "1.50")
    assert contact["custom_field_hash"]["cf_text_unformatted"] == "x"
    assert contact["custom_fields"][3]["index"] == 3


async def test_custom_fields_are_merged_by_name_id_and_index(ask: Ask) -> None:
    contact = await create(ask, custom_fields=[{"api_name": "cf_a", "value": 1}, {"api_name": "cf_b", "value": 2}])
    by_name = {field["api_name"]: field for field in contact["custom_fields"]}
    changes = [
        {"customfield_id": by_name["cf_a"]["customfield_id"], "value": 10},
        {"index": by_name["cf_b"]["index"], "value": ""},
        {"api_name": "cf_c", "value": 3},
    ]
    updated = await ask("PUT", f"/contacts/{contact['contact_id']}", {"custom_fields": changes})
    assert updated.body["contact"]["custom_field_hash"] == {
        "cf_a": "10",
        "cf_a_unformatted": 10,
        "cf_c": "3",
        "cf_c_unformatted": 3,
    }


async def test_update_touches_only_what_was_sent(ask: Ask, clock: Clock) -> None:
    before = await create(ask, company_name="B", notes="old", billing_address={"city": "Pleasanton", "zip": "1"})
    clock.advance(60)
    answered = await ask("PUT", f"/contacts/{before['contact_id']}", {"notes": "new", "billing_address": {"zip": "2"}})
    assert answered.status == 200
    after = answered.body["contact"]
    assert (after["notes"], after["company_name"]) == ("new", "B")
    assert (after["billing_address"]["city"], after["billing_address"]["zip"]) == ("Pleasanton", "2")
    assert after["billing_address"]["address_id"] == before["billing_address"]["address_id"]
    assert (after["created_time"], after["last_modified_time"]) == (
        before["created_time"],
        "2026-06-09T09:46:19-0400",
    )


async def test_null_and_empty_text_empty_a_field(ask: Ask) -> None:
    contact = await create(ask, company_name="B", notes="n", credit_limit=5)
    changes = {"company_name": None, "notes": "", "credit_limit": None}
    after = (await ask("PUT", f"/contacts/{contact['contact_id']}", changes)).body["contact"]
    assert (after["company_name"], after["notes"]) == ("", "")
    assert "credit_limit" not in after


async def test_update_replaces_the_list_of_persons(ask: Ask) -> None:
    contact = await create(ask, contact_persons=[{"first_name": "A", "email": "a@x.y"}, {"first_name": "B"}])
    kept = contact["contact_persons"][0]["contact_person_id"]
    body = {"contact_persons": [{"contact_person_id": kept, "last_name": "Z"}, {"first_name": "C"}]}
    after = (await ask("PUT", f"/contacts/{contact['contact_id']}", body)).body["contact"]
    names = [(person["first_name"], person["last_name"], person["email"]) for person in after["contact_persons"]]
    assert names == [("A", "Z", "a@x.y"), ("C", "", "")]
    assert after["contact_persons"][0]["contact_person_id"] == kept
    assert after["contact_persons"][1]["contact_person_id"] not in ("", kept)
    alien = {"contact_persons": [{"contact_person_id": "123"}]}
    assert (await ask("PUT", f"/contacts/{contact['contact_id']}", alien)).body["code"] == 1002


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({}, 6),
        ({"contact_name": ""}, 6),
        ({"contact_name": "  "}, 6),
        ({"contact_name": "x" * 201}, 15),
        ({"contact_name": ["x"]}, 2),
        ({"contact_name": "x", "contact_type": "friend"}, 2),
        ({"contact_name": "x", "is_taxable": "perhaps"}, 2),
        ({"contact_name": "x", "credit_limit": "much"}, 2),
        ({"contact_name": "x", "credit_limit": "NaN"}, 2),
        ({"contact_name": "x", "credit_limit": True}, 2),
        ({"contact_name": "x", "payment_terms": 1.5}, 2),
        ({"contact_name": "x", "currency_id": "USD"}, 2),
        ({"contact_name": "x", "billing_address": "here"}, 2),
        ({"contact_name": "x", "billing_address": {"city": "c" * 101}}, 15),
        ({"contact_name": "x", "contact_persons": {}}, 2),
        ({"contact_name": "x", "contact_persons": ["Will"]}, 2),
        ({"contact_name": "x", "contact_persons": [{"email": "e" * 101}]}, 15),
        ({"contact_name": "x", "custom_fields": [{"value": 1}]}, 2),
        ({"contact_name": "x", "custom_fields": [{"api_name": "crm_id", "value": 1}]}, 2),
        ({"contact_name": "x", "custom_fields": [{"customfield_id": "7", "value": 1}]}, 2),
        ({"contact_name": "x", "custom_fields": [{"api_name": "cf_x", "value": {"a": 1}}]}, 2),
    ],
)
async def test_create_refuses(ask: Ask, fake: FakeZoho, body: dict[str, Any], code: int) -> None:
    answered = await ask("POST", "/contacts", body)
    assert (answered.status, answered.body["code"]) == (400, code)
    assert set(answered.body) == {"code", "message"}
    assert fake.organization().contacts == {}
    assert fake.organization().custom_fields == {}


async def test_names_are_unique_per_type(ask: Ask) -> None:
    contact = await create(ask, "Bowman")
    twin = await ask("POST", "/contacts", {"contact_name": " Bowman "})
    assert (twin.status, twin.body["code"]) == (400, 3062)
    await create(ask, "Bowman", contact_type="vendor")
    other = await create(ask, "Other")
    renamed = await ask("PUT", f"/contacts/{other['contact_id']}", {"contact_name": "Bowman"})
    assert (renamed.status, renamed.body["code"]) == (400, 3062)
    assert (await ask("PUT", f"/contacts/{contact['contact_id']}", {"contact_name": "Bowman"})).status == 200
    # A name given up is free again.
    assert (await ask("PUT", f"/contacts/{contact['contact_id']}", {"contact_name": "Bowman 2"})).status == 200
    assert (await ask("PUT", f"/contacts/{other['contact_id']}", {"contact_name": "Bowman"})).status == 200


async def test_upsert_creates_once_and_then_updates(ask: Ask, fake: FakeZoho) -> None:
    first = await upsert(ask, "42", {"contact_name": "A", **external("42")})
    second = await upsert(ask, "42", {"contact_name": "B", **external("42")})
    assert (first.status, second.status) == (201, 200)
    assert first.body["contact"]["contact_id"] == second.body["contact"]["contact_id"]
    assert second.body["contact"]["contact_name"] == "B"
    assert fake.created("cf_external_id") == {"42": 1}
    assert fake.audit_log.keys["books.contacts.upsert", "cf_external_id", "42"] == 2


async def test_upsert_without_the_key_in_the_body_doubles(ask: Ask, fake: FakeZoho) -> None:
    await upsert(ask, "42", {"contact_name": "A"})
    await upsert(ask, "42", {"contact_name": "B"})
    assert len(fake.organization().contacts) == 2


async def test_upsert_takes_keys_beyond_ascii(ask: Ask) -> None:
    await upsert(ask, "Zürich-東京", {"contact_name": "A", **external("Zürich-東京")})
    assert (await upsert(ask, "Zürich-東京", {"notes": "n"})).status == 200


async def test_upsert_refusals(ask: Ask, fake: FakeZoho) -> None:
    assert (await upsert(ask, "42", {"contact_name": "A"}, make=False)).body["code"] == 1002
    no_key = await ask("PUT", "/contacts", {"contact_name": "A"})
    assert (no_key.status, no_key.body["code"]) == (400, 6)
    not_unique = {"X-Unique-Identifier-Key": "cf_other", "X-Unique-Identifier-Value": "1", "X-Upsert": "true"}
    assert (await ask("PUT", "/contacts", {"contact_name": "A"}, headers=not_unique)).status == 400
    assert fake.organization().contacts == {}


async def test_unique_values_do_not_collide(ask: Ask, fake: FakeZoho) -> None:
    first = await create(ask, "A", **external("1"))
    second = await create(ask, "B", **external("2"))
    path = f"/contacts/{second['contact_id']}"
    assert (await ask("POST", "/contacts", {"contact_name": "C", **external("1")})).status == 400
    assert (await ask("PUT", path, external("1"))).status == 400
    await ask("DELETE", f"/contacts/{first['contact_id']}")
    assert (await ask("PUT", path, external("1"))).status == 200
    fake.organization().unique_fields.add("cf_late")
    await create(ask, "D", custom_fields=[{"api_name": "cf_late", "value": "x"}])
    late = {"contact_name": "E", "custom_fields": [{"api_name": "cf_late", "value": "x"}]}
    assert (await ask("POST", "/contacts", late)).status == 400


async def test_delete(ask: Ask, fake: FakeZoho) -> None:
    contact_id = (await create(ask))["contact_id"]
    answered = await ask("DELETE", f"/contacts/{contact_id}")
    assert (answered.status, answered.body) == (200, {"code": 0, "message": "The contact has been deleted."})
    for method in ("GET", "DELETE", "PUT"):
        gone = await ask(method, f"/contacts/{contact_id}", {})
        assert (gone.status, gone.body["code"]) == (404, 1002)
    await create(ask)


async def test_delete_is_refused_with_transactions(ask: Ask, fake: FakeZoho) -> None:
    busy, idle = fake.seed([{"contact_name": "A", "has_transaction": True}, {"contact_name": "B"}])
    refused = await ask("DELETE", f"/contacts/{busy['contact_id']}")
    assert (refused.status, refused.body["code"]) == (400, 3000)
    several = {"contact_ids": f"{idle['contact_id']},{busy['contact_id']}"}
    assert (await ask("DELETE", "/contacts", query=several)).body["code"] == 3000
    assert len(fake.organization().contacts) == 2


async def test_delete_many(ask: Ask, fake: FakeZoho) -> None:
    ids = [record["contact_id"] for record in fake.seed({"contact_name": name} for name in "ABC")]
    answered = await ask("DELETE", "/contacts", query={"contact_ids": ",".join(ids[:2])})
    assert answered.body == {"code": 0, "message": "The contacts have been deleted."}
    assert list(fake.organization().contacts) == ids[2:]
    assert (await ask("DELETE", "/contacts")).body["code"] == 6
    assert (await ask("DELETE", "/contacts", query={"contact_ids": f"{ids[2]},1"})).body["code"] == 1002
    assert list(fake.organization().contacts) == ids[2:]


async def test_active_and_inactive(ask: Ask) -> None:
    contact_id = (await create(ask))["contact_id"]
    for status in ("inactive", "active"):
        answered = await ask("POST", f"/contacts/{contact_id}/{status}")
        assert answered.body == {"code": 0, "message": f"The contact has been marked as {status}."}
        assert (await ask("GET", f"/contacts/{contact_id}")).body["contact"]["status"] == status
    assert (await ask("POST", "/contacts/1/active")).body["code"] == 1002


async def test_bodies_as_forms(ask: Ask, fake: FakeZoho) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    wrapped = b"JSONString=%7B%22contact_name%22%3A%22A%22%7D"
    assert (await ask("POST", "/contacts", wrapped, headers=form)).status == 201
    plain = b'{"contact_name": "B"}'
    assert (await ask("POST", "/contacts", plain, headers=form)).status == 201
    assert (await ask("POST", "/contacts", b"contact_name=C", headers=form)).body["code"] == 1038


async def test_organizations_are_apart(ask: Ask, fake: FakeZoho) -> None:
    contact_id = (await create(ask))["contact_id"]
    other = {"organization_id": "20469390"}
    assert (await ask("GET", f"/contacts/{contact_id}", query=other)).body["code"] == 1002
    await ask("POST", "/contacts", {"contact_name": "Bowman and Co"}, query=other)
    assert len(fake.organization().contacts) == len(fake.organization("20469390").contacts) == 1
    assert not fake.organization().contacts.keys() & fake.organization("20469390").contacts.keys()
