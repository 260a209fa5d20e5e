"""What was begun and what came of it, so that a killed run can go on: a SQLite file that holds many runs.

An intent is committed before its call is sent, the outcome after the answer. All SQLite work runs on one thread of
the journal's own; whatever is asked for while a transaction is being written goes together into the next one, so
that thousands of rows a second need only some dozens of commits.

The file holds keys and names of rows, digests, ids, Zoho's words, and every record as it was before it was
overwritten; no credentials.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypeVar

import msgspec

from .problems import StateError

T = TypeVar("T")

State = Literal["intent", "done", "failed", "unknown"]

VERSION = 2
APPLICATION = 0x5A6F4A31
"""SQLite's application id, by which we know our own files ("ZoJ1")."""

_SCHEMA = """
CREATE TABLE IF NOT EXISTS journal (
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
CREATE INDEX IF NOT EXISTS journal_record ON journal (target, record_id) WHERE record_id <> '';
CREATE TABLE IF NOT EXISTS files (digest TEXT PRIMARY KEY) WITHOUT ROWID;
"""
_MIGRATIONS = {
    1: """
ALTER TABLE journal ADD COLUMN label TEXT NOT NULL DEFAULT '';       -- what people know the row by
ALTER TABLE journal ADD COLUMN parts TEXT NOT NULL DEFAULT '';       -- JSON: [part, key, id] of persons and addresses
ALTER TABLE journal ADD COLUMN run INTEGER NOT NULL DEFAULT 0;
ALTER TABLE journal ADD COLUMN prior TEXT NOT NULL DEFAULT '';       -- digest of what was done before the intent
CREATE TABLE runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    target TEXT NOT NULL,
    source TEXT NOT NULL,
    options TEXT NOT NULL,     -- JSON
    started_at TEXT NOT NULL,  -- UTC
    ended_at TEXT NOT NULL DEFAULT '',
    state TEXT NOT NULL DEFAULT 'running',
    summary TEXT NOT NULL DEFAULT '{}'
);
CREATE TABLE problems (
    run INTEGER NOT NULL,
    number INTEGER NOT NULL,   -- of the row in its input
    line INTEGER NOT NULL,
    status TEXT NOT NULL,
    code TEXT NOT NULL,
    field TEXT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (run, number)
) WITHOUT ROWID;
CREATE TABLE images (
    id INTEGER PRIMARY KEY,
    target TEXT NOT NULL,
    run INTEGER NOT NULL,
    record_id TEXT NOT NULL,
    taken_at TEXT NOT NULL,    -- UTC
    image TEXT NOT NULL        -- the record before it was overwritten, JSON
);
"""
}
"""What leads from a version to the next; applied in the transaction that opens the file."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal knows of one row."""

    identity: str
    digest: str
    state: State
    record_id: str
    intended_at: datetime


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """A row of a run that is not done."""

    number: int
    line: int
    status: str
    code: str
    field: str
    reason: str


class Run(msgspec.Struct, frozen=True, kw_only=True):
    """One run of a push. One that was killed stays `running` until the next begins."""

    id: int
    target: str
    source: str
    options: dict[str, Any]
    started_at: datetime
    ended_at: datetime | None
    state: str
    summary: dict[str, Any]


Part: TypeAlias = tuple[str, str, str]
"""What belongs to a record: its kind (`contact_persons`, `billing_address`), what people know it by, and its id."""


