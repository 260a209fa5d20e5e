"""What a file name asks for: SQLite, JSON Lines or CSV."""

from __future__ import annotations

from pathlib import Path

from zoho_async.bulk.errors import InputError

from .csv_sink import CsvSink
from .jsonl_sink import JsonLinesSink
from .sink import Sink


def is_sqlite(path: Path) -> bool:
    """Whether the name is that of an SQLite file: `.sqlite`, `.sqlite3` or `.db`."""
    return path.suffix.lower() in (".sqlite", ".sqlite3", ".db")


def open_sink(path: Path, *, record_id: str, details: bool) -> Sink:
    """The sink that any other file name asks for: `.jsonl` or `.ndjson`, `.csv`.

    Args:
        path: The file; nothing is opened yet.
        record_id: Field that identifies a record.
        details: Whether records will come in full.

    Raises:
        InputError: Another kind of file.
    """
    match path.suffix.lower():
        case ".jsonl" | ".ndjson":
            return JsonLinesSink(path, record_id, details=details)
        case ".csv":
            return CsvSink(path, record_id, details=details)
        case other:
            raise InputError(f"{path}: cannot write `{other}` files; use .sqlite, .db, .jsonl, .ndjson or .csv")
