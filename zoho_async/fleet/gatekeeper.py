"""The gatekeeper of one organisation whose limits several processes share.

Calls of this process wait in a queue here; only the first of them asks the shared limits, for one place in the queue
of all processes. So processes take turns however many calls each has, and a waiting call costs nothing.
"""

from __future__ import annotations

import asyncio
from collections import deque
from math import inf

from zoho_async.errors import ConfigError, UnavailableError
from zoho_async.transport.hooks import Exhausted, Limits, Paused, Quota, Report
from zoho_async.transport.limits import never_reason, rate_of

from .clocks import moment_in
from .turns import Ask, Backend, Turn

_FIRST_POLL, _LONGEST_POLL = 0.01, 0.25
"""Seconds between two looks while all slots are taken by other processes."""
_NOT_SENT = Report(sent=False)


class SharedPermit:
    """One call, from its start to its end."""

    __slots__ = ("_gatekeeper", "_slot")

    def __init__(self, gatekeeper: SharedGatekeeper, slot: int) -> None:
        self._gatekeeper: SharedGatekeeper | None = gatekeeper
        self._slot = slot

    def done(self, report: Report) -> None:
        """End the call. Further calls change nothing."""
        gatekeeper, self._gatekeeper = self._gatekeeper, None
        if gatekeeper is not None:
            gatekeeper.finish(self._slot, report)


class _Waiter:
    __slots__ = ("future", "live", "max_pause_s", "priority")

    def __init__(self, max_pause_s: float, priority: bool) -> None:
        self.future: asyncio.Future[SharedPermit | None] = asyncio.get_running_loop().create_future()
        self.max_pause_s = max_pause_s
        self.priority = priority
        self.live = True
        """Whether it still waits, or asks for all that wait."""

    @property
    def waits(self) -> bool:
        # A cancelled task cancels its future at once, and runs later.
        return self.live and not self.future.cancelled()


