"""One write: its intent on record, its call, what became of it on record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from time import time
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import RUN_ENDING_ERRORS, StateError
from zoho_async.bulk.results import Action, RowOutcome, UnsettledError, done, failed, unknown
from zoho_async.bulk.state.journal import Journal, Part
from zoho_async.errors import DecodeError, ZohoError
from zoho_async.transport.hooks import DispatchHook

from .call_control import CallControl, Stopped
from .index_queries import made_at
from .routing import RoutedRow
from .write_policy import judge

FRESH = 15.0
"""Seconds after which a record is read again before it is written: others may have added to it."""

_OVERWRITTEN = (
    "somebody has made a record with this key since the list was read, and the upsert has written over it: contact "
    "persons that the row does not have are gone"
)


class Stale(Exception):  # noqa: N818 - a signal: nothing of the row was sent
    """What a decision was made upon is too old by now."""


class Unknown(Exception):  # noqa: N818 - a signal
    """Nobody knows yet what became of a write, which was put on record: it can be looked up."""

    def __init__(self, error: Exception, *, alone: bool) -> None:
        """`alone`: by reading the record, not the list."""
        super().__init__(error)
        self.error = error
        self.alone = alone


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written."""

    decision: RoutedRow
    action: Action
    record_id: str = ""
    """Of the record that is updated."""
    warning: str = ""
    """What of the row it cannot do."""
    idempotent_by_key: bool = False
    """Whether Zoho knows a repeated call by its key."""
    discoverable: bool = True
    """Whether a record that was made can be told by its name or its key."""
    record_intent: Callable[[], Awaitable[None]]
    """Puts the intent on record."""
    call: Callable[[DispatchHook], Awaitable[Any]]
    is_stale: Callable[[bool], bool]
    """Whether it must be decided anew; told whether it was refused for a limit."""


class _Attempts:
    """The calls of one write. The gate through which each of them goes out."""

    def __init__(self, write: Write, line: CallControl) -> None:
        self._write = write
        self._line = line
        self._let_out_at = time()
        self.throttle_count = write.decision.throttle_count
        """How often it was refused for a limit."""
        self.tries = write.decision.tries + 1
        self.uncertain: ZohoError | None = None
        """Why nobody knows whether a call of it has taken effect."""
        self.intended = False
        self.out = False
        """Whether its call was let out and not taken back: Zoho may have acted."""
        self._counted = False
        self._taken_back = False

    async def before_send(self) -> None:
        # As late as can be: what a killed run has only meant to send need not be looked up.
        self._line.before_send()
        if self._write.is_stale(self._taken_back):
            # It has waited so long that somebody else may have made or changed the record.
            raise Stale
        if self.uncertain is not None and (self._taken_back or older(self._let_out_at)):
            # What the call before has made may have been changed since.
            raise Stale
        if not self.intended:
            await self._write.record_intent()
            self.intended = True
        self._let_out_at = time()
        self.out = True
        if not self._counted:
            self._line.summary.writes += 1
            self._counted = True

    def discount(self) -> None:
        """Its call was not made, or was refused and is given up."""
        if self._counted:
            self._line.summary.writes -= 1
            self._counted = False

    def repeat(self, error: ZohoError) -> None:
        """It is sent once more: nobody knows whether it has taken effect."""
        self.uncertain = error
        self.tries += 1
        self.out = self._counted = False
        self._taken_back = False

    def on_rejected(self) -> None:
        self.out = False
        self.throttle_count += 1
        self._taken_back = True
        self._line.on_rejected()


