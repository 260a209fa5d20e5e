"""Standard streams that take every character and need no reader."""

from __future__ import annotations

import io
import json
import logging
import os
import select
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

import msgspec

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


WRITE_TIMEOUT_S = 1.0
"""Seconds in which a full non-blocking pipe has to take more; the event loop waits meanwhile."""


class OutputError(Exception):
    """Data could not be written to stdout."""


def resilient_streams() -> None:
    """Replaces stdout and stderr of this process by streams that do not fail for want of a reader.

    What the encoding of a stream does not have is written as an escape. Output to a pipe without a reader is dropped: a
    push of several days must not end because a window was closed. So is output to stderr that fails for another
    reason. On stdout such a failure raises OutputError, for data is lost, unless `best_effort` was called.
    """
    sys.stdout = _resilient(sys.stdout, needed=True)
    sys.stderr = _resilient(sys.stderr, needed=False)


def best_effort() -> None:
    """Treats stdout like stderr from now on: the command goes on without its output."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Output):
        raw.needed = False


def is_output_lost() -> bool:
    """Whether stdout has dropped something, for want of a reader."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    return isinstance(raw, _Output) and raw.is_lost


class _Output(io.FileIO):
    """A stream that drops everything after a write has failed."""

    needed = False
    _lost = False

    @property
    def is_lost(self) -> bool:
        return self._lost

    def write(self, data: ReadableBuffer, /) -> int:
        if not self._lost:
            try:
                return self._written(data)
            except OSError as error:
                # The rest would begin in the middle of a line.
                self._lost = True
                if self.needed and not isinstance(error, BrokenPipeError):
                    raise OutputError(f"stdout cannot be written: {error.strerror or error}") from error
        return memoryview(data).nbytes

    def _written(self, data: ReadableBuffer) -> int:
        # None: a full pipe that does not block; its reader may be slow.
        while (count := super().write(data)) is None:
            if not select.select([], [self], [], None if self.needed else WRITE_TIMEOUT_S)[1]:
                raise TimeoutError
        return count


def _resilient(stream: TextIO | None, *, needed: bool) -> TextIO:
    if stream is None:
        # The process was started without this stream.
        return _text(os.open(os.devnull, os.O_WRONLY), "utf-8", lines=False, needed=False)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    lines = stream.line_buffering or stream.write_through
    return _text(stream.fileno(), stream.encoding, lines=lines, needed=needed)


def _text(number: int, encoding: str, *, lines: bool, needed: bool) -> TextIO:
    # Closed by its opener, or at the end of the process.
    raw = _Output(number, "wb", closefd=False)
    raw.needed = needed
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=lines)


def json_line(event: Mapping[str, object]) -> str:
    """An event as a line of JSON; bytes of a file name that are no text are escaped."""
    try:
        return msgspec.json.encode(event).decode() + "\n"
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(event)) + "\n"


def log_as_json(level: int = logging.WARNING) -> None:
    """Sends log records from that level on, and Python's own warnings, to stderr as lines of JSON."""
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_JsonLog(level))


class _JsonLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except Exception:  # noqa: BLE001 - logging must not break what is logged
            message = "(cannot be formatted)"
        event = {"event": "log", "level": record.levelname.lower(), "logger": record.name, "message": message}
        sys.stderr.write(json_line(event))
        sys.stderr.flush()
