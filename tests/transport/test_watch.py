"""The looks at attempts under way: when a bound ends one, and what they leave behind on its connection."""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import aiohttp
import pytest
from aiohttp.client_proto import ResponseHandler
from hypothesis import given
from hypothesis import strategies as st
from support.fault_server import Fault, FaultServer

from zoho_async import ConfigError, DeadlineError, Limits, OutcomeUnknownError, StaticToken, UnavailableError, Zoho
from zoho_async.books import contacts
from zoho_async.books.documents import GET
from zoho_async.transport import bodies
from zoho_async.transport.watch import _LOOK_EVERY, WHOLE_RESPONSE, Bounds, Watch


def client(url: str, **options: Any) -> Zoho:
    options = {"limits": Limits(per_minute=None), "retries": 0, **options}
    return Zoho(StaticToken("t"), organization_id="1", api_url=url, **options)


class Clock:
    """A loop's clock and timers, moved by the test."""

    def __init__(self) -> None:
        self.now = 0.0
        self._timers: list[tuple[float, int, Callable[..., None], tuple[Any, ...]]] = []

    def time(self) -> float:
        return self.now

    def call_later(self, delay: float, callback: Callable[..., None], *arguments: Any) -> None:
        heapq.heappush(self._timers, (self.now + delay, len(self._timers), callback, arguments))

    def pass_time(self, until: float) -> None:
        while self._timers and self._timers[0][0] <= until:
            self.now, _, callback, arguments = heapq.heappop(self._timers)
            callback(*arguments)
        self.now = until


