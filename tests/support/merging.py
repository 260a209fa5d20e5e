"""Short calls of the merge, for its tests."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from zoho_async.billing.rules import RULES as BILLING
from zoho_async.books.rules import RULES as BOOKS
from zoho_async.bulk.pushing.merge import Difference, Merged, merge


def contact(record: Mapping[str, Any], body: Mapping[str, Any], *cleared: str, **more: Any) -> Merged:
    return merge(record, body, cleared=cleared, rules=BOOKS, schema="ContactUpdate", **more)


def customer(record: Mapping[str, Any], body: Mapping[str, Any], *cleared: str) -> Merged:
    return merge(record, body, cleared=cleared, rules=BILLING, schema="CustomerUpdate")


def changed(path: str, before: Any, after: Any) -> Difference:
    return Difference(path=path, before=before, after=after)


def people(*persons: Any) -> dict[str, Any]:
    return {"contact_persons": list(persons)}
