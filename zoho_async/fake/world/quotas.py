"""The three limits of an organisation: calls a minute, calls a day, calls in process. Pure: time is a parameter."""

from __future__ import annotations

import math
from collections import deque
from datetime import date, datetime, timedelta

import msgspec

MINUTE = 60.0
"""Seconds of the sliding window in which the minute's calls are counted."""

UNLIMITED_DAY = 1_000_000
"""In the quota headers when no daily limit is set: the real service always names a number."""


class LimitRefusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call is refused, and after how many whole seconds it may be retried."""

    code: int
    message: str
    retry_after: int | None = None


class Allowance:
    """The limits of one organisation and its use of them. Every limit may be changed at any time; None is off."""

    def __init__(
        self,
        *,
        per_minute: int | None = 100,
        per_day: int | None = None,
        concurrency: int | None = None,
        block_seconds: float | None = None,
        window: float = MINUTE,
    ) -> None:
        self.per_minute = per_minute
        self.per_day = per_day
        self.concurrency = concurrency
        self.block_seconds = block_seconds
        """Seconds that a burst is blocked (the service was seen to say 1800); None: until the window has room again."""
        self.window = window
        """Seconds in which `per_minute` calls are admitted; tests shorten it."""
        self.in_process = 0
        self.most_in_process = 0
        self.most_in_window = 0
        """The most calls admitted within any one window so far."""
        self._admitted: deque[float] = deque()
        self._blocked_until = -math.inf
        self._day: date | None = None
        self._used = 0

    def admit(self, now: float, today: date) -> LimitRefusal | None:
        """Admit a call and count it (None), or return why not; a refused call is not counted."""
        if self._day != today:
            self._day, self._used = today, 0
        if self.concurrency is not None and self.in_process >= self.concurrency:
            return LimitRefusal(
                code=1070, message="Too many calls of this organization are in process. Try again shortly."
            )
        wait = self._wait(now)
        if wait > 0:
            message = "For security reasons this organization is blocked for some time: too many requests in a minute."
            return LimitRefusal(code=44, message=message, retry_after=math.ceil(wait))
        if self.per_day is not None and self._used >= self.per_day:
            return LimitRefusal(code=45, message=f"This organization has used its {self.per_day} API calls of today.")
        self._admitted.append(now)
        self._used += 1
        self.most_in_window = max(self.most_in_window, len(self._admitted))
        return None

    def enter(self) -> None:
        """An admitted call is now in process."""
        self.in_process += 1
        self.most_in_process = max(self.most_in_process, self.in_process)

    def leave(self) -> None:
        """A call that entered has its response."""
        self.in_process -= 1

    def headers(self, local: datetime) -> dict[str, str]:
        """The daily quota in the headers of successful responses; `local` is the time in the organisation's zone."""
        limit = UNLIMITED_DAY if self.per_day is None else self.per_day
        used = self._used if self._day == local.date() else 0
        midnight = local.replace(hour=0, minute=0, second=0, microsecond=0) + timedelta(days=1)
        return {
            "x-rate-limit-limit": str(limit),
            "x-rate-limit-remaining": str(max(limit - used, 0 if self.per_day is not None else 1)),
            "x-rate-limit-reset": str(math.ceil((midnight - local).total_seconds())),
        }

    def _wait(self, now: float) -> float:
        admitted = self._admitted
        while admitted and admitted[0] <= now - self.window:
            admitted.popleft()
        if now < self._blocked_until:
            return self._blocked_until - now
        if self.per_minute is None or len(admitted) < self.per_minute:
            return 0.0
        if self.block_seconds is not None:
            wait = self.block_seconds
        else:
            # The limit may have been lowered since: wait until enough old calls have left.
            excess = len(admitted) - self.per_minute
            wait = admitted[excess] + self.window - now if self.per_minute > 0 else self.window
        self._blocked_until = now + wait
        return wait
