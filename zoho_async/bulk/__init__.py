"""Many records at a time, on top of the public client: `map`, `push`, `pull`.

async for outcome in bulk.push(zoho.books.contacts, bulk.open_rows("customers.csv"), upsert_by="cf_crm_id",
                               state="customers.state.sqlite"):
    ...
await bulk.pull(zoho.books.contacts, "contacts.sqlite", details="changed")
"""

from __future__ import annotations

from .line import Event
from .mapping import Outcome, Status, map, status_of  # noqa: A004 - bulk.map is meant to be read with its prefix
from .outcomes import PushSummary, RowOutcome
from .problems import InputError, StateError, UnknownColumnError
from .pulling import PullSummary, pull
from .push_run import Push, push
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
