"""What a mapping makes of columns: `{First Name} {Last Name}`, and the functions a column can go through."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date

import msgspec

from .reading import Reading
from .text import strip_blanks

_HOLE = re.compile(r"\{([^{}]*)\}")
_BEHIND = re.compile(r"(.*\})((?:\s*\|\s*\w+)+)\s*", re.DOTALL)
_LIST = re.compile(r"\s*(?::::|[;,|\n]|\s/\s)\s*")
_AMOUNT = {
    ".": re.compile(r"[+-]?\d+(?:,\d{3})*(?:\.\d+)?"),
    ",": re.compile(r"[+-]?\d+(?:\.\d{3})*(?:,\d+)?"),
}
_UNIT = re.compile(r"(?:[kmb]|bn|mn|mio|mrd|tsd|thousand|millions?|lakhs?|crores?|[cd]r)\.?", re.IGNORECASE)
"""What behind an amount makes it another one."""
_LABELLED = re.compile(r"\s+(?=[^\W\d_]+:)")
_LEGAL_FORM = re.compile(
    r"(?:inc|incorporated|llc|l\.l\.c|ltd|limited|llp|lp|plc|corp|co|pty(?: ltd)?|gmbh|ag|kg|s\.?a|s\.?r\.?l|b\.?v)\.?",
    re.IGNORECASE,
)
_NAME_SUFFIX = re.compile(r"(?:jr|sr|ii|iii|iv|ph\.?d|m\.?d|esq|cpa|mba)\.?", re.IGNORECASE)
_DAYS = re.compile(r"(?:net\s*)?(\d{1,3})(?:\s*(?:days?(?:\s*after\s*bill\s*date)?|tage|d))?(?:\s*net)?", re.IGNORECASE)
_AT_ONCE = frozenset({"dueonreceipt", "dueuponreceipt", "immediate", "immediatepayment", "cod", "cash", "prepaid"})


class Cell(msgspec.Struct, frozen=True):
    """What a function gets beside the text."""

    reading: Reading
    leave_out: Callable[[str], None]
    """Called with a part of the text that goes nowhere."""


def _first(text: str, cell: Cell) -> str:
    first, *others = [one for one in _LIST.split(text) if one] or [""]
    for other in others:
        cell.leave_out(other)
    return first


def _first_value(text: str, cell: Cell) -> str:
    first, *others = [one for part in text.split(":::") if (one := part.strip())] or [""]
    for other in others:
        cell.leave_out(other)
    return first


def _digits(text: str, cell: Cell) -> str:
    return "".join(filter(str.isdigit, text))


def _unquoted(text: str, cell: Cell) -> str:
    return text[1:] if text.startswith(("'", "\u2019")) else text


def days_of(text: str) -> str | None:
    """Payment terms in words as a number of days: Net 30, 30 days, Due on Receipt; None for any other."""
    if "".join(filter(str.isalnum, text)).casefold() in _AT_ONCE:
        return "0"
    found = _DAYS.fullmatch(text)
    return found[1] if found else None


def _days(text: str, cell: Cell) -> str:
    return days_of(text) or text


def plain_amount(text: str, decimal: str) -> str:
    """An amount with a point and without thousands; anything else as it is."""
    if not _AMOUNT[decimal].fullmatch(text):
        return text
    return text.replace(",", "") if decimal == "." else text.replace(".", "").replace(",", ".")


def _amount(text: str, cell: Cell) -> str:
    # Brackets, a minus behind, and units such as k or Cr change the amount: they are no currency.
    bare = re.sub(r"^[^\d.,+()-]+|[^\d.,+()-]+$", "", text)
    if _UNIT.fullmatch(text.removeprefix(bare).strip()):
        return text
    found = plain_amount(bare, cell.reading.decimal)
    return found if re.fullmatch(r"[+-]?\d+(\.\d+)?", found) else text


def truth(text: str, reading: Reading) -> str:
    """`true` or `false` for a word that means it; anything else as it is."""
    word = text.casefold()
    if word in {"true", "yes", "1", *map(str.casefold, reading.yes)}:
        return "true"
    return "false" if word in {"false", "no", "0", *map(str.casefold, reading.no)} else text


def _not(text: str, cell: Cell) -> str:
    return {"true": "false", "false": "true"}.get(truth(text, cell.reading), text)


def _person(text: str) -> tuple[str, str]:
    """First and last name."""
    before, comma, after = (part.strip() for part in text.partition(","))
    if comma and _LEGAL_FORM.fullmatch(after):
        return "", text
    if comma and not _NAME_SUFFIX.fullmatch(after):
        return after, before
    first, _, last = before.rpartition(" ")
    return first.strip(), f"{last}, {after}" if comma else last


def _first_name(text: str, cell: Cell) -> str:
    return _person(text)[0]


def _last_name(text: str, cell: Cell) -> str:
    return _person(text)[1]


def _after_colon(text: str, cell: Cell) -> str:
    if ":" not in text:
        return text
    # As in `Phone: 555 0101 Mobile: 555 0102`.
    found, *others = _LABELLED.split(text.partition(":")[2].strip())
    for other in others:
        cell.leave_out(other.strip())
    return found.strip()


def _dated(order: str) -> Callable[[str, Cell], str]:
    def read(text: str, cell: Cell) -> str:
        found = re.fullmatch(r"(\d{1,2})[./-](\d{1,2})[./-](\d{4})", text)
        if found is None:
            return text
        one, two, year = map(int, found.groups())
        try:
            return date(year, *((two, one) if order == "dmy" else (one, two))).isoformat()
        except ValueError:
            return text

    return read


FUNCTIONS: Mapping[str, Callable[[str, Cell], str]] = {
    "first": _first,
    "digits": _digits,
    "lower": lambda text, cell: text.lower(),
    "upper": lambda text, cell: text.upper(),
    "unquoted": _unquoted,
    "after_colon": _after_colon,
    "days": _days,
    "amount": _amount,
    "not": _not,
    "first_name": _first_name,
    "last_name": _last_name,
    "first_value": _first_value,
    "date_dmy": _dated("dmy"),
    "date_mdy": _dated("mdy"),
}
"""Every function that a template can name; what a function cannot read, it leaves as it is."""


class Hole(msgspec.Struct, frozen=True):
    """One `{...}` of a template."""

    column: str
    functions: tuple[str, ...] = ()


class Template(msgspec.Struct, frozen=True):
    """A text with holes for columns."""

    parts: tuple[str | Hole, ...]
    functions: tuple[str, ...] = ()
    """What the whole text goes through."""

    @property
    def holes(self) -> list[Hole]:
        """Its columns."""
        return [part for part in self.parts if isinstance(part, Hole)]

    def filled(self, get: Callable[[str], str], cell_of: Callable[[str], Cell]) -> str:
        """The text for one row; empty when every column of it is empty.

        Args:
            get: Gives the cell of a column.
            cell_of: Gives what functions get beside the text of a column.
        """
        texts: list[str] = []
        empty = 0
        for part in self.parts:
            if isinstance(part, str):
                texts.append(part)
                continue
            text = get(part.column)
            for name in part.functions:
                if text:
                    text = FUNCTIONS[name](text, cell_of(part.column))
            empty += not text
            texts.append(text)
        if empty == len(self.holes):
            return ""
        whole = "".join(texts)
        if empty:
            # What stood between two columns stands alone now.
            whole = re.sub(r"[ \t]{2,}", " ", whole).strip(" \t,;/|-")
        whole = strip_blanks(whole)
        for name in self.functions:
            whole = FUNCTIONS[name](whole, cell_of(self.holes[0].column))
        return whole


def parse_template(text: str) -> Template:
    """A template as a mapping has it.

    Raises:
        ValueError: A brace is not closed, it names no column, or a function that is not there.
    """
    parts: list[str | Hole] = []
    end = 0
    behind = _BEHIND.fullmatch(text)
    text, outer = (behind[1], _functions(behind[2].split("|")[1:])) if behind else (text, ())
    for match in _HOLE.finditer(text):
        if between := text[end : match.start()]:
            parts.append(between)
        name, *functions = [one.strip() for one in match[1].split("|")]
        if not name:
            raise ValueError("a pair of braces names no column")
        parts.append(Hole(name, _functions(functions)))
        end = match.end()
    if rest := text[end:]:
        parts.append(rest)
    if any(isinstance(part, str) and ("{" in part or "}" in part) for part in parts):
        raise ValueError("a brace is not closed")
    if not any(isinstance(part, Hole) for part in parts):
        raise ValueError("it names no column: write {Column}, or put the text under [constants]")
    return Template(tuple(parts), outer)


def _functions(names: Sequence[str]) -> tuple[str, ...]:
    found = tuple(name.strip() for name in names)
    unknown = [one for one in found if one not in FUNCTIONS]
    if unknown:
        raise ValueError(f"there is no function `{unknown[0]}`; there is {', '.join(FUNCTIONS)}")
    return found


def columns_of(templates: Sequence[Template]) -> list[str]:
    """The columns that some templates name, in order."""
    return list(dict.fromkeys(hole.column for template in templates for hole in template.holes))
