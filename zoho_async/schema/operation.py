"""Operations and responses: frozen data, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import msgspec

T_co = TypeVar("T_co", covariant=True)

Location = Literal["path", "query", "header"]
ResultKind = Literal["record", "page", "list", "nothing", "untyped", "file", "any"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One path, query or header parameter of an operation, as the documents give it."""

    name: str
    """Name on the wire."""
    argument: str = ""
    """Name of the method's argument, where it differs."""
    location: Location
    required: bool = False
    type: Literal["string", "integer", "number", "boolean", "date", "strings"] = "string"
    """`strings` is a list that is sent as one value, separated by commas."""
    values: tuple[str, ...] = ()
    """The values Zoho accepts; empty when any is accepted."""
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None


class Product(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One of Zoho's finance products: the path of its API and the parameter of the organisation's id."""

    name: str
    title: str
    root: str
    """Path before every operation's own, for example `/books/v3`."""
    organization: Parameter


class Operation(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True, eq=False):
    """One documented operation, generated from `specs/`. The method of an `Operation[T]` returns `T`.

    Attributes:
        id: Product, resource and method, for example `books.contacts.create`.
        product: The product, for example `books`.
        method: HTTP method, upper case.
        path: Path without the product's root, for example `/contacts/{contact_id}`.
        scope: The OAuth scope it needs.
        title: Its title in the document.
        kind: What the response holds: `record`, `page` (of rows), `list` (not paged), `nothing` (only a message),
            `untyped` (not documented), `file`, or `any` (of `Zoho.request`: any JSON, another medium, or nothing).
        idempotent: Whether sending it twice has the effect of sending it once. No other write is ever repeated.
        request: Type of the body; None without one.
        body_optional: Whether it may be sent without the body.
        files: Names of the form fields that are files.
        response: Type of the record or of a row; None when there is only a message.
        envelope: Keys of the response that may hold the result; the first one present is used.
        in_list: Whether the single record is in a list.
        message_only: Whether the documents also show a response without the result, which is decoded as an empty one.
        empty: Members of the record or row that Zoho sends as empty text where there is no value.
        row_id: Field that identifies a row.
        parameters: Path, query and header parameters.
        organization: Parameter of the organisation's id; None for the few operations without one.
        source: Address of the document it was transcribed from.
        extra: Why it exists although none of the covered documents has it; empty for all others.
    """

    id: str
    product: str
    method: str
    path: str
    scope: str
    title: str
    kind: ResultKind
    idempotent: bool
    request: Any = None
    body_optional: bool = False
    files: tuple[str, ...] = ()
    response: Any = None
    envelope: tuple[str, ...] = ()
    in_list: bool = False
    message_only: bool = False
    empty: tuple[str, ...] = ()
    row_id: str = ""
    parameters: tuple[Parameter, ...] = ()
    organization: Parameter | None = None
    source: str = ""
    extra: str = ""

    @property
    def reads(self) -> bool:
        """Whether it changes nothing."""
        return self.method == "GET"

    def __repr__(self) -> str:
        return f"<Operation {self.id} {self.method} {self.path}>"


class Response(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True, eq=False):
    """One response.

    Attributes:
        status: HTTP status.
        headers: Header names are case-insensitive.
        body: The whole body after decompression; empty when it was written to a file (`to=`).
        code: Zoho's result code; 0 is success.
        message: Zoho's message.
        data: What the operation's method returns.
        attempts: How many attempts the call took.
    """

    status: int
    headers: Mapping[str, str]
    body: bytes
    code: int | str | None
    message: str | None
    data: T_co
    attempts: int = 1

    def __reduce__(self) -> tuple[Any, ...]:
        # Without the data, which may hold this response: pickle and deepcopy restore it last.
        fields = {name: getattr(self, name) for name in self.__struct_fields__ if name != "data"}
        copied = getattr(self.headers, "copy", None)
        if copied is not None:  # aiohttp's read-only headers cannot be pickled, a copy of them can
            fields["headers"] = copied()
        return restored, (type(self), {**fields, "data": None}), (self.data,)

    def __setstate__(self, state: tuple[Any]) -> None:
        msgspec.structs.force_setattr(self, "data", state[0])

    def __repr__(self) -> str:
        return f"<Response {self.status} code={self.code} {len(self.body)} bytes>"


def restored(kind: type[Any], fields: dict[str, Any]) -> Any:
    """A struct of which `pickle` or `copy` restores the remaining field afterwards."""
    return kind(**fields)
