"""How every message of the command line is written: lines on stderr, or one JSON object with --json."""

from __future__ import annotations

import sys

from zoho_async import AuthError, ConfigError, QuotaExceededError, RateLimitError, UnavailableError, ZohoError
from zoho_async.bulk import InputError, UnknownColumnError

from .exit_codes import WRONG_ORGANIZATION
from .streams import json_line


def report_error(error: BaseException, *, json: bool, resource: str | None = None) -> None:
    """Reports the error that ends a command, and what to type; in JSON with what the call of a ZohoError was.

    Args:
        error: What was raised.
        json: Whether it is reported as JSON.
        resource: What the command works on, such as `books.contacts`.
    """
    details: dict[str, object] = {}
    if isinstance(error, ZohoError):
        details = {"operation": error.operation, "status": error.status, "code": error.code, "sent": error.sent}
    report(str(error), json=json, event="error", kind=type(error).__name__, help=help_for(error, resource), **details)


def help_for(error: BaseException, resource: str | None = None) -> str:
    """What to type after an error; empty when its message says it."""
    given: object = getattr(error, "help", "")
    if isinstance(given, str) and given:
        return given
    if isinstance(error, UnknownColumnError):
        place = (resource or "PRODUCT RESOURCE").replace(".", " ")
        return f"zoho-async columns {place} lists the columns; --map FILE.toml renames those of a file"
    if isinstance(error, AuthError):
        return "zoho-async doctor finds the cause; zoho-async login gets other credentials"
    if isinstance(error, ConfigError) and error.code == WRONG_ORGANIZATION:
        return "zoho-async orgs lists the organisations of these credentials"
    if isinstance(error, RateLimitError):
        return "wait until then; zoho-async doctor says when Zoho takes calls again"
    if isinstance(error, QuotaExceededError):
        return "zoho-async quota shows the calls that are left"
    if isinstance(error, UnavailableError | ConfigError):
        return "zoho-async doctor finds the cause"
    return ""


def input_error_on_stdout(error: InputError) -> None:
    """Writes one JSON object with the reason; of unknown columns it names every one."""
    columns = list(error.columns) if isinstance(error, UnknownColumnError) else []
    members = {"error": str(error), "kind": type(error).__name__, "columns": columns}
    sys.stdout.write(json_line(members))
    sys.stdout.flush()


def report(message: str, *, json: bool, event: str, kind: str = "", help: str = "", **details: object) -> None:
    """Reports a message: as text with `help` below it, or as the members of a JSON object.

    A text of the event `error` or `warning` begins with that word.
    """
    if json:
        more = {"kind": kind} if kind else {}
        hint = {"help": help} if help else {}
        message = json_line({"event": event} | more | {"message": message} | hint | details)
    else:
        message = f"{event}: {message}\n" if event in ("error", "warning") else f"{message}\n"
        message += f"help: {help}\n" if help else ""
    sys.stderr.write(message)
    sys.stderr.flush()
