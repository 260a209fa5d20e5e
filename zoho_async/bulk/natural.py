"""What tells the records of a resource apart when no id is known, as far as the documents say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

import msgspec


class Natural(msgspec.Struct, frozen=True, kw_only=True):
    """The natural key of a resource that can be pushed."""

    name: str = ""
    """The field that names a record. Zoho refuses a second record of a name with code 3062, unless an organisation has
    allowed equal names in its settings."""
    kind: str = ""
    """The field within whose values names are unique; empty: within all."""
    usual_kind: str = ""
    """What `kind` is when a row does not say."""
    parent: str = ""
    """The field that names the record it belongs to; such records are listed by it, and have no name of their own."""


NATURAL: Final[Mapping[str, Natural]] = {
    "books.contacts": Natural(name="contact_name", kind="contact_type", usual_kind="customer"),
    "books.contact_persons": Natural(parent="contact_id"),
    "invoice.contact_persons": Natural(parent="contact_id"),
    "expense.customers": Natural(name="contact_name"),
    "billing.customers": Natural(name="display_name"),
}
"""The resources that can be pushed."""
