"""What was in the file against what came back, field by field. Knows nothing of how rows are pushed."""

from __future__ import annotations

import json
import re
import sqlite3
from decimal import Decimal
from pathlib import Path
from typing import Any

from .contacts import Row

TRUE = {"true", "yes", "1"}
MONEY = {"credit_limit", "payment_terms"}


def pulled(path: Path) -> dict[str, list[dict[str, Any]]]:
    """Full records of a pulled SQLite file by their external id."""
    found: dict[str, list[dict[str, Any]]] = {}
    connection = sqlite3.connect(path)
    try:
        for (detail,) in connection.execute("SELECT detail FROM contacts"):
            record = json.loads(detail, parse_float=Decimal)
            found.setdefault(str(custom(record, "cf_external_id")), []).append(record)
    finally:
        connection.close()
    return found


def differences(rows: list[Row], good: set[int], records: dict[str, list[dict[str, Any]]]) -> tuple[int, list[str]]:
    """How many fields were compared, and all differences in words. `good`: numbers of the rows that should be there."""
    wrong: list[str] = []
    compared = 0
    expected: set[str] = set()
    for number, row in enumerate(rows, 1):
        if number not in good:
            continue
        key = row["cf_external_id"]
        expected.add(key)
        found = records.get(key, [])
        if len(found) != 1:
            wrong.append(f"row {number}: {len(found)} contacts have the key {key}")
            continue
        for column, cell in row.items():
            if not cell:
                continue
            compared += 1
            value = lookup(found[0], column)
            if not same(column, cell, value):
                wrong.append(f"row {number}: {column}: {cell!r} became {value!r}")
    wrong += [f"a contact with the key {key} is there that no good row has" for key in records.keys() - expected]
    return compared, wrong


def lookup(record: dict[str, Any], column: str) -> Any:
    """The value of a column in a record as Zoho answers it."""
    if column.startswith("cf_"):
        return custom(record, column)
    value: Any = record
    for name, place in re.findall(r"([^.\[\]]+)(?:\[(\d+)\])?", column):
        value = value.get(name) if isinstance(value, dict) else None
        if place:
            value = value[int(place)] if isinstance(value, list) and int(place) < len(value) else None
    return value


def custom(record: dict[str, Any], name: str) -> Any:
    """A custom field's value."""
    return next((one.get("value") for one in record.get("custom_fields", ()) if one.get("api_name") == name), None)


def same(column: str, cell: str, value: Any) -> bool:
    """Whether a cell and an answered value mean the same."""
    if column in MONEY:
        return isinstance(value, int | Decimal) and Decimal(cell) == value
    if column.endswith("is_primary_contact"):
        return value is (cell.lower() in TRUE)
    return bool(value == cell)
