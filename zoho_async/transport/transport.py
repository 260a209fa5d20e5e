"""The request loop: token, rate limiter, HTTP, retry policy."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any, TypeVar, overload

from zoho_async import errors
from zoho_async.auth.data_centers import DATA_CENTERS
from zoho_async.schema.operation import Operation, Response
from zoho_async.schema.registry import PRODUCTS
from zoho_async.wire.encoding import EncodedRequest, build_request, invalid_request
from zoho_async.wire.pagination import Page, Pages

from .accounts_server import HttpAccountsServer
from .bodies import PASSED_ON, DownloadWriteError, GuardError, UploadReadError, in_thread
from .call_state import CallState
from .config import TransportConfig
from .limits import Exhausted, Paused, Permit, Report
from .responses import decode
from .retry_policy import DONE, PAUSE, REFRESH, RETRY, SLOW, RetryDecision, classify
from .shared_state import SharedState

if TYPE_CHECKING:
    from pathlib import Path

    from zoho_async.auth.token_stores import Token

    from .hooks import DispatchHook, Gatekeeper
    from .http import HttpAdapter, HttpResult

T = TypeVar("T")

_NOT_SENT = Report(sent=False)
_SENT = Report(sent=True)


class Transport:
    """Executes operations under one set of settings."""

    __slots__ = ("accounts", "guards", "organization", "settings", "shared")

    def __init__(
        self, settings: TransportConfig, shared: SharedState, guards: tuple[Callable[[], None], ...] = ()
    ) -> None:
        self.settings = settings
        self.shared = shared
        self.guards = guards
        """Called in the last moment before each attempt; what they raise ends the call unsent."""
        self.accounts = HttpAccountsServer(shared, settings)
        """The accounts server of this client's data center."""
        self.organization = settings.api_url or settings.data_center, settings.organization_id or ""
        """Identifies the organisation: its API address or data center, and its id."""

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
        """Execute one operation; see `Zoho.send`."""
        download_path = None if to is None and type is None else _download_path(operation, type, to)
        organization_id = self.settings.organization_id
        if operation.organization is not None and organization_id is None:
            raise errors.ConfigError(
                f"{operation.id} needs an organization_id: without one Zoho would use the user's default organisation",
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
        response = await self.perform(operation, request, type, download_path, hook, priority)
        if operation.kind == "page":
            page: Page[Any] = response.data
            page.response = response
            page.find_end(query or {})
            if not page.end_known and page.rows:
                self.shared.decoders.count_drift(operation, "page_context.has_more_page")
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
        """The pages of a list operation, each read when it is needed."""
        given = dict(query or {})
        page = str(given.get("page") or 1)
        start = int(page) if page.isdecimal() else 1  # any other value is refused when it is sent

        async def fetch(number: int) -> Page[Any]:
            # The first page is requested with the caller's own value.
            numbered = given if number == start else {**given, "page": number}
            response: Response[Page[Any]] = await self.send(operation, path=path, query=numbered, type=type)
            return response.data

        return Pages(fetch, row_id=operation.row_id, start=start)

    def _check_filter(
        self, operation: Operation[Any], query: Mapping[str, Any] | None, page: Page[Any], response: Response[Any]
    ) -> None:
        requested, applied = (query or {}).get("filter_by"), page.context.applied_filter
        if requested is not None and applied is not None and applied != requested:
            raise errors.InvalidError(
                f"{operation.id}: requested filter_by={requested}, but Zoho applied {applied}",
                faults=[errors.Fault(path="filter_by", rule="applied", message=f"Zoho applied {applied} instead")],
                operation=operation.id,
                organization_id=self.settings.organization_id,
                status=response.status,
                code=response.code,
                sent=True,
                body=response.body,
            )

    async def perform(
        self,
        operation: Operation[Any],
        request: EncodedRequest,
        type: Any = None,
        to: Path | None = None,
        hook: DispatchHook | None = None,
        priority: bool = False,
    ) -> Response[Any]:
        """Send one request until `retry_policy` says that it is done.

        Args:
            operation: What is called.
            request: The encoded request, sent unchanged by every attempt.
            type: Type to decode the result into; None: the operation's own.
            to: File to write a download to.
            hook: Called before each attempt; with one, a request that may have been executed is never sent again,
                even when it is idempotent.
            priority: Whether the call overtakes all that wait for the rate limiter.

        Raises:
            ZohoError: See `zoho_async.errors`.
            OSError: `to` cannot be written.
        """
        http = self.shared.http()
        http.check_loop()
        self.shared.decoders.prepare(operation, type)
        throttle_count = 0 if hook is None else hook.throttle_count
        settings = self.settings
        call = CallState(settings, operation, self.shared.budget, self.shared.sleep, throttle_count)
        if settings.deadline is not None:
            call.deadline = asyncio.get_running_loop().time() + settings.deadline
        limiter = self.limiter(operation.product)
        if self.shared.observer is not None:
            call.observe(self.shared.observer)
        ended: BaseException | None = None
        try:
            while True:
                acquiring = self._acquire(call, limiter, priority)
                token, permit = await (call.timed(acquiring) if call.observed is not None else acquiring)
                result, decision = await self._attempt(http, call, permit, operation, request, token, type, to, hook)
                if decision.action == DONE:
                    self.shared.budget.earn()
                    return call.response(result)
                await self._prepare_retry(call, limiter, token, result, decision, hook)
        except errors.ZohoError as error:
            ended = error
            call.complete(error)
            raise
        except BaseException as error:
            # The one place: once a request has left, only a ZohoError or a cancellation ends the call.
            ended = error
            failure = None if isinstance(error, PASSED_ON) else call.unexpected(error)
            if failure is None:
                raise
            ended = failure
            raise failure from error
        finally:
            if call.observed is not None:
                call.tell_end(ended)

    async def _acquire(self, call: CallState, limiter: Gatekeeper, priority: bool) -> tuple[Token, Permit]:
        """Wait for a token and for the rate limiter."""
        auth = self.settings.auth
        try:
            request = auth.token(self.accounts)
            token = await (request if call.deadline is None else call.token(request, self.shared.token_requests))
            waiting = limiter.acquire(self.settings.max_wait, priority=priority)
            permit: Permit = await (waiting if call.deadline is None else call.with_deadline(waiting))
        except Exhausted as error:
            if error.never:
                raise call.quota_unsatisfiable(error.never) from None
            raise call.quota_exceeded(error.resets_at) from None
        except Paused as error:
            raise call.rate_limit_exceeded(error.seconds) from None
        try:
            # It may have been refreshed during the wait.
            return auth.latest(token), permit
        except BaseException:
            permit.done(_NOT_SENT)
            raise

    async def _attempt(
        self,
        http: HttpAdapter,
        call: CallState,
        permit: Permit,
        operation: Operation[Any],
        request: EncodedRequest,
        token: Token,
        type: Any,
        to: Path | None,
        hook: DispatchHook | None,
    ) -> tuple[HttpResult, RetryDecision]:
        """Send the request once, decide what follows, and report it to the rate limiter."""
        report = _NOT_SENT
        try:
            base = self.api_url(token)
            if hook is not None:
                with call.callers_code():
                    await hook.before_send()
            call.start_attempt()
            report = _SENT
            headers = {**request.headers, "Authorization": f"Zoho-oauthtoken {token.value}"}
            if operation.kind != "any":
                headers["Accept"] = "*/*" if operation.kind == "file" else "application/json"
            guards = self.guards if call.deadline is None else (*self.guards, call.leave)
            if to is None:
                sending = http.send(base, request, headers, self.settings.timeout, guards=guards)
            else:
                sending = self._download(http, operation, request, headers, base, to, guards)
            try:
                result = await (sending if call.deadline is None else call.in_flight(sending))
            except asyncio.CancelledError:
                call.cancelled()
                raise
            if to is None:
                decode(self.shared.decoders, operation, request, type, result)
            decision = classify(
                result.outcome,
                repeatable=operation.idempotent and hook is None,
                deletes=operation.method == "DELETE",
                repeated=call.may_have_executed,
            )
            call.record_attempt(result, decision)
            report = call.report(result, decision)
            return result, decision
        except errors.DeadlineError:
            report = _SENT if call.left else _NOT_SENT
            raise
        except UploadReadError as error:
            raise call.upload_failed(error) from error.error
        except GuardError as error:
            report = _NOT_SENT
            with call.callers_code():
                raise error.error from None
        except DownloadWriteError as error:
            with call.callers_code():
                raise error.error from None
        finally:
            permit.done(report)

    async def _prepare_retry(
        self,
        call: CallState,
        limiter: Gatekeeper,
        token: Token,
        result: HttpResult,
        decision: RetryDecision,
        hook: DispatchHook | None,
    ) -> None:
        """Refresh the token or wait before the next attempt; raise the call's error when there is none."""
        action = decision.action
        if hook is not None and action in _REPEATED:
            with call.callers_code():
                hook.on_rejected()
        if action == REFRESH and not call.refreshed:
            call.refreshed = True
            await call.refresh(self.settings.auth.refresh(token, self.accounts), self.shared.token_requests)
        elif action in (PAUSE, SLOW):
            await call.apply_throttle(decision)
        elif action == RETRY:
            await call.retry(decision, result)
        elif decision.error is errors.QuotaExceededError:
            raise call.quota_exceeded(limiter.quota().resets_at)
        else:
            raise call.failure(decision, result)

    def limiter(self, product: str) -> Gatekeeper:
        """The rate limiter of this client's organisation."""
        return self.shared.limiter(self.organization, product, self.settings.limits)

    def limiters(self) -> list[Gatekeeper]:
        """All rate limiters of this client's organisation: one, or one per product."""
        per_product = self.settings.limits.per_product
        return [self.limiter(product) for product in PRODUCTS] if per_product else [self.limiter("")]

    def api_url(self, token: Token) -> str:
        """The API's address: as configured, else from the token response, else from the data center.

        Raises:
            ConfigError: The token response names a host that is not known.
        """
        settings = self.settings
        if token.unknown_api_url and not settings.api_url:
            raise errors.ConfigError(
                f"the token is for {token.unknown_api_url}, which is no known address of Zoho's API; if it is one, set "
                "api_url",
                organization_id=settings.organization_id,
            )
        return settings.api_url or token.api_url or DATA_CENTERS[settings.data_center].api_url

    async def _download(
        self,
        http: HttpAdapter,
        operation: Operation[Any],
        request: EncodedRequest,
        headers: Mapping[str, str],
        base: str,
        to: Path,
        guards: tuple[Callable[[], None], ...],
    ) -> HttpResult:
        """Send the request once; a file that arrives whole replaces `to`."""
        # Imported late: most programs download nothing.
        from zoho_async._atomic_file import AtomicFile

        part = await in_thread(AtomicFile, to, binary=True)
        try:
            timeout = self.settings.timeout
            result = await http.send(base, request, headers, timeout, to=part.file, guards=guards)
            decode(self.shared.decoders, operation, request, None, result)
            if result.outcome.code == 0 and result.decoded is not None:
                await in_thread(part.commit)
                result.decoded.data, result.body = to, b""
            return result
        finally:
            part.discard()


_REPEATED = (REFRESH, PAUSE, SLOW, RETRY)


def _download_path(operation: Operation[Any], type: Any, to: str | PathLike[str] | None) -> Path | None:
    """The path of a download, checked before a call is made."""
    if operation.kind == "file" and type is not None:
        raise TypeError(f"{operation.id} returns a file, so it takes no type=")
    if to is None:
        return None
    if operation.kind != "file":
        raise TypeError(f"{operation.id} returns no file, so it takes no to=")
    from pathlib import Path

    path = Path(to)
    if path.is_dir() or not path.parent.is_dir():
        what = "is a folder" if path.is_dir() else f"there is no folder {path.parent}"
        raise invalid_request(operation.id, [errors.Fault(path="to", rule="file", message=f"{path}: {what}")])
    return path
