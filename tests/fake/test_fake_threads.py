"""A fake in a thread of its own, and the plugin's fixtures under event loops of every scope."""

from __future__ import annotations

import asyncio
import re
import subprocess
import sys
import threading
import urllib.request
from collections.abc import Callable
from importlib.metadata import entry_points
from pathlib import Path
from types import TracebackType

import pytest
from support.client import client_of

from zoho_async.fake.http.threaded import ThreadedFakeZoho

TESTS = """\
import asyncio, urllib.request
import pytest

async def test_a_write(fake_zoho, zoho):
    fake_zoho.seed([{"contact_name": "A"}])
    fake_zoho.script("books.contacts.create", ["429:1070"])
    async with asyncio.timeout(30):
        await zoho.books.contacts.create({"contact_name": "B"})
    assert fake_zoho.created() == {"B": 1}
    assert fake_zoho.acts("books.contacts.create") == 1
    assert len(fake_zoho.organization().contacts) == 2

async def test_each_test_has_its_own(fake_zoho, zoho):
    async with asyncio.timeout(30):
        assert (await zoho.books.contacts.list()).rows == []
    assert fake_zoho.requests() == 1

async def test_an_outage(fake_zoho, zoho):
    from zoho_async import errors
    await fake_zoho.close()
    async with asyncio.timeout(30):
        with pytest.raises(errors.UnavailableError):
            await zoho.with_options(retries=0).books.contacts.list()
        await fake_zoho.start()

class TestGroup:
    async def test_in_a_class(self, fake_zoho, zoho):
        async with asyncio.timeout(30):
            await zoho.books.contacts.list()

def test_without_a_loop(fake_zoho):
    with urllib.request.urlopen(fake_zoho.url + "/_fake/stats", timeout=30) as response:
        assert response.status == 200
"""
LOOPS = {
    "function": ("", "asyncio_default_test_loop_scope=function"),
    "module": ("", "asyncio_default_test_loop_scope=module"),
    "class": ("", "asyncio_default_test_loop_scope=class"),
    "session": ("", "asyncio_default_test_loop_scope=session"),
    "by a mark": ('@pytest.mark.asyncio(loop_scope="module")', "asyncio_default_test_loop_scope=function"),
    "fixtures": ("", "asyncio_default_fixture_loop_scope=session"),
}


@pytest.mark.parametrize("loops", LOOPS)
def test_the_fixtures_work_in_loops_of_every_scope(loops: str, tmp_path: Path) -> None:
    mark, option = LOOPS[loops]
    text = re.sub("^( *)(?=async def test_)", rf"\1{mark}\n\1", TESTS, flags=re.MULTILINE) if mark else TESTS
    (tmp_path / "test_it.py").write_text(text, "utf-8")
    installed = any(each.value == "zoho_async.testing" for each in entry_points(group="pytest11"))
    plugin = [] if installed else ["-p", "zoho_async.testing"]
    plugin += [f"-pno:{name}" for name in ("cacheprovider", "schemathesis", "hypothesispytest", "xdist")]
    options = ["-o", "asyncio_mode=auto", "-o", "asyncio_default_fixture_loop_scope=function", "-o", option]
    command = [sys.executable, "-m", "pytest", "-q", "-W", "error", *plugin, *options, "--rootdir", str(tmp_path)]
    done = subprocess.run(
        [*command, str(tmp_path)], capture_output=True, text=True, check=False, timeout=100, cwd=tmp_path
    )
    assert re.search(r"^5 passed", done.stdout, re.MULTILINE), done.stdout + done.stderr


class CountingLock:
    """Counts how often it is taken, and by which threads."""

    def __init__(self) -> None:
        self.threads: list[int] = []

    def __enter__(self) -> None:
        self.threads.append(threading.get_ident())

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        pass


CONTROLS: dict[str, Callable[[ThreadedFakeZoho], object]] = {
    "seed": lambda fake: fake.seed([{"contact_name": "A"}]),
    "script": lambda fake: fake.script("*", ["status:503"]),
    "chance": lambda fake: fake.chance("*", "status:503", 0.5),
    "clear_faults": lambda fake: fake.clear_faults(),
    "expire_tokens": lambda fake: fake.expire_tokens(),
    "add_organization": lambda fake: fake.add_organization("7"),
    "reset": lambda fake: fake.reset(),
    "acts": lambda fake: fake.acts("books.contacts.create"),
    "requests": lambda fake: fake.requests(),
    "created": lambda fake: fake.created(),
    "stats": lambda fake: fake.stats(),
    "counts": lambda fake: fake.counts,
    "received": lambda fake: fake.received,
    "limits": lambda fake: fake.limits,
    "organizations": lambda fake: fake.organizations,
}


@pytest.mark.parametrize("control", CONTROLS)
def test_a_test_and_the_server_take_turns(control: str) -> None:
    fake, lock = ThreadedFakeZoho(), CountingLock()
    fake.lock = lock  # type: ignore[assignment]
    CONTROLS[control](fake)
    assert lock.threads


def test_requests_are_handled_under_the_lock_in_the_thread_of_the_fake() -> None:
    fake, lock = ThreadedFakeZoho(), CountingLock()
    fake.lock = lock  # type: ignore[assignment]
    with fake.in_thread(), urllib.request.urlopen(f"{fake.url}/_fake", timeout=30):
        assert set(lock.threads) == {thread.ident for thread in threading.enumerate() if thread.name == "FakeZoho"}


def test_one_fake_serves_one_event_loop_after_another() -> None:
    async def work(fake: ThreadedFakeZoho) -> None:
        async with client_of(fake) as zoho, asyncio.timeout(30):
            await asyncio.gather(*(zoho.books.contacts.list() for _ in range(10)))

    with ThreadedFakeZoho(per_minute=None).in_thread() as fake:
        for _ in range(2):
            asyncio.run(work(fake))
        assert fake.acts("books.contacts.list") == 20
    assert not [thread for thread in threading.enumerate() if thread.name == "FakeZoho"]


async def test_a_fake_whose_thread_does_not_run_says_so() -> None:
    fake = ThreadedFakeZoho()
    with pytest.raises(RuntimeError, match="in_thread"):
        await fake.start()


def test_a_taken_port_is_reported_where_the_thread_was_started() -> None:
    with ThreadedFakeZoho().in_thread() as fake:
        port = int(fake.url.rpartition(":")[2])
        with pytest.raises(OSError, match="address already in use"), ThreadedFakeZoho(port=port).in_thread():
            pytest.fail("two listen on one port")
