"""Customers of Expense and Billing: the contacts of the organisation under the names of those products. Pure.

Whether the products of an organisation share their contacts on the service is not known; here they do.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, TypeAlias, cast

import msgspec

from zoho_async.fake.rendering import live
from zoho_async.fake.world.state import Organization, Record

from . import bodies, checking, contacts
from .actions import by_reference
from .by_example import message
from .contacts import changed, check_deletable
from .handler import Answer, Call, Handler, Refusal, missing, unknown
from .listing import list_rows

Show: TypeAlias = Callable[[Record, Organization], dict[str, Any]]

_PERSON = ("salutation", "first_name", "last_name", "email", "phone", "mobile", "department", "designation", "fax")


class View(msgspec.Struct, frozen=True, kw_only=True):
    """How one product names what a contact holds."""

    product: str
    record: str
    """Key of a record in an answer."""
    rows: str
    """Key of the rows in the running service's live."""
    id: str
    """Name of the id in paths."""
    name: str
    """Name of the display name."""
    names: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    """Request fields that are called otherwise in a contact."""
    address: Mapping[str, str] = msgspec.field(default_factory=dict[str, str])
    """The same for the parts of an address."""
    show: Show
    show_row: Show


def handlers(view: View) -> dict[str, Handler]:
    """The operations of a product's customers."""

    def create(call: Call) -> Answer:
        body = _translated(view, checking.check_body(call.operation, bodies.data(call)), None)
        return _shown(view, call, _renaming(view, lambda: contacts.created(call.organization, body, call.now)))

    def update(call: Call) -> Answer:
        old = _find(view, call)
        body = _translated(view, checking.check_body(call.operation, bodies.data(call)), old)
        return _shown(view, call, _renaming(view, lambda: contacts.updated(call.organization, old, body, call.now)))

    def get(call: Call) -> Answer:
        return _shown(view, call, Answer(body={}), _find(view, call))

    def delete(call: Call) -> Answer:
        record = _find(view, call)
        check_deletable(record)
        call.organization.remove(record["contact_id"])
        return Answer(body=live.error(0, message(call.operation.id)), touched=[record])

    def listed(call: Call) -> Answer:
        return list_rows(call, view.rows, view.show_row, customers=True)

    def marked(status: str) -> Handler:
        def mark(call: Call) -> Answer:
            record = changed(call, _find(view, call), status=status)
            return Answer(body=live.error(0, message(call.operation.id)), touched=[record])

        return mark

    def get_by_reference(call: Call) -> Answer:
        checking.check_parameters(call)
        kind = call.query.get("reference_id_type")
        names = (kind,) if kind else ("zcrm_account_id", "zcrm_contact_id")
        return _shown(view, call, Answer(body={}), by_reference(call, names))

    return {
        f"{view.product}.customers.{name}": handler
        for name, handler in (
            ("create", create),
            ("update", update),
            ("get", get),
            ("delete", delete),
            ("list", listed),
            ("mark_active", marked("active")),
            ("mark_inactive", marked("inactive")),
            ("get_by_reference", get_by_reference),
        )
    }


# -- Billing's way of writing


def _billing(record: Record, organization: Organization) -> dict[str, Any]:
    full = live.contact(record, organization)
    body: dict[str, Any] = {name: full[name] for name in _BILLING if name in full}
    person = live.primary(record) or {}
    return {
        "customer_id": full["contact_id"],
        "contact_id": full["contact_id"],
        "display_name": full["contact_name"],
        "customer_name": full["contact_name"],
        "salutation": full["contact_salutation"],
        **body,
        "fax": person.get("fax", ""),
        "skype": record.get("skype", ""),
        "is_portal_enabled": full["portal_status"] == "enabled",
        "billing_address": _street(full["billing_address"]),
        "shipping_address": _street(full["shipping_address"]),
        "unused_credits": full["unused_credits_receivable_amount"],
        "outstanding": full["outstanding_receivable_amount"],
        "primary_contactperson_id": full["primary_contact_id"],
        "can_add_card": True,
        "can_add_bank_account": True,
        "updated_time": full["last_modified_time"],
    }


def _billing_row(record: Record, organization: Organization) -> dict[str, Any]:
    row = live.row(record, organization)
    body: dict[str, Any] = {name: row[name] for name in _BILLING if name in row}
    return {
        "customer_id": row["contact_id"],
        "contact_id": row["contact_id"],
        "display_name": row["contact_name"],
        "customer_name": row["contact_name"],
        **body,
        "unused_credits": row["unused_credits_receivable_amount"],
        "outstanding": row["outstanding_receivable_amount"],
        "is_gapps_customer": False,
        "has_attachment": bool(record.get("documents")),
        "updated_time": row["last_modified_time"],
    }


