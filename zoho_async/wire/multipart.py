"""Files that go out with a request: what the caller names, and the parts of a form made of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec

from zoho_async.errors import Fault

if TYPE_CHECKING:
    from pathlib import Path

Stream = Callable[[], AsyncIterator[bytes]]
Source = str | os.PathLike[str] | bytes | Stream


class Upload:
    """A file to send, where a path or bytes alone would not say enough.

    `source`: a path; the bytes themselves; or a callable without arguments that returns an async iterator of bytes,
    such as an async generator function. It is called, and a path is opened, afresh for every attempt, so that a
    refused upload can be sent again whole.
    `filename`: what Zoho calls the file; the path's last part, else the name of the form's part.
    `content_type`: its media type; guessed from the name when not given.
    """

    __slots__ = ("content_type", "filename", "source")

    def __init__(self, source: Source, *, filename: str | None = None, content_type: str | None = None) -> None:
        self.source = source
        self.filename = filename
        self.content_type = content_type

    def __repr__(self) -> str:
        return f"<Upload {self.filename or _place(self.source)}>"


class Part(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a form, ready to be sent as often as needed."""

    name: str
    content: Path | bytes | Stream
    content_type: str
    filename: str | None = None
    """None for the part that is data and no file."""


def file_parts(known: tuple[str, ...], given: Mapping[str, Any], faults: list[Fault]) -> tuple[Part, ...]:
    """The parts for files by name, in the order given; None means not given. Adds a fault for each that cannot go:
    a name the operation has no part for, something that is no file, a path that cannot be read.
    """
    parts: list[Part] = []
    for name, value in given.items():
        if value is None:
            continue
        if name not in known:
            message = f"is no file of this operation; known: {', '.join(known) or 'none'}"
            faults.append(Fault(path=name, rule="unknown", message=message))
            continue
        upload = value if isinstance(value, Upload) else Upload(value)
        content, filename, message = _content(upload.source)
        filename = upload.filename or filename or name
        if not _fit_for_header(f"{filename}{upload.content_type or ''}"):
            message = message or "its filename or content_type holds characters that a header cannot carry"
        if message:
            faults.append(Fault(path=name, rule="file", message=message))
            continue
        parts.append(
            Part(name=name, content=content, content_type=upload.content_type or _guessed(filename), filename=filename)
        )
    return tuple(parts)


def _content(source: Any) -> tuple[Any, str, str]:
    """What to send, its own name, and what is wrong with it."""
    if isinstance(source, bytes) or (callable(source) and not _is_path(source)):
        return source, "", ""
    if not _is_path(source):
        return source, "", "must be a path, bytes, or an Upload of one of them or of a function that gives the bytes"
    from pathlib import Path

    path = Path(os.fsdecode(source))
    try:
        # Opening it is the only sure test, and it must come before a call is spent.
        with path.open("rb"):
            return path, path.name, ""
    except (OSError, ValueError) as error:
        return path, path.name, f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"


def _guessed(filename: str) -> str:
    from mimetypes import guess_type

    return guess_type(filename)[0] or "application/octet-stream"


def _fit_for_header(text: str) -> bool:
    return not any(ord(sign) < 32 or ord(sign) == 127 for sign in text)


def _place(source: Source) -> str:
    if isinstance(source, bytes):
        return f"{len(source)} bytes"
    return os.fsdecode(source) if _is_path(source) else "stream"


def _is_path(source: object) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(source, str | os.PathLike)
