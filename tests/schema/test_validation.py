from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async import Fault, custom_fields, validate
from zoho_async.books import (
    AddressInput,
    Contact,
    ContactCreate,
    ContactPersonInput,
    ContactRow,
    ContactUpdate,
    CustomFieldInput,
)
from zoho_async.books.rules import RULES


def faults(body: Any, type: Any = None) -> list[tuple[str, str]]:
    return [(fault.path, fault.rule) for fault in validate(body, type) if not fault.warning]


def test_a_good_body_has_no_fault_as_struct_and_as_mapping() -> None:
    body = ContactCreate(
        contact_name="Bowman",
        credit_limit=Decimal("10.50"),
        contact_type="customer",
        billing_address=AddressInput(city="Rome"),
        contact_persons=[ContactPersonInput(email="a@b.example", is_primary_contact=True)],
        custom_fields=custom_fields(cf_a=1),
        notes=None,
    )
    assert validate(body) == []
    mapping = {"contact_name": "Bowman", "credit_limit": 10, "tags": [{"tag_id": "1", "tag_option_id": 2}]}
    assert validate(mapping, ContactCreate) == []
    assert validate(ContactUpdate()) == []


def test_every_fault_is_found_at_once_each_with_its_path() -> None:
    body = {
        "company_name": "x" * 201,
        "contact_type": "client",
        "payment_terms": "15",
        "is_taxable": "yes",
        "credit_limit": "much",
        "currency_id": "4.6E+14",
        "billing_address": {"city": "x" * 101, "planet": "Mars"},
        "shipping_address": "Main Street",
        "contact_persons": [{"email": "x" * 101}, "Will"],
        "custom_fields": [{"index": 11, "value": object()}],
        "tags": "none",
        "vat_reg_no": "1",
        "no_such_field": 1,
    }
    assert set(faults(body, ContactCreate)) == {
        ("contact_name", "required"),
        ("company_name", "max_length"),
        ("contact_type", "values"),
        ("payment_terms", "type"),
        ("is_taxable", "type"),
        ("credit_limit", "type"),
        ("currency_id", "type"),
        ("billing_address.city", "max_length"),
        ("billing_address.planet", "unknown"),
        ("shipping_address", "type"),
        ("contact_persons[0].email", "max_length"),
        ("contact_persons[1]", "type"),
        ("custom_fields[0].index", "maximum"),
        ("tags", "type"),
        ("vat_reg_no", "min_length"),
        ("no_such_field", "unknown"),
    }


def test_lengths_are_exact_and_empty_text_clears() -> None:
    assert faults(ContactCreate(contact_name="x" * 200)) == []
    assert faults(ContactCreate(contact_name="x" * 201)) == [("contact_name", "max_length")]
    assert faults(ContactCreate(contact_name="")) == [("contact_name", "required")]
    assert faults(ContactUpdate(vat_reg_no="", country_code="")) == []


def test_a_rule_the_documents_contradict_is_a_warning() -> None:
    [fault] = validate(ContactUpdate(tax_treatment="martian"))
    assert fault.warning
    assert fault.path == "tax_treatment"


def test_a_secret_is_not_in_its_fault() -> None:
    [fault] = validate({"tax_id_value": 123456789}, ContactUpdate)
    assert "123456789" not in str(fault)
    assert fault.path == "tax_id_value"


@pytest.mark.parametrize("value", [float("nan"), Decimal("Infinity"), True, "1"])
def test_what_is_no_number_is_not_money(value: Any) -> None:
    assert faults({"credit_limit": value}, ContactUpdate) == [("credit_limit", "type")]


def test_what_is_no_request_body_is_a_mistake_of_the_caller() -> None:
    for body, type in (({}, None), (Contact(contact_id="1"), None), ({}, ContactRow), ({}, Fault)):
        with pytest.raises(TypeError):
            validate(body, type)
    assert validate(CustomFieldInput(index=1)) == []


class Text(str):
    """A text that is not exactly a `str`, so that every rule is looked at."""

    __slots__ = ()


TEXTS = st.sampled_from(["", "A", "customer", "12", "x" * 50, "x" * 51, "x" * 200, "x" * 201, "2026-02-30"])


@given(
    st.dictionaries(st.sampled_from([*RULES["ContactCreate"], "none_such"]), TEXTS),
    st.dictionaries(st.sampled_from([*RULES["AddressInput"], "none_such"]), TEXTS),
)
def test_a_plain_text_has_the_faults_that_every_rule_gives_it(body: dict[str, str], address: dict[str, str]) -> None:
    plain = {**body, "billing_address": address}
    slow = {name: Text(text) for name, text in body.items()}
    slow_address = {name: Text(text) for name, text in address.items()}
    assert validate(plain, ContactCreate) == validate({**slow, "billing_address": slow_address}, ContactCreate)
