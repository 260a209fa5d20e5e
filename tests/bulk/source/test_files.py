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
from zoho_async.bulk.recovery.dead_letters import RejectsFile
from zoho_async.bulk.source.files import ADDED


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
            "(0xDF): save the file as UTF-8 and try again; all of it looks like Windows-1252",
        ),
        ("a.csv", "contact_name\nA\n".encode("utf-16-le"), "UTF-16 without a byte order mark"),
        ("a.jsonl", '{"contact_name": "A"}\n'.encode("utf-16-be"), "UTF-16 without a byte order mark"),
        ("a.csv", b"contact_name,no\0tes\nA,B\n", "the header holds a zero byte"),
        ("a.csv", "contact_name\nÄ\n".encode("utf-16") + b"x", "not valid UTF-16"),
        ("a.csv", b"contact_name,contact_name\nA,B\n", "`contact_name` more than once"),
        ("a.csv", b"contact_name,\nA,B\n", "column 2 has no name"),
        ("a.csv", b'contact_name,notes\nA,"open\nB,b\n', "line 2: a quote is opened there and never closed"),
        ("a.csv", b'contact_name,notes\n"A\n\nB","open\nB,b\n', "line 4: a quote is opened there and never closed"),
        ("a.csv", b'contact_name,notes\rA,"open\rB,b\rC,"c"\r', "line 2: where the row ends whose quote is opened"),
        (
            "a.csv",
            b'contact_name,notes\nA,"x"y\nB,"b"\n',
            "line 2: where the row ends whose quote is opened there cannot",
        ),
        ("a.csv", b'contact_name,notes\nA,"x\ny"z"\n', "text follows a closing quote"),
        ("a.json", b'[{"contact_name": "A"}]', "JSON Lines"),
    ],
)
def test_a_file_that_cannot_be_used_is_refused_as_a_whole(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    path = write(tmp_path / name, content)
    with pytest.raises(InputError) as caught:
        open_rows(path)
    assert word in str(caught.value)
    assert str(caught.value).startswith(str(path))
    assert "\n" not in str(caught.value)


NO_UTF_8 = "holds bytes that are no UTF-8 (%s): save the file as UTF-8"
WESTERN = "; all of it looks like Windows-1252"
OTHER = "; all of it seems to be in another encoding"
GOOD = ("", "")


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["Ä,".encode(), b"M\xfcller,"], [GOOD, ("contact_name", NO_UTF_8 % "0xFC")]),
        ([b"A,caf\xe9", b"B,"], [("notes", NO_UTF_8 % "0xE9" + WESTERN), GOOD]),
        (
            [b"A,5 \x80", "Söhne,Ö".encode("cp1252")],
            [("notes", NO_UTF_8 % "0x80" + WESTERN), ("contact_name", NO_UTF_8 % "0xF6" + WESTERN)],
        ),
        (
            ["髙橋,".encode("cp932"), "鈴木,".encode("cp932")],
            [
                ("contact_name", NO_UTF_8 % "0xEE 0xE0 0x8B ..." + OTHER),
                ("contact_name", NO_UTF_8 % "0x97 0xE9 0x96 ..." + OTHER),
            ],
        ),
        ([b"A,\xe2\x82"], [("notes", NO_UTF_8 % "0xE2 0x82")]),
        ([b'"A","x\n\xff"', b"B,b"], [("notes", NO_UTF_8 % "0xFF" + WESTERN), GOOD]),
        ([b"A,\xff,c"], [("notes", NO_UTF_8 % "0xFF" + WESTERN)]),
        ([b"A,b,\xff"], [("", NO_UTF_8 % "0xFF" + WESTERN)]),
        ([b"A\0,b", b"B,b"], [("contact_name", "holds a zero byte, which is no text: write what belongs there"), GOOD]),
        (
            ["A,⟦0xE9⟧ b".encode(), "⟦x⟧,⟦".encode()],
            [("notes", "holds ⟦0xE9⟧ in place of bytes that could not be read: write what belongs there"), GOOD],
        ),
    ],
)
def test_bytes_that_are_no_text_are_a_fault_of_their_row(
    tmp_path: Path, lines: list[bytes], told: list[tuple[str, str]]
) -> None:
    source = open_rows(write(tmp_path / "a.csv", b"contact_name,notes\n" + b"\n".join(lines) + b"\n"))
    rows = list(source)
    assert [(row.field, row.fault) for row in rows] == told
    assert [bool(row.values) for row in rows] == [one == GOOD for one in told]
    with RejectsFile(source) as failed:
        for row in rows:
            if row.fault:
                failed.add(row, reason=row.fault, field=row.field)
    again = open_rows(failed.path)
    assert all(row.fault for row in again), "what nobody has mended must not be sent"
    assert again.count == source.count - told.count(GOOD)


