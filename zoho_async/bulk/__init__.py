"""Many records at a time, on top of the public client: `map`, `push`, `pull`.

    async for outcome in bulk.push(zoho.books.contacts, bulk.open_rows("customers.csv"), upsert_by="cf_crm_id",
                                   state="customers.state.sqlite"):
        ...
    await bulk.pull(zoho.books.contacts, "contacts.sqlite", details="changed")

Rules: docs/push.md and docs/pull.md.
"""

from __future__ import annotations

from zoho_async._atomic_file import atomic_write
from zoho_async.bulk.concurrent_map import (
    Outcome,
    map,  # noqa: A004 - our own map, named like the builtin
)
from zoho_async.bulk.errors import InputError, StateError, Status, UnknownColumnError, status_of
from zoho_async.bulk.pulling.change import Change, OwnWrites
from zoho_async.bulk.pulling.changes import Changes, ChangesSummary, changes
from zoho_async.bulk.pulling.pull import PullSummary, pull
from zoho_async.bulk.pulling.pull_plan import plan_pull
from zoho_async.bulk.pulling.state_document import PullState
from zoho_async.bulk.pulling.typed_columns import columns, plain_values
from zoho_async.bulk.pushing.events import Event
from zoho_async.bulk.pushing.plan import Plan, PlannedRow, RowDecision, check, plan
from zoho_async.bulk.pushing.plan_forecast import PlanForecast, forecast_of
from zoho_async.bulk.pushing.push import Push, push
from zoho_async.bulk.pushing.push_options import PUSH_OPTIONS, OptionSpec, PushOptions
from zoho_async.bulk.recovery.decisions import DecisionsFile
from zoho_async.bulk.recovery.rejects import RejectsFile
from zoho_async.bulk.recovery.reports import (
    RunReport,
    before_images,
    default_state,
    ids,
    rejected_rows,
    runs,
    save_before_images,
    save_ids,
    state_files,
)
from zoho_async.bulk.recovery.retry import RemainingRows, remaining_rows, retry
from zoho_async.bulk.rows.drafts import ColumnInfo, draft_mapping, push_columns
from zoho_async.bulk.rows.review import PlanColumn
from zoho_async.bulk.rows.warnings import RowWarning
from zoho_async.bulk.scheduling.pull_cost import PullCost
from zoho_async.bulk.source.files import Row, RowFile, open_rows
from zoho_async.bulk.source.mapping import FileMapping, preset_text, presets, read_mapping

from .results import PushSummary, RowOutcome

__all__ = [
    "PUSH_OPTIONS",
    "Change",
    "Changes",
    "ChangesSummary",
    "ColumnInfo",
    "DecisionsFile",
    "Event",
    "FileMapping",
    "InputError",
    "OptionSpec",
    "Outcome",
    "OwnWrites",
    "Plan",
    "PlanColumn",
    "PlanForecast",
    "PlannedRow",
    "PullCost",
    "PullState",
    "PullSummary",
    "Push",
    "PushOptions",
    "PushSummary",
    "RejectsFile",
    "RemainingRows",
    "Row",
    "RowDecision",
    "RowFile",
    "RowOutcome",
    "RowWarning",
    "RunReport",
    "StateError",
    "Status",
    "UnknownColumnError",
    "atomic_write",
    "before_images",
    "changes",
    "check",
    "columns",
    "default_state",
    "draft_mapping",
    "forecast_of",
    "ids",
    "map",
    "open_rows",
    "plain_values",
    "plan",
    "plan_pull",
    "preset_text",
    "presets",
    "pull",
    "push",
    "push_columns",
    "read_mapping",
    "rejected_rows",
    "remaining_rows",
    "retry",
    "runs",
    "save_before_images",
    "save_ids",
    "state_files",
    "status_of",
]
