"""Files that take their target's place when they are complete: readers see the old file or the new one, never half."""

from __future__ import annotations

import os
import re
import stat
import threading
from collections.abc import Generator
from contextlib import AbstractContextManager, contextmanager, suppress
from errno import ENOENT
from pathlib import Path
from typing import IO, Any, BinaryIO, Literal, TextIO, overload

if os.name == "posix":
    from fcntl import LOCK_EX, LOCK_NB, flock

OWNER_ONLY = 0o600
"""Mode of a file that only its owner may read and write."""
_NAME_KEPT = 40
"""Characters of the target's name in the temporary one: together they fit where the target's name fits."""
_SUFFIX = ".part"
# Not every system has all of them.
_OPTIONAL_FLAGS = getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | _OPTIONAL_FLAGS


class AtomicFile:
    """A temporary file beside a target, which `commit` moves into the target's place.

    It is made with a random name, never followed if a link and never one that exists. Its mode is exactly the one
    given, whatever the umask. `commit` may run in another thread than `discard`.

    Attributes:
        file: What to write to.
        temporary: Path of the temporary file.
    """

    def __init__(
        self,
        path: Path,
        *,
        mode: int | None = None,
        binary: bool = False,
        encoding: str = "utf-8",
        newline: str = "",
    ) -> None:
        """Makes the temporary file.

        Args:
            path: The target; its folder must exist.
            mode: Permissions; None for those of an existing target, else its owner's alone.
            binary: Whether bytes are written; then there is neither encoding nor newline.
            encoding: Of the text that is written.
            newline: What `\\n` is written as, as in `open`; `""` for no change.

        Raises:
            OSError: The file cannot be made.
        """
        # Absolute: the process may change its folder meanwhile.
        self._path = path.absolute()
        self.temporary = self._path.with_name(f"{_prefix(path)}{os.urandom(8).hex()}{_SUFFIX}")
        # Also finds out whether the target can have its name.
        existing = _mode_of(self._path)
        mode = existing if mode is None else mode
        descriptor = os.open(self.temporary, _FLAGS, mode)
        try:
            self._made = os.fstat(descriptor)
            self._lock = threading.Lock()
            self._ended = False
            if os.name == "posix":
                # Some file systems have neither modes nor locks.
                with suppress(OSError):
                    os.fchmod(descriptor, mode)
                with suppress(OSError):
                    # Shows `remove_leftovers` that it is still being written.
                    flock(descriptor, LOCK_EX | LOCK_NB)
            self.file: IO[Any] = (
                os.fdopen(descriptor, "wb")
                if binary
                else os.fdopen(descriptor, "w", encoding=encoding, newline=newline)
            )
        except BaseException:
            # Left open, its lock would keep it from being removed.
            with suppress(OSError):
                os.close(descriptor)
            with suppress(OSError):
                self.temporary.unlink()
            raise

    def commit(self) -> None:
        """Flushes the file to the disk and moves it into the target's place; does nothing after `discard`.

        Raises:
            OSError: It cannot be written or moved, or is no longer where it was made. The target is unchanged.
        """
        with self._lock:
            if self._ended:
                return
            self.sync()
            if os.name != "posix":
                # An open file cannot be moved there; elsewhere it stays locked until it is.
                self.file.close()
            self.temporary.replace(self._path)
            self._ended = True
            self.file.close()
        _sync_folder(self._path.parent)

    def sync(self) -> None:
        """Puts what was written on the disk; `commit` does so too.

        Raises:
            OSError: It cannot be written, or is no longer where it was made.
        """
        self.file.flush()
        os.fsync(self.file.fileno())
        if not self._stands():
            raise FileNotFoundError(ENOENT, f"{self.temporary.name} was removed or replaced while it was written")

    def discard(self) -> None:
        """Closes and removes the temporary file; does nothing after `commit`. Never raises OSError."""
        with self._lock:
            if self._ended:
                return
            self._ended = True
            with suppress(OSError):
                self.file.close()
            if self._stands():
                with suppress(OSError):
                    self.temporary.unlink()

    def _stands(self) -> bool:
        try:
            return os.path.samestat(self._made, self.temporary.lstat())
        except OSError:
            return False


@overload
def atomic_write(path: Path, *, mode: int | None = None, binary: Literal[True]) -> AbstractContextManager[BinaryIO]: ...
@overload
def atomic_write(
    path: Path,
    *,
    mode: int | None = None,
    binary: Literal[False] = False,
    encoding: str = "utf-8",
    newline: str = "",
) -> AbstractContextManager[TextIO]: ...
@contextmanager
def atomic_write(
    path: Path,
    *,
    mode: int | None = None,
    binary: bool = False,
    encoding: str = "utf-8",
    newline: str = "",
) -> Generator[Any, None, None]:
    """Writes a file that takes its place at the end of the block; after an exception the target is unchanged.

    Args:
        path: The target; its folder must exist. A link is replaced, not followed.
        mode: Permissions; None for those of an existing target, else its owner's alone.
        binary: Whether bytes are written; then there is neither encoding nor newline.
        encoding: Of the text that is written.
        newline: What `\\n` is written as, as in `open`; `""` for no change.

    Raises:
        OSError: The file cannot be made, written or moved.
    """
    target = AtomicFile(path, mode=mode, binary=binary, encoding=encoding, newline=newline)
    try:
        yield target.file
        target.commit()
    finally:
        target.discard()


def remove_leftovers(path: Path) -> None:
    """Removes temporary files that killed processes left beside a target; one that is still written stays."""
    if os.name != "posix":
        return
    name = re.compile(re.escape(_prefix(path)) + "[0-9a-f]{16}" + re.escape(_SUFFIX))
    with suppress(OSError):
        for other in path.absolute().parent.iterdir():
            if name.fullmatch(other.name) is None:
                continue
            with suppress(OSError):
                descriptor = os.open(other, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
                try:
                    flock(descriptor, LOCK_EX | LOCK_NB)
                    other.unlink()
                finally:
                    os.close(descriptor)


def _prefix(path: Path) -> str:
    return f"{path.name[:_NAME_KEPT]}."


def _mode_of(path: Path) -> int:
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return OWNER_ONLY
    # A link may lead anywhere.
    return mode & 0o777 if stat.S_ISREG(mode) else OWNER_ONLY


def _sync_folder(folder: Path) -> None:
    """Puts the folder's new entry on the disk, where the system can."""
    if os.name != "posix":
        return
    with suppress(OSError):
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
