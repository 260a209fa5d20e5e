"""Records and custom fields of an organisation, with the indexes to find them. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, TypeAlias

import msgspec

from .quotas import Allowance

ContactRecord: TypeAlias = dict[str, Any]
"""A stored contact by wire names, with ids and times; `custom_fields` maps api names to values."""

PLANS: dict[str, tuple[int, int]] = {
    "free": (1_000, 5),
    "standard": (2_000, 10),
    "professional": (5_000, 10),
    "premium": (10_000, 10),
    "elite": (10_000, 10),
    "ultimate": (10_000, 10),
}
"""Limits of a plan: calls a day, calls in process."""

_FIRST_ID = 4_600_000_000_000_000_000
_ORGANIZATION_IDS = 10**13
_FIRST_INDEX = 100_001
_CACHED_LISTS = 32


class CustomField(msgspec.Struct, frozen=True, kw_only=True):
    """The definition of a custom field."""

    id: str
    api_name: str
    index: int
    label: str
    data_type: str


class Currency(msgspec.Struct, frozen=True):
    """A currency of an organisation."""

    code: str
    name: str
    symbol: str


_CURRENCIES = (Currency("USD", "US Dollar", "$"), Currency("EUR", "Euro", "€"), Currency("GBP", "Pound Sterling", "£"))


class Document(msgspec.Struct, kw_only=True):
    """A file attached to a contact."""

    id: str
    contact_id: str
    filename: str
    content_type: str
    content: bytes
    deleted: bool = False
    can_show_in_portal: bool = False

    def __repr__(self) -> str:
        return f"<Document {self.id} {len(self.content)} bytes>"


class OrganizationProfile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Settings of an organisation."""

    id: str
    name: str = ""
    """Empty: derived from the id."""
    edition: str = "us"
    """Code of the country whose edition it uses."""
    plan: str = ""
    """One of `PLANS`; sets the limits that were not given. Empty: no limits by plan."""
    zone: str = "-04:00"
    """Offset of its time zone; the daily quota resets at midnight there."""
    currency_code: str = "USD"
    currency_symbol: str = "$"

    def offset(self) -> timezone:
        """The zone; ValueError when it is no offset such as `+05:30`."""
        found = re.fullmatch(r"([+-])(\d\d):([0-5]\d)", self.zone)
        if found is None or int(found[2]) > 14:
            raise ValueError(f"not an offset from UTC: {self.zone!r}")
        minutes = int(found[2]) * 60 + int(found[3])
        return timezone(timedelta(minutes=minutes if found[1] == "+" else -minutes))


