"""What an update holds when a row meets a record: only what differs, and nothing of the record's lost."""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from zoho_async.billing.rules import RULES as BILLING
from zoho_async.books.rules import RULES as BOOKS
from zoho_async.bulk.columns import Columns
from zoho_async.bulk.pushing.merge import Difference, Merged, merge, same
from zoho_async.expense.rules import RULES as EXPENSE
from zoho_async.invoice.rules import RULES as INVOICE
from zoho_async.validation import validate

PERSON = BOOKS["ContactPersonInput"]


def contact(record: Mapping[str, Any], body: Mapping[str, Any], *cleared: str, **more: Any) -> Merged:
    return merge(record, body, cleared=cleared, rules=BOOKS, schema="ContactUpdate", **more)


def customer(record: Mapping[str, Any], body: Mapping[str, Any], *cleared: str) -> Merged:
    return merge(record, body, cleared=cleared, rules=BILLING, schema="CustomerUpdate")


def changed(path: str, before: Any, after: Any) -> Difference:
    return Difference(path=path, before=before, after=after)


# -- values


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ""),
        ("", None),
        ([], ""),
        ({}, None),
        ("a", "a"),
        (Decimal("1.10"), 1.1),
        (1, Decimal("1.00")),
        ("1.10", Decimal("1.1")),
        (94588, "94588"),
        (Decimal("1.50"), "1.50"),
        (460000000000097, "460000000000097"),
        ("true", True),
        (False, "false"),
        (["a", "b"], ("a", "b")),
        ([{"tag_id": 1, "name": "x"}], [{"tag_id": "1"}]),
        ({"a": 1, "b": 2}, {"a": 1}),
        (Decimal("Infinity"), Decimal("Infinity")),
    ],
)
def test_the_same_value_in_two_forms(before: Any, after: Any) -> None:
    assert same(before, after)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("", "a"),
        ("a", ""),
        ("", 0),
        (None, False),
        ("a", "A"),
        ("a", "a "),
        (100, "00100"),
        (Decimal("1.5"), "1.50"),
        ("1,5", Decimal("1.5")),
        (1, True),
        ("yes", True),
        ("a", ["a"]),
        (["a", "b"], ["b", "a"]),
        (["a"], ["a", "b"]),
        ("a", {"a": 1}),
        ({"a": 1}, "a"),
        (Decimal("NaN"), 1),
        (Decimal("1E+999999"), 5),
        pytest.param(Decimal("1E+999999999999"), "5", id="too long to be written out"),
        pytest.param(10**5000, "1", id="too long for str()"),
        ("1_0", 10),
    ],
)
def test_values_that_differ(before: Any, after: Any) -> None:
    assert not same(before, after)


def test_a_custom_field_that_is_a_number_is_compared_by_value() -> None:
    assert same(Decimal("5.5"), "5.50", loose=True)
    assert not same("5.5", "5.50", loose=True), "the record has text there, so it is a text field"


# -- fields of the record itself


def test_only_what_differs_is_sent_in_the_rows_order() -> None:
    record = {"contact_name": "A", "notes": "old", "credit_limit": Decimal("10.0"), "website": "", "payment_terms": 15}
    body = {"website": "w.test", "credit_limit": 10, "notes": "new", "contact_name": "A", "payment_terms": 30}
    merged = contact(record, body)
    assert list(merged.changes.items()) == [("website", "w.test"), ("notes", "new"), ("payment_terms", 30)]
    assert merged.differences == (
        changed("website", None, "w.test"),
        changed("notes", "old", "new"),
        changed("payment_terms", 15, 30),
    )
    assert merged.left_out == ()
    assert merged.faults == ()


def test_nothing_differs() -> None:
    record = {"contact_name": "A", "is_taxable": "true", "currency_id": 460000000000097}
    assert contact(record, {"contact_name": "A", "is_taxable": True, "currency_id": "460000000000097"}) == Merged(
        changes={}
    )


@pytest.mark.parametrize("emptied", [None, ""])
def test_a_cleared_field_is_sent_as_none_if_the_record_has_something(emptied: str | None) -> None:
    expected = Merged(changes={"notes": None}, differences=(changed("notes", "old", None),))
    assert contact({"notes": "old"}, {}, "notes", "website") == expected
    assert contact({"notes": "old"}, {"notes": emptied, "website": emptied}) == expected, "a struct may hold None"
    assert contact({"notes": "old"}, {"notes": "new"}, "notes").changes == {"notes": "new"}, "a value goes first"


def test_what_an_update_does_not_take_is_left_out_and_said() -> None:
    record = {"language_code": "en", "contact_type": "customer", "skype": ""}
    body = {"language_code": "de", "contact_type": "customer", "is_portal_enabled": False}
    assert contact(record, body) == Merged(changes={}, left_out=("language_code", "is_portal_enabled"))
    assert contact(record, {"language_code": "en"}).left_out == ()
    assert contact(record, {}, "language_code", "skype").left_out == ("language_code",)


def test_required_fields_go_along_with_every_update() -> None:
    record = {"display_name": "A", "email": "a@example.test", "first_name": "Ann"}
    body = {"first_name": "Anna", "email": "a@example.test", "last_name": "B"}
    merged = customer(record, body)
    assert list(merged.changes.items()) == [
        ("first_name", "Anna"),
        ("email", "a@example.test"),
        ("last_name", "B"),
        ("display_name", "A"),
    ]
    assert [one.path for one in merged.differences] == ["first_name", "last_name"]
    assert customer(record, {"email": "a@example.test"}).changes == {}
    assert customer({"display_name": ""}, {"phone": "1"}).changes == {"phone": "1"}, "what nobody knows is not made up"


