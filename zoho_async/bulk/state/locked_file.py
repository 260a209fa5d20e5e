"""The state file in its folder: made complete or not at all, and used by one run at a time."""

from __future__ import annotations

import os
from pathlib import Path

from zoho_async._atomic_file import AtomicFile, remove_leftovers

from .migrations import new_database

if os.name == "posix":
    from fcntl import LOCK_EX, LOCK_NB, flock


def open_locked(path: Path) -> int | None:
    """Makes a state file unless there is one, and locks it until the descriptor is closed.

    SQLite's own lock belongs to the process, which loses it on closing the file anywhere else, as after copying it.

    Returns:
        The descriptor; None where the system has no such locks, but files in use cannot be copied either.

    Raises:
        BlockingIOError: Another run has the file.
        OSError: It cannot be made or opened.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = None if path.exists() else _made(path)
    if os.name != "posix":
        return None
    if descriptor is None:
        descriptor = os.open(path, os.O_RDWR)
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BaseException:
        os.close(descriptor)
        raise
    remove_leftovers(path)
    return descriptor


def _made(path: Path) -> int | None:
    """Makes the file; a descriptor with its lock, or None where it has none or another run was first."""
    temporary = AtomicFile(path, binary=True)
    descriptor: int | None = None
    try:
        temporary.file.write(new_database())
        temporary.sync()
        # It keeps the lock of the temporary file: nobody can use the file before us.
        descriptor = os.dup(temporary.file.fileno()) if os.name == "posix" else None
        _place(temporary, path)
    except BaseException as error:
        if descriptor is not None:
            os.close(descriptor)
        if isinstance(error, FileExistsError | FileNotFoundError) and path.exists():
            # Another run was first, and may have taken the temporary file for a leftover.
            return None
        raise
    finally:
        temporary.discard()
    return descriptor


def _place(temporary: AtomicFile, path: Path) -> None:
    try:
        os.link(temporary.temporary, path)
    except FileExistsError:
        raise
    except OSError:
        # A file system without links.
        temporary.commit()
    try:
        # The log of a file that was moved or removed: SQLite would put it into this one.
        Path(f"{path}-wal").replace(f"{path}-wal.old")
    except FileNotFoundError:
        pass
    except OSError:
        path.unlink()
        raise
