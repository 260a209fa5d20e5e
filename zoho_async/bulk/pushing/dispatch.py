"""Carries decisions out: reads, merges, has written, and looks up what nobody knows the outcome of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping
from functools import partial
from time import time
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import RUN_ENDING_ERRORS, StateError
from zoho_async.bulk.pushing.merge import Merged, merge
from zoho_async.bulk.results import RowOutcome, UnsettledError, done, failed, faulty, unknown
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Target, required_path
from zoho_async.bulk.rows.validate import WorkItem
from zoho_async.bulk.state.journal import Journal
from zoho_async.errors import Fault, NotFoundError, UnavailableError, ZohoError
from zoho_async.schema.registry import SECRETS
from zoho_async.transport.hooks import DispatchHook

from .call_control import CallControl, Stopped
from .index_queries import TargetRecord
from .prepare import Planner
from .routing import RoutedRow
from .write_policy import TRIES
from .writes import Stale, Unknown, Write, WriteExecutor, older, parts_of

MOST_REFUSALS = 8
"""So often a row is decided anew because a limit held its update back; then its call is left to end as others do."""
PUT_OFF = 200
"""So many rows of unknown outcome are looked up together, by one reading of the newest of the list."""

_json = msgspec.json.Encoder(decimal_format="number")


class RecordDeleted(Exception):  # noqa: N818 - a signal
    """A record that a decision speaks of is not there any more; nothing of the row was sent."""

    def __init__(self, record_id: str) -> None:
        super().__init__(record_id)
        self.record_id = record_id


class Dispatcher:
    """Carries decisions out, each to the outcome of its row."""

    def __init__(
        self, target: Target, options: Options, line: CallControl, journal: Journal, preparation: Planner
    ) -> None:
        self._target = target
        self._options = options
        self._line = line
        self._journal = journal
        self._preparation = preparation
        self._writer = WriteExecutor(line, journal, target.record_id)
        self._opened = False
        self._first = asyncio.Lock()
        self._deferred: list[RoutedRow] = []
        self.left = False
        """Whether a row was left to the next run, because the push was asked to end."""

    async def perform(self, decision: RoutedRow) -> RowOutcome | None:
        """The outcome of one row; None when it is put off until `settle`, or left to the next run."""
        job = decision.job
        while True:
            gone = ""
            throttle_count = decision.throttle_count
            try:
                return _doubted(decision, await self._alone(decision))
            except Stopped:
                return self._left(decision)
            except Unknown as signal:
                if decision.tries >= TRIES:
                    return unknown(job, signal.error)
                if not signal.alone or _is_listed(decision):
                    # One look at the list does for all that are put off.
                    self._deferred.append(decision)
                    return None
                await asyncio.sleep(self._line.pause)
            except Stale:
                # What a limit has held back has not used up its turns.
                decision.again += decision.throttle_count == throttle_count
            except RecordDeleted as signal:
                gone = signal.record_id
            except StateError:
                raise
            except Exception as error:  # noqa: BLE001 - of one row, nearly always of reading its record
                return self._unread(decision, error)
            try:
                decision = await self._anew(decision, gone)
            except Stopped:
                return self._left(decision)
            except ZohoError as error:
                # The list cannot be read any more.
                self._line.end(error)
                if isinstance(error, RUN_ENDING_ERRORS) and not decision.tries:
                    raise
                return self._left(decision)

    async def _anew(self, decision: RoutedRow, gone: str) -> RoutedRow:
        known = decision.known
        if not gone and known.gone and known.entry is not None:
            # It has not come back while the row waited.
            gone = known.entry.record_id
        (fresh,) = await self._preparation.decide([decision.job], gone=gone)
        fresh.tries, fresh.throttle_count, fresh.again = decision.tries, decision.throttle_count, decision.again
        return fresh

    def _unread(self, decision: RoutedRow, error: Exception) -> RowOutcome | None:
        """The outcome of a row whose record cannot be read, or worse."""
        if decision.outcome_unknown:
            return unknown(decision.job, error)
        if isinstance(error, RUN_ENDING_ERRORS):
            raise error
        if isinstance(error, UnavailableError) and self._line.closed:
            return self._left(decision)
        return failed(decision.job, error)

    def _left(self, decision: RoutedRow) -> RowOutcome | None:
        """The outcome of a row that cannot be gone on with now; none when nothing of it was sent."""
        if decision.tries:
            return unknown(decision.job, UnsettledError())
        self.left = True
        return None

    async def _alone(self, decision: RoutedRow) -> RowOutcome:
        """The first call goes alone: wrong credentials or a missing scope must cost one call, not ten."""
        if not self._opened and decision.action not in ("refuse", "unchanged", "skip", "unknown"):
            async with self._first:
                if self._line.closed:
                    raise Stopped
                if not self._opened:
                    try:
                        outcome = await self._ending(decision)
                    except Unknown:
                        self._opened = True
                        raise
                    self._opened = True
                    return outcome
        return await self._ending(decision)

    async def _ending(self, decision: RoutedRow) -> RowOutcome:
        try:
            return await self._carry_out(decision)
        except RUN_ENDING_ERRORS as error:
            self._line.end(error)
            raise

    async def _carry_out(self, decision: RoutedRow) -> RowOutcome:
        job = decision.job
        match decision.action:
            case "refuse":
                return faulty(job)
            case "unchanged":
                assert decision.known.entry is not None
                return done(job, "unchanged", decision.known.entry.record_id)
            case "skip":
                assert decision.record is not None
                return done(job, "skipped", decision.record.record_id)
            case "unknown":
                return await self._undecided(job, UnsettledError())
            case "update":
                return await self._update(decision)
            case "link_existing":
                return await self._link_existing(decision)
            case "confirm_exists":
                return await self._confirm_exists(decision)
            case "upsert" | "create":
                return await self._send(decision)

    # -- records that are there

    async def _record(self, job: WorkItem, found: TargetRecord, *, turn: bool = True) -> dict[str, Any]:
        """The record as it is now."""
        if found.row:
            row: dict[str, Any] = msgspec.json.decode(found.row)
            return row
        try:
            return await self._line.read(partial(self._target.get, found.record_id, job.parent), turn=turn)
        except NotFoundError:
            raise RecordDeleted(found.record_id) from None

    async def _update(self, decision: RoutedRow) -> RowOutcome:
        # Others between the two would have what was read grow old.
        async with self._line.turn():
            return await self._read_and_update(decision)

    async def _read_and_update(self, decision: RoutedRow) -> RowOutcome:
        job, found = decision.job, decision.record
        assert found is not None
        waits = self._line.waits
        record = await self._record(job, found, turn=False)
        read_at = time()
        if self._has_moved(decision, found, record):
            job.faults = (_moved(job.key_field, found.record_id),)
            return faulty(job)
        merged = merge_job(self._target, job, record)
        if merged.faults:
            job.faults = merged.faults
            return faulty(job)
        if not merged.changes:
            await self._journal.record_done(
                job.row_key,
                job.content_hash,
                display_key=job.display_key,
                record_id=found.record_id,
                parts=parts_of(record),
            )
            outcome = done(job, "unchanged", found.record_id, warning=merged.warning)
            return msgspec.structs.replace(outcome, action="settled") if decision.outcome_unknown else outcome
        operation = self._target.operations["update"]
        (place,) = required_path(operation)

        async def record_intent() -> None:
            image = (found.record_id, _json.encode(_without_secrets(record)))
            await self._journal.record_intent(
                job.row_key, job.content_hash, operation="update", display_key=job.display_key, image=image
            )

        async def update(hook: DispatchHook) -> Any:
            path = {place: found.record_id}
            return await self._target.send(operation, path=path, body=merged.changes, hook=hook, priority=True)

        def is_stale(refused: bool) -> bool:
            if found.row:
                # A list's row is as old as the list: there is nothing newer to be read.
                return self._is_stale(decision)
            if waits != self._line.waits or (refused and decision.throttle_count < MOST_REFUSALS):
                return True
            # At a low pace every call waits long: to read once more does no good.
            return not decision.again and older(read_at)

        write = Write(
            decision=decision,
            action="updated",
            record_id=found.record_id,
            warning=merged.warning,
            idempotent_by_key=bool(self._options.upsert_by),
            record_intent=record_intent,
            call=update,
            is_stale=is_stale,
        )
        return await self._writer.write(write, turn=False)

    def _has_moved(self, decision: RoutedRow, found: TargetRecord, record: Mapping[str, Any]) -> bool:
        """Whether a record that the list had under the row's key has another one by now."""
        job, entry = decision.job, decision.known.entry
        if job.record_id or found.match != job.key or (entry is not None and entry.record_id == found.record_id):
            return False
        return self._preparation.index.key(record) not in ("", job.key)

    async def _link_existing(self, decision: RoutedRow) -> RowOutcome:
        """A record with the key of a row whose call has an unknown outcome: the row's, if it says what the row says."""
        job, found = decision.job, decision.record
        assert found is not None
        try:
            record = await self._record(job, found)
        except RecordDeleted:
            return await self._undecided(job, UnsettledError())
        merged = merge_job(self._target, job, record)
        differs = ", ".join(merged.changes) or ", ".join(fault.path for fault in merged.faults)
        parts = parts_of(record)
        if not differs and await self._journal.link_existing(job.row_key, found.record_id, parts=parts):
            return done(job, "settled", found.record_id)
        if self._options.on_existing == "skip":
            return done(job, "skipped", found.record_id)
        return await self._undecided(job, UnsettledError(found.record_id if differs else "", differs))

    async def _confirm_exists(self, decision: RoutedRow) -> RowOutcome:
        """The list does not show a record that should be there: it was deleted, or the list has missed it."""
        job, found, entry = decision.job, decision.record, decision.known.entry
        assert found is not None
        await self._record(job, found)
        same = entry is not None and (entry.state, entry.content_hash) == ("done", job.content_hash)
        return done(job, "unchanged" if same else "skipped", found.record_id)

    # -- records that are not

    async def _send(self, decision: RoutedRow) -> RowOutcome:
        job, options = decision.job, self._options
        name = "upsert" if options.upsert_by else "create"
        operation = self._target.operations[name]
        headers: dict[str, Any] = {}
        if options.upsert_by:
            key = {"X-Unique-Identifier-Key": options.upsert_by, "X-Unique-Identifier-Value": job.key}
            headers = {**key, "X-Upsert": True}

        async def record_intent() -> None:
            await self._journal.record_intent(
                job.row_key, job.content_hash, operation=name, display_key=job.display_key
            )

        async def create(hook: DispatchHook) -> Any:
            return await self._target.send(operation, headers=headers, body=job.body, hook=hook)

        write = Write(
            decision=decision,
            action="created",
            idempotent_by_key=bool(options.upsert_by),
            record_intent=record_intent,
            call=create,
            is_stale=lambda refused: self._is_stale(decision),
        )
        return await self._writer.write(write)

    def _is_stale(self, decision: RoutedRow) -> bool:
        if not self._options.follows(self._target.natural):
            return False
        if decision.waits != self._line.waits:
            return True
        index, parent = self._preparation.index, decision.job.parent
        # At a low pace the list grows old, or is read by others, while a call waits: sometime it must go out.
        return decision.again < TRIES and (index.stale(parent) or decision.version != index.version(parent))

    # -- outcomes nobody knows

    @property
    def waiting(self) -> bool:
        """Whether any row is put off."""
        return bool(self._deferred)

    @property
    def due(self) -> bool:
        """Whether so many rows are put off that it is time to settle them."""
        return len(self._deferred) >= PUT_OFF

    async def settle(self) -> AsyncGenerator[RowOutcome, None]:
        """Looks up what was put off, and sends again what is not there: ends when nothing is put off any more."""
        while self._deferred:
            waiting, self._deferred = self._deferred, []
            decisions = await self._looked_up(waiting)
            for old, decision in zip(waiting, decisions, strict=True):
                outcome = None if decision is None else await self.perform(decision)
                if outcome is not None:
                    yield outcome
                elif not any(one.job is old.job for one in self._deferred):
                    # Left to the next run.
                    yield unknown(old.job, UnsettledError())

    async def _looked_up(self, waiting: list[RoutedRow]) -> list[RoutedRow] | list[None]:
        """Fresh decisions; none when the push has ended or is asked to."""
        try:
            if not self._line.closed:
                await asyncio.sleep(self._line.pause)
                await self._preparation.index.again({one.job.parent for one in waiting})
                fresh = await self._preparation.decide([one.job for one in waiting])
                for old, decision in zip(waiting, fresh, strict=True):
                    decision.tries = old.tries
                return fresh
        except ZohoError as error:
            self._line.end(error)
        except Stopped:
            pass
        return [None] * len(waiting)

    async def _undecided(self, job: WorkItem, error: Exception) -> RowOutcome:
        await self._journal.record_outcome(job.row_key, "unknown")
        return unknown(job, error)


