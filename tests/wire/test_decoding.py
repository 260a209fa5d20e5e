from __future__ import annotations

import copy
import json
from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any, Literal

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from zoho_async import Operation, to_json
from zoho_async.books import Contact, ContactPerson, ContactRow
from zoho_async.books.cards import LIST as CARDS
from zoho_async.books.contact_persons import CREATE as CREATE_PERSON
from zoho_async.books.contacts import DELETE, GET, LIST
from zoho_async.books.documents import GET as DOWNLOAD
from zoho_async.schema.registry import SECRETS
from zoho_async.wire.coercion import Coercer
from zoho_async.wire.decoding import Decoded, Decoders
from zoho_async.wire.pagination import Page

BIG = 9007199254740993123


def read(operation: Operation[Any], answer: Any, wanted: Any = None) -> tuple[Decoded, dict[str, int]]:
    decoders = Decoders()
    body = answer if isinstance(answer, bytes) else json.dumps(answer).encode()
    decoded = decoders.decode(operation, wanted, body, None)
    return decoded, {path: count for (_, path), count in decoders.drift.items()}


def contact(**fields: Any) -> tuple[Contact, dict[str, int]]:
    decoded, drift = read(GET, {"code": 0, "message": "success", "contact": {"contact_id": "1", **fields}})
    assert decoded.code == 0
    assert not decoded.missing
    return decoded.data, drift


def test_a_well_shaped_answer_is_read_as_it_stands() -> None:
    got, drift = contact(
        contact_name="Bowman",
        outstanding_receivable_amount=149.97,
        created_time="2013-08-05T12:06:10+0530",
        created_date="2013-08-05",
        payment_terms=15,
        is_taxable=True,
        billing_address={"zip": "94588"},
        some_new_key={"of": "tomorrow"},
    )
    assert got.outstanding_receivable_amount == Decimal("149.97")
    assert got.created_time == datetime(2013, 8, 5, 12, 6, 10, tzinfo=timezone(timedelta(hours=5, minutes=30)))
    assert got.created_date == date(2013, 8, 5)
    assert got.billing_address is not None
    assert got.billing_address.zip == "94588"
    assert got.notes is None
    assert drift == {}


def test_numbers_as_ids_keep_every_digit() -> None:
    got, drift = contact(contact_id=BIG, currency_id=460000000000097, billing_address={"zip": 94588})
    assert got.contact_id == "9007199254740993123"
    assert got.currency_id == "460000000000097"
    assert got.billing_address is not None
    assert got.billing_address.zip == "94588"
    assert drift == {"contact.contact_id": 1, "contact.currency_id": 1, "contact.billing_address.zip": 1}


def test_empty_text_where_something_else_belongs_reads_as_none() -> None:
    got, drift = contact(exchange_rate="", consent_date="", is_taxable="", payment_terms="", billing_address="")
    assert (got.exchange_rate, got.consent_date, got.is_taxable, got.payment_terms) == (None, None, None, None)
    assert got.billing_address is None
    # Zoho sends the first two empty always, see `x-empty`.
    assert drift == {"contact.is_taxable": 1, "contact.payment_terms": 1, "contact.billing_address": 1}


@pytest.mark.parametrize(
    ("field", "sent", "wanted"),
    [
        ("payment_terms", "15", 15),
        ("payment_terms", 15.0, 15),
        ("payment_terms", 15.5, None),
        ("payment_terms", True, None),
        ("credit_limit", "a lot", None),
        ("is_taxable", "true", True),
        ("is_taxable", "False", False),
        ("is_taxable", 1, True),
        ("is_taxable", 7, None),
        ("created_time", "2013-08-05T12:06:10", None),
        ("created_time", "2013-08-05 12:06:10 +0530", datetime(2013, 8, 5, 6, 36, 10, tzinfo=UTC)),
        ("created_time", "yesterday", None),
        ("created_time", 1375684570, None),
        ("contact_name", 42, "42"),
        ("contact_name", 1.10, "1.1"),
        ("contact_name", True, "true"),
        ("contact_name", ["x"], None),
        ("contact_name", {"x": 1}, None),
        ("contact_persons", {"contact_person_id": "2"}, "list of one"),
        ("contact_persons", "", []),
        ("billing_address", [], None),
        ("billing_address", [{"city": "Rome"}], "object"),
    ],
)
def test_values_of_another_type_are_coerced_or_read_as_none(field: str, sent: Any, wanted: Any) -> None:
    got, drift = contact(**{field: sent})
    value = getattr(got, field)
    if wanted == "list of one":
        assert [person.contact_person_id for person in value] == ["2"]
    elif wanted == "object":
        assert value.city == "Rome"
    else:
        assert value == wanted
    assert f"contact.{field}" in drift or f"contact.{field}[]" in drift