def test_a_required_field_cannot_be_emptied() -> None:
    merged = customer({"display_name": "A", "email": "a@example.test"}, {"display_name": "B"}, "email")
    assert [(fault.path, fault.rule) for fault in merged.faults] == [("email", "required")]
    assert merged.changes == {"display_name": "B", "email": "a@example.test"}


def test_a_person_as_a_record_of_its_own() -> None:
    record = {
        "contact_id": "1",
        "contact_person_id": "2",
        "first_name": "Ann",
        "phone": 5,
        "is_added_in_portal": False,
        "communication_preference": {"is_sms_enabled": True, "is_whatsapp_enabled": False},
    }
    body = {"phone": "6", "enable_portal": False}
    merged = merge(record, body, rules=INVOICE, schema="ContactPersonUpdate")
    assert merged.changes == {"phone": "6", "contact_id": "1", "first_name": "Ann"}
    body = {"enable_portal": True, "communication_preference": {"is_whatsapp_enabled": True}}
    merged = merge(record, body, rules=BOOKS, schema="ContactPersonUpdate")
    assert merged.changes == {
        "enable_portal": True,
        "communication_preference": {"is_sms_enabled": True, "is_whatsapp_enabled": True},
    }
    cleared = ("communication_preference.is_sms_enabled", "is_primary_contact")
    merged = merge(
        {**record, "is_primary_contact": True}, {}, cleared=cleared, rules=BOOKS, schema="ContactPersonUpdate"
    )
    assert merged.changes == {"communication_preference": {"is_sms_enabled": None, "is_whatsapp_enabled": False}}


def test_secrets_are_in_no_difference_and_no_repr() -> None:
    merged = contact({"tax_id_value": "111-22-3333"}, {"tax_id_value": "999-88-7777"})
    assert merged.changes == {"tax_id_value": "999-88-7777"}
    assert merged.differences == (changed("tax_id_value", "***", "***"),)
    assert contact({}, {"tax_id_value": "999-88-7777"}).differences == (changed("tax_id_value", None, "***"),)
    assert "999" not in repr(merged)
    assert "999" not in repr(merged.__rich_repr__())


# -- addresses and templates

ADDRESS = {
    "address_id": "7",
    "attention": "",
    "city": "Roma",
    "zip": 185,
    "street2": "",
    "country_code": "IT",
    "county": "RM",
    "phone": "1",
}


def test_an_address_is_sent_whole_or_not_at_all() -> None:
    record = {"billing_address": ADDRESS, "shipping_address": {"address_id": "8", "city": "Oslo"}}
    merged = contact(record, {"billing_address": {"city": "Milano", "zip": "185", "attention": "B"}})
    assert merged.changes == {
        "billing_address": {"address_id": "7", "city": "Milano", "zip": "185", "phone": "1", "attention": "B"}
    }
    assert merged.differences == (
        changed("billing_address.city", "Roma", "Milano"),
        changed("billing_address.attention", None, "B"),
    )
    assert contact(record, {"billing_address": {"city": "Roma", "zip": "185"}}) == Merged(changes={})


def test_members_of_an_address_are_cleared() -> None:
    record = {"billing_address": ADDRESS}
    merged = contact(record, {}, "billing_address.city", "billing_address.attention", "billing_address.address_id")
    assert merged.changes == {"billing_address": {"address_id": "7", "city": None, "zip": "185", "phone": "1"}}
    assert merged.differences == (changed("billing_address.city", "Roma", None),)
    both = contact(record, {"billing_address": {"phone": "2"}}, "billing_address.city", "shipping_address.city")
    assert both.changes == {"billing_address": {"address_id": "7", "city": None, "zip": "185", "phone": "2"}}
    whole = {"billing_address": {"address_id": "7", "city": None, "zip": None, "phone": None}}
    assert contact(record, {"billing_address": None}).changes == whole
    assert contact(record, {}, "billing_address").changes == whole
    assert contact(record, {"billing_address": {}}).changes == {}, "an object without members sets nothing"


def test_an_address_of_another_id_is_not_written_over() -> None:
    merged = contact({"billing_address": ADDRESS}, {"billing_address": {"address_id": "9", "city": "X"}, "notes": "n"})
    assert [(fault.path, fault.rule) for fault in merged.faults] == [("billing_address.address_id", "address")]
    assert "billing_address" not in merged.changes
    assert contact(
        {"billing_address": {"city": "X"}}, {"billing_address": {"address_id": "9", "city": "Y"}}
    ).changes == {"billing_address": {"address_id": "9", "city": "Y"}}


@pytest.mark.parametrize("odd", ["", "text", 5, None, [], ["x"]])
def test_where_the_record_has_no_address_the_rows_is_sent(odd: Any) -> None:
    merged = contact({"billing_address": odd}, {"billing_address": {"city": "Roma"}}, "billing_address.zip")
    assert merged.changes == {"billing_address": {"city": "Roma"}}
    assert merged.differences == (changed("billing_address.city", None, "Roma"),)


def test_an_address_holds_what_its_product_knows() -> None:
    record = {"display_name": "A", "email": "a@example.test", "billing_address": {**ADDRESS, "street": "Via"}}
    sent = customer(record, {"billing_address": {"city": "X"}}).changes["billing_address"]
    assert sent == {"street": "Via", "city": "X", "zip": "185"}
    merged = contact({"billing_address": ADDRESS}, {"billing_address": {"county": "MI"}})
    assert merged == Merged(changes={}, left_out=("billing_address.county",))


