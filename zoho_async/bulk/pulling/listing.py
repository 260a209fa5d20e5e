"""Reads a resource's list page by page, in an order in which neither creates nor deletes hide a living record."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping
from contextlib import aclosing
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

import msgspec

from zoho_async._typeguards import is_mapping, scalar_text
from zoho_async.bulk._aio import closable
from zoho_async.bulk.concurrent_map import map  # noqa: A004 - our own map, named like the builtin
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.scheduling.window import UNKNOWN_RESET, local_now, sleep_until
from zoho_async.bulk.state.own_writes import moment_of
from zoho_async.errors import DecodeError, QuotaExceededError, RefusedError
from zoho_async.schema.operation import Parameter
from zoho_async.transport import hooks
from zoho_async.wire.lenient import untyped
from zoho_async.wire.pagination import Page

from .id_index import IdSet
from .sink import Record

T = TypeVar("T")

PER_PAGE = 200

OLDEST_FIRST: Mapping[str, str] = {"sort_column": "created_time", "sort_order": "A"}
NEWEST_CHANGE_FIRST: Mapping[str, str] = {"sort_column": "last_modified_time", "sort_order": "D"}

_COUNT_ONLY = Parameter(name="response_option", location="query")
"""Seen with 2 for counts alone, not documented."""


class BudgetSpentError(Exception):
    """The calls of this run are used up; the next run goes on."""


class CallBudget:
    """Counts calls, at most `limit` of them, and waits for the next day's where that is wanted.

    Args:
        limit: None for any number.
        wait: Wait when the day's calls are used up; else QuotaExceededError ends the run.
        on_wait: Is called with the moment that is waited for, once.

    Attributes:
        used: Calls so far, without the client's retries.
    """

    def __init__(
        self, limit: int | None = None, *, wait: bool = False, on_wait: Callable[[datetime], None] | None = None
    ) -> None:
        self._limit = limit
        self._wait = wait
        self._on_wait = on_wait
        self._awaited: datetime | None = None
        self.used = 0

    def take(self) -> None:
        """Counts a call that is about to be made; raises BudgetSpentError when none is left."""
        if not self.left:
            raise BudgetSpentError
        self.used += 1

    @property
    def left(self) -> bool:
        """Whether a call may be made."""
        return self._limit is None or self.used < self._limit

    def check_enough(self, *, several_pages: bool, details: bool = False) -> None:
        """Raises InputError when a run may make so few calls that it would come no further for ever.

        Args:
            several_pages: Whether the list is longer than a page, which takes a page, the count and another page.
            details: Whether records are read by themselves, after a page.
        """
        least, purpose = (3, "a list of several pages") if several_pages else (2, "a page and a record")
        if self._limit is not None and (several_pages or details) and self._limit < least:
            raise InputError(f"max_calls={self._limit}: reading {purpose} needs at least {least} calls a run")

    async def make(self, call: Callable[[], Awaitable[T]]) -> T:
        """Makes a call that was counted; again when the day's calls were used up."""
        while True:
            try:
                return await call()
            except QuotaExceededError as error:
                if not self._wait:
                    raise
                moment = error.resets_at or local_now() + UNKNOWN_RESET
                # Several calls wait for one moment.
                if self._awaited is None or abs(moment - self._awaited) > UNKNOWN_RESET / 2:
                    self._awaited = moment
                    if self._on_wait is not None:
                        self._on_wait(moment)
                await sleep_until(moment, now=local_now)


class ListPage(msgspec.Struct, frozen=True, kw_only=True):
    """One page of a list.

    Attributes:
        number: From 1.
        records: Its rows with an id.
        size: Its rows, those without an id too.
        more: Whether another page follows; None when Zoho did not say.
    """

    number: int
    records: list[Record]
    size: int
    more: bool | None

    @property
    def goes_on(self) -> bool:
        """Whether to ask for the next page: this one has rows, and Zoho does not say that it is the last."""
        return self.size > 0 and self.more is not False

    @property
    def is_long(self) -> bool:
        """Whether Zoho says that the list has more pages, or the page is full."""
        return self.more if self.more is not None else self.size >= PER_PAGE


