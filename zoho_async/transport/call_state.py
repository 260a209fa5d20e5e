"""The state of one call: its deadline, its attempts, and the error or response it ends with."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine, Generator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from time import time
from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from zoho_async import errors
from zoho_async.schema.operation import Operation, Response

from . import retry_policy
from .bodies import UploadReadError
from .config import TransportConfig
from .limits import Report
from .retry_policy import DONE, FAIL, LOST, NOT_SENT, PAUSE, REFRESH, RESPONDED, RETRY, SLOW, RetryDecision

if TYPE_CHECKING:
    from zoho_async.auth.token_stores import Token

    from .hooks import CallObserver, ObservedCall
    from .http import HttpResult

_LONGEST_MESSAGE = 1000
"""Characters of Zoho's message in an error's text."""

E = TypeVar("E", bound=errors.ZohoError)
T = TypeVar("T")
log = logging.getLogger("zoho_async")

_MAX_THROTTLES = 8
"""How often one call may be refused for a rate limit before it fails."""


_REFUSED = (FAIL, REFRESH, PAUSE, SLOW)
"""Actions after an attempt that was not executed."""


class CallState(msgspec.Struct, eq=False):
    """One call: its deadline, its attempts, and the errors that describe them."""

    settings: TransportConfig
    operation: Operation[Any]
    budget: retry_policy.RetryBudget
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    throttle_count: int = 0
    deadline: float | None = None
    """Of the loop's clock."""
    observed: ObservedCall | None = None
    attempts: list[str] = []
    started: float = 0.0
    sent_at: float = 0.0
    failures: int = 0
    held_s: float = 0.0
    last: HttpResult | None = None
    sent: bool | None = False
    uncertain: bool = False
    """Whether the last attempt may have been executed."""
    left: bool = False
    """Whether the request of the last attempt has left, so far as `leave` was called for it."""
    callers_error: Exception | None = None
    may_have_executed: bool = False
    """Whether an attempt so far may have been executed without a usable response."""
    refreshed: bool = False
    """Whether the token has been refreshed for this call."""

    __repr__ = object.__repr__  # no response in a traceback

    # -- observing

    def observe(self, observer: CallObserver) -> None:
        """Tell an observer of the call from now on."""
        self.observed = observer.started(self.operation, self.settings.organization_id)

    def tell_end(self, error: BaseException | None) -> None:
        """Tell the observer how the call ended."""
        if self.observed is not None:
            with suppress(Exception):
                self.observed.ended(error)

    async def timed(self, waiting: Awaitable[T]) -> T:
        """Await something, and tell the observer how long it took."""
        started = _now()
        try:
            return await waiting
        finally:
            with suppress(Exception):
                if self.observed is not None:
                    self.observed.waited(_now() - started)

    # -- waiting

    async def with_deadline(self, waiting: Any) -> Any:
        """Await something that sends no request of the API, up to the deadline."""
        if self.deadline is None:
            return await waiting
        try:
            async with asyncio.timeout_at(self.deadline):
                return await waiting
        except TimeoutError:
            raise self._deadline_error() from None

    async def token(self, request: Coroutine[Any, Any, Token], unfinished: set[asyncio.Future[Token]]) -> Token:
        """Await a token up to the deadline. The request itself is completed even after it: Zoho counts every token
        request, so ten abandoned ones would lock the refresh token.
        """
        if self.deadline is None:
            return await request
        task = asyncio.ensure_future(request)
        unfinished.add(task)
        task.add_done_callback(unfinished.discard)
        token: Token = await self.with_deadline(asyncio.shield(task))
        return token

    def complete(self, error: errors.ZohoError) -> None:
        """Name this call in an error of the token, the rate limiter or a hook, and what became of its attempts."""
        error.operation = error.operation or self.operation.id
        error.organization_id = error.organization_id or self.settings.organization_id
        error.attempts = error.attempts or tuple(self.attempts)
        if self.sent is None:
            error.sent = None

    def start_attempt(self) -> None:
        """An attempt begins. Raises DeadlineError when there is no time left for it."""
        self.started = _now()
        self.sent_at = time()
        self.left = False
        if self.deadline is not None and self.started >= self.deadline:
            raise self._deadline_error()

    def leave(self) -> None:
        """The request leaves now."""
        self.left = True

    async def in_flight(self, attempt: Awaitable[HttpResult]) -> HttpResult:
        """Await an attempt up to the deadline. After it the outcome of a write that has left is unknown."""
        try:
            async with asyncio.timeout_at(self.deadline):
                return await attempt
        except TimeoutError:
            if not self.left:
                raise self._deadline_error() from None
            self.attempts.append("the deadline passed while the request was in flight")
            self.sent = None
            if self.operation.idempotent:
                raise self._deadline_error() from None
            raise self._error(errors.OutcomeUnknownError, self._outcome_unknown(self.attempts[-1])) from None

    def cancelled(self) -> None:
        """The call was cancelled while an attempt was in flight: the outcome of a write is unknown."""
        if not self.operation.reads:
            self._log(
                logging.WARNING,
                "%s was cancelled in flight: its outcome is unknown",
                duration=_now() - self.started,
            )

    async def refresh(self, request: Coroutine[Any, Any, Token], unfinished: set[asyncio.Future[Token]]) -> None:
        """Await another token. When it is refused, the error describes the refused call as well."""
        try:
            await self.token(request, unfinished)
        except errors.AuthError as error:
            raise self._auth_error(f"{error}") from error

    def report(self, result: HttpResult, decision: RetryDecision) -> Report:
        """What the rate limiter learns from an attempt; also sets how long a throttled call waits."""
        headers = result.headers
        if decision.action == DONE:
            return Report(sent=True, headers=headers, decision="done")
        sent = result.outcome.sent != NOT_SENT
        if decision.action in (SLOW, PAUSE):
            self.throttle_count += 1
            floor = self.retry_after(result)
            if decision.action == SLOW:
                self.held_s = retry_policy.slow_delay(self.throttle_count, random_fraction(), floor)
                return Report(sent=sent, headers=headers, decision="slow")
            self.held_s = retry_policy.pause_delay(self.throttle_count, floor)
            return Report(sent=sent, headers=headers, decision="throttled", seconds=self.held_s)
        if decision.error is errors.QuotaExceededError:
            return Report(sent=sent, headers=headers, decision="exhausted", seconds=self.retry_after(result))
        return Report(sent=sent, headers=headers)

    async def apply_throttle(self, decision: RetryDecision) -> None:
        """Wait after a rate limit that the rate limiter was informed of; raise when the wait is too long."""
        seconds = self.held_s
        too_long = self.settings.max_wait is not None and seconds > self.settings.max_wait
        if too_long or self.throttle_count > _MAX_THROTTLES:
            raise self.rate_limit_exceeded(seconds)
        self._log_wait(seconds)
        # A pause is waited for in the rate limiter, with all other calls of the organisation.
        if decision.action == SLOW:
            await self.timed(self.with_deadline(self.sleep(seconds)))

    async def retry(self, decision: RetryDecision, result: HttpResult) -> None:
        """Wait before the next attempt; raise when none is allowed."""
        self.failures += 1
        if self.failures > self.settings.retries:
            raise self.failure(decision, result)
        if not self.budget.spend():
            self.attempts.append("the client's retry budget is used up")
            raise self.failure(decision, result)
        floor, max_wait = self.retry_after(result), self.settings.max_wait
        if floor is not None and max_wait is not None and floor > max_wait:
            self.attempts.append(f"Retry-After is {floor:.0f} s")
            raise self.failure(decision, result)
        seconds = retry_policy.retry_delay(self.failures, random_fraction(), floor)
        self._log_wait(seconds)
        await self.timed(self.with_deadline(self.sleep(seconds)))

    def retry_after(self, result: HttpResult) -> float | None:
        """Seconds in the response's Retry-After header; None without one."""
        headers = result.headers
        return retry_policy.retry_after(headers.get("Retry-After"), datetime.now(UTC), headers.get("Date"))

    # -- errors that are not Zoho's

    @contextmanager
    def callers_code(self) -> Generator[None]:
        """Let exceptions of the caller's hook or file end the call unchanged."""
        try:
            yield
        except Exception as error:
            self.callers_error = error
            raise

    def unexpected(self, error: BaseException) -> errors.ZohoError | None:
        """The error of a call in which something else than Zoho failed; None when its exception is raised unchanged."""
        if self.sent is False or error is self.callers_error:
            return None
        reason = f"{type(error).__name__} was raised by the client after a request was sent"
        self.attempts.append(reason)
        if self.uncertain and not self.operation.reads:
            self.sent = None
        if self.operation.idempotent or not self.uncertain:
            return self._error(errors.UnavailableError, reason)
        return self._error(errors.OutcomeUnknownError, self._outcome_unknown(reason))

    # -- logging

    def _log(self, level: int, text: str, *values: object, **more: Any) -> None:
        # An exception of a filter or handler must not change how the call ends.
        with suppress(Exception):
            log.log(level, text, self.operation.id, *values, extra=self._extra(**more))

    def _log_wait(self, seconds: float) -> None:
        self._log(logging.INFO, "%s: %s; retry in %.1f s", self.attempts[-1], seconds, wait=seconds)

    def _extra(self, **more: Any) -> dict[str, Any]:
        """Fields of a log record: ids and numbers, never a value of the request."""
        return {
            "operation": self.operation.id,
            "organization_id": self.settings.organization_id,
            "attempt": len(self.attempts),
            "status": self.last.outcome.status or None if self.last is not None else None,
            **more,
        }

    def record_attempt(self, result: HttpResult, decision: RetryDecision) -> None:
        """Remember and log one attempt."""
        self.last = result
        action, sent = decision.action, result.outcome.sent
        self.attempts.append(errors.printable(result.outcome.detail or action))
        self.uncertain = action == DONE or (action not in _REFUSED and sent in (LOST, RESPONDED))
        if sent == LOST:
            self.sent = None
        elif sent == RESPONDED and self.sent is not None:
            self.sent = True
        if action == RETRY and sent != NOT_SENT:
            self.may_have_executed = True
            if not self.operation.reads:
                self.sent = None
        if self.observed is not None:
            with suppress(Exception):
                seconds = _now() - self.started
                self.observed.attempted(self.attempts[-1], result.outcome.status, seconds, result.headers)
        if log.isEnabledFor(logging.DEBUG):
            seconds = _now() - self.started
            self._log(logging.DEBUG, "%s: %s in %.3f s", self.attempts[-1], seconds, duration=seconds)

    # -- results

    def response(self, result: HttpResult) -> Response[Any]:
        """The response of a call that succeeded. Raises DecodeError when it lacks its result."""
        decoded = result.decoded
        assert decoded is not None, "only a decoded response is classified as done"
        if decoded.missing and not result.outcome.code:
            raise self._error(
                errors.DecodeError, f"the call succeeded, but its response cannot be decoded: {decoded.missing}"
            )
        return Response(
            status=result.outcome.status,
            headers=result.headers,
            body=result.body,
            code=decoded.code,
            message=decoded.message,
            data=decoded.data,
            attempts=len(self.attempts),
        )

    def failure(self, decision: RetryDecision, result: HttpResult) -> errors.ZohoError:
        """The error of a call that makes no further attempt."""
        kind, outcome = decision.error, result.outcome
        if decision.action == REFRESH:
            return self._scope_error()
        message = result.decoded.message if result.decoded is not None else None
        text = f"{message[:_LONGEST_MESSAGE]} ({outcome.detail})" if message else outcome.detail
        if kind is errors.OutcomeUnknownError:
            self.sent = None  # the response does not show what was executed
            return self._error(kind, self._outcome_unknown(text))
        if 300 <= outcome.status < 400:
            text = f"{outcome.detail}: a redirect, which is never followed with a token; check api_url"
        return self._error(kind, text)

    def _outcome_unknown(self, reason: str) -> str:
        method, path = self.operation.method, self.operation.path
        sent_at = datetime.fromtimestamp(self.sent_at, UTC)
        return (
            f"{reason}; {method} {path} was sent at {sent_at:%Y-%m-%d %H:%M:%S} UTC and its outcome "
            f"is unknown: before sending it again, {retry_policy.how_to_check(self.operation)}"
        )

    def quota_exceeded(self, resets_at: datetime | None) -> errors.QuotaExceededError:
        """The daily calls are used up."""
        until = f" until {resets_at:%Y-%m-%d %H:%M:%S %Z}" if resets_at else ""
        return errors.QuotaExceededError(
            f"{self.operation.id}: the calls of the day are used up{until}",
            resets_at=resets_at,
            **self._details(),
        )

    def quota_unsatisfiable(self, reason: str) -> errors.ConfigError:
        """The daily quota allows no call at all."""
        return self._error(errors.ConfigError, f"{reason}; reduce the reserve")

    def rate_limit_exceeded(self, seconds: float) -> errors.RateLimitError:
        """The organisation is paused for longer than `max_wait`."""
        return errors.RateLimitError(
            f"{self.operation.id}: Zoho's rate limit pauses the organisation for {seconds:.0f} s",
            retry_at=datetime.now(UTC) + timedelta(seconds=seconds),
            **self._details(),
        )

    def upload_failed(self, error: UploadReadError) -> errors.InvalidError:
        """A file or stream could not be read to its end; the incomplete request was not executed."""
        message = f"cannot be read: {error.error}"
        self.attempts.append("request left incomplete")
        if error.started:
            self.sent = None
        return errors.InvalidError(
            f"{self.operation.id}: {error.name}: {message}",
            faults=[errors.Fault(path=error.name, rule="file", message=message)],
            **self._details(),
        )

    def _auth_error(self, reason: str) -> errors.AuthError:
        scope = self.operation.scope
        text = (
            f"{self.operation.id}: {reason}. Zoho gives the same response for an invalid token and for a missing "
            f"scope; this operation needs the scope {scope or '(unknown)'}"
        )
        return errors.AuthError(text, **self._details())

    def _scope_error(self) -> errors.AuthError:
        if self.last is None or self.last.outcome.code != 57:
            return self._auth_error("a new token was refused as well")
        scope = self.operation.scope
        text = (
            f"{self.operation.id}: a new token was refused as well (code 57): it most likely lacks the scope "
            f"{scope or '(unknown)'}; Zoho gives the same response for an invalid token. Create a refresh token with "
            "that scope"
        )
        return errors.ScopeError(text, scope=scope, **self._details())

    def _deadline_error(self) -> errors.DeadlineError:
        return self._error(errors.DeadlineError, f"the deadline of {self.settings.deadline} s passed")

    def _error(self, kind: type[E], text: str) -> E:
        return kind(f"{self.operation.id}: {text}", **self._details())

    def _details(self) -> dict[str, Any]:
        last = self.last
        return {
            "operation": self.operation.id,
            "organization_id": self.settings.organization_id,
            "status": last.outcome.status or None if last is not None else None,
            "code": last.outcome.code if last is not None else None,
            "message": last.decoded.message if last is not None and last.decoded is not None else None,
            "sent": self.sent,
            "attempts": self.attempts,
            "body": last.body if last is not None else b"",
        }


def _now() -> float:
    return asyncio.get_running_loop().time()


def random_fraction() -> float:
    # Imported here: only retries need it.
    from random import random

    return random()
