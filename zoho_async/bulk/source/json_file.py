"""JSON documents: a list of objects, objects over several lines, and what Zoho answers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any, Literal

import msgspec

from zoho_async._typeguards import is_mapping
from zoho_async.bulk.errors import InputError

from .content import Content
from .jsonl_file import JsonLinesFile, row_of_object
from .row import Row
from .text import excerpt, listed

_LINES = (".jsonl", ".ndjson")
_ANSWER = frozenset({"code", "message", "page_context"})
"""Members that Zoho's answers have beside the records."""
_objects = msgspec.json.Decoder(dict[str, msgspec.Raw])
_list = msgspec.json.Decoder(list[msgspec.Raw])


class JsonDocument:
    """The objects of one JSON document, in memory."""

    format: Literal["jsonl"] = "jsonl"
    separator = ""
    header_row = 0
    columns: tuple[str, ...] = ()

    def __init__(self, texts: list[tuple[int, str]], notes: list[str]) -> None:
        self._texts = texts
        self.count = len(texts)
        self.notes = notes

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the document; its text on one line."""
        for number, (line, text) in enumerate(self._texts, 1):
            yield row_of_object(number, line, text)


def json_reader(content: Content, encoding: str) -> JsonLinesFile | JsonDocument:
    """JSON Lines, or the rows of one document.

    Raises:
        InputError: The document is broken, or holds no rows.
    """
    with content.text(encoding, newline=None) as file:
        filled = (line for line in file if line.strip())
        first = next(filled, "").strip()
        only = next(filled, None) is None
    value = _decoded(first)
    named = content.suffix in _LINES
    if is_mapping(value) and (not only or not _is_answer(first)):
        return JsonLinesFile(content, encoding)
    if named and value is not None and not (only and isinstance(value, list)):
        return JsonLinesFile(content, encoding)
    with content.text(encoding) as file:
        text = file.read().lstrip("\ufeff")
    try:
        json.loads(text)
    except (ValueError, RecursionError) as error:
        if value is None and (several := _several(text)):
            return JsonDocument(several, [])
        if named or (not isinstance(value, list) and _has_lines(content, encoding)):
            return JsonLinesFile(content, encoding)
        where = (
            f"line {error.lineno}, column {error.colno}: {error.msg}"
            if isinstance(error, json.JSONDecodeError)
            else error
        )
        raise InputError(f"{content.path}: the JSON document is broken ({where}); correct it and try again") from None
    return _document(content, text, named=named, encoding=encoding)


def _several(text: str) -> list[tuple[int, str]] | None:
    """The objects that stand one after another, each over several lines, with their lines; None for anything else."""
    decoder, found = json.JSONDecoder(), list[tuple[int, str]]()
    place, line = 0, 1
    while rest := text[place : place + 1]:
        if rest.isspace():
            line += rest == "\n"
            place += 1
            continue
        try:
            value, end = decoder.raw_decode(text, place)
        except (ValueError, RecursionError):
            return None
        if not is_mapping(value):
            return None
        found.append((line, " ".join(text[place:end].splitlines())))
        line += text.count("\n", place, end)
        place = end
    return found


def _document(content: Content, text: str, *, named: bool, encoding: str) -> JsonLinesFile | JsonDocument:
    notes: list[str] = []
    try:
        if text.lstrip().startswith("["):
            raws = [bytes(one).decode() for one in _list.decode(text)]
        else:
            members = _objects.decode(text)
            name, inner, beside = _envelope(members)
            if not name and set(members) <= _ANSWER and members:
                raise InputError(f"{content.path}: is an answer without records: {excerpt(text.strip(), 100)}")
            if name:
                notes = [f"the rows are those of `{name}`" + (f"; left out: {listed(beside)}" if beside else "")]
            raws = inner if name else [text.strip()]
    except InputError:
        raise
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        if named:
            return JsonLinesFile(content, encoding)
        raise InputError(f"{content.path}: the JSON document cannot be read: {error}") from None
    if not raws:
        raise InputError(f"{content.path}: the JSON document holds no rows")
    found: list[tuple[int, str]] = []
    place, line = 0, 1
    for raw in raws:
        at = text.find(raw, place)
        line += text.count("\n", place, at)
        found.append((line, " ".join(raw.splitlines()) if "\n" in raw or "\r" in raw else raw))
        line += raw.count("\n")
        place = at + len(raw)
    return JsonDocument(found, notes)


def _records(members: dict[str, msgspec.Raw]) -> tuple[str, list[str]]:
    """The member of Zoho's answer that holds the records, and their texts; empty for a record itself."""
    others = [name for name in members if name not in _ANSWER]
    lists = [name for name in others if bytes(members[name]).lstrip().startswith(b"[")]
    enveloped = len(others) < len(members)
    if len(lists) == 1 and (enveloped or len(others) == 1):
        return lists[0], [bytes(one).decode() for one in _list.decode(members[lists[0]])]
    if len(others) == 1 and enveloped and bytes(members[others[0]]).lstrip().startswith(b"{"):
        return others[0], [bytes(members[others[0]]).decode()]
    return "", []


def _envelope(members: dict[str, msgspec.Raw]) -> tuple[str, list[str], list[str]]:
    """Where the records of a document stand, their texts, and the members beside them; empty for a record itself."""
    path = ""
    while True:
        name, texts = _records(members)
        if name:
            return f"{path}{name}", texts, [one for one in members if one != name]
        only = next(iter(members.values()), msgspec.Raw()) if len(members) == 1 else msgspec.Raw()
        if not bytes(only).lstrip().startswith(b"{"):
            return "", [], []
        # As in `{"data": {"customers": [...]}}`.
        path, members = f"{path}{next(iter(members))}.", _objects.decode(only)


def _is_answer(text: str) -> bool:
    try:
        members = _objects.decode(text)
        return bool(_envelope(members)[0]) or (bool(members) and set(members) <= _ANSWER)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False


def _decoded(text: str) -> Any:
    """The value of a line; None when it is not complete."""
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return value


def _has_lines(content: Content, encoding: str) -> bool:
    """Whether any of the first lines is an object of its own."""
    with content.text(encoding, newline=None) as file:
        for _, line in zip(range(50), file, strict=False):
            text = line.strip()
            if text.startswith("{") and text.endswith("}") and is_mapping(_decoded(text)):
                return True
    return False