class WriteExecutor:
    """Makes writes over a line and keeps the journal."""

    def __init__(self, line: CallControl, journal: Journal, record_id: str) -> None:
        """`record_id`: the field of an answer that says which record it is."""
        self._line = line
        self._journal = journal
        self._record_id = record_id

    async def write(self, write: Write, *, turn: bool = True) -> RowOutcome:
        """What became of a write. `turn`: as in `Line.call_when_allowed`.

        Raises Stopped or Stale when nothing of it was sent, Unknown when it has to be looked up, and errors that
        concern every other row too.
        """
        attempts = _Attempts(write, self._line)
        while True:
            try:
                record = await self._line.call_when_allowed(lambda: write.call(attempts), turn=turn)
            except (Stopped, Stale) as signal:
                attempts.discount()
                if attempts.uncertain is None:
                    await self._withdraw(write, attempts)
                    write.decision.throttle_count = attempts.throttle_count
                    raise
                if isinstance(signal, Stale):
                    raise await self._unknown(write, attempts.uncertain) from None
                return await self._undecided(write, attempts.uncertain)
            except DecodeError as error:
                # Zoho has acted; only what it answered cannot be read.
                return await self._made(write, attempts, None, error)
            except ZohoError as error:
                if error.sent is False:
                    attempts.discount()
                outcome = await self._failed(write, attempts, error)
                if outcome is not None:
                    return outcome
                await asyncio.sleep(self._line.pause)
            except StateError:
                # What cannot be put on record must not go on.
                raise
            except Exception as error:  # noqa: BLE001 - no error of a call; one row must not harm the others
                return await self._broken(write, attempts, error)
            else:
                self._line.count_outage(None)
                return await self._made(write, attempts, record)

    async def _made(
        self, write: Write, attempts: _Attempts, record: Any, unreadable: DecodeError | None = None
    ) -> RowOutcome:
        """The outcome of a write that Zoho has accepted. `record`: what it has answered, as far as is wanted."""
        job, decision = write.decision.job, write.decision
        record_id = write.record_id or str(_member(record, self._record_id) or "")
        if not record_id and not write.idempotent_by_key and write.discoverable:
            # Nothing else will ever say which record it is.
            raise await self._unknown(write, unreadable or UnsettledError())
        await self._journal.record_outcome(job.row_key, "done", record_id=record_id, parts=parts_of(record))
        if (
            write.action == "created"
            and attempts.uncertain is None
            and decision.known.entry is None
            and _was_there(record)
        ):
            return done(job, "updated", record_id, warning=_OVERWRITTEN)
        return done(job, write.action, record_id, warning=write.warning, error=unreadable)

    async def _failed(self, write: Write, attempts: _Attempts, error: ZohoError) -> RowOutcome | None:
        """The outcome of a write that has ended in an error; None when it is to be sent again."""
        job = write.decision.job
        if isinstance(error, RUN_ENDING_ERRORS):
            if attempts.uncertain is not None:
                self._line.end(error)
                return await self._undecided(write, attempts.uncertain)
            # What Zoho refuses for such a reason it has not executed.
            if error.sent is not None:
                await self._withdraw(write, attempts)
            raise error
        self._line.count_outage(error)
        verdict = judge(
            error,
            action=write.action,
            idempotent_by_key=write.idempotent_by_key,
            discoverable=write.discoverable,
            may_exist=attempts.uncertain is not None or (write.decision.known.begun and not write.idempotent_by_key),
            tries=attempts.tries,
        )
        match verdict:
            case "repeat":
                attempts.repeat(error)
                return None
            case "read again":
                raise await self._unknown(write, error, alone=True)
            case "put off":
                raise await self._unknown(write, error)
            case "undecided":
                return await self._undecided(write, error)
            case "gone":
                await self._withdraw(write, attempts)
                return failed(job, error)
            case "refused":
                return await self._refused(write, attempts, error)

    async def _broken(self, write: Write, attempts: _Attempts, error: Exception) -> RowOutcome:
        """The outcome of a write that has ended in an error which is none of a call."""
        if not attempts.out:
            attempts.discount()
            if attempts.uncertain is None:
                await self._withdraw(write, attempts)
                return failed(write.decision.job, error)
        # Zoho may have acted before it went wrong.
        return await self._undecided(write, error)

    async def _refused(self, write: Write, attempts: _Attempts, error: ZohoError) -> RowOutcome:
        job = write.decision.job
        if not attempts.intended:
            # Refused on our side; its outcome is on record all the same.
            await write.record_intent()
        # An earlier call of the row may have taken effect, whatever this one was refused for.
        outcome = failed(job, error) if attempts.uncertain is None else unknown(job, error)
        message = error.message or type(error).__name__
        await self._journal.record_outcome(job.row_key, outcome.status, code=outcome.code, message=message)
        return outcome

    async def _unknown(self, write: Write, error: Exception, *, alone: bool = False) -> Unknown:
        write.decision.tries += 1
        await self._journal.record_outcome(write.decision.job.row_key, "unknown")
        return Unknown(error, alone=alone)

    async def _undecided(self, write: Write, error: Exception) -> RowOutcome:
        job = write.decision.job
        await self._journal.record_outcome(job.row_key, "unknown")
        return unknown(job, error)

    async def _withdraw(self, write: Write, attempts: _Attempts) -> None:
        if attempts.intended:
            await self._journal.rollback_intent(write.decision.job.row_key)


def older(moment: float) -> bool:
    """Whether it is so long since a moment, of `time.time()`, that others may have changed what was read then."""
    # That clock goes on while the machine sleeps; it may be set back, too.
    return abs(time() - moment) > FRESH


def parts_of(record: Any) -> list[Part]:
    """Ids of what belongs to a record, from an answer in whatever form."""
    parts: list[Part] = []
    persons: Any = _member(record, "contact_persons")
    for person in persons if is_sequence(persons) else ():
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
    # Answers to writes are structs, and to be told that one is no mapping takes long.
    if isinstance(value, msgspec.Struct):
        return getattr(value, name, None)
    return value.get(name) if is_mapping(value) else None
