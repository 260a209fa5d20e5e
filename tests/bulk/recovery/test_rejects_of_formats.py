from __future__ import annotations

from pathlib import Path

import pytest

from zoho_async.bulk import InputError, open_rows
from zoho_async.bulk.recovery.dead_letters import RejectsFile
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


def test_what_a_killed_run_was_writing_goes_with_the_next_run(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\n"))
    left = write(tmp_path / f"a.failed.csv.{'0' * 16}.part", "half")
    with RejectsFile(source) as alive:
        assert not left.exists()
        alive.add(next(iter(source)), reason="bad")
        with RejectsFile(source) as failed:
            failed.finished = True
        assert len(list(tmp_path.iterdir())) == 2, "a run's that is still under way stays"
    assert alive.path.exists()


def test_a_place_where_failed_rows_cannot_be_written_is_found_out_at_once(tmp_path: Path) -> None:
    long = open_rows(write(tmp_path / f"{'n' * 246}.csv", "contact_name\nA\n"))
    with pytest.raises(InputError, match="failed rows could not be written there"):
        RejectsFile(long)
