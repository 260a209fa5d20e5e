"""The endpoint modules: the operations of the specs, prepared for one template."""

from __future__ import annotations

import keyword
import re
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import jinja2

from . import docstrings
from .docstrings import describe
from .load import Node, Specs, body, downloads, file_parts, form, operations, parameters, responses
from .schemas import Field, choices, is_struct, properties, result_keys, results, rows, unwrap

_TYPES = {"string": "str", "integer": "int", "number": "Decimal | int", "boolean": "bool", "date": "date | str"} | {
    "strings": "Sequence[str]"
}
_FILE = "Upload | str | PathLike[str] | bytes"


def camel(name: str) -> str:
    """`contact_persons` -> `ContactPersons`."""
    return "".join(part.capitalize() for part in name.split("_"))


@dataclass(frozen=True)
class Parameter:
    """One path, query or header parameter."""

    node: Node

    @property
    def wire(self) -> str:
        return str(self.node.value["name"])

    @property
    def location(self) -> str:
        return str(self.node.value["in"])

    @property
    def required(self) -> bool:
        return bool(self.node.get("required"))

    @property
    def python(self) -> str:
        name = str(self.node.get("x-python-name") or self.wire)
        return f"{name}_" if keyword.iskeyword(name) else name

    @property
    def schema(self) -> Node:
        schema = self.node.child("schema")
        assert schema is not None, "the linter requires it"
        return unwrap(schema)

    @property
    def type(self) -> str:
        """`Parameter.type` of zoho_async.schema.operation."""
        kind = self.schema.get("type", "string")
        if kind == "array":
            return "strings"
        return "date" if self.schema.get("format") == "date" else str(kind)

    @property
    def annotation(self) -> str:
        values, closed = choices(self.schema)
        if not values:
            return _TYPES[self.type]
        literal = f"Literal[{', '.join(repr(value) for value in values)}]"
        return literal if closed else f"{literal} | str"

    @property
    def signature(self) -> str:
        """The parameter in a function's signature."""
        if self.location == "path":
            return f"{self.python}: {self.annotation}"
        return f"{self.python}: {self.annotation}" + ("" if self.required else " | None = None")

    @property
    def description(self) -> str:
        return describe(Field(self.node, self.required), "request", self.schema)

    @property
    def code(self) -> str:
        """The code of its `Parameter` of zoho_async.schema.operation."""
        values, closed = choices(self.schema)
        given: dict[str, Any] = {"name": self.wire, "location": self.location}
        given |= {"argument": self.python} if self.python != self.wire else {}
        given |= {"required": True} if self.required else {}
        given |= {"type": self.type} if self.type != "string" else {}
        given |= {"values": tuple(values)} if values and closed else {}
        given |= {"max_length": self.schema.get("maxLength")} if "maxLength" in self.schema.value else {}
        given |= {limit: self.schema.get(limit) for limit in ("minimum", "maximum") if limit in self.schema.value}
        return f"Parameter({', '.join(f'{key}={value!r}' for key, value in given.items())})"


