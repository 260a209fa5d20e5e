"""Many records at a time, on top of the public client: `map`, `push`, `pull`.

async for outcome in bulk.push(zoho.books.contacts, bulk.open_rows("customers.csv"), upsert_by="cf_crm_id",
                               state="customers.state.sqlite"):
    ...
await bulk.pull(zoho.books.contacts, "contacts.sqlite", details="changed")
"""

from __future__ import annotations

from .concurrent_map import Outcome, map  # noqa: A004 - bulk.map is meant to be read with its prefix
from .errors import InputError, StateError, Status, UnknownColumnError, status_of
from .line import Event
from .outcomes import PushSummary, RowOutcome
from .pulling import PullSummary, pull
from .pushing import Push, push
from .readers import Row, RowFile, open_rows

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
