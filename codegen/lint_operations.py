"""The rules of the specs that concern operations."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from typing import Any

from .endpoints import Operation
from .load import (
    DATA_PART,
    FORM,
    JSON,
    Node,
    Specs,
    body,
    downloads,
    file_parts,
    form,
    is_file,
    operations,
    parameters,
    responses,
    walk,
)
from .schemas import ENVELOPE, is_struct, properties, result_keys, results, starts, unwrap

PLACES = ("path", "query", "header")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
Errors = Iterator[str]


def schemas(specs: Specs) -> Iterator[Node]:
    """Every schema of every file, including nested ones."""
    for document in specs.documents():
        for node in walk(document):
            if "schemas" in node.path or "schema" in node.path:
                yield node


def every_operation(specs: Specs) -> Iterator[Node]:
    """Every operation of every file."""
    return (operation for document in specs.resources() for operation in operations(document))


def texts(specs: Specs) -> Errors:
    for node in every_operation(specs):
        for key in ("summary", "description", "x-scope", "operationId"):
            if not isinstance(node.get(key), str) or not node.get(key).strip():
                yield node.error(f"{key} is missing; add it")
        source = node.get("x-source")
        if not isinstance(source, dict) or not {"document", "title", "url"} <= source.keys():
            yield node.error("x-source must have document, title and url")
        elif not str(source["url"]).startswith("https://"):
            yield node.error("x-source.url must be an https address")
        if "x-extra" in node.value and not str(node.get("x-extra") or "").strip():
            yield node.error("x-extra must explain why the operation exists without a document")
        for error in node.get("x-errors", []):
            if not isinstance(error, dict) or error.keys() != {"code", "meaning"}:
                yield node.error("each of x-errors must have a code and a meaning, nothing else")


def identifiers(specs: Specs) -> Errors:
    seen: dict[str, Node] = {}
    for node in every_operation(specs):
        name = str(node.get("operationId"))
        info = node.specs.node(node.file).get("info", {})
        prefix = f"{info.get('x-product')}.{info.get('x-resource')}."
        method = name.removeprefix(prefix)
        if not name.startswith(prefix) or not NAME.fullmatch(method) or keyword.iskeyword(method):
            yield node.error(f"operationId must be {prefix}<method>, the method in snake_case")
        if name in seen:
            yield node.error(f"operationId {name} is taken by {seen[name].where}; choose another")
        seen[name] = node


def idempotence(specs: Specs) -> Errors:
    for node in every_operation(specs):
        given = node.get("x-idempotent")
        if node.path[-1] == "get":
            if given is not None:
                yield node.error("x-idempotent has no meaning on a GET; remove it")
        elif not isinstance(given, dict) or given.keys() != {"value", "reason"}:
            yield node.error("x-idempotent must have a value and a reason, nothing else")
        elif not isinstance(given["value"], bool) or not str(given["reason"]).strip():
            yield node.error("x-idempotent needs true or false as value, and a reason")


def envelopes(specs: Specs) -> Errors:
    for node in every_operation(specs):
        schemas = [schema for media in responses(node) if (schema := media.child("schema"))]
        if not schemas and not downloads(node):
            yield node.error("has no successful response with application/json and a schema; add one")
            continue
        if "x-envelope" in node.value and "x-page" in node.value:
            yield node.error("x-envelope and x-page exclude each other; a paged list has x-page only")
        page = node.get("x-page")
        if "x-page" in node.value and (not isinstance(page, dict) or page.keys() != {"rows", "id"}):
            yield node.error("x-page must have rows (a list of keys) and id (a row's own key)")
            continue
        declared = result_keys(node)
        if ("x-envelope" in node.value or "x-page" in node.value) and not declared:
            yield node.error("names no key that holds the result; write a list of keys")
        if "x-envelope-one" in node.value:
            yield from _one_in_list(node)
        if "x-message-only" in node.value and not (declared and isinstance(node.get("x-message-only"), str)):
            yield node.error("x-message-only gives a reason, and is allowed beside x-envelope or x-page only")
        fields = [properties(schema) for schema in schemas]
        for key in declared:
            if not any(key in found for found in fields):
                yield node.error(f"the response's schema has no property {key}; add it or correct the key")
        extra = sorted({key for found in fields for key in found} - set(ENVELOPE))
        if not declared and extra:
            yield node.error(f"the response has {', '.join(extra)}, but neither x-envelope nor x-page names the result")
        for key in declared:
            for found in fields:
                if page and key in found:
                    yield from _rows(node, unwrap(found[key].node), str(page["id"]))


def _one_in_list(operation: Node) -> Errors:
    if operation.get("x-envelope-one") is not True or "x-envelope" not in operation.value:
        yield operation.error("x-envelope-one is true or absent, and is allowed beside x-envelope only")
    for schema in results(operation):
        items = unwrap(schema).child("items")
        if unwrap(schema).get("type") != "array" or items is None or not is_struct(unwrap(items)):
            yield operation.error("x-envelope-one needs an array whose items refer to a schema; correct it")


def _rows(operation: Node, schema: Node, identity: str) -> Errors:
    items = schema.child("items")
    row = unwrap(items) if items else None
    if row is None or not is_struct(row):
        yield operation.error("x-page.rows must name an array whose items refer to a schema; correct it")
    elif identity not in properties(row):
        yield operation.error(f"x-page.id {identity} is not a property of {row.component}; correct it")


def bodies(specs: Specs) -> Errors:
    for node in every_operation(specs):
        request = node.child("requestBody")
        content = set(request.target().get("content") or ()) if request is not None else {JSON}
        if not content or content - {JSON, FORM}:
            yield node.error(f"a request body is {JSON} or {FORM}; nothing else is generated")
        if FORM in content:
            yield from _form(node)
        for _, start in starts(node):
            schema = unwrap(start)
            if is_struct(schema) and not schema.component:
                yield schema.error("bodies and records need names; move it to components/schemas and refer to it")


def _form(operation: Node) -> Errors:
    schema = form(operation)
    parts = schema.children("properties") if schema else []
    if not file_parts(operation):
        yield operation.error(f"{FORM} without a file; give a part `contentMediaType`, or write {JSON} alone")
    for name, part in parts:
        if part.target().get("type") != "string":
            yield part.error("a part is a string: text or, with contentMediaType, a file")
        elif not is_file(part) and (name != DATA_PART or body(operation) is None):
            yield part.error(f"data beside files is sent as {DATA_PART}, described under {JSON}; write it there")


def files(specs: Specs) -> Errors:
    for node in every_operation(specs):
        found = downloads(node)
        if found and (node.path[-1] != "get" or "x-envelope" in node.value or "x-page" in node.value):
            yield node.error("a file is the whole response of a GET; remove x-envelope and x-page")
        for media in found:
            schema = media.child("schema")
            if schema is None or schema.target().get("type") != "string" or not is_file(schema):
                yield media.error("a file's schema is `type: string` with a contentMediaType")


def undocumented(specs: Specs) -> Errors:
    named: set[Any] = set()
    for node in every_operation(specs):
        bare = [] if downloads(node) else responses(node)
        request = body(node)
        bare += [request] if request else []
        for media in bare:
            schema = media.child("schema")
            if schema is None:
                yield media.error("needs a schema; an undocumented one is `type: object` with x-undocumented: true")
                continue
            named.add(schema.target().place)
            if bool(schema.target().get("x-undocumented")) is is_struct(unwrap(schema)):
                yield schema.error("needs either properties or x-undocumented: true")
        named |= {schema.target().place for media in responses(node) if (schema := media.child("schema"))}
        files = form(node)
        named |= {files.place} if files else set()
    for node in schemas(specs):
        if "x-undocumented" in node.value and (node.get("x-undocumented") is not True or node.place not in named):
            yield node.error("x-undocumented is true or absent, and is allowed on a whole body or response only")


def arguments(specs: Specs) -> Errors:
    for node in every_operation(specs):
        found = parameters(node)
        broken = [it for it in found if not it.get("name") or it.get("in") not in PLACES or it.child("schema") is None]
        for parameter in broken:
            yield parameter.error("a parameter needs a name, `in` (path, query or header) and a schema")
        if broken:
            continue
        in_path = {str(it.get("name")): it for it in found if it.get("in") == "path"}
        for name in sorted(set(re.findall(r"\{([^}]+)\}", str(node.path[1]))) ^ set(in_path)):
            yield node.error(f"path parameter {name}: must be in the path and in the parameters; correct it")
        for parameter in in_path.values():
            if not parameter.get("required"):
                yield parameter.error("a path parameter must be required")
        for parameter in found:
            schema = unwrap(parameter.child("schema") or parameter)
            if schema.get("type") == "array" and (parameter.get("style"), parameter.get("explode")) != ("form", False):
                yield parameter.error("a list must have `style: form` and `explode: false`: it is sent comma-separated")
        operation = Operation(node)
        names = [it.python for it in operation.parameters] + [name for name, _ in file_parts(node)]
        taken = {"self", "body", "type", "to"} if node.path[-1] == "get" else {"self", "body"}
        for name in sorted({name for name in names if names.count(name) > 1 or name in taken}):
            yield node.error(f"two arguments would have the name {name}; give one an x-python-name")
        for name in names:
            if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
                yield node.error(f"{name} cannot be an argument; give the parameter an x-python-name in snake_case")


def unique_fields(specs: Specs) -> Errors:
    for node in every_operation(specs):
        given = node.get("x-unique-field")
        if given is None:
            continue
        if not isinstance(given, dict) or given.keys() != {"name", "value"}:
            yield node.error("x-unique-field must have a name and a value: two of the operation's parameters")
            continue
        known = {str(it.get("name")) for it in parameters(node)}
        for name in sorted({str(name) for name in given.values()} - known):
            yield node.error(f"x-unique-field: there is no parameter {name}")
        if body(node) is None:
            yield node.error("x-unique-field needs a body to put the field into")


def organizations(specs: Specs) -> Errors:
    places: dict[str, Node] = {}
    for node in every_operation(specs):
        found = [it for it in parameters(node) if it.get("x-organization")]
        if node.get("x-no-organization"):
            if found:
                yield node.error("x-no-organization contradicts the organisation's parameter; keep one of them")
        elif len(found) != 1:
            yield node.error("exactly one parameter needs x-organization: true, or the operation x-no-organization")
        else:
            product = node.file.partition("/")[0]
            first = places.setdefault(product, found[0])
            if (first.get("name"), first.get("in")) != (found[0].get("name"), found[0].get("in")):
                yield node.error(f"sends the organisation differently from {first.where}; a product has one way")
