"""Pages of rows: awaited for the first one, iterated for all, resumable by a cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator
from contextlib import aclosing
from typing import Any, Generic, TypeVar

import msgspec

from zoho_async.schema.operation import Response

T = TypeVar("T")


class PageContext(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What Zoho says of a page: where it stands and how it was filtered and sorted."""

    page: int | None = None
    per_page: int | None = None
    has_more_page: bool | None = None
    report_name: str | None = None
    applied_filter: str | None = None
    sort_column: str | None = None
    sort_order: str | None = None
    total: int | None = None
    """Only in answers that count (`response_option=2`)."""
    total_pages: int | None = None


class Page(msgspec.Struct, Generic[T], kw_only=True):
    """One page of a list."""

    rows: list[T]
    context: PageContext
    cursor: str | None
    """Where the next page begins, for `Pages.resume()`; None after the last."""
    response: Response[Any] | None = None

    def __repr__(self) -> str:
        return f"<Page {self.context.page} {len(self.rows)} rows>"


def next_cursor(context: PageContext) -> str | None:
    """The cursor behind a page."""
    return str((context.page or 1) + 1) if context.has_more_page else None


class Pages(Generic[T]):
    """A list that has not been read yet.

    `await pages` reads the first page; `async for row in pages` reads every row, `async for page in pages.pages()`
    every page. The next page is fetched while the second half of the current one is consumed: one ahead, never more.
    Pages are no snapshot: rows shift while one pages through them. A row seen before is dropped by its id; one that
    slipped past in the other direction cannot be noticed here.
    """

    __slots__ = ("_fetch", "_row_id", "_start")

    def __init__(self, fetch: Callable[[int], Awaitable[Page[T]]], *, row_id: str = "", start: int = 1) -> None:
        self._fetch = fetch
        self._row_id = row_id
        self._start = start

    def resume(self, cursor: str) -> Pages[T]:
        """The same list from a page's `cursor` on. ValueError for what is no cursor."""
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
        """Every page, without the rows already seen on an earlier one.

        `prefetch`: whether the next page is fetched while one is consumed; False where every call counts.
        """
        seen: set[Any] = set()
        async with aclosing(self._read()) as reading:
            async for page, fetch_next in reading:
                if prefetch:
                    fetch_next()
                page.rows = self._unseen(page.rows, seen)
                yield page

    async def _read(self) -> AsyncGenerator[tuple[Page[T], Callable[[], None]], None]:
        ahead: asyncio.Future[Page[T]] | None = None
        number: int = self._start
        try:
            while True:
                page = await (ahead or self._fetch(number))
                ahead = None
                # Always onwards: an answer that names no page, or the same one again, must not spend calls for ever.
                following = max(int(page.cursor), number + 1) if page.cursor else None

                def prefetch(following: int | None = following) -> None:
                    nonlocal ahead
                    if following is not None and ahead is None:
                        ahead = asyncio.ensure_future(self._fetch(following))

                yield page, prefetch
                if following is None:
                    return
                number = following
        finally:
            if ahead is not None:
                ahead.cancel()
                await asyncio.gather(ahead, return_exceptions=True)

    def _unseen(self, rows: list[T], seen: set[Any]) -> list[T]:
        if not self._row_id:
            return rows
        fresh: list[T] = []
        for row in rows:
            identity = getattr(row, self._row_id, None)
            if identity and identity in seen:
                continue
            seen.add(identity)
            fresh.append(row)
        return fresh