def test_money_as_text_is_money() -> None:
    assert contact(credit_limit="1000.50")[0].credit_limit == Decimal("1000.50")


def test_a_missing_or_null_id_is_empty_and_drift() -> None:
    for answer in ({"contact_name": "x"}, {"contact_name": "x", "contact_id": None}):
        decoded, drift = read(GET, {"code": 0, "contact": answer})
        assert decoded.data.contact_id == ""
        assert drift == {"contact.contact_id": 1}


def test_one_odd_row_of_a_page_is_repaired_and_the_others_are_not_touched() -> None:
    rows: list[dict[str, Any]] = [{"contact_id": str(number), "payment_terms": 15} for number in range(5)]
    rows[3]["payment_terms"] = "30"
    context = {"page": 1, "per_page": "200", "has_more_page": True, "search_criteria": []}
    decoded, drift = read(LIST, {"code": 0, "contacts": rows, "page_context": context})
    page: Page[ContactRow] = decoded.data
    assert [row.payment_terms for row in page.rows] == [15, 15, 15, 30, 15]
    assert (page.context.per_page, page.cursor) == (200, "2")
    assert drift == {"contacts[].payment_terms": 1, "page_context.per_page": 1}


def test_rows_that_are_no_objects_are_counted_and_cost_no_other_row() -> None:
    decoded, drift = read(
        LIST, {"code": 0, "contacts": [{"contact_id": "1"}, "gone", None, 7, [], {"contact_id": "2"}]}
    )
    assert [row.contact_id for row in decoded.data.rows] == ["1", "2"]
    assert drift == {"contacts[]": 4}
    decoded, drift = read(LIST, {"code": 0, "contacts": None})
    assert (decoded.data.rows, drift) == ([], {"contacts": 1})


@pytest.mark.parametrize(
    "mark",
    [b"\xef\xbb\xbf", "utf-16", "utf-16-le", "lone"],
    ids=["utf-8 with a mark", "utf-16", "little endian", "lone"],
)
def test_a_success_in_odd_dress_is_still_a_success(mark: Any) -> None:
    text = '{"code":0,"contact":{"contact_id":"1","contact_name":"M\u00fcller","credit_limit":1.10}}'
    if mark == "lone":
        body = text.replace("M", "\\ud83dM").encode()
    elif isinstance(mark, bytes):
        body = mark + text.encode()
    else:
        body = (b"\xff\xfe" if mark == "utf-16-le" else b"") + text.encode(mark)
    got = Decoders().decode(GET, None, body, "utf-8").data
    assert got.contact_name.endswith("Müller")
    assert got.credit_limit == Decimal("1.10")
    assert to_json(got)


def test_numbers_and_nests_beyond_reason_do_not_hold_up_the_process() -> None:
    assert contact(payment_terms="1e99999999")[0].payment_terms is None
    assert contact(payment_terms="9" * 5000)[0].payment_terms is None
    decoded, _ = read(GET, b"[" * 100_000)
    assert not decoded.readable
    decoded, _ = read(GET, b'{"code":0,"contact":' + b"[" * 100_000)
    assert not decoded.readable


