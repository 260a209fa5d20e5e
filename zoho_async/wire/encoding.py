"""What goes out: paths, queries, headers and bodies in the form Zoho wants, checked before a call is spent. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from zoho_async._typeguards import is_series, kind_of
from zoho_async.errors import Fault, InvalidError
from zoho_async.schema.operation import Operation, Parameter

from .multipart import Part, file_parts

_BUILTIN_TYPES = (Decimal, datetime, date, bytes, bytearray)
_DATA_PART = "JSONString"
"""What Zoho calls the part of a form that holds the body."""
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")
_JSON = msgspec.json.Encoder(decimal_format="number")


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """One request, ready to be sent as often as the policy allows."""

    method: str
    target: str
    """Path and query, quoted."""
    headers: dict[str, str]
    body: bytes | None = None
    parts: tuple[Part, ...] = ()
    """The form to send in place of a body."""


def build_request(
    operation: Operation[Any],
    *,
    root: str,
    organization_id: str | None,
    path: Mapping[str, Any] | None = None,
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
    body: Any = None,
    files: Mapping[str, Any] | None = None,
) -> Request:
    """The request of one call, from values by wire name; None means not given.

    Raises InvalidError with every fault at once: unknown or missing names, values outside a closed list, values
    too long, path segments that would address something else, header values that cannot travel, non-finite
    numbers, files that cannot be read; and TypeError for a body of the wrong kind.
    """
    faults: list[Fault] = []
    known: dict[str, dict[str, Parameter]] = {"path": {}, "query": {}, "header": {}}
    for parameter in operation.parameters:
        known[parameter.location][parameter.name] = parameter
    segments = _checked(known["path"], path, "path", faults)
    pairs = _checked(known["query"], query, "query", faults)
    fields = _checked(known["header"], headers, "header", faults)
    for name, value in segments.items():
        if value in {"", ".", ".."}:
            faults.append(Fault(path=name, rule="path", message=f"{value!r} cannot stand in a path"))
    for name, value in fields.items():
        if not travels(value):
            faults.append(Fault(path=name, rule="header", message="holds characters that an HTTP header cannot carry"))
    parts = file_parts(operation.files, files or {}, faults)
    check_body_type(operation, body, with_files=any(value is not None for value in (files or {}).values()))
    content: bytes | None = None
    if body is not None:
        try:
            content = to_json(body)
        except InvalidError as error:
            faults.extend(error.faults)
    if faults:
        raise invalid(operation.id, faults, organization_id=organization_id)
    place = operation.organization
    if place is not None and organization_id is not None:
        (pairs if place.location == "query" else fields)[place.name] = organization_id
    if parts and content is not None:
        parts = (Part(name=_DATA_PART, content=content, content_type="application/json"), *parts)
        content = None
    if content is not None:
        fields["Content-Type"] = "application/json"
    import urllib.parse  # 3 ms, which the first call pays

    quoted = {name: urllib.parse.quote(value, safe="") for name, value in segments.items()}
    return Request(
        method=operation.method,
        target=target(root + operation.path.format_map(quoted), pairs),
        headers=fields,
        body=content,
        parts=parts,
    )


def target(path: str, query: Mapping[str, str]) -> str:
    """Path and query of a URL; query values are quoted, the path is taken as it stands."""
    if not query:
        return path
    import urllib.parse

    return f"{path}?{urllib.parse.urlencode(query, quote_via=urllib.parse.quote)}"


def invalid(operation: str, faults: Iterable[Fault], *, organization_id: str | None = None) -> InvalidError:
    """The error that tells all faults of one request at once; nothing was sent."""
    found = tuple(faults)
    text = "; ".join(map(str, found))
    return InvalidError(
        f"{operation}: {text}", faults=found, operation=operation, organization_id=organization_id, sent=False
    )


def check_body_type(operation: Operation[Any], body: Any, *, with_files: bool = False) -> None:
    """TypeError unless the body is a mapping or the operation's own request struct.

    None is right where there is no body or it may be left out; where nothing of it is documented, a file will do.
    """
    wanted: Any = operation.request
    if body is None:
        if wanted is None:
            if operation.files and not with_files:
                raise TypeError(f"{operation.id} needs a file: {' or '.join(operation.files)}")
            return
        if wanted is dict and operation.files:
            if not (with_files or operation.body_optional):
                raise TypeError(f"{operation.id} needs a file ({', '.join(operation.files)}) or a mapping")
        elif not operation.body_optional:
            raise TypeError(f"{operation.id} needs a body: {_name(wanted)} or a mapping")
        return
    if wanted is None:
        raise TypeError(f"{operation.id} takes no body")
    if isinstance(body, Mapping):
        return
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct) and isinstance(body, wanted):
        return
    raise TypeError(f"{operation.id} takes {_name(wanted)} or a mapping, not {kind_of(body).__name__}")


def _name(wanted: Any) -> str:
    return wanted.__name__ if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct) else "a mapping"


def _checked(
    known: Mapping[str, Parameter], given: Mapping[str, Any] | None, location: str, faults: list[Fault]
) -> dict[str, str]:
    texts: dict[str, str] = {}
    for name, value in (given or {}).items():
        if value is None:
            continue
        parameter = known.get(name)
        if parameter is None:
            message = f"is no {location} parameter of this operation; known: {', '.join(sorted(known)) or 'none'}"
            faults.append(Fault(path=name, rule="unknown", message=message))
            continue
        try:
            text = parameter_text(value)
        except (TypeError, ValueError) as error:
            faults.append(Fault(path=name, rule="type", message=str(error)))
            continue
        fault = _parameter_fault(parameter, value, text) or _unsendable(parameter, value, text)
        if fault is not None:
            faults.append(fault)
        texts[name] = text
    for name, parameter in known.items():
        if parameter.required and name not in texts and not any(fault.path == name for fault in faults):
            faults.append(Fault(path=name, rule="required", message=f"is required ({location} parameter)"))
    return texts


def _unsendable(parameter: Parameter, value: Any, text: str) -> Fault | None:
    if parameter.location == "path" and (isinstance(value, bool) or not isinstance(value, str | int)):
        return Fault(path=parameter.name, rule="type", message=f"must be an id, not {value!r}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return Fault(path=parameter.name, rule="text", message="holds half of a character (a lone surrogate)")
    return None


def _parameter_fault(parameter: Parameter, value: Any, text: str) -> Fault | None:
    name = parameter.name
    if parameter.values and text not in parameter.values:
        return Fault(path=name, rule="values", message=f"must be one of {', '.join(parameter.values)}, not {text!r}")
    if parameter.max_length is not None and len(text) > parameter.max_length:
        message = f"must be at most {parameter.max_length} characters, has {len(text)}"
        return Fault(path=name, rule="max_length", message=message)
    if parameter.type == "integer" and (isinstance(value, bool) or not text.lstrip("-").isdecimal()):
        return Fault(path=name, rule="type", message=f"must be a whole number, not {text!r}")
    if parameter.type == "boolean" and text not in {"true", "false"}:
        return Fault(path=name, rule="type", message=f"must be true or false, not {text!r}")
    if parameter.minimum is not None and int(text) < parameter.minimum:
        return Fault(path=name, rule="minimum", message=f"must be at least {parameter.minimum}, not {text}")
    if parameter.maximum is not None and int(text) > parameter.maximum:
        return Fault(path=name, rule="maximum", message=f"must be at most {parameter.maximum}, not {text}")
    return None


def parameter_text(value: Any) -> str:
    """One query, path or header value as text: booleans as words, dates and times in Zoho's form, lists with commas.

    Raises TypeError or ValueError for what has no such form.
    """
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, float | Decimal):
        return format(_exact(value), "f")
    if isinstance(value, datetime):
        return time_text(value)
    if isinstance(value, date):
        return value.isoformat()
    if is_series(value):
        items = [parameter_text(item) for item in value]
        if not items or any(item == "" or "," in item for item in items):
            raise ValueError("must be a list of values that are not empty and hold no comma")
        return ",".join(items)
    raise TypeError(f"a {kind_of(value).__name__} cannot be sent as a parameter")


def time_text(value: datetime) -> str:
    """A moment as Zoho writes it, the zone without a colon: `2026-06-09T09:45:19-0400`. ValueError without a zone."""
    if value.utcoffset() is None:
        raise ValueError("needs a time zone: a moment without one means different times in different places")
    return value.strftime("%Y-%m-%dT%H:%M:%S%z")


def travels(value: str) -> bool:
    """Whether an HTTP header can carry it."""
    # Blank ends would be stripped on the way and line breaks would start another header; aiohttp sends UTF-8.
    return value == value.strip() and value != "" and _CONTROL.search(value) is None


def to_json(value: Any) -> bytes:
    """A struct, mapping, list or scalar as JSON bytes in Zoho's form.

    Unset members are left out, None is null, money is a number with every digit, times carry the zone without
    a colon. Raises InvalidError for NaN, infinity and times without a zone, TypeError for what JSON cannot hold.
    """
    try:
        return _JSON.encode(_written(value, _json_decimal))
    except UnicodeEncodeError:
        fault = Fault(path="body", rule="text", message="holds half of a character (a lone surrogate)")
        raise InvalidError(str(fault), faults=[fault]) from None


def to_builtins(value: Any) -> Any:
    """Like `to_json`, as plain dicts, lists, strings and numbers.

    A decimal becomes an int or a float where that holds every digit, and stays a Decimal where it does not.
    """
    return _written(value, _plain_decimal)


def _written(value: Any, decimal: Any) -> Any:
    faults: list[Fault] = []
    plain = msgspec.to_builtins(value, builtin_types=_BUILTIN_TYPES, str_keys=True)
    written = _walk(plain, decimal, "", faults)
    if faults:
        raise InvalidError("; ".join(map(str, faults)), faults=faults)
    return written


def _walk(value: Any, decimal: Any, path: str, faults: list[Fault]) -> Any:
    kind = kind_of(value)
    if kind is str or kind is int or kind is bool or value is None:
        return value
    if kind is dict:
        prefix = f"{path}." if path else ""
        return {key: _walk(item, decimal, f"{prefix}{key}", faults) for key, item in value.items()}
    if kind is list or kind is tuple:
        return [_walk(item, decimal, f"{path}[{index}]", faults) for index, item in enumerate(value)]
    try:
        if kind is float:
            return value if math.isfinite(value) else _exact(value)
        if isinstance(value, Decimal):
            return decimal(_exact(value))
        if isinstance(value, datetime):
            return time_text(value)
    except ValueError as error:
        faults.append(Fault(path=path or "body", rule="value", message=str(error)))
        return None
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bytes | bytearray):
        # msgspec would write them as base64, which is nothing Zoho reads.
        faults.append(Fault(path=path or "body", rule="type", message="must be text, not bytes"))
        return None
    return value


def _exact(value: float | Decimal) -> Decimal:
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not number.is_finite():
        raise ValueError(f"must be a finite number, not {value}")
    return number


def _json_decimal(value: Decimal) -> Decimal | msgspec.Raw:
    # 1E+2 is valid JSON, but not what a bookkeeping API expects to read; format() writes it out.
    return msgspec.Raw(format(value, "f").encode()) if "E" in str(value) else value


def _plain_decimal(value: Decimal) -> int | float | Decimal:
    if value == value.to_integral_value() and not _fraction_written(value):
        return int(value)
    near = float(value)
    return near if math.isfinite(near) and Decimal(repr(near)) == value else value


def _fraction_written(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent < 0