class SharedGatekeeper:
    """Implements `Gatekeeper` on a `Backend`."""

    __slots__ = ("_backend", "_blocked", "_dead", "_leading", "_loop", "_queues", "_sent", "_waker", "limits")

    def __init__(self, backend: Backend, limits: Limits) -> None:
        self.limits = limits
        self._backend = backend
        self._queues: tuple[deque[_Waiter], deque[_Waiter]] = (deque(), deque())
        """Waiters with priority, and all others. Those that are no longer live are skipped."""
        self._dead = 0
        self._blocked = False
        """Whether the next start waits for the end of a call."""
        self._leading = False
        """Whether a waiter asks the shared limits at this moment, for all."""
        self._waker: asyncio.Future[None] | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sent = 0

    # -- Gatekeeper

    async def acquire(self, max_pause: float | None = None, *, priority: bool = False) -> SharedPermit:
        """Wait until a call may start; see `Gatekeeper`."""
        waiter = _Waiter(inf if max_pause is None else max_pause, priority)
        self._check_loop(waiter.future.get_loop())
        self._queues[not priority].append(waiter)
        if self._leading:
            if priority:
                self._wake()
            try:
                permit = await waiter.future
            except asyncio.CancelledError:
                self._cancelled(waiter)
                raise
            if permit is not None:
                return permit
        return await self._lead(waiter)

    def quota(self) -> Quota:
        """What is known in this process of the remaining calls."""
        rate, seen = rate_of(self.limits), self._backend.look(self.limits)
        if seen is None:
            return Quota(limit=self.limits.per_day, sent=self._sent, minute_left=rate)
        return Quota(
            limit=self.limits.per_day or seen.day_limit,
            remaining=seen.remaining,
            resets_at=moment_in(seen.resets),
            sent=self._sent,
            minute_left=None if rate is None else max(0, rate - seen.counted),
            paused_until=moment_in(seen.paused or None),
        )

    def change(self, limits: Limits) -> None:
        """Set other limits; calls counted so far stay counted."""
        self.limits = limits
        self._wake()

    # -- the queue of this process

    def _check_loop(self, loop: asyncio.AbstractEventLoop) -> None:
        if loop is self._loop:
            return
        if self._loop is not None and self._loop.is_running():
            raise ConfigError("these limits are used by another event loop: each thread needs limiters of its own")
        self._loop = loop

    def finish(self, slot: int, report: Report) -> None:
        """End a call."""
        self._sent += report.sent
        self._backend.report(slot, report, self.limits)
        if self._blocked or not report.sent:
            self._wake()

    async def _lead(self, me: _Waiter) -> SharedPermit:
        """Ask for all that wait here, until the call of `me` may start."""
        self._leading = True
        poll = _FIRST_POLL
        try:
            while True:
                priority = self._first().priority
                turn = await self._backend.ask(Ask(limits=self.limits, priority=priority, more=self._waiting() > 1))
                if turn.slot is not None:
                    poll = _FIRST_POLL
                    permit, first = SharedPermit(self, turn.slot), self._first()
                    first.live = False
                    if first is me:
                        return permit
                    first.future.set_result(permit)
                    continue
                self._fail_waiters(me, turn)
                wait = turn.wait
                self._blocked = wait is None
                if wait is None:
                    wait, poll = poll, min(_LONGEST_POLL, poll * 2)
                await self._sleep(min(wait, self._backend.longest_sleep))
        finally:
            me.live = self._blocked = False
            self._hand_over()

    def _fail_waiters(self, me: _Waiter, turn: Turn) -> None:
        """Fail those that the answer leaves no hope; raises for `me`."""
        if not turn.exhausted and not turn.paused:
            return
        for waiter in [*self._queues[0], *self._queues[1]]:
            if not waiter.waits or not (turn.exhausted or turn.paused > waiter.max_pause_s):
                continue
            waiter.live = False
            error: Exception = Paused(turn.paused)
            if turn.exhausted:
                error = Exhausted(moment_in(turn.resets), never_reason(self.limits, turn.day_limit))
            if waiter is me:
                raise error
            waiter.future.set_exception(error)

    def _first(self) -> _Waiter:
        """The next to start. Only asked while at least one waits."""
        for queue in self._queues:
            while queue and not queue[0].waits:
                queue.popleft()
                self._dead = max(0, self._dead - 1)
            if queue:
                return queue[0]
        raise UnavailableError("the rate limiter's queue is empty")  # cannot be: who asks waits in it

    def _waiting(self) -> int:
        return len(self._queues[0]) + len(self._queues[1])

    def _hand_over(self) -> None:
        """Let the next waiter ask, or leave the queue of all processes."""
        for queue in self._queues:
            while queue and not queue[0].waits:
                queue.popleft()
            if queue:
                queue[0].future.set_result(None)
                return
        self._dead = 0
        self._leading = False
        self._backend.stop_waiting()

    def _cancelled(self, waiter: _Waiter) -> None:
        was_live, waiter.live = waiter.live, False
        future = waiter.future
        if future.cancelled():
            # Dropped once they are half of all: a constant cost for each.
            self._dead += 1
            if self._dead * 2 >= self._waiting():
                for queue in self._queues:
                    kept = [one for one in queue if one.waits]
                    queue.clear()
                    queue.extend(kept)
                self._dead = 0
            return
        permit = None if future.exception() is not None else future.result()
        if permit is not None:
            permit.done(_NOT_SENT)  # admitted and cancelled at the same time
        elif was_live:
            self._hand_over()

    def _wake(self) -> None:
        if self._waker is not None and not self._waker.done():
            self._waker.set_result(None)

    async def _sleep(self, seconds: float) -> None:
        """Sleep until the time has passed or something has changed in this process."""
        loop = asyncio.get_running_loop()
        self._waker = loop.create_future()
        timer = loop.call_later(max(seconds, 0.001), self._wake)
        try:
            await self._waker
        finally:
            timer.cancel()
            self._waker = None
