"""The same record as pydantic models, made from our structs, and as a client generated from our specs."""

from __future__ import annotations

import importlib
import json
import subprocess
import sys
import types
from collections.abc import Iterable
from copy import deepcopy
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

import msgspec

PROJECT = Path(__file__).parents[2]


def pydantic_model(struct: type[msgspec.Struct], made: dict[type, Any] | None = None) -> Any:
    """A pydantic model with the fields and types of a struct."""
    import pydantic

    made = {} if made is None else made
    if struct not in made:
        hints = get_type_hints(struct, include_extras=False)
        fields: dict[str, Any] = {}
        for field in msgspec.structs.fields(struct):
            default = ... if field.required else None
            alias = field.encode_name if field.encode_name != field.name else None
            fields[field.name] = (converted(hints[field.name], made), pydantic.Field(default, alias=alias))
        made[struct] = pydantic.create_model(struct.__name__, **fields)
    return made[struct]


def converted(hint: Any, made: dict[type, Any]) -> Any:
    """A type with structs replaced by models."""
    if isinstance(hint, type) and issubclass(hint, msgspec.Struct):
        return pydantic_model(hint, made)
    origin, inside = get_origin(hint), get_args(hint)
    if origin is Annotated:
        return converted(inside[0], made)
    if origin in (Union, types.UnionType):
        return Union[tuple(converted(one, made) for one in inside)]  # noqa: UP007
    if origin in (list, dict):
        return origin[tuple(converted(one, made) for one in inside)]
    return hint


def pydantic_envelope(struct: type[msgspec.Struct], name: str, *, many: bool) -> Any:
    """A pydantic model of a whole response."""
    import pydantic

    model = pydantic_model(struct)
    inside: Any = list[model] if many else model  # type: ignore[valid-type]
    context = pydantic.create_model("PageContext", has_more_page=(bool, False))
    fields: Any = {"code": (int, ...), "message": (str, ...), name: (inside, ...)}
    if many:
        fields["page_context"] = (context, ...)
    return pydantic.create_model("Envelope", **fields)


def bundled(path: Path) -> dict[str, Any]:
    """A spec with everything it refers to in one document."""
    files: dict[Path, Any] = {path.resolve(): load(path)}
    whole = files[path.resolve()]
    components: dict[str, Any] = whole.setdefault("components", {})
    waiting: list[tuple[Any, Path]] = [(whole, path)]
    known = {(path.resolve(), f"#/components/{kind}/{name}") for kind, of in components.items() for name in of}
    while waiting:
        tree, at = waiting.pop()
        for node in nodes(tree):
            reference = node.get("$ref")
            if not isinstance(reference, str):
                continue
            file, _, pointer = reference.partition("#")
            place = (at.parent / file).resolve() if file else at.resolve()
            node["$ref"] = f"#{pointer}"
            if (place, f"#{pointer}") in known:
                continue
            known.add((place, f"#{pointer}"))
            _, _, kind, name = pointer.split("/")
            if place not in files:
                files[place] = load(place)
            part = deepcopy(files[place]["components"][kind][name])
            components.setdefault(kind, {}).setdefault(name, part)
            waiting.append((part, place))
    return whole


def load(path: Path) -> Any:
    """A YAML file."""
    import yaml

    loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
    return yaml.load(path.read_text(encoding="utf-8"), loader)


def nodes(tree: Any) -> Iterable[dict[str, Any]]:
    """Every object of a JSON document."""
    if isinstance(tree, dict):
        yield tree
        tree = list(tree.values())
    if isinstance(tree, list):
        for one in tree:
            yield from nodes(one)


GENERATED = "generated_from_specs"


def generate(folder: Path) -> None:
    """Write a client of Books' contacts with openapi-python-client."""
    spec = folder / "contacts.json"
    spec.write_text(json.dumps(bundled(PROJECT / "specs/books/contacts.yaml"), default=str), encoding="utf-8")
    settings = folder / "generator.json"
    settings.write_text('{"literal_enums": true, "post_hooks": []}', encoding="utf-8")
    program = str(Path(sys.executable).with_name("openapi-python-client"))
    command = [program, "generate", "--path", str(spec), "--meta", "none", "--overwrite"]
    command += ["--output-path", str(folder / GENERATED), "--config", str(settings)]
    subprocess.run(command, check=True, capture_output=True, timeout=120)


def generated(folder: Path) -> types.SimpleNamespace:
    """The modules of the generated client that are needed here."""
    sys.path.insert(0, str(folder))

    def module(name: str) -> Any:
        return importlib.import_module(f"{GENERATED}.{name}")

    return types.SimpleNamespace(
        client=module("client").AuthenticatedClient,
        get=module("api.contacts.books_contacts_get"),
        list=module("api.contacts.books_contacts_list"),
    )
