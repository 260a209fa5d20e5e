"""Queries on the table of the destination's records."""

from __future__ import annotations

import sqlite3
from datetime import datetime

import msgspec

COLUMNS = "record_id, parent, kind, name, match, created, row"


class TargetRecord(msgspec.Struct, frozen=True, kw_only=True):
    """A record of the destination."""

    record_id: str
    name: str = ""
    name_scope: str = ""
    match: str = ""
    """Its value of the field rows are matched by."""
    row: str = ""
    """The list's row in JSON, where the list is all that can be read of a record."""


def keyed(connection: sqlite3.Connection, key: str, parent: str) -> list[TargetRecord]:
    """The records with that key; for use inside `Database.run`."""
    return _found(connection, "match = ? AND parent = ?", (key, parent)) if key else []


def named(connection: sqlite3.Connection, name_scope: str, name: str) -> list[TargetRecord]:
    """The records of that name in a scope; for use inside `Database.run`."""
    return _found(connection, "name = ? AND kind = ?", (name, name_scope)) if name else []


def forget(connection: sqlite3.Connection, record_id: str) -> None:
    """Takes a record out that was deleted; for use inside `Database.run`."""
    connection.execute("DELETE FROM temp.records WHERE record_id = ?", (record_id,))


def identified(connection: sqlite3.Connection, record_id: str) -> TargetRecord | None:
    """The record of that id; for use inside `Database.run`."""
    return next(iter(_found(connection, "record_id = ?", (record_id,))), None) if record_id else None


def made_at(created: str) -> datetime | None:
    """When a record was made, from what Zoho wrote of it; None when that says no moment."""
    try:
        moment = datetime.fromisoformat(created)
    except ValueError:
        return None
    return moment if moment.tzinfo is not None else None


def _found(connection: sqlite3.Connection, where: str, values: tuple[str, ...]) -> list[TargetRecord]:
    return [
        TargetRecord(record_id=record_id, name=name, name_scope=name_scope, match=match, row=row)
        for record_id, name, name_scope, match, row in connection.execute(
            f"SELECT record_id, name, kind, match, row FROM temp.records WHERE {where} LIMIT 10", values
        )
    ]
