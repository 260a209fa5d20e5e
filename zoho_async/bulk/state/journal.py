"""What was begun and what came of it, so that a killed run can go on: one row of a table for every row of the input.

An intent is committed before its call is sent, the outcome after the response. The table holds keys and names of rows,
digests, ids and Zoho's words, and beside it, for what is overwritten, the record as it was; no credentials.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Literal

import msgspec

from .database import Database, now, sqlite_text

JournalState = Literal["intent", "done", "failed", "unknown"]

ChildId = tuple[str, str, str]
"""Part of a record, its key in the row, its id: ("contact_person", "ann@example.com", "460000000026051")."""


_RECORD_INTENT = """
    INSERT INTO journal (target, identity, digest, state, intended_at, operation, label, run)
    VALUES (?, ?, ?, 'intent', ?, ?, ?, ?)
    ON CONFLICT (target, identity) DO UPDATE SET
    prior = json_array(CASE state WHEN 'intent' THEN 'unknown' ELSE state END, digest, operation, label, run, code,
        message, intended_at, settled_at),
    intended_at = excluded.intended_at,
    label = CASE WHEN excluded.label <> '' THEN excluded.label ELSE label END,
    digest = excluded.digest, state = 'intent', operation = excluded.operation, run = excluded.run,
    settled_at = '', code = '', message = ''
"""
"""An intent that is written over is a call of a run that was killed: of unknown outcome."""

_RECORD_OUTCOME = """
    UPDATE journal SET state = ?, code = ?, message = ?, settled_at = ?, prior = '',
    record_id = coalesce(nullif(?, ''), record_id), modified = ?,
    parts = coalesce(nullif(?, ''), parts)
    WHERE target = ? AND identity = ?
"""


_KEYLESS = "[0-9a-f]" * 32 + "#[0-9]*"
"""Identities of rows without a key, as earlier versions wrote them: hash of the content and number of the row."""


class Entry(msgspec.Struct, frozen=True, kw_only=True):
    """What the journal knows of one row."""

    row_key: str
    content_hash: str
    state: JournalState
    record_id: str
    operation: str = ""
    """create, upsert, update; empty when that is not known."""
    display_key: str = ""
    """The row's key, or the name it was sent under."""


