"""What a pull would cost, found out in three calls at most and without a change to its file."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any, Literal, get_args

from zoho_async.bulk.errors import InputError
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.scheduling.pull_cost import PER_PAGE, PullCost, PullNeeds, pull_cost

from .change_reader import SWEEP_AFTER_S, Deletes
from .changes import check_options, check_pullable
from .deletions import MAX_DELETED
from .id_index import content_hash
from .listing import NEWEST_CHANGE_FIRST, CallBudget, ListReader
from .sqlite_copy import CopyOverview, SqliteCopy, is_sqlite

Details = Literal["none", "changed", "all"]

JSON_LINES = (".jsonl", ".ndjson")
CSV = (".csv",)


async def plan_pull(
    resource: Any,
    to: str | Path,
    *,
    details: Details = "none",
    full: bool = False,
    max_calls: int | None = None,
    deletes: Deletes = "auto",
) -> PullCost:
    """Finds out how many calls a pull needs, in at most three; nothing is written.

    Args:
        resource: As in `pull`.
        to: As in `pull`; it need not exist.
        details: As in `pull`.
        full: As in `pull`.
        max_calls: As in `pull`.
        deletes: As in `pull`.

    Returns:
        The calls now, and of later pulls when nothing has changed.

    Raises:
        InputError: What `pull` would refuse.
        ZohoError: What the client's calls raise.
    """
    target, path = Destination.of(resource), Path(to)
    check_pull(target, path, details, max_calls=max_calls, deletes=deletes)
    budget, of_the_pull = CallBudget(), CallBudget(max_calls)
    of_the_pull.check_enough(several_pages=False, details=details != "none")
    reader = ListReader(target, budget)
    page = await reader.page(1, NEWEST_CHANGE_FIRST if reader.is_sorted else {})
    of_the_pull.check_enough(several_pages=page.goes_on and (details != "none" or deletes != "off"))
    records = await reader.count() if page.goes_on else page.size
    deletes = "now" if full else deletes
    if not is_sqlite(path):
        needs = needs_of(target, None, records, details, deletes, keeps_state=False)
        return pull_cost(needs, reads=budget.used)
    with SqliteCopy(path, target).overview() as found:
        changed: int | None = None
        if found is not None:
            hashes = found.index.hashes([record.id for record in page.records])
            unknown = [one for one in page.records if hashes.get(one.id) != content_hash(one.raw)]
            # A page of changes alone does not show where they end; nor does an unsorted one.
            is_whole = reader.is_sorted and len(unknown) < len(page.records)
            changed = len(unknown) if is_whole or not page.goes_on else None
        needs = needs_of(target, found, records, details, deletes, keeps_state=True, changed=changed)
    return pull_cost(needs, max_calls=max_calls, reads=budget.used)


def check_pull(
    target: Destination,
    path: Path,
    details: Details,
    *,
    max_calls: int | None,
    deletes: Deletes,
    max_deleted: float = MAX_DELETED,
) -> None:
    """Raises InputError when a pull with these options is not possible."""
    check_pullable(target, details=details != "none")
    check_options(details, get_args(Details), max_calls=max_calls, deletes=deletes, max_deleted=max_deleted)
    if not is_sqlite(path) and path.suffix.lower() not in (*JSON_LINES, *CSV):
        raise InputError(f"{path}: cannot write `{path.suffix}` files; use .sqlite, .db, .jsonl, .ndjson or .csv")
    if path.is_dir():
        raise InputError(f"{path}: cannot be written: it is a folder")
    if path.exists() and not path.is_file():
        # Opening a named pipe would wait for a reader.
        raise InputError(f"{path}: cannot be written: it is no file")
    if not path.parent.is_dir():
        raise InputError(f"{path}: cannot be written: there is no folder {path.parent}")
    if not is_sqlite(path) and (details == "changed" or max_calls is not None):
        raise InputError(
            f"{path}: only SQLite remembers what has changed; use --details all without --max-calls, or a .sqlite file"
        )


def needs_of(
    target: Destination,
    found: CopyOverview | None,
    records: int | None,
    details: Details,
    deletes: Deletes,
    *,
    keeps_state: bool,
    changed: int | None = None,
) -> PullNeeds:
    """What a pull needs.

    Args:
        target: What is pulled.
        found: What the file has; None without a copy.
        records: The size of the list, where it is known.
        details: As in `pull`.
        deletes: As in `pull`.
        keeps_state: Whether the file is SQLite.
        changed: Records that have changed, where it is known.
    """
    is_sorted = ListReader(target, CallBudget()).is_sorted
    if found is None or not found.is_copy:
        each = (records or 0) if details != "none" else 0
        return PullNeeds(
            records=records, is_sorted=is_sorted, keeps_state=keeps_state, details=each, sweeps=deletes != "off"
        )
    document = found.document
    reading = document.reading
    # A reading whose last page is still looked for may have all pages before it.
    is_begun = reading is not None and reading.kind == "whole" and reading.beyond is None
    pages_left = reading.page if reading is not None and is_begun and is_sorted else None
    each = 0
    if details != "none":
        each = max(found.pending, found.without_details) if details == "changed" else found.pending or found.known
        each += (pages_left or 0) * PER_PAGE
    surplus = records is not None and found.known - document.uncounted > records
    due = deletes == "auto" and (surplus or abs(time.time() - document.swept_at) >= SWEEP_AFTER_S)
    return PullNeeds(
        records=records if records is not None else found.known,
        is_sorted=is_sorted,
        keeps_state=keeps_state,
        is_copy=pages_left is None,
        pages_left=pages_left,
        details=each,
        changed=changed,
        each_changed=details != "none",
        looks_for_deletes=deletes == "now" or due,
        sweeps=deletes != "off",
    )
