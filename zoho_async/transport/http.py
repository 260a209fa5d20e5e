"""One HTTP exchange: the session, a request out, an answer in. The only module of the client that knows aiohttp."""

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
from zoho_async.wire.encoding import Request
from zoho_async.wire.multipart import Part

from .retry_policy import Outcome, Sent

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientResponse, ClientSession, FormData

_LONGEST_REFUSAL = 64 * 1024
"""Bytes. A download of more than that is a file; of less, it may be a refusal under a good status."""
_CHUNK = 256 * 1024
_PIECE = 512 * 1024
"""Bytes. A longer body is written piece by piece."""
_NO_FILES = {
    EMFILE: "too many open files: raise `ulimit -n`; a push needs about 13, a client about 10 for each organisation "
    "it works in at once",
    ENFILE: "too many open files on this machine, in all its processes together",
}


class Answer(msgspec.Struct, kw_only=True):
    """One attempt: how it ended and, when there was an answer, all of it."""

    outcome: Outcome
    headers: Mapping[str, str] = {}
    body: bytes = b""
    decoded: Decoded | None = None
    saved: int = 0
    """Bytes written to a file in place of `body`."""


class UploadReadError(Exception):
    """A file or stream to be sent failed on this side, so that the request was never finished."""

    def __init__(self, name: str, error: Exception, *, begun: bool = True) -> None:
        super().__init__(str(error))
        self.name = name
        self.error = error
        self.begun = begun
        """Whether a part of the request had left by then."""


class DownloadWriteError(Exception):
    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Broken(Exception):  # noqa: N818 - carries an aiohttp error past aiohttp's own re-sending
    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class HttpAdapter:
    """The session of a client, opened with the first call in the loop that makes it, or handed in by the caller."""

    __slots__ = ("_loop", "_opened", "_owned", "_proxies", "_session")

    def __init__(self, session: ClientSession | None) -> None:
        self._session = session
        self._owned = session is None
        self._opened = session is not None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._proxies: Mapping[str, str] = {}

    def check_loop(self) -> None:
        """ConfigError unless the running event loop is the one this client has been used in from the first."""
        loop = asyncio.get_running_loop()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise errors.ConfigError(
                "this client belongs to another event loop: its connections live there. Make one client per loop "
                "(for example inside the coroutine that asyncio.run() runs)"
            )

    def session(self) -> ClientSession:
        """The session of the running event loop, opened on first use."""
        self.check_loop()
        if self._session is None:
            if self._opened:
                raise errors.ConfigError("this client is closed; make a new one")
            self._session = self._open()
        if self._session.closed:
            raise errors.ConfigError("the session of this client is closed; make a new client")
        return self._session

    def _open(self) -> ClientSession:
        # 172 ms of import: paid by the first call and not by `import zoho_async`.
        from urllib.request import getproxies_environment

        import aiohttp

        self._opened = True
        self._proxies = getproxies_environment()
        return aiohttp.ClientSession(
            # The limiter bounds concurrency; a second bound here would let calls wait for a connection unseen.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            # A .netrc look-up per request costs more than the request, and its credentials are somebody else's.
            trust_env=False,
            auto_decompress=True,
        )

    def _proxy(self, url: str) -> str | None:
        """The proxy for an address, from the environment as it was when the session was opened."""
        if not self._proxies:
            return None
        from urllib.parse import urlsplit
        from urllib.request import proxy_bypass

        parts = urlsplit(url)
        if proxy_bypass(parts.netloc):
            return None
        return self._proxies.get(parts.scheme) or self._proxies.get("all")

    async def send(
        self, base: str, request: Request, headers: Mapping[str, str], *, timeout: float, to: IO[bytes] | None = None
    ) -> Answer:
        """One request, one answer or the lack of one. `timeout`: seconds of silence after which it counts as lost.

        The whole body is read before the connection is given back; with `to` it goes there, unless the status is bad.
        """
        import aiohttp
        from yarl import URL

        session = self.session()
        # No total: it would count the wait for a connection. Silence is what is bounded.
        limit = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=timeout)
        url = base.rstrip("/") + request.target
        own: Sequence[Any] = getattr(session, "_middlewares", None) or ()
        broken: list[UploadReadError] = []
        opened = AsyncExitStack()
        try:
            async with session.request(
                request.method,
                URL(url, encoded=True),
                data=_form(request.parts, opened, broken) if request.parts else _body(request.body),
                headers=headers,
                allow_redirects=False,
                raise_for_status=False,  # a caller's session may have it on; the body says what a status does not
                proxy=self._proxy(url),
                timeout=limit,
                middlewares=(*own, _send_once),
            ) as response:
                outcome = Outcome(sent=Sent.ANSWERED, status=response.status, detail=f"HTTP {response.status}")
                if to is None or response.status >= 300:
                    return Answer(outcome=outcome, headers=response.headers, body=await response.read())
                start, size = await _saved(response, to)
                return Answer(outcome=outcome, headers=response.headers, body=start, saved=size)
        except ValueError as error:
            # aiohttp refuses to write it: credentials in a caller's session beside ours, a line break in a header.
            raise errors.ConfigError(f"aiohttp will not send this request: {type(error).__name__}") from None
        except (_Broken, aiohttp.ClientError, TimeoutError, OSError) as error:
            if broken:
                raise broken[0] from None
            return Answer(outcome=classify_exception(error.error if isinstance(error, _Broken) else error))
        finally:
            await opened.aclose()

    async def close(self) -> None:
        """Close the session if it is ours. Twice is harmless."""
        session, self._session = self._session, None
        self._opened = True
        if session is not None and self._owned:
            await session.close()


