"""From a command to the event loop and back: signals, errors, exit codes."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from zoho_async.bulk.errors import InputError, StateError
from zoho_async.errors import ZohoError

from .exit_codes import INTERRUPTED, SetupError, exit_code
from .streams import json_line

EXPECTED = (InputError, StateError, SetupError, ZohoError)
"""Errors that are told in one sentence; any other is a defect and shows its traceback."""


class Interruption:
    """A signal: the first asks the command to end gently, the second cancels it."""

    def __init__(self, *, json: bool = False) -> None:
        self.requested = False
        self.gently: Callable[[], None] | None = None
        """What ends the command once its calls in flight are finished; None: it is cancelled at once."""
        self._json = json

    def __call__(self, task: asyncio.Task[int], *, hangup: bool = False) -> None:
        """Called for each signal. `hangup`: SIGHUP."""
        if hangup and self.requested:
            # The kernel and the shell both send one for a window that was closed: nobody insists.
            return
        first, self.requested = not self.requested, True
        if first and self.gently is not None:
            sentence = "interrupted: finishing the calls in flight (once more: stop at once)"
            sys.stderr.write(
                json_line({"event": "interrupted", "message": sentence}) if self._json else f"{sentence}\n"
            )
            sys.stderr.flush()
            self.gently()
        else:
            task.cancel()


def ending_signals() -> list[signal.Signals]:
    """The signals that end a command. One of them is SIGHUP, of a terminal that is gone, unless `nohup` has it ignored
    or the system does not know it."""
    numbers = [signal.SIGINT, signal.SIGTERM]
    hangup: signal.Signals | None = getattr(signal, "SIGHUP", None)
    if hangup is not None and signal.getsignal(hangup) != signal.SIG_IGN:
        numbers.append(hangup)
    return numbers


def run(command: Callable[[Interruption], Awaitable[int]], *, json: bool) -> int:
    """Runs a command to its exit code; expected errors become one sentence on stderr."""
    interruption = Interruption(json=json)

    async def watched() -> int:
        loop = asyncio.get_running_loop()
        task = asyncio.ensure_future(_as_coroutine(command(interruption)))
        for number in ending_signals():
            # Windows has no such handlers; there Ctrl-C cancels the main task.
            with suppress(NotImplementedError):
                loop.add_signal_handler(number, partial(interruption, task, hangup=number.name == "SIGHUP"))
        return await task

    try:
        code = asyncio.run(watched())
    except (KeyboardInterrupt, asyncio.CancelledError):
        return INTERRUPTED
    except EXPECTED as error:
        tell_error(error, json=json)
        return INTERRUPTED if interruption.requested else exit_code(error)
    return INTERRUPTED if interruption.requested else code


def tell_error(error: BaseException, *, json: bool) -> None:
    """One error on stderr, as a sentence or as a line of JSON."""
    if not json:
        sys.stderr.write(f"{error}\n")
        return
    event: dict[str, object] = {"event": "error", "kind": type(error).__name__, "message": str(error)}
    if isinstance(error, ZohoError):
        event |= {"operation": error.operation, "status": error.status, "code": error.code, "sent": error.sent}
    sys.stderr.write(json_line(event))


async def _as_coroutine(awaitable: Awaitable[int]) -> int:
    return await awaitable
