"""From a command to the event loop and back: signals, errors, exit codes."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

from zoho_async import ZohoError
from zoho_async.bulk import InputError, StateError

from .error_report import input_error_on_stdout, report, report_error
from .exit_codes import INTERRUPTED, SetupError, exit_code

EXPECTED = (InputError, StateError, SetupError, ZohoError)
"""Errors that are reported in one sentence; any other is a defect and shows its traceback."""


class Interruption:
    """A signal: the first asks the command to end gracefully, the second cancels it."""

    def __init__(self, *, json: bool = False) -> None:
        self.requested = False
        self.graceful: Callable[[], None] | None = None
        """What ends the command once its calls in flight are finished; None: it is cancelled at once."""
        self.kept = ""
        """What remains of the work when the command is cancelled."""
        self.resource: str | None = None
        """What the command works on, such as `books.contacts`; for messages."""
        self._json = json

    def report_cancelled(self) -> None:
        """Reports that the command was cancelled, and what is kept."""
        message = f"interrupted: {self.kept}" if self.kept else "interrupted"
        report(message, json=self._json, event="interrupted")

    def __call__(self, task: asyncio.Task[int], *, hangup: bool = False) -> None:
        """Called for each signal. `hangup`: SIGHUP."""
        if hangup and self.requested:
            # Kernel and shell both send one for a closed window.
            return
        first, self.requested = not self.requested, True
        if first and self.graceful is not None:
            kept = f"; {self.kept}" if self.kept else ""
            message = f"interrupted: finishing the calls in flight{kept} (once more: stop at once)"
            report(message, json=self._json, event="interrupted")
            self.graceful()
        else:
            task.cancel()


def ending_signals() -> list[signal.Signals]:
    """The signals that end a command: SIGINT, SIGTERM, and SIGHUP where the system has it and `nohup` does not ignore
    it. None outside the main thread, which cannot receive them."""
    if threading.current_thread() is not threading.main_thread():
        return []
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
        interruption.report_cancelled()
        return INTERRUPTED
    except EXPECTED as error:
        if json and isinstance(error, InputError):
            input_error_on_stdout(error)
        report_error(error, json=json, resource=interruption.resource)
        return INTERRUPTED if interruption.requested else exit_code(error)
    return INTERRUPTED if interruption.requested else code


async def _as_coroutine(awaitable: Awaitable[int]) -> int:
    return await awaitable