def test_of_templates_only_those_that_differ() -> None:
    templates = {"invoice_template_id": "1", "estimate_template_id": "2", "bill_template_id": "3"}
    body = {"default_templates": {"invoice_template_id": "1", "estimate_template_id": "9"}}
    merged = contact({"default_templates": templates}, body, "default_templates.bill_template_id")
    assert merged.changes == {"default_templates": {"estimate_template_id": "9", "bill_template_id": None}}
    assert contact({"default_templates": [templates]}, body).changes == body, "a list, as one document shows it"


# -- custom fields


def field(**members: Any) -> dict[str, Any]:
    return {"custom_fields": [members]}


CUSTOM: dict[str, Any] = {
    "custom_fields": [
        {"customfield_id": "1", "api_name": "cf_region", "index": 1, "label": "Region", "value": "north"},
        {"customfield_id": "2", "api_name": "cf_rank", "index": 2, "label": "Rank", "value": Decimal("5.5")},
        {"customfield_id": 3, "index": 3, "label": "Old", "value": True},
    ],
    "cf_region": "somewhere",
    "custom_field_hash": {"cf_hashed_unformatted": "5", "cf_hashed": "5,00"},
    "cf_top": "t",
    "cf_both": "1.000",
    "cf_both_unformatted": 1000,
}


@pytest.mark.parametrize(
    ("item", "before"),
    [
        ({"api_name": "cf_region"}, "north"),
        ({"customfield_id": "1"}, "north"),
        ({"index": 1}, "north"),
        ({"label": "Region"}, "north"),
        ({"api_name": "cf_region", "label": "Rank"}, "north"),
        ({"api_name": "cf_rank"}, Decimal("5.5")),
        ({"customfield_id": "3"}, True),
        ({"api_name": "cf_new_name", "index": 3}, True),
        ({"api_name": "cf_hashed"}, "5"),
        ({"api_name": "cf_top"}, "t"),
        ({"api_name": "cf_both"}, 1000),
        ({"api_name": "cf_nowhere", "label": "Region"}, None),
        ({"label": "Nowhere"}, None),
    ],
)
def test_a_custom_field_is_found_and_sent_as_the_row_wrote_it(item: dict[str, Any], before: Any) -> None:
    path = item.get("api_name", "custom_fields[0]")
    merged = contact(CUSTOM, field(**item, value="else"))
    assert merged.changes == field(**item, value="else")
    assert merged.differences == (changed(path, before, "else"),)
    if before is not None:
        assert (
            contact(CUSTOM, field(**item, value=str(before).lower() if before is True else str(before))).changes == {}
        )


def test_only_custom_fields_that_differ_are_sent() -> None:
    body = {
        "custom_fields": [
            {"api_name": "cf_region", "value": "north"},
            {"api_name": "cf_rank", "value": "5.50"},
            {"api_name": "cf_top", "value": "u"},
            {"api_name": "cf_valueless"},
        ]
    }
    assert contact(CUSTOM, body).changes == field(api_name="cf_top", value="u")


def test_custom_fields_are_cleared() -> None:
    merged = contact(CUSTOM, field(api_name="cf_top", value="u"), "cf_region", "cf_top", "cf_nowhere")
    assert merged.changes == {
        "custom_fields": [{"api_name": "cf_top", "value": "u"}, {"api_name": "cf_region", "value": None}]
    }
    assert merged.differences == (changed("cf_top", "t", "u"), changed("cf_region", "north", None))
    for cleared in ("custom_fields[0].value", "cf_region"):
        assert contact(CUSTOM, field(api_name="cf_region"), cleared).changes == field(api_name="cf_region", value=None)
    assert contact(CUSTOM, {}, "custom_fields[0].value", "custom_fields").changes == {}


# -- contact persons

ANN: dict[str, Any] = {
    "contact_person_id": "11",
    "salutation": "",
    "first_name": "Ann",
    "last_name": "Lee",
    "email": "ann@example.test",
    "phone": 5,
    "is_primary_contact": True,
    "is_added_in_portal": True,
    "photo_url": "https://example.test/a",
    "communication_preference": {"is_email_enabled": True, "is_sms_enabled": True},
}
BOB: dict[str, Any] = {
    "contact_person_id": "12",
    "first_name": "Bob",
    "last_name": "",
    "email": "",
    "mobile": "7",
    "is_primary_contact": False,
    "communication_preference": {"is_email_enabled": True},
}
CAT: dict[str, Any] = {"contact_person_id": "13", "first_name": "Cat", "email": "CAT@example.test "}
SENT_ANN = {
    "contact_person_id": "11",
    "first_name": "Ann",
    "last_name": "Lee",
    "email": "ann@example.test",
    "phone": "5",
    "is_primary_contact": True,
    "communication_preference": {"is_sms_enabled": True},
}
SENT_BOB = {"contact_person_id": "12", "first_name": "Bob", "mobile": "7", "is_primary_contact": False}
SENT_CAT = {"contact_person_id": "13", "first_name": "Cat", "email": "CAT@example.test "}


def people(*persons: Any) -> dict[str, Any]:
    return {"contact_persons": list(persons)}


PEOPLE = people(ANN, BOB, CAT)


