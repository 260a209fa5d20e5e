"""Carries decisions out: reads, merges, writes, and looks up what nobody knows the outcome of."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from contextlib import aclosing
from datetime import timedelta
from time import monotonic
from typing import Any

import msgspec

from zoho_async.errors import DecodeError, DuplicateError, InvalidError, NotFoundError, ZohoError

from .index import Found, made_at
from .journal import Journal, Part
from .line import Line, Stopped
from .mapping import FATAL, Status, status_of
from .merging import Merged, merge
from .narrow import is_list, is_mapping
from .options import Options
from .outcomes import NAME_TAKEN, Action, RowOutcome, UnsettledError
from .preparing import Preparation
from .routes import Decision, may_repeat
from .rows import Job, matchable
from .target import Target, required_path

Before = Callable[[], Awaitable[None]]
"""What is done in a call's last moment before the wire."""

TRIES = 3
"""How often a row is sent whose outcome stays unknown."""
FRESH = 15.0
"""Seconds after which a record is read again before it is written: others may have added to it."""
PUT_OFF = 200
"""So many rows of unknown outcome are looked up together, by one reading of the newest of the list."""

_OVERWRITTEN = (
    "somebody has made a record with this key since the list was read, and the upsert has written over it: contact "
    "persons that the row does not have are gone"
)


class _Stale(Exception):  # noqa: N818 - a signal
    """What a decision was made upon is too old by now."""


_json = msgspec.json.Encoder(decimal_format="number")


