"""One connection pool to Redis for everything a fleet does, with a circuit breaker of its own."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Coroutine, Sequence
from hashlib import sha1
from importlib.resources import files
from typing import TYPE_CHECKING, Any, cast

from zoho_async.errors import ConfigError, UnavailableError

from .clocks import host_time

if TYPE_CHECKING:
    from redis.asyncio import Redis

log = logging.getLogger("zoho_async")

_TIMEOUT = 2.0
"""Seconds for a connection, and for an answer."""
_CONNECTIONS = 32
"""Commands at once; redis-py's pool fails beyond 100."""
_FIRST_PAUSE, _LONGEST_PAUSE = 0.1, 5.0
"""Seconds without a try after the first failure, and at most."""

_LONGEST_REASON = 200


class RedisAwayError(UnavailableError):
    """Redis cannot be reached, or does not serve at this moment."""


class RedisConnection:
    """Runs scripts. After a failure it raises at once until its next try is due."""

    def __init__(self, source: str | Redis) -> None:
        try:
            from redis import exceptions
            from redis.asyncio import Redis
            from redis.asyncio.retry import Retry
            from redis.backoff import NoBackoff
        except ImportError:
            raise ConfigError("a fleet needs the redis package: pip install 'zoho_async[redis]'") from None
        self._own = isinstance(source, str)
        if isinstance(source, str):
            try:
                self.client: Redis = cast("Any", Redis).from_url(
                    source,
                    socket_timeout=_TIMEOUT,
                    socket_connect_timeout=_TIMEOUT,
                    retry=Retry(NoBackoff(), 0),  # the breaker decides
                )
            except (ValueError, TypeError):
                # The parser's message may quote a part of the password.
                raise ConfigError(
                    "the URL of Redis cannot be read; write redis://[USER:PASSWORD@]HOST[:PORT][/NUMBER], rediss://... "
                    "or unix://PATH, with special characters of the password percent-encoded"
                ) from None
        else:
            self.client = source
        self._script_missing = exceptions.NoScriptError
        self._refused = exceptions.ResponseError
        self._not_admitted = exceptions.AuthenticationError
        self._away = (
            exceptions.ConnectionError,
            exceptions.TimeoutError,
            exceptions.ResponseError,  # loading, read-only, out of memory, no permission
            OSError,
        )
        self._turns = asyncio.Semaphore(_CONNECTIONS)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._running: set[asyncio.Task[Any]] = set()
        self._failures = 0
        self._next_try = 0.0
        self.away_since: float | None = None
        """When Redis was missed first; None while it answers."""

    @property
    def address(self) -> str:
        """Host and port, without credentials."""
        pool = getattr(self.client, "connection_pool", None)
        known: dict[str, Any] = getattr(pool, "connection_kwargs", {})
        return str(known.get("path") or f"{known.get('host', 'cluster')}:{known.get('port', '')}").rstrip(":")

    def until_next_try(self) -> float:
        """Seconds for which every command fails at once; 0 when the next one is tried."""
        return max(0.0, self._next_try - host_time())

    def away_for(self) -> float:
        """Seconds for which Redis has been away; 0 while it answers."""
        return 0.0 if self.away_since is None else host_time() - self.away_since

    async def script(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> Any:
        """Run a script.

        Raises:
            RedisAwayError: Redis is away. The script may have been executed all the same.
        """
        return await asyncio.shield(self.start_script(script, keys, *arguments))

    def start_script(self, script: Script, keys: Sequence[str], *arguments: str | bytes | int) -> asyncio.Task[Any]:
        """Run a script to its end, even when the one who awaits it is cancelled."""
        return self._start(self._script(script, (len(keys), *keys, *arguments)))

    async def command(self, *command: Any) -> Any:
        """Run one command.

        Raises:
            RedisAwayError: Redis is away. The command may have been executed all the same.
        """
        return await asyncio.shield(self._start(self._command(command)))

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        loop = asyncio.get_running_loop()
        if loop is not self._loop:
            if self._loop is not None and self._loop.is_running():
                work.close()
                raise ConfigError("this Fleet is used by another event loop: each thread needs one of its own")
            if self._own and self._loop is not None:
                # Its connections are those of a loop that has ended.
                cast("Any", self.client.connection_pool).reset()
            self._loop, self._turns = loop, asyncio.Semaphore(_CONNECTIONS)
        # A task of its own is never cancelled: redis-py 8.1 swallows cancellations.
        task = loop.create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def _script(self, script: Script, arguments: tuple[str | bytes | int, ...]) -> Any:
        try:
            return await self._command(("EVALSHA", script.digest, *arguments))
        except self._script_missing:
            return await self._command(("EVAL", script.text, *arguments))

    async def _command(self, command: tuple[Any, ...]) -> Any:
        async with self._turns:
            return await self._execute(command)

    async def _execute(self, command: tuple[Any, ...]) -> Any:
        if self.until_next_try():
            raise self._error("no answer a moment ago")
        try:
            answer = await cast("Awaitable[Any]", self.client.execute_command(*command))  # type: ignore[no-untyped-call]
        except self._script_missing:
            raise
        except self._away as error:
            reason = type(error).__name__
            if isinstance(error, self._refused):
                reason = f"{reason}: {str(error)[:_LONGEST_REASON]}"
            elif isinstance(error.__cause__, self._not_admitted):
                reason = "it refuses the user name or password of its URL"
            self._failures += 1
            if self.away_since is None:
                self.away_since = host_time()
                log.warning("Redis at %s is away (%s)", self.address, reason)
            self._next_try = host_time() + min(_LONGEST_PAUSE, _FIRST_PAUSE * 2.0 ** (self._failures - 1))
            raise self._error(reason) from None
        if self.away_since is not None:
            log.warning("Redis at %s is back after %.1f s", self.address, self.away_for())
        self._failures, self._next_try, self.away_since = 0, 0.0, None
        return answer

    def _error(self, reason: str) -> RedisAwayError:
        return RedisAwayError(
            f"Redis at {self.address}, which keeps the fleet's limits, tokens and leases, cannot be reached "
            f"({reason}); nothing was sent to Zoho"
        )

    async def close(self) -> None:
        """Close the connections, unless the client came from the caller, after the commands under way."""
        await asyncio.gather(*self._running, return_exceptions=True)
        if self._own:
            await self.client.aclose()


class Script:
    """A Lua script of this package."""

    __slots__ = ("digest", "text")

    def __init__(self, name: str) -> None:
        self.text = files("zoho_async.fleet").joinpath(name).read_text(encoding="utf-8")
        self.digest = sha1(self.text.encode(), usedforsecurity=False).hexdigest()
