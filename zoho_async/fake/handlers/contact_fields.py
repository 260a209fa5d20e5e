"""The fields of a contact's request body: their types and documented limits, refused with Zoho's codes. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from functools import partial
from typing import Any

from zoho_async._typeguards import is_list, is_object
from zoho_async.fake.refusals import invalid_value, too_long

_TEXT_LENGTHS: dict[str, int | None] = {
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
_ADDRESS_LENGTHS: dict[str, int | None] = {
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
_PERSON_LENGTHS: dict[str, int | None] = {
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
_CLOSED_VALUES = {"contact_type": ("customer", "vendor"), "customer_sub_type": ("individual", "business")}
_API_NAME = re.compile(r"cf_\w{1,100}", re.ASCII)


def read_contact(body: Mapping[str, Any]) -> dict[str, Any]:
    """The fields to set, typed; None empties a field. Unknown ones are ignored, as by Zoho; bad values: Refusal.

    Nested parts are typed but not merged. Custom fields are read by `read_custom_fields`.
    """
    return {name: _FIELD_READERS[name](name, value) for name, value in body.items() if name in _FIELD_READERS}


def read_custom_fields(value: object) -> list[dict[str, Any]]:
    """The list of custom field objects, each value a scalar or a list of scalars."""
    fields: list[dict[str, Any]] = _list_of(_object_value)("custom_fields", value)
    for at, field in enumerate(fields):
        _check_custom_value(f"custom_fields[{at}].value", field.get("value"))
    return fields


def is_api_name(name: object) -> bool:
    """Whether it is a possible api name of a custom field."""
    return isinstance(name, str) and _API_NAME.fullmatch(name) is not None


def text_value(name: str, value: object, maximum: int | None) -> str | None:
    """A text; numbers become texts: zip codes and phone numbers are often sent so."""
    if value is None or value == "":
        return None
    if isinstance(value, bool) or not isinstance(value, str | int | Decimal):
        raise invalid_value(name)
    value = str(value)
    if maximum is not None and len(value) > maximum:
        raise too_long(name, maximum)
    return value


def _one_of(name: str, value: object, values: tuple[str, ...]) -> str:
    if not isinstance(value, str) or value not in values:
        raise invalid_value(name)
    return value


def _id_value(name: str, value: object) -> str | None:
    found = text_value(name, value, None)
    if found is not None and not (found.isascii() and found.isdigit()):
        raise invalid_value(name)
    return found


def _boolean_value(name: str, value: object) -> bool | None:
    if value is None or value == "":
        return None
    if value in ("true", "false"):
        return value == "true"
    if not isinstance(value, bool):
        raise invalid_value(name)
    return value


def _number_value(name: str, value: object) -> int | Decimal | None:
    if value is None or value == "":
        return None
    if isinstance(value, str):
        try:
            value = Decimal(value)
        except InvalidOperation:
            raise invalid_value(name) from None
    if isinstance(value, bool) or not isinstance(value, int | Decimal) or not Decimal(value).is_finite():
        raise invalid_value(name)
    return value


def _integer_value(name: str, value: object) -> int | None:
    number = _number_value(name, value)
    if number is None:
        return None
    # Compared first: 1e999999 would become an integer of a million digits.
    if not -(2**31) < number < 2**31 or number != int(number):
        raise invalid_value(name)
    return int(number)


def _object_value(name: str, value: object) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    if not is_object(value):
        raise invalid_value(name)
    return value


def _list_value(name: str, value: object) -> list[Any]:
    if value is None or value == "":
        return []
    if not is_list(value):
        raise invalid_value(name)
    return value


def read_address(name: str, value: object) -> dict[str, str | None]:
    """An address: texts by name, None empties one."""
    parts = _object_value(name, value)
    return {
        key: text_value(f"{name}.{key}", item, _ADDRESS_LENGTHS[key])
        for key, item in parts.items()
        if key in _ADDRESS_LENGTHS
    }


def read_person(name: str, value: object) -> dict[str, Any]:
    """A contact person: the fields sent, typed, None empties one."""
    person: dict[str, Any] = {}
    for key, item in _object_value(name, value).items():
        path = f"{name}.{key}"
        if key in _PERSON_LENGTHS:
            person[key] = text_value(path, item, _PERSON_LENGTHS[key])
        elif key == "contact_person_id":
            person[key] = _id_value(path, item)
        elif key in ("is_primary_contact", "enable_portal", "can_invite"):
            person[key] = _boolean_value(path, item)
        elif key == "communication_preference":
            person[key] = {
                part: _boolean_value(f"{path}.{part}", flag)
                for part, flag in _object_value(path, item).items()
                if part in ("is_email_enabled", "is_sms_enabled", "is_whatsapp_enabled")
            }
    return person


def _tag_value(name: str, value: object) -> dict[str, str | None]:
    tag = _object_value(name, value)
    return {key: _id_value(f"{name}.{key}", tag.get(key)) for key in ("tag_id", "tag_option_id")}


def _balance_value(name: str, value: object) -> dict[str, Any]:
    balance = _object_value(name, value)
    numbers: dict[str, Any] = {
        key: _number_value(f"{name}.{key}", balance[key])
        for key in ("exchange_rate", "opening_balance_amount")
        if key in balance
    }
    return {"location_id": _id_value(f"{name}.location_id", balance.get("location_id")) or "", **numbers}


def _check_custom_value(name: str, value: object) -> None:
    items: list[object] = value if is_list(value) else [value]
    if not all(item is None or isinstance(item, str | int | Decimal) for item in items):
        raise invalid_value(name)


def _list_of(read: Callable[[str, object], Any]) -> Callable[[str, object], Any]:
    return lambda name, value: [read(f"{name}[{at}]", item) for at, item in enumerate(_list_value(name, value))]


def _default_templates(name: str, value: object) -> dict[str, Any]:
    return {key: _id_value(key, item) for key, item in _object_value(name, value).items()}


_FIELD_READERS: dict[str, Callable[[str, object], Any]] = {
    **{name: partial(text_value, maximum=maximum) for name, maximum in _TEXT_LENGTHS.items()},
    **{name: partial(_one_of, values=values) for name, values in _CLOSED_VALUES.items()},
    **dict.fromkeys(_IDS, _id_value),
    **dict.fromkeys(_BOOLEANS, _boolean_value),
    **dict.fromkeys(_NUMBERS, _number_value),
    "payment_terms": _integer_value,
    "billing_address": read_address,
    "shipping_address": read_address,
    "contact_persons": _list_of(read_person),
    "default_templates": _default_templates,
    "tags": _list_of(_tag_value),
    "opening_balances": _list_of(_balance_value),
}
"""How each field of a contact is read; a field without a reader is ignored."""