class Look(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of a row before anything is done with it."""

    identity: str
    first: int
    """Number of the first row of this run with the same key; the row's own number when it is the first."""
    entry: Entry | None


class Journal:
    """The state of one target, in a file that holds any number of targets. Use as an async context manager.

    `path` None keeps it in memory: then nothing can be resumed. `create=False` looks at a copy of a file that exists
    and else stays in memory: it changes no byte and disturbs no run. `durable` also survives a power cut, at the
    price of a disk flush per commit; without it a killed process loses nothing, but a crashed machine may forget the
    last moments.
    Raises StateError when another process uses the file, or it is not a journal of this version.
    """

    def __init__(self, path: Path | None, target: str, *, durable: bool = False, create: bool = True) -> None:
        self._path = path if path is not None and (create or os.path.exists(path)) else None  # noqa: PTH110 - no errors
        self._create = create
        self._target = target
        self.run_number = 0
        self._durable = durable
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="zoho-journal")
        self._waiting: list[tuple[Callable[[sqlite3.Connection], Any], asyncio.Future[Any]]] = []
        self._flusher: asyncio.Task[None] | None = None
        self._connection: sqlite3.Connection | None = None
        self._copy: tempfile.TemporaryDirectory[str] | None = None

    async def __aenter__(self) -> Journal:
        loop = asyncio.get_running_loop()
        try:
            self._connection = await loop.run_in_executor(self._thread, self._open)
        except BaseException:
            self._end()
            raise
        return self

    def _end(self) -> None:
        self._thread.shutdown()
        if self._copy is not None:
            self._copy.cleanup()

    async def __aexit__(self, *_: object) -> None:
        if self._flusher is not None:
            await self._flusher
        if self._connection is not None:
            await asyncio.get_running_loop().run_in_executor(self._thread, self._connection.close)
            self._connection = None
        self._end()

    async def look(
        self, keys: Sequence[tuple[str, int]], *, counted: bool, carried: Mapping[int, str] | None = None
    ) -> list[Look]:
        """What is known of rows, given as (key, number of the row), in the order of the input.

        Rows of one run with the same key are told apart by `counted`: each is a row of its own, numbered; else the
        later ones are told which row was the first. `carried` are identities that rows had in an earlier run, by the
        rows' numbers: a row that has not changed since keeps its identity, and only the first one with it has it.
        """
        identities = carried or {}

        def seen(connection: sqlite3.Connection, key: str, number: int) -> tuple[int, int]:
            first, times = connection.execute(
                "INSERT INTO temp.seen VALUES (?, ?, 1) ON CONFLICT (key) DO UPDATE SET times = times + 1 "
                "RETURNING first, times",
                (key, number),
            ).fetchone()
            return first, times

        def work(connection: sqlite3.Connection) -> list[Look]:
            looks: list[Look] = []
            for key, number in keys:
                identity = identities.get(number, "") if counted else key
                if counted and identity.rpartition("#")[0] != key:
                    identity = f"{key}#{seen(connection, key, number)[1]}"
                    while connection.execute("SELECT 1 FROM temp.seen WHERE key = ?", (identity,)).fetchone():
                        identity = f"{key}#{seen(connection, key, number)[1]}"
                first, _ = seen(connection, identity, number)
                looks.append(Look(identity=identity, first=first, entry=self._entry(connection, identity)))
            return looks

        return await self._do(work)

    async def intend(
        self, identity: str, digest: str, *, label: str = "", image: tuple[str, bytes] | None = None
    ) -> None:
        """Returns when it is on record that the row is about to be sent.

        `label` is what people know the row by, `image` the id and the JSON of the record that will be overwritten.
        An intent over an open one keeps its time: since then the record may have been made.
        """

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO journal (target, identity, digest, state, intended_at, label, run) "
                "VALUES (?, ?, ?, 'intent', ?, ?, ?) ON CONFLICT (target, identity) DO UPDATE SET "
                "prior = CASE state WHEN 'done' THEN digest WHEN 'failed' THEN '' ELSE prior END, "
                "intended_at = CASE WHEN state IN ('intent', 'unknown') THEN intended_at "
                "ELSE excluded.intended_at END, "
                "digest = excluded.digest, state = 'intent', settled_at = '', code = '', message = '', "
                "label = excluded.label, run = excluded.run",
                (self._target, identity, digest, _now(), label, self.run_number),
            )
            if image is not None:
                connection.execute(
                    "INSERT INTO images (target, run, record_id, taken_at, image) VALUES (?, ?, ?, ?, ?)",
                    (self._target, self.run_number, image[0], _now(), image[1].decode()),
                )

        await self._do(work)

    async def settle(
        self,
        identity: str,
        state: State,
        *,
        record_id: str = "",
        code: str = "",
        message: str = "",
        parts: Sequence[Part] = (),
    ) -> None:
        """Returns when the outcome is on record. Without an id or parts, those that are known stay."""
        listed = _parts(parts)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE journal SET state = ?, record_id = CASE WHEN ? <> '' THEN ? ELSE record_id END, code = ?, "
                "message = ?, settled_at = ?, parts = CASE WHEN ? <> '' THEN ? ELSE parts END, prior = '' "
                "WHERE target = ? AND identity = ?",
                (state, record_id, record_id, code, message, _now(), listed, listed, self._target, identity),
            )

        await self._do(work)

    async def note(self, identity: str, digest: str, *, label: str, record_id: str, parts: Sequence[Part] = ()) -> None:
        """Returns when it is on record that Zoho has what the row says, though nothing was written."""
        listed = _parts(parts)

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO journal (target, identity, digest, state, record_id, intended_at, settled_at, label, "
                "parts, run) VALUES (?, ?, ?, 'done', ?, ?, ?, ?, ?, ?) ON CONFLICT (target, identity) DO UPDATE SET "
                "digest = excluded.digest, state = 'done', record_id = excluded.record_id, code = '', message = '', "
                "settled_at = excluded.settled_at, label = excluded.label, run = excluded.run, prior = '', "
                "parts = CASE WHEN excluded.parts <> '' THEN excluded.parts ELSE parts END",
                (self._target, identity, digest, record_id, _now(), _now(), label, listed, self.run_number),
            )

        await self._do(work)

    async def withdraw(self, identity: str) -> None:
        """Forgets an intent whose call was surely not executed; what was done before it is known again."""

        def work(connection: sqlite3.Connection) -> None:
            where = "WHERE target = ? AND identity = ? AND state = 'intent'"
            connection.execute(f"DELETE FROM journal {where} AND prior = ''", (self._target, identity))
            connection.execute(
                f"UPDATE journal SET state = 'done', digest = prior, prior = '' {where}", (self._target, identity)
            )

        await self._do(work)

    async def first(self, names: Sequence[tuple[str, int]]) -> list[int]:
        """For names of rows, given as (name, number of the row): the first row of this run with each."""

        def work(connection: sqlite3.Connection) -> list[int]:
            found: list[int] = []
            for name, number in names:
                connection.execute("INSERT OR IGNORE INTO temp.names VALUES (?, ?)", (name, number))
                found += connection.execute("SELECT first FROM temp.names WHERE name = ?", (name,)).fetchone()
            return found

        return await self._do(work)

    async def begin(self, source: str, options: Mapping[str, Any]) -> int:
        """Opens a run; those that never ended are over, for their process no longer holds the file."""

        def work(connection: sqlite3.Connection) -> int:
            connection.execute(
                "UPDATE runs SET state = 'stopped' WHERE target = ? AND state = 'running'", (self._target,)
            )
            cursor = connection.execute(
                "INSERT INTO runs (target, source, options, started_at) VALUES (?, ?, ?, ?)",
                (self._target, source, msgspec.json.encode(options).decode(), _now()),
            )
            return int(cursor.lastrowid or 0)

        self.run_number = await self._do(work)
        return self.run_number

    async def end(self, state: str, summary: Mapping[str, Any]) -> None:
        """Closes the run: `complete`, `stopped` or `failed`."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "UPDATE runs SET state = ?, ended_at = ?, summary = ? WHERE id = ?",
                (state, _now(), msgspec.json.encode(summary).decode(), self.run_number),
            )

        await self._do(work)

    async def remember(self, problem: Problem) -> None:
        """Returns when it is on record that a row of this run is not done, and why."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT OR REPLACE INTO problems VALUES (?, ?, ?, ?, ?, ?, ?)",
                (self.run_number, *msgspec.structs.astuple(problem)),
            )

        await self._do(work)

    async def undone(self, run: int) -> set[int] | None:
        """Numbers of the rows that a run of this target has left undone; None when there is no such run."""

        def work(connection: sqlite3.Connection) -> set[int] | None:
            where = (run, self._target)
            if connection.execute("SELECT 1 FROM runs WHERE id = ? AND target = ?", where).fetchone() is None:
                return None
            return {number for (number,) in connection.execute("SELECT number FROM problems WHERE run = ?", (run,))}

        return await self._do(work)

    async def adopt(self, identity: str, record_id: str) -> bool:
        """Settles a row as done with a record that was found, unless another row has that record already."""

        def work(connection: sqlite3.Connection) -> bool:
            taken = connection.execute(
                "SELECT 1 FROM journal WHERE target = ? AND record_id = ? AND identity <> ?",
                (self._target, record_id, identity),
            ).fetchone()
            if taken is None:
                connection.execute(
                    "UPDATE journal SET state = 'done', record_id = ?, code = '', message = '', prior = '', "
                    "settled_at = ? "
                    "WHERE target = ? AND identity = ?",
                    (record_id, _now(), self._target, identity),
                )
            return taken is None

        return await self._do(work)

    async def knows_file(self, digest: str) -> bool:
        """Whether a file of that content was written or wholly pushed."""

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("SELECT 1 FROM files WHERE digest = ?", (digest,)).fetchone() is not None

        return await self._do(work)

    async def note_file(self, digest: str) -> None:
        """Remembers the content of a file that was written or wholly pushed."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO files VALUES (?)", (digest,))

        await self._do(work)

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

    async def run(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Executes something on the journal's thread, within the next transaction."""
        return await self._do(work)

    def entry(self, connection: sqlite3.Connection, identity: str) -> Entry | None:
        """What is known of a row; for use inside `run`."""
        return self._entry(connection, identity)

    def owner(self, connection: sqlite3.Connection, record_id: str) -> str:
        """Identity of the row that has a record, or empty; for use inside `run`."""
        found = connection.execute(
            "SELECT identity FROM journal WHERE target = ? AND record_id = ?", (self._target, record_id)
        ).fetchone()
        return "" if found is None else str(found[0])

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
        file = where
        try:
            if self._path is not None and not self._create:
                self._copy = tempfile.TemporaryDirectory(prefix="zoho-state-")
                file = str(Path(self._copy.name) / "copy")
                _copy_database(where, file)
            elif self._path is not None and self._path.parent != Path():
                self._path.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(file, isolation_level=None, timeout=0)
        except OSError as error:
            raise StateError(f"{where}: the state file cannot be opened: {error.strerror or error}") from None
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
            connection.execute("CREATE TEMP TABLE names (name TEXT PRIMARY KEY, first INTEGER) WITHOUT ROWID")
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
        elif application or connection.execute("SELECT 1 FROM sqlite_master").fetchone():
            raise StateError(f"{where}: is not a state file")
        # Also in a file that has some of it already.
        scripts = [_SCHEMA, *(_MIGRATIONS[number] for number in range(max(version, 1), VERSION))]
        for statement in ";".join(scripts).split(";"):
            if statement.strip():
                connection.execute(statement)
        connection.execute(f"PRAGMA application_id = {APPLICATION}")
        connection.execute(f"PRAGMA user_version = {VERSION}")


