"""JSON that the strict decoder refuses, and the error messages of bodies that are not in Zoho's format. Pure."""

from __future__ import annotations

import codecs
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from zoho_async._typeguards import is_list, is_object

_UNTYPED = msgspec.json.Decoder(float_hook=Decimal)
_LONGEST_INTEGER = 4000
"""Digits. Python refuses to convert much longer ones, for it takes too long."""
_LONGEST_MESSAGE = 500
"""Characters of a message that is not in Zoho's format."""
_MESSAGE_MEMBERS = ("message", "error_description", "error", "errors", "detail", "title")


def untyped(body: bytes, charset: str | None = None) -> Any:
    """Any JSON as plain Python values, numbers with every digit. Raises ValueError for anything else."""
    try:
        return _UNTYPED.decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError, InvalidOperation):
        return _decode_lenient(body, charset)


def _decode_lenient(body: bytes, charset: str | None) -> Any:
    """JSON with a byte-order mark, in another charset than UTF-8, with lone surrogates or with huge numbers."""
    text = _text(body, charset)
    if not text.strip():
        raise ValueError("empty")
    import json  # only for input that msgspec refuses

    try:
        return _without_surrogates(json.loads(text, parse_float=_number, parse_int=_number))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _text(body: bytes, charset: str | None) -> str:
    """The text of a body in the first charset that fits."""
    marked = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    guess = next((name for mark, name in marked.items() if body.startswith(mark)), "utf-8")
    for name in (guess, charset or "latin-1"):
        try:
            return body.decode(name)
        except (ValueError, LookupError):  # a charset may be unknown, undefined or no text
            continue
    return body.decode("latin-1")


def _number(digits: str) -> Any:
    """A number with every digit; as text where Python has no number for it."""
    try:
        return int(digits) if len(digits) < _LONGEST_INTEGER and digits.lstrip("-").isdecimal() else Decimal(digits)
    except InvalidOperation:
        return digits


def _without_surrogates(value: Any) -> Any:
    """The same without lone surrogates, which cannot be encoded again."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if is_object(value):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return [_without_surrogates(item) for item in value] if is_list(value) else value


def charset_of(content_type: str) -> str | None:
    """The charset that a `Content-Type` header names; None when it names none that Python has."""
    _, _, rest = content_type.partition("charset=")
    name = rest.split(";")[0].strip().strip('"')
    if not name:
        return None
    try:
        "".encode(name)
    except (LookupError, ValueError):
        return None
    return name


def error_message(body: bytes, charset: str | None) -> str | None:
    """The message of a body without Zoho's code: from JSON of another shape, or the beginning of plain text."""
    try:
        value = untyped(body, charset)
    except ValueError:
        text = _text(body[: 4 * _LONGEST_MESSAGE], charset).strip()
        return text[:_LONGEST_MESSAGE] if text and text[0] not in "<{[" and "\0" not in text else None
    return _message_in(value, 3)[:_LONGEST_MESSAGE] or None


def _message_in(value: Any, depth: int) -> str:
    if isinstance(value, str):
        return value.strip()
    if is_list(value) and depth:
        return "; ".join(filter(None, (_message_in(item, depth - 1) for item in value[:5])))
    if not is_object(value) or not depth:
        return ""
    for member in _MESSAGE_MEMBERS:
        if found := _message_in(value.get(member), depth - 1):
            return found
    if depth == 3:  # the members of the body itself are no messages
        return ""
    named = ((name, _message_in(item, depth - 1)) for name, item in list(value.items())[:5])
    return "; ".join(f"{name}: {text}" for name, text in named if text)
