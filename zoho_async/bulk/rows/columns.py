"""Maps columns to fields of a request body, by the generated rule tables of any resource.

A column is the path of a field: `contact_name`, `billing_address.city`, `contact_persons[0].email`; where a record
has custom fields, `cf_anything` is one of them by its API name. Rows may be flat (CSV) or nested (JSON Lines); a
nested row is flattened to the same paths first.
"""

from __future__ import annotations

import difflib
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, cast

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import UnknownColumnError, printable
from zoho_async.bulk.source.files import LONGEST
from zoho_async.bulk.source.text import comparable, joined, strip_all, strip_blanks
from zoho_async.errors import Fault
from zoho_async.schema.validation import Kind, Rule, Rules

from .cells import InvalidCell, convert

_PATH = re.compile(r"[^.\[\]]+(\[\d{1,4}\])?(\.[^.\[\]]+(\[\d{1,4}\])?)*")
_STEP = re.compile(r"([^.\[\]]+)(?:\[(\d+)\])?")
_PATH_LIKE = re.compile(r"[.\[]\w")
_CUSTOM = "custom_fields"
_LISTED = 20
"""Unknown columns that a message names."""


class Column(msgspec.Struct, frozen=True):
    """One column, resolved.

    Attributes:
        name: As the row has it.
        path: Steps into the body; an `int` is a place in a list.
        rule: Of the field.
        parents: The steps before the last one.
        takes_text: Whether any text is a value of it.
        custom: API name of the custom field it sets; `path` then leads to the record that has the field.
        branch: Whether it is an object or a list, whose members are the columns.
    """

    name: str
    path: tuple[str | int, ...]
    rule: Rule
    custom: str = ""
    branch: bool = False
    parents: tuple[str | int, ...] = ()
    takes_text: bool = False

    @classmethod
    def of(cls, name: str, path: Sequence[str | int], rule: Rule, *, custom: str = "", branch: bool = False) -> Column:
        """The column of a path."""
        steps = tuple(path)
        return cls(name, steps, rule, custom, branch, steps[:-1], rule.kind in ("string", "any"))