@dataclass(frozen=True)
class Operation:
    """One operation, with the values that the template uses."""

    node: Node

    @property
    def id(self) -> str:
        return str(self.node.value["operationId"])

    @property
    def name(self) -> str:
        return self.id.rpartition(".")[2]

    @property
    def constant(self) -> str:
        return self.name.upper()

    @property
    def method(self) -> str:
        return str(self.node.path[2]).upper()

    @property
    def path(self) -> str:
        return str(self.node.path[1])

    @property
    def title(self) -> str:
        return str(self.node.value["summary"])

    @property
    def scope(self) -> str:
        return str(self.node.value["x-scope"])

    @property
    def source(self) -> str:
        return str(self.node.value["x-source"]["url"])

    @property
    def idempotent(self) -> bool:
        return self.method == "GET" or bool(self.node.value["x-idempotent"]["value"])

    @property
    def reason(self) -> str:
        """Why it may or may not be sent twice."""
        return "" if self.method == "GET" else str(self.node.value["x-idempotent"]["reason"])

    @cached_property
    def parameters(self) -> list[Parameter]:
        """All but the organisation's; path parameters in the order of the path."""
        found = [Parameter(node) for node in parameters(self.node) if not node.get("x-organization")]
        order = re.findall(r"\{(\w+)\}", self.path)
        places = {"path": 0, "query": 1, "header": 2}
        return sorted(found, key=lambda it: (places[it.location], order.index(it.wire) if it.wire in order else 0))

    @cached_property
    def organization(self) -> Parameter | None:
        """The parameter of the organisation's id."""
        return next((Parameter(node) for node in parameters(self.node) if node.get("x-organization")), None)

    @cached_property
    def kind(self) -> str:
        """`Operation.kind` of zoho_async.schema.operation."""
        if self.node.get("x-page"):
            return "page"
        if downloads(self.node):
            return "file"
        if found := results(self.node):
            schema = unwrap(found[0])
            if schema.get("type") == "array":
                return "record" if self.in_list else "list"
            return "record" if is_struct(schema) else "untyped"
        return "nothing" if response_keys(self.node) else "untyped"

    @property
    def in_list(self) -> bool:
        """Whether the single record is in a list."""
        return bool(self.node.get("x-envelope-one"))

    @property
    def message_only(self) -> bool:
        """Whether the documents also show the response without its result."""
        return bool(self.node.get("x-message-only"))

    @property
    def extra(self) -> str:
        """Why it exists although no covered document has it; empty for all others."""
        return str(self.node.get("x-extra") or "")

    @cached_property
    def response(self) -> str:
        """The struct of the record or of a row; empty when there is none."""
        return next((node.component for node in rows(self.node)), "")

    @property
    def empty(self) -> tuple[str, ...]:
        """Members of the record or row that come as empty text where there is no value."""
        fields = [field for node in rows(self.node) for field in properties(node).items()]
        return tuple(dict.fromkeys(name for name, field in fields if field.keyword("x-empty")))

    @property
    def returns(self) -> str:
        """The type that awaiting (or calling) the method returns."""
        row = self.response or "dict[str, Any]"
        kinds = {"record": row, "page": f"Page[{row}]", "list": f"builtins.list[{row}]", "nothing": "None"} | {
            "file": "bytes"
        }
        return kinds.get(self.kind, "dict[str, Any]")

    @property
    def typed(self) -> bool:
        """Whether the caller may give a type to decode into."""
        return self.method == "GET" and self.kind not in ("nothing", "file")

    @property
    def own(self) -> str:
        """What the method returns for the caller's own type `S`."""
        return {"page": "Pages[S]", "list": "builtins.list[S]"}.get(self.kind, "S")

    @cached_property
    def request(self) -> str:
        """The struct of the body; `dict` when it is not documented; empty without a body."""
        media = body(self.node)
        schema = media.child("schema") if media else None
        if schema is None:
            files = form(self.node)
            return "dict" if files and files.get("x-undocumented") else ""
        return unwrap(schema).component if is_struct(unwrap(schema)) else "dict"

    @property
    def body_optional(self) -> bool:
        """Whether it may be sent without the body."""
        request = self.node.child("requestBody")
        return bool(self.request) and not (request and request.target().get("required"))

    @cached_property
    def files(self) -> dict[str, str]:
        """The form fields that are files, with their descriptions."""
        return {name: describe(Field(part, False), "request") for name, part in file_parts(self.node)}

    @property
    def file_names(self) -> tuple[str, ...]:
        return tuple(self.files)

    @property
    def envelope(self) -> tuple[str, ...]:
        return tuple(result_keys(self.node))

    @property
    def row_id(self) -> str:
        page = self.node.get("x-page")
        return str(page.get("id", "")) if page else ""

    @property
    def by_name(self) -> list[Parameter]:
        """The keyword-only parameters, required ones first."""
        return sorted((it for it in self.parameters if it.location != "path"), key=lambda it: not it.required)

    def of(self, location: str) -> list[Parameter]:
        return [it for it in self.parameters if it.location == location]

    @property
    def body_signature(self) -> str:
        if not self.request:
            return ""
        kind = "Mapping[str, Any]" if self.request == "dict" else f"{self.request} | Mapping[str, Any]"
        kind += f" | {_FILE}" if self.file_or_body else ""
        # A file may replace an undocumented body.
        required = not self.body_optional and not (self.files and self.request == "dict")
        return f"body: {kind}" if required else f"body: {kind} | None = None"

    @property
    def file_or_body(self) -> str:
        """The file that may stand in the body's place, because no document describes a body; empty for all others."""
        return next(iter(self.files)) if self.request == "dict" and len(self.files) == 1 else ""

    @property
    def body_argument(self) -> str:
        unique = self.node.get("x-unique-field")
        if not unique:
            return "body"
        names = {it.wire: it.python for it in self.parameters}
        return f"with_custom_field(body, {names[unique['name']]}, {names[unique['value']]})"

    def signature(self, last: str = "") -> str:
        """The parameters, `self` included."""
        places = ["self", *(it.signature for it in self.of("path"))]
        places += [self.body_signature] if self.request else []
        places += ["/"] if len(places) > 1 else []
        names = [it.signature for it in self.by_name]
        names += [f"{name}: {_FILE} | None = None" for name in self.files]
        names += [last] if last else []
        return ", ".join([*places, *(["*"] if names else []), *names])

    @property
    def arguments(self) -> str:
        """The arguments of the method's call of the transport."""
        given = [self.constant]
        for location, argument in (("path", "path"), ("query", "query"), ("header", "headers")):
            if found := self.of(location):
                given.append(f"{argument}={{{', '.join(f'{it.wire!r}: {it.python}' for it in found)}}}")
        given += [f"body={self.body_argument}"] if self.request else []
        given += [f"files={{{', '.join(f'{name!r}: {name}' for name in self.files)}}}"] if self.files else []
        given += ["type=type"] if self.typed else []
        given += ["to=to"] if self.kind == "file" else []
        return ", ".join(given)

    @property
    def call(self) -> str:
        """An example of the call for the reference page."""
        places = [it.python for it in self.of("path")] + (["body"] if self.request else [])
        places += [f"{it.python}=..." for it in self.by_name if it.required]
        text = f"zoho.{self.id}({', '.join(places)})"
        return f"async for row in {text}" if self.kind == "page" else f"await {text}"

    @property
    def docstring(self) -> str:
        """The method's docstring, with its quotes."""
        return docstrings.of_method(self)


