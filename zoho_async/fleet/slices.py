"""Bodies of jobs: they work as long as calls are to be had, never sleep for long, and say when to come again."""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Literal, Unpack

import msgspec

from zoho_async import bulk
from zoho_async.bulk.rows.resource import Destination
from zoho_async.errors import QuotaExceededError, RateLimitError, UnavailableError
from zoho_async.transport.hooks import guarded

from .fleet import Fleet
from .leases import Lease

_LONGEST_WAIT = 30.0
"""Seconds for which a slice waits for a pause of the organisation."""
_SOON = timedelta(minutes=1)
"""After an outage, and where a push has left rows for another reason."""
_UNKNOWN_RESET = timedelta(hours=1)
"""Where Zoho does not say when its next day begins."""
_BATCH = 200
"""Changes that are handed over together, before they are committed."""
_WAITED_FOR = (QuotaExceededError, RateLimitError, UnavailableError)

Consumer = Callable[[list[bulk.Change]], Awaitable[None]]


class Slice(msgspec.Struct, frozen=True, kw_only=True):
    """What one slice of a job has done.

    Args:
        done: Whether all is done: nothing is left, and of a push no row has failed or is of unknown outcome.
        complete: Whether nothing is left for another slice.
        again_at: When to run the same slice again (aware, UTC); None when it is complete.
        summary: The totals of this slice.
    """

    done: bool
    complete: bool
    again_at: datetime | None
    summary: bulk.PushSummary | bulk.PullSummary | bulk.ChangesSummary


async def push_slice(
    fleet: Fleet,
    resource: Any,
    rows: Iterable[Any] | AsyncIterable[Any],
    **options: Unpack[bulk.PushOptions],
) -> Slice:
    """Push rows under a lease, until they are done or it would have to wait for long.

    Neither a used-up day, a pause of more than 30 seconds, the end of the allowed hours (`window`) nor an outage is
    waited for: the slice ends and says when to run it again. Run again with the same rows and `state` it goes on.

    Args:
        fleet: Keeps the lease. The client of `resource` should take its limits from it too.
        resource: A client's resource such as `zoho.books.contacts`.
        rows: As in `bulk.push`.
        options: Those of `bulk.push`. `state` must be given: a file for each organisation, on a volume that follows
            the job. `lease` is the slice's own, and `wait` changes nothing.

    Returns:
        What was done, and when to run again. `bulk.rejected_rows` lists the rows that failed.

    Raises:
        InputError: There is no `state`, or as `bulk.push`.
        LeaseError: Another process pushes to this resource, or has taken over; nothing more was sent.
        ZohoError: As `bulk.push`, except what `again_at` stands for.
    """
    if options.get("state") is None:
        raise bulk.InputError("a slice goes on where the one before it ended: name a state file")
    again_at: datetime | None = None
    on_event = options.get("on_event")

    def watch(event: bulk.Event) -> None:
        nonlocal again_at
        if on_event is not None:
            on_event(event)
        if event.stage == "wait":
            again_at = event.until
            run.stop()

    summary = bulk.PushSummary()
    try:
        async with _lease(fleet, "push", resource) as lease:
            given = options.copy()
            given["lease"], given["on_event"] = lease, watch
            run = bulk.push(guarded(resource, lease.check, max_wait=_LONGEST_WAIT), rows, **given)
            try:
                async with run:
                    async for _ in run:
                        pass
            finally:
                summary = run.summary
    except _WAITED_FOR as error:
        again_at = _moment_after(error)
    if summary.complete:
        return Slice(done=not (summary.failed or summary.unknown), complete=True, again_at=None, summary=summary)
    moment = datetime.now(UTC) + _SOON if again_at is None else again_at.astimezone(UTC)
    return Slice(done=False, complete=False, again_at=moment, summary=summary)


async def pull_slice(
    fleet: Fleet,
    resource: Any,
    to: str | Path | Consumer,
    *,
    state: str | Path | None,
    max_calls: int = 500,
    details: Literal["none", "changed"] = "none",
    deletes: Literal["auto", "off", "now"] = "auto",
    max_deleted: float = 0.2,
) -> Slice:
    """Pull what has changed under a lease, with at most so many calls.

    Args:
        fleet: Keeps the lease. The client of `resource` should take its limits from it too.
        resource: A client's resource such as `zoho.books.contacts`.
        to: A SQLite file, as of `bulk.pull`; or a function that is awaited with lists of changes, which it stores: once
            it has returned they are not handed over again.
        state: For a function: path of the JSON document of `bulk.changes`. A SQLite file keeps its own; not used there.
        max_calls: Most calls of this slice; the next one goes on.
        details: As in `bulk.changes`.
        deletes: As in `bulk.changes`.
        max_deleted: As in `bulk.changes`.

    Returns:
        What was done, and when to run again: at once when `max_calls` were too few.

    Raises:
        InputError: There is no state for a function.
        LeaseError: Another process pulls this resource, or has taken over; nothing more was sent.
        ZohoError: As `bulk.pull`, except what `again_at` stands for.
    """
    chosen: dict[str, Any] = {
        "details": details,
        "max_calls": max_calls,
        "deletes": deletes,
        "max_deleted": max_deleted,
    }
    summary: bulk.PullSummary | bulk.ChangesSummary = bulk.PullSummary(complete=False)
    again_at: datetime | None = None

    def keep(seen: bulk.PullSummary) -> None:
        nonlocal summary
        summary = msgspec.structs.replace(seen, complete=False)

    try:
        async with _lease(fleet, "pull", resource) as lease:
            source = guarded(resource, lease.check, max_wait=_LONGEST_WAIT)
            if isinstance(to, str | Path):
                summary = await bulk.pull(source, to, on_progress=keep, **chosen)
            elif state is None:
                raise bulk.InputError("a function keeps no state of its own: name a state file")
            else:
                changes = bulk.changes(source, state, **chosen)
                summary = changes.summary
                await _hand_over(changes, to)
    except _WAITED_FOR as error:
        again_at = _moment_after(error)
    complete = again_at is None and summary.complete and not summary.pending
    moment = None if complete else again_at or datetime.now(UTC)
    return Slice(done=complete, complete=complete, again_at=moment, summary=summary)


async def _hand_over(changes: bulk.Changes, consumer: Consumer) -> None:
    async with changes:
        batch: list[bulk.Change] = []
        async for change in changes:
            batch.append(change)
            if len(batch) == _BATCH:
                await consumer(batch)
                changes.commit()
                batch = []
        if batch:
            await consumer(batch)
        changes.commit()


def resource_lease(fleet: Fleet, work: Literal["push", "pull"], resource: Any, *, wait: float = 0.0) -> Lease:
    """The lease of slices, and of `zoho-async push --redis`, on one resource of one organisation.

    Args:
        fleet: Keeps it.
        work: What is done.
        resource: A client's resource such as `zoho.books.contacts`.
        wait: As in `Fleet.lease`.
    """
    target = Destination.of(resource)
    return fleet.lease(work, *target.origin, target.name, wait=wait)


def _lease(fleet: Fleet, work: Literal["push", "pull"], resource: Any) -> Lease:
    # An owner that was killed holds it for so long.
    return resource_lease(fleet, work, resource, wait=fleet.lease_seconds + 1)


def _moment_after(error: QuotaExceededError | RateLimitError | UnavailableError) -> datetime:
    now = datetime.now(UTC)
    if isinstance(error, QuotaExceededError):
        return error.resets_at or now + _UNKNOWN_RESET
    return (error.retry_at if isinstance(error, RateLimitError) else None) or now + _SOON
