"""What the pushes of a state file have written, for a copy that leaves its own changes out."""

from __future__ import annotations

import sqlite3
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from zoho_async.bulk.errors import InputError, StateError

from .migrations import APPLICATION, VERSION
from .snapshot import copy_database

_MODIFIED = """
    SELECT modified FROM journal WHERE target IN (SELECT DISTINCT target FROM runs) AND record_id = ? AND modified <> ''
"""


class PushedWrites:
    """The records of a state file, each with its last modification time as Zoho answered our write.

    A copy of the file is read, as it is when this is opened: a push may go on writing.

    Args:
        path: The state file of pushes.
    """

    def __init__(self, path: str | Path) -> None:
        self._path = Path(path)
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._connection: sqlite3.Connection | None = None

    def open(self) -> None:
        """Opens it.

        Raises:
            InputError: There is no such file.
            StateError: It cannot be read, is no state file, or is of another version.
        """
        if not self._path.exists():
            raise InputError(f"{self._path}: there is no such state file")
        self._folder = tempfile.TemporaryDirectory(prefix="zoho-state-")
        try:
            copy = str(Path(self._folder.name) / "copy")
            copy_database(str(self._path.resolve()), copy)
            self._connection = sqlite3.connect(copy, check_same_thread=False)
            (application,) = self._connection.execute("PRAGMA application_id").fetchone()
            (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        except (OSError, sqlite3.Error) as error:
            self.close()
            raise StateError(f"{self._path}: the state file cannot be read: {error}") from None
        if (application, version) != (APPLICATION, VERSION):
            self.close()
            raise StateError(f"{self._path}: is not a state file of pushes of this version")

    def wrote(self, record_id: str, modified: str) -> bool:
        """Tells whether the last change of a record is ours.

        Args:
            record_id: Zoho's id.
            modified: The time of that change, as Zoho wrote it; in whole seconds, so that a change by others within
                the second of ours is taken for ours.
        """
        assert self._connection is not None
        moment = moment_of(modified)
        found = self._connection.execute(_MODIFIED, (record_id,)).fetchall()
        return moment is not None and any(moment_of(ours) == moment for (ours,) in found)

    def close(self) -> None:
        """Closes it."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        if self._folder is not None:
            self._folder.cleanup()
            self._folder = None


def moment_of(text: str) -> datetime | None:
    """A time as Zoho writes it, in UTC; None where it cannot be compared, such as one without an offset."""
    try:
        moment = datetime.fromisoformat(text)
        return moment.astimezone(UTC) if moment.tzinfo is not None else None
    except (ValueError, OverflowError):
        return None
