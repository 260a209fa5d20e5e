"""Lists: pages, order, filters."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

import pytest

from zoho_async.fake import Clock, FakeZoho

Ask: TypeAlias = Callable[..., Awaitable[Any]]


def names(answered: Any) -> list[str]:
    return [row["contact_name"] for row in answered.body["contacts"]]


async def test_pages_cover_everything_once(ask: Ask, fake: FakeZoho) -> None:
    fake.seed({"contact_name": f"N{number:03}"} for number in range(450))
    sizes, seen, page, more = [], list[str](), 1, True
    while more:
        answered = await ask("GET", "/contacts", query={"page": str(page), "per_page": "500"})
        context = answered.body["page_context"]
        assert (context["page"], context["per_page"]) == (page, 200)
        sizes.append(len(answered.body["contacts"]))
        seen += names(answered)
        more, page = context["has_more_page"], page + 1
    assert sizes == [200, 200, 50]
    assert seen == [f"N{number:03}" for number in range(450)]
    assert names(await ask("GET", "/contacts", query={"page": "99"})) == []


async def test_a_full_last_page_has_no_more(ask: Ask, fake: FakeZoho) -> None:
    fake.seed({"contact_name": name} for name in "ABCD")
    for page, more in (("1", True), ("2", False)):
        answered = await ask("GET", "/contacts", query={"page": page, "per_page": "2"})
        assert answered.body["page_context"]["has_more_page"] is more


async def test_the_live_context(ask: Ask) -> None:
    answered = await ask("GET", "/contacts")
    assert answered.body["page_context"] == {
        "page": 1,
        "per_page": 200,
        "has_more_page": False,
        "report_name": "Contacts",
        "applied_filter": "Status.All",
        "custom_fields": [],
        "sort_column": "contact_name",
        "sort_order": "A",
    }


async def test_rows_are_thin_but_carry_custom_fields(ask: Ask, fake: FakeZoho) -> None:
    fake.seed(
        [{"contact_name": "A", "cf_external_id": "1", "notes": "n", "contact_persons": [{"email": "a@x.y"}]}],
    )
    (row,) = (await ask("GET", "/contacts")).body["contacts"]
    assert not row.keys() & {"billing_address", "contact_persons", "notes", "credit_limit"}
    assert (row["cf_external_id"], row["custom_fields"][0]["value"], row["email"]) == ("1", "1", "a@x.y")
    assert row["customer_name"] == row["vendor_name"] == "A"
    assert row["created_time_formatted"] == "06/09/2026 09:45 AM"


async def test_writes_show_in_the_next_list(ask: Ask, fake: FakeZoho) -> None:
    (record,) = fake.seed([{"contact_name": "B"}])
    assert names(await ask("GET", "/contacts")) == ["B"]
    await ask("POST", "/contacts", {"contact_name": "A"})
    assert names(await ask("GET", "/contacts")) == ["A", "B"]
    await ask("PUT", f"/contacts/{record['contact_id']}", {"contact_name": "0"})
    assert names(await ask("GET", "/contacts")) == ["0", "A"]
    await ask("DELETE", f"/contacts/{record['contact_id']}")
    assert names(await ask("GET", "/contacts")) == ["A"]


async def test_sorting_by_last_change(ask: Ask, fake: FakeZoho, clock: Clock) -> None:
    first, *_ = fake.seed({"contact_name": name} for name in "ABC")
    newest = {"sort_column": "last_modified_time", "sort_order": "D"}
    # All within one second: the later write is the newer one all the same.
    assert names(await ask("GET", "/contacts", query=newest)) == ["C", "B", "A"]
    clock.advance(1)
    await ask("PUT", f"/contacts/{first['contact_id']}", {"notes": "n"})
    assert names(await ask("GET", "/contacts", query=newest)) == ["A", "C", "B"]
    assert names(await ask("GET", "/contacts", query={"sort_column": "created_time"})) == ["A", "B", "C"]
    assert names(await ask("GET", "/contacts", query={"sort_column": "nonsense", "sort_order": "D"})) == ["C", "B", "A"]


@pytest.mark.parametrize(
    ("query", "found"),
    [
        ({"contact_name": "bowman and co"}, ["Bowman and Co"]),
        ({"contact_name": "Bowman"}, []),
        ({"contact_name_startswith": "bow"}, ["Bowman and Co"]),
        ({"contact_name_contains": "o"}, ["Bowman and Co", "Soto", "Zoë"]),
        ({"company_name": "ACME"}, ["Soto"]),
        ({"email": "w@x.y"}, ["Bowman and Co"]),
        ({"email_contains": "x.y"}, ["Bowman and Co", "Soto"]),
        ({"first_name": "Second"}, ["Bowman and Co"]),
        ({"phone_startswith": "+1"}, ["Soto"]),
        ({"address_contains": "Pleasanton"}, ["Soto"]),
        ({"search_text": "cheque"}, ["Zoë"]),
        ({"contact_type": "vendor"}, ["Zoë"]),
        ({"contact_type": "customer", "contact_name_contains": "o"}, ["Bowman and Co", "Soto"]),
        ({"filter_by": "Status.Inactive"}, ["Zoë"]),
        ({"filter_by": "Status.Active"}, ["Bowman and Co", "Soto"]),
        ({"filter_by": "Invoice.Unpaid"}, ["Soto"]),
        ({"filter_by": "Status.CreditLimitExceed"}, ["Soto"]),
        ({"filter_by": "Status.PortalEnabled"}, ["Bowman and Co"]),
        ({"filter_by": "Status.Duplicate"}, []),
        ({"contact_nam": "x"}, ["Bowman and Co", "Soto", "Zoë"]),
        ({"last_modified_time": "2030-01-01T00:00:00+0000"}, ["Bowman and Co", "Soto", "Zoë"]),
    ],
)
async def test_filters(ask: Ask, fake: FakeZoho, query: dict[str, str], found: list[str]) -> None:
    fake.seed(
        [
            {
                "contact_name": "Bowman and Co",
                "is_portal_enabled": True,
                "contact_persons": [{"email": "w@x.y", "first_name": "Will"}, {"first_name": "Second"}],
            },
            {
                "contact_name": "Soto",
                "company_name": "Acme",
                "billing_address": {"city": "Pleasanton"},
                "contact_persons": [{"email": "s@x.y", "mobile": "+1-2"}],
                "outstanding_receivable_amount": 250,
                "credit_limit": 100,
            },
            {"contact_name": "Zoë", "contact_type": "vendor", "notes": "pays by cheque", "status": "inactive"},
        ]
    )
    answered = await ask("GET", "/contacts", query=query)
    assert names(answered) == found
    assert answered.body["page_context"]["applied_filter"] == query.get("filter_by", "Status.All")


async def test_an_unknown_filter_is_silently_ignored(ask: Ask, fake: FakeZoho) -> None:
    fake.seed([{"contact_name": "A", "status": "inactive"}])
    answered = await ask("GET", "/contacts", query={"filter_by": "Status.Activ"})
    assert (names(answered), answered.body["page_context"]["applied_filter"]) == (["A"], "Status.All")


async def test_duplicates_are_equal_names_of_different_types(ask: Ask, fake: FakeZoho) -> None:
    fake.seed([{"contact_name": "A"}, {"contact_name": "A", "contact_type": "vendor"}, {"contact_name": "B"}])
    assert names(await ask("GET", "/contacts", query={"filter_by": "Status.Duplicate"})) == ["A", "A"]


async def test_counts_only(ask: Ask, fake: FakeZoho) -> None:
    fake.seed({"contact_name": name} for name in "ABC")
    answered = await ask("GET", "/contacts", query={"response_option": "2", "per_page": "2"})
    assert answered.body["page_context"] == {"total": 3, "total_pages": 2}
    assert "contacts" not in answered.body


@pytest.mark.parametrize("query", [{"page": "0"}, {"page": "-1"}, {"page": "x"}, {"per_page": "1e3"}, {"page": "٣"}])
async def test_bad_page_numbers(ask: Ask, query: dict[str, str]) -> None:
    answered = await ask("GET", "/contacts", query=query)
    assert (answered.status, answered.body["code"]) == (400, 2)
