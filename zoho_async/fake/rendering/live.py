"""How the running service writes things down: a contact, a row of the list, an error. Pure.

The keys are those of recorded answers, many of them in no document. Whatever is empty is `""`, never null.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, cast

import msgspec

if TYPE_CHECKING:
    from zoho_async.fake.world.state import Organization, Record

_encoder = msgspec.json.Encoder(decimal_format="number")
_decoder = msgspec.json.Decoder(float_hook=Decimal)

_LANGUAGES = {
    "de": "German",
    "en": "English",
    "es": "Spanish",
    "fr": "French",
    "it": "Italian",
    "ja": "Japanese",
    "nl": "Dutch",
    "pt": "Portuguese",
    "pt_br": "Portuguese (Brazil)",
    "sv": "Swedish",
    "zh": "Chinese",
    "en_gb": "English (UK)",
}
_TEMPLATES = (
    "statement",
    "invoice",
    "bill",
    "estimate",
    "creditnote",
    "purchaseorder",
    "paymentthankyou",
    "invoice_email",
    "estimate_email",
    "creditnote_email",
    "purchaseorder_email",
    "paymentthankyou_email",
    "payment_remittance_email",
)
_DEFAULT_TEMPLATES = {f"{name}_template_{part}": "" for name in _TEMPLATES for part in ("id", "name")}
_ADDRESS = {
    "address_id": "",
    "attention": "",
    "address": "",
    "street2": "",
    "city": "",
    "state_code": "",
    "state": "",
    "zip": "",
    "country": "",
    "county": "",
    "latitude": "",
    "longitude": "",
    "country_code": "",
    "phone": "",
    "fax": "",
}
_PERSON: dict[str, Any] = {
    "contact_person_id": "",
    "salutation": "",
    "first_name": "",
    "last_name": "",
    "email": "",
    "phone": "",
    "mobile": "",
    "mobile_country_code": "",
    "mobile_code_formatted": "",
    "department": "",
    "designation": "",
    "skype": "",
    "fax": "",
    "photo_url": "https://contacts.invalid/file?t=user",
    "zcrm_contact_id": "",
    "is_portal_mfa_enabled": False,
    "is_added_in_portal": False,
    "can_invite": True,
    "is_primary_contact": False,
    "is_portal_invitation_accepted": False,
    "is_sms_enabled_for_cp": False,
    "photo_document_url": "",
    "photo_document_name": "",
    "contactperson_custom_fields": [],
    "portal_enabled_via": "",
}
_ZERO = Decimal("0.0")
_CONTACT: dict[str, Any] = {
    "contact_id": "",
    "contact_name": "",
    "company_name": "",
    "contact_tax_information": "",
    "first_name": "",
    "last_name": "",
    "designation": "",
    "department": "",
    "website": "",
    "is_bcy_only_contact": False,
    "is_credit_limit_migration_completed": True,
    "language_code": "",
    "language_code_formatted": "",
    "contact_salutation": "",
    "email": "",
    "phone": "",
    "mobile": "",
    "photo_url": "",
    "invited_by": "",
    "portal_status": "disabled",
    "is_client_review_asked": False,
    "has_transaction": False,
    "contact_type": "customer",
    "customer_sub_type": "business",
    "owner_id": "",
    "owner_name": "",
    "source": "api",
    "documents": [],
    "twitter": "",
    "facebook": "",
    "is_crm_customer": False,
    "is_linked_with_zohocrm": False,
    "primary_contact_id": "",
    "zcrm_account_id": "",
    "zcrm_contact_id": "",
    "crm_owner_id": "",
    "payment_terms": 0,
    "payment_terms_label": "Due On Receipt",
    "payment_terms_id": "",
    "credit_limit_exceeded_amount": _ZERO,
    "currency_id": "",
    "lock_details": {"can_lock": False},
    "locked_actions": [],
    "currency_code": "USD",
    "currency_symbol": "$",
    "price_precision": 2,
    "exchange_rate": "",
    "can_show_customer_ob": True,
    "can_show_vendor_ob": False,
    "opening_balance_amount": 0,
    "opening_balance_amount_bcy": "",
    "outstanding_ob_receivable_amount": _ZERO,
    "outstanding_ob_payable_amount": _ZERO,
    "outstanding_receivable_amount": _ZERO,
    "outstanding_receivable_amount_bcy": _ZERO,
    "outstanding_payable_amount": 0,
    "outstanding_payable_amount_bcy": 0,
    "unused_credits_receivable_amount": 0,
    "unused_credits_receivable_amount_bcy": _ZERO,
    "unused_credits_payable_amount": 0,
    "unused_credits_payable_amount_bcy": 0,
    "unused_retainer_payments": _ZERO,
    "status": "active",
    "payment_reminder_enabled": True,
    "is_sms_enabled": True,
    "is_consent_agreed": False,
    "consent_date": "",
    "is_client_review_settings_enabled": False,
    "custom_fields": [],
    "custom_field_hash": {},
    "track_1099": False,
    "tax_id_type": "",
    "tax_id_value": "",
    "tax_reg_label": "",
    "account_id": "",
    "account_name": "",
    "contact_category": "",
    "sales_channel": "direct_sales",
    "ach_supported": False,
    "portal_receipt_count": 0,
    "opening_balances": [],
    "entity_address_id": "",
    "billing_address": _ADDRESS,
    "shipping_address": _ADDRESS,
    "contact_persons": [],
    "addresses": [],
    "pricebook_id": "",
    "pricebook_name": "",
    "default_templates": _DEFAULT_TEMPLATES,
    "associated_with_square": False,
    "cards": [],
    "checks": [],
    "upi_mandates": [],
    "bank_accounts": [],
    "vpa_list": [],
    "notes": "",
    "created_time": "",
    "created_date": "",
    "created_by_name": "Fake User",
    "created_by_id": "",
    "last_modified_by_id": "",
    "last_modified_time": "",
    "tags": [],
    "zohopeople_client_id": "",
    "customer_currency_summaries": [],
    "approvers_list": [],
    "submitted_date": "",
    "submitted_by": "",
    "submitted_by_name": "",
    "submitted_by_email": "",
    "submitted_by_photo_url": "",
    "submitter_id": "",
    "approver_id": "",
    "integration_references": [],
    "contact_relation_type": "",
    "lock_detail": {"can_lock": False, "custom_locks": [], "system_locks": []},
}
_ROW: dict[str, Any] = {
    "contact_id": "",
    "contact_name": "",
    "customer_name": "",
    "vendor_name": "",
    "company_name": "",
    "website": "",
    "language_code": "",
    "language_code_formatted": "",
    "contact_type": "customer",
    "contact_type_formatted": "",
    "status": "active",
    "customer_sub_type": "business",
    "source": "api",
    "is_linked_with_zohocrm": False,
    "payment_terms": 0,
    "payment_terms_id": "",
    "payment_terms_label": "Due On Receipt",
    "currency_id": "",
    "twitter": "",
    "facebook": "",
    "currency_code": "USD",
    "outstanding_receivable_amount": _ZERO,
    "outstanding_receivable_amount_bcy": _ZERO,
    "outstanding_payable_amount": 0,
    "outstanding_payable_amount_bcy": 0,
    "unused_credits_receivable_amount": 0,
    "unused_credits_receivable_amount_bcy": 0,
    "unused_credits_payable_amount": 0,
    "unused_credits_payable_amount_bcy": 0,
    "first_name": "",
    "last_name": "",
    "email": "",
    "phone": "",
    "mobile": "",
    "portal_status": "disabled",
    "portal_status_formatted": "Disabled",
    "track_1099": False,
    "created_time": "",
    "created_time_formatted": "",
    "last_modified_time": "",
    "last_modified_time_formatted": "",
    "custom_fields": [],
    "custom_field_hash": {},
    "contactperson_custom_fields": [],
    "tags": [],
    "ach_supported": False,
    "has_attachment": False,
}
# In a recorded list row these stand; everything else that is stored does not.
_IN_ROW = tuple(name for name in _ROW if name not in ("custom_fields", "tags"))


def encode(value: object) -> bytes:
    """JSON, decimals digit by digit."""
    return _encoder.encode(value)


def decode(body: bytes | str) -> Any:
    """Untyped JSON, fractions as decimals; ValueError when it is not well formed."""
    try:
        return _decoder.decode(body)
    except (msgspec.DecodeError, RecursionError, ArithmeticError) as error:
        raise ValueError("not well-formed JSON") from error


def error(code: int, message: str) -> dict[str, Any]:
    """Zoho's error body."""
    return {"code": code, "message": message}


