"""What a process asks of shared limits, and what it is answered."""

from __future__ import annotations

from typing import Protocol

import msgspec

from zoho_async.transport.hooks import Limits, Report


class Ask(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One try to start a call.

    Args:
        limits: The limits to keep.
        priority: Whether it goes before all that ask without it.
        more: Whether other calls of this process wait behind it.
    """

    limits: Limits
    priority: bool = False
    more: bool = False


class Turn(msgspec.Struct, kw_only=True, gc=False):
    """The answer to an `Ask`. Times are seconds from now.

    Args:
        slot: Number of the slot of a call that may start; None when none may.
        wait: When to ask again; None: when a call in flight has ended, at an unknown moment.
        paused: Rest of the organisation's pause, 0 without one.
        exhausted: Whether the daily quota is used up.
        day_limit: Calls per day, None when unknown.
        remaining: Calls left of the day, None when unknown.
        resets: When the next day begins, None when unknown.
        counted: Calls in the window.
    """

    slot: int | None = None
    wait: float | None = 0.0
    paused: float = 0.0
    exhausted: bool = False
    day_limit: int | None = None
    remaining: int | None = None
    resets: float | None = None
    counted: int = 0


class Backend(Protocol):
    """Where one organisation's shared limits are kept, as `SharedGatekeeper` uses it."""

    longest_sleep: float
    """Seconds between two asks: other processes may pause the organisation or leave the queue."""

    async def ask(self, ask: Ask) -> Turn:
        """Start a call, or take a place in the queue of all processes. A cancelled `ask` has started none.

        Raises:
            UnavailableError: The limits cannot be reached.
        """
        ...

    def report(self, slot: int, report: Report, limits: Limits) -> None:
        """End a call."""
        ...

    def stop_waiting(self) -> None:
        """Give up the place in the queue: no call waits here any more."""
        ...

    def look(self, limits: Limits) -> Turn | None:
        """What is known at this moment; None when nothing is. Waits for nothing."""
        ...
