"""Converts cells to the values of fields: one reader for each kind of field."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_object, is_sequence
from zoho_async.bulk.source.files import LONGEST, strip_blanks
from zoho_async.bulk.source.text import joined
from zoho_async.errors import Fault
from zoho_async.schema.validation import Rule
from zoho_async.wire.encoding import time_text

_TRUE = frozenset({"true", "yes", "1"})
_FALSE = frozenset({"false", "no", "0"})

_MANGLED = re.compile(r"[+-]?\d+([.,]\d+)?[eE][+-]?\d+")

_LONG = 1 << 63
"""The first whole number that JSON's encoder refuses."""

_UNREAD_BEGINS = "⟦"
_UNREAD = re.compile(rf"{_UNREAD_BEGINS}(?:0x[0-9A-F]+|unread)⟧")
"""What rejects files of earlier versions hold in place of bytes that could not be read."""

_DIGITS = 60
"""Most digits before or after the point: expanding a larger exponent could take megabytes."""


class InvalidCell(msgspec.Struct, frozen=True):
    """Why a cell is no value of its field; `path` is the place in a nested value."""

    rule: str
    message: str
    path: str = ""

    def fault(self, column: str) -> Fault:
        """The same as a validation error of a column; "" is the whole row."""
        joint = "." if column and self.path and not self.path.startswith("[") else ""
        return Fault(path=f"{column}{joint}{self.path}", rule=self.rule, message=self.message)


def convert(rule: Rule, cell: Any) -> Any:
    """A cell as the value its field takes, or a `InvalidCell`.

    Text is parsed: `true`, `false`, `yes`, `no`, `1`, `0` as booleans in any case, digits as integers, decimal numbers
    with a point as money, `yyyy-mm-dd` as dates. Values that have their type already are only checked.
    """
    if rule.kind == "any" or (rule.kind == "object" and not rule.schema and is_mapping(cell)):
        return nested(cell)
    name, reader = _READERS[rule.kind]
    if is_mapping(cell) or is_sequence(cell):
        return InvalidCell("type", f"must be {name}, not a nested value")
    value = scalar(cell)
    return value if isinstance(value, InvalidCell) else reader(value)


def scalar(cell: Any) -> Any:
    """A cell as text, number, boolean, date or time that can be sent; or a `InvalidCell`."""
    if isinstance(cell, str):
        text = str.__str__(cell)
        try:
            text.encode()
        except UnicodeEncodeError:
            return InvalidCell("type", "holds half a character (a lone surrogate), which no encoding can carry")
        if len(text) > LONGEST:
            return InvalidCell("max_length", f"must be at most {LONGEST:,} characters, has {len(text):,}")
        return text
    if isinstance(cell, bool | date):
        return cell
    if isinstance(cell, int | float | Decimal):
        number = cell if isinstance(cell, Decimal) else Decimal(cell if isinstance(cell, int) else float.__repr__(cell))
        if not number.is_finite():
            return InvalidCell("type", f"must be a finite number, is {number}")
        if abs(number.adjusted()) > _DIGITS:
            return InvalidCell("type", f"must be a number of at most {_DIGITS} digits")
        # JSON's encoder takes 64 bits; as a decimal a longer number keeps every digit.
        return int(cell) if isinstance(cell, int) and abs(cell) < _LONG else number
    return InvalidCell("type", f"must be text, a number, true or false, a date or a time, not {type(cell).__name__}")


def nested(value: Any) -> Any:
    """A value of any shape as it can be sent, or the first `InvalidCell` in it.

    Request structs become mappings without unset members; texts lose the blanks at their ends; dates and times take
    Zoho's form.
    """
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        value = {wire: item for name, wire in names if (item := getattr(value, name)) is not msgspec.UNSET}
    if is_mapping(value):
        members: dict[str, Any] = {}
        for key, item in value.items():
            name = scalar(key)
            if not isinstance(name, str):
                return InvalidCell("type", "has a member whose name is no text")
            members[name] = nested(item)
            if isinstance(members[name], InvalidCell):
                return _inside(members[name], name)
        return members
    if is_sequence(value):
        items: list[Any] = []
        for place, item in enumerate(value):
            items.append(nested(item))
            if isinstance(items[-1], InvalidCell):
                return _inside(items[-1], f"[{place}]")
        return items
    if value is None:
        return None
    found = scalar(strip_blanks(value) if isinstance(value, str) else value)
    return _written(found) if isinstance(found, date) else found


def _inside(problem: InvalidCell, step: str) -> InvalidCell:
    joint = "" if not problem.path or problem.path.startswith("[") else "."
    return msgspec.structs.replace(problem, path=f"{step}{joint}{problem.path}")


