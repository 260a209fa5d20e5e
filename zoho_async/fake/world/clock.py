"""The time as the fake sees it, which a test may move."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_CENTURY = 100 * 366 * 24 * 3600


class Clock:
    """Real time plus whatever it was advanced by; with `start` it stands still there until it is advanced."""

    def __init__(self, start: datetime | None = None) -> None:
        if start is not None and start.tzinfo is None:
            raise ValueError("start must be aware of its time zone")
        self._start = start
        self._offset = 0.0

    def advance(self, seconds: float) -> None:
        """Move forward by so many seconds. Time never runs backwards: a negative number is a ValueError, and so is more
        than a century.
        """
        if not 0 <= seconds <= _CENTURY:
            raise ValueError("a clock only moves forward, and not by more than a century")
        self._offset += seconds

    def time(self) -> float:
        """Monotonic seconds, for measuring spans."""
        return self._offset if self._start is not None else time.monotonic() + self._offset

    def now(self) -> datetime:
        """The date and time, aware."""
        start = self._start if self._start is not None else datetime.now(UTC)
        return start + timedelta(seconds=self._offset)
