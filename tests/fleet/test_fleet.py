"""A fleet in one process: Redis away, restarted, emptied; queue, day and view; leases and their fences."""

from __future__ import annotations

import asyncio
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from support.client import client_of
from support.redis_server import RedisServer, binary

from zoho_async import ConfigError, LeaseError, Limits, UnavailableError, Zoho
from zoho_async.fake import FakeZoho
from zoho_async.fleet import Fleet, connection, redis_limiters
from zoho_async.fleet.clocks import host_time
from zoho_async.transport.hooks import Exhausted, Gatekeeper, Paused, Report

PLACE = ("us", "10234695")
SENT = Report(sent=True, decision="done")
WINDOW = 0.3
OFF = Limits(per_minute=None)


class Fleets:
    """Fleets of one test, as of several hosts."""

    def __init__(self, redis: RedisServer) -> None:
        self.redis = redis
        self.made: list[Fleet] = []

    def __call__(self, **options: Any) -> Fleet:
        self.made.append(Fleet(self.redis.url, **{"_window": WINDOW, **options}))
        return self.made[-1]

    def gate(self, limits: Limits = OFF, **options: Any) -> Gatekeeper:
        return self(**options).limiters.of(PLACE, limits)


LONGEST_PAUSE = 0.3
"""Instead of five seconds without a try."""


@pytest.fixture
async def fleets(redis: RedisServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Fleets]:
    monkeypatch.setattr(connection, "_LONGEST_PAUSE", LONGEST_PAUSE)
    made = Fleets(redis)
    yield made
    for fleet in made.made:
        await fleet.close()


LONG = 60.0
"""Seconds for what comes at once, on a machine that stands still now and then."""


async def waits(gatekeeper: Gatekeeper) -> bool:
    """Whether a call does not start at once."""
    try:
        async with asyncio.timeout(0.15):
            (await gatekeeper.acquire()).done(SENT)
    except TimeoutError:
        return True
    return False


async def starts(gatekeeper: Gatekeeper) -> None:
    """A call starts, where nothing but a loaded machine delays it."""
    async with asyncio.timeout(LONG):
        (await gatekeeper.acquire()).done(SENT)


