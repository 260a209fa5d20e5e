from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from zoho_async import _atomic_file as module
from zoho_async._atomic_file import AtomicFile, atomic_write, remove_leftovers


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_target_changes_at_the_end_and_as_a_whole(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_text("old")
    with atomic_write(path) as file:
        file.write("ü\n" * 100_000)
        assert path.read_text() == "old"
    assert path.read_text("utf-8") == "ü\n" * 100_000
    assert names(tmp_path) == ["a.txt"]


def test_text_has_the_encoding_and_the_line_ends_asked_for(tmp_path: Path) -> None:
    with atomic_write(tmp_path / "a", encoding="utf-16", newline="\r\n") as file:
        file.write("ü\n")
    with atomic_write(tmp_path / "b", binary=True) as binary:
        binary.write(b"\xff\n")
    assert (tmp_path / "a").read_bytes().decode("utf-16") == "ü\r\n"
    assert (tmp_path / "b").read_bytes() == b"\xff\n"


def test_an_exception_leaves_the_target_and_nothing_else(tmp_path: Path) -> None:
    path = tmp_path / "a"
    path.write_text("old")
    with pytest.raises(KeyError), atomic_write(path) as file:
        file.write("new")
        raise KeyError
    assert (path.read_text(), names(tmp_path)) == ("old", ["a"])


@pytest.mark.parametrize("umask", [0o022, 0o777])
def test_permissions_are_the_targets_or_the_owners_alone_or_as_asked(tmp_path: Path, umask: int) -> None:
    existing, link = tmp_path / "existing", tmp_path / "link"
    existing.write_text("")
    existing.chmod(0o640)
    link.symlink_to(existing)
    before = os.umask(umask)
    try:
        for path, mode, expected in (
            (tmp_path / "new", None, 0o600),
            (tmp_path / "asked", 0o664, 0o664),
            (existing, None, 0o640),
            (link, None, 0o600),
        ):
            with atomic_write(path, mode=mode) as file:
                assert stat.S_IMODE(os.fstat(file.fileno()).st_mode) == expected
            assert stat.S_IMODE(path.lstat().st_mode) == expected
    finally:
        os.umask(before)


def test_a_link_as_target_is_replaced_and_its_destination_kept(tmp_path: Path) -> None:
    other, path = tmp_path / "other", tmp_path / "a"
    other.write_text("mine")
    path.symlink_to(other)
    with atomic_write(path) as file:
        file.write("new")
    assert (other.read_text(), path.read_text(), path.is_symlink()) == ("mine", "new", False)


@pytest.mark.parametrize("planted", ["file", "link", "link to nothing"])
def test_what_is_planted_where_it_is_written_is_neither_followed_nor_overwritten(
    tmp_path: Path, planted: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module.os, "urandom", bytes)
    path, other = tmp_path / "a", tmp_path / "other"
    temporary = AtomicFile(path)
    temporary.discard()
    if planted == "file":
        temporary.temporary.write_text("mine")
    else:
        temporary.temporary.symlink_to(other)
    if planted == "link":
        other.write_text("mine")
    before = names(tmp_path)
    with pytest.raises(FileExistsError), atomic_write(path):
        pass
    assert names(tmp_path) == before
    assert planted == "link to nothing" or temporary.temporary.read_text() == "mine"


@pytest.mark.parametrize("instead", ["nothing", "file", "folder"])
def test_what_was_put_in_its_place_is_not_moved_to_the_target(tmp_path: Path, instead: str) -> None:
    path = tmp_path / "a"
    written = AtomicFile(path)
    written.temporary.unlink()
    if instead == "file":
        written.temporary.write_text("another's")
    elif instead == "folder":
        written.temporary.mkdir()
    with pytest.raises(FileNotFoundError, match="was removed or replaced while it was written"):
        written.commit()
    written.discard()
    assert names(tmp_path) == ([] if instead == "nothing" else [written.temporary.name])


def test_the_file_is_on_the_disk_before_it_is_moved_and_the_folder_after(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    order: list[str] = []

    def fsync(descriptor: int) -> None:
        found = os.fstat(descriptor)
        order.append(f"folder {names(tmp_path)}" if stat.S_ISDIR(found.st_mode) else f"file of {found.st_size}")

    monkeypatch.setattr(module.os, "fsync", fsync)
    with atomic_write(tmp_path / "a") as file:
        file.write("new")
    assert order == ["file of 3", "folder ['a']"]


def test_commit_and_discard_end_it_once(tmp_path: Path) -> None:
    first, second = AtomicFile(tmp_path / "a"), AtomicFile(tmp_path / "a")
    first.commit()
    first.discard()
    second.discard()
    second.commit()
    assert names(tmp_path) == ["a"]
    assert first.file.closed
    assert second.file.closed


def test_a_long_name_is_no_obstacle_and_one_too_long_is_found_out_at_once(tmp_path: Path) -> None:
    for name in ("n" * 255, "髙" * 85):
        with atomic_write(tmp_path / name):
            pass
        assert (tmp_path / name).exists()
    with pytest.raises(OSError, match="too long"):
        AtomicFile(tmp_path / ("n" * 256))
    with pytest.raises(FileNotFoundError):
        AtomicFile(tmp_path / "none" / "a")


def test_it_stays_where_it_was_begun_when_the_process_changes_its_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "below").mkdir()
    with atomic_write(Path("a")) as file:
        file.write("new")
        monkeypatch.chdir(tmp_path / "below")
    assert (tmp_path / "a").read_text() == "new"


KILLED = """
import os, sys
from pathlib import Path
from zoho_async._atomic_file import atomic_write
with atomic_write(Path(sys.argv[1])) as file:
    file.write("half")
    file.flush()
    os._exit(9)
"""


def test_a_killed_process_leaves_no_target_and_what_it_left_can_be_removed(tmp_path: Path) -> None:
    path = tmp_path / "a"
    assert subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False).returncode == 9
    (left,) = names(tmp_path)
    for mine in ("a.part", "b.0123456789abcdef.part", "a.note.part"):
        (tmp_path / mine).write_text("")
    alive = AtomicFile(path)
    remove_leftovers(path)
    assert sorted({*names(tmp_path)} - {alive.temporary.name}) == ["a.note.part", "a.part", "b.0123456789abcdef.part"]
    assert left != alive.temporary.name
    alive.commit()
    assert path.exists()
    remove_leftovers(tmp_path / "none" / "a")


@pytest.mark.parametrize("call", ["fstat", "fdopen"])
def test_a_file_that_cannot_be_begun_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str) -> None:
    def failing(*_: object, **options: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, call, failing)
    with pytest.raises(OSError, match="Input/output error"):
        AtomicFile(tmp_path / "a")
    monkeypatch.undo()
    assert names(tmp_path) == []