@pytest.mark.parametrize(
    ("row", "sent"),
    [
        ({"contact_person_id": "13", "phone": "9"}, [SENT_ANN, SENT_BOB, {**SENT_CAT, "phone": "9"}]),
        (
            {"contact_person_id": "13", "email": "ann@example.test", "phone": "9"},
            [SENT_ANN, SENT_BOB, {**SENT_CAT, "email": "ann@example.test", "phone": "9"}],
        ),
        (
            {"email": " Ann@Example.test", "phone": "9"},
            [{**SENT_ANN, "email": " Ann@Example.test", "phone": "9"}, SENT_BOB, SENT_CAT],
        ),
        (
            {"email": "cat@example.test", "first_name": "Ann", "last_name": "Lee"},
            [SENT_ANN, SENT_BOB, {**SENT_CAT, "email": "cat@example.test", "first_name": "Ann", "last_name": "Lee"}],
        ),
        (
            {"first_name": "ANN", "last_name": "lee ", "mobile": "9"},
            [{**SENT_ANN, "first_name": "ANN", "last_name": "lee ", "mobile": "9"}, SENT_BOB, SENT_CAT],
        ),
        (
            {"first_name": "Bob", "email": "bob@example.test"},
            [SENT_ANN, {**SENT_BOB, "email": "bob@example.test"}, SENT_CAT],
        ),
        (
            {"first_name": "Ann", "last_name": "Lee", "email": "other@example.test"},
            [
                SENT_ANN,
                SENT_BOB,
                SENT_CAT,
                {"first_name": "Ann", "last_name": "Lee", "email": "other@example.test"},
            ],
        ),
        ({"first_name": "Dan"}, [SENT_ANN, SENT_BOB, SENT_CAT, {"first_name": "Dan"}]),
        ({"phone": "9"}, [SENT_ANN, SENT_BOB, SENT_CAT, {"phone": "9"}]),
    ],
    ids=["id", "id first", "mail", "mail before name", "name", "name without mail", "new mail", "new name", "phone"],
)
def test_a_list_of_persons_holds_everyone(row: dict[str, Any], sent: list[dict[str, Any]]) -> None:
    merged = contact(PEOPLE, people(row))
    assert merged.changes == people(*sent)
    assert merged.faults == ()


@pytest.mark.parametrize(
    "row",
    [
        {"contact_person_id": "11", "phone": "5"},
        {"email": "ann@example.test", "first_name": "Ann", "is_primary_contact": True, "enable_portal": True},
        {"first_name": "Bob", "mobile": "7", "communication_preference": {}},
        {"phone": "5"},
    ],
)
def test_persons_who_do_not_differ_are_not_sent(row: dict[str, Any]) -> None:
    assert contact(PEOPLE, people(row)) == Merged(changes={})


def test_differences_of_persons_are_named_by_the_rows_columns() -> None:
    merged = contact(PEOPLE, people({"first_name": "Dan", "phone": "1"}, {"email": "ann@example.test", "phone": "6"}))
    assert merged.differences == (
        changed("contact_persons[0].first_name", None, "Dan"),
        changed("contact_persons[0].phone", None, "1"),
        changed("contact_persons[1].phone", 5, "6"),
    )


def test_each_way_of_matching_goes_through_all_persons_first() -> None:
    # By name the first would take Ann, who is the second by e-mail.
    rows = people({"first_name": "Ann", "last_name": "Lee", "phone": "1"}, {"email": "ann@example.test", "phone": "2"})
    sent = contact(PEOPLE, rows).changes["contact_persons"]
    assert [one.get("phone") for one in sent] == ["2", None, None, "1"]
    # By e-mail the first would take Cat, who is the second by id.
    rows = people({"email": "cat@example.test", "phone": "1"}, {"contact_person_id": "13", "phone": "2"})
    sent = contact(PEOPLE, rows).changes["contact_persons"]
    assert [(one.get("contact_person_id"), one.get("phone")) for one in sent] == [
        ("11", "5"),
        ("12", None),
        ("13", "2"),
        (None, "1"),
    ]


def test_persons_who_share_an_e_mail_are_told_apart_by_name() -> None:
    shared = [
        {"contact_person_id": str(at), "first_name": name, "email": "info@x.test"} for at, name in enumerate("AB", 1)
    ]
    rows = people(
        {"first_name": "B", "email": "info@x.test", "phone": "9"}, {"first_name": "A", "email": "INFO@x.test"}
    )
    sent = contact(people(*shared), rows).changes["contact_persons"]
    assert [(one["contact_person_id"], one["first_name"], one.get("phone")) for one in sent] == [
        ("1", "A", None),
        ("2", "B", "9"),
    ]


def test_an_e_mail_that_several_have_tells_nobody() -> None:
    ann = {"contact_person_id": "1", "first_name": "Ann", "last_name": "Lee", "email": "info@x.test", "phone": "1"}
    bob = {"contact_person_id": "2", "first_name": "Bob", "last_name": "Ray", "email": "Info@x.test"}
    cat = {"contact_person_id": "3", "first_name": "Cat", "email": "cat@x.test"}
    record = people(ann, bob, cat)

    def told(*rows: dict[str, Any]) -> list[tuple[str, str, str]]:
        merged = contact(record, people(*rows))
        assert not (merged.faults and merged.changes)
        return [(fault.path, fault.rule, fault.message) for fault in merged.faults]

    def phones(*rows: dict[str, Any]) -> list[Any]:
        merged = contact(record, people(*rows))
        assert merged.faults == ()
        return [one.get("phone") for one in merged.changes["contact_persons"]]

    mail = {"email": "info@x.test"}
    word = "2 persons of the record have it; give first_name or contact_person_id"
    for row in (
        {**mail, "phone": "9"},
        {**mail, "is_primary_contact": True},
        {**mail, "first_name": "Dan"},
        {**mail, "first_name": "Ann", "last_name": "Ray"},
    ):
        assert told(row) == [("contact_persons[0].email", "ambiguous", word)]
    assert told({"first_name": "Cat"}, {**mail, "phone": "9"}) == [("contact_persons[1].email", "ambiguous", word)]
    assert told({**mail, "phone": "8"}, {**mail, "phone": "9"}) == [
        (f"contact_persons[{at}].email", "ambiguous", word) for at in (0, 1)
    ]
    # A name tells, whole or in part; so does an id, or that the other is taken.
    assert phones({**mail, "first_name": "bob", "last_name": "Ray", "phone": "9"}) == ["1", "9", None]
    assert phones({**mail, "first_name": "Bob", "phone": "9"}) == ["1", "9", None]
    assert phones({**mail, "last_name": "Lee", "phone": "9"}) == ["9", None, None]
    assert phones({**mail, "contact_person_id": "2", "phone": "9"}) == ["1", "9", None]
    assert phones({**mail, "phone": "9"}, {**mail, "first_name": "Ann"}) == ["1", "9", None]
    # What changes nobody needs no telling.
    assert contact(record, people(mail)) == Merged(changes={})
    assert contact(record, people({**mail, "phone": "1"})) == Merged(changes={})
    assert phones(mail, {"first_name": "Cat", "phone": "9"}) == ["1", None, "9"]