def contact(record: Record, organization: Organization) -> dict[str, Any]:
    """The whole record, as get, create and update answer it."""
    body = {**_CONTACT, **record}
    persons: list[Record] = record["contact_persons"]
    _common(body, record, organization)
    for name in ("billing_address", "shipping_address"):
        body[name] = {**_ADDRESS, **record[name]}
    body["addresses"] = [address_of(address) for address in record.get("addresses", [])]
    body["entity_address_id"] = record["billing_address"]["address_id"]
    body["contact_persons"] = [person_of(person) for person in persons]
    body["default_templates"] = {**_DEFAULT_TEMPLATES, **record.get("default_templates", {})}
    body["created_date"] = record["created_time"][:10]
    body["created_by_id"] = body["last_modified_by_id"] = organization.user_id
    main = primary(record)
    if main is not None:
        body["primary_contact_id"] = main["contact_person_id"]
        body["contact_salutation"] = main.get("salutation", "")
        body["designation"] = main.get("designation", "")
        body["department"] = main.get("department", "")
    balances: list[Record] = record.get("opening_balances", [])
    if balances:
        body["opening_balance_amount"] = sum(balance.get("opening_balance_amount") or 0 for balance in balances)
    body["customer_currency_summaries"] = [
        {
            "currency_id": body["currency_id"],
            "currency_code": body["currency_code"],
            "currency_symbol": body["currency_symbol"],
            "price_precision": 2,
            "is_base_currency": body["currency_id"] == organization.currency_id,
            "currency_name_formatted": "USD- US Dollar",
            "outstanding_receivable_amount": body["outstanding_receivable_amount"],
            "unused_credits_receivable_amount": body["unused_credits_receivable_amount"],
        }
    ]
    return body


