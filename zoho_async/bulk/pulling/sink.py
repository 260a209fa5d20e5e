"""What a pull writes to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

import msgspec


class Record(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the list, as it came."""

    id: str
    name: str
    modified: str
    """`last_modified_time` as Zoho wrote it, empty when the row has none."""
    raw: bytes


class Sink(Protocol):
    """Takes rows a page at a time and details one by one. All calls come from one thread."""

    remembers: bool
    """Whether it knows what an earlier pull brought."""

    def open(self) -> None: ...
    def stale(self, records: Sequence[Record]) -> list[Record]:
        """Those of a page whose details it has not, or has from another modification."""
        ...

    def rows(self, records: Sequence[Record]) -> None:
        """Takes one page."""
        ...

    def details(self, found: Sequence[tuple[Record, bytes]]) -> None:
        """Takes records read in full."""
        ...

    def finish(self, *, full: bool) -> int:
        """Makes it final; returns how many records were dropped because the list has them no more."""
        ...

    def abandon(self) -> None:
        """Gives up; what can be kept stays, half files do not."""
        ...
