"""Exceptions, arranged by what the caller should do about them.

Every one of them says which operation failed for which organisation, what Zoho answered, how often it was
tried, and whether the request was sent at all. None holds a token, a request body or a header.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with a request body: where, which rule, and in words."""

    path: str
    """Path of the field, for example `contact_persons[0].email`."""
    rule: str
    """Short name of the rule: `required`, `max_length`, `values`, `type`, `pattern`, `unknown`, ..."""
    message: str
    warning: bool = False
    """True where Zoho's documents contradict themselves, so that the value may be accepted all the same."""

    def __str__(self) -> str:
        return f"{self.path}: {self.message}"


class ZohoError(Exception):
    """Base of everything this package raises for a call."""

    def __init__(
        self,
        text: str,
        *,
        operation: str | None = None,
        organization_id: str | None = None,
        status: int | None = None,
        code: int | str | None = None,
        message: str | None = None,
        sent: bool | None = False,
        attempts: Sequence[str] = (),
        body: bytes = b"",
    ) -> None:
        super().__init__(text)
        self.operation = operation
        """Id of the operation, for example `books.contacts.create`."""
        self.organization_id = organization_id
        self.status = status
        """HTTP status of the last answer, None when there was none."""
        self.code = code
        """Zoho's code of the last answer."""
        self.message = message
        """Zoho's message of the last answer, as sent (wording varies and is localised)."""
        self.sent = sent
        """False: no attempt left this machine. True: Zoho answered every attempt that did. None: an attempt left and
        was not answered, so nobody can say whether it arrived."""
        self.attempts = tuple(attempts)
        """One short line an attempt: what happened and how long was waited."""
        self.body = body
        """The last answer's body as received."""


class ConfigError(ZohoError):
    """The settings cannot work: certificate, proxy, redirect, wrong organisation, missing parameter."""


class AuthError(ZohoError):
    """Zoho does not accept the credentials, or they lack a scope."""


class ScopeError(AuthError):
    """The token is alive but lacks the scope named by `scope`."""

    def __init__(self, text: str, *, scope: str = "", **details: object) -> None:
        super().__init__(text, **details)  # type: ignore[arg-type]
        self.scope = scope


class RefusedError(ZohoError):
    """Zoho read the request and refused it; the same request will be refused again."""


class NotFoundError(RefusedError):
    """There is no such record."""


class DuplicateError(RefusedError):
    """Another record already has this name or unique value."""


class InvalidError(RefusedError):
    """The request's content breaks a rule; `faults` names each one, when found before sending."""

    def __init__(self, text: str, *, faults: Sequence[Fault] = (), **details: object) -> None:
        super().__init__(text, **details)  # type: ignore[arg-type]
        self.faults = tuple(faults)


class RateLimitError(ZohoError):
    """The organisation is held back for longer than `max_wait`; nothing was executed."""

    def __init__(self, text: str, *, retry_at: datetime | None = None, **details: object) -> None:
        super().__init__(text, **details)  # type: ignore[arg-type]
        self.retry_at = retry_at
        """When calls will be accepted again (aware, UTC)."""


class QuotaExceededError(ZohoError):
    """The organisation's calls of this day are used up; nothing was executed."""

    def __init__(self, text: str, *, resets_at: datetime | None = None, **details: object) -> None:
        super().__init__(text, **details)  # type: ignore[arg-type]
        self.resets_at = resets_at
        """When the next day begins for Zoho (aware, UTC), None when it is not known."""


class UnavailableError(ZohoError):
    """Zoho, or the way to it, is out of order; every allowed attempt failed and none of them changed anything."""


class OutcomeUnknownError(ZohoError):
    """A write was sent and nobody can say whether it took effect. Look before repeating it."""


class DeadlineError(ZohoError):
    """The call's `deadline` passed; `sent` says whether a request was under way."""


class LeaseError(ZohoError):
    """Another process holds the lease, or has taken it over; nothing was sent."""


class DecodeError(ZohoError):
    """The call succeeded, but its answer cannot be read; `body` has the bytes. It is never repeated."""
