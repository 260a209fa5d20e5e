"""The smallest update that makes a record what a row says, and takes nothing from it that the row does not name. Pure.

Three parts of a record need care, for an update replaces them, or nobody knows whether it does:

- `contact_persons`: the list of an update is the new list, so it holds everyone the record has, or is not sent.
- an address: whether the service replaces or patches it is not documented, so it is sent whole or not at all.
- `tags`: sent together with those the record has.

Everything else is sent field by field, only where it differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from decimal import Decimal
from math import isfinite
from typing import Any

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.rows.columns import Rules, original
from zoho_async.errors import Fault
from zoho_async.schema.types import secret_fields, secret_repr
from zoho_async.schema.validation import Rule

_PERSONS = "contact_persons"
_CUSTOM = "custom_fields"
_PRIMARY = "is_primary_contact"
_PORTAL = "enable_portal"
_PATCHED = frozenset({"default_templates"})
"""Objects of which only the members that differ are sent."""
_NEVER_CLEARED = frozenset({"address_id", "contact_person_id", _PRIMARY, _PORTAL})
"""What has no empty state: an empty cell says nothing about who somebody is."""
_CUSTOM_KEYS = ("api_name", "customfield_id", "index", "label")
"""What a custom field can be known by, the best first."""
_NUMBER = re.compile(r"[+-]?[0-9]{1,60}(\.[0-9]{1,60})?")
_DIGITS = 60
"""A number longer than this is compared as it is written, for a few characters could stand for megabytes."""


class Difference(msgspec.Struct, frozen=True, kw_only=True):
    """One value an update changes. Values of secret fields are `***`."""

    path: str
    """As the column is called: `notes`, `billing_address.city`, `contact_persons[0].phone`, `cf_region`. A person the
    row does not name, who changes because another becomes primary, stands by id: `contact_persons[460001].…`."""
    before: Any
    """None when the record has nothing there."""
    after: Any
    """None when it is cleared."""


class Merged(msgspec.Struct, frozen=True, kw_only=True):
    """What a row changes in a record. Where there are `faults`, nothing of it should be sent."""

    changes: dict[str, Any]
    """The body of the update; empty when nothing differs. It may share values with the row."""
    differences: tuple[Difference, ...] = ()
    """What `changes` changes, value by value; nothing of `left_out`."""
    left_out: tuple[str, ...] = ()
    """Fields that differ, or that the record does not show, and that the update does not take."""
    faults: tuple[Fault, ...] = ()
    """What of the row cannot be brought together with this record."""

    @property
    def warning(self) -> str:
        """What of the row cannot be changed, as a sentence."""
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
    """The smallest safe update of a record by a row.

    `record` is the record as Zoho answers it, untyped and in any shape: what is no value of its field counts as
    nothing. `body` is the row as a request body, as `Columns.read` makes it; `places` is the third part of what that
    returns, and needed where the row leaves places of a list empty. None or "" in the body empties a field, as do the
    columns named by `cleared` where the body does not set them. `rules` are the product's tables, and `schema` names
    the update's request struct in them. Neither record nor body is changed. Raises KeyError for an unknown schema.
    """
    fields = rules[schema]
    merger = _Merger(record, rules, cleared, places or {})
    parts: dict[str, _Part] = {}
    left_out: list[str] = []
    names = dict.fromkeys([*body, *(_top(path, fields) for path in cleared)])
    for name in names:
        part = merger.part(name, body, fields.get(name))
        left_out += part.left_out
        if name in fields:
            parts[name] = part
        elif part.differences:
            left_out.append(name)
    differences = [one for part in parts.values() for one in part.differences]
    faults = [fault for part in parts.values() for fault in part.faults]
    changes = {name: part.value for name, part in parts.items() if part.differences or fields[name].required}
    for name, rule in fields.items():
        if rule.required and changes.get(name) is None:
            changes.pop(name, None)
            if any(one.path == name for one in differences):
                faults.append(Fault(path=name, rule="required", message="is required and cannot be emptied"))
            if not _nothing(known := _sendable(record.get(name), rule, rules)):
                changes[name] = known
    return Merged(
        changes=changes if differences else {},
        differences=tuple(differences),
        left_out=tuple(dict.fromkeys(left_out)),
        faults=tuple(faults),
    )


# -- values


def same(before: Any, after: Any, *, loose: bool = False) -> bool:
    """Whether a record that has `before` has what a row sets by `after`.

    Absent, None, "", [] and {} are the same nothing. Of an object only the members that the row sets count, in lists
    item by item. Numbers compare by value, booleans may be written as words, and a number of the record is compared
    with a text of the row as text, or by value too when `loose`.
    """
    if _nothing(before) or _nothing(after):
        return _nothing(before) and _nothing(after)
    if is_mapping(after):
        return is_mapping(before) and all(same(before.get(name), value, loose=loose) for name, value in after.items())
    if is_sequence(after):
        return (
            is_sequence(before)
            and len(before) == len(after)
            and all(same(old, new, loose=loose) for old, new in zip(before, after, strict=True))
        )
    if isinstance(before, bool) or isinstance(after, bool):
        return _truth(before) is not None and _truth(before) is _truth(after)
    by_value = _is_number(after) or (loose and _is_number(before))
    if by_value and (old := _number(before)) is not None and (new := _number(after)) is not None:
        return old == new
    if _is_scalar(before) and _is_scalar(after):
        return _text(before) == _text(after)
    return bool(before == after)


def _nothing(value: Any) -> bool:
    if is_mapping(value):
        return all(map(_nothing, value.values()))
    return _blank(value) or (is_sequence(value) and not value)


def _blank(value: Any) -> bool:
    return value is None or value is msgspec.UNSET or (isinstance(value, str) and value == "")


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


def _is_scalar(value: Any) -> bool:
    return isinstance(value, str) or _is_number(value)


def _number(value: Any) -> Decimal | None:
    """A number, or a text that is one, as a decimal; None for anything else."""
    if isinstance(value, str):
        return Decimal(value) if _NUMBER.fullmatch(value) else None
    if isinstance(value, float):
        return Decimal(repr(value)) if isfinite(value) else None
    if isinstance(value, int | Decimal) and not isinstance(value, bool):
        number = Decimal(value)
        return number if number.is_finite() else None
    return None


def _text(value: Any) -> str:
    """A scalar as text; "" for what is none."""
    if isinstance(value, str):
        return value
    if not _is_number(value):
        return ""
    number = _number(value)
    if number is None:
        return str(value)
    return format(number, "f") if abs(number.adjusted()) <= _DIGITS else str(number)


def _truth(value: Any) -> bool | None:
    if isinstance(value, bool):
        return value
    return {"true": True, "false": False}.get(value) if isinstance(value, str) else None


def _folded(value: Any) -> str:
    return _text(value).strip().casefold()


def _objects(value: Any) -> list[tuple[int, Mapping[str, Any]]]:
    """The objects of a list with their places; nothing for what is no list."""
    return [(place, item) for place, item in enumerate(value) if is_mapping(item)] if is_sequence(value) else []


def _shown(record: Mapping[str, Any], name: str) -> Any:
    """What a record has under a request's name; whether there is a portal is answered under another name."""
    if name == _PORTAL and not _blank(record.get("is_added_in_portal")):
        return record["is_added_in_portal"]
    return record.get(name)


