"""How many calls one run may still make."""

from __future__ import annotations


class BudgetSpentError(Exception):
    """The calls of this run are used up; the next run goes on."""


class CallBudget:
    """Counts calls, at most `limit` of them.

    Args:
        limit: None for any number.

    Attributes:
        used: Calls so far, without the client's retries.
    """

    def __init__(self, limit: int | None) -> None:
        self._limit = limit
        self.used = 0

    def take(self) -> None:
        """Counts a call that is about to be made; raises BudgetSpentError when none is left."""
        if not self.left:
            raise BudgetSpentError
        self.used += 1

    @property
    def left(self) -> bool:
        """Whether a call may be made."""
        return self._limit is None or self.used < self._limit
