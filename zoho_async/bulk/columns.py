"""Column names to request bodies, cells to typed values; driven by the generated rule tables, for any resource.

A column is the path of a field: `contact_name`, `billing_address.city`, `contact_persons[0].email`; where a record
has custom fields, `cf_anything` is one of them by its API name. Rows may be flat (CSV) or nested (JSON Lines); a
nested row is first taken apart into the same paths, so both go one way.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from datetime import date, datetime
from decimal import Decimal
from typing import Any, cast

import msgspec

from zoho_async.encoding import time_text
from zoho_async.errors import Fault
from zoho_async.validation import Kind, Rule

from .errors import UnknownColumnError, printable
from .narrow import is_list, is_mapping
from .readers import LONGEST

Rules = Mapping[str, Mapping[str, Rule]]

TRUE = frozenset({"true", "yes", "1"})
FALSE = frozenset({"false", "no", "0"})

_PATH = re.compile(r"[^.\[\]]+(\[\d{1,4}\])?(\.[^.\[\]]+(\[\d{1,4}\])?)*")
_STEP = re.compile(r"([^.\[\]]+)(?:\[(\d+)\])?")
_MANGLED = re.compile(r"[+-]?\d+([.,]\d+)?[eE][+-]?\d+")
_CUSTOM = "custom_fields"
_LISTED = 20
"""So many unknown columns are named in one sentence."""
_LONG = 1 << 63
"""From here on a whole number is longer than JSON's writer takes it."""
_DIGITS = 60
"""No amount has more digits before or behind the point; beyond it a few characters could stand for megabytes."""


class Column(msgspec.Struct, frozen=True):
    """One column, understood."""

    name: str
    path: tuple[str | int, ...]
    """Steps into the body; an `int` is a place in a list."""
    rule: Rule
    custom: str = ""
    """API name of the custom field it sets; `path` then leads to the record that has the field."""
    branch: bool = False
    """Whether it is an object or a list, whose members are the columns."""