def _sendable(value: Any, rule: Rule, rules: Rules) -> Any:
    """A record's value as an update takes it; None when there is nothing, or no value of this kind."""
    if _nothing(value):
        return None
    if rule.kind == "object":
        kept = _kept(value, rules[rule.schema], rules) if rule.schema and is_mapping(value) else value
        return kept if is_mapping(kept) and kept else None
    if rule.kind == "boolean":
        return _truth(value)
    if rule.kind in ("integer", "number"):
        return value if _is_number(value) else _number(value)
    if rule.kind in ("array", "any"):
        return value
    return _text(value) or None


def _kept(record: Mapping[str, Any], members: Mapping[str, Rule], rules: Rules) -> dict[str, Any]:
    """All that an update can carry of an object of the record."""
    values = {name: _sendable(record.get(name), rule, rules) for name, rule in members.items() if name != _PORTAL}
    return {name: value for name, value in values.items() if value is not None}


def _overlaid(kept: Mapping[str, Any], values: Mapping[str, Any]) -> dict[str, Any]:
    """The record's members with the row's over them, objects member by member."""
    inner = {
        name: _overlaid(old, value)
        for name, value in values.items()
        if is_mapping(value) and is_mapping(old := kept.get(name))
    }
    return {**kept, **values, **inner}


