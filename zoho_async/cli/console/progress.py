"""Progress on stderr: a bar on a terminal, plain lines elsewhere, JSON lines with --json."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager, suppress
from datetime import UTC
from time import monotonic
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol, Self

from .error_report import report
from .pace import STILL_S, Pace, current_reason
from .streams import json_line
from .verbosity import is_quiet

if TYPE_CHECKING:
    from zoho_async import Quota
    from zoho_async.bulk import Event

EVERY = 5.0
"""Seconds between two plain lines."""
EVERY_JSON = 1.0
"""Seconds between two lines of JSON of one kind."""


class Progress(Protocol):
    """Reports the progress of a command. A context manager; `advance` may be called any number of times."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def advance(self, done: int, text: str, **numbers: object) -> None:
        """Reports how many are done, and a text beside it; `numbers` go into JSON."""
        ...

    def event(self, event: Event) -> None:
        """Reports an event of a push; may be called any number of times."""
        ...

    def message(self, text: str, **details: object) -> None:
        """Reports a message that stays."""
        ...


def open_progress(title: str, total: int | None, *, json: bool, quota: Callable[[], Quota] | None = None) -> Progress:
    """The progress that fits where stderr goes. `quota`: the calls that are left, as they are at the moment."""
    if is_quiet():
        return QuietProgress()
    if json:
        return JsonProgress(total, quota=quota)
    if sys.stderr.isatty():
        return BarProgress(title, total, quota=quota)
    return LineProgress(title, total, quota=quota)


@asynccontextmanager
async def explained_waits(quota: Callable[[], Quota], *, json: bool = False) -> AsyncGenerator[None, None]:
    """Reports once for each reason why the calls of the block stand still; for commands without progress."""
    task = asyncio.create_task(_explain(quota, json))
    try:
        yield
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task


async def _explain(quota: Callable[[], Quota], json: bool) -> None:
    shown = ""
    while not is_quiet():
        await asyncio.sleep(STILL_S)
        found = quota()
        reason = current_reason(STILL_S, found) if found.paused_until is not None or found.minute_left == 0 else ""
        if reason not in ("", shown):
            report(reason, json=json, event="waiting")
        shown = reason


def _wait_message(event: Event) -> tuple[str, dict[str, object]] | None:
    """The message about a wait and its details; None when it has no end."""
    if event.until is None:
        return None
    when = f"{event.until.astimezone():%Y-%m-%d %H:%M %Z}"
    return f"{event.why}: waiting until {when}", {
        "event": "wait",
        "until": event.until.astimezone(UTC),
        "why": event.why,
    }


def _stage_text(event: Event) -> str:
    """What a push does before rows are done; empty for an unknown stage."""
    match event.stage:
        case "check":
            return f"{event.done:,} rows checked"
        case "read":
            return f"{event.done:,} calls to read what is there"
        case _:
            return ""


class _LineWise:
    """What LineProgress and JsonProgress share."""

    every = EVERY

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._begun = clock()
        self._last: dict[str, float] = {}

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stderr.flush()

    def _due(self, kind: str) -> bool:
        now = self._clock()
        if now - self._last.get(kind, self._begun) < self.every:
            return False
        self._last[kind] = now
        return True


