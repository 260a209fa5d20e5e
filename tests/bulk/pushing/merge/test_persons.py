"""Contact persons of a row and of a record: which match, which are refused, and that none is lost."""

from __future__ import annotations

from typing import Any

import pytest
from support.merging import changed, contact, people

from zoho_async.books.rules import RULES as BOOKS
from zoho_async.bulk.pushing.merge import Merged, merge
from zoho_async.bulk.rows.columns import Columns
from zoho_async.expense.rules import RULES as EXPENSE
from zoho_async.schema.validation import validate

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


PEOPLE = people(ANN, BOB, CAT)


# -- matching


@pytest.mark.parametrize(
    ("row", "place"),
    [
        ({"contact_person_id": "13"}, 2),
        pytest.param({"contact_person_id": "13", "email": "ann@example.test"}, 2, id="id before e-mail"),
        ({"email": " Ann@Example.test"}, 0),
        pytest.param(
            {"email": "cat@example.test", "first_name": "Ann", "last_name": "Lee"}, 2, id="e-mail before name"
        ),
        ({"first_name": " Ann", "last_name": "Lee "}, 0),
        ({"first_name": "Bob"}, 1),
        pytest.param({"first_name": "Bob", "email": "bob@x.test"}, 1, id="a name without e-mail gets one"),
        pytest.param({"first_name": "Ann", "last_name": "Lee", "email": "other@x.test"}, 3, id="another e-mail"),
        pytest.param({"first_name": "ANN", "last_name": "Lee"}, 3, id="names match exactly"),
        pytest.param({"first_name": "Ann"}, 3, id="half a name"),
        pytest.param({"last_name": "Dan"}, 3, id="a new name"),
        pytest.param({"email": "bob@x.test"}, 3, id="a new e-mail"),
    ],
)
def test_the_list_holds_every_person_and_the_row_at_its_place(row: dict[str, Any], place: int) -> None:
    sent: list[dict[str, Any]] = [SENT_ANN, SENT_BOB, SENT_CAT, {}]
    sent[place] = {**sent[place], **row, "mobile": "9"}
    merged = contact(PEOPLE, people({**row, "mobile": "9"}))
    assert merged.changes == people(*(person for person in sent if person))
    assert merged.faults == ()


@pytest.mark.parametrize(
    "row",
    [
        {"contact_person_id": "11", "phone": "5"},
        {"email": "ann@example.test", "first_name": "Ann", "is_primary_contact": True, "enable_portal": True},
        {"first_name": "Bob", "mobile": "7", "communication_preference": {}},
    ],
)
def test_persons_who_do_not_differ_are_not_sent(row: dict[str, Any]) -> None:
    assert contact(PEOPLE, people(row)) == Merged(changes={})


def person(number: int | None, first: str = "", email: str = "", phone: str = "") -> dict[str, Any]:
    known = {"contact_person_id": str(number)} if number else {}
    given = {"first_name": first, "email": email, "phone": phone}
    return {**known, **{name: value for name, value in given.items() if value}}


INFO = "info@x.test"
SHARED = [person(1, "Ann", INFO), person(2, "Bob", "INFO@x.test")]
"""Two persons of one e-mail."""
TWINS = [person(1, "Ann", INFO, "1"), person(2, "Ann", INFO)]
SAME_NAME = [person(1, "Ann"), person(2, "Ann")]


@pytest.mark.parametrize(
    ("known", "rows", "phones"),
    [
        (SHARED, [person(None, "Bob", INFO, "9")], [None, "9"]),
        (SHARED, [person(2, email=INFO, phone="9")], [None, "9"]),
        (SHARED, [person(None, "Bob", INFO, "9"), person(None, "Ann", INFO, "8")], ["8", "9"]),
        pytest.param([], [person(None, "Bob", INFO, "9"), person(None, "Ann", INFO, "8")], ["9", "8"], id="both new"),
        pytest.param([*SAME_NAME, person(3, "Bob")], [person(None, "Bob", "", "9")], [None, None, "9"], id="not named"),
        pytest.param(
            [person(1, "Ann"), person(2, "Ann", "ann@x.test")],
            [person(None, "Ann", "other@x.test", "9")],
            ["9", None],
            id="only one of the name has no e-mail",
        ),
        pytest.param(
            [person(1, email="a@x.test"), person(2, email="b@x.test")],
            [person(1, email="b@x.test", phone="8"), person(2, email="a@x.test", phone="9")],
            ["8", "9"],
            id="e-mails exchanged by id",
        ),
    ],
)
def test_an_e_mail_that_several_have_needs_the_exact_name_or_an_id(
    known: list[dict[str, Any]], rows: list[dict[str, Any]], phones: list[str | None]
) -> None:
    merged = contact(people(*known), people(*rows))
    assert merged.faults == ()
    assert [one.get("phone") for one in merged.changes["contact_persons"]] == phones


