"""Holds what the documents say of an operation against what the client does: the logic behind `tests/generated`.

`exchange()` is one call to a server on loopback that answers with the documented example. What arrives there must be
the documented request, what the method gives must hold the documented answer. Where the two may differ is written in
`allowed_differences`, and nowhere else.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import date, datetime
from decimal import Decimal
from email import message_from_bytes
from email.message import Message
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import parse_qsl, urlsplit

import msgspec
from aiohttp import web
from aiohttp.test_utils import RawTestServer
from msgspec import inspect

from support.allowed_differences import ABSENT, RECORD_NOT_SHOWN, Difference, reason_for
from support.documented import documented
from zoho_async import Limits, Page, StaticToken, Upload, Zoho, operations, to_json
from zoho_async.schema.custom_fields import with_custom_field
from zoho_async.schema.operation import Operation

T = TypeVar("T")

ORGANIZATION = "10234695"
TOKEN = "1000.conformance"
FILE = bytes(range(256)) * 300
"""Larger than one chunk, and every byte in it."""
STAND_IN = {"field1": "value1", "field2": "value2"}
"""The body in the documents' samples, where nothing else is documented of it."""

_ENCODER = msgspec.json.Encoder(decimal_format="number")
_PLAIN = (Decimal, datetime, date)


def operation_of(identity: str) -> Operation[Any]:
    """The operation of that id."""
    return next(it for it in operations() if it.id == identity)


def parsed(text: bytes) -> Any:
    """JSON with every digit."""
    return json.loads(text, parse_float=Decimal)


# -- comparing


def differences(expected: Any, found: Any, path: str = "") -> list[tuple[str, Any, Any]]:
    """Every place at which two JSON values differ, as path, expected and found."""
    if isinstance(expected, dict) and isinstance(found, dict):
        keys = [*expected, *(key for key in found if key not in expected)]
        return [
            difference
            for key in keys
            for difference in differences(
                expected.get(key, ABSENT), found.get(key, ABSENT), f"{path}.{key}".lstrip(".")
            )
        ]
    if isinstance(expected, list) and isinstance(found, list) and len(expected) == len(found):
        return [it for pair in zip(expected, found, strict=True) for it in differences(*pair, f"{path}[]")]
    number = (int, Decimal)
    if isinstance(expected, number) and isinstance(found, number) and not isinstance(expected, bool):
        # As text: 12.00 and 12 are the same number, but a digit is lost.
        return [] if str(expected) == str(found) and not isinstance(found, bool) else [(path, expected, found)]
    return [] if type(expected) is type(found) and expected == found else [(path, expected, found)]


def unexplained(operation: str, direction: str, edition: str, expected: Any, found: Any) -> list[str]:
    """The differences that nothing allows, as text."""
    told: list[str] = []
    for path, before, after in differences(expected, found):
        difference = Difference(operation, direction, edition, path, before, after)
        if reason_for(difference) is None:
            told.append(f"{path}: documented {before!r}, here {after!r}")
    return told


def in_its_envelope(operation: Operation[Any], answer: Mapping[str, Any], result: Any) -> dict[str, Any]:
    """What a method gave, dumped again and put where the documented answer has it."""
    found = {key: answer[key] for key in ("code", "message") if key in answer}
    if operation.kind == "nothing":
        assert result is None
        return found
    if operation.kind == "untyped":
        assert isinstance(result, dict)
        return parsed(to_json(result))
    key = next(key for key in operation.envelope if key in answer)
    if operation.kind == "page":
        assert isinstance(result, Page)
        found |= {"page_context": parsed(to_json(result.context))} if "page_context" in answer else {}
        result = result.rows
    dumped = parsed(to_json(result))
    return found | {key: [dumped] if operation.in_list else dumped}


# -- requests built from their structs


def construct(struct: type[T], documented: Mapping[str, Any]) -> T:
    """A struct from a documented example, as a user would write it: ids as text, amounts as Decimal, days as date.

    What the struct has no member for, or no type, is left out, and so shows on the wire as missing; a required member
    that the example has not is empty text, and shows as well.
    """
    info = inspect.type_info(struct)
    built = _fitting(info, documented)
    assert isinstance(built, struct)
    again = msgspec.convert(msgspec.to_builtins(built, builtin_types=_PLAIN), struct)
    assert again == built, "the struct holds values its types do not allow"
    return built


class _Unfit(Exception):  # noqa: N818 - a signal between functions
    """The value is nothing for the type."""


def _fitting(info: inspect.Type, value: Any) -> Any:
    match info:
        case inspect.Metadata():
            return _fitting(info.type, value)
        case inspect.UnionType():
            if value is None and info.includes_none:
                return None
            members = [it for it in info.types if not isinstance(it, inspect.NoneType)]
            # Decimal first: as an int, 12.00 would lose digits.
            for member in sorted(members, key=lambda it: isinstance(it, inspect.IntType)):
                try:
                    return _fitting(member, value)
                except _Unfit:
                    continue
        case inspect.StructType() if isinstance(value, dict):
            return _struct(info, value)
        case inspect.ListType() if isinstance(value, list):
            return [_fitting(info.item_type, item) for item in value]
        case inspect.AnyType():
            return value
        case inspect.DictType() if isinstance(value, dict):
            return value
        case inspect.LiteralType() if value in info.values:
            return value
        case inspect.StrType() if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
            return str(value)
        case inspect.DecimalType() if isinstance(value, str | int | Decimal) and not isinstance(value, bool):
            if isinstance(value, int):
                return value
            try:
                return Decimal(value)
            except ArithmeticError:
                raise _Unfit from None
        case inspect.IntType() | inspect.BoolType() | inspect.DateType() | inspect.DateTimeType():
            try:
                return msgspec.convert(value, _SCALARS[type(info)], strict=False)
            except msgspec.ValidationError:
                raise _Unfit from None
        case _:
            pass
    raise _Unfit