def _written(moment: date) -> Any:
    """A date or a time in Zoho's form, or a `InvalidCell`."""
    if not isinstance(moment, datetime):
        return moment.isoformat()
    try:
        return time_text(moment)
    except ValueError as error:
        return InvalidCell("type", str(error))


def mangled(cell: Any) -> InvalidCell | None:
    """The fault of an id that a spreadsheet rounded, as in `4.6E+14`; None for any other cell."""
    if isinstance(cell, Decimal) and cell.as_tuple().exponent == 0 and abs(cell) >= _LONG:
        # `scalar` makes long whole numbers decimals: no digit is lost.
        return None
    if isinstance(cell, float | Decimal) or (isinstance(cell, str) and _MANGLED.fullmatch(cell.strip())):
        return InvalidCell("mangled", f"was rounded by a spreadsheet ({cell}); export the column as text")
    return None


def unread(values: Any) -> re.Match[str] | None:
    """The mark of what could not be read in a row."""
    # A row of text need not be shown to see that it has none.
    text = joined((*values, *values.values())) if is_object(values) else None
    return _UNREAD.search(str(values)) if text is None or _UNREAD_BEGINS in text else None


def _string(cell: Any) -> Any:
    if isinstance(cell, bool):
        return InvalidCell("type", f"must be text, is {str(cell).lower()}")
    if isinstance(cell, date):
        return _written(cell)
    if isinstance(cell, Decimal):
        # A whole float, as other programs write whole numbers, is no text with `.0`.
        return str(int(cell)) if cell == cell.to_integral_value() else format(cell, "f")
    return str(cell)


def _id(cell: Any) -> Any:
    if (problem := mangled(cell)) is not None:
        return problem
    text = "" if isinstance(cell, bool) else str(cell).strip()
    return (
        text
        if text.isascii() and text.isdigit()
        else InvalidCell("id", f"must be an id (digits only), is {_short(cell)}")
    )


def _integer(cell: Any) -> Any:
    text = "" if isinstance(cell, bool) else str(cell).strip()
    if not re.fullmatch(r"[+-]?[0-9]+(\.0+)?", text):
        return InvalidCell("type", f"must be a whole number, is {_short(cell)}")
    text = text.partition(".")[0]
    if len(text) > 18:
        return InvalidCell("type", f"is too large a number: {_short(cell)}")
    return int(text)


def _number(cell: Any) -> Any:
    if isinstance(cell, int | Decimal) and not isinstance(cell, bool):
        return cell
    text = "" if isinstance(cell, bool) else str(cell).strip()
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        hint = ""
        if _MANGLED.fullmatch(text):
            hint = "; a spreadsheet has rounded it: write its digits"
        elif "," in text:
            hint = "; a decimal comma, or thousands, are read with a mapping that says so ([read] decimal)"
        elif any(map(str.isdigit, text)):
            hint = "; a currency or a unit is taken off with a mapping ({Column|amount})"
        return InvalidCell("type", f"must be a number such as 1234.50, is {_short(cell)}{hint}")
    return scalar(Decimal(text))


def _boolean(cell: Any) -> Any:
    if isinstance(cell, bool):
        return cell
    word = str(cell).strip().lower()
    if word in _TRUE:
        return True
    if word in _FALSE:
        return False
    known = "known words: true, false, yes, no, 1, 0, and those that a mapping names ([read] yes, no)"
    return InvalidCell("type", f"must be true or false, is {_short(cell)} ({known})")


def _date(cell: Any) -> Any:
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return cell.isoformat()
    text = str(cell).strip()
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    return InvalidCell("type", f"must be a date written yyyy-mm-dd, is {_short(cell)}")


def _datetime(cell: Any) -> Any:
    try:
        moment = cell if isinstance(cell, datetime) else msgspec.convert(str(cell).strip(), datetime)
    except msgspec.ValidationError:
        moment = None
    if moment is None or moment.tzinfo is None:
        return InvalidCell("type", f"must be a time with its zone such as 2026-06-09T09:45:19-0400, is {_short(cell)}")
    return time_text(moment)


def _object(cell: Any) -> Any:
    return InvalidCell("type", f"must be an object, is {_short(cell)}")


def _array(cell: Any) -> Any:
    return InvalidCell("type", f"must be a list, is {_short(cell)}")


_READERS: Mapping[str, tuple[str, Callable[[Any], Any]]] = {
    "string": ("text", _string),
    "id": ("an id", _id),
    "integer": ("a whole number", _integer),
    "number": ("a number", _number),
    "boolean": ("true or false", _boolean),
    "date": ("a date", _date),
    "datetime": ("a time", _datetime),
    "object": ("an object", _object),
    "array": ("a list", _array),
}
"""What a kind of field is called, and what reads its cells."""


def _short(cell: Any) -> str:
    text = str(cell).lower() if isinstance(cell, bool) else str(cell)
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
