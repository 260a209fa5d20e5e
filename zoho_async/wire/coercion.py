"""Reading what Zoho really sends: values bent into the types the specs promise, and a count of what was bent. Pure.

Only an answer that fails the strict decoder comes here. For every type a builder is compiled once; it makes the
object directly, so that one odd value costs that value and never the record.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

import msgspec
from msgspec import inspect

from zoho_async._typeguards import is_list, is_object, kind_of

Note = Callable[[str], None]
"""Called with the path of every value that had to be bent."""
Builder = Callable[[Any, str, Note], Any]


class _Unfit(Exception):  # noqa: N818 - a signal between builders, never seen outside
    """The value cannot become what the type wants, whatever is done to it."""


class Coercer:
    """Builders by type, compiled on first use."""

    __slots__ = ("_builders", "_structs")

    def __init__(self) -> None:
        self._builders: dict[Any, Builder] = {}
        self._structs: dict[Any, Builder] = {}

    def build(self, wanted: Any, value: Any, path: str, note: Note) -> Any:
        """`value` (untyped JSON) as `wanted`, noting every path that was bent.

        Raises msgspec.ValidationError only when a caller's own type has no room for what came.
        """
        builder = self._builders.get(wanted)
        if builder is None:
            builder = self._builders[wanted] = self._compile(inspect.type_info(wanted))
        try:
            return builder(value, path, note)
        except _Unfit as error:
            raise msgspec.ValidationError(str(error)) from None

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
            return _anything
        simple = _SIMPLE.get(type(info))
        return simple if simple is not None else _strange(info)

    def _union(self, info: inspect.UnionType) -> Builder:
        members = [member for member in info.types if not isinstance(member, inspect.NoneType)]
        nullable = len(members) < len(info.types)
        if any(isinstance(member, inspect.StrType) for member in members):
            inner: Builder = _text  # an open enumeration: any text is welcome
        elif len(members) == 1:
            inner = self._compile(members[0])
        else:
            inner = _first_fit([(_SHAPES.get(type(member), ()), self._compile(member)) for member in members])
        return _or_none(inner) if nullable else inner

    def _list(self, item: Builder) -> Builder:
        def build(value: Any, path: str, note: Note) -> Any:
            if value is None or value == "" or value == {}:
                note(path)
                return []
            if not is_list(value):
                note(path)
                value = [value]
            built: list[Any] = []
            for element in value:
                try:
                    built.append(item(element, f"{path}[]", note))
                except _Unfit:
                    note(f"{path}[]")
            return built

        return build

    def _struct(self, info: inspect.StructType) -> Builder:
        known = self._structs.get(info.cls)
        if known is not None:
            return known
        fields: list[tuple[inspect.Field, Builder]] = []

        def build(value: Any, path: str, note: Note) -> Any:
            if is_list(value) and len(value) == 1:
                note(path)
                value = value[0]
            if not is_object(value):
                raise _Unfit(f"{path}: expected an object")
            members: dict[str, Any] = {}
            for field, builder in fields:
                place = f"{path}.{field.encode_name}"
                try:
                    if field.encode_name in value:
                        members[field.name] = builder(value[field.encode_name], place, note)
                    elif field.required:
                        raise _Unfit(f"{place}: missing")
                except _Unfit:
                    note(place)
                    if field.required:
                        members[field.name] = _stand_in(field, place)
            try:
                return info.cls(**members)
            except (TypeError, ValueError) as error:  # a caller's own struct may have a __post_init__ that objects
                raise _Unfit(f"{path}: {error}") from None

        # Known before its fields are compiled, so that a type may hold itself.
        self._structs[info.cls] = build
        fields.extend((field, self._compile(field.type)) for field in info.fields)
        return build


def _stand_in(field: inspect.Field, place: str) -> Any:
    kind = field.type.type if isinstance(field.type, inspect.Metadata) else field.type
    if isinstance(kind, inspect.StrType):
        return ""
    members = kind.types if isinstance(kind, inspect.UnionType) else (kind,)
    if any(isinstance(member, inspect.NoneType) for member in members):
        return None
    if isinstance(kind, inspect.ListType):
        return []
    raise _Unfit(f"{place}: nothing fits")


def _or_none(inner: Builder) -> Builder:
    def build(value: Any, path: str, note: Note) -> Any:
        if value is None:
            return None
        try:
            return inner(value, path, note)
        except _Unfit:
            note(path)
            return None

    return build


def _first_fit(members: list[tuple[tuple[type, ...], Builder]]) -> Builder:
    def build(value: Any, path: str, note: Note) -> Any:
        # Whose shape it has already comes first: bending is for what fits nowhere as it stands.
        kind = kind_of(value)
        for _, builder in sorted(members, key=lambda member: kind not in member[0]):
            try:
                return builder(value, path, note)
            except _Unfit:
                continue
        raise _Unfit(path)

    return build


def _anything(value: Any, path: str, note: Note) -> Any:
    return value


def _mapping(value: Any, path: str, note: Note) -> Any:
    if is_object(value):
        return value
    raise _Unfit(path)


def _text(value: Any, path: str, note: Note) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        note(path)
        return "true" if value else "false"
    if isinstance(value, int | Decimal):
        note(path)
        return str(value)
    raise _Unfit(path)


def _number(value: Any, path: str, note: Note) -> Any:
    if isinstance(value, Decimal):
        return value
    if isinstance(value, int) and not isinstance(value, bool):
        return Decimal(value)
    if isinstance(value, str):
        try:
            number = Decimal(value.strip())
        except InvalidOperation:
            raise _Unfit(path) from None
        if number.is_finite():
            note(path)
            return number
    raise _Unfit(path)


def _integer(value: Any, path: str, note: Note) -> Any:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    number = _number(value, path, lambda _: None)
    # Nothing that is counted has forty digits; an exponent could hold up the process for minutes.
    if number.adjusted() > 40 or number != number.to_integral_value():
        raise _Unfit(path)
    note(path)
    return int(number)


def _boolean(value: Any, path: str, note: Note) -> Any:
    if isinstance(value, bool):
        return value
    word = value.strip().lower() if isinstance(value, str) else value
    if word in ("true", "false", 0, 1):
        note(path)
        return word in ("true", 1)
    raise _Unfit(path)


def _moment(value: Any, path: str, note: Note) -> Any:
    if not isinstance(value, str):
        raise _Unfit(path)
    try:
        moment = msgspec.convert(value, datetime)
    except msgspec.ValidationError:
        try:
            # Seen: a blank before the offset.
            moment = msgspec.convert(value.replace(" +", "+").replace(" -", "-"), datetime)
        except msgspec.ValidationError:
            raise _Unfit(path) from None
        note(path)
    if moment.utcoffset() is None:
        # A moment without a zone is not a moment: the same digits mean different times in different places.
        raise _Unfit(path)
    return moment


_SIMPLE: dict[type[inspect.Type], Builder] = {
    inspect.StrType: _text,
    inspect.DecimalType: _number,
    inspect.IntType: _integer,
    inspect.BoolType: _boolean,
    inspect.DateTimeType: _moment,
}


_SHAPES: dict[type[inspect.Type], tuple[type, ...]] = {
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
"""What JSON reads as, for each type that may stand in a union."""

_PLAIN: dict[type[inspect.Type], Any] = {
    inspect.FloatType: float,
    inspect.BytesType: bytes,
    inspect.DateType: date,
    inspect.TimeType: time,
    inspect.TimeDeltaType: timedelta,
}


def _strange(info: inspect.Type) -> Builder:
    """Dates, and types that only a caller's own struct uses: msgspec's lenient conversion decides."""
    wanted: Any = _PLAIN.get(type(info)) or getattr(info, "cls", Any)
    if isinstance(info, inspect.LiteralType):
        wanted = Literal[tuple(info.values)]

    def build(value: Any, path: str, note: Note) -> Any:
        try:
            return msgspec.convert(value, wanted, strict=False)
        except msgspec.ValidationError:
            raise _Unfit(path) from None

    return build
