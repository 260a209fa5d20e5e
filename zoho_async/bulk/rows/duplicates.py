"""What one run has seen of its own rows: keys and names that come twice. Kept on disk, so that memory stays flat."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence
from uuid import uuid4

from zoho_async.bulk.state.database import Database

from .refusal_tags import strip_tag


class DuplicateDetector:
    """The keys and names of one run's rows. Every object sees its own rows only.

    They stand in temporary tables of the state file's connection: nothing of them is in the file, and they are gone
    when the database is closed.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        name = uuid4().hex
        self._keys = f"temp.seen_keys_{name}"
        self._names = f"temp.seen_names_{name}"

    async def identify(
        self, keys: Sequence[tuple[str, int]], *, counted: bool, carried: Mapping[int, str] | None = None
    ) -> list[tuple[str, int]]:
        """The identities of rows, given as (key, number of the row), each with the number of the first row that has
        it: the row's own number when it is the first. In the order of the input.

        Rows of one run with the same key are told apart by `counted`: each is a row of its own, numbered; else the
        later ones are told which row was the first. `carried` are identities that counted rows had in an earlier run,
        by the rows' numbers: a row keeps its own, whatever has changed in it, so that what is known of it stays its.
        A row that was copied with its identity is a new one: only the first has it.
        """
        identities = {number: strip_tag(identity) for number, identity in (carried or {}).items()}

        def seen(connection: sqlite3.Connection, key: str, number: int) -> tuple[int, int]:
            first, times = connection.execute(
                f"INSERT INTO {self._keys} VALUES (?, ?, 1) ON CONFLICT (key) DO UPDATE SET times = times + 1 "
                "RETURNING first, times",
                (key, number),
            ).fetchone()
            return first, times

        def taken(connection: sqlite3.Connection, identity: str) -> bool:
            return connection.execute(f"SELECT 1 FROM {self._keys} WHERE key = ?", (identity,)).fetchone() is not None

        def work(connection: sqlite3.Connection) -> list[tuple[str, int]]:
            # Each time anew: a transaction that failed has taken the table with it.
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {self._keys} (key TEXT PRIMARY KEY, first INTEGER, times INTEGER) "
                "WITHOUT ROWID"
            )
            found: list[tuple[str, int]] = []
            for key, number in keys:
                identity = identities.get(number, "") if counted else key
                while counted and (not identity or taken(connection, identity)):
                    identity = f"{key}#{seen(connection, key, number)[1]}"
                first, _ = seen(connection, identity, number)
                found.append((identity, first))
            return found

        return await self._database.run(work)

    async def first(self, kind: str, names: Sequence[tuple[str, int]]) -> list[int]:
        """For rows, given as (name, number of the row): the number of the first row that had the name, in the order
        of the input. `kind` keeps names of different fields apart. Names are compared as they are given."""

        def work(connection: sqlite3.Connection) -> list[int]:
            connection.execute(
                f"CREATE TABLE IF NOT EXISTS {self._names} (kind TEXT, name TEXT, first INTEGER, "
                "PRIMARY KEY (kind, name)) WITHOUT ROWID"
            )
            return [
                connection.execute(
                    f"INSERT INTO {self._names} VALUES (?, ?, ?) ON CONFLICT (kind, name) DO UPDATE SET first = first "
                    "RETURNING first",
                    (kind, name, number),
                ).fetchone()[0]
                for name, number in names
            ]

        return await self._database.run(work)

    def holder(self, connection: sqlite3.Connection, kind: str, name: str) -> int | None:
        """The number of the first row that `first` was told to have a name; for use inside `Database.run`."""
        try:
            found = connection.execute(
                f"SELECT first FROM {self._names} WHERE kind = ? AND name = ?", (kind, name)
            ).fetchone()
        except sqlite3.OperationalError:
            # No name was ever asked for.
            return None
        return None if found is None else int(found[0])

    def has(self, connection: sqlite3.Connection, key: str) -> bool:
        """Whether `identify` was told of a row with a key; for use inside `Database.run`."""
        try:
            found = connection.execute(f"SELECT 1 FROM {self._keys} WHERE key = ?", (key,)).fetchone()
        except sqlite3.OperationalError:
            # No key was ever asked for.
            return False
        return found is not None
