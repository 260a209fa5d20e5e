"""The rows that a run has left: which rows of which file they are, and a push of them alone."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Unpack

import msgspec

from zoho_async.bulk.errors import InputError
from zoho_async.bulk.pushing.plan import check
from zoho_async.bulk.pushing.push import Push, push
from zoho_async.bulk.pushing.push_options import PushOptions, takes_push_options, with_defaults
from zoho_async.bulk.rows.rejection_tags import is_tag, sent_under
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.source.files import RowFile, open_rows
from zoho_async.bulk.state import runs
from zoho_async.bulk.state.database import Database, sqlite_text
from zoho_async.bulk.state.journal import Journal

if TYPE_CHECKING:
    from zoho_async.bulk.rows.resource import PushableResource

INSTEAD = "without --retry: what is done is skipped"


class RemainingRows(msgspec.Struct, frozen=True, kw_only=True):
    """The rows of a file that a run has left. `RejectsFile` takes it in place of the file."""

    rows: RowFile
    """Those rows alone: what to push."""
    source: RowFile
    """The whole file."""
    remaining: Mapping[int, str]
    """The rows of them that no later run has done, as far as the state knows: tags of the state by row number."""


@takes_push_options
async def remaining_rows(
    resource: Any, run: int, *, rows: RowFile | None = None, **options: Unpack[PushOptions]
) -> RemainingRows:
    """Finds the rows that a run has left: rejected, or of unknown outcome.

    The `state` is required, and only read.

    Args:
        resource: A client's resource, the one that the run pushed to.
        run: Number of the run in the state file.
        rows: The file that the run pushed; None opens it.
        **options: See `PushOptions`.

    Returns:
        The rows to push, and the file they are of.

    Raises:
        InputError: There is no `state`, it does not know the run, the run ended before every row was tried, or the file
            is not the one that it pushed, row by row.
        StateError: The state file cannot be read.
    """
    given = with_defaults(options)
    state = _existing(given["state"], run)
    label = sqlite_text(given["label"]) or Destination.of(resource).label
    tags: dict[int, str] = {}
    remaining: dict[int, str] = {}
    async with Database(state, create=False) as database:
        known = await runs.show(database, run)
        if known is None or known.target != label:
            raise InputError(f"there is no run {run} of this destination in the state file; see `zoho-async runs`")
        source = _source(known, rows)
        if source is not rows:
            check(resource, source, **options)
        journal = Journal(database, label)
        async for batch in runs.rejected_batches(database, run):
            entries = await journal.entries([one.identity for one in batch])
            for one in batch:
                # Rows are known by their keys, which stand in the file.
                tags[one.number] = _tag(one)
                entry = entries.get(one.identity)
                if entry is None or entry.state != "done":
                    remaining[one.number] = tags[one.number]
    return RemainingRows(rows=source.only(tags), source=source, remaining=remaining)


@takes_push_options
async def retry(
    resource: PushableResource, run: int, *, rows: RowFile | None = None, **options: Unpack[PushOptions]
) -> Push:
    """Pushes the rows that a run has left: `async with await bulk.retry(zoho.books.contacts, 3, state=...) as run`.

    The `state` is required. With a rejects file, use `remaining_rows` and `push` instead.

    Args:
        resource: A client's resource, the one that the run pushed to.
        run: Number of the run in the state file.
        rows: The file that the run pushed; None opens it.
        **options: See `PushOptions`.

    Returns:
        The push of those rows.

    Raises:
        InputError: As `remaining_rows`.
        StateError: The state file cannot be read.
    """
    return push(resource, (await remaining_rows(resource, run, rows=rows, **options)).rows, **options)


def _tag(row: runs.RejectedRow) -> str:
    """What the state knows a remaining row by, beside its key."""
    if row.status == "unknown":
        return sent_under(row.identity)
    return row.identity if is_tag(row.identity) else ""


def _existing(state: str | Path | None, run: int) -> Path:
    if state is None:
        raise InputError(f"name the state file that knows run {run}")
    if not Path(state).exists():
        raise InputError(f"there is no state file {state} that knows run {run}; name another with --state")
    return Path(state)


def _source(run: runs.Run, given: RowFile | None) -> RowFile:
    """The run's own file, if it still has the rows that the run read."""
    path = Path(run.source)
    if given is not None and not _same(given.path, path):
        raise InputError(f"run {run.id} pushed {run.source}, not {given.path}; push {given.path} {INSTEAD}")
    if run.untried != 0:
        raise InputError(f"run {run.id} ended before every row was tried; push the file again {INSTEAD}")
    if given is None and not path.is_file():
        raise InputError(f"run {run.id} pushed {run.source}, and there is no such file; push the rows again {INSTEAD}")
    source = given or open_rows(path)
    before = run.input_rows or 0
    if source.total != before:
        raise InputError(
            f"{source.path} has {source.total:,} rows and had {before:,} in run {run.id}: rows were added or removed "
            f"since; push it {INSTEAD}"
        )
    return source


def _same(one: Path, other: Path) -> bool:
    try:
        return one.samefile(other)
    except OSError:
        return one.absolute() == other.absolute()
