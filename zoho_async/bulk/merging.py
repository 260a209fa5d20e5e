"""What an update has to send so that a record says what the row says, and nothing else of it is lost. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any

import msgspec

from zoho_async.errors import Fault
from zoho_async.validation import Rule

from .columns import Rules
from .narrow import is_list, is_mapping

PERSONS = "contact_persons"
_PERSON = "contact_person_id"
_CUSTOM = "custom_fields"
_NOT_READ = ("enable_portal",)
"""What can be written of a person but is called otherwise in answers: never sent on behalf of the record."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One field that the row changes."""

    path: str
    before: Any
    """None: nothing."""
    after: Any
    """None: it is emptied."""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """The update a record needs."""

    changes: dict[str, Any]
    """The body; empty when nothing differs."""
    differences: tuple[Difference, ...] = ()
    left_out: tuple[str, ...] = ()
    """Fields that differ, or that the record does not show, and that an update does not take."""
    faults: tuple[Fault, ...] = ()


def merge(
    record: Mapping[str, Any], body: Mapping[str, Any], *, cleared: Collection[str] = (), rules: Rules, schema: str
) -> Merged:
    """The smallest update that makes `record`, as Zoho answered it, say what `body` says.

    `cleared` are paths of fields that shall be emptied, `schema` names the update's struct in `rules`. Addresses are
    sent whole and contact persons all of them, because what an update leaves out of those may be removed by it.
    """
    fields = rules.get(schema, {})
    changes: dict[str, Any] = {}
    differences: list[Difference] = []
    left_out: list[str] = []
    faults: list[Fault] = []
    empties = _by_field(cleared)
    for name in dict.fromkeys((*body, *empties)):
        here: list[Difference] = []
        value = _field(record, name, body.get(name), empties.get(name, ()), fields.get(name), rules, here, faults)
        if not here:
            continue
        if name in fields:
            changes[name] = value
            differences += here
        else:
            left_out.append(name)
    if changes:
        for name, rule in fields.items():
            # In front, as they would stand in a body of their own.
            if rule.required and name not in changes and not _nothing(value := body.get(name, record.get(name))):
                changes = {name: value, **changes}
    return Merged(changes=changes, differences=tuple(differences), left_out=tuple(left_out), faults=tuple(faults))


def _field(
    record: Mapping[str, Any],
    name: str,
    wanted: Any,
    cleared: Sequence[str],
    rule: Rule | None,
    rules: Rules,
    differences: list[Difference],
    faults: list[Fault],
) -> Any:
    if name == _CUSTOM or name.startswith("cf_"):
        return _customs(record, wanted, cleared, differences)
    if name == PERSONS:
        return _persons(record, wanted, cleared, rules.get(rule.schema if rule else "", {}), differences, faults)
    has = record.get(name)
    if is_mapping(wanted) or any(path != name for path in cleared):
        members: Mapping[str, Any] = has if is_mapping(has) else {}
        ours: dict[str, Any] = dict(wanted) if is_mapping(wanted) else {}
        ours |= {path.removeprefix(f"{name}."): None for path in cleared if path != name}
        changed = _members(f"{name}.", members, ours, differences)
        if not name.endswith("_address") or not changed:
            return changed
        known = rules.get(rule.schema if rule else "", {})
        return {**{key: members[key] for key in known if not _nothing(members.get(key))}, **ours}
    if is_list(wanted) and name == "tags":
        theirs = [one for one in has if is_mapping(one)] if is_list(has) else []
        merged = {str(one.get("tag_id")): _of(one, ("tag_id", "tag_option_id")) for one in theirs}
        before = dict(merged)
        merged |= {str(one.get("tag_id")): dict(one) for one in wanted if is_mapping(one)}
        if any(
            not equal(before.get(key, {}).get("tag_option_id"), one.get("tag_option_id")) for key, one in merged.items()
        ):
            differences.append(Difference(path=name, before=list(before.values()) or None, after=list(merged.values())))
        return list(merged.values())
    if not equal(has, wanted):
        differences.append(Difference(path=name, before=None if _nothing(has) else has, after=wanted))
    return wanted


def equal(has: Any, wanted: Any) -> bool:
    """Whether a record's value says what a row's does, however either is written."""
    if _nothing(has) or _nothing(wanted):
        return _nothing(has) and _nothing(wanted)
    if isinstance(has, bool) or isinstance(wanted, bool):
        return str(has).lower() == str(wanted).lower()
    if isinstance(has, int | float | Decimal) and isinstance(wanted, int | float | Decimal):
        return _number(has) == _number(wanted)
    if isinstance(has, int | float | Decimal) and isinstance(wanted, str):
        return str(has) == wanted
    if isinstance(wanted, int | float | Decimal) and isinstance(has, str):
        return has == str(wanted) or _number(has) == _number(wanted)
    if is_list(has) and is_list(wanted):
        return len(has) == len(wanted) and all(equal(one, other) for one, other in zip(has, wanted, strict=True))
    if is_mapping(has) and is_mapping(wanted):
        # What the record says beyond is its own.
        return all(equal(has.get(name), value) for name, value in wanted.items())
    return bool(has == wanted)


def _number(value: Any) -> Decimal | None:
    try:
        return Decimal(str(value))
    except InvalidOperation:
        return None


def _nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str | list | dict) and not value)


def _members(
    prefix: str, has: Mapping[str, Any], wanted: Mapping[str, Any], differences: list[Difference]
) -> dict[str, Any]:
    changed: dict[str, Any] = {}
    for name, value in wanted.items():
        before = has.get(name)
        if not equal(before, value):
            changed[name] = value
            differences.append(
                Difference(path=f"{prefix}{name}", before=None if _nothing(before) else before, after=value)
            )
    return changed


