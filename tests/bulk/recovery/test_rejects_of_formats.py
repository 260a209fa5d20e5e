from __future__ import annotations

from pathlib import Path

import pytest

from zoho_async.bulk import InputError, PushSummary, RejectsFile, open_rows
from zoho_async.bulk.source.files import ADDED


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


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


def test_the_file_of_failed_rows_is_never_half_there(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\n"))
    with RejectsFile(source) as failed:
        failed.add(next(iter(source)), reason="bad")
        assert not failed.path.exists()
    assert failed.path.exists()


def test_what_a_killed_run_was_writing_goes_with_the_next_run(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\n"))
    left = write(tmp_path / f"a.failed.csv.{'0' * 16}.part", "half")
    with RejectsFile(source) as alive:
        assert not left.exists()
        alive.add(next(iter(source)), reason="bad")
        with RejectsFile(source, PushSummary(complete=True)):
            pass
        assert len(list(tmp_path.iterdir())) == 2, "a run's that is still under way stays"
    assert alive.path.exists()


def test_a_place_where_failed_rows_cannot_be_written_is_found_out_at_once(tmp_path: Path) -> None:
    long = open_rows(write(tmp_path / f"{'n' * 246}.csv", "contact_name\nA\n"))
    with pytest.raises(InputError, match="failed rows could not be written there"):
        RejectsFile(long)