def test_persons_who_share_all_they_can_be_known_by_are_not_mixed_up() -> None:
    rows = people({"email": "info@x.test"}, {"email": "info@x.test", "phone": "1"})
    new = contact(people(), rows).changes["contact_persons"]
    known = [{"contact_person_id": str(at), **one} for at, one in enumerate(new, 1)]
    for order in (known, known[::-1]):
        assert contact(people(*order), rows).changes == {}
    more = people(*rows["contact_persons"], {"first_name": "Dan"})
    assert contact(people(*known), more).changes == people(*known, {"first_name": "Dan"})
    # Whoever comes first may take the second's only place: then the first is moved on.
    both = {"contact_person_id": "1", "first_name": "Ann", "phone": "1", "mobile": "2"}
    one = {"contact_person_id": "2", "first_name": "Ann", "phone": "1"}
    for persons in ([both, one], [one, both]):
        for pair in ([{"phone": "1"}, {"mobile": "2"}], [{"mobile": "2"}, {"phone": "1"}]):
            assert contact(people(*persons), people(*pair)).changes == {}


def test_a_name_that_several_have_matches_nobody() -> None:
    namesakes = [{"contact_person_id": str(at), "first_name": "Ann", "phone": str(at)} for at in (1, 2)]
    sent = contact(people(*namesakes), people({"first_name": "Ann", "phone": "3"})).changes["contact_persons"]
    assert sent == [*namesakes, {"first_name": "Ann", "phone": "3"}]
    assert contact(people(*namesakes), people({"first_name": "Ann", "phone": "2"})).changes == {}
    # Who says less must not take the place of a namesake who is meant by more.
    rows = people({"first_name": "Ann"}, {"first_name": "Ann", "phone": "1"}, {"first_name": "Dan"})
    assert contact(people(*namesakes), rows).changes == people(*namesakes, {"first_name": "Dan"})


def test_persons_a_row_cannot_mean_are_faults_and_no_list_is_sent() -> None:
    rows = people(
        {"contact_person_id": "99", "phone": "1"},
        {"contact_person_id": "11", "phone": "1"},
        {"contact_person_id": "11", "phone": "2"},
        {"enable_portal": False},
        {},
    )
    merged = contact(PEOPLE, {**rows, "notes": "n"})
    assert [(fault.path, fault.rule) for fault in merged.faults] == [
        ("contact_persons[0].contact_person_id", "person"),
        ("contact_persons[2].contact_person_id", "person"),
        ("contact_persons[3]", "person"),
        ("contact_persons[4]", "person"),
    ]
    assert merged.changes == {"notes": "n"}
    both = people({"email": "a@x.test", "is_primary_contact": True}, {"email": "b@x.test", "is_primary_contact": True})
    merged = contact(PEOPLE, both)
    assert [(fault.path, fault.rule) for fault in merged.faults] == [
        ("contact_persons[1].is_primary_contact", "primary")
    ]
    assert merged.changes == {}


def test_one_primary_person() -> None:
    def flags(merged: Merged) -> list[bool | None]:
        return [one.get("is_primary_contact") for one in merged.changes["contact_persons"]]

    merged = contact(PEOPLE, people({"first_name": "Bob", "is_primary_contact": True}))
    assert flags(merged) == [False, True, False]
    assert merged.differences == (
        changed("contact_persons[0].is_primary_contact", False, True),
        changed("contact_persons[11].is_primary_contact", True, False),
    )
    rows = people(
        {"email": "dan@x.test", "is_primary_contact": True}, {"first_name": "Eve"}, {"email": "ann@example.test"}
    )
    merged = contact(PEOPLE, rows)
    assert flags(merged) == [False, False, False, True, False]
    assert changed("contact_persons[2].is_primary_contact", True, False) in merged.differences
    assert flags(contact(PEOPLE, people({"first_name": "Dan"}))) == [True, False, None, None]
    # One is always primary, the first if nobody else is: so it would be written again by every run.
    assert contact(PEOPLE, people({"contact_person_id": "11", "is_primary_contact": False})).changes == {}
    merged = contact(PEOPLE, people({"email": "ann@example.test", "is_primary_contact": False, "phone": "6"}))
    assert (flags(merged), len(merged.differences)) == ([True, False, None], 1)
    second = people(BOB, {**ANN, "contact_person_id": "14"})
    assert flags(contact(second, people({"contact_person_id": "14", "is_primary_contact": False}))) == [False, False]
    both = people(
        {"first_name": "Bob", "is_primary_contact": True}, {"contact_person_id": "11", "is_primary_contact": False}
    )
    assert flags(contact(PEOPLE, both)) == [False, True, False]
    two = people(ANN, {**BOB, "is_primary_contact": "true"})
    assert flags(contact(two, people({"first_name": "Dan"}))) == [True, False, None]


