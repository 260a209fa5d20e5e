"""Bounds of attempts under way: the time of a response, silence while sending; and connections closed by the server."""

from __future__ import annotations

import asyncio
import select
from typing import TYPE_CHECKING, Any
from weakref import WeakSet

import msgspec

if TYPE_CHECKING:
    from aiohttp.connector import Connection

WHOLE_RESPONSE = 10.0
"""Times `timeout`, for a whole response."""
_LOOK_EVERY = 0.25
"""Seconds between two looks at the attempts under way."""


class Bounds(msgspec.Struct, eq=False):
    """The bounds of one attempt, which ends in the task that made them.

    aiohttp has a timer for silence (`sock_read`) and asyncio one for the whole, but every request would set up both.
    """

    loop: asyncio.AbstractEventLoop
    task: asyncio.Task[Any]
    cancelling: int
    """How often the task was cancelled before."""
    timeout: float
    expired: bool = False
    """Whether the task was cancelled because a bound is reached."""
    stalled: bool = False
    """Whether the server took nothing of the request for `timeout` seconds."""
    closed: bool = False
    """Whether the client was closed meanwhile."""
    ends_at: float = 0.0
    moved_at: float = 0.0
    pending: int = 0
    unlimited: Connection | None = None
    """The connection while nothing bounds its silence."""
    answered: bool = False
    """Whether the head of the response was read."""
    sending: asyncio.WriteTransport | None = None
    """That of a request whose sending may stall."""

    __repr__ = object.__repr__  # no request in a traceback

    def start(self, connection: Connection | None, *, may_stall: bool) -> None:
        """Start the time of the response; `may_stall` says whether sending the request may."""
        self.ends_at = self.loop.time() + WHOLE_RESPONSE * self.timeout
        if not may_stall:
            self.unlimited = connection
        elif connection is not None:
            self.sending, self.moved_at = connection.transport, self.loop.time()
            bound_silence(connection, self.timeout, is_sent=False)

    def extend(self) -> None:
        """Start the time of the whole response again, for more of the request was sent."""
        self.ends_at = self.loop.time() + WHOLE_RESPONSE * self.timeout

    def check(self, now: float) -> None:
        """End the attempt when its time is over, or when nothing of the request was sent for `timeout` seconds."""
        if self.sending is not None and not self.sending.is_closing():
            pending: int = self.sending.get_write_buffer_size()
            if pending != self.pending:
                self.pending, self.moved_at = pending, now
                self.extend()
            self.stalled = bool(pending) and now - self.moved_at >= self.timeout
        elif self.unlimited is not None and (self.answered or not is_unread(self.unlimited)):
            # Only now: most responses have arrived before the first look.
            bound_silence(self.unlimited, self.timeout, is_sent=True)
            self.unlimited = None
        if self.stalled or now >= self.ends_at:
            self.end()

    def end(self) -> None:
        """End the attempt."""
        if not self.expired:
            self.expired = True
            self.task.cancel()

    def is_cancelled(self) -> bool:
        """Whether the task was cancelled, and not only by this attempt.

        A CancelledError alone says little: aiohttp raises one when the session closes while a call waits for its pool.
        """
        return self.task.cancelling() > self.cancelling + self.expired

    def uncancel(self) -> None:
        """Undo the cancellation of the task."""
        self.task.uncancel()


def bound_silence(connection: Connection, seconds: float, *, is_sent: bool) -> None:
    """Let aiohttp end a response that sends nothing for so long, from now on or once the request is sent."""
    protocol, transport = connection.protocol, connection.transport
    if protocol is not None:  # None: the response is complete
        protocol.read_timeout = seconds
        # While reading is paused, the server cannot be heard; aiohttp starts its timer when it goes on.
        if is_sent and transport is not None and transport.is_reading():
            protocol.start_timeout()


def is_unread(connection: Connection) -> bool:
    """Whether a response has arrived that its task has not begun to read.

    A timer started now would outlast a complete one, and end the next request on this connection.
    """
    return connection.protocol is not None and connection.protocol.should_close


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
        if attempt.expired:
            attempt.uncancel()

    def _look(self, loop: asyncio.AbstractEventLoop) -> None:
        # First, so that an error ends this look only.
        self._timer = loop.call_later(_LOOK_EVERY, self._look, loop) if self._attempts else None
        now = loop.time()
        for attempt in self._attempts:
            attempt.check(now)

    def close(self) -> None:
        """End all attempts: aiohttp does not wake a task that reads a body when it closes the connection."""
        for attempt in self._attempts:
            attempt.closed = True
            attempt.end()
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
