"""The file of failed rows when only some rows of its input are tried again."""

from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import pytest

from zoho_async.bulk import RowFile, open_rows
from zoho_async.bulk.recovery.dead_letters import RejectsFile


def write(path: Path, content: str | bytes) -> Path:
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def test_some_rows_of_a_file_with_their_identities(tmp_path: Path) -> None:
    content = "contact_name,zoho_identity\nA,a#1\nB,b#1\nC,\n"
    source = open_rows(write(tmp_path / "a.csv", content))
    some = source.only({2: "", 3: "c#2"})
    assert [(row.number, row.identity) for row in some] == [(2, "b#1"), (3, "c#2")]
    assert (some.count, some.total, source.count, source.total) == (2, 3, 3, 3)
    assert [row.number for row in some.only({1: ""})] == [1]


def rows_left(path: Path) -> dict[str, tuple[str, str, str]]:
    """Name, reason and identity of every row of a file of failed rows, by number."""
    found: dict[str, tuple[str, str, str]] = {}
    left = open_rows(path)
    for row in left:
        told = dict(zip(left.columns, row.raw, strict=False)) if left.columns else json.loads(row.raw)
        found[str(told["zoho_row"])] = (told["contact_name"], told["zoho_reason"], told["zoho_identity"])
    return found


NAMES = "ABCD"


@pytest.fixture(params=["csv", "jsonl"])
def failing(request: pytest.FixtureRequest, tmp_path: Path) -> RowFile:
    """A file of four rows, the last three of which stand in its file of failed rows."""
    if request.param == "csv":
        content = "contact_name;notes\n" + "".join(f'{name};"x;\ny"\n' for name in NAMES)
    else:
        content = "".join(f'{{"contact_name": "{name}"}}\n' for name in NAMES)
    source = open_rows(write(tmp_path / f"a.{request.param}", content))
    with RejectsFile(source) as failed:
        for row in [*source][1:]:
            failed.add(row, reason="bad", identity=f"i#{row.number}")
    return source


def again(
    source: RowFile, undone: dict[int, str], tried: set[int], bad: set[int], *, trusted: bool = True
) -> RejectsFile:
    with RejectsFile(source) as failed:
        failed.trusted = failed.digest if trusted else ""
        failed.again = undone
        failed.tried = tried
        for row in source:
            if row.number in bad:
                failed.add(row, reason="bad again")
    return failed


def test_rows_that_were_not_tried_again_stay_in_the_file(failing: RowFile) -> None:
    failed = again(failing, {2: "", 3: ""}, {2, 3}, {3})
    assert rows_left(failed.path) == {"3": ("C", "bad again", ""), "4": ("D", "bad", "i#4")}
    assert (failed.count, failed.kept, failed.aside) == (1, 1, None)
    assert failed.written == RejectsFile(failing).digest
    failed = again(failing, {3: ""}, {3}, set())
    assert rows_left(failed.path) == {"4": ("D", "bad", "i#4")}
    # Stopped before it came to the row: nothing has changed.
    before = failed.path.read_bytes()
    failed = again(failing, {4: ""}, set(), set())
    assert (failed.path.read_bytes(), failed.kept, failed.written) == (before, 1, "")
    failed = again(failing, {4: ""}, {4}, set())
    assert (failed.path.exists(), failed.kept, failed.aside) == (False, 0, None)


def test_a_mended_file_is_kept_aside_and_what_was_not_tried_stays_mended(failing: RowFile) -> None:
    path = RejectsFile(failing).path
    mended = path.read_text().replace("D", "E")
    write(path, mended)
    failed = again(failing, {2: "", 3: ""}, {2, 3}, {3}, trusted=False)
    assert rows_left(path) == {"3": ("C", "bad again", ""), "4": ("E", "bad", "i#4")}
    assert failed.aside is not None
    assert failed.aside.read_text() == mended


@pytest.mark.parametrize("there", ["removed", "unreadable", "mended"])
def test_rows_that_no_file_tells_of_are_written_again(failing: RowFile, there: str) -> None:
    path = RejectsFile(failing).path
    if there == "removed":
        path.unlink()
    elif there == "unreadable":
        write(path, path.read_text().encode("utf-16") + b"a")
    else:
        kept = [line for line in path.read_text().splitlines(keepends=True) if "D" not in line and "4;bad" not in line]
        write(path, "".join(kept))
    failed = again(failing, {2: "", 3: "c", 4: "d"}, {2}, set(), trusted=False)
    left = rows_left(path)
    assert {number: (name, identity) for number, (name, _, identity) in left.items()} == {
        "3": ("C", "i#3" if there == "mended" else "c"),
        "4": ("D", "d"),
    }
    assert left["4"][1] == "was left undone by an earlier run and not tried again since"
    assert (failed.aside is None) is (there == "removed")


