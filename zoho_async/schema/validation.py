"""Validation of request bodies against the rules of Zoho's documents, before a call is made. Pure."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import cache
from importlib import import_module
from typing import Any, Literal, cast

import msgspec

from zoho_async._typeguards import is_list
from zoho_async.errors import Fault

Kind = Literal["string", "id", "integer", "number", "boolean", "date", "datetime", "object", "array", "any"]


class Rule(msgspec.Struct, frozen=True, gc=False):
    """The documented rules of one request field. Lengths are in characters."""

    kind: Kind
    required: bool = False
    min_length: int | None = None
    max_length: int | None = None
    pattern: str | None = None
    values: tuple[str, ...] = ()
    minimum: int | None = None
    maximum: int | None = None
    schema: str = ""
    """Name of the struct of an object, or of the objects of an array."""
    items: str = ""
    """Kind of the items of an array."""
    editions: tuple[str, ...] = ()
    """The editions that have the field; empty: all."""
    disputed: bool = False
    """The documents contradict each other, so an error is a warning."""
    secret: bool = False
    deprecated: bool = False


Rules = Mapping[str, Mapping[str, Rule]]
_Schema = tuple[Mapping[str, Rule], dict[str, int], list[str]]
"""The rules of a struct, the most characters of its fields that take any text, and its required fields."""


def rules_of(struct: type[Any]) -> Rules:
    """The rule tables of the product a request struct belongs to; loaded on first use."""
    package, _, module = struct.__module__.rpartition(".")
    if module != "models":
        raise TypeError(f"{struct.__name__} is not a request struct of this package")
    tables: Rules = import_module(f"{package}.rules").RULES
    if struct.__name__ not in tables:
        raise TypeError(f"{struct.__name__} is not a request struct: responses are not validated")
    return tables


@cache
def _schemas(struct: type[Any]) -> Callable[[str], _Schema]:
    """The schemas of the product a request struct belongs to, by name."""
    tables = rules_of(struct)

    @cache
    def schema(name: str) -> _Schema:
        rules = tables[name]
        plain = {
            field: sys.maxsize if rule.max_length is None else rule.max_length
            for field, rule in rules.items()
            if rule.kind in ("string", "any") and not rule.values and rule.min_length is None and rule.pattern is None
        }
        return rules, plain, [field for field, rule in rules.items() if rule.required]

    return schema


def validate(body: Any, type: type[Any] | None = None) -> list[Fault]:
    """Check a request body against the documented lengths, patterns, values and types.

    Args:
        body: A request struct, or a mapping with the names that Zoho uses.
        type: The struct of a mapping, for example `ContactCreate`.

    Returns:
        Every validation error with its path; empty when the body is valid. Those with `warning=True` concern rules
        that Zoho's documents contradict themselves about, so Zoho may accept the value.

    Raises:
        TypeError: It is not a request body.
    """
    struct: Any = type
    if struct is None:
        if not isinstance(body, msgspec.Struct):
            raise TypeError("validate() needs a request struct, or a mapping and type=")
        struct = body.__class__
    faults: list[Fault] = []
    _object(body, struct.__name__, _schemas(struct), "", faults)
    return faults


def _object(value: Any, schema: str, schemas: Callable[[str], _Schema], path: str, faults: list[Fault]) -> None:
    rules, plain, required = schemas(schema)
    given: Mapping[str, Any]
    if isinstance(value, dict):
        given = cast("dict[str, Any]", value)
    elif isinstance(value, msgspec.Struct):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        given = {wire: getattr(value, name) for name, wire in names}
    elif isinstance(value, Mapping):
        given = cast("Mapping[str, Any]", value)
    else:
        faults.append(Fault(path=path or "body", rule="type", message=f"must be an object, not {_shown(value)}"))
        return
    for name, item in given.items():
        if type(item) is str and len(item) <= plain.get(name, -1):
            continue
        place = f"{path}.{name}" if path else str(name)
        rule = rules.get(name)
        if rule is None:
            faults.append(Fault(path=place, rule="unknown", message="is not a documented field"))
        elif item is not msgspec.UNSET and item is not None:
            before = len(faults)
            _value(item, rule, schemas, place, faults)
            if rule.disputed:
                faults[before:] = [msgspec.structs.replace(fault, warning=True) for fault in faults[before:]]
    for name in required:
        item = given.get(name)
        if item is None or item is msgspec.UNSET or item == "":
            place = f"{path}.{name}" if path else name
            faults.append(Fault(path=place, rule="required", message="is required"))


def _value(value: Any, rule: Rule, schemas: Callable[[str], _Schema], path: str, faults: list[Fault]) -> None:
    kind = rule.kind
    if kind == "any":
        return
    if kind == "object":
        if rule.schema:
            _object(value, rule.schema, schemas, path, faults)
        elif not isinstance(value, Mapping):
            faults.append(Fault(path=path, rule="type", message=f"must be an object, not {_shown(value)}"))
    elif kind == "array":
        _array(value, rule, schemas, path, faults)
    elif message := _TYPES[kind](value):
        shown = "***" if rule.secret else _shown(value)
        faults.append(Fault(path=path, rule="type", message=f"{message}, not {shown}"))
    elif isinstance(value, str):
        faults.extend(_text(value, rule, path))
    elif isinstance(value, int | Decimal) and not isinstance(value, bool):
        faults.extend(_range(value, rule, path))


def _array(value: Any, rule: Rule, schemas: Callable[[str], _Schema], path: str, faults: list[Fault]) -> None:
    if not is_list(value) and (isinstance(value, str | bytes | Mapping) or not hasattr(value, "__iter__")):
        faults.append(Fault(path=path, rule="type", message=f"must be a list, not {_shown(value)}"))
        return
    for index, item in enumerate(value):
        place = f"{path}[{index}]"
        if rule.items == "object" and rule.schema:
            _object(item, rule.schema, schemas, place, faults)
        elif rule.items and rule.items != "any":
            _value(item, Rule(rule.items), schemas, place, faults)  # type: ignore[arg-type]


def _range(value: int | Decimal, rule: Rule, path: str) -> Iterator[Fault]:
    if rule.minimum is not None and value < rule.minimum:
        yield Fault(path=path, rule="minimum", message=f"must be at least {rule.minimum}, not {value}")
    if rule.maximum is not None and value > rule.maximum:
        yield Fault(path=path, rule="maximum", message=f"must be at most {rule.maximum}, not {value}")


def _text(value: str, rule: Rule, path: str) -> Iterator[Fault]:
    length = len(value)
    if rule.max_length is not None and length > rule.max_length:
        message = f"must be at most {rule.max_length} characters, has {length}"
        yield Fault(path=path, rule="max_length", message=message)
    # An empty text clears the field.
    if rule.min_length is not None and 0 < length < rule.min_length:
        message = f"must be at least {rule.min_length} characters, has {length}"
        yield Fault(path=path, rule="min_length", message=message)
    if rule.values and value and value not in rule.values:
        shown = "***" if rule.secret else repr(value)
        message = f"must be one of {', '.join(rule.values)}, not {shown}"
        yield Fault(path=path, rule="values", message=message)
    if rule.pattern is not None and value and re.search(rule.pattern, value) is None:
        yield Fault(path=path, rule="pattern", message=f"must match {rule.pattern}")


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}..."


def _string(value: Any) -> str:
    return "" if isinstance(value, str) else "must be text"


def _id(value: Any) -> str:
    # Zoho's documents show ids as numbers too.
    if isinstance(value, int) and not isinstance(value, bool):
        return "" if value >= 0 else "must be an id, digits only"
    return (
        ""
        if isinstance(value, str) and (value == "" or (value.isascii() and value.isdigit()))
        else ("must be an id, digits only")
    )


def _integer(value: Any) -> str:
    return "" if isinstance(value, int) and not isinstance(value, bool) else "must be a whole number"


def _number(value: Any) -> str:
    fits = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
    return "" if fits and Decimal(value).is_finite() else "must be a number"


def _boolean(value: Any) -> str:
    return "" if isinstance(value, bool) else "must be true or false"


def _date(value: Any) -> str:
    if isinstance(value, str):
        try:
            date.fromisoformat(value)
        except ValueError:
            return "must be a date, yyyy-mm-dd"
        return "" if len(value) == 10 else "must be a date, yyyy-mm-dd"
    return "" if isinstance(value, date) and not isinstance(value, datetime) else "must be a date, yyyy-mm-dd"


def _datetime(value: Any) -> str:
    if isinstance(value, str):
        try:
            value = msgspec.convert(value, datetime)
        except msgspec.ValidationError:
            return "must be a time with its zone"
    return "" if isinstance(value, datetime) and value.utcoffset() is not None else "must be a time with its zone"


_TYPES = {
    "string": _string,
    "id": _id,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
}
