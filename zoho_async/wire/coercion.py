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

    def member(self, field: msgspec.structs.FieldInfo) -> Builder:
        """The builder of one field of a struct; in the place of an impossible value it gives the field's default."""
        info = inspect.type_info(field.type)
        described = inspect.Field(
            name=field.name,
            encode_name=field.encode_name,
            type=info,
            required=field.required,
            default=field.default,
            default_factory=field.default_factory,
        )
        return _member(described, self._compile(info))

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
        if not nullable:
            return inner
        return _or_none(inner, never_empty=_holds_only(info, _NEVER_EMPTY))

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
                name = field.encode_name
                if name in value:
                    values[field.name] = builder(value[name], f"{path}.{name}", on_coerced)
                elif field.required:
                    on_coerced(f"{path}.{name}")
                    values[field.name] = _fallback_value(field, f"{path}.{name}")
            try:
                return info.cls(**values)
            except Exception as error:  # noqa: BLE001 - from __post_init__ of a caller's own struct
                raise _CoercionError(f"{path}: {error}") from None

        # Registered before its fields are compiled: a type may contain itself.
        self._structs[info.cls] = build
        fields.extend((field, _member(field, self._compile(field.type))) for field in info.fields)
        return build


def is_scalar(type_: Any) -> bool:
    """Whether a type holds numbers, booleans, times, days or text only."""
    return _holds_only(inspect.type_info(type_), (*_NEVER_EMPTY, inspect.StrType, inspect.LiteralType))


def is_never_empty(type_: Any) -> bool:
    """Whether empty text is certainly no value of a type."""
    return _holds_only(inspect.type_info(type_), _NEVER_EMPTY)


def _holds_only(info: inspect.Type, kinds: tuple[type[inspect.Type], ...]) -> bool:
    if isinstance(info, inspect.UnionType):
        return all(_holds_only(option, kinds) for option in info.types)
    return isinstance(_plain(info), (*kinds, inspect.NoneType))


def _plain(info: inspect.Type) -> inspect.Type:
    return info.type if isinstance(info, inspect.Metadata) else info


def _member(field: inspect.Field, builder: Builder) -> Builder:
    """The builder of a member, which in the place of an impossible value has its default."""

    def build(value: Any, path: str, on_coerced: OnCoerced) -> Any:
        try:
            return builder(value, path, on_coerced)
        except _CoercionError:
            on_coerced(path)
        if field.required:
            return _fallback_value(field, path)
        return field.default if field.default_factory is msgspec.NODEFAULT else field.default_factory()

    return build


def _fallback_value(field: inspect.Field, place: str) -> Any:
    kind = _plain(field.type)
    if isinstance(kind, inspect.StrType):
        return ""
    options = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    if any(isinstance(option, inspect.NoneType) for option in options):
        return None
    if isinstance(kind, inspect.ListType):
        return []
    raise _CoercionError(f"{place}: no fallback value")


def _or_none(inner: Builder, *, never_empty: bool) -> Builder:
    """The value or None; `never_empty` says that empty text is no value of the type."""

    def build(value: Any, path: str, on_coerced: OnCoerced) -> Any:
        if value is None:
            return None
        if never_empty and value == "":
            on_coerced(path)
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
            return Decimal(value)  # every text that the strict decoder accepts, and like there no drift
        except InvalidOperation:
            raise _CoercionError(path) from None
    raise _CoercionError(path)


def _integer(value: Any, path: str, on_coerced: OnCoerced) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _number(value, path, on_coerced)
    # A huge exponent would block the process for minutes.
    if not number.is_finite() or number.adjusted() > 40 or number != number.to_integral_value():
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


_NEVER_EMPTY = (
    inspect.DecimalType,
    inspect.IntType,
    inspect.FloatType,
    inspect.BoolType,
    inspect.DateTimeType,
    inspect.DateType,
)
"""Types that empty text is no value of."""
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
