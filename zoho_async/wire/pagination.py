"""Paged lists: await the first page, iterate over all rows, resume at a cursor."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

import msgspec

from zoho_async._typeguards import is_list
from zoho_async.schema.operation import Response, restored

from .encoding import to_json
from .lenient import charset_of, untyped

if TYPE_CHECKING:
    from .seen_ids import SeenIds

T = TypeVar("T")

LONGEST_PAGE = 200
"""Rows; Zoho's default and its maximum."""
_MEMBERS = msgspec.json.Decoder(dict[str, msgspec.Raw])
_ROWS = msgspec.json.Decoder(list[msgspec.Raw])


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


class Page(Sequence[T]):
    """One page of a list. It is a sequence of its rows.

    Args:
        rows: The rows.
        context: Zoho's description of the page.
        cursor: Start of the next page, for `Pages.resume()`; None after the last page.
        end_known: Whether Zoho has stated if a page follows. Where it did not, the list goes on to a page without a new
            row. Only when it is true on the last page has the whole list been read, so that a record it lacks does not
            exist.
        response: The whole response.

    Attributes:
        readable: Whether the response has a list, of objects only. Otherwise there may be rows that are not known.
    """

    __slots__ = (
        "_key",
        "_positions",
        "_raw",
        "_received",
        "_response",
        "context",
        "cursor",
        "end_known",
        "readable",
        "rows",
    )

    def __init__(
        self,
        *,
        rows: list[T],
        context: PageContext,
        cursor: str | None,
        end_known: bool = False,
        response: Response[Any] | None = None,
    ) -> None:
        self.rows = rows
        self.context = context
        self.cursor = cursor
        self.end_known = end_known
        self._response: Response[Any] | None = None
        self.response = response
        self.readable = True
        self._key = ""
        self._received = 0
        self._positions: list[int] | None = None
        self._raw: list[bytes] | None = None

    @property
    def response(self) -> Response[Any] | None:
        """The whole response; None for a page that was not received."""
        return None if self._response is None else msgspec.structs.replace(self._response, data=self)

    @response.setter
    def response(self, response: Response[Any] | None) -> None:
        # Without its data, which is this page: a circle would stay in memory until the garbage collector finds it.
        self._response = None if response is None else msgspec.structs.replace(response, data=None)

    @property
    def raw(self) -> list[bytes]:
        """The JSON of each row as received; empty for a page without a response."""
        if self._raw is None:
            received = [] if self._response is None else raw_rows(self._response, self._key)
            self._raw = received if self._positions is None else [received[at] for at in self._positions]
        return self._raw

    def locate(self, key: str, received: int, positions: list[int] | None = None, *, is_list: bool = True) -> None:
        """Remember where the rows are in the response.

        Args:
            key: Member that holds them.
            received: Their number, including those that are no objects.
            positions: Positions of those that were kept; None for all.
            is_list: Whether they came in a list.
        """
        self.readable = is_list and received == len(self.rows)
        self._key, self._received, self._positions = key, received, positions

    def find_end(self, query: Mapping[str, Any]) -> None:
        """Set `cursor` and `end_known`, from Zoho's word; without it every page that has rows may have a next one.

        Args:
            query: Query parameters of the request.
        """
        more = self.context.has_more_page
        self.end_known = more is not None
        if more is None:
            # Not by the size: a server may send fewer rows than were asked for.
            more = self._received > 0
        # The number asked for: a response that repeats its page number must not loop.
        self.cursor = str((_number(query.get("page")) or 1) + 1) if more else None

    def keep(self, positions: list[int]) -> None:
        """Keep only some rows.

        Args:
            positions: Their positions.
        """
        known = self._positions
        self._positions = positions if known is None else [known[at] for at in positions]
        self.rows, self._raw = [self.rows[at] for at in positions], None

    def __len__(self) -> int:
        return len(self.rows)

    @overload
    def __getitem__(self, index: int) -> T: ...

    @overload
    def __getitem__(self, index: slice) -> list[T]: ...

    def __getitem__(self, index: int | slice) -> T | list[T]:
        return self.rows[index]

    def __iter__(self) -> Iterator[T]:
        return iter(self.rows)

    def __reduce__(self) -> tuple[Any, ...]:
        state = {name: getattr(self, name) for name in self.__slots__}
        fields = {name: state.pop(name) for name in ("rows", "context", "cursor", "end_known")}
        return restored, (type(self), fields), state

    def __setstate__(self, state: dict[str, Any]) -> None:
        for name, value in state.items():
            setattr(self, name, value)

    def __repr__(self) -> str:
        return f"<Page {self.context.page} {len(self.rows)} rows>"


