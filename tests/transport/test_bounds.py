"""Bounds of one attempt: size and time of a response, silence while sending, connections that were closed."""

from __future__ import annotations

import asyncio
import gzip
import socket
import threading
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from support.fault_server import Fault, FaultServer

from zoho_async import Limits, OutcomeUnknownError, StaticToken, UnavailableError, Upload, Zoho
from zoho_async.books import contacts
from zoho_async.books.documents import GET
from zoho_async.transport import bodies

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]


def client(url: str, **options: Any) -> Zoho:
    options = {"limits": Limits(per_minute=None), "retries": 0, **options}
    return Zoho(StaticToken("t"), organization_id="1", api_url=url, **options)


@asynccontextmanager
async def serving(serve: Serve) -> AsyncIterator[str]:
    tasks: set[asyncio.Task[None]] = set()

    async def closing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await serve(reader, writer)
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.transport.abort()

    def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.ensure_future(closing(reader, writer)))

    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 16_384)  # so that the sender sees each read soon
    listening.bind(("127.0.0.1", 0))
    server = await asyncio.start_server(accept, sock=listening, limit=8192)
    yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    server.close()
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    await server.wait_closed()


@pytest.mark.parametrize("packed", [True, False])
async def test_a_response_beyond_the_bound_is_lost(monkeypatch: pytest.MonkeyPatch, packed: bool) -> None:
    monkeypatch.setattr(bodies, "LONGEST_RESPONSE", 100_000)
    body = b'{"code":0,"contact":{"contact_id":"1","notes":"%s"}}'
    headers = (("Content-Encoding", "gzip"),) if packed else ()
    pack = gzip.compress if packed else bytes
    short = Fault("answer", body=pack(body % (b"x" * 90_000)), headers=headers)
    long = Fault("answer", body=pack(body % (b"x" * 100_000)), headers=headers)
    async with FaultServer() as server, client(server.url) as zoho:
        server.script(short, long, long, Fault("answer", status=400, body=long.body, headers=headers))
        assert len((await zoho.books.contacts.get("1")).notes or "") == 90_000
        with pytest.raises(UnavailableError, match="longer than"):
            await zoho.books.contacts.get("1")
        for _ in range(2):
            with pytest.raises(OutcomeUnknownError, match="longer than"):
                await zoho.books.contacts.create({"contact_name": "x"})
        assert (await zoho.books.contacts.get("1")).contact_id == "1"


async def test_a_bomb_is_not_unpacked_beyond_the_bound(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "LONGEST_RESPONSE", 1_000_000)
    seen: list[int] = []
    feed = aiohttp.StreamReader.feed_data

    def counted(self: aiohttp.StreamReader, data: bytes, *rest: Any) -> Any:
        seen.append(len(data))
        return feed(self, data, *rest)

    monkeypatch.setattr(aiohttp.StreamReader, "feed_data", counted)
    bomb = gzip.compress(b" " * 100_000_000, 9)
    async with FaultServer() as server, client(server.url) as zoho:
        server.script(Fault("answer", body=bomb, headers=(("Content-Encoding", "gzip"),)))
        with pytest.raises(UnavailableError, match="longer than"):
            await zoho.books.contacts.get("1")
    assert 1_000_000 < sum(seen) < 10_000_000


