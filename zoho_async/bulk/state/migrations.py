"""The tables of the state file, version by version."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence

from zoho_async.bulk.errors import StateError

VERSION = 2

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
        # JSON: what an intent was written over, for the case that it is withdrawn
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
}
"""What makes the next version of each; 0 is a file with nothing in it. A new file goes through all of them, so that
it cannot differ from one that has grown."""


def prepare_schema(connection: sqlite3.Connection, where: str) -> None:
    """Brings an empty file or one of an older version to this version, in the transaction that is open."""
    (application,) = connection.execute("PRAGMA application_id").fetchone()
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if application == APPLICATION:
        if version > VERSION:
            raise StateError(f"{where}: was written by a newer zoho_async (version {version}, known {VERSION})")
    elif application or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
        raise StateError(f"{where}: is not a state file")
    else:
        version = 0
    for older in range(version, VERSION):
        for statement in MIGRATIONS[older]:
            connection.execute(statement)
    connection.execute(f"PRAGMA application_id = {APPLICATION}")
    connection.execute(f"PRAGMA user_version = {VERSION}")
