"""Counts of what was requested and what was executed, so that a test can prove "exactly once"."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .state import ContactRecord


class AuditLog:
    """Counts of requests and of executions: a request counts as executed whether or not its response arrived."""

    def __init__(self) -> None:
        self.requests: Counter[str] = Counter()
        """By operation id, refused ones included."""
        self.executed: Counter[str] = Counter()
        """By operation id."""
        self.bodies: Counter[tuple[str, str, bytes]] = Counter()
        """Executed writes by operation id, target (path, key of an upsert) and SHA-256 of the body."""
        self.keys: Counter[tuple[str, str, str]] = Counter()
        """Executions by operation id, field and value: `contact_name` or a custom field without duplicates."""
        self._created: dict[str, Counter[str]] = {}

    @property
    def acted(self) -> Counter[str]:
        """Former name of `executed`."""
        return self.executed

    def record_execution(
        self,
        operation_id: str,
        target: str,
        body: bytes,
        touched: Iterable[ContactRecord],
        *,
        created: bool,
        unique_fields: Iterable[str],
    ) -> None:
        """Count one execution, with the records that it changed by name and by their unique fields."""
        self.executed[operation_id] += 1
        if body:
            self.bodies[operation_id, target, hashlib.sha256(body).digest()] += 1
        for record in touched:
            custom = record["custom_fields"]
            for field in ("contact_name", *unique_fields):
                value = record["contact_name"] if field == "contact_name" else custom.get(field)
                if value is None:
                    continue
                self.keys[operation_id, field, str(value)] += 1
                if created:
                    self._created.setdefault(field, Counter())[str(value)] += 1

    def created(self, field: str) -> Counter[str]:
        """How many records were created, by their value in `field`; deleting subtracts nothing."""
        return self._created.get(field, Counter())

    def repeated(self) -> list[tuple[str, str, bytes]]:
        """Operation id, target and body hash of every write that was executed more than once."""
        return [key for key, count in self.bodies.items() if count > 1]

    def summary(self) -> dict[str, Any]:
        """The counts as plain data, by operation id."""
        names = sorted(self.requests.keys() | self.executed.keys())
        return {name: {"requests": self.requests[name], "acted": self.executed[name]} for name in names}