async def test_a_download_into_a_file_may_be_longer(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr(bodies, "LONGEST_RESPONSE", 1000)
    file = Fault("answer", body=b"%PDF" * 1000, headers=(("Content-Type", "application/pdf"),))
    async with FaultServer(lambda _: file) as server, client(server.url) as zoho:
        with pytest.raises(UnavailableError, match="longer than"):
            await zoho.send(GET, path={"contact_id": "1", "document_id": "1"})
        await zoho.send(GET, path={"contact_id": "1", "document_id": "1"}, to=tmp_path / "a.pdf")
    assert (tmp_path / "a.pdf").read_bytes() == b"%PDF" * 1000


@pytest.mark.parametrize("part", ["reason", "headers", "body"])
async def test_a_response_that_drips_is_bounded_as_a_whole(part: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # A stall that the machine causes is shorter than `timeout`.
    monkeypatch.setattr("zoho_async.transport.watch.WHOLE_RESPONSE", 1.0)
    monkeypatch.setattr("zoho_async.transport.http.WHOLE_RESPONSE", 1.0)
    head = {"reason": b"HTTP/1.1 200 ", "headers": b"HTTP/1.1 200 OK\r\nX-More: ", "body": b"HTTP/1.1 200 OK\r\n"}
    start = head[part] + (b"Content-Length: 9999\r\n\r\n" if part == "body" else b"")

    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(start)
        while True:
            writer.write(b"0")
            await asyncio.sleep(0.02)

    async with serving(drip) as url, client(url, timeout=1.0) as zoho:
        with pytest.raises(UnavailableError, match="took longer than 1 s"):
            await zoho.books.contacts.get("1")
        with pytest.raises(OutcomeUnknownError, match="took longer than 1 s"):
            await zoho.books.contacts.create({"contact_name": "x"})


async def test_waiting_for_a_connection_of_the_callers_pool_is_no_part_of_a_response(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("zoho_async.transport.watch.WHOLE_RESPONSE", 2.0)

    async def slow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            await reader.readuntil(b"\r\n\r\n")
            await asyncio.sleep(0.15)
            body = b'{"code":0,"contact":{"contact_id":"1"}}'
            writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    async with (
        serving(slow) as url,
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=1)) as session,
    ):
        zoho = client(url, session=session, timeout=1.0)
        found = await asyncio.gather(*(zoho.books.contacts.get(str(number)) for number in range(20)))
    assert len(found) == 20, "3 s of waiting, though a response may take 2 s"


BIG = 20_000_000


async def chunks() -> AsyncIterator[bytes]:
    for _ in range(BIG // 50_000):
        yield b"x" * 50_000


@pytest.mark.parametrize("source", ["body", "bytes", "path", "stream"])
async def test_an_upload_that_the_server_does_not_take_is_bounded(source: str, tmp_path: Path) -> None:
    async def takes_nothing(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.transport.pause_reading()  # type: ignore[attr-defined]
        await asyncio.sleep(3600)

    path = tmp_path / "file"
    path.write_bytes(b"x" * BIG)
    files: Any = {"bytes": b"x" * BIG, "path": path, "stream": Upload(chunks)}.get(source)
    async with serving(takes_nothing) as url, client(url, timeout=0.4) as zoho:
        with pytest.raises(OutcomeUnknownError, match=r"took nothing of the request for 0\.4 s"):
            if source == "body":
                await zoho.books.contacts.create({"notes": "x" * BIG})
            else:
                await zoho.send(contacts.ADD_ATTACHMENT, path={"contact_id": "1"}, files={"attachment": files})


@pytest.mark.parametrize("slow", ["server", "source"])
async def test_a_slow_upload_that_moves_may_take_longer_than_a_response(
    slow: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A stall that the machine causes is shorter than `timeout`.
    monkeypatch.setattr("zoho_async.transport.watch.WHOLE_RESPONSE", 2.0)

    async def drip() -> AsyncIterator[bytes]:
        for _ in range(25):
            yield b"x" * 1000
            await asyncio.sleep(0.1)

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        tail = b""
        while b"\r\n0\r\n\r\n" not in tail and not tail.endswith(b"--\r\n"):
            if slow == "server":
                await asyncio.sleep(0.002)
            tail = tail[-20:] + await reader.read(4096)
        body = b'{"code":0,"message":"ok"}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)

    def small_buffer(address: Any) -> socket.socket:
        made = socket.socket(*address[:3])
        made.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 16_384)  # as on a slow line
        return made

    connector = aiohttp.TCPConnector(socket_factory=small_buffer)
    async with serving(serve) as url, aiohttp.ClientSession(connector=connector) as session:
        zoho = client(url, timeout=1.0, session=session)
        file: Any = Upload(drip) if slow == "source" else b"x" * 6_000_000
        began = time.monotonic()
        await zoho.send(contacts.ADD_ATTACHMENT, path={"contact_id": "1"}, files={"attachment": file})
        assert time.monotonic() - began > 2, "longer than a response may take"


@pytest.fixture
def closing_server() -> Iterator[tuple[str, threading.Event]]:
    """A server in a thread of its own that closes each connection after its first response."""
    closed, ready = threading.Event(), threading.Event()
    running: list[Any] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        sizes = [line.split(b":")[1] for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        await reader.readexactly(int(sizes[0]) if sizes else 0)
        body = b'{"code":0,"contact":{"contact_id":"1"}}'
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(body) + body)
        await asyncio.sleep(0.05)
        writer.close()
        await writer.wait_closed()
        closed.set()

    async def run() -> None:
        stop = asyncio.Event()
        async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
            url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
            running.extend((url, asyncio.get_running_loop(), stop))
            ready.set()
            await stop.wait()

    thread = threading.Thread(target=asyncio.run, args=(run(),))
    thread.start()
    ready.wait()
    url, loop, stop = running
    yield url, closed
    loop.call_soon_threadsafe(stop.set)
    thread.join()


@pytest.mark.parametrize("own", [True, False], ids=["own session", "the caller's session"])
async def test_a_write_after_a_standstill_takes_no_closed_connection(closing_server: Any, own: bool) -> None:
    url, closed = closing_server
    async with aiohttp.ClientSession() as session, client(url, session=None if own else session) as zoho:
        for _ in range(4):
            closed.clear()
            assert (await zoho.books.contacts.create({"contact_name": "x"})).contact_id == "1"
            assert closed.wait(5), "the loop stands still meanwhile"
