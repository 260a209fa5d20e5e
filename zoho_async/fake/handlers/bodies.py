"""Request bodies, whichever way they come: as JSON, as a form with JSONString, as a multipart form with files. Pure."""

from __future__ import annotations

import re
from email.message import Message
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

from zoho_async.fake.rendering import live

from .handler import Call, Refusal, malformed

_MOST_PARTS = 1000
# It goes back in a header one day, so nothing else may stand in it.
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}(; ?charset=[\w-]{1,40})?", re.ASCII)


class File(msgspec.Struct, frozen=True, kw_only=True):
    """A file that came in a form."""

    name: str
    """Name of the part."""
    filename: str
    content_type: str
    content: bytes


class Sent(msgspec.Struct, frozen=True, kw_only=True):
    """What a request carries: data, and files beside it."""

    data: dict[str, Any] | None
    """None when there is no data at all, as in a request without a body."""
    files: list[File]


def read(call: Call) -> Sent:
    """The body, read by what its Content-Type says; Refusal 1038 when it cannot be read or is no JSON object."""
    content_type = call.headers.get("Content-Type", "")
    if content_type.lower().startswith("multipart/"):
        return _multipart(call.body, content_type)
    text: bytes | str = call.body
    # Many a curl line sends plain JSON under the form type, which is curl's default.
    if call.form and call.body.strip() and not call.body.lstrip().startswith((b"{", b"[")):
        fields = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        text = fields.get("JSONString", "{")
    if not text.strip():
        # The oldest way of all puts the data into the address.
        text = call.query.get("JSONString", "")
    return Sent(data=_object(text) if text.strip() else None, files=[])


def data(call: Call) -> dict[str, Any]:
    """The data of a request that must have some; Refusal 1038 when there is none."""
    found = read(call).data
    if found is None:
        raise malformed()
    return found


def _object(text: bytes | str) -> dict[str, Any]:
    try:
        body: object = live.decode(text)
    except ValueError:
        raise malformed() from None
    if not isinstance(body, dict):
        raise malformed()
    return cast("dict[str, Any]", body)


def _multipart(body: bytes, content_type: str) -> Sent:
    boundary = _parameters(content_type).get("boundary", "")
    if not boundary or len(boundary) > 200:
        raise _unreadable()
    mark = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    # The first line ends nothing; with a line end before it, all marks look alike.
    pieces = (b"\r\n" + body).split(mark, _MOST_PARTS)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise _unreadable()
    found: dict[str, Any] | None = None
    fields: dict[str, Any] = {}
    files: list[File] = []
    for piece in pieces[1:-1]:
        head, gap, content = piece.partition(b"\r\n\r\n")
        if not gap:
            raise _unreadable()
        headers = _headers(head)
        parameters = _parameters(headers.get("content-disposition", ""))
        name = parameters.get("name", "")
        if "filename" in parameters:
            kind = headers.get("content-type", "")
            if _MEDIA_TYPE.fullmatch(kind) is None:
                kind = "application/octet-stream"
            files.append(File(name=name, filename=parameters["filename"], content_type=kind, content=content))
        elif name == "JSONString":
            found = _object(content)
        elif name:
            fields[name] = content.decode("utf-8", "replace")
    return Sent(data=found if found is not None else fields or None, files=files)


def _headers(head: bytes) -> dict[str, str]:
    lines = head.decode("utf-8", "replace").split("\r\n")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _parameters(header: str) -> dict[str, str]:
    """The parameters behind a header's value, unquoted: name, filename, boundary."""
    message = Message()
    # The standard library reads them with every rule of quoting; line ends would end the header.
    message["Content-Type"] = re.sub(r"[\r\n\x00]", " ", header)
    try:
        pairs = cast("list[tuple[str, object]]", message.get_params(failobj=[], unquote=True))
    except (ValueError, IndexError, LookupError):
        return {}
    # A parameter in the extended way of writing is a triple: character set, language, text.
    return {
        name.lower(): str(value[2]) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType]
        for name, value in pairs[1:]
    }


def _unreadable() -> Refusal:
    return Refusal(400, 1038, "The form is not well formed")
