"""Requests: paths, queries, headers and bodies in Zoho's format, validated before a call is made. Pure."""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import msgspec

from zoho_async._typeguards import is_mapping, is_series, kind_of
from zoho_async.errors import Fault, InvalidError
from zoho_async.schema.operation import Operation, Parameter

if TYPE_CHECKING:
    from .multipart import FormPart

_AS_IT_IS = frozenset((str, int, bool, type(None)))
"""Types that JSON has."""
_BUILTIN_TYPES = (Decimal, datetime, date, bytes, bytearray)
_DATA_PART = "JSONString"
"""Zoho's name for the form field that holds the JSON body."""
_Place = tuple[str, dict[str, Parameter], frozenset[str], tuple[str, ...]]
"""Where they stand, the parameters there, and the names of those that can be any text and of the required ones."""
_CHANGES_PATH = {"", ".", ".."}
_CONTROL = r"[\x00-\x1f\x7f]"
_JSON = msgspec.json.Encoder(decimal_format="number")


class EncodedRequest(msgspec.Struct, frozen=True, kw_only=True):
    """One request, sent unchanged by every attempt."""

    method: str
    target: str
    """Path and query, quoted."""
    headers: dict[str, str]
    body: bytes | None = None
    parts: tuple[FormPart, ...] = ()
    """The multipart form sent instead of a body."""

    __repr__ = object.__repr__  # no credentials or record in a traceback


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
) -> EncodedRequest:
    """Encode one call.

    Args:
        operation: What is called.
        root: Path of the product, for example `/books/v3`.
        organization_id: The organisation to work in.
        path: Path parameters by name; here and below, None is not sent.
        query: Query parameters by name.
        headers: Header parameters by name.
        body: A request struct or a mapping.
        files: Files by the names in `operation.files`.

    Raises:
        InvalidError: With every error at once: unknown or missing names, values out of range, path segments that
            would change the path, unsafe header values, non-finite numbers, unreadable files.
        TypeError: The body is of the wrong type.
    """
    faults: list[Fault] = []
    in_path, in_query, in_header = _parameters(operation)
    segments = _encode_parameters(in_path, path, faults) if path or in_path[3] else {}
    pairs = _encode_parameters(in_query, query, faults) if query or in_query[3] else {}
    fields = _encode_parameters(in_header, headers, faults) if headers or in_header[3] else {}
    for name, value in segments.items():
        if value in _CHANGES_PATH:
            faults.append(Fault(path=name, rule="path", message=f"{value!r} is not allowed in a path"))
    for name, value in fields.items():
        if not is_header_safe(value):
            faults.append(Fault(path=name, rule="header", message="contains characters that HTTP headers do not allow"))
    parts: tuple[FormPart, ...] = ()
    if files or operation.files:
        from .multipart import file_parts

        parts = file_parts(operation.files, files or {}, faults)
    if body is not None or operation.request is not None or operation.files:
        with_files = any(value is not None for value in files.values()) if files else False
        check_body_type(operation, body, with_files=with_files)
    content: bytes | None = None
    if body is not None:
        try:
            content = to_json(body)
        except InvalidError as error:
            faults.extend(error.faults)
    if faults:
        raise invalid_request(operation.id, faults, organization_id=organization_id)
    place = operation.organization
    if place is not None and organization_id is not None:
        (pairs if place.location == "query" else fields)[place.name] = organization_id
    if parts and content is not None:
        from .multipart import FormPart

        parts = (FormPart(name=_DATA_PART, content=content, content_type="application/json"), *parts)
        content = None
    if content is not None:
        fields["Content-Type"] = "application/json"
    place_in_path = root + operation.path
    for name, value in segments.items():
        place_in_path = place_in_path.replace(f"{{{name}}}", _quote(value))
    return EncodedRequest(
        method=operation.method,
        target=target(place_in_path, pairs),
        headers=fields,
        body=content,
        parts=parts,
    )


def target(path: str, query: Mapping[str, str]) -> str:
    """Path and query of a URL. Query values are quoted; the path must be quoted already."""
    separator = "?"
    for name, value in query.items():
        path += f"{separator}{_quote(name)}={_quote(value)}"
        separator = "&"
    return path


def _quote(text: str) -> str:
    """The text as one segment of a path, or as a name or value of a query."""
    if text.isascii() and (text.isalnum() or text.isidentifier()):
        return text
    import urllib.parse  # 3 ms that `import zoho_async` need not pay

    return urllib.parse.quote(text, safe="")


