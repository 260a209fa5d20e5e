from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async.books.rules import RULES
from zoho_async.bulk.errors import UnknownColumnError
from zoho_async.bulk.rows.cells import InvalidCell, convert
from zoho_async.bulk.rows.columns import Columns, original
from zoho_async.bulk.source.text import strip_blanks
from zoho_async.schema.validation import Rule

COLUMNS = Columns(RULES, "ContactCreate")


def test_columns_become_a_body() -> None:
    body, faults, places = COLUMNS.read(
        {
            "contact_name": "A",
            "credit_limit": "1000.50",
            "payment_terms": " 30 ",
            "is_portal_enabled": "Yes",
            "billing_address.city": "Roma",
            "billing_address.zip": "00100",
            "contact_persons[0].email": "",
            "contact_persons[2].email": "c@example.test",
            "contact_persons[2].communication_preference.is_sms_enabled": "0",
            "contact_persons[1].first_name": "B",
            "currency_id": "460000000000097",
            "notes": "  ",
            "cf_external_id": "0042",
        }
    )
    assert body == {
        "contact_name": "A",
        "credit_limit": Decimal("1000.50"),
        "payment_terms": 30,
        "is_portal_enabled": True,
        "billing_address": {"city": "Roma", "zip": "00100"},
        "contact_persons": [
            {"first_name": "B"},
            {"email": "c@example.test", "communication_preference": {"is_sms_enabled": False}},
        ],
        "currency_id": "460000000000097",
        "custom_fields": [{"api_name": "cf_external_id", "value": "0042"}],
    }
    assert faults == []
    assert original("contact_persons[1].email", places) == "contact_persons[2].email"
    assert original("contact_persons[0].email", places) == "contact_persons[1].email"
    assert original("custom_fields[0].value", places) == "cf_external_id"
    assert original("contact_name", places) == "contact_name"


def test_nested_rows_and_flat_ones_are_the_same() -> None:
    nested = {
        "contact_name": "A",
        "billing_address": {"city": "Roma"},
        "contact_persons": [{"email": "a@example.test"}],
        "custom_fields": [{"api_name": "cf_a", "value": ["x", "y"]}],
        "cf_b": 2,
        "credit_limit": Decimal("1.10"),
        "is_portal_enabled": False,
        "notes": None,
    }
    flat = {
        "contact_name": "A",
        "billing_address.city": "Roma",
        "contact_persons[0].email": "a@example.test",
        "custom_fields[0].api_name": "cf_a",
        "custom_fields[0].value": ["x", "y"],
        "cf_b": 2,
        "credit_limit": "1.10",
        "is_portal_enabled": "false",
        "notes": "",
    }
    first, faults, _ = COLUMNS.read(nested)
    assert faults == []
    assert first == COLUMNS.read(flat)[0]
    assert first["custom_fields"] == [{"api_name": "cf_a", "value": ["x", "y"]}, {"api_name": "cf_b", "value": 2}]


@pytest.mark.parametrize(
    "name",
    [
        "contact_nam",
        "billing_address",
        "billing_address.cit",
        "billing_address[0].city",
        "contact_persons.email",
        "contact_persons[0]",
        "contact_persons[x].email",
        "contact_persons[0].email.x",
        "contact_name[0]",
        "contact_name.x",
        "billing_address.cf_x",
        "cf_",
        "",
        ".",
        "a..b",
        "contact_name ",
    ],
)
def test_unknown_columns_are_named(name: str) -> None:
    assert COLUMNS.column(name) is None
    with pytest.raises(UnknownColumnError) as caught:
        COLUMNS.require(["contact_name", name], where="a.csv")
    assert f"`{name}`" in str(caught.value)
    assert caught.value.columns == (name,)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("contact_nam", "contact_name"),
        ("billing_adress.city", "billing_address.city"),
        ("contact_persons[3].emial", "contact_persons[0].email"),
    ],
)
def test_unknown_columns_come_with_the_nearest_known_ones(name: str, near: str) -> None:
    assert f"`{near}`" in COLUMNS.hint(name)


def test_every_listed_name_is_a_column() -> None:
    names = COLUMNS.names()
    assert len(names) > 80
    assert all(COLUMNS.column(name) is not None for name in names)


