"""`zoho-async columns` and `zoho-async template`: what rows of a resource may have."""

from __future__ import annotations

import csv
import sys

import msgspec

from zoho_async import bulk
from zoho_async.cli.console.exit_codes import DONE
from zoho_async.cli.console.runner import Interruption
from zoho_async.cli.console.streams import json_line

_COMMON = frozenset(
    {
        *("company_name", "contact_type", "email", "phone", "mobile", "first_name", "last_name", "website", "notes"),
        *("payment_terms", "credit_limit", "address", "street", "city", "state", "zip", "country"),
    }
)
"""Last words of the columns that a template has beside what is required."""


async def columns_command(name: str, interruption: Interruption, *, json: bool) -> int:
    """Lists every column with its type, limit and values."""
    columns = bulk.push_columns(name)
    if json:
        sys.stdout.writelines(json_line(msgspec.structs.asdict(one)) for one in columns)
        return DONE
    width = max(len(one.name) for one in columns)
    for one in columns:
        limit = f"at most {one.max_length:,} characters" if one.max_length is not None else ""
        details = [one.kind, "required" if one.required else "", limit, " | ".join(one.values)]
        sys.stdout.write(f"{one.name:<{width}}  {', '.join(filter(None, details))}\n")
    sys.stdout.write("cf_NAME: any custom field, by its API name; lists take places above 0 too\n")
    return DONE


async def template_command(name: str, interruption: Interruption) -> int:
    """Writes the header of a CSV file with the common columns."""
    names = [
        one.name
        for one in bulk.push_columns(name)
        if one.required or (one.name.rpartition(".")[2] in _COMMON and "shipping" not in one.name)
    ]
    csv.writer(sys.stdout, lineterminator="\n").writerow(names)
    return DONE