@pytest.mark.parametrize("body", [b"", b"<html>502</html>", b"[]", b'"text"', b"12", b'{"message":"x"}', b'{"code":'])
def test_what_is_no_answer_of_zohos_is_not_taken_for_one(body: bytes) -> None:
    for operation in (GET, LIST, DELETE):
        decoded, _ = read(operation, body)
        assert decoded.code is None


def test_a_success_without_its_result_is_reported_as_such() -> None:
    for operation in (GET, LIST):
        decoded, _ = read(operation, {"code": 0, "message": "success"})
        assert decoded.missing


def test_codes_come_as_numbers_and_as_text() -> None:
    assert read(GET, {"code": "43", "message": "throttled"})[0].code == 43
    assert read(GET, {"code": "INVALID_OAUTHTOKEN", "message": {"odd": 1}})[0].code == "INVALID_OAUTHTOKEN"
    assert read(GET, {"code": "0", "contact": {"contact_id": "1"}})[0].data.contact_id == "1"


def test_another_charset_than_utf8_is_read() -> None:
    body = '{"code":0,"contact":{"contact_id":"1","contact_name":"Müller"}}'.encode("latin-1")
    assert Decoders().decode(GET, None, body, None).data.contact_name == "Müller"
    assert Decoders().decode(GET, None, body, "iso-8859-1").data.contact_name == "Müller"
    assert Decoders().decode(GET, None, body, "utf-8").data.contact_name == "Müller", "labelled wrongly"


def test_one_record_in_a_list_is_one_record() -> None:
    person = {"contact_person_id": "1", "first_name": "Will"}
    will = ContactPerson(contact_person_id="1", first_name="Will")
    for sent, coerced in (([person], 0), ([person, {"contact_person_id": "2"}], 0), (person, 1)):
        decoded, drift = read(CREATE_PERSON, {"code": 0, "message": "made", "contact_person": sent})
        assert decoded.data == will
        assert drift == ({"contact_person": 1} if coerced else {})
    decoded, drift = read(CREATE_PERSON, {"code": 0, "contact_person": [{**person, "contact_person_id": 1}]})
    assert decoded.data == will
    assert drift == {"contact_person[].contact_person_id": 1}
    for empty in ([], None, [None], "x"):
        assert read(CREATE_PERSON, {"code": 0, "contact_person": empty})[0].missing
    assert read(CREATE_PERSON, {"code": 7, "contact_person": [person]})[0].code == 7


def test_an_undocumented_answer_is_a_dict_that_shows_no_secret() -> None:
    assert CARDS.kind == "untyped"
    card = {"card_id": "1", "card_number": "4242424242424242", "cvv": 123, "owner": {"account_number": ["98765"]}}
    answer = {"code": 0, "message": "success", "cards": [card, {**card, "cvv": ""}], "total": 1.10, "more": [[card]]}
    got = read(CARDS, answer)[0].data
    assert got == {**answer, "total": Decimal("1.1")}
    assert isinstance(got, dict)
    assert to_json(got) == msgspec.json.encode(answer)
    # The whole and any part of it, in a repr, a string, and what rich would show.
    pieces = [got, got["cards"], got["cards"][0], got["cards"][0]["owner"], got["more"], {"x": got}]
    for shown in [*map(repr, pieces), f"{got}", *(repr(list(it.__rich_repr__())) for it in (got, got["cards"][0]))]:
        assert "***" in shown
        assert not [secret for secret in ("4242", "123", "98765") if secret in shown], shown
    assert "'card_id': '1', 'card_number': '***', 'cvv': ''" in repr(got["cards"][1])
    assert {"card_number", "cvv", "account_number", "routing_number"} <= SECRETS


class Inner(msgspec.Struct):
    number: int | None = None


class Either(msgspec.Struct):
    lists: Inner | list[Inner] | None = None
    structs: list[Inner] | Inner | None = None
    numbers: bool | int | None = None


