"""Slices of jobs: what they say of their return, and what holds when their lease is lost."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis
from support.client import client_of
from support.profiles import sized
from support.redis_server import RedisServer

from zoho_async import LeaseError, Limits, Zoho, bulk
from zoho_async.fake import FakeZoho
from zoho_async.fleet import Fleet, pull_slice, push_slice, resource_lease

ROWS = [{"contact_name": f"row {number}", "cf_external_id": str(number)} for number in range(12)]
OFF = Limits(per_minute=None)
BY_KEY: bulk.PushOptions = {"upsert_by": "cf_external_id"}


@pytest.fixture
async def fleet(redis: RedisServer) -> AsyncIterator[Fleet]:
    # Longer than a loaded machine stands still.
    async with Fleet(redis.url, lease=3.0, _window=0.05) as made:
        yield made


def shared(fake: FakeZoho, fleet: Fleet, **options: Any) -> Zoho:
    return client_of(fake, **{"limits": OFF, "limiters": fleet.limiters, **options})


async def test_a_push_is_done_in_one_slice_and_a_second_one_sends_nothing(
    fake: FakeZoho, fleet: Fleet, tmp_path: Path
) -> None:
    async with shared(fake, fleet) as zoho:
        first = await push_slice(fleet, zoho.books.contacts, ROWS, state=tmp_path / "s", **BY_KEY)
        assert (first.done, first.complete, first.again_at) == (True, True, None)
        assert isinstance(first.summary, bulk.PushSummary)
        assert first.summary.created == len(ROWS)
        again = await push_slice(fleet, zoho.books.contacts, ROWS, state=tmp_path / "s", **BY_KEY)
        assert isinstance(again.summary, bulk.PushSummary)
        assert (again.done, again.summary.writes) == (True, 0)


async def test_a_slice_without_a_state_is_refused(fake: FakeZoho, fleet: Fleet) -> None:
    async with shared(fake, fleet) as zoho:
        with pytest.raises(bulk.InputError, match="name a state file"):
            await push_slice(fleet, zoho.books.contacts, ROWS)
    assert fake.requests() == 0


async def test_a_row_that_fails_ends_the_job_but_it_is_not_done(fake: FakeZoho, fleet: Fleet, tmp_path: Path) -> None:
    async with shared(fake, fleet) as zoho:
        rows = [*ROWS, {"contact_name": "x" * 300, "cf_external_id": "long"}]
        ended = await push_slice(fleet, zoho.books.contacts, rows, state=tmp_path / "s", **BY_KEY)
    assert (ended.done, ended.complete, ended.again_at) == (False, True, None)


async def test_a_day_that_is_used_up_is_not_waited_for(fake: FakeZoho, fleet: Fleet, tmp_path: Path) -> None:
    fake.limits[fake.organization_id].per_day = 6
    async with shared(fake, fleet) as zoho:
        for wait in (False, True):
            async with asyncio.timeout(60):
                ended = await push_slice(
                    fleet, zoho.books.contacts, ROWS, state=tmp_path / "s", wait=wait, concurrency=1, **BY_KEY
                )
            assert (ended.done, ended.complete) == (False, False)
            assert ended.again_at is not None
            assert ended.again_at.tzinfo is UTC
            assert timedelta() < ended.again_at - datetime.now(UTC) <= timedelta(days=1)
        pulled = await pull_slice(fleet, zoho.books.contacts, tmp_path / "c.sqlite", state=None)
        assert pulled.again_at is not None
        assert abs(pulled.again_at - ended.again_at) < timedelta(seconds=5)
    # The next day, as Redis and Zoho see it.
    fake.limits[fake.organization_id].per_day = None
    async with Fleet(fleet_url(fleet), prefix="tomorrow", _window=0.05) as tomorrow, shared(fake, tomorrow) as zoho:
        run = await push_slice(tomorrow, zoho.books.contacts, ROWS, state=tmp_path / "s", **BY_KEY)
    assert (run.done, run.again_at) == (True, None)
    assert len(fake.created()) == len(ROWS)


def fleet_url(fleet: Fleet) -> str:
    return f"unix://{fleet._connection.address}"


async def test_a_pause_of_the_organisation_is_not_waited_for(fake: FakeZoho, fleet: Fleet, tmp_path: Path) -> None:
    fake.script("books.contacts.list", ["429:44:1800"])
    async with shared(fake, fleet, max_wait=None) as zoho:
        for _ in range(2):
            ended = await push_slice(fleet, zoho.books.contacts, ROWS, state=tmp_path / "s", **BY_KEY)
            assert ended.again_at is not None
            assert timedelta(minutes=29) < ended.again_at - datetime.now(UTC) <= timedelta(minutes=30)
    assert [one.operation for one in fake.received].count("books.contacts.list") == 1


async def test_the_allowed_hours_are_not_waited_for(fake: FakeZoho, fleet: Fleet, tmp_path: Path) -> None:
    opens = datetime.now() + timedelta(hours=2)  # noqa: DTZ005 - local time, as the option
    window = f"{opens:%H:%M}-{opens + timedelta(hours=1):%H:%M}"
    stages: list[str] = []
    async with shared(fake, fleet) as zoho:
        ended = await push_slice(
            *(fleet, zoho.books.contacts, ROWS),
            state=tmp_path / "s",
            window=window,
            on_event=lambda event: stages.append(event.stage),
            **BY_KEY,
        )
    assert ended.again_at is not None
    assert abs(ended.again_at - datetime.now(UTC) - timedelta(hours=2)) < timedelta(minutes=2)
    assert "wait" in stages, "the caller's own function is called too"
    assert fake.requests() == 0


async def test_an_outage_ends_the_slice_for_a_minute(fake: FakeZoho, fleet: Fleet, tmp_path: Path) -> None:
    fake.chance("books.contacts.list", "status:503", 1.0)
    async with shared(fake, fleet, retries=0) as zoho:
        ended = await push_slice(fleet, zoho.books.contacts, ROWS, state=tmp_path / "s", **BY_KEY)
        pulled = await pull_slice(fleet, zoho.books.contacts, tmp_path / "c.sqlite", state=None)
    for one in (ended, pulled):
        assert one.again_at is not None
        assert timedelta() < one.again_at - datetime.now(UTC) <= timedelta(minutes=1)


async def test_a_redis_that_is_away_ends_the_slice_for_a_minute(
    fake: FakeZoho, fleet: Fleet, redis: RedisServer, tmp_path: Path
) -> None:
    async with shared(fake, fleet) as zoho:
        await redis.kill()
        ended = await push_slice(fleet, zoho.books.contacts, ROWS, state=tmp_path / "s", **BY_KEY)
        pulled = await pull_slice(fleet, zoho.books.contacts, tmp_path / "c.sqlite", state=None)
        for one in (ended, pulled):
            assert (one.done, one.complete) == (False, False)
            assert one.again_at is not None
            assert timedelta() < one.again_at - datetime.now(UTC) <= timedelta(minutes=1)
        assert fake.requests() == 0
        await redis.start()


async def test_a_pull_goes_on_slice_by_slice(fake: FakeZoho, fleet: Fleet, tmp_path: Path) -> None:
    fake.seed({"contact_name": f"c {number}"} for number in range(450))
    async with shared(fake, fleet) as zoho:
        slices = 0
        while True:
            one = await pull_slice(
                fleet, zoho.books.contacts, tmp_path / "c.sqlite", state=tmp_path / "c.json", max_calls=4
            )
            slices += 1
            if one.done:
                break
            assert one.again_at is not None
            assert one.again_at <= datetime.now(UTC)
        assert slices > 1
        assert isinstance(one.summary, bulk.PullSummary)
        assert one.summary.records == 450
        seen: dict[str, bulk.Change] = {}

        async def keep(changes: list[bulk.Change]) -> None:
            seen.update((change.id, change) for change in changes)

        while not (await pull_slice(fleet, zoho.books.contacts, keep, state=tmp_path / "d.json", max_calls=4)).complete:
            pass
        assert len(seen) == 450
        with pytest.raises(bulk.InputError, match="name a state file"):
            await pull_slice(fleet, zoho.books.contacts, keep, state=None)


async def test_what_a_function_has_not_stored_comes_again(fake: FakeZoho, fleet: Fleet, tmp_path: Path) -> None:
    fake.seed([{"contact_name": "a"}])
    seen: list[bulk.Change] = []

    async def fail(changes: list[bulk.Change]) -> None:
        raise OSError("full")

    async def keep(changes: list[bulk.Change]) -> None:
        seen.extend(changes)

    async with shared(fake, fleet) as zoho:
        with pytest.raises(OSError, match="full"):
            await pull_slice(fleet, zoho.books.contacts, fail, state=tmp_path / "d.json")
        await pull_slice(fleet, zoho.books.contacts, keep, state=tmp_path / "d.json")
    assert len(seen) == 1


async def test_two_slices_of_one_job_do_not_run_side_by_side(
    fake: FakeZoho, fleet: Fleet, redis: RedisServer, tmp_path: Path
) -> None:
    async with (
        shared(fake, fleet) as zoho,
        Fleet(redis.url, lease=60, _window=0.05) as holder,
        Fleet(redis.url, lease=0.1, _window=0.05) as other,
        resource_lease(holder, "push", zoho.books.contacts),
    ):
        with pytest.raises(LeaseError, match="is being worked on"):
            await push_slice(other, zoho.books.contacts, ROWS, state=tmp_path / "s", **BY_KEY)
    assert fake.requests() == 0


async def test_a_push_whose_lease_is_lost_sends_nothing_more_and_the_next_one_goes_on(
    fake: FakeZoho, fleet: Fleet, redis: RedisServer, tmp_path: Path
) -> None:
    fake.chance("*", "latency:0.05", 1.0)
    sent = 0
    async with shared(fake, fleet) as zoho:
        with pytest.raises(LeaseError, match="is lost"):
            async with fleet.lease("a") as lease:
                push = bulk.push(zoho.books.contacts, ROWS, state=tmp_path / "s", lease=lease, concurrency=1, **BY_KEY)
                async for _ in push:
                    if not lease.lost:
                        async with Redis.from_url(redis.url) as client:
                            await client.flushall()
                        async with asyncio.timeout(60):
                            async with Fleet(redis.url, lease=30) as heir, heir.lease("a"):
                                while not lease.lost:  # noqa: ASYNC110 - it notices by itself
                                    await asyncio.sleep(0.01)
                        for _ in range(20):  # what was in flight has ended
                            await asyncio.sleep(0.01)
                        sent = fake.requests()
        assert fake.requests() == sent
        assert 0 < len(fake.created()) < len(ROWS)
        ended = await push_slice(fleet, zoho.books.contacts, ROWS, state=tmp_path / "s", **BY_KEY)
    assert ended.done
    assert len(fake.created()) == len(ROWS)


ZOMBIE = """
import asyncio, sys
from zoho_async import LeaseError, Limits, StaticToken, Zoho
from zoho_async.fleet import Fleet, push_slice
async def main(redis, url, organization, token, state):
    rows = [{"contact_name": f"a {n}", "cf_external_id": str(n)} for n in range(2000)]
    async with Fleet(redis, lease=3.0, _window=0.05) as fleet, Zoho(
        StaticToken(token), organization_id=organization, api_url=url, limiters=fleet.limiters,
        limits=Limits(per_minute=None),
    ) as zoho:
        try:
            await push_slice(fleet, zoho.books.contacts, rows, state=state, upsert_by="cf_external_id")
        except LeaseError:
            print("lost", flush=True)