def raw_rows(response: Response[Any], key: str) -> list[bytes]:
    """The JSON of each row of a response, as received where it is valid UTF-8."""
    try:
        response.body.decode()  # undecoded members are not checked
        value = bytes(_MEMBERS.decode(response.body)[key])
        return [bytes(row) for row in _ROWS.decode(value)] if value.startswith(b"[") else [value]
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        read = untyped(response.body, charset_of(response.headers.get("Content-Type", "")))[key]
        return [to_json(row) for row in (read if is_list(read) else [read])]


def _number(value: Any) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else 0


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

    __slots__ = ("_fetch", "_row_id", "_start", "end_known")

    def __init__(self, fetch: Callable[[int], Awaitable[Page[T]]], *, row_id: str = "", start: int = 1) -> None:
        self._fetch = fetch
        self._row_id = row_id
        self._start = start
        self.end_known = False
        """Whether the last iteration ended at a page that Zoho calls the last; see `Page.end_known`."""

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
        async with aclosing(self._read()) as reading:
            async for page, prefetch in reading:
                half = len(page.rows) // 2
                for index, row in enumerate(page.rows):
                    if index == half:
                        prefetch()
                    yield row

    async def pages(self, *, prefetch: bool = True) -> AsyncIterator[Page[T]]:
        """Iterate over the pages, without rows that an earlier page had.

        A page without a new row is the last one, whatever Zoho says; its `end_known` is then false.

        Args:
            prefetch: Whether the next page is fetched while one is consumed; False where every call counts.
        """
        async with aclosing(self._read()) as reading:
            async for page, fetch_next in reading:
                if prefetch:
                    fetch_next()
                yield page

    async def _read(self) -> AsyncGenerator[tuple[Page[T], Callable[[], None]], None]:
        prefetched: asyncio.Future[Page[T]] | None = None
        number: int = self._start
        from .seen_ids import SeenIds  # a single page needs none

        seen = SeenIds()
        self.end_known = False
        try:
            while True:
                page = await (prefetched or self._fetch(number))
                prefetched = None
                if not self._drop_seen(page, seen) and page.cursor is not None:
                    page.cursor, page.end_known = None, False
                # Always increasing: a response that repeats its page number must not loop forever.
                following = max(int(page.cursor), number + 1) if page.cursor else None

                def prefetch(following: int | None = following) -> None:
                    nonlocal prefetched
                    if following is not None and prefetched is None:
                        prefetched = asyncio.ensure_future(self._fetch(following))

                yield page, prefetch
                if following is None:
                    self.end_known = page.end_known
                    return
                number = following
        finally:
            if prefetched is not None:
                prefetched.cancel()
                await asyncio.gather(prefetched, return_exceptions=True)

    def _drop_seen(self, page: Page[T], seen: SeenIds) -> bool:
        """Drop the rows whose id an earlier page had; whether any row is new."""
        kept: list[int] = []
        is_new, without_id = False, False
        for index, row in enumerate(page.rows):
            row_id = getattr(row, self._row_id, None) if self._row_id else None
            if not row_id:
                without_id = True
            elif not seen.add(row_id):
                continue
            else:
                is_new = True
            kept.append(index)
        if len(kept) < len(page.rows):
            page.keep(kept)
        if without_id and not is_new:
            # Only their content can tell, and a page that was not received has none.
            added = [seen.add(raw) for raw in page.raw]
            is_new = not added or any(added)
        return is_new
