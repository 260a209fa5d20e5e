"""A contact as Billing writes its customers: other keys, the street of an address under `street`. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoho_async.fake.world.state import primary_person

from .live import list_row, whole_contact

if TYPE_CHECKING:
    from zoho_async.fake.world.state import ContactRecord, Organization

_SHARED_KEYS = (
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
"""Keys that a customer shares with a contact."""


def billing_customer(record: ContactRecord, organization: Organization) -> dict[str, Any]:
    """The whole record of a customer."""
    full = whole_contact(record, organization)
    body: dict[str, Any] = {name: full[name] for name in _SHARED_KEYS if name in full}
    person = primary_person(record) or {}
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
        "billing_address": _billing_address(full["billing_address"]),
        "shipping_address": _billing_address(full["shipping_address"]),
        "unused_credits": full["unused_credits_receivable_amount"],
        "outstanding": full["outstanding_receivable_amount"],
        "primary_contactperson_id": full["primary_contact_id"],
        "can_add_card": True,
        "can_add_bank_account": True,
        "updated_time": full["last_modified_time"],
    }


def billing_row(record: ContactRecord, organization: Organization) -> dict[str, Any]:
    """The row of a customer in a list."""
    row = list_row(record, organization)
    body: dict[str, Any] = {name: row[name] for name in _SHARED_KEYS if name in row}
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


def _billing_address(address: Mapping[str, Any]) -> dict[str, Any]:
    return {"street" if name == "address" else name: value for name, value in address.items()}
