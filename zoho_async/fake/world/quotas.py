"""The three limits of an organisation: calls a minute, calls a day, calls in process. Pure: time is handed in."""

from __future__ import annotations

import math
from collections import deque
from datetime import date, datetime, timedelta

import msgspec

WINDOW = 60.0
"""Seconds over which the minute's calls are counted, sliding."""

UNLIMITED_DAY = 1_000_000
"""What the quota headers speak of when no daily limit is set: the real service always names a number."""


class Refused(msgspec.Struct, frozen=True, kw_only=True):
    """Why a call is not let in, and after how many whole seconds it may be tried again."""

    code: int
    message: str
    retry_after: int | None = None


class Allowance:
    """What one organisation may spend, and what it has spent. Every limit may be changed at any time; None is off."""

    def __init__(
        self,
        *,
        per_minute: int | None = 100,
        per_day: int | None = None,
        concurrency: int | None = None,
        block_seconds: float | None = None,
    ) -> None:
        self.per_minute = per_minute
        self.per_day = per_day
        self.concurrency = concurrency
        self.block_seconds = block_seconds
        """How long a burst is punished (the service was seen to say 1800); None: until the window has room again."""
        self.in_process = 0
        self.most_in_process = 0
        self.most_in_window = 0
        """The most calls let in within any 60 seconds so far."""
        self._admitted: deque[float] = deque()
        self._blocked_until = -math.inf
        self._day: date | None = None
        self._used = 0

    def admit(self, now: float, today: date) -> Refused | None:
        """Let a call in and count it (None), or say why not; a refused call is not counted."""
        if self._day != today:
            self._day, self._used = today, 0
        if self.concurrency is not None and self.in_process >= self.concurrency:
            return Refused(code=1070, message="Too many calls of this organization are in process. Try again shortly.")
        wait = self._wait(now)
        if wait > 0:
            message = "For security reasons this organization is blocked for some time: too many requests in a minute."
            return Refused(code=44, message=message, retry_after=math.ceil(wait))
        if self.per_day is not None and self._used >= self.per_day:
            return Refused(code=45, message=f"This organization has used its {self.per_day} API calls of today.")
        self._admitted.append(now)
        self._used += 1
        self.most_in_window = max(self.most_in_window, len(self._admitted))
        return None

    def enter(self) -> None:
        """An admitted call is now being worked on."""
        self.in_process += 1
        self.most_in_process = max(self.most_in_process, self.in_process)

    def leave(self) -> None:
        """A call that entered is answered."""
        self.in_process -= 1

    def headers(self, local: datetime) -> dict[str, str]:
        """The daily quota as successful answers carry it; `local` is the time in the organisation's zone."""
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
        while admitted and admitted[0] <= now - WINDOW:
            admitted.popleft()
        if now < self._blocked_until:
            return self._blocked_until - now
        if self.per_minute is None or len(admitted) < self.per_minute:
            return 0.0
        if self.block_seconds is not None:
            wait = self.block_seconds
        else:
            # The limit may have been lowered since, so room comes when enough of the oldest calls have aged out.
            crowd = len(admitted) - self.per_minute
            wait = admitted[crowd] + WINDOW - now if self.per_minute > 0 else WINDOW
        self._blocked_until = now + wait
        return wait
