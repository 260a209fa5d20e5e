"""The schemas that a product's operations use, their direction and their properties."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from .load import Node, Specs, body, operations, responses

Direction = Literal["request", "response"]
ENVELOPE = ("code", "message")


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a struct: the node as written, which may be a reference."""

    node: Node
    required: bool

    def keyword(self, key: str) -> Any:
        """A keyword beside the reference, else that of its target."""
        return self.node.get(key, self.node.target().get(key))


@dataclass(frozen=True, slots=True)
class Schema:
    """A component schema that becomes a struct."""

    name: str
    direction: Direction
    node: Node
    fields: dict[str, Field]

    @property
    def description(self) -> str:
        return str(self.node.get("description", ""))


def unwrap(node: Node) -> Node:
    """The effective schema: references resolved, and an `allOf` around a single one removed."""
    node = node.target()
    parts = node.children("allOf")
    if len(parts) == 1 and not node.component and "properties" not in node.value:
        return unwrap(parts[0][1])
    return node


def is_struct(node: Node) -> bool:
    """Whether this schema has properties, so that it becomes a struct."""
    return bool(node.get("properties") or node.get("allOf"))


def properties(node: Node) -> dict[str, Field]:
    """A schema's properties, including those of its `allOf`; a later one replaces an earlier one."""
    node = node.target()
    found: dict[str, Field] = {}
    for _, part in node.children("allOf"):
        found |= properties(part)
    for name, child in node.children("properties"):
        found[name] = Field(child, found[name].required if name in found else False)
    for name in node.get("required", ()):
        if name in found:
            found[name] = Field(found[name].node, True)
    return found


def below(node: Node) -> Iterator[Node]:
    """The structs a schema refers to directly, or itself when it is one."""
    node = unwrap(node)
    if is_struct(node):
        yield node
        return
    for key in ("anyOf", "oneOf"):
        for _, part in node.children(key):
            yield from below(part)
    for key in ("items", "additionalProperties"):
        inner = node.child(key)
        if inner is not None and isinstance(inner.value, dict):
            yield from below(inner)


def reach(start: Node) -> dict[tuple[str, tuple[str | int, ...]], Node]:
    """All structs that a schema refers to, directly or indirectly."""
    found: dict[tuple[str, tuple[str | int, ...]], Node] = {}
    waiting = list(below(start))
    while waiting:
        node = waiting.pop()
        if node.place not in found:
            found[node.place] = node
            for field in properties(node).values():
                waiting += below(field.node)
    return found


def result_keys(operation: Node) -> list[str]:
    """Keys of the response that may hold the result, as the operation declares them."""
    page = operation.get("x-page")
    keys = page.get("rows", []) if isinstance(page, dict) else operation.get("x-envelope", [])
    return [str(key) for key in keys] if isinstance(keys, list) else []


def results(operation: Node) -> list[Node]:
    """The schemas of those keys."""
    found: list[Node] = []
    for media in responses(operation):
        schema = media.child("schema")
        fields = properties(schema) if schema else {}
        found += [fields[key].node for key in result_keys(operation) if key in fields]
    return found


def rows(operation: Node) -> list[Node]:
    """The structs of the record or row."""
    schemas = [unwrap(node) for node in results(operation)]
    items = [unwrap(inner) if (inner := schema.child("items")) else schema for schema in schemas]
    return [node for node in items if is_struct(node)]


def starts(operation: Node) -> Iterator[tuple[Direction, Node]]:
    """The top schemas of an operation: its body and the result of its response."""
    media = body(operation)
    schema = media.child("schema") if media else None
    if schema is not None:
        yield "request", schema
    for node in results(operation):
        yield "response", node


def uses(specs: Specs, product: str) -> list[tuple[Direction, Node, Node]]:
    """Every struct the product's operations use: direction, schema, operation; sorted by name."""
    found = [
        (direction, node, operation)
        for document in specs.resources()
        if document.get("info", {}).get("x-product") == product
        for operation in operations(document)
        for direction, start in starts(operation)
        for node in reach(start).values()
    ]
    return sorted(found, key=lambda use: (use[1].component, use[1].place[0], str(use[1].path)))


def collect(specs: Specs, product: str) -> dict[str, Schema]:
    """The product's structs by name. The specs must have passed the linter."""
    return {
        node.component: Schema(node.component, direction, node, properties(node))
        for direction, node, _ in uses(specs, product)
    }


def plain(node: Node) -> dict[str, Any]:
    """The type of a schema as plain JSON Schema, with structs as references by name."""
    node = unwrap(node)
    if is_struct(node):
        return {"$ref": f"#/components/schemas/{node.component}"}
    value: dict[str, Any] = {key: node.value[key] for key in ("type", "format", "enum", "const") if key in node.value}
    for key in ("anyOf", "oneOf"):
        if parts := node.children(key):
            value["anyOf"] = [plain(part) for _, part in parts]
    items = node.child("items")
    if items is not None:
        value["items"] = plain(items)
    elif value.get("type") == "array":
        value["items"] = {}
    if value.get("type") == "object":
        more = node.child("additionalProperties")
        value["additionalProperties"] = plain(more) if more and isinstance(more.value, dict) else True
    return value


def choices(node: Node) -> tuple[list[str], bool]:
    """The enumerated values of a schema, and whether no others are allowed."""
    node = unwrap(node)
    if "enum" in node.value:
        return [str(value) for value in node.value["enum"] if value is not None], True
    for key in ("anyOf", "oneOf"):
        for _, part in node.children(key):
            values, _ = choices(part)
            if values:
                return values, False
    return [], False
