"""Rows in: validated, each sent once in effect, resumable, with one outcome a row.

How a row is sent, and how its outcome is found when a call's is unknown (`row_state` has the whole table):

- A record that exists is read, the row is merged into it, and only what differs is sent; its before-image is kept.
  After an unknown outcome it is read again, and what still differs is sent.
- With `upsert_by`, a record that does not exist is made by Zoho's own upsert. A repeated call finds the record of the
  first by its key, so an unknown outcome is resolved by sending once more, at once; later the record is looked up,
  because others may have changed it.
- Without, it is created, which is never repeated blindly. Unknown outcomes are looked up together, after a pause, in
  the newest records of the list. What is not there is sent again only where Zoho would refuse a second record (names
  are unique) or a field to match by would have found the first; anything else stays `unknown`.
- A record is read again when it is older than 15 seconds at sending; lists are read again after waits of hours.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, MutableSequence
from contextlib import aclosing
from functools import partial
from pathlib import Path
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack

import msgspec

from zoho_async.bulk._aio import closable, iterate, with_idle_ticks
from zoho_async.bulk.concurrent_map import (
    Outcome,
    map,  # noqa: A004 - our own map, named like the builtin
)
from zoho_async.bulk.errors import RUN_ENDING_ERRORS, InputError, StateError
from zoho_async.bulk.results import PushSummary, RowOutcome, invalid, refused_alike, unknown
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.rows.validate import check_rows
from zoho_async.bulk.scheduling.window import Window
from zoho_async.bulk.source.files import RowFile, content_hash
from zoho_async.bulk.state import runs
from zoho_async.bulk.state.database import Database, sqlite_text
from zoho_async.bulk.state.journal import Journal
from zoho_async.errors import QuotaExceededError
from zoho_async.transport.hooks import LeaseCheck, guarded

from .call_control import CallControl, SendLimit, Withheld
from .dispatch import Dispatcher
from .events import Event
from .prepare import Planner, repeatable
from .push_options import PushOptions, matching, takes_push_options, with_defaults
from .routing import RoutedRow

if TYPE_CHECKING:
    from zoho_async.bulk.rows.resource import PushableResource

QUEUE_DEPTH_FACTOR = 2
"""Rows in progress per slot: while some wait for their calls, others wait for the disk."""

IDLE_TICK_S = 1.0
"""Seconds without an outcome after which deferred rows are reconciled: an asynchronous input may wait for them."""

BREAKER_THRESHOLD = 3
"""Consecutive outages per slot that abort the push."""


class Push:
    """A push in progress, made by `push()`: iterate it for the outcomes, in the order they are ready.

    Use it as a context manager where the loop may be left early: at its end the run has ended and the state file is
    free. Left early without one, the run ends too, but some moments later.

    Attributes:
        summary: Totals so far.

    Example:
        async with bulk.push(zoho.books.contacts, rows) as run:
            async for outcome in run:
                ...
    """

    def __init__(
        self,
        target: Destination,
        rows: Iterable[Any] | AsyncIterable[Any],
        options: Options,
        *,
        state: Path | None,
        label: str,
        limit: int | None,
        max_failures: int,
        concurrency: int,
        pause: float,
        wait: bool,
        window: Window | None,
        strict: bool,
        lease: LeaseCheck | None,
        on_event: Callable[[Event], None] | None,
    ) -> None:
        if strict and not repeatable(rows):
            raise InputError("strict needs a file or a sequence: what is read once cannot be checked beforehand")
        if lease is not None:
            target = msgspec.structs.replace(target, resource=guarded(target.resource, lease.check))
        # The caller may change a list meanwhile.
        rows = tuple(rows) if isinstance(rows, MutableSequence) else rows
        of, input_rows = _extent(rows)
        self.summary = PushSummary(of=of, input_rows=input_rows)
        self._destination = target
        self._rows = rows
        self._options = options
        self._state = state
        self._label = label
        self._strict = strict
        self._concurrency = concurrency
        self._on_event = on_event
        self._callback_error: Exception | None = None
        self._control = CallControl(
            self.summary,
            concurrency=concurrency,
            threshold=BREAKER_THRESHOLD * concurrency,
            max_failures=max_failures,
            pause=pause,
            wait=wait,
            window=window,
            emit=self._emit,
        )
        self._limit = SendLimit(limit)
        self._max_failures = max_failures
        self._exhausted = False
        self._given = 0
        self._begun = False
        self._working: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    def stop(self) -> None:
        """Ends the push gracefully.

        No further call is sent, waits end, and an asynchronous input is cancelled where it waits. Calls in flight are
        finished, and their outcomes are still iterated.
        """
        self._control.drain()

    def __aiter__(self) -> AsyncIterator[RowOutcome]:
        if self._begun:
            raise RuntimeError("a push can be iterated only once")
        self._begun = True
        return self._run()

    async def aclose(self) -> None:
        """Ends the run at once; calls in flight are cancelled, and the next run reconciles them."""
        self._begun = True
        if self._working is not None:
            # Once only: a second cancellation would interrupt its clean-up.
            if not self._working.cancelling():
                self._working.cancel()
            await asyncio.wait([self._working])

    def _emit(self, event: Event) -> None:
        if self._on_event is None or self._callback_error is not None:
            return
        try:
            self._on_event(event)
        except Exception as error:  # noqa: BLE001 - raised at the end; rows go on
            self._callback_error = error
            self._control.drain()

    async def _run(self) -> AsyncGenerator[RowOutcome, None]:
        # A task closes its generators in order. Nested here, and left by a break, they would be closed by the event
        # loop in any order.
        begun = monotonic()
        ready: asyncio.Queue[RowOutcome | None] = asyncio.Queue(self._concurrency)
        working = self._working = asyncio.create_task(self._work(ready), name="zoho-push")
        # Not at the end of `_work`: cancelled at once, it never begins.
        working.add_done_callback(partial(_end, ready))
        try:
            while (outcome := await ready.get()) is not None:
                self.summary.seconds = monotonic() - begun
                self.summary.count(outcome)
                ready.task_done()
                yield outcome
            await asyncio.wait([working])
            if not working.cancelled():
                working.result()
            if self._callback_error is not None:
                raise self._callback_error
        finally:
            await self.aclose()
            self.summary.seconds = monotonic() - begun

    async def _work(self, ready: asyncio.Queue[RowOutcome | None]) -> None:
        # A repeated upsert is recognised by its key; a create must be known even after a power cut.
        async with Database(self._state, durable=not self._options.upsert_by) as database:
            options = msgspec.structs.asdict(self._options)
            self.summary.run = await runs.begin(database, self._label, source=_source(self._rows), options=options)
            ended: Literal["complete", "stopped", "failed"] = "failed"
            try:
                try:
                    await self._push(Journal(database, self._label, self.summary.run), ready)
                except Exception:
                    await ready.join()
                    raise
                # Only consumed outcomes are counted.
                await ready.join()
                if self._control.abort_reason is not None:
                    raise self._control.abort_reason
                ended = "complete" if self.summary.complete else "stopped"
            except (asyncio.CancelledError, QuotaExceededError):
                ended = "stopped"
                raise
            finally:
                await asyncio.shield(
                    runs.end(
                        database,
                        self.summary.run,
                        ended,
                        summary=msgspec.structs.asdict(self.summary),
                        error=str(
                            self._control.abort_reason or (self.summary.reason if self._control.refused_for else "")
                        ),
                    )
                )

    async def _push(self, journal: Journal, ready: asyncio.Queue[RowOutcome | None]) -> None:
        async def give(outcome: RowOutcome) -> None:
            if outcome.status != "done":
                await runs.record_rejected(journal.database, self.summary.run, [_rejected_row(outcome)])
                if outcome.error is not None and outcome.error is self._control.refused_for:
                    self.summary.ended_by = "max_failures"
                    self.summary.reason = refused_alike(outcome, self._max_failures)
            self._given += 1
            self._emit(Event(stage="write", done=self._given))
            # Backpressure: a few outcomes ahead of the consumer.
            await ready.put(outcome)

        planner = Planner(
            journal, self._destination, self._options, self._control.read, lambda: self._control.wait_epoch
        )
        failure: Exception | None = None
        dispatcher = Dispatcher(self._destination, self._options, self._control, journal, planner, self._limit)
        checked = repeatable(self._rows)
        async with planner.index:
            if checked and not isinstance(self._rows, AsyncIterable):
                async with aclosing(planner.check(self._rows, strict=self._strict)) as batches:
                    async for wrong in batches:
                        self._emit(Event(stage="check", done=planner.checked))
                        for item in wrong:
                            await give(invalid(item))
                        if self._control.stopped:
                            return
            try:
                fed = self._fed(self._rows) if isinstance(self._rows, AsyncIterable) else None
                async with aclosing(planner.routed_rows(fed or self._rows, checked=checked)) as routed_rows:
                    source = self._until_stopped(routed_rows)
                    performed = closable(
                        map(dispatcher.perform, source, concurrency=QUEUE_DEPTH_FACTOR * self._concurrency)
                    )
                    ticking = with_idle_ticks(
                        performed, seconds=IDLE_TICK_S, wanted=lambda: fed is not None and dispatcher.has_deferred
                    )
                    async with aclosing(ticking) as outcomes:
                        async for outcome in outcomes:
                            if outcome is not None and (given := _given(outcome)) is not None:
                                await give(given)
                            if outcome is None or dispatcher.due:
                                async for reconciled in dispatcher.reconcile():
                                    await give(reconciled)
            except Withheld:
                # The list was not read because the push is to end.
                pass
            except RUN_ENDING_ERRORS as error:
                # Raised at the end: deferred rows are reported first.
                self._control.abort(error)
            except StateError:
                raise
            except Exception as error:  # noqa: BLE001 - of the input, or a list that cannot be read; raised below
                failure = error
            async for given in dispatcher.reconcile():
                await give(given)
            if failure is not None:
                raise failure
        self.summary.complete = self._exhausted and not dispatcher.has_remaining and self._control.abort_reason is None
        if self.summary.complete:
            self.summary.ended_by, self.summary.reason = "", ""

    async def _fed(self, rows: AsyncIterable[Any]) -> AsyncGenerator[Any, None]:
        """The rows of an asynchronous input, until the push is to end."""
        end = object()
        async with aclosing(iterate(rows)) as source:
            following = partial(anext, source, end)
            while (row := await self._control.wait_for(following)) is not end:
                yield row

    async def _until_stopped(self, source: AsyncGenerator[RoutedRow, None]) -> AsyncIterator[RoutedRow]:
        async for routed in source:
            if self._control.draining:
                return
            if routed.needs_call and not (self._limit.take() or await self._control.wait_for(self._limit.wait)):
                self.summary.ended_by, self.summary.reason = "limit", "as many rows were sent as the limit says"
                return
            yield routed
        self._exhausted = True


@takes_push_options
def push(resource: PushableResource, rows: Iterable[Any] | AsyncIterable[Any], **options: Unpack[PushOptions]) -> Push:
    """Creates a record for every row, or updates the one that is there, each exactly once in effect.

    Files and sequences are checked to their end before the first call, and pushed as they were then. A row that matches
    a record updates only what it sets and what differs; contact persons are merged by id, e-mail or full name, so that
    none is lost. The same call with the same `state` goes on where this one ended, whatever ended it. Outcomes wait
    for their consumer, at most `concurrency` of them.

    Args:
        resource: A client's resource such as `zoho.books.contacts`.
        rows: A `RowFile` (`open_rows`), or any iterable or async iterable of mappings (flat columns or nested) or
            request structs.
        **options: See `PushOptions`.

    Returns:
        The push; iterate it: one `RowOutcome` a row as it is ready, never an exception for one row. `.summary` counts,
        `.stop()` ends it gracefully, `async with` around the loop ends it when the loop is left early.

    Raises:
        InputError: The resource or the options are not possible; when iterated, before the first write, when the
            organisation lacks a field or a currency; at the end, for a sequence that lost rows while it was pushed.
        ValueError: `concurrency`, `limit` or `max_failures` is less than 1.
        StateError: The state file is in use or cannot be written.
        AuthError, ConfigError, LeaseError, QuotaExceededError, RateLimitError, UnavailableError: When iterated, after
            the calls in flight have ended.
    """
    given = with_defaults(options)
    check_rows(rows)
    destination = Destination.of(resource)
    state, window = given["state"], given["window"]
    return Push(
        destination,
        rows,
        Options.of(destination, **matching(given)),
        state=Path(state) if state is not None else None,
        label=sqlite_text(given["label"]) or destination.label,
        limit=given["limit"],
        max_failures=given["max_failures"],
        concurrency=given["concurrency"],
        pause=given["pause"],
        wait=given["wait"],
        window=Window.parse(window) if window is not None else None,
        strict=given["strict"],
        lease=given["lease"],
        on_event=given["on_event"],
    )


def _end(ready: asyncio.Queue[RowOutcome | None], _: asyncio.Task[None]) -> None:
    if ready.full():
        # The consumer has left; the state has the outcome.
        ready.get_nowait()
    ready.put_nowait(None)


def _given(outcome: Outcome[RoutedRow, RowOutcome | None]) -> RowOutcome | None:
    """The outcome to report of a row; None when it is deferred, or remains for the next run."""
    item, error = outcome.item.item, outcome.error
    if isinstance(error, StateError):
        # Without a journal nothing more may be sent.
        raise error
    # Raised out of the dispatcher, perhaps after the row was sent.
    return outcome.result if error is None else unknown(item, error)


def _source(rows: Any) -> str:
    return str(rows.path.absolute()) if isinstance(rows, RowFile) else type(rows).__name__


def _extent(rows: Any) -> tuple[int | None, int | None]:
    """How many rows are to be sent, and how many the input has in all."""
    if isinstance(rows, RowFile):
        return rows.count, rows.total
    return (len(rows), len(rows)) if repeatable(rows) else (None, None)


def _rejected_row(outcome: RowOutcome) -> runs.RejectedRow:
    row = outcome.row
    return runs.RejectedRow(
        number=row.number,
        line=row.line,
        identity=outcome.identity,
        digest=content_hash(row),
        status=outcome.status,
        code=outcome.code,
        field=outcome.field,
        reason=outcome.reason,
        hint=outcome.hint,
    )
