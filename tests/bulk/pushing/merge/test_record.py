"""What an update holds when a row meets a record: only what differs, and nothing of the record's lost."""

from __future__ import annotations

from copy import deepcopy
from decimal import Decimal
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from support.merging import changed, contact, customer
from support.profiles import examples

from zoho_async.books.rules import RULES as BOOKS
from zoho_async.bulk.pushing.merge import Merged, merge, same
from zoho_async.bulk.rows.columns import Columns
from zoho_async.invoice.rules import RULES as INVOICE


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


def test_what_an_update_does_not_take_is_left_out_and_listed() -> None:
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


def test_of_two_values_of_a_custom_field_the_last_counts() -> None:
    twice = [{"api_name": "cf_region", "value": "a"}, {"customfield_id": "1", "value": "b"}]
    merged = contact(CUSTOM, {"custom_fields": twice}, "cf_region")
    assert merged.changes == {"custom_fields": twice[1:]}
    assert merged.differences == (changed("custom_fields[1]", "north", "b"),)


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


def test_a_tag_without_an_id_is_looked_up_in_the_result() -> None:
    record = {"tags": [{"tag_id": "1", "tag_option_id": "10"}]}
    body = {"tags": [{"tag_option_id": "10"}, {"tag_id": "1", "tag_option_id": "11"}]}
    merged = contact(record, body)
    assert merged.changes == {"tags": [{"tag_id": "1", "tag_option_id": "11"}, {"tag_option_id": "10"}]}
    assert contact(merged.changes, body).changes == {}
    assert contact(record, {"tags": [{"tag_option_id": "10"}]}, "tags[0].tag_id").changes == {}, (
        "an id is never cleared"
    )


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


@given(
    st.dictionaries(st.sampled_from([*EVERYTHING, "website", "shipping_address", "custom_field_hash", "cf_b"]), ODD),
    st.dictionaries(st.sampled_from([*BOOKS["ContactPersonInput"], "is_added_in_portal"]), ODD),
    st.lists(st.dictionaries(st.sampled_from(["api_name", "value", "index"]), ODD), max_size=2),
)
def test_no_shape_of_the_record_is_an_error(record: Any, person: Any, customs: Any) -> None:
    record = {"contact_persons": [person, "x", None], "custom_fields": customs, **record}
    merged = contact(record, EVERYTHING, *CLEARED)
    assert {fault.rule for fault in merged.faults} <= {"ambiguous"}


# -- for any row and any record

EMAILS = ["", "a@x.test", "A@X.test ", "b@x.test", "c@x.test", "stra\u00dfe@x.test", "strasse@x.test"]
WORDS = st.sampled_from(["", "1", "2"])
SWITCH = st.booleans()
NAMING: dict[str, st.SearchStrategy[Any]] = {
    "first_name": st.sampled_from(["", "Ann", "ann ", "Ann ", "Bob", "Cat"]),
    "last_name": st.sampled_from(["", "", "Lee"]),
    "email": st.sampled_from(EMAILS),
}
MEMBERS = {**NAMING, "phone": WORDS, "salutation": WORDS}
CUSTOMS = st.sampled_from(["1", "2", "3"])


def custom(key: str, name: str) -> dict[str, Any]:
    """A custom field by one of the members that identify it."""
    return {key: {"api_name": f"cf_{name}", "index": int(name)}.get(key, name)}


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    """A contact as Zoho returns it, with at most one primary person."""
    persons = draw(st.lists(st.fixed_dictionaries({}, optional=MEMBERS), max_size=4))
    primary = draw(st.integers(0, 3))
    address = st.fixed_dictionaries(
        {"address_id": st.just("7")}, optional={"city": WORDS, "zip": WORDS, "county": WORDS}
    )
    customs = draw(st.dictionaries(CUSTOMS, WORDS))
    tags = draw(st.dictionaries(st.sampled_from(["1", "2"]), WORDS))
    return {
        "contact_id": "1",
        "notes": draw(WORDS),
        "credit_limit": draw(st.sampled_from(["", 0, 1, Decimal("1.0")])),
        "billing_address": draw(address),
        "default_templates": draw(st.fixed_dictionaries({}, optional={"invoice_template_id": WORDS, "x_name": WORDS})),
        "custom_fields": [
            {**custom("customfield_id", name), **custom("api_name", name), **custom("index", name), "value": value}
            for name, value in customs.items()
        ],
        "contact_persons": [
            {
                "contact_person_id": str(100 + at),
                **person,
                "is_primary_contact": at == primary,
                "is_added_in_portal": draw(SWITCH),
                "communication_preference": {"is_email_enabled": True, "is_sms_enabled": draw(SWITCH)},
            }
            for at, person in enumerate(persons)
        ],
        "tags": [{"tag_id": name, "tag_option_id": value, "tag_name": "t"} for name, value in tags.items()],
        "language_code": draw(WORDS),
    }