class QuietProgress:
    """Nothing at all, for --quiet."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return None

    def advance(self, done: int, text: str, **numbers: object) -> None:
        """Reports nothing."""

    def event(self, event: Event) -> None:
        """Reports nothing."""

    def message(self, text: str, **details: object) -> None:
        """Reports nothing."""


class LineProgress(_LineWise):
    """A line every few seconds."""

    def __init__(
        self,
        title: str,
        total: int | None,
        *,
        clock: Callable[[], float] = monotonic,
        quota: Callable[[], Quota] | None = None,
    ) -> None:
        super().__init__(clock)
        self._title = title
        self._pace = Pace(total, clock)
        self._quota = quota
        self._of = f" of {total:,}" if total is not None else ""
        self._text = ""
        self._advanced: float | None = None

    def advance(self, done: int, text: str, **numbers: object) -> None:
        self._text = text
        self._advanced = self._clock()
        self._pace.update(done)
        if self._due("line"):
            pace = self._pace.text(self._quota() if self._quota is not None else None)
            self._write(f"{self._title}: {done:,}{self._of}" + f" · {text}" * bool(text) + f" · {pace}")

    def event(self, event: Event) -> None:
        if event.stage == "write":
            self.advance(event.done, self._text)
        elif event.stage == "wait":
            if (wait := _wait_message(event)) is not None:
                self.message(wait[0])
        elif (text := _stage_text(event)) and not self._busy() and self._due("line"):
            self._write(f"{self._title}: {text}")

    def _busy(self) -> bool:
        """Whether lines about rows are written at present."""
        return self._advanced is not None and self._clock() - self._advanced < self.every

    def message(self, text: str, **details: object) -> None:
        self._write(text)

    def _write(self, line: str) -> None:
        sys.stderr.write(f"{line}\n")
        sys.stderr.flush()


class JsonProgress(_LineWise):
    """One JSON object a line: `progress`, `check` and `read` every second, and every event that has details."""

    every = EVERY_JSON

    def __init__(
        self,
        total: int | None,
        *,
        clock: Callable[[], float] = monotonic,
        quota: Callable[[], Quota] | None = None,
    ) -> None:
        super().__init__(clock)
        self._total = total
        self._quota = quota

    def advance(self, done: int, text: str, **numbers: object) -> None:
        if self._due("progress"):
            calls = {} if self._quota is None else {"calls_left": self._quota().remaining}
            self._write({"event": "progress", "done": done, "total": self._total, **numbers, **calls})

    def event(self, event: Event) -> None:
        match event.stage:
            case "write":
                self.advance(event.done, "")
            case "check" if self._due("check"):
                self._write({"event": "check", "rows": event.done, "total": self._total})
            case "read" if self._due("read"):
                self._write({"event": "read", "calls": event.done})
            case "wait" if (wait := _wait_message(event)) is not None:
                self.message(wait[0], **wait[1])
            case _:
                pass

    def message(self, text: str, **details: object) -> None:
        self._write({"event": "message", "message": text, **details})

    def _write(self, event: dict[str, object]) -> None:
        sys.stderr.write(json_line(event))
        sys.stderr.flush()


class BarProgress:
    """A bar with the pace below it, and messages above it."""

    def __init__(self, title: str, total: int | None, *, quota: Callable[[], Quota] | None = None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn
        from rich.progress import Progress as Bar
        from rich.text import Text

        pace_lines = self._pace_lines

        class PacedBar(Bar):
            def get_renderables(self) -> Iterable[Any]:
                yield self.make_tasks_table(self.tasks)
                for line in pace_lines():
                    yield Text(line, style="dim", no_wrap=True, overflow="ellipsis")

        self._pace = Pace(total)
        self._quota = quota
        self._left: Quota | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._bar: Any = PacedBar(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=None),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            console=Console(stderr=True),
            expand=True,
        )
        self._task = self._bar.add_task(title, total=total, text="")
        self._advanced: float | None = None

    def _pace_lines(self) -> list[str]:
        """Called by the thread that draws the bar."""
        reason = current_reason(self._pace.still, self._left)
        return [self._pace.text(self._left), *([reason] if reason else [])]

    def _look(self) -> None:
        """Notes the calls that are left, in the event loop, which alone may ask; again each second."""
        if self._quota is not None:
            self._left = self._quota()
            # Without a running loop there is nothing that could change.
            with suppress(RuntimeError):
                self._timer = asyncio.get_running_loop().call_later(EVERY_JSON, self._look)

    def __enter__(self) -> Self:
        self._look()
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._bar.stop()

    def advance(self, done: int, text: str, **numbers: object) -> None:
        self._advanced = monotonic()
        self._pace.update(done)
        self._bar.update(self._task, completed=done, text=text)

    def event(self, event: Event) -> None:
        if event.stage == "write":
            self._advanced = monotonic()
            self._pace.update(event.done)
            self._bar.update(self._task, completed=event.done)
        elif event.stage == "wait":
            if (wait := _wait_message(event)) is not None:
                self.message(wait[0])
        elif (self._advanced is None or monotonic() - self._advanced >= EVERY_JSON) and (text := _stage_text(event)):
            self._bar.update(self._task, text=text)

    def message(self, text: str, **details: object) -> None:
        self._bar.console.print(text, markup=False, highlight=False, soft_wrap=True)
