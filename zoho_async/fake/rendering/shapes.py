"""The shapes an answer can have: as the service writes it, as the documents print it, as our specs say. Pure.

Everything is made in the live shape; the other two are made of that.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, cast

import msgspec

from . import live
from .examples import RESPONSES

if TYPE_CHECKING:
    from zoho_async.schema.operation import Operation

Shape = Literal["live", "documented", "clean"]
SHAPES: Final[tuple[Shape, ...]] = ("live", "documented", "clean")

_Read: TypeAlias = Callable[[Any], Any]
_NOTHING: Final = object()
"""In place of a value that the spec has no room for."""

_CONTEXT: Final[dict[str, type]] = {
    "page": int,
    "per_page": int,
    "has_more_page": bool,
    "report_name": str,
    "applied_filter": str,
    "sort_column": str,
    "sort_order": str,
    "total": int,
    "total_pages": int,
}


def shaped(body: dict[str, Any], operation: Operation[Any], shape: Shape) -> dict[str, Any]:
    """An answer in the wanted shape."""
    if shape == "live":
        return body
    named = _renamed(body, operation)
    return _documented(named, operation) if shape == "documented" else _clean(named, operation)


def _renamed(body: dict[str, Any], operation: Operation[Any]) -> dict[str, Any]:
    """The result under the key of the documents: Expense's rows stand elsewhere on the running service."""
    if not operation.envelope or operation.envelope[0] in body:
        return body
    wanted = operation.envelope[0]
    return {wanted if name in operation.envelope else name: value for name, value in body.items()}


# -- as the documents print it


def _documented(body: dict[str, Any], operation: Operation[Any]) -> dict[str, Any]:
    example = _example(operation.id)
    # Where the documents show no result at all there is nothing to measure it by.
    shown = bool(operation.envelope) and operation.envelope[0] in example
    kept = [name for name in body if not shown or name in example]
    return {name: _printed(body[name], example.get(name), name) for name in kept}


def _printed(value: Any, example: Any, name: str) -> Any:
    """The value with the keys its example has, ids as numbers; a list's items are all like its example's first."""
    if isinstance(value, dict):
        parts = cast("dict[str, Any]", value)
        if not isinstance(example, dict):
            return {key: _printed(item, None, key) for key, item in parts.items()}
        known = cast("dict[str, Any]", example)
        return {key: _printed(item, known[key], key) for key, item in parts.items() if key in known}
    if isinstance(value, list):
        items: list[Any] = value  # pyright: ignore[reportUnknownVariableType]
        samples: list[Any] = example if isinstance(example, list) else []  # pyright: ignore[reportUnknownVariableType]
        return [_printed(item, samples[0] if samples else None, name) for item in items]
    if name.endswith("_id") and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value


@cache
def _example(operation_id: str) -> dict[str, Any]:
    text = RESPONSES.get(operation_id)
    return cast("dict[str, Any]", live.decode(text)) if text is not None else {}


# -- as our specs say


def _clean(body: dict[str, Any], operation: Operation[Any]) -> dict[str, Any]:
    if operation.kind == "untyped":
        return body
    clean: dict[str, Any] = {"code": body.get("code", 0), "message": str(body.get("message", ""))}
    if operation.response is None or operation.kind == "nothing":
        return clean
    key = operation.envelope[0]
    if key in body:
        value = _reader(operation.response)
        found: Any = body[key]
        if isinstance(found, list):
            items: list[Any] = found  # pyright: ignore[reportUnknownVariableType]
            clean[key] = [value(item) for item in items]
        else:
            clean[key] = value(found)
    context = body.get("page_context")
    if isinstance(context, dict):
        given = cast("dict[str, Any]", context)
        clean["page_context"] = {
            name: given[name] for name, kind in _CONTEXT.items() if isinstance(given.get(name), kind)
        }
    return clean


@cache
def _reader(kind: Any) -> _Read:
    """A function that makes of a live value what this type stands for, or nothing."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _reader(arguments[0])
    if origin is Literal:
        return _SCALARS[str]
    if origin is list:
        return _list(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _union([each for each in arguments if each not in (type(None), msgspec.UnsetType)])
    if origin is dict or kind is dict:
        return _mapping
    return _SCALARS.get(kind, lambda value: value)


def _struct(kind: type[msgspec.Struct]) -> _Read:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    readers: dict[str, _Read] = {}

    def read(value: Any) -> Any:
        if not isinstance(value, Mapping):
            return _NOTHING
        given = cast("Mapping[str, Any]", value)
        made: dict[str, Any] = {}
        for name, item in given.items():
            if name not in fields:
                continue
            # Made when first met, for structs may hold themselves.
            reader = readers.get(name) or readers.setdefault(name, _reader(fields[name]))
            clean = reader(item)
            if clean is not _NOTHING:
                made[name] = clean
        return made

    return read


def _list(kind: Any) -> _Read:
    reader = _reader(kind)

    def read(value: Any) -> Any:
        if not isinstance(value, list):
            return _NOTHING
        items = cast("list[Any]", value)  # type: ignore[redundant-cast] # pyright wants it
        return [clean for clean in map(reader, items) if clean is not _NOTHING]

    return read


def _union(kinds: list[Any]) -> _Read:
    readers = [_reader(kind) for kind in kinds]

    def read(value: Any) -> Any:
        for reader in readers:
            clean = reader(value)
            if clean is not _NOTHING:
                return clean
        return _NOTHING

    return read


def _mapping(value: Any) -> Any:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else _NOTHING


def _text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else _NOTHING


def _whole(value: Any) -> Any:
    if isinstance(value, bool):
        return _NOTHING
    if isinstance(value, Decimal) and value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) else _NOTHING


def _number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except ArithmeticError:
            return _NOTHING
        return value if value.is_finite() else _NOTHING
    return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else _NOTHING


def _day(value: Any) -> Any:
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else _NOTHING
    except ValueError:
        return _NOTHING


def _moment(value: Any) -> Any:
    try:
        return live.read_stamp(value).isoformat() if isinstance(value, str) and value else _NOTHING
    except ValueError:
        return _NOTHING


_SCALARS: Final[dict[Any, _Read]] = {
    str: _text,
    int: _whole,
    Decimal: _number,
    bool: lambda value: value if isinstance(value, bool) else _NOTHING,
    date: _day,
    datetime: _moment,
}