# -- columns


def _top(path: str, fields: Mapping[str, Rule]) -> str:
    """The field of the body that a column belongs to."""
    head = re.split(r"[.\[]", path, maxsplit=1)[0]
    return _CUSTOM if head == path and head.startswith("cf_") and head not in fields else head


# -- persons


_Way = Callable[[Mapping[str, Any], Mapping[str, Any]], bool]
"""Whether a person of a row may be a person of the record."""


class _Pairs(msgspec.Struct, kw_only=True):
    """Which person of the record each person of a row is."""

    places: dict[int, int]
    """From places of the row to places of the record; a person of the row who is missing is new."""
    unknown: list[int]
    """Places of the row whose id the record has not."""
    twice: list[int]
    """Places of the row whose id another place of the row has too."""
    ambiguous: dict[int, int]
    """Places of the row whose e-mail several persons of the record have, any of whom it may be; with their number."""


def _paired(rows: Mapping[int, Mapping[str, Any]], people: Mapping[int, Mapping[str, Any]]) -> _Pairs:
    """Matches persons by id, then e-mail, then all that is said of them, then name; each of the record is taken once.

    Each way goes through all persons before the next. Where several have the e-mail the name tells which is meant, or
    all that is said of them, or that the others are taken; else it is `ambiguous`. A name alone matches only where it
    can mean but one, and where the e-mails do not contradict it. In `rows` stands None for what is emptied.
    """
    pairs = _Pairs(places={}, unknown=[], twice=[], ambiguous={})
    ids: dict[str, int] = {}
    for place, person in people.items():
        ids.setdefault(_text(person.get("contact_person_id")), place)
    free = dict(people)

    def take(place: int, found: int) -> None:
        pairs.places[place] = found
        del free[found]

    rest: list[int] = []
    for place, row in rows.items():
        known = _text(row.get("contact_person_id"))
        if not known:
            rest.append(place)
        elif known not in ids:
            pairs.unknown.append(place)
        elif ids[known] not in free:
            pairs.twice.append(place)
        else:
            take(place, ids[known])

    if (seats := _settled({place: rows[place] for place in rest}, free)) is not None:
        pairs.places.update(seats)
        return pairs
    # Who says most goes first: another of the same name, who says less, must not take that one's place.
    rest.sort(key=lambda place: -_weight(rows[place]))

    def found(place: int, *ways: _Way) -> list[int]:
        return [other for other, person in free.items() if all(matches(rows[place], person) for matches in ways)]

    def waiting() -> list[int]:
        return [place for place in rest if place not in pairs.places and place not in pairs.ambiguous]

    left = len(rest) + 1
    # Again as long as somebody is found: who is taken may leave another the only one.
    while len(waiting()) < left:
        left = len(waiting())
        for more in ((_by_whole_name,), (_by_given_name,), (_by_the_rest,), ()):
            for place in waiting():
                some = found(place, _by_mail, *more)
                if len(some) > 1:
                    # To take one who has it all already changes nobody.
                    some = [other for other in some if _has(free[other], rows[place])]
                if some:
                    take(place, some[0])
    for place in waiting():
        if found(place, _by_mail):
            pairs.ambiguous[place] = sum(_by_mail(rows[place], person) for person in people.values())
    for place in waiting():
        if some := found(place, _by_all):
            take(place, some[0])
    for place in waiting():
        if len(some := found(place, _by_name)) == 1:
            take(place, some[0])
    return pairs


