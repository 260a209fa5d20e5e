"""The one loop: token, limiter, exchange, verdict."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from contextlib import suppress
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar, overload

from zoho_async import errors
from zoho_async.auth.data_centers import DATA_CENTERS
from zoho_async.auth.token_stores import Token
from zoho_async.schema.operation import Operation, Response
from zoho_async.schema.registry import PRODUCTS
from zoho_async.wire.decoding import Decoded, Decoders
from zoho_async.wire.encoding import Request, build_request, invalid, target
from zoho_async.wire.pagination import Page, Pages

from . import retry_policy
from .call_state import Call
from .config import Settings
from .hooks import DispatchHook, Exhausted, Gatekeeper, Limiters, Limits, Paused, Report
from .http import Answer, DownloadWriteError, HttpAdapter, UploadReadError
from .rate_limiter import ProcessLimiters
from .retry_policy import Action, Outcome, Sent

if TYPE_CHECKING:
    from pathlib import Path

    from aiohttp import ClientSession

T = TypeVar("T")

_NOT_SENT = Report(sent=False)
_SENT = Report(sent=True)


class Shared:
    """What all `with_options()` copies of a client have in common: the session, the limiters, the decoders."""

    __slots__ = ("_chosen", "_source", "budget", "decoders", "exchange", "limiters", "refreshing")

    def __init__(self, session: ClientSession | None, limiters: Limiters | None = None) -> None:
        self.exchange = HttpAdapter(session)
        self._source: Limiters = ProcessLimiters() if limiters is None else limiters
        self.limiters: dict[tuple[str, ...], Gatekeeper] = {}
        self._chosen: dict[tuple[str, ...], Limits] = {}
        self.refreshing: set[asyncio.Future[Token]] = set()
        """Token requests whose callers ran out of time: they are finished all the same, for they are counted."""
        self.decoders = Decoders()
        self.budget = retry_policy.RetryBudget()

    def change_limits(self, key: tuple[str, ...], limits: Limits) -> None:
        """Other limits for an organisation, for everybody who works in it."""
        self._chosen[key] = limits
        for known, limiter in self.limiters.items():
            if known[: len(key)] == key:
                limiter.change(limits)

    def limiter(self, organization: tuple[str, ...], product: str, limits: Limits) -> Gatekeeper:
        """The limiter of one organisation; whoever comes first decides its limits, `change_limits` at any time."""
        limits = self._chosen.get(organization, limits)
        key = (*organization, product) if limits.per_product else organization
        found = self.limiters.get(key)
        if found is None:
            found = self.limiters[key] = self._source.of(key, limits)
        return found

    async def close(self) -> None:
        """Close the session if it is ours, after the token requests under way."""
        await asyncio.gather(*self.refreshing, return_exceptions=True)
        await self.exchange.close()


class Transport:
    """Executes operations under one set of settings."""

    __slots__ = ("settings", "shared")

    def __init__(self, settings: Settings, shared: Shared) -> None:
        self.settings = settings
        self.shared = shared

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
        hook: DispatchHook | None = None,
        priority: bool = False,
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
        hook: DispatchHook | None = None,
        priority: bool = False,
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
        hook: DispatchHook | None = None,
        priority: bool = False,
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
        hook: DispatchHook | None = None,
        priority: bool = False,
    ) -> Response[Any]:
        """Execute one operation; see `Zoho.send`. `hook` and `priority` as in `perform`."""
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
        response = await self.perform(operation, request, type, place, hook, priority)
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
        self,
        operation: Operation[Any],
        request: Request,
        wanted: Any = None,
        to: Path | None = None,
        hook: DispatchHook | None = None,
        priority: bool = False,
    ) -> Response[Any]:
        """Send one request as often as the policy allows. Deciders are in `policy`; here is only the doing.

        `hook` is asked whenever an attempt may start; with one, nothing is sent again that may have acted, not even
        what is marked idempotent. `priority`: its turn comes before that of all who wait, for a write that must follow
        soon upon what was read.
        """
        self.shared.exchange.check_loop()
        call = Call(
            self.settings, operation, self.shared.budget, throttle_count=0 if hook is None else hook.throttle_count
        )
        limiter = self.limiter(operation.product)
        refreshed = False
        while True:
            try:
                token = await call.token(self._token(), self.shared.refreshing)
                permit = await call.with_deadline(limiter.acquire(self.settings.max_wait, priority=priority))
                # It may have been renewed while this call waited its turn.
                token = self.settings.auth.latest(token)
            except Exhausted as error:
                if error.never:
                    raise call.quota_unsatisfiable(error.never) from None
                raise call.quota_exceeded(error.resets_at) from None
            except Paused as error:
                raise call.rate_limit_exceeded(error.seconds) from None
            except errors.UnavailableError as error:
                call.identify(error)
                raise
            report = _NOT_SENT
            try:
                if hook is not None:
                    await hook.before_send()
                report = _SENT
                answer = await call.in_flight(self._attempt(operation, request, token, wanted, to))
                verdict = retry_policy.classify(
                    answer.outcome,
                    repeatable=operation.idempotent and hook is None,
                    deletes=operation.method == "DELETE",
                    repeated=call.maybe_acted,
                )
                report = call.report(answer, verdict)
            except UploadReadError as broken:
                raise call.unreadable(broken) from broken.error
            finally:
                permit.done(report)
            call.note(answer, verdict)
            if verdict.action is Action.DONE:
                self.shared.budget.earn()
                return call.response(answer)
            if hook is not None and verdict.action in (Action.REFRESH, Action.PAUSE, Action.SLOW, Action.RETRY):
                hook.on_rejected()
            if verdict.action is Action.REFRESH and not refreshed:
                refreshed = True
                await call.refresh(self.settings.auth.refresh(token, self.accounts), self.shared.refreshing)
            elif verdict.action in (Action.PAUSE, Action.SLOW):
                await call.apply_throttle(verdict)
            elif verdict.action is Action.RETRY:
                await call.retry(verdict, answer)
            elif verdict.error is errors.QuotaExceededError:
                raise call.quota_exceeded(limiter.quota().resets_at)
            else:
                raise call.failure(verdict, answer)

    def limiter(self, product: str) -> Gatekeeper:
        """The gate of this client's organisation."""
        return self.shared.limiter(self.organization, product, self.settings.limits)

    @property
    def organization(self) -> tuple[str, str]:
        """What tells this client's organisation from all others: where it lives, and its number."""
        return self.settings.api_url or self.settings.data_center, self.settings.organization_id or ""

    def limiters(self) -> list[Gatekeeper]:
        """All gates of this client's organisation: one, or one a product."""
        per_product = self.settings.limits.per_product
        return [self.limiter(product) for product in PRODUCTS] if per_product else [self.limiter("")]

    def api_url(self, token: Token) -> str:
        """Where the API stands: what the caller configured, else what Zoho said with the token, else the table."""
        settings = self.settings
        return settings.api_url or token.api_url or DATA_CENTERS[settings.data_center].api_url

    async def _token(self) -> Token:
        return await self.settings.auth.token(self.accounts)

    @property
    def accounts(self) -> AccountsServer:
        """The accounts server of this client's data centre."""
        return AccountsServer(self)

    async def post(self, base: str, path: str, form: Mapping[str, str]) -> tuple[int, bytes]:
        """One form to an accounts server, once: who asks counts how often, for Zoho does."""
        content = target("", form)[1:].encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        request = Request(method="POST", target=path, headers=headers, body=content)
        answer = await self.shared.exchange.send(base, request, request.headers, timeout=self.settings.timeout)
        outcome = answer.outcome
        if outcome.sent is Sent.ANSWERED and outcome.status < 500:
            return outcome.status, answer.body
        if outcome.sent is Sent.MISCONFIGURED:
            raise errors.ConfigError(f"accounts server: {outcome.detail}")
        raise errors.UnavailableError(f"accounts server: {outcome.detail}", status=outcome.status or None)

    async def _attempt(
        self, operation: Operation[Any], request: Request, token: Token, wanted: Any, to: Path | None
    ) -> Answer:
        headers = {**request.headers, "Authorization": f"Zoho-oauthtoken {token.value}"}
        headers["Accept"] = "*/*" if operation.kind == "file" else "application/json"
        send, base, timeout = self.shared.exchange.send, self.api_url(token), self.settings.timeout
        if to is None:
            return self._judged(operation, wanted, await send(base, request, headers, timeout=timeout))
        # Beside its place, so that the last step is a rename and nothing half-written ever bears the name.
        part = to.with_name(f"{to.name}.part")
        try:
            answer = self._judged(operation, wanted, await send(base, request, headers, timeout=timeout, to=part))
            if answer.outcome.code == 0 and answer.decoded is not None:
                part.replace(to)
                answer.decoded.data, answer.body = to, b""
            return answer
        except DownloadWriteError as broken:
            raise broken.error from None
        finally:
            part.unlink(missing_ok=True)

    def _judged(self, operation: Operation[Any], wanted: Any, answer: Answer) -> Answer:
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
