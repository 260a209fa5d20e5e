"""Finds the operation of a method and a path. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

import msgspec

if TYPE_CHECKING:
    from zoho_async.schema.operation import Operation


class _PathNode(msgspec.Struct):
    literals: dict[str, _PathNode] = msgspec.field(default_factory=dict[str, "_PathNode"])
    parameter: _PathNode | None = None
    operations: dict[str, tuple[Operation[Any], tuple[str, ...]]] = msgspec.field(
        default_factory=dict[str, "tuple[Operation[Any], tuple[str, ...]]"]
    )


class Router:
    """Finds operations by path; a literal segment beats a parameter."""

    def __init__(self, operations: Iterable[tuple[str, Operation[Any]]]) -> None:
        """`operations`: pairs of a product's root, such as `/books/v3`, and an operation."""
        self._top = _PathNode()
        self.roots: frozenset[str] = frozenset()
        for root, operation in operations:
            self.roots |= {root.strip("/")}
            self._add(root, operation)

    def find(self, method: str, segments: list[str]) -> tuple[Operation[Any], dict[str, str]] | None:
        """The operation and its path parameters, or None."""
        values: list[str] = []
        found = _find_below(self._top, method, segments, 0, values)
        if found is None:
            return None
        operation, names = found
        return operation, dict(zip(names, values, strict=True))

    def covers(self, segments: list[str]) -> bool:
        """Whether the path is below a product's root, where credentials are required."""
        path = "/".join(segments)
        return any(path == root or path.startswith(f"{root}/") for root in self.roots)

    def _add(self, root: str, operation: Operation[Any]) -> None:
        node, names = self._top, list[str]()
        for segment in f"{root}{operation.path}".strip("/").split("/"):
            if segment.startswith("{") and segment.endswith("}"):
                names.append(segment[1:-1])
                if node.parameter is None:
                    node.parameter = _PathNode()
                node = node.parameter
            else:
                node = node.literals.setdefault(segment, _PathNode())
        node.operations[operation.method] = (operation, tuple(names))


def _find_below(
    node: _PathNode, method: str, segments: list[str], at: int, values: list[str]
) -> tuple[Operation[Any], tuple[str, ...]] | None:
    if at == len(segments):
        return node.operations.get(method)
    segment = segments[at]
    literal = node.literals.get(segment)
    if literal is not None:
        found = _find_below(literal, method, segments, at + 1, values)
        if found is not None:
            return found
    if node.parameter is None or not segment:
        return None
    values.append(segment)
    found = _find_below(node.parameter, method, segments, at + 1, values)
    if found is None:
        values.pop()
    return found