_SCALARS: dict[type[inspect.Type], Any] = {
    inspect.IntType: int,
    inspect.BoolType: bool,
    inspect.DateType: date,
    inspect.DateTimeType: datetime,
}


def _struct(info: inspect.StructType, value: Mapping[str, Any]) -> Any:
    members: dict[str, Any] = {}
    for field in info.fields:
        if field.encode_name in value:
            try:
                members[field.name] = _fitting(field.type, value[field.encode_name])
            except _Unfit:
                continue
        elif field.required:
            members[field.name] = ""
    return info.cls(**members)


# -- one call


class Call:
    """One call to a documented operation: what goes out, what came in, and what was expected of both."""

    def __init__(self, operation: Operation[Any], zoho: Zoho) -> None:
        self.operation = operation
        self.zoho = zoho
        self.response: Any = documented(RECORD_NOT_SHOWN.get(operation.id, operation.id), "answer")
        if self.response is None:
            self.response = {"code": 0, "message": "success", **{key: [] for key in operation.envelope[:1]}}
        self.body: Any = None
        self.files: set[str] = set()
        self.checked = False

    def request(self, struct: type[T]) -> T:
        """The documented request as its struct."""
        self.body = documented(self.operation.id, "request")
        return construct(struct, self.body)

    def mapping(self) -> Mapping[str, Any]:
        """The documented request as it stands, or something in its place where there is none."""
        self.body = documented(self.operation.id, "request") or STAND_IN
        return dict(self.body)

    def file(self, name: str) -> Upload:
        """Something to send as a file."""
        self.files.add(name)
        return Upload(FILE, filename=f"{name} ä.bin", content_type="application/x-proof")

    def returned(self, result: Any) -> None:
        """The method's result must be the documented response."""
        self.checked = True
        if self.operation.kind == "file":
            assert result == FILE
            return
        found = in_its_envelope(self.operation, self.response, result)
        assert not unexplained(self.operation.id, "answer", "documented", self.response, found)

    def saved(self, path: Path) -> None:
        """The file must stand there whole, and nothing else beside it."""
        self.checked = True
        assert path.read_bytes() == FILE
        assert list(path.parent.iterdir()) == [path]


class _Seen(msgspec.Struct):
    method: str
    target: str
    headers: Mapping[str, str]
    body: bytes


@asynccontextmanager
async def exchange(
    identity: str, method: str, target: str, *, query: Mapping[str, str] = {}, headers: Mapping[str, str] = {}
) -> AsyncIterator[Call]:
    """A client and its server for one call of an operation; afterwards, what arrived is compared with what should have.

    `query` and `headers` are what must arrive, no more and no less (headers: those that start with X-).
    """
    operation = operation_of(identity)
    seen: list[_Seen] = []

    async def serve(request: web.BaseRequest) -> web.StreamResponse:
        seen.append(_Seen(request.method, request.raw_path, request.headers, await request.read()))
        if operation.kind == "file":
            return web.Response(body=FILE, content_type="application/octet-stream")
        return web.Response(body=_ENCODER.encode(call.response), content_type="application/json", charset="UTF-8")

    async with (
        RawTestServer(serve) as server,
        Zoho(
            StaticToken(TOKEN),
            organization_id=ORGANIZATION,
            api_url=str(server.make_url("")).rstrip("/"),
            limits=Limits(per_minute=None),
            retries=0,
        ) as zoho,
    ):
        call = Call(operation, zoho)
        yield call
    (one,) = seen
    assert call.checked
    parts = urlsplit(one.target)
    assert (one.method, parts.path) == (method, target)
    assert sorted(parse_qsl(parts.query, keep_blank_values=True, strict_parsing=bool(parts.query))) == sorted(
        query.items()
    )
    assert {name: value for name, value in one.headers.items() if name.lower().startswith("x-")} == dict(headers)
    assert one.headers["Authorization"] == f"Zoho-oauthtoken {TOKEN}"
    _compare_body(call, one)


def _compare_body(call: Call, one: _Seen) -> None:
    content = one.headers.get("Content-Type", "")
    body: Any = None
    if call.files:
        assert content.startswith("multipart/form-data;")
        parts = {_name(part): part for part in _parts(content, one.body)}
        assert parts.keys() == call.files | ({"JSONString"} if call.body is not None else set())
        for name in call.files:
            assert parts[name].get_payload(decode=True) == FILE
            assert parts[name].get_content_type() == "application/x-proof"
            assert parts[name].get_filename()
        if call.body is not None:
            body = parsed(parts["JSONString"].get_payload(decode=True))  # type: ignore[arg-type]
    elif call.body is None:
        assert one.body == b""
        assert "json" not in content
    else:
        assert content == "application/json"
        body = parsed(one.body)
    if call.body is not None:
        expected, field = call.body, one.headers.get("X-Unique-Identifier-Key")
        if field is not None:
            # The method puts it into the body too.
            expected = with_custom_field(expected, field, one.headers["X-Unique-Identifier-Value"])
        assert not unexplained(call.operation.id, "request", "documented", expected, body)


def _parts(content: str, body: bytes) -> list[Message]:
    message = message_from_bytes(b"Content-Type: " + content.encode() + b"\r\n\r\n" + body)
    parts = message.get_payload()
    assert isinstance(parts, list)
    return [part for part in parts if isinstance(part, Message)]


def _name(part: Message) -> str:
    return str(part.get_param("name", header="content-disposition"))
