"""The validation rules of request structs, as data for `zoho_async.schema.validation`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .load import Node
from .schemas import Field, Schema, choices, is_struct, unwrap

_FORMATS = {"date": "date", "date-time": "datetime", "decimal": "number"}
_LIMITS = {"minLength": "min_length", "maxLength": "max_length", "pattern": "pattern", "minimum": "minimum"} | {
    "maximum": "maximum"
}


def render(schemas: Mapping[str, Schema]) -> str:
    """The module's text, without a header: a table for each request struct."""
    lines = [
        "from __future__ import annotations",
        "",
        "from typing import Final",
        "",
        "from zoho_async.schema.validation import Rule",
        "",
        "RULES: Final[dict[str, dict[str, Rule]]] = {",
    ]
    for name, schema in sorted(schemas.items()):
        if schema.direction == "request":
            lines.append(f"    {name!r}: {{")
            for wire, field in schema.fields.items():
                arguments = ", ".join(f"{key}={value!r}" for key, value in rule(field).items())
                lines.append(f"        {wire!r}: Rule({arguments}),")
            lines.append("    },")
    return "\n".join([*lines, "}", ""])


def rule(field: Field) -> dict[str, Any]:
    """The arguments of a property's `Rule`: its kind, and everything that differs from the defaults."""
    schema = unwrap(field.node)
    kind = _kind(field)
    found: dict[str, Any] = {"kind": kind}
    if field.required:
        found["required"] = True
    found |= {name: schema.value[key] for key, name in _LIMITS.items() if key in schema.value}
    if values := choices(field.node)[0]:
        found["values"] = tuple(values)
    if kind == "object" and is_struct(schema):
        found["schema"] = schema.component
    items = schema.child("items")
    if kind == "array" and items is not None:
        found["items"] = kind_of(items)
        if is_struct(unwrap(items)):
            found["schema"] = unwrap(items).component
    if editions := field.keyword("x-editions"):
        found["editions"] = tuple(map(str, editions))
    return (
        found
        | {key: True for key in ("disputed", "secret") if field.keyword(f"x-{key}")}
        | ({"deprecated": True} if field.keyword("deprecated") else {})
    )


def _kind(field: Field) -> str:
    return "id" if field.keyword("x-kind") == "id" else kind_of(field.node)


def kind_of(node: Node) -> str:
    """The `Rule.kind` of a schema."""
    schema = unwrap(node)
    if schema.get("x-kind") == "id":
        return "id"
    if is_struct(schema):
        return "object"
    if choices(schema)[0]:
        return "string"
    kinds = schema.get("type")
    if isinstance(kinds, list):
        kinds = [kind for kind in kinds if kind != "null"]
        kinds = kinds[0] if len(kinds) == 1 else None
    if kinds is None:
        return "any"
    return _FORMATS.get(str(schema.get("format")), str(kinds))
