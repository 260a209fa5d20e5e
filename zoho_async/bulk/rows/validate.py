"""Rows to work items: columns, types, rules and the key of each row. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterable, Collection, Iterable, Iterator, Mapping, Sequence
from decimal import Decimal
from itertools import islice
from os import PathLike
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import InputError, UnknownColumnError
from zoho_async.bulk.source.files import ADDED, ADDED_LINE, Row, RowFile, strip_blanks
from zoho_async.bulk.source.mapping import preset_hint
from zoho_async.bulk.source.text import listed
from zoho_async.errors import Fault
from zoho_async.schema.suggestions import did_you_mean
from zoho_async.schema.validation import Rule, validate
from zoho_async.wire.encoding import to_builtins

from .cells import InvalidCell, convert, mangled, nested, unread
from .columns import Columns, duplicate_custom_fields, header_hint, original
from .intake import TAKEN, Intake
from .matching import matchable
from .options import Options
from .rejection_tags import still_rejected
from .resource import Destination
from .warnings import is_scientific

LONGEST_KEY = 4_000
"""Bytes of a key that an upsert carries in a header; servers refuse headers of 8 kB as a whole."""

_ID = Rule(kind="id")

_canonical = msgspec.json.Encoder(order="deterministic", decimal_format="string")


class WorkItem(msgspec.Struct, kw_only=True, omit_defaults=True):
    """One row, ready: what would be sent, or why nothing will be."""

    row: Row
    body: dict[str, Any] = msgspec.field(default_factory=dict[str, Any])
    cleared: tuple[str, ...] = ()
    """Columns whose cells are empty and shall empty the record's fields."""
    places: dict[str, str] = msgspec.field(default_factory=dict[str, str])
    """From a path in the body to its column, where they differ."""
    faults: tuple[Fault, ...] = ()
    missing: tuple[Fault, ...] = ()
    """What a new record needs and the row does not give; an update does without."""
    record_id: str = ""
    """The record's own id, where the row carries it."""
    key_field: str = ""
    """The field that is the row's key."""
    key: str = ""
    """Its value."""
    name: str = ""
    name_field: str = ""
    by_name: bool = False
    """Whether its key is the natural name."""
    name_scope: str = ""
    """Within which the name must be unique."""
    name_scope_given: bool = False
    """Whether the row itself says its name scope."""
    parent: str = ""
    """Id of the record it belongs to."""
    key_scope: str = ""
    """Within which the key is unique: the parent, or the scope of names."""
    content_hash: str = ""
    """Hash of what the row says."""
    row_key: str = ""
    """What the state calls it."""
    display_key: str = ""
    """What people know the row by: its key, or the name it is sent under."""
    renamed: bool = False
    hint: str = ""
    """What can be done when its name or key is taken."""