CELLS: dict[str, st.SearchStrategy[Any]] = {
    "notes": WORDS,
    "credit_limit": st.sampled_from(["", "0", "1", "1.00", "2"]),
    "language_code": st.sampled_from(["", "de", "en"]),
    "billing_address.city": WORDS,
    "billing_address.zip": WORDS,
    "default_templates.invoice_template_id": WORDS,
    "cf_1": WORDS,
}
PERSON_CELLS: dict[str, st.SearchStrategy[Any]] = {
    **MEMBERS,
    "contact_person_id": st.sampled_from(["", "100", "101"]),
    **{
        name: st.sampled_from(["", "true", "false"])
        for name in ("is_primary_contact", "enable_portal", "communication_preference.is_whatsapp_enabled")
    },
}
COLUMNS = Columns(BOOKS, "ContactCreate")


class Row(NamedTuple):
    """A row as it is merged; `cells` are those of its flat columns."""

    cells: dict[str, str]
    body: dict[str, Any]
    cleared: list[str]
    places: dict[str, str]

    def merge(self, record: dict[str, Any]) -> Merged:
        before = deepcopy((record, self.body))
        merged = contact(record, self.body, *self.cleared, places=self.places)
        assert (record, self.body) == before, "nothing is changed in place"
        return merged


def row(cells: dict[str, str], *, clear: bool = True, **lists: Any) -> Row:
    body, faults, places = COLUMNS.read(cells)
    assert faults == []
    # Each person says which of the row it is, in a field that no record has.
    for at, person in enumerate(body.get("contact_persons", [])):
        person["designation"] = f"of the row {at}"
    cleared = [name for name, cell in cells.items() if cell == ""] if clear else []
    given_lists = {name: [*body.get(name, []), *items] for name, items in lists.items() if items}
    return Row(cells, {**body, **given_lists}, cleared, dict(places))


@st.composite
def rows(draw: st.DrawFn) -> Row:
    cells = draw(st.fixed_dictionaries({}, optional=CELLS))
    for at in range(draw(st.integers(0, 3))):
        person = draw(st.fixed_dictionaries({}, optional=PERSON_CELLS))
        cells |= {f"contact_persons[{at}].{name}": cell for name, cell in person.items()}
    keys = st.sampled_from(["api_name", "customfield_id", "index"])
    customs = [
        {**custom(key, name), "value": value}
        for key, name, value in draw(st.lists(st.tuples(keys, CUSTOMS, WORDS), max_size=2))
    ]
    tag = st.fixed_dictionaries({}, optional={"tag_id": st.sampled_from(["1", "2", "3"]), "tag_option_id": WORDS})
    return row(cells, clear=draw(SWITCH), custom_fields=customs, tags=draw(st.lists(tag, max_size=2)))


