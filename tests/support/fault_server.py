"""A server on loopback that misbehaves as told, and counts what it was sent and what it did.

Raw sockets on purpose: an HTTP library would not let it break its word.
"""

from __future__ import annotations

import asyncio
import gzip
import json
from collections import Counter, deque
from collections.abc import Callable
from typing import Any, Self

import msgspec


class Seen(msgspec.Struct):
    """One request as it arrived."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    fresh: bool
    """Whether it was the first on its connection."""


class Fault(msgspec.Struct, frozen=True):
    """What to do with one request instead of answering it well."""

    kind: str
    """answer, bare (without a body), late, reset, torn, stall, drip, wrong_length, torn_gzip"""
    acts: bool = False
    """Whether the request takes effect before that."""
    status: int = 200
    body: bytes = b""
    headers: tuple[tuple[str, str], ...] = ()


def json_fault(status: int, code: Any, *, acts: bool = False, **headers: str) -> Fault:
    """An answer with a code of Zoho's."""
    body = json.dumps({"code": code, "message": f"told to say {code}"}).encode()
    named = tuple((name.replace("_", "-"), value) for name, value in headers.items())
    return Fault("answer", acts=acts, status=status, body=body, headers=named)


def html_fault(status: int, *, acts: bool = False) -> Fault:
    return Fault("answer", acts=acts, status=status, body=b"<html>gateway</html>", headers=(("X-Html", "1"),))


SUCCESS = {"code": 0, "message": "success", "contact": {"contact_id": "1"}, "contacts": [], "page_context": {}}


class FaultServer:
    """`async with FaultServer() as server:`; `server.script(fault, ...)` for the next requests, well behaved after."""

    def __init__(self, decide: Callable[[Seen], Fault | None] | None = None) -> None:
        self.seen: list[Seen] = []
        self.acted: Counter[bytes] = Counter()
        """How often each body took effect."""
        self.connections = 0
        self.arrived = asyncio.Event()
        """Set when a request has arrived."""
        self._script: deque[Fault | None] = deque()
        self._decide = decide
        self._tasks: set[asyncio.Task[None]] = set()

    def script(self, *faults: Fault | None) -> None:
        self._script.extend(faults)

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        port = self._server.sockets[0].getsockname()[1]
        self.url = f"http://127.0.0.1:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.ensure_future(self._serve(reader, writer))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        fresh = True
        try:
            while True:
                seen = await self._read(reader, fresh)
                fresh = False
                self.seen.append(seen)
                self.arrived.set()
                fault = self._script.popleft() if self._script else self._decide(seen) if self._decide else None
                if fault is None or fault.acts:
                    self.acted[seen.body] += 1
                if not await self._answer(fault, writer):
                    return
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        finally:
            writer.close()

    async def _read(self, reader: asyncio.StreamReader, fresh: bool) -> Seen:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        first, *lines = head.split("\r\n")
        method, target, _ = first.split(" ")
        headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines if line)}
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        if headers.get("transfer-encoding") == "chunked":
            while size := int(await reader.readline(), 16):
                body += await reader.readexactly(size)
                await reader.readline()
            await reader.readline()
        return Seen(method, target, headers, body, fresh)

    async def _answer(self, fault: Fault | None, writer: asyncio.StreamWriter) -> bool:
        """Answer or misbehave; whether the connection goes on."""
        if fault is None:
            fault = Fault("answer", body=json.dumps(SUCCESS).encode())
        if fault.kind == "reset":
            writer.transport.abort()
            return False
        if fault.kind == "stall":
            await asyncio.sleep(3600)
        if fault.kind == "late":
            await asyncio.sleep(0.2)
        body = b"" if fault.kind == "bare" else fault.body or json.dumps(SUCCESS).encode()
        headers = dict(fault.headers)
        headers.setdefault("Content-Type", "text/html" if "X-Html" in headers else "application/json;charset=UTF-8")
        length = len(body)
        if fault.kind in ("torn", "drip"):
            length += 100
        elif fault.kind == "wrong_length":
            length -= 5
        elif fault.kind == "torn_gzip":
            body = gzip.compress(body)[:-12]
            headers["Content-Encoding"] = "gzip"
            length = len(body)
        headers["Content-Length"] = str(length)
        lines = [f"HTTP/1.1 {fault.status} Told", *(f"{name}: {value}" for name, value in headers.items())]
        writer.write("\r\n".join(lines).encode() + b"\r\n\r\n" + body)
        await writer.drain()
        if fault.kind == "drip":
            await asyncio.sleep(3600)
        return fault.kind in ("answer", "bare", "late")
