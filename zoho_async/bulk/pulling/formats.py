"""Where pulled records go: SQLite, JSON Lines or CSV. A sink takes records as raw JSON and keeps every digit."""

from __future__ import annotations

from pathlib import Path

from zoho_async.bulk.errors import InputError

from .csv_sink import CsvSink
from .jsonl_sink import LinesSink
from .sink import Sink
from .sqlite_sink import SqliteSink


def open_sink(path: Path, name: str, *, origin: tuple[str, str], details: bool) -> Sink:
    """The sink for a file name: `.sqlite` or `.db`, `.jsonl` or `.ndjson`, `.csv`. InputError for any other.

    `name` is product and resource, `origin` place and organisation, `details` whether records will come in full.
    """
    match path.suffix.lower():
        case ".sqlite" | ".sqlite3" | ".db":
            return SqliteSink(path, name, origin)
        case ".jsonl" | ".ndjson":
            return LinesSink(path, details=details)
        case ".csv":
            return CsvSink(path, details=details)
        case other:
            raise InputError(f"{path}: cannot write `{other}` files; use .sqlite, .db, .jsonl, .ndjson or .csv")
