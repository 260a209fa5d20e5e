"""One HTTP request and its response. The only module of the client that imports aiohttp."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack
from errno import EMFILE, ENFILE
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any

import msgspec

from zoho_async import errors
from zoho_async.wire.decoding import Decoded
from zoho_async.wire.encoding import EncodedRequest
from zoho_async.wire.multipart import FormPart

from .retry_policy import AttemptOutcome, SendStatus

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientResponse, ClientSession, FormData

_LONGEST_ERROR_BODY = 64 * 1024
"""Bytes. A longer download is a file; a shorter one may be an error under HTTP 200."""
_DOWNLOAD_CHUNK = 256 * 1024
_STREAMED_ABOVE = 512 * 1024
"""Bytes. A longer body is sent in chunks."""
_TOO_MANY_FILES = {
    EMFILE: "too many open files: raise `ulimit -n`; a push needs about 13, a client about 10 for each organisation "
    "it works in at once",
    ENFILE: "too many open files on this machine, in all its processes together",
}


class HttpResult(msgspec.Struct, kw_only=True):
    """How one attempt ended and, if there was a response, all of it."""

    outcome: AttemptOutcome
    headers: Mapping[str, str] = {}
    body: bytes = b""
    decoded: Decoded | None = None
    saved: int = 0
    """Bytes written to a file; `body` then holds only their beginning."""


class UploadReadError(Exception):
    """A file or stream of the caller's could not be read, so the request was left incomplete."""

    def __init__(self, name: str, error: Exception, *, started: bool = True) -> None:
        super().__init__(str(error))
        self.name = name
        self.error = error
        self.started = started
        """Whether part of the request had been sent."""


class DownloadWriteError(Exception):
    """The file of a download could not be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _DisconnectError(Exception):
    """Wraps a disconnect, so that aiohttp does not resend the request by itself."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class HttpAdapter:
    """The aiohttp session of a client: opened by the first call, or supplied by the caller."""

    __slots__ = ("_loop", "_opened", "_owned", "_proxies", "_session")

    def __init__(self, session: ClientSession | None) -> None:
        self._session = session
        self._owned = session is None
        self._opened = session is not None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._proxies: Mapping[str, str] = {}

    def check_loop(self) -> None:
        """Raise ConfigError unless the running event loop is that of the client's first call."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise errors.ConfigError(
                "this client was first used in another event loop, which owns its connections. Make one client per "
                "loop (for example inside the coroutine that asyncio.run() runs)"
            )

    def session(self) -> ClientSession:
        """The session, opened on first use. Raises ConfigError when it is closed."""
        self.check_loop()
        if self._session is None:
            if self._opened:
                raise errors.ConfigError("this client is closed; make a new one")
            self._session = self._open()
        if self._session.closed:
            raise errors.ConfigError("the session of this client is closed; make a new client")
        return self._session

    def _open(self) -> ClientSession:
        # Imported here: 172 ms that `import zoho_async` need not pay.
        from urllib.request import getproxies_environment

        import aiohttp

        self._opened = True
        self._proxies = getproxies_environment()
        return aiohttp.ClientSession(
            # No limit: the rate limiter bounds concurrency, and a second queue would hide waits.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Off: a .netrc look-up per request is slow and may send foreign credentials.
            trust_env=False,
            auto_decompress=True,
        )

    def _proxy(self, url: str) -> str | None:
        """The proxy for an address, from the environment at the time the session was opened."""
        if not self._proxies:
            return None
        from urllib.parse import urlsplit
        from urllib.request import proxy_bypass

        parts = urlsplit(url)
        if proxy_bypass(parts.netloc):
            return None
        return self._proxies.get(parts.scheme) or self._proxies.get("all")

    async def send(
        self,
        base: str,
        request: EncodedRequest,
        headers: Mapping[str, str],
        *,
        timeout: float,
        to: IO[bytes] | None = None,
    ) -> HttpResult:
        """Send a request once and read the whole response before the connection is returned to the pool.

        Args:
            base: Scheme, host and optional path of the API.
            request: Method, target and body.
            headers: All headers to send.
            timeout: Seconds without a byte after which the attempt counts as lost.
            to: File to write the body of a successful response to.

        Raises:
            ConfigError: aiohttp refuses to send the request.
            UploadReadError: A file or stream of the caller's could not be read.
            DownloadWriteError: `to` could not be written.
        """
        import aiohttp
        from yarl import URL

        session = self.session()
        # No total: it would include the wait for a connection.
        limit = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=timeout)
        url = base.rstrip("/") + request.target
        own: Sequence[Any] = getattr(session, "_middlewares", None) or ()
        read_errors: list[UploadReadError] = []
        opened = AsyncExitStack()
        try:
            async with session.request(
                request.method,
                URL(url, encoded=True),
                data=_form(request.parts, opened, read_errors) if request.parts else _body(request.body),
                headers=headers,
                allow_redirects=False,
                raise_for_status=False,  # a caller's session may have it on; the error body is needed
                proxy=self._proxy(url),
                timeout=limit,
                middlewares=(*own, _send_once),
            ) as response:
                outcome = AttemptOutcome(
                    sent=SendStatus.RESPONDED, status=response.status, detail=f"HTTP {response.status}"
                )
                if to is None or response.status >= 300:
                    return HttpResult(outcome=outcome, headers=response.headers, body=await response.read())
                start, size = await _save_body(response, to)
                return HttpResult(outcome=outcome, headers=response.headers, body=start, saved=size)
        except ValueError as error:
            # aiohttp refuses, for example, a line break in a header or two sets of credentials.
            raise errors.ConfigError(f"aiohttp will not send this request: {type(error).__name__}") from None
        except (_DisconnectError, aiohttp.ClientError, TimeoutError, OSError) as error:
            if read_errors:
                raise read_errors[0] from None
            return HttpResult(outcome=classify_exception(error.error if isinstance(error, _DisconnectError) else error))
        finally:
            await opened.aclose()

    async def close(self) -> None:
        """Close the session unless the caller supplied it. Closing twice is harmless."""
        session, self._session = self._session, None
        self._opened = True
        if session is not None and self._owned:
            await session.close()


def _body(body: bytes | None) -> bytes | BytesIO | None:
    # aiohttp writes long bytes in one go, which blocks the event loop.
    return BytesIO(body) if body is not None and len(body) > _STREAMED_ABOVE else body


def _form(parts: Sequence[FormPart], opened: AsyncExitStack, read_errors: list[UploadReadError]) -> FormData:
    """A form for one attempt; files are opened and streams started again for each."""
    import aiohttp

    # As browsers do: quoting would percent-encode every non-ASCII name.
    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for part in parts:
        content: Any = part.content
        if callable(content):
            content = _relay(part.name, content, read_errors)
            opened.push_async_callback(_close_stream, content)
        elif isinstance(content, bytes):
            # As a file it is sent in chunks; aiohttp warns about long bytes.
            content = content if part.filename is None else BytesIO(content)
        else:
            try:
                content = opened.enter_context(content.open("rb"))
            except OSError as error:
                read_errors.append(UploadReadError(part.name, error, started=False))
                raise
        if part.filename is None:
            form.add_field(part.name, content.decode())
        else:
            form.add_field(part.name, content, filename=part.filename, content_type=part.content_type)
    return form


async def _relay(
    name: str, start: Callable[..., Any], read_errors: list[UploadReadError]
) -> AsyncGenerator[bytes, None]:
    """A caller's stream, whose errors are kept apart from network errors."""
    stream: Any = None
    try:
        stream = start()
        async for chunk in stream:
            if not isinstance(chunk, bytes):
                raise TypeError(f"the stream must yield bytes, not {type(chunk).__name__}")
            yield chunk
    except Exception as error:
        read_errors.append(UploadReadError(name, error))
        raise
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def _close_stream(stream: AsyncGenerator[bytes, None]) -> None:
    # A running one is cancelled together with the task that writes, and closes itself.
    if not getattr(stream, "ag_running", False):
        await stream.aclose()


