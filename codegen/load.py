"""Reads the specs: YAML files, the references between them, and their examples.

The other modules use `Node`, a value with its file and path, so that every error message names its place.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import yaml  # type: ignore[import-untyped]  # its stubs are a package of their own, for this one module

METHODS = ("get", "post", "put", "patch", "delete")
JSON = "application/json"
FORM = "multipart/form-data"
FILE = "application/octet-stream"
DATA_PART = "JSONString"
"""The form field that holds the data beside the files, as JSON text."""


class SpecError(Exception):
    """The specs break rules; `errors` has one line for each, with file, path and remedy."""

    def __init__(self, errors: list[str]) -> None:
        super().__init__("\n".join(errors))
        self.errors = errors


class Loader(yaml.CSafeLoader):  # type: ignore[misc]
    """YAML 1.2 with the JSON types, as in OpenAPI: no dates, no `no` for false, no octal, no duplicate keys."""

    # The compiled parser uses these tables to resolve plain scalars.
    yaml_implicit_resolvers: dict[str, Any] = {}  # noqa: RUF012

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        keys = [self.construct_object(key, deep=True) for key, _ in node.value]
        twice = sorted({str(key) for key in keys if keys.count(key) > 1})
        if twice:
            raise yaml.constructor.ConstructorError(
                None, None, f"duplicate key {', '.join(twice)}; keep one", node.start_mark
            )
        mapping: dict[Hashable, Any] = super().construct_mapping(node, deep)
        return mapping


for _tag, _pattern, _first in (
    ("bool", r"^(?:true|false)$", "tf"),
    ("null", r"^(?:null|~|)$", ["n", "~", ""]),
    ("int", r"^-?(?:0|[1-9][0-9]*)$", "-0123456789"),
    ("float", r"^-?(?:0|[1-9][0-9]*)\.[0-9]+$", "-0123456789"),
):
    Loader.add_implicit_resolver(f"tag:yaml.org,2002:{_tag}", re.compile(_pattern), list(_first))


class Specs:
    """All files below one folder, read once."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.files: dict[str, Any] = {}
        self.errors: list[str] = []
        self._bytes: dict[str, bytes] = {}
        for path in sorted(root.rglob("*.yaml")):
            self._read(path.relative_to(root).as_posix(), path.read_bytes())
        if not self.errors and not any(document.get("paths") for document in self.files.values()):
            # Otherwise every generated file would be removed as stale.
            self.errors.append(f"{root}: no file here has operations; is this the folder of the specs?")

    def _read(self, name: str, content: bytes) -> None:
        try:
            document = yaml.load(content, Loader)
            common = yaml.load(content, yaml.CSafeLoader)
        except yaml.YAMLError as error:
            self.errors.append(f"{name}: not readable as YAML: {' '.join(str(error).split())}")
            return
        if not isinstance(document, dict):
            self.errors.append(f"{name}: contains no mapping; write an OpenAPI document or remove it")
            return
        for path, value in _differences(document, common):
            self.errors.append(f"{name}: {path}: YAML tools disagree about {value!r}; put it in quotes")
        self.files[name] = document
        self._bytes[name] = content

    def node(self, file: str, *path: str | int) -> Node:
        """The node at `path`, which must exist."""
        value: Any = self.files[file]
        for key in path:
            value = value[key]
        return Node(self, file, path, value)

    def documents(self) -> Iterator[Node]:
        """The root of every file, sorted by name."""
        for name in sorted(self.files):
            yield self.node(name)

    def resources(self) -> Iterator[Node]:
        """The root of every file that has operations."""
        return (document for document in self.documents() if document.value.get("paths"))

    def digest(self, names: set[str]) -> str:
        """A short hash of the content of these files."""
        sha = hashlib.sha256()
        for name in sorted(names):
            # Line ends differ between checkouts.
            sha.update(name.encode() + b"\0" + self._bytes[name].replace(b"\r\n", b"\n") + b"\0")
        return sha.hexdigest()[:12]

    def closure(self, name: str) -> set[str]:
        """The file and all files it refers to, directly or indirectly."""
        found: set[str] = set()
        waiting = [name]
        while waiting:
            name = waiting.pop()
            if name in found:
                continue
            found.add(name)
            waiting += [target.file for node in references(self.node(name)) if (target := node.step()) is not None]
        return found


