"""Customers of Expense and Billing: the contacts of the organisation under other names. Pure.

Whether the products of an organisation share their contacts on the service is not known; here they do.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from typing import Any

import msgspec

from zoho_async._typeguards import is_list, is_mapping
from zoho_async.fake.refusals import Refusal, missing, not_found
from zoho_async.fake.rendering.billing import billing_customer, billing_row
from zoho_async.fake.rendering.live import list_row, whole_contact
from zoho_async.fake.world.state import ContactRecord, primary_person

from . import bodies, checking
from .actions import by_reference
from .contact_records import store_changed, store_new
from .contacts import remove
from .handler import Handler, HandlerCall, HandlerResult, change, result
from .listing import Show, list_rows

_PERSON_FIELDS = (
    "salutation",
    "first_name",
    "last_name",
    "email",
    "phone",
    "mobile",
    "department",
    "designation",
    "fax",
)
"""Fields of a customer that belong to its primary contact person."""


class CustomerView(msgspec.Struct, frozen=True, kw_only=True):
    """How one product names the fields of a contact."""

    product: str
    record: str
    """Key of a record in a response."""
    rows: str
    """Key of the rows in a live response."""
    id: str
    """Name of the id in paths."""
    name: str
    """Name of the display name."""
    names: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    """Request fields and their names in a contact."""
    address: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    """The same for the parts of an address."""
    show: Show
    show_row: Show


class CustomerHandlers:
    """The operations of one product's customers."""

    def __init__(self, view: CustomerView) -> None:
        self._view = view

    def handlers(self, *names: str) -> dict[str, Handler]:
        """These operations by id; the names are those of the methods."""
        return {f"{self._view.product}.customers.{name}": getattr(self, name) for name in names}

    def create(self, call: HandlerCall) -> HandlerResult:
        """POST a customer."""
        body = _as_contact(self._view, checking.check_body(call.operation, bodies.data(call)), None)
        with self._own_name_when_missing():
            record = store_new(call.organization, body, call.now)
        return result(call, record, status=201, created=True, **self._content(call, record))

    def update(self, call: HandlerCall) -> HandlerResult:
        """PUT a customer."""
        old = self._current(call)
        body = _as_contact(self._view, checking.check_body(call.operation, bodies.data(call)), old)
        with self._own_name_when_missing():
            record = store_changed(call.organization, old, body, call.now)
        return result(call, record, **self._content(call, record))

    def get(self, call: HandlerCall) -> HandlerResult:
        """GET a customer."""
        return result(call, **self._content(call, self._current(call)))

    def delete(self, call: HandlerCall) -> HandlerResult:
        """DELETE a customer."""
        record = self._current(call)
        remove(call.organization, [record])
        return result(call, record)

    def list(self, call: HandlerCall) -> HandlerResult:
        """GET the list of customers, without vendors."""
        return list_rows(call, self._view.rows, self._view.show_row, customers=True)

    def mark_active(self, call: HandlerCall) -> HandlerResult:
        """POST .../markasactive"""
        return result(call, change(call, self._current(call), status="active"))

    def mark_inactive(self, call: HandlerCall) -> HandlerResult:
        """POST .../markasinactive"""
        return result(call, change(call, self._current(call), status="inactive"))

    def get_by_reference(self, call: HandlerCall) -> HandlerResult:
        """GET a customer by its id in Zoho CRM."""
        checking.check_parameters(call)
        kind = call.query.get("reference_id_type")
        names = (kind,) if kind else ("zcrm_account_id", "zcrm_contact_id")
        return result(call, **self._content(call, by_reference(call, names)))

    def _current(self, call: HandlerCall) -> ContactRecord:
        record = call.organization.contacts.get(call.path[self._view.id])
        if record is None or record["contact_type"] != "customer":
            raise not_found("Customer")
        return record

    def _content(self, call: HandlerCall, record: ContactRecord) -> dict[str, Any]:
        return {self._view.record: self._view.show(record, call.organization)}

    @contextmanager
    def _own_name_when_missing(self) -> Generator[None, None, None]:
        """The refusal of a missing name has this product's name of the field."""
        try:
            yield
        except Refusal as refusal:
            if refusal.code == 6:
                raise missing(self._view.name) from None
            raise


EXPENSE = CustomerView(
    product="expense",
    record="contact",
    rows="contacts",
    id="contact_id",
    name="contact_name",
    show=whole_contact,
    show_row=list_row,
)
BILLING = CustomerView(
    product="billing",
    record="customer",
    rows="customers",
    id="customer_id",
    name="display_name",
    names={"display_name": "contact_name"},
    address={"street": "address"},
    show=billing_customer,
    show_row=billing_row,
)

HANDLERS: dict[str, Handler] = {
    **CustomerHandlers(EXPENSE).handlers("create", "update", "get", "delete", "list"),
    **CustomerHandlers(BILLING).handlers(
        "create", "update", "get", "delete", "list", "mark_active", "mark_inactive", "get_by_reference"
    ),
}


# -- requests


def _as_contact(view: CustomerView, body: Mapping[str, Any], old: ContactRecord | None) -> dict[str, Any]:
    """A request body as that of a contact; fields of the primary person go into its contact persons."""
    translated = {view.names.get(name, name): value for name, value in body.items() if name not in _PERSON_FIELDS}
    for place in ("billing_address", "shipping_address"):
        address: object = translated.get(place)
        if is_mapping(address):
            translated[place] = {view.address.get(name, name): value for name, value in address.items()}
    if old is None:
        translated["contact_type"] = "customer"
    else:
        translated.pop("contact_type", None)
    person = {name: body[name] for name in _PERSON_FIELDS if name in body}
    persons: object = translated.get("contact_persons")
    if person and not persons:
        translated["contact_persons"] = _with_primary_changed(old, person)
    elif is_list(persons) and old is None:
        # The documented example of a create has ids of persons.
        translated["contact_persons"] = [_without_id(each) for each in persons]
    return translated


def _with_primary_changed(old: ContactRecord | None, changes: dict[str, Any]) -> list[dict[str, Any]]:
    persons: list[ContactRecord] = old["contact_persons"] if old is not None else []
    main = primary_person(old) if old is not None else None
    if main is None:
        return [{**changes, "is_primary_contact": True}]
    return [
        {
            "contact_person_id": each["contact_person_id"],
            **(changes if each is main else {}),
            "is_primary_contact": each is main,
        }
        for each in persons
    ]


def _without_id(person: Any) -> Any:
    if not is_mapping(person):
        return person
    return {name: value for name, value in person.items() if name != "contact_person_id"}
