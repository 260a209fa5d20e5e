"""Paged lists: await the first page, iterate over all rows, resume at a cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import msgspec

from zoho_async.schema.operation import Response

T = TypeVar("T")


class PageContext(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Zoho's `page_context` of a list. A field is None when the response lacks it.

    Attributes:
        page: Number of the page, from 1.
        per_page: Rows per page, at most 200.
        has_more_page: Whether another page follows.
        report_name: Zoho's name of the list.
        applied_filter: The filter that Zoho applied; it ignores unknown ones.
        sort_column: The column the list is sorted by.
        sort_order: `A` for ascending, `D` for descending.
        total: Number of rows; only in responses to `response_option=2` (seen, not documented).
        total_pages: Number of pages; only in responses to `response_option=2` (seen, not documented).
    """

    page: int | None = None
    per_page: int | None = None
    has_more_page: bool | None = None
    report_name: str | None = None
    applied_filter: str | None = None
    sort_column: str | None = None
    sort_order: str | None = None
    total: int | None = None
    total_pages: int | None = None


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """One page of a list.

    Attributes:
        rows: The rows.
        context: Zoho's description of the page.
        cursor: Start of the next page, for `Pages.resume()`; None after the last page.
        response: The whole response.
    """

    rows: list[T]
    context: PageContext
    cursor: str | None
    response: Response[Any] | None = None

    def __repr__(self) -> str:
        return f"<Page {self.context.page} {len(self.rows)} rows>"


def next_cursor(context: PageContext) -> str | None:
    """The cursor of the next page; None after the last."""
    return str((context.page or 1) + 1) if context.has_more_page else None


class Pages(Generic[T]):
    """A paged list. Nothing is requested before it is awaited or iterated over.

    `await pages` returns the first page, `async for row in pages` every row, `async for page in pages.pages()` every
    page. One page is fetched ahead, while the second half of the current one is consumed.

    Pages are no snapshot: records that change meanwhile move rows between pages. A row that was returned before is
    dropped by its id; a row that moved to an earlier page is missed.

    Args:
        fetch: Returns the page of a number.
        row_id: Field of a row that identifies it; empty to drop no rows.
        start: Number of the first page.
    """

    __slots__ = ("_fetch", "_row_id", "_start")

    def __init__(self, fetch: Callable[[int], Awaitable[Page[T]]], *, row_id: str = "", start: int = 1) -> None:
        self._fetch = fetch
        self._row_id = row_id
        self._start = start

    def resume(self, cursor: str) -> Pages[T]:
        """The same list from a later page on.

        Args:
            cursor: `Page.cursor` of the page before.

        Returns:
            A list that starts at that page.

        Raises:
            ValueError: It is not a cursor.
        """
        if not cursor.isdecimal() or int(cursor) < 1:
            raise ValueError(f"{cursor!r} is no cursor of a page")
        return Pages(self._fetch, row_id=self._row_id, start=int(cursor))

    def __await__(self) -> Generator[Any, None, Page[T]]:
        return self._fetch(self._start).__await__()

    async def __aiter__(self) -> AsyncIterator[T]:
        seen: set[Any] = set()
        async with aclosing(self._read()) as reading:
            async for page, prefetch in reading:
                half = len(page.rows) // 2
                for index, row in enumerate(self._unseen(page.rows, seen)):
                    if index == half:
                        prefetch()
                    yield row

    async def pages(self, *, prefetch: bool = True) -> AsyncIterator[Page[T]]:
        """Iterate over the pages, without rows that an earlier page had.

        Args:
            prefetch: Whether the next page is fetched while one is consumed; False where every call counts.
        """
        seen: set[Any] = set()
        async with aclosing(self._read()) as reading:
            async for page, fetch_next in reading:
                if prefetch:
                    fetch_next()
                page.rows = self._unseen(page.rows, seen)
                yield page

    async def _read(self) -> AsyncGenerator[tuple[Page[T], Callable[[], None]], None]:
        prefetched: asyncio.Future[Page[T]] | None = None
        number: int = self._start
        try:
            while True:
                page = await (prefetched or self._fetch(number))
                prefetched = None
                # Always increasing: a response that repeats its page number must not loop forever.
                following = max(int(page.cursor), number + 1) if page.cursor else None

                def prefetch(following: int | None = following) -> None:
                    nonlocal prefetched
                    if following is not None and prefetched is None:
                        prefetched = asyncio.ensure_future(self._fetch(following))

                yield page, prefetch
                if following is None:
                    return
                number = following
        finally:
            if prefetched is not None:
                prefetched.cancel()
                await asyncio.gather(prefetched, return_exceptions=True)

    def _unseen(self, rows: list[T], seen: set[Any]) -> list[T]:
        if not self._row_id:
            return rows
        unseen: list[T] = []
        for row in rows:
            row_id = getattr(row, self._row_id, None)
            if row_id and row_id in seen:
                continue
            seen.add(row_id)
            unseen.append(row)
        return unseen
