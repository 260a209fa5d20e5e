"""The changes of a list since the last run, for programs that keep a copy of it."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Any, Literal, Self, get_args
from uuid import uuid4

import msgspec

from zoho_async.bulk.errors import InputError, StateError
from zoho_async.bulk.rows.resource import Destination, required_path
from zoho_async.bulk.state.own_writes import PushedWrites

from .change import Change, OwnWrites
from .change_reader import ChangeReader, Deletes
from .deletions import MAX_DELETED
from .listing import BudgetSpentError, CallBudget
from .state_document import FileState, PullDocument, PullState, read_document


class ChangesSummary(msgspec.Struct, kw_only=True):
    """Totals of a run over changes.

    Attributes:
        upserts: Records that were handed out as created or changed.
        deletes: Records that were handed out as deleted.
        calls: Calls, without the client's retries.
        pending: Records whose details are left to the next run.
        complete: Whether everything was handed out; False when `max_calls` was too few, or the iteration was left.
        end_known: Whether Zoho reported where the list ends, and every row could be read; without that no record is
            taken for deleted.
        full_reads: Readings of the whole list: the first one, sweeps for deletes, and every run over a list that cannot
            be sorted.
    """

    upserts: int = 0
    deletes: int = 0
    calls: int = 0
    pending: int = 0
    complete: bool = False
    end_known: bool = True
    full_reads: int = 0


class Changes:
    """The changes of one list; made by `changes()`. Enter it, iterate once, and commit what was stored."""

    def __init__(
        self,
        target: Destination,
        state: PullState,
        where: str,
        *,
        details: bool,
        max_calls: int | None,
        deletes: Deletes,
        max_deleted: float,
        own: OwnWrites | str | Path | None = None,
        concurrency: int = 10,
        wait: bool = False,
        on_wait: Callable[[datetime], None] | None = None,
        on_size: Callable[[int], None] | None = None,
    ) -> None:
        self._target = target
        self._state = state
        self._where = where
        self._details = details
        self._deletes: Deletes = deletes
        self._max_deleted = max_deleted
        self._own = PushedWrites(own) if isinstance(own, str | Path) else own
        self._concurrency = concurrency
        self._on_size = on_size
        self._budget = CallBudget(max_calls, wait=wait, on_wait=on_wait)
        self._uncommitted = False
        """Whether something was handed out since the last commit."""
        self._failed = False
        """Whether the state failed, so that it may take for handed out what was not."""
        self._summary = ChangesSummary()
        self._document: PullDocument | None = None
        self._reader: ChangeReader | None = None
        self._iteration: AsyncGenerator[Change, None] | None = None

    async def __aenter__(self) -> Self:
        with self._readable():
            raw = self._state.open()
        try:
            if isinstance(self._own, PushedWrites):
                self._own.open()
            origin = self._target.origin
            document = read_document(
                raw, resource=self._target.name, origin=origin, token=uuid4().hex, where=self._where
            )
            with self._readable():
                # An index that is not this document's, or none, cannot say what the consumer has.
                if not self._state.index.begin(document.index):
                    document = msgspec.structs.replace(document, watermark="", reading=None, generation=0, uncounted=0)
                    # Before anything is handed out: the next run has to find the index that belongs to it.
                    self._state.commit(msgspec.json.encode(document))
                # A killed run leaves pending records that its state does not count.
                killed = self._state.index.pending_count() != document.pending
        except BaseException:
            self._close()
            raise
        self._document = document
        self._reader = ChangeReader(
            self._target,
            document,
            self._state.index,
            self._budget,
            killed=killed,
            details=self._details,
            deletes=self._deletes,
            max_deleted=self._max_deleted,
            own=self._own,
            concurrency=self._concurrency,
            on_page=self._page_read,
            on_size=self._on_size,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._iteration is not None:
                await self._iteration.aclose()
            with self._readable():
                self._update_summary()
        finally:
            self._reader = None
            self._close()

    def _close(self) -> None:
        if isinstance(self._own, PushedWrites):
            self._own.close()
        self._state.close()

    def __aiter__(self) -> AsyncGenerator[Change, None]:
        if self._reader is None or self._iteration is not None:
            raise RuntimeError("changes are iterated over once, within `async with`")
        self._iteration = self._iterate(self._reader)
        return self._iteration

    async def _iterate(self, reader: ChangeReader) -> AsyncGenerator[Change, None]:
        source = reader.changes()
        try:
            with self._readable():
                async for change in source:
                    if change.kind == "upsert":
                        self._summary.upserts += 1
                    else:
                        self._summary.deletes += 1
                    self._uncommitted = True
                    yield change
            self._summary.complete = True
        except BudgetSpentError:
            pass
        finally:
            await source.aclose()

    @contextmanager
    def _readable(self) -> Generator[None, None, None]:
        """Makes SQLite's errors, such as that of a full disk, a StateError."""
        try:
            yield
        except sqlite3.Error as error:
            self._failed = True
            raise StateError(f"{self._where}: the state cannot be read or written: {error}") from error

    def _page_read(self) -> None:
        # The consumer has stored all, and may get nothing for many pages.
        if not self._uncommitted and self._document is not None:
            self._keep(self._document)

    def commit(self) -> Committed:
        """Keeps the state: the changes handed out so far are not handed out again.

        Call it when the consumer has stored them, as often as wanted, also between two changes. What is not committed
        is handed out again by the next run. It may be awaited.

        Raises:
            StateError: The state cannot be written, or has failed before.
        """
        if self._reader is None or self._document is None:
            raise RuntimeError("the changes are closed")
        if self._failed:
            raise StateError(f"{self._where}: the state failed, so no more of this run is kept")
        with self._readable():
            self._document.pending = self.pending
            self._keep(self._document)
        return Committed()

    def _keep(self, document: PullDocument) -> None:
        self._state.commit(msgspec.json.encode(document))
        self._uncommitted = False

    @property
    def pending(self) -> int:
        """Records whose details are still to be read."""
        return self._state.index.pending_count() if self._reader is not None else self._summary.pending

    @property
    def summary(self) -> ChangesSummary:
        """The totals so far."""
        if self._reader is not None:
            self._update_summary()
        return self._summary

    def _update_summary(self) -> None:
        assert self._reader is not None
        self._summary.calls = self._budget.used
        self._summary.end_known = self._reader.end_known and not self._reader.unreadable
        self._summary.full_reads = self._reader.full_reads
        self._summary.pending = self._state.index.pending_count()


