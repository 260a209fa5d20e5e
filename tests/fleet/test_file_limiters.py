"""Limits in files, in one process: what a file is when it is damaged, removed, or cannot be made."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from support.client import client_of

import zoho_async
from zoho_async import ConfigError, FileLimiters, Limits, UnavailableError
from zoho_async.fake import FakeZoho
from zoho_async.fleet import files
from zoho_async.fleet.record_file import RecordFile, read
from zoho_async.transport.hooks import Gatekeeper, Paused, Report

PLACE = ("us", "10234695")
SENT = Report(sent=True, decision="done")
WINDOW = 0.4
LONG = 60.0
"""Seconds for what comes at once, on a machine that stands still now and then."""


class Clock:
    """The machine's clock, moved by the test and a little by every look: a busy machine decides nothing."""

    def __init__(self) -> None:
        self.time = 1000.0

    def __call__(self) -> float:
        self.time += 1e-6
        return self.time


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    made = Clock()
    monkeypatch.setattr(files, "host_time", made)
    return made


def gate(folder: Path, limits: Limits | None = None) -> Gatekeeper:
    """As of another process: the same folder, and nothing else in common."""
    return FileLimiters(folder, _window=WINDOW).of(PLACE, limits or Limits(per_minute=None))


async def waits(gatekeeper: Gatekeeper, seconds: float = 0.1) -> bool:
    try:
        async with asyncio.timeout(seconds):
            (await gatekeeper.acquire()).done(SENT)
    except TimeoutError:
        return True
    return False


async def test_two_limiters_of_one_folder_share_slots_pauses_and_the_day(tmp_path: Path) -> None:
    limits = Limits(per_minute=None, concurrency=2)
    one, two = gate(tmp_path, limits), gate(tmp_path, limits)
    first, second = await one.acquire(), await two.acquire()
    assert await waits(one)
    assert await waits(two)
    second.done(Report(sent=True, decision="throttled", seconds=30))
    second.done(SENT)
    with pytest.raises(Paused) as caught:
        await one.acquire(1.0)
    assert caught.value.seconds == pytest.approx(30, abs=0.001)
    first.done(Report(sent=True, headers={"x-rate-limit-limit": "1000", "x-rate-limit-remaining": "7"}))
    assert two.quota().remaining == 7
    assert two.quota().limit == 1000
    assert two.quota().paused_until is not None


async def test_limits_hold_over_a_restart_of_the_client(fake: FakeZoho, tmp_path: Path) -> None:
    limits = Limits(per_minute=2, burst=2)
    for _ in range(2):
        async with client_of(fake, limits=limits, limiters=FileLimiters(tmp_path)) as zoho:
            await zoho.books.contacts.list()
    async with client_of(fake, limits=limits, limiters=FileLimiters(tmp_path)) as zoho:
        with pytest.raises(zoho_async.DeadlineError):
            await zoho.with_options(deadline=0.1).books.contacts.list()
        assert zoho.quota.minute_left == 0
    assert fake.requests() == 2


def test_organisations_have_files_of_their_own(tmp_path: Path) -> None:
    limiters = FileLimiters(tmp_path)
    places = [("us", "1"), ("eu", "1"), ("us", "2"), ("us", "1", "books"), ("http://../x", "../../y")]
    assert len({limiters.path(place) for place in places}) == len(places)
    assert {limiters.path(place).parent for place in places} == {tmp_path}
    assert limiters.of(places[0], Limits()) is limiters.of(places[0], Limits())
    assert limiters.path(places[0]).stat().st_mode & 0o777 == 0o600


def path_in(folder: Path) -> Path:
    return FileLimiters(folder).path(PLACE)


def locked(path: Path) -> RecordFile:
    """As another process holds it."""
    file = RecordFile.locked(path)
    assert file is not None
    return file


async def _used(folder: Path) -> Path:
    limiters = FileLimiters(folder, _window=WINDOW)
    for _ in range(3):
        (await limiters.of(PLACE, Limits(per_minute=None)).acquire()).done(SENT)
    limiters.close()
    return limiters.path(PLACE)


