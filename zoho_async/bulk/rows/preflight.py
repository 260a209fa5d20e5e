"""What rows need of the organisation, compared with its lists before the first write. Pure."""

from __future__ import annotations

import difflib
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

from zoho_async._typeguards import is_mapping, is_sequence
from zoho_async.bulk.errors import InputError, UnknownColumnError
from zoho_async.bulk.source.text import listed

from .options import Options
from .references import CUSTOM_FIELDS, REFERENCES
from .resource import Destination
from .validate import WorkItem

CURRENCIES: Final = next(one for one in REFERENCES if one.member == "currencies")
_CUSTOM = "custom_fields"
_SHOWN = 10
_LOCAL = re.compile(r"https?://(127\.|localhost\b|\[::1\])")


class CustomFieldInfo(msgspec.Struct, frozen=True):
    """What is known of a custom field."""

    unique: bool | None
    """None: not known."""


class Preflight:
    """Collects what rows need of the organisation, and compares it with the organisation's lists."""

    def __init__(self, destination: Destination, options: Options) -> None:
        self._options = options
        fields = destination.fields
        self._place = destination.origin[0]
        self._has_custom_fields = _CUSTOM in fields
        self._currency_columns = [one for one in (CURRENCIES.id_column, CURRENCIES.column) if one in fields]
        self._fields: dict[str, str] = {}
        """The first rows that need a custom field, by its name."""
        self._currencies: dict[tuple[str, str], str] = {}
        """The first rows that need a currency, by column and value."""

    def add(self, item: WorkItem) -> None:
        """Takes a row that is valid in itself."""
        body = item.body
        if self._has_custom_fields and (given := body.get(_CUSTOM)) and is_sequence(given):
            for one in given:
                name = one.get("api_name") if is_mapping(one) else None
                if isinstance(name, str) and name not in self._fields:
                    self._fields[name] = _place(item)
        for column in self._currency_columns:
            value = body.get(column)
            if value not in (None, "") and (column, str(value)) not in self._currencies:
                self._currencies[column, str(value)] = _place(item)

    @property
    def questions(self) -> list[str]:
        """Addresses of the lists to be asked for."""
        key = self._options.field.startswith("cf_") and self._has_custom_fields
        return [CUSTOM_FIELDS] * (key or bool(self._fields)) + [CURRENCIES.path] * bool(self._currencies)

    def judge(self, answers: Mapping[str, Any], where: str = "") -> None:
        """Takes the answers by address; one that is not surely the whole list decides nothing. `where`: the file.

        Raises:
            InputError: The organisation lacks a field or a currency, or the key's field allows duplicates.
        """
        fields, currencies = custom_fields_of(answers.get(CUSTOM_FIELDS)), currencies_of(answers.get(CURRENCIES.path))
        missing = self._missing(fields) if fields is not None else []
        problems = [self._lacks(missing, sorted(fields or {}))] if missing else []
        key = self._options.upsert_by
        if key and fields is not None and key in fields and fields[key].unique is False:
            problems.append(
                f"`{key}` allows duplicates in Zoho, so no row can be known by it: forbid duplicates in the settings "
                f"of the field, or push with --match-by {key}"
            )
        if currencies is not None:
            problems += self._foreign(currencies)
        text = (f"{where}: " if where else "") + "; ".join(problems)
        if missing:
            raise UnknownColumnError(text, missing)
        if problems:
            raise InputError(text)

    def _missing(self, fields: Mapping[str, CustomFieldInfo]) -> list[str]:
        key = self._options.field
        needed = dict.fromkeys([key] if key.startswith("cf_") else []) | dict.fromkeys(self._fields)
        there = {name.casefold() for name in fields}
        return [name for name in needed if name.casefold() not in there]

    def _lacks(self, missing: list[str], known: list[str]) -> str:
        near = [found[0] for name in missing[:_SHOWN] if (found := difflib.get_close_matches(name, known, n=1))]
        meant = f", perhaps {listed(dict.fromkeys(near))} is meant" if near else ""
        row = next((f", needed first by {row}" for name in missing if (row := self._fields.get(name))), "")
        where = "in Zoho's settings"
        if _LOCAL.match(self._place):
            where = f"(of a FakeZoho: `zoho-async fake{''.join(f' --custom-field {one}' for one in missing[:_SHOWN])}`)"
        return (
            f"the organisation has no custom field {listed(missing, _SHOWN)}{row}{meant}: correct the name, leave it "
            f"out, or make the field {where}; it has {listed(known, _SHOWN)}"
        )

    def _foreign(self, currencies: Mapping[str, str]) -> list[str]:
        """Messages on currencies that are not there; `currencies`: codes by id."""
        known = {CURRENCIES.id_column: set(currencies), CURRENCIES.column: {one.upper() for one in currencies.values()}}
        return [
            f"{row}: {column}: the organisation has no currency {listed([value])}: add it in Zoho's settings, or "
            f"correct the rows; it has {listed(currencies.values(), _SHOWN)}"
            for (column, value), row in self._currencies.items()
            if value.strip().upper() not in known[column]
        ][:_SHOWN]


def custom_fields_of(answer: Any) -> dict[str, CustomFieldInfo] | None:
    """The custom fields of an organisation by API name; None when the answer is not surely all of them."""
    rows = _whole(answer, "customfields", "api_name")
    if rows is None or not _of_contacts(answer["customfields"]):
        return None
    found: dict[str, CustomFieldInfo] = {}
    for row in rows:
        name, unique = str(row["api_name"]), {True: True, False: False, "true": True, "false": False}
        flag = row.get("is_unique")
        info = CustomFieldInfo(unique.get(flag) if isinstance(flag, bool | str) else None)
        # Invoices and contacts may each have a field of the name.
        found[name] = info if found.get(name, info) == info else CustomFieldInfo(None)
    return found


def _of_contacts(listed_fields: Any) -> bool:
    """Whether fields that say whose they are have those of contacts among them."""
    if is_mapping(listed_fields):
        owners = list(map(str, listed_fields))
    else:
        owners = [str(row.get("entity") or row.get("module") or "") for row in listed_fields]
    return not all(owners) or any(word in one.casefold() for one in owners for word in ("contact", "customer"))


def currencies_of(answer: Any) -> dict[str, str] | None:
    """The codes of an organisation's currencies by id; None when the answer is not surely all of them."""
    rows = _whole(answer, CURRENCIES.member, CURRENCIES.id, CURRENCIES.column)
    return None if rows is None else {str(row[CURRENCIES.id]): str(row[CURRENCIES.column]) for row in rows}


def _whole(answer: Any, member: str, *names: str) -> list[Mapping[str, Any]] | None:
    """The rows of a list, also where they stand in groups; None unless each has these fields and none is left out."""
    rows: Any = answer.get(member) if is_mapping(answer) else None
    if is_mapping(rows):
        groups = list(rows.values())
        rows = [row for group in groups for row in group] if all(is_sequence(group) for group in groups) else None
    # An empty list may be that of something else.
    if not is_sequence(rows) or not rows or not all(is_mapping(row) and all(map(row.get, names)) for row in rows):
        return None
    context = answer.get("page_context")
    if context is not None and not (is_mapping(context) and context.get("has_more_page") in (False, "false")):
        return None
    return list(rows)


def _place(item: WorkItem) -> str:
    return f"row {item.row.number}" + (f" (line {item.row.line})" if item.row.line else "")
