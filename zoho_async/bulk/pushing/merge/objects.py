"""Merging one object of a row into one of the record, member by member. Pure."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.errors import Fault
from zoho_async.schema.validation import Rule, Rules

from .compare import is_blank, is_empty, is_number, number, same, text, truth

PERSON_ID = "contact_person_id"
PORTAL = "enable_portal"
PRIMARY = "is_primary_contact"
NEVER_CLEARED = frozenset({"address_id", PERSON_ID, "tag_id", PRIMARY, PORTAL})
"""Members without an empty state: an empty cell leaves them as they are."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One value that an update changes; values of secret fields are `***`.

    Attributes:
        path: The column's name: `notes`, `billing_address.city`, `contact_persons[0].phone`, `cf_region`. A contact
            person outside the row, no longer primary, is named by id: `contact_persons[460001].is_primary_contact`.
        before: The record's value; None when the record has nothing there.
        after: The row's value; None when the field is cleared.
    """

    path: str
    before: Any
    after: Any


class MergedField(msgspec.Struct, kw_only=True):
    """The update's value of one field of the body, or of one object in it."""

    value: Any = None
    differences: list[Difference] = msgspec.field(default_factory=list[Difference])
    faults: list[Fault] = msgspec.field(default_factory=list[Fault])
    left_out: list[str] = msgspec.field(default_factory=list[str])


class ObjectMerger:
    """Merges the objects of one row; holds what all of them need and no results."""

    def __init__(self, rules: Rules, cleared: Collection[str], places: Mapping[str, str]) -> None:
        self.rules = rules
        self.cleared = cleared
        self.places = places

    def members(self, rule: Rule | None) -> Mapping[str, Rule] | None:
        """The members that the update takes of an object; None when unknown."""
        return self.rules[rule.schema] if rule is not None and rule.schema else None

    def requested(self, column: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """The members that the row sets in an object, with None for the cleared ones."""
        wanted = dict(given)
        for path in self.cleared:
            if path.startswith(f"{column}."):
                head, dot, inner = path[len(column) + 1 :].partition(".")
                if not dot:
                    wanted.setdefault(head, None)
                elif is_mapping(old := wanted.get(head)) or is_blank(old):
                    wanted[head] = {inner: None, **(old or {})}
        return {
            name: None if is_blank(value) else value
            for name, value in wanted.items()
            if not (is_blank(value) and name in NEVER_CLEARED)
        }

    def compare(self, merged: MergedField, path: str, before: Any, after: Any, rule: Rule | None) -> bool:
        """Records a difference in `merged`; True if there is one."""
        if same(before, after):
            return False
        shown = [None if empty else value for value, empty in ((before, is_empty(before)), (after, is_blank(after)))]
        if rule is not None and rule.secret:
            shown = [None if value is None else "***" for value in shown]
        merged.differences.append(Difference(path=path, before=shown[0], after=shown[1]))
        return True

    def merge_object(
        self, before: Mapping[str, Any], given: Mapping[str, Any], members: Mapping[str, Rule] | None, column: str
    ) -> MergedField:
        """The members that the row sets in an object; `members` are those the update takes, None for any."""
        merged = MergedField(value={})
        for name, value in self.requested(column, given).items():
            path, old = f"{column}.{name}", shown(before, name)
            rule = members.get(name) if members is not None else None
            if members is not None and rule is None:
                if not same(old, value):
                    merged.left_out.append(path)
            elif is_mapping(value):
                inner = self.merge_object(old if is_mapping(old) else {}, value, self.members(rule), path)
                merged.differences += inner.differences
                merged.left_out += inner.left_out
                if inner.value:
                    merged.value[name] = inner.value
            elif self.compare(merged, path, old, value, rule) or not (is_blank(value) or name == PORTAL):
                merged.value[name] = value
        return merged


def objects_in(value: Any) -> list[tuple[int, Mapping[str, Any]]]:
    """The objects of a list with their places; empty for anything but a list."""
    return [(place, item) for place, item in enumerate(value) if is_mapping(item)] if is_sequence(value) else []


def shown(record: Mapping[str, Any], name: str) -> Any:
    """The record's value of a request field; responses name the portal switch differently."""
    if name == PORTAL and not is_blank(record.get("is_added_in_portal")):
        return record["is_added_in_portal"]
    return record.get(name)


def sendable(value: Any, rule: Rule, rules: Rules) -> Any:
    """A record's value as an update takes it; None when empty or of another kind."""
    if is_empty(value):
        return None
    if rule.kind == "object":
        known = kept(value, rules[rule.schema], rules) if rule.schema and is_mapping(value) else value
        return known if is_mapping(known) and known else None
    if rule.kind == "boolean":
        return truth(value)
    if rule.kind in ("integer", "number"):
        return value if is_number(value) else number(value)
    if rule.kind in ("array", "any"):
        return value
    return text(value) or None


def kept(record: Mapping[str, Any], members: Mapping[str, Rule], rules: Rules) -> dict[str, Any]:
    """All members of an object of the record that an update can carry."""
    values = {name: sendable(record.get(name), rule, rules) for name, rule in members.items() if name != PORTAL}
    return {name: value for name, value in values.items() if value is not None}


def overlaid(old: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The members of `old` replaced by `values`, objects member by member."""
    inner = {
        name: overlaid(before, value)
        for name, value in values.items()
        if is_mapping(value) and is_mapping(before := old.get(name))
    }
    return {**old, **values, **inner}