asyncio.run(main(*sys.argv[1:]))
"""


@pytest.mark.parametrize("number", range(sized(1, 6)))
async def test_a_slice_that_was_stopped_and_taken_over_is_silent_when_it_wakes(
    fake: FakeZoho, redis: RedisServer, fleet: Fleet, tmp_path: Path, number: int
) -> None:
    zombie = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", ZOMBIE, redis.url, fake.url, fake.organization_id, fake.access_token),
        str(tmp_path / "zombie"),
        stdout=asyncio.subprocess.PIPE,
    )
    while fake.requests() < 8 + number * 30:
        assert zombie.returncode is None
        await asyncio.sleep(0.003)
    zombie.send_signal(signal.SIGSTOP)
    try:
        async with shared(fake, fleet) as zoho:
            # A state of its own: the one of the zombie is locked by it.
            ended = await push_slice(fleet, zoho.books.contacts, ROWS, state=tmp_path / "heir", **BY_KEY)
            assert ended.complete
            before = fake.requests()
            async with resource_lease(fleet, "push", zoho.books.contacts):
                zombie.send_signal(signal.SIGCONT)
                out, _ = await zombie.communicate()
    finally:
        if zombie.returncode is None:
            zombie.kill()
            await zombie.communicate()
    assert out == b"lost\n"
    assert fake.requests() == before


@pytest.fixture(autouse=True)
def nothing_is_left_in_the_folder_where_it_runs(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> Iterator[None]:
    # A folder of its own: other tests leave things in that of the project meanwhile.
    folder = tmp_path_factory.mktemp("current")
    monkeypatch.chdir(folder)
    yield
    assert not [*folder.iterdir()]