def _body(body: bytes | None) -> bytes | BytesIO | None:
    # In pieces: aiohttp would write a long one in one go, and warns that this holds up the event loop.
    return BytesIO(body) if body is not None and len(body) > _PIECE else body


def _form(parts: Sequence[Part], opened: AsyncExitStack, broken: list[UploadReadError]) -> FormData:
    """A form for one attempt: files opened and streams begun afresh."""
    import aiohttp

    # Unquoted names are what browsers send; quoting would percent-encode every name that is not ASCII.
    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for part in parts:
        content: Any = part.content
        if callable(content):
            content = _relayed(part.name, content, broken)
            opened.push_async_callback(_closed, content)
        elif isinstance(content, bytes):
            # As a file it is written piece by piece; aiohttp warns of bytes that are long.
            content = content if part.filename is None else BytesIO(content)
        else:
            try:
                content = opened.enter_context(content.open("rb"))
            except OSError as error:
                broken.append(UploadReadError(part.name, error, begun=False))
                raise
        if part.filename is None:
            form.add_field(part.name, content.decode())
        else:
            form.add_field(part.name, content, filename=part.filename, content_type=part.content_type)
    return form


async def _relayed(name: str, begin: Callable[..., Any], broken: list[UploadReadError]) -> AsyncGenerator[bytes, None]:
    """A caller's stream; what goes wrong in it is the caller's to hear and not the network's."""
    stream: Any = None
    try:
        stream = begin()
        async for chunk in stream:
            if not isinstance(chunk, bytes):
                raise TypeError(f"the stream must give bytes, not {type(chunk).__name__}")
            yield chunk
    except Exception as error:
        broken.append(UploadReadError(name, error))
        raise
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def _closed(stream: AsyncGenerator[bytes, None]) -> None:
    # One that runs is being cancelled together with the task that writes, and unwinds by itself.
    if not getattr(stream, "ag_running", False):
        await stream.aclose()


async def _saved(response: ClientResponse, to: IO[bytes]) -> tuple[bytes, int]:
    """Write the body to a file; its beginning, enough to hold any refusal whole, and its size."""
    start, size = b"", 0
    async for chunk in response.content.iter_chunked(_CHUNK):
        size += len(chunk)
        start += chunk[: _LONGEST_REFUSAL - len(start)]
        await _on_disk(to.write, chunk)
    await _on_disk(to.flush)
    return start, size


async def _on_disk(function: Callable[..., object], *arguments: object) -> None:
    """Do something slow with a file without holding up the event loop."""
    try:
        await asyncio.to_thread(function, *arguments)
    except OSError as error:
        raise DownloadWriteError(error) from error


async def _send_once(request: ClientRequest, handler: Any) -> ClientResponse:
    """Keeps aiohttp from sending a GET, PUT or DELETE again by itself when a reused connection turns out dead.

    It does so on its own errors; under another name they pass. Every send is then counted by the limiter and
    decided by the policy.
    """
    import aiohttp

    try:
        response: ClientResponse = await handler(request)
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        raise _Broken(error) from error
    return response


def classify_exception(error: Exception) -> Outcome:
    """What an aiohttp error means for the request: never sent, lost on the way, or hopeless."""
    import aiohttp

    detail = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        # The text names the host and what is wrong with its certificate, which is what the reader needs.
        return Outcome(sent=Sent.MISCONFIGURED, detail=f"{detail}: {error}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        # Its text holds the proxy's address, and that may hold a password.
        return Outcome(sent=Sent.MISCONFIGURED, detail=f"the proxy refused: HTTP {error.status}")
    if isinstance(error, aiohttp.InvalidURL):
        return Outcome(sent=Sent.MISCONFIGURED, detail="an address is none: look at api_url and the proxy variables")
    if isinstance(error, aiohttp.ClientConnectorError) and (reason := _no_files(error)):
        # Of this machine: a service that is out of order is another matter.
        return Outcome(sent=Sent.MISCONFIGURED, detail=reason)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Outcome(sent=Sent.NEVER, detail=f"no connection ({detail})")
    if isinstance(error, TimeoutError):
        return Outcome(sent=Sent.LOST, detail="no answer in time")
    return Outcome(sent=Sent.LOST, detail=f"connection lost ({detail})")


def _no_files(error: OSError) -> str:
    """What to do when a connection has failed because no file can be opened; empty when it has another reason."""
    import aiohttp

    number = error.errno
    if isinstance(error, aiohttp.ClientConnectorDNSError) and number not in _NO_FILES:
        # Who looks names up has to open files for it, and says only that there is no such name.
        try:
            os.close(os.open(os.devnull, os.O_RDONLY))
        except OSError as without:
            number = without.errno
    return _NO_FILES.get(number or 0, "")
