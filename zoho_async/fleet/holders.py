"""Which processes of this host still run: each holds the lock of a file of its own, which the system gives back."""

from __future__ import annotations

import os
import time
import weakref
from contextlib import suppress
from pathlib import Path

_NEW = 3600.0
"""Seconds for which a file is not swept."""


class Holder:
    """This process, as long as this object lives. Also right between containers, whose process ids mean nothing."""

    __slots__ = ("__weakref__", "_close", "_descriptor", "_folder", "name", "pid")

    def __init__(self, folder: Path) -> None:
        import secrets

        self._folder = folder
        self.pid = os.getpid()
        self.name = f"{self.pid}-{secrets.token_hex(4)}"
        self._open()
        self._sweep()

    def _open(self) -> None:
        for folder in (self._folder.parent, self._folder):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._descriptor = os.open(self._folder / self.name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        self._close = weakref.finalize(self, os.close, self._descriptor)  # the lock ends with this object
        _locked(self._descriptor)

    def keep(self) -> None:
        """Make its file again, and the folders, if somebody has removed them.

        Raises:
            OSError: They cannot be made.
        """
        if not os.fstat(self._descriptor).st_nlink:
            closing = self._close
            self._open()
            closing()

    def alive(self, name: str) -> bool:
        """Whether a holder still runs; the file of one that does not is removed."""
        if name == self.name:
            return True
        path = self._folder / name
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except OSError as error:
            return not isinstance(error, FileNotFoundError)
        try:
            if not _locked(descriptor):
                return True
            path.unlink(missing_ok=True)
            return False
        finally:
            os.close(descriptor)

    def close(self) -> None:
        """End it."""
        with suppress(OSError):
            (self._folder / self.name).unlink(missing_ok=True)
        self._close()

    def _sweep(self) -> None:
        """Remove files that ended processes have left."""
        for path in self._folder.iterdir():
            with suppress(OSError):
                # A new file is not locked yet.
                if path.stat().st_mtime < time.time() - _NEW:
                    self.alive(path.name)


def _locked(descriptor: int) -> bool:
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
