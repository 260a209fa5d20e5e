"""SQLite files that are ours: known by SQLite's application id, their format by its user version."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Callable, Sequence
from contextlib import suppress

import msgspec

from zoho_async._atomic_file import OWNER_ONLY

MEMORY = ":memory:"
"""SQLite's name for a database that is in no file."""


class FileKind(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of file of ours, with the parts of its messages."""

    application_id: int
    version: int
    """Of its format; a file of a newer one is refused."""
    subject: str
    """`the state file`."""
    wrong_kind: str
    """Message about a file of another kind: `is not a state file`."""
    in_use: str
    """Message while another process uses it; empty for SQLite's own."""
    error: Callable[[str], Exception]
    """The exception that is raised for all of these."""


def open_owned(
    file: str,
    kind: FileKind,
    prepare: Callable[[sqlite3.Connection, int], None],
    *,
    where: str | None = None,
    exclusive: bool = False,
    timeout: float = 0,
    pragmas: Sequence[str] = (),
) -> sqlite3.Connection:
    """Opens a file of ours, or makes one of an empty file; its format is brought to the kind's version.

    It is made for its owner alone, and gets a write-ahead log. A file that is not ours stays as it is.

    Args:
        file: Path of the file, or `MEMORY`.
        kind: What it must be.
        prepare: Is given the connection and the version of the file's format (0: a new file); what it does is one
            transaction with the change of the version.
        where: How messages call the file; by default its path.
        exclusive: Keep SQLite's lock until the file is closed.
        timeout: Seconds to wait while another process holds SQLite's lock.
        pragmas: More settings, such as `synchronous = NORMAL`.

    Raises:
        Exception: `kind.error`, with a message, when the file cannot be opened or used, or is not of that kind.
    """
    where = where or file
    try:
        if file != MEMORY:
            _create(file)
        connection = sqlite3.connect(file, isolation_level=None, timeout=timeout, check_same_thread=False)
    except (OSError, ValueError, sqlite3.Error) as error:
        reason = (isinstance(error, OSError) and error.strerror) or error
        raise kind.error(f"{where}: {kind.subject} cannot be opened: {reason}") from None
    try:
        if exclusive:
            # The first write takes SQLite's own lock and keeps it: the system releases it however the process ends.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
        connection.execute(f"BEGIN {'EXCLUSIVE' if exclusive else 'IMMEDIATE'}")
        prepare(connection, _version(connection, kind, where))
        connection.execute(f"PRAGMA application_id = {kind.application_id}")
        connection.execute(f"PRAGMA user_version = {kind.version}")
        connection.execute("COMMIT")
        for pragma in ("journal_mode = WAL", *pragmas):
            connection.execute(f"PRAGMA {pragma}")
        if exclusive:
            # A write: the switch to WAL released the lock for a moment.
            connection.execute(f"PRAGMA user_version = {kind.version}")
    except sqlite3.OperationalError as error:
        connection.close()
        if kind.in_use and ("locked" in str(error) or "busy" in str(error)):
            raise kind.error(f"{where}: {kind.in_use}") from None
        raise kind.error(f"{where}: {kind.subject} cannot be used: {error}") from None
    except sqlite3.DatabaseError:
        connection.close()
        raise kind.error(f"{where}: {kind.wrong_kind}") from None
    except BaseException:
        connection.close()
        raise
    return connection


def _create(file: str) -> None:
    # Not opened if it exists: closing it would release the locks that this process has on it.
    with suppress(FileExistsError):
        os.close(os.open(file, os.O_RDWR | os.O_CREAT | os.O_EXCL, OWNER_ONLY))


def _version(connection: sqlite3.Connection, kind: FileKind, where: str) -> int:
    """The version of a file of ours; 0 of an empty one."""
    (application_id,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application_id == kind.application_id:
        if version > kind.version:
            raise kind.error(f"{where}: was written by a newer zoho_async (version {version}, known {kind.version})")
        return int(version)
    if application_id or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise kind.error(f"{where}: {kind.wrong_kind}")
    return 0