class Journal:
    """The rows of one target, in a database that is open and holds any number of targets.

    `run` is the run's number (`runs.begin`), written beside what it does. Every method raises StateError when the
    file cannot be written.
    """

    def __init__(self, database: Database, target: str, run: int = 0) -> None:
        self.database = database
        self._target = target
        self._run = run
        self._keyless_rows: int | None = None

    async def entries(self, row_keys: Sequence[str]) -> dict[str, Entry]:
        """What is known of rows, by their keys; rows nothing is known of are absent."""

        def work(connection: sqlite3.Connection) -> dict[str, Entry]:
            found = (self.entry(connection, row_key) for row_key in row_keys)
            return {entry.row_key: entry for entry in found if entry is not None}

        return await self.database.run(work)

    def owner(self, connection: sqlite3.Connection, record_id: str) -> str:
        """The key of the row that has a record, the one recorded last if several have it; empty when none has.
        For use inside `Database.run`."""
        found = connection.execute(
            "SELECT identity FROM journal WHERE target = ? AND record_id = ? AND record_id <> '' "
            "ORDER BY settled_at DESC, identity LIMIT 1",
            (self._target, record_id),
        ).fetchone()
        return "" if found is None else str(found[0])

    def keyless(self, connection: sqlite3.Connection, content_hash: str, names: Sequence[str]) -> list[Entry]:
        """Entries of an earlier version that gave rows without a field to match by no key: by content, name or e-mail.

        What is done comes first, then what has the same content. For use inside `Database.run`.
        """
        if self._keyless_rows == 0:
            return []
        # One pass through the journal a run; nothing of it is in the file.
        connection.execute(
            "CREATE TEMP TABLE IF NOT EXISTS keyless AS SELECT identity, substr(identity, 1, 32) AS content, label "
            "FROM journal WHERE target = ? AND identity GLOB ?",
            (self._target, _KEYLESS),
        )
        for column in ("content", "label"):
            connection.execute(f"CREATE INDEX IF NOT EXISTS temp.keyless_{column} ON keyless ({column})")
        if self._keyless_rows is None:
            (self._keyless_rows,) = connection.execute("SELECT COUNT(*) FROM temp.keyless").fetchone()
        found = connection.execute(
            "SELECT journal.identity FROM temp.keyless JOIN journal USING (identity) WHERE journal.target = ? AND "
            f"(content = ? OR keyless.label IN ({', '.join('?' * len(names))})) "
            "ORDER BY state = 'done' DESC, content = ? DESC, intended_at, journal.identity",
            (self._target, content_hash, *names, content_hash),
        ).fetchall()
        return [entry for (one,) in found if (entry := self.entry(connection, one)) is not None]

    def sort_checked(self, connection: sqlite3.Connection) -> tuple[list[int], bool]:
        """Sorts the table of checked rows: what was refused as it is comes last, the longest ago first.

        Returns the values of its column `turn`, in their order, and whether any row is not done. For use inside
        `Database.run`.
        """
        same = "target = ? AND journal.identity = checked.identity AND journal.digest = checked.digest"
        refused = f"SELECT max(run, 1) FROM journal WHERE {same} AND state = 'failed'"
        some = "SELECT 1 FROM journal WHERE target = ? AND state = 'failed' LIMIT 1"
        if connection.execute(some, (self._target,)).fetchone() is not None:
            connection.execute(f"UPDATE temp.checked SET turn = coalesce(({refused}), 0)", (self._target,))
        remaining = connection.execute(
            f"SELECT 1 FROM temp.checked WHERE NOT EXISTS (SELECT 1 FROM journal WHERE {same} AND state = 'done') "
            "LIMIT 1",
            (self._target,),
        ).fetchone()
        turns = connection.execute("SELECT DISTINCT turn FROM temp.checked ORDER BY turn").fetchall()
        return [turn for (turn,) in turns], remaining is not None

    def give_key(self, connection: sqlite3.Connection, identity: str, row_key: str, content_hash: str) -> None:
        """Calls an entry by its row's key from now on. For use inside `Database.run`."""
        # A row with the content that was first sent says nothing new, though it was corrected since.
        connection.execute(
            "UPDATE journal SET identity = ?, digest = CASE WHEN substr(identity, 1, 32) = ? THEN ? ELSE digest END "
            "WHERE target = ? AND identity = ?",
            (row_key, content_hash, content_hash, self._target, identity),
        )

    async def record_intent(
        self,
        row_key: str,
        content_hash: str,
        *,
        operation: str,
        display_key: str = "",
        image: tuple[str, bytes] | None = None,
    ) -> None:
        """Returns when it is on record that the row is about to be sent.

        `image`: id of the record that will be overwritten and its JSON as it is. The image stays when the intent is
        rolled back.
        """

        moment = now()
        row = (self._target, row_key, content_hash, moment, operation, sqlite_text(display_key), self._run)
        if image is None:
            await self.database.write(_RECORD_INTENT, row)
            return

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO images (target, run, identity, record_id, taken_at, image) VALUES (?, ?, ?, ?, ?, ?)",
                (self._target, self._run, row_key, image[0], moment, image[1]),
            )
            connection.execute(_RECORD_INTENT, row)

        await self.database.run(work)

    async def record_outcome(
        self,
        row_key: str,
        state: JournalState,
        *,
        record_id: str = "",
        child_ids: Sequence[ChildId] = (),
        modified: str = "",
        code: str = "",
        message: str = "",
    ) -> None:
        """Returns when the outcome of an intent is on record. An empty `record_id` and empty `parts` leave
        what is known already. `modified`: the record's `last_modified_time` as Zoho answered the write."""

        row = self._outcome(row_key, state, record_id, child_ids, modified=modified, code=code, message=message)
        await self.database.write(_RECORD_OUTCOME, row)

    async def record_done(
        self,
        row_key: str,
        content_hash: str,
        *,
        display_key: str,
        record_id: str,
        child_ids: Sequence[ChildId] = (),
    ) -> None:
        """Puts on record that a row is done without a call, whether the journal knew of it or not."""

        def work(connection: sqlite3.Connection) -> None:
            connection.execute(
                "INSERT INTO journal (target, identity, digest, state, intended_at, label, run) "
                "VALUES (?, ?, ?, 'done', ?, ?, ?) "
                "ON CONFLICT (target, identity) DO UPDATE SET digest = excluded.digest, run = excluded.run, "
                "label = CASE WHEN excluded.label <> '' THEN excluded.label ELSE label END",
                (self._target, row_key, content_hash, now(), sqlite_text(display_key), self._run),
            )
            self._record_done(connection, row_key, record_id, child_ids)

        await self.database.run(work)

    async def rollback_intent(self, row_key: str) -> None:
        """Forgets an intent whose call was surely not executed; what was on record before it comes back."""

        def work(connection: sqlite3.Connection) -> None:
            row = (self._target, row_key)
            connection.execute(
                "DELETE FROM journal WHERE target = ? AND identity = ? AND state = 'intent' AND prior = ''", row
            )
            columns = ("state", "digest", "operation", "label", "run", "code", "message", "intended_at", "settled_at")
            back = ", ".join(f"{name} = json_extract(prior, '$[{place}]')" for place, name in enumerate(columns))
            connection.execute(
                f"UPDATE journal SET {back}, prior = '' WHERE target = ? AND identity = ? AND state = 'intent'", row
            )

        await self.database.run(work)

    async def link_existing(self, row_key: str, record_id: str, *, child_ids: Sequence[ChildId] = ()) -> bool:
        """Records a row as done with a record that was found, unless another row has that record already."""

        def work(connection: sqlite3.Connection) -> bool:
            taken = connection.execute(
                "SELECT 1 FROM journal WHERE target = ? AND record_id = ? AND record_id <> '' AND identity <> ?",
                (self._target, record_id, row_key),
            ).fetchone()
            if taken is None:
                self._record_done(connection, row_key, record_id, child_ids)
            return taken is None

        return await self.database.run(work)

    def entry(self, connection: sqlite3.Connection, row_key: str) -> Entry | None:
        """What is known of a row; None when nothing is. For use inside `Database.run`."""
        found = connection.execute(
            "SELECT digest, state, record_id, operation, label FROM journal WHERE target = ? AND identity = ?",
            (self._target, row_key),
        ).fetchone()
        if found is None:
            return None
        digest, state, record_id, operation, label = found
        return Entry(
            row_key=row_key,
            content_hash=digest,
            state=state,
            record_id=record_id,
            operation=operation,
            display_key=label,
        )

    def _record_done(
        self,
        connection: sqlite3.Connection,
        row_key: str,
        record_id: str,
        child_ids: Sequence[ChildId],
    ) -> None:
        connection.execute(_RECORD_OUTCOME, self._outcome(row_key, "done", record_id, child_ids))

    def _outcome(
        self,
        row_key: str,
        state: JournalState,
        record_id: str,
        child_ids: Sequence[ChildId],
        *,
        modified: str = "",
        code: str = "",
        message: str = "",
    ) -> tuple[str, ...]:
        """A row for `_RECORD_OUTCOME`."""
        written = _written(child_ids) if child_ids else ""
        reason = (sqlite_text(code), sqlite_text(message))
        return (state, *reason, now(), record_id, modified, written, self._target, row_key)


def _written(child_ids: Sequence[ChildId]) -> str:
    try:
        return msgspec.json.encode(child_ids).decode()
    except UnicodeEncodeError:
        return msgspec.json.encode([[sqlite_text(word) for word in part] for part in child_ids]).decode()
