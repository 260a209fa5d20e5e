"""Members decoded as any JSON give what coercing the whole response gives, and are objects of the same struct."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from zoho_async import Operation
from zoho_async.billing import customers as billing_customers
from zoho_async.books import Contact, ContactPerson, ContactRow, contacts
from zoho_async.books.contacts import GET, LIST
from zoho_async.expense import customers as expense_customers
from zoho_async.invoice import contact_persons as invoice_persons
from zoho_async.wire.decoding import Decoded, Decoders

EMPTY = ("exchange_rate", "opening_balance_amount_bcy", "consent_date", "created_date", "submitted_date")
RECORDS, PAGES = (
    [
        operation
        for resource in (contacts, invoice_persons, billing_customers, expense_customers)
        for operation in vars(resource).values()
        if isinstance(operation, Operation) and operation.kind == kind
    ]
    for kind in ("record", "page")
)
"""The operations on contacts and customers of every product."""
MEMBERS = sorted(
    {
        field.encode_name
        for struct in (Contact, ContactRow, ContactPerson, *(operation.response for operation in RECORDS + PAGES))
        for field in msgspec.structs.fields(struct)
    }
)
PERSONS = ("contact_persons", "billing_address", "custom_fields", "tags", "documents", "cards")


class Digits(str):
    """A JSON number as it is written."""

    __slots__ = ()


class Pairs(list[tuple[str, Any]]):
    """A JSON object in which a name may stand twice."""


numbers = st.sampled_from(
    ["123456789012345678901234567890.1234567890123456789012345678901", "1.0", "1.10", "-0.00", "1e2", "1e400", "1E-400"]
).map(Digits)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | numbers
    | st.text()
    | st.sampled_from(
        ["", "15", " 1.50 ", "1_0", "NaN", "sNaN", "-Infinity", "2026-01-01", "2026-01-01T00:00:00+0530", "a\u2028"]
    )
    | st.sampled_from(['"exchange_rate":""', ':""', "\\"])
)


def objects(inner: st.SearchStrategy[Any], most: int) -> st.SearchStrategy[Pairs]:
    names = st.sampled_from(EMPTY) | st.sampled_from(PERSONS) | st.sampled_from(MEMBERS) | st.text()
    return st.lists(st.tuples(names, inner), max_size=most).map(Pairs)


values = st.recursive(scalars, lambda inner: st.lists(inner, max_size=3) | objects(inner, 3))
members = objects(values, 8)
layouts = st.sampled_from([(",", ":", True), (", ", ": ", True), ("\t,\r\n", " :\n", False)])


def text_of(value: Any, layout: tuple[str, str, bool]) -> str:
    comma, colon, ascii_only = layout
    if isinstance(value, Digits):
        return str(value)
    if isinstance(value, Pairs):
        pairs = (f"{json.dumps(name, ensure_ascii=ascii_only)}{colon}{text_of(item, layout)}" for name, item in value)
        return f"{{{comma.join(pairs)}}}"
    if isinstance(value, list):
        return f"[{comma.join(text_of(item, layout) for item in value)}]"
    return json.dumps(value, ensure_ascii=ascii_only)


def response(operation: Operation[Any], result: Any, layout: tuple[str, str, bool]) -> bytes:
    if operation.in_list:
        result = [result]
    whole = Pairs([("code", 0), ("message", "success"), (operation.envelope[0], result)])
    return text_of(whole, layout).encode("utf-8", "replace")


def exact(value: Any) -> Any:
    """What tells 1.0 from 1.00, a not-a-number from another, and a type from its twin."""
    if isinstance(value, msgspec.Struct):
        return type(value), [exact(getattr(value, name)) for name in value.__struct_fields__]
    if isinstance(value, list):
        return [exact(item) for item in value]
    if isinstance(value, dict):
        return {name: exact(item) for name, item in value.items()}
    return type(value), str(value)


@cache
def decoders_of(use: str) -> Decoders:
    """Shared by all examples: building decoders takes longer than their use."""
    return Decoders()


def as_whole(operation: Operation[Any], body: bytes) -> Decoded:
    """The response as coercion alone reads it."""
    decoders = decoders_of("coercion alone")
    return decoders._decode_tolerant(operation, decoders._envelope(operation, None), body, None)


def written(value: Any, layout: dict[str, Any]) -> bytes:
    return json.dumps(value, **layout).encode("utf-8", "replace")


@settings(max_examples=examples(300))
@given(st.sampled_from([GET, *RECORDS]), members, layouts)
def test_a_record_is_read_as_by_coercion_alone(operation: Any, record: Pairs, layout: tuple[str, str, bool]) -> None:
    body = response(operation, record, layout)
    # These have learned from earlier examples which members come in other types.
    read, whole = decoders_of("relaxed").decode(operation, None, body, None), as_whole(operation, body)
    assert exact(read.data) == exact(whole.data)
    assert (read.code, read.message, read.missing) == (whole.code, whole.message, whole.missing)


@settings(max_examples=examples(30))
@given(st.sampled_from(PAGES), st.lists(members, max_size=4), layouts)
def test_a_page_is_read_as_by_coercion_alone(operation: Any, rows: list[Pairs], layout: tuple[str, str, bool]) -> None:
    body = response(operation, rows, layout)
    decoders, whole = Decoders(), as_whole(operation, body)
    for _ in range(2):
        page = decoders.decode(operation, None, body, None).data
        assert [type(row) for row in page.rows] == [operation.response] * len(rows)
        assert exact(page.rows) == exact(whole.data.rows)


@pytest.mark.parametrize("text", ["NaN", "sNaN", "-Infinity", " 15 ", "1_000", "1.50", "much"])
@pytest.mark.parametrize("name", ["exchange_rate", "credit_limit"])
def test_text_is_the_same_money_whatever_the_other_members_hold(name: str, text: str) -> None:
    found: list[Any] = []
    decoders = Decoders()
    for terms in (15, "15", "15"):  # strictly, by coercion, and as what was met before
        body = written({"code": 0, "contact": {"contact_id": "1", name: text, "payment_terms": terms}}, {})
        found.append(exact(decoders.decode(GET, None, body, None).data))
    assert found[0] == found[1] == found[2]
    assert (f"contact.{name}" in decoders.drift.by_operation()["books.contacts.get"]) is (text == "much")


@pytest.mark.parametrize("layout", [{}, {"indent": 2}, {"separators": (",", ":")}])
def test_what_zoho_sends_empty_is_no_drift(layout: dict[str, Any]) -> None:
    decoders = Decoders()
    body = written({"code": 0, "contact": {"contact_id": "1", "notes": "", **dict.fromkeys(EMPTY, "")}}, layout)
    contact = decoders.decode(GET, None, body, None).data
    assert contact == Contact(contact_id="1", notes="")
    assert not decoders.drift


def test_empty_text_inside_other_values_is_kept() -> None:
    documents = [{"exchange_rate": ""}]
    record = {"contact_id": "1", "exchange_rate": "", "documents": documents, "notes": '"exchange_rate":""'}
    contact = Decoders().decode(GET, None, written({"code": 0, "contact": record}, {}), None).data
    assert (contact.documents, contact.notes, contact.exchange_rate) == (documents, '"exchange_rate":""', None)


def test_every_odd_value_counts_whether_or_not_it_was_met_before() -> None:
    decoders = Decoders()
    rows = [{"contact_id": str(number), "payment_terms": "15"} for number in range(3)]
    for times in (1, 2):
        page = decoders.decode(LIST, None, written({"code": 0, "contacts": rows}, {}), None).data
        assert [row.payment_terms for row in page.rows] == [15, 15, 15]
        assert dict(decoders.drift) == {("books.contacts.list", "contacts[].payment_terms"): 3 * times}


def test_many_odd_members_are_read_too() -> None:
    record = dict.fromkeys(MEMBERS, 7)
    body = written({"code": 0, "contact": record}, {})
    assert Decoders().decode(GET, None, body, None) == as_whole(GET, body)


def test_a_restored_record_is_one_of_its_struct() -> None:
    body = written({"code": 0, "contact": {"contact_id": "1", "exchange_rate": 1.10, "payment_terms": "15"}}, {})
    contact = Decoders().decode(GET, None, body, None).data
    made = Contact(contact_id="1", exchange_rate=Decimal("1.1"), payment_terms=15)
    assert (contact, repr(contact), type(contact)) == (made, repr(made), Contact)
    assert pickle.loads(pickle.dumps(contact)) == made


class Frozen(msgspec.Struct, frozen=True, rename="pascal"):
    contact_id: str
    rank: int = 3
    tags: list[str] = msgspec.field(default_factory=list, name="TAGS")
    rate: Decimal | None = msgspec.field(default=None, name="exchange_rate")


class Hooked(msgspec.Struct):
    contact_id: str
    rank: int = 3

    def __post_init__(self) -> None:
        assert isinstance(self.rank, int)


class Tagged(msgspec.Struct, tag="whole", tag_field="kind"):
    contact_id: str
    rank: int = 3


class Announced(msgspec.Struct):
    contact_id: str
    rank: int = 3

    def __init_subclass__(cls, **options: Any) -> None:
        raise AssertionError("a subclass was made")


@pytest.mark.parametrize(
    ("type_", "sent", "wanted"),
    [
        (Frozen, {"ContactId": 1, "Rank": "4", "exchange_rate": ""}, lambda: Frozen("1", 4)),
        (Frozen, {"ContactId": "1", "Rank": None, "TAGS": "a"}, lambda: Frozen("1", 3, ["a"])),
        (Hooked, {"contact_id": 1, "rank": "4"}, lambda: Hooked("1", 4)),
        (Tagged, {"kind": "whole", "contact_id": 1, "rank": "4"}, lambda: Tagged("1", 4)),
        (Announced, {"contact_id": 1, "rank": "4"}, lambda: Announced("1", 4)),
    ],
)
def test_structs_of_the_callers_own_are_restored(type_: Any, sent: dict[str, Any], wanted: Callable[[], Any]) -> None:
    decoders = Decoders()
    for _ in range(2):
        read = decoders.decode(GET, type_, written({"code": 0, "contact": sent}, {}), None)
        assert (read.data, type(read.data)) == (wanted(), type_)


def test_members_that_hold_objects_are_relaxed_as_one() -> None:
    decoders = Decoders()
    for zip_code, counted in ((94588, 1), ("94588", 1), (94588, 2)):
        record = {"contact_id": "1", "billing_address": {"zip": zip_code, "city": "Rome"}}
        contact = decoders.decode(GET, None, written({"code": 0, "contact": record}, {}), None).data
        assert contact.billing_address.zip == "94588"
        assert dict(decoders.drift) == {("books.contacts.get", "contact.billing_address.zip"): counted}
