"""The rejects file: what it holds after a push, a retry, and a push of itself."""

from __future__ import annotations

import json
import os
import resource
import stat
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

import msgspec
import pytest

from zoho_async import Zoho, bulk
from zoho_async.bulk import PushSummary, RejectsFile, RemainingRows, Row, RowFile, RowOutcome, open_rows
from zoho_async.bulk.recovery.rejects import rejects_path
from zoho_async.bulk.rows.rejection_tags import tag as make_tag
from zoho_async.fake import FakeZoho


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
    """Name, reason and identity of every row of a rejects file, by number."""
    found: dict[str, tuple[str, str, str]] = {}
    left = open_rows(path)
    for row in left:
        told = dict(zip(left.columns, row.raw, strict=False)) if left.columns else json.loads(row.raw)
        found[str(told["zoho_row"])] = (told["contact_name"], told["zoho_reason"], told["zoho_identity"])
    return found


NAMES = "ABCD"


@pytest.fixture(params=["csv", "jsonl"])
def failing(request: pytest.FixtureRequest, tmp_path: Path) -> RowFile:
    """A file of four rows, the last three of which are in its rejects file."""
    if request.param == "csv":
        content = "contact_name;notes\n" + "".join(f'{name};"x;\ny"\n' for name in NAMES)
    else:
        content = "".join(f'{{"contact_name": "{name}"}}\n' for name in NAMES)
    source = open_rows(write(tmp_path / f"a.{request.param}", content))
    with RejectsFile(source) as rejects:
        for row in [*source][1:]:
            rejects.add(row, reason="bad", identity=f"i#{row.number}")
    return source


def done(row: Row) -> RowOutcome:
    return RowOutcome(row=row, status="done", action="created")


def bad(row: Row) -> RowOutcome:
    return RowOutcome(row=row, status="failed", action="none", error=ValueError("bad again"))


def pushed(
    rows: RowFile | RemainingRows, tried: set[int], failed: set[int], *, complete: bool | None = None
) -> RejectsFile:
    """The rejects file of a push of some rows; `complete`: None when all of them were tried."""
    given = rows if isinstance(rows, RowFile) else rows.rows
    all_tried = {row.number for row in given} <= tried if complete is None else complete
    with RejectsFile(rows, PushSummary(complete=all_tried)) as rejects:
        for row in given:
            if row.number in tried:
                rejects.record(bad(row) if row.number in failed else done(row))
    return rejects


def again(source: RowFile, remaining: dict[int, str], tried: set[int], failed: set[int]) -> RejectsFile:
    """The rejects file of a retry."""
    rows = RemainingRows(rows=source.only(remaining), source=source, remaining=remaining)
    return pushed(rows, tried, failed)


def test_a_rejects_file_is_always_kept_under_another_name(failing: RowFile) -> None:
    path = rejects_path(failing.path)
    for number in (1, 2):
        before = path.read_bytes()
        rejects = pushed(failing, {1, 2, 3, 4}, {4})
        assert rejects.backup == path.with_name(f"a.failed.{number}{path.suffix}")
        assert rejects.backup.read_bytes() == before
        assert rows_left(path) == {"4": ("D", "bad again", "")}
    # A run that did not come to its end and has no rejects says nothing of the others.
    before = path.read_bytes()
    rejects = pushed(failing, {1}, set())
    assert (rejects.backup, path.read_bytes()) == (None, before)
    rejects = pushed(failing, {1, 2, 3, 4}, set())
    assert rejects.backup is not None
    assert (rejects.backup.read_bytes(), path.exists()) == (before, False)
    # Whatever has the name.
    write(path, "something of mine")
    rejects = pushed(failing, {1, 2, 3, 4}, {1})
    assert rejects.backup is not None
    assert rejects.backup.read_text() == "something of mine"


def test_the_rejects_of_a_rejects_file_are_that_file(failing: RowFile) -> None:
    path = rejects_path(failing.path)
    write(path, path.read_text() + ("E;;;;;;;\n" if failing.format == "csv" else '{"contact_name": "E"}\n'))
    before = path.read_bytes()
    # Its rows have the numbers of the first input; one that somebody has added has none.
    rejects = pushed(open_rows(path), {1, 2, 3, 4}, {2, 4})
    assert (rejects.path, rejects.count, rejects.kept) == (path, 2, 0)
    blank = "" if failing.format == "csv" else "None"
    assert rows_left(path) == {"3": ("C", "bad again", ""), blank: ("E", "bad again", "")}
    assert rejects.backup is not None
    assert rejects.backup.read_bytes() == before
    assert sorted(one.name for one in path.parent.iterdir()) == sorted(
        [failing.path.name, path.name, rejects.backup.name]
    )
    # All done: it may be pushed again, so it stays.
    before = path.read_bytes()
    rejects = pushed(open_rows(path), {1, 2}, set())
    assert (rejects.backup, path.read_bytes()) == (None, before)


def test_untried_rows_of_a_rejects_file_stay_in_it(failing: RowFile) -> None:
    path = rejects_path(failing.path)
    rejects = pushed(open_rows(path), {1, 2}, {2})
    assert (rejects.count, rejects.kept) == (1, 1)
    assert rows_left(path) == {"3": ("C", "bad again", ""), "4": ("D", "bad", "i#4")}
    before = path.read_bytes()
    rejects = pushed(open_rows(path), {1}, set())
    assert (rejects.backup, path.read_bytes()) == (None, before)


