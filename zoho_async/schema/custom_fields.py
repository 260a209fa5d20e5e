"""Custom fields of request structs."""

from __future__ import annotations

from typing import Any

import msgspec

from zoho_async._typeguards import is_list, is_mapping


def custom_fields(**values: Any) -> list[Any]:
    """Build the `custom_fields` of a request struct, as in `custom_fields(cf_region="North", cf_rank=3)`.

    Args:
        values: Values by the API names of the organisation's custom fields, which start with `cf_`: a string,
            number, boolean, date or list, depending on the field.

    Returns:
        One `{"api_name": ..., "value": ...}` per field.

    Raises:
        ValueError: A name does not start with `cf_`.
    """
    for name in values:
        if not name.startswith("cf_"):
            raise ValueError(f"{name!r} is not the API name of a custom field, which starts with cf_")
    return [{"api_name": name, "value": value} for name, value in values.items()]


def with_custom_field(body: Any, name: str, value: Any) -> Any:
    """The body of a request with a custom field in its `custom_fields`, unless they name it.

    Args:
        body: A request struct or a mapping; it is not changed. Anything else is returned as it is.
        name: API name of the field.
        value: Its value.

    Returns:
        The body, or a copy with the field.
    """
    if not (is_mapping(body) or isinstance(body, msgspec.Struct)):
        return body
    given: Any = body.get("custom_fields") if is_mapping(body) else getattr(body, "custom_fields", None)
    fields: list[Any] = list(given) if is_list(given) else []
    is_odd = given not in (None, msgspec.UNSET) and not is_list(given)
    if is_odd or any(_name_of(field) == name for field in fields):
        return body
    fields.append({"api_name": name, "value": value})
    if isinstance(body, msgspec.Struct):
        return msgspec.structs.replace(body, custom_fields=fields)
    return {**body, "custom_fields": fields}


def _name_of(field: Any) -> Any:
    return field.get("api_name") if is_mapping(field) else getattr(field, "api_name", None)
