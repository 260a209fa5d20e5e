"""What comes back: one strict pass for the well-shaped answer, repair for the rest, and a count of the drift."""

from __future__ import annotations

import codecs
from collections import Counter
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

import msgspec

from zoho_async._typeguards import is_list, is_object
from zoho_async.schema.operation import Operation
from zoho_async.schema.registry import SECRETS

from .coercion import Coercer
from .pagination import Page, PageContext, next_cursor

_UNTYPED = msgspec.json.Decoder(float_hook=Decimal)
_RESULT = "result_"
"""Attribute prefix of an envelope's result members, so that no key of Zoho's can clash with `code` or `message`."""


class Untyped(dict[str, Any]):
    """An object of an answer that nobody documents: a dict, whose repr shows `***` for what is secret."""

    __slots__ = ()

    def __repr__(self) -> str:
        return repr({key: "***" if key in SECRETS and value else value for key, value in self.items()})

    def __rich_repr__(self) -> Iterator[tuple[str, Any]]:
        return ((key, "***" if key in SECRETS and value else value) for key, value in self.items())


def guarded(value: Any) -> Any:
    """The same JSON, its objects made `Untyped` at every depth: parts of an answer get printed as well."""
    if is_object(value):
        return Untyped({key: guarded(item) for key, item in value.items()})
    return [guarded(item) for item in value] if is_list(value) else value


class Brief(msgspec.Struct):
    """What every answer of Zoho's has."""

    code: int | str | None = None
    message: Any = None


class Decoded(msgspec.Struct):
    """An answer as read. `readable` is False when the body is no JSON object with a code in it."""

    code: int | str | None
    message: str | None
    data: Any = None
    readable: bool = True
    missing: str = ""
    """Not empty when the answer is a success but does not hold what it should: what is missing."""


UNREADABLE = Decoded(code=None, message=None, readable=False)
_BRIEF = msgspec.json.Decoder(Brief)


def untyped(body: bytes, charset: str | None = None) -> Any:
    """Any JSON as plain Python, integers and decimals digit by digit. Raises ValueError for what is no JSON."""
    try:
        return _UNTYPED.decode(body)
    except RecursionError:
        raise ValueError("nested too deeply") from None
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _leniently(body, charset)


def _leniently(body: bytes, charset: str | None) -> Any:
    """JSON with a byte-order mark, in another charset than UTF-8, or with halves of characters in it."""
    if not body.strip():
        raise ValueError("empty")
    import json  # only for what msgspec refuses

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
        return _whole(json.loads(text, parse_float=Decimal))
    except RecursionError:
        raise ValueError("nested too deeply") from None


