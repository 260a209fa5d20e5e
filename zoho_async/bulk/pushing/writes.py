"""One write: its intent in the journal, its call, its outcome in the journal."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Generator, Sequence
from time import time
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import StateError
from zoho_async.bulk.results import Action, RowOutcome, UnsettledError, done, failed, invalid, unknown
from zoho_async.bulk.state.journal import ChildId, Journal
from zoho_async.errors import DecodeError, QuotaExceededError, ZohoError
from zoho_async.transport.hooks import DispatchHook

from .call_control import CallControl, Withheld
from .endpoint import child_ids_of, existed_before, member
from .routing import RoutedRow
from .row_state import RowEvent, RowState, Transition, next_state
from .write_policy import lookup_event, write_error_event

TTL_S = 15.0
"""Seconds after which a record is read again before it is written: others may have changed it."""

_OVERWRITTEN = (
    "somebody has made a record with this key since the list was read, and the upsert has written over it: contact "
    "persons that the row does not have are lost"
)


class DispatchedRow(msgspec.Struct, kw_only=True):
    """A row on its way, and what has happened to it so far."""

    routed: RoutedRow
    state: RowState
    tries: int = 0
    """How often it was sent with unknown outcome."""
    reads: int = 0
    """How often its record was read."""
    throttle_count: int = 0
    """How often its calls were rejected."""
    repeated: bool = False
    """Whether it is sent again after an unknown outcome that was not looked up."""
    sent_at: float = 0.0
    """When its last attempt was sent, by `time.time()`."""
    intended: bool = False
    """Whether its intent of this run is in the journal."""
    outdated: bool = False
    """Whether it has to be routed again."""
    deleted: str = ""
    """Id of the record that it was routed to and that no longer exists."""
    error: Exception | None = None
    """Why its outcome is unknown."""

    def advance(self, event: RowEvent) -> Transition:
        """Changes its state."""
        transition = next_state(self.state, event)
        self.state = transition.state
        return transition


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What has happened to a row, with what its outcome says of it."""

    event: RowEvent
    action: Action = "none"
    record_id: str = ""
    child_ids: Sequence[ChildId] = ()
    modified: str = ""
    """The record's last modification time, as Zoho answered the write."""
    warning: str = ""
    error: Exception | None = None

    def outcome(self, row: DispatchedRow) -> RowOutcome:
        """The outcome of a row that this has led to its end."""
        item, error = row.routed.item, self.error
        match row.state:
            case "done":
                return done(item, self.action, self.record_id, warning=self.warning, error=error)
            case "reconciled":
                # A record that has the row's key and is left as it is, is not what the row made.
                action: Action = "skipped" if self.action == "skipped" else "settled"
                return done(item, action, self.record_id, warning=self.warning)
            case "failed":
                return invalid(item) if error is None else failed(item, error)
            case _:
                if self.event == "unsendable" and error is None:
                    return msgspec.structs.replace(invalid(item), status="unknown")
                return unknown(item, error or row.error or UnsettledError())


