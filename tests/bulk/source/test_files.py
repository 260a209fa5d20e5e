from __future__ import annotations

import csv
import io
import os
from decimal import Decimal
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.profiles import examples

from zoho_async.bulk import InputError, open_rows
from zoho_async.bulk.source.text import strip_blanks


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


TEXT = 'contact_name,notes\n"Müller, Söhne","two\nlines"\n髙橋,\n'


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("separator", [",", ";", "\t", "|"])
def test_encodings_and_separators_are_recognised(tmp_path: Path, encoding: str, separator: str) -> None:
    text = (
        TEXT.replace(",notes", f"{separator}notes").replace('",', f'"{separator}').replace("髙橋,", f"髙橋{separator}")
    )
    source = open_rows(write(tmp_path / "a.csv", text.encode(encoding)))
    assert (source.columns, source.count, source.separator) == (("contact_name", "notes"), 2, separator)
    rows = list(source)
    assert [row.values for row in rows] == [
        {"contact_name": "Müller, Söhne", "notes": "two\nlines"},
        {"contact_name": "髙橋", "notes": ""},
    ]
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 4)]


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.csv", b"", "empty"),
        ("a.csv", b"\n \n", "empty"),
        ("a.jsonl", b"\n", "empty"),
        ("a.csv", b"contact_name\n", "not one row"),
        (
            "a.csv",
            "contact_name,Straße\nA,B\n".encode("latin-1"),
            "line 1 cannot be read as UTF-8 (byte 0xDF): save it as",
        ),
        ("a.csv", "a,b\nÄ,\nM\xfc,\nB,\n".encode("latin-1"), "lines 2, 3 cannot be read as UTF-8 (byte 0xC4): save it"),
        ("a.csv", b"a\r" + b"\xff\r" * 1_234, "lines 2, 3, 4, 5, 6 and 1,229 more cannot be read as UTF-8 (byte 0xFF)"),
        ("a.csv", b'a,b\n"A","x\n\xff"\n', "line 3 cannot be read as UTF-8 (byte 0xFF)"),
        ("a.csv", b"a\nA\n\xe2\x82", "line 3 cannot be read as UTF-8 (byte 0xE2)"),
        ("a.csv", b"\xef\xbb\xbfa\nA\xe9\n", "line 2 cannot be read as UTF-8 (byte 0xE9)"),
        ("a.csv", b"a\n" + b"A\n" * 2_000_000 + b"\xe9\n", "line 2000002 cannot be read as UTF-8"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\xff"}\n', "line 2 cannot be read as UTF-8 (byte 0xFF)"),
        ("a.jsonl", b'{"a": 1}\n{"a": "\0"}\n', "line 2 cannot be read as UTF-8 (a zero byte)"),
        (
            "a.csv",
            "contact_name\nA\n".encode("utf-16-le"),
            "(a zero byte): save it as UTF-8 and try again, or name its encoding: --encoding utf-16-le",
        ),
        ("a.jsonl", '{"contact_name": "A"}\n'.encode("utf-16-be"), "cannot be read as UTF-8 (a zero byte)"),
        ("a.csv", b"contact_name,no\0tes\nA,B\n", "line 1 cannot be read as UTF-8 (a zero byte)"),
        ("a.csv", "contact_name\nÄ\n".encode("utf-16") + b"x", "is not valid UTF-16, a byte is missing or too many"),
        ("a.csv", "a\nÄ\n\ud800x\n".encode("utf-16", "surrogatepass"), "line 3 cannot be read as UTF-16 (0xD800)"),
        ("a.csv", b"contact_name,contact_name\nA,B\n", "`contact_name` more than once"),
        ("a.csv", b"contact_name,\nA,\n,B\n", "column 2 has no name in the header, but line 3 has 'B' in it"),
        (
            "a.csv",
            b'contact_name,notes\nA,"open\nB,b\n',
            "line 2: the row that begins there has a quoted cell that never",
        ),
        (
            "a.csv",
            b'contact_name,notes\n"A\n\nB",b\n\nC,"c',
            "line 6: the row that begins there has a quoted cell that",
        ),
        ("a.csv", b'contact_name,notes\rA,"open\rB,b\rC,"c"\r', "line 2: the row that begins there has text behind a"),
        ("a.csv", b'contact_name,notes\nA,"x"y\nB,"b"\n', "line 2: the row that begins there has text behind a quoted"),
        (
            "a.csv",
            b'contact_name,notes\nA,a\n"The "Best" Inc",b\n',
            "line 3: the row that begins there has text behind",
        ),
        (
            "a.csv",
            b"a,b\nA," + b"x" * (1 << 24) + b"x\n",
            "line 2: the row that begins there has a cell of more than 16,777",
        ),
        ("a.csv", b'"contact_name,notes\nA,B\n', "line 1: the row that begins there has a quoted cell that never ends"),
        ("a.json", b'[{"contact_name": "A"}, ]', "the JSON document is broken (line 1, column"),
    ],
    # Some contents are too long for a name.
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_file_that_cannot_be_used_is_refused_as_a_whole(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(InputError) as caught:
        open_rows(path)
    assert word in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("quotes", ["''", "``", "“”", "„“", "«»"])
def test_quotes_of_another_kind_are_no_part_of_the_cells(tmp_path: Path, quotes: str) -> None:
    one, two = quotes
    path = write(tmp_path / "a.csv", f"{one}a{two},{one}b{two}\n{one}1, 2{two},{one}3{two}\n")
    with pytest.raises(
        InputError, match=f"line 1: its cells are in quotes of another kind .{one}a{two}.; write double"
    ):
        open_rows(path)


def test_numbers_stay_exact(tmp_path: Path) -> None:
    line = '{"a": 1.10, "b": 12345678901234567890123, "c": "x:y", "d": {"e": [0.1]}}\n'
    (row,) = open_rows(write(tmp_path / "a.jsonl", line))
    assert row.values == {"a": Decimal("1.10"), "b": 12345678901234567890123, "c": "x:y", "d": {"e": [Decimal("0.1")]}}
    assert str(row.values["a"]) == "1.10"


def test_a_missing_file_and_a_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        open_rows(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read"):
        open_rows(tmp_path)


def test_a_row_with_other_cells_than_the_header_fails_alone(tmp_path: Path) -> None:
    rows = list(open_rows(write(tmp_path / "a.csv", "a,b\n1,2\n1\n\n1,2,3\n1,2,\n1,2, ,\t\n1,2,,x\n4,5\n")))
    short = "has 1 cells where the header has 2 columns; if it was not cut off, end it with empty cells"
    long = "has %d cells where the header has 2 columns; put a cell that has ',' in it into quotes"
    assert [row.fault for row in rows] == ["", short, long % 3, "", "", long % 4, ""]
    assert [row.values for row in rows if not row.fault] == [{"a": "1", "b": "2"}] * 3 + [{"a": "4", "b": "5"}]
    assert [(row.number, row.line) for row in rows] == [(1, 2), (2, 3), (3, 5), (4, 6), (5, 7), (6, 8), (7, 9)]
    assert rows[2].raw == ["1", "2", "3"]


@pytest.mark.parametrize("cell", ['5" pipe', '5"', 'a "b" c', 'a""b', ' "a"'])
def test_a_quote_inside_an_unquoted_cell_is_text(tmp_path: Path, cell: str) -> None:
    (row,) = open_rows(write(tmp_path / "a.csv", f"a,b\nA,{cell}\n"))
    assert (row.values, row.fault) == ({"a": "A", "b": cell.strip()}, "")


def test_of_members_of_one_name_the_last_counts(tmp_path: Path) -> None:
    (row,) = open_rows(write(tmp_path / "a.jsonl", '{"a": 1, "b": {"c": 1, "c": 2}, "\\u0061": 3}\n'))
    assert (row.values, row.fault) == ({"a": 3, "b": {"c": 2}}, "")


def test_json_lines_are_judged_line_by_line(tmp_path: Path) -> None:
    lines = '{"a": 1.10}\n{"a": \n\n[1]\n{"a": 12345678901234567890}\n' + "[" * 100_000 + "\n"
    rows = list(open_rows(write(tmp_path / "a.jsonl", lines)))
    assert [(row.number, row.line) for row in rows] == [(1, 1), (2, 2), (3, 4), (4, 5), (5, 6)]
    assert str(rows[0].values["a"]) == "1.10"
    assert "not valid JSON" in rows[1].fault
    assert rows[2].fault == "is not a JSON object"
    assert rows[3].values == {"a": 12345678901234567890}
    assert "not valid JSON" in rows[4].fault


cell = st.text(st.characters(blacklist_categories=("Cs",), blacklist_characters="\0"), max_size=12)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(60))
@given(rows=st.lists(st.tuples(cell, cell, cell), min_size=1, max_size=8), separator=st.sampled_from(",;\t|"))
def test_what_csv_writes_is_read_back_cell_by_cell(
    tmp_path: Path, rows: list[tuple[str, str, str]], separator: str
) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, delimiter=separator, quoting=csv.QUOTE_ALL)
    writer.writerows([("contact_name", "notes", "website"), *rows, ("last", "", "")])
    rows = [*rows, ("last", "", "")]
    source = open_rows(write(tmp_path / "a.csv", text.getvalue()))
    filled = [cells for row in rows if any(cells := tuple(map(strip_blanks, row)))]
    assert [tuple(row.values.values()) for row in source] == filled
    assert source.count == len(filled)


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=examples(150))
@given(content=st.binary(max_size=200), name=st.sampled_from(["a.csv", "a.jsonl"]))
def test_any_bytes_are_read_or_refused_in_one_sentence(tmp_path: Path, content: bytes, name: str) -> None:
    path = write(tmp_path / name, content)
    try:
        source = open_rows(path)
    except InputError as error:
        assert str(error).startswith(str(path))
    else:
        assert len(list(source)) == source.count