def row(record: Record, organization: Organization) -> dict[str, Any]:
    """The thin record of a list: no addresses, no persons, no notes."""
    body = dict(_ROW)
    for name in _IN_ROW:
        if name in record:
            body[name] = record[name]
    _common(body, record, organization)
    body["customer_name"] = body["vendor_name"] = record["contact_name"]
    body["contact_type_formatted"] = body["contact_type"].title()
    body["portal_status_formatted"] = body["portal_status"].title()
    for name in ("created_time", "last_modified_time"):
        body[f"{name}_formatted"] = _readable(record[name])
    return body


def address_of(address: Record) -> dict[str, Any]:
    """A stored address."""
    return {**_ADDRESS, **address}


def primary(record: Record) -> Record | None:
    """The primary contact person, if there is any person."""
    persons: list[Record] = record["contact_persons"]
    return next((person for person in persons if person.get("is_primary_contact")), None)


def _common(body: dict[str, Any], record: Record, organization: Organization) -> None:
    body["language_code_formatted"] = _LANGUAGES.get(body["language_code"], "")
    body["payment_terms_id"] = organization.payment_terms_id
    if "currency_id" not in record:
        body["currency_id"] = organization.currency_id
    if record.get("is_portal_enabled"):
        body["portal_status"] = "enabled"
    main = primary(record)
    if main is not None:
        for name in ("first_name", "last_name", "email", "phone", "mobile"):
            body[name] = main.get(name, "")
    custom: Mapping[str, object] = record["custom_fields"]
    body["custom_fields"] = listed = list[dict[str, Any]]()
    body["custom_field_hash"] = by_name = dict[str, Any]()
    for api_name, value in custom.items():
        formatted = _formatted(value)
        field = organization.custom_field(api_name, value)
        listed.append(
            {
                "customfield_id": field.id,
                "field_id": field.id,
                "index": field.index,
                "label": field.label,
                "api_name": api_name,
                "placeholder": api_name,
                "data_type": field.data_type,
                "value": value,
                "value_formatted": formatted,
                "is_active": True,
                "is_dependent_field": False,
                "show_in_all_pdf": False,
                "show_on_pdf": False,
                "show_in_portal": False,
                "edit_on_portal": False,
                "edit_on_store": False,
                "search_entity": "contact",
            }
        )
        by_name[api_name] = body[api_name] = formatted
        by_name[f"{api_name}_unformatted"] = body[f"{api_name}_unformatted"] = value


def person_of(person: Record) -> dict[str, Any]:
    """A contact person, as contacts hold it."""
    body = {**_PERSON, **person}
    body["communication_preference"] = {"is_email_enabled": True, **person.get("communication_preference", {})}
    return body


def _formatted(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(_formatted(item) for item in cast("list[object]", value))
    return str(value)


def _readable(stamp: str) -> str:
    # strftime and strptime cost more than the whole rest of a row.
    year, month, day, hour, minute = stamp[:4], stamp[5:7], stamp[8:10], int(stamp[11:13]), stamp[14:16]
    return f"{month}/{day}/{year} {(hour + 11) % 12 + 1:02d}:{minute} {'AM' if hour < 12 else 'PM'}"


def read_stamp(stamp: str) -> datetime:
    """A time as Zoho writes it; ValueError when it is none or has no zone."""
    moment = datetime.fromisoformat(stamp)
    if moment.tzinfo is None:
        raise ValueError(f"a time without a zone: {stamp!r}")
    return moment