async def _save_body(response: ClientResponse, to: IO[bytes]) -> tuple[bytes, int]:
    """Write the body to a file; return its beginning, enough for any error body, and its size."""
    start, size = b"", 0
    async for chunk in response.content.iter_chunked(_DOWNLOAD_CHUNK):
        size += len(chunk)
        start += chunk[: _LONGEST_ERROR_BODY - len(start)]
        await _in_thread(to.write, chunk)
    await _in_thread(to.flush)
    return start, size


async def _in_thread(function: Callable[..., object], *arguments: object) -> None:
    """Run a file operation without blocking the event loop."""
    try:
        await asyncio.to_thread(function, *arguments)
    except OSError as error:
        raise DownloadWriteError(error) from error


async def _send_once(request: ClientRequest, handler: Any) -> ClientResponse:
    """Keep aiohttp from resending a GET, PUT or DELETE by itself on a reused connection that was closed.

    aiohttp resends on its own exception types only, so another type is raised. Every send is then counted by the
    rate limiter and decided by the retry policy.
    """
    import aiohttp

    try:
        response: ClientResponse = await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _DisconnectError(error) from error
    return response


def classify_exception(error: Exception) -> AttemptOutcome:
    """Classify an aiohttp error: not sent, lost in flight, or a configuration error."""
    import aiohttp

    detail = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        # The text names the host and the certificate's defect.
        return AttemptOutcome(sent=SendStatus.MISCONFIGURED, detail=f"{detail}: {error}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # Its text holds the proxy's address, which may contain a password.
        return AttemptOutcome(sent=SendStatus.MISCONFIGURED, detail=f"the proxy refused: HTTP {error.status}")
    if isinstance(error, aiohttp.InvalidURL):
        return AttemptOutcome(
            sent=SendStatus.MISCONFIGURED, detail="invalid address: check api_url and the proxy variables"
        )
    if isinstance(error, aiohttp.ClientConnectorError) and (reason := _file_limit(error)):
        # A limit of this machine, not an outage of the service.
        return AttemptOutcome(sent=SendStatus.MISCONFIGURED, detail=reason)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return AttemptOutcome(sent=SendStatus.NOT_SENT, detail=f"no connection ({detail})")
    if isinstance(error, TimeoutError):
        return AttemptOutcome(sent=SendStatus.LOST, detail="no response in time")
    return AttemptOutcome(sent=SendStatus.LOST, detail=f"connection lost ({detail})")


def _file_limit(error: OSError) -> str:
    """The remedy when a connection failed for lack of file descriptors; empty for any other reason."""
    import aiohttp

    number = error.errno
    if isinstance(error, aiohttp.ClientConnectorDNSError) and number not in _TOO_MANY_FILES:
        # The resolver opens files too, but reports only an unknown host.
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as without:
            number = without.errno
    return _TOO_MANY_FILES.get(number or 0, "")
