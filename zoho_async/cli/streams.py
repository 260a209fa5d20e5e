"""Standard streams that take every character, and that nobody has to read."""

from __future__ import annotations

import io
import json
import logging
import os
import sys
from collections.abc import Mapping
from typing import TYPE_CHECKING, TextIO

import msgspec

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


def lasting() -> None:
    """Makes stdout and stderr of this process such that no writing to them fails.

    What the encoding of a stream does not have is written as an escape. When the reader of a pipe is gone, what is
    written there goes nowhere: a push of several days must not end because somebody has closed a window.
    """
    sys.stdout = _lasting(sys.stdout)
    sys.stderr = _lasting(sys.stderr)


class _Pipe(io.FileIO):
    def write(self, data: ReadableBuffer, /) -> int:
        try:
            return super().write(data)
        except BrokenPipeError:
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self.fileno())
            os.close(nowhere)
            return memoryview(data).nbytes


def _lasting(stream: TextIO | None) -> TextIO:
    if stream is None:
        # The process was started without this stream.
        return _text(os.open(os.devnull, os.O_WRONLY), "utf-8", lines=False)
    if not isinstance(stream, io.TextIOWrapper):
        return stream
    stream.flush()
    return _text(stream.fileno(), stream.encoding, lines=stream.line_buffering or stream.write_through)


def _text(number: int, encoding: str, *, lines: bool) -> TextIO:
    # Who has opened the number closes it, or the end of the process.
    raw = _Pipe(number, "wb", closefd=False)
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
        sys.stderr.write(
            json_line(
                {
                    "event": "log",
                    "level": record.levelname.lower(),
                    "logger": record.name,
                    "message": self.format(record),
                }
            )
        )
        sys.stderr.flush()
