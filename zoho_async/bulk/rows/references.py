"""References by what people know: a currency's code, a name, a custom field's label. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.source.text import comparable, listed, strip_blanks

from .cells import InvalidCell
from .columns import Columns

_LABEL = re.compile(r"cf[\s._:-]+(.+)", re.IGNORECASE | re.DOTALL)
_NESTED = re.compile(r"\.\S|\[")
_API_STYLE = re.compile(r"[a-z0-9_.\[\]]+")
_SHOWN = 10


class ReferenceList(msgspec.Struct, frozen=True):
    """A list of the organisation, and the column whose ids are found in it."""

    column: str
    id_column: str
    path: str
    """Address below the product's root."""
    member: str
    id: str
    names: tuple[str, ...]


REFERENCES: Final = (
    ReferenceList(
        "currency_code", "currency_id", "/settings/currencies", "currencies", "currency_id", ("currency_code",)
    ),
    ReferenceList("tax_name", "tax_id", "/settings/taxes", "taxes", "tax_id", ("tax_name",)),
    ReferenceList("owner_name", "owner_id", "/users", "users", "user_id", ("name", "email")),
    ReferenceList("pricebook_name", "pricebook_id", "/pricebooks", "pricebooks", "pricebook_id", ("name",)),
)
CUSTOM_FIELDS: Final = "/settings/customfields"


class References:
    """What the columns of some rows refer to; `answered` gives it the lists."""

    def __init__(self, columns: Columns) -> None:
        self._lists = {
            one.column: one
            for one in REFERENCES
            if columns.column(one.id_column) is not None and columns.column(one.column) is None
        }
        self.cannot_ask = False
        """Whether there is no organisation to ask: then references are left out."""
        self._has_custom_fields = columns.field("custom_fields") is not None
        self._columns = columns
        self._known: dict[str, dict[str, list[str]] | None] = {}
        self._shown: dict[str, list[str]] = {}
        self._labels: dict[str, list[str]] = {}
        self.knows_fields = False
        """Whether the list of custom fields was answered."""

    def by_name(self, name: str) -> ReferenceList | None:
        """The list that a column of this name refers to."""
        return self._lists.get(name)

    def id_of(self, name: str) -> str:
        """The id's own column beside a column of `by_name`."""
        return self._lists[name].id_column

    @property
    def spellings(self) -> dict[str, str]:
        """The columns by their comparable names."""
        return {comparable(name): name for name in self._lists}

    def is_label(self, name: str) -> bool:
        """Whether a column that names no field may be a custom field's label: `Region`, `CF.Region`."""
        # What is written like a field is a field's name with a mistake.
        bare = found[1] if (found := _LABEL.fullmatch(name)) else name
        text = name.isprintable() and any(map(str.isalnum, bare)) and not _NESTED.search(bare)
        return self._has_custom_fields and text and not _API_STYLE.fullmatch(name)

    def needed(self, names: Iterable[str]) -> list[ReferenceList]:
        """The lists to ask for."""
        return [one for name in names if (one := self._lists.get(name)) is not None and name not in self._known]

    def answered(self, wanted: ReferenceList, answer: Any) -> None:
        """Takes the answer to a list; None when the server does not know it."""
        rows = _rows(answer, wanted.member)
        if rows is None:
            self._known[wanted.column] = None
            return
        found: dict[str, list[str]] = {}
        for row in rows:
            for name in wanted.names:
                text = str(row.get(name) or "")
                if text and str(row.get(wanted.id)) not in found.setdefault(text.casefold(), []):
                    found[text.casefold()].append(str(row.get(wanted.id)))
        self._known[wanted.column] = found
        self._shown[wanted.column] = [str(row.get(wanted.names[0])) for row in rows]

    def shown(self, column: str) -> str:
        """What an answered list has, for a message."""
        return listed(self._shown[column], _SHOWN)

    def leads_nowhere(self, column: str, text: str) -> bool:
        """Whether a name is surely none of an answered list."""
        known = self._known.get(column)
        return known is not None and text.casefold() not in known

    def answered_fields(self, answer: Any) -> None:
        """Takes the answer to the list of custom fields; None when the server does not know it."""
        rows = _rows(answer, "customfields")
        self.knows_fields = rows is not None
        for row in rows or ():
            name = str(row.get("api_name") or row.get("field_name") or "")
            label = comparable(str(row.get("label") or row.get("field_name_formatted") or ""))
            if name.startswith("cf_") and label and name not in self._labels.setdefault(label, []):
                self._labels[label].append(name)

    def custom_field(self, name: str) -> str:
        """The API name of the custom field that a column is the label of; empty when none or several are."""
        found = _LABEL.fullmatch(name)
        several = self._labels.get(comparable(name)) or self._labels.get(comparable(found[1] if found else name), [])
        return several[0] if len(several) == 1 else ""

    def labels(self) -> list[str]:
        """The API names of the custom fields that are known."""
        return [name for names in self._labels.values() for name in names]

    def resolve(self, values: dict[str, Any]) -> None:
        """Puts ids in the place of names in a row; a name that leads to none becomes a `InvalidCell`."""
        if self._lists.keys().isdisjoint(values):
            return
        for name in [one for one in self._lists if one in values]:
            wanted = self._lists[name]
            cell = values.pop(name)
            text = strip_blanks(str(cell)) if cell is not None else ""
            if self.cannot_ask or not text or values.get(wanted.id_column) not in (None, ""):
                # The id counts where both are given.
                continue
            known = self._known.get(name)
            ids = (known or {}).get(text.casefold(), [])
            if len(ids) == 1:
                values[wanted.id_column] = ids[0]
            else:
                values[name] = self._problem(name, wanted, text, ids, known is not None)

    def _problem(self, name: str, wanted: ReferenceList, text: str, ids: Sequence[str], answered: bool) -> InvalidCell:
        if not answered:
            return InvalidCell("reference", f"cannot be looked up here; give {wanted.id_column} instead")
        if ids:
            return InvalidCell(
                "reference", f"is the name of several ({', '.join(ids)}); give {wanted.id_column} instead"
            )
        return InvalidCell(
            "reference",
            f"is none of the organisation's {wanted.member}: {text!r}; there is {self.shown(name)}",
        )


def _rows(answer: Any, member: str) -> list[Mapping[str, Any]] | None:
    """The objects of a list in an answer, also where they stand in groups; None when there is none."""
    rows: Any = answer.get(member) if is_mapping(answer) else None
    if is_mapping(rows):
        rows = [item for group in rows.values() if is_sequence(group) for item in group]
    return [row for row in rows if is_mapping(row)] if is_sequence(rows) else None
