"""Counts consecutive errors of one kind. Pure."""

from __future__ import annotations

from zoho_async.errors import OutcomeUnknownError, UnavailableError

OUTAGES = (UnavailableError, OutcomeUnknownError)


class CircuitBreaker:
    """Opens when so many calls in a row have ended in errors of one kind, by default outages of the service."""

    def __init__(self, threshold: int, kind: tuple[type[Exception], ...] = OUTAGES) -> None:
        """`threshold`: consecutive errors that open it, at least 1."""
        if threshold < 1:
            raise ValueError("threshold must be at least 1")
        self.threshold = threshold
        self.consecutive_errors = 0
        self._kind = kind

    def record(self, error: Exception | None) -> bool:
        """Counts one call by the error it ended in, if any; returns whether the circuit breaker is open.

        Any other error closes it: of outages, every response of the service.
        """
        self.consecutive_errors = self.consecutive_errors + 1 if isinstance(error, self._kind) else 0
        return self.consecutive_errors >= self.threshold
