"""What state files know: runs, rejected rows, records as they were before, and which row became which record."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Generator, Iterable
from contextlib import aclosing, contextmanager
from pathlib import Path
from typing import Any, TextIO

import msgspec

from zoho_async._atomic_file import atomic_write
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.source.csv_file import write_row
from zoho_async.bulk.state import runs as stored
from zoho_async.bulk.state.database import Database
from zoho_async.bulk.state.runs import BeforeImage, RejectedRow, Run, StoredId

ID_COLUMNS = ("source_key", "target", "part", "part_key", "zoho_id")


class RunReport(Run, frozen=True, kw_only=True):
    """One run of a push, with how many rows remain of it."""

    rejected: int
    """Rows that were rejected or are of unknown outcome."""


def default_state(resource: Any, folder: str | Path = "") -> Path:
    """The default state file of an organisation and resource, so that a later push continues with it.

    Args:
        resource: A client's resource.
        folder: Where it lies, usually beside the input; empty: the working folder.
    """
    destination = Destination.of(resource)
    organization = destination.origin[1]
    return Path(folder) / f"zoho-{organization}-{destination.name.replace('.', '-')}.state.sqlite"


def state_files(folder: str | Path = "") -> list[Path]:
    """The state files of a folder that have their default names, sorted.

    Args:
        folder: Empty: the working folder.
    """
    return sorted(Path(folder).glob("zoho-*.state.sqlite"))


async def runs(state: str | Path) -> list[RunReport]:
    """Lists the runs of a state file, newest first. The file is only read, also while a run uses it.

    Args:
        state: The state file.

    Raises:
        InputError: There is no such file.
        StateError: It cannot be read, or is no state file.
    """

    def work(connection: sqlite3.Connection) -> dict[int, int]:
        return dict(connection.execute("SELECT run, COUNT(*) FROM problems GROUP BY run").fetchall())

    async with _opened(state) as database:
        rejected = await database.run(work)
        found = await stored.runs(database)
        return [RunReport(**msgspec.structs.asdict(run), rejected=rejected.get(run.id, 0)) for run in found]


async def rejected_rows(state: str | Path, run: int) -> AsyncGenerator[RejectedRow, None]:
    """The rows that remain of a run, in the order of the input: rejected, or of unknown outcome.

    Args:
        state: The state file.
        run: Number of the run in it.

    Raises:
        InputError: There is no such file.
        StateError: It cannot be read, or is no state file.
    """
    async with _opened(state) as database, aclosing(stored.rejected_rows(database, run)) as rows:
        async for row in rows:
            yield row


async def before_images(state: str | Path, run: int) -> AsyncGenerator[BeforeImage, None]:
    """Records as they were before a run changed them, or was about to, in that order.

    Args:
        state: The state file.
        run: Number of the run in it.

    Raises:
        InputError: There is no such file.
        StateError: It cannot be read, or is no state file.
    """
    async with _opened(state) as database, aclosing(stored.before_images(database, run)) as images:
        async for image in images:
            yield image


async def ids(state: str | Path) -> AsyncGenerator[StoredId, None]:
    """Which row has become which record, one for the record and one for each of its persons and addresses.

    Args:
        state: The state file.

    Raises:
        InputError: There is no such file.
        StateError: It cannot be read, or is no state file.
    """
    async with _opened(state) as database, aclosing(stored.stored_ids(database, None)) as found:
        async for one in found:
            yield one


async def save_before_images(state: str | Path, run: int, to: str | Path) -> int:
    """Writes `before_images` as JSON Lines: target, record_id, taken_at, record.

    A new file can be read by its owner alone, for it holds personal data.

    Args:
        state: The state file.
        run: Number of the run in it.
        to: The file to write.

    Returns:
        The number of records written.

    Raises:
        InputError: There is no such state file, or `to` cannot be written.
        StateError: The state file cannot be read.
    """
    count = 0
    with _written(Path(to)) as file:
        async with aclosing(before_images(state, run)) as images:
            async for image in images:
                file.write(msgspec.json.encode(image).decode() + "\n")
                count += 1
    return count


async def save_ids(states: Iterable[str | Path], to: str | Path) -> int:
    """Writes `ids` of state files as CSV: source_key, target, part, part_key, zoho_id.

    A new file can be read by its owner alone, for it holds personal data.

    Args:
        states: The state files.
        to: The file to write.

    Returns:
        The number of ids written.

    Raises:
        InputError: There is no such state file, or `to` cannot be written.
        StateError: A state file cannot be read.
    """
    count = 0
    with _written(Path(to)) as file:
        write_row(file, ID_COLUMNS)
        for state in states:
            async with aclosing(ids(state)) as found:
                async for one in found:
                    write_row(file, (one.label, one.target.rpartition(" ")[2], one.part, one.key, one.id))
                    count += 1
    return count


def _opened(state: str | Path) -> Database:
    if not Path(state).exists():
        raise InputError(f"{state}: there is no such state file")
    return Database(Path(state), create=False)


@contextmanager
def _written(to: Path) -> Generator[TextIO, None, None]:
    """A file that takes its place when all of it is written."""
    try:
        with atomic_write(to) as file:
            yield file
    except OSError as error:
        raise InputError(f"{to}: cannot be written: {error.strerror or error}") from None
