"""What was begun and what came of it, so that a killed run can go on: one table in a SQLite file.

An intent is committed before its call is sent, the outcome after the answer. All SQLite work runs on one thread of
the journal's own; whatever is asked for while a transaction is being written goes together into the next one, so
that thousands of rows a second need only some dozens of commits.

The file holds keys of rows, digests, ids and Zoho's words; no row content beyond that, and no credentials.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeVar

import msgspec

from .problems import StateError

T = TypeVar("T")

State = Literal["intent", "done", "failed", "unknown"]

VERSION = 1
APPLICATION = 0x5A6F4A31
"""SQLite's application id, by which we know our own files ("ZoJ1")."""

_SCHEMA = """
CREATE TABLE journal (
    target TEXT NOT NULL,      -- organisation and resource
    identity TEXT NOT NULL,    -- the row: its unique value, or the digest of its body and the number of its occurrence
    digest TEXT NOT NULL,      -- of the body that was sent last
    state TEXT NOT NULL CHECK (state IN ('intent', 'done', 'failed', 'unknown')),
    record_id TEXT NOT NULL DEFAULT '',
    code TEXT NOT NULL DEFAULT '',
    message TEXT NOT NULL DEFAULT '',
    intended_at TEXT NOT NULL, -- UTC
    settled_at TEXT NOT NULL DEFAULT '',
    PRIMARY KEY (target, identity)
) WITHOUT ROWID;
CREATE INDEX journal_record ON journal (target, record_id) WHERE record_id <> '';
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal knows of one row."""

    identity: str
    digest: str
    state: State
    record_id: str
    intended_at: datetime


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a row before anything is done with it."""

    identity: str
    first: int
    """Number of the first row of this run with the same key; the row's own number when it is the first."""
    entry: Entry | None


