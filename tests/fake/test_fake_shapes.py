"""The three shapes, what is said of organisations, and the data centres."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import parse_qs, urlsplit

import aiohttp
import msgspec
import pytest

from zoho_async import OAuth, Zoho, errors
from zoho_async.books import Address, Contact, ContactRow, DefaultTemplates
from zoho_async.fake import Clock, FakeZoho
from zoho_async.fake.rendering.blank_records import ADDRESS, CONTACT, DEFAULT_TEMPLATES, LIST_ROW
from zoho_async.fake.rendering.shapes import SHAPES
from zoho_async.fake.world.state import OrganizationProfile


async def read(session: aiohttp.ClientSession, fake: FakeZoho, path: str, **headers: str) -> Any:
    sent = {"Authorization": f"Zoho-oauthtoken {fake.access_token}", **headers}
    async with session.get(f"{fake.url}{path}", headers=sent) as response:
        return msgspec.json.Decoder(float_hook=Decimal).decode(await response.read())


def seeded(fake: FakeZoho) -> str:
    row = {
        "contact_name": "Bowman",
        "credit_limit": Decimal("10.10"),
        "contact_persons": [{"first_name": "Will"}],
        "cf_external_id": "42",
    }
    return str(fake.seed([row])[0]["contact_id"])


def leaves(value: Any, name: str = "") -> Iterable[tuple[str, Any]]:
    """Every scalar with the key it stands under."""
    if isinstance(value, dict):
        for key, item in value.items():
            yield from leaves(item, key)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item, name)
    else:
        yield name, value


async def test_live(session: aiohttp.ClientSession) -> None:
    async with FakeZoho() as fake:
        contact = (await read(session, fake, f"/books/v3/contacts/{seeded(fake)}"))["contact"]
    assert contact["created_time"][-5:] == "-0400"
    assert (contact["exchange_rate"], contact["cf_external_id"]) == ("", "42")
    assert all(isinstance(value, str) for name, value in leaves(contact) if name.endswith("_id"))


async def test_documented(session: aiohttp.ClientSession) -> None:
    async with FakeZoho(shape="documented") as fake:
        contact_id = seeded(fake)
        contact = (await read(session, fake, f"/books/v3/contacts/{contact_id}"))["contact"]
        rows = (await read(session, fake, "/books/v3/contacts"))["contacts"]
        expense = await read(session, fake, "/expense/v1/contacts")
        refunds = await read(session, fake, f"/books/v3/contacts/{contact_id}/refunds")
    assert contact["contact_id"] == rows[0]["contact_id"] == int(contact_id)
    assert isinstance(contact["contact_persons"][0]["contact_person_id"], int)
    assert contact.keys().isdisjoint({"cf_external_id", "custom_field_hash", "lock_details", "source"})
    assert contact["credit_limit"] == Decimal("10.10")
    assert [row["contact_id"] for row in expense["customers"]] == [int(contact_id)]
    assert "contacts" not in expense
    assert isinstance(refunds["creditnote_refunds"][0]["creditnote_refund_id"], int)


async def test_clean(session: aiohttp.ClientSession) -> None:
    async with FakeZoho(shape="clean") as fake:
        contact_id = seeded(fake)
        contact = (await read(session, fake, f"/books/v3/contacts/{contact_id}"))["contact"]
        expense = await read(session, fake, "/expense/v1/contacts")
    assert contact["contact_id"] == contact_id
    assert "exchange_rate" not in contact, "an empty text is no number"
    assert "consent_date" not in contact, "and no date"
    assert "cf_external_id" not in contact
    assert contact["created_time"][-6:] == "-04:00"
    assert datetime.fromisoformat(contact["created_time"]).tzinfo is not None
    assert [row["contact_name"] for row in expense["customers"]] == ["Bowman"]


@pytest.mark.parametrize("shape", SHAPES)
async def test_errors_have_one_shape(session: aiohttp.ClientSession, shape: Any) -> None:
    async with FakeZoho(shape=shape) as fake:
        assert await read(session, fake, "/books/v3/contacts/1") == {"code": 1002, "message": "Contact does not exist."}


def test_no_such_shape() -> None:
    with pytest.raises(ValueError, match="live, documented, clean"):
        FakeZoho(shape="odd")  # type: ignore[arg-type]


# -- organisations


async def test_organizations(session: aiohttp.ClientSession) -> None:
    given = [
        "1",
        {"id": "2", "name": "Zylker", "plan": "free", "edition": "in", "zone": "+05:30"},
        OrganizationProfile(id="3"),
    ]
    async with FakeZoho(organizations=given) as fake:
        answer = await read(session, fake, "/books/v3/organizations")
        assert [each["organization_id"] for each in answer["organizations"]] == ["1", "2", "3"]
        assert [each["is_default_org"] for each in answer["organizations"]] == [True, False, False]
        zylker = answer["organizations"][1]
        assert (zylker["name"], zylker["plan_name"], zylker["country_code"]) == ("Zylker", "FREE", "IN")
        assert "page_context" not in answer
        assert (fake.limits["2"].per_day, fake.limits["2"].concurrency) == (1_000, 5)
        assert (fake.limits["1"].per_day, fake.limits["1"].concurrency) == (None, None)
        fake.organization("2").limits.per_day = 5
        fake.reset()
        assert fake.limits["2"].per_day == 1_000
    async with FakeZoho(organizations=given, per_day=7) as fake:
        assert fake.limits["2"].per_day == 7


@pytest.mark.parametrize(
    "given",
    ["10234695", "", {"id": "1", "plan": "huge"}, {"id": "1", "zone": "CET"}, {"name": "A"}, {"id": "1", "x": "y"}],
)
def test_organizations_that_cannot_be(given: Any) -> None:
    with pytest.raises(ValueError, match=r"organization|plan|UTC|missing|unknown"):
        FakeZoho().add_organization(given)


async def test_the_day_ends_at_midnight_of_its_zone(session: aiohttp.ClientSession, clock: Clock) -> None:
    # It is 13:45:19 UTC, so 19:15:19 in India and 09:45:19 in New York.
    given = [{"id": "1", "zone": "+05:30"}, {"id": "2"}]
    async with FakeZoho(organizations=given, per_day=1, clock=clock) as fake:

        async def ask(organization_id: str) -> tuple[int, int, str | None]:
            headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}
            url = f"{fake.url}/books/v3/contacts?organization_id={organization_id}"
            async with session.get(url, headers=headers) as response:
                left = response.headers.get("x-rate-limit-reset")
                return response.status, (await response.json())["code"], left

        india, new_york = (4 * 60 + 44) * 60 + 41, (14 * 60 + 14) * 60 + 41
        assert await ask("1") == (200, 0, str(india))
        assert await ask("2") == (200, 0, str(new_york))
        clock.advance(india - 1)
        assert await ask("1") == (429, 45, None)
        clock.advance(1)
        assert await ask("1") == (200, 0, str(24 * 3600))
        assert await ask("2") == (429, 45, None)


# -- data centres


async def test_credentials_of_another_data_centre(session: aiohttp.ClientSession) -> None:
    async with FakeZoho(data_center="us") as us, FakeZoho(data_center="eu") as eu:
        auth = OAuth(us.client_id, us.client_secret, us.refresh_token)
        addresses = {"api_url": eu.url, "accounts_url": eu.url}
        async with Zoho(auth, organization_id=eu.organization_id, retries=0, **addresses) as zoho:
            with pytest.raises(errors.AuthError, match="invalid_client"):
                await zoho.books.contacts.list()
        answer = await read(session, eu, "/books/v3/contacts", Authorization=f"Zoho-oauthtoken {us.access_token}")
        assert answer["code"] == 57
        assert eu.counts["books.contacts.list"]["acted"] == 0


async def test_the_consent_page_sends_back_a_code(session: aiohttp.ClientSession) -> None:
    async with FakeZoho(data_center="eu") as fake:
        back = "https://app.invalid/back"
        query = {
            "client_id": fake.client_id,
            "response_type": "code",
            "redirect_uri": back,
            "scope": "ZohoBooks.contacts.READ,ZohoBooks.settings.READ",
            "state": "s",
        }
        async with session.get(f"{fake.url}/oauth/v2/auth", params=query, allow_redirects=False) as response:
            assert response.status == 302
            found = urlsplit(response.headers["Location"])
        sent = {name: values[0] for name, values in parse_qs(found.query).items()}
        assert (sent["location"], sent["accounts-server"], sent["state"]) == ("eu", fake.url, "s")
        form = {
            "grant_type": "authorization_code",
            "client_id": fake.client_id,
            "client_secret": fake.client_secret,
            "redirect_uri": back,
            "code": sent["code"],
        }
        async with session.post(f"{fake.url}/oauth/v2/token", data=form) as response:
            granted = await response.json()
        assert granted["scope"] == "ZohoBooks.contacts.READ ZohoBooks.settings.READ"
        for changes in ({"client_id": "x"}, {"redirect_uri": "javascript:x"}, {"response_type": "token"}):
            url = f"{fake.url}/oauth/v2/auth"
            async with session.get(url, params={**query, **changes}, allow_redirects=False) as response:
                assert (response.status, (await response.json())["code"]) == (400, 2)


@pytest.mark.parametrize(
    ("struct", "sent"),
    [(Contact, CONTACT), (ContactRow, LIST_ROW), (Address, ADDRESS), (DefaultTemplates, DEFAULT_TEMPLATES)],
)
def test_fields_stand_in_the_order_of_live_responses(struct: type[msgspec.Struct], sent: dict[str, Any]) -> None:
    """The decoder looks for the next field first."""
    fields = struct.__struct_encode_fields__
    assert list(fields[: len(sent)]) == [name for name in sent if name in fields]
