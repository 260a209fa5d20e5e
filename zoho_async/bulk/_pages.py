"""Reads the pages of a list, each with a call that its reader makes."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable
from typing import Any

from zoho_async.wire.pagination import Page, Pages

from ._aio import closable

Read = Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]
"""Makes a call that reads: counts it, and repeats it after what it has to wait for."""


def read_pages(resource: Any, *ids: str, read: Read, **query: Any) -> AsyncGenerator[Page[Any], None]:
    """Reads a list page by page: one call a page, none ahead.

    Args:
        resource: A client's resource such as `zoho.books.contacts`.
        *ids: Ids that stand in the list's path.
        read: Makes the call of each page.
        **query: What the resource's `list` takes: filters, order, `per_page`, `type`.

    Returns:
        An asynchronous generator of pages.
    """

    async def fetch(number: int) -> Page[Any]:
        async def call() -> Any:
            return await resource.list(*ids, page=number, **query)

        page: Page[Any] = await read(call)
        return page

    return closable(Pages(fetch).pages(prefetch=False))
