"""The arrows between the package's wings go down only, and no modules import each other in a circle."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import zoho_async
from zoho_async.schema.registry import PRODUCTS

PACKAGE = Path(zoho_async.__file__).parent

# A wing may import the wings named in its row and nothing else of ours. All generated products are one wing; modules
# that lie directly in `bulk`, `cli` or the package are wings of their own.
ARROWS: dict[str, set[str]] = {
    "_typeguards": set(),
    "_atomic_file": set(),
    "errors": set(),
    "schema": {"errors"},
    "wire": {"_typeguards", "errors", "schema"},
    "auth": {"errors"},
    "transport": {"auth", "errors", "schema", "wire"},
    "product": {"schema", "transport", "wire"},
    "client": {"auth", "errors", "product", "schema", "transport", "wire"},
    "bulk.problems": set(),
    "bulk.wording": set(),
    "bulk.mapping": {"errors"},
    "bulk.schedule": {"bulk.problems"},
    "bulk.source": {"_typeguards", "bulk.problems", "bulk.wording"},
    "bulk.state": {"bulk.problems"},
    "bulk.rows": {
        *("_typeguards", "bulk.problems", "bulk.source", "bulk.state", "bulk.wording"),
        *("errors", "schema", "transport", "wire"),
    },
    "bulk.merging": {"_typeguards", "bulk.rows", "errors", "schema"},
    "bulk.results": {"bulk.mapping", "bulk.rows", "bulk.source", "bulk.wording", "errors"},
    "bulk.pushing": {
        *("_typeguards", "bulk.mapping", "bulk.merging", "bulk.problems", "bulk.results", "bulk.rows", "bulk.schedule"),
        *("bulk.source", "bulk.state", "errors", "schema", "transport"),
    },
    "bulk.pulling": {"_typeguards", "bulk.mapping", "bulk.problems", "bulk.rows", "errors"},
    "bulk.recovery": {"_atomic_file", "bulk.problems", "bulk.rows", "bulk.source", "bulk.state"},
    "bulk": {"bulk.mapping", "bulk.problems", "bulk.pulling", "bulk.pushing", "bulk.results", "bulk.source"},
    "fake": {"schema"},
    "testing": {"fake"},
    "cli": {
        *("_atomic_file", "auth", "bulk.problems", "bulk.pulling", "bulk.pushing"),
        *("bulk.recovery", "bulk.results", "bulk.rows", "bulk.schedule", "bulk.source", "bulk.state"),
        *("client", "errors", "fake", "schema", "transport", "wire"),
    },
}
AIOHTTP = {"transport.http", "fake"}
"""The only places that may know aiohttp."""


def name_of(path: Path) -> str:
    """A file's dotted name below the package; a package's own module by the package's name."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


FILES = {name_of(path): path for path in sorted(PACKAGE.rglob("*.py")) if path != PACKAGE / "__init__.py"}


def wing_of(name: str) -> str:
    """The row of `ARROWS` that a module belongs to."""
    first, _, rest = name.partition(".")
    if first in PRODUCTS:
        return "product"
    if first == "bulk" and rest:
        return f"bulk.{rest.partition('.')[0]}"
    return first


def imported(name: str) -> set[str]:
    """What a module imports: our modules by their names here, others by their top-level names with a `/` before."""
    path = FILES[name]
    package = name.split(".") if path.name == "__init__.py" else name.split(".")[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found.update(f"/{alias.name.partition('.')[0]}" for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parts = node.module.split(".") if node.module else []
            if node.level:
                parts = [*package[: len(package) - node.level + 1], *parts]
            elif parts[0] == "zoho_async":
                parts = parts[1:]
            else:
                found.add(f"/{parts[0]}")
                continue
            for alias in node.names:
                inner = ".".join([*parts, alias.name])
                found.add(inner if inner in FILES else ".".join(parts))
    return found - {name, ""}


@pytest.mark.parametrize("name", FILES)
def test_arrows_go_down_only(name: str) -> None:
    home = wing_of(name)
    assert home in ARROWS, f"{home} is new: say in ARROWS what it may import"
    ours = {wing_of(one) for one in imported(name) if not one.startswith("/")} - {home}
    assert ours <= ARROWS[home]
    if "/aiohttp" in imported(name) and not is_only_for_type_checkers(FILES[name]):
        assert name in AIOHTTP or home in AIOHTTP


def is_only_for_type_checkers(path: Path) -> bool:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    guarded = [
        node
        for block in ast.walk(tree)
        if isinstance(block, ast.If) and ast.unparse(block.test) == "TYPE_CHECKING"
        for node in ast.walk(block)
    ]
    return all(
        node in guarded
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom | ast.Import) and "aiohttp" in ast.unparse(node)
    )


def test_there_is_no_circle() -> None:
    # Only packages import their face's parts, so a face is left out where its own parts are looked at.
    graph = {name: {one for one in imported(name) if not one.startswith("/")} for name in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' <- '.join(error.args[1])}")


def test_no_arrow_is_left_over() -> None:
    used: dict[str, set[str]] = {}
    for name in FILES:
        wings = {wing_of(one) for one in imported(name) if not one.startswith("/")}
        used.setdefault(wing_of(name), set()).update(wings)
    for home, allowed in ARROWS.items():
        assert allowed <= used[home] | {home}, f"{home} no longer imports {allowed - used[home]}"


def test_every_public_name_is_there() -> None:
    for name in zoho_async.__all__:
        assert getattr(zoho_async, name) is not None
    assert set(zoho_async.__all__) <= set(dir(zoho_async))
    with pytest.raises(AttributeError):
        _ = zoho_async.nothing
