"""What a caller may hook into a call on its way. The public face of the transport for a second bulk layer."""

from __future__ import annotations

from typing import Protocol


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