@lru_cache(maxsize=512)
def _parameters(operation: Operation[Any]) -> list[_Place]:
    """The parameters of the path, of the query and of headers."""
    places: list[_Place] = []
    for location in ("path", "query", "header"):
        known = {it.name: it for it in operation.parameters if it.location == location}
        plain = [name for name, it in known.items() if _is_plain(it)]
        required = tuple(name for name, it in known.items() if it.required)
        places.append((location, known, frozenset(plain), required))
    return places


def _is_plain(parameter: Parameter) -> bool:
    bounds = (parameter.max_length, parameter.minimum, parameter.maximum)
    return parameter.type not in ("integer", "boolean") and not parameter.values and bounds == (None, None, None)


def invalid_request(operation: str, faults: Iterable[Fault], *, organization_id: str | None = None) -> InvalidError:
    """The InvalidError with all errors of a request; nothing was sent."""
    found = tuple(faults)
    text = "; ".join(map(str, found))
    return InvalidError(
        f"{operation}: {text}", faults=found, operation=operation, organization_id=organization_id, sent=False
    )


def check_body_type(operation: Operation[Any], body: Any, *, with_files: bool = False) -> None:
    """Raise TypeError unless the body is a mapping or the operation's own request struct.

    None is accepted when there is no body or it is optional; an undocumented body may be replaced by a file.
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
            raise TypeError(f"{operation.id} needs a body: {_type_name(wanted)} or a mapping")
        return
    if wanted is None:
        raise TypeError(f"{operation.id} takes no body")
    if isinstance(body, Mapping):
        return
    if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct) and isinstance(body, wanted):
        return
    raise TypeError(f"{operation.id} takes {_type_name(wanted)} or a mapping, not {kind_of(body).__name__}")


def _type_name(wanted: Any) -> str:
    return wanted.__name__ if isinstance(wanted, type) and issubclass(wanted, msgspec.Struct) else "a mapping"


def _encode_parameters(place: _Place, given: Mapping[str, Any] | None, faults: list[Fault]) -> dict[str, str]:
    texts: dict[str, str] = {}
    location, known, plain, required = place
    for name, value in given.items() if given else ():
        if name in plain and type(value) is str and value.isascii():
            texts[name] = value
            continue
        if value is None:
            continue
        parameter = known.get(name)
        if parameter is None:
            names = ", ".join(sorted(known)) or "none"
            message = f"is not a {location} parameter of this operation; known: {names}"
            faults.append(Fault(path=name, rule="unknown", message=message))
            continue
        try:
            text = parameter_text(value)
        except (TypeError, ValueError) as error:
            faults.append(Fault(path=name, rule="type", message=str(error)))
            continue
        fault = _check_value(parameter, value, text) or _check_encodable(parameter, value, text)
        if fault is not None:
            faults.append(fault)
        texts[name] = text
    for name in required:
        if name not in texts and not any(fault.path == name for fault in faults):
            argument = f", {known[name].argument}=" if known[name].argument else ""
            message = f"is required ({location} parameter{argument})"
            faults.append(Fault(path=name, rule="required", message=message))
    return texts


def _check_encodable(parameter: Parameter, value: Any, text: str) -> Fault | None:
    if parameter.location == "path" and (isinstance(value, bool) or not isinstance(value, str | int)):
        return Fault(path=parameter.name, rule="type", message=f"must be an id, not {value!r}")
    try:
        text.encode()
    except UnicodeEncodeError:
        return Fault(path=parameter.name, rule="text", message="contains a lone surrogate, which is not valid text")
    return None


def _check_value(parameter: Parameter, value: Any, text: str) -> Fault | None:
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
    """One query, path or header value in Zoho's format; lists are separated by commas.

    Raises:
        TypeError: The type cannot be sent as a parameter.
        ValueError: The value cannot be sent as a parameter.
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
            raise ValueError("must be a list of non-empty values without commas")
        return ",".join(items)
    raise TypeError(f"a {kind_of(value).__name__} cannot be sent as a parameter")


def time_text(value: datetime) -> str:
    """A datetime in Zoho's format: `2026-06-09T09:45:19-0400`. Raises ValueError without a time zone."""
    if value.utcoffset() is None:
        raise ValueError("needs a time zone")
    return value.strftime("%Y-%m-%dT%H:%M:%S%z")


def is_header_safe(value: str) -> bool:
    """Whether an HTTP header can hold the value unchanged."""
    # Outer blanks would be stripped, and a line break would start another header.
    return value == value.strip() and value != "" and (value.isprintable() or re.search(_CONTROL, value) is None)


