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

_COMMON = ("--verbose", "--quiet")


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

            if json and "--verbose" not in sys.argv[1:]:
                log_as_json()
            sys.exit(_run(app, json=json))
        finally:
            sys.stdout.flush()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    except OutputError as error:
        report_error(error, json=json)
        sys.exit(ABORTED)


def _run(app: Callable[..., int | None], *, json: bool) -> int:
    try:
        return app(_with_common_first(sys.argv[1:]), standalone_mode=False) or 0
    except Exception as error:
        # Each version of typer has another class for wrong usage.
        message: Callable[[], str] | None = getattr(error, "format_message", None)
        if message is None:
            raise
        context = getattr(error, "ctx", None)
        if type(error).__name__ == "NoArgsIsHelpError":
            sys.stderr.write(f"{message()}\n")
            return USAGE
        help = f"{context.command_path} --help" if context is not None else ""
        report(message(), json=json, event="error", kind="UsageError", help=help)
        return USAGE


def _with_common_first(arguments: list[str]) -> list[str]:
    """The arguments with those that every command takes before its name, where typer expects them."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    common = [one for one in arguments[:end] if one in _COMMON]
    return [*common, *(one for one in arguments[:end] if one not in _COMMON), *arguments[end:]]


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
