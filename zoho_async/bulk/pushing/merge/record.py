"""Merging one record by one row. Pure.

Parts of a record that an update replaces, or may replace, are sent with what the record has:

- `contact_persons`: the list of an update is the new list, so it holds every person of the record, or is not sent.
- an address: Zoho does not document whether it is replaced or patched, so it is sent whole or not at all.
- `tags`: sent together with those of the record.

Everything else is sent field by field, only where it differs.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping
from zoho_async.bulk.rows.columns import original
from zoho_async.errors import Fault
from zoho_async.schema.types import secret_fields, secret_repr
from zoho_async.schema.validation import Rule, Rules

from .compare import is_blank, is_empty, same, text
from .objects import (
    NEVER_CLEARED,
    Difference,
    MergedField,
    ObjectMerger,
    kept,
    objects_in,
    overlaid,
    sendable,
    shown,
)
from .persons import PERSONS, merge_persons

_CUSTOM = "custom_fields"
_PATCHED = frozenset({"default_templates"})
"""Objects of which only the members that differ are sent."""
_CUSTOM_KEYS = ("api_name", "customfield_id", "index", "label")
"""The members that identify a custom field, the best first."""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What a row changes in a record; not to be sent where there are `faults`.

    Attributes:
        changes: The body of the update; empty when nothing differs. It may share values with the row.
        differences: What `changes` changes, value by value; without `left_out`.
        left_out: Fields that the update does not take, and whose value differs or is not in the record.
        faults: Why the row cannot be merged with this record.
    """

    changes: dict[str, Any]
    differences: tuple[Difference, ...] = ()
    left_out: tuple[str, ...] = ()
    faults: tuple[Fault, ...] = ()

    @property
    def warning(self) -> str:
        """The fields of `left_out` as a message; empty if there are none."""
        return f"an update does not take {', '.join(self.left_out)}: not changed" if self.left_out else ""

    def __repr__(self) -> str:
        return secret_repr(self, ("changes",))

    def __rich_repr__(self) -> list[tuple[str, Any]]:
        return secret_fields(self, ("changes",))


def merge(
    record: Mapping[str, Any],
    body: Mapping[str, Any],
    *,
    cleared: Collection[str] = (),
    rules: Rules,
    schema: str,
    places: Mapping[str, str] | None = None,
) -> Merged:
    """The smallest safe update of a record by a row; neither of them is changed.

    Once the update is applied, the same merge changes nothing.

    Args:
        record: The record as Zoho returns it. A value of another kind than its field's counts as empty.
        body: The row as a request body, as `Columns.read` makes it. None or "" clears a field.
        cleared: Columns to clear where the body does not set them.
        rules: The product's rule tables.
        schema: Name of the update's request struct in `rules`.
        places: The third part of what `Columns.read` returns; needed where the row leaves places of a list empty.

    Returns:
        The changes, the single differences, the fields left out, and the faults.

    Raises:
        KeyError: `schema` is unknown.
    """
    fields = rules[schema]
    merger = _Merger(record, rules, cleared, places or {})
    merged_fields: dict[str, MergedField] = {}
    left_out: list[str] = []
    for name in dict.fromkeys([*body, *(_field_of(path, fields) for path in cleared)]):
        merged = merger.merge_field(name, body, fields.get(name))
        left_out += merged.left_out
        if name in fields:
            merged_fields[name] = merged
        elif merged.differences:
            left_out.append(name)
    differences = [one for merged in merged_fields.values() for one in merged.differences]
    faults = [fault for merged in merged_fields.values() for fault in merged.faults]
    changes = {
        name: merged.value for name, merged in merged_fields.items() if merged.differences or fields[name].required
    }
    for name, rule in fields.items():
        if rule.required and changes.get(name) is None:
            changes.pop(name, None)
            if any(one.path == name for one in differences):
                faults.append(Fault(path=name, rule="required", message="is required and cannot be emptied"))
            if not is_empty(known := sendable(record.get(name), rule, rules)):
                changes[name] = known
    return Merged(
        changes=changes if differences else {},
        differences=tuple(differences),
        left_out=tuple(dict.fromkeys(left_out)),
        faults=tuple(faults),
    )


def _field_of(path: str, fields: Mapping[str, Rule]) -> str:
    """The field of the body that a column belongs to."""
    head = re.split(r"[.\[]", path, maxsplit=1)[0]
    return _CUSTOM if head == path and head.startswith("cf_") and head not in fields else head


class _Merger(ObjectMerger):
    """Merges the fields of one row into one record."""

    def __init__(
        self, record: Mapping[str, Any], rules: Rules, cleared: Collection[str], places: Mapping[str, str]
    ) -> None:
        super().__init__(rules, cleared, places)
        self._record = record

    def merge_field(self, name: str, body: Mapping[str, Any], rule: Rule | None) -> MergedField:
        """Merges one field of the body; `rule` is None when the update does not take it."""
        given = body.get(name)
        if name == PERSONS:
            return merge_persons(self, self._record.get(PERSONS), given, rule)
        if name == _CUSTOM:
            return self._custom_fields(given)
        if name == "tags":
            return self._tags(given, rule)
        whole = name in body or name in self.cleared
        inside = any(path.startswith(f"{name}.") for path in self.cleared)
        if is_mapping(given) or (is_blank(given) and inside and not whole):
            return self._object(name, given, rule)
        if is_blank(given) and (not whole or name in NEVER_CLEARED):
            return MergedField()
        if is_blank(given) and (is_mapping(self._record.get(name)) or (rule is not None and rule.kind == "object")):
            return self._object(name, self._cleared_members(name, rule), rule)
        merged = MergedField(value=None if is_blank(given) else given)
        self.compare(merged, name, shown(self._record, name), given, rule)
        return merged

    def _cleared_members(self, name: str, rule: Rule | None) -> dict[str, None]:
        """All members of an object, to be cleared."""
        before = self._record.get(name)
        members = self.members(rule)
        names = members if members is not None else before if is_mapping(before) else ()
        return dict.fromkeys(member for member in names if member not in NEVER_CLEARED)

    def _object(self, name: str, given: Any, rule: Rule | None) -> MergedField:
        before = self._record.get(name)
        old: Mapping[str, Any] = before if is_mapping(before) else {}
        new: Mapping[str, Any] = given if is_mapping(given) else {}
        members = self.members(rule)
        ours, theirs = text(new.get("address_id")), text(old.get("address_id"))
        if rule is not None and ours and theirs and ours != theirs:
            # The record's members belong to another address.
            message = f"is not the record's, whose address has the id {theirs}"
            return MergedField(faults=[Fault(path=f"{name}.address_id", rule="address", message=message)])
        merged = self.merge_object(old, new, members, name)
        if name in _PATCHED:
            changed = {one.path for one in merged.differences}
            merged.value = {key: value for key, value in merged.value.items() if f"{name}.{key}" in changed}
        elif members is not None:
            merged.value = overlaid(kept(old, members, self.rules), merged.value)
        return merged

    def _tags(self, given: Any, rule: Rule | None) -> MergedField:
        members = self.members(rule)
        merged = MergedField(value=[])
        tags: list[Mapping[str, Any]] = [tag for _, tag in objects_in(self._record.get("tags"))]
        sent = [kept(tag, members or {}, self.rules) for tag in tags]
        # A record has one option of a tag: of two in the row, the last counts.
        wanted = {text(tag.get("tag_id")) or f"[{place}]": (place, tag) for place, tag in objects_in(given)}
        # Tags without an id come last: they are looked up in the result.
        for place, tag in sorted(wanted.values(), key=lambda each: not text(each[1].get("tag_id"))):
            tag_id = text(tag.get("tag_id"))
            found = (
                at for at, one in enumerate(tags) if (text(one.get("tag_id")) == tag_id if tag_id else same(one, tag))
            )
            at = next(found, len(tags))
            if at == len(tags):
                tags.append({})
                sent.append({})
            overlay = self.merge_object(tags[at], tag, members, original(f"tags[{place}]", self.places))
            merged.differences += overlay.differences
            merged.left_out += overlay.left_out
            tags[at], sent[at] = overlaid(tags[at], overlay.value), overlaid(sent[at], overlay.value)
        merged.value = [tag for tag in sent if tag]
        return merged

    def _custom_fields(self, given: Any) -> MergedField:
        merged = MergedField(value=[])
        for column, item in self._custom_items(given):
            before, value = self._custom_value(item), item["value"]
            if not same(before, value, loose=True):
                merged.value.append(item)
                shown_before = None if is_empty(before) else before
                merged.differences.append(Difference(path=column, before=shown_before, after=value))
        return merged

    def _custom_items(self, given: Any) -> Iterable[tuple[str, dict[str, Any]]]:
        """The custom fields that the row sets or clears, each once, with their columns; the last value counts."""
        items: dict[tuple[str, str], tuple[str, dict[str, Any]]] = {}
        for place, item in objects_in(given):
            column = original(f"{_CUSTOM}[{place}].value", self.places)
            if "value" in item or column in self.cleared:
                path = text(item.get("api_name")) or original(f"{_CUSTOM}[{place}]", self.places)
                value = item.get("value")
                items[self._custom_key(item)] = (path, {**item, "value": None if is_blank(value) else value})
        for path in self.cleared:
            if path.startswith("cf_") and "." not in path:
                item = {"api_name": path, "value": None}
                items.setdefault(self._custom_key(item), (path, item))
        return items.values()

    def _custom_key(self, item: Mapping[str, Any]) -> tuple[str, str]:
        """Identifies a custom field: by its entry in the record, else as the row does."""
        entry = self._custom_entry(item)
        known = item if entry is None else entry
        return next(((key, name) for key in _CUSTOM_KEYS if (name := text(known.get(key)))), ("", ""))

    def _custom_value(self, item: Mapping[str, Any]) -> Any:
        """The record's value of a custom field."""
        entry = self._custom_entry(item)
        if entry is not None and "value" in entry:
            return entry["value"]
        name = text(item.get("api_name")) or text((entry or {}).get("api_name"))
        by_name = self._record.get("custom_field_hash")
        for place in (by_name, self._record):
            for key in (f"{name}_unformatted", name):
                if name and is_mapping(place) and key in place:
                    return place[key]
        return None

    def _custom_entry(self, item: Mapping[str, Any]) -> Mapping[str, Any] | None:
        """The record's entry of a custom field."""
        entries = [entry for _, entry in objects_in(self._record.get(_CUSTOM))]
        for position, key in enumerate(_CUSTOM_KEYS):
            wanted = text(item.get(key))
            for entry in entries if wanted else ():
                if wanted == text(entry.get(key)) and not _contradicts(entry, item, _CUSTOM_KEYS[:position]):
                    return entry
        return None


def _contradicts(entry: Mapping[str, Any], item: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether both have one of these keys with different values."""
    pairs = [(text(entry.get(key)), text(item.get(key))) for key in keys]
    return any(one and other and one != other for one, other in pairs)
