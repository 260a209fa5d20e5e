"""FakeZoho: the HTTP edge, and what its users see."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from collections.abc import Iterable, Mapping
from typing import Any, cast
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from zoho_async.fake.messages import Reply, Request, error
from zoho_async.fake.rendering.shapes import Shape
from zoho_async.fake.service import Service
from zoho_async.fake.world.clock import Clock
from zoho_async.fake.world.faults import Fault
from zoho_async.fake.world.state import Profile

from . import control_api
from .raw_server import EdgeServer

MAX_BODY = 32 * 1024 * 1024
"""Bytes; larger bodies are refused with status 413."""

_DROPS = 20
"""Pieces of a dripping answer."""


class FakeZoho(Service):
    """A Zoho on this machine. Use it as an async context manager, or `start()` and `close()` it.

    Every call is answered with the state it leaves: what one request stored the next one sees. Nothing is kept on disk.
    """

    def __init__(
        self,
        *,
        organizations: Iterable[str | Mapping[str, Any] | Profile] = ("10234695",),
        per_minute: int | None = 100,
        per_day: int | None = None,
        concurrency: int | None = None,
        block_seconds: float | None = None,
        unique: Iterable[str] = ("cf_external_id",),
        scopes: Iterable[str] | None = None,
        latency: float = 0.0,
        host: str = "127.0.0.1",
        port: int = 0,
        clock: Clock | None = None,
        keep_received: int = 10_000,
        shape: Shape = "live",
        data_center: str = "us",
        seed: int = 0,
        access_token: str | None = None,
    ) -> None:
        """Settings; no socket is opened before `start()`.

        organizations: their ids, or what else is to be said of them (see `add_organization`); the first one is the
        user's default. per_minute, per_day, concurrency: limits of
        each, None is off. block_seconds: how long a burst is punished, None until the minute has room. unique: api
        names of the custom fields that allow no duplicates. scopes: what the tokens may do, None everything. latency:
        seconds from acting to answering. port: 0 picks a free one. keep_received: how many requests
        `received` remembers. shape: how answers are written: `live` as the running service does, `documented` as
        Zoho's documents print them (ids as numbers, no further keys), `clean` as the specs of this package say to the
        letter. data_center: its short name; every fake has credentials of its own, so those of another data centre's
        fake are `invalid_client` here. seed: of the throws for `chance()`.
        access_token: the static token, for requests that name one already; None makes one up.
        """
        super().__init__(
            organizations=organizations,
            per_minute=per_minute,
            per_day=per_day,
            concurrency=concurrency,
            block_seconds=block_seconds,
            unique=unique,
            scopes=scopes,
            clock=clock,
            keep_received=keep_received,
            shape=shape,
            data_center=data_center,
            seed=seed,
            access_token=access_token,
        )
        self.refused_connections = 0
        """Connections that the fault `refuse` ended; nothing of them was read or counted."""
        self.latency = latency
        self._host, self._port = host, port
        self._runner: web.ServerRunner | None = None
        self._closing = asyncio.Event()
        self._url = ""

    # -- life

    async def start(self) -> None:
        """Listen; `url` is known afterwards. OSError when the port is taken."""
        if self._runner is not None:
            raise RuntimeError("this FakeZoho is running already")
        # A new one each time: an event belongs to the loop in which it was first waited for.
        self._closing = asyncio.Event()
        server = EdgeServer(self._handle, self.crashed)
        runner = web.ServerRunner(server, shutdown_timeout=1.0)
        await runner.setup()
        try:
            site = web.TCPSite(runner, self._host, self._port)
            await site.start()
        except BaseException:
            await runner.cleanup()
            raise
        self._runner = runner
        host, port = runner.addresses[0][:2]
        self._url = f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"

    async def close(self) -> None:
        """Stop listening and drop every connection, those kept waiting by a fault too. The state stays readable."""
        runner, self._runner = self._runner, None
        self._closing.set()
        if runner is not None:
            await runner.cleanup()

    async def __aenter__(self) -> FakeZoho:
        await self.start()
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.close()

    def __repr__(self) -> str:
        return f"<FakeZoho {self._url or 'not started'} {len(self._organizations)} organizations>"

    # -- what to connect with

    @property
    def url(self) -> str:
        """Root of both the API and the accounts server."""
        if not self._url:
            raise RuntimeError("this FakeZoho was not started")
        return self._url

    # -- one request

    def _answer(self, request: Request, api_domain: str) -> Reply:
        if request.segments[0] == "_fake":
            return control_api.answer(self, request)
        return super()._answer(request, api_domain)

    async def _handle(self, http: web.BaseRequest) -> web.StreamResponse:
        url = http.rel_url
        path = url.raw_path
        request = Request(
            method=http.method,
            path=path,
            segments=[unquote(segment) for segment in path.removeprefix("/").split("/")],
            query=dict(parse_qsl(url.raw_query_string, keep_blank_values=True)),
            headers=http.headers,
            form=http.content_type == "application/x-www-form-urlencoded",
        )
        if self.refuses(request):
            self.refused_connections += 1
            _abort(http)
            return web.Response()
        reply = await self._read(http, request)
        if reply is None:
            reply = self.handle(request, self.url)
        fault = request.fault
        cut = fault is not None and fault.cuts
        if not path.startswith("/_fake/"):
            self.note(request, None if cut else reply)
        try:
            if self.latency and request.operation_id:
                await asyncio.sleep(self.latency)
            if cut and fault is not None:
                return await self._cut(http, fault, reply)
            if fault is not None and fault.kind == "latency":
                await asyncio.sleep(fault.seconds)
            elif fault is not None and fault.kind == "drip":
                return await self._drip(http, fault, reply)
            elif fault is not None and fault.kind == "gzip":
                body = gzip.compress(reply.body, mtime=0)
                headers = {**reply.headers, "Content-Encoding": "gzip"}
                reply = Reply(reply.status, body, headers, None, reply.content_type)
        finally:
            if request.allowance is not None:
                request.allowance.leave()
        return web.Response(
            status=reply.status, body=reply.body, headers={**reply.headers, "Content-Type": reply.content_type}
        )

    async def _read(self, http: web.BaseRequest, request: Request) -> Reply | None:
        if not http.body_exists:
            return None
        parts: list[bytes] = []
        size = 0
        try:
            async for part in http.content.iter_any():
                size += len(part)
                if size > MAX_BODY:
                    return error(413, 15, "The request is too large.")
                parts.append(part)
        except (web.RequestPayloadError, web.HTTPException):
            return error(400, 1038, "The request could not be read.")
        request.body = b"".join(parts)
        return None

    async def _cut(self, http: web.BaseRequest, fault: Fault, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
        if fault.kind == "stall":
            # Ends when the client gives up (the handler is then cancelled) or when the fake closes.
            await self._closing.wait()
        elif fault.kind == "torn":
            response.content_length = len(reply.body)
            await response.prepare(http)
            await response.write(reply.body[: len(reply.body) // 2])
        if fault.kind in ("reset", "refuse"):
            _abort(http)
        elif http.transport is not None:
            http.transport.close()
        return response

    async def _drip(self, http: web.BaseRequest, fault: Fault, reply: Reply) -> web.StreamResponse:
        response = web.StreamResponse(
            status=reply.status, headers={**reply.headers, "Content-Type": reply.content_type}
        )
        response.content_length = len(reply.body)
        await response.prepare(http)
        step = max(1, -(-len(reply.body) // _DROPS))
        for start in range(0, len(reply.body), step):
            await asyncio.sleep(fault.seconds / _DROPS)
            await response.write(reply.body[start : start + step])
        await response.write_eof()
        return response


def _abort(http: web.BaseRequest) -> None:
    transport = http.transport
    if transport is not None:
        # Without lingering the other side sees a reset instead of an orderly end.
        connection = cast("socket.socket", transport.get_extra_info("socket"))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
