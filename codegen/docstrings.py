"""The docstrings of generated code, in Google style."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from .load import Node
from .schemas import Direction, Field, choices, unwrap

if TYPE_CHECKING:
    from .endpoints import Operation, Resource

WIDTH = 120
OBSERVED: Mapping[Direction, str] = {
    "request": "Works in practice, not documented.",
    "response": "Seen in responses, not documented.",
}
ERROR_CLASSES = {
    2: "InvalidError",
    4: "InvalidError",
    6: "InvalidError",
    15: "InvalidError",
    1002: "NotFoundError",
    1038: "InvalidError",
    3013: "InvalidError",
    3062: "DuplicateError",
    9004: "InvalidError",
}
"""Exceptions of result codes, as in `zoho_async.transport.retry_policy`; RefusedError for all others."""


def of_method(operation: Operation) -> str:
    """The docstring of an operation's method, with its quotes, for an indent of eight."""
    lines = [f"{operation.title.rstrip('.')}.", "", *wrapped(str(operation.node.value["description"])), ""]
    lines += [f"Scope: `{operation.scope}`"]
    if operation.reason:
        again = "may be repeated" if operation.idempotent else "is never repeated automatically"
        lines += wrapped(
            f"Idempotent: {'yes' if operation.idempotent else 'no'}, it {again}. {operation.reason}", rest="    "
        )
    lines.append(f"Source: {operation.source}")
    if arguments := list(_arguments(operation)):
        lines += ["", "Args:"]
        for name, text in arguments:
            lines += wrapped(f"{name}: {text}", "    ", "        ")
    if returned := _returned(operation):
        lines += ["", "Returns:", *wrapped(returned, "    ", "    ")]
    lines += ["", "Raises:"]
    for name, text in _raised(operation):
        lines += wrapped(f"{name}: {text}", "    ", "        ")
    text = "\n".join(f"        {line}".rstrip() for line in lines)
    return f'"""{escaped(text).strip()}\n        """'


def of_resource(resource: Resource) -> str:
    """The docstring of a resource's class, with its quotes, for an indent of four."""
    lines = wrapped(str(resource.node.value["info"].get("description") or f"{resource.title}."), width=WIDTH - 10)
    lines += ["", "Args:", f"    transport: The client's; use `zoho.{resource.product}.{resource.name}`."]
    return f'"""{escaped(lines[0])}' + "".join(f"\n    {escaped(line)}".rstrip(" ") for line in lines[1:]) + '\n    """'


def _arguments(operation: Operation) -> Iterator[tuple[str, str]]:
    for it in operation.of("path"):
        yield it.python, it.description or f"Path parameter `{it.wire}`."
    optional = " Optional." if operation.body_optional else ""
    if operation.request == "dict":
        or_file = " Or the file." if operation.file_or_body else ""
        yield "body", f"A mapping, sent unchanged: its fields are not documented.{optional}{or_file}"
    elif operation.request:
        yield "body", f"A `{operation.request}`, or a mapping with the names that Zoho uses.{optional}"
    for it in operation.by_name:
        yield it.python, it.description or f"{it.location.capitalize()} parameter `{it.wire}`."
    for name, text in operation.files.items():
        yield name, f"{text} A path, bytes, or an `Upload`.".strip()
    if operation.kind == "file":
        yield "to", "Path to write the file to; it appears there when it is complete."
    if operation.typed:
        what = {"record": "the record", "untyped": "the response"}.get(operation.kind, "each row")
        yield "type", f"Your own struct to decode {what} into."


def _returned(operation: Operation) -> str:
    row = f"`{operation.response}`" if operation.response else "`dict`"
    return {
        "record": f"The record, a {row}.",
        "page": f"`Pages` of {row}: await it for the first page, or iterate over all rows with `async for`.",
        "list": f"A list of {row}.",
        "nothing": "",
        "file": "The file's bytes; with `to`, that path.",
    }.get(operation.kind, "The whole response, which is not documented.")


def _raised(operation: Operation) -> Iterator[tuple[str, str]]:
    meanings: dict[str, list[str]] = {}
    for error in operation.node.get("x-errors") or ():
        text = f"{str(error['meaning']).rstrip('.')} (code {error['code']})."
        meanings.setdefault(ERROR_CLASSES.get(error["code"], "RefusedError"), []).append(text)
    for name, texts in meanings.items():
        yield name, " ".join(texts)
    yield "ZohoError", "As for every call, see `zoho_async.errors`."


def wrapped(text: str, first: str = "", rest: str = "", width: int = WIDTH - 8) -> list[str]:
    """The lines of a text."""
    return textwrap.wrap(
        " ".join(text.split()),
        width,
        initial_indent=first,
        subsequent_indent=rest,
        break_long_words=False,
        break_on_hyphens=False,
    )


def escaped(text: str) -> str:
    """The text as it is written inside a docstring."""
    return text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')


def describe(field: Field, direction: Direction, schema: Node | None = None) -> str:
    """A property's description and its documented limits; those of a parameter are in its schema."""
    schema = schema or unwrap(field.node)
    text = [str(field.keyword("description") or "").strip()]
    least, most = schema.get("minLength"), schema.get("maxLength")
    if least is not None and least == most:
        text.append(f"Exactly {most} characters.")
    else:
        text += [f"At least {least} characters."] * (least is not None)
        text += [f"At most {most} characters."] * (most is not None)
    low, high = schema.get("minimum"), schema.get("maximum")
    if low is not None and high is not None:
        text.append(f"{low} to {high}.")
    elif low is not None or high is not None:
        text.append(f"At least {low}." if low is not None else f"At most {high}.")
    values, closed = choices(schema)
    if field.keyword("x-disputed"):
        text += [f"Known values: {', '.join(values)}."] * bool(values)
        text.append(f"Zoho's documents disagree: {str(field.keyword('x-disputed')).strip().rstrip('.')}.")
    elif closed and values:
        text.append(f"One of: {', '.join(values)}.")
    if editions := field.keyword("x-editions"):
        text.append(f"Editions: {', '.join(map(str, editions))}.")
    if field.keyword("x-observed"):
        text.append(OBSERVED[direction])
    if field.keyword("deprecated"):
        text.append("Deprecated.")
    return " ".join(part if part.endswith((".", "!", "?", ":", ")")) else f"{part}." for part in text if part)


def docstring(text: str, indent: str = "    ") -> list[str]:
    """The lines of a docstring, wrapped; none for an empty text."""
    text = " ".join(escaped(text).split())
    if not text:
        return []
    lines = textwrap.wrap(text, WIDTH - len(indent) - 6, break_long_words=False, break_on_hyphens=False)
    # A quote before the closing ones would end the docstring too early.
    lines[-1] += ' """' if lines[-1].endswith('"') else '"""'
    return [f'{indent}"""{lines[0]}', *(indent + line for line in lines[1:])]
