"""Matching the contact persons of a row with those of the record, and merging them. Pure.

A person is matched by id, else by e-mail, else by exact full name. A row is accepted only if each of its persons
matches at most one of the record, no two match the same, and each matches its own person again after the update.
Therefore a repeated merge compares the same persons and changes nothing.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import Any

from zoho_async.bulk.rows.columns import original
from zoho_async.bulk.rows.matching import fold_email
from zoho_async.bulk.source.files import strip_blanks
from zoho_async.errors import Fault
from zoho_async.schema.validation import Rule

from .compare import text, truth
from .objects import PERSON_ID, PRIMARY, Difference, MergedField, ObjectMerger, kept, objects_in, overlaid

PERSONS = "contact_persons"
_Persons = Mapping[int, Mapping[str, Any]]
"""The row's contact persons by their places, with None for what is cleared."""


class _PersonIndex:
    """Contact persons by what identifies them."""

    def __init__(self, people: Sequence[Mapping[str, Any]]) -> None:
        self._emails = [fold_email(text(person.get("email"))) for person in people]
        self._by_id: dict[str, list[int]] = defaultdict(list)
        self._by_email: dict[str, list[int]] = defaultdict(list)
        self._by_name: dict[tuple[str, str], list[int]] = defaultdict(list)
        for at, person in enumerate(people):
            self._by_id[text(person.get(PERSON_ID))].append(at)
            self._by_email[self._emails[at]].append(at)
            self._by_name[_full_name(person)].append(at)

    def find(self, row: Mapping[str, Any]) -> tuple[str, list[int]]:
        """The member that a row's person is matched by, and whom it matches: several when ambiguous."""
        if person_id := text(row.get(PERSON_ID)):
            return PERSON_ID, self._by_id.get(person_id, [])
        email, name = fold_email(text(row.get("email"))), _full_name(row)
        named = self._by_name.get(name, []) if any(name) else []
        found = self._by_email.get(email, []) if email else []
        if found:
            return "email", [at for at in found if len(found) == 1 or at in named] or found
        # Of the same name, but with another e-mail: another person.
        return "first_name" if name[0] else "last_name", [at for at in named if not (email and self._emails[at])]


def match_persons(
    rows: _Persons, columns: Mapping[int, str], people: Sequence[Mapping[str, Any]]
) -> tuple[dict[int, int], list[Fault]]:
    """Which person of the record each person of the row is; one who is missing is new.

    `columns` are the row's column names by place, for the faults.
    """
    index = _PersonIndex(people)
    matches: dict[int, int] = {}
    claimed: dict[int, int] = {}
    faults: list[Fault] = []
    for place, row in rows.items():
        member, found = index.find(row)
        column = columns[place]
        if len(found) > 1:
            message = f"matches {len(found)} contact persons of the record; give contact_person_id"
            faults.append(Fault(path=f"{column}.{member}", rule="ambiguous", message=message))
        elif found and (other := claimed.setdefault(found[0], place)) != place:
            message = f"matches the same contact person as {columns[other]}; one place for each contact person"
            faults.append(Fault(path=f"{column}.{member}", rule="ambiguous", message=message))
        elif found:
            matches[place] = found[0]
        elif text(row.get(PERSON_ID)):
            message = "is the id of no contact person of this record"
            faults.append(Fault(path=f"{column}.{PERSON_ID}", rule="person", message=message))
        elif not fold_email(text(row.get("email"))) and not any(_full_name(row)):
            message = "needs contact_person_id, email, first_name or last_name"
            faults.append(Fault(path=column, rule="person", message=message))
    return matches, faults


