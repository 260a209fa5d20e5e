"""Changes as Singer messages, for targets of Singer and Meltano; see docs/sinks.md."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from zoho_async import bulk, operations

_DELETED_AT = "_sdc_deleted_at"
_STAMP = {"type": ["null", "string"], "format": "date-time"}
_TYPES: Mapping[str, Mapping[str, Any]] = {
    "text": {"type": ["null", "string"]},
    "decimal": {"type": ["null", "number"]},
    "timestamp": _STAMP,
    "date": {"type": ["null", "string"], "format": "date"},
    "bool": {"type": ["null", "boolean"]},
    "bigint": {"type": ["null", "integer"]},
    "json": {"type": ["null", "object", "array"]},
}
_json = msgspec.json.Encoder(decimal_format="number")


class SingerMessages:
    """The messages of one stream: SCHEMA first and whenever a custom field is new, RECORD, and STATE after a commit.

    Args:
        name: Product and resource; the stream of `books.contacts` is `books_contacts`.
        state: The file of the state; what STATE carries.
    """

    def __init__(self, name: str, state: Path) -> None:
        self._stream = name.replace(".", "_")
        self._state = state
        self._key = next(one.row_id for one in operations() if one.id == f"{name}.list")
        self._columns = bulk.columns(name)
        self._properties: dict[str, Mapping[str, Any]] = {one: _TYPES[kind] for one, kind in self._columns.items()}
        self._properties |= {self._key: {"type": "string"}, _DELETED_AT: _STAMP}

    def schema(self) -> str:
        """The SCHEMA message."""
        schema = {"type": "object", "properties": self._properties}
        return _line({"type": "SCHEMA", "stream": self._stream, "schema": schema, "key_properties": [self._key]})

    def record(self, change: bulk.Change) -> str:
        """The RECORD message of a change, after a SCHEMA message when it has a new custom field."""
        record: dict[str, Any] = {}
        for raw in (change.row, change.record):
            if raw is not None:
                record |= bulk.plain_values(raw, self._columns)
        new = record.keys() - self._properties.keys()
        self._properties |= dict.fromkeys(sorted(new), _TYPES["text"])
        record = {name: self._value(name, value) for name, value in record.items()}
        deleted_at = change.seen_at if change.kind == "delete" else None
        message = {
            "type": "RECORD",
            "stream": self._stream,
            "record": record | {self._key: change.id, _DELETED_AT: deleted_at},
            "time_extracted": change.seen_at,
        }
        return self.schema() * bool(new) + _line(message)

    def state(self) -> str:
        """The STATE message of what was committed last."""
        document = msgspec.Raw(self._state.read_bytes())
        return _line({"type": "STATE", "value": {"bookmarks": {self._stream: document}}})

    def _value(self, name: str, value: Any) -> Any:
        if value is not None and self._columns.get(name) == "json":
            return msgspec.Raw(value.encode())
        try:
            return value.astimezone(UTC) if isinstance(value, datetime) and value.tzinfo is not None else value
        except OverflowError:
            return value


def _line(message: Mapping[str, Any]) -> str:
    return _json.encode(message).decode().replace("\r", " ").replace("\n", " ") + "\n"
