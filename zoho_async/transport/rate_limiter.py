"""The rate limiter of one organisation: calls per minute, concurrency, pauses and the daily quota.

Asyncio only: no thread, no background task. A waiter is a future; a call that ends or a timer admits the next ones
in the order of their arrival.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime, timedelta
from math import inf
from time import time

import msgspec

from .limits import (
    DAY,
    UNKNOWN_RESET,
    WINDOW,
    Exhausted,
    Limits,
    Paused,
    Quota,
    Report,
    day_after,
    never_reason,
    rate_of,
    remaining_of,
    slots_of,
    tightest,
)

__all__ = ["WINDOW", "Exhausted", "Limiter", "Limits", "Paused", "ProcessLimiters", "Quota", "tightest"]

_CLOCKS_DIFFER = 5.0
"""Seconds by which the wall clock must get ahead of the loop's to count."""
_LONGEST_TIMER = 60.0
"""Seconds; a longer wait looks at the clocks in between, for one of them may have jumped."""


class ProcessLimiters:
    """Limits of this process alone: the default of `Zoho`. Clients that are given the same object share it."""

    __slots__ = ("_known", "_window")

    def __init__(self, *, _window: float = WINDOW) -> None:
        self._known: dict[tuple[str, ...], Limiter] = {}
        self._window = _window

    def of(self, organization: tuple[str, ...], limits: Limits) -> Limiter:
        """The rate limiter of an organisation; `limits` are those of a new one."""
        found = self._known.get(organization)
        if found is None:
            found = self._known[organization] = self._new(limits)
        return found

    def _new(self, limits: Limits) -> Limiter:
        return Limiter(limits, window=self._window)


class ProcessPermit(msgspec.Struct):
    """One call of a `Limiter`, from its start to its end."""

    limiter: Limiter | None

    def done(self, report: Report) -> None:
        """End the call. Further calls change nothing."""
        limiter, self.limiter = self.limiter, None
        if limiter is not None:
            limiter.record(report)