def merge_persons(merger: ObjectMerger, known: Any, given: Any, rule: Rule | None) -> MergedField:
    """The list of an update: all persons of the record, in their order, then the new ones.

    `known` is the record's list and `given` the row's. `rule` is None when the update takes no persons.
    """
    columns = {place: original(f"{PERSONS}[{place}]", merger.places) for place, _ in objects_in(given)}
    rows: _Persons = {place: merger.requested(columns[place], row) for place, row in objects_in(given)}
    people = [person for _, person in objects_in(known)]
    matches, faults = match_persons(rows, columns, people)
    faults += _primary_faults(rows, columns)
    members = merger.members(rule)
    merged = MergedField(faults=faults)
    if faults and members is not None:
        return merged
    rows = _without_idle_demotion(rows, matches)
    # Beside what is sent, the persons as they will be: the update may not take what they are matched by.
    sent = [kept(person, members or {}, merger.rules) for person in people]
    result: list[Mapping[str, Any]] = [*people]
    paths = [f"{PERSONS}[{text(person.get(PERSON_ID)) or at}]" for at, person in enumerate(people)]
    for place, row in rows.items():
        if place not in matches:
            matches[place] = len(result)
            sent.append({})
            result.append({})
            paths.append("")
        at = matches[place]
        overlay = merger.merge_object(result[at], row, members, columns[place])
        merged.differences += overlay.differences
        merged.left_out += overlay.left_out
        sent[at] = overlaid(sent[at], overlay.value)
        result[at] = {**result[at], **overlay.value}
        paths[at] = columns[place]
    if members is None or not merged.differences:
        return merged
    if unstable := _unstable_faults(rows, columns, result, matches):
        return MergedField(faults=unstable)
    if PRIMARY in members:
        promoted = next((matches[place] for place, row in rows.items() if truth(row.get(PRIMARY)) is True), None)
        _make_primary(merged, sent, paths, promoted)
    merged.value = sent
    return merged


def _full_name(person: Mapping[str, Any]) -> tuple[str, str]:
    return strip_blanks(text(person.get("first_name"))), strip_blanks(text(person.get("last_name")))


def _unstable_faults(
    rows: _Persons, columns: Mapping[int, str], result: Sequence[Mapping[str, Any]], matches: Mapping[int, int]
) -> list[Fault]:
    """The persons of the row who would not match themselves in a repeated merge."""
    index = _PersonIndex(result)
    message = "would match another contact person after this update; give each an id, e-mail or name of its own"
    return [
        Fault(path=f"{columns[place]}.{member}", rule="ambiguous", message=message)
        for place, row in rows.items()
        for member, found in [index.find(row)]
        if found != [matches[place]]
    ]


def _primary_faults(rows: _Persons, columns: Mapping[int, str]) -> list[Fault]:
    promoted = [place for place, row in rows.items() if truth(row.get(PRIMARY)) is True]
    return [
        Fault(path=f"{columns[place]}.{PRIMARY}", rule="primary", message="only one person can be primary")
        for place in promoted[1:]
    ]


def _without_idle_demotion(rows: _Persons, matches: Mapping[int, int]) -> _Persons:
    """The row's persons, without a demotion of the record's first one while no other is promoted.

    The service makes the first person primary again, so every run would repeat the update.
    """
    if any(truth(row.get(PRIMARY)) is True for row in rows.values()):
        return rows
    return {
        place: {name: value for name, value in row.items() if name != PRIMARY}
        if matches.get(place) == 0 and truth(row.get(PRIMARY)) is False
        else row
        for place, row in rows.items()
    }


def _make_primary(merged: MergedField, sent: list[dict[str, Any]], paths: Sequence[str], promoted: int | None) -> None:
    """Leaves one primary person: the promoted one, else the first that is."""
    flags = [truth(person.get(PRIMARY)) for person in sent]
    chosen = promoted if promoted is not None else next((at for at, flag in enumerate(flags) if flag is True), None)
    for at, person in enumerate(sent):
        if at != chosen and (promoted is not None or flags[at] is True):
            person[PRIMARY] = False
            if flags[at] is True:
                merged.differences.append(Difference(path=f"{paths[at]}.{PRIMARY}", before=True, after=False))
