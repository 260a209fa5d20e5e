"""Custom fields, as request structs take them."""

from __future__ import annotations

from typing import Any


def custom_fields(**values: Any) -> list[Any]:
    """What `custom_fields=` of a request struct takes, from API names and values.

    `custom_fields(cf_region="North", cf_rank=3)`. Names are the API names of the organisation's own fields
    (they begin with `cf_`); a value is a string, number, boolean, date or list, as the field's type wants it.
    Raises ValueError for a name that cannot be one.
    """
    for name in values:
        if not name.startswith("cf_"):
            raise ValueError(f"{name!r} is no API name of a custom field: those begin with cf_")
    return [{"api_name": name, "value": value} for name, value in values.items()]