class Columns:
    """What columns the body of one request may have, and how their cells are read.

    `rules` are the product's generated tables, `schema` names the request struct in them.
    """

    def __init__(self, rules: Rules, schema: str) -> None:
        self._rules = rules
        self._schema = schema
        self._known: dict[str, Column | None] = {}
        self._hints: dict[str, str] = {}

    def column(self, name: str) -> Column | None:
        """The column of that name; None when it names no field that can be set by one cell."""
        found = self.field(name)
        return None if found is None or found.branch else found

    def field(self, name: str) -> Column | None:
        """The column of that name, or the object or list, which only a nested row can give; None when there is none."""
        if name not in self._known:
            self._known[name] = self._resolve(name)
        return self._known[name]

    def require(self, names: Iterable[str], *, where: str) -> None:
        """Raises UnknownColumnError, naming every unknown column and the nearest known ones. `where` names the file."""
        unknown = [name for name in dict.fromkeys(names) if self.column(name) is None]
        if unknown:
            words = "; ".join(f"`{printable(name, 100)}`{self.hint(name)}" for name in unknown[:_LISTED])
            if len(unknown) > _LISTED:
                words += f" and {len(unknown) - _LISTED:,} others"
            raise UnknownColumnError(f"{where}: unknown column{'s' * (len(unknown) > 1)} {words}", unknown)

    def hint(self, name: str) -> str:
        """The nearest known names, as the end of a sentence; empty when none is near."""
        if name not in self._hints:
            wanted = re.sub(r"\[\d*\]", "[0]", name)
            near = difflib.get_close_matches(wanted, self.names(), n=3, cutoff=0.6)
            self._hints[name] = f" (did you mean {' or '.join(f'`{one}`' for one in near)}?)" if near else ""
        return self._hints[name]

    def names(self) -> list[str]:
        """Every column there is, lists with place 0, custom fields left out."""
        return list(self._names(self._schema, "", ()))

    def leaves(self, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """A row, flat or nested, as pairs of column and cell; keys that name no field come as they are."""
        return self._leaves(self._schema, "", values)

    def read(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault], dict[str, str]]:
        """One row as a request body, with every fault of its cells.

        The last part leads from a path in the body to the column it came from, where the two differ (custom fields,
        and lists whose first places are empty). Empty cells and nulls are not sent. A cell with a fault is left out.
        """
        body: dict[str, Any] = {}
        faults: list[Fault] = []
        places: dict[str, str] = {}
        customs: list[tuple[Column, Any]] = []
        seen: set[str] = set()
        # Nothing is nested in a row of text, such as one of CSV.
        flat = all(isinstance(cell, str) for cell in values.values())
        for name, cell in values.items() if flat else self.leaves(values):
            if cell is None or (isinstance(cell, str) and not cell.strip()):
                continue
            column = self.field(name)
            if column is None:
                faults.append(Fault(path=name, rule="unknown", message=f"is no known field{self.hint(name)}"))
                continue
            if name in seen:
                faults.append(Fault(path=name, rule="twice", message="is given twice, nested and as a column"))
                continue
            seen.add(name)
            plain_text = (
                column.rule.kind == "string" and isinstance(cell, str) and cell.isascii() and len(cell) < LONGEST
            )
            value = str.__str__(cell) if plain_text else convert(column.rule, cell)
            if isinstance(value, Problem):
                faults.append(value.fault(name))
            elif column.custom:
                customs.append((column, value))
            else:
                _put(body, column.path, value)
        # Behind every numbered place, for a record's custom fields may also be given in full, as a list of objects.
        labels: dict[str, str] = {}
        for place, (column, value) in enumerate(customs, 10_000):
            _put(body, (*column.path, _CUSTOM, place), {"api_name": column.custom, "value": value})
            labels[f"{column.name.removesuffix(column.custom)}{_CUSTOM}[{place}]"] = column.name
        packed = _packed(body, "", "", places)
        return packed, faults, {here: labels.get(was, was) for here, was in places.items()}

    def _resolve(self, name: str) -> Column | None:
        if not _PATH.fullmatch(name):
            return None
        schema = self._schema
        path: list[str | int] = []
        steps = [(match[1], match[2]) for match in _STEP.finditer(name)]
        for position, (field, place) in enumerate(steps):
            last = position == len(steps) - 1
            fields = self._rules.get(schema, {})
            rule = fields.get(field)
            if rule is None:
                custom = last and not place and field.startswith("cf_") and len(field) > 3 and _CUSTOM in fields
                return Column(name, tuple(path), Rule(kind="any"), field) if custom else None
            path.append(field)
            kind, schema = rule.kind, rule.schema
            if kind == "array":
                if place is None:
                    return Column(name, tuple(path), rule, branch=True) if last else None
                path.append(int(place))
                rule = Rule(kind=cast("Kind", rule.items or "any"))
                kind = rule.kind
            elif place is not None:
                return None
            if kind == "object" and schema:
                if last:
                    return Column(name, tuple(path), rule, branch=True)
                continue
            return Column(name, tuple(path), rule) if last else None
        return None

    def _names(self, schema: str, prefix: str, above: tuple[str, ...]) -> Iterator[str]:
        for field, rule in self._rules.get(schema, {}).items():
            path = f"{prefix}{field}" + ("[0]" if rule.kind == "array" else "")
            nested = rule.schema and "object" in {rule.kind, rule.items}
            if not nested:
                yield path
            elif rule.schema not in above:
                yield from self._names(rule.schema, f"{path}.", (*above, schema))

    def _leaves(self, schema: str, prefix: str, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        fields = self._rules.get(schema, {})
        for key, value in values.items():
            rule = fields.get(key)
            path = f"{prefix}{key}"
            if rule is not None and rule.kind == "object" and rule.schema and is_mapping(value):
                yield from self._leaves(rule.schema, f"{path}.", value)
            elif rule is not None and rule.kind == "array" and is_list(value):
                for place, item in enumerate(value):
                    if rule.items == "object" and rule.schema and is_mapping(item):
                        yield from self._leaves(rule.schema, f"{path}[{place}].", item)
                    else:
                        yield f"{path}[{place}]", item
            else:
                yield path, value


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
    if is_mapping(cell) or is_list(cell):
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
    if is_list(value):
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


def _put(body: dict[str, Any], path: tuple[str | int, ...], value: Any) -> None:
    """Sets a value; lists are dicts by place until the whole row is read, for places may come in any order."""
    node: dict[Any, Any] = body
    for step in path[:-1]:
        node = node.setdefault(step, {})
    node[path[-1]] = value


def _packed(node: Any, path: str, column: str, places: dict[str, str]) -> Any:
    """Turns dicts by place into lists, closing gaps, and notes where a place moved."""
    if not is_mapping(node):
        return node
    members: Mapping[Any, Any] = node
    if members and all(isinstance(key, int) for key in members):
        out: list[Any] = []
        for place in sorted(members, key=int):
            here, was = f"{path}[{len(out)}]", f"{column}[{place}]"
            if here != was:
                places[here] = was
            out.append(_packed(members[place], here, was, places))
        return out
    return {
        key: _packed(member, f"{path}.{key}" if path else str(key), f"{column}.{key}" if column else str(key), places)
        if isinstance(member, dict)
        else member
        for key, member in members.items()
    }


def customs_twice(body: Mapping[str, Any], prefix: str = "") -> list[Fault]:
    """A fault for every custom field that a body sets more than once, however it was written."""
    faults: list[Fault] = []
    for name, value in body.items():
        if is_mapping(value):
            if name != _CUSTOM:
                faults += customs_twice(value, f"{prefix}{name}.")
        elif not is_list(value):
            continue
        elif name != _CUSTOM:
            for place, item in enumerate(value):
                if is_mapping(item):
                    faults += customs_twice(item, f"{prefix}{name}[{place}].")
        elif len(value) > 1:
            for key in ("api_name", "customfield_id"):
                given = Counter(str(one[key]) for one in value if is_mapping(one) and one.get(key))
                faults += [
                    Fault(path=f"{prefix}{one}", rule="twice", message="is given twice")
                    for one, times in given.items()
                    if times > 1
                ]
    return faults


def original(path: str, places: Mapping[str, str]) -> str:
    """The column that a path in the body came from, by the third part of what `Columns.read` returns."""
    for here, was in places.items():
        if path == here or path.startswith((f"{here}.", f"{here}[")):
            # Inside a custom field's object there are only its name and value: the column says all.
            return was if was.rpartition(".")[2].startswith("cf_") else was + path[len(here) :]
    return path