class RowReader:
    """Rows to work items for one destination, under the options of a push."""

    def __init__(self, destination: Destination, options: Options) -> None:
        self.destination = destination
        self.options = options
        self.columns: Columns = destination.columns
        self.intake = Intake(destination)
        self._schema: Any = destination.schema
        self._natural = destination.natural
        self._name = destination.natural.name
        self._parent = destination.natural.parent
        self._id = destination.record_id
        self._key_field = options.field or destination.natural.field
        self._of_person = options.match_by == "email" and "email" not in destination.fields

    def check(self, source: RowFile) -> None:
        """Raises InputError for a file with unknown columns, or without the column rows are matched by."""
        name = str(source.path)
        mapping, resource = source.mapping
        if resource and resource != self.destination.name:
            wanted, other = (one.replace(".", " ") for one in (resource, self.destination.name))
            raise InputError(
                f"{name}: the mapping {mapping} is for {wanted}, not for {other}; make one of your own for that, as "
                f"`zoho-async map FILE {other}` drafts it"
            )
        try:
            found, notes = self.intake.check(source.fields) if source.fields else self._keys(source)
        except InputError as error:
            raise InputError(f"{name}: {error}") from None
        for note in notes:
            source.note(note)
        source.columns_checked = True
        names = dict.fromkeys(found)
        try:
            self.columns.require((one for one in names if one not in {*ADDED, ADDED_LINE, self._id}), where=name)
        except UnknownColumnError as error:
            taken = "".join(f"; {note}" for note in notes if note.startswith(TAKEN))
            raise UnknownColumnError(f"{error}{self._hint(source, error.columns) or taken}", error.columns) from None
        field = self.options.field
        if field and field not in names and not (self._of_person and any(one.endswith(".email") for one in names)):
            hint = did_you_mean(field, names, most=1)
            text = f"{name}: there is no column `{field}`, by which rows are to be matched"
            raise InputError(text + (f"; {hint}" if hint else ""))
        if source.columns and self._name and self._name not in names and self._id not in names and not field:
            raise InputError(
                f"{name}: there is no column `{self._name}`, which every record must have; it has "
                f"{listed(source.columns)}; `zoho-async map FILE` drafts a mapping that says which it is"
                f"{self._hint(source, source.columns)}"
            )

    def _hint(self, source: RowFile, names: Sequence[str]) -> str:
        """What may be wrong with a header, as the end of a sentence."""
        preset = preset_hint(source.columns, self.destination.name) if not source.mapping[0] else ""
        return preset or header_hint(names)

    def _keys(self, source: RowFile) -> tuple[list[str], list[str]]:
        """The columns of rows that each name their own, and what to say about them."""
        keys: dict[str, None] = {}
        given: dict[str, None] = {}
        for row in source:
            values = self.intake.values(row.values)
            # An object or list with a wrong value is a fault of its row; only unknown names make the file invalid.
            keys.update(
                (name, None)
                for name, _ in self.columns.leaves(values)
                if (field := self.columns.field(name)) is None or not field.branch
            )
            keys.update(dict.fromkeys(_custom_names(values)))
            given.update((name, None) for name, _ in self.columns.leaves(row.values))
        _, notes = self.intake.check(given)
        return [name for name in keys if not self.intake.is_reference(name)], notes

    def read(self, row: Row) -> WorkItem:
        """One row as a work item, with every fault it has."""
        if row.fault:
            return WorkItem(row=row, faults=(Fault(path=row.field, rule="unreadable", message=row.fault),))
        if row.identity and still_rejected(row, self.options, by_id=bool(self._own_id(self.named(row))[0])):
            message = "is the same as another row of the input it came from; change or delete it"
            rule = "duplicate" if self.options.field or not self._name else "name_taken"
            fault = Fault(path=self._key_field, rule=rule, message=message)
            return WorkItem(row=row, row_key=row.identity, faults=(fault,))
        try:
            return self._read(row)
        except Exception as error:  # noqa: BLE001 - whatever a caller puts into a row, it must not harm the others
            message = f"cannot be read: {str(error) or type(error).__name__}"
            return WorkItem(row=row, faults=(Fault(path="", rule="unreadable", message=message),))

    def _read(self, row: Row) -> WorkItem:
        if (mark := unread(row.values)) is not None:
            names: Mapping[Any, Any] = row.values if is_mapping(row.values) else dict[Any, Any]()
            path = next((str(name) for name, cell in names.items() if mark[0] in str(cell)), "")
            message = f"holds {mark[0]} in place of what could not be read; write the text itself"
            return WorkItem(row=row, faults=(Fault(path=path, rule="unreadable", message=message),))
        record_id, faults, values = self._own_id(self.named(row))
        places: dict[str, str] = {}
        body: dict[str, Any] = {}
        cleared: tuple[str, ...] = ()
        given: Collection[Any] = ()
        if isinstance(values, msgspec.Struct):
            found = nested(values)
            if isinstance(found, InvalidCell):
                return WorkItem(row=row, faults=(found.fault(""),))
            given = frozenset(found)
            nulls: list[str] = []
            body = _without_nulls(to_builtins(found), "", "", nulls, places)
            if self.options.empty == "clear":
                cleared = tuple(nulls)
        else:
            body, wrong_cells, places = self.columns.read(values)
            faults += wrong_cells
            given = values
            if self.options.empty == "clear":
                cleared = tuple(self._cleared(values))
        faults += duplicate_custom_fields(body)
        wrong = {fault.path for fault in faults}
        missing: list[Fault] = []
        updates = bool(self.options.field or record_id)
        for fault in validate(body, type=self._schema):
            path = original(fault.path, places)
            if fault.warning or path in wrong:
                continue
            own_fault = Fault(path=path, rule=fault.rule, message=fault.message)
            # A column the input does not have may stand in the record already; an empty cell in it is a mistake.
            later = fault.rule == "required" and updates and path not in given and path in self.destination.fields
            (missing if later else faults).append(own_fault)
        item = WorkItem(
            row=row, body=body, cleared=cleared, places=places, missing=tuple(missing), name_field=self._name
        )
        item.content_hash = (
            content_hash_of(body) if not cleared else content_hash_of({"body": body, "cleared": cleared})
        )
        item.name = strip_blanks(str(body.get(self._name) or "")) if self._name else ""
        scope = self._natural.name_scope
        item.name_scope_given = bool(scope and body.get(scope))
        item.name_scope = str(body.get(scope) or self._natural.default_name_scope) if scope else ""
        if self._parent:
            item.parent = str(body.get(self._parent) or "")
            if not item.parent and self._parent not in wrong:
                faults.append(Fault(path=self._parent, rule="required", message="is required: it belongs to that one"))
        item.record_id = record_id
        problem = self._identify(item) if self._id not in wrong else None
        if problem is not None and problem.path not in {fault.path for fault in faults}:
            faults.append(problem)
        item.faults = tuple(faults)
        return item

    def named(self, row: Row) -> Any:
        """The cells of a row under the names of columns."""
        if not is_mapping(row.values):
            return row.values
        # Of the files that a pull writes only CSV has apostrophes before formulas.
        return self.intake.values(row.values, row.reading, escaped=isinstance(row.raw, list))

    def _own_id(self, values: Any) -> tuple[str, list[Fault], Any]:
        """The record's own id, what is wrong with it, and the row without it: no request has it in its body."""
        if not is_mapping(values) or self._id not in values:
            return "", [], values
        cell = values[self._id]
        rest = {name: value for name, value in values.items() if name != self._id}
        if cell is None or (isinstance(cell, str) and not strip_blanks(cell)):
            return "", [], rest
        value = convert(_ID, cell)
        if isinstance(value, InvalidCell):
            return "", [value.fault(self._id)], rest
        return str(value), [], rest

    def _identify(self, item: WorkItem) -> Fault | None:
        """Gives a row its key; the fault when it has none."""
        if item.record_id:
            item.key_field, item.key = self._id, item.record_id
            item.row_key, item.display_key = row_key(self._id, item.key), item.key
            return None
        item.key_field = self._key_field
        item.key, problem = self._key(item.body)
        if problem is not None:
            return problem
        item.by_name = bool(self._name) and not self.options.field
        item.key_scope = item.name_scope if item.by_name else item.parent
        # With a suffix, rows of one name differ by it.
        value = (item.by_name and self._suffixed(item)) or item.key
        item.row_key = row_key(item.key_field, value, item.key_scope)
        item.display_key = f"{item.parent}/{item.key}" if item.parent else item.key
        return None

    def _key(self, body: Mapping[str, Any]) -> tuple[str, Fault | None]:
        name, by_natural = self._key_field, not self.options.field
        value = _primary_email(body) if self._of_person else _value(body, name)
        if value is None or value == "" or (by_natural and not strip_blanks(str(value))):
            reason = "rows are matched by it"
            if by_natural and self._parent:
                reason = f"within its contact a person is known by it, or by {self._id}"
            return "", Fault(path=name, rule="required", message=f"is required: {reason}")
        is_number = name.startswith("cf_") or (not by_natural and is_scientific(str(value)))
        if is_number and (problem := mangled(value)) is not None:
            return "", Fault(path=name, rule=problem.rule, message=problem.message)
        if isinstance(value, Decimal):
            value = format(value, "f")
        if isinstance(value, bool) or not isinstance(value, str | int):
            return "", Fault(path=name, rule="type", message="must be text or a whole number: rows are matched by it")
        text = str(value)
        if not self.options.upsert_by:
            # Not an upsert's header: blanks around it are no part of it, and addresses know no case.
            text = matchable(value, name)
        if by_natural:
            return text, None
        if text != strip_blanks(text) or not text.isprintable() or not text:
            message = "must not begin or end with a blank or hold line breaks: rows are matched by it"
            return "", Fault(path=name, rule="key", message=message)
        if self.options.upsert_by and len(text.encode()) > LONGEST_KEY:
            message = f"must be at most {LONGEST_KEY:,} bytes, has {len(text.encode()):,}: rows are matched by it"
            return "", Fault(path=name, rule="key", message=message)
        return text, None

    def _cleared(self, values: Mapping[str, Any]) -> Iterator[str]:
        for name, cell in self.columns.leaves(values):
            empty = cell is None or (isinstance(cell, str) and not strip_blanks(cell))
            # An object that is null stands for all its members.
            if empty and self.columns.field(name) is not None:
                yield name

    def rename(self, item: WorkItem) -> Fault | None:
        """Puts the suffix behind the item's name; the fault when that cannot be."""
        field = self.options.suffix_field
        name = self._suffixed(item)
        if not name:
            return Fault(path=field, rule="required", message="is required: it is put behind a name that is taken")
        limit = self.destination.fields[self._name].max_length
        if limit is not None and len(name) > limit:
            message = f"with the suffix must be at most {limit} characters, has {len(name)}"
            return Fault(path=self._name, rule="max_length", message=message)
        item.name, item.renamed = name, True
        item.body = {**item.body, self._name: name}
        if item.by_name:
            item.display_key = name
        return None

    def _suffixed(self, item: WorkItem) -> str:
        """The item's name with its suffix; empty without one."""
        field = self.options.suffix_field
        suffix = strip_blanks(str(_at(item.body, self.columns, field) or "")) if field else ""
        return f"{item.name} ({suffix})" if suffix else ""


