"""One change of a record."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Literal, Protocol

import msgspec


class OwnWrites(Protocol):
    """Knows what a push of ours has written."""

    def wrote(self, record_id: str, modified: str) -> bool:
        """Tells whether the last change of a record is ours.

        Args:
            record_id: Zoho's id.
            modified: The time of that change, as Zoho wrote it.
        """
        ...


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """One record that was created, changed or deleted.

    Attributes:
        kind: `upsert` or `delete`.
        id: Zoho's id.
        row: The list's row as JSON, as it came over the wire; None for a delete.
        record: The record read by itself, as JSON; None for a delete and without details.
        modified: The time of its last change, UTC; None when Zoho gave none.
        seen_at: When it was read, UTC.
    """

    kind: Literal["upsert", "delete"]
    id: str
    row: bytes | None = None
    record: bytes | None = None
    modified: datetime | None = None
    seen_at: datetime = msgspec.field(default_factory=lambda: datetime.now(UTC))
