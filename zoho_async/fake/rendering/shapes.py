"""The shapes of a response: live, documented, clean (as the specs say). Pure.

Everything is rendered live; the other two are derived from that.
"""

from __future__ import annotations

import types
import typing
from collections.abc import Callable
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

import msgspec

from zoho_async._typeguards import is_list, is_mapping, is_object

from .documented import documented_response
from .wire_format import read_timestamp

if TYPE_CHECKING:
    from zoho_async.schema.operation import Operation

Shape = Literal["live", "documented", "clean"]
SHAPES: Final[tuple[Shape, ...]] = ("live", "documented", "clean")

_ValueReader: TypeAlias = Callable[[Any], Any]
_NOTHING: Final = object()
"""Stands for a value that does not fit its type."""

_CONTEXT_TYPES: Final[dict[str, type]] = {
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
    """A live response in the wanted shape."""
    if shape == "live":
        return body
    named = _with_documented_key(body, operation)
    return _documented(named, operation) if shape == "documented" else _clean(named, operation)


def _with_documented_key(body: dict[str, Any], operation: Operation[Any]) -> dict[str, Any]:
    """The result under its documented key: the live service names the rows of Expense otherwise."""
    if not operation.envelope or operation.envelope[0] in body:
        return body
    wanted = operation.envelope[0]
    return {wanted if name in operation.envelope else name: value for name, value in body.items()}


# -- as documented


def _documented(body: dict[str, Any], operation: Operation[Any]) -> dict[str, Any]:
    example = documented_response(operation.id)
    # Without a documented result nothing is known to be undocumented.
    shown = bool(operation.envelope) and operation.envelope[0] in example
    kept = [name for name in body if not shown or name in example]
    return {name: _printed(body[name], example.get(name), name) for name in kept}


def _printed(value: Any, example: Any, name: str) -> Any:
    """The value with the keys of its example, ids as numbers; the example's first item stands for all of a list."""
    if is_object(value):
        if not is_object(example):
            return {key: _printed(item, None, key) for key, item in value.items()}
        return {key: _printed(item, example[key], key) for key, item in value.items() if key in example}
    if is_list(value):
        sample = example[0] if is_list(example) and example else None
        return [_printed(item, sample, name) for item in value]
    if name.endswith("_id") and isinstance(value, str) and value.isascii() and value.isdigit():
        return int(value)
    return value


# -- as the specs say


def _clean(body: dict[str, Any], operation: Operation[Any]) -> dict[str, Any]:
    if operation.kind == "untyped":
        return body
    clean: dict[str, Any] = {"code": body.get("code", 0), "message": str(body.get("message", ""))}
    if operation.response is None or operation.kind == "nothing":
        return clean
    key = operation.envelope[0]
    if key in body:
        read = _reader(operation.response)
        found: Any = body[key]
        clean[key] = [read(item) for item in found] if is_list(found) else read(found)
    context: Any = body.get("page_context")
    if is_object(context):
        clean["page_context"] = {
            name: context[name] for name, kind in _CONTEXT_TYPES.items() if isinstance(context.get(name), kind)
        }
    return clean


@cache
def _reader(kind: Any) -> _ValueReader:
    """A function that converts a live value to this type, or to `_NOTHING`."""
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return _struct_reader(kind)
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _reader(arguments[0])
    if origin is Literal:
        return _SCALARS[str]
    if origin is list:
        return _list_reader(arguments[0])
    if origin in (typing.Union, types.UnionType):
        return _union_reader([each for each in arguments if each not in (type(None), msgspec.UnsetType)])
    if origin is dict or kind is dict:
        return _clean_object
    return _SCALARS.get(kind, lambda value: value)


def _struct_reader(kind: type[msgspec.Struct]) -> _ValueReader:
    fields = {field.encode_name: field.type for field in msgspec.structs.fields(kind)}
    readers: dict[str, _ValueReader] = {}

    def read(value: Any) -> Any:
        if not is_mapping(value):
            return _NOTHING
        made: dict[str, Any] = {}
        for name, item in value.items():
            if name not in fields:
                continue
            # Made on first use: structs may contain themselves.
            reader = readers.get(name) or readers.setdefault(name, _reader(fields[name]))
            clean = reader(item)
            if clean is not _NOTHING:
                made[name] = clean
        return made

    return read


def _list_reader(kind: Any) -> _ValueReader:
    reader = _reader(kind)

    def read(value: Any) -> Any:
        if not is_list(value):
            return _NOTHING
        return [clean for clean in map(reader, value) if clean is not _NOTHING]

    return read


def _union_reader(kinds: list[Any]) -> _ValueReader:
    readers = [_reader(kind) for kind in kinds]

    def read(value: Any) -> Any:
        for reader in readers:
            clean = reader(value)
            if clean is not _NOTHING:
                return clean
        return _NOTHING

    return read


def _clean_object(value: Any) -> Any:
    return value if is_object(value) else _NOTHING


def _clean_text(value: Any) -> Any:
    if isinstance(value, str):
        return value
    return str(value) if isinstance(value, int | Decimal) and not isinstance(value, bool) else _NOTHING


def _clean_integer(value: Any) -> Any:
    if isinstance(value, bool):
        return _NOTHING
    if isinstance(value, Decimal) and value == value.to_integral_value() and abs(value) < 2**53:
        return int(value)
    return value if isinstance(value, int) else _NOTHING


def _clean_number(value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except ArithmeticError:
            return _NOTHING
        return value if value.is_finite() else _NOTHING
    return value if isinstance(value, int | Decimal) and not isinstance(value, bool) else _NOTHING


def _clean_date(value: Any) -> Any:
    try:
        return date.fromisoformat(value).isoformat() if isinstance(value, str) else _NOTHING
    except ValueError:
        return _NOTHING


def _clean_timestamp(value: Any) -> Any:
    try:
        return read_timestamp(value).isoformat() if isinstance(value, str) and value else _NOTHING
    except ValueError:
        return _NOTHING


_SCALARS: Final[dict[Any, _ValueReader]] = {
    str: _clean_text,
    int: _clean_integer,
    Decimal: _clean_number,
    bool: lambda value: value if isinstance(value, bool) else _NOTHING,
    date: _clean_date,
    datetime: _clean_timestamp,
}
