"""Each class name has one meaning in the package."""

from __future__ import annotations

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import zoho_async
from zoho_async.schema.registry import PRODUCTS

PACKAGE = Path(zoho_async.__file__).parent
WINGS = (
    "__init__",
    "client",
    "errors",
    "testing",
    "_atomic_file",
    "_typeguards",
    "schema",
    "wire",
    "auth",
    "transport",
)
"""The modules and folders compared with one another."""


def modules() -> Iterator[Path]:
    for wing in WINGS:
        path = PACKAGE / f"{wing}.py"
        yield from [path] if path.exists() else sorted((PACKAGE / wing).rglob("*.py"))


def classes(path: Path) -> set[str]:
    """The classes of a module, without the underscore of private ones."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return {node.name.lstrip("_") for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}


def test_the_wings_exist() -> None:
    assert not set(WINGS) & set(PRODUCTS)
    for wing in WINGS:
        assert (PACKAGE / f"{wing}.py").exists() or (PACKAGE / wing).is_dir(), wing


def test_no_class_name_is_defined_twice() -> None:
    places = defaultdict[str, list[str]](list)
    for path in modules():
        for name in classes(path):
            places[name].append(path.relative_to(PACKAGE).as_posix())
    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}
    assert "Zoho" in places


def test_every_public_module_lists_its_names() -> None:
    listed = [PACKAGE / name for name in ("__init__.py", "client.py", "errors.py", "testing.py")]
    listed += [path for product in PRODUCTS for path in (PACKAGE / product).glob("*.py") if path.stem not in UNLISTED]
    for path in listed:
        assert "__all__" in path.read_text(encoding="utf-8"), path


UNLISTED = ("models", "rules")
"""Generated modules whose names are public through the product's package only."""