def row_key(field: str, value: str, within: str = "") -> str:
    """What the state calls the row of a key. `within`: its parent, or the scope of its name."""
    return f"{field}={value}@{within}" if within else f"{field}={value}"


def full_name_key(body: Mapping[str, Any], parent: str) -> str:
    """What an earlier version called a person without e-mail; empty for one without a name."""
    names = (strip_blanks(str(body.get(field) or "")) for field in ("first_name", "last_name"))
    name = " ".join(filter(None, names))
    return f"{parent}/{name}" if parent and name else ""


def keyed_by(key: str) -> str:
    """The field whose value a row key holds; empty for one of an earlier version that holds none."""
    field, equals, _ = key.partition("=")
    return field if equals else ""


def content_hash_of(body: Mapping[str, Any]) -> str:
    """Hash of a body, the order of its fields aside."""
    return hashlib.sha256(_canonical.encode(body)).hexdigest()[:32]


def custom_value(fields: Any, name: str) -> Any:
    """The value of a custom field in a list of them, by API name; None when it is not there."""
    if not is_sequence(fields):
        return None
    return next((one.get("value") for one in fields if is_mapping(one) and one.get("api_name") == name), None)


def _value(body: Mapping[str, Any], name: str) -> Any:
    return custom_value(body.get("custom_fields"), name) if name.startswith("cf_") else body.get(name)