class ListReader:
    """The calls that read one list.

    Args:
        target: What is read; it has a paged list.
        budget: Of the calls.
        on_size: Is called with the number of records, whenever a call shows it.
    """

    def __init__(self, target: Destination, budget: CallBudget, on_size: Callable[[int], None] | None = None) -> None:
        self._target = target
        self._budget = budget
        self._on_size = on_size
        listing = target.operations["list"]
        counting = (*listing.parameters, _COUNT_ONLY)
        self._listing = listing
        self._counting = msgspec.structs.replace(listing, kind="untyped", response=None, parameters=counting)
        self.unreadable = False
        """Whether a page was no list, or had a row without an id: there are records that are not known."""

    @property
    def is_sorted(self) -> bool:
        """Whether the newest changes can be read first, and all records in the order of their creation."""
        return self.sorts_by("last_modified_time") and self.sorts_by("created_time")

    def sorts_by(self, column: str) -> bool:
        """Whether the list can be sorted by a column."""
        parameter = self._target.filters.get("sort_column")
        return parameter is not None and column in parameter.values

    async def page(self, number: int, order: Mapping[str, str]) -> ListPage:
        """Reads one page."""
        self._budget.take()
        query = {**order, "page": number, "per_page": PER_PAGE}
        send = partial(hooks.send, self._target.resource, self._listing, query=query, type=dict[str, Any])
        response = await self._budget.make(send)
        page: Page[dict[str, Any]] = response.data
        raws = _raw_rows(page, response.body, self._listing.envelope)
        records = [record for raw in raws if (record := self._record(raw)) is not None]
        if not page.readable or len(records) < len(raws):
            self.unreadable = True
        found = ListPage(number=number, records=records, size=len(raws), more=more_pages(page))
        if number == 1 and not found.goes_on and self._on_size is not None:
            self._on_size(found.size)
        return found

    async def count(self) -> int | None:
        """How many records the list has; None when Zoho does not answer that."""
        self._budget.take()
        query = {"response_option": "2", "page": 1, "per_page": PER_PAGE}
        try:
            response = await self._budget.make(partial(hooks.send, self._target.resource, self._counting, query=query))
        except RefusedError:
            return None
        context: Any = response.data.get("page_context")
        total = context.get("total") if is_mapping(context) else None
        if not isinstance(total, int) or isinstance(total, bool) or total < 0:
            return None
        if self._on_size is not None:
            self._on_size(total)
        return total

    def _record(self, raw: bytes) -> Record | None:
        row: Any = untyped(raw)
        if not is_mapping(row):
            return None
        record_id = scalar_text(row.get(self._listing.row_id))
        if not record_id:
            return None
        name = scalar_text(row.get(self._target.name_field)) if self._target.name_field else ""
        modified = scalar_text(row.get("last_modified_time")) or scalar_text(row.get("updated_time"))
        return Record(id=record_id, name=name, modified=modified, raw=raw)


class WholeList:
    """One reading of a whole list.

    By `created_time` ascending, from the last page to the first: a create appends behind what is read, a delete moves
    rows to pages that are still to be read. Either shows a record twice at most. A list without that order is read
    forward; when its count then differs from what was seen, backward too.

    Args:
        reader: Makes the calls.
    """

    def __init__(self, reader: ListReader) -> None:
        self._reader = reader
        self._seen = IdSet()
        self.end_known = False
        """Whether Zoho has stated where the list ends."""
        self.seen = 0
        """Records read, each counted once."""
        self.without_id = 0
        """Rows that have no id."""

    async def pages(self) -> AsyncGenerator[list[Record], None]:
        """The records of each page, each record once."""
        try:
            async with aclosing(self._pages()) as pages:
                async for records in pages:
                    yield records
        finally:
            self._seen.close()

    async def _pages(self) -> AsyncGenerator[list[Record], None]:
        order: Mapping[str, str] = OLDEST_FIRST if self._reader.sorts_by("created_time") else {}
        first = await self._reader.page(1, order)
        if not first.goes_on:
            self.end_known = first.more is False
            yield self._fresh(first)
            return
        if order:
            last, self.end_known = await last_page(self._reader, await self._reader.count(), order, first)
            async for records in self._backward(last, order):
                yield records
            return
        before = await self._reader.count()
        last = await self._reader.page(1, order)
        yield self._fresh(last)
        while last.goes_on:
            last = await self._reader.page(last.number + 1, order)
            fresh = self._fresh(last)
            yield fresh
            if not fresh:
                # Some servers repeat their last page without end.
                break
        self.end_known = last.more is False
        # Both counts: a create and a delete can leave one of them as it was.
        if before is None or not before == self.seen == await self._reader.count():
            async for records in self._backward(last, order):
                yield records

    async def _backward(self, last: ListPage, order: Mapping[str, str]) -> AsyncGenerator[list[Record], None]:
        yield self._fresh(last)
        for number in range(last.number - 1, 0, -1):
            yield self._fresh(await self._reader.page(number, order))

    def _fresh(self, page: ListPage) -> list[Record]:
        self.without_id += page.size - len(page.records)
        by_id = {record.id: record for record in page.records}
        fresh = [by_id[one] for one in self._seen.add(by_id)]
        self.seen += len(fresh)
        return fresh


