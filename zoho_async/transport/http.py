"""One HTTP request and its response. The only module of the client that imports aiohttp."""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from errno import EMFILE, ENFILE
from typing import IO, TYPE_CHECKING, Any, Self

import msgspec

from zoho_async import errors
from zoho_async.wire.decoding import Decoded
from zoho_async.wire.encoding import EncodedRequest

from .bodies import (
    PASSED_ON,
    DownloadWriteError,
    GuardError,
    TooLongError,
    UploadReadError,
    body_of,
    form_of,
    read_body,
    save_body,
)
from .config import host_and_port
from .retry_policy import LOST, MISCONFIGURED, NOT_SENT, RESPONDED, AttemptOutcome
from .watch import WHOLE_RESPONSE, Bounds, Watch, is_closed

if TYPE_CHECKING:
    from aiohttp import ClientRequest, ClientResponse, ClientSession, ClientTimeout, FormData
    from aiohttp.connector import Connection

    from .proxies import Proxies

_PASSED_ON = (DownloadWriteError, GuardError, *PASSED_ON)
_BUFFERED = 32 * 1024
"""Bytes of a body that the event loop takes at once, so that sending them cannot stall."""
_FORBIDDEN = r"[\x00-\x08\x0a-\x1f\x7f]"
"""What aiohttp does not send in a header."""
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

    __repr__ = object.__repr__  # no token or record in a traceback


class _DisconnectError(Exception):
    """Raised from a disconnect, so that aiohttp does not resend the request by itself."""


class _RepeatedError(Exception):
    """The request was about to be sent a second time by aiohttp or a middleware of the caller's session."""


class _ClosedError(Exception):
    """A connection of the pool was closed by the server, before anything of the request was sent."""


class _Attempt(Bounds, kw_only=True):
    """The innermost middleware of one attempt: it notes when the request leaves, and bounds all that follows."""

    adapter: HttpAdapter
    base: str
    request: EncodedRequest
    proxy: str | None
    guards: Sequence[Callable[[], None]]
    left: bool = False
    """Whether the request was handed to a connection."""
    send: Any = None
    """aiohttp's own method, while ours stands in its place."""
    refusal: GuardError | None = None
    """Of a guard; nothing was sent."""

    def __deepcopy__(self, memo: object) -> Self:
        # aioresponses copies what a session is given, and half a copy of an event loop warns.
        return self

    async def __call__(self, request: ClientRequest, handler: Any) -> ClientResponse:
        """Send the request; keep aiohttp from resending a GET, PUT or DELETE by itself after a disconnect.

        aiohttp resends on its own exception types only, so another type is raised. Every send is then counted by the
        rate limiter and decided by the retry policy.
        """
        self.adapter.check_headers(request.headers)
        while True:
            self.send = getattr(request, "send", None)
            if self.send is None:  # another aiohttp: the moment is not known
                self._leave(None)
            else:
                request.send = self._leave  # type: ignore[method-assign, assignment]
            try:
                response: ClientResponse = await handler(request)
                self.answered = True
            except _ClosedError:
                continue
            except Exception as error:
                import aiohttp

                if isinstance(error, aiohttp.ClientOSError | aiohttp.ServerDisconnectedError):
                    raise _DisconnectError from error
                raise
            finally:
                request.__dict__.pop("send", None)  # both would keep the request alive
                self.send = None
            return response

    def _leave(self, connection: Connection | None) -> Any:
        """Send the request. Raises _ClosedError when the connection was closed meanwhile."""
        if self.left:
            # For example after a middleware's own ServerDisconnectedError, on which aiohttp resends.
            raise _RepeatedError
        request, used = self.request, self.adapter.watch.used
        if connection is not None and (transport := connection.transport) is not None:
            protocol = connection.protocol
            if protocol not in used:
                used.add(protocol)
            elif request.method != "GET" and is_closed(transport):
                raise _ClosedError
        if request.body is None:
            self._pass_guards()
        self.left = True
        may_stall = bool(request.parts) or (request.body is not None and len(request.body) > _BUFFERED)
        self.start(connection, may_stall=may_stall)
        self.adapter.watch.add(self)
        return self.send(connection) if connection is not None else None

    async def guarded(self, body: bytes) -> AsyncGenerator[bytes, None]:
        """A body whose guards are called when it is written: on Python 3.11 that is a step of the loop after `send`.

        aiohttp holds the headers back until then.
        """
        self._pass_guards()
        yield body

    def _pass_guards(self) -> None:
        for guard in self.guards:
            try:
                guard()
            except Exception as error:
                self.left = False
                self.refusal = GuardError(error)
                raise self.refusal from error

    def outcome_of(self, error: BaseException) -> AttemptOutcome | None:
        """Classify what the attempt raised; None for an exception of the caller's before the request left."""
        import aiohttp

        cause = (isinstance(error, _DisconnectError) and error.__cause__) or error
        place = host_and_port(self.base)
        if self.expired and isinstance(error, asyncio.CancelledError):
            detail = f"the response of {place} took longer than {WHOLE_RESPONSE * self.timeout:g} s"
            if self.stalled:
                detail = f"{place} took nothing of the request for {self.timeout:g} s"
            elif self.closed:
                detail = "the client was closed"
            return AttemptOutcome(sent=LOST, detail=detail)
        if self.left:
            # Whatever it is, even a connection that a hook could not open: the request may have been executed.
            return AttemptOutcome(sent=LOST, detail=_describe_loss(cause, place))
        if isinstance(cause, errors.ConfigError):
            return AttemptOutcome(sent=MISCONFIGURED, detail=str(cause))
        if isinstance(cause, asyncio.CancelledError):
            return AttemptOutcome(sent=NOT_SENT, detail="aiohttp gave up before the request was sent")
        if isinstance(cause, aiohttp.ClientError | TimeoutError | OSError):
            found = classify_exception(cause, place, host_and_port(self.proxy) if self.proxy else "")
            if found.sent == LOST:
                # A proxy or a hook of the session failed before.
                detail = f"{type(cause).__name__} before anything was sent to {place}"
                return AttemptOutcome(sent=NOT_SENT, detail=detail)
            return found
        if isinstance(cause, ValueError):
            # aiohttp refuses, for example, a line break in a header or two sets of credentials.
            detail = f"aiohttp will not send this request: {type(cause).__name__}"
            return AttemptOutcome(sent=MISCONFIGURED, detail=detail)
        return None


