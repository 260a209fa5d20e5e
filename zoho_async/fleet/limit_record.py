"""The shared limits of one organisation, as a value: what a file holds, and the decisions about it.

Pure: time and the liveness of other processes are handed in. `limits.lua` decides the same for Redis.
"""

from __future__ import annotations

from collections.abc import Callable
from math import inf

import msgspec

from zoho_async.transport.hooks import Limits, Report
from zoho_async.transport.limits import DAY, UNKNOWN_RESET, WINDOW, day_after, rate_of, remaining_of, slots_of

from .turns import Ask, Turn

GRACE = 1.0
"""Seconds after its announced return for which a place in the queue is kept."""
_KEPT = 1000
"""Ends of calls that are remembered: more than any limit per window that Zoho has."""


class Now(msgspec.Struct, frozen=True, kw_only=True):
    """The moment of a decision.

    Args:
        time: The host's clock.
        wall: Unix time; used only where the host's clock begins again, at a restart of the machine.
        boot: Identifies the start of the machine.
    """

    time: float
    wall: float
    boot: str


class Ticket(msgspec.Struct, array_like=True):
    """A process that waits for a call to start."""

    holder: str
    late: bool
    """Without priority: orders before `number`."""
    number: int
    until: float
    """Its place is lost then, unless it has asked again."""


