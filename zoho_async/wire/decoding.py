"""Responses: a strict decoder first, coercion for what it refuses, and a count of the drift."""

from __future__ import annotations

import codecs
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from zoho_async._typeguards import is_list, is_object
from zoho_async.schema.operation import Operation
from zoho_async.schema.registry import SECRETS

from .coercion import Coercer
from .drift import DriftCounter
from .pagination import Page, PageContext, next_cursor

_UNTYPED = msgspec.json.Decoder(float_hook=Decimal)
_RESULT = "result_"
"""Attribute prefix of an envelope's result fields; keeps Zoho's keys from clashing with `code` or `message`."""


class Untyped(dict[str, Any]):
    """An object of an undocumented response: a dict whose repr shows `***` for secret values."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr({key: "***" if key in SECRETS and value else value for key, value in self.items()})

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        return ((key, "***" if key in SECRETS and value else value) for key, value in self.items())


def redacting(value: Any) -> Any:
    """The same JSON with every object as `Untyped`, so that a part of it is redacted in a repr too."""
    if is_object(value):
        return Untyped({key: redacting(item) for key, item in value.items()})
    return [redacting(item) for item in value] if is_list(value) else value


class CodeAndMessage(msgspec.Struct):
    """What every response of Zoho has."""

    code: int | str | None = None
    message: Any = None


class Decoded(msgspec.Struct):
    """A decoded response. `readable` is False when the body is not a JSON object with a code."""

    code: int | str | None
    message: str | None
    data: Any = None
    readable: bool = True
    missing: str = ""
    """What a successful response lacks; empty when it is complete."""


UNREADABLE = Decoded(code=None, message=None, readable=False)
_CODE_AND_MESSAGE = msgspec.json.Decoder(CodeAndMessage)


def untyped(body: bytes, charset: str | None = None) -> Any:
    """Any JSON as plain Python values, numbers with every digit. Raises ValueError for anything else."""
    try:
        return _UNTYPED.decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _decode_lenient(body, charset)


def _decode_lenient(body: bytes, charset: str | None) -> Any:
    """JSON with a byte-order mark, in another charset than UTF-8, or with lone surrogates."""
    if not body.strip():
        raise ValueError("empty")
    import json  # only for input that msgspec refuses

    marked = {codecs.BOM_UTF8: "utf-8-sig", codecs.BOM_UTF16_LE: "utf-16", codecs.BOM_UTF16_BE: "utf-16"}
    guess = next((name for mark, name in marked.items() if body.startswith(mark)), "utf-8")
    for name in (guess, charset or "latin-1", "latin-1"):
        try:
            text = body.decode(name)
            break
        except (UnicodeDecodeError, LookupError):
            continue
    else:
        raise ValueError("no charset fits")
    try:
        return _without_surrogates(json.loads(text, parse_float=Decimal))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _without_surrogates(value: Any) -> Any:
    """The same without lone surrogates, which cannot be encoded again."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if is_object(value):
        return {_without_surrogates(key): _without_surrogates(item) for key, item in value.items()}
    return [_without_surrogates(item) for item in value] if is_list(value) else value


