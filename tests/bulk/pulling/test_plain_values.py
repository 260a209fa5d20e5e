from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async import Zoho, bulk, to_builtins
from zoho_async.fake import FakeZoho

ZONE = timezone(timedelta(hours=5, minutes=30))


@pytest.mark.parametrize(
    ("kind", "value", "expected"),
    [
        ("text", "", ""),
        ("text", 12, "12"),
        ("text", True, "true"),
        ("text", None, None),
        ("text", {"a": 1}, '{"a":1}'),
        ("decimal", "12345678901234.560", Decimal("12345678901234.560")),
        ("decimal", 7, Decimal(7)),
        ("decimal", "", None),
        ("decimal", "n/a", None),
        ("decimal", "NaN", None),
        ("decimal", True, None),
        ("decimal", [1], None),
        ("timestamp", "2026-01-05T10:00:00+0530", datetime(2026, 1, 5, 10, tzinfo=ZONE)),
        ("timestamp", "2026-01-05T10:00:00Z", datetime(2026, 1, 5, 10, tzinfo=UTC)),
        ("timestamp", "yesterday", None),
        ("date", "2026-01-05", date(2026, 1, 5)),
        ("date", "05 Jan 2026", None),
        ("bool", True, True),
        ("bool", "false", False),
        ("bool", "perhaps", None),
        ("bigint", "15", 15),
        ("bigint", 1 << 63, None),
        ("bigint", "1.5", None),
        ("json", [], "[]"),
        ("json", {"a": "x"}, '{"a":"x"}'),
        ("json", "", None),
    ],
)
def test_a_value_has_the_type_of_its_column(kind: Any, value: Any, expected: Any) -> None:
    found = bulk.plain_values(msgspec.json.encode({"one": value}), {"one": kind, "absent": "text"})
    assert found == {"one": expected}
    assert type(found["one"]) is type(expected)


def test_numbers_keep_every_digit_and_custom_fields_are_text() -> None:
    raw = b'{"a":1234567890123456789.10,"b":[1.10],"cf_x":12.50,"cf_y":{"z":1},"cf_x_formatted":"12,50","other":1}'
    assert bulk.plain_values(raw, {"a": "decimal", "b": "json"}) == {
        "a": Decimal("1234567890123456789.10"),
        "b": "[1.10]",
        "cf_x": "12.50",
        "cf_y": '{"z":1}',
        "cf_x_formatted": "12,50",
    }
    listed = b'{"custom_fields":[{"api_name":"cf_x","value":true},{"api_name":"drop table","value":1}]}'
    assert bulk.plain_values(listed, {}) == {"cf_x": "true"}
    assert bulk.plain_values(b'{"a":1e999999,"b":1e999999}', {"a": "text", "b": "bigint"}) == {
        "a": "1E+999999",
        "b": None,
    }


@pytest.mark.parametrize("raw", [b"", b"[]", b"7", b'{"a":', b'{"a":"\xff"}'])
def test_what_is_no_record_is_refused(raw: bytes) -> None:
    with pytest.raises(bulk.InputError, match="not the JSON of a record"):
        bulk.plain_values(raw, {"a": "text"})


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3), inner, max_size=3),
    max_leaves=5,
)


@given(JSON, st.sampled_from(["text", "decimal", "timestamp", "date", "bool", "bigint", "json"]))
def test_every_value_becomes_one_of_its_columns_type(value: Any, kind: Any) -> None:
    types = {
        "text": str,
        "decimal": Decimal,
        "timestamp": datetime,
        "date": date,
        "bool": bool,
        "bigint": int,
        "json": str,
    }
    (found,) = bulk.plain_values(msgspec.json.encode({"one": value}), {"one": kind}).values()
    assert found is None or isinstance(found, types[kind])


async def test_a_page_a_change_and_a_struct_give_the_same_values(fake: FakeZoho, zoho: Zoho) -> None:
    fake.seed([{"contact_name": "Müller", "cf_region": "N"}])
    types = bulk.columns(zoho.books.contacts)
    page = await zoho.books.contacts.list()
    values = bulk.plain_values(page.raw[0], types)
    assert (values["contact_name"], values["cf_region"]) == ("Müller", "N")
    assert isinstance(values["created_time"], datetime)
    plain = to_builtins(page[0])
    assert (plain["contact_id"], plain["contact_name"]) == (values["contact_id"], "Müller")
    assert datetime.fromisoformat(plain["created_time"]) == values["created_time"]
