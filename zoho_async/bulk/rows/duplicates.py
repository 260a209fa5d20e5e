"""Keys and names that come twice among the rows of one run. Kept on disk, so that memory stays flat."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Final
from uuid import uuid4

from zoho_async.bulk.state.database import Database

KEYS: Final = "="
"""The kind of row keys; other kinds are scopes of names."""


class DuplicateDetector:
    """The keys and names of one run's rows. Every object sees its own rows only.

    They stand in a temporary table of the state file's connection: nothing of them is in the file, and it is dropped
    when the database is closed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._table = f"temp.seen_{uuid4().hex}"

    async def first(self, kind: str, values: Sequence[tuple[str, int]]) -> list[int]:
        """For rows, given as (value, number of the row): the number of the first row that had the value.

        In the order of the input. `kind` keeps values of different fields apart; they are compared as given.
        """

        def work(connection: sqlite3.Connection) -> list[int]:
            # Each time: a transaction that fails takes the table with it.
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {self._table} (kind TEXT, value TEXT, first INTEGER, "
                "PRIMARY KEY (kind, value)) WITHOUT ROWID"
            )
            rows = [(kind, value, number) for value, number in values]
            insert = f"INSERT INTO {self._table} VALUES (?, ?, ?) ON CONFLICT (kind, value) DO NOTHING"
            if connection.executemany(insert, rows).rowcount == len(rows):
                return [number for _, number in values]
            select = f"SELECT first FROM {self._table} WHERE kind = ? AND value = ?"
            return [connection.execute(select, (kind, value)).fetchone()[0] for value, _ in values]

        return await self._database.run(work)

    def holder(self, connection: sqlite3.Connection, kind: str, value: str) -> int | None:
        """The number of the first row with a value, None when no row has it; for use inside `Database.run`."""
        try:
            found = connection.execute(
                f"SELECT first FROM {self._table} WHERE kind = ? AND value = ?", (kind, value)
            ).fetchone()
        except sqlite3.OperationalError:
            # No table before the first row.
            return None
        return None if found is None else int(found[0])
