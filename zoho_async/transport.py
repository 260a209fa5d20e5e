"""The one loop: token, limiter, socket, verdict. The only module of the client that knows aiohttp."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, suppress
from datetime import UTC, datetime, timedelta
from os import PathLike
from typing import TYPE_CHECKING, Any, BinaryIO, TypeVar, overload

import msgspec

from . import errors, policy
from .auth import Auth
from .decoding import Decoded, Decoders
from .encoding import Request, build_request, invalid, target
from .limits import Exhausted, Limiter, Limits, Paused
from .operation import Operation, Response
from .paging import Page, Pages
from .policy import Action, Outcome, Sent, Verdict
from .regions import DATA_CENTERS
from .registry import PRODUCTS
from .stores import Token
from .uploads import Part

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import ClientRequest, ClientResponse, ClientSession, ClientTimeout, FormData

T = TypeVar("T")
E = TypeVar("E", bound=errors.ZohoError)
log = logging.getLogger("zoho_async")

_MOST_REFUSALS = 8
"""How often one call may be refused for a limit before its caller hears of it."""
_LONGEST_REFUSAL = 64 * 1024
"""Bytes. A download of more than that is a file; of less, it may be a refusal under a good status."""
_CHUNK = 256 * 1024


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a client that `with_options()` can change. Meanings: see `Zoho`."""

    auth: Auth
    organization_id: str | None = None
    data_center: str = "us"
    limits: Limits = Limits()
    retries: int = 3
    max_wait: float | None = 120.0
    deadline: float | None = None
    timeout: float = 60.0
    api_url: str | None = None
    accounts_url: str | None = None


class _Answer(msgspec.Struct, kw_only=True):
    """One attempt: how it ended and, when there was an answer, all of it."""

    outcome: Outcome
    headers: Mapping[str, str] = {}
    body: bytes = b""
    decoded: Decoded | None = None
    saved: int = 0
    """Bytes written to a file in place of `body`."""


class _Unreadable(Exception):  # noqa: N818 - told as InvalidError, by the call
    """A file or stream to be sent failed on this side, so that the request was never finished."""

    def __init__(self, name: str, error: Exception, *, begun: bool = True) -> None:
        super().__init__(str(error))
        self.name = name
        self.error = error
        self.begun = begun
        """Whether a part of the request had left by then."""


class _Unwritable(Exception):  # noqa: N818 - carries an OSError of this machine past those of the network
    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class _Broken(Exception):  # noqa: N818 - carries an aiohttp error past aiohttp's own re-sending
    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class Shared:
    """What all `with_options()` copies of a client have in common: the session, the limiters, the decoders."""

    __slots__ = ("_loop", "_opened", "_owned", "_proxies", "_session", "budget", "decoders", "limiters")

    def __init__(self, session: ClientSession | None) -> None:
        self._session = session
        self._owned = session is None
        self._opened = session is not None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._proxies: Mapping[str, str] = {}
        self.limiters: dict[tuple[str, ...], Limiter] = {}
        self.decoders = Decoders()
        self.budget = policy.RetryBudget()

    def session(self) -> ClientSession:
        """The session of the running event loop, opened on first use."""
        loop = asyncio.get_running_loop()
        if self._session is None:
            if self._opened:
                raise errors.ConfigError("this client is closed; make a new one")
            self._session = self._open()
        if self._loop is None:
            self._loop = loop
        elif self._loop is not loop:
            raise errors.ConfigError(
                "this client belongs to another event loop: its connections live there. Make one client per loop "
                "(for example inside the coroutine that asyncio.run() runs)"
            )
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

    def proxy(self, url: str) -> str | None:
        """The proxy for an address, from the environment as it was when the session was opened."""
        if not self._proxies:
            return None
        from urllib.parse import urlsplit
        from urllib.request import proxy_bypass

        parts = urlsplit(url)
        if proxy_bypass(parts.netloc):
            return None
        return self._proxies.get(parts.scheme) or self._proxies.get("all")

    def change_limits(self, key: tuple[str, ...], limits: Limits) -> None:
        """Other limits for an organisation, for everybody who works in it."""
        for known, limiter in self.limiters.items():
            if known[: len(key)] == key:
                limiter.change(limits)

    def limiter(self, key: tuple[str, ...], limits: Limits) -> Limiter:
        """The limiter of one organisation; whoever comes first decides its limits, `change_limits` later."""
        found = self.limiters.get(key)
        if found is None:
            found = self.limiters[key] = Limiter(limits)
        return found

    async def close(self) -> None:
        """Close the session if it is ours. Twice is harmless."""
        session, self._session = self._session, None
        self._opened = True
        if session is not None and self._owned:
            await session.close()


