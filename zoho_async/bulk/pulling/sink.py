"""What a pull writes to."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Protocol

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the list.

    Attributes:
        id: Zoho's id.
        name: What people call it; may be empty.
        modified: `last_modified_time` as Zoho wrote it; empty when the row has none.
        raw: Its JSON, as it came over the wire.
    """

    id: str
    name: str
    modified: str
    raw: bytes


class Missing(msgspec.Struct, frozen=True, kw_only=True):
    """Records of an earlier pull that the list has no more.

    Attributes:
        known: Records that the earlier pull had.
        ids: Those that are missing.
    """

    known: int
    ids: list[str]


class Sink(Protocol):
    """Takes the rows of a list page by page, and records read in full. All calls come from one thread."""

    def open(self) -> None:
        """Raises InputError when it cannot be written."""
        ...

    def rows(self, records: Sequence[Record]) -> None:
        """Takes one page."""
        ...

    def details(self, found: Sequence[tuple[Record, bytes]]) -> None:
        """Takes records read in full, as JSON."""
        ...

    def missing(self) -> Missing:
        """The records of an earlier pull that this one has not brought."""
        ...

    def finish(self, deleted: Collection[str]) -> None:
        """Makes it final, without those of the missing records that are deleted."""
        ...

    def abandon(self) -> None:
        """Closes it after an error: what a later pull can use stays, incomplete files do not."""
        ...