def to_json(value: Any) -> bytes:
    """Encode a struct, mapping, list or scalar as JSON in Zoho's format.

    Unset fields are left out, None becomes null, a Decimal a number with every digit, a datetime
    `2026-06-09T09:45:19-0400`.

    Args:
        value: What to encode.

    Returns:
        JSON as UTF-8 bytes.

    Raises:
        InvalidError: NaN, infinity, a datetime without a time zone, bytes, or text that is not valid Unicode.
        TypeError: A type that JSON cannot hold.
    """
    try:
        return _JSON.encode(_plain(value, _json_decimal))
    except UnicodeEncodeError:
        fault = Fault(path="body", rule="text", message="contains a lone surrogate, which is not valid text")
        raise InvalidError(str(fault), faults=[fault]) from None


def to_builtins(value: Any) -> Any:
    """Convert a value to plain dicts, lists, strings and numbers, with the rules of `to_json`.

    Args:
        value: A struct, mapping, list or scalar.

    Returns:
        The plain value. A Decimal becomes an int or a float where that holds every digit, else stays a Decimal.

    Raises:
        InvalidError: NaN, infinity, a datetime without a time zone, or bytes.
        TypeError: A type that JSON cannot hold.
    """
    return _plain(value, _number_of_decimal)


def _plain(value: Any, decimal: Any) -> Any:
    faults: list[Fault] = []
    try:
        plain = msgspec.to_builtins(value, builtin_types=_BUILTIN_TYPES, str_keys=True)
    except TypeError as error:
        path = _path_of_unsupported(value)
        raise TypeError(f"{path}: {error}" if path else str(error)) from None
    converted = _walk(plain, decimal, "", faults)
    if faults:
        raise InvalidError("; ".join(map(str, faults)), faults=faults)
    return converted


def _path_of_unsupported(value: Any, path: str = "") -> str:
    """Where the first value of a type lies that JSON cannot hold; empty for the whole."""
    for step, child in _children(value):
        try:
            msgspec.to_builtins(child, builtin_types=_BUILTIN_TYPES, str_keys=True)
        except TypeError:
            return _path_of_unsupported(child, f"{path}{step}" if path else step.lstrip("."))
    return path


def _children(value: Any) -> Iterator[tuple[str, Any]]:
    """The values inside another one, with what leads to them."""
    if isinstance(value, msgspec.Struct):
        fields = ((name, getattr(value, name)) for name in value.__struct_fields__)
        yield from ((f".{name}", child) for name, child in fields if child is not msgspec.UNSET)
    elif is_mapping(value):
        yield from ((f".{name}", child) for name, child in value.items())
    elif is_series(value):
        yield from ((f"[{place}]", child) for place, child in enumerate(value))


def _walk(value: Any, decimal: Any, path: str, faults: list[Fault]) -> Any:
    """The value with every member as JSON has it. Dicts and lists are changed, which are copies already."""
    kind = kind_of(value)
    if kind in _AS_IT_IS:
        return value
    if kind is dict:
        for name, item in value.items():
            if item.__class__ not in _AS_IT_IS:
                value[name] = _walk(item, decimal, f"{path}.{name}" if path else name, faults)
        return value
    if kind is list or kind is tuple:
        items = list(value)
        for index, item in enumerate(items):
            if item.__class__ not in _AS_IT_IS:
                items[index] = _walk(item, decimal, f"{path}[{index}]", faults)
        return items
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
        # msgspec would encode them as base64, which Zoho does not decode.
        faults.append(Fault(path=path or "body", rule="type", message="must be text, not bytes"))
        return None
    return value


def _exact(value: float | Decimal) -> Decimal:
    number = value if isinstance(value, Decimal) else Decimal(repr(value))
    if not number.is_finite():
        raise ValueError(f"must be a finite number, not {value}")
    return number


def _json_decimal(value: Decimal) -> Decimal | msgspec.Raw:
    # 1E+2 is valid JSON, but written as 100 to be safe.
    return msgspec.Raw(format(value, "f").encode()) if "E" in str(value) else value


def _number_of_decimal(value: Decimal) -> int | float | Decimal:
    if value == value.to_integral_value() and not _has_fraction_digits(value):
        return int(value)
    near = float(value)
    return near if math.isfinite(near) and Decimal(repr(near)) == value else value


def _has_fraction_digits(value: Decimal) -> bool:
    exponent = value.as_tuple().exponent
    return isinstance(exponent, int) and exponent < 0
