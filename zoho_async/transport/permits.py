"""What a call tells its rate limiter when it is over."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Protocol

import msgspec

_NO_HEADERS: Mapping[str, str] = {}


class Report(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """How one attempt ended, as far as the limits are concerned.

    Args:
        sent: Whether a request left this machine; one that did not counts for nothing.
        headers: The response's headers; its `x-rate-limit-*` are read, by lower-case name where the mapping
            distinguishes case.
        decision: What the transport decided: `done` (the call succeeded), `throttled` (pause the organisation for
            `seconds`), `slow` (too many calls at once), `exhausted` (the daily quota is used up for `seconds`,
            None: until an unknown moment), or `other`.
        seconds: See `decision`.
    """

    sent: bool
    headers: Mapping[str, str] = _NO_HEADERS
    decision: Literal["done", "throttled", "slow", "exhausted", "other"] = "other"
    seconds: float | None = None


class Permit(Protocol):
    """The right to send one request."""

    def done(self, report: Report) -> None:
        """End the attempt. Must be called once for every permit; further calls change nothing.

        Args:
            report: How the attempt ended.
        """
        ...
