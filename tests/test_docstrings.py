"""Everything public has a docstring in Google style that names its arguments."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator
from importlib import import_module
from types import ModuleType
from typing import Any

import msgspec
import pytest

from zoho_async.schema.registry import OPERATIONS, PRODUCTS

MODULES = ["zoho_async", "zoho_async.client", "zoho_async.errors"]
MODULES += [f"zoho_async.{product}" for product in PRODUCTS] + sorted({module for module, _ in OPERATIONS.values()})


def public(module: str) -> Iterator[tuple[str, Any]]:
    """The classes and functions that a module lists."""
    loaded = import_module(module)
    for name in loaded.__all__:
        value = getattr(loaded, name)
        if not isinstance(value, ModuleType) and callable(value):
            yield f"{module}.{name}", value


def methods(owner: type) -> Iterator[tuple[str, Callable[..., Any]]]:
    for name, value in vars(owner).items():
        function = value.__func__ if isinstance(value, classmethod | staticmethod) else value
        if not name.startswith("_") and inspect.isfunction(function):
            yield name, function


def section(doc: str, *titles: str) -> set[str]:
    """The names that the sections of these titles describe."""
    _, *parts = re.split(rf"^(?:{'|'.join(titles)}):\n", doc, flags=re.MULTILINE)
    texts = [re.split(r"^\S", part, maxsplit=1, flags=re.MULTILINE)[0] for part in parts]
    return {name for text in texts for name in re.findall(r"^    (\w+): \S", text, flags=re.MULTILINE)}


def documented(what: str, value: Any, function: Callable[..., Any]) -> list[str]:
    """What the docstring of a value lacks, whose arguments are those of the function."""
    doc = inspect.cleandoc(value.__doc__ or "")
    if not doc:
        return [f"{what}: no docstring"]
    names = {name for name in inspect.signature(function).parameters if name not in ("self", "cls")}
    described = section(doc, "Args")
    lacking = [f"{what}: {name} is not in Args" for name in sorted(names - described)]
    return lacking + [f"{what}: there is no argument {name}" for name in sorted(described - names)]


def checked(what: str, value: Any) -> list[str]:
    if not isinstance(value, type):
        return documented(what, value, inspect.unwrap(value))
    if issubclass(value, msgspec.Struct):
        doc = inspect.cleandoc(value.__doc__ or "")
        found = [] if doc else [f"{what}: no docstring"]
        if not value.__module__.endswith(".models"):  # a generated struct describes each field beside it
            described = section(doc, "Args", "Attributes")
            found += [f"{what}: {name} is not described" for name in value.__struct_fields__ if name not in described]
    elif "__init__" in vars(value) and not getattr(value, "_is_protocol", False):
        found = documented(what, value, value.__init__)
    else:
        found = [] if value.__doc__ else [f"{what}: no docstring"]
    for name, function in methods(value):
        found += documented(f"{what}.{name}", function, function)
    properties = [(name, it) for name, it in vars(value).items() if isinstance(it, property) and name[0] != "_"]
    return found + [f"{what}.{name}: no docstring" for name, it in properties if not it.__doc__]


@pytest.mark.parametrize("module", MODULES)
def test_everything_public_is_documented(module: str) -> None:
    names = list(public(module))
    assert names
    assert [line for name, value in names for line in checked(name, value)] == []


def test_what_is_missing_is_found() -> None:
    def described(first: int, second: int) -> None:
        """Do it.

        Args:
            first: One.
            third: Three.
        """

    def bare(first: int) -> None: ...

    class Struct(msgspec.Struct):
        """A struct.

        Attributes:
            named: Described.
        """

        named: int
        other: int

        @property
        def size(self) -> int:
            return 1

    assert checked("a", described) == ["a: second is not in Args", "a: there is no argument third"]
    assert checked("a", bare) == ["a: no docstring"]
    assert checked("a", Struct) == ["a: other is not described", "a.size: no docstring"]
