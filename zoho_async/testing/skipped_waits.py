"""Waits that take no time, for tests: a clock is advanced instead."""

from __future__ import annotations

from typing import Protocol

from zoho_async.transport.limits import Limits
from zoho_async.transport.rate_limiter import Limiter, ProcessLimiters
from zoho_async.transport.shared_state import SharedState


class SkippableClock(Protocol):
    """A clock that a test moves, such as that of FakeZoho."""

    def time(self) -> float:
        """Seconds."""
        ...

    def advance(self, seconds: float) -> None:
        """Move it forward."""


class SkippingLimiters(ProcessLimiters):
    """Limits of this process whose pauses advance a clock. Waits for `per_minute` take their time.

    Args:
        clock: The clock; a day of the quota ends by it too.
    """

    __slots__ = ("_clock",)

    def __init__(self, clock: SkippableClock) -> None:
        super().__init__()
        self._clock = clock

    def _new(self, limits: Limits) -> Limiter:
        return _SkippingLimiter(limits, self._clock)

    def skip_sleeps(self, shared: SharedState) -> None:
        """Let the calls of a client advance the clock where they wait between attempts.

        Args:
            shared: What the copies of the client share.
        """

        async def sleep(seconds: float) -> None:
            self._clock.advance(seconds)

        shared.sleep = sleep


class _SkippingLimiter(Limiter):
    __slots__ = ("_clock",)

    def __init__(self, limits: Limits, clock: SkippableClock) -> None:
        super().__init__(limits, wall_clock=clock.time)
        self._clock = clock

    def pause(self, seconds: float) -> None:
        super().pause(seconds)
        self._clock.advance(self.paused_for())
