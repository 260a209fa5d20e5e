"""The arrows between the package's wings go down only, and no modules import each other in a circle."""

from __future__ import annotations

import ast
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import zoho_async
from zoho_async.schema.registry import PRODUCTS

PACKAGE = Path(zoho_async.__file__).parent

# From the bottom to the top: a wing imports only wings that stand before it. All generated products are one wing;
# modules that lie directly in the package or in `bulk` are wings of their own.
LAYERS = [
    *("_typeguards", "_atomic_file", "errors", "schema", "wire", "auth", "transport", "product", "client"),
    *("bulk.errors", "bulk._aio", "bulk._pages", "bulk.concurrent_map", "bulk.scheduling"),
    *("bulk.source", "bulk.state", "bulk.rows", "bulk.results"),
    *("bulk.pushing", "bulk.pulling", "bulk.recovery", "bulk"),
    *("dlt", "webhooks", "fleet", "fake", "testing", "cli", "__main__"),
]
ONLY = {
    "schema": {"errors", "_typeguards"},
    "auth": {"errors", "_atomic_file"},
    "fake": {"schema", "_typeguards"},
    "testing": {"fake", "transport"},
    "webhooks": {"_typeguards"},
}
"""Wings that stand apart: they import nothing of ours but these."""
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
    assert home in LAYERS, f"{home} is new: give it a place in LAYERS"
    ours = {wing_of(one) for one in imported(name) if not one.startswith("/")} - {home}
    below = set(LAYERS[: LAYERS.index(home)])
    assert ours <= ONLY.get(home, below) & below
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
    graph = {name: {one for one in imported(name) if not one.startswith("/")} for name in FILES}
    try:
        TopologicalSorter(graph).prepare()
    except CycleError as error:
        pytest.fail(f"modules import each other: {' <- '.join(error.args[1])}")


def test_every_public_name_is_there() -> None:
    for name in zoho_async.__all__:
        assert getattr(zoho_async, name) is not None
    assert set(zoho_async.__all__) <= set(dir(zoho_async))
    with pytest.raises(AttributeError):
        _ = zoho_async.nothing
