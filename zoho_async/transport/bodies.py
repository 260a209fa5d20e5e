"""Bodies of requests and responses: streams and files of the caller's, and the bound of what is kept in memory."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from io import BytesIO
from typing import IO, TYPE_CHECKING, Any, TypeVar

if TYPE_CHECKING:
    from aiohttp import ClientResponse, FormData

    from zoho_async.wire.multipart import FormPart

T = TypeVar("T")

PASSED_ON = (asyncio.CancelledError, KeyboardInterrupt, SystemExit, GeneratorExit)
"""The only exceptions besides a ZohoError that end a call whose request has left."""
_STREAMED_ABOVE = 512 * 1024
"""Bytes. A longer body is sent in chunks."""
_LONGEST_ERROR_BODY = 64 * 1024
"""Bytes. A longer download is a file; a shorter one may be an error under HTTP 200."""
LONGEST_RESPONSE = 64 * 1024 * 1024
"""Bytes after decompression, of a response that is kept in memory."""
LONGEST_DOWNLOAD = 1024 * 1024 * 1024
"""Bytes after decompression, of a response that is written to a file; Zoho's documents allow files of 10 MB."""
_DOWNLOAD_CHUNK = 256 * 1024


class UploadReadError(Exception):
    """A file or stream of the caller's could not be read, so the request was left incomplete."""

    def __init__(self, name: str, error: Exception, *, started: bool = True) -> None:
        super().__init__(str(error))
        self.name = name
        self.error = error
        self.started = started
        """Whether part of the request had been sent."""


class DownloadWriteError(Exception):
    """The file of a download could not be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(str(error))
        self.error = error


class GuardError(Exception):
    """A guard has kept an attempt from being sent."""

    def __init__(self, error: Exception) -> None:
        super().__init__(str(error))
        self.error = error


class TooLongError(Exception):
    """A response is longer than its bound."""

    def __init__(self, bound: int) -> None:
        super().__init__()
        self.bound = bound


async def relay(
    name: str, start: Callable[..., Any], read_errors: list[UploadReadError], moved: Callable[[], None]
) -> AsyncGenerator[bytes, None]:
    """A caller's stream, whose errors are kept apart from network errors. `moved` is called after each chunk."""
    stream: Any = None
    try:
        stream = start()
        async for chunk in stream:
            if not isinstance(chunk, bytes):
                raise TypeError(f"the stream must yield bytes, not {type(chunk).__name__}")
            yield chunk
            moved()
    except Exception as error:
        read_errors.append(UploadReadError(name, error))
        raise
    finally:
        close = getattr(stream, "aclose", None)
        if close is not None:
            await close()


async def close_stream(stream: AsyncGenerator[bytes, None]) -> None:
    """Close a relayed stream."""
    # A running one is cancelled together with the task that writes, and closes itself.
    if not getattr(stream, "ag_running", False):
        await stream.aclose()


def body_of(body: bytes | None) -> bytes | BytesIO | None:
    """What aiohttp is given of a body."""
    # aiohttp writes long bytes in one go, which blocks the event loop.
    return BytesIO(body) if body is not None and len(body) > _STREAMED_ABOVE else body


def form_of(
    form: FormData,
    parts: Sequence[FormPart],
    opened: AsyncExitStack,
    read_errors: list[UploadReadError],
    moved: Callable[[], None],
) -> FormData:
    """The form of one attempt; files are opened and streams started again for each."""
    for part in parts:
        content: Any = part.content
        if callable(content):
            content = relay(part.name, content, read_errors, moved)
            opened.push_async_callback(close_stream, content)
        elif isinstance(content, bytes):
            # As a file it is sent in chunks; aiohttp warns about long bytes.
            content = content if part.filename is None else BytesIO(content)
        else:
            try:
                content = opened.enter_context(content.open("rb"))
            except OSError as error:
                read_errors.append(UploadReadError(part.name, error, started=False))
                raise
        if part.filename is None:
            form.add_field(part.name, content.decode())
        else:
            form.add_field(part.name, content, filename=part.filename, content_type=part.content_type)
    return form


async def read_body(response: ClientResponse) -> bytes:
    """The whole body, decompressed. Raises TooLongError beyond a bound."""
    chunks: list[bytes] = []
    size = 0
    while chunk := await response.content.readany():
        size += len(chunk)
        if size > LONGEST_RESPONSE:
            raise TooLongError(LONGEST_RESPONSE)
        chunks.append(chunk)
    if not chunks:  # a middleware of the caller's session may have read it
        return await response.read()
    return chunks[0] if len(chunks) == 1 else b"".join(chunks)


async def save_body(response: ClientResponse, to: IO[bytes]) -> tuple[bytes, int]:
    """Write the body to a file; return its beginning, enough for any error body, and its size.

    Raises:
        TooLongError: It is longer than `LONGEST_DOWNLOAD`.
        DownloadWriteError: The file cannot be written.
    """
    start, size = b"", 0
    async for chunk in response.content.iter_chunked(_DOWNLOAD_CHUNK):
        size += len(chunk)
        if size > LONGEST_DOWNLOAD:
            raise TooLongError(LONGEST_DOWNLOAD)
        start += chunk[: _LONGEST_ERROR_BODY - len(start)]
        await in_thread(to.write, chunk)
    await in_thread(to.flush)
    return start, size


async def in_thread(function: Callable[..., T], *arguments: Any, **options: Any) -> T:
    """Run a file operation without blocking the event loop. Raises DownloadWriteError when it fails."""
    try:
        return await asyncio.to_thread(function, *arguments, **options)
    except OSError as error:
        raise DownloadWriteError(error) from error
