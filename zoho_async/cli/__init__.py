"""The command line, `zoho-async`; needs the extra `zoho_async[cli]`."""

from __future__ import annotations

import signal
import sys
from importlib.util import find_spec
from types import FrameType

from .exits import INTERRUPTED, USAGE


def main() -> None:
    """Entry point of `zoho-async`; ends the process with one of the documented exit codes."""
    if find_spec("typer") is None or find_spec("rich") is None:
        sys.stderr.write("zoho-async needs typer and rich: pip install 'zoho_async[cli]'\n")
        sys.exit(USAGE)
    # Both signals alike, also in the moments before the event loop watches for them.
    signal.signal(signal.SIGTERM, _interrupt)
    try:
        from .app import app

        app()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt
