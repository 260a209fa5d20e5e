"""Zoho's limits, kept on our side: pace, slots, pauses and the day's budget of one organisation.

Asyncio only: no thread, no background task. A waiter is a future; whoever changes something (a call that ends, a
timer that fires) lets the next ones through, in the order they came.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import floor, inf

import msgspec

WINDOW = 60.01
"""Seconds of a minute, and a little for two clocks that round differently."""
_DAY = 86400.0
_UNKNOWN_RESET = 900.0
"""Seconds to hold off when the day is used up and nobody said when the next one begins."""


class Limits(msgspec.Struct, frozen=True):
    """What this process allows itself, per organisation.

    `per_minute`: calls in any 60 seconds, None for no limit (Zoho allows 100; the default leaves room for others).
    `concurrency`: calls in flight at once. `per_day`: calls a day, None to learn it from Zoho's headers.
    `burst`: calls that may go back to back before the pace evens out. `reserve`: calls of the day left to others.
    `share`: this process's part of the allowance, from 0 to 1, for workers that split one organisation.
    `per_product`: count each product by itself instead of all of an organisation together.
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
    """What is left of an organisation's day, as far as it is known. Numbers are calls."""

    limit: int | None = None
    remaining: int | None = None
    resets_at: datetime | None = None
    sent: int = 0
    """Calls this client has sent to the organisation since it was made."""
    minute_left: int | None = None
    """Calls the pace allows at this moment, None when the pace is off."""
    paused_until: datetime | None = None


def tightest(quotas: Sequence[Quota]) -> Quota:
    """Of several, the one with the least left of its day and, among equals, of its minute; calls sent by all of them.

    What is not known counts as plenty.
    """

    def left(quota: Quota) -> tuple[float, float]:
        return (
            inf if quota.remaining is None else quota.remaining,
            inf if quota.minute_left is None else quota.minute_left,
        )

    return msgspec.structs.replace(min(quotas, key=left), sent=sum(quota.sent for quota in quotas))


class Exhausted(Exception):  # noqa: N818 - a signal for the transport, which knows the operation
    """The day's budget is used up; `resets_at` says until when, None if unknown. `never`: why no other day will do."""

    def __init__(self, resets_at: datetime | None, never: str = "") -> None:
        super().__init__("the day's budget is used up")
        self.resets_at = resets_at
        self.never = never


class Paused(Exception):  # noqa: N818 - a signal for the transport, which knows the operation
    """The organisation is held back for longer than the caller wants to wait; `seconds` says how long."""

    def __init__(self, seconds: float) -> None:
        super().__init__("the organisation is held back")
        self.seconds = seconds


class Limiter:
    """One organisation's gate. `await acquire()`, send, `release()`."""

    __slots__ = (
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
        # When the calls of the last minute ended. A call counts from its start until a minute after its end, because
        # Zoho sees it some time in between: so no clock of theirs can find more in a minute than we allowed.
        self._finished: deque[float] = deque()
        self._next_start = 0.0
        self._paused_until = 0.0
        self._waiters: deque[tuple[asyncio.Future[None], float]] = deque()
        self._timer: asyncio.TimerHandle | None = None
        self._day_limit: int | None = None
        self._day_left: int | None = None
        self._day_used = 0
        self._day_ends: float | None = None

    def change(self, limits: Limits) -> None:
        """Other limits from now on; what has been counted stays counted."""
        full = self._slots >= self.limits.concurrency
        self.limits = limits
        # Slots that Zoho's complaints have cost stay lost until they are earned again.
        self._slots = float(limits.concurrency) if full else min(self._slots, float(limits.concurrency))
        if self._waiters:
            self._admit(asyncio.get_running_loop())

    async def acquire(self, max_pause: float | None = None, *, priority: bool = False) -> None:
        """Wait until a call may start and count it. Cancelling the wait gives everything back. `priority`: before all
        others who wait.

        Raises Exhausted when the day's budget is used up, Paused when the organisation is (or comes to be) held back
        for more than `max_pause` seconds; None waits however long it takes.
        """
        loop = asyncio.get_running_loop()
        patience = float("inf") if max_pause is None else max_pause
        self._check_day(loop.time())
        if self.paused_for() > patience:
            raise Paused(self.paused_for())
        if not self._waiters and self._wait(loop.time()) == 0.0:
            self._start(loop.time())
            return
        waiter: asyncio.Future[None] = loop.create_future()
        (self._waiters.appendleft if priority else self._waiters.append)((waiter, patience))
        self._admit(loop)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled() and waiter.exception() is None:
                self.release(sent=False)  # let through and cancelled in the same breath
            else:
                self._forget(waiter)
            raise

    def release(self, *, sent: bool = True) -> None:
        """The call is over. `sent=False`: it never reached the wire, so it does not count."""
        loop = asyncio.get_running_loop()
        self._in_flight -= 1
        if sent:
            now = loop.time()
            self._finished.append(now)
            # Without a pace nobody else forgets those of earlier minutes; a pace may be set at any time.
            self._forget_finished(now)
            self._sent += 1
        else:
            pace = self._pace()
            self._day_used -= 1
            self._next_start -= WINDOW / pace if pace is not None else 0.0
        self._admit(loop)

    def pause(self, seconds: float) -> None:
        """Start no call of this organisation for so long; a longer pause under way stays."""
        until = asyncio.get_running_loop().time() + seconds
        self._paused_until = max(self._paused_until, until)
        held = self.paused_for()
        for waiter, patience in self._waiters:
            if held > patience and not waiter.done():
                waiter.set_exception(Paused(held))

    def paused_for(self) -> float:
        """Seconds the organisation is still held back; 0 when it is not."""
        return max(0.0, self._paused_until - asyncio.get_running_loop().time())

    def slow_down(self) -> None:
        """Zoho found too many calls at once: half the slots."""
        self._slots = max(1.0, self._slots / 2)

    def succeeded(self) -> None:
        """A call went well: grow back towards the full number of slots, one for each round of them."""
        self._slots = min(self._most_slots(), self._slots + 1.0 / self._slots)

    def update_from_headers(self, headers: Mapping[str, str]) -> None:
        """Take the day's numbers from an answer's `x-rate-limit-*` headers."""
        limit, left, seconds = (
            _number(headers.get(f"x-rate-limit-{name}")) for name in ("limit", "remaining", "reset")
        )
        if left is None:
            return
        self._day_limit = limit
        now = asyncio.get_running_loop().time()
        self._roll_over_day(now)
        # Answers overtake one another; the smallest number of a day is the newest.
        ends = now + seconds if seconds is not None else self._day_ends
        if ends is None:
            ends = now + _UNKNOWN_RESET
        same_day = self._day_ends is not None and abs(ends - self._day_ends) < WINDOW
        self._day_left = min(left, self._day_left) if same_day and self._day_left is not None else left
        self._day_ends = ends

    def mark_exhausted(self, seconds: float | None) -> datetime | None:
        """Zoho says that the day is used up; returns when the next begins, as far as it is known."""
        now = asyncio.get_running_loop().time()
        if seconds is not None:
            self._day_ends = now + seconds
        elif self._day_ends is None or self._day_ends <= now:
            self._day_ends = now + _UNKNOWN_RESET
        self._day_left = 0
        self._fail_waiters(now)
        return _moment(self._day_ends, now)

    def quota(self) -> Quota:
        """What is left, as far as it is known."""
        now = asyncio.get_running_loop().time()
        pace = self._pace()
        return Quota(
            limit=self.limits.per_day or self._day_limit,
            remaining=self._left(),
            resets_at=_moment(self._day_ends, now),
            sent=self._sent,
            minute_left=None if pace is None else max(0, pace - self._counted(now)),
            paused_until=_moment(self._paused_until, now) if self._paused_until > now else None,
        )

    # -- decisions

    def _pace(self) -> int | None:
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
        """Seconds until the next call may start; 0 for now, None for: when one of those in flight ends."""
        if self._in_flight >= int(min(self._slots, self._most_slots())):
            return None
        wait = max(0.0, self._paused_until - now)
        pace = self._pace()
        if pace is None:
            return wait
        if self._counted(now) >= pace:
            if not self._finished:
                return None
            wait = max(wait, self._finished[0] + WINDOW - now)
        interval = WINDOW / pace
        return max(wait, self._next_start - interval * (min(self.limits.burst, pace) - 1) - now, 0.0)

    def _start(self, now: float) -> None:
        self._in_flight += 1
        self._day_used += 1
        if self._day_ends is None and self.limits.per_day is not None:
            self._day_ends = now + _DAY
        pace = self._pace()
        if pace is not None:
            self._next_start = max(self._next_start, now) + WINDOW / pace

    def _admit(self, loop: asyncio.AbstractEventLoop) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        now = loop.time()
        while self._waiters:
            if self._waiters[0][0].done():
                self._waiters.popleft()
                continue
            if self._exhausted(now):
                self._fail_waiters(now)
                return
            wait = self._wait(now)
            if wait is None:
                return
            if wait > 0.0:
                self._timer = loop.call_at(now + wait, self._admit, loop)
                return
            self._start(now)
            self._waiters.popleft()[0].set_result(None)

    def _forget(self, waiter: asyncio.Future[None]) -> None:
        self._waiters = deque(entry for entry in self._waiters if entry[0] is not waiter)
        if not self._waiters and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    # -- the day

    def _left(self) -> int | None:
        own = None
        limit = self.limits.per_day or self._day_limit
        if limit is not None and (self.limits.per_day is not None or self.limits.share < 1):
            own = floor(limit * self.limits.share) - self._day_used
        # Calls in flight are not in Zoho's number yet.
        theirs = None if self._day_left is None else self._day_left - self._in_flight
        known = [number for number in (own, theirs) if number is not None]
        return max(0, min(known)) if known else None

    def _exhausted(self, now: float) -> bool:
        self._roll_over_day(now)
        left = self._left()
        return left is not None and left <= self.limits.reserve

    def _roll_over_day(self, now: float) -> None:
        if self._day_ends is not None and now >= self._day_ends:
            # Another day has begun for Zoho: nothing is known of it but that it is not used up.
            self._day_ends = self._day_left = None
            self._day_used = self._in_flight

    def _check_day(self, now: float) -> None:
        if self._exhausted(now):
            raise self._spent(now)

    def _fail_waiters(self, now: float) -> None:
        while self._waiters:
            waiter, _ = self._waiters.popleft()
            if not waiter.done():
                waiter.set_exception(self._spent(now))

    def _spent(self, now: float) -> Exhausted:
        limits = self.limits
        whole = [] if self._day_limit is None else [self._day_limit]
        if limits.per_day is not None or (whole and limits.share < 1):
            whole.append(floor((limits.per_day or whole[0]) * limits.share))
        never = ""
        if whole and min(whole) <= limits.reserve:
            never = f"of {min(whole):,} calls a day {limits.reserve:,} are left to others, so that none is ever made"
        return Exhausted(_moment(self._day_ends, now), never)


def _number(text: str | None) -> int | None:
    return int(text) if text is not None and len(text) < 10 and text.strip().isdecimal() else None


def _moment(at: float | None, now: float) -> datetime | None:
    return None if at is None else datetime.now(UTC) + timedelta(seconds=at - now)