@pytest.mark.parametrize("damage", ["empty", "cut", "zeros", "text", "both records"])
async def test_a_damaged_file_holds_its_organisation_for_a_window(
    tmp_path: Path, damage: str, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    path = await _used(tmp_path)
    content = bytearray(path.read_bytes())
    for area in (0, len(content) // 2):
        content[area + 30] ^= 1
    path.write_bytes(
        {
            "empty": b"",
            "cut": bytes(content[:-1]),
            "zeros": bytes(len(content)),
            "text": b"hello " * 100_000,
            "both records": bytes(content),
        }[damage]
    )
    gatekeeper = gate(tmp_path)
    assert await waits(gatekeeper)
    clock.time += WINDOW - 0.001
    assert await waits(gatekeeper)
    clock.time += 0.002
    assert caplog.text.count("is damaged") == 1
    assert str(path) in caplog.text
    assert not await waits(gatekeeper)


async def test_a_write_that_was_torn_leaves_the_record_before_it(tmp_path: Path) -> None:
    path = await _used(tmp_path)
    before = read(path)
    assert before is not None
    with locked(path) as file:
        record = file.load()
        assert record == before
        record.number += 1
        file.save(record)
        newest = 0 if file._number % 2 else path.stat().st_size // 2
    assert read(path) != before
    with path.open("r+b") as torn:
        torn.seek(newest + 10)
        torn.write(os.urandom(60))
    assert read(path) == before
    assert not await waits(gate(tmp_path))


async def test_a_file_that_is_removed_holds_its_organisation_for_a_window(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, clock: Clock
) -> None:
    one = gate(tmp_path)
    (await one.acquire()).done(SENT)
    path_in(tmp_path).unlink()
    assert await waits(one)
    assert await waits(gate(tmp_path)), "those that come later see the hold too"
    assert caplog.text.count("was removed") == 1
    clock.time += WINDOW
    assert not await waits(one)


async def test_a_folder_that_is_removed_in_mid_run_is_made_again(
    tmp_path: Path, clock: Clock, caplog: pytest.LogCaptureFixture
) -> None:
    folder, limits = tmp_path / "limits", Limits(per_minute=None, concurrency=1)
    one = gate(folder, limits)
    permit = await one.acquire()
    shutil.rmtree(folder)
    permit.done(SENT)
    assert await waits(one)
    clock.time += WINDOW
    permit = await one.acquire()
    assert await waits(gate(folder, limits)), "it is known to be alive"
    permit.done(SENT)
    assert caplog.text.count("was removed") == 1
    assert folder.stat().st_mode & 0o777 == 0o700


async def test_another_event_loop_is_refused_while_the_first_runs(tmp_path: Path) -> None:
    limiters = FileLimiters(tmp_path, _window=WINDOW)

    async def call() -> None:
        (await limiters.of(PLACE, Limits()).acquire()).done(SENT)

    await call()
    with pytest.raises(ConfigError, match="another event loop"):
        await asyncio.to_thread(asyncio.run, call())


def test_event_loops_one_after_another_go_on(tmp_path: Path) -> None:
    limiters = FileLimiters(tmp_path, _window=WINDOW)

    async def call() -> int:
        (await limiters.of(PLACE, Limits()).acquire()).done(SENT)
        return limiters.of(PLACE, Limits()).quota().sent

    assert [asyncio.run(call()) for _ in range(3)] == [1, 2, 3]


@pytest.mark.parametrize("ahead", [-90.0, -0.001, 90.0, 1e7])
async def test_processes_whose_clocks_differ_go_by_the_later_one(
    tmp_path: Path, clock: Clock, ahead: float, caplog: pytest.LogCaptureFixture
) -> None:
    """As in a container with a clock of its own. The first call of the later one takes the difference for time."""
    limits = Limits(per_minute=6, burst=6, concurrency=2)
    right, wrong = FileLimiters(tmp_path, _window=WINDOW), FileLimiters(tmp_path, _window=WINDOW)
    wrong._behind = ahead
    one, two = right.of(PLACE, limits), wrong.of(PLACE, limits)
    later, earlier = (two, one) if ahead > 0 else (one, two)
    for _ in range(3):
        assert not await waits(later)
        assert not await waits(earlier)
    clock.time += WINDOW - 0.01
    assert await waits(one)
    assert await waits(two)
    clock.time += 0.02
    permits = [await two.acquire(), await one.acquire()]
    assert await waits(one)
    for permit in permits:
        permit.done(SENT)
    assert not await waits(one)
    assert not caplog.text


async def test_a_file_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = await _used(tmp_path)
    content = bytearray(path.read_bytes())
    for area in (0, len(content) // 2):
        content[area + 7 : area + 8] = b"2"
    path.write_bytes(content)
    with pytest.raises(ConfigError, match=f"{path}.*newer"):
        await gate(tmp_path).acquire()


async def test_a_folder_that_cannot_be_used_causes_one_warning_and_calls_go_on(
    fake: FakeZoho, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").touch()
    limiters = FileLimiters(tmp_path / "file" / "folder")
    other = fake.add_organization("20000001").profile.id
    async with client_of(fake, limiters=limiters, limits=Limits(per_minute=2, burst=2)) as zoho:
        await zoho.books.contacts.list()
        await zoho.with_options(organization_id=other).books.contacts.list()
    async with client_of(fake, limiters=limiters) as zoho:
        await zoho.books.contacts.list()
        with pytest.raises(zoho_async.DeadlineError):
            await zoho.with_options(deadline=0.1).books.contacts.list()
    assert caplog.text.count("cannot be used") == 1
    assert str(limiters.folder) in caplog.text


async def test_a_disk_that_is_full_fails_the_next_call_and_none_that_has_succeeded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    gatekeeper = gate(tmp_path)
    permit = await gatekeeper.acquire()

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "pwrite", full)
        permit.done(Report(sent=True, decision="throttled", seconds=30))
        with pytest.raises(ConfigError, match="No space left"):
            await gatekeeper.acquire()
    with pytest.raises(Paused):
        await gatekeeper.acquire(0)


async def test_a_lock_that_another_process_holds_is_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    gatekeeper = gate(tmp_path, Limits(per_minute=None, concurrency=1))
    permit = await gatekeeper.acquire()
    with locked(path_in(tmp_path)):
        permit.done(SENT)
        waiting = asyncio.ensure_future(gatekeeper.acquire())
        await asyncio.sleep(0.1)
        assert not waiting.done()
    (await waiting).done(SENT)
    assert gatekeeper.quota().sent == 2
    monkeypatch.setattr(files, "_STUCK", 0.05)
    with locked(path_in(tmp_path)), pytest.raises(UnavailableError, match="does not give its lock back"):
        await gatekeeper.acquire()


async def test_an_end_that_could_not_be_written_at_once_is_written_later(tmp_path: Path) -> None:
    gatekeeper = gate(tmp_path, Limits(per_minute=None, concurrency=1))
    permit = await gatekeeper.acquire()
    with locked(path_in(tmp_path)):
        permit.done(SENT)
    async with asyncio.timeout(LONG):
        await gate(tmp_path, Limits(per_minute=None, concurrency=1)).acquire()


async def test_cancelled_waiters_leave_no_slot_and_no_place(tmp_path: Path) -> None:
    limits = Limits(per_minute=None, concurrency=1)
    one, two = gate(tmp_path, limits), gate(tmp_path, limits)
    permit = await one.acquire()
    waiting = [asyncio.ensure_future(one.acquire(priority=number % 3 == 0)) for number in range(1000)]
    await asyncio.sleep(0.05)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    permit.done(SENT)
    assert not await waits(two)
    assert not await waits(one)


async def test_priority_overtakes_within_a_process(tmp_path: Path) -> None:
    gatekeeper = gate(tmp_path, Limits(per_minute=None, concurrency=1))
    permit = await gatekeeper.acquire()
    order: list[str] = []

    async def call(name: str, priority: bool) -> None:
        started = await gatekeeper.acquire(priority=priority)
        order.append(name)
        started.done(SENT)

    bulk = [asyncio.ensure_future(call(f"bulk {number}", False)) for number in range(3)]
    await asyncio.sleep(0.05)
    first = asyncio.ensure_future(call("first", True))
    await asyncio.sleep(0.05)
    permit.done(SENT)
    await asyncio.gather(first, *bulk)
    assert order == ["first", "bulk 0", "bulk 1", "bulk 2"]


async def test_the_leader_is_cancelled_and_the_next_goes_on(tmp_path: Path) -> None:
    gatekeeper = gate(tmp_path, Limits(per_minute=None, concurrency=1))
    permit = await gatekeeper.acquire()
    waiting = [asyncio.ensure_future(gatekeeper.acquire()) for _ in range(4)]
    await asyncio.sleep(0.05)
    for task in waiting[:3]:
        task.cancel()
        await asyncio.sleep(0)
    permit.done(SENT)
    async with asyncio.timeout(LONG):
        (await waiting[3]).done(SENT)


FORK = """
import asyncio, os, signal, sys
from zoho_async import FileLimiters, Limits
from zoho_async.transport.hooks import Report
gatekeeper = FileLimiters(sys.argv[1], _window=0.4).of(("us", "10234695"), Limits(per_minute=None, concurrency=1))
async def call():
    permit = await gatekeeper.acquire()
    permit.done(Report(sent=True))
async def hold(written):
    await gatekeeper.acquire()
    os.write(written, b"in")
asyncio.run(call())
read, written = os.pipe()
ending, alive = os.pipe()
child = os.fork()
if child == 0:
    try:
        os.close(alive)
        asyncio.run(hold(written))
        os.read(ending, 1)  # it does not outlive its parent
    finally:
        os._exit(1)
os.close(written)
assert os.read(read, 2) == b"in"
try:
    asyncio.run(asyncio.wait_for(call(), 1.0))
except TimeoutError:
    print("the only slot is the child's", flush=True)
os.kill(child, signal.SIGKILL)
os.waitpid(child, 0)
asyncio.run(call())
print("the slot of the dead is free", flush=True)
"""


def test_a_fork_is_another_process(tmp_path: Path) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", FORK, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=LONG,
        check=False,
        start_new_session=True,  # its kill can reach nothing of this suite
    )
    assert ended.returncode == 0, ended.stderr
    assert ended.stdout.splitlines() == ["the only slot is the child's", "the slot of the dead is free"]


def test_without_a_folder_nothing_is_made_before_the_first_organisation(tmp_path: Path) -> None:
    limiters = FileLimiters(tmp_path / "limits")
    assert not limiters.folder.exists()
    assert repr(limiters) == f"FileLimiters({str(limiters.folder)!r})"
    limiters.of(PLACE, Limits())
    assert limiters.folder.stat().st_mode & 0o777 == 0o700
    limiters.close()
    assert not [*(limiters.folder / "processes").iterdir()]


def test_no_warning_where_all_is_well(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    asyncio.run(_used(tmp_path))
    assert not [one for one in caplog.records if one.levelno >= logging.WARNING]


async def test_a_process_asks_once_whether_the_day_is_used_up(fake: FakeZoho, tmp_path: Path) -> None:
    """The plan may be another one by now, and a fake's clock may have been moved."""
    fake.limits[fake.organization_id].per_day = 2
    for _ in range(2):
        before = fake.requests()
        async with client_of(fake, limits=Limits(per_minute=None), limiters=FileLimiters(tmp_path)) as zoho:
            for _ in range(4):
                with contextlib.suppress(zoho_async.QuotaExceededError):
                    await zoho.books.contacts.list()
            with pytest.raises(zoho_async.QuotaExceededError):
                await zoho.books.contacts.list()
        assert fake.requests() - before <= 3
    assert fake.requests() == 2 + 1
    fake.clock.advance(86_400)
    async with client_of(fake, limits=Limits(per_minute=None), limiters=FileLimiters(tmp_path)) as zoho:
        await zoho.books.contacts.list()