class Decoders:
    """Decoders by operation and type, built on first use: building one is a thousand times slower than a use."""

    __slots__ = ("_coercer", "_envelopes", "drift")

    def __init__(self) -> None:
        self._envelopes: dict[tuple[Operation[Any], Any], _Envelope] = {}
        self._coercer = Coercer()
        self.drift = DriftCounter()
        """Count by operation and field of values that were not of the specified type."""

    def code_and_message(self, body: bytes, charset: str | None) -> Decoded:
        """Decode only the code and the message, as for an error."""
        try:
            head = _CODE_AND_MESSAGE.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            try:
                value = untyped(body, charset)
            except ValueError:
                return UNREADABLE
            if not is_object(value):
                return UNREADABLE
            return Decoded(code=_code(value.get("code")), message=_message(value.get("message")))
        return Decoded(code=_code(head.code), message=_message(head.message))

    def decode(self, operation: Operation[Any], type: Any, body: bytes, charset: str | None) -> Decoded:
        """Decode a whole response, its result as `type` (None: the operation's own)."""
        if operation.kind == "nothing":
            return self.code_and_message(body, charset)
        if operation.kind == "untyped":
            return self._decode_untyped(operation, type, body, charset)
        envelope = self._envelope(operation, type)
        try:
            read = envelope.decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._decode_tolerant(operation, envelope, body, charset)
        if read.code not in (0, "0"):
            return Decoded(code=_code(read.code), message=_message(read.message), readable=read.code is not None)
        for name in envelope.names:
            result = getattr(read, name)
            if operation.in_list and result:
                result = result[0]
            elif operation.in_list:
                result = None
            if result is not None:
                return self._success(operation, read.message, result, getattr(read, "page_context", None))
        return self._decode_tolerant(operation, envelope, body, charset)

    def file(self, body: bytes | None, *, media_type: str, named: bool, charset: str | None) -> Decoded:
        """A downloaded file, or the error or gateway page that came instead of it under the same status.

        Args:
            body: The body; None when it is too long to be an error.
            media_type: From `Content-Type`, lower case.
            named: Whether there is a `Content-Disposition`. It proves a file, which may itself hold JSON or HTML.
            charset: From `Content-Type`.
        """
        done = Decoded(code=0, message=None, data=body)
        if named:
            return done
        if media_type == "text/html" or body == b"":
            return UNREADABLE
        if body is None or not body.lstrip().startswith(b"{"):
            return done
        head = self.code_and_message(body, charset)
        if not head.readable or head.code is None:
            return done
        return Decoded(code=head.code, message=head.message, data=body)

    def _decode_untyped(self, operation: Operation[Any], type: Any, body: bytes, charset: str | None) -> Decoded:
        try:
            value = untyped(body, charset)
        except ValueError:
            return UNREADABLE
        if not is_object(value) or "code" not in value:
            return UNREADABLE
        decoded = Decoded(code=_code(value["code"]), message=_message(value.get("message")), data=value)
        if type is None:
            decoded.data = redacting(value)
        elif decoded.code == 0:
            decoded.data = self._coercer.build(type, value, "", lambda path: self._count_drift(operation, path))
        return decoded

    def _envelope(self, operation: Operation[Any], type: Any) -> _Envelope:
        key = (operation, type)
        envelope = self._envelopes.get(key)
        if envelope is None:
            envelope = self._envelopes[key] = _Envelope(operation, type or operation.response)
        return envelope

    def _decode_tolerant(
        self, operation: Operation[Any], envelope: _Envelope, body: bytes, charset: str | None
    ) -> Decoded:
        try:
            value = untyped(body, charset)
        except ValueError:
            return UNREADABLE
        if not is_object(value) or value.get("code") is None:
            return UNREADABLE
        code, message = _code(value["code"]), _message(value.get("message"))
        if code != 0:
            return Decoded(code=code, message=message)
        key = next((key for key in operation.envelope if value.get(key) is not None), None)
        if key is None and operation.kind in ("page", "list"):
            key = next((key for key in operation.envelope if key in value), None)
        if operation.message_only and not value.keys() & set(operation.envelope):
            key = operation.envelope[0]
            value[key] = {} if operation.kind == "record" else []
            self._count_drift(operation, key)
        if key is None:
            return Decoded(code=code, message=message, missing=f"no {' or '.join(operation.envelope)} in it")
        try:
            if operation.in_list:
                rows = value[key] if is_list(value[key]) else [value[key]]
                if not is_list(value[key]):
                    self._count_drift(operation, key)
                if not rows:
                    return Decoded(code=code, message=message, missing=f"nothing in {key}")
                result = self._convert(operation, envelope.item, rows[0], f"{key}[]")
            elif operation.kind == "record":
                result = self._convert(operation, envelope.item, value[key], key)
            else:
                rows = value[key]
                if not is_list(rows):
                    self._count_drift(operation, key)
                    rows = [rows] if rows else []
                result = list[Any]()
                for row in rows:
                    if is_object(row):
                        result.append(self._convert(operation, envelope.item, row, f"{key}[]"))
                    else:
                        self._count_drift(operation, f"{key}[]")  # only an object can be a row
        except msgspec.ValidationError as error:
            return Decoded(code=code, message=message, missing=str(error))
        context = self._context(operation, value.get("page_context"))
        return self._success(operation, message, result, context)

    def _convert(self, operation: Operation[Any], type: Any, value: Any, path: str) -> Any:
        # Row by row: convert() is much faster than coercion, and most rows are valid.
        try:
            return msgspec.convert(value, type)
        except msgspec.ValidationError:
            return self._coercer.build(type, value, path, lambda place: self._count_drift(operation, place))

    def _context(self, operation: Operation[Any], value: Any) -> PageContext | None:
        if operation.kind != "page" or not is_object(value):
            return None
        context: PageContext = self._coercer.build(
            PageContext, value, "page_context", lambda path: self._count_drift(operation, path)
        )
        return context

    def _count_drift(self, operation: Operation[Any], path: str) -> None:
        self.drift.add(operation.id, path)

    def _success(self, operation: Operation[Any], message: Any, result: Any, context: PageContext | None) -> Decoded:
        if operation.kind == "page":
            context = context or PageContext()
            result = Page(rows=result, context=context, cursor=next_cursor(context))
        return Decoded(code=0, message=_message(message), data=result)


class _Envelope:
    """The strict decoder of one operation's response, built from the keys that may hold its result."""

    __slots__ = ("decoder", "item", "names")

    def __init__(self, operation: Operation[Any], item: Any) -> None:
        self.item = item
        result: Any = item if operation.kind == "record" and not operation.in_list else list[item]
        self.names = [f"{_RESULT}{key}" for key in operation.envelope]
        fields: list[Any] = [("code", int | str | None, None), ("message", Any, None)]
        fields.extend((name, result | None, None) for name in self.names)
        rename: Mapping[str, str] = dict(zip(self.names, operation.envelope, strict=True))
        if operation.kind == "page":
            fields.append(("page_context", PageContext | None, None))
        self.decoder: Any = msgspec.json.Decoder(
            msgspec.defstruct("Envelope", fields, rename=rename, gc=False), float_hook=Decimal
        )


def _code(value: Any) -> int | str | None:
    """A result code: a number, or a number as text, which Zoho sends occasionally."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isdecimal() else (text or None)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _message(value: Any) -> str | None:
    return value if isinstance(value, str) else None