@dataclass(frozen=True)
class Resource:
    """One file of operations: one module, one class."""

    node: Node

    @property
    def name(self) -> str:
        return str(self.node.value["info"]["x-resource"])

    @property
    def product(self) -> str:
        return str(self.node.value["info"]["x-product"])

    @property
    def class_name(self) -> str:
        return camel(self.name)

    @property
    def title(self) -> str:
        return str(self.node.value["info"]["title"])

    @property
    def docstring(self) -> str:
        """The class's docstring, with its quotes."""
        return docstrings.of_resource(self)

    @cached_property
    def operations(self) -> list[Operation]:
        return [Operation(node) for node in operations(self.node)]

    @property
    def models(self) -> list[str]:
        """The structs the module imports."""
        names = {it.response for it in self.operations} | {it.request for it in self.operations}
        return sorted(names - {"", "dict"})


@dataclass(frozen=True)
class Product:
    """One product: its resources in the order of their names."""

    name: str
    resources: list[Resource]

    @property
    def class_name(self) -> str:
        return camel(self.name)

    @property
    def title(self) -> str:
        return f"Zoho {self.class_name}"

    @property
    def root(self) -> str:
        return urlsplit(str(self.resources[0].node.value["servers"][0]["url"])).path.rstrip("/")

    @property
    def organization(self) -> Parameter | None:
        """The parameter of the organisation's id; None when no operation has one."""
        every = (operation for resource in self.resources for operation in resource.operations)
        return next((it.organization for it in every if it.organization), None)


def products(specs: Specs) -> list[Product]:
    """All products of the specs, by name."""
    found: dict[str, list[Resource]] = {}
    for document in specs.resources():
        found.setdefault(str(document.value["info"]["x-product"]), []).append(Resource(document))
    return [Product(name, sorted(found[name], key=lambda it: it.name)) for name in sorted(found)]


def response_keys(operation: Node) -> set[str]:
    """The keys of a successful response, including the code and the message."""
    schemas = [schema for media in responses(operation) if (schema := media.child("schema"))]
    return {key for schema in schemas for key in properties(schema)}


def render(resource: Resource) -> str:
    """The module's text, without a header."""
    return template("endpoints.py.jinja").render(resource=resource)


def template(name: str) -> jinja2.Template:
    loader = jinja2.FileSystemLoader(Path(__file__).parent / "templates")
    environment = jinja2.Environment(
        loader=loader,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters["repr"] = repr
    return environment.get_template(name)