class HttpAdapter:
    """The aiohttp session of a client: opened by the first call, or supplied by the caller."""

    __slots__ = ("_checked", "_loop", "_opened", "_owned", "_proxies", "_session", "_timeout", "_url", "watch")

    def __init__(self, session: ClientSession | None) -> None:
        self._session = session
        self._owned = session is None
        self._opened = session is not None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._proxies: Proxies | None = None
        self._timeout: ClientTimeout | None = None
        self._url: Any = None
        self._checked = ""
        self.watch = Watch()

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
        if self._session is None:
            self.check_loop()
            if self._opened:
                raise errors.ConfigError("this client is closed; make a new one")
            self._session = self._open()
        if not self._owned and self._session.closed:
            raise errors.ConfigError("the session of this client is closed; make a new client")
        return self._session

    def check_headers(self, headers: Mapping[str, str]) -> None:
        """Raise ValueError for a header that cannot be sent; most are those of the request before."""
        # Ours are checked when they are encoded, except for the token.
        text = headers.get("Authorization", "") if self._owned else "".join((*headers, *headers.values()))
        if text != self._checked:
            if not text.isprintable() and re.search(_FORBIDDEN, text):
                raise ValueError("a control character in a header")
            self._checked = text

    def _open(self) -> ClientSession:
        # Imported here: 172 ms that `import zoho_async` need not pay.
        import aiohttp

        from .proxies import Proxies

        self._opened = True
        self._proxies = Proxies()
        return aiohttp.ClientSession(
            # No limit: the rate limiter bounds concurrency, and a second queue would hide waits.
            connector=aiohttp.TCPConnector(limit=0, ttl_dns_cache=300, keepalive_timeout=60),
            cookie_jar=aiohttp.DummyCookieJar(),
            # Off: a .netrc look-up per request is slow and may send foreign credentials.
            trust_env=False,
            auto_decompress=True,
        )

    async def send(
        self,
        base: str,
        request: EncodedRequest,
        headers: Mapping[str, str],
        timeout: float,
        *,
        to: IO[bytes] | None = None,
        guards: Sequence[Callable[[], None]] = (),
    ) -> HttpResult:
        """Send a request once and read the whole response before the connection is returned to the pool.

        Args:
            base: Scheme, host and optional path of the API.
            request: Method, target and body.
            headers: All headers to send.
            timeout: Seconds without a byte after which the attempt counts as lost.
            to: File to write the body of a successful response to.
            guards: Called in the last moment before the request leaves.

        Raises:
            ConfigError: The client or its session is closed, or used in another event loop.
            UnavailableError: A middleware or trace hook of the caller's session raised before the request left.
            UploadReadError: A file or stream of the caller's could not be read.
            DownloadWriteError: `to` could not be written.
            GuardError: A guard raised; nothing was sent.
        """
        session = self.session()
        if self._url is None:
            from yarl import URL

            self._url = URL
        own: Sequence[Any] = getattr(session, "_middlewares", None) or ()
        read_errors: list[UploadReadError] = []
        proxy = None if self._proxies is None else self._proxies.address(base)
        loop = asyncio.get_running_loop()
        task = asyncio.current_task(loop)
        assert task is not None, "a client is used in a task"
        attempt = _Attempt(
            loop, task, task.cancelling(), timeout, adapter=self, base=base, request=request, proxy=proxy, guards=guards
        )
        opened = AsyncExitStack() if request.parts else None
        data: Any = body_of(request.body)
        try:
            if opened is not None:
                data = form_of(_form(), request.parts, opened, read_errors, attempt.extend)
            elif guards and request.body is not None:
                data = attempt.guarded(request.body)
                headers = {**headers, "Content-Length": str(len(request.body))}
            response = await session.request(
                request.method,
                self._url(base.rstrip("/") + request.target, encoded=True),
                data=data,
                headers=headers,
                allow_redirects=False,
                raise_for_status=False,  # a caller's session may have it on; the error body is needed
                proxy=proxy,
                timeout=self._timeout or self._client_timeout(),
                middlewares=(*own, attempt),
            )
            try:
                outcome = AttemptOutcome(sent=RESPONDED, status=response.status)
                if to is None or response.status >= 300:
                    return HttpResult(outcome=outcome, headers=response.headers, body=await read_body(response))
                start, size = await save_body(response, to)
                return HttpResult(outcome=outcome, headers=response.headers, body=start, saved=size)
            finally:
                response.release()
                await response.wait_for_close()
        except BaseException as error:
            if isinstance(error, _PASSED_ON) and (type(error) is not asyncio.CancelledError or attempt.is_cancelled()):
                raise
            if attempt.refusal is not None:
                raise attempt.refusal from attempt.refusal.__cause__
            if read_errors:
                raise read_errors[0] from None
            failed = attempt.outcome_of(error)
            if failed is None:
                detail = f"{type(error).__name__} was raised before the request was sent, by a hook of the session"
                raise errors.UnavailableError(detail) from error
            return HttpResult(outcome=failed)
        finally:
            attempt.left = True  # a task of a middleware may still try to send it
            self.watch.remove(attempt)
            if opened is not None:
                with suppress(Exception):  # of a caller's stream
                    await opened.aclose()

    def _client_timeout(self) -> ClientTimeout:
        import aiohttp

        # No total: it would include the wait for a connection. The rest is watched.
        self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=10)
        return self._timeout

    async def close(self) -> None:
        """Close the session unless the caller supplied it. Closing twice is harmless."""
        session, self._session = self._session, None
        self._opened = True
        if session is not None and self._owned:
            self.watch.close()
            await session.close()


