"""The list of contacts: filters, order, pages. Pure."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from typing import Any, Final, TypeAlias, TypeVar

from zoho_async.fake.refusals import invalid_value
from zoho_async.fake.rendering.live import list_row
from zoho_async.fake.rendering.wire_format import envelope
from zoho_async.fake.world.state import ContactRecord, Organization, primary_person

from .handler import HandlerCall, HandlerResult

MAX_PER_PAGE = 200

T = TypeVar("T")

_SORT_COLUMNS: Final = (
    "contact_name",
    "first_name",
    "last_name",
    "email",
    "outstanding_receivable_amount",
    "created_time",
    "last_modified_time",
)
_ADDRESS_PARTS = ("attention", "address", "street2", "city", "state", "zip", "country")

_CUSTOMERS = ("contact_type", "equal", "customer")

Show: TypeAlias = Callable[[ContactRecord, Organization], dict[str, Any]]
"""How a contact is written in a response."""

Filter: TypeAlias = tuple[str, str, str]
"""Column, comparator, text to find in lower case."""


def list_contacts(call: HandlerCall) -> HandlerResult:
    """GET /contacts. Unknown parameters are silently ignored, as by the service."""
    return list_rows(call, "contacts", list_row)


def list_rows(call: HandlerCall, key: str, show: Show, *, customers: bool = False) -> HandlerResult:
    """The list of contacts under the name `key`; with `customers` without vendors."""
    query, organization = call.query, call.organization
    page, per_page = _page_wanted(call)
    column = query.get("sort_column", "contact_name")
    if column not in _SORT_COLUMNS:
        column = "contact_name"
    order = "D" if query.get("sort_order") in ("D", "descending") else "A"
    filter_by = query.get("filter_by", "Status.All")
    if filter_by not in _statuses(call):
        filter_by = "Status.All"
    filters = _filters(query)
    selection = (*filters, _CUSTOMERS) if customers else filters

    ids = organization.listed(
        (column, order, filter_by, *selection),
        lambda: _select(organization, _ordered(organization, column, order), filter_by, selection),
    )
    if query.get("response_option") == "2":
        counts = {"total": len(ids), "total_pages": -(-len(ids) // per_page)}
        return HandlerResult(body=envelope(0, "success", page_context=counts))
    start = (page - 1) * per_page
    rows = [show(organization.contacts[contact_id], organization) for contact_id in ids[start : start + per_page]]
    context: dict[str, Any] = {
        "page": page,
        "per_page": per_page,
        "has_more_page": start + per_page < len(ids),
        "report_name": key.title(),
        "applied_filter": filter_by,
        "custom_fields": [],
        "sort_column": column,
        "sort_order": order,
    }
    if filters:
        context["search_criteria"] = [
            {"column_name": name, "search_text": wanted, "comparator": comparator}
            for name, comparator, wanted in filters
        ]
    return HandlerResult(body=envelope(0, "success", **{key: rows}, page_context=context))


def page_of(
    call: HandlerCall, key: str, report_name: str, rows: Sequence[T], show: Callable[[T], dict[str, Any]]
) -> HandlerResult:
    """One page of any rows, in the order given."""
    page, per_page = _page_wanted(call)
    start = (page - 1) * per_page
    context: dict[str, Any] = {
        "page": page,
        "per_page": per_page,
        "has_more_page": start + per_page < len(rows),
        "report_name": report_name,
        "applied_filter": "Status.All",
        "custom_fields": [],
        "sort_column": "created_time",
        "sort_order": "D",
    }
    shown = [show(row) for row in rows[start : start + per_page]]
    return HandlerResult(body=envelope(0, "success", **{key: shown}, page_context=context))


def _statuses(call: HandlerCall) -> Collection[str]:
    known = next((each.values for each in call.operation.parameters if each.name == "filter_by"), ())
    return known or _STATUSES.keys()


def _page_wanted(call: HandlerCall) -> tuple[int, int]:
    page = _positive_integer("page", call.query.get("page"), 1)
    return page, min(_positive_integer("per_page", call.query.get("per_page"), MAX_PER_PAGE), MAX_PER_PAGE)


def _ordered(organization: Organization, column: str, order: str) -> list[str]:
    # One sort serves every filter and both directions.
    ascending = organization.listed(column, lambda: _sorted(organization, column))
    return ascending if order == "A" else ascending[::-1]


def _sorted(organization: Organization, column: str) -> list[str]:
    contacts = organization.contacts
    if column == "last_modified_time":
        return sorted(contacts, key=lambda each: (contacts[each][column], organization.revision(each)))
    if column == "outstanding_receivable_amount":
        return sorted(contacts, key=lambda each: contacts[each].get(column, 0))
    if column == "created_time":
        # Within one second the mapping keeps the order of creation.
        return sorted(contacts, key=lambda each: contacts[each][column])
    if column == "contact_name":
        return sorted(contacts, key=lambda each: contacts[each][column].casefold())
    return sorted(contacts, key=lambda each: str((primary_person(contacts[each]) or {}).get(column, "")).casefold())


def _select(organization: Organization, ids: list[str], filter_by: str, filters: Iterable[Filter]) -> list[str]:
    contacts = organization.contacts
    if filter_by == "Status.Duplicate":
        seen = dict[str, int]()
        for record in contacts.values():
            name = record["contact_name"].strip()
            seen[name] = seen.get(name, 0) + 1
        ids = [each for each in ids if seen[contacts[each]["contact_name"].strip()] > 1]
    elif filter_by != "Status.All":
        holds = _STATUSES[filter_by]
        ids = [each for each in ids if holds(contacts[each])]
    for column, comparator, wanted in filters:
        texts, compare = _FILTER_TEXTS[column], _COMPARATORS[comparator]
        ids = [each for each in ids if any(compare(text.casefold(), wanted) for text in texts(contacts[each]))]
    return ids


def _filters(query: Any) -> tuple[Filter, ...]:
    found: list[Filter] = []
    for name, text in query.items():
        if name == "search_text":
            found.append((name, "contains", text.casefold()))
            continue
        for comparator, suffix in (("startswith", "_startswith"), ("contains", "_contains"), ("equal", "")):
            column = name.removesuffix(suffix) if suffix else name
            if name.endswith(suffix) and column in _FILTER_TEXTS and column != "search_text":
                found.append((column, comparator, text.casefold()))
                break
    return tuple(sorted(found))


def _positive_integer(name: str, value: str | None, default: int) -> int:
    if value is None or value == "":
        return default
    if not (value.isascii() and value.isdigit() and len(value) < 10 and int(value) > 0):
        raise invalid_value(name)
    return int(value)


def _field(name: str) -> Callable[[ContactRecord], list[str]]:
    return lambda record: [str(record.get(name, ""))]


def _of_persons(*names: str) -> Callable[[ContactRecord], list[str]]:
    return lambda record: [str(person.get(name, "")) for person in record["contact_persons"] for name in names]


def _of_addresses(record: ContactRecord) -> list[str]:
    sides = (record["billing_address"], record["shipping_address"])
    return [str(side.get(part, "")) for side in sides for part in _ADDRESS_PARTS]


_FILTER_TEXTS: dict[str, Callable[[ContactRecord], list[str]]] = {
    "contact_name": _field("contact_name"),
    "company_name": _field("company_name"),
    "contact_type": _field("contact_type"),
    "zcrm_contact_id": _field("zcrm_contact_id"),
    "zcrm_account_id": _field("zcrm_account_id"),
    "zcrm_vendor_id": _field("zcrm_vendor_id"),
    "first_name": _of_persons("first_name"),
    "last_name": _of_persons("last_name"),
    "email": _of_persons("email"),
    "phone": _of_persons("phone", "mobile"),
    "address": _of_addresses,
    "search_text": lambda record: [record["contact_name"], record.get("notes", "")],
}
_COMPARATORS: dict[str, Callable[[str, str], bool]] = {
    "equal": lambda text, wanted: text == wanted,
    "startswith": lambda text, wanted: text.startswith(wanted),
    "contains": lambda text, wanted: wanted in text,
}


def _portal(record: ContactRecord) -> bool:
    return bool(record.get("is_portal_enabled")) or record.get("portal_status") == "enabled"


def _over_credit(record: ContactRecord) -> bool:
    limit = record.get("credit_limit")
    return limit is not None and record.get("outstanding_receivable_amount", 0) > limit


_STATUSES: dict[str, Callable[[ContactRecord], bool]] = {
    "Status.All": lambda record: True,
    "Status.Active": lambda record: record["status"] == "active",
    "Status.Inactive": lambda record: record["status"] == "inactive",
    "Status.Duplicate": lambda record: False,  # concerns all records, see _select
    "Status.PortalEnabled": _portal,
    "Status.PortalDisabled": lambda record: not _portal(record),
    "Status.Crm": lambda record: bool(record.get("is_linked_with_zohocrm")),
    "Status.Gapps": lambda record: False,  # the fake has no contacts from Google's applications
    "Status.NonSubscribers": lambda record: True,  # the fake has no subscriptions
    "Status.CreditLimitExceed": _over_credit,
    "Invoice.Unpaid": lambda record: record.get("outstanding_receivable_amount", 0) > 0,
    "Invoice.OverDue": lambda record: False,  # the fake has no invoices
}
