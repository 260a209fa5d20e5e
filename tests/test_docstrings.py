"""Everything public has a docstring in Google style that names its arguments."""

from __future__ import annotations

import ast
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from functools import cached_property
from importlib import import_module
from itertools import pairwise
from types import ModuleType
from typing import Any, get_origin

import msgspec
import pytest

from zoho_async.schema.registry import OPERATIONS, PRODUCTS

MODULES = ["zoho_async", "zoho_async.client", "zoho_async.errors", "zoho_async.bulk", "zoho_async.fake"]
MODULES += ["zoho_async.testing", "zoho_async.transport.hooks"]
MODULES += [f"zoho_async.{product}" for product in PRODUCTS] + sorted({module for module, _ in OPERATIONS.values()})
MADE_BY_FUNCTIONS = {"zoho_async.bulk.Changes", "zoho_async.bulk.Push", "zoho_async.bulk.RowFile"}
"""Classes that no caller makes: `push` and `open_rows` describe the arguments."""


def public(module: str) -> Iterator[tuple[str, Any]]:
    """The classes and functions that a module lists."""
    loaded = import_module(module)
    for name in loaded.__all__:
        value = getattr(loaded, name)
        if not isinstance(value, ModuleType) and callable(value) and get_origin(value) is None:
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


def described_fields(struct: type) -> set[str]:
    """The fields that a class and its bases describe."""
    bases = [base for base in struct.__mro__ if issubclass(base, msgspec.Struct) and base is not msgspec.Struct]
    found = set[str]().union(*map(described_beside, bases))
    return found.union(*(section(inspect.cleandoc(base.__doc__ or ""), "Args", "Attributes") for base in bases))


def described_beside(struct: type) -> set[str]:
    """The fields of a class that have a string below them."""
    tree = ast.parse(textwrap.dedent(inspect.getsource(struct)))
    (body,) = [node.body for node in tree.body if isinstance(node, ast.ClassDef)]
    pairs = pairwise(body)
    fields = [one.target for one, after in pairs if isinstance(one, ast.AnnAssign) and isinstance(after, ast.Expr)]
    return {field.id for field in fields if isinstance(field, ast.Name)}


def documented(what: str, value: Any, function: Callable[..., Any]) -> list[str]:
    """What the docstring of a value lacks, whose arguments are those of the function."""
    docs = [one.__doc__ for one in dict.fromkeys((value, function)) if one.__doc__]
    if not docs:
        return [f"{what}: no docstring"]
    names = {name for name in inspect.signature(function).parameters if name not in ("self", "cls")}
    names = {name for name in names if not name.startswith("_")}
    described = set[str]().union(*(section(inspect.cleandoc(doc), "Args") for doc in docs))
    lacking = [f"{what}: {name} is not in Args" for name in sorted(names - described)]
    return lacking + [f"{what}: there is no argument {name}" for name in sorted(described - names)]


def checked(what: str, value: Any) -> list[str]:
    if not isinstance(value, type):
        return documented(what, value, inspect.unwrap(value))
    if issubclass(value, msgspec.Struct):
        doc = inspect.cleandoc(value.__doc__ or "")
        found = [] if doc else [f"{what}: no docstring"]
        if not value.__module__.endswith(".models"):  # a generated struct describes each field beside it
            described = described_fields(value)
            found += [f"{what}: {name} is not described" for name in value.__struct_fields__ if name not in described]
    elif "__init__" in vars(value) and not getattr(value, "_is_protocol", False) and what not in MADE_BY_FUNCTIONS:
        found = documented(what, value, value.__init__)
    else:
        found = [] if value.__doc__ else [f"{what}: no docstring"]
    for name, function in methods(value):
        found += documented(f"{what}.{name}", function, function)
    kinds = (property, cached_property)
    properties = [(name, it) for name, it in vars(value).items() if isinstance(it, kinds) and name[0] != "_"]
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
        beside: int
        """Described."""
        other: int

        @property
        def size(self) -> int:
            return 1

    assert checked("a", described) == ["a: second is not in Args", "a: there is no argument third"]
    assert checked("a", bare) == ["a: no docstring"]
    assert checked("a", Struct) == ["a: other is not described", "a.size: no docstring"]
