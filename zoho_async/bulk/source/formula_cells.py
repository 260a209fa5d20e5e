"""Cells that a spreadsheet would run as formulas: an apostrophe in front makes them text. Pure."""

from __future__ import annotations

import re

_NUMBER = r"[+-][0-9][0-9.,]*(?:[eE][+-]?[0-9]+)?%?"
_PHONE = r"\+(?:[ ()./-]*[0-9]){5,20}[ ()./-]*(?:(?:x|ext\.?) ?[0-9]{1,6})?"
_HARMLESS = re.compile(rf"(?:{_NUMBER}|{_PHONE})\Z")
_ESCAPED = re.compile(r"'*[=@\t\r+-]")


def escape_cell(text: str) -> str:
    """The cell as text to a spreadsheet: an apostrophe before what would be run as a formula.

    That is a cell that begins with `=`, `@`, tab or carriage return, or with `+` or `-` when it is neither number nor
    phone. One that already has apostrophes before it gets one more, so that `unescape_cell` is exact.

    Args:
        text: The cell.

    Returns:
        The cell as it is written.
    """
    return f"'{text}" if _is_formula(text) else text


def unescape_cell(text: str) -> str:
    """The cell that `escape_cell` was given.

    Args:
        text: The cell as it was written; any other is returned as it is.

    Returns:
        The cell without the apostrophe that was added.
    """
    return text[1:] if text.startswith("'") and _is_formula(text[1:]) else text


def _is_formula(text: str) -> bool:
    """Whether a cell, or what follows its apostrophes, begins like a formula."""
    return _ESCAPED.match(text) is not None and _HARMLESS.match(text.lstrip("'")) is None
