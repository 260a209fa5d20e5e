"""What was asked and what was done, counted, so that a test can prove "exactly once"."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .state import Record


class Ledger:
    """Counts of requests and of acts. An act is a request that was executed, whatever became of its answer."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """By operation id, refused ones included."""
        self.acted: Counter[str] = Counter()
        self.bodies: Counter[tuple[str, str, bytes]] = Counter()
        """Acts by operation id, target (path, key of an upsert) and SHA-256 of the body: repeated writes show."""
        self.keys: Counter[tuple[str, str, str]] = Counter()
        """Acts by operation id, field and value: the field is `contact_name` or a custom field without duplicates."""
        self._created: dict[str, Counter[str]] = {}

    def act(
        self,
        operation_id: str,
        target: str,
        body: bytes,
        touched: Iterable[Record],
        created: bool,
        fields: Iterable[str],
    ) -> None:
        """Enter one act, with the records it changed and the unique fields by which they are counted."""
        self.acted[operation_id] += 1
        if body:
            self.bodies[operation_id, target, hashlib.sha256(body).digest()] += 1
        for record in touched:
            custom = record["custom_fields"]
            for field in ("contact_name", *fields):
                value = record["contact_name"] if field == "contact_name" else custom.get(field)
                if value is None:
                    continue
                self.keys[operation_id, field, str(value)] += 1
                if created:
                    self._created.setdefault(field, Counter())[str(value)] += 1

    def created(self, field: str) -> Counter[str]:
        """How many records were ever created, by the value they had in `field`; deleting takes nothing off."""
        return self._created.get(field, Counter())

    def repeated(self) -> list[tuple[str, str, bytes]]:
        """Operation id, target and body digest of every write that was executed more than once."""
        return [key for key, count in self.bodies.items() if count > 1]

    def summary(self) -> dict[str, Any]:
        """The counts as plain data, by operation id."""
        names = sorted(self.requests.keys() | self.acted.keys())
        return {name: {"requests": self.requests[name], "acted": self.acted[name]} for name in names}