async def until(happened: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(LONG):
        while not await happened():  # noqa: ASYNC110 - there is no event across fleets
            await asyncio.sleep(0.01)


async def test_an_organisation_that_redis_has_never_met_is_held_for_a_window(fleets: Fleets) -> None:
    gatekeeper = fleets.gate(_window=0.6)
    loop = asyncio.get_running_loop()
    start = loop.time()
    (await gatekeeper.acquire()).done(SENT)
    assert loop.time() - start >= 0.6 - 0.001, "Redis' clock is read in milliseconds"
    await starts(fleets.gate(_window=0.6))


async def test_two_fleets_share_slots_pauses_and_the_day(fleets: Fleets) -> None:
    limits = Limits(per_minute=None, concurrency=2, reserve=7)
    one, two = fleets.gate(limits), fleets.gate(limits)
    first, second = await one.acquire(), await two.acquire()
    assert await waits(one)
    assert await waits(two)
    second.done(Report(sent=True, decision="throttled", seconds=30))
    second.done(SENT)
    with pytest.raises(Paused):
        await two.acquire(0.1)
    with pytest.raises(Paused):
        await one.acquire(0.1)
    headers = {"x-rate-limit-limit": "1000", "x-rate-limit-remaining": "7", "x-rate-limit-reset": "3600"}
    first.done(Report(sent=True, headers=headers))
    assert one.quota().remaining == 7, "known here before Redis has it"
    with pytest.raises(Exhausted) as caught:
        await one.acquire()
    assert caught.value.resets_at is not None
    with pytest.raises(Exhausted):
        await two.acquire()
    view = await fleets().look(PLACE[1])
    assert (view.quota.limit, view.quota.remaining, view.in_flight, view.waiting) == (1000, 7, {}, [])


async def test_who_holds_and_who_waits_can_be_seen(fleets: Fleets) -> None:
    limits = Limits(per_minute=None, concurrency=1)
    one, two = fleets(), fleets()
    permit = await one.limiters.of(PLACE, limits).acquire()
    waiting = asyncio.ensure_future(two.limiters.of(PLACE, limits).acquire())
    await until(lambda: shows(two, {one.limiters.holder: 1}, [two.limiters.holder]))  # type: ignore[attr-defined]
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    permit.done(SENT)
    await until(lambda: shows(two, {}, []))


async def shows(fleet: Fleet, in_flight: dict[str, int], waiting: list[str]) -> bool:
    view = await fleet.look(PLACE)
    return (view.in_flight, view.waiting) == (in_flight, waiting)


async def count_waiting(fleet: Fleet, count: int) -> bool:
    return len((await fleet.look(PLACE)).waiting) == count


async def test_priority_goes_before_the_bulk_of_other_processes(fleets: Fleets) -> None:
    limits = Limits(per_minute=None, concurrency=1)
    one, two = fleets.gate(limits), fleets.gate(limits)
    permit = await one.acquire()
    order: list[str] = []

    async def call(gatekeeper: Gatekeeper, name: str, priority: bool = False) -> None:
        started = await gatekeeper.acquire(priority=priority)
        order.append(name)
        await asyncio.sleep(0.05)
        started.done(SENT)

    looking = fleets()
    running = [asyncio.ensure_future(call(one, "bulk"))]
    await until(lambda: count_waiting(looking, 1))
    running.append(asyncio.ensure_future(call(two, "priority", True)))
    await until(lambda: count_waiting(looking, 2))
    permit.done(SENT)
    await asyncio.gather(*running)
    assert order == ["priority", "bulk"]


async def test_1070_halves_the_slots_of_the_fleet_and_successes_give_them_back(fleets: Fleets) -> None:
    limits = Limits(per_minute=None, concurrency=4)
    one, two = fleets.gate(limits), fleets.gate(limits)
    (await one.acquire()).done(Report(sent=True, decision="slow"))
    permits = [await two.acquire() for _ in range(2)]
    assert await waits(two)
    for permit in permits:
        permit.done(SENT)
    for _ in range(20):
        (await one.acquire()).done(SENT)
    for _ in range(4):
        await two.acquire()


async def test_a_day_of_its_own_is_counted_for_the_fleet_and_unsent_calls_are_not(fleets: Fleets) -> None:
    limits = Limits(per_minute=None, per_day=6)
    one, two = fleets.gate(limits), fleets.gate(limits)
    for _ in range(10):
        (await one.acquire()).done(Report(sent=False))
    for _ in range(3):
        (await one.acquire()).done(SENT)
        (await two.acquire()).done(SENT)
    with pytest.raises(Exhausted):
        await two.acquire()


async def test_a_cancelled_wait_leaves_no_slot(fleets: Fleets) -> None:
    limits = Limits(per_minute=None, concurrency=1)
    one, two = fleets.gate(limits), fleets.gate(limits)
    permit = await one.acquire()
    for delay in (0.0, 0.0001, 0.0005, 0.001, 0.01):
        waiting = [asyncio.ensure_future(gatekeeper.acquire()) for gatekeeper in (one, two) for _ in range(20)]
        await asyncio.sleep(delay)
        permit.done(SENT)
        for task in waiting:
            task.cancel()
        for result in await asyncio.gather(*waiting, return_exceptions=True):
            if not isinstance(result, BaseException):
                result.done(SENT)
        permit = await two.acquire()
    permit.done(SENT)
    await starts(one)


@pytest.mark.parametrize("how", ["killed", "silent"])
async def test_calls_fail_while_redis_is_away_and_nothing_is_sent(
    fake: FakeZoho, redis: RedisServer, fleets: Fleets, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_limiters, "_LONGEST_AWAY", 0.3)
    monkeypatch.setattr(connection, "_TIMEOUT", 0.2)
    async with client_of(fake, limiters=fleets().limiters) as zoho:
        await until(lambda: answered(zoho))
        await (redis.kill() if how == "killed" else asyncio.to_thread(redis.stop))
        for _ in range(3):
            with pytest.raises(UnavailableError, match=f"Redis at {redis.folder}/s") as caught:
                await zoho.books.contacts.list()
            assert (caught.value.operation, caught.value.sent) == ("books.contacts.list", False)
        assert fake.requests() == 1
        await (redis.start() if how == "killed" else asyncio.to_thread(redis.go_on))
        await until(lambda: answered(zoho))
    assert fake.requests() == 2


async def answered(zoho: Zoho) -> bool:
    try:
        await zoho.books.contacts.list()
    except UnavailableError:
        return False
    return True


async def test_a_short_absence_is_waited_for(
    fake: FakeZoho, redis: RedisServer, fleets: Fleets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_limiters, "_LONGEST_AWAY", LONG)
    async with client_of(fake, limiters=fleets().limiters) as zoho:
        await zoho.books.contacts.list()
        await redis.kill()
        waiting = asyncio.ensure_future(zoho.books.contacts.list())
        await asyncio.sleep(0.5)
        assert not waiting.done()
        await redis.start()
        await waiting


async def test_a_redis_that_refuses_counts_as_away(
    redis: RedisServer, fleets: Fleets, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(redis_limiters, "_LONGEST_AWAY", 0.3)
    gatekeeper = fleets.gate()
    (await gatekeeper.acquire()).done(SENT)
    async with Redis.from_url(redis.url) as client:
        await client.execute_command("ACL", "SETUSER", "default", "-@scripting")
        with pytest.raises(UnavailableError, match=r"NoPermissionError: .* has no permissions"):
            await gatekeeper.acquire()
        await client.execute_command("ACL", "SETUSER", "default", "+@scripting")
    await asyncio.sleep(LONGEST_PAUSE + 0.1)
    (await gatekeeper.acquire()).done(SENT)


async def test_spare_calls_go_on_while_redis_is_away(redis: RedisServer, fleets: Fleets) -> None:
    limits = Limits(per_minute=60, concurrency=8)
    gatekeeper = fleets.gate(limits, when_down="spare", workers=4, _window=1.0)
    (await gatekeeper.acquire()).done(SENT)
    await redis.kill()
    loop = asyncio.get_running_loop()
    calls: list[float] = []
    while len(calls) < 15:
        permit = await gatekeeper.acquire()
        calls.append(loop.time())
        permit.done(SENT)
    assert all(later - call >= 1 for call, later in zip(calls, calls[10:], strict=False)), "(100 - 60) / 4 in a window"
    (await gatekeeper.acquire()).done(Report(sent=True, decision="throttled", seconds=30))
    with pytest.raises(Paused):
        await gatekeeper.acquire(1)
    await redis.start()
    looking = fleets()

    async def paused() -> bool:
        return (await looking.look(PLACE)).quota.paused_until is not None

    await until(paused)
    with pytest.raises(Paused):
        await fleets.gate(limits, _window=1.0).acquire(1)


async def test_ends_are_delivered_when_redis_is_back(redis: RedisServer, fleets: Fleets) -> None:
    limits = Limits(per_minute=None, concurrency=1)
    one = fleets.gate(limits, lease=60)
    permit = await one.acquire()
    redis.stop()
    permit.done(Report(sent=True, decision="exhausted", seconds=100))
    await asyncio.sleep(0.1)
    redis.go_on()
    async with asyncio.timeout(LONG):
        with pytest.raises(Exhausted):
            await fleets.gate(limits).acquire()


async def test_closing_delivers_the_last_ends(fleets: Fleets) -> None:
    limits = Limits(per_minute=None, concurrency=1)
    fleet = fleets(lease=60)
    (await fleet.limiters.of(PLACE, limits).acquire()).done(SENT)
    await fleet.close()
    assert (await fleets().look(PLACE)).in_flight == {}


async def test_the_redis_clock_is_set_back(redis: RedisServer, fleets: Fleets) -> None:
    limits = Limits(per_minute=100, burst=100)
    gatekeeper = fleets.gate(limits)
    for _ in range(3):
        (await gatekeeper.acquire()).done(Report(sent=True, decision="throttled", seconds=0.2))
    await until(lambda: shows(fleets.made[0], {}, []))
    keys = fleets.made[0].limiters.keys(PLACE)  # type: ignore[attr-defined]
    async with Redis.from_url(redis.url) as client, client.pipeline() as at_once:
        for field in ("time", "next", "paused"):
            at_once.hincrbyfloat(keys[0], field, 7_200_000)
        at_once.zadd(keys[1], {"late:1": 2e12})
        await at_once.execute()
    assert await waits(gatekeeper)
    await starts(gatekeeper)


async def test_a_redis_that_was_restarted_or_replaced_holds_though_it_kept_its_data(
    redis: RedisServer, fleets: Fleets
) -> None:
    gatekeeper = fleets.gate()
    await starts(gatekeeper)
    await starts(gatekeeper)
    keys = fleets.made[0].limiters.keys(PLACE)  # type: ignore[attr-defined]
    async with Redis.from_url(redis.url) as client:
        await client.hset(keys[0], "run", "of the server before")
    assert await waits(gatekeeper)
    await starts(gatekeeper)


async def test_hundreds_of_organisations_at_once(fleets: Fleets, caplog: pytest.LogCaptureFixture) -> None:
    fleet = fleets()

    async def call(number: int) -> None:
        (await fleet.limiters.of(("us", str(number)), OFF).acquire()).done(SENT)

    await asyncio.gather(*(call(number) for number in range(400)))
    assert "away" not in caplog.text


async def test_keys_of_an_organisation_are_of_one_hash_slot_and_end_by_themselves(
    redis: RedisServer, fleets: Fleets
) -> None:
    gatekeeper = fleets.gate(Limits())
    permit = await gatekeeper.acquire()
    waiting = asyncio.ensure_future(fleets.gate(Limits(concurrency=1)).acquire())
    await until(lambda: count_waiting(fleets.made[0], 1))
    async with Redis.from_url(redis.url, decode_responses=True) as client:
        keys = await client.keys()
        assert len(keys) == 4
        assert {key.partition("{")[2].partition("}")[0] for key in keys} == {"us/10234695"}
        assert all([await client.pttl(key) > 0 for key in keys])
    waiting.cancel()
    permit.done(SENT)


@pytest.mark.parametrize(
    "wrong", [{"workers": 0}, {"lease": 0}, {"when_down": "guess"}], ids=["workers", "lease", "when_down"]
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Fleet("redis://localhost", **wrong)


async def test_no_password_is_in_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(redis_limiters, "_LAST_WORDS", 0.1)
    monkeypatch.setattr(redis_limiters, "_LONGEST_AWAY", 0.0)
    async with Fleet("redis://:hunter2@127.0.0.1:9/3") as fleet:
        assert "hunter2" not in repr(fleet)
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9") as caught:
            await fleet.limiters.of(PLACE, OFF).acquire()
        assert "hunter2" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__context__!r}"


LOOPS = """
import asyncio, sys
from zoho_async import ConfigError, Limits
from zoho_async.fleet import Fleet
from zoho_async.transport.hooks import Report
fleet = Fleet(sys.argv[1], _window=0.3)
async def call(place="1"):
    (await fleet.limiters.of(("us", place), Limits()).acquire()).done(Report(sent=True))
async def two():
    await call()
    await asyncio.to_thread(asyncio.run, call("2"))
asyncio.run(call())
try:
    asyncio.run(two())
except ConfigError as error:
    print(error)
asyncio.run(call())
"""


def test_event_loops_one_after_another_go_on_and_two_at_once_are_refused(tmp_path: Path) -> None:
    assert run(LOOPS, tmp_path) == "this Fleet is used by another event loop: each thread needs one of its own\n"


FORK = """
import asyncio, os, sys
from zoho_async import Limits
from zoho_async.fleet import Fleet
from zoho_async.transport.hooks import Report
fleet = Fleet(sys.argv[1], _window=0.3)
async def call(keep):
    permit = await fleet.limiters.of(("us", "1"), Limits(per_minute=None, concurrency=1)).acquire()
    if not keep:
        permit.done(Report(sent=True))
        await fleet.close()
ending, alive = os.pipe()
read, written = os.pipe()
child = os.fork()
if child == 0:
    try:
        os.close(alive)
        asyncio.run(call(keep=True))
        os.write(written, b"in")
        os.read(ending, 1)  # it does not outlive its parent
    finally:
        os._exit(1)
os.close(written)
assert os.read(read, 2) == b"in"
try:
    asyncio.run(asyncio.wait_for(call(keep=False), 1.0))
except TimeoutError:
    print("the only slot is the child's", flush=True)
os.close(alive)
os.waitpid(child, 0)
"""


def test_a_fork_is_another_process(tmp_path: Path) -> None:
    assert run(FORK, tmp_path) == "the only slot is the child's\n"


def run(script: str, folder: Path) -> str:
    """What a script with event loops of its own prints."""
    with redis_process(folder) as url:
        command = [sys.executable, "-c", script, url]
        ended = subprocess.run(command, capture_output=True, text=True, timeout=LONG, check=False)
    assert ended.returncode == 0, ended.stderr
    return ended.stdout


@contextmanager
def redis_process(folder: Path) -> Iterator[str]:
    """A server for a test without an event loop of its own."""
    with tempfile.TemporaryDirectory(prefix="redis") as short:
        server = subprocess.Popen(
            [binary(), "--port", "0", "--unixsocket", f"{short}/s", "--save", "", "--dir", str(folder)],
            stdout=subprocess.DEVNULL,
        )
        try:
            while not Path(f"{short}/s").exists():
                assert server.poll() is None
                time.sleep(0.01)
            yield f"unix://{short}/s"
        finally:
            server.kill()
            server.wait()


@pytest.mark.parametrize("credentials", ["", ":hunter2-wrong@", "user:hunter2-wrong@"])
async def test_a_password_that_is_refused_is_reported_and_not_shown(
    redis: RedisServer, monkeypatch: pytest.MonkeyPatch, credentials: str, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(redis_limiters, "_LAST_WORDS", 0.1)
    monkeypatch.setattr(redis_limiters, "_LONGEST_AWAY", 0.0)
    async with Redis.from_url(redis.url) as client:
        await client.config_set("requirepass", "hunter2")
    async with Fleet(redis.url.replace("://", f"://{credentials}")) as fleet:
        with pytest.raises(UnavailableError, match="refuses the user name or password") as caught:
            await fleet.limiters.of(PLACE, OFF).acquire()
    assert "hunter2" not in f"{caught.value!r} {caplog.text}"


# -- leases


async def test_a_lease_is_held_by_one_and_its_fence_grows(fleets: Fleets) -> None:
    one, two = fleets(), fleets()
    async with one.lease("10234695", "contacts") as first:
        first.check()
        assert first.fence > 0
        with pytest.raises(LeaseError, match="10234695/contacts is being worked on by"):
            async with two.lease("10234695", "contacts"):
                pass
        async with two.lease("10234695", "vendors"):
            pass
        fence = first.fence
    with pytest.raises(LeaseError):
        first.check()
    async with two.lease("10234695", "contacts") as second:
        assert second.fence > fence


async def test_a_lease_is_renewed_and_waited_for(fleets: Fleets) -> None:
    one, two = fleets(lease=6.0), fleets(lease=6.0)
    async with one.lease("a") as first:
        waiting = asyncio.ensure_future(two.lease("a", wait=LONG).__aenter__())
        end = first._valid_until
        async with asyncio.timeout(LONG):
            while first._valid_until == end:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        first.check()
        assert not waiting.done()
    second = await asyncio.wait_for(waiting, LONG)
    second.check()
    await second.__aexit__(None, None, None)


@pytest.mark.parametrize("emptied", [False, True])
async def test_a_lease_that_was_taken_over_is_lost(redis: RedisServer, fleets: Fleets, emptied: bool) -> None:
    one, two = fleets(lease=0.4), fleets(lease=30)
    async with one.lease("a") as first:
        async with Redis.from_url(redis.url) as client:
            # At once: the first would renew it.
            given = f"heir|{first.fence + 1}"
            async with client.pipeline() as at_once:
                at_once.flushall() if emptied else at_once.set(first.keys[1], first.fence + 1)
                at_once.set(first.keys[0], given, px=1)
                await at_once.execute()
        async with two.lease("a", wait=LONG) as second:
            assert second.fence > first.fence
            async with asyncio.timeout(LONG):
                while not first.lost:  # noqa: ASYNC110 - it notices by itself
                    await asyncio.sleep(0.01)
            with pytest.raises(LeaseError):
                first.check()
            second.check()
        second_keys = second.keys
    async with Redis.from_url(redis.url) as client:
        assert not await client.exists(second_keys[0])


async def test_a_lease_ends_here_before_redis_gives_it_to_another(redis: RedisServer, fleets: Fleets) -> None:
    async with fleets(lease=30).lease("a") as lease, Redis.from_url(redis.url) as client:
        await client.ping()
        before = host_time()
        assert lease._valid_until < before + await client.pttl(lease.keys[0]) / 1000
    async with fleets(lease=0.6).lease("a") as lease:
        redis.stop()
        async with asyncio.timeout(LONG):
            while not lease.lost:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
        with pytest.raises(LeaseError):
            lease.check()
        redis.go_on()


async def test_a_lease_names_what_it_is_for(fleets: Fleets) -> None:
    for what in ((), ("",), ("a", "")):
        with pytest.raises(ConfigError):
            fleets().lease(*what)
