"""What the outcome of an attempt means and how long to wait. Pure: no clock, no socket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal

import msgspec

from zoho_async import errors
from zoho_async.schema.operation import Operation
from zoho_async.schema.registry import OPERATIONS

# How one attempt ended on the network.
RESPONDED: Final = "responded"
NOT_SENT: Final = "not_sent"
"""No connection was made, so no byte of the request left."""
LOST: Final = "lost"
"""Sent, at least in part, then a timeout, a broken connection or a truncated body."""
MISCONFIGURED: Final = "misconfigured"
"""Certificate or proxy refused, or no file descriptor left: a retry would fail again."""


class AttemptOutcome(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt as `classify` sees it."""

    sent: Literal["responded", "not_sent", "lost", "misconfigured"]
    status: int = 0
    code: int | str | None = None
    """Zoho's code; None when the body holds none (HTML, empty, other JSON)."""
    detail: str = ""
    """Description without secrets."""


# What to do next. Text, because an enum is slow to create and to look up.
DONE: Final = "done"
REFRESH: Final = "refresh"
"""Get a new token and repeat once."""
PAUSE: Final = "pause"
"""Pause the whole organisation, then repeat: the request was refused, nothing was executed."""
SLOW: Final = "slow"
"""Too many calls at once: fewer slots, a short wait, then repeat; nothing was executed."""
RETRY: Final = "retry"
FAIL: Final = "fail"
UNKNOWN: Final = "unknown"
"""A write that may have taken effect: report it, never repeat it."""


class RetryDecision(msgspec.Struct, frozen=True):
    """What to do next, and the error to raise when no further attempt is made."""

    action: Literal["done", "refresh", "pause", "slow", "retry", "fail", "unknown"]
    error: type[errors.ZohoError] = errors.ZohoError


_DONE = RetryDecision(DONE)
_RETRY = RetryDecision(RETRY, errors.UnavailableError)
_UNKNOWN = RetryDecision(UNKNOWN, errors.OutcomeUnknownError)
_MISCONFIGURED = RetryDecision(FAIL, errors.ConfigError)
_PAUSE = RetryDecision(PAUSE, errors.RateLimitError)
_SLOW = RetryDecision(SLOW, errors.RateLimitError)

# Zoho's platform-wide codes and those of contacts, from its documents and servers. Any other code differs in
# meaning from module to module, so the HTTP status decides.
_REFUSALS: Mapping[int | str, type[errors.ZohoError]] = {
    2: errors.InvalidError,
    4: errors.InvalidError,
    5: errors.RefusedError,  # an unknown address, which says nothing about a record
    6: errors.InvalidError,
    15: errors.InvalidError,
    1002: errors.NotFoundError,
    1038: errors.InvalidError,
    3013: errors.InvalidError,
    3062: errors.DuplicateError,
    6018: errors.AuthError,
    6041: errors.ConfigError,
    9004: errors.InvalidError,
}
_TOKEN_CODES = {14, 57, "INVALID_OAUTHTOKEN", "INVALID_TOKEN"}
_THROTTLES: Mapping[int | str | None, RetryDecision] = {
    43: _PAUSE,  # seen under HTTP 200
    44: _PAUSE,
    45: RetryDecision(FAIL, errors.QuotaExceededError),
    1070: _SLOW,
}


def classify(
    outcome: AttemptOutcome, *, repeatable: bool, deletes: bool = False, repeated: bool = False
) -> RetryDecision:
    """Decide what to do after one attempt.

    Args:
        outcome: How the attempt ended.
        repeatable: Whether it is a read, or a write marked idempotent.
        deletes: Whether the method is DELETE.
        repeated: Whether an earlier attempt of this call may have taken effect.

    Returns:
        The next action, and the error for the case that it ends the call.
    """
    if outcome.sent == NOT_SENT:
        return _RETRY
    if outcome.sent == MISCONFIGURED:
        return _MISCONFIGURED
    outcome_unknown = _RETRY if repeatable else _UNKNOWN
    if outcome.sent == LOST:
        return outcome_unknown
    status, code = outcome.status, outcome.code
    if 300 <= status < 400:
        # A redirect with Zoho's success, or to the result of a POST, may follow an execution.
        return _UNKNOWN if not repeatable and (code == 0 or status == 303) else _MISCONFIGURED
    if code == 0:
        return _DONE if status < 400 else outcome_unknown  # success under a status of failure
    if status >= 500 and not repeatable:
        return _UNKNOWN  # whatever its code: the server may have failed after executing it
    if code in _THROTTLES:
        return _THROTTLES[code]
    if status == 429:
        return _PAUSE
    if status == 401 or (code.upper() if isinstance(code, str) else code) in _TOKEN_CODES:
        return RetryDecision(REFRESH, errors.AuthError)
    if status >= 500 or status == 408:
        return outcome_unknown
    if code is None and status < 400:
        return outcome_unknown
    if deletes and repeated and code == 1002:
        return _DONE  # the earlier attempt deleted it
    named = _REFUSALS.get(code) if code is not None else None
    if named is None and status == 404:
        return outcome_unknown  # of a gateway, which knows nothing about records
    if named is None:
        # Only Zoho's own body says that it has such a record.
        named = errors.DuplicateError if status == 409 and code is not None else errors.RefusedError
    return RetryDecision(FAIL, named)