class Journal:
    """The state of one target, in a file that holds any number of targets. Use as an async context manager.

    `path` None keeps it in memory: then nothing can be resumed. `create=False` reads a file that exists and else
    stays in memory. `durable` also survives a power cut, at the price of a disk flush per commit; without it a
    killed process loses nothing, but a crashed machine may forget the last moments.
    Raises StateError when another process uses the file, or it is not a journal of this version.
    """

    def __init__(self, path: Path | None, target: str, *, durable: bool = False, create: bool = True) -> None:
        self._path = path if path is not None and (create or path.exists()) else None
        self._target = target
        self._durable = durable
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="zoho-journal")
        self._waiting: list[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._connection: sqlite3.Connection | None = None

    async def __aenter__(self) -> Journal:
        loop = asyncio.get_running_loop()
        try:
            self._connection = await loop.run_in_executor(self._thread, self._open)
        except BaseException:
            self._thread.shutdown()
            raise
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._flusher is not None:
            await self._flusher
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
            self._connection = None
        self._thread.shutdown()

    async def look(self, keys: Sequence[tuple[str, int]], *, counted: bool) -> list[Look]:
        """What is known of rows, given as (key, number of the row), in the order of the input.

        Rows of one run with the same key are told apart by `counted`: each is a row of its own, numbered; else the
        later ones are told which row was the first.
        """

        def work(connection: sqlite3.Connection) -> list[Look]:
            looks: list[Look] = []
            for key, number in keys:
                first, times = connection.execute(
                    "INSERT INTO temp.seen VALUES (?, ?, 1) ON CONFLICT (key) DO UPDATE SET times = times + 1 "
                    "RETURNING first, times",
                    (key, number),
                ).fetchone()
                identity = f"{key}#{times}" if counted else key
                looks.append(
                    Look(identity=identity, first=number if counted else first, entry=self._entry(connection, identity))
                )
            return looks

        return await self._do(work)

    async def intend(self, identity: str, digest: str) -> None:
        """Returns when it is on record that the row is about to be sent."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO journal (target, identity, digest, state, intended_at) VALUES (?, ?, ?, 'intent', ?) "
                "ON CONFLICT (target, identity) DO UPDATE SET digest = excluded.digest, state = 'intent', "
                "intended_at = excluded.intended_at, settled_at = '', code = '', message = ''",
                (self._target, identity, digest, _now()),
            )

        await self._do(work)

    async def settle(
        self, identity: str, state: State, *, record_id: str = "", code: str = "", message: str = ""
    ) -> None:
        """Returns when the outcome is on record."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE journal SET state = ?, record_id = CASE WHEN ? <> '' THEN ? ELSE record_id END, code = ?, "
                "message = ?, settled_at = ? WHERE target = ? AND identity = ?",
                (state, record_id, record_id, code, message, _now(), self._target, identity),
            )

        await self._do(work)

    async def withdraw(self, identity: str) -> None:
        """Forgets an intent whose call was surely not executed."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "DELETE FROM journal WHERE target = ? AND identity = ? AND state = 'intent'", (self._target, identity)
            )

        await self._do(work)

    async def adopt(self, identity: str, record_id: str) -> bool:
        """Settles a row as done with a record that was found, unless another row has that record already."""

        def work(connection: sqlite3.Connection) -> bool:
            taken = connection.execute(
                "SELECT 1 FROM journal WHERE target = ? AND record_id = ? AND identity <> ?",
                (self._target, record_id, identity),
            ).fetchone()
            if taken is None:
                connection.execute(
                    "UPDATE journal SET state = 'done', record_id = ?, code = '', message = '', settled_at = ? "
                    "WHERE target = ? AND identity = ?",
                    (record_id, _now(), self._target, identity),
                )
            return taken is None

        return await self._do(work)

    def _entry(self, connection: sqlite3.Connection, identity: str) -> Entry | None:
        found = connection.execute(
            "SELECT digest, state, record_id, intended_at FROM journal WHERE target = ? AND identity = ?",
            (self._target, identity),
        ).fetchone()
        if found is None:
            return None
        digest, state, record_id, intended_at = found
        return Entry(
            identity=identity,
            digest=digest,
            state=state,
            record_id=record_id,
            intended_at=datetime.fromisoformat(intended_at),
        )

    async def _do(self, work: Callable[[sqlite3.Connection], T]) -> T:
        future: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self._waiting.append((work, future))
        if self._flusher is None or self._flusher.done():
            self._flusher = asyncio.create_task(self._flush(), name="zoho-journal")
        return await future

    async def _flush(self) -> None:
        loop = asyncio.get_running_loop()
        while self._waiting:
            batch, self._waiting = self._waiting, []
            try:
                results: list[Any] = await loop.run_in_executor(self._thread, self._commit, [work for work, _ in batch])
            except Exception as error:  # noqa: BLE001 - every one who waits for this transaction must hear of it
                results = [error] * len(batch)
            for (_, future), result in zip(batch, results, strict=True):
                if future.done():
                    continue
                if isinstance(result, Exception):
                    future.set_exception(result)
                else:
                    future.set_result(result)

    def _commit(self, works: Sequence[Callable[[sqlite3.Connection], Any]]) -> list[Any]:
        connection = self._connection
        if connection is None:
            raise StateError("the state file is closed")
        try:
            connection.execute("BEGIN IMMEDIATE")
            try:
                results = [work(connection) for work in works]
            except BaseException:
                connection.execute("ROLLBACK")
                raise
            connection.execute("COMMIT")
        except sqlite3.Error as error:
            raise StateError(f"{self._path}: the state cannot be written: {error}") from error
        return results

    def _open(self) -> sqlite3.Connection:
        where = str(self._path) if self._path is not None else ":memory:"
        if self._path is not None and self._path.parent != Path():
            self._path.parent.mkdir(parents=True, exist_ok=True)
        try:
            connection = sqlite3.connect(where, isolation_level=None, timeout=0)
        except sqlite3.Error as error:
            raise StateError(f"{where}: the state file cannot be opened: {error}") from None
        try:
            # The first write takes SQLite's own lock and keeps it: the system gives it back however we die.
            connection.execute("PRAGMA locking_mode = EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            self._prepare(connection, where)
            connection.execute("COMMIT")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute(f"PRAGMA synchronous = {'FULL' if self._durable else 'NORMAL'}")
            connection.execute("PRAGMA temp_store = FILE")
            connection.execute(
                "CREATE TEMP TABLE seen (key TEXT PRIMARY KEY, first INTEGER, times INTEGER) WITHOUT ROWID"
            )
            # A write after the switch to WAL, which gave the lock back for a moment.
            connection.execute(f"PRAGMA user_version = {VERSION}")
        except sqlite3.OperationalError as error:
            connection.close()
            if "locked" in str(error) or "busy" in str(error):
                raise StateError(
                    f"{where}: another run is using this state file; wait for it to end, or name another with --state"
                ) from None
            raise StateError(f"{where}: the state file cannot be used: {error}") from None
        except sqlite3.DatabaseError:
            connection.close()
            raise StateError(f"{where}: is not a state file") from None
        except BaseException:
            connection.close()
            raise
        return connection

    @staticmethod
    def _prepare(connection: sqlite3.Connection, where: str) -> None:
        (application,) = connection.execute("PRAGMA application_id").fetchone()
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if application == APPLICATION:
            if version > VERSION:
                raise StateError(f"{where}: was written by a newer zoho_async (version {version}, known {VERSION})")
            return
        if application or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise StateError(f"{where}: is not a state file")
        for statement in _SCHEMA.split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
