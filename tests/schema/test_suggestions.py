"""Suggestions for mistyped names."""

from __future__ import annotations

import pytest

from zoho_async.schema.suggestions import did_you_mean


@pytest.mark.parametrize(
    ("word", "known", "most", "question"),
    [
        ("contcts", ["contacts", "customers"], 3, "did you mean `contacts`?"),
        ("CONTACTS", ["contacts"], 3, "did you mean `contacts`?"),
        ("ab", ["abc", "abd"], 3, "did you mean `abd` or `abc`?"),
        ("ab", ["abc", "abd"], 1, "did you mean `abd`?"),
        ("xyz", ["contacts"], 3, ""),
        ("", ["contacts"], 3, ""),
        ("contacts", [], 3, ""),
    ],
)
def test_the_nearest_words_are_named(word: str, known: list[str], most: int, question: str) -> None:
    assert did_you_mean(word, known, most=most) == question
