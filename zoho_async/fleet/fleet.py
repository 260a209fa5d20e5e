"""What processes on many hosts share through Redis."""

from __future__ import annotations

from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import msgspec

from zoho_async.errors import ConfigError
from zoho_async.transport.hooks import Limiters, Quota
from zoho_async.transport.limits import WINDOW

from .clocks import moment_in
from .connection import RedisConnection
from .leases import Lease
from .redis_limiters import RedisBackend, RedisLimiters, WhenDown, organization_of
from .redis_store import RedisStore

if TYPE_CHECKING:
    from redis.asyncio import Redis


class FleetView(msgspec.Struct, frozen=True, kw_only=True):
    """What the fleet knows of one organisation.

    Args:
        quota: What is left; `sent` and `minute_left` are not known to Redis.
        counted: Calls in the window of a minute.
        in_flight: Calls in flight by process.
        waiting: Processes in the order in which their next call starts.
    """

    quota: Quota
    counted: int
    in_flight: dict[str, int]
    waiting: list[str]


class Fleet:
    """Limits, tokens and leases that processes on many hosts share through Redis.

        async with Fleet("redis://localhost", workers=4) as fleet:
            auth = OAuth(client_id, client_secret, refresh_token, store=fleet.store("main"))
            async with Zoho(auth, organization_id="10234695", limiters=fleet.limiters) as zoho:
                ...

    Everything goes by Redis' clock. An organisation is held for a minute when Redis meets it for the first time, is
    empty or was restarted. Slots of calls in flight are leases that this object renews: those of a dead process are
    free after `lease` seconds. One event loop at a time may use the object.

    Args:
        redis: A URL, or a `redis.asyncio` client, which is not closed here. Needs Redis 6.2 or later.
        prefix: First part of every key.
        workers: How many processes share an organisation, for `when_down="spare"`.
        when_down: What calls do while Redis is away: `hold` (nothing is sent; after five seconds UnavailableError)
            or `spare` (each worker makes (100 - per_minute) / workers calls a minute).
        lease: Seconds after which what a dead process held is free.

    Raises:
        ConfigError: A setting cannot work, or the extra `redis` is not installed.
    """

    def __init__(
        self,
        redis: str | Redis,
        *,
        prefix: str = "zoho",
        workers: int = 1,
        when_down: WhenDown = "hold",
        lease: float = 15.0,
        _window: float = WINDOW,
    ) -> None:
        if workers < 1 or not lease > 0:
            raise ConfigError("Fleet: workers is at least 1, lease is more than 0")
        if when_down not in ("hold", "spare"):
            raise ConfigError(f"Fleet: when_down is 'hold' or 'spare', not {when_down!r}")
        self._connection = RedisConnection(redis)
        self._prefix = prefix
        self.lease_seconds = lease
        """Seconds after which what a dead process held is free."""
        self._limiters = RedisLimiters(
            self._connection,
            prefix=prefix,
            workers=workers,
            when_down=when_down,
            lease=lease,
            window=_window,
        )

    def __repr__(self) -> str:
        return f"<Fleet Redis at {self._connection.address}>"

    @property
    def limiters(self) -> Limiters:
        """Limits for `Zoho(limiters=)`."""
        return self._limiters

    def store(self, name: str, *, durable: bool = False) -> RedisStore:
        """A token store that all processes share: one token request for all of them.

        Args:
            name: One store a client and refresh token.
            durable: Whether this Redis keeps what it was given over a restart (AOF). `OAuth.from_code` demands it: the
                refresh token of a grant code is nowhere else.
        """
        return RedisStore(
            self._connection, f"{self._prefix}:{{token:{name}}}", holder=self._limiters.holder, durable=durable
        )

    def lease(self, *what: str, wait: float = 0.0) -> Lease:
        """The right to be the only one who works on something, for `async with`.

        Args:
            what: What it is for, such as an organisation's id and a resource.
            wait: Seconds to wait for another process to give it up.
        """
        if not what or not all(what):
            raise ConfigError("Fleet.lease: name what it is for")
        name = "/".join(what).replace("{", "").replace("}", "")
        key = f"{self._prefix}:{{{name}}}"
        return Lease(self._connection, key, what, holder=self._limiters.holder, seconds=self.lease_seconds, wait=wait)

    async def look(self, organization: str | tuple[str, ...], data_center: str = "us") -> FleetView:
        """Who holds and who waits, and what is left of an organisation.

        Args:
            organization: Its id; or, for one that is reached by an `api_url`, (api_url, id).
            data_center: Of an organisation that is named by its id alone.

        Raises:
            UnavailableError: Redis is away.
        """
        place = (data_center, organization) if isinstance(organization, str) else organization
        keys = self._limiters.keys(place)
        turn = await RedisBackend(self._limiters, keys).peek()
        in_flight: dict[str, int] = {}
        for member in await self._connection.command("ZRANGE", keys[2], 0, -1):
            holder = _text(member).rpartition(":")[0]
            in_flight[holder] = in_flight.get(holder, 0) + 1
        return FleetView(
            quota=Quota(
                limit=turn.day_limit,
                remaining=turn.remaining,
                resets_at=moment_in(turn.resets),
                paused_until=moment_in(turn.paused or None),
            ),
            counted=turn.counted,
            in_flight=in_flight,
            waiting=[_text(member) for member in await self._connection.command("ZRANGE", keys[3], 0, -1)],
        )

    async def organizations(self) -> list[tuple[str, ...]]:
        """All organisations that Redis knows, as `look` takes them; one that is not used for a month is forgotten.

        Raises:
            UnavailableError: Redis is away.
        """
        return sorted(organization_of(name) for name in await self._names("limits"))

    async def owners(self) -> dict[str, str]:
        """Who holds which lease at this moment: host, process and a random part by what it is for.

        Raises:
            UnavailableError: Redis is away.
        """
        found: dict[str, str] = {}
        for name in sorted(await self._names("lease")):
            owner = await self._connection.command("GET", f"{self._prefix}:{{{name}}}:lease")
            if owner is not None:
                found[name] = _text(owner).rpartition("|")[0]
        return found

    async def _names(self, part: str) -> set[str]:
        """What stands between braces in the keys of one kind."""
        begin, end = f"{self._prefix}:{{", f"}}:{part}"
        names: set[str] = set()
        cursor: Any = 0
        while True:
            cursor, keys = await self._connection.command("SCAN", cursor, "MATCH", f"{begin}*{end}", "COUNT", 1000)
            names.update(_text(key).removeprefix(begin).removesuffix(end) for key in keys)
            if not int(cursor):
                return names

    async def close(self) -> None:
        """Deliver what is known, and close the connections that this object opened."""
        await self._limiters.close()
        await self._connection.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()


def _text(member: bytes | str) -> str:
    return member.decode() if isinstance(member, bytes) else member
