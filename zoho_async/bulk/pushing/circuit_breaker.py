"""Counts consecutive outages of the service. Pure."""

from __future__ import annotations

from zoho_async.errors import OutcomeUnknownError, UnavailableError


class CircuitBreaker:
    """Opens when so many calls in a row have found the service unavailable."""

    def __init__(self, threshold: int) -> None:
        """`threshold`: consecutive outages that open it, at least 1."""
        if threshold < 1:
            raise ValueError("threshold must be at least 1")
        self.threshold = threshold
        self.consecutive_outages = 0

    def record(self, error: Exception | None) -> bool:
        """Counts one call by the error it ended in, if any; returns whether the circuit breaker is open.

        Every response of the service closes it, an error of the row's too.
        """
        outage = isinstance(error, UnavailableError | OutcomeUnknownError)
        self.consecutive_outages = self.consecutive_outages + 1 if outage else 0
        return self.consecutive_outages >= self.threshold
