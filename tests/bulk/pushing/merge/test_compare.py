"""Values of a record and of a row in all their forms."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from zoho_async.bulk.pushing.merge import same


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (None, ""),
        ("", None),
        ([], ""),
        ({}, None),
        ("a", "a"),
        ("a", "a "),
        ("\u00a0a\u200b", "a"),
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
