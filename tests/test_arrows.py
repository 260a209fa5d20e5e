"""The arrows between modules go down only."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

import zoho_async
from zoho_async.registry import PRODUCTS

PACKAGE = Path(zoho_async.__file__).parent

# Every module may import those named in its own row and nothing else of ours. Generated packages are one row.
ARROWS: dict[str, set[str]] = {
    "_json": set(),
    "errors": set(),
    "operation": set(),
    "regions": set(),
    "structs": set(),
    "fields": set(),
    "registry": {"operation"},
    "catalog": {"operation", "registry"},
    "paging": {"operation"},
    "policy": {"errors"},
    "limits": set(),
    "repair": {"_json"},
    "uploads": {"errors"},
    "encoding": {"_json", "errors", "operation", "uploads"},
    "decoding": {"_json", "operation", "paging", "registry", "repair"},
    "validation": {"errors"},
    "stores": {"errors"},
    "auth": {"errors", "regions", "stores"},
    "settings": {"auth", "limits"},
    "exchange": {"decoding", "encoding", "errors", "policy", "uploads"},
    "call": {"errors", "exchange", "limits", "operation", "policy", "settings", "stores"},
    "transport": {
        *("call", "decoding", "encoding", "errors", "exchange", "limits", "operation", "paging", "policy", "regions"),
        *("registry", "settings", "stores"),
    },
    "client": {
        *("auth", "encoding", "errors", "limits", "operation", "product", "regions", "registry", "settings", "stores"),
        "transport",
    },
    "product": {"operation", "paging", "structs", "transport", "uploads", "validation"},
    "bulk": {"encoding", "errors", "operation", "registry", "structs", "validation"},
    "fake": {"operation", "registry", "validation"},
    "testing": {"fake"},
    "cli": {
        *("bulk", "client", "encoding", "errors", "fake", "limits", "operation", "registry", "stores"),
    },
}
AIOHTTP = {"exchange", "fake"}
"""The only ones that may know aiohttp."""


def module_of(path: Path) -> str:
    """Which row a file belongs to; all products are generated alike and share one."""
    name = path.relative_to(PACKAGE).parts[0].removesuffix(".py")
    return "product" if name in PRODUCTS else name


def imports(path: Path) -> set[str]:
    """Top-level names a file imports: ours as `.name`, others as they are."""
    inside = path.relative_to(PACKAGE).parts[:-1]
    found: set[str] = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        names: list[str] = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            if node.level:
                base = [*PACKAGE.parts[-1:], *inside][: 1 + len(inside) - (node.level - 1)]
                names = (
                    [".".join([*base, node.module])]
                    if node.module
                    else [".".join([*base, alias.name]) for alias in node.names]
                )
            else:
                names = [node.module or ""]
        for name in names:
            parts = name.split(".")
            if parts[0] != "zoho_async" or len(parts) == 1:
                found.add(parts[0])
            else:
                found.add(".product" if parts[1] in PRODUCTS else f".{parts[1]}")
    return found


FILES = sorted(path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py")


@pytest.mark.parametrize("path", FILES, ids=[str(path.relative_to(PACKAGE)) for path in FILES])
def test_arrows_go_down_only(path: Path) -> None:
    home = module_of(path)
    assert home in ARROWS, f"{home} is new: say in ARROWS what it may import"
    ours = {name[1:] for name in imports(path) if name.startswith(".")} - {home}
    assert ours <= ARROWS[home]
    if "aiohttp" in imports(path):
        assert home in AIOHTTP or is_only_for_type_checkers(path)


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


def test_no_arrow_is_left_over() -> None:
    used: dict[str, set[str]] = {}
    for path in FILES:
        used.setdefault(module_of(path), set()).update(name[1:] for name in imports(path) if name.startswith("."))
    for home, allowed in ARROWS.items():
        assert allowed <= used[home] | {home}, f"{home} no longer imports {allowed - used[home]}"


def test_every_public_name_is_there() -> None:
    for name in zoho_async.__all__:
        assert getattr(zoho_async, name) is not None
    assert set(zoho_async.__all__) <= set(dir(zoho_async))
    with pytest.raises(AttributeError):
        _ = zoho_async.nothing
