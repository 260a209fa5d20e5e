"""The command line stands on the public library: public packages, and only names in their `__all__`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import pytest

import zoho_async
from zoho_async.schema.registry import PRODUCTS

CLI = Path(zoho_async.__file__).parent / "cli"
PUBLIC = {
    "zoho_async",
    *(f"zoho_async.{name}" for name in ("errors", "bulk", "fake", "fleet", "testing")),
    *(f"zoho_async.{product}" for product in PRODUCTS),
}
MODULES = {str(path.relative_to(CLI)): path for path in sorted(CLI.rglob("*.py"))}


def imports(path: Path) -> Iterator[tuple[str, str]]:
    """Module and name of every import of ours from outside the command line."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from ((alias.name, "") for alias in node.names if alias.name.partition(".")[0] == "zoho_async")
        elif isinstance(node, ast.ImportFrom) and not node.level and node.module is not None:
            if node.module.partition(".")[0] == "zoho_async" and not f"{node.module}.".startswith("zoho_async.cli."):
                yield from ((node.module, alias.name) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            depth = len(path.relative_to(CLI).parts)
            assert node.level <= depth, f"{path}: a relative import leaves the command line"


@pytest.mark.parametrize("name", MODULES)
def test_it_imports_public_names_only(name: str) -> None:
    for module, imported in imports(MODULES[name]):
        assert module in PUBLIC, f"{module} is private"
        assert imported in (*import_module(module).__all__, "__version__"), f"{module}.{imported} is private"


def attributes(path: Path) -> Iterator[str]:
    """What is used of `bulk` by its name."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "bulk":
            yield node.attr


@pytest.mark.parametrize("name", MODULES)
def test_it_uses_public_names_of_bulk_only(name: str) -> None:
    assert {*attributes(MODULES[name])} <= {*zoho_async.bulk.__all__}


def test_the_tests_above_see_imports() -> None:
    found = [one for path in MODULES.values() for one in imports(path)]
    assert ("zoho_async", "bulk") in found
    assert ("zoho_async.bulk", "InputError") in found
    assert {"push", "plan", "RejectsFile"} <= {one for path in MODULES.values() for one in attributes(path)}