def _whole(value: Any) -> Any:
    """The same without halves of characters, which could never be written again."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if is_object(value):
        return {_whole(key): _whole(item) for key, item in value.items()}
    return [_whole(item) for item in value] if is_list(value) else value


class Decoders:
    """Decoders by operation and type, built on first use (building one costs a thousand times its use)."""

    __slots__ = ("_envelopes", "_repairer", "drift")

    def __init__(self) -> None:
        self._envelopes: dict[tuple[Operation[Any], Any], _Envelope] = {}
        self._repairer = Coercer()
        self.drift: Counter[tuple[str, str]] = Counter()
        """How often which field of which operation was not what the specs promise."""

    def brief(self, body: bytes, charset: str | None) -> Decoded:
        """Only the code and the message: all there is to read in a refusal."""
        try:
            brief = _BRIEF.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            try:
                value = untyped(body, charset)
            except ValueError:
                return UNREADABLE
            if not is_object(value):
                return UNREADABLE
            return Decoded(code=_code(value.get("code")), message=_message(value.get("message")))
        return Decoded(code=_code(brief.code), message=_message(brief.message))

    def decode(self, operation: Operation[Any], wanted: Any, body: bytes, charset: str | None) -> Decoded:
        """A whole answer, its result as `wanted` (None: as the operation says)."""
        if operation.kind == "nothing":
            return self.brief(body, charset)
        if operation.kind == "untyped":
            return self._decode_untyped(operation, wanted, body, charset)
        envelope = self._envelope(operation, wanted)
        try:
            read = envelope.decoder.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            return self._tolerant(operation, envelope, body, charset)
        if read.code not in (0, "0"):
            return Decoded(code=_code(read.code), message=_message(read.message), readable=read.code is not None)
        for name in envelope.members:
            result = getattr(read, name)
            if operation.in_list and result:
                result = result[0]
            elif operation.in_list:
                result = None
            if result is not None:
                return self._done(operation, read.message, result, getattr(read, "page_context", None))
        return self._tolerant(operation, envelope, body, charset)

    def file(self, body: bytes | None, *, media_type: str, named: bool, charset: str | None) -> Decoded:
        """A downloaded file, or the refusal or gateway page that came in its place under the same status.

        `body`: None when it is too long to be anything but a file. `named`: whether the answer says that it is a file
        (`Content-Disposition`), which settles it: an attached file may itself hold JSON or HTML.
        """
        done = Decoded(code=0, message=None, data=body)
        if named:
            return done
        if media_type == "text/html" or body == b"":
            return UNREADABLE
        if body is None or not body.lstrip().startswith(b"{"):
            return done
        brief = self.brief(body, charset)
        if not brief.readable or brief.code is None:
            return done
        return Decoded(code=brief.code, message=brief.message, data=body)

    def _decode_untyped(self, operation: Operation[Any], wanted: Any, body: bytes, charset: str | None) -> Decoded:
        try:
            value = untyped(body, charset)
        except ValueError:
            return UNREADABLE
        if not is_object(value) or "code" not in value:
            return UNREADABLE
        decoded = Decoded(code=_code(value["code"]), message=_message(value.get("message")), data=value)
        if wanted is None:
            decoded.data = guarded(value)
        elif decoded.code == 0:
            decoded.data = self._repairer.build(wanted, value, "", lambda path: self._note(operation, path))
        return decoded

    def _envelope(self, operation: Operation[Any], wanted: Any) -> _Envelope:
        key = (operation, wanted)
        envelope = self._envelopes.get(key)
        if envelope is None:
            envelope = self._envelopes[key] = _Envelope(operation, wanted or operation.response)
        return envelope

    def _tolerant(self, operation: Operation[Any], envelope: _Envelope, body: bytes, charset: str | None) -> Decoded:
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
            self._note(operation, key)
        if key is None:
            return Decoded(code=code, message=message, missing=f"no {' or '.join(operation.envelope)} in it")
        try:
            if operation.in_list:
                rows = value[key] if is_list(value[key]) else [value[key]]
                if not is_list(value[key]):
                    self._note(operation, key)
                if not rows:
                    return Decoded(code=code, message=message, missing=f"nothing in {key}")
                result = self._one(operation, envelope.item, rows[0], f"{key}[]")
            elif operation.kind == "record":
                result = self._one(operation, envelope.item, value[key], key)
            else:
                rows = value[key]
                if not is_list(rows):
                    self._note(operation, key)
                    rows = [rows] if rows else []
                result = list[Any]()
                for row in rows:
                    if is_object(row):
                        result.append(self._one(operation, envelope.item, row, f"{key}[]"))
                    else:
                        self._note(operation, f"{key}[]")  # what is no object holds nothing of a record
        except msgspec.ValidationError as error:
            return Decoded(code=code, message=message, missing=str(error))
        context = self._context(operation, value.get("page_context"))
        return self._done(operation, message, result, context)

    def _one(self, operation: Operation[Any], wanted: Any, value: Any, path: str) -> Any:
        # Row by row: most rows of a page with one odd row are well shaped, and convert() is far quicker than repair.
        try:
            return msgspec.convert(value, wanted)
        except msgspec.ValidationError:
            return self._repairer.build(wanted, value, path, lambda place: self._note(operation, place))

    def _context(self, operation: Operation[Any], value: Any) -> PageContext | None:
        if operation.kind != "page" or not is_object(value):
            return None
        note = "page_context"
        context: PageContext = self._repairer.build(PageContext, value, note, lambda path: self._note(operation, path))
        return context

    def _note(self, operation: Operation[Any], path: str) -> None:
        self.drift[operation.id, path] += 1

    def _done(self, operation: Operation[Any], message: Any, result: Any, context: PageContext | None) -> Decoded:
        if operation.kind == "page":
            context = context or PageContext()
            result = Page(rows=result, context=context, cursor=next_cursor(context))
        return Decoded(code=0, message=_message(message), data=result)


class _Envelope:
    """The strict decoder of one operation's whole answer, built from the keys that may hold its result."""

    __slots__ = ("decoder", "item", "members")

    def __init__(self, operation: Operation[Any], item: Any) -> None:
        self.item = item
        result: Any = item if operation.kind == "record" and not operation.in_list else list[item]
        self.members = [f"{_RESULT}{key}" for key in operation.envelope]
        fields: list[Any] = [("code", int | str | None, None), ("message", Any, None)]
        fields.extend((name, result | None, None) for name in self.members)
        rename: Mapping[str, str] = dict(zip(self.members, operation.envelope, strict=True))
        if operation.kind == "page":
            fields.append(("page_context", PageContext | None, None))
        self.decoder: Any = msgspec.json.Decoder(
            msgspec.defstruct("Envelope", fields, rename=rename, gc=False), float_hook=Decimal
        )


def _code(value: Any) -> int | str | None:
    """A code as Zoho means it: mostly a number, now and then the same number as text."""
    if isinstance(value, str):
        text = value.strip()
        return int(text) if text.isdecimal() else (text or None)
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _message(value: Any) -> str | None:
    return value if isinstance(value, str) else None
