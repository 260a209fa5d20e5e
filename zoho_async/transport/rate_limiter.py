"""The rate limiter of one organisation: calls per minute, concurrency, pauses and the daily quota.

Asyncio only: no thread, no background task. A waiter is a future; a call that ends or a timer admits the next ones
in the order of their arrival.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import floor, inf
from time import time

import msgspec

WINDOW = 60.01
"""Seconds of the sliding window: a minute, and a margin for clocks that round differently."""
_DAY = 86400.0
_CLOCKS_DIFFER = 5.0
"""Seconds by which the wall clock must get ahead of the loop's to count."""
_LONGEST_TIMER = 60.0
_UNKNOWN_RESET = 900.0
"""Seconds to wait when the daily quota is used up and its reset time is unknown."""


class Limits(msgspec.Struct, frozen=True):
    """The calls that this process allows itself per organisation.

    Zoho Books allows 100 calls a minute, 5 to 10 at once, and 1,000 to 10,000 a day, depending on the plan
    (https://www.zoho.com/books/api/v3/introduction/).

    Args:
        per_minute: Calls in any 60 seconds; None for no limit. The default leaves room for other clients.
        concurrency: Calls in flight at once.
        per_day: Calls per day; None to take the limit from Zoho's `x-rate-limit-*` headers.
        burst: Calls that may start back to back before they are spread evenly.
        reserve: Calls of the day left to other clients.
        share: This process's part of all limits, above 0 and at most 1, for workers that split an organisation.
        per_product: Count each product separately instead of all of an organisation together.

    Raises:
        ValueError: A value is out of range.
    """

    per_minute: int | None = 95
    concurrency: int = 10
    per_day: int | None = None
    burst: int = 10
    reserve: int = 0
    share: float = 1.0
    per_product: bool = False

    def __post_init__(self) -> None:
        positive = {"concurrency": self.concurrency, "burst": self.burst}
        positive |= {"per_minute": self.per_minute} if self.per_minute is not None else {}
        positive |= {"per_day": self.per_day} if self.per_day is not None else {}
        for name, value in positive.items():
            if value < 1:
                raise ValueError(f"Limits({name}={value}): must be at least 1")
        if self.reserve < 0 or not 0 < self.share <= 1:
            raise ValueError("Limits: reserve must not be negative, share must be above 0 and at most 1")


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an organisation's remaining calls. None means unknown.

    Attributes:
        limit: Calls per day.
        remaining: Calls left of the day.
        resets_at: When the next day begins (aware, UTC).
        sent: Calls that this client has sent to the organisation.
        minute_left: Calls allowed at this moment; None without a limit per minute.
        paused_until: When the organisation's pause ends (aware, UTC); None when it is not paused.
    """

    limit: int | None = None
    remaining: int | None = None
    resets_at: datetime | None = None
    sent: int = 0
    minute_left: int | None = None
    paused_until: datetime | None = None


def tightest(quotas: Sequence[Quota]) -> Quota:
    """The quota with the least left of its day, then of its minute; `sent` is the sum of all.

    Unknown values count as unlimited.
    """

    def left(quota: Quota) -> tuple[float, float]:
        return (
            inf if quota.remaining is None else quota.remaining,
            inf if quota.minute_left is None else quota.minute_left,
        )

    return msgspec.structs.replace(min(quotas, key=left), sent=sum(quota.sent for quota in quotas))


class Exhausted(Exception):  # noqa: N818 - a signal for the transport, which knows the operation
    """The daily quota is used up until `resets_at` (None: unknown). `never`: why no day allows a call, or empty."""

    def __init__(self, resets_at: datetime | None, never: str = "") -> None:
        super().__init__("the daily quota is used up")
        self.resets_at = resets_at
        self.never = never


class Paused(Exception):  # noqa: N818 - a signal for the transport, which knows the operation
    """The organisation is paused for `seconds`, longer than the caller waits."""

    def __init__(self, seconds: float) -> None:
        super().__init__("the organisation is paused")
        self.seconds = seconds


class Limiter:
    """The rate limiter of one organisation. `await acquire()`, send, `release()`."""

    __slots__ = (
        "_clock_offset",
        "_day_ends",
        "_day_left",
        "_day_limit",
        "_day_used",
        "_finished",
        "_in_flight",
        "_next_start",
        "_paused_until",
        "_sent",
        "_slots",
        "_timer",
        "_waiters",
        "limits",
    )

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._slots = float(limits.concurrency)
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
        self._clock_offset: float | None = None
        """Wall clock minus the loop's, as last seen."""

    def change(self, limits: Limits) -> None:
        """Set other limits; calls counted so far stay counted."""
        full = self._slots >= self.limits.concurrency
        self.limits = limits
        # Slots lost to error 1070 are regained by successful calls only.
        self._slots = float(limits.concurrency) if full else min(self._slots, float(limits.concurrency))
        if self._waiters:
            self._admit(asyncio.get_running_loop())

    async def acquire(self, max_pause: float | None = None, *, priority: bool = False) -> None:
        """Wait until a call may start, and count it. A cancelled wait counts nothing.

        Args:
            max_pause: Longest pause of the organisation to wait for, in seconds; None for no limit.
            priority: Whether to overtake all other waiters.

        Raises:
            Exhausted: The daily quota is used up.
            Paused: The organisation is paused for more than `max_pause`.
        """
        loop = asyncio.get_running_loop()
        max_pause_s = inf if max_pause is None else max_pause
        self._check_quota(loop.time())
        if self.paused_for() > max_pause_s:
            raise Paused(self.paused_for())
        if not self._waiters and self._wait(loop.time()) == 0.0:
            self._start(loop.time())
            return
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters[waiter] = max_pause_s
        if priority:
            self._waiters.move_to_end(waiter, last=False)
        self._admit(loop)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release(sent=False)  # admitted and cancelled at the same time
            else:
                self._forget(waiter)
            raise

    def release(self, *, sent: bool = True) -> None:
        """End a call. `sent=False`: nothing was sent, so it does not count."""
        loop = asyncio.get_running_loop()
        self._in_flight -= 1
        if sent:
            now = loop.time()
            self._finished.append(now)
            # Without a limit per minute nothing else drops old entries.
            self._forget_finished(now)
            self._sent += 1
        else:
            rate = self._rate()
            self._day_used -= 1
            self._next_start -= WINDOW / rate if rate is not None else 0.0
        self._admit(loop)

    def pause(self, seconds: float) -> None:
        """Start no call of this organisation for so many seconds; a longer current pause stays."""
        until = asyncio.get_running_loop().time() + seconds
        self._paused_until = max(self._paused_until, until)
        held = self.paused_for()
        for waiter, max_pause_s in self._waiters.items():
            if held > max_pause_s and not waiter.done():
                waiter.set_exception(Paused(held))

    def paused_for(self) -> float:
        """Seconds left of the pause; 0 without one."""
        now = asyncio.get_running_loop().time()
        self._follow_wall_clock(now)
        return max(0.0, self._paused_until - now)

    def slow_down(self) -> None:
        """Halve the slots: Zoho reports too many calls at once."""
        self._slots = max(1.0, self._slots / 2)

    def succeeded(self) -> None:
        """Regain slots after a successful call: one for each full round of slots."""
        self._slots = min(self._most_slots(), self._slots + 1.0 / self._slots)

    def update_from_headers(self, headers: Mapping[str, str]) -> None:
        """Take the daily quota from a response's `x-rate-limit-*` headers."""
        limit, left, seconds = (
            _number(headers.get(f"x-rate-limit-{name}")) for name in ("limit", "remaining", "reset")
        )
        if left is None:
            return
        self._day_limit = limit
        now = asyncio.get_running_loop().time()
        self._roll_over_day(now)
        # Responses arrive out of order: the smallest number of a day is the newest.
        ends = now + min(seconds, _DAY) if seconds is not None else self._day_ends
        if ends is None:
            ends = now + _UNKNOWN_RESET
        same_day = self._day_ends is not None and abs(ends - self._day_ends) < WINDOW
        self._day_left = min(left, self._day_left) if same_day and self._day_left is not None else left
        self._day_ends = ends

    def mark_exhausted(self, seconds: float | None) -> datetime | None:
        """Record that the daily quota is used up; returns when the next day begins."""
        now = asyncio.get_running_loop().time()
        if seconds is not None:
            self._day_ends = now + min(seconds, _DAY)
        elif self._day_ends is None or self._day_ends <= now:
            self._day_ends = now + _UNKNOWN_RESET
        self._day_left = 0
        self._fail_waiters(now)
        return _moment(self._day_ends, now)

    def quota(self) -> Quota:
        """What is known of the remaining calls."""
        now = asyncio.get_running_loop().time()
        rate = self._rate()
        return Quota(
            limit=self.limits.per_day or self._day_limit,
            remaining=self._remaining(),
            resets_at=_moment(self._day_ends, now),
            sent=self._sent,
            minute_left=None if rate is None else max(0, rate - self._counted(now)),
            paused_until=_moment(self._paused_until, now) if self._paused_until > now else None,
        )

    # -- decisions

    def _rate(self) -> int | None:
        per_minute = self.limits.per_minute
        return None if per_minute is None else max(1, floor(per_minute * self.limits.share))

    def _most_slots(self) -> float:
        return max(1.0, float(floor(self.limits.concurrency * self.limits.share)))

    def _counted(self, now: float) -> int:
        self._forget_finished(now)
        return len(self._finished) + self._in_flight

    def _forget_finished(self, now: float) -> None:
        finished = self._finished
        while finished and finished[0] <= now - WINDOW:
            finished.popleft()

    def _wait(self, now: float) -> float | None:
        """Seconds until the next call may start; None: when a call in flight ends."""
        if self._in_flight >= int(min(self._slots, self._most_slots())):
            return None
        wait = max(0.0, self._paused_until - now)
        rate = self._rate()
        if rate is None:
            return wait
        if self._counted(now) >= rate:
            if not self._finished:
                return None
            wait = max(wait, self._finished[0] + WINDOW - now)
        interval = WINDOW / rate
        return max(wait, self._next_start - interval * (min(self.limits.burst, rate) - 1) - now, 0.0)

    def _start(self, now: float) -> None:
        self._in_flight += 1
        self._day_used += 1
        if self._day_ends is None and self.limits.per_day is not None:
            self._day_ends = now + _DAY
        rate = self._rate()
        if rate is not None:
            self._next_start = max(self._next_start, now) + WINDOW / rate

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
                # Not longer: a timer stands still while the machine sleeps.
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

    def _remaining(self) -> int | None:
        own = None
        limit = self.limits.per_day or self._day_limit
        if limit is not None and (self.limits.per_day is not None or self.limits.share < 1):
            own = floor(limit * self.limits.share) - self._day_used
        # Zoho's number does not include calls in flight.
        theirs = None if self._day_left is None else self._day_left - self._in_flight
        known = [number for number in (own, theirs) if number is not None]
        return max(0, min(known)) if known else None

    def _exhausted(self, now: float) -> bool:
        self._roll_over_day(now)
        left = self._remaining()
        return left is not None and left <= self.limits.reserve

    def _follow_wall_clock(self, now: float) -> None:
        """Bring ends nearer by what the wall clock is ahead: the loop's clock stands still while a machine sleeps."""
        offset = time() - now
        ahead = 0.0 if self._clock_offset is None else offset - self._clock_offset
        self._clock_offset = offset
        if ahead > _CLOCKS_DIFFER:
            self._paused_until -= ahead
            if self._day_ends is not None:
                self._day_ends -= ahead

    def _roll_over_day(self, now: float) -> None:
        self._follow_wall_clock(now)
        if self._day_ends is not None and now >= self._day_ends:
            # The new day's numbers come with the next response.
            self._day_ends = self._day_left = None
            self._day_used = self._in_flight

    def _check_quota(self, now: float) -> None:
        if self._exhausted(now):
            raise self._exhausted_error(now)

    def _fail_waiters(self, now: float) -> None:
        while self._waiters:
            waiter, _ = self._waiters.popitem(last=False)
            if not waiter.done():
                waiter.set_exception(self._exhausted_error(now))

    def _exhausted_error(self, now: float) -> Exhausted:
        limits = self.limits
        whole = [] if self._day_limit is None else [self._day_limit]
        if limits.per_day is not None or (whole and limits.share < 1):
            whole.append(floor((limits.per_day or whole[0]) * limits.share))
        never = ""
        if whole and min(whole) <= limits.reserve:
            never = f"the reserve of {limits.reserve:,} leaves none of the {min(whole):,} calls a day"
        return Exhausted(_moment(self._day_ends, now), never)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and len(text) < 10 and text.strip().isdecimal() else None


def _moment(at: float | None, now: float) -> datetime | None:
    return None if at is None else datetime.now(UTC) + timedelta(seconds=at - now)
