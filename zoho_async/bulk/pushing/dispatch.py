"""Carries routed rows out: reads, merges, has written, and looks up unknown outcomes."""

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
from zoho_async.bulk.results import RowOutcome, UnsettledError
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Destination, required_path
from zoho_async.bulk.rows.validate import WorkItem
from zoho_async.bulk.state.journal import Journal
from zoho_async.errors import Fault, NotFoundError, ZohoError
from zoho_async.schema.registry import SECRETS
from zoho_async.transport.hooks import DispatchHook

from .call_control import CallControl, SendLimit, Withheld
from .endpoint import child_ids_of, read_record, send_write
from .index_queries import TargetRecord
from .prepare import Planner
from .routing import RoutedRow
from .write_policy import read_error_event
from .writes import DispatchedRow, Result, Write, WriteExecutor, is_released, older

RECONCILE_BATCH = 200
"""So many rows of unknown outcome are looked up together, by one reading of the newest records of the list."""
MAX_REJECTIONS = 8
"""For so many rejections of its update, at most, a record is read again; the ninth ends the call."""

_json = msgspec.json.Encoder(decimal_format="number")


class Dispatcher:
    """Carries routed rows out, each to its outcome, as the table of `row_state` says."""

    def __init__(
        self,
        destination: Destination,
        options: Options,
        control: CallControl,
        journal: Journal,
        planner: Planner,
        limit: SendLimit,
    ) -> None:
        self._destination = destination
        self._options = options
        self._control = control
        self._journal = journal
        self._planner = planner
        self._limit = limit
        self._writer = WriteExecutor(control, journal, destination.record_id)
        self._opened = False
        self._first = asyncio.Lock()
        self._deferred: list[DispatchedRow] = []
        self.has_remaining = False
        """Whether a row was left to the next run, because the push is to end."""

    async def perform(self, routed: RoutedRow) -> RowOutcome | None:
        """The outcome of one row; None when it is deferred until `reconcile`, or left to the next run."""
        row = DispatchedRow(routed=routed, state="unknown" if routed.context.begun else "planned")
        try:
            return await self._perform(row)
        finally:
            if routed.needs_call:
                self._limit.release(sent=bool(row.sent_at))

    async def _perform(self, row: DispatchedRow) -> RowOutcome | None:
        while True:
            ended = await self._plan_again(row) if row.outdated else None
            result = ended or await self._first_alone(row)
            transition = await self._writer.conclude(row, result)
            self.has_remaining = self.has_remaining or result.event == "stopped"
            match transition.step:
                case "report":
                    return result.outcome(row)
                case "leave":
                    return None
                case "defer":
                    self._deferred.append(row)
                    return None
                case "repeat":
                    await asyncio.sleep(self._control.pause)
                case "re-read":
                    await asyncio.sleep(self._control.pause)
                    row.outdated = True
                case _:
                    row.outdated = True
                    row.deleted = result.record_id if result.event == "deleted" else row.deleted

    async def _plan_again(self, row: DispatchedRow) -> Result | None:
        """Routes a row again; returns what has kept it from that."""
        item = row.routed.item
        try:
            if row.deleted and not item.record_id:
                await self._planner.index.check_deleted(row.deleted, item.parent)
            (routed,) = await self._planner.decide([item], deleted=row.deleted)
        except Withheld:
            return Result(event="stopped")
        except ZohoError as error:
            # The list can no longer be read.
            self._control.abort(error)
            return Result(event="aborted", error=error)
        _route_again(row, routed)
        return None

    async def _first_alone(self, row: DispatchedRow) -> Result:
        """The first call is made alone, and those after refusals: what every row would meet must cost few calls."""
        if not self._opened and row.routed.needs_call:
            async with self._first:
                if self._control.draining:
                    return Result(event="stopped")
                if not self._opened:
                    result = await self._carry_out(row)
                    alone = ("stopped", "aborted", "stale", "deleted", *["refused"] * self._control.nearly_open)
                    self._opened = result.event not in alone
                    return result
        return await self._carry_out(row)

    async def _carry_out(self, row: DispatchedRow) -> Result:
        try:
            result = await self._act(row)
        except Withheld:
            return Result(event="stopped")
        except StateError:
            raise
        except Exception as error:  # noqa: BLE001 - of one row, nearly always of reading its record
            event = read_error_event(error, draining=self._control.draining)
            # Its call has left: whatever was raised after that says nothing of it.
            result = Result(event="unresolved" if is_released(row) else event, error=error)
        if isinstance(result.error, RUN_ENDING_ERRORS):
            self._control.abort(result.error)
        return result

    async def _act(self, row: DispatchedRow) -> Result:
        match row.routed.action:
            case "refuse":
                return Result(event="unsendable")
            case "unchanged":
                assert row.routed.context.entry is not None
                return Result(event="unchanged", action="unchanged", record_id=row.routed.context.entry.record_id)
            case "skip":
                assert row.routed.record is not None
                return Result(event="unchanged", action="skipped", record_id=row.routed.record.record_id)
            case "unknown":
                return Result(event="unresolved", error=UnsettledError(keyless=not row.routed.item.key))
            case "update":
                # Calls of other rows between the two would have what was read grow old.
                async with self._control.slot():
                    return await self._update(row)
            case "link_existing":
                return await self._link(row)
            case "confirm_exists":
                return await self._confirm(row)
            case "upsert" | "create":
                return await self._create(row)

    # -- records that exist

    async def _read(self, row: DispatchedRow, found: TargetRecord, *, in_slot: bool = False) -> dict[str, Any] | None:
        """The record as it is now; None when it no longer exists."""
        if found.row:
            return msgspec.json.decode(found.row, type=dict[str, Any])
        call = partial(read_record, self._destination, found.record_id, row.routed.item.parent)
        row.reads += 1
        try:
            record = await self._control.read(call, in_slot=in_slot)
        except NotFoundError as error:
            self._control.count_record(error)
            return None
        self._control.count_record(None)
        return record

    async def _update(self, row: DispatchedRow) -> Result:
        item, found = row.routed.item, row.routed.record
        assert found is not None
        record = await self._read(row, found, in_slot=True)
        read_at, wait_epoch = time(), self._control.wait_epoch
        if record is None:
            return Result(event="deleted", record_id=found.record_id)
        if self._has_moved(row.routed, found, record):
            item.faults = (_moved(item.key_field, found.record_id),)
            return Result(event="unsendable")
        merged = merge_item(self._destination, item, record)
        if merged.faults:
            item.faults = merged.faults
            return Result(event="unsendable")
        if not merged.changes:
            child_ids = child_ids_of(record)
            await self._journal.record_done(
                item.row_key,
                item.content_hash,
                display_key=item.display_key,
                record_id=found.record_id,
                child_ids=child_ids,
            )
            return Result(event="unchanged", action="unchanged", record_id=found.record_id, warning=merged.warning)
        operation = self._destination.operations["update"]
        (place,) = required_path(operation)

        async def record_intent() -> None:
            image = (found.record_id, _json.encode(_without_secrets(record)))
            await self._journal.record_intent(
                item.row_key, item.content_hash, operation="update", display_key=item.display_key, image=image
            )

        async def update(hook: DispatchHook) -> Any:
            path = {place: found.record_id}
            return await send_write(
                self._destination, operation, path=path, body=merged.changes, hook=hook, priority=True
            )

        def is_stale() -> bool:
            if found.row:
                # A list's row is as old as the list: only another reading of that is newer.
                return self._is_stale(row)
            # At a low rate every call waits long: reading once more does not help.
            expected = 1 + row.tries + min(row.throttle_count, MAX_REJECTIONS)
            return wait_epoch != self._control.wait_epoch or (older(read_at) and row.reads <= expected)

        write = Write(
            action="updated",
            record_id=found.record_id,
            warning=merged.warning,
            idempotent_by_key=bool(self._options.upsert_by),
            readable=not found.row,
            record_intent=record_intent,
            call=update,
            is_stale=is_stale,
        )
        return await self._writer.write(row, write, in_slot=True)

    def _has_moved(self, routed: RoutedRow, found: TargetRecord, record: Mapping[str, Any]) -> bool:
        """Whether a record that the list showed under the row's key has another one by now."""
        item, entry = routed.item, routed.context.entry
        if item.record_id or found.match != item.key or (entry is not None and entry.record_id == found.record_id):
            return False
        return self._planner.index.key(record) not in ("", item.key)

    async def _link(self, row: DispatchedRow) -> Result:
        """Links the record that has the key of a row of unknown outcome, if it has all that the row says."""
        item, found = row.routed.item, row.routed.record
        assert found is not None
        record = await self._read(row, found)
        if record is None:
            return Result(event="unresolved", error=UnsettledError())
        merged = merge_item(self._destination, item, record)
        differs = ", ".join(merged.changes) or ", ".join(fault.path for fault in merged.faults)
        if not differs and await self._journal.link_existing(
            item.row_key, found.record_id, child_ids=child_ids_of(record)
        ):
            return Result(event="unchanged", record_id=found.record_id)
        if self._options.on_existing == "skip":
            return Result(event="unchanged", action="skipped", record_id=found.record_id)
        return Result(event="unresolved", error=UnsettledError(found.record_id if differs else "", differs))

    async def _confirm(self, row: DispatchedRow) -> Result:
        """The list does not show a record that should be there: it was deleted, or the list has missed it."""
        item, found, entry = row.routed.item, row.routed.record, row.routed.context.entry
        assert found is not None
        if await self._read(row, found) is None:
            return Result(event="deleted", record_id=found.record_id)
        same = entry is not None and (entry.state, entry.content_hash) == ("done", item.content_hash)
        return Result(event="unchanged", action="unchanged" if same else "skipped", record_id=found.record_id)

    # -- records that do not

    async def _create(self, row: DispatchedRow) -> Result:
        item, options = row.routed.item, self._options
        name = "upsert" if options.upsert_by else "create"
        operation = self._destination.operations[name]
        headers: dict[str, Any] = {}
        if options.upsert_by:
            key = {"X-Unique-Identifier-Key": options.upsert_by, "X-Unique-Identifier-Value": item.key}
            headers = {**key, "X-Upsert": True}

        async def record_intent() -> None:
            await self._journal.record_intent(
                item.row_key, item.content_hash, operation=name, display_key=item.display_key
            )

        async def create(hook: DispatchHook) -> Any:
            return await send_write(self._destination, operation, headers=headers, body=item.body, hook=hook)

        write = Write(
            action="created",
            idempotent_by_key=bool(options.upsert_by),
            record_intent=record_intent,
            call=create,
            is_stale=lambda: self._is_stale(row),
        )
        return await self._writer.write(row, write)

    def _is_stale(self, row: DispatchedRow) -> bool:
        """Whether the list that a row was routed by was read before a wait of hours."""
        return self._options.follows(self._destination.natural) and row.routed.wait_epoch != self._control.wait_epoch

    # -- unknown outcomes

    @property
    def has_deferred(self) -> bool:
        """Whether any row is deferred."""
        return bool(self._deferred)

    @property
    def due(self) -> bool:
        """Whether so many rows are deferred that it is time to reconcile them."""
        return len(self._deferred) >= RECONCILE_BATCH

    async def reconcile(self) -> AsyncGenerator[RowOutcome, None]:
        """Looks up what was deferred, and sends again what is not there, until nothing is deferred."""
        while self._deferred:
            rows, self._deferred = self._deferred, []
            ended = await self._look_up(rows)
            for row in rows:
                if ended is None:
                    outcome = await self._perform(row)
                else:
                    self.has_remaining = True
                    await self._writer.conclude(row, ended)
                    outcome = ended.outcome(row)
                if outcome is not None:
                    yield outcome

    async def _look_up(self, rows: list[DispatchedRow]) -> Result | None:
        """Reads the list again and routes rows by it; returns what has kept it from that."""
        if self._control.draining:
            return Result(event="stopped")
        await asyncio.sleep(self._control.pause)
        items = [row.routed.item for row in rows]
        try:
            await self._planner.index.read_again({item.parent for item in items})
            routed = await self._planner.decide(items)
        except Withheld:
            return Result(event="stopped")
        except ZohoError as error:
            self._control.abort(error)
            # The rows' own errors say more.
            return Result(event="stopped")
        for row, again in zip(rows, routed, strict=True):
            _route_again(row, again)
        return None


def _route_again(row: DispatchedRow, routed: RoutedRow) -> None:
    row.routed = routed
    row.outdated = row.repeated = False


def _without_secrets(value: Any) -> Any:
    """A record without the numbers of its cards and accounts: an update does not change them."""
    if is_mapping(value):
        return {name: _without_secrets(item) for name, item in value.items() if name not in SECRETS}
    return [_without_secrets(item) for item in value] if is_sequence(value) else value


def _moved(field: str, record_id: str) -> Fault:
    message = f"had record {record_id} when the list was read, which has another value now; push again"
    return Fault(path=field, rule="moved", message=message)


def merge_item(destination: Destination, item: WorkItem, record: Mapping[str, Any]) -> Merged:
    """What an update has to send so that a record has all that a row says."""
    body = {name: value for name, value in item.body.items() if name != destination.natural.parent}
    merged = merge(
        record,
        body,
        cleared=item.cleared,
        places=item.places,
        rules=destination.rules,
        schema=destination.update_schema,
    )
    required = destination.rules.get(destination.update_schema, {}).get(destination.natural.parent)
    if merged.changes and required is not None:
        merged.changes[destination.natural.parent] = item.parent
    return merged
