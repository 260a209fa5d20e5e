"""What all copies of a client share."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from zoho_async.wire.decoding import Decoders

from . import retry_policy
from .limits import Limits
from .rate_limiter import ProcessLimiters

if TYPE_CHECKING:
    from aiohttp import ClientSession

    from zoho_async.auth.token_stores import Token

    from .hooks import CallObserver, Gatekeeper, Limiters
    from .http import HttpAdapter


class SharedState:
    """What all `with_options()` copies of a client share: the session, the rate limiters, the decoders."""

    __slots__ = (
        "_chosen_limits",
        "_http",
        "_session",
        "_source",
        "budget",
        "decoders",
        "limiters",
        "observer",
        "sleep",
        "token_requests",
    )

    def __init__(
        self, session: ClientSession | None, limiters: Limiters | None = None, observer: CallObserver | None = None
    ) -> None:
        self._session = session
        self._http: HttpAdapter | None = None
        self._source: Limiters = ProcessLimiters() if limiters is None else limiters
        self.limiters: dict[tuple[str, ...], Gatekeeper] = {}
        self._chosen_limits: dict[tuple[str, ...], Limits] = {}
        self.token_requests: set[asyncio.Future[Token]] = set()
        """Token requests whose callers ran out of time; they are completed, because Zoho counts them."""
        self.decoders = Decoders()
        self.budget = retry_policy.RetryBudget()
        self.observer = observer
        self.sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
        """What a call waits with between attempts."""

    def http(self) -> HttpAdapter:
        """The HTTP session of these clients."""
        if self._http is None:
            from .http import HttpAdapter  # loads with the first call, as aiohttp

            # Loading takes long enough for another thread's call; a client is of one loop.
            self._http = self._http or HttpAdapter(self._session)
        return self._http

    def change_limits(self, key: tuple[str, ...], limits: Limits) -> None:
        """Change the limits of an organisation for every client that shares it."""
        self._chosen_limits[key] = limits
        for known, limiter in self.limiters.items():
            if known[: len(key)] == key:
                limiter.change(limits)

    def limiter(self, organization: tuple[str, ...], product: str, limits: Limits) -> Gatekeeper:
        """The rate limiter of an organisation. The first caller's limits hold until `change_limits`."""
        limits = self._chosen_limits.get(organization, limits)
        key = (*organization, product) if limits.per_product else organization
        found = self.limiters.get(key)
        if found is None:
            found = self.limiters[key] = self._source.of(key, limits)
        return found

    async def close(self) -> None:
        """Close the session, unless the caller supplied it, after the token requests in flight."""
        await asyncio.gather(*self.token_requests, return_exceptions=True)
        await self.http().close()