class Columns:
    """The columns that the body of one request may have.

    Args:
        rules: The product's generated tables.
        schema: Name of the request struct in them.
    """

    def __init__(self, rules: Rules, schema: str) -> None:
        self._rules = rules
        self._schema = schema
        self._known: dict[str, Column | None] = {}
        self._hints: dict[str, str] = {}

    def column(self, name: str) -> Column | None:
        """The column of that name; None when it names no field that one cell can set."""
        found = self.field(name)
        return None if found is None or found.branch else found

    def field(self, name: str) -> Column | None:
        """The column, object or list of that name; None when there is none. Only a nested row has the latter two."""
        if name not in self._known:
            self._known[name] = self._resolve(name)
        return self._known[name]

    def require(self, names: Iterable[str], *, where: str) -> None:
        """Raises UnknownColumnError, which names unknown columns and the nearest known ones; `where` is the file."""
        unknown = [name for name in dict.fromkeys(names) if self.column(name) is None]
        if unknown:
            words = "; ".join(f"`{printable(name, 100)}`{self.hint(name)}" for name in unknown[:_LISTED])
            if len(unknown) > _LISTED:
                words += f" and {len(unknown) - _LISTED:,} others"
            raise UnknownColumnError(f"{where}: unknown column{'s' * (len(unknown) > 1)} {words}", unknown)

    def hint(self, name: str) -> str:
        """The nearest known names, as the end of a sentence; empty when none is near."""
        if name not in self._hints:
            wanted = re.sub(r"\W+(?![\d\]])", "_", name.casefold()) if not _PATH_LIKE.search(name) else name
            wanted = re.sub(r"\[\d*\]", "[0]", wanted)
            word = comparable(name)
            near = [one for one in self.names() if "." in one and comparable(one.rpartition(".")[2]) == word][:3]
            near = near or difflib.get_close_matches(wanted, self.names(), n=3, cutoff=0.6)
            self._hints[name] = f" (did you mean {' or '.join(f'`{one}`' for one in near)}?)" if near else ""
        return self._hints[name]

    def names(self) -> list[str]:
        """Every column there is, lists with place 0, custom fields left out."""
        return list(self._names(self._schema, "", ()))

    def leaves(self, values: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
        """A row, flat or nested, as pairs of column and cell; keys that name no field are kept."""
        return self._leaves(self._schema, "", values)

    def read(self, values: Mapping[str, Any]) -> tuple[dict[str, Any], list[Fault], dict[str, str]]:
        """Converts one row to a request body. Empty cells, nulls and invalid cells are left out.

        Returns:
            The body; every validation error; and the column of each path in the body that differs from it (custom
            fields, and lists whose first places are empty).
        """
        body: dict[str, Any] = {}
        nodes: dict[tuple[str | int, ...], dict[Any, Any]] = {(): body}
        faults: list[Fault] = []
        customs: list[tuple[Column, Any]] = []
        seen: set[str] = set()
        # Text has nothing nested: rows of CSV need no flattening.
        text = joined(values.values())
        flat, plain = text is not None, text is not None and text.isascii() and len(text) < LONGEST
        flat_cells = zip(values, strip_all(values.values(), text or ""), strict=True)
        for name, given in flat_cells if flat else self.leaves(values):
            # Written as it is matched: blanks would rename the record.
            cell = given if flat or not isinstance(given, str) else strip_blanks(given)
            if cell is None or cell == "":
                continue
            if isinstance(cell, InvalidCell):
                faults.append(cell.fault(name))
                continue
            column = self._known.get(name) or self.field(name)
            if column is None:
                faults.append(Fault(path=name, rule="unknown", message=f"is no known field{self.hint(name)}"))
                continue
            if not flat:
                if name in seen:
                    faults.append(Fault(path=name, rule="twice", message="occurs twice, nested and as a column"))
                    continue
                seen.add(name)
            if column.takes_text and (plain or (type(cell) is str and cell.isascii() and len(cell) < LONGEST)):
                value = cell
            else:
                value = convert(column.rule, cell)
                if isinstance(value, InvalidCell):
                    faults.append(value.fault(name))
                    continue
            if column.custom:
                customs.append((column, value))
            else:
                node = nodes.get(column.parents)
                if node is None:
                    node = nodes[column.parents] = _node(body, column.parents)
                node[column.path[-1]] = value
        labels: dict[int, str] = {}
        # After every numbered place: custom fields may also be given as a list of objects.
        for place, (column, value) in enumerate(customs, 10_000):
            _node(body, (*column.path, _CUSTOM))[place] = {"api_name": column.custom, "value": value}
            labels[place] = column.name
        places: dict[str, str] = {}
        _pack(body, "", "", places, labels)
        return body, faults, places

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
                return Column.of(name, path, Rule(kind="any"), custom=field) if custom else None
            path.append(field)
            kind, schema = rule.kind, rule.schema
            if kind == "array":
                if place is None:
                    return Column.of(name, path, rule, branch=True) if last else None
                path.append(int(place))
                rule = Rule(kind=cast("Kind", rule.items or "any"))
                kind = rule.kind
            elif place is not None:
                return None
            if kind == "object" and schema:
                if last:
                    return Column.of(name, path, rule, branch=True)
                continue
            return Column.of(name, path, rule) if last else None
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
            elif rule is not None and rule.kind == "array" and is_sequence(value):
                for place, item in enumerate(value):
                    if rule.items == "object" and rule.schema and is_mapping(item):
                        yield from self._leaves(rule.schema, f"{path}[{place}].", item)
                    else:
                        yield f"{path}[{place}]", item
            else:
                yield path, value


def header_hint(names: Sequence[str]) -> str:
    """What may be wrong with a whole header, as the end of a sentence; empty when its names look like names."""
    only = names[0] if len(names) == 1 else ""
    separator = next((one for one in "^~:\x1f\xa6" if only.count(one) > 1), "")
    if separator:
        return f"; if {separator!r} separates its cells, a mapping must say so ([read] separator)"
    if re.search(r"[,;\t|]", only):
        return "; each of its lines looks like one quoted cell: remove the outer quotes"
    if "  " in only:
        return "; if its columns have a fixed width, save it as CSV"
    if any(re.fullmatch(r"[\d\s.,/:+-]*\d[\d\s.,/:+-]*|[^@\s]+@[^@\s]+\.[^@\s]+", name) for name in names):
        return "; the first line looks like a row, not like a header: write one above it"
    return ""


def _node(body: dict[Any, Any], path: tuple[str | int, ...]) -> dict[Any, Any]:
    """The object or list at a path; lists are dicts by place until the whole row is read: places come in any order."""
    for step in path:
        body = body.setdefault(step, {})
    return body


def _pack(node: dict[str, Any], path: str, column: str, places: dict[str, str], labels: Mapping[int, str]) -> None:
    """Turns dicts by place into lists without gaps; `places` gets the column of what is at another place."""
    for key, member in node.items():
        if not isinstance(member, dict):
            continue
        inner: dict[Any, Any] = node[key]
        here = f"{path}.{key}" if path else key
        was = here if column == path else f"{column}.{key}"
        if not (inner and isinstance(next(iter(inner)), int)):
            _pack(inner, here, was, places, labels)
            continue
        items: list[Any] = []
        for place, item in sorted(inner.items()):
            now = f"{here}[{len(items)}]"
            before = labels.get(place) or f"{was}[{place}]"
            if now != before:
                places[now] = before
            if isinstance(item, dict):
                _pack(inner[place], now, before, places, labels)
            items.append(item)
        node[key] = items


def duplicate_custom_fields(body: Mapping[str, Any], prefix: str = "") -> list[Fault]:
    """A validation error for every custom field that a body sets more than once, in whatever form."""
    faults: list[Fault] = []
    for name, value in body.items():
        if isinstance(value, str):
            continue
        if is_sequence(value):
            if name != _CUSTOM:
                for place, item in enumerate(value):
                    if is_mapping(item):
                        faults += duplicate_custom_fields(item, f"{prefix}{name}[{place}].")
            elif len(value) > 1:
                for key in ("api_name", "customfield_id"):
                    given = Counter(str(one[key]) for one in value if is_mapping(one) and one.get(key))
                    faults += [
                        Fault(path=f"{prefix}{one}", rule="twice", message="occurs twice")
                        for one, times in given.items()
                        if times > 1
                    ]
        elif name != _CUSTOM and is_mapping(value):
            faults += duplicate_custom_fields(value, f"{prefix}{name}.")
    return faults


def original(path: str, places: Mapping[str, str]) -> str:
    """The column that a path in the body came from, by the third part of what `Columns.read` returns."""
    for here, was in places.items():
        if path == here or path.startswith((f"{here}.", f"{here}[")):
            # A custom field's object has only name and value: the column is enough.
            return was if was.rpartition(".")[2].startswith("cf_") else was + path[len(here) :]
    return path