def test_a_mended_row_of_odd_bytes_is_read_as_it_was_mended(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", b"contact_name,notes\nM\xfcller,x\n"))
    (row,) = source
    with RejectsFile(source) as failed:
        failed.add(row, reason=row.fault)
    # What the sentence says of it stands in a column of our own, and is no text of the row.
    text = failed.path.read_text(encoding="utf-8").replace("M⟦0xFC⟧ller", "Müller", 1)
    failed.path.write_text(text.replace("0xFC", "⟦0xFC⟧"), encoding="utf-8")
    assert [(one.fault, one.values) for one in open_rows(failed.path)] == [
        ("", {"contact_name": "Müller", "notes": "x"})
    ]


@pytest.mark.parametrize(
    ("line", "field", "fault"),
    [
        (b'{"a": "x", "b": {"c": [1, "caf\xe9"]}}', "b.c[1]", NO_UTF_8 % "0xE9" + WESTERN),
        (b'{"a": "x", "n\xe9": 1}', "n⟦0xE9⟧", NO_UTF_8 % "0xE9" + WESTERN),
        (b'{"a": \xff}', "", NO_UTF_8 % "0xFF" + WESTERN),
        (b'{"a": "\\\xff"}', "", NO_UTF_8 % "0xFF" + WESTERN),
        (b'{"a": "x\0"}', "", "holds a zero byte, which is no text: write what belongs there"),
        (b'{"a\xff": "\0"}', "", "holds a zero byte, which is no text: write what belongs there"),
        (
            '{"a": {"b": "⟦0xE9⟧"}}'.encode(),
            "a.b",
            "holds ⟦0xE9⟧ in place of bytes that could not be read: write what belongs there",
        ),
        (b'{"a": 1, "b": 2, "a": 1}', "a", "is given more than once"),
        (b'{"a": 1, "\\u0061": 1}', "a", "is given more than once"),
        (b'{"a": ["http://x", {"b": 1, "c": {"d": 1, "d": 2}}]}', "a[1].c.d", "is given more than once"),
        (b'{"a": {"b": 1}, "a": {"b": 1}}', "a", "is given more than once"),
        (b'{"a": 1, "zoho_row": 1, "zoho_row": 1}', "zoho_row", "is given more than once"),
    ],
)
def test_a_line_of_json_with_odd_bytes_or_members_given_twice_is_faulty_alone(
    tmp_path: Path, line: bytes, field: str, fault: str
) -> None:
    source = open_rows(write(tmp_path / "a.jsonl", b'{"a": "1:2", "b": {}}\n' + line + b'\n{"a": "y"}\n'))
    first, second, third = source
    assert (first.values, first.fault, third.values, third.fault) == ({"a": "1:2", "b": {}}, "", {"a": "y"}, "")
    assert (second.field, second.fault, second.values) == (field, fault, {})
    with RejectsFile(source) as failed:
        failed.add(second, reason=second.fault, field=second.field)
    (again,) = open_rows(failed.path)
    assert again.fault, "what nobody has mended must not be sent"


def test_numbers_stay_exact_where_members_are_counted(tmp_path: Path) -> None:
    line = '{"a": 1.10, "b": 12345678901234567890123, "c": "x:y", "d": {"e": [0.1]}}\n'
    (row,) = open_rows(write(tmp_path / "a.jsonl", line))
    assert row.values == {"a": Decimal("1.10"), "b": 12345678901234567890123, "c": "x:y", "d": {"e": [Decimal("0.1")]}}
    assert str(row.values["a"]) == "1.10"


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl"])
def test_half_a_character_of_utf_16_is_a_fault_of_its_row(tmp_path: Path, name: str) -> None:
    lines = ["contact_name,notes", "A,ä", "B,\ud800x"]
    if name == "a.jsonl":
        lines = ['{"contact_name": "A"}', '{"contact_name": "B", "notes": "\ud800x"}']
    source = open_rows(write(tmp_path / name, "\n".join(lines).encode("utf-16", "surrogatepass")))
    first, second = source
    assert (first.fault, first.values["contact_name"]) == ("", "A")
    assert (second.field, second.fault) == ("notes", "holds bytes that are no UTF-16 (0xD800): save the file as UTF-8")
    with RejectsFile(source) as failed:
        failed.add(second, reason=second.fault)
    assert [one.fault[:20] for one in open_rows(failed.path)] == ["holds ⟦0xD800⟧ in pl"]


@pytest.mark.parametrize(
    ("line", "word"),
    [
        ('A,"5" pipe"', "text follows a closing quote"),
        ('"The "Best" Inc",b', "text follows a closing quote"),
        ('"Firma "Best"",b', "text follows a closing quote"),
        ('A,"5" and 7" pipe"', "text follows a closing quote"),
        ("A," + "x" * (1 << 24) + "x", "a cell is longer than 16,777,216 characters"),
    ],
)
def test_a_line_with_wrong_quotes_is_faulty_alone_where_it_ends_for_certain(
    tmp_path: Path, line: str, word: str
) -> None:
    source = open_rows(write(tmp_path / "a.csv", f'contact_name,notes\nB,"b\nb"\n{line}\nC,c\n'))
    first, second, third = source
    assert (source.count, first.values["notes"], third.values["contact_name"]) == (3, "b\nb", "C")
    assert (second.line, second.number, third.line) == (4, 2, 5)
    assert second.fault.startswith("cannot be read: ")
    assert word in second.fault
    with RejectsFile(source) as failed:
        failed.add(second, reason=second.fault)
    (again,) = open_rows(failed.path)
    assert again.fault.startswith("still is a line that could not be read")


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        open_rows(tmp_path / "none.csv")
    with pytest.raises(InputError, match="cannot be read"):
        open_rows(tmp_path)


def test_a_row_with_other_cells_than_the_header_is_faulty_alone(tmp_path: Path) -> None:
    rows = list(open_rows(write(tmp_path / "a.csv", "a,b\n1,2\n1\n\n1,2,3\n4,5\n")))
    assert [row.fault for row in rows] == [
        "",
        "has 1 cells where the header has 2 columns",
        "has 3 cells where the header has 2 columns",
        "",
    ]


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
    writer.writerows([("contact_name", "notes", "website"), *rows])
    source = open_rows(write(tmp_path / "a.csv", text.getvalue()))
    assert [tuple(row.values.values()) for row in source] == rows
    assert source.count == len(rows)


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


def test_failed_rows_keep_the_format_of_the_input(tmp_path: Path) -> None:
    content = '\ufeffcontact_name;notes\n"A; B";"x\ny"\nC;d\n1;2;3\n'
    source = open_rows(write(tmp_path / "a.csv", content.encode()))
    rows = list(source)
    with RejectsFile(source) as failed:
        failed.add(rows[0], reason="bad", code="3062", field="contact_name")
        failed.add(rows[2], reason="worse")
    assert failed.path == tmp_path / "a.failed.csv"
    assert failed.path.read_bytes().startswith(b"\xef\xbb\xbf")
    again = open_rows(failed.path)
    assert again.columns == ("contact_name", "notes", *ADDED)
    assert again.separator == ";"
    first, second = again
    assert first.values == {"contact_name": "A; B", "notes": "x\ny"}
    assert first.raw == ["A; B", "x\ny", "1", "bad", "3062", "contact_name", "", ""]
    assert second.raw == ["1", "2", "3", "worse", "", "", "", "", "3"]


def test_failed_json_lines_keep_every_digit(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.jsonl", '{"a": 1.10, "b": 12345678901234567890123}\n{"a": \n'))
    with RejectsFile(source) as failed:
        for row in source:
            failed.add(row, reason="bad")
    text = failed.path.read_text()
    assert '"a":1.10,"b":12345678901234567890123' in text
    assert [row.values for row in open_rows(failed.path)][1] == {}
    assert '"zoho_line":"{\\"a\\":"' in text


def test_a_file_of_failed_rows_goes_when_none_failed_but_only_ours(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\n"))
    with RejectsFile(source) as failed:
        failed.add(next(iter(source)), reason="bad")
    assert failed.path.exists()
    with RejectsFile(source):
        pass
    assert failed.path.exists(), "a run that did not come to its end proves nothing"
    with RejectsFile(source) as failed:
        failed.trusted = failed.digest
        failed.finished = True
    assert not failed.path.exists()
    assert failed.aside is None
    write(failed.path, "something of mine")
    with pytest.raises(InputError, match="is not ours"):
        RejectsFile(source)
    assert failed.path.read_text() == "something of mine"


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
def test_a_file_of_failed_rows_is_known_however_long_its_rows_are(tmp_path: Path, encoding: str) -> None:
    line = f'{{"contact_name": "", "notes": "{"ü" * 100_000}"}}\n'
    source = open_rows(write(tmp_path / "a.jsonl", line.encode(encoding)))
    with RejectsFile(source) as failed:
        failed.add(next(iter(source)), reason="bad")
    assert RejectsFile(source).digest == failed.written != ""


def test_the_file_of_failed_rows_is_never_half_there(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\n"))
    with RejectsFile(source) as failed:
        failed.add(next(iter(source)), reason="bad")
        assert not failed.path.exists()
    assert failed.path.exists()


def test_a_mended_file_of_failed_rows_is_kept_aside(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\n"))
    row = next(iter(source))
    for number in (1, 2):
        with RejectsFile(source) as failed:
            failed.add(row, reason="bad")
        write(failed.path, failed.path.read_text() + f"mended {number},,,,,\n")
        mended = failed.path.read_text()
        with RejectsFile(source) as failed:
            # What the file was when it was written; it has changed since.
            failed.trusted = "another digest"
            failed.add(row, reason="bad again")
        assert failed.aside == tmp_path / f"a.failed.{number}.csv"
        assert failed.aside.read_text() == mended
        assert "bad again" in failed.path.read_text()
        failed.path.unlink()


def test_what_a_killed_run_was_writing_goes_with_the_next_clean_run(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\n"))
    part = write(tmp_path / "a.failed.csv.part", "half")
    with RejectsFile(source):
        pass
    assert part.read_text() == "half", "it may be a run's that is still under way"
    with RejectsFile(source) as failed:
        failed.finished = True
    assert not part.exists()


def test_a_place_where_failed_rows_cannot_be_written_is_found_out_at_once(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\n"))
    (tmp_path / "a.failed.csv.part").mkdir()
    with pytest.raises(InputError, match="failed rows could not be written there"):
        RejectsFile(source)
    long = open_rows(write(tmp_path / f"{'n' * 246}.csv", "contact_name\nA\n"))
    with pytest.raises(InputError, match="failed rows could not be written there"):
        RejectsFile(long)


def test_a_line_that_could_not_be_read_must_be_mended(tmp_path: Path) -> None:
    lines = '{"zoho_line": "{", "zoho_row": 1}\n{"zoho_line": "{", "contact_name": "A", "zoho_identity": "d#2"}\n'
    first, second = open_rows(write(tmp_path / "a.jsonl", lines))
    assert "still is a line that could not be read" in first.fault
    assert (second.fault, second.values, second.identity) == ("", {"contact_name": "A"}, "d#2")


def test_an_endless_cell_is_a_fault_of_its_row(tmp_path: Path) -> None:
    usual = csv.field_size_limit()
    content = f'contact_name,notes\nA,x\nB,"{"n" * 200_000}"\nC,"y\nz"\n'
    source = open_rows(write(tmp_path / "a.csv", content))
    first, second, third = source
    assert (source.count, first.fault, third.values) == (3, "", {"contact_name": "C", "notes": "y\nz"})
    assert second.fault == "has a cell of 200,000 characters; at most 131,072 are read"
    with RejectsFile(source) as failed:
        failed.add(second, reason=second.fault)
    assert [row.fault for row in open_rows(failed.path)] == [second.fault]
    assert csv.field_size_limit() == usual


def test_a_pipe_is_refused_for_it_cannot_be_read_twice(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.csv")
    for path in (tmp_path / "a.csv", Path("/dev/null")):
        with pytest.raises(InputError, match="is a pipe, which cannot be read twice"):
            open_rows(path)


@pytest.mark.parametrize("text", ['{"a" : 1, "a" : 2}', '{"a"\t:1,"a":2}', '{"a":"x:y","a":"\\":"}'])
def test_a_member_given_twice_is_found_however_it_is_written(tmp_path: Path, text: str) -> None:
    (row,) = open_rows(write(tmp_path / "a.jsonl", text))
    assert (row.field, row.fault) == ("a", "is given more than once")