class LimitRecord(msgspec.Struct, array_like=True):
    """One organisation's calls of the last window, calls in flight, queue, pause and day. Times are the host's."""

    boot: str
    time: float
    wall: float
    held_until: float = 0.0
    """No call starts before; what was sent in the window before is not known."""
    ends: list[float] = msgspec.field(default_factory=list[float])
    """When calls ended: a call counts from its start until a window after its end."""
    slots: dict[str, list[int]] = msgspec.field(default_factory=dict[str, list[int]])
    """Calls in flight by holder."""
    tickets: list[Ticket] = msgspec.field(default_factory=list[Ticket])
    number: int = 0
    next_start: float = 0.0
    paused_until: float = 0.0
    most_slots: float = inf
    """Calls in flight that Zoho has shown to bear."""
    day_limit: int | None = None
    day_left: int | None = None
    day_used: int = 0
    day_ends: float | None = None

    @classmethod
    def unknown(cls, now: Now, window: float) -> LimitRecord:
        """A record after the loss of another: everything may have been used a moment ago."""
        return cls(now.boot, now.time, now.wall, held_until=now.time + window)

    def in_flight(self) -> int:
        """Calls in flight in all processes."""
        return sum(map(len, self.slots.values()))

    def advance(self, now: Now, window: float = WINDOW) -> None:
        """Bring it to the present: forget what is over."""
        if now.boot != self.boot or now.time < self.time:
            self._rebase(now, window)
        self.time, self.wall = now.time, now.wall
        ends = self.ends
        over = now.time - window
        if ends and ends[0] <= over:
            self.ends = [end for end in ends if end > over]
        if self.tickets:
            self.tickets = [ticket for ticket in self.tickets if ticket.until > now.time]
        if self.day_ends is not None and now.time >= self.day_ends:
            # The new day's numbers come with the next response.
            self.day_ends = self.day_left = None
            self.day_used = self.in_flight()

    def _rebase(self, now: Now, window: float) -> None:
        """The machine has started again: its calls are over, and pause and day go on by the wall clock."""
        away = max(0.0, now.wall - self.wall)

        def rest(until: float) -> float:
            return now.time + min(max(0.0, until - self.time - away), DAY)

        self.paused_until = rest(self.paused_until)
        self.day_ends = None if self.day_ends is None else rest(self.day_ends)
        self.held_until = now.time + window
        self.boot, self.next_start = now.boot, 0.0
        self.ends, self.slots, self.tickets = [], {}, []

    def ask(
        self,
        holder: str,
        ask: Ask,
        now: Now,
        alive: Callable[[str], bool],
        window: float = WINDOW,
        *,
        trusts_day: bool = True,
    ) -> Turn:
        """Start a call, or put the holder into the queue. `advance` comes before. `trusts_day`: whether the holder
        believes what others have learnt of the day; a day that the limits set themselves holds in any case."""
        trusts_day = trusts_day or ask.limits.per_day is not None
        if trusts_day and self._exhausted(ask.limits):
            self.stop_waiting(holder)
            return self.look(ask.limits)
        mine = next((ticket for ticket in self.tickets if ticket.holder == holder), None)
        late = not ask.priority
        rank = (late, self.number + 1 if mine is None else mine.number)
        wait = self._wait(rank, ask.limits, now.time, window)
        if wait != 0 and self._free_the_dead(holder, now.time, alive):
            wait = self._wait(rank, ask.limits, now.time, window)
        if mine is not None:
            self.tickets.remove(mine)
        if wait == 0:
            if self._exhausted(ask.limits):
                # The holder's call asks Zoho again.
                self.day_left = self.day_ends = None
            turn = self.look(ask.limits)
            turn.slot = self._start(holder, ask, now.time, window)
            turn.counted += 1
            return turn
        if mine is None:
            self.number += 1
        self.tickets.append(Ticket(holder, late, rank[1], now.time + (wait or 0.0) + GRACE))
        turn = self.look(ask.limits)
        turn.exhausted = turn.exhausted and trusts_day
        turn.wait = wait
        return turn

    def _start(self, holder: str, ask: Ask, now: float, window: float) -> int:
        self.number += 1
        slot = self.number
        self.slots.setdefault(holder, []).append(slot)
        self.day_used += 1
        if self.day_ends is None and ask.limits.per_day is not None:
            self.day_ends = now + DAY
        rate = rate_of(ask.limits)
        if rate is not None:
            self.next_start = max(self.next_start, now) + window / rate
        if ask.more:
            self.number += 1
            self.tickets.append(Ticket(holder, True, self.number, now + GRACE))
        return slot

    def _wait(self, rank: tuple[bool, int], limits: Limits, now: float, window: float) -> float | None:
        """Seconds until a call of this rank may start, after all that wait before it; None: when a call ends."""
        before = sum((ticket.late, ticket.number) < rank for ticket in self.tickets)
        in_flight = self.in_flight()
        if in_flight + before >= int(min(self.most_slots, slots_of(limits))):
            return None
        wait = max(0.0, self.paused_until - now, self.held_until - now)
        rate = rate_of(limits)
        if rate is None:
            return wait
        excess = len(self.ends) + in_flight + before - rate
        if excess >= len(self.ends):
            return None
        if excess >= 0:
            wait = max(wait, self.ends[excess] + window - now)
        interval = window / rate
        return max(wait, self.next_start + interval * (before - min(limits.burst, rate) + 1) - now)

    def _free_the_dead(self, holder: str, now: float, alive: Callable[[str], bool]) -> bool:
        """Take slots and places from processes that have ended; their calls end now."""
        others = {*self.slots, *(ticket.holder for ticket in self.tickets)} - {holder}
        dead = {other for other in others if not alive(other)}
        for one in dead:
            self.ends.extend(now for _ in self.slots.pop(one, ()))
        if dead:
            self.tickets = [ticket for ticket in self.tickets if ticket.holder not in dead]
        return bool(dead)

    def stop_waiting(self, holder: str) -> None:
        """Take a holder out of the queue."""
        self.tickets = [ticket for ticket in self.tickets if ticket.holder != holder]

    def report(self, holder: str, slot: int, report: Report, limits: Limits, now: float, window: float) -> None:
        """End a call. One whose slot was lost, with the file or over a freeze, counts all the same."""
        day = day_after(report.headers, now, self.day_left, self.day_ends)
        if day is not None:
            self.day_limit, self.day_left, self.day_ends = day
        seconds = min(report.seconds or 0.0, DAY)
        match report.decision:
            case "done":
                if self.most_slots < inf:
                    self.most_slots += 1 / self.most_slots
                    if self.most_slots >= slots_of(limits):
                        self.most_slots = inf
            case "throttled":
                self.paused_until = max(self.paused_until, now + seconds)
            case "slow":
                self.most_slots = max(1.0, min(self.most_slots, slots_of(limits)) / 2)
            case "exhausted":
                if report.seconds is not None:
                    self.day_ends = now + seconds
                elif self.day_ends is None:
                    self.day_ends = now + UNKNOWN_RESET
                self.day_left = 0
            case "other":
                pass
        held = self.slots.get(holder, [])
        known = slot in held
        if known:
            held.remove(slot)
            if not held:
                del self.slots[holder]
        rate = rate_of(limits)
        if report.sent:
            self.ends.append(now)
            self.ends = self.ends[-max(_KEPT, rate or 0) :]
        elif known:
            self.day_used = max(0, self.day_used - 1)
            if rate is not None:
                self.next_start -= window / rate

    def _remaining(self, limits: Limits) -> int | None:
        return remaining_of(limits, self.day_limit, self.day_left, self.day_used, self.in_flight())

    def _exhausted(self, limits: Limits) -> bool:
        remaining = self._remaining(limits)
        return remaining is not None and remaining <= limits.reserve

    def look(self, limits: Limits) -> Turn:
        """What is known at this moment, without a slot."""
        return Turn(
            paused=max(0.0, self.paused_until - self.time),
            exhausted=self._exhausted(limits),
            day_limit=self.day_limit,
            remaining=self._remaining(limits),
            resets=None if self.day_ends is None else self.day_ends - self.time,
            counted=len(self.ends) + self.in_flight(),
        )
