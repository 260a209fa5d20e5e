"""The conformance tests: one call of every operation's method, and the HTTP request it must send.

The expected request is derived from the specs only, so that it shares no mistake with the client.
`tests/support/conformance.py` compares; a generated file contains only data and calls.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from urllib.parse import quote

from .endpoints import Operation, Parameter, Product, Resource, template
from .load import body
from .schemas import choices

_ODD = "ä&=+%/?#"
"""Characters that must be quoted in a query."""
_ID = 460000000026049


def samples(operation: Operation) -> dict[str, Any]:
    """A distinct value for every parameter."""
    return {it.wire: _sample(it, index) for index, it in enumerate(operation.parameters)}


def _sample(parameter: Parameter, index: int) -> Any:
    """The spec's example, the first allowed value, or one of the right kind."""
    values, _ = choices(parameter.schema)
    if (given := parameter.node.get("example", values[0] if values else None)) is not None:
        return given
    if parameter.type == "string":
        if parameter.schema.get("x-kind") == "id":
            return str(_ID + index)
        text = f"some {parameter.wire}" if parameter.location == "header" else f"{_ODD} {parameter.wire}"
        return text[: parameter.schema.get("maxLength")]
    number = min(index + 2, parameter.schema.get("maximum", index + 2))
    others = {"boolean": True, "date": "2026-01-31", "strings": [str(_ID), str(_ID + 6)]}
    return others.get(parameter.type, number)


def wire(value: Any) -> str:
    """The value as it must be sent in a query or a header."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return ",".join(map(str, value)) if isinstance(value, list) else str(value)


@dataclass(frozen=True)
class Case:
    """One test: an operation and how it is called."""

    operation: Operation
    root: str
    name: str
    with_files: bool = False
    saved: bool = False

    @property
    def title(self) -> str:
        source = self.operation.node.value["x-source"]
        return f"Document {source['document']}: {source['title']}." if not self.operation.extra else "Not documented."

    @cached_property
    def values(self) -> dict[str, Any]:
        return samples(self.operation)

    @property
    def target(self) -> str:
        """The path with quoted parameters."""
        path = self.operation.path
        for parameter in self.operation.of("path"):
            path = path.replace(f"{{{parameter.wire}}}", quote(wire(self.values[parameter.wire]), safe=""))
        return self.root + path

    @property
    def query(self) -> str:
        return self._expected("query")

    @property
    def headers(self) -> str:
        return self._expected("header")

    def _expected(self, location: str) -> str:
        pairs = [f"{it.wire!r}: {wire(self.values[it.wire])!r}" for it in self.operation.of(location)]
        place = self.operation.organization
        if place and place.location == location:
            pairs.insert(0, f"{place.wire!r}: ORGANIZATION")
        return f"{{{', '.join(pairs)}}}"

    @property
    def call(self) -> str:
        """The code of the call."""
        it = self.operation
        given = [repr(self.values[parameter.wire]) for parameter in it.of("path")]
        if it.request and not (self.with_files and it.request == "dict"):
            given.append("call.mapping()" if it.request == "dict" else f"call.request({it.request})")
        given += [f"{parameter.python}={self.values[parameter.wire]!r}" for parameter in it.by_name]
        given += [f"{name}=call.file({name!r})" for name in it.files] if self.with_files else []
        given += ["to=tmp_path / 'document'"] if self.saved else []
        return f"call.zoho.{it.id}({', '.join(given)})"


def cases(resource: Resource, product: Product) -> Iterator[Case]:
    """All tests of one resource: every operation, and once more with files."""
    for operation in resource.operations:
        if operation.files and body(operation.node) is None:
            yield Case(operation, product.root, operation.name, with_files=True)
            continue
        yield Case(operation, product.root, operation.name)
        if operation.files:
            yield Case(operation, product.root, f"{operation.name}_with_files", with_files=True)
        if operation.kind == "file":
            yield Case(operation, product.root, f"{operation.name}_to_a_file", saved=True)


def render(resource: Resource, product: Product) -> str:
    """The test module's text, without a header."""
    found = list(cases(resource, product))
    structs = sorted({it.operation.request for it in found} - {"", "dict"})
    return template("conformance.py.jinja").render(resource=resource, product=product, cases=found, structs=structs)