def test_rows_that_were_not_tried_again_stay_in_the_file(failing: RowFile) -> None:
    rejects = again(failing, {2: "", 3: ""}, {2, 3}, {3})
    assert rows_left(rejects.path) == {"3": ("C", "bad again", ""), "4": ("D", "bad", "i#4")}
    assert (rejects.count, rejects.kept) == (1, 1)
    rejects = again(failing, {3: ""}, {3}, set())
    assert rows_left(rejects.path) == {"4": ("D", "bad", "i#4")}
    # Stopped before it came to the row: nothing has changed.
    before = rejects.path.read_bytes()
    rejects = again(failing, {4: ""}, set(), set())
    assert (rejects.path.read_bytes(), rejects.kept, rejects.backup) == (before, 1, None)
    rejects = again(failing, {4: ""}, {4}, set())
    assert rejects.backup is not None
    assert (rejects.path.exists(), rejects.kept, rejects.backup.read_bytes()) == (False, 0, before)


def test_what_was_corrected_and_not_tried_stays_corrected(failing: RowFile) -> None:
    path = rejects_path(failing.path)
    corrected = path.read_text().replace("D", "E")
    write(path, corrected)
    rejects = again(failing, {2: "", 3: ""}, {2, 3}, {3})
    assert rows_left(path) == {"3": ("C", "bad again", ""), "4": ("E", "bad", "i#4")}
    assert rejects.backup is not None
    assert rejects.backup.read_text() == corrected


@pytest.mark.parametrize("there", ["removed", "unreadable", "shortened"])
def test_remaining_rows_that_no_file_lists_are_written_again(failing: RowFile, there: str) -> None:
    path = rejects_path(failing.path)
    if there == "removed":
        path.unlink()
    elif there == "unreadable":
        write(path, path.read_text().encode("utf-16") + b"a")
    else:
        kept = [line for line in path.read_text().splitlines(keepends=True) if "D" not in line and "4;bad" not in line]
        write(path, "".join(kept))
    rejects = again(failing, {2: "", 3: "c", 4: "d"}, {2}, set())
    left = rows_left(path)
    assert {number: (name, identity) for number, (name, _, identity) in left.items()} == {
        "3": ("C", "i#3" if there == "shortened" else "c"),
        "4": ("D", "d"),
    }
    assert left["4"][1] == "remained after an earlier run and was not tried again since"
    assert (rejects.backup is None) is (there == "removed")


def test_a_row_whose_number_is_no_number_stays(failing: RowFile) -> None:
    path = rejects_path(failing.path)
    was, odd = (";4;", ";four;") if failing.format == "csv" else ('"zoho_row":4', '"zoho_row":"four"')
    text = path.read_text()
    assert was in text
    write(path, text.replace(was, odd))
    rejects = again(failing, {2: "", 3: "", 4: ""}, {2, 3, 4}, set())
    assert rows_left(path) == {"four": ("D", "bad", "i#4")}
    assert rejects.backup is not None


def test_a_tag_goes_with_its_row_and_a_key_does_not(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\nB\n"))
    first, second = source
    tag = make_tag(first)
    with RejectsFile(source) as rejects:
        rejects.record(msgspec.structs.replace(bad(first), identity=tag))
        rejects.record(msgspec.structs.replace(bad(second), identity="contact_name=B"))
    assert [row.identity for row in open_rows(rejects.path)] == [tag, ""]


async def test_it_is_used_beside_a_push(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    rows = open_rows(write(tmp_path / "a.csv", "contact_name,cf_external_id\nA,1\n,2\n"))
    push = bulk.push(zoho.books.contacts, rows, upsert_by="cf_external_id")
    async with push as run, RejectsFile(rows, run.summary) as rejects:
        async for outcome in run:
            rejects.record(outcome)
    assert {number: reason for number, (_, reason, _) in rows_left(rejects.path).items()} == {
        "2": "contact_name: is required"
    }
    assert len(fake.created()) == 1


def test_odd_rows_and_moved_columns_stay_as_they_are(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name,notes\nA,1\nB\nC,3,more\n"))
    with RejectsFile(source) as failed:
        for row in source:
            failed.add(row, reason="bad")
    source = open_rows(write(source.path, "notes,website,contact_name\n1,w,A\nB\n3,w,C\n"))
    rejects = again(source, {1: ""}, {1}, set())
    assert rejects.path.read_text().splitlines() == [
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
    path = rejects_path(failing.path)
    before = path.read_bytes()
    with full_disk(10), RejectsFile(failing) as failed:
        for row in failing:
            failed.add(row, reason="x" * letters)
    assert (failed.write_error, failed.count) == ("File too large", 4)
    assert (path.read_bytes(), failed.backup) == (before, None)
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
    removed = f"{part.name} was removed or replaced while it was written"
    reason, there = {
        "folder gone": (removed, {}),
        "folder in place": ("Is a directory", {"a.failed.csv": True}),
        "part removed": (removed, {}),
        "part replaced": (
            removed,
            {part.name: False},
        ),
        "part a folder": (
            removed,
            {part.name: True},
        ),
    }[obstacle]
    assert (failed.write_error, failed.backup, left) == (reason, None, there)
    if obstacle == "part replaced":
        assert part.read_text() == "another's"


def test_a_folder_in_its_place_is_no_error_when_no_row_failed(tmp_path: Path) -> None:
    source = open_rows(write(tmp_path / "a.csv", "contact_name\nA\n"))
    with RejectsFile(source, PushSummary(complete=True)) as failed:
        failed.path.mkdir()
    assert (failed.write_error, failed.path.is_dir()) == ("", True)
