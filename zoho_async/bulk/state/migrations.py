"""The tables of the state file, version by version."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from contextlib import closing

VERSION = 3

APPLICATION = 0x5A6F4A31
"""SQLite's application id, by which we know our own files ("ZoJ1")."""

MIGRATIONS: dict[int, Sequence[str]] = {
    0: (
        """
        CREATE TABLE IF NOT EXISTS journal (
            target TEXT NOT NULL,      -- organisation and resource
            identity TEXT NOT NULL,    -- the row's key; before keys: digest of its body and number of its occurrence
            digest TEXT NOT NULL,      -- of the body that was sent last
            state TEXT NOT NULL CHECK (state IN ('intent', 'done', 'failed', 'unknown')),
            record_id TEXT NOT NULL DEFAULT '',
            code TEXT NOT NULL DEFAULT '',
            message TEXT NOT NULL DEFAULT '',
            intended_at TEXT NOT NULL, -- UTC
            settled_at TEXT NOT NULL DEFAULT '',
            PRIMARY KEY (target, identity)
        ) WITHOUT ROWID
        """,
        "CREATE INDEX IF NOT EXISTS journal_record ON journal (target, record_id) WHERE record_id <> ''",
        "CREATE TABLE IF NOT EXISTS files (digest TEXT PRIMARY KEY) WITHOUT ROWID",
    ),
    1: (
        # one of create, upsert, update, or empty: not known
        "ALTER TABLE journal ADD COLUMN operation TEXT NOT NULL DEFAULT ''",
        # the row's key or name, for people
        "ALTER TABLE journal ADD COLUMN label TEXT NOT NULL DEFAULT ''",
        # the record's last_modified_time as Zoho wrote it
        "ALTER TABLE journal ADD COLUMN modified TEXT NOT NULL DEFAULT ''",
        # JSON: [[part, key, id], ...], persons and addresses of the record
        "ALTER TABLE journal ADD COLUMN parts TEXT NOT NULL DEFAULT ''",
        # the run that wrote the row last
        "ALTER TABLE journal ADD COLUMN run INTEGER NOT NULL DEFAULT 0",
        # JSON: what an intent was written over, for the case that it is rolled back
        "ALTER TABLE journal ADD COLUMN prior TEXT NOT NULL DEFAULT ''",
        """
        CREATE TABLE images (
            id INTEGER PRIMARY KEY,
            target TEXT NOT NULL,
            run INTEGER NOT NULL,
            identity TEXT NOT NULL,
            record_id TEXT NOT NULL,
            taken_at TEXT NOT NULL,    -- UTC
            image BLOB NOT NULL        -- the record's JSON before it was overwritten
        )
        """,
        """
        CREATE TABLE runs (
            id INTEGER PRIMARY KEY,
            target TEXT NOT NULL,
            source TEXT NOT NULL,
            options TEXT NOT NULL,     -- JSON
            started_at TEXT NOT NULL,  -- UTC
            ended_at TEXT NOT NULL DEFAULT '',
            state TEXT NOT NULL CHECK (state IN ('running', 'complete', 'stopped', 'failed')),
            summary TEXT NOT NULL DEFAULT '{}', -- JSON
            error TEXT NOT NULL DEFAULT ''
        )
        """,
        """
        CREATE TABLE problems (
            run INTEGER NOT NULL,
            number INTEGER NOT NULL,   -- of the row in the input
            line INTEGER NOT NULL,
            identity TEXT NOT NULL,
            digest TEXT NOT NULL,      -- of the row as it stood in the input
            status TEXT NOT NULL,
            code TEXT NOT NULL,
            field TEXT NOT NULL,
            reason TEXT NOT NULL,
            hint TEXT NOT NULL,
            PRIMARY KEY (run, number)
        ) WITHOUT ROWID
        """,
    ),
    2: (
        """
        CREATE TABLE epoch (           -- one row: see `log_epoch`
            announced INTEGER NOT NULL,
            confirmed INTEGER NOT NULL,
            salt INTEGER NOT NULL      -- of the log that the announcement was written to
        )
        """,
        "INSERT INTO epoch VALUES (0, 0, 0)",
    ),
}
"""What makes the next version of each; 0 is a file with nothing in it. A new file goes through all of them, so that
it cannot differ from one that has grown."""


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Brings a file of `version` (0: an empty one) to this version, in the transaction that is open."""
    for older in range(version, VERSION):
        for statement in MIGRATIONS[older]:
            connection.execute(statement)


def new_database() -> bytes:
    """The file of a database of this version with nothing in it."""
    with closing(sqlite3.connect(":memory:", isolation_level=None)) as connection:
        migrate(connection, 0)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")
        return connection.serialize()