def _copy_database(path: str, to: str) -> None:
    """Copies a database that a run may be writing to, as it stands at one moment.

    Whoever writes holds SQLite's lock, so nobody else can open the file. Its pages change only when its log is put
    into them: a copy of the pages with the whole log behind is one moment's, unless the log was begun anew meanwhile.
    """
    for _ in range(10):
        before = _log_head(path)
        shutil.copyfile(path, to)
        if before:
            # A run that has just ended has taken its log away; then the heads differ too.
            with suppress(FileNotFoundError):
                shutil.copyfile(f"{path}-wal", f"{to}-wal")
        if _log_head(path) == before:
            return
        Path(f"{to}-wal").unlink(missing_ok=True)
    raise StateError(f"{path}: another run is using this state file; wait for it to end")


def _log_head(path: str) -> bytes:
    try:
        with Path(f"{path}-wal").open("rb") as file:
            return file.read(32)
    except FileNotFoundError:
        return b""


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")


def _parts(parts: Sequence[Part]) -> str:
    return msgspec.json.encode(parts).decode() if parts else ""


def read_runs(connection: sqlite3.Connection) -> list[Run]:
    """Every run in the file, the newest first."""
    names = "id, target, source, options, started_at, ended_at, state, summary"
    return [
        Run(
            id=number,
            target=target,
            source=source,
            options=msgspec.json.decode(options),
            started_at=datetime.fromisoformat(started),
            ended_at=datetime.fromisoformat(ended) if ended else None,
            state=state,
            summary=msgspec.json.decode(summary),
        )
        for number, target, source, options, started, ended, state, summary in connection.execute(
            f"SELECT {names} FROM runs ORDER BY id DESC"
        )
    ]


def read_problems(connection: sqlite3.Connection, run: int) -> list[Problem]:
    """The rows of a run that are not done, in the order of the input."""
    return [
        Problem(number=number, line=line, status=status, code=code, field=field, reason=reason)
        for number, line, status, code, field, reason in connection.execute(
            "SELECT number, line, status, code, field, reason FROM problems WHERE run = ? ORDER BY number", (run,)
        )
    ]


def read_ids(
    connection: sqlite3.Connection, after: tuple[str, str], limit: int
) -> list[tuple[str, str, str, str, list[Part]]]:
    """Rows that have a record, behind (target, identity): target, identity, label, record id, parts."""
    return [
        (
            target,
            identity,
            label,
            record_id,
            msgspec.json.decode(parts, type=list[tuple[str, str, str]]) if parts else [],
        )
        for target, identity, label, record_id, parts in connection.execute(
            "SELECT target, identity, label, record_id, parts FROM journal WHERE (target, identity) > (?, ?) "
            "AND record_id <> '' ORDER BY target, identity LIMIT ?",
            (*after, limit),
        )
    ]
