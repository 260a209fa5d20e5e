"""The rules of the specs that code generation relies on. Every error names its place and the remedy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from . import lint_operations
from .endpoints import camel
from .lint_operations import Errors
from .load import METHODS, Node, SpecError, Specs, operations, references, walk
from .schemas import is_struct, properties, rows, unwrap, uses

EXTENSIONS = {
    "info": {"x-product", "x-resource"},
    "operation": {"x-scope", "x-source", "x-idempotent", "x-envelope", "x-envelope-one", "x-page", "x-errors"}
    | {"x-no-organization", "x-extra", "x-message-only", "x-unique-field"},
    "parameter": {"x-organization", "x-python-name", "x-observed", "x-editions", "x-disputed"},
    "schema": {"x-kind", "x-disputed", "x-observed", "x-editions", "x-secret", "x-undocumented", "x-empty"},
}
LIMITS = ("minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")


def check(specs: Specs) -> None:
    """Raise `SpecError` with every error; a group of rules is checked only when those before it pass."""
    for rules in (READING, SHAPE, MEANING):
        errors = specs.errors + [error for rule in rules for error in rule(specs)]
        if errors:
            raise SpecError(sorted(set(errors)))


def dead_references(specs: Specs) -> Errors:
    for document in specs.documents():
        for node in references(document):
            try:
                node.target()
            except SpecError as error:
                yield from error.errors


def file_heads(specs: Specs) -> Errors:
    for document in specs.documents():
        info = document.child("info")
        if info is None or not all(info.get(key) for key in ("title", "version")):
            yield document.error("info lacks a title or a version; add them")
    for document in specs.resources():
        product, _, stem = document.file.removesuffix(".yaml").rpartition("/")
        for key, expected in (("x-product", product), ("x-resource", stem)):
            if document.get("info", {}).get(key) != expected:
                yield document.error(f"info.{key} must be {expected!r}, as in the file's path")
        servers = document.get("servers") or [{}]
        if len(servers) != 1 or not urlsplit(str(servers[0].get("url", ""))).path.strip("/"):
            yield document.error("needs exactly one server, whose url ends in the product's root")


def extensions(specs: Specs) -> Errors:
    for document in specs.documents():
        for node in walk(document):
            role = _role(node)
            for key in node.value:
                if str(key).startswith("x-") and key not in EXTENSIONS.get(role, set()):
                    yield node.error(f"{key} is not known here; see specs/README.md for the extensions")


def _role(node: Node) -> str:
    if node.path == ("info",):
        return "info"
    if len(node.path) == 3 and node.path[0] == "paths" and node.path[2] in METHODS:
        return "operation"
    return "parameter" if "in" in node.value and "name" in node.value else "schema"


def defaults(specs: Specs) -> Errors:
    for node in lint_operations.schemas(specs):
        if "default" in node.value:
            yield node.error("`default` would invent values in responses; write it in the description")


def one_parent(specs: Specs) -> Errors:
    for node in lint_operations.schemas(specs):
        if sum("$ref" in part.value for _, part in node.children("allOf")) > 1:
            yield node.error("allOf takes at most one $ref; move the shared properties into one schema")


def unsupported(specs: Specs) -> Errors:
    for node in lint_operations.schemas(specs):
        if node.get("format") == "binary":
            yield node.error("`format: binary` would be read as base64; describe the upload without it")
        for key in ("discriminator", "patternProperties", "not", "if", "readOnly", "writeOnly", "nullable"):
            if key in node.value:
                yield node.error(f"`{key}` is not supported; write the schema without it")
        if node.get("type") == "number" and node.get("format") != "decimal":
            yield node.error("a number without `format: decimal` would lose digits; add it, or use integer")


def unions(specs: Specs) -> Errors:
    for node in lint_operations.schemas(specs):
        parts = [unwrap(part).value for key in ("anyOf", "oneOf") for _, part in node.children(key)]
        textual = [part for part in parts if _textual(part)]
        special = [part for part in textual if part.get("format") in ("decimal", "date", "date-time")]
        if special and len(textual) > 1:
            yield node.error("a decimal or a date cannot be in a union with text; keep the number or date only")
        if sum(part.get("type") == "object" or bool(part.get("properties") or part.get("allOf")) for part in parts) > 1:
            yield node.error("the objects of a union cannot be distinguished; write one object with all properties")


def _textual(part: dict[str, Any]) -> bool:
    return part.get("type") == "string" or part.get("format") == "decimal" or isinstance(part.get("const"), str)


def inline_objects(specs: Specs) -> Errors:
    for node in lint_operations.schemas(specs):
        component = node.component or node.path[-1] == "schema" or node.path[-2:-1] == ("allOf",)
        if not component and "properties" in node.value:
            yield node.error("an object inside another needs a name; move it to components/schemas and refer to it")


def product_names(specs: Specs) -> list[str]:
    return sorted({str(document.get("info", {}).get("x-product")) for document in specs.resources()})


def schema_names(specs: Specs) -> Errors:
    for product in product_names(specs):
        seen: dict[str, Node] = {}
        for _, node, operation in uses(specs, product):
            first = seen.setdefault(node.component, node)
            if first.place != node.place:
                yield node.error(f"{node.component} is also defined at {first.where}; refer to one of them, or rename")
            if node.component in {camel(product), camel(operation.file.removesuffix(".yaml").rpartition("/")[2])}:
                yield node.error(f"a generated class has the name {node.component} too; rename the schema")


def directions(specs: Specs) -> Errors:
    for product in product_names(specs):
        seen: dict[Any, str] = {}
        for direction, node, _ in uses(specs, product):
            if seen.setdefault(node.place, direction) != direction:
                yield node.error(f"{node.component} is used in a request and a response; write one schema for each")


def fields(specs: Specs, wanted: str) -> Iterator[tuple[Node, str, Node, bool]]:
    """The properties of the structs of one direction: owner, name, schema as written, whether it is required."""
    for product in product_names(specs):
        for direction, node, _ in uses(specs, product):
            if direction == wanted:
                for name, field in properties(node).items():
                    yield node, name, field.node, field.required


def parts(node: Node) -> Iterator[Node]:
    """A property's schema, the types of its union and the items of its list, without other structs."""
    node = unwrap(node)
    if not is_struct(node):
        yield node
        for key in ("anyOf", "oneOf"):
            for _, child in node.children(key):
                yield from parts(child)
        items = node.child("items")
        if items is not None:
            yield from parts(items)