class Organization:
    """One organisation and everything stored in it."""

    def __init__(
        self,
        id: str,
        *,
        number: int = 0,
        allowance: Allowance | None = None,
        unique_fields: Iterable[str] = (),
        profile: OrganizationProfile | None = None,
    ) -> None:
        """`number` keeps the ids of several organisations apart."""
        self.id = id
        self.profile = profile if profile is not None else OrganizationProfile(id=id)
        self.limits = allowance if allowance is not None else Allowance()
        self.zone: tzinfo = self.profile.offset()
        self.contacts: dict[str, ContactRecord] = {}
        """Stored records by id. Change names and unique fields through the API only: they are indexed."""
        self.custom_fields: dict[str, CustomField] = {}
        self.documents: dict[str, Document] = {}
        """Attached files by id, those in the recycle bin too."""
        self.comments: dict[str, list[ContactRecord]] = {}
        """Comments by contact id, newest first."""
        self.unique_fields: set[str] = set(unique_fields)
        """Api names of the custom fields that allow no duplicates."""
        # 19 digits: a client that reads ids as floats confuses neighbours.
        self._first_id = self._next_id = _FIRST_ID + number * _ORGANIZATION_IDS
        self.currency_id = self.new_id()
        self.payment_terms_id = self.new_id()
        self.user_id = self.new_id()
        self._names: dict[tuple[str, str], str] = {}
        self._unique: dict[str, dict[str, str]] = {}
        self._persons: dict[str, str] = {}
        self._revisions: dict[str, int] = {}
        self._revision = 0
        self._lists: dict[object, list[str]] = {}
        self._stamp: tuple[datetime, str] = (datetime.min.replace(tzinfo=UTC), "")

    def __repr__(self) -> str:
        return f"<Organization {self.id} {len(self.contacts)} contacts>"

    def new_id(self) -> str:
        """The next id: 19 digits, never issued twice."""
        self._next_id += 1
        return str(self._next_id)

    def fixed_id(self, number: int) -> str:
        """The id of something that is always there, apart from those of `new_id`."""
        return str(self._first_id + _ORGANIZATION_IDS // 2 + number)

    @property
    def currencies(self) -> dict[str, Currency]:
        """The currencies by id, the organisation's own first."""
        profile = self.profile
        name = next((one.name for one in _CURRENCIES if one.code == profile.currency_code), profile.currency_code)
        others = {
            self.fixed_id(number): one for number, one in enumerate(_CURRENCIES, 1) if one.code != profile.currency_code
        }
        return {self.currency_id: Currency(profile.currency_code, name, profile.currency_symbol), **others}

    def local(self, now: datetime) -> datetime:
        """The time in the organisation's zone."""
        return now.astimezone(self.zone)

    def stamp(self, now: datetime) -> str:
        """The time as Zoho writes it: whole seconds, the zone without a colon."""
        second = now.replace(microsecond=0)
        if self._stamp[0] != second:
            self._stamp = (second, self.local(second).strftime("%Y-%m-%dT%H:%M:%S%z"))
        return self._stamp[1]

    # -- custom fields

    def custom_field(self, api_name: str, value: object) -> CustomField:
        """The field's definition; a new name defines a field with the type of its first value."""
        field = self.custom_fields.get(api_name)
        if field is None:
            # Fields by index are named cf_field_<index>; others get higher indexes.
            by_index = re.fullmatch(r"cf_field_(\d{1,5})", api_name)
            index = int(by_index[1]) if by_index else _FIRST_INDEX + len(self.custom_fields)
            label = api_name.removeprefix("cf_").replace("_", " ").title()
            field = CustomField(
                id=self.new_id(), api_name=api_name, index=index, label=label, data_type=_data_type(value)
            )
            self.custom_fields[api_name] = field
        return field

    # -- records

    def id_by_name(self, contact_type: str, contact_name: str) -> str | None:
        """Id of the contact of this type and name."""
        return self._names.get((contact_type, contact_name.strip()))

    def id_by_unique(self, field: str, value: object) -> str | None:
        """Id of the contact with this value in a custom field that allows no duplicates."""
        return self._index(field).get(str(value))

    def id_by_person(self, contact_person_id: str) -> str | None:
        """Id of the contact a person belongs to."""
        return self._persons.get(contact_person_id)

    def revision(self, contact_id: str) -> int:
        """Grows with every write: orders changes within one second."""
        return self._revisions[contact_id]

    def put(self, record: ContactRecord) -> None:
        """Store a new or changed record and update the indexes. A changed one must be a new mapping."""
        contact_id: str = record["contact_id"]
        old = self.contacts.get(contact_id)
        if old is not None:
            self._unindex(old)
        self.contacts[contact_id] = record
        self._names[record["contact_type"], record["contact_name"].strip()] = contact_id
        for person in record["contact_persons"]:
            self._persons[person["contact_person_id"]] = contact_id
        for field, index in self._unique.items():
            value = record["custom_fields"].get(field)
            if value is not None:
                index[str(value)] = contact_id
        self._revision += 1
        self._revisions[contact_id] = self._revision
        self._lists.clear()

    def remove(self, contact_id: str) -> ContactRecord:
        """Remove a record; KeyError when there is none."""
        record = self.contacts.pop(contact_id)
        self._unindex(record)
        self.comments.pop(contact_id, None)
        del self._revisions[contact_id]
        self._lists.clear()
        return record

    def listed(self, key: object, make: Callable[[], list[str]]) -> list[str]:
        """The ids that `make` orders, cached under `key` until the next write."""
        ids = self._lists.get(key)
        if ids is None:
            if len(self._lists) >= _CACHED_LISTS:
                self._lists.clear()
            ids = self._lists[key] = make()
        return ids

    def _unindex(self, record: ContactRecord) -> None:
        contact_id = record["contact_id"]
        name = (record["contact_type"], record["contact_name"].strip())
        if self._names.get(name) == contact_id:
            del self._names[name]
        for person in record["contact_persons"]:
            self._persons.pop(person["contact_person_id"], None)
        for field, index in self._unique.items():
            value = record["custom_fields"].get(field)
            if value is not None and index.get(str(value)) == contact_id:
                del index[str(value)]

    def _index(self, field: str) -> dict[str, str]:
        # Built on first use: a field may become unique when it already has values.
        index = self._unique.get(field)
        if index is None:
            index = self._unique[field] = {}
            for contact_id, record in self.contacts.items():
                value = record["custom_fields"].get(field)
                if value is not None:
                    index.setdefault(str(value), contact_id)
        return index


def primary_person(record: ContactRecord) -> ContactRecord | None:
    """The primary contact person, or None when the contact has no persons."""
    persons: list[ContactRecord] = record["contact_persons"]
    return next((person for person in persons if person.get("is_primary_contact")), None)


def _data_type(value: object) -> str:
    if isinstance(value, bool):
        return "check_box"
    if isinstance(value, int):
        return "number"
    if isinstance(value, str):
        return "string"
    return "multiselect" if isinstance(value, list) else "decimal"
