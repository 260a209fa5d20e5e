"""What the organisation surely lacks, as its lists say it; what they do not say is no fault."""

from __future__ import annotations

from typing import Any

import pytest

from zoho_async.bulk.errors import InputError, UnknownColumnError
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.preflight import Preflight, currencies_of, custom_fields_of
from zoho_async.bulk.rows.references import CUSTOM_FIELDS, REFERENCES
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.rows.validate import RowReader
from zoho_async.bulk.source.files import Row

CURRENCIES = "/settings/currencies"
ID, FIRST = {"api_name": "cf_id", "is_unique": True}, {"api_name": "cf_first", "is_unique": False}
FIELDS = {"customfields": [ID, FIRST]}
EURO = {"currencies": [{"currency_id": "1", "currency_code": "EUR"}]}


def preflight(name: str, *rows: dict[str, Any], **options: Any) -> Preflight:
    destination = Destination.named(name)
    checked = Options.of(destination, **options)
    reader, found = RowReader(destination, checked), Preflight(destination, checked)
    for number, values in enumerate(rows, 1):
        found.add(reader.read(Row(number=number, values=values)))
    return found


@pytest.mark.parametrize(
    ("answer", "fields"),
    [
        (FIELDS, {"cf_id": True, "cf_first": False}),
        ({"customfields": {"contact": [ID], "invoice": [FIRST]}}, {"cf_id": True, "cf_first": False}),
        ({"customfields": [ID, {**ID, "is_unique": False}]}, {"cf_id": None}),
        ({"customfields": [{"api_name": "cf_id"}]}, {"cf_id": None}),
        ({"customfields": [{"api_name": "cf_id", "is_unique": 0}]}, {"cf_id": None}),
        ({"customfields": [{"api_name": "cf_id", "is_unique": "false"}]}, {"cf_id": False}),
        ({**FIELDS, "page_context": {"has_more_page": False}}, {"cf_id": True, "cf_first": False}),
        ({**FIELDS, "page_context": {"has_more_page": True}}, None),
        ({**FIELDS, "page_context": {"has_more_page": "maybe"}}, None),
        ({**FIELDS, "page_context": {}}, None),
        ({**FIELDS, "page_context": [1]}, None),
        ({"customfields": [ID, {"label": "First"}]}, None),
        ({"customfields": [ID, "cf_first"]}, None),
        ({"customfields": {"contact": [ID], "more": 3}}, None),
        ({"customfields": [{**ID, "entity": "contact"}, {**ID, "entity": "item"}]}, {"cf_id": True}),
        # Of contacts it says nothing.
        ({"customfields": [{**ID, "entity": "invoice"}]}, None),
        ({"customfields": {"invoice": [ID], "item": [FIRST]}}, None),
        ({"customfields": []}, None),
        ({"customfields": {}}, None),
        ({"customfields": "none"}, None),
        ({"code": 0}, None),
        ([], None),
        (None, None),
    ],
)
def test_the_custom_fields_are_known_only_by_a_whole_list(answer: Any, fields: dict[str, Any] | None) -> None:
    found = custom_fields_of(answer)
    assert (None if found is None else {name: one.unique for name, one in found.items()}) == fields


@pytest.mark.parametrize(
    ("answer", "codes"),
    [
        (EURO, {"1": "EUR"}),
        ({"currencies": [{"currency_id": "1"}]}, None),
        ({"currencies": []}, None),
        ({**EURO, "page_context": {"has_more_page": True}}, None),
    ],
)
def test_the_currencies_are_known_only_by_a_whole_list(answer: Any, codes: dict[str, str] | None) -> None:
    assert currencies_of(answer) == codes


