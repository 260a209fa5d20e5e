"""Which schemas a product's operations use, in which direction, and what each one holds."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

from .load import Node, Specs, answers, body, operations

Direction = Literal["request", "answer"]
ENVELOPE = ("code", "message")


@dataclass(frozen=True, slots=True)
class Field:
    """One property of a struct: the node as written, which may be a reference."""

    node: Node
    required: bool

    def word(self, key: str) -> Any:
        """A keyword beside the reference or, failing that, where it leads."""
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
    """The schema that counts: references followed, and an `allOf` around a single reference taken off."""
    node = node.target()
    parts = node.children("allOf")
    if len(parts) == 1 and not node.component and "properties" not in node.value:
        return unwrap(parts[0][1])
    return node


def is_struct(node: Node) -> bool:
    """Whether this schema has members of its own, so that it becomes a struct."""
    return bool(node.get("properties") or node.get("allOf"))


def members(node: Node) -> dict[str, Field]:
    """A schema's properties, those of its `allOf` included; a later one replaces an earlier one."""
    node = node.target()
    found: dict[str, Field] = {}
    for _, part in node.children("allOf"):
        found |= members(part)
    for name, child in node.children("properties"):
        found[name] = Field(child, found[name].required if name in found else False)
    for name in node.get("required", ()):
        if name in found:
            found[name] = Field(found[name].node, True)
    return found


def below(node: Node) -> Iterator[Node]:
    """The structs a schema refers to directly (itself, when it is one)."""
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
    """All structs reachable from a schema, by place."""
    found: dict[tuple[str, tuple[str | int, ...]], Node] = {}
    waiting = list(below(start))
    while waiting:
        node = waiting.pop()
        if node.place not in found:
            found[node.place] = node
            for field in members(node).values():
                waiting += below(field.node)
    return found


def result_keys(operation: Node) -> list[str]:
    """Keys of the answer that may hold the result, as the operation declares them."""
    page = operation.get("x-page")
    keys = page.get("rows", []) if isinstance(page, dict) else operation.get("x-envelope", [])
    return [str(key) for key in keys] if isinstance(keys, list) else []


def results(operation: Node) -> list[Node]:
    """The schemas under those keys."""
    found: list[Node] = []
    for media in answers(operation):
        schema = media.child("schema")
        fields = members(schema) if schema else {}
        found += [fields[key].node for key in result_keys(operation) if key in fields]
    return found


def starts(operation: Node) -> Iterator[tuple[Direction, Node]]:
    """Where an operation's types begin: its body, and what its answer's envelope holds."""
    media = body(operation)
    schema = media.child("schema") if media else None
    if schema is not None:
        yield "request", schema
    for node in results(operation):
        yield "answer", node


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
        node.component: Schema(node.component, direction, node, members(node))
        for direction, node, _ in uses(specs, product)
    }


def plain(node: Node) -> dict[str, Any]:
    """The schema's type and nothing else, in plain JSON Schema; structs become references by name."""
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
    """The values a schema lists, and whether the list is closed."""
    node = unwrap(node)
    if "enum" in node.value:
        return [str(value) for value in node.value["enum"] if value is not None], True
    for key in ("anyOf", "oneOf"):
        for _, part in node.children(key):
            values, _ = choices(part)
            if values:
                return values, False
    return [], False
