"""Exceptions of `bulk`, and what an exception says about the call that raised it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from zoho_async.errors import (
    AuthError,
    ConfigError,
    DecodeError,
    LeaseError,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    ZohoError,
)
from zoho_async.errors import printable as printable

Status = Literal["done", "failed", "unknown"]

RUN_ENDING_ERRORS = (AuthError, ConfigError, LeaseError, QuotaExceededError, RateLimitError)
"""Errors that every other item would meet too, so that going on would only spend calls."""


class InputError(ValueError):
    """The input as a whole cannot be used: missing, empty, unreadable, or with a column that names no field."""


class UnknownColumnError(InputError):
    """The input has columns that name no field; `columns` lists them.

    Args:
        text: The message.
        columns: The unknown columns.
    """

    def __init__(self, text: str, columns: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.columns = tuple(columns)


class StateError(RuntimeError):
    """The state file cannot be used: in use by another process, not ours, or written by a newer version."""


class AwaitCancelledError(RuntimeError):
    """What a task awaited was cancelled, and the task itself was not."""


def status_of(error: Exception) -> Status:
    """Says whether the call that raised an exception took effect.

    Args:
        error: What the call raised.

    Returns:
        `done` for DecodeError (the call succeeded, its response could not be read); `failed` for a ZohoError that says
        that the call was not executed; else `unknown`: only a ZohoError says what became of a request.
    """
    if isinstance(error, DecodeError):
        return "done"
    if not isinstance(error, ZohoError) or isinstance(error, OutcomeUnknownError) or error.sent is None:
        return "unknown"
    return "failed"
