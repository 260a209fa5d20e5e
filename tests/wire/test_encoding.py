from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async import InvalidError, custom_fields, to_builtins, to_json
from zoho_async.books import Contact, ContactCreate, ContactPersonInput, ContactUpdate
from zoho_async.books.contacts import CREATE, DELETE_MANY, GET, LIST, UPSERT
from zoho_async.wire import encoding
from zoho_async.wire.encoding import EncodedRequest, build_request


def build(operation: Any, **values: Any) -> EncodedRequest:
    return build_request(operation, root="/books/v3", organization_id="10234695", **values)


def faults(operation: Any, **values: Any) -> list[tuple[str, str]]:
    with pytest.raises(InvalidError) as caught:
        build(operation, **values)
    assert caught.value.sent is False
    return [(fault.path, fault.rule) for fault in caught.value.faults]


def test_a_request_carries_the_organisation_and_only_what_was_given() -> None:
    request = build(GET, path={"contact_id": "460000000026049"})
    assert request == EncodedRequest(
        method="GET", target="/books/v3/contacts/460000000026049?organization_id=10234695", headers={}
    )
    listing = build(LIST, query={"contact_name": "Ünal & Söhne", "page": 2, "filter_by": None})
    assert listing.target == (
        "/books/v3/contacts?contact_name=%C3%9Cnal%20%26%20S%C3%B6hne&page=2&organization_id=10234695"
    )


def test_booleans_travel_as_words_and_lists_with_commas() -> None:
    upsert = build(
        UPSERT,
        headers={"X-Unique-Identifier-Key": "cf_id", "X-Unique-Identifier-Value": "42", "X-Upsert": True},
        body={},
    )
    assert upsert.headers["X-Upsert"] == "true"
    many = build(DELETE_MANY, query={"contact_ids": ["1", "2"]})
    assert many.target == "/books/v3/contacts?contact_ids=1%2C2&organization_id=10234695"


def test_unknown_and_missing_names_are_refused_all_at_once() -> None:
    assert faults(LIST, query={"filterby": "Status.All", "sort_column": "name", "per_page": 500, "page": "x"}) == [
        ("filterby", "unknown"),
        ("sort_column", "values"),
        ("per_page", "maximum"),
        ("page", "type"),
    ]
    assert faults(LIST, query={"page": 0, "per_page": -1}) == [("page", "minimum"), ("per_page", "minimum")]
    assert faults(GET) == [("contact_id", "required")]
    assert faults(GET, path={"contact_id": True}) == [("contact_id", "type")]
    assert faults(GET, path={"contact_id": ["1", "2"]}) == [("contact_id", "type")]
    assert faults(DELETE_MANY, query={"contact_ids": []}) == [("contact_ids", "type")]
    assert faults(DELETE_MANY, query={"contact_ids": ["1", "2,3"]}) == [("contact_ids", "type")]
    assert faults(LIST, query={"contact_name": "x" * 101}) == [("contact_name", "max_length")]


@pytest.mark.parametrize("segment", ["", ".", ".."])
def test_path_segments_that_address_something_else_are_refused(segment: str) -> None:
    assert faults(GET, path={"contact_id": segment}) == [("contact_id", "path")]


@given(st.text(min_size=1).filter(lambda text: text not in {".", ".."}))
def test_any_other_path_value_stays_one_segment(value: str) -> None:
    try:
        value.encode()
    except UnicodeEncodeError:
        return
    path = build(GET, path={"contact_id": value}).target.partition("?")[0]
    assert path.count("/") == 4
    assert "#" not in path


@pytest.mark.parametrize("value", ["a\r\nX-Other: 1", "a\x00", " padded", "padded ", ""])
def test_header_values_that_cannot_travel_are_refused(value: str) -> None:
    headers = {"X-Unique-Identifier-Key": "cf_id", "X-Unique-Identifier-Value": value}
    assert faults(UPSERT, headers=headers, body={}) == [("X-Unique-Identifier-Value", "header")]


