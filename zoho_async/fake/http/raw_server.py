"""aiohttp's server with errors in Zoho's shape, also for what is no HTTP."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from aiohttp import web

from zoho_async.fake.messages import error_reply


class RawServer(web.Server):
    """Makes a handler for every connection; `record_crash` gets errors of the fake itself."""

    def __init__(
        self,
        handler: Callable[[web.BaseRequest], Awaitable[web.StreamResponse]],
        record_crash: Callable[[BaseException | None], None],
    ) -> None:
        super().__init__(handler, handler_cancellation=True)
        self.record_crash = record_crash

    def __call__(self) -> web.RequestHandler:
        return _RawConnection(self, asyncio.get_running_loop())


class _RawConnection(web.RequestHandler):
    __slots__ = ("_record_crash",)

    def __init__(self, server: RawServer, loop: asyncio.AbstractEventLoop) -> None:
        # None means no access log; the signature lacks it.
        no_log: dict[str, Any] = {"access_log": None}
        super().__init__(server, loop=loop, **no_log)
        self._record_crash = server.record_crash

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The response to what could not be parsed (400) or handled (500); aiohttp's own is plain text."""
        if status >= 500 and not isinstance(exc, ConnectionError):
            self._record_crash(exc)
        if request.writer.output_size > 0:
            raise ConnectionError("a response was started already")
        code, text = (
            (1000, "An internal error occurred.") if status >= 500 else (1038, "The request could not be read.")
        )
        reply = error_reply(status, code, text)
        response = web.Response(status=status, body=reply.body, headers={"Content-Type": reply.content_type})
        response.force_close()
        return response

    def log_exception(self, *args: Any, **options: Any) -> None:
        """Log errors of the fake, not those of the client: they have a response."""
        if not isinstance(options.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **options)
