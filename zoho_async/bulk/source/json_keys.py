"""Members that a JSON object gives more than once. A decoder keeps the last of them and says nothing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from zoho_async._typeguards import is_mapping, is_sequence


class _Pairs:
    """An object as it was written."""

    __slots__ = ("items",)

    def __init__(self, items: list[tuple[str, Any]]) -> None:
        self.items = items


_decoder = json.JSONDecoder(object_pairs_hook=_Pairs, parse_int=str, parse_float=str, strict=False)
"""Numbers as text: only names matter."""


def given_twice(text: str, value: Mapping[str, Any]) -> str:
    """The path of the first member, at any depth, that an object names more than once; empty when there is none.

    `value` is the object as it was decoded from the text. Raises RecursionError for what is nested too deeply.
    """
    # Each member has a colon, and mostly right behind its name: as many of them as members leave no room for one more.
    # There may be more, for texts have colons too.
    apart = " :" in text or "\t:" in text or "\r:" in text
    if text.count(":" if apart else '":') == _members(value):
        return ""
    stack: list[tuple[str, Any]] = [("", _decoder.decode(text))]
    while stack:
        path, node = stack.pop()
        if isinstance(node, _Pairs):
            seen: set[str] = set()
            inner: list[tuple[str, Any]] = []
            for name, item in node.items:
                here = f"{path}.{name}" if path else name
                if name in seen:
                    return here
                seen.add(name)
                inner.append((here, item))
            stack += reversed(inner)
        elif is_sequence(node):
            stack += [(f"{path}[{place}]", item) for place, item in reversed(list(enumerate(node)))]
    return ""


def _members(value: Mapping[str, Any]) -> int:
    count = len(value)
    stack: list[Any] = [item for item in value.values() if isinstance(item, dict | list)]
    while stack:
        node = stack.pop()
        if is_mapping(node):
            count += len(node)
            node = node.values()
        stack += [item for item in node if isinstance(item, dict | list)]
    return count