def _customs(
    record: Mapping[str, Any], wanted: Any, cleared: Sequence[str], differences: list[Difference]
) -> list[dict[str, Any]]:
    asked: list[Mapping[str, Any]] = [one for one in wanted if is_mapping(one)] if is_list(wanted) else []
    asked += [{"api_name": name, "value": None} for name in cleared]
    changed: list[dict[str, Any]] = []
    for one in asked:
        before = _custom(record, one)
        if not equal(before, one.get("value")):
            changed.append(dict(one))
            path = str(one.get("api_name") or one.get("label") or one.get("customfield_id") or one.get("index"))
            differences.append(
                Difference(path=path, before=None if _nothing(before) else before, after=one.get("value"))
            )
    return changed


def _custom(record: Mapping[str, Any], wanted: Mapping[str, Any]) -> Any:
    fields: Any = record.get(_CUSTOM)
    for name in ("api_name", "customfield_id", "index", "label"):
        if _nothing(wanted.get(name)):
            continue
        for one in fields if is_list(fields) else ():
            if is_mapping(one) and equal(one.get(name), wanted[name]):
                return one.get("value")
    name = str(wanted.get("api_name") or "")
    hashed: Any = record.get("custom_field_hash")
    for key in (f"{name}_unformatted", name) if name else ():
        for place in (record, hashed):
            if is_mapping(place) and not _nothing(place.get(key)):
                return place[key]
    return None


def _persons(
    record: Mapping[str, Any],
    wanted: Any,
    cleared: Sequence[str],
    fields: Mapping[str, Rule],
    differences: list[Difference],
    faults: list[Fault],
) -> list[dict[str, Any]]:
    listed: Any = record.get(PERSONS)
    theirs: list[Mapping[str, Any]] = [one for one in listed if is_mapping(one)] if is_list(listed) else []
    ours: list[dict[str, Any]] = [dict(one) for one in wanted if is_mapping(one)] if is_list(wanted) else []
    for place, person in enumerate(ours):
        prefix = f"{PERSONS}[{place}]."
        person |= {path.removeprefix(prefix): None for path in cleared if path.startswith(prefix)}
    pairs = match_persons(theirs, ours)
    ids = {str(one.get(_PERSON)) for one in theirs}
    for place, person in enumerate(ours):
        if not _nothing(person.get(_PERSON)) and str(person[_PERSON]) not in ids:
            message = "the record has no contact person of this id"
            faults.append(Fault(path=f"{PERSONS}[{place}].{_PERSON}", rule="person", message=message))
    before = len(differences)
    merged: list[dict[str, Any]] = []
    for number, their in enumerate(theirs):
        kept = {key: their[key] for key in fields if key not in _NOT_READ and not _nothing(their.get(key))}
        mine = next((one for one, other in pairs.items() if other == number), None)
        if mine is not None:
            compared = {**their, "enable_portal": their.get("is_added_in_portal", their.get("enable_portal"))}
            person = {key: value for key, value in ours[mine].items() if key != _PERSON}
            kept |= _members(f"{PERSONS}[{mine}].", compared, person, differences)
        merged.append(kept)
    for place, person in enumerate(ours):
        if place not in pairs:
            fresh = {key: value for key, value in person.items() if value is not None and key != _PERSON}
            if fresh:
                _members(f"{PERSONS}[{place}].", {}, fresh, differences)
                merged.append(fresh)
    if len(differences) == before:
        return []
    primary = next((place for place, one in enumerate(ours) if one.get("is_primary_contact") is True), None)
    if primary is not None:
        at = pairs.get(primary, len(theirs) + sum(1 for place in range(primary) if place not in pairs))
        for number, one in enumerate(merged):
            if number == at or one.get("is_primary_contact"):
                one["is_primary_contact"] = number == at
    return merged


def match_persons(theirs: Sequence[Mapping[str, Any]], ours: Sequence[Mapping[str, Any]]) -> dict[int, int]:
    """Which of a row's persons is which of the record's, by place: by id, by e-mail, else by a name only one has."""
    pairs: dict[int, int] = {}

    def pair(key: Callable[[Mapping[str, Any]], str], *, alone: bool, may: Callable[[int, int], bool]) -> None:
        for place, person in enumerate(ours):
            if place in pairs or not key(person):
                continue
            free = [
                number
                for number, one in enumerate(theirs)
                if number not in pairs.values() and key(one) == key(person) and may(place, number)
            ]
            if free and (not alone or len(free) == 1):
                pairs[place] = free[0]

    def has_email(person: Mapping[str, Any]) -> bool:
        return bool(_email(person))

    pair(lambda one: str(one.get(_PERSON) or ""), alone=False, may=lambda place, number: True)
    # One that names an id is that one or nobody.
    pair(_email, alone=False, may=lambda place, _: _nothing(ours[place].get(_PERSON)))
    pair(
        _name,
        alone=True,
        may=lambda place, number: (
            _nothing(ours[place].get(_PERSON)) and not (has_email(ours[place]) and has_email(theirs[number]))
        ),
    )
    return pairs


def _email(person: Mapping[str, Any]) -> str:
    return str(person.get("email") or "").strip().casefold()


def _name(person: Mapping[str, Any]) -> str:
    parts = (str(person.get(name) or "").strip().casefold() for name in ("first_name", "last_name"))
    return "\n".join(parts).strip("\n")


def _of(value: Mapping[str, Any], names: Sequence[str]) -> dict[str, Any]:
    return {name: value[name] for name in names if not _nothing(value.get(name))}


def _by_field(paths: Collection[str]) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for path in paths:
        found.setdefault(path.partition(".")[0].partition("[")[0], []).append(path)
    return found
