"""The documents' own examples, every digit as written."""

from __future__ import annotations

from decimal import Decimal
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from codegen import load

SPECS = Path(__file__).parents[2] / "specs"


class Example(NamedTuple):
    """One documented request or answer."""

    operation: str
    direction: str
    """`request` or `answer`."""
    edition: str
    """`documented`, or `older_edition`."""
    value: Any


class _Exact(load.Loader):
    """Numbers with a fraction as decimals."""


_Exact.add_constructor("tag:yaml.org,2002:float", lambda loader, node: Decimal(loader.construct_scalar(node)))


class _Specs(load.Specs):
    def _read(self, name: str, content: bytes) -> None:
        self.files[name] = yaml.load(content, _Exact)


@cache
def examples() -> tuple[Example, ...]:
    """All of them, in the order of files, paths and names."""
    found: list[Example] = []
    for document in _Specs(SPECS).resources():
        for operation in load.operations(document):
            request = load.body(operation)
            media = [("request", request)] if request else []
            media += [("answer", answer) for answer in load.responses(operation)]
            for direction, node in media:
                for name, example in node.children("examples"):
                    value = example.target().get("value")
                    found.append(Example(operation.get("operationId"), direction, name, value))
    return tuple(found)


def documented(operation: str, direction: str) -> Any:
    """The newer document's example; None when it has none."""
    wanted = (operation, direction, "documented")
    return next((it.value for it in examples() if it[:3] == wanted), None)