class Transport:
    """Executes operations under one set of settings."""

    __slots__ = ("_timeout", "settings", "shared")

    def __init__(self, settings: Settings, shared: Shared) -> None:
        self.settings = settings
        self.shared = shared
        self._timeout: ClientTimeout | None = None

    # -- the two faces

    @overload
    async def send(
        self,
        operation: Operation[T],
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        type: None = None,
        to: None = None,
    ) -> Response[T]: ...

    @overload
    async def send(
        self,
        operation: Operation[Any],
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        type: Any,
        to: str | PathLike[str] | None = None,
    ) -> Response[Any]: ...

    @overload
    async def send(
        self,
        operation: Operation[bytes],
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        type: None = None,
        to: str | PathLike[str],
    ) -> Response[Path]: ...

    async def send(
        self,
        operation: Operation[Any],
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        type: Any = None,
        to: str | PathLike[str] | None = None,
    ) -> Response[Any]:
        """Execute one operation; see `Zoho.send`."""
        place = _destination(operation, type, to)
        organization_id = self.settings.organization_id
        if operation.organization is not None and organization_id is None:
            raise errors.ConfigError(
                f"{operation.id} needs an organization_id: without one Zoho would silently take the user's default",
                operation=operation.id,
            )
        request = build_request(
            operation,
            root=PRODUCTS[operation.product].root,
            organization_id=organization_id,
            path=path,
            query=query,
            headers=headers,
            body=body,
            files=files,
        )
        response = await self.perform(operation, request, type, place)
        if operation.kind == "page":
            page: Page[Any] = response.data
            page.response = response
            self._check_filter(operation, query, page, response)
        return response

    def pages(
        self,
        operation: Operation[Any],
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        type: Any = None,
    ) -> Pages[Any]:
        """The pages of a list operation, read as they are asked for."""
        given = dict(query or {})
        page = str(given.get("page") or 1)
        start = int(page) if page.isdecimal() else 1  # what is no number is refused when it is sent

        async def fetch(number: int) -> Page[Any]:
            # The first page is asked for in the caller's own words.
            numbered = given if number == start else {**given, "page": number}
            response: Response[Page[Any]] = await self.send(operation, path=path, query=numbered, type=type)
            return response.data

        return Pages(fetch, row_id=operation.row_id, start=start)

    def _check_filter(
        self, operation: Operation[Any], query: Mapping[str, Any] | None, page: Page[Any], response: Response[Any]
    ) -> None:
        wanted, applied = (query or {}).get("filter_by"), page.context.applied_filter
        if wanted is not None and applied is not None and applied != wanted:
            raise errors.InvalidError(
                f"{operation.id}: asked for filter_by={wanted}, Zoho applied {applied}",
                faults=[errors.Fault(path="filter_by", rule="applied", message=f"Zoho applied {applied} instead")],
                operation=operation.id,
                organization_id=self.settings.organization_id,
                status=response.status,
                code=response.code,
                sent=True,
                body=response.body,
            )

    # -- the loop

    async def perform(
        self, operation: Operation[Any], request: Request, wanted: Any = None, to: Path | None = None
    ) -> Response[Any]:
        """Send one request as often as the policy allows. Deciders are in `policy`; here is only the doing."""
        call = _Call(self, operation)
        limiter = self.limiter(operation.product)
        refreshed = False
        while True:
            try:
                token = await call.within(self._token())
                await call.within(limiter.acquire(self.settings.max_wait))
            except Exhausted as error:
                raise call.quota_exceeded(error.resets_at) from None
            except Paused as error:
                raise call.rate_limit_exceeded(error.seconds) from None
            sent = True
            try:
                answer = await call.in_flight(self._attempt(operation, request, token, wanted, to))
                sent = answer.outcome.sent is not Sent.NEVER
                limiter.learn(answer.headers)
            except _Unreadable as broken:
                raise call.unreadable(broken) from broken.error
            finally:
                limiter.release(sent=sent)
            verdict = policy.classify(
                answer.outcome,
                repeatable=operation.idempotent,
                deletes=operation.method == "DELETE",
                repeated=call.maybe_acted,
            )
            call.note(answer, verdict)
            if verdict.action is Action.DONE:
                self.shared.budget.earn()
                limiter.succeeded()
                return call.response(answer)
            if verdict.action is Action.REFRESH and not refreshed:
                refreshed = True
                await call.refresh(token)
            elif verdict.action in (Action.PAUSE, Action.SLOW):
                await call.hold_back(verdict, answer, limiter)
            elif verdict.action is Action.RETRY:
                await call.retry(verdict, answer)
            elif verdict.error is errors.QuotaExceededError:
                raise call.quota_exceeded(limiter.exhaust(call.retry_after(answer)))
            else:
                raise call.failure(verdict, answer)

    def limiter(self, product: str) -> Limiter:
        """The gate of this client's organisation."""
        key = self.organization
        limits = self.settings.limits
        return self.shared.limiter((*key, product) if limits.per_product else key, limits)

    @property
    def organization(self) -> tuple[str, str]:
        """What tells this client's organisation from all others: where it lives, and its number."""
        return self.settings.api_url or self.settings.data_center, self.settings.organization_id or ""

    def limiters(self) -> list[Limiter]:
        """All gates of this client's organisation: one, or one a product."""
        per_product = self.settings.limits.per_product
        return [self.limiter(product) for product in PRODUCTS] if per_product else [self.limiter("")]

    def api_url(self, token: Token) -> str:
        """Where the API stands: what the caller configured, else what Zoho said with the token, else the table."""
        settings = self.settings
        return settings.api_url or token.api_url or DATA_CENTERS[settings.data_center].api_url

    async def _token(self) -> Token:
        return await self.settings.auth.token(self.accounts)

    async def refresh(self, failed: Token) -> Token:
        """A new token in place of a refused one."""
        return await self.settings.auth.refresh(failed, self.accounts)

    @property
    def accounts(self) -> AccountsServer:
        """The accounts server of this client's data centre."""
        return AccountsServer(self)

    async def post(self, base: str, path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        """One form to an accounts server, repeated once when it was not answered."""
        content = target("", form)[1:].encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        request = Request(method="POST", target=path, headers=headers, body=content)
        for chance in (True, False):
            answer = await self._exchange(base, request, request.headers)
            outcome = answer.outcome
            if outcome.sent is Sent.ANSWERED and outcome.status < 500:
                return outcome.status, answer.body
            if outcome.sent is Sent.MISCONFIGURED:
                raise errors.ConfigError(f"accounts server: {outcome.detail}", operation=path)
            if chance:
                await asyncio.sleep(policy.retry_delay(1, _chance()))
        raise errors.UnavailableError(f"accounts server: {outcome.detail}", operation=path, status=outcome.status)

    async def _attempt(
        self, operation: Operation[Any], request: Request, token: Token, wanted: Any, to: Path | None
    ) -> _Answer:
        headers = {**request.headers, "Authorization": f"Zoho-oauthtoken {token.value}"}
        headers["Accept"] = "*/*" if operation.kind == "file" else "application/json"
        if to is None:
            return self._judged(operation, wanted, await self._exchange(self.api_url(token), request, headers))
        # Beside its place, so that the last step is a rename and nothing half-written ever bears the name.
        part = to.with_name(f"{to.name}.part")
        try:
            answer = self._judged(operation, wanted, await self._exchange(self.api_url(token), request, headers, part))
            if answer.outcome.code == 0 and answer.decoded is not None:
                part.replace(to)
                answer.decoded.data, answer.body = to, b""
            return answer
        except _Unwritable as broken:
            raise broken.error from None
        finally:
            part.unlink(missing_ok=True)

    def _judged(self, operation: Operation[Any], wanted: Any, answer: _Answer) -> _Answer:
        """The same attempt, its answer decoded."""
        if answer.outcome.sent is not Sent.ANSWERED:
            return answer
        status = answer.outcome.status
        content_type = answer.headers.get("Content-Type", "")
        charset = _charset(content_type)
        if status < 300 and operation.kind == "file":
            decoded = self.shared.decoders.file(
                None if answer.saved > len(answer.body) else answer.body,
                media_type=content_type.partition(";")[0].strip().lower(),
                named="Content-Disposition" in answer.headers,
                charset=charset,
            )
        elif status < 300:
            decoded = self.shared.decoders.decode(operation, wanted, answer.body, charset)
        else:
            decoded = self.shared.decoders.brief(answer.body, charset)
        answer.decoded = decoded
        answer.outcome = Outcome(sent=Sent.ANSWERED, status=status, code=decoded.code, detail=_told(status, decoded))
        return answer

    async def _exchange(
        self, base: str, request: Request, headers: Mapping[str, str], to: Path | None = None
    ) -> _Answer:
        """One request, one answer or the lack of one. The whole body is read before the connection is given back;
        with `to` it goes there, unless the status is bad.
        """
        import aiohttp
        from yarl import URL

        session = self.shared.session()
        if self._timeout is None:
            # No total: it would count the wait for a connection. Silence is what is bounded.
            self._timeout = aiohttp.ClientTimeout(total=None, sock_connect=10, sock_read=self.settings.timeout)
        url = base.rstrip("/") + request.target
        own: Sequence[Any] = getattr(session, "_middlewares", None) or ()
        broken: list[_Unreadable] = []
        opened = AsyncExitStack()
        try:
            async with session.request(
                request.method,
                URL(url, encoded=True),
                data=_form(request.parts, opened, broken) if request.parts else request.body,
                headers=headers,
                allow_redirects=False,
                proxy=self.shared.proxy(url),
                timeout=self._timeout,
                middlewares=(*own, _send_once),
            ) as response:
                outcome = Outcome(sent=Sent.ANSWERED, status=response.status, detail=f"HTTP {response.status}")
                if to is None or response.status >= 300:
                    return _Answer(outcome=outcome, headers=response.headers, body=await response.read())
                start, size = await _saved(response, to)
                return _Answer(outcome=outcome, headers=response.headers, body=start, saved=size)
        except (_Broken, aiohttp.ClientError, TimeoutError, OSError) as error:
            if broken:
                raise broken[0] from None
            return _Answer(outcome=_trouble(error.error if isinstance(error, _Broken) else error))
        finally:
            await opened.aclose()


def _destination(operation: Operation[Any], wanted: Any, to: str | PathLike[str] | None) -> Path | None:
    """Where a download goes, checked before a call is spent."""
    if operation.kind == "file" and wanted is not None:
        raise TypeError(f"{operation.id} gives a file, which has no type=")
    if to is None:
        return None
    if operation.kind != "file":
        raise TypeError(f"{operation.id} gives no file, so it takes no to=")
    from pathlib import Path

    place = Path(to)
    if place.is_dir() or not place.parent.is_dir():
        what = "is a folder" if place.is_dir() else f"there is no folder {place.parent}"
        raise invalid(operation.id, [errors.Fault(path="to", rule="file", message=f"{place}: {what}")])
    return place


def _form(parts: Sequence[Part], opened: AsyncExitStack, broken: list[_Unreadable]) -> FormData:
    """A form for one attempt: files opened and streams begun afresh."""
    import aiohttp

    # Unquoted names are what browsers send; quoting would percent-encode every name that is not ASCII.
    form = aiohttp.FormData(quote_fields=False, default_to_multipart=True)
    for part in parts:
        content: Any = part.content
        if callable(content):
            content = _relayed(part.name, content, broken)
            opened.push_async_callback(_closed, content)
        elif not isinstance(content, bytes):
            try:
                content = opened.enter_context(content.open("rb"))
            except OSError as error:
                broken.append(_Unreadable(part.name, error, begun=False))
                raise
        if part.filename is None:
            form.add_field(part.name, content.decode())
        else:
            form.add_field(part.name, content, filename=part.filename, content_type=part.content_type)
    return form


async def _relayed(name: str, begin: Callable[..., Any], broken: list[_Unreadable]) -> AsyncGenerator[bytes, None]:
    """A caller's stream; what goes wrong in it is the caller's to hear and not the network's."""
    stream: Any = None
    try:
        stream = begin()
        async for chunk in stream:
            if not isinstance(chunk, bytes):
                raise TypeError(f"the stream must give bytes, not {type(chunk).__name__}")
            yield chunk
    except Exception as error:
        broken.append(_Unreadable(name, error))
        raise
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def _closed(stream: AsyncGenerator[bytes, None]) -> None:
    # One that runs is being cancelled together with the task that writes, and unwinds by itself.
    if not getattr(stream, "ag_running", False):
        await stream.aclose()


async def _saved(response: ClientResponse, to: Path) -> tuple[bytes, int]:
    """Write the body to a file; its beginning, enough to hold any refusal whole, and its size."""
    start, size = b"", 0
    file = _opened(to)
    try:
        async for chunk in response.content.iter_chunked(_CHUNK):
            size += len(chunk)
            start += chunk[: _LONGEST_REFUSAL - len(start)]
            await _on_disk(file.write, chunk)
        await _on_disk(file.close)
    finally:
        with suppress(OSError):
            file.close()
    return start, size


def _opened(place: Path) -> BinaryIO:
    try:
        return place.open("wb")
    except OSError as error:
        raise _Unwritable(error) from error


async def _on_disk(function: Callable[..., object], *arguments: object) -> None:
    """Do something slow with a file without holding up the event loop."""
    try:
        await asyncio.to_thread(function, *arguments)
    except OSError as error:
        raise _Unwritable(error) from error


def _chance() -> float:
    # A millisecond of import, for those who meet trouble.
    from random import random

    return random()


class AccountsServer:
    """Where tokens come from, as `auth` sees it."""

    __slots__ = ("_transport",)

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    @property
    def others(self) -> Sequence[str]:
        """Data centres that could be meant instead; none when the caller said where the accounts server stands."""
        settings = self._transport.settings
        return () if settings.accounts_url else [name for name in DATA_CENTERS if name != settings.data_center]

    async def __call__(self, path: str, form: Mapping[str, str], data_center: str | None = None) -> tuple[int, bytes]:
        """Posts a form; returns status and body."""
        settings = self._transport.settings
        base = settings.accounts_url or DATA_CENTERS[data_center or settings.data_center].accounts_url
        return await self._transport.post(base, path, form)


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


def _trouble(error: Exception) -> Outcome:
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
    if isinstance(error, aiohttp.ClientConnectorError | aiohttp.ConnectionTimeoutError):
        return Outcome(sent=Sent.NEVER, detail=f"no connection ({detail})")
    if isinstance(error, TimeoutError):
        return Outcome(sent=Sent.LOST, detail="no answer in time")
    return Outcome(sent=Sent.LOST, detail=f"connection lost ({detail})")


def _charset(content_type: str) -> str | None:
    _, _, rest = content_type.partition("charset=")
    name = rest.split(";")[0].strip().strip('"')
    if not name:
        return None
    with suppress(LookupError):
        "".encode(name)
        return name
    return None


def _told(status: int, decoded: Decoded) -> str:
    if decoded.code is None:
        return f"HTTP {status} without a result code"
    return f"HTTP {status} code {decoded.code}"


class _Call:
    """One call on its way: its deadline, its attempts, and the errors that tell of them."""

    __slots__ = (
        "_attempts",
        "_begun",
        "_deadline",
        "_failures",
        "_last",
        "_loop",
        "_operation",
        "_refusals",
        "_sent",
        "_transport",
        "maybe_acted",
    )

    def __init__(self, transport: Transport, operation: Operation[Any]) -> None:
        self._transport = transport
        self._operation = operation
        self._loop = asyncio.get_running_loop()
        seconds = transport.settings.deadline
        self._deadline = None if seconds is None else self._loop.time() + seconds
        self._attempts: list[str] = []
        self._begun = 0.0
        self._failures = 0
        self._refusals = 0
        self._last: _Answer | None = None
        self._sent: bool | None = False
        self.maybe_acted = False

    # -- waiting

    async def within(self, waiting: Any) -> Any:
        """Await something that sends nothing, up to the deadline."""
        if self._deadline is None:
            return await waiting
        try:
            async with asyncio.timeout_at(self._deadline):
                return await waiting
        except TimeoutError:
            raise self._overdue() from None

    async def in_flight(self, attempt: Any) -> _Answer:
        """Await an attempt. Past the deadline or when cancelled, a write's outcome is unknown."""
        self._begun = self._loop.time()
        try:
            if self._deadline is None:
                answer: _Answer = await attempt
            else:
                async with asyncio.timeout_at(self._deadline):
                    answer = await attempt
        except TimeoutError:
            self._attempts.append("the deadline passed while the request was under way")
            self._sent = None
            if self._operation.idempotent:
                raise self._overdue() from None
            raise self._error(errors.OutcomeUnknownError, self._look()) from None
        except asyncio.CancelledError:
            if not self._operation.reads:
                log.warning(
                    "%s was cancelled while under way: nobody can say whether it took effect",
                    self._operation.id,
                    extra=self._extra(duration=self._loop.time() - self._begun),
                )
            raise
        if answer.outcome.sent is Sent.LOST:
            self._sent = None
        elif answer.outcome.sent is Sent.ANSWERED and self._sent is not None:
            self._sent = True
        if answer.outcome.sent is Sent.LOST or answer.outcome.status >= 500:
            self.maybe_acted = True
        return answer

    async def _sleep(self, seconds: float) -> None:
        await self.within(asyncio.sleep(seconds))

    async def refresh(self, token: Token) -> None:
        """Get another token. A refusal of that is told together with what led to it."""
        try:
            await self.within(self._transport.refresh(token))
        except errors.AuthError as error:
            raise self._auth_error(f"{error}") from error

    async def hold_back(self, verdict: Verdict, answer: _Answer, limiter: Limiter) -> None:
        """Zoho refused for a limit: hold the organisation back, or this call alone, and come again."""
        self._refusals += 1
        floor = self.retry_after(answer)
        settings = self._transport.settings
        if verdict.action is Action.SLOW:
            limiter.slow_down()
            seconds = policy.slow_delay(self._refusals, _chance(), floor)
        else:
            seconds = policy.pause_delay(self._refusals, floor)
            limiter.pause(seconds)
        too_long = settings.max_wait is not None and seconds > settings.max_wait
        if too_long or self._refusals > _MOST_REFUSALS:
            raise self.rate_limit_exceeded(seconds)
        self._log_wait(seconds)
        # A pause is waited for in the limiter, together with everybody else of the organisation.
        if verdict.action is Action.SLOW:
            await self._sleep(seconds)

    async def retry(self, verdict: Verdict, answer: _Answer) -> None:
        """Wait before the next attempt, or raise when there may be none."""
        self._failures += 1
        if self._failures > self._transport.settings.retries:
            raise self.failure(verdict, answer)
        if not self._transport.shared.budget.spend():
            self._attempts.append("no retry left in the budget of all calls")
            raise self.failure(verdict, answer)
        seconds = policy.retry_delay(self._failures, _chance(), self.retry_after(answer))
        self._log_wait(seconds)
        await self._sleep(seconds)

    def retry_after(self, answer: _Answer) -> float | None:
        """Seconds Zoho asks to wait, when it says so."""
        return policy.retry_after(answer.headers.get("Retry-After"), datetime.now(UTC))

    def _log_wait(self, seconds: float) -> None:
        log.info(
            "%s: %s; again in %.1f s", self._operation.id, self._attempts[-1], seconds, extra=self._extra(wait=seconds)
        )

    def _extra(self, **more: Any) -> dict[str, Any]:
        """What a log record carries besides its words: ids and numbers, never a value of the request."""
        return {
            "operation": self._operation.id,
            "organization_id": self._transport.settings.organization_id,
            "attempt": len(self._attempts),
            "status": self._last.outcome.status or None if self._last is not None else None,
            **more,
        }

    # -- results

    def note(self, answer: _Answer, verdict: Verdict) -> None:
        """Remember one attempt."""
        self._last = answer
        self._attempts.append(answer.outcome.detail or verdict.action.name.lower())
        if log.isEnabledFor(logging.DEBUG):
            seconds = self._loop.time() - self._begun
            log.debug(
                "%s: %s in %.3f s", self._operation.id, self._attempts[-1], seconds, extra=self._extra(duration=seconds)
            )

    def response(self, answer: _Answer) -> Response[Any]:
        """The answer of a call that succeeded. Raises DecodeError when it cannot be read."""
        decoded = answer.decoded
        assert decoded is not None, "an answer that was decided upon has been decoded"
        if decoded.missing and not answer.outcome.code:
            raise self._error(
                errors.DecodeError, f"the call succeeded, but its answer cannot be read: {decoded.missing}"
            )
        return Response(
            status=answer.outcome.status,
            headers=answer.headers,
            body=answer.body,
            code=decoded.code,
            message=decoded.message,
            data=decoded.data,
            attempts=len(self._attempts),
        )

    def failure(self, verdict: Verdict, answer: _Answer) -> errors.ZohoError:
        """The error for a verdict that allows no other attempt."""
        kind, outcome = verdict.error, answer.outcome
        if verdict.action is Action.REFRESH:
            return self._scope_error()
        if kind is errors.OutcomeUnknownError:
            return self._error(kind, self._look())
        message = answer.decoded.message if answer.decoded is not None else None
        text = f"{message} ({outcome.detail})" if message else outcome.detail
        if 300 <= outcome.status < 400:
            text = f"{outcome.detail}: a redirect, which is never followed with a token; check api_url"
        return self._error(kind, text)

    def _look(self) -> str:
        how = "look whether it took effect before sending it again"
        return f"{self._attempts[-1]}; nobody can say whether Zoho acted: {how}"

    def quota_exceeded(self, resets_at: datetime | None) -> errors.QuotaExceededError:
        """The day is used up, as Zoho says or as the limiter knows."""
        until = f" until {resets_at:%Y-%m-%d %H:%M:%S %Z}" if resets_at else ""
        return errors.QuotaExceededError(
            f"{self._operation.id}: the calls of the day are used up{until}",
            resets_at=resets_at,
            **self._details(),
        )

    def rate_limit_exceeded(self, seconds: float) -> errors.RateLimitError:
        """The organisation is held back for longer than this client waits."""
        return errors.RateLimitError(
            f"{self._operation.id}: Zoho holds the organisation back for {seconds:.0f} s",
            retry_at=datetime.now(UTC) + timedelta(seconds=seconds),
            **self._details(),
        )

    def unreadable(self, broken: _Unreadable) -> errors.InvalidError:
        """Something to be sent could not be read to its end: the request was left unfinished, nobody acted on it."""
        message = f"cannot be read: {broken.error}"
        self._attempts.append("left unfinished")
        if broken.begun:
            self._sent = None
        return errors.InvalidError(
            f"{self._operation.id}: {broken.name}: {message}",
            faults=[errors.Fault(path=broken.name, rule="file", message=message)],
            **self._details(),
        )

    def _auth_error(self, reason: str) -> errors.AuthError:
        scope = self._operation.scope
        text = (
            f"{self._operation.id}: {reason}. Zoho gives the same answer for a dead token and for a missing scope; "
            f"this operation needs the scope {scope or '(unknown)'}"
        )
        return errors.AuthError(text, **self._details())

    def _scope_error(self) -> errors.AuthError:
        if self._last is None or self._last.outcome.code != 57:
            return self._auth_error("a fresh token was refused as well")
        scope = self._operation.scope
        text = (
            f"{self._operation.id}: a fresh token was refused as well (code 57): it most likely lacks the scope "
            f"{scope or '(unknown)'}, for which the same answer is given as for a dead token; ask for a refresh token "
            "with that scope"
        )
        return errors.ScopeError(text, scope=scope, **self._details())

    def _overdue(self) -> errors.DeadlineError:
        return self._error(errors.DeadlineError, f"the deadline of {self._transport.settings.deadline} s passed")

    def _error(self, kind: type[E], text: str) -> E:
        return kind(f"{self._operation.id}: {text}", **self._details())

    def _details(self) -> dict[str, Any]:
        last = self._last
        return {
            "operation": self._operation.id,
            "organization_id": self._transport.settings.organization_id,
            "status": last.outcome.status or None if last is not None else None,
            "code": last.outcome.code if last is not None else None,
            "message": last.decoded.message if last is not None and last.decoded is not None else None,
            "sent": self._sent,
            "attempts": self._attempts,
            "body": last.body if last is not None else b"",
        }
