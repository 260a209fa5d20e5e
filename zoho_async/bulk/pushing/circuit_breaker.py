"""Counts consecutive responses that have one reason. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable

from zoho_async.errors import OutcomeUnknownError, RefusedError, UnavailableError, ZohoError

_QUOTED = re.compile(r"\"[^\"]*\"|'[^']*'|`[^`]*`|“[^”]*”|‘[^’]*’")
_NUMBERED = re.compile(r"\S*\d\S*")
_LONGEST_VALUE = 1_000


class CircuitBreaker:
    """Opens when so many responses in a row have had the same reason to fail."""

    def __init__(self, threshold: int, *, first_only: bool = False) -> None:
        """`threshold`: responses that open it, at least 1. `first_only`: any other response closes it for good."""
        if threshold < 1:
            raise ValueError("threshold must be at least 1")
        self.threshold = threshold
        self.consecutive = 0
        self._first_only = first_only
        self._reason: str | None = None
        self._retired = False

    def record(self, reason: str | None) -> bool:
        """Counts one response by its reason to fail, None for a good one; returns whether the breaker is open."""
        if reason is None or (self.consecutive and reason != self._reason):
            self.consecutive = 0
            self._retired = self._first_only
        if reason is not None and not self._retired:
            self.consecutive += 1
        self._reason = reason
        return self.consecutive >= self.threshold

    @property
    def remaining(self) -> int | None:
        """How many more such responses open it; None when the last was none of them."""
        return max(0, self.threshold - self.consecutive) if self.consecutive else None


def outage(error: Exception | None) -> str | None:
    """The reason that all errors share which say that the service is not available."""
    return "outage" if isinstance(error, UnavailableError | OutcomeUnknownError) else None


def refusal(error: ZohoError, values: Iterable[str] = ()) -> str | None:
    """Zoho's reason to refuse a write, alike for rows refused for the same; None when it is no response of Zoho.

    `values`: those of the row, which a message may repeat.
    """
    if not isinstance(error, RefusedError) or error.status is None:
        return None
    message = error.message or ""
    for value in sorted({value.strip() for value in values}, key=len, reverse=True):
        if value and len(value) <= _LONGEST_VALUE and value in message:
            message = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", "…", message)
    message = _NUMBERED.sub("…", _QUOTED.sub("…", message))
    return f"{error.code} {' '.join(message.casefold().split())}"
