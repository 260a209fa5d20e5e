"""`zoho-async push --retry`: the rows that a run has left undone, in the file that it pushed."""

from __future__ import annotations

from pathlib import Path

import msgspec

from zoho_async.bulk.errors import InputError
from zoho_async.bulk.rows.refusal_tags import is_tag, sent_under
from zoho_async.bulk.rows.validate import RowReader
from zoho_async.bulk.source.files import RowFile, open_rows
from zoho_async.bulk.state import runs
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.journal import Journal

INSTEAD = "without --retry: what is done is skipped"


class Retried(msgspec.Struct, frozen=True, kw_only=True):
    """What a retry pushes."""

    source: RowFile
    """The whole file."""
    rows: RowFile
    """The rows of it that the run has left undone."""
    undone: dict[int, str]
    """Identities of those that no later run has done, as far as the state knows, by their numbers."""


async def retried(
    state: Path, number: int, given: RowFile | None, reader: RowReader, *, label: str, create: bool = True
) -> Retried:
    """The rows of a target that run `number` has left undone; `given` is the file of --from, if there was one.

    `create=False` changes no byte of the state. Raises InputError, in one sentence, when nobody can say which rows of
    which file those are.
    """
    _require(state, number)
    identities: dict[int, str] = {}
    undone: list[int] = []
    async with Database(state, create=create) as database:
        run = await runs.show(database, number)
        if run is None or run.target != label:
            raise InputError(f"there is no run {number} of this target in the state file; see `zoho-async runs`")
        source = _source(run, given, reader)
        journal = Journal(database, label)
        async for batch in runs.problem_batches(database, number):
            entries = await journal.entries([one.identity for one in batch])
            for one in batch:
                identities[one.number] = one.identity if is_tag(one.identity) else ""
                if one.status == "unknown":
                    identities[one.number] = sent_under(one.identity)
                entry = entries.get(one.identity)
                if entry is None or entry.state != "done":
                    undone.append(one.number)
    return Retried(
        source=source, rows=source.only(identities), undone={number: identities[number] for number in undone}
    )


def opened(path: Path, reader: RowReader) -> RowFile:
    """A file in which nothing was found wrong so far."""
    source = open_rows(path)
    reader.check(source)
    return source


def _require(state: Path, number: int) -> None:
    if not state.exists():
        raise InputError(f"there is no state file {state} that knows run {number}; name another with --state")


def _source(run: runs.Run, given: RowFile | None, reader: RowReader) -> RowFile:
    """The run's own file, if it still has the rows that the run saw."""
    path = Path(run.source)
    if given is not None and not _same(given.path, path):
        raise InputError(f"run {run.id} pushed {run.source}, not {given.path}; push {given.path} {INSTEAD}")
    if run.untried != 0:
        raise InputError(f"run {run.id} ended before every row was tried; push the file again {INSTEAD}")
    if given is None and not path.is_file():
        raise InputError(f"run {run.id} pushed {run.source}, and there is no such file; push the rows again {INSTEAD}")
    source = given or opened(path, reader)
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
