"""A copy of a state file for readers that must not change it."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

from zoho_async.bulk.errors import StateError

from .log_epoch import log_head


def copy_database(path: str, to: str) -> None:
    """Copies a database that a run may be writing to, as it is at one moment.

    The writer holds SQLite's lock, so the file cannot be opened. Its pages change only by a checkpoint: a copy of the
    pages and then of the whole log is consistent, unless the log was restarted meanwhile.
    """
    for _ in range(10):
        before = log_head(path)
        shutil.copyfile(path, to)
        if before:
            # A run that has just ended has removed its log; then the heads differ too.
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{path}-wal", f"{to}-wal")
        if log_head(path) == before:
            return
        Path(f"{to}-wal").unlink(missing_ok=True)
    raise StateError(f"{path}: another run is using this state file; wait for it to end")
