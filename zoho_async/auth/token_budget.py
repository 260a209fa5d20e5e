"""When a token is refreshed, and how many token requests are allowed. Pure: the clock is a parameter."""

from __future__ import annotations

from collections import Counter

import msgspec

from zoho_async.errors import AuthError

from .token_response import ACCESS_DENIED
from .token_stores import Stored, Token

REFRESH_EARLY_S = 300.0
"""In the last seconds of a token's life one call refreshes it while the others use it."""
REFRESH_REQUIRED_S = 60.0
"""In the last seconds of a token's life every call waits for the new one."""
TOKEN_REQUEST_BUDGET = 10
"""Token requests that Zoho allows per refresh token in `TOKEN_REQUEST_WINDOW_S`."""
TOKEN_REQUEST_WINDOW_S = 600.0


def seconds_left(token: Token, now: float) -> float:
    """Seconds that a token is still valid; infinite when that is not known."""
    return float("inf") if token.expires_at is None else token.expires_at - now


def refresh_windows(token: Token) -> tuple[float, float]:
    """Seconds before its end in which a token is refreshed in passing, and in which every call waits for it.

    They shrink with the lifetime, or a token of half a minute would be refreshed by every call.
    """
    if token.lifetime is None:
        return REFRESH_EARLY_S, REFRESH_REQUIRED_S
    return min(REFRESH_EARLY_S, token.lifetime / 4), min(REFRESH_REQUIRED_S, token.lifetime / 10)


class TokenRequests(msgspec.Struct, frozen=True):
    """The token requests that count towards the budget, and the last refusal by Zoho, as Unix times."""

    moments: tuple[float, ...] = ()
    denied_at: float | None = None
    """When Zoho answered "Access Denied"; no token is requested in the window that follows."""

    @classmethod
    def of(cls, stored: Stored) -> TokenRequests:
        """Those on record in a store."""
        return cls(stored.requests, stored.denied_at)

    def record_in(self, stored: Stored) -> bool:
        """Put them into what a store holds; whether that changed it."""
        changed = TokenRequests.of(stored) != self
        stored.requests, stored.denied_at = self.moments, self.denied_at
        return changed

    def at(self, now: float) -> TokenRequests:
        """Those that still count. One in the future counts as made now: the clock was set back since."""
        start = now - TOKEN_REQUEST_WINDOW_S
        denied = self.denied_at
        return TokenRequests(
            tuple(sorted(min(moment, now) for moment in self.moments if moment > start)),
            min(denied, now) if denied is not None and denied > start else None,
        )

    def merged(self, other: TokenRequests) -> TokenRequests:
        """Those of both; a request that both have counts once."""
        denied = [moment for moment in (self.denied_at, other.denied_at) if moment is not None]
        moments = (Counter(self.moments) | Counter(other.moments)).elements()
        return TokenRequests(tuple(sorted(moments)), max(denied, default=None))

    def plus(self, now: float) -> TokenRequests:
        """With one more."""
        return TokenRequests((*self.moments, now), self.denied_at)

    def wait(self, now: float) -> float:
        """Seconds until a token may be requested; 0 when it may be now."""
        ends = [] if self.denied_at is None else [self.denied_at]
        if len(self.moments) >= TOKEN_REQUEST_BUDGET:
            ends.append(self.moments[-TOKEN_REQUEST_BUDGET])
        return max([0.0, *(moment + TOKEN_REQUEST_WINDOW_S - now for moment in ends)])


def budget_used_up(requests: TokenRequests, now: float) -> AuthError:
    """The error while no token may be requested."""
    wait = requests.wait(now)
    if requests.denied_at is not None:
        return AuthError(
            f"Zoho refused further token requests ({ACCESS_DENIED}); the next one is allowed in {wait:.0f} s. "
            "Programs that share a FileStore(path) as store=, or the variable ZOHO_TOKEN_FILE of from_env, share one "
            "token",
            code=ACCESS_DENIED,
        )
    return AuthError(
        f"{len(requests.moments)} tokens were requested in the last ten minutes, Zoho's limit for one refresh token "
        f"is {TOKEN_REQUEST_BUDGET}; the next request is allowed in {wait:.0f} s. Likely causes: several processes "
        "without a shared store, or a refresh at every start; give them store=FileStore(path)"
    )