class Sender:
    """Carries decisions out, each to the outcome of its row."""

    def __init__(
        self, target: Target, options: Options, line: Line, journal: Journal, preparation: Preparation
    ) -> None:
        self._target = target
        self._options = options
        self._line = line
        self._journal = journal
        self._preparation = preparation
        self._opened = False
        self._first = asyncio.Lock()
        self._deferred: list[Decision] = []
        self._deferrals: Counter[str] = Counter()
        self._redecided: set[int] = set()
        self.left = False
        """Whether a row was left to the next run, because the push was asked to end."""

    async def perform(self, decision: Decision) -> RowOutcome | None:
        """The outcome of one row; None when it is put off until `settle`, or left to the next run."""
        job = decision.job
        match decision.route:
            case "refuse":
                return faulty(job)
            case "skip":
                assert decision.known.entry is not None
                return done(job, "unchanged", decision.known.entry.record_id)
            case "unknown":
                await self._journal.settle(job.identity, "unknown")
                return unknown(job, UnsettledError())
            case _:
                pass
        try:
            return await self._alone(decision)
        except Stopped:
            self.left = True
            return None
        except _Stale:
            pass
        # Once is enough: the list has just been read.
        self._redecided.add(job.row.number)
        try:
            (fresh,) = await self._preparation.decide([job])
            return await self.perform(fresh)
        except (ZohoError, Stopped) as error:
            if isinstance(error, FATAL):
                self._line.end(error)
                raise
            # The list cannot be read now, or not any more; nothing of the row was sent.
            self.left = True
            return None
        finally:
            self._redecided.discard(job.row.number)

    async def _alone(self, decision: Decision) -> RowOutcome | None:
        """The first call goes alone: wrong credentials or a missing scope must cost one call, not ten."""
        if not self._opened:
            async with self._first:
                if self._line.ended is not None:
                    raise self._line.ended
                if not self._opened:
                    outcome = await self._ending(decision)
                    self._opened = True
                    return outcome
        return await self._ending(decision)

    async def _ending(self, decision: Decision) -> RowOutcome | None:
        try:
            return await self._carry_out(decision)
        except FATAL as error:
            self._line.end(error)
            raise

    async def _carry_out(self, decision: Decision) -> RowOutcome | None:
        match decision.route:
            case "update":
                return await self._update(decision)
            case "adopt":
                return await self._adopt(decision)
            case "verify":
                return await self._verify(decision)
            case _:
                return await self._send(decision)

    # -- records that are there

    async def _record(self, found: Found) -> dict[str, Any] | None:
        """The record as it is now, or None when it is gone."""
        if found.row:
            row: dict[str, Any] = msgspec.json.decode(found.row)
            return row
        resource = self._target.resource

        async def get() -> Any:
            return await resource.get(found.record_id, type=dict[str, Any])

        try:
            record: dict[str, Any] = await self._line.read(get)
        except NotFoundError:
            return None
        return record

    async def _update(self, decision: Decision) -> RowOutcome | None:
        job, found = decision.job, decision.record
        assert found is not None
        record = await self._record(found)
        read_at = monotonic()
        if record is None:
            # Gone since the list was read.
            return await self._send(msgspec.structs.replace(decision, record=None))
        merged = merge_job(self._target, job, record)
        if merged.faults:
            job.faults = merged.faults
            return faulty(job)
        if not merged.changes:
            await self._journal.note(
                job.identity, job.digest, label=job.label, record_id=found.record_id, parts=parts_of(record)
            )
            return done(job, "settled" if decision.known.begun else "unchanged", found.record_id, merged)
        operation = self._target.operations["update"]
        (place,) = required_path(operation)

        async def intend() -> None:
            image = (found.record_id, _json.encode(record))
            await self._journal.intend(job.identity, job.digest, operation="update", label=job.label, image=image)

        async def update(before: Before) -> Any:
            path = {place: found.record_id}
            return await self._target.send(operation, path=path, body=merged.changes, before=before, ahead=True)

        # A list's row is as old as the list: there is nothing newer to be read.
        fresh = None if found.row else read_at
        return await self._written(decision, intend, update, "updated", merged, found.record_id, fresh)

    async def _adopt(self, decision: Decision) -> RowOutcome | None:
        """A record that was made after a call of unknown outcome: the row's, if it says what the row says."""
        job, found = decision.job, decision.record
        assert found is not None
        record = await self._record(found)
        differs = ""
        if record is not None:
            merged = merge_job(self._target, job, record)
            differs = ", ".join(merged.changes) or ", ".join(fault.path for fault in merged.faults)
            parts = parts_of(record)
            if not differs and await self._journal.adopt(job.identity, found.record_id, parts=parts):
                return done(job, "settled", found.record_id)
        await self._journal.settle(job.identity, "unknown")
        return unknown(job, UnsettledError(found.record_id if differs else "", differs))

    async def _verify(self, decision: Decision) -> RowOutcome | None:
        """The list does not have a record that an earlier run made: it is gone, or the list has skipped it."""
        job, found = decision.job, decision.record
        assert found is not None
        record = await self._record(found)
        if record is not None:
            return done(job, "unchanged", found.record_id)
        return await self._send(decision)

    # -- records that are not

    async def _send(self, decision: Decision) -> RowOutcome | None:
        job = decision.job
        name = "upsert" if self._options.upsert_by else "create"
        headers: dict[str, Any] = {}
        if self._options.upsert_by:
            key = {"X-Unique-Identifier-Key": self._options.upsert_by, "X-Unique-Identifier-Value": job.key}
            headers = {**key, "X-Upsert": True}

        async def intend() -> None:
            await self._journal.intend(job.identity, job.digest, operation=name, label=job.label)

        async def create(before: Before) -> Any:
            operation = self._target.operations[name]
            return await self._target.send(operation, headers=headers, body=job.body, before=before)

        return await self._written(decision, intend, create, "created", None, "")

    async def _written(
        self,
        decision: Decision,
        intend: Before,
        call: Callable[[Before], Awaitable[Any]],
        action: Action,
        merged: Merged | None,
        record_id: str,
        read_at: float | None = None,
    ) -> RowOutcome | None:
        job, journal = decision.job, self._journal
        summary = self._line.summary
        uncertain: ZohoError | None = None
        intended = False
        tries = 0

        async def before() -> None:
            # As late as can be: what a killed run has only meant to send need not be looked up.
            nonlocal intended
            self._line.let_out()
            if uncertain is None and self._is_stale(decision, read_at, refused=intended):
                # It has waited so long that somebody else may have made or changed the record.
                raise _Stale
            if not intended:
                await intend()
                intended = True

        while True:
            tries += 1
            summary.writes += 1
            try:
                record = await self._line.patient(lambda: call(before))
            except (Stopped, _Stale):
                summary.writes -= 1
                if uncertain is not None:
                    return await self._undecided(job, uncertain)
                if intended:
                    # Refused for a limit, and not sent again.
                    await journal.withdraw(job.identity)
                raise
            except DecodeError as error:
                # Zoho has acted; only what it answered cannot be read.
                if self._must_be_found(record_id):
                    return await self._put_off(decision, error)
                await journal.settle(job.identity, "done", record_id=record_id)
                return msgspec.structs.replace(done(job, action, record_id, merged), error=error)
            except ZohoError as error:
                if error.sent is False:
                    summary.writes -= 1
                if isinstance(error, FATAL):
                    # What Zoho refuses for such a reason it has not executed.
                    if intended and uncertain is None and error.sent is not None:
                        await journal.withdraw(job.identity)
                    raise
                self._line.count_sick(error)
                unclear = status_of(error) == "unknown"
                perhaps_there = uncertain is not None or (decision.known.begun and not self._options.upsert_by)
                if unclear or (perhaps_there and _is_name_taken(error)):
                    uncertain = error
                    if action == "updated" or tries >= TRIES:
                        return await self._undecided(job, error)
                    if not self._options.upsert_by and self._target.natural.name:
                        return await self._put_off(decision, error)
                    await asyncio.sleep(self._line.pause)
                    if self._options.upsert_by:
                        continue
                    settled = await self._among_siblings(decision)
                    if settled is not None:
                        return settled
                    if not self._may_repeat(decision):
                        return await self._undecided(job, error)
                    continue
                code = "" if error.code is None else str(error.code)
                if not intended:
                    # Refused on our side; its outcome is on record all the same.
                    await intend()
                if isinstance(error, NotFoundError) and action == "updated":
                    await journal.withdraw(job.identity)
                    return RowOutcome(row=job.row, status="failed", action="none", error=error)
                state: Status = "failed" if uncertain is None else "unknown"
                await journal.settle(job.identity, state, code=code, message=error.message or type(error).__name__)
                faults = error.faults if isinstance(error, InvalidError) else ()
                return RowOutcome(row=job.row, status=state, action="none", faults=faults, error=error)
            except Exception as error:  # noqa: BLE001 - no error of a call, so nothing was sent; one row must not harm the others
                summary.writes -= 1
                if uncertain is not None:
                    return await self._undecided(job, error)
                if intended:
                    await journal.withdraw(job.identity)
                return RowOutcome(row=job.row, status="failed", action="none", error=error)
            self._line.count_sick(None)
            made = record_id or str(_member(record, self._target.record_id) or "")
            if self._must_be_found(made):
                return await self._put_off(decision, UnsettledError())
            await journal.settle(job.identity, "done", record_id=made, parts=parts_of(record))
            if action == "created" and tries == 1 and decision.known.entry is None and _was_there(record):
                return done(job, "updated", made, warning=_OVERWRITTEN)
            return done(job, action, made, merged)

    def _is_stale(self, decision: Decision, read_at: float | None, *, refused: bool) -> bool:
        if read_at is not None and refused:
            # It had to wait for a limit, however long.
            return True
        if decision.job.row.number in self._redecided:
            return False
        if read_at is not None:
            return monotonic() - read_at > FRESH
        if not self._options.field:
            return False
        return self._preparation.index.stale or decision.version != self._preparation.index.version

    # -- outcomes nobody knows

    def _may_repeat(self, decision: Decision) -> bool:
        return may_repeat(decision.job, decision.known, self._options)

    def _must_be_found(self, record_id: str) -> bool:
        """Whether a record that was made is known by nothing, until it is found by its name."""
        return not record_id and not self._options.upsert_by and bool(self._target.natural.name)

    async def _put_off(self, decision: Decision, error: Exception) -> RowOutcome | None:
        """Leaves a row to `settle`: one look at the list does for all that are put off."""
        identity = decision.job.identity
        self._deferrals[identity] += 1
        if self._deferrals[identity] >= TRIES:
            return await self._undecided(decision.job, error)
        await self._journal.settle(identity, "unknown")
        self._deferred.append(decision)
        return None

    @property
    def due(self) -> bool:
        """Whether so many rows are put off that it is time to settle them."""
        return len(self._deferred) >= PUT_OFF

    async def settle(self) -> AsyncGenerator[RowOutcome, None]:
        """Looks up what was put off, and sends again what is not there: ends when nothing is put off any more."""
        while self._deferred:
            waiting, self._deferred = self._deferred, []
            decisions = await self._looked_up([decision.job for decision in waiting])
            for number, decision in enumerate(decisions):
                try:
                    outcome = await self.perform(decision)
                except FATAL:
                    # It has ended the push; these stay as the journal has them.
                    del decisions[number:]
                    break
                if outcome is not None:
                    yield outcome
                elif not any(one.job is decision.job for one in self._deferred):
                    # Left to the next run.
                    yield unknown(decision.job, UnsettledError())
            looked = {decision.job.row.number for decision in decisions}
            for decision in waiting:
                if decision.job.row.number not in looked:
                    yield unknown(decision.job, UnsettledError())

    async def _looked_up(self, jobs: list[Job]) -> list[Decision]:
        """Fresh decisions; none when the push has ended or is asked to."""
        if self._line.ended is not None or self._line.stopped:
            return []
        try:
            await asyncio.sleep(self._line.pause)
            await self._preparation.index.again()
            return await self._preparation.decide(jobs)
        except ZohoError as error:
            self._line.end(error)
        except Stopped:
            pass
        return []

    async def _among_siblings(self, decision: Decision) -> RowOutcome | None:
        """A create whose record is found among those of its parent."""
        job, target, field = decision.job, self._target, self._options.match_by
        if not field:
            return None

        found: list[str] = []
        try:
            async with aclosing(self._preparation.index.pages(job.parent)) as pages:
                async for rows in pages:
                    found += [
                        str(row.get(target.record_id)) for row in rows if matchable(row.get(field), field) == job.key
                    ]
        except ZohoError as failure:
            if isinstance(failure, FATAL):
                raise
            # It cannot be looked up now; it must not be sent again for that.
            return await self._undecided(job, failure)
        except Stopped:
            return await self._undecided(job, UnsettledError())
        if not found:
            return None
        if len(found) == 1 and await self._journal.adopt(job.identity, found[0]):
            return done(job, "settled", found[0])
        return await self._undecided(job, UnsettledError())

    async def _undecided(self, job: Job, error: Exception) -> RowOutcome:
        await self._journal.settle(job.identity, "unknown")
        return unknown(job, error)


