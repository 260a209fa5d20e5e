"""The rules the specs keep, so that what is generated from them works. Every fault says where it is and what to do."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable, Iterator
from typing import Any
from urllib.parse import urlsplit

from .endpoints import Operation, camel
from .load import (
    DATA_PART,
    FORM,
    JSON,
    METHODS,
    Node,
    SpecError,
    Specs,
    answers,
    body,
    downloads,
    file_parts,
    form,
    is_file,
    operations,
    parameters,
    references,
    walk,
)
from .schemas import ENVELOPE, is_struct, members, result_keys, results, starts, unwrap, uses

EXTENSIONS = {
    "info": {"x-product", "x-resource"},
    "operation": {"x-scope", "x-source", "x-idempotent", "x-envelope", "x-envelope-one", "x-page", "x-errors"}
    | {"x-no-organization", "x-extra", "x-message-only"},
    "parameter": {"x-organization", "x-python-name", "x-observed", "x-editions", "x-disputed"},
    "schema": {"x-kind", "x-disputed", "x-observed", "x-editions", "x-secret", "x-undocumented"},
}
LIMITS = ("minLength", "maxLength", "pattern", "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum")
PLACES = ("path", "query", "header")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
Faults = Iterator[str]


def check(specs: Specs) -> None:
    """Raises `SpecError` with every fault of the specs; those that hinder reading come alone."""
    for rules in (READING, SHAPE, MEANING):
        faults = specs.faults + [fault for rule in rules for fault in rule(specs)]
        if faults:
            raise SpecError(sorted(set(faults)))


def say(node: Node, text: str) -> str:
    return f"{node.where}: {text}"


# ---------------------------------------------------------------- reading


def dead_references(specs: Specs) -> Faults:
    for document in specs.documents():
        for node in references(document):
            try:
                node.target()
            except SpecError as error:
                yield from error.faults


# ---------------------------------------------------------------- the shape of documents and schemas


def file_heads(specs: Specs) -> Faults:
    for document in specs.documents():
        info = document.child("info")
        if info is None or not all(info.get(key) for key in ("title", "version")):
            yield say(document, "info lacks a title or a version; add them")
    for document in specs.resources():
        product, _, stem = document.file.removesuffix(".yaml").rpartition("/")
        for key, expected in (("x-product", product), ("x-resource", stem)):
            if document.get("info", {}).get(key) != expected:
                yield say(document, f"info.{key} must be {expected!r}, as the file's path says")
        servers = document.get("servers") or [{}]
        if len(servers) != 1 or not urlsplit(str(servers[0].get("url", ""))).path.strip("/"):
            yield say(document, "needs exactly one server, whose url ends in the product's root")


def extensions(specs: Specs) -> Faults:
    for document in specs.documents():
        for node in walk(document):
            role = _role(node)
            for key in node.value:
                if str(key).startswith("x-") and key not in EXTENSIONS.get(role, set()):
                    yield say(node, f"{key} means nothing here; see specs/README.md for the extensions there are")


def _role(node: Node) -> str:
    if node.path == ("info",):
        return "info"
    if len(node.path) == 3 and node.path[0] == "paths" and node.path[2] in METHODS:
        return "operation"
    return "parameter" if "in" in node.value and "name" in node.value else "schema"


def schemas(specs: Specs) -> Iterator[Node]:
    """Every schema of every file, those inside others included."""
    for document in specs.documents():
        for node in walk(document):
            if "schemas" in node.path or "schema" in node.path:
                yield node


def defaults(specs: Specs) -> Faults:
    for node in schemas(specs):
        if "default" in node.value:
            yield say(node, "`default` would invent values in answers; say it in the description instead")


def one_parent(specs: Specs) -> Faults:
    for node in schemas(specs):
        if sum("$ref" in part.value for _, part in node.children("allOf")) > 1:
            yield say(node, "allOf takes at most one $ref; move the shared properties into one schema")


def unsupported(specs: Specs) -> Faults:
    for node in schemas(specs):
        if node.get("format") == "binary":
            yield say(node, "`format: binary` would be read as base64; describe the upload without it")
        for key in ("discriminator", "patternProperties", "not", "if", "readOnly", "writeOnly", "nullable"):
            if key in node.value:
                yield say(node, f"`{key}` is not understood here; write the schema without it")
        if node.get("type") == "number" and node.get("format") != "decimal":
            yield say(node, "a number without `format: decimal` would lose digits; add it, or say integer")


def unions(specs: Specs) -> Faults:
    for node in schemas(specs):
        parts = [unwrap(part).value for key in ("anyOf", "oneOf") for _, part in node.children(key)]
        textual = [part for part in parts if _textual(part)]
        special = [part for part in textual if part.get("format") in ("decimal", "date", "date-time")]
        if special and len(textual) > 1:
            yield say(node, "a decimal or a date cannot share a union with text; keep the number or date alone")
        if sum(part.get("type") == "object" or bool(part.get("properties") or part.get("allOf")) for part in parts) > 1:
            yield say(node, "a union of two objects cannot be told apart; write one object with all properties")


def _textual(part: dict[str, Any]) -> bool:
    return part.get("type") == "string" or part.get("format") == "decimal" or isinstance(part.get("const"), str)


def inline_objects(specs: Specs) -> Faults:
    for node in schemas(specs):
        component = node.component or node.path[-1] == "schema" or node.path[-2:-1] == ("allOf",)
        if not component and "properties" in node.value:
            yield say(node, "an object inside another needs a name; move it to components/schemas and refer to it")


# ---------------------------------------------------------------- what operations say


def every_operation(specs: Specs) -> Iterator[Node]:
    return (operation for document in specs.resources() for operation in operations(document))


def words(specs: Specs) -> Faults:
    for node in every_operation(specs):
        for key in ("summary", "description", "x-scope", "operationId"):
            if not isinstance(node.get(key), str) or not node.get(key).strip():
                yield say(node, f"{key} is missing; add it")
        source = node.get("x-source")
        if not isinstance(source, dict) or not {"document", "title", "url"} <= source.keys():
            yield say(node, "x-source must have document, title and url")
        elif not str(source["url"]).startswith("https://"):
            yield say(node, "x-source.url must be an https address")
        if "x-extra" in node.value and not str(node.get("x-extra") or "").strip():
            yield say(node, "x-extra must say in words why the operation is here without a document")
        for error in node.get("x-errors", []):
            if not isinstance(error, dict) or error.keys() != {"code", "meaning"}:
                yield say(node, "each of x-errors must have a code and a meaning, nothing else")


def identifiers(specs: Specs) -> Faults:
    seen: dict[str, Node] = {}
    for node in every_operation(specs):
        name = str(node.get("operationId"))
        info = node.specs.node(node.file).get("info", {})
        prefix = f"{info.get('x-product')}.{info.get('x-resource')}."
        method = name.removeprefix(prefix)
        if not name.startswith(prefix) or not NAME.fullmatch(method) or keyword.iskeyword(method):
            yield say(node, f"operationId must be {prefix}<method>, the method in snake_case")
        if name in seen:
            yield say(node, f"operationId {name} is taken by {seen[name].where}; choose another")
        seen[name] = node


def idempotence(specs: Specs) -> Faults:
    for node in every_operation(specs):
        given = node.get("x-idempotent")
        if node.path[-1] == "get":
            if given is not None:
                yield say(node, "x-idempotent says nothing on a GET; remove it")
        elif not isinstance(given, dict) or given.keys() != {"value", "reason"}:
            yield say(node, "x-idempotent must have a value and a reason, nothing else")
        elif not isinstance(given["value"], bool) or not str(given["reason"]).strip():
            yield say(node, "x-idempotent needs true or false as value and a reason in words")


def envelopes(specs: Specs) -> Faults:
    for node in every_operation(specs):
        schemas = [schema for media in answers(node) if (schema := media.child("schema"))]
        if not schemas and not downloads(node):
            yield say(node, "has no successful answer with application/json and a schema; add one")
            continue
        if "x-envelope" in node.value and "x-page" in node.value:
            yield say(node, "x-envelope and x-page exclude each other; a paged list has x-page only")
        page = node.get("x-page")
        if "x-page" in node.value and (not isinstance(page, dict) or page.keys() != {"rows", "id"}):
            yield say(node, "x-page must have rows (a list of keys) and id (a row's own key)")
            continue
        declared = result_keys(node)
        if ("x-envelope" in node.value or "x-page" in node.value) and not declared:
            yield say(node, "names no key that holds the result; write a list of keys")
        if "x-envelope-one" in node.value:
            yield from _one_in_list(node)
        if "x-message-only" in node.value and not (declared and isinstance(node.get("x-message-only"), str)):
            yield say(node, "x-message-only gives a reason, and stands beside x-envelope or x-page only")
        fields = [members(schema) for schema in schemas]
        for key in declared:
            if not any(key in found for found in fields):
                yield say(node, f"the answer's schema has no property {key}; add it or correct the key")
        extra = sorted({key for found in fields for key in found} - set(ENVELOPE))
        if not declared and extra:
            yield say(node, f"the answer holds {', '.join(extra)}, but neither x-envelope nor x-page says what counts")
        for key in declared:
            for found in fields:
                if page and key in found:
                    yield from _rows(node, unwrap(found[key].node), str(page["id"]))


def _one_in_list(operation: Node) -> Faults:
    if operation.get("x-envelope-one") is not True or "x-envelope" not in operation.value:
        yield say(operation, "x-envelope-one is true or absent, and stands beside x-envelope only")
    for schema in results(operation):
        items = unwrap(schema).child("items")
        if unwrap(schema).get("type") != "array" or items is None or not is_struct(unwrap(items)):
            yield say(operation, "x-envelope-one wants an array whose items refer to a schema; correct it")


def _rows(operation: Node, schema: Node, identity: str) -> Faults:
    items = schema.child("items")
    row = unwrap(items) if items else None
    if row is None or not is_struct(row):
        yield say(operation, "x-page.rows must name an array whose items refer to a schema; correct it")
    elif identity not in members(row):
        yield say(operation, f"x-page.id {identity} is no property of {row.component}; correct it")


def bodies(specs: Specs) -> Faults:
    for node in every_operation(specs):
        request = node.child("requestBody")
        content = set(request.target().get("content") or ()) if request is not None else {JSON}
        if not content or content - {JSON, FORM}:
            yield say(node, f"a request body is {JSON} or {FORM}; nothing else is generated")
        if FORM in content:
            yield from _form(node)
        for _, start in starts(node):
            schema = unwrap(start)
            if is_struct(schema) and not schema.component:
                yield say(schema, "bodies and records need names; move it to components/schemas and refer to it")


def _form(operation: Node) -> Faults:
    schema = form(operation)
    parts = schema.children("properties") if schema else []
    if not file_parts(operation):
        yield say(operation, f"{FORM} without a file; give a part `contentMediaType`, or write {JSON} alone")
    for name, part in parts:
        if part.target().get("type") != "string":
            yield say(part, "a part is a string: text or, with contentMediaType, a file")
        elif not is_file(part) and (name != DATA_PART or body(operation) is None):
            yield say(part, f"data beside files travels as {DATA_PART}, described under {JSON}; write it there")


def files(specs: Specs) -> Faults:
    for node in every_operation(specs):
        found = downloads(node)
        if found and (node.path[-1] != "get" or "x-envelope" in node.value or "x-page" in node.value):
            yield say(node, "a file is the whole answer of a GET; remove x-envelope and x-page")
        for media in found:
            schema = media.child("schema")
            if schema is None or schema.target().get("type") != "string" or not is_file(schema):
                yield say(media, "a file's schema is `type: string` with a contentMediaType")


def undocumented(specs: Specs) -> Faults:
    named: set[Any] = set()
    for node in every_operation(specs):
        bare = [] if downloads(node) else answers(node)
        request = body(node)
        bare += [request] if request else []
        for media in bare:
            schema = media.child("schema")
            if schema is None:
                yield say(media, "needs a schema; an undocumented one is `type: object` with x-undocumented: true")
                continue
            named.add(schema.target().place)
            if bool(schema.target().get("x-undocumented")) is is_struct(unwrap(schema)):
                yield say(schema, "either it has properties, or it says x-undocumented: true")
        named |= {schema.target().place for media in answers(node) if (schema := media.child("schema"))}
        files = form(node)
        named |= {files.place} if files else set()
    for node in schemas(specs):
        if "x-undocumented" in node.value and (node.get("x-undocumented") is not True or node.place not in named):
            yield say(node, "x-undocumented is true or absent, and stands on a whole body or answer only")


def arguments(specs: Specs) -> Faults:
    for node in every_operation(specs):
        found = parameters(node)
        broken = [it for it in found if not it.get("name") or it.get("in") not in PLACES or it.child("schema") is None]
        for parameter in broken:
            yield say(parameter, "a parameter needs a name, `in` (path, query or header) and a schema")
        if broken:
            continue
        in_path = {str(it.get("name")): it for it in found if it.get("in") == "path"}
        for name in sorted(set(re.findall(r"\{([^}]+)\}", str(node.path[1]))) ^ set(in_path)):
            yield say(node, f"path parameter {name}: stands in only one of the path and the parameters; correct it")
        for parameter in in_path.values():
            if not parameter.get("required"):
                yield say(parameter, "a path parameter must be required")
        for parameter in found:
            schema = unwrap(parameter.child("schema") or parameter)
            if schema.get("type") == "array" and (parameter.get("style"), parameter.get("explode")) != ("form", False):
                yield say(parameter, "a list must have `style: form` and `explode: false`: it travels comma-separated")
        operation = Operation(node)
        names = [it.python for it in operation.parameters] + [name for name, _ in file_parts(node)]
        taken = {"self", "body", "type", "to"} if node.path[-1] == "get" else {"self", "body"}
        for name in sorted({name for name in names if names.count(name) > 1 or name in taken}):
            yield say(node, f"two arguments would be called {name}; give one an x-python-name")
        for name in names:
            if not name.isidentifier() or keyword.iskeyword(name) or name != name.lower():
                yield say(node, f"{name} cannot be an argument; give the parameter an x-python-name in snake_case")


def organizations(specs: Specs) -> Faults:
    places: dict[str, Node] = {}
    for node in every_operation(specs):
        found = [it for it in parameters(node) if it.get("x-organization")]
        if node.get("x-no-organization"):
            if found:
                yield say(node, "x-no-organization, yet a parameter carries the organisation; keep one of them")
        elif len(found) != 1:
            yield say(node, "exactly one parameter must have x-organization: true (or the operation x-no-organization)")
        else:
            product = node.file.partition("/")[0]
            first = places.setdefault(product, found[0])
            if (first.get("name"), first.get("in")) != (found[0].get("name"), found[0].get("in")):
                yield say(node, f"carries the organisation otherwise than {first.where}; a product has one way")


# ---------------------------------------------------------------- what structs say


def product_names(specs: Specs) -> list[str]:
    return sorted({str(document.get("info", {}).get("x-product")) for document in specs.resources()})


def names(specs: Specs) -> Faults:
    for product in product_names(specs):
        seen: dict[str, Node] = {}
        for _, node, operation in uses(specs, product):
            first = seen.setdefault(node.component, node)
            if first.place != node.place:
                yield say(node, f"{node.component} also stands at {first.where}; refer to one of them, or rename")
            if node.component in {camel(product), camel(operation.file.removesuffix(".yaml").rpartition("/")[2])}:
                yield say(node, f"a generated class is called {node.component} as well; rename the schema")


def directions(specs: Specs) -> Faults:
    for product in product_names(specs):
        seen: dict[Any, str] = {}
        for direction, node, _ in uses(specs, product):
            if seen.setdefault(node.place, direction) != direction:
                yield say(node, f"{node.component} serves a request and an answer; write one schema for each")


def fields(specs: Specs, wanted: str) -> Iterator[tuple[Node, str, Node, bool]]:
    """Each property of the structs of one direction: owner, name, schema as written, whether it is required."""
    for product in product_names(specs):
        for direction, node, _ in uses(specs, product):
            if direction == wanted:
                for name, field in members(node).items():
                    yield node, name, field.node, field.required


def parts(node: Node) -> Iterator[Node]:
    """A property's schema, the members of its union and the items of its list; no other structs."""
    node = unwrap(node)
    if not is_struct(node):
        yield node
        for key in ("anyOf", "oneOf"):
            for _, child in node.children(key):
                yield from parts(child)
        items = node.child("items")
        if items is not None:
            yield from parts(items)


