"""JSON Lines files: one object a line."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any, Literal

import msgspec

from zoho_async._typeguards import is_mapping

from .content import Content
from .row import ADDED_IDENTITY, ADDED_LINE, IGNORED, Row

_json = msgspec.json.Decoder(float_hook=Decimal)


class JsonLinesFile:
    """One JSON Lines file; blank lines are left out."""

    format: Literal["jsonl"] = "jsonl"
    separator = ""
    header_row = 0
    columns: tuple[str, ...] = ()

    def __init__(self, content: Content, encoding: str) -> None:
        """Reads the file once, to count its rows."""
        self._content = content
        self._encoding = encoding
        self.notes: list[str] = []
        with content.text(encoding, newline=None) as file:
            self.count = sum(1 for line in file if line.strip())

    def rows(self) -> Iterator[Row]:
        """Every row, in the order of the file."""
        with self._content.text(self._encoding, newline=None) as file:
            number = 0
            for line, text in enumerate(file, 1):
                if stripped := text.strip():
                    number += 1
                    yield row_of_object(number, line, stripped)


def row_of_object(number: int, line: int, text: str) -> Row:
    """The row that the text of an object is."""
    members, fault = read_object(text)
    values = {name: cell for name, cell in members.items() if name not in IGNORED}
    key = str(members.get(ADDED_IDENTITY, ""))
    if ADDED_LINE in members and not values:
        fault = f"still is a line that could not be read: write the row in place of `{ADDED_LINE}`"
    if fault:
        return Row(number=number, line=line, raw=text, fault=fault, identity=key)
    return Row(number=number, line=line, values=values, raw=text, identity=key)


def read_object(text: str) -> tuple[dict[str, Any], str]:
    """One line as a mapping, numbers as decimals; or why it is none. Of members of one name the last counts."""
    try:
        value: Any = _json.decode(text)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        return {}, f"is not valid JSON: {error}"
    except ArithmeticError:
        return {}, "is not valid JSON that can be read: it holds a number with an immense exponent"
    return (dict(value), "") if is_mapping(value) else ({}, "is not a JSON object")
