"""Finds what has changed since the last run, in few calls. See docs/pull.md for the reasons."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import aclosing
from datetime import timedelta
from typing import Literal

import msgspec

from zoho_async.bulk.rows.resource import Destination, required_path
from zoho_async.bulk.state.own_writes import moment_of
from zoho_async.errors import NotFoundError

from .change import Change, OwnWrites
from .deletions import check_missing, too_many
from .id_index import IdIndex, PendingRecord, content_hash
from .listing import (
    NEWEST_CHANGE_FIRST,
    OLDEST_FIRST,
    PER_PAGE,
    BudgetSpentError,
    CallBudget,
    ListPage,
    ListReader,
    RecordReader,
    last_page,
    newest_change,
)
from .sink import Record
from .state_document import ListProgress, PullDocument

Deletes = Literal["auto", "off", "now"]

OVERLAP = timedelta(seconds=300)
"""Changes before the watermark that are read again: they may have shown late."""
SWEEP_AFTER_S = 24 * 3600
_GROUP = 100
"""Records that are asked for together."""


class ChangeReader:
    """One run over the list of a resource; moves the document as its changes are handed out.

    Args:
        target: What is read.
        document: The state; changed in place.
        index: The ids.
        budget: The calls.
        killed: Whether the index is ahead of the state.
        details: Whether changed records are read by themselves.
        deletes: When the ids are swept.
        max_deleted: Share of the known records that may be deleted at once.
        own: What a push of ours has written.
        concurrency: Records read by themselves at a time.
        on_page: Is called when a page was read and its changes were handed out.
        on_size: Is called with the number of records, whenever a call shows it.
    """

    def __init__(
        self,
        target: Destination,
        document: PullDocument,
        index: IdIndex,
        budget: CallBudget,
        *,
        killed: bool,
        details: bool,
        deletes: Deletes,
        max_deleted: float,
        own: OwnWrites | None,
        concurrency: int,
        on_page: Callable[[], None],
        on_size: Callable[[int], None] | None,
    ) -> None:
        self._target = target
        self._document = document
        self._index = index
        self._budget = budget
        self._details = details
        self._deletes: Deletes = deletes
        self._max_deleted = max_deleted
        self._own = own
        self._on_page = on_page
        self._list = ListReader(target, budget, on_size)
        self._records = RecordReader(target, budget, concurrency)
        self._sorted = self._list.is_sorted
        self._swept = False
        """Whether this run has looked for deletes."""
        self._goes_on = killed and document.watermark != "" and document.reading is None
        """Whether a reading of what has changed was killed."""
        self._started: ListPage | None = None
        """The page that a reading of the whole list has begun with."""
        self.full_reads = 0
        """Readings of the whole list."""
        self.end_known = True
        """Whether Zoho reported where the list ends, each time that it was read to there."""

    @property
    def unreadable(self) -> bool:
        """Whether a page of the list was no list, or had a row without an id."""
        return self._list.unreadable

    async def changes(self) -> AsyncGenerator[Change, None]:
        """Everything that is to be handed out; BudgetSpentError when calls are missing for the rest."""
        is_long = self._index.count() > PER_PAGE and (self._details or self._deletes != "off")
        self._budget.check_enough(several_pages=is_long, details=self._details)
        again = not self._sorted and self._document.reading is not None
        # A list that is read in full may take all calls of every run.
        before = () if self._sorted else (self._pending,)
        steps = (*before, self._listed if self._sorted else self._compared, self._pending)
        # Once more: what has changed on its earlier pages since an earlier run has read them.
        for number, step in enumerate(steps * (2 if again else 1)):
            try:
                async with aclosing(step()) as found:
                    async for change in found:
                        yield change
            except BudgetSpentError:
                # With fewer calls than pages no run would ever be complete.
                if number < len(steps) or self._index.pending_count():
                    raise
                self._document.reading = None
        self._document.swept = False

    # -- lists that can be sorted

    async def _listed(self) -> AsyncGenerator[Change, None]:
        document = self._document
        resumed = document.reading is not None and document.reading.kind == "whole"
        if document.watermark == "" and document.reading is None:
            first = await self._list.page(1, NEWEST_CHANGE_FIRST)
            newest = newest_change(first.records, "")
            if not first.goes_on:
                async for change in self._snapshot(first):
                    yield change
                document.watermark = newest
                return
            self._budget.check_enough(several_pages=True)
            count = await self._list.count()
            # What changes from here on comes after the watermark.
            document.watermark = newest
            self._started = await self._begin_whole(count)
            resumed = True
        if resumed:
            async for change in self._whole():
                yield change
        async for change in self._changed():
            yield change
        if self._deletes != "off" and (resumed or not self._swept):
            async for change in self._counted():
                yield change

    async def _changed(self) -> AsyncGenerator[Change, None]:
        """Newest changes first, down to the watermark."""
        document = self._document
        while True:
            resumed = document.reading
            goes_on, self._goes_on = resumed is not None or self._goes_on, False
            page = await self._resumed_page()
            top = resumed.top if resumed is not None else newest_change(page.records, document.watermark)
            if page.number == 1 and not page.goes_on:
                document.reading = None
                async for change in self._snapshot(page):
                    yield change
                document.watermark = top
                return
            document.reading = ListProgress(kind="changed", page=page.number, top=top)
            previous: set[str] = set()
            while True:
                fresh = self._unknown(page.records)
                for change in self._handed_out(fresh):
                    yield change
                ids = {record.id for record in page.records}
                repeated = ids == previous
                if repeated or not page.goes_on or self._reaches_watermark(page, fresh, resumed=goes_on):
                    break
                previous = ids
                document.reading = ListProgress(kind="changed", page=page.number + 1, top=top)
                self._on_page()
                page = await self._list.page(page.number + 1, NEWEST_CHANGE_FIRST)
            document.reading = None
            # A server that repeats a page has not shown all changes.
            document.watermark = document.watermark if repeated else top
            if resumed is None:
                return

    async def _resumed_page(self) -> ListPage:
        """The page to go on with; an earlier one when deletes have moved unknown rows there."""
        reading = self._document.reading
        page = await self._list.page(reading.page if reading is not None else 1, NEWEST_CHANGE_FIRST)
        while page.number > 1 and (not page.records or self._unknown(page.records[:1])):
            page = await self._list.page(page.number - 1, NEWEST_CHANGE_FIRST)
        return page

    def _reaches_watermark(self, page: ListPage, fresh: list[Record], *, resumed: bool) -> bool:
        watermark = moment_of(self._document.watermark)
        moments = [moment for record in page.records if (moment := moment_of(record.modified)) is not None]
        if watermark is None or len(moments) < len(page.records) or not moments:
            return False
        # Thousands of records may have the watermark's stamp: a whole page of known ones is enough.
        # Where Zoho's clock was set back, the watermark may be later than all changes.
        passed = min(moments) < watermark - OVERLAP and page.records[-1] not in fresh[-1:]
        # A reading that goes on meets what it has shown before, of the watermark's stamp too.
        reached = max(moments) < watermark if resumed else max(moments) <= watermark
        return passed or (not fresh and reached)

    async def _snapshot(self, page: ListPage) -> AsyncGenerator[Change, None]:
        """A list that one page holds shows deletes too."""
        for change in self._handed_out(self._unknown(page.records)):
            yield change
        self._note_end(page.more is False)
        if self._deletes == "off":
            return
        document, index = self._document, self._index
        self._next_generation()
        index.mark_listed([record.id for record in page.records], document.generation)
        async for change in self._missing(end_known=page.more is False):
            yield change
        document.swept_at, document.uncounted = time.time(), 0
        self._swept = True

    async def _counted(self) -> AsyncGenerator[Change, None]:
        """Sweeps the ids when the count says so, when a day has passed, or on demand."""
        document = self._document
        count, surplus = await self._surplus()
        if surplus < 0:
            # Created since the list was read.
            async for change in self._changed():
                yield change
            count, surplus = await self._surplus()
        now = self._deletes == "now" and not self._swept and not document.swept
        if not surplus and not now and abs(time.time() - document.swept_at) < SWEEP_AFTER_S:
            return
        quiet = True
        self._started = await self._begin_whole(count)
        async for change in self._whole():
            quiet = False
            yield change
        async for change in self._changed():
            quiet = False
            yield change
        # Nothing happened under the sweep: what still differs is not for the list to show.
        if count is not None and quiet and count == await self._list.count():
            document.uncounted = self._index.count() - count

    async def _surplus(self) -> tuple[int | None, int]:
        """How many records Zoho counts, and how many more are known than it is used to."""
        count = await self._list.count()
        return count, 0 if count is None else self._index.count() - count - self._document.uncounted

    # -- whole lists

    async def _whole(self) -> AsyncGenerator[Change, None]:
        """Every record by `created_time` ascending, from the last page to the first, and then the missing ones."""
        document = self._document
        page, self._started = self._started, None
        self.full_reads += 1
        if document.reading is not None and document.reading.is_read and self._lacks_too_many():
            # What an earlier run has read is not believed.
            document.reading = None
        if document.reading is None:
            page = await self._begin_whole(await self._list.count())
        elif document.reading.beyond is not None:
            page = await self._begin_whole(None)
        reading = document.reading
        while reading is not None and reading.page:
            if page is None:
                page = await self._list.page(reading.page, OLDEST_FIRST)
            for change in self._listed_page(page):
                yield change
            document.reading = reading = msgspec.structs.replace(reading, page=reading.page - 1)
            self._on_page()
            page = None
        self._note_end(reading is not None and reading.end_known)
        if reading is not None and self._deletes != "off":
            async for change in self._missing(end_known=reading.end_known):
                yield change
        document.reading = None
        document.swept_at = time.time()
        document.swept = self._deletes == "now"
        self._swept = True

    async def _begin_whole(self, count: int | None) -> ListPage:
        """Begins a reading of the whole list, with its last page."""
        document = self._document
        search = document.reading
        if search is None or search.beyond is None:
            search = document.reading = ListProgress(kind="whole", page=0, beyond=0)

        def note(page: int, beyond: int) -> None:
            document.reading = ListProgress(kind="whole", page=page, beyond=beyond)

        # A wrong guess only costs calls.
        size = count if count is not None else self._index.count()
        bounds = search.page, search.beyond or 0
        page, end_known = await last_page(self._list, size, OLDEST_FIRST, bounds=bounds, on_bounds=note)
        self._next_generation()
        document.reading = ListProgress(kind="whole", page=page.number, end_known=end_known)
        return page

    def _next_generation(self) -> None:
        # A killed run may have written to the index with a higher one.
        self._document.generation = max(self._document.generation, self._index.last_generation()) + 1

    async def _compared(self) -> AsyncGenerator[Change, None]:
        """Lists without an order are read in full, forward."""
        document = self._document
        self.full_reads += 1
        if document.reading is not None and document.reading.is_read and self._lacks_too_many():
            document.reading = None
        async for change in self._forward():
            yield change
        if document.reading is not None and self._deletes != "off":
            async for change in self._missing(end_known=document.reading.end_known):
                yield change
        document.reading = None
        document.swept_at = time.time()

    async def _forward(self) -> AsyncGenerator[Change, None]:
        """All pages from the first to the last, and back when records may have moved past what was read."""
        document, index = self._document, self._index
        begins, quiet = document.reading is None, True
        before = await self._list.count() if begins and index.count() > PER_PAGE else None
        if document.reading is None:
            self._next_generation()
            document.reading = ListProgress(kind="whole", page=1)
        reading, last, previous = document.reading, 0, set[str]()
        while reading.page:
            page = await self._list.page(reading.page, {})
            if begins and page.number == 1 and page.is_long and before is None:
                self._budget.check_enough(several_pages=True)
                # The count comes first: what is deleted after it must not go unnoticed.
                before = await self._list.count()
                page = await self._list.page(1, {})
            for change in self._listed_page(page):
                quiet = False
                yield change
            ids = {record.id for record in page.records}
            ends = not page.goes_on or ids == previous
            last, previous = page.number if page.size else last, ids
            reading = ListProgress(kind="whole", page=0 if ends else page.number + 1, end_known=page.more is False)
            document.reading = reading
            self._on_page()
        self._note_end(reading.end_known)
        unlisted = index.count(document.generation)
        if not begins or last < 2 or (quiet and not unlisted):
            return
        if before is None or not before == index.count() - unlisted == await self._list.count():
            for number in range(last - 1, 0, -1):
                for change in self._listed_page(await self._list.page(number, {})):
                    yield change

    def _listed_page(self, page: ListPage) -> Generator[Change, None, None]:
        """Hands out what is new on a page of a whole reading."""
        yield from self._handed_out(self._unknown(page.records))
        self._index.mark_listed([record.id for record in page.records], self._document.generation)

    def _note_end(self, known: bool) -> None:
        self.end_known = self.end_known and known

    # -- deletes and details

    def _lacks_too_many(self) -> bool:
        known, missing = self._index.count(), self._index.count(self._document.generation)
        return too_many(missing, known, listed=known - missing, max_deleted=self._max_deleted)

    async def _missing(self, *, end_known: bool) -> AsyncGenerator[Change, None]:
        """The records that a whole reading has not shown and that Zoho says are not there."""
        index, generation = self._index, self._document.generation
        known, missing = index.count(), index.count(generation)
        get = self._target.operations.get("get")
        if get is None or len(required_path(get)) != 1 or not missing:
            return
        listed = known - missing
        check_missing(self._target, missing, known, listed=listed, max_deleted=self._max_deleted)
        if not end_known or self._list.unreadable:
            return
        if known > _GROUP and (count := await self._list.count()) is not None and count > listed:
            # Fewer are shown than counted.
            check_missing(self._target, count - listed, count, listed=listed, max_deleted=self._max_deleted)
        while ids := index.unlisted(generation, _GROUP):
            answers = {record_id: found async for record_id, found in self._records.read(ids)}
            for record_id, found in answers.items():
                if isinstance(found, NotFoundError):
                    index.remove(record_id)
                    yield Change(kind="delete", id=record_id)
                else:
                    index.mark_listed([record_id], generation)
            if len(answers) < len(ids):
                raise BudgetSpentError

    async def _pending(self) -> AsyncGenerator[Change, None]:
        """Reads the details of changed records, the longest unchanged first."""
        index, vanished = self._index, list[str]()
        known = index.count()
        while not self._details and (wanted := index.pending(_GROUP)):
            # Of an earlier run, which was to read their details.
            for one in wanted:
                index.settle(one.id)
                yield _with_details(one, None)
        while wanted := [one for one in index.pending(_GROUP + len(vanished)) if one.id not in vanished]:
            by_id = {one.id: one for one in wanted}
            read = 0
            async with aclosing(self._records.read(by_id)) as answers:
                async for record_id, found in answers:
                    read += 1
                    if isinstance(found, NotFoundError):
                        vanished.append(record_id)
                    elif isinstance(found, Exception):
                        raise found
                    else:
                        index.settle(record_id)
                        yield _with_details(by_id[record_id], found)
            if read < len(wanted):
                break
        spent = bool(index.pending_count() > len(vanished))
        listed = known - len(vanished)
        check_missing(self._target, len(vanished), known, listed=listed, max_deleted=self._max_deleted)
        for record_id in vanished:
            index.remove(record_id)
            yield Change(kind="delete", id=record_id)
        if spent:
            raise BudgetSpentError

    # -- rows

    def _unknown(self, records: list[Record]) -> list[Record]:
        """The records that are new or differ from what is known."""
        hashes = self._index.hashes([record.id for record in records])
        return [record for record in records if hashes.get(record.id) != content_hash(record.raw)]

    def _handed_out(self, records: list[Record]) -> Generator[Change, None, None]:
        """Puts records into the index, one when the one before was handed out; not those that are ours or pending."""
        if records:
            self._index.announce([record.id for record in records])
        for record in records:
            generation, hashed = self._document.generation, content_hash(record.raw)
            own = self._own is not None and self._own.wrote(record.id, record.modified)
            if self._details and not own:
                self._index.put_pending(record.id, hashed, record.modified, generation, record.raw)
                continue
            self._index.put(record.id, hashed, record.modified, generation)
            if not own:
                yield Change(kind="upsert", id=record.id, row=record.raw, modified=moment_of(record.modified))


def _with_details(pending: PendingRecord, record: bytes | None) -> Change:
    return Change(kind="upsert", id=pending.id, row=pending.row, record=record, modified=moment_of(pending.modified))