def _primary_email(body: Mapping[str, Any]) -> Any:
    persons: Any = body.get("contact_persons")
    if not is_sequence(persons):
        return None
    known: list[Mapping[str, Any]] = [one for one in persons if is_mapping(one)]
    main = next((one for one in known if one.get("is_primary_contact") is True), known[0] if known else {})
    return main.get("email")


def _at(body: Mapping[str, Any], columns: Columns, name: str) -> Any:
    column = columns.column(name)
    node: Any = body
    for step in column.path if column is not None else ():
        if isinstance(step, str):
            node = node.get(step) if is_mapping(node) else None
        else:
            node = node[step] if is_sequence(node) and step < len(node) else None
    if column is not None and column.custom:
        return custom_value(node.get("custom_fields") if is_mapping(node) else None, column.custom)
    return node


def _without_nulls(value: Any, here: str, was: str, nulls: list[str], places: dict[str, str]) -> Any:
    """A struct's body without what is null, as `Columns.read` leaves empty cells out; UNSET when nothing remains.

    `nulls` gets the paths of what is left out, `places` where a list's item is now and where it was.
    """
    if value is None:
        nulls.append(was)
        return msgspec.UNSET
    if is_mapping(value):
        members: dict[str, Any] = {}
        for name, item in value.items():
            joint = f".{name}" if was else name
            # What a custom field holds may have any form.
            whole = name == "value" and item is not None
            kept = item if whole else _without_nulls(item, f"{here}{joint}", f"{was}{joint}", nulls, places)
            if kept is not msgspec.UNSET:
                members[name] = kept
        return members if members or not value or not was else msgspec.UNSET
    if is_sequence(value):
        items: list[Any] = []
        for place, item in enumerate(value):
            now, before = f"{here}[{len(items)}]", f"{was}[{place}]"
            kept = _without_nulls(item, now, before, nulls, places)
            if kept is not msgspec.UNSET:
                items.append(kept)
                if now != before:
                    places[now] = before
        return items if items or not value else msgspec.UNSET
    return value


def _custom_names(values: Any) -> list[str]:
    fields: Any = values.get("custom_fields") if is_mapping(values) else None
    return (
        [str(one["api_name"]) for one in fields if is_mapping(one) and "api_name" in one] if is_sequence(fields) else []
    )


def batched(rows: Iterable[Any], size: int) -> Iterator[list[Row]]:
    """The rows of an input, so many at a time."""
    # A file numbers its rows itself: some of them may be left out.
    numbered = ((row.number, row) for row in rows) if isinstance(rows, RowFile) else enumerate(rows, 1)
    while batch := [row_of(values, number) for number, values in islice(numbered, size)]:
        yield batch


def check_rows(rows: Any) -> None:
    """Raise TypeError for a path or a single record in the place of rows."""
    if isinstance(rows, str | bytes | PathLike):
        raise TypeError(f"rows is a path or text; bulk.open_rows({rows!r}) reads the rows of a file")
    if isinstance(rows, Mapping | msgspec.Struct):
        raise TypeError("rows is one record: put it into a list")
    if not isinstance(rows, Iterable | AsyncIterable):
        raise TypeError(f"rows must be an iterable or async iterable of rows, not {type(rows).__name__}")


def row_of(values: Any, number: int) -> Row:
    """A row of the input, by its place in it; one that is no row says so."""
    if isinstance(values, Row):
        return values if values.number == number else msgspec.structs.replace(values, number=number)
    if isinstance(values, Mapping | msgspec.Struct):
        return Row(number=number, values=values)
    return Row(number=number, fault=f"is no mapping and no request struct, but {type(values).__name__}")
