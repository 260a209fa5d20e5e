"""A token store in Redis: one token request for all processes that share it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Any

import msgspec

from zoho_async.auth.token_stores import Stored
from zoho_async.errors import ConfigError, LeaseError

from .connection import RedisConnection, Script
from .leases import Lease

_LOCK_WAIT = 90.0
"""Seconds: a token request and its repetition take at most their timeouts."""


class RedisStore:
    """Implements `TokenStore`; made by `Fleet.store`.

    What is stored can be read by all who can read Redis: the access token, and with `OAuth.from_code` the refresh
    token. A process that was stopped while it held the lock cannot overwrite what its heir has stored.
    """

    lock_seconds = 15.0
    """Seconds after which the lock of a dead process is free."""

    def __init__(self, connection: RedisConnection, key: str, *, holder: str, durable: bool) -> None:
        self.durable = durable
        self._connection = connection
        self._key = key
        self._holder = holder
        self._script = Script("leases.lua")
        self._lock = asyncio.Lock()
        self._lease: Lease | None = None

    def __repr__(self) -> str:
        return f"RedisStore({self._key!r})"

    async def load(self) -> Stored:
        """What was saved last; an empty `Stored` when nothing was."""
        content: Any = await self._connection.command("GET", self._key)
        if content is None:
            return Stored()
        try:
            return msgspec.json.decode(content, type=Stored)
        except (msgspec.MsgspecError, ValueError):
            raise ConfigError(f"{self!r} holds something that is no token; name another") from None

    async def save(self, stored: Stored) -> None:
        """Keep it in place of what was there.

        Raises:
            LeaseError: Another process has taken the lock over.
        """
        content = msgspec.json.encode(stored)
        lease = self._lease
        if lease is None:
            await self._connection.command("SET", self._key, content)
            return
        kept, _ = await self._connection.script(
            self._script, [*lease.keys, self._key], "save", self._holder, 0, lease.fence, content
        )
        if not kept:
            raise LeaseError(f"the lock of {self!r} is lost: another process has taken it over")

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Held while a token is being refreshed, across all processes."""
        return self._locked()

    @asynccontextmanager
    async def _locked(self) -> AsyncGenerator[None, None]:
        async with (
            self._lock,
            Lease(
                self._connection,
                self._key,
                (self._key,),
                holder=self._holder,
                seconds=self.lock_seconds,
                wait=_LOCK_WAIT,
            ) as lease,
        ):
            self._lease = lease
            try:
                yield
            finally:
                self._lease = None