def test_a_union_keeps_what_already_has_the_shape_of_a_member() -> None:
    def build(**fields: Any) -> Either:
        either: Either = Coercer().build(Either, fields, "", lambda _: None)
        return either

    for field in ("lists", "structs"):
        assert getattr(build(**{field: [{"number": "1"}]}), field) == [Inner(1)]
        assert getattr(build(**{field: {"number": "1"}}), field) == Inner(1)
    assert build(numbers=1).numbers == 1
    assert build(numbers=1).numbers is not True
    assert build(numbers=True).numbers is True
    assert build(numbers="true").numbers is True


@pytest.mark.parametrize(
    ("body", "media", "named", "code"),
    [
        (b"%PDF-1.7 \xff", "image/png", False, 0),
        (b"", "application/octet-stream", True, 0),
        (b"", "application/octet-stream", False, None),
        (b"<html>", "text/html", False, None),
        (b"<html>", "text/html", True, 0),
        (None, "text/html", False, None),
        (None, "application/json", False, 0),
        (b' {"code": "1002"}', "text/plain", False, 1002),
        (b'{"code": 1002}', "application/json", True, 0),
        (b'{"rows": 3}', "application/json", False, 0),
        (b'{"code": ', "application/json", False, 0),
    ],
)
def test_files_are_distinguished_from_refusals(body: bytes | None, media: str, named: bool, code: int | None) -> None:
    assert DOWNLOAD.kind == "file"
    decoded = Decoders().file(body, media_type=media, named=named, charset=None)
    assert decoded.code == code
    assert code != 0 or decoded.data == body


class Mine(msgspec.Struct):
    contact_id: str
    cf_region: str | None = None
    cf_rank: int = 0
    status: Literal["active", "inactive"] = "active"
    rate: float | None = None


def test_a_type_of_the_callers_own_is_filled() -> None:
    answer = {"code": 0, "contact": {"contact_id": "1", "cf_region": "North", "cf_rank": 3, "rate": 1.5}}
    assert read(GET, answer, Mine)[0].data == Mine(contact_id="1", cf_region="North", cf_rank=3, rate=1.5)
    coerced = {
        "code": 0,
        "contact": {"contact_id": 1, "cf_region": "", "cf_rank": "3", "status": "gone", "rate": "2.5"},
    }
    assert read(GET, coerced, Mine)[0].data == Mine(contact_id="1", cf_region="", cf_rank=3, rate=2.5)


class Fussy(msgspec.Struct):
    contact_id: str

    def __post_init__(self) -> None:
        raise ValueError("never good enough")


def test_a_type_that_raises_is_reported_as_unreadable() -> None:
    decoded, _ = read(GET, {"code": 0, "contact": {"contact_id": "1"}}, Fussy)
    assert decoded.code == 0
    assert "never good enough" in decoded.missing


def values() -> st.SearchStrategy[Any]:
    scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
    odd = st.sampled_from(["", "true", "15", "2026-01-01", "2026-01-01T00:00:00+0530", "1.5", [], {}, [[]], [{}]])
    return st.recursive(scalars | odd, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner), max_leaves=5)


FIELDS = list(Contact.__struct_fields__)
ROW_FIELDS = list(ContactRow.__struct_fields__)


@settings(max_examples=examples(150))
@given(st.dictionaries(st.sampled_from(FIELDS) | st.text(), values(), max_size=12))
def test_a_record_never_fails_for_a_values_type(fields: dict[str, Any]) -> None:
    decoded, _ = read(GET, {"code": 0, "message": "success", "contact": copy.deepcopy(fields)})
    assert isinstance(decoded.data, Contact)
    name = fields.get("contact_name")
    if isinstance(name, str):
        assert decoded.data.contact_name == name


@settings(max_examples=examples(80))
@given(st.lists(st.dictionaries(st.sampled_from(ROW_FIELDS), values(), max_size=6), max_size=4), values())
def test_a_page_never_fails_for_a_values_type_and_loses_no_row(rows: list[dict[str, Any]], context: Any) -> None:
    decoded, _ = read(LIST, {"code": 0, "contacts": rows, "page_context": context})
    assert len(decoded.data.rows) == len(rows)
