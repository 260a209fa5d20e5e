"""What an operation is, and what comes back: frozen data, no behaviour."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Generic, Literal, TypeVar

import msgspec

T_co = TypeVar("T_co", covariant=True)

Location = Literal["path", "query", "header"]
Kind = Literal["record", "page", "list", "nothing", "untyped", "file"]


class Parameter(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One path, query or header parameter of an operation, as the documents give it."""

    name: str
    """Name on the wire."""
    location: Location
    required: bool = False
    type: Literal["string", "integer", "number", "boolean", "date", "strings"] = "string"
    """`strings` is a list that travels as one value, separated by commas."""
    values: tuple[str, ...] = ()
    """The closed list of values Zoho accepts; empty when any value goes."""
    max_length: int | None = None
    minimum: int | None = None
    maximum: int | None = None


class Product(msgspec.Struct, frozen=True, kw_only=True, gc=False):
    """One of Zoho's finance products: where its API stands and where it wants the organisation's id."""

    name: str
    title: str
    root: str
    """Path before every operation's own, for example `/books/v3`."""
    organization: Parameter


class Operation(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True, eq=False):
    """One documented operation. `Operation[T]`: its method returns `T`.

    Generated from `specs/` and listed by `zoho_async.operations()`; `zoho.send()` takes one.
    """

    id: str
    """Product, resource and method, for example `books.contacts.create`."""
    product: str
    method: str
    """HTTP method, upper case."""
    path: str
    """Path below the product's root, for example `/contacts/{contact_id}`."""
    scope: str
    """The OAuth scope it needs."""
    title: str
    kind: Kind
    """What the answer holds: a record, a page of rows, a plain list, only a message, something undocumented, or is
    a file."""
    idempotent: bool
    """Whether sending it twice does the same as sending it once; only such writes are ever repeated."""
    request: Any = None
    """Type of the body; None when there is none."""
    body_optional: bool = False
    """Whether it may be sent without the body."""
    files: tuple[str, ...] = ()
    """Names of the parts that are files; with one of them the body travels beside it in a form."""
    response: Any = None
    """Type of the record or of one row; None when there is only a message."""
    envelope: tuple[str, ...] = ()
    """Keys under which the result may stand in the answer; the first one present wins."""
    in_list: bool = False
    """Whether the one record stands in a list."""
    message_only: bool = False
    """Whether the documents also print its answer without the result, which then reads as an empty one and as drift."""
    row_id: str = ""
    """The row's key that identifies it, by which rows seen twice are dropped."""
    parameters: tuple[Parameter, ...] = ()
    organization: Parameter | None = None
    """Where the organisation's id goes; None for the few operations that want none."""
    source: str = ""
    """Address of the document it was transcribed from."""
    extra: str = ""
    """Why it is here although it is beyond the documents this package covers; empty for all others."""

    @property
    def reads(self) -> bool:
        """Whether it only reads."""
        return self.method == "GET"

    def __repr__(self) -> str:
        return f"<Operation {self.id} {self.method} {self.path}>"


class Response(msgspec.Struct, Generic[T_co], frozen=True, kw_only=True, eq=False):
    """One answer: `data` is exactly what the operation's method returns; the rest is what came over the wire."""

    status: int
    headers: Mapping[str, str]
    """Header names compare without regard to case."""
    body: bytes
    """The whole body as received, after decompression; empty when it went into a file (`to=`)."""
    code: int | str | None
    """Zoho's own result code; 0 is success."""
    message: str | None
    data: T_co
    attempts: int = 1

    def __repr__(self) -> str:
        return f"<Response {self.status} code={self.code} {len(self.body)} bytes>"
