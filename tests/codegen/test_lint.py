"""Every rule of the linter fires where it should, and says where and what to do."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from codegen.lint import check
from codegen.load import SpecError, Specs

Edit = Callable[[Any], Any]
PROJECT = Path(__file__).parents[2]
FIXTURES = Path(__file__).parent / "fixtures" / "specs"
THINGS = "shop/things.yaml"


class Case(NamedTuple):
    name: str
    change: Edit
    where: str
    says: str
    file: str = THINGS


def put(value: Any, *path: Any) -> Edit:
    """An edit that sets the value at `path`."""

    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        document[path[-1]] = value

    return change


def drop(*path: Any) -> Edit:
    """An edit that removes what stands at `path`."""

    def change(document: Any) -> None:
        for key in path[:-1]:
            document = document[key]
        del document[path[-1]]

    return change


LIST = ("paths", "/things", "get")
CREATE = ("paths", "/things", "post")
REPLACE = ("paths", "/things/{thing_id}/parts/{class}", "put")
SHELVES = "shop/shelves.yaml"
PLAN = ("paths", "/shelves/plan")
PHOTO = ("paths", "/shelves/{shelf_id}/photo")
DRAWING = (*PLAN, "put", "requestBody", "content", "multipart/form-data", "schema")
FRAMED = (*PHOTO, "post", "requestBody", "content", "multipart/form-data", "schema", "properties")
DOWNLOAD = (*PHOTO, "get", "responses", "200", "content")
SCHEMAS = ("components", "schemas")
ANSWER = (*SCHEMAS, "Thing", "properties")
REQUEST = (*SCHEMAS, "ThingCreate", "properties")
ROWS = (*LIST, "responses", "200", "content", "application/json", "schema", "properties")
TEXT = {"type": "string"}

CASES = [
    Case("dead reference", put({"$ref": "#/nowhere"}, *ANSWER, "part"), "Thing.properties.part", "has no target"),
    Case("circle", put({"$ref": "#/components/schemas/A"}, *SCHEMAS, "A"), "components.schemas.A", "has no target"),
    Case("no version", drop("info", "version"), "(top)", "title or a version"),
    Case("wrong product", put("mill", "info", "x-product"), "(top)", "info.x-product must be 'shop'"),
    Case("wrong resource", put("thing", "info", "x-resource"), "(top)", "info.x-resource must be 'things'"),
    Case("no root", put([{"url": "https://example.com"}], "servers"), "(top)", "exactly one server"),
    Case("unknown extension", put("A", *CREATE, "x-scopes"), "paths./things.post", "x-scopes is not known here"),
    Case("extension misplaced", put("A", *ANSWER, "part", "x-scope"), "properties.part", "x-scope is not known here"),
    Case("default", put({"type": "integer", "default": 5}, *REQUEST, "size"), "properties.size", "`default` would"),
    Case(
        "two parents",
        put([{"$ref": "#/components/schemas/PartInput"}] * 2, *SCHEMAS, "ThingCreate", "allOf"),
        "schemas.ThingCreate",
        "at most one $ref",
    ),
    Case("binary", put({"type": "string", "format": "binary"}, *REQUEST, "pin"), "properties.pin", "base64"),
    Case("discriminator", put({"propertyName": "a"}, *SCHEMAS, "Thing", "discriminator"), "Thing", "not supported"),
    Case("float", put({"type": "number"}, *ANSWER, "price"), "properties.price", "format: decimal"),
    Case(
        "decimal or text",
        put({"anyOf": [{"type": "number", "format": "decimal"}, TEXT]}, *ANSWER, "price"),
        "properties.price",
        "cannot be in a union",
    ),
    Case(
        "decimal or nothing",
        put({"anyOf": [{"type": "number", "format": "decimal"}, {"const": ""}]}, *ANSWER, "price"),
        "properties.price",
        "cannot be in a union",
    ),
    Case(
        "date or text",
        put({"oneOf": [{"type": "string", "format": "date"}, TEXT]}, *ANSWER, "from"),
        "properties.from",
        "cannot be in a union",
    ),
    Case(
        "two objects",
        put({"anyOf": [{"$ref": "#/components/schemas/ThingRow"}, {"type": "object"}]}, *ANSWER, "part"),
        "properties.part",
        "cannot be distinguished",
    ),
    Case(
        "object without a name",
        put({"type": "object", "properties": {"a": TEXT}}, *ANSWER, "part"),
        "properties.part",
        "needs a name",
    ),
    Case("no summary", drop(*CREATE, "summary"), "paths./things.post", "summary is missing"),
    Case("empty description", put(" ", *CREATE, "description"), "paths./things.post", "description is missing"),
    Case("no scope", drop(*CREATE, "x-scope"), "paths./things.post", "x-scope is missing"),
    Case("no source", drop(*CREATE, "x-source"), "paths./things.post", "x-source must have"),
    Case("source without https", put("http://a", *CREATE, "x-source", "url"), "paths./things.post", "https address"),
    Case("error without meaning", put([{"code": 1}], *CREATE, "x-errors"), "paths./things.post", "x-errors"),
    Case("foreign id", put("shop.doors.create", *CREATE, "operationId"), "paths./things.post", "shop.things.<method>"),
    Case("method name", put("shop.things.addOne", *CREATE, "operationId"), "paths./things.post", "snake_case"),
    Case("keyword as name", put("shop.things.import", *CREATE, "operationId"), "paths./things.post", "snake_case"),
    Case("id twice", put("shop.things.list", *CREATE, "operationId"), "paths./things.post", "is taken by"),
    Case("no idempotence", drop(*CREATE, "x-idempotent"), "paths./things.post", "a value and a reason"),
    Case("no reason", put("", *CREATE, "x-idempotent", "reason"), "paths./things.post", "and a reason"),
    Case("not a boolean", put("no", *CREATE, "x-idempotent", "value"), "paths./things.post", "true or false"),
    Case("idempotent GET", put({"value": True}, *LIST, "x-idempotent"), "paths./things.get", "remove it"),
    Case(
        "no answer", put({"400": {"description": "x"}}, *CREATE, "responses"), "things.post", "no successful response"
    ),
    Case("both results", put(["things"], *LIST, "x-envelope"), "paths./things.get", "exclude each other"),
    Case("page without id", drop(*LIST, "x-page", "id"), "paths./things.get", "x-page must have rows"),
    Case("no keys", put([], *CREATE, "x-envelope"), "paths./things.post", "write a list of keys"),
    Case("absent key", put(["thin"], *CREATE, "x-envelope"), "paths./things.post", "has no property thin"),
    Case("undeclared result", drop(*CREATE, "x-envelope"), "paths./things.post", "has thing, but neither"),
    Case("rows are no list", put({"type": "array", "items": {}}, *ROWS, "things"), "things.get", "must name an array"),
    Case("rows without the id", put("number", *LIST, "x-page", "id"), "paths./things.get", "number is not a property"),
    Case(
        "no JSON body", put({"text/plain": {}}, *CREATE, "requestBody", "content"), "things.post", "nothing else is gen"
    ),
    Case(
        "body without a name",
        put(
            {"type": "object", "properties": {"a": TEXT}},
            *REPLACE,
            "requestBody",
            "content",
            "application/json",
            "schema",
        ),
        "application/json.schema",
        "bodies and records need names",
    ),
    Case("cookie", put("cookie", *LIST, "parameters", 1, "in"), "paths./things.get.parameters.1", "needs a name"),
    Case("undeclared in path", drop(*REPLACE, "parameters", 0), "parts/{class}.put", "path parameter class"),
    Case("optional in path", drop(*REPLACE, "parameters", 0, "required"), "parameters.0", "must be required"),
    Case("exploded list", drop(*LIST, "parameters", 4, "explode"), "parameters.4", "comma-separated"),
    Case("argument twice", put("is_new", *LIST, "parameters", 5, "x-python-name"), "things.get", "the name is_new"),
    Case("argument taken", put("type", *LIST, "parameters", 5, "x-python-name"), "things.get", "the name type"),
    Case("no argument", drop(*REPLACE, "parameters", 2, "x-python-name"), "{class}.put", "X-Key cannot be an argument"),
    Case("no organisation", drop(*REPLACE, "parameters", 3), "parts/{class}.put", "x-organization: true"),
    Case("organisation and none", put(True, *REPLACE, "x-no-organization"), "{class}.put", "keep one of them"),
    Case(
        "organisation otherwise",
        put({"name": "o", "in": "query", "x-organization": True, "schema": TEXT}, *REPLACE, "parameters", 3),
        "{class}.put",
        "a product has one way",
    ),
    Case(
        "one name, two schemas",
        put({"type": "object", "properties": {"a": TEXT}}, *SCHEMAS, "Thing"),
        "Thing",
        "is also defined at",
        "shop/common.yaml",
    ),
    Case("class name taken", put("Things", "rename"), "schemas.Things", "the name Things too"),
    Case(
        "both directions",
        put({"$ref": "common.yaml#/components/schemas/Part"}, *REQUEST, "part"),
        "schemas.Part",
        "is used in a request and a response",
    ),
    Case("answer requires", put(["thing_id", "made"], *SCHEMAS, "Thing", "required"), "Thing", "made is required"),
    Case("answer limits", put(5, *ANSWER, "secret", "maxLength"), "properties.secret", "break such limits"),
    Case("answer format", put("email", *ANSWER, "secret", "format"), "properties.secret", "only date, date-time"),
    Case("answer closed", put({**TEXT, "enum": ["a"]}, *ANSWER, "colour"), "properties.colour", "closed enumeration"),
    Case(
        "answer's items closed",
        put({**TEXT, "enum": ["a"]}, *ANSWER, "names", "items"),
        "properties.names.items",
        "closed enumeration",
    ),
    Case("answer constant", put({"const": "a"}, *ANSWER, "colour"), "properties.colour", "closed enumeration"),
    Case("empty text", put(True, *ANSWER, "colour", "x-empty"), "properties.colour", "on an optional number"),
    Case("empty id", put(True, *ANSWER, "thing_id", "x-empty"), "properties.thing_id", "on an optional number"),
    Case("empty, not said true", put("x", *ANSWER, "price", "x-empty"), "properties.price", "true or absent"),
    Case(
        "empty inside an object",
        put({"type": "integer", "x-empty": True}, *SCHEMAS, "Part", "properties", "weight"),
        "properties.weight",
        "not of an object inside it",
        "shop/common.yaml",
    ),
    Case("empty in a request", put(True, *REQUEST, "price", "x-empty"), "properties.price", "describes responses"),
    Case("request open", drop(*REQUEST, "kind", "x-disputed"), "properties.kind", "an open enumeration"),
    Case("dispute without words", put(True, *REQUEST, "kind", "x-disputed"), "properties.kind", "must describe"),
    Case("extra without words", put("", *PHOTO, "get", "x-extra"), "photo.get", "must explain", SHELVES),
    Case("one, not said true", put("x", *PHOTO, "post", "x-envelope-one"), "photo.post", "true or absent", SHELVES),
    Case("one without a key", put(True, *LIST, "x-envelope-one"), "things.get", "beside x-envelope only"),
    Case("one that is no list", put(True, *CREATE, "x-envelope-one"), "things.post", "needs an array"),
    Case(
        "form without a file",
        put({"JSONString": TEXT}, *FRAMED),
        "photo.post",
        "multipart/form-data without a file",
        SHELVES,
    ),
    Case("part that is no text", put({"type": "object"}, *FRAMED, "note"), "properties.note", "is a string", SHELVES),
    Case("data part of its own", put(TEXT, *FRAMED, "note"), "properties.note", "is sent as JSONString", SHELVES),
    Case("data described nowhere", put(TEXT, *DRAWING, "properties", "JSONString"), "JSONString", "JSON", SHELVES),
    Case(
        "file as argument twice",
        put({"contentMediaType": "a/b", **TEXT}, *FRAMED, "shelf_id"),
        "photo.post",
        "two arguments",
        SHELVES,
    ),
    Case(
        "file that is no argument",
        put({"contentMediaType": "a/b", **TEXT}, *FRAMED, "Photo-2"),
        "photo.post",
        "cannot be an argument",
        SHELVES,
    ),
    Case(
        "argument taken by downloads", put("to", *LIST, "parameters", 5, "x-python-name"), "things.get", "the name to"
    ),
    Case("file with a key", put(["a"], *PHOTO, "get", "x-envelope"), "photo.get", "a file is the whole", SHELVES),
    Case(
        "file without a media type",
        drop(*DOWNLOAD, "application/octet-stream", "schema", "contentMediaType"),
        "octet-stream",
        "contentMediaType",
        SHELVES,
    ),
    Case(
        "undocumented unsaid",
        put({"type": "object"}, *PLAN, "get", "responses", "200", "content", "application/json", "schema"),
        "plan.get",
        "x-undocumented: true",
        SHELVES,
    ),
    Case(
        "undocumented, yet described",
        put(True, *SCHEMAS, "ThingCreate", "x-undocumented"),
        "things.post",
        "needs either properties",
    ),
    Case(
        "undocumented inside",
        put({"type": "object", "x-undocumented": True}, *ANSWER, "part"),
        "properties.part",
        "a whole body or response only",
    ),
    Case(
        "undocumented, not said true",
        put("yes", *DRAWING, "x-undocumented"),
        "form-data.schema",
        "true or absent",
        SHELVES,
    ),
    Case(
        "answer without a schema",
        drop(*PLAN, "get", "responses", "200", "content", "application/json", "schema"),
        "plan.get",
        "add one",
        SHELVES,
    ),
    Case("other kind", put("ids", *REQUEST, "owner_id", "x-kind"), "properties.owner_id", "the only x-kind"),
]


def add_names(document: Any) -> None:
    """Edits that need more than one change."""
    if document.pop("rename", None):
        schemas = document["components"]["schemas"]
        schemas["Things"] = schemas["ThingCreate"]
        media = document["paths"]["/things"]["post"]["requestBody"]["content"]["application/json"]
        media["schema"] = {"$ref": "#/components/schemas/Things"}
    shared = document["components"].get("schemas", {})
    if "Thing" in shared and "Part" in shared:
        shared["Part"]["properties"]["thing"] = {"$ref": "#/components/schemas/Thing"}


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_broken_rule_is_named(case: Case, edit: Callable[[str, Edit], Path]) -> None:
    def change(document: Any) -> None:
        case.change(document)
        add_names(document)

    folder = edit(case.file, change)
    with pytest.raises(SpecError) as caught:
        check(Specs(folder))
    found = [fault for fault in caught.value.errors if case.says in fault]
    assert found, caught.value.errors
    assert all(fault.startswith(("shop/", "depot/")) for fault in caught.value.errors)
    assert any(case.where in fault for fault in found), found


def test_the_unbroken_fixture_and_the_real_specs_pass() -> None:
    check(Specs(FIXTURES))
    check(Specs(PROJECT / "specs"))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ("    - no", "disagree about 'no'"),
        ("    - 2026-01-31", "disagree about '2026-01-31'"),
        ("    - 010", "disagree about '010'"),
        ("    - {a: 1, a: 2}", "duplicate key a"),
        ("    - {a: 1", "not readable as YAML"),
    ],
)
def test_yaml_that_tools_read_differently_is_refused(specs: Path, line: str, says: str) -> None:
    path = specs / "shop" / "shelves.yaml"
    path.write_text(path.read_text(encoding="utf-8") + f"  examples:\n{line}\n", encoding="utf-8")
    with pytest.raises(SpecError) as caught:
        check(Specs(specs))
    assert any(fault.startswith("shop/shelves.yaml: ") and says in fault for fault in caught.value.errors)


def test_all_faults_come_at_once(edit: Callable[[str, Edit], Path]) -> None:
    edit(THINGS, drop(*CREATE, "summary"))
    folder = edit("depot/doors.yaml", drop("paths", "/doors/{door_id}", "delete", "x-scope"))
    with pytest.raises(SpecError) as caught:
        check(Specs(folder))
    assert [fault.partition(":")[0] for fault in caught.value.errors] == ["depot/doors.yaml", THINGS]


def test_names_chosen_by_zoho_are_not_taken_for_keywords(edit: Callable[[str, Edit], Path]) -> None:
    def change(document: Any) -> None:
        for name in ("default", "x-scope", "properties", "example", "discriminator", "schema"):
            document["components"]["schemas"]["Thing"]["properties"][name] = {"type": "string"}

    check(Specs(edit(THINGS, change)))


def test_a_folder_without_specs_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="no file here has operations"):
        check(Specs(tmp_path))
