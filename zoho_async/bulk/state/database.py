"""The state file of pushes: SQLite, with group commit.

What is requested while a transaction is written goes into the next one together, so that thousands of rows a second
need only some hundreds of commits. Transactions are written on a thread of their own, except a few rows that are only
appended to the log: handing them to a thread takes several times as long as writing them.
`MIGRATIONS` explains the tables; `journal`, `runs` and `duplicates` read and write them.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from time import time_ns
from typing import Any, NamedTuple, Self, TypeVar

from zoho_async.bulk.errors import StateError, printable

from .locked_file import open_locked
from .log_epoch import begin_epoch, confirm_epoch, has_lost_log, log_head
from .migrations import APPLICATION, VERSION, migrate
from .owned_file import MEMORY, FileKind, open_owned
from .snapshot import copy_database

T = TypeVar("T")


COALESCING_ROUNDS = 3
"""Rounds of the event loop that a transaction waits for more work."""
CHECKPOINT_INTERVAL = 1_000
"""Works appended to the write-ahead log between two checkpoints, which wait for the disk."""
INLINE_BATCH = 50
"""Rows that are written where the event loop runs; more go to the database's thread."""

# For a check of a text against more than two others, SQLite makes a table for every row that is written; types hold
# what a row's state may be.
_PRAGMAS = ("temp_store = FILE", "wal_autocheckpoint = 0", "ignore_check_constraints = ON")
_LOG_LOST = (
    "this state file has lost its log, so what its last run has sent is not known; put the -wal file that lay beside "
    "it back, or take a copy that was made by SQLite; without either, push into a new state file with upsert_by or "
    "match_by, which finds the records that were made"
)

STATE_FILE = FileKind(
    application_id=APPLICATION,
    version=VERSION,
    subject="the state file",
    wrong_kind="is not a state file",
    in_use="another run is using this state file; wait for it to end, or name another with --state",
    error=StateError,
)


class _Insert(NamedTuple):
    """A statement and the values of its parameters."""

    statement: str
    values: Sequence[str | int]


_Work = Callable[[sqlite3.Connection], Any] | _Insert


