"""Carries decisions out: reads, merges, writes, and looks up what nobody knows the outcome of."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from zoho_async.errors import DecodeError, DuplicateError, InvalidError, NotFoundError, ZohoError

from .index import Found
from .journal import Journal, Part
from .line import Line, StoppedError
from .mapping import FATAL, Status, status_of
from .merging import Merged, merge
from .narrow import is_list, is_mapping
from .options import Options
from .outcomes import NAME_TAKEN, Action, RowOutcome, UnsettledError
from .preparing import Preparation
from .routes import Decision, made_since, may_repeat
from .rows import Job
from .target import Target

TRIES = 3
"""How often a row is sent whose outcome stays unknown."""

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
        self._deferred: list[tuple[Decision, datetime]] = []

    async def perform(self, decision: Decision) -> RowOutcome | None:
        """The outcome of one row; None when it is put off until the end."""
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
                return await self._alone(decision)

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
        except StoppedError:
            # As if its turn had not come.
            return None
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
        if record is None:
            # Gone since the list was read.
            return await self._send(msgspec.structs.replace(decision, record=None))
        merged = merge_job(self._target, job, record)
        if merged.faults:
            job.faults = merged.faults
            return faulty(job)
        begun = decision.known.entry is not None and decision.known.entry.state in ("intent", "unknown")
        if not merged.changes:
            await self._journal.note(
                job.identity, job.digest, label=job.label, record_id=found.record_id, parts=parts_of(record)
            )
            return done(job, "settled" if begun else "unchanged", found.record_id, merged)
        await self._journal.intend(
            job.identity, job.digest, operation="update", label=job.label, image=(found.record_id, _json.encode(record))
        )
        resource = self._target.resource

        async def update() -> Any:
            return await resource.update(found.record_id, merged.changes)

        return await self._written(decision, update, "updated", merged, found.record_id)

    async def _adopt(self, decision: Decision) -> RowOutcome | None:
        job, found = decision.job, decision.record
        assert found is not None
        record = await self._record(found)
        if record is not None and await self._journal.adopt(job.identity, found.record_id):
            await self._journal.settle(job.identity, "done", record_id=found.record_id, parts=parts_of(record))
            return done(job, "settled", found.record_id)
        await self._journal.settle(job.identity, "unknown")
        return unknown(job, UnsettledError())

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
        operation = "upsert" if self._options.upsert_by else "create"
        await self._journal.intend(job.identity, job.digest, operation=operation, label=job.label)
        return await self._written(decision, lambda: self._create(job), "created", None, "")

    async def _create(self, job: Job) -> Any:
        """The answer as a mapping: of a new record only ids are wanted, and a struct of all of it takes much longer."""
        transport, operations = self._target.resource._transport, self._target.operations
        if not self._options.upsert_by:
            sent = transport.send(operations["create"], body=job.body, type=dict[str, Any])
        else:
            key = {"X-Unique-Identifier-Key": self._options.upsert_by, "X-Unique-Identifier-Value": job.key}
            headers = {**key, "X-Upsert": True}
            sent = transport.send(operations["upsert"], headers=headers, body=job.body, type=dict[str, Any])
        return (await sent).data

    async def _written(
        self,
        decision: Decision,
        call: Callable[[], Awaitable[Any]],
        action: Action,
        merged: Merged | None,
        record_id: str,
    ) -> RowOutcome | None:
        job, journal = decision.job, self._journal
        begun = datetime.now(UTC)
        summary = self._line.summary
        uncertain: ZohoError | None = None
        tries = 0
        while True:
            tries += 1
            summary.writes += 1
            try:
                record = await self._line.patient(call)
            except StoppedError:
                summary.writes -= 1
                if uncertain is None:
                    await journal.withdraw(job.identity)
                raise
            except DecodeError as error:
                # Zoho has acted; only what it answered cannot be read.
                await journal.settle(job.identity, "done", record_id=record_id)
                return msgspec.structs.replace(done(job, action, record_id, merged), error=error)
            except ZohoError as error:
                if error.sent is False:
                    summary.writes -= 1
                if isinstance(error, FATAL):
                    # What Zoho refuses for such a reason it has not executed.
                    if uncertain is None and error.sent is not None:
                        await journal.withdraw(job.identity)
                    raise
                self._line.count_sick(error)
                unclear = status_of(error) == "unknown"
                if unclear or (uncertain is not None and _is_name_taken(error)):
                    uncertain = error
                    if action == "updated" or tries >= TRIES:
                        return await self._undecided(job, error)
                    await asyncio.sleep(self._line.pause)
                    if self._options.upsert_by:
                        continue
                    settled = await self._looked_up(decision, begun)
                    if settled is not None:
                        return settled
                    if self._defers:
                        await journal.settle(job.identity, "unknown")
                        self._deferred.append((decision, begun))
                        return None
                    if not self._may_repeat(decision):
                        return await self._undecided(job, error)
                    continue
                code = "" if error.code is None else str(error.code)
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
                await journal.withdraw(job.identity)
                return RowOutcome(row=job.row, status="failed", action="none", error=error)
            self._line.count_sick(None)
            made = record_id or str(_member(record, self._target.record_id) or "")
            await journal.settle(job.identity, "done", record_id=made, parts=parts_of(record))
            return done(job, action, made, merged)

    # -- outcomes nobody knows

    @property
    def _defers(self) -> bool:
        """Whether a record can only be found by reading the whole list again, which is done once, at the end."""
        natural = self._target.natural
        return bool(natural.name) and not self._target.name_filter

    def _may_repeat(self, decision: Decision) -> bool:
        return may_repeat(decision.job, decision.known, self._options)

    async def _looked_up(self, decision: Decision, begun: datetime) -> RowOutcome | None:
        """A create that can be found by itself: by its name, or among the records of its parent."""
        job, target = decision.job, self._target
        entry = decision.known.entry
        since = entry.intended_at if entry is not None and entry.state in ("intent", "unknown") else begun
        try:
            if target.natural.parent and self._options.match_by:
                found = await self._among_siblings(job)
            elif target.name_filter:
                found = [one for one in await self._by_name(job) if made_since(one, since)]
            else:
                return None
        except ZohoError as failure:
            if isinstance(failure, FATAL):
                raise
            # It cannot be looked up now; it must not be sent again for that.
            return await self._undecided(job, failure)
        if not found:
            return None
        if len(found) == 1 and await self._journal.adopt(job.identity, found[0].record_id):
            return done(job, "settled", found[0].record_id)
        return await self._undecided(job, UnsettledError())

    async def _by_name(self, job: Job) -> list[Found]:
        target = self._target
        name, field = job.name, target.name_filter
        limit = target.filters[field].max_length
        wanted = {field: name}
        if limit is not None and len(name) > limit:
            # The filter does not take the whole name: its beginning does, and the rows are compared in full.
            wanted = {f"{field}_startswith": name[:limit]}

        async def page() -> Any:
            return await target.resource.list(**wanted, type=dict[str, Any])

        rows = (await self._line.read(page)).rows
        return [
            Found(record_id=str(row.get(target.record_id)), created=str(row.get("created_time") or ""))
            for row in rows
            if str(row.get(field) or "").strip() == name.strip()
        ]

    async def _among_siblings(self, job: Job) -> list[Found]:
        target, field = self._target, self._options.match_by

        async def page() -> Any:
            return await target.resource.list(job.parent, type=dict[str, Any])

        rows = (await self._line.read(page)).rows
        same = [row for row in rows if _matching(row.get(field), field) == job.key]
        return [Found(record_id=str(row.get(target.record_id))) for row in same]

    async def settle(self) -> AsyncGenerator[RowOutcome, None]:
        """Looks up what was put off: the whole list once, for all of them."""
        waiting, self._deferred = self._deferred, []
        if not waiting:
            return
        if self._line.ended is None and not self._line.stopped:
            await asyncio.sleep(self._line.pause)
            try:
                await self._preparation.index.again()
                decisions = await self._preparation.decide([decision.job for decision, _ in waiting])
            except StoppedError:
                pass
            except ZohoError as error:
                self._line.end(error)
            else:
                for decision in decisions:
                    outcome = await self.perform(decision)
                    yield outcome if outcome is not None else unknown(decision.job, UnsettledError())
                return
        for decision, _ in waiting:
            yield unknown(decision.job, UnsettledError())

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
        name = " ".join(str(_member(person, part) or "") for part in ("first_name", "last_name")).strip()
        if person_id := _member(person, "contact_person_id"):
            parts.append(("contact_persons", str(_member(person, "email") or name), str(person_id)))
    return parts + [
        (place, "", str(address_id))
        for place in ("billing_address", "shipping_address")
        if (address_id := _member(_member(record, place), "address_id"))
    ]


def _member(value: Any, name: str) -> Any:
    return value.get(name) if is_mapping(value) else getattr(value, name, None)


def _matching(value: Any, field: str) -> str:
    text = str(value or "").strip()
    return text.casefold() if field == "email" else text


def _is_name_taken(error: ZohoError) -> bool:
    return isinstance(error, DuplicateError) or str(error.code) == str(NAME_TAKEN)


def faulty(job: Job) -> RowOutcome:
    return RowOutcome(row=job.row, status="failed", action="none", faults=job.faults, identity=job.identity)


def unknown(job: Job, error: Exception) -> RowOutcome:
    return RowOutcome(row=job.row, status="unknown", action="none", error=error, identity=job.identity)


def done(job: Job, action: Action, record_id: str, merged: Merged | None = None) -> RowOutcome:
    warning = ""
    if merged is not None and merged.left_out:
        warning = f"an update does not take {', '.join(merged.left_out)}: not changed"
    return RowOutcome(
        row=job.row, status="done", action=action, record_id=record_id, identity=job.identity, warning=warning
    )
