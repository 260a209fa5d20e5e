"""The file that keeps the state of pushes: SQLite, written in groups.

Whatever is asked for while a transaction is being written goes together into the next one, so that thousands of rows
a second need only some hundreds of commits. What takes long or waits for the disk is done on a thread of its own; a
few rows that are only appended to the log are written at once where the event loop runs, for handing them to a thread
and back takes several times as long. What stands in the tables is said where they are made, in `MIGRATIONS`; `journal`,
`runs` and `seen` read and write them.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple, Self, TypeVar

from zoho_async.bulk.errors import StateError

from .migrations import VERSION, prepare_schema
from .snapshot import _copy_database

if os.name == "posix":
    from fcntl import LOCK_EX, LOCK_NB, flock

T = TypeVar("T")


ROUNDS = 3
"""So many rounds of the event loop a transaction waits for who else has something for it."""
LOGGED = 1_000
"""So many works are appended to the log before it is put into the file's pages, which waits for the disk."""
AT_HAND = 50
"""More rows than these are no small matter: they are written on the database's thread."""


class _Row(NamedTuple):
    """A statement and a row for its parameters."""

    statement: str
    row: Sequence[str | int]


_Work = Callable[[sqlite3.Connection], Any] | _Row


class Database:
    """The state file of any number of targets. Use as an async context manager, within one event loop.

    `path` None keeps it in memory: then nothing can be resumed. `create=False` looks at a copy of a file that exists
    and else stays in memory: it changes no byte and disturbs no run. `durable` also survives a power cut, at the
    price of a disk flush per commit; without it a killed process loses nothing, but a crashed machine may forget the
    last moments.
    A file of an older version is brought to this one when it is opened, wholly or not at all.
    Raises StateError when another process uses the file, it is not ours, or a newer version wrote it.
    """

    def __init__(self, path: Path | None, *, durable: bool = False, create: bool = True) -> None:
        self._path = path if path is not None and (create or os.path.exists(path)) else None  # noqa: PTH110 - no errors
        # As a whole path: the process may change its folder, and SQLite gives some names a meaning of their own.
        self._file = str(self._path.absolute()) if self._path is not None else ":memory:"
        self._create = create
        self._durable = durable
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="zoho-state")
        self._at_work: Future[list[Any]] | None = None
        """The last transaction that was given to the thread."""
        self._waiting: list[tuple[_Work, asyncio.Future[Any]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._connection: sqlite3.Connection | None = None
        self._logged = 0
        self._lock: int | None = None
        """The descriptor that holds a lock of our own, where the system has such locks."""
        self._opened: os.stat_result | None = None
        """What the file is that is locked."""
        self._copy: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> Self:
        opening = self._thread.submit(self._open)
        try:
            self._connection = await asyncio.wrap_future(opening)
        except BaseException:
            # Cancelled, it is opened all the same.
            self._thread.submit(_close_opened, opening)
            self._end()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        cancelled: asyncio.CancelledError | None = None
        while self._waiting or not (self._flusher is None or self._flusher.done()):
            self._serve()
            assert self._flusher is not None
            # Who cancels us must not break off what others wait for; it takes some commits at most.
            try:
                await asyncio.wait([self._flusher])
            except asyncio.CancelledError as error:
                cancelled = error
        connection, self._connection = self._connection, None
        try:
            if connection is not None:
                # A cancellation would take it back if the thread has not begun, and the file stay in use.
                await asyncio.shield(asyncio.wrap_future(self._thread.submit(connection.close)))
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
        """Does `work` on the database's own thread and gives its result when that is committed.

        It shares its transaction with whatever else is asked for at the time: if that fails, nothing of it is kept
        and all get the same error. StateError when the file cannot be written, or is closed. A caller who is
        cancelled does not take the work back.
        """
        result: T = await self._done(work)
        return result

    async def write(self, statement: str, row: Sequence[str | int]) -> None:
        """Runs a statement with a row for its parameters, together with all rows of the same statement that wait for
        the same transaction, behind whatever else is in it. Else like `run`, and cheaper."""
        await self._done(_Row(statement, row))

    async def _done(self, work: _Work) -> Any:
        if self._connection is None:
            raise StateError("the state file is closed")
        future: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        self._serve()
        return await future

    def _serve(self, _: object = None) -> None:
        """Sees to it that who waits is served, even when somebody has cancelled the task that should have done it."""
        if self._waiting and (self._flusher is None or self._flusher.done()):
            self._flusher = asyncio.create_task(self._flush(), name="zoho-state")
            self._flusher.add_done_callback(self._serve)

    async def _flush(self) -> None:
        while self._waiting:
            # Who is about to ask comes with it: a transaction costs more than some rounds of the loop.
            for _ in range(ROUNDS):
                await asyncio.sleep(0)
            batch, self._waiting = self._waiting, []
            await self._written(batch)

    async def _written(self, batch: Sequence[tuple[_Work, asyncio.Future[Any]]]) -> None:
        """Writes one transaction and tells all who wait for it."""
        works = [work for work, _ in batch]
        results: list[Any]
        try:
            if self._is_quick(works):
                results = self._commit(works)
            else:
                self._at_work = self._thread.submit(self._commit, works)
                results = await asyncio.wrap_future(self._at_work)
        except asyncio.CancelledError:
            # Whoever did that, nobody must wait for ever for what is written all the same.
            for _, future in batch:
                future.cancel()
            raise
        except Exception as error:  # noqa: BLE001 - every one who waits for this transaction must hear of it
            results = [error] * len(batch)
        for (_, future), result in zip(batch, results, strict=True):
            if future.done():
                continue
            if isinstance(result, Exception):
                future.set_exception(result)
            else:
                future.set_result(result)

    def _is_quick(self, works: Sequence[_Work]) -> bool:
        """Whether a transaction does not wait for the disk, nor takes longer than some others of the loop's steps."""
        if self._durable or self._logged >= LOGGED or len(works) > AT_HAND:
            return False
        if self._at_work is not None and not self._at_work.done():
            # Who waited for it was cancelled, and it goes on.
            return False
        return all(isinstance(work, _Row) for work in works)

    def _commit(self, works: Sequence[_Work]) -> list[Any]:
        connection = self._connection
        assert connection is not None
        self._check_place()
        statements: dict[str, list[Sequence[str | int]]] = {}
        for work in works:
            if isinstance(work, _Row):
                statements.setdefault(work.statement, []).append(work.row)
        try:
            if self._logged >= LOGGED:
                # Before it, not behind it: the first transaction of a new log waits for the disk too.
                connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
                self._logged = 0
            self._logged += len(works)
            connection.execute("BEGIN IMMEDIATE")
            try:
                results = [None if isinstance(work, _Row) else work(connection) for work in works]
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
        """Raises StateError when the file is no longer where it was: what would be written nobody would find again,
        and another run could begin beside this one."""
        if self._opened is None:
            return
        try:
            same = os.path.samestat(os.stat(self._file), self._opened)  # noqa: PTH116 - once a transaction
        except (FileNotFoundError, NotADirectoryError):
            same = False
        except OSError:
            # Nobody can say.
            return
        if not same:
            raise StateError(f"{self._path}: the state file was removed or replaced while it was in use")

    def _open(self) -> sqlite3.Connection:
        where = str(self._path) if self._path is not None else ":memory:"
        file = self._file
        try:
            if self._path is not None and not self._create:
                self._copy = tempfile.TemporaryDirectory(prefix="zoho-state-")
                file = str(Path(self._copy.name) / "copy")
                _copy_database(where, file)
            elif self._path is not None and self._path.parent != Path():
                self._path.parent.mkdir(parents=True, exist_ok=True)
            if self._create and self._path is not None:
                self._lock = _locked(file, where)
                self._opened = os.fstat(self._lock) if self._lock is not None else None
            # Two threads use it by turns: none begins before the last transaction has ended.
            connection = sqlite3.connect(file, isolation_level=None, timeout=0, check_same_thread=False)
        except OSError as error:
            raise StateError(f"{where}: the state file cannot be opened: {error.strerror or error}") from None
        except ValueError as error:
            raise StateError(f"{where!r}: the state file cannot be opened: {error}") from None
        except sqlite3.Error as error:
            raise StateError(f"{where}: the state file cannot be opened: {error}") from None
        try:
            # The first write takes SQLite's own lock and keeps it: the system gives it back however we die.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            prepare_schema(connection, where)
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
            connection.execute("PRAGMA temp_store = FILE")
            # `_commit` does it, when it does not hold the event loop up.
            connection.execute("PRAGMA wal_autocheckpoint = 0")
            # A write after the switch to WAL, which gave the lock back for a moment.
            connection.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.OperationalError as error:
            connection.close()
            if "locked" in str(error) or "busy" in str(error):
                raise _in_use(where) from None
            raise StateError(f"{where}: the state file cannot be used: {error}") from None
        except sqlite3.DatabaseError:
            connection.close()
            raise StateError(f"{where}: is not a state file") from None
        except BaseException:
            connection.close()
            raise
        return connection


def _close_opened(opening: Future[sqlite3.Connection]) -> None:
    if not opening.cancelled() and opening.exception() is None:
        opening.result().close()


def _locked(file: str, where: str) -> int | None:
    """A descriptor with a lock, of a file that is made if need be. `where`: as people call it.

    SQLite's own lock is the process's, which loses it when it closes the file anywhere else, as to copy it.
    """
    # It holds what records were before they were changed: nobody else's business.
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o600)
    if os.name != "posix":
        # There a file in use cannot be copied, so nothing is lost.
        os.close(descriptor)
        return None
    try:
        flock(descriptor, LOCK_EX | LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise _in_use(where) from None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


def _in_use(where: str) -> StateError:
    return StateError(
        f"{where}: another run is using this state file; wait for it to end, or name another with --state"
    )


def now() -> str:
    """This moment in UTC, as the state file writes it: ISO 8601 with milliseconds."""
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def storable(text: str) -> str:
    """Text as SQLite can hold it: halves of characters, which no encoding has, become question marks.

    For what people read. One such text would else fail the transaction of all that wait with it.
    """
    return text.encode("utf-8", "replace").decode("utf-8")