def test_the_portal_is_sent_only_when_the_row_changes_it() -> None:
    shown = {**ANN, "enable_portal": True}
    rows = people({"contact_person_id": "11", "enable_portal": True, "phone": "6"})
    assert "enable_portal" not in contact(people(shown), rows).changes["contact_persons"][0]
    rows = people({"contact_person_id": "11", "enable_portal": False})
    assert contact(people(shown), rows).changes["contact_persons"][0]["enable_portal"] is False
    assert (
        contact(people({**BOB, "enable_portal": False}), people({"first_name": "Bob", "enable_portal": False})).changes
        == {}
    )
    assert contact(people(), people({"first_name": "Dan", "enable_portal": True})).changes == people(
        {"first_name": "Dan", "enable_portal": True}
    )


def test_members_of_persons_are_cleared() -> None:
    cleared = [
        f"contact_persons[0].{name}"
        for name in ("phone", "mobile", "contact_person_id", "is_primary_contact", "enable_portal")
    ]
    rows = people({"email": "ann@example.test"}, {"first_name": "Dan"})
    preference = "contact_persons[0].communication_preference.is_sms_enabled"
    merged = contact(PEOPLE, rows, *cleared, preference, "contact_persons[1].phone")
    expected = {**SENT_ANN, "phone": None, "communication_preference": {"is_sms_enabled": None}}
    assert merged.changes == people(expected, SENT_BOB, SENT_CAT, {"first_name": "Dan"})
    assert changed("contact_persons[0].phone", 5, None) in merged.differences
    assert merged.changes["contact_persons"][0]["is_primary_contact"] is True


def test_emptying_does_not_reach_somebody_who_only_shares_a_number() -> None:
    rows = people({"phone": "5"})
    merged = contact(PEOPLE, rows, "contact_persons[0].first_name", "contact_persons[0].email")
    assert merged.changes == people(SENT_ANN, SENT_BOB, SENT_CAT, {"phone": "5"})
    assert contact(people(ANN, {"phone": 5}), rows, "contact_persons[0].first_name").changes == {}


def test_empty_cells_of_a_place_with_nobody_in_it_clear_nobody() -> None:
    columns = Columns(BOOKS, "ContactCreate")
    cells = {
        "contact_persons[0].email": "",
        "contact_persons[0].phone": "",
        "contact_persons[1].email": "ann@example.test",
        "contact_persons[1].phone": "5",
        "contact_persons[1].mobile": "",
        "contact_persons[2].email": "",
    }
    body, _, places = columns.read(cells)
    cleared = [name for name, cell in cells.items() if not cell]
    assert contact(PEOPLE, body, *cleared, places=places) == Merged(changes={})
    changing, _, places = columns.read({**cells, "contact_persons[1].phone": "6"})
    merged = contact(PEOPLE, changing, *cleared, places=places)
    assert merged.differences == (changed("contact_persons[1].phone", 5, "6"),)
    assert contact(PEOPLE, {}, *cleared, "contact_persons").changes == {}
    wrong, _, places = columns.read({"contact_persons[3].contact_person_id": "99"})
    assert contact(PEOPLE, wrong, places=places).faults[0].path == "contact_persons[3].contact_person_id"


@pytest.mark.parametrize("empty", [None, "", []])
def test_no_row_can_remove_persons(empty: Any) -> None:
    assert contact(PEOPLE, {"contact_persons": empty}).changes == {}


def test_what_the_update_takes_of_a_person_passes_its_own_rules() -> None:
    from zoho_async.books import ContactUpdate

    merged = contact(PEOPLE, people({"first_name": "Dan", "fax": "1"}))
    assert validate(merged.changes, type=ContactUpdate) == []
    assert merged.left_out == ("contact_persons[0].fax",)


def test_products_whose_update_has_no_persons_leave_them_out() -> None:
    def expense(row: dict[str, Any], *cleared: str) -> Merged:
        return merge(PEOPLE, row, cleared=cleared, rules=EXPENSE, schema="CustomerUpdate")

    assert expense(people({"email": "ann@example.test", "phone": "5"})) == Merged(changes={})
    assert expense(people({"email": "ann@example.test", "phone": "6"})).left_out == ("contact_persons",)
    assert expense(people({"email": "new@example.test"}), "shipping_address.city").left_out == ("contact_persons",)
    assert expense(people({"contact_person_id": "99", "phone": "1"})).faults == ()
    merged = merge(
        {"shipping_address": {"city": "A", "zip": "1"}, "email": "a@x.test", "phone": 5},
        {"shipping_address": {"city": "A"}, "email": "b@x.test", "phone": "5"},
        cleared=["shipping_address.zip"],
        rules=EXPENSE,
        schema="CustomerUpdate",
    )
    assert merged.changes == {"email": "b@x.test"}
    assert merged.left_out == ("shipping_address",)


# -- tags and other lists


def test_tags_are_added_to_those_the_record_has() -> None:
    tags = [
        {"tag_id": "1", "tag_name": "Area", "tag_option_id": "10", "tag_option_name": "N"},
        {"tag_id": 2, "tag_option_id": "20"},
    ]
    merged = contact({"tags": tags}, {"tags": [{"tag_id": "2", "tag_option_id": "21"}, {"tag_id": "3"}]})
    assert merged.changes == {
        "tags": [{"tag_id": "1", "tag_option_id": "10"}, {"tag_id": "2", "tag_option_id": "21"}, {"tag_id": "3"}]
    }
    assert merged.differences == (
        changed("tags[0].tag_option_id", "20", "21"),
        changed("tags[1].tag_id", None, "3"),
    )
    assert contact({"tags": tags}, {"tags": [{"tag_option_id": "20"}, {"tag_id": "1"}]}).changes == {}
    assert contact({"tags": tags}, {"tags": []}, "tags").changes == {}
    twice = [{"tag_id": "1", "tag_option_id": "11"}, {"tag_id": "1", "tag_option_id": "10"}]
    assert contact({"tags": tags}, {"tags": twice}).changes == {}


