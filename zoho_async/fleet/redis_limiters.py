"""Limits that processes on many hosts share through Redis, on Redis' own clock."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
from contextlib import suppress
from math import floor
from typing import Any, Literal

import msgspec

from zoho_async.schema.registry import PRODUCTS
from zoho_async.transport.hooks import Gatekeeper, Limits, Permit, Report
from zoho_async.transport.limits import DAY, UNKNOWN_RESET, day_headers, rate_of, slots_of
from zoho_async.transport.rate_limiter import Limiter

from .clocks import host_time
from .connection import RedisAwayError, RedisConnection, Script
from .gatekeeper import SharedGatekeeper
from .turns import Ask, Turn

log = logging.getLogger("zoho_async")

WhenDown = Literal["hold", "spare"]

_LONGEST_AWAY = 5.0
"""Seconds for which calls wait for a Redis that is away: it may just be restarted."""
_KEPT = 1000
"""Ends of calls that are kept while Redis is away."""
_ZOHO_PER_MINUTE = 100
_NOT_SENT = Report(sent=False)
_LAST_WORDS = 2.0
"""Seconds for the last reports when a fleet closes."""


class RedisLimiters:
    """Implements `Limiters`; made by `Fleet`."""

    def __init__(
        self,
        connection: RedisConnection,
        *,
        prefix: str,
        workers: int,
        when_down: WhenDown,
        lease: float,
        window: float,
    ) -> None:
        self.connection = connection
        self._holder = _holder_name()
        self._pid = os.getpid()
        self.workers = workers
        self.when_down: WhenDown = when_down
        self.lease = lease
        self.window = window
        self.script = Script("limits.lua")
        self._prefix = prefix
        self._known: dict[tuple[str, ...], tuple[RedisBackend, SharedGatekeeper]] = {}
        self._renewing: asyncio.Task[None] | None = None

    def of(self, organization: tuple[str, ...], limits: Limits) -> Gatekeeper:
        """The gatekeeper of an organisation; see `Limiters`."""
        found = self._known.get(organization)
        if found is None:
            backend = RedisBackend(self, self.keys(organization))
            found = self._known[organization] = backend, SharedGatekeeper(backend, limits)
        return found[1]

    @property
    def holder(self) -> str:
        """This process, as others see it. A fork is another one, whose calls in flight are not its own."""
        if self._pid != os.getpid():
            self._pid, self._holder = os.getpid(), _holder_name()
            for backend, _ in self._known.values():
                backend.forget()
        return self._holder

    def keys(self, organization: tuple[str, ...]) -> list[str]:
        """The keys of an organisation, in the order of the script. All are of one hash slot of a cluster."""
        name = "/".join(organization).replace("{", "").replace("}", "")
        return [
            f"{self._prefix}:{{{name}}}:{part}" for part in ("limits", "ended", "in-flight", "waiting", "waiting-until")
        ]

    def keep_renewing(self) -> None:
        """Renew the leases of calls in flight until none is."""
        if self._renewing is None or self._renewing.done():
            self._renewing = asyncio.get_running_loop().create_task(self._renew())

    async def _renew(self) -> None:
        while True:
            await asyncio.sleep(self.lease / 3)
            holding = [backend for backend, _ in self._known.values() if backend.in_flight]
            if not holding:
                return
            old = host_time() - self.lease / 4
            for backend in holding:
                with suppress(RedisAwayError):
                    await backend.renew(old)

    async def close(self) -> None:
        """Deliver the last reports, as far as Redis takes them now; leases end by themselves."""
        if self._renewing is not None:
            self._renewing.cancel()
            await asyncio.gather(self._renewing, return_exceptions=True)
        sending = [backend.sender for backend, _ in self._known.values() if backend.sender is not None]
        if sending:
            _, late = await asyncio.wait(sending, timeout=_LAST_WORDS)
            for task in late:
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)
        self._known.clear()


def _holder_name() -> str:
    import secrets

    return f"{socket.gethostname()}/{os.getpid()}/{secrets.token_hex(4)}"


def organization_of(name: str) -> tuple[str, ...]:
    """The organisation whose keys have a name: place, id, and the product if each counts separately."""
    rest, _, last = name.rpartition("/")
    if last not in PRODUCTS:
        return rest, last
    place, _, number = rest.rpartition("/")
    return place, number, last


class RedisBackend:
    """Implements `Backend` on a script."""

    longest_sleep = 5.0

    def __init__(self, limiters: RedisLimiters, keys: list[str]) -> None:
        self._limiters = limiters
        self._keys = keys
        self._slot = 0
        self.in_flight: dict[int, float] = {}
        """Slots of this process, and when each was renewed last."""
        self._outbox: list[dict[str, Any]] = []
        """Ends of calls that Redis has not taken yet."""
        self.sender: asyncio.Task[None] | None = None
        """Delivers ends of calls that no `ask` has taken along; `RedisLimiters.close` awaits it."""
        self._ticket = False
        self._stopped_waiting = False
        self._limits = Limits()
        self._seen: tuple[Turn, float] | None = None
        self._running: asyncio.Task[list[int]] | None = None
        self._spare: Limiter | None = None
        self._spare_permits: dict[int, Permit] = {}

    # -- Backend

    async def ask(self, ask: Ask) -> Turn:
        self._slot += 1
        slot, self._limits = self._slot, ask.limits
        wanted = {"slot": slot, "priority": ask.priority, "more": ask.more}
        connection = self._limiters.connection
        asked = False
        try:
            while True:
                try:
                    asked = asked or not connection.until_next_try()
                    turn = await self._run(ask=wanted)
                    break
                except RedisAwayError:
                    spare = await self._ask_spare(ask)
                    if spare is not None:
                        if asked:
                            self._end(slot, _NOT_SENT, ask.limits)
                        return spare
                    if connection.away_for() > _LONGEST_AWAY:
                        raise
                    await asyncio.sleep(connection.until_next_try() + 0.01)
        except BaseException:
            if asked:
                # It may have been executed.
                self._end(slot, _NOT_SENT, ask.limits)
            raise
        self._ticket = turn.slot is None or ask.more
        if turn.slot is not None:
            self.in_flight[slot] = host_time()
            self._limiters.keep_renewing()
        return turn

    def report(self, slot: int, report: Report, limits: Limits) -> None:
        permit = self._spare_permits.pop(slot, None)
        self._note(report)
        if permit is None:
            self._end(slot, report, limits)
            return
        permit.done(report)
        if report.decision in ("throttled", "exhausted"):
            self._end(slot, msgspec.structs.replace(report, sent=False), limits)

    def stop_waiting(self) -> None:
        if self._ticket:
            self._ticket, self._stopped_waiting = False, True
            self._send_soon()

    def look(self, limits: Limits) -> Turn | None:
        if self._seen is None:
            return None
        turn, at = self._seen
        over = host_time() - at
        resets = None if turn.resets is None else turn.resets - over
        new_day = resets is not None and resets <= 0
        return msgspec.structs.replace(
            turn,
            paused=max(0.0, turn.paused - over),
            remaining=None if new_day else turn.remaining,
            resets=None if new_day else resets,
            counted=turn.counted if over < self._limiters.window else len(self.in_flight),
        )

    def forget(self) -> None:
        """Forget the calls of the process that this one was forked from."""
        self.in_flight.clear()
        self._outbox.clear()
        self._spare_permits.clear()

    # -- Redis

    def _end(self, slot: int, report: Report, limits: Limits) -> None:
        limit, left, reset = day_headers(report.headers)
        found = {
            "seconds": None if report.seconds is None else report.seconds * 1000,
            "limit": limit,
            "left": left,
            "reset": None if reset is None else reset * 1000,
        }
        known = {name: value for name, value in found.items() if value is not None}
        self.in_flight.pop(slot, None)
        self._limits = limits
        self._outbox = [*self._outbox, {"slot": slot, "sent": report.sent, "decision": report.decision, **known}]
        self._outbox = self._outbox[-_KEPT:]
        self._send_soon()

    def _send_soon(self) -> None:
        if self.sender is None or self.sender.done():
            self.sender = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        """Deliver what the next `ask` of the same moment has not taken along."""
        while self._outbox or self._stopped_waiting:
            try:
                await self._run()
            except RedisAwayError:
                await asyncio.sleep(self._limiters.connection.until_next_try() + 0.01)

    async def renew(self, old: float) -> None:
        """Renew the leases that were last renewed before a moment."""
        slots = [slot for slot, renewed in self.in_flight.items() if renewed < old]
        now = host_time()
        if slots:
            await self._run(renew=slots)
        self.in_flight.update((slot, now) for slot in slots if slot in self.in_flight)

    async def _run(self, **more: Any) -> Turn:
        """Run the script once, with all that waits to be delivered, after every earlier run has ended."""
        while self._running is not None and not self._running.done():
            await asyncio.wait([self._running])
        reports, self._outbox = self._outbox, []
        stopped, self._stopped_waiting = self._stopped_waiting, False
        try:
            self._running = self._start(self._limits, reports=reports, stop_waiting=stopped, **more)
            turn = _turn(await asyncio.shield(self._running))
        except BaseException:
            self._outbox = reports + self._outbox
            self._stopped_waiting |= stopped and not self._ticket
            raise
        self._seen = turn, host_time()
        return turn

    async def peek(self) -> Turn:
        """What Redis knows of the organisation; changes nothing."""
        return _turn(await asyncio.shield(self._start(Limits(per_minute=None), peek=True)))

    def _start(self, limits: Limits, **more: Any) -> asyncio.Task[list[int]]:
        limiters = self._limiters
        given: dict[str, Any] = {
            "holder": limiters.holder,
            "window": floor(limiters.window * 1000),
            "lease": floor(limiters.lease * 1000),
            "limits": {
                "burst": limits.burst,
                "slots": slots_of(limits),
                "reserve": limits.reserve,
                "share": limits.share,
                **({} if limits.per_minute is None else {"rate": rate_of(limits)}),
                **({} if limits.per_day is None else {"per_day": limits.per_day}),
            },
            **{name: value for name, value in more.items() if value},
        }
        return limiters.connection.start_script(limiters.script, self._keys, msgspec.json.encode(given))

    def _note(self, report: Report) -> None:
        """What a call has shown is known here at once, before Redis has it."""
        turn = self.look(self._limits) or Turn()
        limit, left, reset = day_headers(report.headers)
        if left is not None:
            turn.day_limit = limit
            turn.remaining = left if turn.remaining is None else min(left, turn.remaining)
            turn.resets = turn.resets if reset is None else min(float(reset), DAY)
        if report.decision == "throttled":
            turn.paused = max(turn.paused, min(report.seconds or 0.0, DAY))
        elif report.decision == "exhausted":
            turn.remaining = 0
            turn.resets = min(report.seconds, DAY) if report.seconds is not None else turn.resets or UNKNOWN_RESET
        self._seen = turn, host_time()

    # -- without Redis

    async def _ask_spare(self, ask: Ask) -> Turn | None:
        """A call of this worker's part of what the limits leave free; None when the fleet holds instead."""
        limits, workers = ask.limits, self._limiters.workers
        rate = limits.per_minute
        spare = 0 if rate is None else (_ZOHO_PER_MINUTE - rate) // workers
        if self._limiters.when_down == "hold" or spare < 1:
            return None
        seen = self.look(limits)
        if seen is not None:
            seen.slot, seen.wait = None, seen.paused
            seen.exhausted = seen.remaining is not None and seen.remaining <= limits.reserve
            if seen.paused or seen.exhausted:
                return seen
        mine = msgspec.structs.replace(
            limits, per_minute=spare, burst=1, concurrency=max(1, limits.concurrency // workers)
        )
        if self._spare is None:
            self._spare = Limiter(mine, window=self._limiters.window)
        elif self._spare.limits != mine:
            self._spare.change(mine)
        try:
            # Not for longer than Redis may be away.
            async with asyncio.timeout(self._limiters.connection.until_next_try() + 0.01):
                permit = await self._spare.acquire()
        except TimeoutError:
            return Turn(wait=0.0)
        self._slot += 1
        self._spare_permits[self._slot] = permit
        return Turn(slot=self._slot)


def _turn(answer: list[int]) -> Turn:
    slot, wait, day_limit, remaining, resets = (None if one == -1 else one for one in answer[:5])
    paused, exhausted, counted = answer[5:]
    return Turn(
        slot=slot,
        wait=None if wait is None else wait / 1000,
        paused=paused / 1000,
        exhausted=bool(exhausted),
        day_limit=day_limit,
        remaining=remaining,
        resets=None if resets is None else resets / 1000,
        counted=counted,
    )
