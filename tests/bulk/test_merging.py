from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async.books.rules import RULES
from zoho_async.bulk.merging import Merged, match_persons, merge
from zoho_async.expense.rules import RULES as EXPENSE


def merged(record: dict[str, Any], body: dict[str, Any], *cleared: str) -> Merged:
    return merge(record, body, cleared=cleared, rules=RULES, schema="ContactUpdate")


@pytest.mark.parametrize(
    ("has", "wanted", "differs"),
    [
        ("a", "a", False),
        ("a", "b", True),
        ("", "b", True),
        (Decimal("1.10"), Decimal("1.1"), False),
        (0, "0", False),
        (15, 30, True),
        ("true", True, False),
        (False, True, True),
        (None, "b", True),
        ({"odd": 1}, "b", True),
    ],
)
def test_scalars(has: Any, wanted: Any, differs: bool) -> None:
    found = merged({"notes": has}, {"notes": wanted})
    assert found.changes == ({"notes": wanted} if differs else {})
    assert [one.path for one in found.differences] == (["notes"] if differs else [])


def test_an_empty_cell_clears_only_what_is_there() -> None:
    assert merged({"notes": "x"}, {}, "notes").changes == {"notes": None}
    assert merged({"notes": ""}, {}, "notes").changes == {}
    assert merged({"custom_fields": [{"api_name": "cf_a", "value": "1"}]}, {}, "cf_a").changes == {
        "custom_fields": [{"api_name": "cf_a", "value": None}]
    }


def test_what_an_update_does_not_take_is_left_out_and_named() -> None:
    found = merged({"language_code": "en", "notes": "a"}, {"language_code": "de", "notes": "b"})
    assert (found.changes, found.left_out) == ({"notes": "b"}, ("language_code",))
    person = {"contact_persons": [{"email": "a@b.example"}]}
    found = merge({"contact_name": "A"}, person, rules=EXPENSE, schema="CustomerUpdate")
    assert (found.changes, found.left_out) == ({}, ("contact_persons",))


def test_an_address_is_sent_whole() -> None:
    record = {"billing_address": {"address_id": "1", "city": "Roma", "zip": "00100", "fax": "", "odd": "x"}}
    found = merged(record, {"billing_address": {"city": "Milano", "zip": "00100"}})
    assert found.changes == {"billing_address": {"address_id": "1", "city": "Milano", "zip": "00100"}}
    assert [(one.path, one.before, one.after) for one in found.differences] == [
        ("billing_address.city", "Roma", "Milano")
    ]
    assert merged(record, {"billing_address": {"city": "Roma"}}).changes == {}
    assert merged(record, {}, "billing_address.city").changes["billing_address"]["city"] is None


def test_only_custom_fields_that_differ_are_sent_wherever_they_stand() -> None:
    record = {"custom_fields": [{"api_name": "cf_a", "value": "1"}], "custom_field_hash": {"cf_b_unformatted": 2}}
    wanted = [
        {"api_name": "cf_a", "value": "1"},
        {"api_name": "cf_b", "value": "2"},
        {"api_name": "cf_c", "value": "3"},
    ]
    assert merged(record, {"custom_fields": wanted}).changes == {"custom_fields": wanted[2:]}


PERSONS: list[dict[str, Any]] = [
    {"contact_person_id": "1", "first_name": "Ann", "email": "Ann@x.example", "phone": "1", "is_primary_contact": True},
    {"contact_person_id": "2", "first_name": "Bob", "last_name": "Lee", "email": "", "is_primary_contact": False},
]


@pytest.mark.parametrize(
    ("ours", "pairs"),
    [
        ([{"contact_person_id": "2"}], {0: 1}),
        ([{"email": " ann@X.example"}], {0: 0}),
        ([{"first_name": "bob", "last_name": "Lee", "email": "bob@x.example"}], {0: 1}),
        ([{"first_name": "Ann", "email": "another@x.example"}], {}),
        ([{"contact_person_id": "9", "email": "ann@x.example"}], {}),
        ([{"email": "ann@x.example"}, {"email": "ann@x.example"}], {0: 0}),
        ([{"first_name": "Zoe"}], {}),
    ],
)
def test_persons_are_matched_by_id_email_or_a_name_only_one_has(ours: Any, pairs: Any) -> None:
    assert match_persons(PERSONS, ours) == pairs


def test_no_person_is_lost() -> None:
    found = merged({"contact_persons": PERSONS}, {"contact_persons": [{"email": "ann@x.example", "phone": "2"}]})
    assert found.changes["contact_persons"] == [
        {**PERSONS[0], "phone": "2"} | {"email": "ann@x.example"},
        {"contact_person_id": "2", "first_name": "Bob", "last_name": "Lee", "is_primary_contact": False},
    ]
    assert merged({"contact_persons": PERSONS}, {"contact_persons": [{"first_name": "Bob", "last_name": "Lee"}]}) == (
        Merged(changes={})
    )


def test_there_is_one_primary_person() -> None:
    wanted = [{"first_name": "Zoe", "is_primary_contact": True}]
    sent = merged({"contact_persons": PERSONS}, {"contact_persons": wanted}).changes["contact_persons"]
    assert [(one.get("first_name"), one["is_primary_contact"]) for one in sent] == [
        ("Ann", False),
        ("Bob", False),
        ("Zoe", True),
    ]


def test_a_person_of_an_unknown_id_is_a_fault() -> None:
    (fault,) = merged({}, {"contact_persons": [{"contact_person_id": "9"}]}).faults
    assert (fault.path, fault.rule) == ("contact_persons[0].contact_person_id", "person")


text = st.sampled_from(["", "a", "b", "c@x.example", "d@x.example"])
person = st.fixed_dictionaries({"first_name": text, "email": text, "phone": text})


@given(
    st.lists(person, max_size=4),
    st.lists(person, max_size=4),
    st.dictionaries(st.sampled_from(["notes", "website"]), text),
)
def test_merging_loses_nobody_and_settles(theirs: list[Any], ours: list[Any], fields: dict[str, str]) -> None:
    record = {
        "notes": "x",
        "contact_persons": [{**one, "contact_person_id": str(number)} for number, one in enumerate(theirs, 1)],
    }
    ours = [{key: value for key, value in one.items() if value} for one in ours]
    body = {**{key: value for key, value in fields.items() if value}, "contact_persons": [one for one in ours if one]}
    found = merged(record, body)
    assert set(found.changes) <= set(body)
    sent = found.changes.get("contact_persons")
    if sent is not None:
        ids = [one["contact_person_id"] for one in sent if "contact_person_id" in one]
        assert ids == [one["contact_person_id"] for one in record["contact_persons"]]
        pairs = match_persons(record["contact_persons"], body["contact_persons"])
        for number, (before, after) in enumerate(zip(record["contact_persons"], sent, strict=False)):
            if number not in pairs.values():
                assert after == {key: value for key, value in before.items() if value}
    for number, one in enumerate(sent or ()):
        one.setdefault("contact_person_id", f"new{number}")
    names = [one.get("first_name") for one in body["contact_persons"]]
    emails = [one.get("email") for one in body["contact_persons"]]
    if len(set(names)) == len(names) and len(set(emails)) == len(emails) and all(names) and all(emails):
        assert merged({**record, **found.changes}, body).changes == {}