def test_other_lists_are_compared_and_replaced_as_a_whole() -> None:
    record = {
        "opening_balances": [{"location_id": "1", "location_name": "x", "opening_balance_amount": Decimal("5.0")}]
    }
    assert contact(record, {"opening_balances": [{"location_id": "1", "opening_balance_amount": 5}]}).changes == {}
    new = [{"location_id": "1", "opening_balance_amount": 5}, {"location_id": "2"}]
    merged = contact(record, {"opening_balances": new})
    assert merged.changes == {"opening_balances": new}
    assert merged.differences == (changed("opening_balances", record["opening_balances"], new),)
    assert contact(record, {}, "opening_balances[0].exchange_rate").changes == {}


# -- whatever the record looks like

ODD = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.decimals() | st.sampled_from(["", "x", "true", "5"]),
    lambda inner: (
        st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(["email", "value", "a"]), inner, max_size=2)
    ),
    max_leaves=6,
)
EVERYTHING = {
    "notes": "n",
    "credit_limit": 5,
    "is_taxable": True,
    "billing_address": {"city": "X"},
    "default_templates": {"invoice_template_id": "1"},
    "custom_fields": [{"api_name": "cf_a", "value": "v"}],
    "contact_persons": [
        {"email": "x", "is_primary_contact": True, "communication_preference": {"is_sms_enabled": True}}
    ],
    "tags": [{"tag_id": "1"}],
    "opening_balances": [{"location_id": "1"}],
}
CLEARED = ["website", "shipping_address.city", "contact_persons[0].phone", "cf_b", "tax_id", "pricebook_id"]


@settings(deadline=None)
@given(
    st.dictionaries(st.sampled_from([*EVERYTHING, "website", "shipping_address", "custom_field_hash", "cf_b"]), ODD),
    st.dictionaries(st.sampled_from([*PERSON, "is_added_in_portal"]), ODD),
    st.lists(st.dictionaries(st.sampled_from(["api_name", "value", "index"]), ODD), max_size=2),
)
def test_no_shape_of_the_record_is_an_error(record: Any, person: Any, customs: Any) -> None:
    record = {"contact_persons": [person, "x", None], "custom_fields": customs, **record}
    merged = contact(record, EVERYTHING, *CLEARED)
    assert merged.faults == ()


# -- for any row and any record

NAMES = st.sampled_from(["", "Ann", "ann ", "Bob"])
MAILS = st.sampled_from(["", "a@x.test", "A@x.test", "b@x.test"])
WORDS = st.sampled_from(["", "1", "2", "3"])
SWITCH = st.booleans()
MEMBERS: dict[str, st.SearchStrategy[Any]] = {
    "first_name": NAMES,
    "last_name": st.sampled_from(["", "Lee"]),
    "email": MAILS,
    "phone": WORDS | st.sampled_from([1, 2]),
    "mobile": WORDS,
    "salutation": WORDS,
}


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A contact as Zoho answers it, with at most one primary person."""
    persons = draw(st.lists(st.fixed_dictionaries({}, optional=MEMBERS), max_size=4))
    primary = draw(st.integers(-1, 3))
    shown = [
        {
            "contact_person_id": str(100 + at),
            **person,
            "is_primary_contact": at == primary,
            "is_added_in_portal": draw(SWITCH),
            "communication_preference": {"is_email_enabled": True, "is_sms_enabled": draw(SWITCH)},
        }
        for at, person in enumerate(persons)
    ]
    address = draw(
        st.fixed_dictionaries({"address_id": st.just("7")}, optional={"city": WORDS, "zip": WORDS, "county": WORDS})
    )
    customs = draw(st.dictionaries(st.sampled_from(["cf_a", "cf_b"]), WORDS))
    tags = draw(st.dictionaries(st.sampled_from(["1", "2"]), WORDS))
    return {
        "contact_id": "1",
        "contact_name": draw(NAMES),
        "notes": draw(WORDS),
        "credit_limit": draw(st.sampled_from(["", 0, 1, Decimal("1.0")])),
        "billing_address": address,
        "default_templates": draw(st.fixed_dictionaries({}, optional={"invoice_template_id": WORDS, "x_name": WORDS})),
        "custom_fields": [{"api_name": name, "value": value} for name, value in customs.items()],
        "contact_persons": shown,
        "tags": [{"tag_id": name, "tag_option_id": value, "tag_name": "t"} for name, value in tags.items()],
        "language_code": draw(WORDS),
    }


CELLS: dict[str, st.SearchStrategy[Any]] = {
    "contact_name": NAMES,
    "notes": WORDS,
    "credit_limit": st.sampled_from(["", "0", "1", "1.00", "2"]),
    "language_code": st.sampled_from(["", "de", "en"]),
    "billing_address.city": WORDS,
    "billing_address.zip": WORDS,
    "default_templates.invoice_template_id": WORDS,
    "cf_a": WORDS,
    "cf_b": WORDS,
    "tags[0].tag_id": WORDS,
    "tags[0].tag_option_id": WORDS,
    **{f"contact_persons[{at}].{name}": cell for at in range(3) for name, cell in MEMBERS.items()},
    **{
        f"contact_persons[{at}].{name}": st.sampled_from(["", "true", "false"])
        for at in range(3)
        for name in ("is_primary_contact", "enable_portal", "communication_preference.is_whatsapp_enabled")
    },
    **{f"contact_persons[{at}].contact_person_id": st.sampled_from(["", "", "100", "101"]) for at in range(3)},
}
ROWS = st.fixed_dictionaries({}, optional=CELLS)
COLUMNS = Columns(BOOKS, "ContactCreate")


def merged_row(record: dict[str, Any], row: dict[str, Any], *, clear: bool) -> tuple[dict[str, Any], Merged]:
    body, faults, places = COLUMNS.read(row)
    assert faults == []
    cleared = [name for name, cell in row.items() if cell == ""] if clear else []
    before = deepcopy((record, body))
    merged = contact(record, body, *cleared, places=places)
    assert (record, body) == before, "nothing is changed in place"
    return body, merged


def after(record: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The record as Zoho would answer it after the update: lists and addresses replaced, empty as ""."""
    new = deepcopy(record)
    for name, value in changes.items():
        if name == "contact_persons":
            known = {one["contact_person_id"]: one for one in new[name]}
            new[name] = [
                {
                    "contact_person_id": str(200 + at),
                    "is_added_in_portal": known.get(one.get("contact_person_id"), {}).get("is_added_in_portal", False),
                    **{key: "" if item is None else item for key, item in one.items() if key != "enable_portal"},
                    **({"is_added_in_portal": one["enable_portal"]} if "enable_portal" in one else {}),
                }
                for at, one in enumerate(value)
            ]
        elif name == "custom_fields":
            values = {one["api_name"]: one["value"] for one in (*new[name], *value)}
            new[name] = [{"api_name": key, "value": "" if item is None else item} for key, item in values.items()]
        elif name == "default_templates":
            new[name] = {**new[name], **value}
        else:
            new[name] = "" if value is None else value
    return new


