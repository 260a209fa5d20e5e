"""Exceptions, grouped by what the caller can do about them.

Every one carries the operation, the organisation, the last response, the attempts, and whether a request was sent.
None holds a token, a request body or a header.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import msgspec

__all__ = [
    "AuthError",
    "ConfigError",
    "DeadlineError",
    "DecodeError",
    "DuplicateError",
    "Fault",
    "InvalidError",
    "MassDeleteError",
    "NotFoundError",
    "OutcomeUnknownError",
    "QuotaExceededError",
    "RateLimitError",
    "RefusedError",
    "ScopeError",
    "UnavailableError",
    "ZohoError",
]


_LONGEST_TEXT = 10_000
"""Characters of an error message."""


def printable(text: str, limit: int = 300) -> str:
    """Text of unknown origin on one line for a message: unprintable characters escaped, cut at `limit` characters."""
    short = text if len(text) <= limit else f"{text[: limit - 3]}..."
    if short.isprintable():
        return short
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in short)


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One validation error of a request.

    Args:
        path: Path of the field, for example `contact_persons[0].email`.
        rule: Name of the broken rule: `required`, `max_length`, `values`, `type`, `pattern`, `unknown`, ...
        message: Explanation in English, without the path.
        warning: True where Zoho's documents contradict themselves, so that the value may be accepted.
    """

    path: str
    rule: str
    message: str
    warning: bool = False

    def __str__(self) -> str:
        return printable(f"{self.path}: {self.message}", _LONGEST_TEXT)


class ZohoError(Exception):
    """Base class of everything a call raises. The arguments are attributes of the same name.

    Args:
        text: The error message; `str(error)` has it with unprintable characters escaped.
        operation: Id of the operation, for example `books.contacts.create`.
        organization_id: The organisation the call worked in.
        status: HTTP status of the last response; None without one.
        code: Zoho's result code in the last response.
        message: Zoho's message in the last response, as received (its wording varies and is localised).
        sent: False: no attempt left this machine. True: Zoho responded to every attempt that did. None: not known: an
            attempt left without a response, or that of a write was answered by something that does not say what became
            of it.
        attempts: One line per attempt: what happened and how long was waited.
        body: Body of the last response, as received.
    """

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
        super().__init__(printable(text, _LONGEST_TEXT))
        self.operation = operation
        self.organization_id = organization_id
        self.status = status
        self.code = code
        self.message = message
        self.sent = sent
        self.attempts = tuple(attempts)
        self.body = body


class ConfigError(ZohoError):
    """The settings cannot work: certificate, proxy, redirect, wrong organisation, missing parameter."""


class AuthError(ZohoError):
    """Zoho does not accept the credentials, or they lack a scope."""


class ScopeError(AuthError):
    """The token is valid but lacks a scope.

    Args:
        text: The error message.
        scope: The missing scope, as in Zoho's documents.
        details: Keyword arguments of `ZohoError`.
    """

    def __init__(self, text: str, *, scope: str = "", **details: object) -> None:
        super().__init__(text, **details)  # type: ignore[arg-type]
        self.scope = scope


class RefusedError(ZohoError):
    """Zoho read the request and refused it; the same request will be refused again."""


class NotFoundError(RefusedError):
    """Zoho says that there is no such record."""


class DuplicateError(RefusedError):
    """Another record already has this name or unique value."""


class InvalidError(RefusedError):
    """The request breaks a rule.

    Args:
        text: The error message.
        faults: Every validation error, when found before sending; empty when Zoho found it.
        details: Keyword arguments of `ZohoError`.
    """

    def __init__(self, text: str, *, faults: Sequence[Fault] = (), **details: object) -> None:
        super().__init__(text, **details)  # type: ignore[arg-type]
        self.faults = tuple(faults)


class RateLimitError(ZohoError):
    """The organisation is paused for longer than `max_wait`; nothing was executed.

    Args:
        text: The error message.
        retry_at: When calls will be accepted again (aware, UTC).
        details: Keyword arguments of `ZohoError`.
    """

    def __init__(self, text: str, *, retry_at: datetime | None = None, **details: object) -> None:
        super().__init__(text, **details)  # type: ignore[arg-type]
        self.retry_at = retry_at


class QuotaExceededError(ZohoError):
    """The organisation's daily calls are used up; nothing was executed.

    Args:
        text: The error message.
        resets_at: When Zoho's next day begins (aware, UTC); None when unknown.
        details: Keyword arguments of `ZohoError`.
    """

    def __init__(self, text: str, *, resets_at: datetime | None = None, **details: object) -> None:
        super().__init__(text, **details)  # type: ignore[arg-type]
        self.resets_at = resets_at


class UnavailableError(ZohoError):
    """Zoho or the network failed in every allowed attempt. `sent` is None where a write may have taken effect."""


class OutcomeUnknownError(ZohoError):
    """A write was sent and may or may not have taken effect. Check before repeating it."""


class DeadlineError(ZohoError):
    """The call's `deadline` passed; `sent` says whether a request was in flight."""


class LeaseError(ZohoError):
    """Another process holds the lease, or has taken it over; nothing was sent."""


class DecodeError(ZohoError):
    """The call succeeded, but its response cannot be decoded; `body` has the bytes. It is never repeated."""


class MassDeleteError(ZohoError):
    """A list lacks so many known records that it is taken for a fault of the list; nothing was dropped."""
