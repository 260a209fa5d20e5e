"""FakeZoho: the HTTP server over the state that a test controls."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, unquote

from aiohttp import web

from zoho_async.fake.messages import FakeRequest, Reply, error_reply, refusal_reply
from zoho_async.fake.pipeline import RequestPipeline
from zoho_async.fake.refusals import Refusal
from zoho_async.fake.rendering.shapes import Shape
from zoho_async.fake.service import FakeService, synchronized
from zoho_async.fake.world.clock import Clock
from zoho_async.fake.world.quotas import MINUTE
from zoho_async.fake.world.state import OrganizationProfile

from .control_api import handle_control
from .delivery import abort, deliver
from .oauth_api import TOKEN, handle_oauth
from .raw_server import RawServer

MAX_BODY = 32 * 1024 * 1024
"""Bytes; larger bodies are refused with status 413."""


class FakeZoho(FakeService):
    """A Zoho on this machine. Use it as an async context manager, or `start()` and `close()` it.

    It keeps state: what one request stored the next one sees. Nothing is stored on disk.
    """

    def __init__(
        self,
        *,
        organizations: Iterable[str | Mapping[str, Any] | OrganizationProfile] = ("10234695",),
        per_minute: int | None = 100,
        per_day: int | None = None,
        concurrency: int | None = None,
        block_seconds: float | None = None,
        unique: Iterable[str] = ("cf_external_id",),
        custom_fields: Iterable[str] = (),
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
        _window: float = MINUTE,
    ) -> None:
        """Make a fake; no socket is opened before `start()`.

        Args:
            organizations: Their ids, or mappings as `add_organization` takes them; the first is the user's default.
            per_minute: Calls in any 60 seconds, of each organisation; None: no limit.
            per_day: Calls a day in the organisation's zone; None: no limit.
            concurrency: Calls in process at a time; None: no limit.
            block_seconds: How long a burst is blocked; None: until the minute has room again.
            unique: Api names of the custom fields that allow no duplicates.
            custom_fields: Api names of other custom fields; any that a record has is there too.
            scopes: What the tokens are granted, as a list or as the text of `zoho_async.scopes`; None: everything.
            latency: Seconds between execution and response of every call.
            host: Address to listen on.
            port: 0: a free one.
            clock: The time of the fake; None: real time, which can be advanced.
            keep_received: How many requests `received` keeps.
            shape: How responses are written: `live` as the service does, `documented` as Zoho's documents print them
                (ids as numbers, no undocumented keys), `clean` exactly as the specs of this package say.
            data_center: Its short name. Credentials of one fake are `invalid_client` at another.
            seed: Of the random numbers for `chance()`.
            access_token: The static token; None: a random one.

        Raises:
            ValueError: An unknown shape, no organisation, or an invalid one.
        """
        super().__init__(
            organizations=organizations,
            per_minute=per_minute,
            per_day=per_day,
            concurrency=concurrency,
            block_seconds=block_seconds,
            unique=unique,
            custom_fields=custom_fields,
            scopes=scopes,
            clock=clock,
            keep_received=keep_received,
            shape=shape,
            data_center=data_center,
            seed=seed,
            access_token=access_token,
            window=_window,
        )
        self.refused_connections = 0
        """Connections that the fault `refuse` reset; nothing of them was read or counted."""
        self.latency = latency
        self._pipeline = RequestPipeline(self)
        self._host, self._port = host, port
        self._runner: web.ServerRunner | None = None
        self._closing = asyncio.Event()
        self._url = ""

    async def start(self) -> None:
        """Listen; `url` is known afterwards.

        Raises:
            OSError: The port is taken.
            RuntimeError: It is running already.
        """
        if self._runner is not None:
            raise RuntimeError("this FakeZoho is running already")
        # An event belongs to the loop of its first wait: a new one for each start.
        self._closing = asyncio.Event()
        server = RawServer(self._serve, self.record_crash)
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
        """Stop listening and drop every connection, stalled ones too. The state stays readable."""
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

    @property
    def url(self) -> str:
        """Root of the API and of the accounts server; RuntimeError before `start()`."""
        if not self._url:
            raise RuntimeError("this FakeZoho was not started")
        return self._url

    # -- one request

    @synchronized
    def handle(self, request: FakeRequest, api_domain: str) -> Reply:
        """The reply to a request. What was executed is counted even when a fault then replaces the response.

        Args:
            request: The request, its body received.
            api_domain: Address that a token response names as the API's.
        """
        try:
            if request.segments[0] == "_fake":
                return handle_control(self, request, self._host)
            if request.segments[0] == "oauth":
                return handle_oauth(self, request, api_domain)
            return self._pipeline.process(request)
        except Refusal as refusal:
            return refusal_reply(refusal)
        except Exception as error:  # noqa: BLE001 - the client gets Zoho's error shape, the test the count
            self.record_crash(error)
            return error_reply(500, 1000, "An internal error occurred.")

    async def _serve(self, http: web.BaseRequest) -> web.StreamResponse:
        url = http.rel_url
        request = FakeRequest(
            method=http.method,
            path=url.raw_path,
            segments=[unquote(segment) for segment in url.raw_path.removeprefix("/").split("/")],
            query=dict(parse_qsl(url.raw_query_string, keep_blank_values=True)),
            headers=http.headers,
            form=http.content_type == "application/x-www-form-urlencoded",
        )
        if self._refuses_connection(request):
            self.refused_connections += 1
            abort(http)
            return web.Response()
        reply = await _receive_body(http, request)
        if reply is None:
            reply = self.handle(request, self.url)
        if request.segments[0] != "_fake":
            cut = request.fault is not None and request.fault.cuts
            self.record_received(request, None if cut else reply)
        # The fake's own time, as its quotas and stamps.
        reply.headers.setdefault("Date", formatdate(self.clock.now().timestamp(), usegmt=True))
        try:
            if self.latency and request.operation_id:
                await asyncio.sleep(self.latency)
            return await deliver(http, reply, request.fault, self._closing)
        finally:
            if request.allowance is not None:
                with self.lock:
                    request.allowance.leave()

    @synchronized
    def _refuses_connection(self, request: FakeRequest) -> bool:
        """Whether an ordered fault resets the connection before the body is read; consumes it."""
        found = self._pipeline.router.find(request.method, request.segments)
        is_token = request.path == "/oauth/v2/token"
        return (found is not None or is_token) and self.faults.take_refusal(TOKEN if found is None else found[0].id)

    def refuses(self, request: FakeRequest) -> bool:
        """Former, public name: whether an ordered fault resets the connection; consumes it.

        Args:
            request: The request, before its body is received.
        """
        return self._refuses_connection(request)


async def _receive_body(http: web.BaseRequest, request: FakeRequest) -> Reply | None:
    """Receive the body into the request; a reply when it is too large or unreadable."""
    if not http.body_exists:
        return None
    parts: list[bytes] = []
    size = 0
    try:
        async for part in http.content.iter_any():
            size += len(part)
            if size > MAX_BODY:
                return error_reply(413, 15, "The request is too large.")
            parts.append(part)
    except (web.RequestPayloadError, web.HTTPException):
        return error_reply(400, 1038, "The request could not be read.")
    request.body = b"".join(parts)
    return None
