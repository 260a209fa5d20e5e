"""Request bodies: JSON, a form with `JSONString`, or a multipart form with files. Pure."""

from __future__ import annotations

import re
from email.message import Message
from typing import Any, cast
from urllib.parse import parse_qsl

import msgspec

from zoho_async._typeguards import is_object
from zoho_async.fake.refusals import malformed, malformed_form
from zoho_async.fake.rendering.wire_format import decode

from .handler import HandlerCall

_MOST_PARTS = 1000
# Sent back in a header later: nothing else is safe.
_MEDIA_TYPE = re.compile(r"[\w.+-]{1,80}/[\w.+-]{1,80}(; ?charset=[\w-]{1,40})?", re.ASCII)


class UploadedFile(msgspec.Struct, frozen=True, kw_only=True):
    """A file of a multipart form."""

    name: str
    """Name of the part."""
    filename: str
    content_type: str
    content: bytes


class ParsedBody(msgspec.Struct, frozen=True, kw_only=True):
    """Data and files of a request."""

    data: dict[str, Any] | None
    """None when the request has no data, as without a body."""
    files: list[UploadedFile]


def read(call: HandlerCall) -> ParsedBody:
    """The body, parsed by its Content-Type; Refusal 1038 when it is malformed or no JSON object."""
    content_type = call.headers.get("Content-Type", "")
    if content_type.lower().startswith("multipart/"):
        return _multipart(call.body, content_type)
    text: bytes | str = call.body
    # curl sends plain JSON under the form type by default.
    if call.form and call.body.strip() and not call.body.lstrip().startswith((b"{", b"[")):
        fields = dict(parse_qsl(call.body.decode("utf-8", "replace"), keep_blank_values=True))
        text = fields.get("JSONString", "{")
    if not text.strip():
        # An old form of call has the data in the query.
        text = call.query.get("JSONString", "")
    return ParsedBody(data=_parsed_object(text) if text.strip() else None, files=[])


def data(call: HandlerCall) -> dict[str, Any]:
    """The data of a request that must have some; Refusal 1038 when there is none."""
    body = read(call).data
    if body is None:
        raise malformed()
    return body


def _parsed_object(text: bytes | str) -> dict[str, Any]:
    try:
        body: object = decode(text)
    except ValueError:
        raise malformed() from None
    if not is_object(body):
        raise malformed()
    return body


def _multipart(body: bytes, content_type: str) -> ParsedBody:
    boundary = _parameters(content_type).get("boundary", "")
    if not boundary or len(boundary) > 200:
        raise malformed_form()
    mark = b"\r\n--" + boundary.encode("utf-8", "surrogateescape")
    # A leading line end makes the first boundary like the others.
    pieces = (b"\r\n" + body).split(mark, _MOST_PARTS)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):
        raise malformed_form()
    found: dict[str, Any] | None = None
    fields: dict[str, Any] = {}
    files: list[UploadedFile] = []
    for piece in pieces[1:-1]:
        head, gap, content = piece.partition(b"\r\n\r\n")
        if not gap:
            raise malformed_form()
        headers = _part_headers(head)
        parameters = _parameters(headers.get("content-disposition", ""))
        name = parameters.get("name", "")
        if "filename" in parameters:
            kind = headers.get("content-type", "")
            if _MEDIA_TYPE.fullmatch(kind) is None:
                kind = "application/octet-stream"
            files.append(UploadedFile(name=name, filename=parameters["filename"], content_type=kind, content=content))
        elif name == "JSONString":
            found = _parsed_object(content)
        elif name:
            fields[name] = content.decode("utf-8", "replace")
    return ParsedBody(data=found if found is not None else fields or None, files=files)


def _part_headers(head: bytes) -> dict[str, str]:
    lines = head.decode("utf-8", "replace").split("\r\n")
    pairs = (line.partition(":") for line in lines if ":" in line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def _parameters(header: str) -> dict[str, str]:
    """The parameters of a header, unquoted: name, filename, boundary."""
    message = Message()
    # The standard library knows the rules of quoting; line ends would end the header.
    message["Content-Type"] = re.sub(r"[\r\n\x00]", " ", header)
    try:
        pairs = cast("list[tuple[str, object]]", message.get_params(failobj=[], unquote=True))
    except (ValueError, IndexError, LookupError):
        return {}
    # An extended parameter (RFC 2231) is a triple: character set, language, text.
    return {
        name.lower(): str(value[2]) if isinstance(value, tuple) else str(value)  # pyright: ignore[reportUnknownArgumentType]
        for name, value in pairs[1:]
    }
