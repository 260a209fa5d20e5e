"""Tokens in Redis: one request for all processes, and a process that was stopped overwrites nothing."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping, Sequence

import pytest
from redis.asyncio import Redis
from support.client import client_of
from support.redis_server import RedisServer

from zoho_async import AuthError, ConfigError, LeaseError, OAuth, UnavailableError
from zoho_async.auth.oauth import AccountsServer
from zoho_async.auth.token_stores import Stored, Token, TokenStore
from zoho_async.fake import FakeZoho
from zoho_async.fleet import Fleet, RedisStore


def oauth(fake: FakeZoho, store: TokenStore) -> OAuth:
    return OAuth(fake.client_id, fake.client_secret, fake.refresh_token, store=store)


async def test_what_is_saved_is_loaded_and_no_secret_is_in_a_repr(redis: RedisServer) -> None:
    async with Fleet(redis.url) as one, Fleet(redis.url) as two:
        store = one.store("main")
        assert await store.load() == Stored()
        stored = Stored(client="c", token=Token(value="t"), refresh_token="r", requests=(1.0,))
        async with store.lock():
            await store.save(stored)
        assert await two.store("main").load() == stored
        assert await two.store("other").load() == Stored()
        assert repr(store) == "RedisStore('zoho:{token:main}')"
        async with Redis.from_url(redis.url) as client:
            await client.set("zoho:{token:main}", b"\xff")
        with pytest.raises(ConfigError, match="no token"):
            await store.load()


WORKER = """
import asyncio, sys
from zoho_async import OAuth, Zoho
from zoho_async.fleet import Fleet
async def main(redis, url, organization, *credentials):
    async with Fleet(redis, _window=0.1) as fleet:
        auth = OAuth(*credentials, store=fleet.store("main"))
        async with Zoho(auth, organization_id=organization, api_url=url, accounts_url=url) as zoho:
            sys.stdin.readline()
            await zoho.books.contacts.list()
asyncio.run(main(*sys.argv[1:]))
"""


async def test_eight_processes_make_one_token_request(fake: FakeZoho, redis: RedisServer) -> None:
    arguments = (redis.url, fake.url, fake.organization_id, fake.client_id, fake.client_secret, fake.refresh_token)
    running = [
        await asyncio.create_subprocess_exec(sys.executable, "-c", WORKER, *arguments, stdin=asyncio.subprocess.PIPE)
        for _ in range(8)
    ]
    for process in running:
        await process.communicate(b"\n") if process is running[-1] else process.stdin.write(b"\n")  # type: ignore[union-attr]
    for process in running:
        await process.communicate()
        assert process.returncode == 0
    assert fake.token_requests == 1
    assert fake.requests("books.contacts.list") == 8


class Slow:
    """An accounts server whose answer takes until another process has taken the lock over."""

    def __init__(self, meanwhile: Stored | None, redis: RedisServer) -> None:
        self.meanwhile = meanwhile
        self.redis = redis
        self.others: Sequence[str] = ()
        self.asked = 0

    async def __call__(self, path: str, form: Mapping[str, str], data_center: str | None = None) -> tuple[int, bytes]:
        self.asked += 1
        async with Fleet(self.redis.url) as other, Redis.from_url(self.redis.url) as client:
            store: RedisStore = other.store("main")
            await client.delete("zoho:{token:main}:lease")  # it ran out while this process stood still
            async with store.lock():
                stored = await store.load()
                stored.token = self.meanwhile.token if self.meanwhile is not None else None
                await store.save(stored)
        return 200, b'{"access_token": "zombie", "expires_in": 3600}'


async def test_a_process_that_was_stopped_overwrites_nothing_and_goes_on_with_the_token_of_its_heir(
    redis: RedisServer,
) -> None:
    async with Fleet(redis.url) as fleet:
        auth = OAuth("id", "secret", "refresh", store=fleet.store("main"))
        accounts = Slow(Stored(token=Token(value="heir")), redis)
        checked: AccountsServer = accounts
        assert (await auth.token(checked)).value == "heir"
        stored = await fleet.store("main").load()
        assert stored.token is not None
        assert stored.token.value == "heir"
        assert accounts.asked == 1


async def test_without_another_token_the_loss_of_the_lock_is_an_error(redis: RedisServer) -> None:
    async with Fleet(redis.url) as fleet:
        auth = OAuth("id", "secret", "refresh", store=fleet.store("main"))
        with pytest.raises(LeaseError, match="taken it over"):
            await auth.token(Slow(None, redis))
        assert (await fleet.store("main").load()).token is None


async def test_a_grant_code_demands_a_durable_store(fake: FakeZoho, redis: RedisServer) -> None:
    async with Fleet(redis.url) as fleet:
        with pytest.raises(ConfigError, match="not durable"):
            OAuth.from_code(fake.client_id, fake.client_secret, "code", store=fleet.store("main"))
        OAuth.from_code(fake.client_id, fake.client_secret, "code", store=fleet.store("main", durable=True))


async def test_a_token_at_hand_is_good_while_redis_is_away(fake: FakeZoho, redis: RedisServer) -> None:
    async with Fleet(redis.url) as fleet, client_of(fake, auth=oauth(fake, fleet.store("main"))) as zoho:
        await zoho.books.contacts.list()
        await redis.kill()
        await zoho.books.contacts.list()
        fake.expire_tokens()
        with pytest.raises((UnavailableError, AuthError)):
            await zoho.books.contacts.list()
        await redis.start()