def merge_job(target: Target, job: Job, record: Mapping[str, Any]) -> Merged:
    """What an update has to send so that a record says what a row says."""
    body = {name: value for name, value in job.body.items() if name != target.natural.parent}
    merged = merge(
        record, body, cleared=job.cleared, places=job.places, rules=target.rules, schema=target.update_schema
    )
    required = target.rules.get(target.update_schema, {}).get(target.natural.parent)
    if merged.changes and required is not None:
        merged.changes[target.natural.parent] = job.parent
    return merged


def parts_of(record: Any) -> list[Part]:
    """Ids of what belongs to a record, from an answer in whatever form."""
    parts: list[Part] = []
    persons: Any = _member(record, "contact_persons")
    for person in persons if is_list(persons) else ():
        if person_id := _member(person, "contact_person_id"):
            known = _member(person, "email") or " ".join(
                str(name) for part in ("first_name", "last_name") if (name := _member(person, part))
            )
            parts.append(("contact_persons", str(known), str(person_id)))
    return parts + [
        (place, "", str(address_id))
        for place in ("billing_address", "shipping_address")
        if (address_id := _member(_member(record, place), "address_id"))
    ]


def _was_there(record: Any) -> bool:
    """Whether a record that an upsert has answered with was made well before it was written last."""
    made, written = (str(_member(record, f"{name}_time") or "") for name in ("created", "last_modified"))
    if made == written:
        return False
    then, now = made_at(made), made_at(written)
    return then is not None and now is not None and now - then > timedelta(seconds=10)


def _member(value: Any, name: str) -> Any:
    return value.get(name) if is_mapping(value) else getattr(value, name, None)


def _is_name_taken(error: ZohoError) -> bool:
    return isinstance(error, DuplicateError) or str(error.code) == str(NAME_TAKEN)


def faulty(job: Job) -> RowOutcome:
    return RowOutcome(row=job.row, status="failed", action="none", faults=job.faults, identity=job.identity)


def unknown(job: Job, error: Exception) -> RowOutcome:
    return RowOutcome(row=job.row, status="unknown", action="none", error=error, identity=job.identity)


def done(job: Job, action: Action, record_id: str, merged: Merged | None = None, warning: str = "") -> RowOutcome:
    if merged is not None and merged.left_out:
        warning = f"an update does not take {', '.join(merged.left_out)}: not changed"
    return RowOutcome(
        row=job.row, status="done", action=action, record_id=record_id, identity=job.identity, warning=warning
    )
