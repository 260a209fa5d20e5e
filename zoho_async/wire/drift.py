"""The count of values that were not of the specified type."""

from __future__ import annotations

import re
from collections import Counter

_MOST_FIELDS = 1_000
"""Fields that are counted one by one."""
_LONGEST_PATH = 200
_OTHER = ("other", "other")
_INDEX = r"\[\d+\]"
_ID = r"(?<=/)(?!v\d+(?:/|$))[^/]*\d[^/]*"


class DriftCounter(Counter[tuple[str, str]]):
    """Counts by operation and path of the field; bounded, however many paths responses and requests have.

    List indexes and ids in paths of requests are left out; all fields beyond `_MOST_FIELDS` count as one.
    """

    def add(self, operation: str, path: str, count: int = 1) -> None:
        """Count values of one field."""
        key = (re.sub(_ID, "{id}", operation), re.sub(_INDEX, "[]", path)[:_LONGEST_PATH])
        self[key if key in self or len(self) < _MOST_FIELDS else _OTHER] += count

    def by_operation(self) -> dict[str, dict[str, int]]:
        """The counts by operation, and in each by path."""
        found: dict[str, dict[str, int]] = {}
        for (operation, path), count in self.items():
            found.setdefault(operation, {})[path] = count
        return found