class Committed:
    """What `commit` returns: nothing, which may be awaited."""

    def __await__(self) -> Generator[Any, None, None]:
        return
        yield


def changes(
    resource: Any,
    state: str | Path | PullState,
    *,
    details: Literal["none", "changed"] = "none",
    max_calls: int | None = None,
    deletes: Deletes = "auto",
    max_deleted: float = MAX_DELETED,
    own: OwnWrites | str | Path | None = None,
) -> Changes:
    """What was created, changed and deleted in a list since the last run.

    The first run hands out every record. Later ones read the newest changes only, where the list can be sorted
    (`books.contacts`): one or two calls when nothing has changed. Other lists are read in full and compared.

    Every change is handed out at least once: what was not committed comes again, in no promised order.

    Example:
        async with bulk.changes(zoho.books.contacts, "contacts.json") as changes:
            async for change in changes:
                await store(change)
            await changes.commit()

    Args:
        resource: A client's resource, such as `zoho.books.contacts`.
        state: Path of a JSON document; the index of ids is `<name>.ids` in its folder. Or a `PullState`.
        details: `changed` reads every changed record by itself, one call each, and hands it out then.
        max_calls: Most calls of this run, without the client's retries; the rest is left to the next run. A list of
            more than one page needs three, details two.
        deletes: `auto` looks for deletes when Zoho counts fewer records than are known, or once a day; `now` in any
            case; `off` never. Each missing record is asked for.
        max_deleted: Share of the known records, from 0 to 1, that may be deleted at once; ten may be in any case.
        own: The state file of our own pushes, whose changes are left out unless others have changed the record since
            (stamps are in whole seconds: a change within the second of ours passes for ours). Or an `OwnWrites`.

    Returns:
        An asynchronous context manager to iterate over, with `commit()`, `pending` and `summary`.

    Raises:
        InputError: The resource has no such list, or no details, or an argument is out of range. On entry also
            StateError: the state is in use, not ours, or of another organisation. While iterating StateError: the state
            cannot be read or written;
            MassDeleteError: the list lacks too many known records.
    """
    target = Destination.of(resource)
    check_pullable(target, details=details != "none")
    check_options(details, ("none", "changed"), max_calls=max_calls, deletes=deletes, max_deleted=max_deleted)
    keeper = FileState(Path(state)) if isinstance(state, str | Path) else state
    return Changes(
        target,
        keeper,
        str(state) if isinstance(state, str | Path) else "the state",
        details=details != "none",
        max_calls=max_calls,
        deletes=deletes,
        max_deleted=max_deleted,
        own=own,
    )


def check_pullable(target: Destination, *, details: bool) -> None:
    """Raises InputError when a resource has no paged list, or no details that are wanted."""
    listing = target.operations.get("list")
    if listing is None or listing.kind != "page" or required_path(listing):
        raise InputError(f"{target.name} cannot be pulled: it has no paged list")
    if details and not is_read_alone(target):
        raise InputError(f"{target.name} has no details to pull: its records cannot be read alone")


def check_options(
    details: str, possible: Sequence[str], *, max_calls: int | None, deletes: str, max_deleted: float
) -> None:
    """Raises InputError for an option out of its range: 20 for 20 % would believe every list."""
    if details not in possible:
        raise InputError(f"details={details!r}: must be one of {', '.join(possible)}")
    if deletes not in get_args(Deletes):
        raise InputError(f"deletes={deletes!r}: must be one of {', '.join(get_args(Deletes))}")
    if not 0 <= max_deleted <= 1:
        raise InputError(f"max_deleted={max_deleted}: must be a share from 0 to 1")
    if max_calls is not None and max_calls < 1:
        raise InputError(f"max_calls={max_calls}: must be at least 1, or None")


def is_read_alone(target: Destination) -> bool:
    """Whether each record can be read by itself."""
    get = target.operations.get("get")
    return get is not None and len(required_path(get)) == 1