@pytest.mark.parametrize(
    ("kind", "cell", "value"),
    [
        ("boolean", "TRUE", True),
        ("boolean", "no", False),
        ("boolean", " 1 ", True),
        ("boolean", False, False),
        ("integer", "-7", -7),
        ("integer", 7, 7),
        ("integer", "30.0", 30),
        ("integer", Decimal("30.0"), 30),
        ("number", "12.50", Decimal("12.50")),
        ("number", 3, 3),
        ("date", "2024-02-29", "2024-02-29"),
        ("datetime", "2026-06-09T09:45:19-0400", "2026-06-09T09:45:19-0400"),
        ("string", 94016, "94016"),
        ("string", " kept ", " kept "),
        ("id", 460000000026049, "460000000026049"),
        ("any", ["x"], ["x"]),
    ],
)
def test_cells_are_read_by_kind(kind: Any, cell: Any, value: Any) -> None:
    read = convert(Rule(kind=kind), cell)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    ("kind", "cell", "rule"),
    [
        ("boolean", "maybe", "type"),
        ("boolean", "2", "type"),
        ("integer", "1.5", "type"),
        ("integer", "thirty", "type"),
        ("integer", True, "type"),
        ("integer", "9" * 30, "type"),
        ("number", "1,234.50", "type"),
        ("number", "1e5", "type"),
        ("number", "NaN", "type"),
        ("number", "٣", "type"),
        ("date", "29.02.2024", "type"),
        ("date", "2023-02-29", "type"),
        ("date", "20240229", "type"),
        ("datetime", "2026-06-09T09:45:19", "type"),
        ("string", True, "type"),
        ("string", {"a": 1}, "type"),
        ("id", "4.6E+14", "mangled"),
        ("id", "4,6e+14", "mangled"),
        ("id", Decimal("4.6E+14"), "mangled"),
        ("id", Decimal("460000000000000000000.0"), "mangled"),
        ("id", Decimal("4.60000000000097E+14"), "mangled"),
        ("id", 4.6e14, "mangled"),
        ("id", -(10**20), "id"),
        ("id", "46000-1", "id"),
        ("object", "x", "type"),
    ],
)
def test_cells_that_cannot_be_read_are_problems(kind: Any, cell: Any, rule: str) -> None:
    read = convert(Rule(kind=kind), cell)
    assert isinstance(read, InvalidCell)
    assert read.rule == rule


def test_a_whole_number_is_an_id_with_all_its_digits_however_long() -> None:
    for number in (460000000000097, 2**63 - 1, 2**63, 460000000000000000123, 10**40):
        assert convert(Rule(kind="id"), number) == str(number)


def test_every_fault_of_a_row_is_gathered() -> None:
    _, faults, _ = COLUMNS.read(
        {"credit_limit": "much", "is_portal_enabled": "maybe", "colour": "red", "billing_address": "Roma"}
    )
    assert [fault.path for fault in faults] == ["credit_limit", "is_portal_enabled", "colour", "billing_address"]


def test_a_duplicate_field_is_a_fault() -> None:
    _, faults, _ = COLUMNS.read({"billing_address": {"city": "A"}, "billing_address.city": "B"})
    assert [(fault.path, fault.rule) for fault in faults] == [("billing_address.city", "twice")]


names = st.sampled_from(sorted(set(COLUMNS.names()) - {name for name in COLUMNS.names() if "custom_fields" in name}))


@given(rows=st.dictionaries(names, st.text(max_size=6)))
def test_no_cell_is_lost_between_row_and_body(rows: dict[str, str]) -> None:
    body, faults, _ = COLUMNS.read(rows)
    given_cells = {name for name, cell in rows.items() if strip_blanks(cell)}
    assert {name for name, _ in COLUMNS.leaves(body)} == given_cells - {fault.path for fault in faults}


@given(name=st.text(st.sampled_from("abcf_.[]0123 "), max_size=20))
def test_any_column_name_is_known_or_not(name: str) -> None:
    column = COLUMNS.column(name)
    if column is not None:
        body, faults, _ = COLUMNS.read({name: "1"})
        assert body or faults


@given(
    st.dictionaries(
        st.sampled_from(["contact_name", "notes", "credit_limit", "contact_persons[2].email", "cf_a", "none_such"]),
        st.sampled_from(["", " ", " A ", "\u00a0Ü\u200b", "12", "\ud800", "x" * 131_073]),
    )
)
def test_a_row_of_text_is_read_as_one_that_has_other_cells_too(row: dict[str, str]) -> None:
    assert COLUMNS.read(row) == COLUMNS.read({**row, "website": None})
