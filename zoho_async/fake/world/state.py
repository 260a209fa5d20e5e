"""What an organisation holds: its records, its custom fields, and the indexes that keep both quick. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, TypeAlias

import msgspec

from .quotas import Allowance

Record: TypeAlias = dict[str, Any]
"""A stored contact: what was sent, by wire names, plus ids and times. `custom_fields` maps api names to values."""

PLANS: dict[str, tuple[int, int]] = {
    "free": (1_000, 5),
    "standard": (2_000, 10),
    "professional": (5_000, 10),
    "premium": (10_000, 10),
    "elite": (10_000, 10),
    "ultimate": (10_000, 10),
}
"""What a plan allows: calls a day, calls in process."""

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


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What an organisation is, apart from what it holds."""

    id: str
    name: str = ""
    """Empty: made of the id."""
    edition: str = "us"
    """Code of the country whose edition it uses."""
    plan: str = ""
    """One of `PLANS`; it sets the limits that were not given. Empty: a plan without limits of its own."""
    zone: str = "-04:00"
    """Offset of its time zone; the day's calls are counted to midnight there."""
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
        profile: Profile | None = None,
    ) -> None:
        """`number` keeps the ids of several organisations apart."""
        self.id = id
        self.profile = profile if profile is not None else Profile(id=id)
        self.limits = allowance if allowance is not None else Allowance()
        self.zone: tzinfo = self.profile.offset()
        self.contacts: dict[str, Record] = {}
        """Stored records by id. Change names and unique fields through the API only: they are indexed."""
        self.custom_fields: dict[str, CustomField] = {}
        self.documents: dict[str, Document] = {}
        """Attached files by id, those in the bin too."""
        self.comments: dict[str, list[Record]] = {}
        """Comments by contact id, newest first."""
        self.unique_fields: set[str] = set(unique_fields)
        """Api names of the custom fields that allow no duplicates."""
        # Neighbouring 19-digit ids are one and the same number to a client that reads them as floats, on purpose.
        self._next_id = _FIRST_ID + number * _ORGANIZATION_IDS
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
        """The next id: 19 digits, never given out twice."""
        self._next_id += 1
        return str(self._next_id)

    def local(self, now: datetime) -> datetime:
        """The moment in the organisation's zone."""
        return now.astimezone(self.zone)

    def stamp(self, now: datetime) -> str:
        """The moment as Zoho writes it: whole seconds, and the zone without a colon."""
        second = now.replace(microsecond=0)
        if self._stamp[0] != second:
            self._stamp = (second, self.local(second).strftime("%Y-%m-%dT%H:%M:%S%z"))
        return self._stamp[1]

    # -- custom fields

    def custom_field(self, api_name: str, value: object) -> CustomField:
        """The field's definition; a new name defines a field whose type is guessed from its first value."""
        field = self.custom_fields.get(api_name)
        if field is None:
            # Fields made by index are called cf_field_<index>; the others count where those will hardly reach.
            by_index = re.fullmatch(r"cf_field_(\d{1,5})", api_name)
            index = int(by_index[1]) if by_index else _FIRST_INDEX + len(self.custom_fields)
            label = api_name.removeprefix("cf_").replace("_", " ").title()
            field = CustomField(
                id=self.new_id(), api_name=api_name, index=index, label=label, data_type=_data_type(value)
            )
            self.custom_fields[api_name] = field
        return field

    # -- records

    def named(self, contact_type: str, contact_name: str) -> str | None:
        """Id of the contact of this type and name."""
        return self._names.get((contact_type, contact_name.strip()))

    def holding(self, field: str, value: object) -> str | None:
        """Id of the contact with this value in a custom field that allows no duplicates."""
        return self._index(field).get(str(value))

    def contact_of(self, contact_person_id: str) -> str | None:
        """Id of the contact a person belongs to."""
        return self._persons.get(contact_person_id)

    def revision(self, contact_id: str) -> int:
        """Grows with every write, so that changes within one second still have an order."""
        return self._revisions[contact_id]

    def put(self, record: Record) -> None:
        """Store a record, new or changed, and keep the indexes true. A changed one must be a new mapping."""
        contact_id: str = record["contact_id"]
        old = self.contacts.get(contact_id)
        if old is not None:
            self._forget(old)
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

    def remove(self, contact_id: str) -> Record:
        """Take a record out; KeyError when there is none."""
        record = self.contacts.pop(contact_id)
        self._forget(record)
        self.comments.pop(contact_id, None)
        del self._revisions[contact_id]
        self._lists.clear()
        return record

    def listed(self, key: object, make: Callable[[], list[str]]) -> list[str]:
        """The ids that `make` puts in order, remembered under `key` until the next write."""
        ids = self._lists.get(key)
        if ids is None:
            if len(self._lists) >= _CACHED_LISTS:
                self._lists.clear()
            ids = self._lists[key] = make()
        return ids

    def _forget(self, record: Record) -> None:
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
        # Built when first asked for, because a field may be declared unique when it already has values.
        index = self._unique.get(field)
        if index is None:
            index = self._unique[field] = {}
            for contact_id, record in self.contacts.items():
                value = record["custom_fields"].get(field)
                if value is not None:
                    index.setdefault(str(value), contact_id)
        return index


def _data_type(value: object) -> str:
    if isinstance(value, bool):
        return "check_box"
    if isinstance(value, int):
        return "number"
    if isinstance(value, str):
        return "string"
    return "multiselect" if isinstance(value, list) else "decimal"