def _settled(rows: Mapping[int, Mapping[str, Any]], people: Mapping[int, Mapping[str, Any]]) -> dict[int, int] | None:
    """Somebody for every person of a row who has all of it already, a different one for each; None if there is no such.

    So a row whose persons share an e-mail or a name, or have neither, changes nothing when it comes a second time.
    The classic matching by augmenting paths.
    """
    seats: dict[int, int] = {}
    taken: dict[int, int] = {}
    for place in rows:
        reached: dict[int, int] = {}
        queue = [place]
        end: int | None = None
        for row in queue:
            for other, person in people.items():
                if other not in reached and _weight(rows[row]) and _has(person, rows[row]):
                    reached[other] = row
                    if other not in taken:
                        end = other
                        break
                    queue.append(taken[other])
            if end is not None:
                break
        if end is None:
            return None
        while end is not None:
            row = reached[end]
            before = seats.get(row)
            seats[row], taken[end], end = end, row, before
    return seats


def _has(person: Mapping[str, Any], row: Mapping[str, Any]) -> bool:
    return all(same(_shown(person, name), value) for name, value in row.items())


def _described(row: Mapping[str, Any]) -> dict[str, Any]:
    """What a row says of who a person is, with None for what it empties; switches left out."""
    return {
        name: value
        for name, value in row.items()
        if not (isinstance(value, bool) or is_mapping(value)) and name != "contact_person_id"
    }


def _weight(row: Mapping[str, Any]) -> int:
    """How much a row says of who a person is; with 0 it names nobody."""
    return sum(not _nothing(value) for value in _described(row).values())


def _name(person: Mapping[str, Any]) -> tuple[str, str]:
    return _folded(person.get("first_name")), _folded(person.get("last_name"))


