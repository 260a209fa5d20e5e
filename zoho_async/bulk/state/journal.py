"""What was begun and what came of it, so that a killed run can go on: one row of a table for every row of the input.

An intent is committed before its call is sent, the outcome after the answer. The table holds keys and names of rows,
digests, ids and Zoho's words, and beside it, for what is overwritten, the record as it was; no credentials.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from datetime import datetime
from typing import Literal

import msgspec

from .database import Database, now, storable

State = Literal["intent", "done", "failed", "unknown"]

Part = tuple[str, str, str]
"""Part of a record, its key in the row, its id: ("contact_person", "ann@example.com", "460000000026051")."""


_INTEND = """
    INSERT INTO journal (target, identity, digest, state, intended_at, operation, label, run)
    VALUES (?, ?, ?, 'intent', ?, ?, ?, ?)
    ON CONFLICT (target, identity) DO UPDATE SET
    prior = json_array(CASE state WHEN 'intent' THEN 'unknown' ELSE state END, digest, operation, label, run, code,
        message, intended_at, settled_at),
    intended_at = CASE WHEN state IN ('intent', 'unknown') AND digest = excluded.digest THEN intended_at
        ELSE excluded.intended_at END,
    label = CASE WHEN excluded.label <> '' THEN excluded.label ELSE label END,
    digest = excluded.digest, state = 'intent', operation = excluded.operation, run = excluded.run,
    settled_at = '', code = '', message = ''
"""
"""An intent that is written over is a call of a run that was killed: of unknown outcome."""

_SETTLE = """
    UPDATE journal SET state = ?, code = ?, message = ?, settled_at = ?, prior = '',
    record_id = coalesce(nullif(?, ''), record_id),
    modified = coalesce(nullif(?, ''), modified),
    parts = coalesce(nullif(?, ''), parts)
    WHERE target = ? AND identity = ?
"""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal knows of one row."""

    identity: str
    digest: str
    state: State
    record_id: str
    intended_at: datetime
    """When the record may first have been made; UTC."""
    operation: str = ""
    """create, upsert, update; empty when that is not known."""
    label: str = ""
    """The row's key, or the name it was sent under."""
    modified: str = ""
    """The record's last_modified_time when this row was settled last, as Zoho wrote it."""


