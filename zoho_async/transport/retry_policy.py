"""What an outcome means and how long to wait. Pure: no clock, no socket, no state but the retry budget's number."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from datetime import UTC, datetime

import msgspec

from zoho_async import errors


class Sent(enum.Enum):
    """How one attempt ended on the wire."""

    ANSWERED = enum.auto()
    NEVER = enum.auto()
    """No connection came about, so no byte of the request left."""
    LOST = enum.auto()
    """Sent, wholly or in part, and then silence, a torn connection or a torn body."""
    MISCONFIGURED = enum.auto()
    """Certificate or proxy refused, or no file left for a connection: it will not be better the next time."""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """One attempt as `classify` sees it."""

    sent: Sent
    status: int = 0
    code: int | str | None = None
    """Zoho's code; None when the body holds none (HTML, nothing, something else)."""
    detail: str = ""
    """In words, without secrets."""


class Action(enum.Enum):
    """What to do next."""

    DONE = enum.auto()
    REFRESH = enum.auto()
    """Get a new token and repeat once."""
    PAUSE = enum.auto()
    """Hold the whole organisation back, then repeat: the request was refused, nothing was executed."""
    SLOW = enum.auto()
    """Too many at once: fewer slots, a short wait, repeat: it was refused as well."""
    RETRY = enum.auto()
    FAIL = enum.auto()
    UNKNOWN = enum.auto()
    """A write that may have taken effect: tell, never repeat."""


class Verdict(msgspec.Struct, frozen=True):
    """What to do next, and which error tells it when there is no next."""

    action: Action
    error: type[errors.ZohoError] = errors.ZohoError


_DONE = Verdict(Action.DONE)
_RETRY = Verdict(Action.RETRY, errors.UnavailableError)
_UNKNOWN = Verdict(Action.UNKNOWN, errors.OutcomeUnknownError)
_MISCONFIGURED = Verdict(Action.FAIL, errors.ConfigError)
_PAUSE = Verdict(Action.PAUSE, errors.RateLimitError)
_SLOW = Verdict(Action.SLOW, errors.RateLimitError)

# Zoho's platform-wide codes and those of contacts (facts gathered from its documents and its servers). Every
# other number means something else in every module, so the HTTP status decides there.
_REFUSALS: Mapping[int | str, type[errors.ZohoError]] = {
    2: errors.InvalidError,
    4: errors.InvalidError,
    5: errors.NotFoundError,
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
_TOKEN_CODES = {14, 57, "INVALID_OAUTHTOKEN"}
_THROTTLES: Mapping[int | str | None, Verdict] = {
    43: _PAUSE,  # older clients met it under HTTP 200
    44: _PAUSE,
    45: Verdict(Action.FAIL, errors.QuotaExceededError),
    1070: _SLOW,
}


def classify(outcome: Outcome, *, repeatable: bool, deletes: bool = False, repeated: bool = False) -> Verdict:
    """What one attempt means. `repeatable`: a read, or a write marked idempotent. `deletes`: the method is DELETE.
    `repeated`: an earlier attempt of this call may have taken effect.
    """
    if outcome.sent is Sent.NEVER:
        return _RETRY
    if outcome.sent is Sent.MISCONFIGURED:
        return _MISCONFIGURED
    outcome_unknown = _RETRY if repeatable else _UNKNOWN
    if outcome.sent is Sent.LOST:
        return outcome_unknown
    status, code = outcome.status, outcome.code
    if 300 <= status < 400:
        return _MISCONFIGURED
    if status >= 500 and not repeatable:
        return _UNKNOWN  # whatever code its body holds: what broke may have broken after acting
    if code in _THROTTLES:
        return _THROTTLES[code]
    if status == 429:
        return _PAUSE
    if status == 401 or code in _TOKEN_CODES:
        return Verdict(Action.REFRESH, errors.AuthError)
    if status >= 500 or status == 408:
        return outcome_unknown
    if code == 0 and status < 400:
        return _DONE
    if code is None and status < 400:
        return outcome_unknown
    if deletes and repeated and code == 1002:
        return _DONE  # the earlier attempt did it
    return Verdict(Action.FAIL, _refusal(status, code))


def _refusal(status: int, code: int | str | None) -> type[errors.ZohoError]:
    named = _REFUSALS.get(code) if code is not None else None
    if named is not None:
        return named
    return {404: errors.NotFoundError, 409: errors.DuplicateError}.get(status, errors.RefusedError)


LONGEST_BLOCK = 1800.0
"""Seconds Zoho has been seen to hold an organisation back."""


_LONGEST_ASKED = 86400.0
"""Seconds; a header that asks for more than a day is not believed: Zoho's longest limit is a day's."""


def retry_after(value: str | None, now: datetime, date: str | None = None) -> float | None:
    """Seconds a Retry-After header asks for, from its number or its HTTP date; None when it says nothing usable.

    Args:
        value: The header.
        now: The time here.
        date: The response's Date header, which goes before `now`: both dates are then of one clock.
    """
    if value is None:
        return None
    text = value.strip()
    if text.isdecimal():
        return min(float(text), _LONGEST_ASKED)
    moment = _http_date(text)
    if moment is None:
        return None
    since = (None if date is None else _http_date(date)) or now
    return min(max(0.0, (moment - since).total_seconds()), _LONGEST_ASKED)


def _http_date(text: str) -> datetime | None:
    # Costs more to import than all the rest of this module, and is rarely needed.
    from email.utils import parsedate_to_datetime

    try:
        moment = parsedate_to_datetime(text)
    except (ValueError, OverflowError, TypeError):
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def retry_delay(attempt: int, chance: float, floor: float | None = None) -> float:
    """Seconds before repeating after failure number `attempt` (from 1): full jitter, never below Retry-After.

    `chance` is a random number from 0 to 1.
    """
    return max(floor or 0.0, chance * min(30.0, 0.5 * 2.0 ** (attempt - 1)))


def slow_delay(attempt: int, chance: float, floor: float | None = None) -> float:
    """Seconds before repeating what was refused for too many calls at once."""
    return max(floor or 0.0, (0.5 + 0.5 * chance) * min(30.0, 2.0 ** (attempt - 1)))


def pause_delay(attempt: int, floor: float | None = None) -> float:
    """Seconds to hold an organisation back: what Zoho asks for, else doubling up to its documented half hour.

    Never less than a doubling second: a clock that runs ahead of Zoho's makes every date one of the past.
    """
    if floor is None:
        return min(LONGEST_BLOCK, 15.0 * 2.0 ** (attempt - 1))
    return max(floor, min(LONGEST_BLOCK, 2.0 ** (attempt - 1)))


class RetryBudget:
    """Retries over all calls of a client: a sick service gets a trickle of them, not a storm."""

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
        """A call succeeded: put a little back."""
        self._tokens = min(self.CAPACITY, self._tokens + 1.0)