class Wire:
    """What the watch sees of a connection and its protocol."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.protocol = self.transport = self
        self.read_timeout: float | None = None
        self.timed_from: float | None = None
        self.should_close = self.closing = False
        self.reading = True
        self.waiting = 0

    def start_timeout(self) -> None:
        self.timed_from = self.clock.now

    def is_reading(self) -> bool:
        return self.reading

    def is_closing(self) -> bool:
        return self.closing

    def get_write_buffer_size(self) -> int:
        if self.closing:
            raise AttributeError  # as the transport of TLS that was closed twice
        return self.waiting


class Task:
    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.cancelled_at: list[float] = []

    def cancel(self) -> None:
        self.cancelled_at.append(self.clock.now)


def attempt_of(clock: Clock, timeout: float, wire: Wire | None, *, may_stall: bool = False) -> tuple[Bounds, Task]:
    task = Task(clock)
    attempt = Bounds(clock, task, 0, timeout)  # type: ignore[arg-type]
    attempt.start(wire, may_stall=may_stall)  # type: ignore[arg-type]
    return attempt, task


seconds = st.floats(0.01, 100.0)


@given(timeout=seconds, before=seconds)
def test_a_silent_response_ends_one_look_after_its_timeout_at_the_latest(timeout: float, before: float) -> None:
    clock, watch = Clock(), Watch()
    watch.add(attempt_of(clock, 1000.0, Wire(clock))[0])  # so that the looks go on
    clock.pass_time(before)
    wire = Wire(clock)
    watch.add(attempt_of(clock, timeout, wire)[0])
    clock.pass_time(before + _LOOK_EVERY + 1e-6)
    assert wire.timed_from is not None
    assert wire.read_timeout == timeout
    assert before <= wire.timed_from <= before + _LOOK_EVERY + 1e-6


@given(timeout=seconds, before=seconds)
def test_a_whole_response_ends_one_look_after_its_time_at_the_latest(timeout: float, before: float) -> None:
    clock, watch = Clock(), Watch()
    clock.pass_time(before)
    attempt, task = attempt_of(clock, timeout, None)
    watch.add(attempt)
    ends = before + WHOLE_RESPONSE * timeout
    clock.pass_time(ends + 3 * _LOOK_EVERY)
    assert len(task.cancelled_at) == 1, "once, however often the watch looks"
    assert ends <= task.cancelled_at[0] <= ends + _LOOK_EVERY + 1e-6


@given(timeout=seconds)
def test_an_upload_that_stalls_ends_two_looks_after_its_timeout_at_the_latest(timeout: float) -> None:
    clock, watch = Clock(), Watch()
    wire = Wire(clock)
    wire.waiting = 10
    attempt, task = attempt_of(clock, timeout, wire, may_stall=True)
    watch.add(attempt)
    clock.pass_time(timeout + 3 * _LOOK_EVERY)
    assert attempt.stalled
    assert timeout <= task.cancelled_at[0] <= timeout + 2 * _LOOK_EVERY + 1e-6


def test_the_time_in_which_reading_is_paused_is_no_silence() -> None:
    clock, watch = Clock(), Watch()
    wire = Wire(clock)
    wire.reading = False
    watch.add(attempt_of(clock, 1.0, wire)[0])
    clock.pass_time(1.0)
    assert wire.read_timeout == 1.0, "aiohttp's timer starts when reading goes on"
    assert wire.timed_from is None


@pytest.mark.parametrize("fails", [False, True])
def test_looks_go_on_after_a_connection_that_cannot_be_asked(fails: bool) -> None:
    clock, watch = Clock(), Watch()
    wire = Wire(clock)
    attempt, _ = attempt_of(clock, 1.0, wire, may_stall=True)
    watch.add(attempt)
    wire.closing = True
    if fails:
        wire.is_closing = lambda: False  # type: ignore[method-assign]
        with pytest.raises(AttributeError):
            clock.pass_time(_LOOK_EVERY)
        attempt.sending = None
    clock.pass_time(20.0)
    assert attempt.expired


def look_after_data(monkeypatch: pytest.MonkeyPatch, watch: Watch) -> None:
    """Look in the very step in which data arrives, before the task sees it."""
    received = ResponseHandler.data_received

    def then_look(self: ResponseHandler, data: bytes) -> None:
        received(self, data)
        watch._look(asyncio.get_running_loop())

    monkeypatch.setattr(ResponseHandler, "data_received", then_look)


def pooled(session: aiohttp.ClientSession) -> list[ResponseHandler]:
    assert session.connector is not None
    return [protocol for connections in session.connector._conns.values() for protocol, _ in connections]


async def test_a_look_when_a_response_has_just_arrived_leaves_no_timer_on_the_connection(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    # It would end the next request on this connection, even one of the caller's own.
    async with FaultServer() as server, aiohttp.ClientSession() as session:
        zoho = client(server.url, session=session)
        look_after_data(monkeypatch, zoho._transport.shared.http().watch)
        assert (await zoho.books.contacts.get("1")).contact_id == "1"
        assert [protocol._read_timeout_handle for protocol in pooled(session)] == [None]


async def test_a_response_that_is_silent_after_such_a_look_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    async with FaultServer() as server, client(server.url, timeout=0.1) as zoho:
        look_after_data(monkeypatch, zoho._transport.shared.http().watch)
        server.script(Fault("drip"), Fault("drip"))
        with pytest.raises(UnavailableError, match="no response in time"):
            await zoho.books.contacts.get("1")
        with pytest.raises(OutcomeUnknownError, match="no response in time"):
            await zoho.books.contacts.create({"contact_name": "x"})


async def test_a_slow_disk_is_no_silence_of_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    timers: list[Any] = []
    in_thread = bodies.in_thread
    file = Fault("answer", body=b"%PDF" * 1_000_000, headers=(("Content-Type", "application/pdf"),))
    async with FaultServer(lambda _: file) as server, aiohttp.ClientSession() as session:
        zoho = client(server.url, session=session)

        async def slowly(function: Any, *arguments: Any) -> Any:
            if not timers:
                (protocol,) = session.connector._acquired  # type: ignore[union-attr]
                assert protocol.transport is not None
                while protocol.transport.is_reading():  # noqa: ASYNC110 - no event is set then
                    await asyncio.sleep(0)
                zoho._transport.shared.http().watch._look(asyncio.get_running_loop())
                timers.append(protocol._read_timeout_handle)
            return await in_thread(function, *arguments)

        monkeypatch.setattr(bodies, "in_thread", slowly)
        await zoho.send(GET, path={"contact_id": "1", "document_id": "1"}, to=tmp_path / "a.pdf")
    assert timers == [None]


async def test_a_task_that_a_middleware_has_left_behind_sends_nothing() -> None:
    tasks: list[asyncio.Task[Any]] = []
    gone = asyncio.Event()

    async def gives_up(request: aiohttp.ClientRequest, handler: Any) -> Any:
        async def late() -> Any:
            await gone.wait()
            return await handler(request)

        tasks.append(asyncio.ensure_future(late()))
        raise aiohttp.ConnectionTimeoutError

    async with FaultServer() as server, aiohttp.ClientSession(middlewares=(gives_up,)) as session:
        zoho = client(server.url, session=session)
        with pytest.raises(UnavailableError) as caught:
            await zoho.books.contacts.create({"contact_name": "x"})
        assert caught.value.sent is False
        gone.set()
        await asyncio.gather(*tasks, return_exceptions=True)
        assert not server.acted, "it is repeated as not sent"
        assert not zoho._transport.shared.http().watch._attempts, "it would cancel the caller later"


async def test_a_call_whose_deadline_passes_before_it_is_sent_does_not_count_as_sent() -> None:
    ended: list[BaseException | None] = []
    observed = SimpleNamespace(waited=lambda _: None, attempted=lambda *_: None, ended=ended.append)

    class Slow:
        throttle_count = 0

        async def before_send(self) -> None:
            await asyncio.sleep(0.25)

        def on_rejected(self) -> None:
            raise AssertionError

    limits = Limits(per_minute=50)
    observer: Any = SimpleNamespace(started=lambda *_: observed)
    async with FaultServer() as server, client(server.url, limits=limits, deadline=0.2, observer=observer) as zoho:
        with pytest.raises(DeadlineError) as caught:
            await zoho.send(contacts.CREATE, body={"contact_name": "x"}, hook=Slow())
        assert caught.value.sent is False
        assert ended == [caught.value]
        assert (zoho.quota.sent, zoho.quota.minute_left, server.seen) == (0, 50, [])
        with pytest.raises(UnavailableError):  # its place is free
            server.script(Fault("reset"))
            await zoho.with_options(deadline=None).books.contacts.get("1")
        assert (zoho.quota.sent, zoho.quota.minute_left) == (1, 49)


@pytest.mark.parametrize("kind", ["read", "write", "download"])
async def test_a_deadline_that_passes_while_connecting_has_sent_nothing(kind: str, tmp_path: Path) -> None:
    async def never(*_: Any) -> None:
        await asyncio.sleep(3600)

    traces = aiohttp.TraceConfig()
    traces.on_connection_create_start.append(never)
    async with FaultServer() as server, aiohttp.ClientSession(trace_configs=[traces]) as session:
        zoho = client(server.url, session=session, limits=Limits(per_minute=50), deadline=0.1)
        calls: dict[str, Any] = {
            "read": zoho.books.contacts.get("1"),
            "write": zoho.books.contacts.create({"contact_name": "x"}),
            "download": zoho.send(GET, path={"contact_id": "1", "document_id": "1"}, to=tmp_path / "a"),
        }
        call = calls.pop(kind)
        for other in calls.values():
            other.close()
        with pytest.raises(DeadlineError) as caught:
            await call
        assert (caught.value.sent, caught.value.attempts) == (False, ())
        assert (zoho.quota.sent, zoho.quota.minute_left, server.seen) == (0, 50, [])


@pytest.mark.parametrize("kind", ["stall", "drip"], ids=["before the head", "in the body"])
async def test_closing_the_client_ends_the_calls_under_way(kind: str) -> None:
    async with FaultServer() as server:
        for write in (True, False):
            zoho = client(server.url, retries=1)
            server.script(Fault(kind, acts=True))
            server.arrived.clear()
            running = zoho.books.contacts
            call = asyncio.ensure_future(running.create({"contact_name": "x"}) if write else running.get("1"))
            await server.arrived.wait()
            if kind == "drip":
                await wait_until(
                    lambda zoho=zoho: any(it.answered for it in zoho._transport.shared.http().watch._attempts)
                )
            await zoho.close()
            with pytest.raises(OutcomeUnknownError if write else ConfigError, match=r"client (was|is) closed"):
                await asyncio.wait_for(call, 20)
        assert sum(server.acted.values()) == 2


async def test_a_response_is_bounded_though_a_client_of_the_callers_session_was_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zoho_async.transport.watch.WHOLE_RESPONSE", 1.0)
    async with FaultServer() as server, aiohttp.ClientSession() as session:
        zoho = client(server.url, session=session, timeout=0.3)
        server.script(Fault("stall"))
        call = asyncio.ensure_future(zoho.books.contacts.create({"contact_name": "x"}))
        await server.arrived.wait()
        await zoho.close()
        with pytest.raises(OutcomeUnknownError):
            await asyncio.wait_for(call, 20)


@pytest.mark.parametrize("retries", [0, 1])
async def test_a_call_that_waits_for_a_session_that_closes_was_not_cancelled(retries: int) -> None:
    # A group of tasks would take a cancellation for its own, and the write would be missed.
    connector = aiohttp.TCPConnector(limit=1)
    async with FaultServer() as server, aiohttp.ClientSession(connector=connector) as session:
        zoho = client(server.url, session=session, retries=retries, limits=Limits(per_minute=50))
        server.script(Fault("stall", acts=True))
        first, *waiting = [asyncio.ensure_future(zoho.books.contacts.create({"contact_name": "x"})) for _ in range(3)]
        await server.arrived.wait()
        await wait_until(lambda: sum(map(len, connector._waiters.values())) == 2)
        await session.close()
        with pytest.raises(OutcomeUnknownError):
            await first
        for call in waiting:
            with pytest.raises(ConfigError if retries else UnavailableError) as caught:
                await call
            assert caught.value.sent is False


@pytest.mark.parametrize("left", [False, True])
async def test_a_cancellation_that_no_one_asked_for_ends_no_call(left: bool) -> None:
    async def cancels(request: aiohttp.ClientRequest, handler: Any) -> Any:
        if left:
            await handler(request)
        raise asyncio.CancelledError

    async with FaultServer() as server, aiohttp.ClientSession(middlewares=(cancels,)) as session:
        zoho = client(server.url, session=session)
        with pytest.raises(OutcomeUnknownError if left else UnavailableError) as caught:
            await zoho.books.contacts.create({"contact_name": "x"})
        assert caught.value.sent is (None if left else False)


async def wait_until(holds: Callable[[], bool]) -> None:
    while not holds():  # noqa: ASYNC110 - nothing tells of it
        await asyncio.sleep(0.001)
