"""Cells to values: one reader a kind of field."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.source.files import LONGEST
from zoho_async.errors import Fault
from zoho_async.schema.validation import Rule
from zoho_async.wire.encoding import time_text

TRUE = frozenset({"true", "yes", "1"})

FALSE = frozenset({"false", "no", "0"})

_MANGLED = re.compile(r"[+-]?\d+([.,]\d+)?[eE][+-]?\d+")

_LONG = 1 << 63
"""From here on a whole number is longer than JSON's writer takes it."""

_DIGITS = 60
"""No amount has more digits before or behind the point; beyond it a few characters could stand for megabytes."""


class Problem(msgspec.Struct, frozen=True):
    """Why a cell cannot be read as what it should be."""

    rule: str
    message: str
    path: str = ""
    """Where in a nested value."""

    def fault(self, column: str) -> Fault:
        """The same as the fault of a column; "" is the whole row."""
        joint = "." if column and self.path and not self.path.startswith("[") else ""
        return Fault(path=f"{column}{joint}{self.path}", rule=self.rule, message=self.message)


def convert(rule: Rule, cell: Any) -> Any:
    """A cell as the value its field takes, or a `Problem`.

    Text is read: `true`, `false`, `yes`, `no`, `1`, `0` as booleans in any case, plain digits as integers, decimal
    numbers with a point as money, `yyyy-mm-dd` as dates. Values that have their type already are only checked.
    """
    if rule.kind == "any" or (rule.kind == "object" and not rule.schema and is_mapping(cell)):
        return nested(cell)
    if is_mapping(cell) or is_sequence(cell):
        return Problem("type", f"must be {_WORDS[rule.kind]}, not a nested value")
    value = scalar(cell)
    return value if isinstance(value, Problem) else _READERS[rule.kind](value)


def scalar(cell: Any) -> Any:
    """A cell as text, number, boolean, date or moment that can be sent, or a `Problem`."""
    if isinstance(cell, str):
        text = str.__str__(cell)
        try:
            text.encode()
        except UnicodeEncodeError:
            return Problem("type", "holds half a character (a lone surrogate), which no encoding can carry")
        if len(text) > LONGEST:
            return Problem("max_length", f"must be at most {LONGEST:,} characters, has {len(text):,}")
        return text
    if isinstance(cell, bool | date):
        return cell
    if isinstance(cell, int | float | Decimal):
        number = cell if isinstance(cell, Decimal) else Decimal(cell if isinstance(cell, int) else float.__repr__(cell))
        if not number.is_finite():
            return Problem("type", f"must be a finite number, is {number}")
        if abs(number.adjusted()) > _DIGITS:
            return Problem("type", f"must be a number of at most {_DIGITS} digits")
        # JSON's writer takes whole numbers of 64 bits; as a decimal a longer one keeps every digit.
        return int(cell) if isinstance(cell, int) and abs(cell) < _LONG else number
    return Problem("type", f"must be text, a number, true or false, a date or a time, not {type(cell).__name__}")


def nested(value: Any) -> Any:
    """A value that may be anything, with everything in it, as it can be sent; or the first `Problem` in it.

    Request structs become mappings without what is not set; dates and times take Zoho's form.
    """
    if isinstance(value, msgspec.Struct):
        names = zip(value.__struct_fields__, value.__struct_encode_fields__, strict=True)
        value = {wire: item for name, wire in names if (item := getattr(value, name)) is not msgspec.UNSET}
    if is_mapping(value):
        members: dict[str, Any] = {}
        for key, item in value.items():
            name = scalar(key)
            if not isinstance(name, str):
                return Problem("type", "has a member whose name is no text")
            members[name] = nested(item)
            if isinstance(members[name], Problem):
                return _inside(members[name], name)
        return members
    if is_sequence(value):
        items: list[Any] = []
        for place, item in enumerate(value):
            items.append(nested(item))
            if isinstance(items[-1], Problem):
                return _inside(items[-1], f"[{place}]")
        return items
    if value is None:
        return None
    found = scalar(value)
    return _written(found) if isinstance(found, date) else found


def _inside(problem: Problem, step: str) -> Problem:
    joint = "" if not problem.path or problem.path.startswith("[") else "."
    return msgspec.structs.replace(problem, path=f"{step}{joint}{problem.path}")


