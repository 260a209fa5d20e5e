"""What a contact's request body may hold, and how it is read: documented limits, Zoho's codes. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, cast

from .handler import invalid, too_long

_TEXTS: dict[str, int | None] = {
    "contact_name": 200,
    "company_name": 200,
    "website": None,
    "language_code": None,
    "contact_number": 200,
    "payment_terms_label": 200,
    "notes": None,
    "vat_reg_no": None,
    "tax_reg_no": None,
    "tax_exemption_certificate_number": None,
    "country_code": None,
    "vat_treatment": None,
    "tax_treatment": None,
    "tax_regime": None,
    "legal_name": None,
    "place_of_contact": None,
    "gst_no": None,
    "gst_treatment": None,
    "tax_authority_name": None,
    "avatax_exempt_no": None,
    "avatax_use_code": None,
    "tax_exemption_code": None,
    "facebook": 100,
    "twitter": 100,
    "tax_id_type": None,
    "tax_id_value": None,
    "currency_code": None,
    "skype": None,
}
_IDS = (
    "pricebook_id",
    "currency_id",
    "owner_id",
    "tax_exemption_id",
    "tax_authority_id",
    "tax_id",
    "tds_tax_id",
)
_BOOLEANS = ("is_portal_enabled", "is_tds_registered", "is_taxable", "track_1099", "ach_supported")
_NUMBERS = ("credit_limit", "opening_balance_amount", "exchange_rate")
_ADDRESS: dict[str, int | None] = {
    "attention": 100,
    "address": 500,
    "street2": 255,
    "state_code": 100,
    "city": 100,
    "state": 100,
    "zip": 50,
    "country": 100,
    "country_code": None,
    "county": None,
    "fax": 50,
    "phone": 50,
    "latitude": None,
    "longitude": None,
}
_PERSON: dict[str, int | None] = {
    "salutation": 25,
    "first_name": 100,
    "last_name": 100,
    "email": 100,
    "phone": 50,
    "mobile": 50,
    "designation": 100,
    "department": 50,
    "skype": 50,
    "fax": 50,
    "mobile_country_code": None,
}
_VALUES = {"contact_type": ("customer", "vendor"), "customer_sub_type": ("individual", "business")}
_API_NAME = re.compile(r"cf_\w{1,100}", re.ASCII)


def read_contact(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to set, typed; None for those to empty. Unknown ones are left out, as Zoho does; bad values: Refusal.

    Nested parts come as they were sent, typed too: how they are merged is the caller's business. Custom fields are
    not in it, see `read_custom_fields`.
    """
    changes: dict[str, Any] = {}
    for name, value in body.items():
        if name in _TEXTS:
            changes[name] = text(name, value, _TEXTS[name])
        elif name in _VALUES:
            changes[name] = _choice(name, value, _VALUES[name])
        elif name in _IDS:
            changes[name] = _id(name, value)
        elif name in _BOOLEANS:
            changes[name] = _boolean(name, value)
        elif name in _NUMBERS:
            changes[name] = _number(name, value)
        elif name == "payment_terms":
            changes[name] = _whole(name, value)
        elif name in ("billing_address", "shipping_address"):
            changes[name] = read_address(name, value)
        elif name == "contact_persons":
            changes[name] = [read_person(f"{name}[{at}]", item) for at, item in enumerate(_list(name, value))]
        elif name == "default_templates":
            changes[name] = {key: _id(key, item) for key, item in _object(name, value).items()}
        elif name == "tags":
            changes[name] = [_tag(f"{name}[{at}]", item) for at, item in enumerate(_list(name, value))]
        elif name == "opening_balances":
            changes[name] = [_balance(f"{name}[{at}]", item) for at, item in enumerate(_list(name, value))]
    return changes


def read_custom_fields(value: object) -> list[dict[str, Any]]:
    """The list of custom field objects, each with a value that may be stored: scalars or a list of them."""
    fields = [_object(f"custom_fields[{at}]", item) for at, item in enumerate(_list("custom_fields", value))]
    for at, field in enumerate(fields):
        _custom_value(f"custom_fields[{at}].value", field.get("value"))
    return fields


def is_api_name(name: object) -> bool:
    """Whether it can be the api name of a custom field."""
    return isinstance(name, str) and _API_NAME.fullmatch(name) is not None


def text(name: str, value: object, maximum: int | None) -> str | None:
    """A text; numbers become texts, as zip codes and phone numbers are often sent."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise invalid(name)
    value = str(value)
    if maximum is not None and len(value) > maximum:
        raise too_long(name, maximum)
    return value


def _choice(name: str, value: object, values: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in values:
        raise invalid(name)
    return value


def _id(name: str, value: object) -> str | None:
    found = text(name, value, None)
    if found is not None and not (found.isascii() and found.isdigit()):
        raise invalid(name)
    return found


def _boolean(name: str, value: object) -> bool | None:
    if value is None or value == "":
        return None
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise invalid(name)
    return value


def _number(name: str, value: object) -> int | Decimal | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise invalid(name) from None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        raise invalid(name)
    return value


def _whole(name: str, value: object) -> int | None:
    number = _number(name, value)
    if number is None:
        return None
    # Compared before it is made an integer: 1e999999 would become one of a million digits.
    if not -(2**31) < number < 2**31 or number != int(number):
        raise invalid(name)
    return int(number)


def _object(name: str, value: object) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    if not isinstance(value, dict):
        raise invalid(name)
    return cast("dict[str, Any]", value)


def _list(name: str, value: object) -> list[Any]:
    if value is None or value == "":
        return []
    if not isinstance(value, list):
        raise invalid(name)
    return cast("list[Any]", value)  # type: ignore[redundant-cast] # pyright wants it


def read_address(name: str, value: object) -> dict[str, str | None]:
    """An address: texts by name, None for those to empty."""
    return {
        key: text(f"{name}.{key}", item, _ADDRESS[key]) for key, item in _object(name, value).items() if key in _ADDRESS
    }


def read_person(name: str, value: object) -> dict[str, Any]:
    """A contact person: what was sent of it, typed, None for what to empty."""
    person: dict[str, Any] = {}
    for key, item in _object(name, value).items():
        path = f"{name}.{key}"
        if key in _PERSON:
            person[key] = text(path, item, _PERSON[key])
        elif key == "contact_person_id":
            person[key] = _id(path, item)
        elif key in ("is_primary_contact", "enable_portal", "can_invite"):
            person[key] = _boolean(path, item)
        elif key == "communication_preference":
            person[key] = {
                part: _boolean(f"{path}.{part}", flag)
                for part, flag in _object(path, item).items()
                if part in ("is_email_enabled", "is_sms_enabled", "is_whatsapp_enabled")
            }
    return person


def _tag(name: str, value: object) -> dict[str, str | None]:
    tag = _object(name, value)
    return {key: _id(f"{name}.{key}", tag.get(key)) for key in ("tag_id", "tag_option_id")}


def _balance(name: str, value: object) -> dict[str, Any]:
    balance = _object(name, value)
    numbers: dict[str, Any] = {
        key: _number(f"{name}.{key}", balance[key])
        for key in ("exchange_rate", "opening_balance_amount")
        if key in balance
    }
    return {"location_id": _id(f"{name}.location_id", balance.get("location_id")) or "", **numbers}


def _custom_value(name: str, value: object) -> None:
    items = cast("list[object]", value) if isinstance(value, list) else [value]
    if not all(item is None or isinstance(item, str | int | Decimal) for item in items):
        raise invalid(name)