def response_fields(specs: Specs) -> Errors:
    records = {node.place for document in specs.resources() for it in operations(document) for node in rows(it)}
    for owner, name, schema, required in fields(specs, "response"):
        if required and not name.endswith("_id"):
            yield owner.error(f"{name} is required; responses may require nothing but the record's own id")
        for node in parts(schema):
            for key in LIMITS:
                if key in node.value:
                    yield node.error(f"`{key}` in a response: Zoho's records break such limits; remove it")
            if node.get("format") not in (None, "date", "date-time", "decimal"):
                yield node.error(f"`format: {node.get('format')}` in a response; only date, date-time and decimal")
            if "const" in node.value or _closed(node):
                yield node.error("a closed enumeration in a response; open it: anyOf with the values and type string")
        if "x-empty" in schema.value:
            if schema.get("x-empty") is not True or required or not _may_be_empty(unwrap(schema)):
                yield schema.error("x-empty is true or absent, on an optional number, boolean, date or date-time")
            if owner.place not in records:
                yield schema.error("x-empty is for members of a record or row, not of an object inside it")


def request_fields(specs: Specs) -> Errors:
    for _, _, schema, _ in fields(specs, "request"):
        if "x-empty" in schema.value:
            yield schema.error("x-empty describes responses; remove it from the request")
        disputed = schema.get("x-disputed", unwrap(schema).get("x-disputed"))
        for node in parts(schema):
            open_values = any("enum" in part.value for key in ("anyOf", "oneOf") for _, part in node.children(key))
            if open_values and not (disputed or node.get("x-disputed")):
                yield node.error("an open enumeration in a request; close it, or explain it with x-disputed")
            if disputed is not None and (not isinstance(disputed, str) or not disputed.strip()):
                yield schema.error("x-disputed must describe how the documents disagree")
            if node.get("x-kind") not in (None, "id"):
                yield node.error("the only x-kind is id")


def _may_be_empty(node: Node) -> bool:
    kind, form = node.get("type"), node.get("format")
    return kind in ("number", "integer", "boolean") or (kind == "string" and form in ("date", "date-time"))


def _closed(node: Node) -> bool:
    """Whether it is an enumeration without a plain string as alternative."""
    if "enum" not in node.value:
        return False
    siblings = node.specs.node(node.file, *node.path[:-1]).value if node.path[-2:-1] in (("anyOf",), ("oneOf",)) else []
    return not any(isinstance(it, dict) and it.get("type") == "string" and "enum" not in it for it in siblings)


READING: tuple[Callable[[Specs], Errors], ...] = (dead_references,)
SHAPE: tuple[Callable[[Specs], Errors], ...] = (
    file_heads,
    extensions,
    defaults,
    one_parent,
    unsupported,
    unions,
    inline_objects,
    lint_operations.texts,
    lint_operations.identifiers,
    lint_operations.idempotence,
    lint_operations.envelopes,
    lint_operations.bodies,
    lint_operations.files,
    lint_operations.undocumented,
    lint_operations.arguments,
    lint_operations.unique_fields,
    lint_operations.organizations,
)
MEANING: tuple[Callable[[Specs], Errors], ...] = (schema_names, directions, response_fields, request_fields)