def updated(record: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """The record as Zoho returns it after the update: lists and addresses replaced, empty as ""."""
    new = deepcopy(record)
    for name, value in changes.items():
        if name == "contact_persons":
            new[name] = updated_persons(record[name], value)
        elif name == "custom_fields":
            for item in value:
                key, identity = next(iter(item.items()))
                entry = next((one for one in new[name] if one.get(key) == identity), None)
                if entry is None:
                    new[name].append(entry := dict(item))
                entry["value"] = "" if item["value"] is None else item["value"]
        elif name == "default_templates":
            new[name] = {**new[name], **value}
        else:
            new[name] = "" if value is None else value
    return new


def updated_persons(known: list[dict[str, Any]], sent: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The list replaces the known one; one person is always primary, the first if none is sent so."""
    portals = {person["contact_person_id"]: person["is_added_in_portal"] for person in known}
    primary = next((at for at, person in enumerate(sent) if person.get("is_primary_contact")), 0)
    return [
        {
            "contact_person_id": str(200 + at),
            "is_added_in_portal": person.get("enable_portal", portals.get(person.get("contact_person_id"), False)),
            **{name: "" if value is None else value for name, value in person.items() if name != "enable_portal"},
            "is_primary_contact": at == primary,
        }
        for at, person in enumerate(sent)
    ]


NEW_TWINS = {"contact_persons[0].email": "a@x.test", "contact_persons[1].email": "a@x.test"}
TWINS = [
    {
        "contact_person_id": str(at),
        "first_name": "Ann",
        "email": "a@x.test",
        "phone": phone,
        "is_added_in_portal": False,
    }
    for at, phone in ((100, "1"), (101, ""))
]
TO_TWINS = {
    f"contact_persons[{at}].{name}": cell
    for at, phone in enumerate(("2", ""))
    for name, cell in (("first_name", "Ann"), ("email", "a@x.test"), ("phone", phone))
}
NEW = {"contact_persons[0].first_name": "Ann", "contact_persons[0].communication_preference.is_whatsapp_enabled": ""}


@settings(max_examples=examples(300))
@given(records(), rows())
@example({"contact_persons": []}, row(NEW_TWINS))
@example({"contact_persons": TWINS}, row(TO_TWINS))
@example({"contact_persons": []}, row(NEW))
def test_a_merge_repeated_changes_nothing(record: dict[str, Any], row: Row) -> None:
    merged = row.merge(record)
    if merged.faults:
        return
    again = row.merge(updated(record, merged.changes))
    assert again.faults == ()
    assert again.changes == {}


@settings(max_examples=examples(300))
@given(records(), rows())
@example({"contact_persons": TWINS}, row({"contact_persons[0].last_name": "Lee"}))
def test_no_person_and_nothing_of_a_person_is_lost(record: dict[str, Any], row: Row) -> None:
    merged = row.merge(record)
    if "contact_persons" not in merged.changes:
        return
    sent = merged.changes["contact_persons"]
    given_persons, known = row.body.get("contact_persons", []), record["contact_persons"]
    assert [one.get("contact_person_id") for one in sent[: len(known)]] == [one["contact_person_id"] for one in known]
    assert not any("contact_person_id" in one for one in sent[len(known) :])
    assert sum(one.get("is_primary_contact") is True for one in sent) <= 1
    owners = [
        next(at for at, one in enumerate(sent) if set_by(person).items() <= one.items()) for person in given_persons
    ]
    assert len(set(owners)) == len(owners), "no two persons of the row are the same of the record"
    assert set(range(len(known), len(sent))) <= set(owners), "only persons of the row are new"
    promoting = any(one.get("is_primary_contact") for one in given_persons)
    for at, old in enumerate(known):
        wanted = given_persons[owners.index(at)] if at in owners else None
        for name in {*old} & {*BOOKS["ContactPersonInput"]} - {"enable_portal"}:
            new = sent[at].get(name)
            if name == "communication_preference":
                assert new["is_sms_enabled"] is old[name]["is_sms_enabled"]
            elif not same(old[name], new) and not (name == "is_primary_contact" and promoting):
                assert wanted is not None, "only what the row names is changed"
                assert same(new, wanted.get(name))
                assert name in wanted or any(column.endswith(f".{name}") for column in row.cleared)


def set_by(person: dict[str, Any]) -> dict[str, Any]:
    """What of a row's person is sent as it is."""
    return {name: value for name, value in person.items() if name in MEMBERS or name == "designation"}


@given(records(), rows())
def test_nothing_is_sent_that_the_row_does_not_set(record: dict[str, Any], row: Row) -> None:
    merged = row.merge(record)
    columns = {name for name, cell in row.cells.items() if cell != ""} | {*row.cleared}
    tops = {*row.body} | {"custom_fields" if name.startswith("cf_") else name.partition(".")[0] for name in row.cleared}
    assert set(merged.changes) <= tops
    assert "language_code" not in merged.changes
    paths = {one.path for one in merged.differences}
    assert {
        path for path in paths if not path.startswith(("contact_persons", "tags", "custom_fields", "cf_"))
    } <= columns
    allowed = {"is_primary_contact", "designation", *(name.partition("].")[2] for name in columns)}
    assert {path.partition("].")[2] for path in paths if path.startswith("contact_persons")} <= allowed
    assert set(merged.changes.get("default_templates", {})) <= {"invoice_template_id"}
    assert merged.changes.get("billing_address", {}).get("address_id", "7") == "7"
    assert bool(merged.changes) == bool(merged.differences)
