"""The command line, `zoho-async`; needs the extra `zoho_async[cli]`."""

from __future__ import annotations

import signal
import sys
from collections.abc import Callable
from importlib.util import find_spec
from types import FrameType

from zoho_async.cli.console.exit_codes import ABORTED, INTERRUPTED, USAGE
from zoho_async.cli.console.runner import ending_signals, tell_error
from zoho_async.cli.console.streams import OutputError, json_line, lasting, log_as_json


def main() -> None:
    """Entry point of `zoho-async`; ends the process with one of the documented exit codes."""
    lasting()
    if find_spec("typer") is None or find_spec("rich") is None:
        sys.stderr.write("zoho-async needs typer and rich: pip install 'zoho_async[cli]'\n")
        sys.exit(USAGE)
    # All signals alike, also in the moments before the event loop watches for them.
    for number in ending_signals():
        if number != signal.SIGINT:
            signal.signal(number, _interrupt)
    machine = "--json" in sys.argv[1:]
    try:
        try:
            from .app import app

            if machine:
                sys.exit(_machine_readable(app))
            app()
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OutputError as error:
        tell_error(error, json=machine)
        sys.exit(ABORTED)


def _machine_readable(app: Callable[..., int | None]) -> int:
    log_as_json()
    try:
        return app(standalone_mode=False) or 0
    except Exception as error:
        # What typer raises for wrong usage has a name of its own in each of its versions.
        tell: Callable[[], str] | None = getattr(error, "format_message", None)
        if tell is None:
            raise
        sys.stderr.write(json_line({"event": "error", "kind": "UsageError", "message": tell()}))
        return USAGE


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
