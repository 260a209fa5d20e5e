"""Many records at a time, on top of the public client: `map`, `push`, `pull`.

async for outcome in bulk.push(zoho.books.contacts, bulk.open_rows("customers.csv"), upsert_by="cf_crm_id",
                               state="customers.state.sqlite"):
    ...
await bulk.pull(zoho.books.contacts, "contacts.sqlite", details="changed")
"""

from __future__ import annotations

from zoho_async.bulk.concurrent_map import (
    Outcome,
    map,  # noqa: A004 - our own map, named like the builtin
)
from zoho_async.bulk.errors import InputError, StateError, Status, UnknownColumnError, status_of
from zoho_async.bulk.pulling.pull import PullSummary, pull
from zoho_async.bulk.pushing.events import Event
from zoho_async.bulk.pushing.push import Push, push
from zoho_async.bulk.source.files import Row, RowFile, open_rows

from .results import PushSummary, RowOutcome

__all__ = [
    "Event",
    "InputError",
    "Outcome",
    "PullSummary",
    "Push",
    "PushSummary",
    "Row",
    "RowFile",
    "RowOutcome",
    "StateError",
    "Status",
    "UnknownColumnError",
    "map",
    "open_rows",
    "pull",
    "push",
    "status_of",
]
