"""The time of the fake, which a test may advance."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta

_CENTURY = 100 * 366 * 24 * 3600


class Clock:
    """Real time plus what it was advanced by; with `start` it stands still until it is advanced."""

    def __init__(self, start: datetime | None = None) -> None:
        """Make a clock.

        Args:
            start: The date and time at which it stands still, aware of its zone; None: real time.

        Raises:
            ValueError: `start` has no time zone.
        """
        if start is not None and start.tzinfo is None:
            raise ValueError("start must be aware of its time zone")
        self._start = start
        self._offset = 0.0

    def advance(self, seconds: float) -> None:
        """Move the clock forward.

        Args:
            seconds: How far, from 0 to a century.

        Raises:
            ValueError: A negative number, or more than a century.
        """
        if not 0 <= seconds <= _CENTURY:
            raise ValueError("a clock only moves forward, and not by more than a century")
        self._offset += seconds

    def time(self) -> float:
        """Monotonic seconds, for measuring spans."""
        return self._offset if self._start is not None else time.monotonic() + self._offset

    def now(self) -> datetime:
        """The date and time, aware of its zone."""
        start = self._start if self._start is not None else datetime.now(UTC)
        return start + timedelta(seconds=self._offset)