SEVERAL = "matches 2 contact persons of the record; give contact_person_id"
CLAIMED = "matches the same contact person as contact_persons[0]; one place for each contact person"
LATER = "would match another contact person after this update; give each an id, e-mail or name of its own"


@pytest.mark.parametrize(
    ("known", "rows", "faults"),
    [
        (SHARED, [person(None, email=INFO)], {"0.email": SEVERAL}),
        (SHARED, [person(None, "Cat", INFO)], {"0.email": SEVERAL}),
        (SHARED, [person(None, "bob", INFO)], {"0.email": SEVERAL}),
        (TWINS, [person(None, "Ann", INFO)], {"0.email": SEVERAL}),
        (SAME_NAME, [person(None, "Ann")], {"0.first_name": SEVERAL}),
        (SAME_NAME, [person(None, "Ann", INFO)], {"0.first_name": SEVERAL}),
        ([{"last_name": "Lee"}] * 2, [{"last_name": "Lee"}], {"0.last_name": SEVERAL}),
        (SHARED, [person(2), person(2)], {"1.contact_person_id": CLAIMED}),
        (SHARED, [person(2), person(None, "Bob")], {"1.first_name": CLAIMED}),
        (SHARED, [person(None, "Bob", INFO), person(2)], {"1.contact_person_id": CLAIMED}),
        (SHARED[:1], [person(None, "Ann", INFO), person(None, "Bob", INFO)], {"1.email": CLAIMED}),
        pytest.param([], [person(None, "Ann", INFO)] * 2, {"0.email": LATER, "1.email": LATER}, id="new twins"),
        pytest.param(
            [], [person(None, "Ann"), person(None, "Ann", INFO)], {"0.first_name": LATER}, id="new of one name"
        ),
        pytest.param(
            [person(1, "Ann")],
            [person(1, email=INFO), person(None, email=INFO, phone="9")],
            {"1.email": LATER},
            id="an e-mail given to two",
        ),
        pytest.param(
            [{**person(1, "Bob", INFO), "last_name": "Lee"}, {**person(2, "Ann"), "last_name": "Lee"}],
            [person(1, "Ann"), {"first_name": "Ann", "last_name": "Lee", "phone": "9"}],
            {"1.first_name": LATER},
            id="half a name makes another the same",
        ),
    ],
)
def test_an_ambiguous_person_fails_and_no_list_is_sent(
    known: list[dict[str, Any]], rows: list[dict[str, Any]], faults: dict[str, str]
) -> None:
    merged = contact(people(*known), {**people(*rows), "notes": "n"})
    assert merged.changes == {"notes": "n"}
    assert {fault.rule for fault in merged.faults} == {"ambiguous"}
    prefixed = {f"contact_persons[{path[0]}]{path[1:]}": message for path, message in faults.items()}
    assert {fault.path: fault.message for fault in merged.faults} == prefixed


@pytest.mark.parametrize(
    ("rows", "faults"),
    [
        ([person(99)], [("contact_persons[0].contact_person_id", "person")]),
        ([{"phone": "5"}], [("contact_persons[0]", "person")]),
        (
            [{"email": " ", "first_name": " ", "enable_portal": False}, {}],
            [(f"contact_persons[{at}]", "person") for at in (0, 1)],
        ),
        (
            [{"email": f"{at}@x.test", "is_primary_contact": True} for at in "ab"],
            [("contact_persons[1].is_primary_contact", "primary")],
        ),
    ],
)
def test_an_invalid_person_fails_and_no_list_is_sent(rows: list[dict[str, Any]], faults: list[tuple[str, str]]) -> None:
    merged = contact(PEOPLE, {**people(*rows), "notes": "n"})
    assert [(fault.path, fault.rule) for fault in merged.faults] == faults
    assert merged.changes == {"notes": "n"}


# -- merging


def test_differences_of_persons_are_named_by_the_rows_columns() -> None:
    merged = contact(PEOPLE, people({"first_name": "Dan", "phone": "1"}, {"email": "ann@example.test", "phone": "6"}))
    assert merged.differences == (
        changed("contact_persons[0].first_name", None, "Dan"),
        changed("contact_persons[0].phone", None, "1"),
        changed("contact_persons[1].phone", 5, "6"),
    )


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
