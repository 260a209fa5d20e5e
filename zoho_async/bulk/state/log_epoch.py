"""Tells a state file that has lost its write-ahead log (`-wal`) from one whose log was put into it.

Every log begins with an epoch: the database file announces it, and the first transaction of the log that follows
confirms it. Rows are written after that only. So a file that announces what it does not confirm has lost its log,
whatever log the folder has; one whose log was put into it, by us or by any other SQLite program, confirms. A process
killed between the two leaves the log that the announcement names by its salt, as SQLite's file format has it. When
another program then removes that log, nothing was lost but nothing shows it: such a file is refused too.
"""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

_HEAD = 32
"""Bytes of the header of a log."""
_FRAME_HEAD = 24
"""Bytes before each page in a log."""
_PAGE_SIZE = slice(8, 12)
"""Where the size of a page stands in the header of a log."""
_SALT = slice(16, 20)
"""Where its first salt stands, which each restart of the log increments by one."""
_MAGIC = (b"\x37\x7f\x06\x82", b"\x37\x7f\x06\x83")


def log_head(file: str) -> bytes:
    """The header of a database's log; empty when there is none, or it was cut off before its first page ends."""
    try:
        with Path(f"{file}-wal").open("rb") as log:
            head, size = log.read(_HEAD), os.fstat(log.fileno()).st_size
    except FileNotFoundError:
        return b""
    # A restarted log keeps its length, and none is announced before it has a page.
    return head if size >= _HEAD + _FRAME_HEAD + int.from_bytes(head[_PAGE_SIZE], "big") else b""


def has_lost_log(connection: sqlite3.Connection, head: bytes) -> bool:
    """Whether a database lacks the log that it announces. `head`: the header of its log."""
    announced, confirmed, salt = connection.execute("SELECT announced, confirmed, salt FROM epoch").fetchone()
    return announced != confirmed and _salt(head) not in (salt, (salt + 1) % 2**32)


def begin_epoch(connection: sqlite3.Connection, file: str) -> None:
    """Puts the log into the database and begins another one; waits for the disk.

    Nothing else may put the log of this connection into the database, and no transaction may be open.
    """
    connection.execute("UPDATE epoch SET announced = announced + 1, salt = ?", (_salt(log_head(file)),))
    connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    (level,) = connection.execute("PRAGMA synchronous").fetchone()
    # A power cut must not take the confirmation and leave the announcement.
    connection.execute("PRAGMA synchronous = FULL")
    try:
        confirm_epoch(connection)
    finally:
        connection.execute(f"PRAGMA synchronous = {level}")


def confirm_epoch(connection: sqlite3.Connection) -> None:
    """Confirms an epoch whose confirmation is missing though no log was lost; else writes nothing."""
    connection.execute("UPDATE epoch SET confirmed = announced WHERE confirmed <> announced")


def _salt(head: bytes) -> int:
    return int.from_bytes(head[_SALT], "big") if len(head) == _HEAD and head[:4] in _MAGIC else -1
