"""One call on its way: its deadline and its waits, and what is said of it when it is over."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Coroutine
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar

from zoho_async import errors
from zoho_async.auth.token_stores import Token
from zoho_async.schema.operation import Operation, Response

from . import retry_policy
from .config import Settings
from .http import Answer, UploadReadError
from .permits import Report
from .retry_policy import Action, Sent, Verdict

E = TypeVar("E", bound=errors.ZohoError)
log = logging.getLogger("zoho_async")

_MOST_REFUSALS = 8
"""How often one call may be refused for a limit before its caller hears of it."""


class Call:
    """One call on its way: its deadline, its attempts, and the errors that tell of them."""

    __slots__ = (
        "_attempts",
        "_begun",
        "_budget",
        "_deadline",
        "_failures",
        "_held_s",
        "_last",
        "_loop",
        "_operation",
        "_refusals",
        "_sent",
        "_sent_at",
        "_settings",
        "maybe_acted",
    )

    def __init__(
        self,
        settings: Settings,
        operation: Operation[Any],
        budget: retry_policy.RetryBudget,
        *,
        throttle_count: int = 0,
    ) -> None:
        self._settings = settings
        self._operation = operation
        self._budget = budget
        self._loop = asyncio.get_running_loop()
        seconds = settings.deadline
        self._deadline = None if seconds is None else self._loop.time() + seconds
        self._attempts: list[str] = []
        self._begun = 0.0
        self._sent_at = datetime.now(UTC)
        self._failures = 0
        self._held_s = 0.0
        self._refusals = throttle_count
        self._last: Answer | None = None
        self._sent: bool | None = False
        self.maybe_acted = False

    # -- waiting

    async def with_deadline(self, waiting: Any) -> Any:
        """Await something that sends nothing, up to the deadline."""
        if self._deadline is None:
            return await waiting
        try:
            async with asyncio.timeout_at(self._deadline):
                return await waiting
        except TimeoutError:
            raise self._overdue() from None

    async def token(self, asking: Coroutine[Any, Any, Token], unfinished: set[asyncio.Future[Token]]) -> Token:
        """Await a token up to the deadline. A token request that has begun is finished even when its caller's time is
        up, for Zoho counts it: thrown away, ten impatient calls would lock the refresh token out.
        """
        try:
            if self._deadline is None:
                return await asking
            task = asyncio.ensure_future(asking)
            unfinished.add(task)
            task.add_done_callback(unfinished.discard)
            token: Token = await self.with_deadline(asyncio.shield(task))
            return token
        except errors.ZohoError as error:
            self.identify(error)
            raise

    def identify(self, error: errors.ZohoError) -> None:
        """Give an error from below, which knows no operation, that of this call."""
        error.operation = self._operation.id
        error.organization_id = self._settings.organization_id

    async def in_flight(self, attempt: Any) -> Answer:
        """Await an attempt. Past the deadline or when cancelled, a write's outcome is unknown."""
        if self._deadline is not None and self._loop.time() >= self._deadline:
            attempt.close()
            raise self._overdue()
        self._begun = self._loop.time()
        self._sent_at = datetime.now(UTC)
        try:
            if self._deadline is None:
                answer: Answer = await attempt
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
                # An error of who listens must not take the cancellation's place.
                with suppress(Exception):
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
        return answer

    async def _sleep(self, seconds: float) -> None:
        await self.with_deadline(asyncio.sleep(seconds))

    async def refresh(self, refreshing: Coroutine[Any, Any, Token], unfinished: set[asyncio.Future[Token]]) -> None:
        """Await another token. A refusal of that is told together with what led to it."""
        try:
            await self.token(refreshing, unfinished)
        except errors.AuthError as error:
            raise self._auth_error(f"{error}") from error

    def report(self, answer: Answer, verdict: Verdict) -> Report:
        """What the rate limiter learns from an attempt; also decides how long a throttled call waits."""
        sent, headers = answer.outcome.sent is not Sent.NEVER, answer.headers
        if verdict.action is Action.DONE:
            return Report(sent=sent, headers=headers, verdict="done")
        if verdict.action in (Action.SLOW, Action.PAUSE):
            self._refusals += 1
            floor = self.retry_after(answer)
            if verdict.action is Action.SLOW:
                self._held_s = retry_policy.slow_delay(self._refusals, chance(), floor)
                return Report(sent=sent, headers=headers, verdict="slow")
            self._held_s = retry_policy.pause_delay(self._refusals, floor)
            return Report(sent=sent, headers=headers, verdict="throttled", seconds=self._held_s)
        if verdict.error is errors.QuotaExceededError:
            return Report(sent=sent, headers=headers, verdict="exhausted", seconds=self.retry_after(answer))
        return Report(sent=sent, headers=headers)

    async def apply_throttle(self, verdict: Verdict) -> None:
        """Zoho refused for a limit and the limiter knows: wait, or raise when the wait is too long."""
        seconds = self._held_s
        too_long = self._settings.max_wait is not None and seconds > self._settings.max_wait
        if too_long or self._refusals > _MOST_REFUSALS:
            raise self.rate_limit_exceeded(seconds)
        self._log_wait(seconds)
        # A pause is waited for in the limiter, together with everybody else of the organisation.
        if verdict.action is Action.SLOW:
            await self._sleep(seconds)

    async def retry(self, verdict: Verdict, answer: Answer) -> None:
        """Wait before the next attempt, or raise when there may be none."""
        self._failures += 1
        if self._failures > self._settings.retries:
            raise self.failure(verdict, answer)
        if not self._budget.spend():
            self._attempts.append("no retry left in the budget of all calls")
            raise self.failure(verdict, answer)
        floor, longest = self.retry_after(answer), self._settings.max_wait
        if floor is not None and longest is not None and floor > longest:
            self._attempts.append(f"asked to wait {floor:.0f} s")
            raise self.failure(verdict, answer)
        seconds = retry_policy.retry_delay(self._failures, chance(), floor)
        self._log_wait(seconds)
        await self._sleep(seconds)

    def retry_after(self, answer: Answer) -> float | None:
        """Seconds Zoho asks to wait, when it says so."""
        headers = answer.headers
        return retry_policy.retry_after(headers.get("Retry-After"), datetime.now(UTC), headers.get("Date"))

    def _log_wait(self, seconds: float) -> None:
        log.info(
            "%s: %s; again in %.1f s", self._operation.id, self._attempts[-1], seconds, extra=self._extra(wait=seconds)
        )

    def _extra(self, **more: Any) -> dict[str, Any]:
        """What a log record carries besides its words: ids and numbers, never a value of the request."""
        return {
            "operation": self._operation.id,
            "organization_id": self._settings.organization_id,
            "attempt": len(self._attempts),
            "status": self._last.outcome.status or None if self._last is not None else None,
            **more,
        }

    # -- results

    def note(self, answer: Answer, verdict: Verdict) -> None:
        """Remember one attempt."""
        self._last = answer
        self._attempts.append(answer.outcome.detail or verdict.action.name.lower())
        if verdict.action is Action.RETRY and answer.outcome.sent is not Sent.NEVER:
            self.maybe_acted = True
        if log.isEnabledFor(logging.DEBUG):
            seconds = self._loop.time() - self._begun
            log.debug(
                "%s: %s in %.3f s", self._operation.id, self._attempts[-1], seconds, extra=self._extra(duration=seconds)
            )

    def response(self, answer: Answer) -> Response[Any]:
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

    def failure(self, verdict: Verdict, answer: Answer) -> errors.ZohoError:
        """The error for a verdict that allows no other attempt."""
        kind, outcome = verdict.error, answer.outcome
        if verdict.action is Action.REFRESH:
            return self._scope_error()
        if kind is errors.OutcomeUnknownError:
            self._sent = None  # an answer that says nothing of what was done is as good as none
            return self._error(kind, self._look())
        message = answer.decoded.message if answer.decoded is not None else None
        text = f"{message} ({outcome.detail})" if message else outcome.detail
        if 300 <= outcome.status < 400:
            text = f"{outcome.detail}: a redirect, which is never followed with a token; check api_url"
        return self._error(kind, text)

    def _look(self) -> str:
        method, path = self._operation.method, self._operation.path
        return (
            f"{self._attempts[-1]}; {method} {path} was sent at {self._sent_at:%Y-%m-%d %H:%M:%S} UTC and nobody can "
            "say whether Zoho acted: look (by name, unique value or time of change) before sending it again"
        )

    def quota_exceeded(self, resets_at: datetime | None) -> errors.QuotaExceededError:
        """The day is used up, as Zoho says or as the limiter knows."""
        until = f" until {resets_at:%Y-%m-%d %H:%M:%S %Z}" if resets_at else ""
        return errors.QuotaExceededError(
            f"{self._operation.id}: the calls of the day are used up{until}",
            resets_at=resets_at,
            **self._details(),
        )

    def quota_unsatisfiable(self, reason: str) -> errors.ConfigError:
        """No day has room for a call."""
        return self._error(errors.ConfigError, f"{reason}: make the reserve smaller")

    def rate_limit_exceeded(self, seconds: float) -> errors.RateLimitError:
        """The organisation is held back for longer than this client waits."""
        return errors.RateLimitError(
            f"{self._operation.id}: Zoho holds the organisation back for {seconds:.0f} s",
            retry_at=datetime.now(UTC) + timedelta(seconds=seconds),
            **self._details(),
        )

    def unreadable(self, broken: UploadReadError) -> errors.InvalidError:
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
        return self._error(errors.DeadlineError, f"the deadline of {self._settings.deadline} s passed")

    def _error(self, kind: type[E], text: str) -> E:
        return kind(f"{self._operation.id}: {text}", **self._details())

    def _details(self) -> dict[str, Any]:
        last = self._last
        return {
            "operation": self._operation.id,
            "organization_id": self._settings.organization_id,
            "status": last.outcome.status or None if last is not None else None,
            "code": last.outcome.code if last is not None else None,
            "message": last.decoded.message if last is not None and last.decoded is not None else None,
            "sent": self._sent,
            "attempts": self._attempts,
            "body": last.body if last is not None else b"",
        }


def chance() -> float:
    # A millisecond of import, for those who meet trouble.
    from random import random

    return random()
