"""One SQLite table with typed columns; columns are added as they are met."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping, Sequence

from .typed_columns import ColumnType

SqlValue = str | int | bytes | None

_SQL: Mapping[ColumnType, str] = {
    # Money is text: SQLite's numbers would round it, and its arithmetic reads it.
    "text": "TEXT",
    "decimal": "TEXT",
    "timestamp": "TEXT",
    "date": "TEXT",
    "bool": "INTEGER",
    "bigint": "INTEGER",
    "json": "TEXT",
}

_STATEMENTS = 50
"""Statements kept for rows of different columns."""


class TypedTable:
    """A table whose first columns are given and whose others come from the specs.

    Args:
        connection: The database, in a transaction.
        name: The table's name, without characters that need quotes.
        base: Definitions of the first columns by name; the first one is the key.
        columns: The others; those that are in `base` are left out.
    """

    def __init__(
        self, connection: sqlite3.Connection, name: str, base: Mapping[str, str], columns: Mapping[str, ColumnType]
    ) -> None:
        self._connection = connection
        self.name = name
        self._statements: dict[tuple[str, ...], str] = {}
        """Those that write rows of these columns."""
        wanted = {name.lower(): f'"{name}" {kind}' for name, kind in base.items()}
        for column, kind in columns.items():
            wanted.setdefault(column.lower(), f'"{column}" {_SQL[kind]}')
        connection.execute(f'CREATE TABLE IF NOT EXISTS "{name}" ({", ".join(wanted.values())})')
        self._present = {row[1].lower() for row in connection.execute(f'PRAGMA table_info("{name}")')}
        for column, definition in wanted.items():
            self._add(column, definition)

    def _add(self, column: str, definition: str) -> None:
        if column not in self._present:
            self._connection.execute(f'ALTER TABLE "{self.name}" ADD COLUMN {definition}')
            self._present.add(column)

    def write(self, cells: Mapping[str, SqlValue]) -> None:
        """Inserts a row or changes the one of the same key; a column that is not there yet is added."""
        columns = tuple(cells)
        statement = self._statements.get(columns)
        if statement is None:
            if len(self._statements) == _STATEMENTS:
                self._statements.clear()
            statement = self._statements[columns] = self._statement(columns)
        self._connection.execute(statement, list(cells.values()))

    def _statement(self, columns: Sequence[str]) -> str:
        for column in columns:
            if column.lower() not in self._present:
                self._add(column.lower(), f'"{column}"')
        names = [f'"{column}"' for column in columns]
        changes = ", ".join(f"{one} = excluded.{one}" for one in names[1:])
        return (
            f'INSERT INTO "{self.name}" ({", ".join(names)}) VALUES ({", ".join("?" * len(names))}) '
            f"ON CONFLICT ({names[0]}) DO UPDATE SET {changes}"
        )
