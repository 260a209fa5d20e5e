"""How fast a command goes, how long it still takes, and why it stands still."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from time import monotonic

from zoho_async import Quota

WINDOW_S = 60.0
"""Seconds that the rate is measured over: rows that were done before go faster than calls."""
STILL_S = 3.0
"""Seconds without progress after which a reason is shown."""


class Pace:
    """What has been done when."""

    def __init__(self, total: int | None, clock: Callable[[], float] = monotonic) -> None:
        self._total = total
        self._clock = clock
        self._begun = clock()
        self._samples: deque[tuple[float, int]] = deque([(self._begun, 0)])

    def update(self, done: int) -> None:
        """Notes how many are done."""
        now = self._clock()
        if done == self._samples[-1][1]:
            return
        self._samples.append((now, done))
        while len(self._samples) > 2 and self._samples[1][0] <= now - WINDOW_S:
            self._samples.popleft()

    @property
    def still(self) -> float:
        """Seconds since the last progress."""
        return self._clock() - self._samples[-1][0]

    def text(self, quota: Quota | None) -> str:
        """Elapsed, left, rate and calls left, with their labels."""
        now = self._clock()
        (since, before), done = self._samples[0], self._samples[-1][1]
        rate = (done - before) / (now - since) if now > since else 0.0
        return pace_text(now - self._begun, done, self._total, rate, quota.remaining if quota is not None else None)


def pace_text(elapsed: float, done: int, total: int | None, rate: float, calls_left: int | None) -> str:
    """The parts that are known, with their labels; `rate` is a number a second."""
    parts = [f"elapsed {_span(elapsed)}"]
    if total is not None and rate > 0:
        parts.append(f"left {_span(max(total - done, 0) / rate)}")
    if rate > 0:
        parts.append(f"{rate:.1f} a second" if rate >= 1 else f"{rate * 60:.1f} a minute")
    if calls_left is not None:
        parts.append(f"{calls_left:,} calls left today")
    return " · ".join(parts)


def standstill_reason(still: float, quota: Quota | None, now: datetime) -> str:
    """Why nothing has been done for some seconds; empty when that is not long."""
    if still < STILL_S:
        return ""
    if quota is not None and quota.paused_until is not None and quota.paused_until > now:
        return f"Zoho has paused the organisation until {quota.paused_until.astimezone():%H:%M:%S}"
    if quota is not None and quota.minute_left == 0:
        return "waiting: the calls of this minute are used up"
    return f"waiting for responses of Zoho for {still:.0f} s"


def current_reason(still: float, quota: Quota | None) -> str:
    """`standstill_reason` at this moment."""
    return standstill_reason(still, quota, datetime.now(UTC))


def _span(seconds: float) -> str:
    return str(timedelta(seconds=round(seconds)))