class Database:
    """The state file of any number of targets. Use as an async context manager, within one event loop.

    A file of an older version is migrated when it is opened, as a whole or not at all.

    Args:
        path: The file, made for its owner alone; None keeps the state in memory, so nothing can be resumed.
        durable: Survive a power cut too, for one disk flush per commit. Without it a killed process loses nothing,
            but a crashed machine may lose the last moments.
        create: False reads a copy of a file that exists, and else stays in memory: it disturbs no run.

    Raises:
        StateError: On entry, when another process uses the file, it is not ours, its log was lost, or a newer version
            wrote it.
    """

    def __init__(self, path: Path | None, *, durable: bool = False, create: bool = True) -> None:
        self._path = path if path is not None and (create or os.path.exists(path)) else None  # noqa: PTH110 - no errors
        # As a whole path: the process may change its folder, and SQLite gives some names a meaning of their own.
        self._file = str(self._path.absolute()) if self._path is not None else MEMORY
        self._real_file = self._file
        self._create = create
        self._durable = durable
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="zoho-state")
        self._in_thread: Future[list[Any]] | None = None
        """The transaction that the thread got last."""
        self._waiting: list[tuple[_Work, asyncio.Future[Any]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._connection: sqlite3.Connection | None = None
        self._since_checkpoint = 0
        self._lock: int | None = None
        """Descriptor of the locked file, on POSIX."""
        self._locked_file: os.stat_result | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> Self:
        opening = self._thread.submit(self._open)
        try:
            self._connection = await asyncio.wrap_future(opening)
        except BaseException:
            # A cancelled opening goes on in the thread.
            self._thread.submit(_close_opened, opening)
            self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        cancelled: asyncio.CancelledError | None = None
        while self._waiting or not (self._flusher is None or self._flusher.done()):
            self._serve()
            assert self._flusher is not None
            # Cancelled or not, requested work is written: it takes some commits at most.
            try:
                await asyncio.wait([self._flusher])
            except asyncio.CancelledError as error:
                cancelled = error
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                # Unshielded, a cancellation could leave the file open.
                await asyncio.shield(asyncio.wrap_future(self._thread.submit(_close, connection)))
        finally:
            self._end()
        if cancelled is not None:
            raise cancelled

    def _end(self) -> None:
        self._thread.shutdown()
        if self._lock is not None:
            os.close(self._lock)
        if self._copy is not None:
            self._copy.cleanup()

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Runs `work` on the database's thread, in a transaction that it shares with other work requested meanwhile.

        Cancelling the caller does not cancel the work.

        Args:
            work: Is given the connection; must neither commit nor roll back.

        Returns:
            The result of `work`, once the transaction is committed.

        Raises:
            StateError: The file cannot be written, or is closed; nothing of the transaction is kept.
        """
        result: T = await self._requested(work)
        return result

    def write(self, statement: str, row: Sequence[str | int]) -> asyncio.Future[None]:
        """Runs a statement, together with its like in the transaction, after other work; cheaper than `run`.

        Args:
            statement: SQL with `?` for its parameters.
            row: Their values.

        Returns:
            To be awaited: done once the transaction is committed.

        Raises:
            StateError: The file cannot be written, or is closed; nothing of the transaction is kept.
        """
        return self._requested(_Insert(statement, row))

    def _requested(self, work: _Work) -> asyncio.Future[Any]:
        if self._connection is None:
            raise StateError("the state file is closed")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        self._serve()
        return future

    def _serve(self, _: object = None) -> None:
        """Starts a task that writes what waits, unless one runs; the next one, too, when one was cancelled."""
        if self._waiting and (self._flusher is None or self._flusher.done()):
            self._flusher = asyncio.create_task(self._flush(), name="zoho-state")
            self._flusher.add_done_callback(self._serve)

    async def _flush(self) -> None:
        while self._waiting:
            # Coalescing: a transaction costs more than some rounds of the loop.
            for _ in range(COALESCING_ROUNDS):
                await asyncio.sleep(0)
            batch, self._waiting = self._waiting, []
            await self._written(batch)

    async def _written(self, batch: Sequence[tuple[_Work, asyncio.Future[Any]]]) -> None:
        """Writes one transaction and settles the futures of all its works."""
        works = [work for work, _ in batch]
        results: list[Any]
        try:
            if self._is_inline(works):
                results = self._commit(works)
            else:
                self._in_thread = self._thread.submit(self._commit, works)
                results = await asyncio.wrap_future(self._in_thread)
        except asyncio.CancelledError:
            # The thread goes on; without this the callers would wait for ever.
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - all callers of this transaction get it
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _is_inline(self, works: Sequence[_Work]) -> bool:
        """Whether a transaction may be written where the event loop runs: it is short and waits for no disk."""
        if self._durable or self._since_checkpoint >= CHECKPOINT_INTERVAL or len(works) > INLINE_BATCH:
            return False
        if self._in_thread is not None and not self._in_thread.done():
            # Its task was cancelled, and the thread goes on.
            return False
        return all(isinstance(work, _Insert) for work in works)

    def _commit(self, works: Sequence[_Work]) -> list[Any]:
        connection = self._connection
        assert connection is not None
        self._check_place()
        statements: dict[str, list[Sequence[str | int]]] = {}
        for work in works:
            if isinstance(work, _Insert):
                statements.setdefault(work.statement, []).append(work.values)
        try:
            if self._since_checkpoint >= CHECKPOINT_INTERVAL:
                # Before the transaction: the first one of a new log waits for the disk too.
                begin_epoch(connection, self._real_file)
                self._since_checkpoint = 0
            self._since_checkpoint += len(works)
            connection.execute("BEGIN IMMEDIATE")
            try:
                results = [None if isinstance(work, _Insert) else work(connection) for work in works]
                for statement, rows in statements.items():
                    connection.executemany(statement, rows)
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: the state cannot be written: {error}") from error
        return results

    def _check_place(self) -> None:
        """Raises StateError when the file is no longer in its place: another run could begin beside this one."""
        if self._locked_file is None:
            return
        try:
            same = os.path.samestat(os.stat(self._file), self._locked_file)  # noqa: PTH116 - once a transaction
        except (FileNotFoundError, NotADirectoryError):
            same = False
        except OSError:
            # Unknown: writing itself will show.
            return
        if not same:
            raise StateError(f"{self._path}: the state file was removed or replaced while it was in use")

    def _open(self) -> sqlite3.Connection:
        # `_commit` writes checkpoints, when they do not delay the event loop.
        pragmas = (f"synchronous = {'FULL' if self._durable else 'NORMAL'}", *_PRAGMAS)
        if self._path is None:
            return open_owned(MEMORY, STATE_FILE, migrate, pragmas=pragmas)
        where = printable(str(self._path), 4_096)
        file, head = self._placed(where)

        def prepare(connection: sqlite3.Connection, version: int) -> None:
            if not version:
                raise StateError(f"{where}: {STATE_FILE.wrong_kind}: there is no table in it")
            if version == VERSION and has_lost_log(connection, head):
                raise StateError(f"{where}: {_LOG_LOST}")
            migrate(connection, version)
            confirm_epoch(connection)

        connection = open_owned(file, STATE_FILE, prepare, where=where, exclusive=True, pragmas=pragmas)
        try:
            if self._create:
                begin_epoch(connection, file)
        except sqlite3.Error as error:
            _close(connection)
            raise StateError(f"{where}: the state cannot be written: {error}") from error
        except BaseException:
            _close(connection)
            raise
        return connection

    def _placed(self, where: str) -> tuple[str, bytes]:
        """Path of the file to be opened, locked or a copy, and the header of its log. `where`: how messages call it."""
        try:
            # As SQLite has it: a log lies beside the file that a link leads to.
            file = self._real_file = os.path.realpath(self._file)
            if self._create:
                self._lock = open_locked(Path(file))
                self._locked_file = os.fstat(self._lock) if self._lock is not None else None
            else:
                self._copy = tempfile.TemporaryDirectory(prefix="zoho-state-")
                file = str(Path(self._copy.name) / "copy")
                copy_database(self._real_file, file)
            head, size = log_head(file), Path(file).stat().st_size
        except BlockingIOError:
            raise StateError(f"{where}: {STATE_FILE.in_use}") from None
        except (OSError, ValueError) as error:
            reason = (isinstance(error, OSError) and error.strerror) or error
            raise StateError(f"{where}: the state file cannot be opened: {reason}") from None
        if not size:
            # SQLite would take it for a new one, and remove its log.
            raise StateError(f"{where}: {STATE_FILE.wrong_kind}: it is empty")
        return file, head


def _close_opened(opening: Future[sqlite3.Connection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        _close(opening.result())


def _close(connection: sqlite3.Connection) -> None:
    """Closes a state file, which puts its log into it: nothing of it is missing then."""
    with suppress(sqlite3.Error):
        confirm_epoch(connection)
    connection.close()


def now() -> str:
    """The current time in UTC, as the state file writes it: ISO 8601 with milliseconds."""
    seconds, milliseconds = divmod(time_ns() // 1_000_000, 1_000)
    return f"{_second(seconds)}.{milliseconds:03}+00:00"


@lru_cache(maxsize=1)
def _second(timestamp: int) -> str:
    # Writing out a time costs as much as a tenth of a row.
    return datetime.fromtimestamp(timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%S")


def sqlite_text(text: str) -> str:
    """Text that SQLite can store, for people to read: lone surrogates become question marks.

    One lone surrogate would fail a transaction that many share.
    """
    return text if text.isascii() else text.encode("utf-8", "replace").decode("utf-8")
