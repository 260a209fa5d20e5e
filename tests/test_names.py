"""Each name of a type has one meaning in the package."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import zoho_async
from zoho_async.schema.registry import PRODUCTS

PACKAGE = Path(zoho_async.__file__).parent
PUBLIC_TWICE = {"Fault"}
"""`zoho_async.Fault` and `zoho_async.fake.Fault` are both public."""
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if path.relative_to(PACKAGE).parts[0] not in PRODUCTS]


def types(path: Path) -> set[str]:
    """The classes and type aliases of a module, without the underscore of private ones."""
    tree = ast.parse(path.read_text(encoding="utf-8"))
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.ClassDef)}
    for node in tree.body:
        targets = node.targets if isinstance(node, ast.Assign) else []
        names |= {one.id for one in targets if isinstance(one, ast.Name) and re.search("[a-z]", one.id)}
    return {name.lstrip("_") for name in names if re.match("_?[A-Z]", name)}


def test_no_type_name_is_defined_twice() -> None:
    places = defaultdict[str, list[str]](list)
    for path in MODULES:
        for name in types(path):
            places[name].append(path.relative_to(PACKAGE).as_posix())
    assert {name: paths for name, paths in places.items() if len(paths) > 1 and name not in PUBLIC_TWICE} == {}
    assert {"Zoho", "JournalState", "WriteHook"} <= places.keys()


def test_every_public_module_lists_its_names() -> None:
    listed = [PACKAGE / name for name in ("__init__.py", "client.py", "errors.py", "testing/__init__.py")]
    listed += [path for product in PRODUCTS for path in (PACKAGE / product).glob("*.py") if path.stem not in UNLISTED]
    for path in listed:
        assert "__all__" in path.read_text(encoding="utf-8"), path


UNLISTED = ("models", "rules")
"""Generated modules whose names are public through the product's package only."""
