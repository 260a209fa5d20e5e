"""Which records that a list lacks are deleted: each is asked for, and too many of them are not believed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import aclosing

from zoho_async.bulk._aio import closable
from zoho_async.bulk.concurrent_map import map  # noqa: A004 - our own map, named like the builtin
from zoho_async.bulk.rows.resource import Destination
from zoho_async.errors import DecodeError, MassDeleteError, NotFoundError, RefusedError

MAX_DELETED = 0.2
"""Share of the known records that one pull believes to be deleted."""
_ALWAYS_BELIEVED = 10


def too_many(missing: int, known: int, *, listed: int, max_deleted: float) -> bool:
    """Whether a list is not believed: it lacks more than `max(10, max_deleted x known)`, or has nothing at all.

    Args:
        missing: Known records that it lacks.
        known: Records known before.
        listed: Records that it has.
        max_deleted: Share of the known records from 0 to 1; 1 believes every list.
    """
    if max_deleted >= 1 or not missing:
        return False
    return not listed or missing > max(_ALWAYS_BELIEVED, max_deleted * known)


def check_missing(target: Destination, missing: int, known: int, *, listed: int, max_deleted: float) -> None:
    """Raises MassDeleteError when a list lacks too many known records."""
    if too_many(missing, known, listed=listed, max_deleted=max_deleted):
        _, organization = target.origin
        raise MassDeleteError(
            f"{target.name}: the list has {listed:,} records and lacks {missing:,} of {known:,} known ones; nothing "
            f"was dropped. If they are deleted in Zoho, pull again with max_deleted=1 (--max-deleted 100%)",
            operation=target.operations["list"].id,
            organization_id=organization,
            sent=True,
        )


async def deleted_of(
    missing: Sequence[str], read: Callable[[str], Awaitable[object]] | None, *, concurrency: int
) -> list[str]:
    """Those of the missing records of which Zoho says that they are not there.

    Args:
        missing: Their ids.
        read: Reads one record; None where records cannot be read alone, so that none is believed to be deleted.
        concurrency: Calls at a time.
    """
    if read is None:
        return []
    deleted: list[str] = []
    async with aclosing(closable(map(read, missing, concurrency=concurrency))) as outcomes:
        async for outcome in outcomes:
            if isinstance(outcome.error, NotFoundError):
                deleted.append(outcome.item)
            elif outcome.error is not None and not isinstance(outcome.error, DecodeError | RefusedError):
                raise outcome.error
    return deleted
