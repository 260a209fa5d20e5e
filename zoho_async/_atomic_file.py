"""Files that are made new, with permissions of their own."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path
from typing import TextIO

OWN = 0o600
"""The mode of what is nobody else's business."""


def create(path: Path, mode: int, *, encoding: str = "utf-8", newline: str = "") -> TextIO:
    """Makes a file and opens it to be written; it never has a wider mode than the one given, whatever the umask.

    FileExistsError when something of that name is there: it may be another's, or be open to others already.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    if os.name == "posix":
        # Not every file system has modes.
        with suppress(OSError):
            os.fchmod(descriptor, mode)
    return os.fdopen(descriptor, "w", encoding=encoding, newline=newline)


def mode_of(path: Path) -> int:
    """Who may read, write and execute a file."""
    return path.stat().st_mode & 0o777