class Limiter:
    """The rate limiter of one organisation in this process."""

    __slots__ = (
        "_clock_offset",
        "_day_ends",
        "_day_left",
        "_day_limit",
        "_day_used",
        "_finished",
        "_in_flight",
        "_most",
        "_next_start",
        "_paused_until",
        "_rate",
        "_sent",
        "_slots",
        "_timer",
        "_waiters",
        "_wall_clock",
        "_window",
        "limits",
    )

    def __init__(
        self, limits: Limits, *, window: float = WINDOW, wall_clock: Callable[[], float] | None = None
    ) -> None:
        self.limits = limits
        self._rate = rate_of(limits)
        self._most = slots_of(limits)
        self._window = window
        self._wall_clock = time if wall_clock is None else wall_clock
        self._slots = float(self._most)
        self._in_flight = 0
        self._sent = 0
        # End times of the last minute's calls. A call counts from its start until a minute after its end, because
        # Zoho counts it at an unknown moment in between.
        self._finished: deque[float] = deque()
        self._next_start = 0.0
        self._paused_until = 0.0
        # In the order they start; one that is cancelled leaves at a constant cost.
        self._waiters: OrderedDict[asyncio.Future[None], float] = OrderedDict()
        self._timer: asyncio.TimerHandle | None = None
        self._day_limit: int | None = None
        self._day_left: int | None = None
        self._day_used = 0
        self._day_ends: float | None = None
        self._clock_offset = inf
        """Wall clock minus the loop's, as last seen."""

    def change(self, limits: Limits) -> None:
        """Set other limits; calls counted so far stay counted."""
        full = self._slots >= self._most
        self.limits, self._rate, self._most = limits, rate_of(limits), slots_of(limits)
        # Slots lost to error 1070 are regained by successful calls only.
        self._slots = float(self._most if full else min(self._slots, self._most))
        if self._waiters:
            self._admit(asyncio.get_running_loop())

    async def acquire(self, max_pause: float | None = None, *, priority: bool = False) -> ProcessPermit:
        """Wait until a call may start, and count it. A cancelled wait counts nothing.

        Args:
            max_pause: Longest pause of the organisation to wait for, in seconds; None for no limit.
            priority: Whether to overtake all other waiters.

        Raises:
            Exhausted: The daily quota is used up.
            Paused: The organisation is paused for more than `max_pause`.
        """
        loop = asyncio.get_running_loop()
        now = loop.time()
        max_pause_s = inf if max_pause is None else max_pause
        if self._exhausted(now):
            raise self._exhausted_error(now)
        if self._paused_until > now and (held := self.paused_for()) > max_pause_s:
            raise Paused(held)
        if not self._waiters and self._wait(now) == 0.0:
            self._start(now)
            return ProcessPermit(self)
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters[waiter] = max_pause_s
        if priority:
            self._waiters.move_to_end(waiter, last=False)
        self._admit(loop)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.cancelled():
                self._forget(waiter)
            elif waiter.exception() is None:
                self.release(sent=False)  # admitted and cancelled at the same time
            raise
        return ProcessPermit(self)

    def record(self, report: Report) -> None:
        """Take in how a call ended, and end it: the pause it met holds before its slot is free."""
        now = asyncio.get_running_loop().time()
        try:
            if report.headers:
                self.update_from_headers(report.headers, now)
            match report.decision:
                case "done":
                    self.succeeded()
                case "throttled":
                    self.pause(report.seconds or 0.0)
                case "slow":
                    self.slow_down()
                case "exhausted":
                    self.mark_exhausted(report.seconds)
                case "other":
                    pass
        finally:
            self.release(sent=report.sent, now=now)

    def release(self, *, sent: bool = True, now: float | None = None) -> None:
        """End a call. `sent=False`: nothing was sent, so it does not count."""
        self._in_flight -= 1
        if sent:
            now = asyncio.get_running_loop().time() if now is None else now
            self._finished.append(now)
            if self._rate is None:  # else every start does
                self._forget_finished(now)
            self._sent += 1
        else:
            self._day_used -= 1
            self._next_start -= self._window / self._rate if self._rate is not None else 0.0
        if self._waiters or self._timer is not None:
            self._admit(asyncio.get_running_loop())

    def pause(self, seconds: float) -> None:
        """Start no call of this organisation for so many seconds; a longer current pause stays."""
        seconds = min(seconds, DAY)
        if seconds > self.paused_for():
            self._paused_until = asyncio.get_running_loop().time() + seconds
        held = self.paused_for()
        for waiter, max_pause_s in self._waiters.items():
            if held > max_pause_s and not waiter.done():
                waiter.set_exception(Paused(held))

    def paused_for(self) -> float:
        """Seconds left of the pause; 0 without one."""
        now = asyncio.get_running_loop().time()
        self._follow_clocks(now)
        return max(0.0, self._paused_until - now)

    def slow_down(self) -> None:
        """Halve the slots: Zoho reports too many calls at once."""
        self._slots = max(1.0, self._slots / 2)

    def succeeded(self) -> None:
        """Regain slots after a successful call: one for each full round of slots."""
        if self._slots != self._most:
            self._slots = min(self._most, self._slots + 1.0 / self._slots)

    def update_from_headers(self, headers: Mapping[str, str], now: float | None = None) -> None:
        """Take the daily quota from a response's `x-rate-limit-*` headers."""
        now = asyncio.get_running_loop().time() if now is None else now
        self._follow_clocks(now)
        day = day_after(headers, now, self._day_left, self._day_ends)
        if day is not None:
            self._day_limit, self._day_left, self._day_ends = day

    def mark_exhausted(self, seconds: float | None) -> datetime | None:
        """Record that the daily quota is used up; returns when the next day begins."""
        now = asyncio.get_running_loop().time()
        if seconds is not None:
            self._day_ends = now + min(seconds, DAY)
        elif self._day_ends is None or self._day_ends <= now:
            self._day_ends = now + UNKNOWN_RESET
        self._day_left = 0
        self._fail_waiters(now)
        return _moment(self._day_ends, now)

    def quota(self) -> Quota:
        """What is known of the remaining calls."""
        now = asyncio.get_running_loop().time()
        rate = self._rate
        return Quota(
            limit=self.limits.per_day or self._day_limit,
            remaining=remaining_of(self.limits, self._day_limit, self._day_left, self._day_used, self._in_flight),
            resets_at=_moment(self._day_ends, now),
            sent=self._sent,
            minute_left=None if rate is None else max(0, rate - self._counted(now)),
            paused_until=_moment(now + held, now) if (held := self.paused_for()) else None,
        )

    # -- decisions

    def _counted(self, now: float) -> int:
        self._forget_finished(now)
        return len(self._finished) + self._in_flight

    def _forget_finished(self, now: float) -> None:
        finished = self._finished
        while finished and finished[0] <= now - self._window:
            finished.popleft()

    def _wait(self, now: float) -> float | None:
        """Seconds until the next call may start; None: when a call in flight ends."""
        if self._in_flight >= self._most or self._in_flight >= int(self._slots):
            return None
        wait = self._paused_until - now if self._paused_until > now else 0.0
        rate = self._rate
        if rate is None:
            return wait
        if self._counted(now) >= rate:
            if not self._finished:
                return None
            wait = max(wait, self._finished[0] + self._window - now)
        interval = self._window / rate
        return max(wait, self._next_start - interval * (min(self.limits.burst, rate) - 1) - now, 0.0)

    def _start(self, now: float) -> None:
        self._in_flight += 1
        self._day_used += 1
        if self._day_ends is None and self.limits.per_day is not None:
            self._day_ends = now + DAY
        if self._rate is not None:
            self._next_start = max(self._next_start, now) + self._window / self._rate

    def _admit(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = loop.time()
        while self._waiters:
            if next(iter(self._waiters)).done():
                self._waiters.popitem(last=False)
                continue
            if self._exhausted(now):
                self._fail_waiters(now)
                return
            wait = self._wait(now)
            if wait is None:
                return
            if wait > 0.0:
                self._timer = loop.call_at(now + min(wait, _LONGEST_TIMER), self._admit, loop)
                return
            self._start(now)
            self._waiters.popitem(last=False)[0].set_result(None)

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        self._waiters.pop(waiter, None)
        if not self._waiters and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- the daily quota

    def _exhausted(self, now: float) -> bool:
        self._follow_clocks(now)
        left = remaining_of(self.limits, self._day_limit, self._day_left, self._day_used, self._in_flight)
        return left is not None and left <= self.limits.reserve

    def _follow_clocks(self, now: float) -> None:
        """End the day when it is over.

        Ends come nearer by what the wall clock is ahead: the loop's clock stands still while a machine sleeps.
        """
        offset = self._wall_clock() - now
        ahead = offset - self._clock_offset
        self._clock_offset = offset
        if ahead > _CLOCKS_DIFFER:
            self._paused_until -= ahead
            if self._day_ends is not None:
                self._day_ends -= ahead
        if self._day_ends is not None and now >= self._day_ends:
            # The new day's numbers come with the next response.
            self._day_ends = self._day_left = None
            self._day_used = self._in_flight

    def _fail_waiters(self, now: float) -> None:
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_exception(self._exhausted_error(now))

    def _exhausted_error(self, now: float) -> Exhausted:
        return Exhausted(_moment(self._day_ends, now), never_reason(self.limits, self._day_limit))


def _moment(at: float | None, now: float) -> datetime | None:
    return None if at is None else datetime.now(UTC) + timedelta(seconds=at - now)
