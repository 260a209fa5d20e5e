"""File uploads: what the caller gives, and the form parts made of it."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeGuard

import msgspec

from zoho_async._typeguards import is_mapping
from zoho_async.errors import Fault

if TYPE_CHECKING:
    from pathlib import Path

Stream = Callable[[], AsyncIterator[bytes]]
Source = str | os.PathLike[str] | bytes | Stream


class Upload:
    """A file to send, with its name and media type.

    Args:
        source: A path; bytes; or a callable without arguments that returns an async iterator of bytes, such as an
            async generator function. Every attempt opens the path or calls the function again.
        filename: Name of the file in Zoho; by default that of the path, else of the form field.
        content_type: Media type; by default guessed from the name.
    """

    __slots__ = ("content_type", "filename", "source")

    def __init__(self, source: Source, *, filename: str | None = None, content_type: str | None = None) -> None:
        self.source = source
        self.filename = filename
        self.content_type = content_type

    def __repr__(self) -> str:
        return f"<Upload {self.filename or _describe_source(self.source)}>"


class FormPart(msgspec.Struct, frozen=True, kw_only=True):
    """One field of a multipart form."""

    name: str
    content: Path | bytes | Stream
    content_type: str
    filename: str | None = None
    """None for a field that is not a file."""

    __repr__ = object.__repr__  # no file in a traceback


def body_or_file(body: Any, file: Any) -> tuple[Any, Any]:
    """The body and the file of an operation that takes its file in the body's place.

    Args:
        body: What stands in the body's place: a mapping or a file.
        file: The file by its name.

    Returns:
        The body, None where a file stood in its place; and the file.

    Raises:
        TypeError: There are two files.
    """
    if body is None or is_mapping(body):
        return body, file
    if file is not None:
        raise TypeError("there are two files: one in the body's place and one by name")
    return None, body


def file_parts(known: tuple[str, ...], given: Mapping[str, Any], faults: list[Fault]) -> tuple[FormPart, ...]:
    """The form parts of the files given by name, in that order; None is not sent.

    Appends to `faults` an error for each unknown name, value that is no file, and path that cannot be read.
    """
    parts: list[FormPart] = []
    for name, value in given.items():
        if value is None:
            continue
        if name not in known:
            message = f"is not a file of this operation; known: {', '.join(known) or 'none'}"
            faults.append(Fault(path=name, rule="unknown", message=message))
            continue
        upload = value if isinstance(value, Upload) else Upload(value)
        content, filename, message = _content(upload.source)
        filename = upload.filename or filename or name
        if not _has_no_control_character(f"{filename}{upload.content_type or ''}"):
            message = message or "its filename or content_type contains characters that HTTP headers do not allow"
        if message:
            faults.append(Fault(path=name, rule="file", message=message))
            continue
        parts.append(
            FormPart(
                name=name,
                content=content,
                content_type=upload.content_type or _guess_content_type(filename),
                filename=filename,
            )
        )
    return tuple(parts)


def _content(source: Any) -> tuple[Any, str, str]:
    """What to send, its file name, and an error message or nothing."""
    if isinstance(source, bytes) or (callable(source) and not _is_path(source)):
        return source, "", ""
    if not _is_path(source):
        return source, "", "must be a path, bytes, or an Upload of a path, bytes or a function that yields bytes"
    from pathlib import Path

    path = Path(os.fsdecode(source))
    try:
        # Opening it is the only reliable check before a call is made.
        with path.open("rb"):
            return path, path.name, ""
    except (OSError, ValueError) as error:
        return path, path.name, f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}"


def _guess_content_type(filename: str) -> str:
    from mimetypes import guess_type

    return guess_type(filename)[0] or "application/octet-stream"


def _has_no_control_character(text: str) -> bool:
    return not any(ord(sign) < 32 or ord(sign) == 127 for sign in text)


def _describe_source(source: Source) -> str:
    if isinstance(source, bytes):
        return f"{len(source)} bytes"
    return os.fsdecode(source) if _is_path(source) else "stream"


def _is_path(source: object) -> TypeGuard[str | os.PathLike[str]]:
    return isinstance(source, str | os.PathLike)