async def last_page(
    reader: ListReader,
    count: int | None,
    order: Mapping[str, str],
    first: ListPage | None = None,
    *,
    bounds: tuple[int, int] = (0, 0),
    on_bounds: Callable[[int, int], None] | None = None,
) -> tuple[ListPage, bool]:
    """The last page that has rows, and whether Zoho has stated that the list ends there.

    It is looked for where the count says, then by doubling and halving.

    Args:
        reader: Makes the calls.
        count: How many records there are; None when not known.
        order: The list's order.
        first: Its first page, where it was read.
        bounds: What an earlier search has found: a page that has rows, and one behind the end; 0 when not known.
        on_bounds: Is called with the bounds after every call.
    """
    guess = -(-count // PER_PAGE) if count is not None else 0
    low, high = first, None
    again, end = bounds
    step = max(1, again)
    known = {record.id for record in first.records} if first is not None else set[str]()
    while True:
        at = low.number if low is not None else 0
        if again:
            # Deletes may have emptied it, and its ids tell whether pages behind it repeat it.
            number, again = again, 0
        elif end:
            if end - at == 1:
                break
            number = (at + end) // 2
        elif guess > at:
            number = guess
        else:
            number, step = at + step, step * 2
        page = await reader.page(number, order)
        fresh = {record.id for record in page.records} - known
        known |= fresh
        if not fresh:
            # Also where a server repeats a page without end.
            high, end = page, page.number
        elif page.goes_on:
            low = page
        else:
            return page, page.more is False
        if on_bounds is not None:
            on_bounds(low.number if low is not None else 0, end)
    if low is None:
        page = high if high is not None else await reader.page(1, order)
        return page, page.more is False
    # Deletes may have moved rows of the next page here since it was read.
    low = await reader.page(low.number, order)
    return low, low.more is False or (high is not None and high.more is False)


def more_pages(page: Page[Any]) -> bool | None:
    """Whether another page follows; None when Zoho did not say."""
    return page.context.has_more_page


def _raw_rows(page: Page[dict[str, Any]], body: bytes, envelope: tuple[str, ...]) -> list[bytes]:
    """The rows as they came over the wire, digit by digit."""
    try:
        body.decode()  # undecoded members are not checked
        members: dict[str, msgspec.Raw] = msgspec.json.decode(body, type=dict[str, msgspec.Raw])
        key = next((key for key in envelope if key in members and bytes(members[key]) != b"null"), "")
        return [bytes(raw) for raw in msgspec.json.decode(members[key], type=list[msgspec.Raw])] if key else []
    except (msgspec.DecodeError, UnicodeDecodeError):
        # Another charset, or one row that is not in a list.
        return [_json.encode(row) for row in page.rows]


_json = msgspec.json.Encoder(decimal_format="number")


def in_utf8(record: dict[str, msgspec.Raw]) -> bytes:
    """A record as JSON, member by member as Zoho wrote it; what is not UTF-8 as Latin-1."""
    raw = _json.encode(record)
    try:
        raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1").encode()
    return raw


class RecordReader:
    """The calls that read records by themselves.

    Args:
        target: Whose records are read.
        budget: Of the calls.
        concurrency: Calls at a time.
    """

    def __init__(self, target: Destination, budget: CallBudget, concurrency: int) -> None:
        self._target = target
        self._budget = budget
        self._concurrency = concurrency

    async def read(self, ids: Iterable[str]) -> AsyncGenerator[tuple[str, bytes | Exception], None]:
        """Each id with its record as JSON or Zoho's refusal, as many as there are calls left."""

        def affordable() -> Iterable[str]:
            for record_id in ids:
                if not self._budget.left:
                    return
                self._budget.take()
                yield record_id

        async with aclosing(closable(map(self._read_one, affordable(), concurrency=self._concurrency))) as outcomes:
            async for outcome in outcomes:
                error = outcome.error
                if error is not None and not isinstance(error, DecodeError | RefusedError):
                    raise error
                yield outcome.item, error if error is not None else outcome.result or b""

    async def _read_one(self, record_id: str) -> bytes:
        # Member by member as text, so that every value stays as Zoho wrote it.
        read = partial(self._target.resource.get, record_id, type=dict[str, msgspec.Raw])
        return in_utf8(await self._budget.make(read))


def newest_change(records: list[Record], watermark: str) -> str:
    """The later of a watermark and the newest change of records, in UTC."""
    moments = [moment for text in (watermark, *(one.modified for one in records)) if (moment := moment_of(text))]
    return max(moments).isoformat() if moments else watermark