def test_a_line_that_could_not_be_read_must_be_corrected(tmp_path: Path) -> None:
    lines = '{"zoho_line": "{", "zoho_row": 1}\n{"zoho_line": "{", "contact_name": "A", "zoho_identity": "d#2"}\n'
    first, second = open_rows(write(tmp_path / "a.jsonl", lines))
    assert "still is a line that could not be read" in first.fault
    assert (second.fault, second.values, second.identity) == ("", {"contact_name": "A"}, "d#2")


def test_a_row_with_an_endless_cell_fails_alone(tmp_path: Path) -> None:
    usual = csv.field_size_limit()
    content = f'contact_name,notes\nA,x\nB,"{"n" * 200_000}"\nC,"y\nz"\n'
    source = open_rows(write(tmp_path / "a.csv", content))
    first, second, third = source
    assert (source.count, first.fault, third.values) == (3, "", {"contact_name": "C", "notes": "y\nz"})
    assert second.fault == "has a cell of 200,000 characters; at most 131,072 are read"
    assert csv.field_size_limit() == usual


def test_a_pipe_is_refused_for_it_cannot_be_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    for path in (tmp_path / "a.csv", Path("/dev/null")):
        with pytest.raises(InputError, match="is a pipe, which cannot be read twice"):
            open_rows(path)
