"""Which texts are the same key, and what of them is written."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async import Zoho, bulk
from zoho_async.books import ContactCreate
from zoho_async.bulk.rows.matching import fold_email, matchable
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.rows.validate import RowReader
from zoho_async.bulk.source.files import strip_blanks
from zoho_async.fake import FakeZoho

BLANKS = (" ", "\t", "\n", "\u00a0", "\u2007", "\u202f", "\u3000", "\u200b", "\u200e", "\u2060", "\ufeff", "\u00ad")


@pytest.mark.parametrize(
    ("email", "folded"),
    [
        (" Ann.Lee@Example.TEST ", "ann.lee@example.test"),
        ("\u00a0Ann@x.test\ufeff", "ann@x.test"),
        ("a@b@EXAMPLE.test", "a@b@example.test"),
        ("STRA\u1e9eE@x.test", "stra\u1e9ee@x.test"),
        ("stra\u00dfe@STRA\u00dfE.test", "stra\u00dfe@stra\u00dfe.test"),
        ("\u00c4@\u00c4.test", "\u00c4@\u00e4.test"),
        ("I\u017fA", "i\u017fa"),
        ("", ""),
    ],
)
def test_only_ascii_letters_and_the_domain_of_an_email_are_folded(email: str, folded: str) -> None:
    assert fold_email(email) == matchable(email, "email") == folded


@given(st.text(st.characters(min_codepoint=128, exclude_categories=("Cs",))), st.text())
def test_two_local_parts_are_one_only_by_ascii_case(one: str, other: str) -> None:
    assert (fold_email(f"a{one}z@x.test") == fold_email(f"a{other}z@x.test")) == (one == "".join(map(lower, other)))


def lower(letter: str) -> str:
    return letter.lower() if letter.isascii() else letter


@given(st.text(st.sampled_from(BLANKS)), st.text(), st.text(st.sampled_from(BLANKS)))
def test_blanks_of_any_kind_and_order_are_stripped_from_the_ends_alone(before: str, text: str, after: str) -> None:
    assert strip_blanks(f"{before}a{text}b{after}") == f"a{text}b"


ROWS: list[Any] = [
    {"contact_name": "{0}Acme{0}", "cf_a": "{0}x{0}", "contact_persons[0].email": "{0}a@x.example{0}"},
    {
        "contact_name": "{0}Acme{0}",
        "custom_fields": [{"api_name": "cf_a", "value": "{0}x{0}"}],
        "contact_persons": [{"email": "{0}a@x.example{0}"}],
    },
]


@pytest.mark.parametrize("blank", BLANKS)
@pytest.mark.parametrize("upsert_by", [None, "cf_a"])
def test_a_cell_is_written_as_it_is_matched(blank: str, upsert_by: str | None) -> None:
    target = Destination.named("books.contacts")
    reader = RowReader(target, Options(upsert_by=upsert_by) if upsert_by else Options())
    bare, *others = [reader.read(bulk.Row(number=1, values=filled(row, end))) for end in ("", blank) for row in ROWS]
    assert bare.faults == ()
    assert bare.body["contact_name"] == "Acme"
    for item in others:
        assert (item.body, item.key, item.row_key, item.name) == (bare.body, bare.key, bare.row_key, bare.name)
    assert reader.read(bulk.Row(number=1, values=ContactCreate(contact_name=f"{blank}Acme{blank}"))).name == "Acme"


def filled(row: Any, blank: str) -> Any:
    if isinstance(row, dict):
        return {name: filled(value, blank) for name, value in row.items()}
    return [filled(one, blank) for one in row] if isinstance(row, list) else row.format(blank)


@pytest.mark.parametrize("blank", BLANKS)
def test_a_cell_of_blanks_is_empty(blank: str) -> None:
    reader = RowReader(Destination.named("books.contacts"), Options(match_by="contact_name", empty="clear"))
    item = reader.read(bulk.Row(number=1, values={"contact_name": "A", "company_name": blank * 2}))
    assert (item.faults, item.body, item.cleared) == ((), {"contact_name": "A"}, ("company_name",))
    assert reader.read(bulk.Row(number=1, values={"contact_name": blank})).faults


@pytest.mark.parametrize(
    ("there", "row", "same"),
    [
        ("gro\u00df@example.org", "gross@example.org", False),
        ("i\u017fa@example.org", "isa@example.org", False),
        ("ann@example.org", "ANN@Example.ORG\u00a0", True),
    ],
)
async def test_a_push_updates_the_contact_of_the_same_mailbox_alone(
    fake: FakeZoho, zoho: Zoho, there: str, row: str, same: bool
) -> None:
    fake.seed([{"contact_name": "Who is there", "email": there, "contact_persons": [{"email": there}]}])
    given = [{"contact_name": "Who comes", "contact_persons": [{"email": row}]}]
    async with bulk.push(zoho.books.contacts, given, match_by="email") as push:
        assert [one.action async for one in push] == ["updated" if same else "created"]
    names = [one["contact_name"] for one in fake.organization().contacts.values()]
    assert names == (["Who comes"] if same else ["Who is there", "Who comes"])


@pytest.mark.parametrize("blank", ["\u00a0", "\u200b"])
async def test_blanks_in_a_cell_rename_no_record(fake: FakeZoho, zoho: Zoho, blank: str) -> None:
    fake.seed([{"contact_name": "Acme"}, {"contact_name": f"Other{blank}"}])
    given = [{"contact_name": f"Acme{blank}"}, {"contact_name": f"Other{blank}"}]
    async with bulk.push(zoho.books.contacts, given, match_by="contact_name") as push:
        assert [one.action async for one in push] == ["unchanged", "unchanged"]
    assert fake.requests("books.contacts.update") == fake.requests("books.contacts.create") == 0
