"""Texts as rows, records and contact persons are matched by them. Pure."""

from __future__ import annotations

from string import ascii_lowercase, ascii_uppercase
from typing import Any

from zoho_async.bulk.source.files import strip_blanks

_ASCII_LOWER = str.maketrans(ascii_uppercase, ascii_lowercase)


def fold_email(address: str) -> str:
    """An e-mail address for comparison: without blanks around it, ASCII letters and the domain in lower case.

    Unicode case folding would merge the mailboxes `straße@` and `strasse@`.
    """
    local, at, domain = strip_blanks(address).rpartition("@")
    return f"{local.translate(_ASCII_LOWER)}{at}{domain.lower()}"


def matchable(value: Any, field: str) -> str:
    """The value of a field that rows and records are matched by, as it is compared."""
    text = "" if value is None else str(value)
    return fold_email(text) if field == "email" else strip_blanks(text)
