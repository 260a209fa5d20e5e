"""A contact as the live service writes it: whole, as a row of a list, its addresses and persons. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from zoho_async._typeguards import is_list
from zoho_async.fake.world.state import primary_person

from .blank_records import ADDRESS, CONTACT, DEFAULT_TEMPLATES, LIST_ROW, PERSON
from .wire_format import formatted_timestamp

if TYPE_CHECKING:
    from zoho_async.fake.world.state import ContactRecord, Organization

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
_STORED_IN_ROW = tuple(name for name in LIST_ROW if name not in ("custom_fields", "tags"))
"""What a list row takes from the stored record as it is."""


def whole_contact(record: ContactRecord, organization: Organization) -> dict[str, Any]:
    """The whole record, as get, create and update return it."""
    body = {**CONTACT, **record}
    persons: list[ContactRecord] = record["contact_persons"]
    _add_common(body, record, organization)
    for name in ("billing_address", "shipping_address"):
        body[name] = whole_address(record[name])
    body["addresses"] = [whole_address(address) for address in record.get("addresses", [])]
    body["entity_address_id"] = record["billing_address"]["address_id"]
    body["contact_persons"] = [whole_person(person) for person in persons]
    body["default_templates"] = {**DEFAULT_TEMPLATES, **record.get("default_templates", {})}
    body["created_date"] = record["created_time"][:10]
    body["created_by_id"] = body["last_modified_by_id"] = organization.user_id
    main = primary_person(record)
    if main is not None:
        body["primary_contact_id"] = main["contact_person_id"]
        body["contact_salutation"] = main.get("salutation", "")
        body["designation"] = main.get("designation", "")
        body["department"] = main.get("department", "")
    balances: list[ContactRecord] = record.get("opening_balances", [])
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


def list_row(record: ContactRecord, organization: Organization) -> dict[str, Any]:
    """The thin record of a list: no addresses, no persons, no notes."""
    body = dict(LIST_ROW)
    for name in _STORED_IN_ROW:
        if name in record:
            body[name] = record[name]
    _add_common(body, record, organization)
    body["customer_name"] = body["vendor_name"] = record["contact_name"]
    body["contact_type_formatted"] = body["contact_type"].title()
    body["portal_status_formatted"] = body["portal_status"].title()
    for name in ("created_time", "last_modified_time"):
        body[f"{name}_formatted"] = formatted_timestamp(record[name])
    return body


def whole_address(address: ContactRecord) -> dict[str, Any]:
    """An address with every key."""
    return {**ADDRESS, **address}


def whole_person(person: ContactRecord) -> dict[str, Any]:
    """A contact person with every key."""
    body = {**PERSON, **person}
    body["communication_preference"] = {"is_email_enabled": True, **person.get("communication_preference", {})}
    return body


def _add_common(body: dict[str, Any], record: ContactRecord, organization: Organization) -> None:
    body["language_code_formatted"] = _LANGUAGES.get(body["language_code"], "")
    body["payment_terms_id"] = organization.payment_terms_id
    if "currency_id" not in record:
        body["currency_id"] = organization.currency_id
    elif "currency_code" not in record and (currency := organization.currencies.get(record["currency_id"])):
        body["currency_code"], body["currency_symbol"] = currency.code, currency.symbol
    if record.get("is_portal_enabled"):
        body["portal_status"] = "enabled"
    main = primary_person(record)
    if main is not None:
        for name in ("first_name", "last_name", "email", "phone", "mobile"):
            body[name] = main.get(name, "")
    _add_custom_fields(body, record["custom_fields"], organization)


def _add_custom_fields(body: dict[str, Any], values: Mapping[str, object], organization: Organization) -> None:
    """The three places of a value: the list, the hash, and keys of the record itself."""
    body["custom_fields"] = listed = list[dict[str, Any]]()
    body["custom_field_hash"] = by_name = dict[str, Any]()
    for api_name, value in values.items():
        formatted = _formatted_value(value)
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


def _formatted_value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if is_list(value):
        return ",".join(_formatted_value(item) for item in value)
    return str(value)