def test_bodies_of_the_wrong_kind_name_the_right_one() -> None:
    with pytest.raises(TypeError, match=r"takes ContactCreate or a mapping, not Contact$"):
        build(CREATE, body=Contact(contact_id="1"))
    with pytest.raises(TypeError, match="takes ContactCreate or a mapping, not ContactUpdate"):
        build(CREATE, body=ContactUpdate())
    with pytest.raises(TypeError, match="needs a body: ContactCreate"):
        build(CREATE)
    with pytest.raises(TypeError, match="takes no body"):
        build(GET, path={"contact_id": "1"}, body={})


def test_unset_is_left_out_and_none_is_null() -> None:
    body = ContactCreate(contact_name="Bowman", notes=None)
    assert to_json(body) == b'{"contact_name":"Bowman","notes":null}'
    assert to_builtins(body) == {"contact_name": "Bowman", "notes": None}


def test_money_is_a_number_with_every_digit() -> None:
    amounts = {"a": Decimal("1369.66"), "b": Decimal("0.10"), "c": Decimal("1E+2"), "d": 5, "e": Decimal("1E-7")}
    assert to_json(amounts) == b'{"a":1369.66,"b":0.10,"c":100,"d":5,"e":0.0000001}'
    exact = Decimal("123456789012345678.9012345678")
    assert to_json([exact]) == b"[123456789012345678.9012345678]"
    assert to_builtins([exact, Decimal("1369.66"), Decimal(15)]) == [exact, 1369.66, 15]


@given(st.decimals(allow_nan=False, allow_infinity=False))
def test_no_digit_of_a_decimal_is_lost(number: Decimal) -> None:
    assert json.loads(to_json(number), parse_float=Decimal, parse_int=Decimal) == number
    assert Decimal(str(to_builtins(number))) == number


@pytest.mark.parametrize("number", [float("nan"), float("inf"), Decimal("NaN"), Decimal("-Infinity")])
def test_numbers_that_json_cannot_hold_are_refused_with_their_path(number: Any) -> None:
    body = {"contact_name": "x", "opening_balances": [{"exchange_rate": number}]}
    assert faults(CREATE, body=body) == [("opening_balances[0].exchange_rate", "value")]


def test_bytes_are_refused_with_their_path() -> None:
    assert faults(CREATE, body={"contact_name": b"abc"}) == [("contact_name", "type")]


def test_times_carry_their_zone_without_a_colon() -> None:
    moment = datetime(2026, 6, 9, 9, 45, 19, tzinfo=timezone(timedelta(hours=-4)))
    assert to_json([moment, date(2026, 6, 9)]) == b'["2026-06-09T09:45:19-0400","2026-06-09"]'
    assert encoding.parameter_text(datetime(2026, 6, 9, tzinfo=UTC)) == "2026-06-09T00:00:00+0000"
    assert faults(CREATE, body={"when": datetime(2026, 6, 9)}) == [("when", "value")]  # noqa: DTZ001


def test_custom_fields_are_written_by_api_name() -> None:
    body = ContactCreate(
        contact_name="Bowman",
        custom_fields=custom_fields(cf_a=1, cf_b="x"),
        contact_persons=[ContactPersonInput(first_name="Will")],
    )
    assert json.loads(to_json(body)) == {
        "contact_name": "Bowman",
        "contact_persons": [{"first_name": "Will"}],
        "custom_fields": [{"api_name": "cf_a", "value": 1}, {"api_name": "cf_b", "value": "x"}],
    }
    with pytest.raises(ValueError, match="cf_"):
        custom_fields(region="North")


def test_a_struct_as_an_item_of_a_mapping_is_written_like_one() -> None:
    body = {"contact_persons": [ContactPersonInput(email="a@b.c")]}
    assert json.loads(to_json(body)) == {"contact_persons": [{"email": "a@b.c"}]}


@pytest.mark.parametrize(
    ("body", "path"),
    [
        ({"notes": object()}, "notes: "),
        ({"contact_persons": [{"email": "a"}, {"email": object()}]}, "contact_persons[1].email: "),
        (
            ContactCreate(contact_name="A", contact_persons=[ContactPersonInput(email=object())]),
            "contact_persons[0].email: ",
        ),  # type: ignore[arg-type]
        (object(), ""),
    ],
)
def test_a_value_that_json_cannot_hold_is_named_by_its_path(body: Any, path: str) -> None:
    with pytest.raises(TypeError) as caught:
        to_json(body)
    assert str(caught.value) == f"{path}Encoding objects of type object is unsupported"