class Journal:
    """The rows of one target, in a database that is open and holds any number of targets.

    `run` is the run's number (`runs.begin`), written beside what it does. Every method raises StateError when the
    file cannot be written.
    """

    def __init__(self, database: Database, target: str, run: int = 0) -> None:
        self.database = database
        self._target = target
        self._run = run

    async def entries(self, identities: Sequence[str]) -> dict[str, Entry]:
        """What is known of rows, by their identities; rows nothing is known of are absent."""

        def work(connection: sqlite3.Connection) -> dict[str, Entry]:
            found = (self.entry(connection, identity) for identity in identities)
            return {entry.identity: entry for entry in found if entry is not None}

        return await self.database.run(work)

    def owner(self, connection: sqlite3.Connection, record_id: str) -> str:
        """The identity of the row that has a record, the one settled last if several have it; empty when none has.
        For use inside `Database.run`."""
        found = connection.execute(
            "SELECT identity FROM journal WHERE target = ? AND record_id = ? AND record_id <> '' "
            "ORDER BY settled_at DESC, identity LIMIT 1",
            (self._target, record_id),
        ).fetchone()
        return "" if found is None else str(found[0])

    def ambiguous_keys(self, connection: sqlite3.Connection) -> frozenset[str]:
        """The labels that several rows have which are under way or of unknown outcome. For use inside `Database.run`;
        it looks through the whole journal."""
        found = connection.execute(
            "SELECT label FROM journal WHERE target = ? AND state IN ('intent', 'unknown') "
            "GROUP BY label HAVING COUNT(*) > 1",
            (self._target,),
        )
        return frozenset(label for (label,) in found)

    async def record_intent(
        self, identity: str, digest: str, *, operation: str, label: str = "", image: tuple[str, bytes] | None = None
    ) -> None:
        """Returns when it is on record that the row is about to be sent.

        `image`: id of the record that will be overwritten and its JSON as it is. The image stays when the intent is
        withdrawn. The same body intended again, after a call whose outcome is open, keeps the time of the first
        intent: since then the record may exist.
        """

        moment = now()
        row = (self._target, identity, digest, moment, operation, storable(label), self._run)
        if image is None:
            await self.database.write(_INTEND, row)
            return

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO images (target, run, identity, record_id, taken_at, image) VALUES (?, ?, ?, ?, ?, ?)",
                (self._target, self._run, identity, image[0], moment, image[1]),
            )
            connection.execute(_INTEND, row)

        await self.database.run(work)

    async def settle(
        self,
        identity: str,
        state: State,
        *,
        record_id: str = "",
        modified: str = "",
        parts: Sequence[Part] = (),
        code: str = "",
        message: str = "",
    ) -> None:
        """Returns when the outcome of an intent is on record. What is empty of `record_id`, `modified` and `parts`
        leaves what is known already."""

        await self.database.write(
            _SETTLE, self._outcome(identity, state, record_id, modified, parts, code=code, message=message)
        )

    async def note(
        self, identity: str, digest: str, *, label: str, record_id: str, modified: str = "", parts: Sequence[Part] = ()
    ) -> None:
        """Puts on record that a row is done without a call, whether the journal knew of it or not."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO journal (target, identity, digest, state, intended_at, label, run) "
                "VALUES (?, ?, ?, 'done', ?, ?, ?) "
                "ON CONFLICT (target, identity) DO UPDATE SET digest = excluded.digest, run = excluded.run, "
                "label = CASE WHEN excluded.label <> '' THEN excluded.label ELSE label END",
                (self._target, identity, digest, now(), storable(label), self._run),
            )
            self._settle(connection, identity, record_id, modified, parts)

        await self.database.run(work)

    async def rollback_intent(self, identity: str) -> None:
        """Forgets an intent whose call was surely not executed; what was on record before it comes back."""

        def work(connection: sqlite3.Connection) -> None:
            row = (self._target, identity)
            connection.execute(
                "DELETE FROM journal WHERE target = ? AND identity = ? AND state = 'intent' AND prior = ''", row
            )
            columns = ("state", "digest", "operation", "label", "run", "code", "message", "intended_at", "settled_at")
            back = ", ".join(f"{name} = json_extract(prior, '$[{place}]')" for place, name in enumerate(columns))
            connection.execute(
                f"UPDATE journal SET {back}, prior = '' WHERE target = ? AND identity = ? AND state = 'intent'", row
            )

        await self.database.run(work)

    async def adopt(self, identity: str, record_id: str, *, modified: str = "", parts: Sequence[Part] = ()) -> bool:
        """Settles a row as done with a record that was found, unless another row has that record already."""

        def work(connection: sqlite3.Connection) -> bool:
            taken = connection.execute(
                "SELECT 1 FROM journal WHERE target = ? AND record_id = ? AND record_id <> '' AND identity <> ?",
                (self._target, record_id, identity),
            ).fetchone()
            if taken is None:
                self._settle(connection, identity, record_id, modified, parts)
            return taken is None

        return await self.database.run(work)

    async def knows_file(self, digest: str) -> bool:
        """Whether a file of that content was written or wholly pushed."""

        def work(connection: sqlite3.Connection) -> bool:
            return connection.execute("SELECT 1 FROM files WHERE digest = ?", (digest,)).fetchone() is not None

        return await self.database.run(work)

    async def note_file(self, digest: str) -> None:
        """Remembers the content of a file that was written or wholly pushed."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute("INSERT OR IGNORE INTO files VALUES (?)", (digest,))

        await self.database.run(work)

    def entry(self, connection: sqlite3.Connection, identity: str) -> Entry | None:
        """What is known of a row; None when nothing is. For use inside `Database.run`."""
        found = connection.execute(
            "SELECT digest, state, record_id, intended_at, operation, label, modified FROM journal "
            "WHERE target = ? AND identity = ?",
            (self._target, identity),
        ).fetchone()
        if found is None:
            return None
        digest, state, record_id, intended_at, operation, label, modified = found
        return Entry(
            identity=identity,
            digest=digest,
            state=state,
            record_id=record_id,
            intended_at=datetime.fromisoformat(intended_at),
            operation=operation,
            label=label,
            modified=modified,
        )

    def _settle(
        self,
        connection: sqlite3.Connection,
        identity: str,
        record_id: str,
        modified: str,
        parts: Sequence[Part],
    ) -> None:
        connection.execute(_SETTLE, self._outcome(identity, "done", record_id, modified, parts))

    def _outcome(
        self,
        identity: str,
        state: State,
        record_id: str,
        modified: str,
        parts: Sequence[Part],
        *,
        code: str = "",
        message: str = "",
    ) -> tuple[str, ...]:
        """A row for `_SETTLE`."""
        written = _written(parts) if parts else ""
        said = (storable(code), storable(message))
        return (state, *said, now(), record_id, modified, written, self._target, identity)


def _written(parts: Sequence[Part]) -> str:
    try:
        return msgspec.json.encode(parts).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode([[storable(word) for word in part] for part in parts]).decode()