def _by_mail(row: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    mail = _folded(row.get("email"))
    return mail != "" and mail == _folded(person.get("email"))


def _by_whole_name(row: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    return any(_name(row)) and _name(row) == _name(person)


def _by_given_name(row: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    given = [(ours, theirs) for ours, theirs in zip(_name(row), _name(person), strict=True) if ours]
    return bool(given) and all(ours == theirs for ours, theirs in given)


def _by_all(row: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    # Without it a person without an e-mail whose name several have would be added again by every run. What the row
    # empties counts: a row of a telephone number must not empty the name of somebody who has that number.
    return _weight(row) > 0 and all(same(person.get(name), value) for name, value in _described(row).items())


def _by_the_rest(row: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    """All but the e-mail: that two write it in different ways tells nothing."""
    return _by_all({name: value for name, value in row.items() if name != "email"}, person)


def _by_name(row: Mapping[str, Any], person: Mapping[str, Any]) -> bool:
    if _folded(row.get("email")) and _folded(person.get("email")):
        return False
    return _by_whole_name(row, person)


# -- merging


class _Part(msgspec.Struct, kw_only=True):
    """What becomes of one field of the body, or of one object in it."""

    value: Any = None
    differences: list[Difference] = msgspec.field(default_factory=list[Difference])
    faults: list[Fault] = msgspec.field(default_factory=list[Fault])
    left_out: list[str] = msgspec.field(default_factory=list[str])


class _Merger:
    """One record and one row; holds what all parts need and no results."""

    def __init__(
        self, record: Mapping[str, Any], rules: Rules, cleared: Collection[str], places: Mapping[str, str]
    ) -> None:
        self._record = record
        self._rules = rules
        self._cleared = cleared
        self._places = places

    def part(self, name: str, body: Mapping[str, Any], rule: Rule | None) -> _Part:
        """What becomes of one field of the body. `rule` is None when the update does not take it."""
        given = body.get(name)
        if name == _PERSONS:
            return self._persons(given, rule)
        if name == _CUSTOM:
            return self._custom_fields(given)
        if name == "tags":
            return self._tags(given, rule)
        emptied = name in body or name in self._cleared
        inside = any(path.startswith(f"{name}.") for path in self._cleared)
        if is_mapping(given) or (_blank(given) and inside and not emptied):
            return self._object(name, given, rule)
        if _blank(given) and (not emptied or name in _NEVER_CLEARED):
            return _Part()
        if _blank(given) and (is_mapping(self._record.get(name)) or (rule is not None and rule.kind == "object")):
            return self._object(name, self._emptied(name, rule), rule)
        part = _Part()
        self._compare(part, name, _shown(self._record, name), given, rule)
        part.value = None if _blank(given) else given
        return part

    def _emptied(self, name: str, rule: Rule | None) -> dict[str, None]:
        """Every member of an object, to be emptied."""
        before = self._record.get(name)
        members = self._members(rule)
        names = members if members is not None else before if is_mapping(before) else ()
        return dict.fromkeys(member for member in names if member not in _NEVER_CLEARED)

    def _members(self, rule: Rule | None) -> Mapping[str, Rule] | None:
        """What an object, or an item of a list, may hold in the update; None when that is not known."""
        return self._rules[rule.schema] if rule is not None and rule.schema else None

    def _compare(self, part: _Part, path: str, before: Any, after: Any, rule: Rule | None) -> bool:
        """Notes a difference; whether there is one."""
        if same(before, after):
            return False
        shown = [None if nothing else value for value, nothing in ((before, _nothing(before)), (after, _blank(after)))]
        if rule is not None and rule.secret:
            shown = [None if value is None else "***" for value in shown]
        part.differences.append(Difference(path=path, before=shown[0], after=shown[1]))
        return True

    def _inside(self, column: str, given: Mapping[str, Any]) -> dict[str, Any]:
        """What the row sets in an object, with None for what it empties."""
        wanted = dict(given)
        for path in self._cleared:
            if path.startswith(f"{column}."):
                head, dot, inner = path[len(column) + 1 :].partition(".")
                if not dot:
                    wanted.setdefault(head, None)
                elif is_mapping(old := wanted.get(head)) or _blank(old):
                    wanted[head] = {inner: None, **(old or {})}
        return {
            name: None if _blank(value) else value
            for name, value in wanted.items()
            if not (_blank(value) and name in _NEVER_CLEARED)
        }

    def _overlay(
        self, before: Mapping[str, Any], given: Mapping[str, Any], members: Mapping[str, Rule] | None, column: str
    ) -> _Part:
        """The members a row sets in an object, as they are to be sent, and which of them differ.

        `members` are those the update takes, None for any.
        """
        part = _Part(value={})
        for name, value in self._inside(column, given).items():
            path, old = f"{column}.{name}", _shown(before, name)
            rule = members.get(name) if members is not None else None
            if members is not None and rule is None:
                if not same(old, value):
                    part.left_out.append(path)
            elif is_mapping(value):
                inner = self._overlay(old if is_mapping(old) else {}, value, self._members(rule), path)
                part.differences += inner.differences
                part.left_out += inner.left_out
                if inner.value:
                    part.value[name] = inner.value
            elif self._compare(part, path, old, value, rule) or not (_blank(value) or name == _PORTAL):
                part.value[name] = value
        return part

    def _object(self, name: str, given: Any, rule: Rule | None) -> _Part:
        before = self._record.get(name)
        old: Mapping[str, Any] = before if is_mapping(before) else {}
        new: Mapping[str, Any] = given if is_mapping(given) else {}
        members = self._members(rule)
        ours, theirs = _text(new.get("address_id")), _text(old.get("address_id"))
        if rule is not None and ours and theirs and ours != theirs:
            # The values that the record has there are another address's, and must not be written over this one.
            message = f"is not the record's, whose address has the id {theirs}"
            return _Part(faults=[Fault(path=f"{name}.address_id", rule="address", message=message)])
        part = self._overlay(old, new, members, name)
        if name in _PATCHED:
            changed = {one.path for one in part.differences}
            part.value = {key: value for key, value in part.value.items() if f"{name}.{key}" in changed}
        elif members is not None:
            part.value = _overlaid(_kept(old, members, self._rules), part.value)
        return part

    def _tags(self, given: Any, rule: Rule | None) -> _Part:
        members = self._members(rule)
        part = _Part(value=[])
        tags = [tag for _, tag in _objects(self._record.get("tags"))]
        sent = [_kept(tag, members or {}, self._rules) for tag in tags]
        # A record has one option of a tag: of two the row gives, the latter counts.
        wanted = {_text(tag.get("tag_id")) or f"[{place}]": (place, tag) for place, tag in _objects(given)}
        for place, tag in wanted.values():
            tag_id = _text(tag.get("tag_id"))
            known = next(
                (
                    at
                    for at, one in enumerate(tags)
                    if (_text(one.get("tag_id")) == tag_id if tag_id else same(one, tag))
                ),
                None,
            )
            column = original(f"tags[{place}]", self._places)
            overlay = self._overlay(tags[known] if known is not None else {}, tag, members, column)
            part.differences += overlay.differences
            part.left_out += overlay.left_out
            if known is not None:
                sent[known] = _overlaid(sent[known], overlay.value)
            else:
                sent.append(overlay.value)
        part.value = [tag for tag in sent if tag]
        return part

    # -- custom fields

    def _custom_fields(self, given: Any) -> _Part:
        part = _Part(value=[])
        for column, item in self._custom_items(given):
            before, value = self._custom_value(item), item["value"]
            if not same(before, value, loose=True):
                part.value.append(item)
                part.differences.append(
                    Difference(path=column, before=None if _nothing(before) else before, after=value)
                )
        return part

    def _custom_items(self, given: Any) -> Iterator[tuple[str, dict[str, Any]]]:
        """The custom fields that the row sets or empties, with their columns."""
        seen: set[str] = set()
        for place, item in _objects(given):
            api_name = _text(item.get("api_name"))
            seen.add(api_name)
            column = original(f"{_CUSTOM}[{place}].value", self._places)
            if "value" in item or column in self._cleared or api_name in self._cleared:
                value = item.get("value")
                yield (
                    api_name or original(f"{_CUSTOM}[{place}]", self._places),
                    {
                        **item,
                        "value": None if _blank(value) else value,
                    },
                )
        for path in self._cleared:
            if path.startswith("cf_") and path not in seen and "." not in path:
                yield path, {"api_name": path, "value": None}

    def _custom_value(self, item: Mapping[str, Any]) -> Any:
        """What the record has in a custom field."""
        entry = self._custom_entry(item)
        if entry is not None and "value" in entry:
            return entry["value"]
        name = _text(item.get("api_name")) or _text((entry or {}).get("api_name"))
        by_name = self._record.get("custom_field_hash")
        for place in (by_name, self._record):
            for key in (f"{name}_unformatted", name):
                if name and is_mapping(place) and key in place:
                    return place[key]
        return None

    def _custom_entry(self, item: Mapping[str, Any]) -> Mapping[str, Any] | None:
        entries = [entry for _, entry in _objects(self._record.get(_CUSTOM))]
        for position, key in enumerate(_CUSTOM_KEYS):
            wanted = _text(item.get(key))
            for entry in entries:
                if (
                    wanted
                    and _text(entry.get(key)) == wanted
                    and not _contradicts(entry, item, _CUSTOM_KEYS[:position])
                ):
                    return entry
        return None

    # -- persons

    def _persons(self, given: Any, rule: Rule | None) -> _Part:
        columns = {place: original(f"{_PERSONS}[{place}]", self._places) for place, _ in _objects(given)}
        rows: Mapping[int, Mapping[str, Any]] = {
            place: self._inside(columns[place], row) for place, row in _objects(given)
        }
        people = dict(enumerate(person for _, person in _objects(self._record.get(_PERSONS))))
        members = self._members(rule)
        pairs = _paired(rows, people)
        part = _Part(faults=_person_faults(rows, columns, pairs))
        if part.faults and rule is not None:
            return part
        rows = _without_idle_demotion(rows, people, pairs)
        overlays: dict[int, dict[str, Any]] = {}
        for place, row in rows.items():
            known: Mapping[str, Any] = people[pairs.places[place]] if place in pairs.places else {}
            overlay = self._overlay(known, row, members, columns[place])
            overlays[place] = overlay.value
            part.differences += overlay.differences
            part.left_out += overlay.left_out
        if members is None or not part.differences:
            return part
        sent = [_kept(person, members, self._rules) for person in people.values()]
        paths = [f"{_PERSONS}[{_text(person.get('contact_person_id')) or at}]" for at, person in people.items()]
        primary: int | None = None
        for place, row in rows.items():
            at = pairs.places.get(place, len(sent))
            if at == len(sent):
                sent.append({})
                paths.append("")
            sent[at] = _overlaid(sent[at], overlays[place])
            paths[at] = columns[place]
            if _truth(row.get(_PRIMARY)) is True:
                primary = at
        if _PRIMARY in members:
            _make_primary(part, sent, paths, primary)
        part.value = sent
        return part


def _contradicts(entry: Mapping[str, Any], item: Mapping[str, Any], keys: Sequence[str]) -> bool:
    """Whether both name the field by one of these keys, and differently."""
    pairs = [(_text(entry.get(key)), _text(item.get(key))) for key in keys]
    return any(one and other and one != other for one, other in pairs)


def _person_faults(rows: Mapping[int, Mapping[str, Any]], columns: Mapping[int, str], pairs: _Pairs) -> list[Fault]:
    faults = [
        Fault(path=f"{columns[place]}.contact_person_id", rule="person", message=message)
        for places, message in (
            (pairs.unknown, "is the id of no contact person of this record"),
            (pairs.twice, "is given twice: each contact person can stand in a row once"),
        )
        for place in places
    ]
    for place, count in pairs.ambiguous.items():
        message = f"{count} persons of the record have it; give first_name or contact_person_id"
        faults.append(Fault(path=f"{columns[place]}.email", rule="ambiguous", message=message))
    for place, row in rows.items():
        if place not in pairs.places and place not in (*pairs.unknown, *pairs.twice) and not _weight(row):
            message = "names nobody: needs an id, an e-mail address or a name"
            faults.append(Fault(path=columns[place], rule="person", message=message))
    promoted = [place for place, row in rows.items() if _truth(row.get(_PRIMARY)) is True]
    faults += [
        Fault(path=f"{columns[place]}.{_PRIMARY}", rule="primary", message="only one person can be primary")
        for place in promoted[1:]
    ]
    return faults


def _without_idle_demotion(
    rows: Mapping[int, Mapping[str, Any]], people: Mapping[int, Mapping[str, Any]], pairs: _Pairs
) -> Mapping[int, Mapping[str, Any]]:
    """The persons of a row; not that the first of the record is no longer primary when nobody is made so in his place.

    One person is always primary, and if none is said to be so it is the first: every run would write it in vain.
    """
    first = next(iter(people), None)
    if any(_truth(row.get(_PRIMARY)) is True for row in rows.values()):
        return rows
    return {
        place: {name: value for name, value in row.items() if name != _PRIMARY}
        if first is not None and pairs.places.get(place) == first and _truth(row.get(_PRIMARY)) is False
        else row
        for place, row in rows.items()
    }


def _make_primary(part: _Part, sent: list[dict[str, Any]], paths: Sequence[str], primary: int | None) -> None:
    """Leaves one primary person: the one the row makes so (the rest are then told that they are not), else the first
    who is."""
    flags = [_truth(person.get(_PRIMARY)) for person in sent]
    chosen = primary if primary is not None else next((at for at, flag in enumerate(flags) if flag is True), None)
    for at, person in enumerate(sent):
        if at != chosen and (primary is not None or flags[at] is True):
            person[_PRIMARY] = False
            if flags[at] is True:
                part.differences.append(Difference(path=f"{paths[at]}.{_PRIMARY}", before=True, after=False))
