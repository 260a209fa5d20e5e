"""Standard streams that take every character, and that nobody has to read."""

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


PATIENCE = 1.0
"""Seconds in which a pipe that does not block has to take more; the event loop waits meanwhile."""


class OutputError(Exception):
    """Data did not get through to stdout."""


def lasting() -> None:
    """Makes stdout and stderr of this process such that no writing to them fails for want of a reader.

    What the encoding of a stream does not have is written as an escape. When the reader of a pipe is gone, what is
    written there goes nowhere: a push of several days must not end because somebody has closed a window. So it does
    when stderr cannot be written for any other reason. Where stdout cannot, data is lost: that raises OutputError,
    unless `only_reports` was called.
    """
    sys.stdout = _lasting(sys.stdout, needed=True)
    sys.stderr = _lasting(sys.stderr, needed=False)


def only_reports() -> None:
    """From now on stdout is treated like stderr: what is told there matters less than what goes on."""
    raw = getattr(getattr(sys.stdout, "buffer", None), "raw", None)
    if isinstance(raw, _Output):
        raw.needed = False


class _Output(io.FileIO):
    """A stream that takes nothing any more once it could not be written to."""

    needed = False
    _lost = False

    def write(self, data: ReadableBuffer, /) -> int:
        if not self._lost:
            try:
                return self._written(data)
            except OSError as error:
                # For good: the rest would begin in the middle of a line.
                self._lost = True
                if self.needed and not isinstance(error, BrokenPipeError):
                    raise OutputError(f"stdout cannot be written: {error.strerror or error}") from error
        return memoryview(data).nbytes

    def _written(self, data: ReadableBuffer) -> int:
        # None: it does not block, and is full. Who needs the data may be slow, too.
        while (count := super().write(data)) is None:
            if not select.select([], [self], [], None if self.needed else PATIENCE)[1]:
                raise TimeoutError
        return count


def _lasting(stream: TextIO | None, *, needed: bool) -> TextIO:
    if stream is None:
        # The process was started without this stream.
        return _text(os.open(os.devnull, os.O_WRONLY), "utf-8", lines=False, needed=False)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    lines = stream.line_buffering or stream.write_through
    return _text(stream.fileno(), stream.encoding, lines=lines, needed=needed)


def _text(number: int, encoding: str, *, lines: bool, needed: bool) -> TextIO:
    # Who has opened the number closes it, or the end of the process.
    raw = _Output(number, "wb", closefd=False)
    raw.needed = needed
    return io.TextIOWrapper(io.BufferedWriter(raw), encoding, "backslashreplace", line_buffering=lines)


def json_line(event: Mapping[str, object]) -> str:
    """An event as a line of JSON; what of a file's name is no text is escaped."""
    try:
        return msgspec.json.encode(event).decode() + "\n"
    except UnicodeEncodeError:
        return json.dumps(msgspec.to_builtins(event)) + "\n"


def log_as_json() -> None:
    """Lets what is logged from warnings on, and Python's own warnings, go to stderr as lines of JSON."""
    logging.captureWarnings(True)
    logging.getLogger().addHandler(_JsonLog(logging.WARNING))


class _JsonLog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = self.format(record)
        except Exception:  # noqa: BLE001 - what is told of must not be harmed by how it is told
            message = "(cannot be put into words)"
        event = {"event": "log", "level": record.levelname.lower(), "logger": record.name, "message": message}
        sys.stderr.write(json_line(event))
        sys.stderr.flush()
