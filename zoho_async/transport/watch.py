"""Bounds of attempts under way: the time of a response, silence while sending; and connections closed by the server."""

from __future__ import annotations

import asyncio
import select
from typing import Any
from weakref import WeakSet

WHOLE_RESPONSE = 10.0
"""Times `timeout`, for a whole response."""
_LOOK_EVERY = 0.25
"""Seconds between two looks at the attempts under way."""


class Bounds:
    """The bounds of one attempt."""

    __slots__ = ("_ends_at", "_moved_at", "_pending", "_transport", "bound", "loop", "stalled", "timeout")

    def __init__(self, timeout: float) -> None:
        self.timeout = timeout
        self.stalled = False
        """Whether the server took nothing of the request for `timeout` seconds."""
        self.loop = asyncio.get_running_loop()
        self.bound = asyncio.timeout(None)
        self._ends_at = 0.0
        self._pending = 0
        self._moved_at = 0.0
        self._transport: asyncio.WriteTransport | None = None

    def start(self, transport: asyncio.WriteTransport | None) -> None:
        """Start the time of the response; `transport` is that of a request whose sending may stall."""
        self._transport = transport
        self._moved_at = self.loop.time()
        self.extend()

    def extend(self) -> None:
        """Start the time of the whole response, again when more of the request was sent."""
        self._ends_at = self.loop.time() + WHOLE_RESPONSE * self.timeout

    def check(self, now: float) -> None:
        """End the attempt when its time is over, or when nothing of the request was sent for `timeout` seconds."""
        if self._transport is not None:
            pending: int = self._transport.get_write_buffer_size()
            if pending != self._pending:
                self._pending, self._moved_at = pending, now
                self.extend()
            self.stalled = bool(pending) and now - self._moved_at >= self.timeout
        if (self.stalled or now >= self._ends_at) and not self.bound.expired():
            self.bound.reschedule(now)


class Watch:
    """The attempts under way, all looked at by one timer; and the connections that were used before."""

    __slots__ = ("_attempts", "_timer", "used")

    def __init__(self) -> None:
        self._attempts: set[Bounds] = set()
        self._timer: asyncio.TimerHandle | None = None
        self.used: WeakSet[Any] = WeakSet()

    def add(self, attempt: Bounds) -> None:
        """Look at an attempt until it is removed."""
        self._attempts.add(attempt)
        if self._timer is None:
            self._timer = attempt.loop.call_later(_LOOK_EVERY, self._look, attempt.loop)

    def remove(self, attempt: Bounds) -> None:
        """The attempt has ended."""
        self._attempts.discard(attempt)

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for attempt in self._attempts:
            attempt.check(now)
        self._timer = loop.call_later(_LOOK_EVERY, self._look, loop) if self._attempts else None

    def close(self) -> None:
        """Stop the timer."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None


def is_closed(transport: asyncio.BaseTransport) -> bool:
    """Whether an idle connection has something to read, which can only be its end.

    The event loop has not noticed it when it stood still.
    """
    opened = transport.get_extra_info("socket")
    if opened is None or not hasattr(select, "poll"):
        return False
    poll = select.poll()
    try:
        poll.register(opened.fileno(), select.POLLIN)
        return bool(poll.poll(0))
    except (OSError, ValueError):
        return True
