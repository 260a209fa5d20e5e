from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from zoho_async.bulk.source.csv_file import write_row
from zoho_async.bulk.source.formula_cells import escape_cell, unescape_cell

CELLS = st.one_of(st.text(), st.text(alphabet="'=@\t\r+-0123456789 ().x", max_size=12))


@settings(max_examples=examples(1000))
@given(CELLS)
def test_the_way_back_is_exact(text: str) -> None:
    assert unescape_cell(escape_cell(text)) == text


@settings(max_examples=examples(500))
@given(CELLS)
def test_no_escaped_cell_begins_like_a_formula(text: str) -> None:
    assert not escape_cell(text).startswith(("=", "@", "\t", "\r"))


@pytest.mark.parametrize("text", ["=1+1", "@SUM(A1)", "\t=1", "\r=1", "+cmd|' /C calc'!A0", "-1+1", "+", "-", "'=1"])
@pytest.mark.parametrize("before", ["", "'", "''"])
def test_a_formula_gets_an_apostrophe(before: str, text: str) -> None:
    assert escape_cell(before + text) == f"'{before}{text}"


@pytest.mark.parametrize(
    "text",
    [
        *("", "a=b", "'", "'tis", "''", " =1", "1+1", "'-5"),
        *("-12.50", "+3", "-1,234.50", "-1e5", "-3%"),
        *("+1-541-754-3010", "+49 (30) 123 456", "+1 541 754 3010 x12"),
        *("+49/30/123456", "+49 (0)30/1234-56", "+49.30.123456", "+49 421 0001 ext. 12"),
    ],
)
def test_any_other_cell_stays(text: str) -> None:
    assert escape_cell(text) == text
    assert unescape_cell(text) == text


@pytest.mark.parametrize("text", ["+1/2", "+1+2", "-2+3+cmd", "+1\n=2", "+1x", "-1-2"])
def test_sums_are_neither_number_nor_phone(text: str) -> None:
    assert escape_cell(text) == f"'{text}"


@settings(max_examples=examples(150))
@given(
    st.lists(st.lists(st.text("ab\r\n,;'\"=\t", max_size=6), min_size=2, max_size=4), max_size=4),
    st.sampled_from(",;\t"),
)
def test_a_written_row_is_read_as_it_was(rows: list[list[str]], separator: str) -> None:
    file = io.StringIO(newline="")
    for row in rows:
        write_row(file, row, separator=separator)
    file.seek(0)
    assert list(csv.reader(file, delimiter=separator)) == rows
