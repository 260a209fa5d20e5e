"""One OAuth and one store under several event loops: one after another, in threads, and one that died."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from support.accounts_server import AccountsServer

from zoho_async import FileStore, MemoryStore, OAuth
from zoho_async.auth.loop_lock import LoopLock
from zoho_async.auth.token_stores import Token, TokenStore

STORES: dict[str, Callable[[Path], TokenStore]] = {
    "memory": lambda folder: MemoryStore(),
    "file": lambda folder: FileStore(folder / "zoho.json"),
}


@pytest.fixture(params=STORES)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> TokenStore:
    return STORES[request.param](tmp_path)


def oauth(store: TokenStore) -> OAuth:
    return OAuth("id", "client-secret", "refresh-secret", store=store)


async def refresh_by_many(auth: OAuth, accounts: AccountsServer, refused: str) -> set[str]:
    calls = (auth.refresh(Token(value=refused), accounts) for _ in range(20))
    async with asyncio.timeout(30):
        return {token.value for token in await asyncio.gather(*calls)}


def test_one_event_loop_after_another(store: TokenStore) -> None:
    accounts, auth = AccountsServer(delay=0.01), oauth(store)
    for turn in range(1, 4):
        assert asyncio.run(refresh_by_many(auth, accounts, f"t{turn - 1}")) == {f"t{turn}"}
    assert accounts.asked == 3


def test_two_clients_share_a_store_in_one_event_loop_after_another(store: TokenStore) -> None:
    accounts, clients = AccountsServer(delay=0.01), [oauth(store) for _ in range(2)]

    async def both(refused: str) -> list[set[str]]:
        return await asyncio.gather(*(refresh_by_many(auth, accounts, refused) for auth in clients))

    for turn in range(1, 4):
        assert asyncio.run(both(f"t{turn - 1}")) == [{f"t{turn}"}] * 2
    assert accounts.asked == 3


@pytest.mark.parametrize("shared", ["auth", "store"])
def test_threads_wait_for_one_refresh(store: TokenStore, shared: str) -> None:
    accounts, auth = AccountsServer(delay=0.1), oauth(store)
    together = threading.Barrier(4)
    found: list[set[str]] = []

    def work() -> None:
        mine = auth if shared == "auth" else oauth(store)
        together.wait()
        found.append(asyncio.run(refresh_by_many(mine, accounts, "t0")))

    threads = [threading.Thread(target=work, daemon=True) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert found == [{"t1"}] * 4
    assert accounts.asked == 1


def test_an_event_loop_that_stopped_during_a_refresh_does_not_hold_it_up(store: TokenStore) -> None:
    accounts, auth = AccountsServer(delay=3600), oauth(store)
    stopped = asyncio.new_event_loop()

    async def until_it_is_requested() -> asyncio.Task[Token]:
        task = asyncio.ensure_future(auth.token(accounts))
        await accounts.requested.wait()
        return task

    task = stopped.run_until_complete(until_it_is_requested())
    accounts.delay = 0
    assert asyncio.run(refresh_by_many(auth, accounts, "t0")) == {"t2"}
    task.cancel()
    stopped.run_until_complete(asyncio.gather(task, return_exceptions=True))
    stopped.close()
    assert asyncio.run(refresh_by_many(auth, accounts, "t2")) == {"t3"}


def test_a_lock_keeps_nothing_of_event_loops_that_were_closed() -> None:
    lock = LoopLock()

    async def use() -> None:
        async with lock:
            pass

    for _ in range(20):
        asyncio.run(use())
    assert len(lock._locks) == 1


def test_a_cancelled_wait_for_a_lock_of_another_thread_releases_what_it_has() -> None:
    lock, held, done = LoopLock(), threading.Event(), threading.Event()

    async def hold() -> None:
        async with lock:
            held.set()
            await asyncio.to_thread(done.wait)

    async def wait_in_vain() -> None:
        held.wait()
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.05), lock:
                pytest.fail("two hold it")
        done.set()
        async with asyncio.timeout(30), lock:
            pass

    thread = threading.Thread(target=lambda: asyncio.run(hold()), daemon=True)
    thread.start()
    asyncio.run(wait_in_vain())
    thread.join(30)
