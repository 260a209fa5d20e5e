"""Coercion: converts the values Zoho really sends to the types of the specs, reporting each converted value. Pure.

Only responses that the strict decoder refuses come here. One builder is compiled per type; it makes the object
directly, so that a value of the wrong type costs that value and not the record.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import msgspec
from msgspec import inspect

from zoho_async._typeguards import is_list, is_object, kind_of

OnCoerced = Callable[[str], None]
"""Called with the path of every coerced value."""
Builder = Callable[[Any, str, OnCoerced], Any]


class _CoercionError(Exception):
    """The value cannot be coerced to the type."""


class Coercer:
    """Builders by type, compiled on first use."""

    __slots__ = ("_builders", "_structs")

    def __init__(self) -> None:
        self._builders: dict[Any, Builder] = {}
        self._structs: dict[Any, Builder] = {}

    def build(self, type_: Any, value: Any, path: str, on_coerced: OnCoerced) -> Any:
        """Coerce untyped JSON to a type.

        Args:
            type_: The type.
            value: Untyped JSON.
            path: Path of the value in the response.
            on_coerced: Called with the path of every coerced value.

        Raises:
            msgspec.ValidationError: A caller's own type cannot hold the value.
        """
        try:
            return self.prepare(type_)(value, path, on_coerced)
        except _CoercionError as error:
            raise msgspec.ValidationError(str(error)) from None

    def prepare(self, type_: Any) -> Builder:
        """The builder of a type. Raises TypeError for a type that msgspec does not support."""
        builder = self._builders.get(type_)
        if builder is None:
            builder = self._builders[type_] = self._compile(inspect.type_info(type_))
        return builder

    def _compile(self, info: inspect.Type) -> Builder:
        if isinstance(info, inspect.Metadata):
            return self._compile(info.type)
        if isinstance(info, inspect.UnionType):
            return self._union(info)
        if isinstance(info, inspect.StructType):
            return self._struct(info)
        if isinstance(info, inspect.ListType):
            return self._list(self._compile(info.item_type))
        if isinstance(info, inspect.DictType):
            return _mapping
        if isinstance(info, inspect.AnyType | inspect.RawType):
            return _unchanged
        simple = _SCALARS.get(type(info))
        return simple if simple is not None else _by_msgspec(info)

    def _union(self, info: inspect.UnionType) -> Builder:
        options = [option for option in info.types if not isinstance(option, inspect.NoneType)]
        nullable = len(options) < len(info.types)
        if any(isinstance(option, inspect.StrType) for option in options):
            inner: Builder = _text  # an open enumeration accepts any text
        elif len(options) == 1:
            inner = self._compile(options[0])
        else:
            inner = _first_match([(_JSON_TYPES.get(type(option), ()), self._compile(option)) for option in options])
        return _or_none(inner) if nullable else inner

    def _list(self, item: Builder) -> Builder:
        def build(value: Any, path: str, on_coerced: OnCoerced) -> Any:
            if value is None or value == "" or value == {}:
                on_coerced(path)
                return []
            if not is_list(value):
                on_coerced(path)
                value = [value]
            built: list[Any] = []
            for element in value:
                try:
                    built.append(item(element, f"{path}[]", on_coerced))
                except _CoercionError:
                    on_coerced(f"{path}[]")
            return built

        return build

    def _struct(self, info: inspect.StructType) -> Builder:
        known = self._structs.get(info.cls)
        if known is not None:
            return known
        fields: list[tuple[inspect.Field, Builder]] = []

        def build(value: Any, path: str, on_coerced: OnCoerced) -> Any:
            if is_list(value) and len(value) == 1:
                on_coerced(path)
                value = value[0]
            if not is_object(value):
                raise _CoercionError(f"{path}: expected an object")
            values: dict[str, Any] = {}
            for field, builder in fields:
                place = f"{path}.{field.encode_name}"
                try:
                    if field.encode_name in value:
                        values[field.name] = builder(value[field.encode_name], place, on_coerced)
                    elif field.required:
                        raise _CoercionError(f"{place}: missing")
                except _CoercionError:
                    on_coerced(place)
                    if field.required:
                        values[field.name] = _fallback_value(field, place)
            try:
                return info.cls(**values)
            except Exception as error:  # noqa: BLE001 - from __post_init__ of a caller's own struct
                raise _CoercionError(f"{path}: {error}") from None

        # Registered before its fields are compiled: a type may contain itself.
        self._structs[info.cls] = build
        fields.extend((field, self._compile(field.type)) for field in info.fields)
        return build


def _fallback_value(field: inspect.Field, place: str) -> Any:
    kind = field.type.type if isinstance(field.type, inspect.Metadata) else field.type
    if isinstance(kind, inspect.StrType):
        return ""
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    if any(isinstance(option, inspect.NoneType) for option in options):
        return None
    if isinstance(kind, inspect.ListType):
        return []
    raise _CoercionError(f"{place}: no fallback value")


def _or_none(inner: Builder) -> Builder:
    def build(value: Any, path: str, on_coerced: OnCoerced) -> Any:
        if value is None:
            return None
        try:
            return inner(value, path, on_coerced)
        except _CoercionError:
            on_coerced(path)
            return None

    return build


def _first_match(options: list[tuple[tuple[type, ...], Builder]]) -> Builder:
    def build(value: Any, path: str, on_coerced: OnCoerced) -> Any:
        # Types that match without coercion come first.
        kind = kind_of(value)
        for _, builder in sorted(options, key=lambda option: kind not in option[0]):
            try:
                return builder(value, path, on_coerced)
            except _CoercionError:
                continue
        raise _CoercionError(path)

    return build


def _unchanged(value: Any, path: str, on_coerced: OnCoerced) -> Any:
    return value


def _mapping(value: Any, path: str, on_coerced: OnCoerced) -> Any:
    if is_object(value):
        return value
    raise _CoercionError(path)


def _text(value: Any, path: str, on_coerced: OnCoerced) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        on_coerced(path)
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        on_coerced(path)
        return str(value)
    raise _CoercionError(path)


def _number(value: Any, path: str, on_coerced: OnCoerced) -> Any:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str):
        try:
            number = Decimal(value.strip())
        except InvalidOperation:
            raise _CoercionError(path) from None
        if number.is_finite():
            on_coerced(path)
            return number
    raise _CoercionError(path)


def _integer(value: Any, path: str, on_coerced: OnCoerced) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _number(value, path, lambda _: None)
    # A huge exponent would block the process for minutes.
    if number.adjusted() > 40 or number != number.to_integral_value():
        raise _CoercionError(path)
    on_coerced(path)
    return int(number)


def _boolean(value: Any, path: str, on_coerced: OnCoerced) -> Any:
    if isinstance(value, bool):
        return value
    text = value.strip().lower() if isinstance(value, str) else value
    if text in ("true", "false", 0, 1):
        on_coerced(path)
        return text in ("true", 1)
    raise _CoercionError(path)


def _datetime(value: Any, path: str, on_coerced: OnCoerced) -> Any:
    if not isinstance(value, str):
        raise _CoercionError(path)
    try:
        parsed = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        try:
            # Zoho sends some with a blank before the offset.
            parsed = msgspec.convert(value.replace(" +", "+").replace(" -", "-"), datetime)
        except msgspec.ValidationError:
            raise _CoercionError(path) from None
        on_coerced(path)
    if parsed.utcoffset() is None:
        # Without a time zone it is ambiguous.
        raise _CoercionError(path)
    return parsed


_SCALARS: dict[type[inspect.Type], Builder] = {
    inspect.StrType: _text,
    inspect.DecimalType: _number,
    inspect.IntType: _integer,
    inspect.BoolType: _boolean,
    inspect.DateTimeType: _datetime,
}


_JSON_TYPES: dict[type[inspect.Type], tuple[type, ...]] = {
    inspect.ListType: (list,),
    inspect.StructType: (dict,),
    inspect.DictType: (dict,),
    inspect.StrType: (str,),
    inspect.IntType: (int,),
    inspect.DecimalType: (int, Decimal),
    inspect.FloatType: (int, Decimal),
    inspect.BoolType: (bool,),
    inspect.DateTimeType: (str,),
    inspect.DateType: (str,),
}
"""The Python types that JSON values have, for each type of a union."""

_CONVERTIBLE: dict[type[inspect.Type], Any] = {
    inspect.FloatType: float,
    inspect.BytesType: bytes,
    inspect.DateType: date,
    inspect.TimeType: time,
    inspect.TimeDeltaType: timedelta,
}


def _by_msgspec(info: inspect.Type) -> Builder:
    """Dates, and types that only callers' own structs use: left to msgspec's lenient conversion."""
    type_: Any = _CONVERTIBLE.get(type(info)) or getattr(info, "cls", Any)
    if isinstance(info, inspect.LiteralType):
        type_ = Literal[tuple(info.values)]

    def build(value: Any, path: str, on_coerced: OnCoerced) -> Any:
        try:
            return msgspec.convert(value, type_, strict=False)
        except Exception:  # noqa: BLE001 - also what a caller's own type raises
            raise _CoercionError(path) from None

    return build