def answer_fields(specs: Specs) -> Faults:
    for owner, name, schema, required in fields(specs, "answer"):
        if required and not name.endswith("_id"):
            yield say(owner, f"{name} is required; answers may require nothing but the record's own id")
        for node in parts(schema):
            for key in LIMITS:
                if key in node.value:
                    yield say(node, f"`{key}` in an answer: Zoho's records break such limits; remove it")
            if node.get("format") not in (None, "date", "date-time", "decimal"):
                yield say(node, f"`format: {node.get('format')}` in an answer; only date, date-time and decimal")
            if "const" in node.value or _closed(node):
                yield say(node, "a closed enumeration in an answer; open it: anyOf with the values and type string")


def request_fields(specs: Specs) -> Faults:
    for _, _, schema, _ in fields(specs, "request"):
        disputed = schema.get("x-disputed", unwrap(schema).get("x-disputed"))
        for node in parts(schema):
            open_values = any("enum" in part.value for key in ("anyOf", "oneOf") for _, part in node.children(key))
            if open_values and not (disputed or node.get("x-disputed")):
                yield say(node, "an open enumeration in a request; close it, or say with x-disputed why not")
            if disputed is not None and (not isinstance(disputed, str) or not disputed.strip()):
                yield say(schema, "x-disputed must say in words what the documents disagree about")
            if node.get("x-kind") not in (None, "id"):
                yield say(node, "the only x-kind is id")


def _closed(node: Node) -> bool:
    """Whether it is an enumeration that no plain string stands beside."""
    if "enum" not in node.value:
        return False
    siblings = node.specs.node(node.file, *node.path[:-1]).value if node.path[-2:-1] in (("anyOf",), ("oneOf",)) else []
    return not any(isinstance(it, dict) and it.get("type") == "string" and "enum" not in it for it in siblings)


READING: tuple[Callable[[Specs], Faults], ...] = (dead_references,)
SHAPE: tuple[Callable[[Specs], Faults], ...] = (
    file_heads,
    extensions,
    defaults,
    one_parent,
    unsupported,
    unions,
    inline_objects,
    words,
    identifiers,
    idempotence,
    envelopes,
    bodies,
    files,
    undocumented,
    arguments,
    organizations,
)
MEANING: tuple[Callable[[Specs], Faults], ...] = (names, directions, answer_fields, request_fields)