def test_rows_that_our_own_file_does_not_tell_were_done_since(failing: RowFile) -> None:
    failed = again(failing, {1: "", 2: "", 3: ""}, {2}, set())
    assert list(rows_left(failed.path)) == ["3", "4"]


def test_a_row_whose_number_is_no_number_stays(failing: RowFile) -> None:
    path = RejectsFile(failing).path
    was, odd = (";4;", ";four;") if failing.format == "csv" else ('"zoho_row":4', '"zoho_row":"four"')
    text = path.read_text()
    assert was in text
    write(path, text.replace(was, odd))
    failed = again(failing, {2: "", 3: "", 4: ""}, {2, 3, 4}, set(), trusted=False)
    assert rows_left(path) == {"four": ("D", "bad", "i#4")}
    assert failed.aside is not None


def test_odd_rows_and_moved_columns_stay_as_they_are(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name,notes\nA,1\nB\nC,3,more\n"))
    with RejectsFile(source) as failed:
        for row in source:
            failed.add(row, reason="bad")
    source = open_rows(write(source.path, "notes,website,contact_name\n1,w,A\nB\n3,w,C\n"))
    failed = again(source, {1: ""}, {1}, set())
    assert failed.path.read_text().splitlines() == [
        "notes,website,contact_name,zoho_row,zoho_reason,zoho_code,zoho_field,zoho_hint,zoho_identity",
        ",,B,2,bad,,,,",
        "3,,C,3,bad,,,,,more",
    ]


def test_it_has_the_permissions_of_the_input_from_its_first_row_on(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\nB\n"))
    first, second = source
    before = os.umask(0o022)
    try:
        for mode in (0o600, 0o640, 0o664, 0o440):
            source.path.chmod(mode)
            with RejectsFile(source) as failed:
                failed.add(first, reason="bad" * 10_000)
                (part,) = tmp_path.glob("a.failed.csv.*.part")
                assert stat.S_IMODE(part.stat().st_mode) == mode | 0o600
                failed.add(second, reason="bad")
            assert stat.S_IMODE(failed.path.stat().st_mode) == mode | 0o600
    finally:
        os.umask(before)


@contextmanager
def full_disk(size: int) -> Generator[None, None, None]:
    """No file of this process can grow beyond so many bytes."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("letters", [1, 100_000])
def test_on_a_full_disk_nothing_half_written_is_left_and_nothing_raised(failing: RowFile, letters: int) -> None:
    """Found out when a row is written, or, of a few, at the end."""
    path = RejectsFile(failing).path
    before = path.read_bytes()
    with full_disk(10), RejectsFile(failing) as failed:
        for row in failing:
            failed.add(row, reason="x" * letters)
    assert (failed.unwritten, failed.written, failed.count) == ("File too large", "", 4)
    assert (path.read_bytes(), failed.aside) == (before, None)
    assert set(path.parent.iterdir()) == {failing.path, path}


@pytest.mark.parametrize(
    "obstacle", ["folder gone", "folder in place", "part removed", "part replaced", "part a folder"]
)
def test_what_is_in_the_way_at_the_end_stays_and_nothing_is_raised(tmp_path: Path, obstacle: str) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    source = open_rows(write(folder / "a.csv", "contact_name\nA\n"))
    with RejectsFile(source) as failed:
        for row in source:
            failed.add(row, reason="bad")
        (part,) = folder.glob("a.failed.csv.*.part")
        if obstacle == "folder gone":
            folder.rename(tmp_path / "gone")
        elif obstacle == "folder in place":
            failed.path.mkdir()
        else:
            part.unlink()
            if obstacle == "part replaced":
                write(part, "another's")
            elif obstacle == "part a folder":
                part.mkdir()
    left = {path.name: path.is_dir() for path in folder.iterdir()} if folder.exists() else {}
    left.pop("a.csv", None)
    reason, there = {
        "folder gone": (f"{part.name} was removed or replaced while it was written", {}),
        "folder in place": ("Is a directory", {"a.failed.csv": True}),
        "part removed": (f"{part.name} was removed or replaced while it was written", {}),
        "part replaced": (
            f"{part.name} was removed or replaced while it was written",
            {part.name: False},
        ),
        "part a folder": (
            f"{part.name} was removed or replaced while it was written",
            {part.name: True},
        ),
    }[obstacle]
    assert (failed.unwritten, failed.written, failed.aside, left) == (reason, "", None, there)
    if obstacle == "part replaced":
        assert part.read_text() == "another's"


def test_a_folder_in_its_place_is_no_trouble_when_no_row_failed(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\n"))
    with RejectsFile(source) as failed:
        failed.path.mkdir()
        failed.finished = True
    assert (failed.unwritten, failed.path.is_dir()) == ("", True)
