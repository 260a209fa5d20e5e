"""Responses: a strict decoder first, coercion for what it refuses, and a count of the drift."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from decimal import Decimal
from typing import TYPE_CHECKING, Any

import msgspec

from zoho_async._typeguards import is_list, is_object
from zoho_async.schema.operation import Operation
from zoho_async.schema.registry import SECRETS

from .drift import DriftCounter
from .lenient import untyped
from .pagination import Page, PageContext

if TYPE_CHECKING:
    from .coercion import Coercer

_LONGEST_CODE = 64
"""Characters; a longer code is none of Zoho's."""
_NUMBER = r"-?[0-9]{1,18}"
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

    __repr__ = object.__repr__  # no record in a traceback


UNREADABLE = Decoded(code=None, message=None, readable=False)
_CODE_AND_MESSAGE = msgspec.json.Decoder(CodeAndMessage)


class Decoders:
    """Decoders by operation and type, built on first use: building one is a thousand times slower than a use."""

    __slots__ = ("_envelopes", "_made_coercer", "drift")

    def __init__(self) -> None:
        self._envelopes: dict[tuple[Operation[Any], Any], _Envelope] = {}
        self._made_coercer: Coercer | None = None
        self.drift = DriftCounter()
        """Count by operation and field of values that were not of the specified type."""

    @property
    def _coercer(self) -> Coercer:
        if self._made_coercer is None:
            from .coercion import Coercer  # `import zoho_async` need not pay for it

            self._made_coercer = Coercer()
        return self._made_coercer

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

    def prepare(self, operation: Operation[Any], type: Any) -> None:
        """Build the decoder of a result before the request is sent. Raises TypeError for an impossible type."""
        if operation.kind in ("untyped", "any"):
            if type is not None:
                self._coercer.prepare(type)
        elif operation.kind not in ("nothing", "file"):
            self._envelope(operation, type)

    def decode(self, operation: Operation[Any], type: Any, body: bytes, charset: str | None) -> Decoded:
        """Decode a whole response, its result as `type` (None: the operation's own)."""
        if operation.kind == "nothing":
            return self.code_and_message(body, charset)
        if operation.kind == "untyped":
            return self._decode_untyped(operation, type, body, charset)
        envelope = self._envelope(operation, type)
        try:
            read = envelope.decoder.decode(body)
        except Exception:  # noqa: BLE001 - also what a caller's own type raises, or Decimal for a huge exponent
            return self._decode_tolerant(operation, envelope, body, charset)
        if read.code not in (0, "0"):
            return Decoded(code=_code(read.code), message=_message(read.message), readable=read.code is not None)
        for key, name in envelope.names:
            result = getattr(read, name)
            if operation.in_list and result:
                result = result[0]
            elif operation.in_list:
                result = None
            if result is not None:
                if not self._restore(operation, envelope, key, result):
                    break
                if operation.kind == "page":
                    return _page(read.message, key, result, read.page_context or PageContext())
                return Decoded(code=0, message=_message(read.message), data=result)
        return self._decode_tolerant(operation, envelope, body, charset)

    def _restore(self, operation: Operation[Any], envelope: _Envelope, key: str, result: Any) -> bool:
        """Convert what was decoded as any JSON; False when a caller's own type cannot hold it."""
        coerced: list[str] = []
        path = key if operation.kind == "record" and not operation.in_list else f"{key}[]"
        try:
            envelope.relaxed.restore([result] if operation.kind == "record" else result, path, coerced.append)
        except Exception:  # noqa: BLE001 - whatever a caller's own type raises
            return False
        if coerced:
            self._count_all(operation, coerced)
        return True

    def _count_all(self, operation: Operation[Any], paths: list[str]) -> None:
        for path, count in Counter(paths).items():
            self.drift.add(operation.id, path, count)

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
        decoded = Decoded(code=_code(value["code"]), message=_message(value.get("message")))
        if decoded.code == 0 or type is None:
            self._give(operation, type, value, decoded)
        return decoded

    def any(
        self,
        operation: Operation[Any],
        type: Any,
        body: bytes,
        *,
        status: int,
        media_type: str,
        charset: str | None,
        html: bool,
    ) -> Decoded:
        """Decode the response to a request without an operation: JSON of any shape, no content, or another medium.

        `html` says whether HTML was requested; otherwise it is a gateway's.
        """
        done = Decoded(code=0, message=None)
        if status in (204, 205):
            return done
        try:
            value = untyped(body, charset)
        except ValueError:
            if not body or not media_type or media_type.endswith("json") or (media_type == "text/html" and not html):
                return UNREADABLE
            return msgspec.structs.replace(done, data=body, missing="" if type is None else f"{media_type} is not JSON")
        if is_object(value) and value.get("code") is not None:
            return self._decode_untyped(operation, type, body, charset)
        self._give(operation, type, value, done)
        return done

    def _give(self, operation: Operation[Any], type: Any, value: Any, decoded: Decoded) -> None:
        """Set the result of an untyped response, as `type` where there is one."""
        try:
            if type is None:
                decoded.data = redacting(value)
            else:
                decoded.data = self._coercer.build(type, value, "", lambda path: self.count_drift(operation, path))
        except (msgspec.ValidationError, RecursionError) as error:
            decoded.missing = str(error)

    def _envelope(self, operation: Operation[Any], type: Any) -> _Envelope:
        key = (operation, type)
        envelope = self._envelopes.get(key)
        if envelope is not None and envelope.learned:
            envelope.rebuild()
        if envelope is None:
            envelope = self._envelopes[key] = _Envelope(operation, type or operation.response, self._coercer)
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
            self.count_drift(operation, key)
        if key is None:
            return Decoded(code=code, message=message, missing=f"no {' or '.join(operation.envelope)} in it")
        try:
            if operation.in_list:
                rows = value[key] if is_list(value[key]) else [value[key]]
                if not is_list(value[key]):
                    self.count_drift(operation, key)
                if not rows:
                    return Decoded(code=code, message=message, missing=f"nothing in {key}")
                result = self._convert(operation, envelope, rows[0], f"{key}[]")
            elif operation.kind == "record":
                result = self._convert(operation, envelope, value[key], key)
            else:
                return self._rows(operation, envelope, value, key, message)
        except (msgspec.ValidationError, RecursionError) as error:
            return Decoded(code=code, message=message, missing=str(error))
        return Decoded(code=0, message=message, data=result)

    def _rows(
        self, operation: Operation[Any], envelope: _Envelope, value: dict[str, Any], key: str, message: str | None
    ) -> Decoded:
        rows = value[key]
        if not is_list(rows):
            self.count_drift(operation, key)
            rows = [rows] if rows else []
        result: list[Any] = []
        positions: list[int] = []
        for position, row in enumerate(rows):
            if is_object(row):
                result.append(self._convert(operation, envelope, row, f"{key}[]"))
                positions.append(position)
            else:
                self.count_drift(operation, f"{key}[]")  # only an object can be a row
        if operation.kind == "list":
            return Decoded(code=0, message=message, data=result)
        context = self._context(operation, value.get("page_context"))
        listed = is_list(value[key])
        return _page(message, key, result, context, received=len(rows), positions=positions, is_list=listed)

    def _convert(self, operation: Operation[Any], envelope: _Envelope, value: Any, path: str) -> Any:
        empty = envelope.relaxed.empty
        if empty and is_object(value):
            value = {name: item for name, item in value.items() if item != "" or name not in empty}
        # Row by row: convert() is much faster than coercion, and most rows are valid.
        try:
            return msgspec.convert(value, envelope.item)
        except Exception:  # noqa: BLE001 - also what a caller's own type raises
            coerced: list[str] = []
            try:
                return self._coercer.build(envelope.item, value, path, coerced.append)
            finally:
                self._count_all(operation, coerced)
                envelope.learn(coerced, path)

    def _context(self, operation: Operation[Any], value: Any) -> PageContext:
        if not is_object(value) and not (is_list(value) and len(value) == 1 and is_object(value[0])):
            return PageContext()
        context: PageContext = self._coercer.build(
            PageContext, value, "page_context", lambda path: self.count_drift(operation, path)
        )
        if context.has_more_page is False and not (is_object(value) and value.get("has_more_page") is False):
            # An end in another form than Zoho's is not believed; that more follows is.
            context = msgspec.structs.replace(context, has_more_page=None)
        return context

    def count_drift(self, operation: Operation[Any], path: str) -> None:
        """Count a value that is missing or not of the specified type."""
        self.drift.add(operation.id, path)


