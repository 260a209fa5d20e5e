"""One pull at a time writes a file."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from zoho_async._atomic_file import OWNER_ONLY
from zoho_async.bulk.errors import InputError

if os.name == "posix":
    from fcntl import LOCK_EX, LOCK_NB, flock

_FLAGS = os.O_RDWR | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)


class TargetLock:
    """A lock file beside a target, held from `take` to `release`; the system frees that of a killed process.

    Without effect where the system has no such locks.

    Args:
        path: The target, which need not exist.
        in_use: The message while another holds it.
        error: The exception that is raised.
    """

    def __init__(
        self,
        path: Path,
        *,
        in_use: str = "another pull is writing this file; wait for it to end, or name another",
        error: Callable[[str], Exception] = InputError,
    ) -> None:
        self._path = path
        self._in_use = in_use
        self._error = error
        self._file = _lock_file(path)
        self._descriptor: int | None = None

    def take(self) -> None:
        """Takes the lock.

        Raises:
            Exception: `error`: another holds it, or the file's folder cannot be written.
        """
        if os.name != "posix":
            return
        try:
            while self._descriptor is None:
                self._descriptor = _locked(self._file)
        except BlockingIOError:
            raise self._error(f"{self._path}: {self._in_use}") from None
        except OSError as error:
            raise self._error(f"{self._path}: cannot be written: {error.strerror or error}") from None

    def release(self) -> None:
        """Releases the lock, if it is held, and removes its file."""
        if self._descriptor is None:
            return
        # While it is still held: another one's file must not be removed.
        with suppress(OSError):
            self._file.unlink()
        os.close(self._descriptor)
        self._descriptor = None


def _lock_file(path: Path) -> Path:
    """Beside the file that a link leads to, for two names may mean one file."""
    target = Path(os.path.realpath(path))
    return target.with_name(f".{target.name[:200]}.lock")


def _locked(file: Path) -> int | None:
    """The descriptor of the locked file; None when its last owner has just removed it."""
    descriptor = os.open(file, _FLAGS, OWNER_ONLY)
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
        if os.path.samestat(os.fstat(descriptor), os.stat(file, follow_symlinks=False)):  # noqa: PTH116
            return descriptor
    except FileNotFoundError:
        pass
    except BaseException:
        os.close(descriptor)
        raise
    os.close(descriptor)
    return None