def _street(address: Mapping[str, Any]) -> dict[str, Any]:
    return {"street" if name == "address" else name: value for name, value in address.items()}


_BILLING = (
    "first_name",
    "last_name",
    "email",
    "tags",
    "company_name",
    "phone",
    "mobile",
    "website",
    "department",
    "designation",
    "currency_code",
    "currency_symbol",
    "currency_id",
    "ach_supported",
    "twitter",
    "facebook",
    "notes",
    "gst_no",
    "gst_treatment",
    "tax_reg_no",
    "tds_tax_id",
    "tax_treatment",
    "tax_regime",
    "is_tds_registered",
    "place_of_contact",
    "vat_reg_no",
    "vat_treatment",
    "is_taxable",
    "tax_id",
    "tax_authority_id",
    "tax_authority_name",
    "tax_exemption_id",
    "tax_exemption_code",
    "price_precision",
    "status",
    "custom_fields",
    "custom_field_hash",
    "zcrm_account_id",
    "zcrm_contact_id",
    "created_time",
    "source",
    "payment_terms",
    "payment_terms_label",
    "is_linked_with_zohocrm",
    "default_templates",
    "documents",
    "contact_persons",
)

EXPENSE = View(
    product="expense",
    record="contact",
    rows="contacts",
    id="contact_id",
    name="contact_name",
    show=live.contact,
    show_row=live.row,
)
BILLING = View(
    product="billing",
    record="customer",
    rows="customers",
    id="customer_id",
    name="display_name",
    names={"display_name": "contact_name"},
    address={"street": "address"},
    show=_billing,
    show_row=_billing_row,
)

_ALL: dict[str, Handler] = {**handlers(BILLING), **handlers(EXPENSE)}
_BILLING_ONLY = ("mark_active", "mark_inactive", "get_by_reference")
HANDLERS: dict[str, Handler] = {
    name: handler
    for name, handler in _ALL.items()
    if not (name.startswith("expense.") and name.rpartition(".")[2] in _BILLING_ONLY)
}


# -- requests


def _translated(view: View, body: Mapping[str, Any], old: Record | None) -> dict[str, Any]:
    """A request body in the words of a contact; what concerns the main person goes into its contact persons."""
    translated = {view.names.get(name, name): value for name, value in body.items() if name not in _PERSON}
    for place in ("billing_address", "shipping_address"):
        address: object = translated.get(place)
        if isinstance(address, Mapping):
            parts = cast("Mapping[str, Any]", address)
            translated[place] = {view.address.get(name, name): value for name, value in parts.items()}
    if old is None:
        translated["contact_type"] = "customer"
    else:
        translated.pop("contact_type", None)
    person = {name: body[name] for name in _PERSON if name in body}
    persons: object = translated.get("contact_persons")
    if person and not persons:
        translated["contact_persons"] = _with_main(old, person)
    elif isinstance(persons, list) and old is None:
        # The document's own example creates a customer with the ids its persons will have.
        listed = cast("list[Any]", persons)  # type: ignore[redundant-cast] # pyright wants it
        translated["contact_persons"] = [_without_id(each) for each in listed]
    return translated


def _with_main(old: Record | None, changes: dict[str, Any]) -> list[dict[str, Any]]:
    persons: list[Record] = old["contact_persons"] if old is not None else []
    main = live.primary(old) if old is not None else None
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
    if not isinstance(person, Mapping):
        return person
    parts = cast("Mapping[str, Any]", person)
    return {name: value for name, value in parts.items() if name != "contact_person_id"}


def _find(view: View, call: Call) -> Record:
    record = call.organization.contacts.get(call.path[view.id])
    if record is None or record["contact_type"] != "customer":
        raise unknown("Customer")
    return record


def _renaming(view: View, act: Callable[[], Answer]) -> Answer:
    """Do it; a refusal for want of a name names the field as this product does."""
    try:
        return act()
    except Refusal as refusal:
        if refusal.code == 6:
            raise missing(view.name) from None
        raise


def _shown(view: View, call: Call, done: Answer, record: Record | None = None) -> Answer:
    record = done.touched[0] if record is None else record
    body = {"code": 0, "message": message(call.operation.id), view.record: view.show(record, call.organization)}
    return Answer(status=done.status, body=body, touched=done.touched, created=done.created)