def _page(
    message: Any,
    key: str,
    rows: list[Any],
    context: PageContext,
    *,
    received: int | None = None,
    positions: list[int] | None = None,
    is_list: bool = True,
) -> Decoded:
    page = Page[Any](rows=rows, context=context, cursor=None)
    page.locate(key, len(rows) if received is None else received, positions, is_list=is_list)
    page.find_end({})
    return Decoded(code=0, message=_message(message), data=page)


class _Envelope:
    """The strict decoder of one operation's response, built from the keys that may hold its result."""

    __slots__ = ("_operation", "decoder", "item", "learned", "names", "relaxed")

    def __init__(self, operation: Operation[Any], item: Any, coercer: Coercer) -> None:
        self._operation = operation
        self.item = item
        from .relaxed import Relaxed

        self.learned: set[str] = set()
        self.relaxed = Relaxed(item, operation.empty, coercer)
        self.names = [(key, f"{_RESULT}{key}") for key in operation.envelope]
        self.decoder = self._build()

    def learn(self, paths: Collection[str], record: str) -> None:
        """Note the members of the record or row that stand in these paths of coerced values."""
        prefix = f"{record}."
        self.learned.update(path[len(prefix) :].partition(".")[0].partition("[")[0] for path in paths if path != record)

    def rebuild(self) -> None:
        """Leave to coercion, from the next response on, the members that needed it."""
        if self.relaxed.relax(self.learned):
            self.decoder = self._build()
        self.learned.clear()

    def _build(self) -> msgspec.json.Decoder[Any]:
        operation = self._operation
        item: Any = self.relaxed.twin
        result: Any = item if operation.kind == "record" and not operation.in_list else list[item]
        fields: list[Any] = [("code", int | str | None, None), ("message", Any, None)]
        fields.extend((name, result | None, None) for _, name in self.names)
        rename: Mapping[str, str] = {name: key for key, name in self.names}
        if operation.kind == "page":
            fields.append(("page_context", PageContext | None, None))
        return msgspec.json.Decoder(msgspec.defstruct("Envelope", fields, rename=rename, gc=False), float_hook=Decimal)


def _code(value: Any) -> int | str | None:
    """A result code: a number, or a number as text, which Zoho sends occasionally. None for what can be no code."""
    if isinstance(value, str):
        value = value.strip()
        if re.fullmatch(_NUMBER, value):
            return int(value)
        return value if value[:1].isalpha() and len(value) <= _LONGEST_CODE else None
    if not isinstance(value, int) or isinstance(value, bool):
        return None
    return value if abs(value) < 10**18 else None


def _message(value: Any) -> str | None:
    return value if isinstance(value, str) else None
