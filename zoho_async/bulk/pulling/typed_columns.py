"""The columns of a pulled table: their types from the specs, their values from what Zoho sent."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from types import UnionType
from typing import Annotated, Any, Literal, Union, get_args, get_origin

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import InputError
from zoho_async.bulk.rows.resource import Destination

ColumnType = Literal["text", "decimal", "timestamp", "date", "bool", "bigint", "json"]

_TYPES: Mapping[Any, ColumnType] = {
    str: "text",
    Decimal: "decimal",
    datetime: "timestamp",
    date: "date",
    bool: "bool",
    int: "bigint",
}
_CUSTOM = re.compile(r"cf_[A-Za-z0-9_]{1,100}")
_json = msgspec.json.Encoder(decimal_format="number")


def columns(resource: Any) -> dict[str, ColumnType]:
    """The columns of a resource's records and their types, without custom fields.

    Args:
        resource: A client's resource such as `zoho.books.contacts`, or its name `books.contacts`.

    Returns:
        The type of each column: those of the list first, then those that only a record read by itself has. `decimal`
        is money, to be kept digit by digit; `json` is an object or a list.

    Raises:
        InputError: There is no resource of that name.
    """
    target = Destination.named(resource) if isinstance(resource, str) else Destination.of(resource)
    return columns_of_target(target)


def columns_of_target(target: Destination) -> dict[str, ColumnType]:
    """The columns of a target's records; those of the list first."""
    found: dict[str, ColumnType] = {}
    for name in ("list", "get"):
        operation = target.operations.get(name)
        if operation is not None and operation.response is not None:
            found |= {one: kind for one, kind in columns_of(operation.response).items() if one not in found}
    return found


def columns_of(struct: Any) -> dict[str, ColumnType]:
    """The columns of one struct."""
    return {field.encode_name: column_type(field.type) for field in msgspec.structs.fields(struct)}


def column_type(kind: Any) -> ColumnType:
    """The column type of a field's type."""
    origin, arguments = get_origin(kind), get_args(kind)
    if origin is Annotated:
        return column_type(arguments[0])
    if origin is Literal:
        return "text"
    if origin in (Union, UnionType):
        kinds: set[ColumnType] = {column_type(one) for one in arguments if one not in (type(None), msgspec.UnsetType)}
        if len(kinds) == 1:
            return kinds.pop()
        mixed: ColumnType = "json" if "json" in kinds else "text"
        return mixed
    found: ColumnType = _TYPES.get(kind, "json")
    return found


def cell(value: Any, kind: ColumnType | None) -> str | int | None:
    """A value of parsed JSON as SQLite keeps it: numbers with a fraction as text, digit by digit.

    Args:
        value: With decimals for fractions.
        kind: Of its column; None for a custom field, whose type is its value's.
    """
    if isinstance(value, str):
        return value if value or kind in (None, "text", "json") else None
    if value is None:
        return None
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, Decimal):
        return _digits(value)
    if isinstance(value, int):
        return value if kind in (None, "bigint", "bool") and abs(value) < 1 << 63 else str(value)
    return _json.encode(value).decode()


def custom_fields(record: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The custom fields of a record by API name, each once; they stand in one of several places."""
    found: dict[str, Any] = {}
    places: list[Mapping[str, Any]] = [record]
    hashed: Any = record.get("custom_field_hash")
    if is_mapping(hashed):
        places.append(hashed)
    for place in places:
        for name in [one for one in place if one.startswith("cf_")]:
            if _CUSTOM.fullmatch(name) and not name.endswith("_unformatted"):
                found[name] = place.get(f"{name}_unformatted", place[name])
    listed: Any = record.get("custom_fields")
    for field in listed if is_sequence(listed) else ():
        api_name: Any = field.get("api_name") if is_mapping(field) else None
        if isinstance(api_name, str) and _CUSTOM.fullmatch(api_name):
            found[api_name] = field.get("value")
    yield from found.items()


PlainValue = str | int | bool | Decimal | date | datetime | None
"""A value of a column; `json` columns hold JSON as text."""


def plain_values(record: bytes, types: Mapping[str, ColumnType]) -> dict[str, PlainValue]:
    """Convert the JSON of a record to plain Python values by column, for a sink of one's own.

    Args:
        record: `row` or `record` of a change, or one of `page.raw`.
        types: The columns, from `columns`.

    Returns:
        The members that are in the record, and its custom fields by their API name. `decimal` is a Decimal with every
        digit, `timestamp` a datetime, `date` a date; `json`, and a custom field that is an object or a list, is JSON as
        text. Other custom fields are text, because nothing says their type. An empty text or one that is no value of
        its column's type is None, except in text columns.

    Raises:
        InputError: It is not the JSON of an object.
    """
    try:
        members: dict[str, Any] = _decimals.decode(record)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise InputError(f"not the JSON of a record: {error}") from None
    found = {name: plain_value(members[name], kind) for name, kind in types.items() if name in members}
    return found | {name: plain_value(value, "text") for name, value in custom_fields(members)}


def plain_value(value: Any, kind: ColumnType) -> PlainValue:
    """A value of parsed JSON as the type of its column; None when it is no such value."""
    if value is None or (value == "" and kind != "text"):
        return None
    if kind == "json" or is_mapping(value) or is_sequence(value):
        return _json.encode(value).decode() if kind in ("json", "text") else None
    if isinstance(value, bool):
        return value if kind == "bool" else str(value).lower() if kind == "text" else None
    try:
        return _PLAIN[kind](_digits(value) if isinstance(value, Decimal) else str(value))
    except (ValueError, ArithmeticError, KeyError):
        return None


_DIGITS = 400


def _digits(number: Decimal) -> str:
    # A huge exponent stays one: its digits would fill the memory.
    return format(number, "f") if abs(number.adjusted()) < _DIGITS else str(number)


def _decimal(text: str) -> Decimal | None:
    number = Decimal(text)
    return number if number.is_finite() else None


def _bigint(text: str) -> int | None:
    number = int(text)
    return number if -(1 << 63) <= number < 1 << 63 else None


_PLAIN: Mapping[ColumnType, Callable[[str], PlainValue]] = {
    "text": str,
    "decimal": _decimal,
    "timestamp": datetime.fromisoformat,
    "date": date.fromisoformat,
    "bool": {"true": True, "false": False, "1": True, "0": False}.__getitem__,
    "bigint": _bigint,
}
_decimals = msgspec.json.Decoder(dict[str, Any], float_hook=Decimal)
