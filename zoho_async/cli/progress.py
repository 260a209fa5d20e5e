"""Progress on stderr: a bar on a terminal, plain lines elsewhere, JSON lines with --json."""

from __future__ import annotations

import sys
from time import monotonic
from types import TracebackType
from typing import Any, Protocol, Self

import msgspec

EVERY = 5.0
"""Seconds between two plain lines."""
EVERY_JSON = 1.0


class Progress(Protocol):
    """Where a command tells how far it is. A context manager; `advance` may be called as often as one likes."""

    def __enter__(self) -> Self: ...
    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...
    def advance(self, done: int, text: str, **numbers: object) -> None:
        """How many are done, and the rest in words; `numbers` for machines."""
        ...

    def say(self, sentence: str, **details: object) -> None:
        """A sentence that stays."""
        ...


def open_progress(title: str, total: int | None, *, json: bool) -> Progress:
    """The progress that fits where stderr goes."""
    if json:
        return JsonProgress(total)
    if sys.stderr.isatty():
        return BarProgress(title, total)
    return LineProgress(title, total)


class _Plain:
    """What the two line-wise ones share."""

    every = EVERY

    def __init__(self) -> None:
        self._last = monotonic()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        sys.stderr.flush()

    def _due(self) -> bool:
        now = monotonic()
        if now - self._last < self.every:
            return False
        self._last = now
        return True


class LineProgress(_Plain):
    """A line every few seconds."""

    def __init__(self, title: str, total: int | None) -> None:
        super().__init__()
        self._title = title
        self._of = f" of {total:,}" if total is not None else ""

    def advance(self, done: int, text: str, **numbers: object) -> None:
        if self._due():
            sys.stderr.write(f"{self._title}: {done:,}{self._of} · {text}\n")
            sys.stderr.flush()

    def say(self, sentence: str, **details: object) -> None:
        sys.stderr.write(f"{sentence}\n")


class JsonProgress(_Plain):
    """One JSON object a line: `progress` every second, and every event that has details."""

    every = EVERY_JSON

    def __init__(self, total: int | None) -> None:
        super().__init__()
        self._total = total

    def advance(self, done: int, text: str, **numbers: object) -> None:
        if self._due():
            self._write({"event": "progress", "done": done, "total": self._total, **numbers})

    def say(self, sentence: str, **details: object) -> None:
        self._write({"event": "message", "message": sentence, **details})

    def _write(self, event: dict[str, object]) -> None:
        sys.stderr.write(msgspec.json.encode(event).decode() + "\n")
        sys.stderr.flush()


class BarProgress:
    """A bar, with sentences above it."""

    def __init__(self, title: str, total: int | None) -> None:
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
        from rich.progress import Progress as Bar

        self._bar: Any = Bar(
            TextColumn("{task.description}", markup=False),
            BarColumn(),
            MofNCompleteColumn(),
            TextColumn("{task.fields[text]}", markup=False),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=Console(stderr=True),
        )
        self._task = self._bar.add_task(title, total=total, text="")

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def advance(self, done: int, text: str, **numbers: object) -> None:
        self._bar.update(self._task, completed=done, text=text)

    def say(self, sentence: str, **details: object) -> None:
        self._bar.console.print(sentence, markup=False, highlight=False, soft_wrap=True)