def _is_listed(decision: RoutedRow) -> bool:
    """Whether a record is known by its list alone, so that it cannot be read by itself."""
    return decision.record is not None and bool(decision.record.row)


def _doubted(decision: RoutedRow, outcome: RowOutcome) -> RowOutcome:
    """The same outcome; unknown where a row is refused for how things stand after a call that may have made them so."""
    refused = outcome.faults or isinstance(outcome.error, NotFoundError)
    if outcome.status == "failed" and refused and decision.outcome_unknown:
        return msgspec.structs.replace(outcome, status="unknown")
    return outcome


def _without_secrets(value: Any) -> Any:
    """A record without the numbers of its cards and accounts: an update does not change them."""
    if is_mapping(value):
        return {name: _without_secrets(item) for name, item in value.items() if name not in SECRETS}
    return [_without_secrets(item) for item in value] if is_sequence(value) else value


def _moved(field: str, record_id: str) -> Fault:
    message = f"had record {record_id} when the list was read, which has another value now; push again"
    return Fault(path=field, rule="moved", message=message)


def merge_job(target: Target, job: WorkItem, record: Mapping[str, Any]) -> Merged:
    """What an update has to send so that a record says what a row says."""
    body = {name: value for name, value in job.body.items() if name != target.natural.parent}
    merged = merge(
        record, body, cleared=job.cleared, places=job.places, rules=target.rules, schema=target.update_schema
    )
    required = target.rules.get(target.update_schema, {}).get(target.natural.parent)
    if merged.changes and required is not None:
        merged.changes[target.natural.parent] = job.parent
    return merged
