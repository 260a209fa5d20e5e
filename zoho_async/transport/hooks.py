"""What a caller may hook into a call on its way. The public face of the transport for a second bulk layer."""

from __future__ import annotations

from typing import Protocol

from .limits import Exhausted, Limits, Paused, Quota
from .permits import Permit, Report

__all__ = ["DispatchHook", "Exhausted", "Gatekeeper", "Limiters", "Limits", "Paused", "Permit", "Quota", "Report"]


class DispatchHook(Protocol):
    """Who is asked whether a call may go out."""

    @property
    def throttle_count(self) -> int:
        """How often it was refused for a limit before, in calls that came to nothing."""
        ...

    async def before_send(self) -> None:
        """Awaited in the last moment before the wire; what it raises ends the call, of which nothing was executed."""

    def on_rejected(self) -> None:
        """Called when an attempt was surely not executed and the call waits for its turn again; may raise too."""


class Gatekeeper(Protocol):
    """The rate limiter of one organisation."""

    async def acquire(self, max_pause: float | None = None, *, priority: bool = False) -> Permit:
        """Wait until a call may start, and count it. A cancelled wait counts nothing.

        Args:
            max_pause: Longest pause of the organisation to wait for, in seconds; None for no limit.
            priority: Whether to overtake all that wait without it.

        Raises:
            Exhausted: The daily quota is used up.
            Paused: The organisation is paused for more than `max_pause`.
            UnavailableError: What the limits are shared through cannot be reached.
        """
        ...

    def quota(self) -> Quota:
        """What is known in this process of the remaining calls."""
        ...

    def change(self, limits: Limits) -> None:
        """Set other limits; calls counted so far stay counted."""


class Limiters(Protocol):
    """Where the limits of organisations are kept: in this process, on this host, or for many hosts."""

    def of(self, organization: tuple[str, ...], limits: Limits) -> Gatekeeper:
        """The gatekeeper of an organisation, the same one for every caller in this process.

        Args:
            organization: Identifies it: API address or data center, id, and the product if each counts separately.
            limits: Its limits, unless an earlier caller has set others; `Gatekeeper.change` sets them at any time.
        """
        ...
