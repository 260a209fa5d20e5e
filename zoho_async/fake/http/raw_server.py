"""The HTTP server beneath FakeZoho: what is no HTTP at all gets an answer in Zoho's shape, too."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from zoho_async.fake.messages import error


class EdgeServer(web.Server):
    """Makes a handler for every connection; `crashed` hears of what breaks in ours."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        crashed: Callable[[BaseException | None], None],
    ) -> None:
        super().__init__(handler, handler_cancellation=True)
        self.crashed = crashed

    def __call__(self) -> web.RequestHandler:
        return _Edge(self, asyncio.get_running_loop())


class _Edge(web.RequestHandler):
    __slots__ = ("_crashed",)

    def __init__(self, server: EdgeServer, loop: asyncio.AbstractEventLoop) -> None:
        # None is no access log, though the signature does not say so.
        no_log: dict[str, Any] = {"access_log": None}
        super().__init__(server, loop=loop, **no_log)
        self._crashed = server.crashed

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what could not be parsed (status 400) or handled (500); the parser's own would be plain text."""
        if status >= 500 and not isinstance(exc, ConnectionError):
            self._crashed(exc)
        if request.writer.output_size > 0:
            raise ConnectionError("an answer is under way already")
        code, text = (
            (1000, "An internal error occurred.") if status >= 500 else (1038, "The request could not be read.")
        )
        reply = error(status, code, text)
        response = web.Response(status=status, body=reply.body, headers={"Content-Type": reply.content_type})
        response.force_close()
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:
        """What the other side sent wrongly was answered; only what is wrong here is worth a word."""
        if not isinstance(options.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **options)
