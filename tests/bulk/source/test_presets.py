"""Each preset on a file of its own kind: what goes where, and what is named as going nowhere."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoho_async import Zoho, bulk
from zoho_async.bulk.source.mapping import preset_hint
from zoho_async.fake import FakeZoho

SAMPLES = {
    "quickbooks-online": (
        "Name,Company name,Street Address,City,State,Country,Zip,Phone,Email,Customer type,Attachments,Open balance\n"
        "Quillon Ltd,Quillon Ltd,1 Test Rd,Boston,MA,USA,02134,(555) 010-0101,ada@x.example,Retail,0,12.50\n"
    ),
    "hubspot": (
        "Record ID,First Name,Last Name,Email,Phone Number,Contact owner,Company Name,Job Title,Street Address,City,"
        "State/Region,Postal Code,Country/Region,Lead Status,Lifecycle Stage,Create Date,Last Activity Date\n"
        "101,Ada,Quill,ada@x.example,(555) 010-0101,Dee Sales,Quillon Ltd,CEO,1 Test Rd,Boston,MA,02134,"
        "USA,New,Customer,"
        "2024-03-05 10:20,2024-03-06 10:20\n"
    ),
    "google-contacts": (
        "First Name,Middle Name,Last Name,Name Prefix,Nickname,File As,Organization Name,Organization Title,Birthday,"
        "Notes,Photo,Labels,E-mail 1 - Label,E-mail 1 - Value,Phone 1 - Label,Phone 1 - Value,Address 1 - Label,"
        "Address 1 - Formatted,Address 1 - Street,Address 1 - City,Address 1 - Region,Address 1 - Postal Code,"
        "Address 1 - Country,Website 1 - Label,Website 1 - Value\n"
        'Ada,,Quill,,,,Quillon Ltd,CEO,,,,* myContacts,Work,ada@x.example,Work,(555) 010-0101,Work,"1 Test Rd\nBoston",'
        "1 Test Rd,Boston,MA,02134,USA,,\n"
    ),
    "outlook": (
        "Title,First Name,Middle Name,Last Name,Suffix,Company,Department,Job Title,Business Street,Business City,"
        "Business State,Business Postal Code,Business Country/Region,Business Fax,Business Phone,"
        "Home Phone,Mobile Phone,"
        "E-mail Address,E-mail Type,E-mail Display Name,Gender,Notes,Web Page\n"
        ",Ada,,Quill,,Quillon Ltd,,CEO,1 Test Rd,Boston,MA,02134,USA,,(555) 010-0101,,,ada@x.example,SMTP,Ada,"
        "Unspecified,,\n"
    ),
    "shopify": (
        "Customer ID,First Name,Last Name,Email,Accepts Email Marketing,Default Address Company,"
        "Default Address Address1,"
        "Default Address City,Default Address Province Code,Default Address Country Code,Default Address Zip,"
        "Default Address Phone,Phone,Total Spent,Note,Tax Exempt,Tags\n"
        "'721,Ada,Quill,ada@x.example,no,Quillon Ltd,1 Test Rd,Boston,MA,USA,'02134,,'(555) 010-0101,1.00,,no,vip\n"
    ),
    "stripe": (
        "id,Description,Email,Name,Created (UTC),Delinquent,Card ID,Card Last4,Address Line1,"
        "Address City,Address State,"
        "Address Postal Code,Address Country,Phone,Business Name,Tax Exempt,crm (metadata)\n"
        "cus_1,,ada@x.example,Ada Quill,2024-03-05 10:20,false,card_1,4242,1 Test Rd,Boston,MA,02134,"
        "USA,(555) 010-0101,"
        "Quillon Ltd,none,77\n"
    ),
    "xero": (
        "*ContactName,AccountNumber,EmailAddress,FirstName,LastName,POAddressLine1,POCity,PORegion,POPostalCode,"
        "POCountry,PhoneNumber,MobileNumber\n"
        "Quillon Ltd,QUI,ada@x.example,Ada,Quill,1 Test Rd,Boston,MA,02134,USA,(555) 010-0101,\n"
    ),
    "zoho-books": (
        "Contact ID,Contact Name,Company Name,Display Name,First Name,Last Name,EmailID,Phone,Currency Code,"
        "Billing Address,Billing City,Billing State,Billing Code,Billing Country,Status\n"
        "46,Quillon Ltd,Quillon Ltd,Quillon Ltd,Ada,Quill,ada@x.example,(555) 010-0101,USD,1 Test Rd,"
        "Boston,MA,02134,USA,"
        "Active\n"
    ),
}
PERSONLESS = {"quickbooks-online"}
"""Exports without names of persons."""


def test_every_preset_has_a_sample() -> None:
    assert set(SAMPLES) == set(bulk.presets())


@pytest.mark.parametrize("name", SAMPLES)
async def test_a_preset_reads_a_file_of_its_kind(fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(SAMPLES[name], encoding="utf-8")
    source = bulk.open_rows(path, mapping=name)
    bulk.check("books.contacts", source)
    async with bulk.push(zoho.books.contacts, source) as run:
        assert [outcome.reason async for outcome in run] == [""]
    (contact,) = fake.organization().contacts.values()
    assert contact["contact_name"] == "Quillon Ltd"
    address: dict[str, Any] = contact["billing_address"]
    assert {name: address[name] for name in ("address", "city", "state", "zip", "country")} == {
        "address": "1 Test Rd",
        "city": "Boston",
        "state": "MA",
        "zip": "02134",
        "country": "USA",
    }
    (person,) = contact["contact_persons"]
    assert (person["email"], person["phone"]) == ("ada@x.example", "(555) 010-0101")
    if name not in PERSONLESS:
        assert (person["first_name"], person["last_name"]) == ("Ada", "Quill")


@pytest.mark.parametrize("name", SAMPLES)
def test_of_several_mails_in_a_cell_the_first_is_taken_and_the_others_are_named(tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.csv"
    several = {"google-contacts": "ada@x.example ::: bo@x.example"}.get(name, "ada@x.example; bo@x.example")
    path.write_text(SAMPLES[name].replace("ada@x.example", several))
    source = bulk.open_rows(path, mapping=name)
    (row,) = source
    assert row.values["contact_persons[0].email"] == "ada@x.example"
    assert any("'bo@x.example' of" in note for note in source.notes)


def test_two_addresses_are_never_mixed(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for name, header in {
        "outlook": "First Name,Business City,Business Postal Code,Home City,Home Postal Code",
        "stripe": "Name,Address City,Address Postal Code,Card Address City,Card Address Zip",
    }.items():
        path.write_text(f"{header}\nA,Ulm,,Bonn,53111\nB,,,Bonn,53111\n")
        made = [
            (row.values["billing_address.city"], row.values["billing_address.zip"])
            for row in bulk.open_rows(path, mapping=name)
        ]
        assert made == [("Ulm", ""), ("Bonn", "53111")]


async def test_without_a_company_the_contact_has_the_persons_name_else_the_mail(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_text("First Name,Last Name,Email,Company Name\nAda,Quill,ada@x.example,\n,,bo@x.example,\n")
    async with bulk.push(zoho.books.contacts, bulk.open_rows(path, mapping="hubspot")) as run:
        assert [outcome.reason async for outcome in run] == ["", ""]
    assert sorted(fake.created()) == ["Ada Quill", "bo@x.example"]


@pytest.mark.parametrize("name", sorted(set(SAMPLES) - {"quickbooks-online"}))
async def test_a_file_of_a_presets_kind_is_refused_with_the_presets_name(zoho: Zoho, tmp_path: Path, name: str) -> None:
    path = tmp_path / "a.csv"
    path.write_text(SAMPLES[name], encoding="utf-8")
    assert f"the preset {name} has" in bulk.draft_mapping(path).splitlines()[0]
    source = bulk.open_rows(path)
    with pytest.raises(bulk.InputError, match=rf"; the preset {name} has .* columns: --preset {name}$"):
        bulk.check("books.contacts", source)
        # Words that may be labels of custom fields are looked up first.
        await bulk.plan(zoho.books.contacts, source)


def test_the_company_of_a_hubspot_contact_is_that_of_its_association(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Record ID,First Name,Last Name,Email,Associated Company\n1,Ada,Quill,ada@x.example,Quillon Ltd\n")
    (row,) = bulk.open_rows(path, mapping="hubspot")
    assert (row.values["contact_name"], row.values["company_name"]) == ("Quillon Ltd", "Quillon Ltd")


def test_a_company_with_a_comma_in_its_name_stays_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    for name, row in {
        "google-contacts": 'Organization 1 - Name,E-mail 1 - Value\n"Quillon, Inc.",a@x.example ::: b@x.example\n',
        "stripe": 'Name,Email\n"Quillon, Inc.",a@x.example\n',
    }.items():
        path.write_text(row)
        (made,) = bulk.open_rows(path, mapping=name)
        assert made.values["contact_name"] == "Quillon, Inc."
        assert not made.values.get("contact_persons[0].first_name")
        assert made.values["contact_persons[0].email"] == "a@x.example"


@pytest.mark.parametrize(
    ("header", "resource"),
    [
        ("name,email,phone,street,city,zip,country_id/id,vat", "books.contacts"),
        ("Account Name,Billing Street,Billing City,Billing Country,Phone,Website,Type", "books.contacts"),
        (SAMPLES["xero"].splitlines()[0], "billing.customers"),
        ("contact_name,company_name,website,notes,facebook,twitter,currency_code,owner_name,CF.X", "books.contacts"),
    ],
)
def test_a_header_of_no_preset_suggests_none(header: str, resource: str) -> None:
    assert preset_hint(header.split(","), resource) == ""


async def test_what_a_draft_takes_by_reference_and_by_label_can_be_pushed(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    await zoho.request(
        "POST",
        "/books/v3/contacts",
        body={"contact_name": "Earlier", "custom_fields": [{"label": "Fleet No", "value": "1"}]},
    )
    path, mapping = tmp_path / "a.csv", tmp_path / "m.toml"
    path.write_text("Customer,Currency Code,Tax Name,CF.Fleet No,Address City,Billing Attention\nA,EUR,VAT,7,Ulm,Bo\n")
    mapping.write_text(bulk.draft_mapping(path))
    source = bulk.open_rows(path, mapping=mapping)
    bulk.check("books.contacts", source)
    async with bulk.push(zoho.books.contacts, source) as run:
        assert [outcome.reason async for outcome in run] == [""]
    contact = list(fake.organization().contacts.values())[-1]
    assert contact["custom_fields"] == {"cf_fleet_no": "7"}
    assert contact["currency_id"] == fake.organization().fixed_id(2)
    assert (contact["billing_address"]["city"], contact["billing_address"]["attention"]) == ("Ulm", "Bo")
