"""Names of a row to columns of a destination: other spellings, common words, and what Zoho gives but does not take."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import cache, lru_cache, partial
from typing import Any

from zoho_async._typeguards import is_mapping, is_sequence, kind_of
from zoho_async.bulk.errors import InputError, UnknownColumnError
from zoho_async.bulk.source.files import ADDED, ADDED_LINE
from zoho_async.bulk.source.formula_cells import unescape_cell
from zoho_async.bulk.source.mapping import preset_hint
from zoho_async.bulk.source.reading import Reading
from zoho_async.bulk.source.templates import days_of, plain_amount, truth
from zoho_async.bulk.source.text import comparable, listed, strip_blanks

from .columns import Columns
from .drafts import likely_field
from .references import ReferenceList, References
from .resource import Destination

_STAMPS = ("created_time", "last_modified_time")
"""Members of every record that Zoho gives, and of no row that people write."""
TAKEN = "taken by their common meaning"
_CUSTOM = "custom_fields"
_EMPTY = ("[]", "{}")
_HEADERS = 16
"""Headers whose columns are kept: a table has one, rows of JSON may each have their own."""
_MEANT = 20
"""Unknown names that are explained."""
_WORDS = frozenset(
    {
        *("salutation", "first_name", "last_name", "email", "phone", "mobile", "fax", "designation", "department"),
        *("skype", "attention", "address", "street", "street2", "city", "state", "zip", "country"),
    }
)
"""Last words of columns that files use alone."""


class Intake:
    """Gives the cells of rows the names of a destination's columns."""

    def __init__(self, destination: Destination) -> None:
        self._columns: Columns = destination.columns
        self._resource = destination.name
        self._id = destination.record_id
        self._name = destination.natural.name
        self._plain = cache(self._resolve)
        self._with_name = cache(partial(self._resolve, has_name=True))
        self._pulled = cache(self._resolve_pulled)
        self._columns_of = lru_cache(_HEADERS)(_columns_of)
        self._spelled, self._words = _spellings(self._columns, destination.record_id)
        self.references = References(self._columns)
        self._spelled = {**self.references.spellings, **self._spelled}
        self._has_terms = self._columns.column("payment_terms") is not None

    def check(self, names: Iterable[str]) -> tuple[list[str], list[str]]:
        """The columns that the names of a file stand for, unknown ones as they are; and what to say about it.

        Raises:
            InputError: Two names stand for one column.
        """
        given = [name for name in names if name not in {*ADDED, ADDED_LINE}]
        found: dict[str, str] = {}
        left_out: list[str] = []
        naming = self._naming(dict.fromkeys(given))
        for name in given:
            column = naming(name)
            field = self._columns.field(column) if naming is self._pulled and column else None
            if not column or (field is not None and field.branch):
                left_out.append(name)
            elif column in found:
                raise InputError(f"{listed([found[column], name])} both stand for `{column}`: delete or rename one")
            else:
                found[column] = name
        taken = [f"`{name}` as `{column}`" for column, name in found.items() if self._is_word(name, column)]
        notes = [f"{TAKEN}: {', '.join(taken)}"] if taken else []
        for name in [one for one in found if (wanted := self.references.by_name(one)) and wanted.id_column in found]:
            notes.append(f"`{found[name]}` is left out where `{self.references.id_of(name)}` is filled, which counts")
        if left_out:
            row_of_list = "email" in left_out and not any(one.startswith("contact_persons") for one in found)
            hint = "; to change e-mails and names of persons, pull with --details all" if row_of_list else ""
            notes.append(f"{left_out_note(left_out)}{hint}")
        return [name for name in found if not self.is_reference(name)], notes

    def targets(self, names: Iterable[str]) -> dict[str, str]:
        """The column that each name of a file stands for; empty where it is left out."""
        given = [name for name in names if name not in {*ADDED, ADDED_LINE}]
        naming = self._naming(dict.fromkeys(given))
        return {name: naming(name) for name in given}

    def is_reference(self, name: str) -> bool:
        """Whether it is a column that is found out with a call."""
        unknown = self._columns.field(name) is None and name != self._id
        return unknown and (self.references.by_name(name) is not None or self.references.is_label(name))

    def references_of(self, names: Iterable[str]) -> tuple[list[ReferenceList], list[str]]:
        """The lists that the columns of an input need, and the columns that may be labels of custom fields."""
        naming = self._naming(dict.fromkeys(names))
        columns = [column for name in names if (column := naming(name)) and self.is_reference(column)]
        return self.references.needed(columns), [one for one in columns if self.references.by_name(one) is None]

    def cannot_ask(self) -> None:
        """Called when there is nobody to ask: references are left out of the rows."""
        self.references.cannot_ask = True
        for cached in (self._plain, self._with_name, self._columns_of):
            cached.cache_clear()

    def unknown_labels(self, labels: Iterable[str]) -> list[str]:
        """Which of some columns are no label of a custom field, by the organisation's list."""
        return [name for name in labels if not self.references.custom_field(name)]

    def looked_up(self, names: Iterable[str], unknown: Sequence[str], where: str) -> None:
        """Called when the organisation's lists are there; `where`: the file, if its columns can refuse it.

        Raises:
            UnknownColumnError: There are `unknown` labels.
            InputError: Two names stand for one custom field.
        """
        for cached in (self._plain, self._with_name, self._columns_of):
            cached.cache_clear()
        if not where:
            return
        if unknown:
            known = self.references.labels()
            no_label = "there is no custom field of that label"
            if not self.references.knows_fields:
                no_label = "the custom fields cannot be listed here to look for labels: write their API names (cf_...)"
            there = f"; there are {listed(known)}" if known else ""
            hint = preset_hint(list(names), self._resource) or self._meant(unknown)
            raise UnknownColumnError(
                f"{where}: unknown column{'s' * (len(unknown) > 1)} {listed(unknown)}: no field, and "
                f"{no_label}{there}{hint}",
                unknown,
            )
        found: dict[str, str] = {}
        for name, column in self.targets(names).items():
            if column and found.setdefault(column, name) != name:
                raise InputError(
                    f"{where}: {listed([found[column], name])} both stand for `{column}`: delete or rename one"
                )

    def _meant(self, names: Sequence[str]) -> str:
        """What unknown names probably mean, as the end of a sentence."""
        found: list[str] = []
        for name in names[:_MEANT]:
            likely, hint = likely_field(name, self._columns), self._columns.hint(name)
            if likely and f"`{likely}`" not in hint:
                hint = f" (did you mean `{likely}`?)"
            found += [f"{listed([name])}{hint}"] if hint else []
        return f"; {', '.join(found)}" if found else ""

    def values(
        self, values: Mapping[str, Any], reading: Reading | None = None, *, escaped: bool = False
    ) -> dict[str, Any]:
        """A row under the names of the destination's columns. `escaped`: a pull has put apostrophes before formulas."""
        naming = self._naming(values)
        pulled = naming is self._pulled and bool(values.get(self._id))
        if naming is self._pulled and not pulled:
            # A row that was added to what was pulled.
            naming = self._plain
        # A record's id shows that the cells are from a pull, its columns may have been removed.
        escaped = escaped and bool(values.get(self._id))
        # Any other mapping may give a name twice, as a form does, or other cells than it holds.
        plain = kind_of(values) is dict
        names = tuple(values) if plain else tuple(name for name, _ in values.items())
        columns = self._columns_of(naming, names)
        if columns is None and not (pulled or escaped):
            named = dict(values) if plain else dict(values.items())
        else:
            named = self._renamed(values, columns or names, pulled=pulled, escaped=escaped)
        self._with_terms(named)
        self.references.resolve(named)
        return named if reading is None else self._localized(named, reading)

    def _renamed(
        self, values: Mapping[str, Any], columns: Sequence[str], *, pulled: bool, escaped: bool
    ) -> dict[str, Any]:
        """The cells of a row under its columns."""
        named: dict[str, Any] = {}
        for (name, cell), target in zip(values.items(), columns, strict=True):
            column = target
            if not column or (pulled and column == _CUSTOM and any(one.startswith("cf_") for one in values)):
                # Custom fields stand under their own names too.
                continue
            if column != name and (column in values or column in named):
                # The second spelling is reported as unknown.
                column = name
            if pulled:
                named[column] = self._writable(column, cell, escaped=escaped)
            else:
                named[column] = unescape_cell(cell) if escaped and isinstance(cell, str) else cell
        return named

    def _with_terms(self, values: dict[str, Any]) -> None:
        """Payment terms in words as days: Net 30, Due on Receipt."""
        if not self._has_terms:
            return
        for name in ("payment_terms", "payment_terms_label"):
            text = values.get(name)
            if not isinstance(text, str):
                continue
            counts = name == "payment_terms" or not values.get("payment_terms")
            if counts and (days := days_of(strip_blanks(text))) is not None:
                values["payment_terms"] = days

    def _naming(self, names: Mapping[str, Any]) -> Callable[[str], str]:
        """What gives the column for each name of a row: of a record as Zoho gives it only what can be written."""
        if self._id and self._id in names and any(stamp in names for stamp in _STAMPS):
            return self._pulled
        return self._with_name if self._name in names else self._plain

    def _resolve(self, name: str, *, has_name: bool = False) -> str:
        """The column that a name stands for; the name itself when there is none."""
        if name == self._id or self._columns.field(name) is not None:
            return name
        word = comparable(name)
        if word in self._spelled:
            return self._spelled[word]
        if name[:3].casefold() == "cf_" and self._columns.field(name.casefold()) is not None:
            return name.casefold()
        if word == "name" and self._name and not has_name:
            return self._name
        if word in self._words:
            return self._words[word]
        if not self.references.is_label(name):
            return name
        return "" if self.references.cannot_ask else self.references.custom_field(name) or name

    def _resolve_pulled(self, name: str) -> str:
        """The column of that name; empty when it cannot be written."""
        if name == self._id:
            return name
        writable = self._columns.field(name) is not None and not name.endswith("_unformatted")
        return name if writable and not name.startswith(f"{_CUSTOM}[") else ""

    def _is_word(self, name: str, column: str) -> bool:
        if column.startswith("cf_"):
            return False
        return name != column and self._spelled.get(comparable(name)) != column

    def _writable(self, column: str, cell: Any, *, escaped: bool) -> Any:
        """What of a member can be written."""
        if isinstance(cell, str):
            return None if cell in _EMPTY else unescape_cell(cell) if escaped else cell
        if is_mapping(cell):
            return {
                name: self._writable(f"{column}.{name}", inner, escaped=escaped)
                for name, inner in cell.items()
                if self._columns.field(f"{column}.{name}") is not None
            }
        if is_sequence(cell):
            return [self._writable(f"{column}[0]", item, escaped=escaped) for item in cell]
        return cell

    def _localized(self, values: dict[str, Any], reading: Reading) -> dict[str, Any]:
        """Amounts and words for yes and no in their plain form."""
        for name, cell in values.items():
            column = self._columns.field(name) if isinstance(cell, str) and cell else None
            if column is None or column.branch:
                continue
            if column.rule.kind in ("number", "integer"):
                values[name] = plain_amount(strip_blanks(cell), reading.decimal)
            elif column.rule.kind == "boolean":
                values[name] = truth(strip_blanks(cell), reading)
        return values


def _columns_of(naming: Callable[[str], str], names: tuple[str, ...]) -> tuple[str, ...] | None:
    """The columns that the names of a row stand for; None when they are the names."""
    columns = tuple(map(naming, names))
    return None if columns == names and all(columns) else columns


def left_out_note(names: Iterable[str]) -> str:
    """The note on members of a pulled file that cannot be written."""
    return f"pulled from Zoho; left out, because it cannot be written: {listed(names)}"


def _spellings(columns: Columns, record_id: str) -> tuple[dict[str, str], dict[str, str]]:
    """Columns by their names without case, blanks and punctuation; and by last words that only one column has."""
    names = columns.names()
    spelled: dict[str, list[str]] = {}
    words: dict[str, list[str]] = {}
    for name in (*names, *([record_id] if record_id else ())):
        spelled.setdefault(comparable(name), []).append(name)
        if name.rpartition(".")[2] in _WORDS and "." in name:
            words.setdefault(comparable(name.rpartition(".")[2]), []).append(name)
    own = {key: found[0] for key, found in spelled.items() if len(found) == 1}
    return own, {key: found[0] for key, found in words.items() if len(found) == 1 and key not in spelled}