class Write(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be written."""

    action: Action
    record_id: str = ""
    """Of the record that is updated."""
    warning: str = ""
    """What of the row it cannot do."""
    idempotent_by_key: bool = False
    """Whether Zoho recognises a repeated call by its key."""
    readable: bool = False
    """Whether the record that is updated can be read alone."""
    discoverable: bool = True
    """Whether a record that was made shows in a list, by its name or its key."""
    record_intent: Callable[[], Awaitable[None]]
    """Writes the intent to the journal."""
    call: Callable[[DispatchHook], Awaitable[Any]]
    is_stale: Callable[[], bool]
    """Whether what it was planned from is too old."""


class _WriteHook:
    """Takes part in every attempt of one write."""

    def __init__(self, row: DispatchedRow, write: Write, control: CallControl) -> None:
        self._row = row
        self._write = write
        self._control = control
        self._counted = False
        self._rejected = False

    @property
    def throttle_count(self) -> int:
        return self._row.throttle_count

    async def before_send(self) -> None:
        row = self._row
        self._control.before_send()
        # What the call before has made may have been changed since.
        outdated = row.repeated and (self._rejected or older(row.sent_at))
        if outdated or self._write.is_stale():
            raise Withheld("stale")
        transition = row.advance("allowed")
        # As late as possible: an intent that was not sent costs the next run a look-up.
        if transition.journal == "intent" and not row.intended:
            await self._write.record_intent()
            row.intended = True
        if row.state == "intended":
            row.advance("recorded")
        row.sent_at = time()
        if not self._counted:
            self._control.summary.writes += 1
            self._counted = True

    def on_rejected(self) -> None:
        self.reject()
        self._row.throttle_count += 1
        self._control.on_rejected()

    def reject(self) -> None:
        """Its attempt was not executed."""
        if is_released(self._row):
            self._row.advance("rejected")
            self._rejected = True

    def discount(self) -> None:
        """Its call was not made, or was rejected and is given up."""
        if self._counted:
            self._control.summary.writes -= 1
            self._counted = False


class WriteExecutor:
    """Makes writes and keeps the journal."""

    def __init__(self, control: CallControl, journal: Journal, record_id: str) -> None:
        """`record_id`: the field of a response that identifies its record."""
        self._control = control
        self._journal = journal
        self._record_id = record_id

    async def write(self, row: DispatchedRow, write: Write, *, in_slot: bool = False) -> Result:
        """Makes one write; `in_slot` as in `CallControl.call_when_allowed`."""
        hook = _WriteHook(row, write, self._control)

        async def call() -> Any:
            try:
                return await write.call(hook)
            except QuotaExceededError:
                # It was not executed, and may wait for another day.
                hook.reject()
                raise

        try:
            receipt = await self._control.call_when_allowed(call, in_slot=in_slot)
        except Withheld as withheld:
            hook.discount()
            return Result(event="stale" if withheld.reason == "stale" else "stopped")
        except StateError:
            # Without a journal nothing more may be sent.
            raise
        except DecodeError as error:
            # Executed; only the response cannot be read.
            return self._accepted(row, write, None, error)
        except Exception as error:  # noqa: BLE001 - one row's error must not end the others
            sent = error.sent if isinstance(error, ZohoError) else is_released(row)
            if sent is False:
                hook.discount()
            return await self._ended(row, write, error)
        self._control.count_write(None)
        return self._accepted(row, write, receipt)

    async def _ended(self, row: DispatchedRow, write: Write, error: Exception) -> Result:
        """What it means that a write has ended in an error."""
        event = write_error_event(
            error,
            released=is_released(row),
            repeated=row.repeated,
            action=write.action,
            idempotent_by_key=write.idempotent_by_key,
            readable=write.readable,
            discoverable=write.discoverable,
            may_exist=row.repeated or (row.routed.context.begun and not write.idempotent_by_key),
            tries=row.tries + 1,
        )
        if isinstance(error, ZohoError) and event != "aborted":
            self._control.count_write(error)
            if event == "refused":
                self._control.count_refusal(error, texts(row.routed.item.body))
        if event == "refused" and row.state == "planned":
            # Refused on our side; its outcome is in the journal all the same.
            await write.record_intent()
            row.intended = True
        return Result(event=event, error=error)

    def _accepted(self, row: DispatchedRow, write: Write, receipt: Any, error: DecodeError | None = None) -> Result:
        record_id = write.record_id or str(member(receipt, self._record_id) or "")
        if not record_id and not write.idempotent_by_key and write.discoverable:
            # Only a look-up can find which record it is.
            event = lookup_event(
                action=write.action, idempotent_by_key=False, readable=False, discoverable=True, tries=row.tries + 1
            )
            return Result(event=event, error=error or UnsettledError())
        action, warning = write.action, write.warning
        if action == "created" and not row.repeated and row.routed.context.entry is None and existed_before(receipt):
            action, warning = "updated", _OVERWRITTEN
        return Result(
            event="accepted",
            action=action,
            record_id=record_id,
            child_ids=child_ids_of(receipt),
            modified=str(member(receipt, "last_modified_time") or member(receipt, "updated_time") or ""),
            warning=warning,
            error=error,
        )

    async def conclude(self, row: DispatchedRow, result: Result) -> Transition:
        """Changes the state of a row by what has happened, in the journal too."""
        row_key, released = row.routed.item.row_key, is_released(row)
        transition = row.advance(result.event)
        match transition.journal:
            case "done":
                await self._journal.record_outcome(
                    row_key,
                    "done",
                    record_id=result.record_id,
                    child_ids=result.child_ids,
                    modified=result.modified,
                )
            case "failed":
                outcome = result.outcome(row)
                message = getattr(result.error, "message", None) or type(result.error).__name__
                await self._journal.record_outcome(row_key, "failed", code=outcome.code, message=message)
            case "unknown":
                await self._journal.record_outcome(row_key, "unknown")
            case "rollback" if row.intended:
                await self._journal.rollback_intent(row_key)
            case _:
                pass
        if transition.journal:
            row.intended = False
        if transition.state == "unknown" and released and transition.journal == "unknown":
            row.tries += 1
            row.error = result.error
            row.repeated = transition.step == "repeat"
        return transition


def texts(value: Any) -> Generator[str, None, None]:
    """Every value within a body, as text."""
    if is_mapping(value):
        value = list(value.values())
    if is_sequence(value):
        for one in value:
            yield from texts(one)
    elif value is not None:
        yield str(value)


def is_released(row: DispatchedRow) -> bool:
    """Whether a call of a row is on the wire."""
    return row.state in ("sent", "resent")


def older(moment: float) -> bool:
    """Whether what was read or sent at a moment, of `time.time()`, may have been changed by others since."""
    # This clock goes on while the machine sleeps; it may be set back, too.
    return abs(time() - moment) > TTL_S
