"""Reads the pages of a list, each with a call that its reader makes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from zoho_async._typeguards import is_mapping
from zoho_async.errors import UnavailableError
from zoho_async.wire.pagination import Page

Read = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Makes a call that reads: counts it, and repeats it after what it has to wait for."""


async def read_pages(
    resource: Any, *ids: str, read: Read, row_id: str, **query: Any
) -> AsyncGenerator[Page[dict[str, Any]], None]:
    """Reads a list to its end, page by page: one call a page, none ahead.

    Where Zoho does not say whether another page follows, the list goes on to an empty page; a list that is empty from
    its start is then read twice.

    Args:
        resource: A client's resource such as `zoho.books.contacts`.
        *ids: Ids that stand in the list's path.
        read: Makes the call of each page.
        row_id: Field of a row that identifies it.
        **query: What the resource's `list` takes: filters, order, `per_page`.

    Yields:
        Each page, its rows as mappings.

    Raises:
        UnavailableError: A page is no list, or has a row without an id; or a full page, or one that is not to be the
            last, has no new row. What the list does not show is then not known.
    """
    # Hashes: the ids of a long list would stay in memory.
    seen: set[int] = set()
    number = 1
    repeated = False

    async def call() -> Any:
        return await resource.list(*ids, page=number, type=dict[str, Any], **query)

    while True:
        page: Page[dict[str, Any]] = await read(call)
        if number == 1 and page.readable and not page.rows and not page.end_known:
            # One empty response alone shows no absence.
            page = await read(call)
        found = {hash(str(row[row_id])) for row in page.rows if is_mapping(row) and row.get(row_id)}
        is_new = not found <= seen
        if not is_new and page.cursor is not None and (page.end_known or repeated):
            raise UnavailableError(
                f"the end of the list is not known: page {number} should not be the last and has no new record; "
                "what it does not show may exist",
                sent=True,
            )
        if not page.readable or not all(is_mapping(row) and row.get(row_id) for row in page.rows):
            raise UnavailableError(
                f"page {number} of the list has records that cannot be read; what it does not show may exist", sent=True
            )
        yield page
        if page.cursor is None:
            return
        # Records that were made meanwhile can shift a page's worth of rows, but not two.
        repeated = not is_new
        seen |= found
        number += 1