@pytest.mark.parametrize(
    ("name", "rows", "options", "questions"),
    [
        ("books.contacts", [{"contact_name": "A"}], {}, []),
        ("books.contacts", [{"contact_name": "A", "cf_id": ""}], {}, []),
        ("books.contacts", [{"contact_name": "A", "cf_id": "1"}], {}, [CUSTOM_FIELDS]),
        ("books.contacts", [{"contact_name": "A"}], {"upsert_by": "cf_id"}, [CUSTOM_FIELDS]),
        ("books.contacts", [{"contact_name": "A"}], {"match_by": "company_name"}, []),
        ("books.contacts", [{"contact_name": "A", "currency_id": "1"}], {}, [CURRENCIES]),
        ("billing.customers", [{"display_name": "A", "currency_code": "EUR"}], {}, [CURRENCIES]),
        ("books.contact_persons", [{"contact_id": "1", "email": "a@x.example"}], {}, []),
    ],
)
def test_only_what_rows_need_is_asked(
    name: str, rows: list[dict[str, Any]], options: dict[str, Any], questions: list[str]
) -> None:
    assert preflight(name, *rows, **options).questions == questions


@pytest.mark.parametrize(
    ("rows", "options", "answers", "words"),
    [
        ([{"notes": "x"}], {"upsert_by": "cf_nothere"}, FIELDS, "no custom field `cf_nothere`: "),
        ([{"notes": "x"}], {"match_by": "cf_nothere"}, FIELDS, "no custom field `cf_nothere`: "),
        (
            [{"cf_frist": "x"}],
            {},
            FIELDS,
            "no custom field `cf_frist`, needed first by row 1, perhaps `cf_first` is meant: ",
        ),
        ([{"cf_a": 1}, {"cf_b": 2}], {}, FIELDS, "no custom field `cf_a`, `cf_b`"),
        ([{"notes": "x"}], {"upsert_by": "cf_first"}, FIELDS, "`cf_first` allows duplicates in Zoho"),
        ([{"cf_a": 1}], {"upsert_by": "cf_first"}, FIELDS, "no custom field `cf_a`.*`cf_first` allows duplicates"),
        (
            [{"notes": "x"}, {"currency_id": "7"}],
            {},
            EURO,
            "row 2: currency_id: the organisation has no currency `7`.*has `EUR`",
        ),
    ],
)
def test_what_is_surely_missing_is_named(
    rows: list[dict[str, Any]], options: dict[str, Any], answers: dict[str, Any], words: str
) -> None:
    given = [{"contact_name": f"N{number}", **row} for number, row in enumerate(rows)]
    found = preflight("books.contacts", *given, **options)
    with pytest.raises(InputError, match=words) as caught:
        found.judge({CUSTOM_FIELDS: answers, CURRENCIES: answers})
    assert isinstance(caught.value, UnknownColumnError) == ("no custom field" in words)


@pytest.mark.parametrize(
    ("name", "row", "options", "answers"),
    [
        ("books.contacts", {"cf_a": "x"}, {"upsert_by": "cf_b"}, None),
        ("books.contacts", {"cf_a": "x"}, {"upsert_by": "cf_b"}, {"customfields": []}),
        ("books.contacts", {"cf_id": "x", "cf_first": "y"}, {"upsert_by": "cf_id"}, FIELDS),
        ("books.contacts", {"cf_first": "y"}, {"match_by": "cf_first"}, FIELDS),
        ("books.contacts", {"cf_id": "x"}, {"upsert_by": "cf_id"}, {"customfields": [{"api_name": "cf_id"}]}),
        ("books.contacts", {"currency_id": "1"}, {}, EURO),
        ("books.contacts", {"currency_id": "7"}, {}, {"currencies": []}),
        ("billing.customers", {"currency_code": "eur"}, {}, EURO),
    ],
)
def test_what_is_there_or_not_known_passes(
    name: str, row: dict[str, Any], options: dict[str, Any], answers: Any
) -> None:
    named = {"display_name" if name.startswith("billing") else "contact_name": "A"}
    preflight(name, {**named, **row}, **options).judge({CUSTOM_FIELDS: answers, CURRENCIES: answers})


def test_a_currency_in_billing_is_named_by_its_code() -> None:
    found = preflight("billing.customers", {"display_name": "A", "currency_code": "XYZ"})
    with pytest.raises(InputError, match="row 1: currency_code: the organisation has no currency `XYZ`"):
        found.judge({CURRENCIES: EURO})


def test_the_lists_of_references_and_of_the_preflight_are_the_same() -> None:
    assert CURRENCIES in [one.path for one in REFERENCES]
