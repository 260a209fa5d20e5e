"""The command line, `zoho-async`; needs the extra `zoho_async[cli]`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from types import FrameType

from zoho_async.cli.console.error_report import report, report_error
from zoho_async.cli.console.exit_codes import ABORTED, INTERRUPTED, USAGE
from zoho_async.cli.console.runner import ending_signals
from zoho_async.cli.console.streams import OutputError, log_as_json, resilient_streams


def main() -> None:
    """Entry point of `zoho-async`; ends the process with one of the documented exit codes."""
    resilient_streams()
    if find_spec("typer") is None or find_spec("rich") is None:
        report("zoho-async needs typer and rich: pip install 'zoho_async[cli]'", json=False, event="error")
        sys.exit(USAGE)
    # All signals alike, also before the event loop handles them.
    for number in ending_signals():
        if number != signal.SIGINT:
            signal.signal(number, _interrupt)
    json = "--json" in sys.argv[1:]
    try:
        try:
            from .app import app

            if json:
                sys.exit(_machine_readable(app))
            app()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OutputError as error:
        report_error(error, json=json)
        sys.exit(ABORTED)


def _machine_readable(app: Callable[..., int | None]) -> int:
    log_as_json()
    try:
        return app(standalone_mode=False) or 0
    except Exception as error:
        # Each version of typer has another class for wrong usage.
        message: Callable[[], str] | None = getattr(error, "format_message", None)
        if message is None:
            raise
        report(message(), json=True, event="error", kind="UsageError")
        return USAGE


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
