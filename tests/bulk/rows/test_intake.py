"""Names of rows to columns: spellings, common words, members of pulled records, references by name."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import UserDict
from contextlib import closing
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from multidict import MultiDict
from support.profiles import examples

from zoho_async import Zoho, bulk
from zoho_async.bulk.rows.intake import Intake
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.references import REFERENCES
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.rows.validate import RowReader
from zoho_async.bulk.source.formula_cells import escape_cell
from zoho_async.fake import FakeZoho
from zoho_async.fake.world.faults import Fault


@pytest.fixture
def intake() -> Intake:
    return Intake(Destination.named("books.contacts"))


@pytest.mark.parametrize(
    ("given", "column"),
    [
        ("contact_name", "contact_name"),
        ("Contact Name", "contact_name"),
        ("* CONTACT-NAME", "contact_name"),
        ("Billing Address Zip", "billing_address.zip"),
        ("Contact ID", "contact_id"),
        ("CF_Region", "cf_region"),
        ("Email", "contact_persons[0].email"),
        ("First Name", "contact_persons[0].first_name"),
        ("name", "contact_name"),
        # Several addresses and a person have one.
        ("phone", "phone"),
        ("city", "city"),
        ("colour", "colour"),
    ],
)
def test_a_name_stands_for_a_column(intake: Intake, given: str, column: str) -> None:
    assert intake.check([given])[0] == [column]
    assert list(intake.values({given: "x"})) == [column]


class Shouted(dict[str, str]):
    """Gives other cells than it holds."""

    def items(self) -> Any:
        return [(name, cell.upper()) for name, cell in super().items()]


@pytest.mark.parametrize(
    "row",
    [
        MultiDict([("contact_name", "A"), ("notes", "x"), ("notes", "Y")]),
        UserDict({"contact_name": "A", "notes": "Y"}),
        Shouted({"contact_name": "a", "notes": "y"}),
    ],
)
def test_a_row_may_be_any_mapping(row: Any) -> None:
    item = RowReader(Destination.named("books.contacts"), Options()).read(bulk.Row(number=1, values=row))
    assert (item.body, item.faults) == ({"contact_name": "A", "notes": "Y"}, ())


def test_what_is_taken_by_its_common_meaning_is_reported(intake: Intake) -> None:
    _, notes = intake.check(["Name", "E-Mail", "Notes"])
    assert notes == ["taken by their common meaning: `Name` as `contact_name`, `E-Mail` as `contact_persons[0].email`"]


def test_a_refusal_of_other_columns_says_what_was_taken(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("name,email,phone\nA,a@x.example,1\n")
    taken = r"; taken by their common meaning: `name` as `contact_name`, `email` as `contact_persons\[0\]\.email`$"
    with pytest.raises(bulk.UnknownColumnError, match=f"unknown column `phone` .*{taken}"):
        bulk.check("books.contacts", bulk.open_rows(path))


def test_a_name_beside_the_contacts_name_is_not_taken(intake: Intake) -> None:
    assert intake.check(["contact_name", "name"])[0] == ["contact_name", "name"]


def test_two_spellings_of_one_column_are_refused(intake: Intake) -> None:
    with pytest.raises(bulk.InputError, match="`notes`, `Notes` both stand for `notes`"):
        intake.check(["notes", "Notes"])
    assert intake.values({"notes": "a", "Notes": "b"}) == {"notes": "a", "Notes": "b"}


def test_ambiguous_words_are_suggestions() -> None:
    hint = Destination.named("books.contacts").columns.hint("city")
    assert hint == " (did you mean `billing_address.city` or `shipping_address.city`?)"


contacts_intake = cache(lambda: Intake(Destination.named("books.contacts")))
PULLED = {"contact_id": "46", "created_time": "2026-01-02T03:04:05+0000"}
TEXTS = st.one_of(st.text(), st.text(alphabet="'=@\t\r+-0123456789 ()./x", max_size=12)).filter(
    lambda text: text not in ("[]", "{}")
)


@pytest.mark.parametrize("details", ["none", "all"])
async def test_a_pulled_database_names_the_query_whose_rows_can_be_pushed(
    zoho: Zoho, tmp_path: Path, details: Literal["none", "all"]
) -> None:
    for name in ("=A", "B"):
        body = {"contact_name": name, "contact_persons": [{"email": "a@x.example"}]}
        await zoho.request("POST", "/books/v3/contacts", body=body)
    await bulk.pull(zoho.books.contacts, tmp_path / "a.sqlite", details=details)
    with pytest.raises(bulk.InputError, match="is an SQLite database that a pull wrote") as refused:
        bulk.open_rows(tmp_path / "a.sqlite")
    (query,) = re.findall("'(SELECT .*)'", str(refused.value))
    with closing(sqlite3.connect(tmp_path / "a.sqlite")) as connection:
        (tmp_path / "a.jsonl").write_text("\n".join(row for (row,) in connection.execute(query)))
    async with bulk.push(zoho.books.contacts, bulk.open_rows(tmp_path / "a.jsonl")) as run:
        assert [outcome.action async for outcome in run] == ["unchanged"] * 2


@settings(max_examples=examples(200))
@given(TEXTS)
def test_a_pulled_cell_comes_back_as_it_was(text: str) -> None:
    intake = contacts_intake()
    assert intake.values({**PULLED, "notes": escape_cell(text)}, escaped=True)["notes"] == text
    # Its other columns may have been removed; a row without an id was not pulled.
    assert intake.values({"contact_id": "1", "notes": escape_cell(text)}, escaped=True)["notes"] == text
    assert intake.values({"notes": escape_cell(text)}, escaped=True)["notes"] == escape_cell(text)
    # JSON Lines have no escaped cells.
    assert intake.values({**PULLED, "notes": text})["notes"] == text


@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
async def test_texts_that_look_like_formulas_survive_pull_and_push(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str
) -> None:
    notes = ["=1+1", "'=1+1", "''@x", "+49/30/123456", "'+49 30 123456", "-", "'-5", "-12.50", "@a"]
    for number, text in enumerate(notes):
        await zoho.request("POST", "/books/v3/contacts", body={"contact_name": f"A{number}", "notes": text})
    await bulk.pull(zoho.books.contacts, tmp_path / name, details="all")
    async with bulk.push(zoho.books.contacts, bulk.open_rows(tmp_path / name)) as run:
        outcomes = [outcome async for outcome in run]
    assert [one.action for one in outcomes] == ["unchanged"] * len(notes), [one.reason for one in outcomes]
    assert run.summary.writes == 0


async def test_a_few_columns_of_what_was_pulled_rename_nothing(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    await zoho.request("POST", "/books/v3/contacts", body={"contact_name": "=Quillon"})
    (contact,) = fake.organization().contacts.values()
    path = tmp_path / "a.csv"
    # As a pull writes the name, and without the columns by which a pulled file is known.
    path.write_text(f"contact_id,contact_name,notes\n{contact['contact_id']},{escape_cell('=Quillon')},x\n")
    async with bulk.push(zoho.books.contacts, bulk.open_rows(path)) as run:
        assert [outcome.reason async for outcome in run] == [""]
    (contact,) = fake.organization().contacts.values()
    assert (contact["contact_name"], contact["notes"]) == ("=Quillon", "x")


@pytest.mark.parametrize("details", ["none", "all"])
@pytest.mark.parametrize("name", ["p.csv", "p.jsonl"])
async def test_what_was_pulled_can_be_pushed_back(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str, details: Any
) -> None:
    persons = [{"first_name": "Ada", "email": "ada@x.example"}, {"first_name": "Bo", "email": "bo@x.example"}]
    body = {
        "contact_name": "A",
        "notes": "two\nlines",
        "contact_persons": persons,
        "custom_fields": [{"label": "Region", "value": "North"}],
    }
    await zoho.request("POST", "/books/v3/contacts", body=body)
    await zoho.request("POST", "/books/v3/contacts", body={"contact_name": "B", "payment_terms": 30})
    await bulk.pull(zoho.books.contacts, tmp_path / name, details=details)
    source = bulk.open_rows(tmp_path / name)
    bulk.check("books.contacts", source)
    start = "pulled from Zoho; left out, because it cannot be written: "
    (note,) = [one for one in source.notes if one.startswith(start)]
    assert note.endswith("; to change e-mails and names of persons, pull with --details all") == (details == "none")
    async with bulk.push(zoho.books.contacts, source) as run:
        outcomes = [outcome async for outcome in run]
    assert [(one.status, one.action) for one in outcomes] == [("done", "unchanged")] * 2, [
        one.reason for one in outcomes
    ]
    assert run.summary.writes == 0
    text = (tmp_path / name).read_text(encoding="utf-8").replace("North", "South", 1 if details == "none" else -1)
    edited = text.replace('"cf_region":"North"', '"cf_region":"South"')
    rows = edited.splitlines()
    if name == "p.csv":
        header = rows[0].split(",")
        assert "cf_region" in header
    else:
        assert json.loads(rows[0])["cf_region"] == "South"
        (tmp_path / name).write_text(edited, encoding="utf-8")
        async with bulk.push(zoho.books.contacts, bulk.open_rows(tmp_path / name)) as run:
            changed = sorted([outcome.action async for outcome in run])
        assert changed == ["unchanged", "updated"]
        (first, *_) = fake.organization().contacts.values()
        assert first["custom_fields"] == {"cf_region": "South"}
        assert len(first["contact_persons"]) == 2


async def pushed(zoho: Zoho, rows: Any) -> list[str]:
    async with bulk.push(zoho.books.contacts, rows) as run:
        outcomes = sorted([outcome async for outcome in run], key=lambda one: one.row.number)
    return [outcome.reason or outcome.action for outcome in outcomes]


async def test_references_are_found_by_name_with_one_call_each(fake: FakeZoho, zoho: Zoho) -> None:
    rows = [
        {"contact_name": "A", "currency_code": "eur", "owner_name": "USER@fake.invalid", "pricebook_name": "Wholesale"},
        {"contact_name": "B", "currency_code": "EUR", "owner_name": "Fake User", "pricebook_name": ""},
        {"contact_name": "C", "currency_code": "XXX", "currency_id": fake.organization().fixed_id(3)},
    ]
    assert await pushed(zoho, rows) == ["created"] * 3
    organization = fake.organization()
    euro, pound = organization.fixed_id(2), organization.fixed_id(3)
    records = list(organization.contacts.values())
    assert sorted(one["currency_id"] for one in records) == sorted([euro, euro, pound])
    assert {one["owner_id"] for one in records[:2]} == {organization.user_id}
    for member in ("currencies", "users", "pricebooks"):
        assert fake.requests(f"books.settings.{member}") == 1
    assert fake.requests("books.settings.taxes") == 0


@pytest.mark.parametrize("rows", [[{"currency_code": "XXX"}, {"currency_code": " yyy"}], [{"currency_code": "XXX"}]])
async def test_when_every_row_names_a_currency_that_is_not_there_the_run_ends(
    fake: FakeZoho, zoho: Zoho, rows: list[dict[str, str]]
) -> None:
    named = [{"contact_name": f"A{number}", **row} for number, row in enumerate(rows)]
    sentence = "^row 1: currency_code: the organisation has no currency `XXX`, and no other row names one that it has"
    with pytest.raises(bulk.InputError, match=sentence):
        await bulk.plan(zoho.books.contacts, named)
    with pytest.raises(bulk.InputError, match=r"it has `USD`, `EUR`, `GBP`$"):
        await pushed(zoho, named)
    assert not fake.organization().contacts


@pytest.mark.parametrize("other", [{}, {"currency_code": ""}, {"currency_code": "eur"}])
async def test_a_currency_that_is_not_there_harms_no_row_that_could_be_sent(zoho: Zoho, other: dict[str, str]) -> None:
    ended = await pushed(zoho, [{"contact_name": "A", "currency_code": "XXX"}, {"contact_name": "B", **other}])
    assert ended[0].startswith("currency_code: is none of the organisation's currencies: 'XXX'")
    assert ended[1] == "created"


async def test_references_of_a_json_file_are_found_too(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    earlier = {"contact_name": "Earlier", "custom_fields": [{"label": "Region", "value": "x"}]}
    await zoho.request("POST", "/books/v3/contacts", body=earlier)
    path = tmp_path / "a.jsonl"
    path.write_text(
        '{"contact_name": "A", "currency_code": "eur", "CF.Region": "North"}\n{"contact_name": "B", "tax_name": "no"}\n'
    )
    source = bulk.open_rows(path)
    bulk.check("books.contacts", source)
    async with bulk.push(zoho.books.contacts, source) as run:
        reasons = {outcome.row.number: outcome.reason async for outcome in run}
    assert reasons[1] == ""
    assert "is none of the organisation's taxes: 'no'" in reasons[2]
    contact = list(fake.organization().contacts.values())[-1]
    assert contact["custom_fields"] == {"cf_region": "North"}
    assert contact["currency_id"] == fake.organization().fixed_id(2)
    path.write_text('{"contact_name": "A", "CF.Regoin": "North"}\n')
    source = bulk.open_rows(path)
    bulk.check("books.contacts", source)
    with pytest.raises(bulk.InputError, match=r"unknown column `CF\.Regoin`: no field, and there is no custom field"):
        await bulk.plan(zoho.books.contacts, source)


async def test_a_reference_that_leads_nowhere_fails_its_row_and_names_what_there_is(zoho: Zoho) -> None:
    rows = [{"contact_name": "A", "currency_code": "XXX"}, {"contact_name": "B", "currency_code": "GBP"}]
    assert await pushed(zoho, rows) == [
        "currency_code: is none of the organisation's currencies: 'XXX'; there is `USD`, `EUR`, `GBP`",
        "created",
    ]


async def test_custom_fields_are_found_by_label(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    fields = [{"label": "Region", "value": "x"}, {"label": "Fleet No", "value": "1"}]
    await zoho.request("POST", "/books/v3/contacts", body={"contact_name": "Earlier", "custom_fields": fields})
    path = tmp_path / "a.csv"
    path.write_text("contact_name,CF.Region,Fleet no\nA,North,7\n")
    source = bulk.open_rows(path)
    bulk.check("books.contacts", source)
    assert await pushed(zoho, source) == ["created"]
    record = list(fake.organization().contacts.values())[-1]
    assert record["custom_fields"] == {"cf_region": "North", "cf_fleet_no": "7"}
    path.write_text("contact_name,CF.Regoin\nB,North\n")
    with pytest.raises(bulk.UnknownColumnError, match=r"unknown column `CF\.Regoin`: no field, and there is"):
        source = bulk.open_rows(path)
        bulk.check("books.contacts", source)
        await pushed(zoho, source)
    # Without the check it is an error of the rows.
    assert await pushed(zoho, bulk.open_rows(path)) == ["CF.Regoin: is no known field"]


async def test_a_label_and_its_field_in_one_file_are_refused(zoho: Zoho, tmp_path: Path) -> None:
    fields = [{"label": "Region", "value": "x"}]
    await zoho.request("POST", "/books/v3/contacts", body={"contact_name": "Earlier", "custom_fields": fields})
    path = tmp_path / "a.csv"
    path.write_text("contact_name,CF.Region,cf_region\nA,North,South\n")
    source = bulk.open_rows(path)
    bulk.check("books.contacts", source)
    with pytest.raises(bulk.InputError, match=r"a.csv: `CF\.Region`, `cf_region` both stand for `cf_region`"):
        await bulk.plan(zoho.books.contacts, source)


async def test_a_label_that_is_not_known_and_has_no_value_is_left_out(zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("contact_name,CF.Region,CF.Fleet\nA,,\nB,,\n")
    source = bulk.open_rows(path)
    bulk.check("books.contacts", source)
    assert await pushed(zoho, source) == ["created"] * 2
    assert "left out without any value: `CF.Region`, `CF.Fleet`" in source.notes[-1]
    path.write_text("contact_name,CF.Region,CF.Fleet\nA,,\nC,,7\n")
    source = bulk.open_rows(path)
    bulk.check("books.contacts", source)
    with pytest.raises(bulk.UnknownColumnError) as caught:
        await pushed(zoho, source)
    assert caught.value.columns == ("CF.Fleet",)


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("City", "`City` (did you mean `billing_address.city` or `shipping_address.city`?)"),
        ("Phone", "`contact_persons[0].phone`"),
        ("Currency", "(did you mean `currency_code`?)"),
        ("Terms", "(did you mean `payment_terms`?)"),
        ("Straße", "(did you mean `billing_address.address`?)"),
        ("Webiste", "(did you mean `website`"),
        ("CF.Regoin", "no custom field of that label; there are `cf_external_id`"),
    ],
)
async def test_a_word_that_is_no_label_is_refused_with_what_it_means(
    zoho: Zoho, tmp_path: Path, name: str, words: str
) -> None:
    path = tmp_path / "a.csv"
    path.write_text(f"contact_name,{name}\nA,x\n", encoding="utf-8")
    source = bulk.open_rows(path)
    bulk.check("books.contacts", source)
    with pytest.raises(bulk.UnknownColumnError) as caught:
        await bulk.plan(zoho.books.contacts, source)
    assert words in str(caught.value)


async def test_labels_that_cannot_be_looked_up_are_refused_with_that_reason(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    fake.chance("books.settings.customfields", Fault(kind="status", status=404, code=5), 1.0)
    path = tmp_path / "a.csv"
    path.write_text("contact_name,Fleet No\nA,x\n", encoding="utf-8")
    source = bulk.open_rows(path)
    bulk.check("books.contacts", source)
    with pytest.raises(bulk.UnknownColumnError, match=r"`Fleet No`: no field, and the custom fields cannot be listed"):
        await bulk.plan(zoho.books.contacts, source)


async def test_lists_that_are_asked_for_count_in_the_plan(zoho: Zoho) -> None:
    rows = [{"contact_name": "A", "currency_code": "EUR"}]
    made = await bulk.plan(zoho.books.contacts, rows)
    assert (made.create, made.reads, made.reads_spent) == (1, 2, 2)
    without = await bulk.plan("books.contacts", rows)
    assert (without.create, without.faulty) == (1, 0)


@pytest.mark.parametrize(
    ("row", "days"),
    [
        ({"payment_terms": "Net 30"}, 30),
        ({"payment_terms": "net30"}, 30),
        ({"payment_terms_label": "Due on Receipt"}, 0),
        ({"payment_terms": "15", "payment_terms_label": "Net 30"}, 15),
    ],
)
def test_payment_terms_in_words_are_days(intake: Intake, row: dict[str, str], days: int) -> None:
    assert intake.values(row)["payment_terms"] == str(days)


def test_a_resource_whose_own_column_it_is_keeps_it() -> None:
    billing = Intake(Destination.named("billing.customers"))
    assert billing.values({"currency_code": "EUR"}) == {"currency_code": "EUR"}
    assert billing.references_of(["currency_code"]) == ([], [])
    assert REFERENCES[0].column == "currency_code"