def _written(moment: date) -> Any:
    """A date or a time in Zoho's form, or a `Problem`."""
    if not isinstance(moment, datetime):
        return moment.isoformat()
    try:
        return time_text(moment)
    except ValueError as error:
        return Problem("type", str(error))


def mangled(cell: Any) -> Problem | None:
    """Whether a spreadsheet has made a rounded number of what was an id, as in `4.6E+14`."""
    if isinstance(cell, Decimal) and cell.as_tuple().exponent == 0 and abs(cell) >= _LONG:
        # A whole number that was too long for `scalar` to leave it one: every digit is there.
        return None
    if isinstance(cell, float | Decimal) or (isinstance(cell, str) and _MANGLED.fullmatch(cell.strip())):
        return Problem("mangled", f"was rounded by a spreadsheet ({cell}); export the column as text")
    return None


def _string(cell: Any) -> Any:
    if isinstance(cell, bool):
        return Problem("type", f"must be text, is {str(cell).lower()}")
    if isinstance(cell, date):
        return _written(cell)
    return format(cell, "f") if isinstance(cell, Decimal) else str(cell)


def _id(cell: Any) -> Any:
    if (problem := mangled(cell)) is not None:
        return problem
    text = "" if isinstance(cell, bool) else str(cell).strip()
    return (
        text if text.isascii() and text.isdigit() else Problem("id", f"must be an id (digits only), is {_short(cell)}")
    )


def _integer(cell: Any) -> Any:
    text = "" if isinstance(cell, bool) else str(cell).strip()
    if not re.fullmatch(r"[+-]?[0-9]+", text):
        return Problem("type", f"must be a whole number, is {_short(cell)}")
    if len(text) > 18:
        return Problem("type", f"is too large a number: {_short(cell)}")
    return int(text)


def _number(cell: Any) -> Any:
    if isinstance(cell, int | Decimal) and not isinstance(cell, bool):
        return cell
    text = "" if isinstance(cell, bool) else str(cell).strip()
    if not re.fullmatch(r"[+-]?[0-9]+(\.[0-9]+)?", text):
        return Problem("type", f"must be a number such as 1234.50, is {_short(cell)}")
    return scalar(Decimal(text))


def _boolean(cell: Any) -> Any:
    if isinstance(cell, bool):
        return cell
    word = str(cell).strip().lower()
    if word in TRUE:
        return True
    if word in FALSE:
        return False
    return Problem("type", f"must be true or false, is {_short(cell)}")


def _date(cell: Any) -> Any:
    if isinstance(cell, date) and not isinstance(cell, datetime):
        return cell.isoformat()
    text = str(cell).strip()
    try:
        if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            return date.fromisoformat(text).isoformat()
    except ValueError:
        pass
    return Problem("type", f"must be a date written yyyy-mm-dd, is {_short(cell)}")


def _datetime(cell: Any) -> Any:
    try:
        moment = cell if isinstance(cell, datetime) else msgspec.convert(str(cell).strip(), datetime)
    except msgspec.ValidationError:
        moment = None
    if moment is None or moment.tzinfo is None:
        return Problem("type", f"must be a time with its zone such as 2026-06-09T09:45:19-0400, is {_short(cell)}")
    return moment.strftime("%Y-%m-%dT%H:%M:%S%z")


def _object(cell: Any) -> Any:
    return Problem("type", f"must be an object, is {_short(cell)}")


def _array(cell: Any) -> Any:
    return Problem("type", f"must be a list, is {_short(cell)}")


_READERS: Mapping[str, Any] = {
    "string": _string,
    "id": _id,
    "integer": _integer,
    "number": _number,
    "boolean": _boolean,
    "date": _date,
    "datetime": _datetime,
    "object": _object,
    "array": _array,
}

_WORDS: Mapping[str, str] = {
    "string": "text",
    "id": "an id",
    "integer": "a whole number",
    "number": "a number",
    "boolean": "true or false",
    "date": "a date",
    "datetime": "a time",
    "object": "an object",
    "array": "a list",
}


def _short(cell: Any) -> str:
    text = str(cell).lower() if isinstance(cell, bool) else str(cell)
    return repr(text if len(text) <= 40 else f"{text[:37]}...")
