"""The limits of an organisation, what is known of them, and what a call reports. Data and pure functions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from math import floor, inf
from typing import Literal, Protocol

import msgspec

WINDOW = 60.01
"""Seconds of the sliding window: a minute, and a margin for clocks that round differently."""
DAY = 86400.0
"""Seconds; no reset or Retry-After is believed beyond it."""
UNKNOWN_RESET = 900.0
"""Seconds to wait when the daily quota is used up and its reset time is unknown."""
_NO_HEADERS: Mapping[str, str] = {}


class Limits(msgspec.Struct, frozen=True):
    """The calls that this process allows itself per organisation.

    Zoho Books allows 100 calls a minute, 5 to 10 at once, and 1,000 to 10,000 a day, depending on the plan
    (https://www.zoho.com/books/api/v3/introduction/).

    Args:
        per_minute: Calls in any 60 seconds; None for no limit. The default leaves room for other clients.
        concurrency: Calls in flight at once.
        per_day: Calls per day; None to take the limit from Zoho's `x-rate-limit-*` headers.
        burst: Calls that may start back to back before they are spread evenly.
        reserve: Calls of the day left to other clients.
        share: This process's part of all limits, above 0 and at most 1, for workers that split an organisation.
        per_product: Count each product separately instead of all of an organisation together.

    Raises:
        ValueError: A value is out of range.
    """

    per_minute: int | None = 95
    concurrency: int = 10
    per_day: int | None = None
    burst: int = 10
    reserve: int = 0
    share: float = 1.0
    per_product: bool = False

    def __post_init__(self) -> None:
        positive = {"concurrency": self.concurrency, "burst": self.burst}
        positive |= {"per_minute": self.per_minute} if self.per_minute is not None else {}
        positive |= {"per_day": self.per_day} if self.per_day is not None else {}
        for name, value in positive.items():
            if value < 1:
                raise ValueError(f"Limits({name}={value}): must be at least 1")
        if self.reserve < 0:
            raise ValueError(f"Limits(reserve={self.reserve}): must not be negative")
        if not 0 < self.share <= 1:
            raise ValueError(f"Limits(share={self.share}): must be above 0 and at most 1")


class Quota(msgspec.Struct, frozen=True, kw_only=True):
    """What is known of an organisation's remaining calls. None means unknown.

    Attributes:
        limit: Calls per day.
        remaining: Calls left of the day.
        resets_at: When the next day begins (aware, UTC).
        sent: Calls that this client has sent to the organisation.
        minute_left: Calls allowed at this moment; None without a limit per minute.
        paused_until: When the organisation's pause ends (aware, UTC); None when it is not paused.
    """

    limit: int | None = None
    remaining: int | None = None
    resets_at: datetime | None = None
    sent: int = 0
    minute_left: int | None = None
    paused_until: datetime | None = None


def tightest(quotas: Sequence[Quota]) -> Quota:
    """The quota with the least left of its day, then of its minute; `sent` is the sum of all.

    Unknown values count as unlimited.
    """

    def left(quota: Quota) -> tuple[float, float]:
        return (
            inf if quota.remaining is None else quota.remaining,
            inf if quota.minute_left is None else quota.minute_left,
        )

    return msgspec.structs.replace(min(quotas, key=left), sent=sum(quota.sent for quota in quotas))


class Exhausted(Exception):  # noqa: N818 - a signal for the transport, which knows the operation
    """The daily quota is used up.

    Args:
        resets_at: When the next day begins (aware, UTC); None when unknown.
        never: Why no day allows a call; empty when one does.
    """

    def __init__(self, resets_at: datetime | None, never: str = "") -> None:
        super().__init__("the daily quota is used up")
        self.resets_at = resets_at
        self.never = never


class Paused(Exception):  # noqa: N818 - a signal for the transport, which knows the operation
    """The organisation is paused for longer than the caller waits.

    Args:
        seconds: How long it is paused.
    """

    def __init__(self, seconds: float) -> None:
        super().__init__("the organisation is paused")
        self.seconds = seconds


def rate_of(limits: Limits) -> int | None:
    """Calls per window, None for no limit."""
    return None if limits.per_minute is None else max(1, floor(limits.per_minute * limits.share))


def slots_of(limits: Limits) -> int:
    """Calls in flight at once."""
    return max(1, floor(limits.concurrency * limits.share))


def remaining_of(limits: Limits, day_limit: int | None, day_left: int | None, used: int, in_flight: int) -> int | None:
    """Calls left of the day, None when unknown.

    Args:
        limits: Limits of the organisation.
        day_limit: Zoho's calls per day, None when unknown.
        day_left: Zoho's latest number of calls left, None when unknown.
        used: Calls of this day, those in flight included.
        in_flight: Calls in flight, which Zoho's number does not include.
    """
    left = None if day_left is None else max(0, day_left - in_flight)
    limit = limits.per_day or (day_limit if limits.share < 1 else None)
    if limit is None:
        return left
    own = max(0, floor(limit * limits.share) - used)
    return own if left is None else min(left, own)


def never_reason(limits: Limits, day_limit: int | None) -> str:
    """Why no day allows a call; empty when one may."""
    whole = [] if day_limit is None else [day_limit]
    if limits.per_day is not None or (whole and limits.share < 1):
        whole.append(floor((limits.per_day or whole[0]) * limits.share))
    if not whole or min(whole) > limits.reserve:
        return ""
    return f"the reserve of {limits.reserve:,} leaves none of the {min(whole):,} calls a day"


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


def day_headers(headers: Mapping[str, str]) -> tuple[int | None, int | None, int | None]:
    """Limit, remaining calls and seconds to the reset of a response's `x-rate-limit-*` headers.

    None for each that is unusable; without the remaining calls the others say nothing either.
    """
    left = _number(headers.get("x-rate-limit-remaining"))
    if left is None:
        return None, None, None
    return _number(headers.get("x-rate-limit-limit")), left, _number(headers.get("x-rate-limit-reset"))


def day_after(
    headers: Mapping[str, str], now: float, left_before: int | None, ends_before: float | None
) -> tuple[int | None, int, float] | None:
    """Calls per day, calls left and end of the day after a response; None when its headers say nothing.

    Args:
        headers: Those of the response.
        now: The moment of `ends_before`'s clock, in seconds.
        left_before: Calls left that were known before.
        ends_before: End of the day that was known before.
    """
    limit, left, reset = day_headers(headers)
    if left is None:
        return None
    ends = now + min(reset, DAY) if reset is not None else ends_before
    if ends is None:
        ends = now + UNKNOWN_RESET
    # Responses arrive out of order: the smallest number of a day is the newest.
    if left_before is not None and ends_before is not None and abs(ends - ends_before) < WINDOW:
        left = min(left, left_before)
    return limit, left, ends


def _number(text: str | None) -> int | None:
    if text is None or len(text) >= 10 or not (text.isdecimal() or text.strip().isdecimal()):
        return None
    return int(text)
