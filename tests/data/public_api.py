"""Lists the public names and the parameters they take: `python tests/data/public_api.py` writes `public_api.json`.

A later version may add to them, never take one away; `tests/test_public_api.py` compares.
"""

from __future__ import annotations

import importlib
import inspect
import json
from collections.abc import Callable
from functools import cached_property
from pathlib import Path
from typing import Any

MODULES = (
    *("zoho_async", "zoho_async.bulk", "zoho_async.dlt", "zoho_async.fake", "zoho_async.fleet", "zoho_async.testing"),
    *("zoho_async.speed", "zoho_async.webhooks"),
)
PROPERTIES = (property, cached_property)
FILE = Path(__file__).with_suffix(".json")


def public_api() -> dict[str, list[str] | None]:
    """Every public name with the names of its parameters, in their order; None for what is not called."""
    found: dict[str, list[str] | None] = {}
    for name in MODULES:
        module = importlib.import_module(name)
        for member in sorted(module.__all__):
            value = getattr(module, member)
            found[f"{name}.{member}"] = parameters(value) if callable(value) else None
            if inspect.isclass(value):
                found |= {f"{name}.{member}.{method}": of for method, of in sorted(members(value).items())}
    return found


def members(kind: type) -> dict[str, list[str] | None]:
    """The public methods and properties of a class that are the project's own."""
    names = {
        name
        for one in kind.__mro__
        if one.__module__.startswith("zoho_async")
        for name, value in vars(one).items()
        if not name.startswith("_") and (inspect.isroutine(value) or isinstance(value, PROPERTIES))
    }
    values = {name: inspect.getattr_static(kind, name) for name in names}
    return {
        name: None if isinstance(value, PROPERTIES) else parameters(getattr(kind, name))
        for name, value in values.items()
    }


def parameters(function: Callable[..., Any]) -> list[str] | None:
    """Names of what a function takes; None for one that does not say."""
    try:
        return [name for name in inspect.signature(function).parameters if not name.startswith("_")]
    except (TypeError, ValueError):
        return None


if __name__ == "__main__":
    FILE.write_text(json.dumps(public_api(), indent=1) + "\n", encoding="utf-8")