@dataclass(frozen=True, slots=True, eq=False)
class Node:
    """A value in a document, with its file and path."""

    specs: Specs = field(repr=False)
    file: str
    path: tuple[str | int, ...]
    value: Any = field(repr=False)

    @property
    def where(self) -> str:
        return f"{self.file}: {'.'.join(map(str, self.path)) or '(top)'}"

    def error(self, text: str) -> str:
        """An error message about this node."""
        return f"{self.where}: {text}"

    @property
    def place(self) -> tuple[str, tuple[str | int, ...]]:
        """Identifies the node."""
        return self.file, self.path

    @property
    def component(self) -> str:
        """Name of this component schema; empty for anything else."""
        return str(self.path[2]) if len(self.path) == 3 and self.path[:2] == ("components", "schemas") else ""

    def child(self, *path: str | int) -> Node | None:
        """The node below, or None when there is none."""
        value = self.value
        for key in path:
            if not isinstance(value, dict) or key not in value:
                return None
            value = value[key]
        return Node(self.specs, self.file, (*self.path, *path), value)

    def get(self, key: str, default: Any = None) -> Any:
        """A plain value below, as written."""
        return self.value.get(key, default) if isinstance(self.value, dict) else default

    def children(self, key: str | None = None) -> list[tuple[str, Node]]:
        """Nodes below a mapping or a list, with their keys."""
        node = self if key is None else self.child(key)
        if node is None:
            return []
        keys: list[Any] = []
        if isinstance(node.value, dict | list):
            keys = list(node.value if isinstance(node.value, dict) else range(len(node.value)))
        return [(str(name), Node(self.specs, self.file, (*node.path, name), node.value[name])) for name in keys]

    def step(self) -> Node | None:
        """The target of this node's `$ref`; None without one, or when it does not exist."""
        reference = self.get("$ref")
        if not isinstance(reference, str):
            return None
        file, _, pointer = reference.partition("#")
        parts: list[str] = list(PurePosixPath(self.file).parent.parts) if file else [self.file]
        for part in PurePosixPath(file).parts:
            if part == ".." and parts:
                parts.pop()
            else:
                parts.append(part)
        name = "/".join(parts)
        if name not in self.specs.files:
            return None
        steps = [part.replace("~1", "/").replace("~0", "~") for part in pointer.split("/")[1:]]
        return self.specs.node(name).child(*steps)

    def target(self) -> Node:
        """This node, or the end of its chain of references."""
        node, seen = self, {self.place}
        while "$ref" in (node.value if isinstance(node.value, dict) else ()):
            following = node.step()
            if following is None or following.place in seen:
                raise SpecError([f"{node.where}: $ref {node.get('$ref')!r} has no target; correct it"])
            node = following
            seen.add(node.place)
        return node


def walk(node: Node, names: bool = False) -> Iterator[Node]:
    """Every mapping of OpenAPI keywords below, the node included, without examples.

    `names`: the node's keys are names of the document's author, not keywords; such a mapping is not yielded.
    """
    if isinstance(node.value, dict) and not names:
        yield node
    for key, child in node.children():
        if not names and key in ("example", "examples", "enum", "const"):
            continue
        if isinstance(child.value, dict | list):
            chosen = isinstance(node.value, dict) and not names and key in _MAPS
            # Component maps are two deep: sections, then names.
            yield from walk(child, chosen or (node.path == ("components",)))


_MAPS = frozenset({"properties", "patternProperties", "paths", "responses", "content", "headers", "components"})


def references(node: Node) -> Iterator[Node]:
    """Every mapping below that is a `$ref`."""
    return (found for found in walk(node) if "$ref" in found.value)


def operations(document: Node) -> Iterator[Node]:
    """Every operation of a file, in the file's order."""
    for _, item in document.children("paths"):
        for method, operation in item.children():
            if method in METHODS:
                yield operation


def parameters(operation: Node) -> list[Node]:
    """The operation's parameters, those of its path included, references resolved, as written."""
    item = operation.specs.node(operation.file, *operation.path[:-1])
    return [node.target() for owner in (item, operation) for _, node in owner.children("parameters")]


def body(operation: Node) -> Node | None:
    """The JSON request body's media type, or None."""
    request = operation.child("requestBody")
    return request.target().child("content", JSON) if request else None


def form(operation: Node) -> Node | None:
    """The schema of a request with files, or None."""
    request = operation.child("requestBody")
    schema = request.target().child("content", FORM, "schema") if request else None
    return schema.target() if schema else None


def file_parts(operation: Node) -> list[tuple[str, Node]]:
    """The fields of that form that are files, by name."""
    schema = form(operation)
    return [(name, part) for name, part in schema.children("properties") if is_file(part)] if schema else []


def is_file(schema: Node) -> bool:
    """Whether a schema describes a file."""
    return "contentMediaType" in schema.target().value


def responses(operation: Node) -> list[Node]:
    """The JSON media type of each successful response."""
    found = [
        node.target().child("content", JSON)
        for status, node in operation.children("responses")
        if status.startswith("2")
    ]
    return [node for node in found if node is not None]


def downloads(operation: Node) -> list[Node]:
    """The media type of each successful response that is a file."""
    found = [
        node.target().child("content", FILE)
        for status, node in operation.children("responses")
        if status.startswith("2")
    ]
    return [node for node in found if node is not None]


class Example(NamedTuple):
    """A documented request or response."""

    operation_id: str
    direction: str
    """`request` or `response`."""
    name: str
    """Key under `examples`, for example `documented`."""
    value: Any


def examples(spec_dir: Path | str) -> list[Example]:
    """Every example of every operation below `spec_dir`, in the order of files, paths and names."""
    found: list[Example] = []
    for document in Specs(Path(spec_dir)).resources():
        for operation in operations(document):
            request = body(operation)
            media = [("request", request)] if request else []
            media += [("response", node) for node in responses(operation)]
            for direction, node in media:
                for name, example in node.children("examples"):
                    found.append(Example(operation.get("operationId"), direction, name, example.target().get("value")))
    return found


def _differences(ours: Any, theirs: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(ours, dict) and isinstance(theirs, dict) and list(ours) == list(theirs):
        for key in ours:
            yield from _differences(ours[key], theirs[key], f"{path}.{key}".lstrip("."))
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from _differences(*pair, f"{path}.{index}")
    elif type(ours) is not type(theirs) or ours != theirs:
        yield path or "(top)", theirs if isinstance(ours, dict) else ours
