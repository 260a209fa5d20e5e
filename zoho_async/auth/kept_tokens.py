"""What an OAuth keeps in its token store, and in memory while the store cannot be written."""

from __future__ import annotations

import logging
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager, suppress

from zoho_async.errors import ConfigError, LeaseError

from .loop_lock import LoopLock
from .token_budget import TokenRequests, budget_used_up
from .token_stores import Stored, Token, TokenStore

log = logging.getLogger("zoho_async")


class KeptTokens:
    """A token store whose failing writes cost a warning, but neither the tokens nor the count of token requests."""

    __slots__ = ("_lock", "_obtained", "_requests", "_store", "_warned", "replaced")

    def __init__(self, store: TokenStore) -> None:
        self._store = store
        self._lock = LoopLock()
        # What the store lacks while it cannot be written.
        self._requests = TokenRequests()
        self._obtained = ""
        self.replaced = ""
        """The token that the latest one replaced, which the store may still hold."""
        self._warned: set[str] = set()

    @asynccontextmanager
    async def exclusive(self) -> AsyncGenerator[Exception | None, None]:
        """One at a time, here and in all that share the store; yields why the store's lock was not available."""
        async with self._lock, AsyncExitStack() as stack:
            reason: Exception | None = None
            try:
                await stack.enter_async_context(self._store.lock())
            except (ConfigError, OSError) as error:
                reason = error
                self._warn_of_store(error)
            yield reason

    async def load(self, client: str) -> Stored:
        """What is kept for a client, named by its hash."""
        try:
            stored = await self._store.load()
        except OSError as error:
            raise ConfigError(f"{self._store!r} cannot be read: {type(error).__name__}") from error
        if stored.client and stored.client != client:
            raise ConfigError(
                f"{self._store!r} holds tokens of another client or refresh token; use one store for each"
            )
        stored.client = client
        stored.refresh_token = self._obtained or stored.refresh_token
        return stored

    async def record_request(self, stored: Stored, *, required: bool = False) -> None:
        """Count a token request before it is sent.

        Args:
            stored: What the store holds.
            required: Whether the store must be written, because a grant code is spent for what it will hold.

        Raises:
            AuthError: None is allowed now.
            ConfigError: The store cannot be written, and must be.
        """
        now = time.time()
        requests = self._requests = self._requests.at(now).merged(TokenRequests.of(stored).at(now))
        if requests.wait(now) > 0:
            if requests.record_in(stored):
                await self._save(stored)
            raise budget_used_up(requests, now)
        self._requests = requests.plus(now)
        self._requests.record_in(stored)
        await self._save(stored, required=required)

    async def record_denial(self, stored: Stored) -> None:
        """Zoho refused a token request because there were too many."""
        self._requests = TokenRequests(self._requests.moments, time.time())
        self._requests.record_in(stored)
        await self._save(stored)

    async def record_token(self, stored: Stored, token: Token, refresh_token: str) -> None:
        """Keep a new token, and the refresh token that was obtained for a grant code (or an empty text)."""
        self.replaced = stored.token.value if stored.token is not None else ""
        stored.token = token
        stored.refresh_token = self._obtained = refresh_token
        await self._save(stored)

    async def clear(self) -> None:
        """Forget the tokens."""
        self._obtained = ""
        await self._store.save(Stored())

    async def _save(self, stored: Stored, *, required: bool = False) -> None:
        try:
            await self._store.save(stored)
        except LeaseError:  # another process has the lock, and its tokens are the newer ones
            raise
        except Exception as error:  # a token that was issued is used even when it cannot be kept
            if required:
                raise unsaved_code(error) from error
            self._warn_of_store(error)

    def _warn_of_store(self, error: Exception) -> None:
        self.warn("store", f"tokens and token requests are kept in this process only: {_reason(error)}")

    def warn(self, kind: str, text: str) -> None:
        """Log a warning, once for each kind."""
        if kind not in self._warned:
            self._warned.add(kind)
            # An exception of a log handler must not cost a token.
            with suppress(Exception):
                log.warning("%s", text)


def unsaved_code(error: Exception) -> ConfigError:
    """The error for a grant code that was not spent because the store cannot be used."""
    return ConfigError(f"the grant code was not used, because its refresh token could not be kept: {_reason(error)}")


def _reason(error: Exception) -> str:
    # The text of another store's error may hold what it stores.
    return str(error) if isinstance(error, ConfigError) else type(error).__name__
