"""The sink for a file name: SQLite, JSON Lines or CSV."""

from __future__ import annotations

from pathlib import Path

from zoho_async.bulk.errors import InputError

from .csv_sink import CsvSink
from .jsonl_sink import JsonLinesSink
from .sink import Sink
from .sqlite_sink import SqliteSink


def open_sink(path: Path, name: str, *, record_id: str, origin: tuple[str, str], details: bool) -> Sink:
    """The sink that a file name asks for: `.sqlite`, `.sqlite3` or `.db`, `.jsonl` or `.ndjson`, `.csv`.

    Args:
        path: The file; nothing is opened yet.
        name: Product and resource, as `books.contacts`.
        record_id: Field that identifies a record.
        origin: API address and organisation of the records.
        details: Whether records will come in full.

    Raises:
        InputError: Another kind of file.
    """
    match path.suffix.lower():
        case ".sqlite" | ".sqlite3" | ".db":
            return SqliteSink(path, name, origin)
        case ".jsonl" | ".ndjson":
            return JsonLinesSink(path, record_id, details=details)
        case ".csv":
            return CsvSink(path, record_id, details=details)
        case other:
            raise InputError(f"{path}: cannot write `{other}` files; use .sqlite, .db, .jsonl, .ndjson or .csv")
