"""One write: its intent on record, its call, what became of it on record."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import Any

import msgspec

from zoho_async.errors import DecodeError, ZohoError

from .index import made_at
from .journal import Journal, Part
from .line import Line, Stopped
from .mapping import FATAL
from .narrow import is_list, is_mapping
from .outcomes import Action, RowOutcome, UnsettledError, done, failed, unknown
from .routes import Decision
from .verdicts import judge

Before = Callable[[], Awaitable[None]]
"""What is done in a call's last moment before the wire."""

_OVERWRITTEN = (
    "somebody has made a record with this key since the list was read, and the upsert has written over it: contact "
    "persons that the row does not have are gone"
)


class Stale(Exception):  # noqa: N818 - a signal: nothing of the row was sent
    """What a decision was made upon is too old by now."""


class PutOff(Exception):  # noqa: N818 - a signal
    """Nobody knows yet what became of a write: it can be looked up."""

    def __init__(self, error: Exception) -> None:
        super().__init__(error)
        self.error = error


class Write(msgspec.Struct, kw_only=True):
    """What is to be written, and what is known while it is."""

    decision: Decision
    action: Action
    record_id: str = ""
    """Of the record that is updated."""
    warning: str = ""
    """What of the row it cannot do."""
    recognised: bool = False
    """Whether Zoho knows a repeated call by its key."""
    findable: bool = True
    """Whether a record that was made can be told by its name or its key."""
    intend: Before
    """Puts the intent on record."""
    call: Callable[[Before], Awaitable[Any]]
    is_stale: Callable[[bool], bool]
    """Whether it must be decided anew; told whether it had to wait for a limit."""

    uncertain: ZohoError | None = None
    """Why nobody knows whether a call of it has taken effect."""
    intended: bool = False
    tries: int = 0


class Writer:
    """Makes writes over a line and keeps the journal."""

    def __init__(self, line: Line, journal: Journal, record_id: str) -> None:
        """`record_id`: the field of an answer that says which record it is."""
        self._line = line
        self._journal = journal
        self._record_id = record_id

    async def write(self, write: Write) -> RowOutcome:
        """What became of a write.

        Raises Stopped or Stale when nothing of it was sent, PutOff when it has to be looked up, and errors that
        concern every other row too.
        """
        summary = self._line.summary

        async def before() -> None:
            # As late as can be: what a killed run has only meant to send need not be looked up.
            self._line.let_out()
            if write.uncertain is None and write.is_stale(write.intended):
                # It has waited so long that somebody else may have made or changed the record.
                raise Stale
            if not write.intended:
                await write.intend()
                write.intended = True

        while True:
            write.tries += 1
            summary.writes += 1
            try:
                record = await self._line.patient(lambda: write.call(before))
            except (Stopped, Stale):
                summary.writes -= 1
                if write.uncertain is not None:
                    return await self._undecided(write, write.uncertain)
                await self._withdraw(write)
                raise
            except DecodeError as error:
                # Zoho has acted; only what it answered cannot be read.
                return await self._made(write, None, error)
            except ZohoError as error:
                if error.sent is False:
                    summary.writes -= 1
                outcome = await self._failed(write, error)
                if outcome is not None:
                    return outcome
                await asyncio.sleep(self._line.pause)
            except Exception as error:  # noqa: BLE001 - no error of a call, so nothing was sent; one row must not harm the others
                summary.writes -= 1
                if write.uncertain is not None:
                    return await self._undecided(write, error)
                await self._withdraw(write)
                return failed(write.decision.job, error)
            else:
                self._line.count_sick(None)
                return await self._made(write, record)

    async def _made(self, write: Write, record: Any, unreadable: DecodeError | None = None) -> RowOutcome:
        """The outcome of a write that Zoho has accepted. `record`: what it has answered, as far as is wanted."""
        job, decision = write.decision.job, write.decision
        record_id = write.record_id or str(_member(record, self._record_id) or "")
        if not record_id and not write.recognised and write.findable:
            # Nothing else will ever say which record it is.
            raise PutOff(unreadable or UnsettledError())
        await self._journal.settle(job.identity, "done", record_id=record_id, parts=parts_of(record))
        if write.action == "created" and write.tries == 1 and decision.known.entry is None and _was_there(record):
            return done(job, "updated", record_id, warning=_OVERWRITTEN)
        return done(job, write.action, record_id, warning=write.warning, error=unreadable)

    async def _failed(self, write: Write, error: ZohoError) -> RowOutcome | None:
        """The outcome of a write that has ended in an error; None when it is to be sent again."""
        job = write.decision.job
        if isinstance(error, FATAL):
            # What Zoho refuses for such a reason it has not executed.
            if write.uncertain is None and error.sent is not None:
                await self._withdraw(write)
            raise error
        self._line.count_sick(error)
        verdict = judge(
            error,
            action=write.action,
            recognised=write.recognised,
            findable=write.findable,
            perhaps_there=write.uncertain is not None or (write.decision.known.begun and not write.recognised),
            tries=write.tries,
        )
        match verdict:
            case "repeat":
                write.uncertain = error
                return None
            case "put off":
                raise PutOff(error)
            case "undecided":
                return await self._undecided(write, error)
            case "gone":
                await self._withdraw(write)
                return failed(job, error)
            case "refused":
                return await self._refused(write, error)

    async def _refused(self, write: Write, error: ZohoError) -> RowOutcome:
        job = write.decision.job
        if not write.intended:
            # Refused on our side; its outcome is on record all the same.
            await write.intend()
        # An earlier call of the row may have taken effect, whatever this one was refused for.
        outcome = failed(job, error) if write.uncertain is None else unknown(job, error)
        message = error.message or type(error).__name__
        await self._journal.settle(job.identity, outcome.status, code=outcome.code, message=message)
        return outcome

    async def _undecided(self, write: Write, error: Exception) -> RowOutcome:
        job = write.decision.job
        await self._journal.settle(job.identity, "unknown")
        return unknown(job, error)

    async def _withdraw(self, write: Write) -> None:
        if write.intended:
            await self._journal.withdraw(write.decision.job.identity)


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
