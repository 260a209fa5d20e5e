"""Custom fields of request structs."""

from __future__ import annotations

from typing import Any


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