def _form() -> FormData:
    import aiohttp

    # As browsers do: quoting would percent-encode every non-ASCII name.
    return aiohttp.FormData(quote_fields=False, default_to_multipart=True)


def classify_exception(error: Exception, place: str = "", proxy: str = "") -> AttemptOutcome:
    """Classify an aiohttp error: not sent, lost in flight, or a configuration error.

    `place` and `proxy` are host and port; a proxy's address may contain a password.
    """
    import aiohttp

    detail = type(error).__name__
    if isinstance(error, aiohttp.ClientConnectorCertificateError | aiohttp.ClientConnectorSSLError):
        if "WRONG_VERSION_NUMBER" in str(error):
            detail = f"{place} does not speak TLS; an http:// address is allowed on this machine only"
            return AttemptOutcome(sent=MISCONFIGURED, detail=detail)
        # The text names the host and the certificate's defect.
        return AttemptOutcome(sent=MISCONFIGURED, detail=f"{detail}: {error}")
    if isinstance(error, aiohttp.ClientHttpProxyError):
        refused = f"the proxy {proxy} refused" if proxy else "the proxy refused"
        detail = f"{refused} to connect to {place}: HTTP {error.status}"
        return AttemptOutcome(sent=MISCONFIGURED, detail=detail)
    if isinstance(error, aiohttp.InvalidURL):
        return AttemptOutcome(sent=MISCONFIGURED, detail="invalid address: check api_url and the proxy variables")
    if isinstance(error, aiohttp.ClientConnectorError) and (reason := _file_limit(error)):
        # A limit of this machine, not an outage of the service.
        return AttemptOutcome(sent=MISCONFIGURED, detail=reason)
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        if proxy:
            place = f"the proxy {proxy} on the way to {place}"
        elif isinstance(error, aiohttp.ClientConnectorError):
            place = f"{error.host}:{error.port}"
        return AttemptOutcome(sent=NOT_SENT, detail=f"no connection to {place} ({_reason(error)})")
    return AttemptOutcome(sent=LOST, detail=_describe_loss(error, place))


def _reason(error: BaseException) -> str:
    """Why there is no connection, in the system's words."""
    import aiohttp

    if isinstance(error, aiohttp.ClientConnectorDNSError):
        return "the name of the host cannot be resolved"
    if isinstance(error, TimeoutError):
        return "no connection in time"
    # asyncio puts the address in place of the reason.
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else type(error).__name__


def _describe_loss(error: BaseException, place: str) -> str:
    """Why there is no response to a request that has left."""
    import aiohttp

    detail = type(error).__name__
    if isinstance(error, TooLongError):
        return f"the response is longer than {error.bound // 1024**2} MiB"
    if isinstance(error, TimeoutError):
        return f"no response in time from {place}"
    if isinstance(error, _RepeatedError):
        return "aiohttp or a middleware of its session would have sent the request a second time"
    if isinstance(error, aiohttp.ClientResponseError):
        return f"the response of {place} is not valid HTTP ({detail})"
    if isinstance(error, aiohttp.ClientPayloadError):
        return f"the response of {place} ended early or cannot be decompressed ({detail})"
    if isinstance(error, aiohttp.ServerDisconnectedError | OSError):
        return f"connection lost to {place} ({detail})"
    return f"{detail} was raised after the request was sent, by aiohttp or a hook of its session"


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