LONGEST_BLOCK = 1800.0
"""Seconds; the longest Retry-After observed with code 44."""

LONGEST_RETRY_AFTER = 86400.0
"""Seconds. A longer Retry-After is no wait, but an error or a moment, so it is ignored: the longest limit of Zoho's
documents is that of a day."""


def retry_after(value: str | None, now: datetime, date: str | None = None) -> float | None:
    """Seconds that a Retry-After header asks for, as a number or an HTTP date; None when it is unusable.

    Args:
        value: The header.
        now: The time of the own clock.
        date: The response's Date header: the clock that a Retry-After date belongs to. Without it the own clock is
            used, which may be wrong, and the result is at most `LONGEST_BLOCK`.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal():
        return _believed(float(text))
    moment = _http_date(text)
    if moment is None:
        return None
    sent_at = _http_date(date or "")
    seconds = max(0.0, (moment - (sent_at or now)).total_seconds())
    return min(seconds, LONGEST_BLOCK) if sent_at is None else _believed(seconds)


def _believed(seconds: float) -> float | None:
    return seconds if seconds <= LONGEST_RETRY_AFTER else None


def _http_date(text: str) -> datetime | None:
    # Imported here: slow to load and rarely needed.
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    except (ValueError, OverflowError, TypeError):
        return None


def retry_delay(attempt: int, chance: float, floor: float | None = None) -> float:
    """Seconds before the retry after failure number `attempt` (from 1): full jitter, Retry-After as the minimum.

    Args:
        attempt: Number of the failure, counted from 1.
        chance: A random number from 0 to 1.
        floor: Seconds from Retry-After; None without one.
    """
    return max(floor or 0.0, chance * min(30.0, 0.5 * 2.0 ** (attempt - 1)))


def slow_delay(attempt: int, chance: float, floor: float | None = None) -> float:
    """Seconds before repeating a call that was refused for too many calls at once."""
    return max(floor or 0.0, (0.5 + 0.5 * chance) * min(30.0, 2.0 ** (attempt - 1)))


def pause_delay(attempt: int, floor: float | None = None) -> float:
    """Seconds to pause an organisation: Retry-After, else doubling up to `LONGEST_BLOCK`.

    At least a doubling second: with a local clock ahead of Zoho's every Retry-After date is in the past.
    """
    if floor is None:
        return min(LONGEST_BLOCK, 15.0 * 2.0 ** (attempt - 1))
    return max(floor, min(LONGEST_BLOCK, 2.0 ** (attempt - 1)))


class RetryBudget:
    """Limits the retries of all calls of a client together, so that an outage causes no retry storm."""

    __slots__ = ("_tokens",)

    CAPACITY = 500.0
    COST = 5.0

    def __init__(self) -> None:
        self._tokens = self.CAPACITY

    def spend(self) -> bool:
        """Take one retry out of the budget; False when it is used up."""
        if self._tokens < self.COST:
            return False
        self._tokens -= self.COST
        return True

    def earn(self) -> None:
        """Return a fifth of a retry to the budget after a successful call."""
        if self._tokens < self.CAPACITY:
            self._tokens = min(self.CAPACITY, self._tokens + 1.0)


_WITHOUT_TRACE = ("create", "email", "resend_portal_invite")
"""Methods that change nothing in the record named by the path."""


def how_to_check(operation: Operation[Any]) -> str:
    """What shows whether a write took effect, as an instruction."""
    home, _, name = operation.id.rpartition(".")
    listing = next((one for it in ("list", "list_all") if (one := f"{home}.{it}") in OPERATIONS), None)
    reading = f"{home}.get" if f"{home}.get" in OPERATIONS else listing
    if name == "upsert":
        return f"look with {listing} for a record with this unique value, changed at that time"
    if name == "create" and listing is not None:
        return f"look with {listing} for a record of this name or unique value, made at that time"
    if "{" in operation.path and reading is not None and name not in _WITHOUT_TRACE:
        return f"look with {reading} whether the record shows the change"
    return "look in Zoho whether it took effect"
