"""How every error of the command line is reported: one sentence on stderr, or one JSON object with --json."""

from __future__ import annotations

import sys

from zoho_async import ZohoError
from zoho_async.bulk import InputError, UnknownColumnError

from .streams import json_line


def report_error(error: BaseException, *, json: bool) -> None:
    """Reports the error that ends a command; in JSON with what the call of a ZohoError was."""
    details: dict[str, object] = {}
    if isinstance(error, ZohoError):
        details = {"operation": error.operation, "status": error.status, "code": error.code, "sent": error.sent}
    report(str(error), json=json, event="error", kind=type(error).__name__, **details)


def input_error_on_stdout(error: InputError) -> None:
    """Writes one JSON object with the reason; of unknown columns it names every one."""
    columns = list(error.columns) if isinstance(error, UnknownColumnError) else []
    members = {"error": str(error), "kind": type(error).__name__, "columns": columns}
    sys.stdout.write(json_line(members))
    sys.stdout.flush()


def report(message: str, *, json: bool, event: str, kind: str = "", **details: object) -> None:
    """Reports a message: as it is, or as the member `message` of a JSON object."""
    if json:
        message = json_line({"event": event} | ({"kind": kind} if kind else {}) | {"message": message} | details)
    sys.stderr.write(message if json else f"{message}\n")
    sys.stderr.flush()