SHARED = {
    "contact_persons[0].email": "a@x.test",
    "contact_persons[1].email": "a@x.test",
    "contact_persons[1].salutation": "1",
}
CLEARING = {"contact_persons[0].phone": "1", "contact_persons[0].communication_preference.is_whatsapp_enabled": ""}


@settings(deadline=None)
@given(records(), ROWS, SWITCH)
@example({"contact_persons": []}, SHARED, False)
@example({"contact_persons": []}, CLEARING, True)
def test_merging_again_changes_nothing(record: dict[str, Any], row: dict[str, Any], clear: bool) -> None:
    _, merged = merged_row(record, row, clear=clear)
    if merged.faults:
        return
    _, again = merged_row(after(record, merged.changes), row, clear=clear)
    assert again.faults == ()
    assert again.changes == {}


@settings(deadline=None)
@given(records(), ROWS, SWITCH)
def test_no_person_and_nothing_of_a_person_is_lost(record: dict[str, Any], row: dict[str, Any], clear: bool) -> None:
    body, merged = merged_row(record, row, clear=clear)
    if "contact_persons" not in merged.changes:
        return
    sent = merged.changes["contact_persons"]
    rows = body.get("contact_persons", [])
    persons = record["contact_persons"]
    assert [one["contact_person_id"] for one in sent[: len(persons)]] == [one["contact_person_id"] for one in persons]
    assert not any("contact_person_id" in one for one in sent[len(persons) :])
    assert len(sent) <= len(persons) + len(rows)
    assert sum(one.get("is_primary_contact") is True for one in sent) <= 1
    assert all(any(row.items() <= one.items() for one in sent) for row in map(plain, rows)), (
        "every row's person is there"
    )
    promoting = any(one.get("is_primary_contact") for one in rows)
    for old, new in zip(persons, sent, strict=False):
        for name in PERSON:
            if name == "is_primary_contact" and promoting:
                continue
            if name == "enable_portal" or (old.get(name) in ("", None) and name not in new):
                continue
            if name == "communication_preference":
                assert new[name]["is_sms_enabled"] is old[name]["is_sms_enabled"]
            elif not same(old.get(name), new[name]):
                emptied = clear and any(cell == "" and column.endswith(f".{name}") for column, cell in row.items())
                assert any(one.get(name) == new[name] for one in rows) or (new[name] is None and emptied)


def plain(row: dict[str, Any]) -> dict[str, Any]:
    """What of a row's person is sent as it is."""
    return {name: value for name, value in row.items() if name in MEMBERS}


@settings(deadline=None)
@given(records(), ROWS, SWITCH)
def test_nothing_is_sent_that_the_row_does_not_set(record: dict[str, Any], row: dict[str, Any], clear: bool) -> None:
    body, merged = merged_row(record, row, clear=clear)
    columns = {name for name, cell in row.items() if cell != "" or clear}
    tops = {"custom_fields" if name.startswith("cf_") else name.partition(".")[0].partition("[")[0] for name in columns}
    assert set(merged.changes) <= tops
    assert "language_code" not in merged.changes
    demoted = {f"contact_persons[{one['contact_person_id']}].is_primary_contact" for one in record["contact_persons"]}
    demoted |= {f"contact_persons[{at}].is_primary_contact" for at in range(3)}
    assert {one.path for one in merged.differences} <= columns | demoted
    assert set(merged.changes.get("default_templates", {})) <= set(body.get("default_templates", {})) | {
        "invoice_template_id"
    }
    assert {one["api_name"] for one in merged.changes.get("custom_fields", ())} <= columns
    assert merged.changes.get("billing_address", {}).get("address_id", "7") == "7"
    assert bool(merged.changes) == bool(merged.differences)


def test_required_fields_are_all_that_is_added() -> None:
    record = {"display_name": "A", "email": "a@x.test", "notes": "n", "phone": "1", "currency_code": "EUR"}
    assert set(customer(record, {"phone": "2"}).changes) == {"phone", "display_name", "email"}
