"""Exit codes, and which error means which."""

from __future__ import annotations

from zoho_async import AuthError, ConfigError, InvalidError, QuotaExceededError
from zoho_async.bulk import InputError, StateError

DONE = 0
ABORTED = 1
USAGE = 2
"""Wrong usage, unreadable input, unknown column: no call was made."""
SOME_FAILED = 3
NO_ACCESS = 4
"""No credentials, refused credentials, wrong organisation."""
QUOTA = 5
"""The day's calls are used up and rows remain: run the same command again later."""
INTERRUPTED = 130

WRONG_ORGANIZATION = 6041
"""Zoho's code."""


class SetupError(Exception):
    """Credentials or organisation are missing, found before any call. `help`: what to type."""

    def __init__(self, text: str, help: str = "") -> None:
        super().__init__(text)
        self.help = help


class ArgumentError(InputError):
    """An argument or option cannot be used. `help`: what to type."""

    def __init__(self, text: str, help: str = "") -> None:
        super().__init__(text)
        self.help = help


def exit_code(error: BaseException) -> int:
    """The exit code for an error that ended a command."""
    if isinstance(error, InputError | StateError):
        return USAGE
    if isinstance(error, SetupError | AuthError):
        return NO_ACCESS
    if isinstance(error, ConfigError):
        return NO_ACCESS if error.code == WRONG_ORGANIZATION else ABORTED
    if isinstance(error, QuotaExceededError):
        return QUOTA
    if isinstance(error, InvalidError) and error.faults and error.status is None:
        return USAGE
    return ABORTED
