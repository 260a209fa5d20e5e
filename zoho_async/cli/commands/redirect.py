"""The address on this machine to which the consent page sends the browser back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from zoho_async.cli.console.exit_codes import SetupError

from .grant import AGAIN, CALLBACK, Redirect, read_redirect

_LONGEST_REQUEST = 16 * 1024
_HEAD_TIMEOUT_S = 10.0
_PAGE = (
    "HTTP/1.1 {status}\r\nContent-Type: text/html; charset=utf-8\r\nContent-Length: {size}\r\n"
    "Cache-Control: no-store\r\nReferrer-Policy: no-referrer\r\nConnection: close\r\n\r\n{page}"
)


class RedirectListener:
    """Waits for the one request of the browser that comes back."""

    def __init__(self, state: str) -> None:
        self._state = state
        self._result: asyncio.Future[Redirect] = asyncio.get_running_loop().create_future()
        self.url = ""
        """The redirect address, which the client must be registered with."""

    async def wait(self, seconds: float) -> Redirect:
        """What the browser brings back.

        Raises:
            SetupError: It brings an error or a foreign state, or does not come in time.
        """
        try:
            async with asyncio.timeout(seconds):
                return await self._result
        except TimeoutError:
            raise SetupError(f"the browser did not come back within {seconds:g} s", AGAIN) from None

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Responds to a connection; the first request of the redirect address decides."""
        try:
            async with asyncio.timeout(_HEAD_TIMEOUT_S):
                head = await reader.readuntil(b"\r\n\r\n")
            method, _, rest = head.decode("latin-1").partition(" ")
            target = rest.partition(" ")[0]
            writer.write(self._respond(method, target).encode())
            await writer.drain()
        except (TimeoutError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError, OSError):
            pass  # no browser, or one that was closed
        finally:
            writer.close()

    def _respond(self, method: str, target: str) -> str:
        if method != "GET" or target.partition("?")[0] != CALLBACK or self._result.done():
            return _page("404 Not Found", "There is nothing here.")
        try:
            self._result.set_result(read_redirect(target, self._state))
        except SetupError as error:
            self._result.set_exception(error)
            return _page("400 Bad Request", "The login failed; the terminal says why.")
        return _page("200 OK", "You are logged in to zoho-async as soon as the terminal says so. Close this page.")


@asynccontextmanager
async def redirect_listener(port: int, state: str) -> AsyncGenerator[RedirectListener, None]:
    """Listens on the loopback address until the block ends. Raises SetupError when the port is taken; 0: a free one."""
    listener = RedirectListener(state)
    try:
        server = await asyncio.start_server(listener.serve, "127.0.0.1", port, limit=_LONGEST_REQUEST)
    except OSError as error:
        raise SetupError(f"127.0.0.1:{port}: {error.strerror or error}", "--port N takes another port") from None
    async with server:
        listener.url = f"http://localhost:{server.sockets[0].getsockname()[1]}{CALLBACK}"
        yield listener


def _page(status: str, text: str) -> str:
    page = f"<!doctype html><title>zoho-async</title><p>{text}</p>"
    return _PAGE.format(status=status, size=len(page), page=page)
