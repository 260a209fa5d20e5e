"""What a row may hold, and that whatever it holds harms no other row."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest

from zoho_async import Zoho, bulk
from zoho_async.books import AddressInput, ContactCreate, ContactPersonInput, CustomFieldInput
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.rows.validate import RowReader
from zoho_async.fake import FakeZoho
from zoho_async.wire.encoding import to_builtins

READER = RowReader(Destination.named("books.contacts"), Options())


def read(values: Any) -> Any:
    return READER.read(bulk.Row(number=1, values=values))


def custom(value: Any) -> list[dict[str, Any]]:
    return [{"api_name": "cf_a", "value": value}]


ENDLESS: list[Any] = []
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    "cell",
    [
        float("nan"),
        float("inf"),
        Decimal("NaN"),
        Decimal("-Infinity"),
        Decimal("1E+999999"),
        10**100,
        b"bytes",
        object(),
        {1, 2},
        "\ud800",
        datetime(2026, 1, 1),  # noqa: DTZ001 - a time without a zone is the point
        {"a": [b"bytes"]},
        {1: "x"},
        ENDLESS,
    ],
    ids=lambda cell: type(cell).__name__,
)
async def test_a_value_that_is_no_cell_is_a_fault_of_its_row(fake: FakeZoho, zoho: Zoho, cell: Any) -> None:
    given = [
        {"contact_name": "A"},
        {"contact_name": "B", "cf_a": cell},
        {"contact_name": "C", "notes": cell},
        {"contact_name": "D", "credit_limit": cell},
        ContactCreate(contact_name="E", custom_fields=[CustomFieldInput(api_name="cf_a", value=cell)]),
        {"contact_name": "F"},
    ]
    outcomes = sorted([one async for one in bulk.push(zoho.books.contacts, given)], key=lambda one: one.row.number)
    assert [one.status for one in outcomes] == ["done", "failed", "failed", "failed", "failed", "done"]
    expected = {"unreadable"} if cell is ENDLESS else {"type"}
    assert {one.kind for one in outcomes[1:5]} <= expected | {"type"}
    assert fake.created() == {"A": 1, "F": 1}


@pytest.mark.parametrize("error", [KeyError("x"), RuntimeError(), OSError("gone")])
async def test_a_mapping_that_cannot_be_read_harms_no_other_row(fake: FakeZoho, zoho: Zoho, error: Exception) -> None:
    class Broken(Mapping[str, Any]):
        def __getitem__(self, key: str) -> Any:
            raise error

        def __iter__(self) -> Iterator[str]:
            return iter(["contact_name"])

        def __len__(self) -> int:
            return 1

    outcomes = [one async for one in bulk.push(zoho.books.contacts, [Broken(), {"contact_name": "A"}])]
    assert sorted((one.row.number, one.status, one.kind) for one in outcomes) == [
        (1, "failed", "unreadable"),
        (2, "done", ""),
    ]
    assert fake.created() == {"A": 1}


def test_the_fault_says_where() -> None:
    (fault,) = read({"contact_name": "A", "cf_a": {"deep": [1, {"er": b""}]}}).faults
    assert (fault.path, fault.rule) == ("cf_a.deep[1].er", "type")
    (fault,) = read(ContactCreate(contact_name="A", credit_limit=Decimal("NaN"))).faults
    assert (fault.path, fault.rule) == ("credit_limit", "type")
    (fault,) = read({"contact_name": "A", "credit_limit": 1.5, "notes": float("inf")}).faults
    assert (fault.path, fault.message) == ("notes", "must be a finite number, is Infinity")


def test_what_is_a_cell_is_taken_in_the_form_of_zoho() -> None:
    moment = datetime(2026, 6, 9, 9, 45, 19, tzinfo=UTC)
    item = read({"contact_name": 12, "notes": date(2026, 1, 2), "credit_limit": 1.1, "company_name": Decimal("1E+3")})
    assert item.faults == ()
    assert item.body == {
        "contact_name": "12",
        "notes": "2026-01-02",
        "credit_limit": Decimal("1.1"),
        "company_name": "1000",
    }
    for value, sent in (
        (date(2026, 1, 2), "2026-01-02"),
        (moment, "2026-06-09T09:45:19+0000"),
        (True, True),
        (7, 7),
        (10**20, Decimal(10**20)),
        (("x", "y"), ["x", "y"]),
    ):
        item = read({"contact_name": "A", "cf_a": value})
        assert (item.faults, item.body["custom_fields"]) == ((), custom(sent))


@pytest.mark.parametrize("cell", ["1.2E+16", "1E+15", "-1,5e10"])
def test_an_amount_that_a_spreadsheet_has_rounded_says_so(cell: str) -> None:
    (fault,) = read({"contact_name": "A", "credit_limit": cell}).faults
    assert (
        fault.message
        == f"must be a number such as 1234.50, is {cell!r}; a spreadsheet has rounded it: write its digits"
    )


async def test_a_set_is_refused_for_it_has_no_order(zoho: Zoho) -> None:
    assert [fault.rule for fault in read({"contact_name": "A", "cf_a": {"x", "y"}}).faults] == ["type"]
    struct = ContactCreate(contact_name="A", custom_fields=[CustomFieldInput(api_name="cf_a", value={"x", "y"})])
    (fault,) = read(struct).faults
    assert (fault.path, fault.rule) == ("custom_fields[0].value", "type")


@pytest.mark.parametrize(
    ("values", "path", "message"),
    [
        ({"billing_address": "Roma"}, "billing_address", "must be an object, is 'Roma'"),
        ({"billing_address": []}, "billing_address", "must be an object, not a nested value"),
        ({"contact_persons": "x"}, "contact_persons", "must be a list, is 'x'"),
        ({"contact_persons": {"email": "x"}}, "contact_persons", "must be a list, not a nested value"),
        ({"contact_persons": ["x"]}, "contact_persons[0]", "must be an object, is 'x'"),
        ({"custom_fields": 1}, "custom_fields", "must be a list, is '1'"),
    ],
)
def test_an_object_or_list_with_a_wrong_value_is_a_fault_of_the_row(values: Any, path: str, message: str) -> None:
    (fault,) = read({"contact_name": "A", **values}).faults
    assert (fault.path, fault.rule, fault.message) == (path, "type", message)


def test_nulls_are_not_sent() -> None:
    item = read({"contact_name": "A", "billing_address": None, "contact_persons": [None], "custom_fields": None})
    assert (item.faults, item.body) == ((), {"contact_name": "A"})


def test_a_duplicate_custom_field_is_a_fault() -> None:
    field = [{"api_name": "cf_external_id", "value": "x2"}]
    item = RowReader(Destination.named("books.contacts"), Options(upsert_by="cf_external_id")).read(
        bulk.Row(number=1, values={"contact_name": "A", "cf_external_id": "x1", "custom_fields": field})
    )
    assert [(fault.path, fault.rule) for fault in item.faults] == [("cf_external_id", "twice")]
    fields = [CustomFieldInput(customfield_id="46000", value=1), CustomFieldInput(customfield_id="46000", value=2)]
    struct = ContactCreate(contact_name="A", custom_fields=fields)
    assert [(fault.path, fault.rule) for fault in read(struct).faults] == [("46000", "twice")]


def test_a_struct_is_sent_as_it_says_with_nulls() -> None:
    struct = ContactCreate(contact_name="A", notes="", credit_limit=Decimal("1.10"))
    assert msgspec.json.encode(read(struct).body) == b'{"contact_name":"A","credit_limit":1.1,"notes":""}'


async def test_a_key_may_be_a_whole_number_of_any_length(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    keys = ("460000000000000000123", "4.6E+20", "460000000000000000124.0", "460000000000000000125")
    path.write_text("".join(f'{{"contact_name": "N{at}", "cf_external_id": {key}}}\n' for at, key in enumerate(keys)))
    for action in ("created", "unchanged"):
        run = bulk.push(zoho.books.contacts, bulk.open_rows(path), upsert_by="cf_external_id")
        outcomes = sorted([one async for one in run], key=lambda one: one.row.number)
        assert [(one.status, one.action, one.kind) for one in outcomes] == [
            ("done", action, ""),
            ("failed", "none", "mangled"),
            ("failed", "none", "mangled"),
            ("done", action, ""),
        ]
    assert fake.created("cf_external_id") == {"460000000000000000123": 1, "460000000000000000125": 1}


@pytest.mark.parametrize("empty", ["keep", "clear"])
@pytest.mark.parametrize(
    "values",
    [
        ContactCreate(contact_name="A", notes=None, credit_limit=None),
        ContactCreate(contact_name="A", billing_address=None, contact_persons=None, custom_fields=None, tags=None),
        ContactCreate(contact_name="A", billing_address=AddressInput(city=None, zip="1")),
        ContactCreate(contact_name="A", billing_address=AddressInput(city=None)),
        ContactCreate(
            contact_name="A",
            contact_persons=[
                ContactPersonInput(first_name=None, email=None),
                ContactPersonInput(first_name="Ann", email=None),
            ],
        ),
        ContactCreate(
            contact_name="A",
            custom_fields=[
                CustomFieldInput(api_name="cf_a", value=None),
                CustomFieldInput(api_name="cf_b", value=["x", None]),
            ],
        ),
        ContactCreate(contact_name=None),  # pyright: ignore[reportArgumentType]
    ],
)
def test_what_is_null_in_a_struct_is_what_it_is_in_a_mapping(values: ContactCreate, empty: Any) -> None:
    reader = RowReader(Destination.named("books.contacts"), Options(empty=empty, match_by="notes"))
    struct = reader.read(bulk.Row(number=1, values=values))
    mapping = reader.read(bulk.Row(number=1, values=to_builtins(values)))
    assert struct.body == mapping.body
    assert sorted(struct.cleared) == sorted(mapping.cleared)
    assert bool(struct.cleared) is (empty == "clear")
    assert struct.places == mapping.places
    assert (struct.faults, struct.missing) == (mapping.faults, mapping.missing)
