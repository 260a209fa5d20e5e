"""Warnings: cells and rows that are valid, and probably not what their owner means. Pure."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from decimal import Decimal
from typing import Any, Final

import msgspec

from zoho_async.bulk.errors import printable
from zoho_async.bulk.source.row import LostFormula
from zoho_async.bulk.source.text import INVISIBLE, excerpt

from .columns import Column

KEPT = 10
"""Row numbers that are kept of each kind of warning."""
_EXACT_DIGITS = 15
"""Digits that a spreadsheet's numbers hold."""

KINDS: Final[Mapping[str, str]] = {
    "rounded": "a number that a spreadsheet has rounded; format the column as text there and export it again",
    "long_number": "a number of more than 15 digits that is no text, which most programs round; export it as text",
    "hashes": "number signs, which a spreadsheet shows where a column is too narrow; widen it and export again",
    "several_emails": "more than one e-mail in a cell; keep one, or take the first in a mapping ({Column|first})",
    "no_email": "text that is no e-mail",
    "placeholder": "a word that stands for an empty or wrong cell; empty it",
    "total_row": "looks like a total; delete it, or leave it out in a mapping ([read] skip_rows)",
    "footer": "looks like the footer of a report; delete it, or leave it out in a mapping ([read] skip_rows)",
    "mojibake": "text that was once read in a wrong encoding; export it again as UTF-8, or name its encoding",
    "similar_name": "a name that differs from that of an earlier row only by letter case, blanks or invisible "
    "characters; both become records",
    "formula": "looks like a formula of a spreadsheet; it goes as text",
    "no_value": "a formula without a value in the file, read as empty; open it in a spreadsheet program and save it",
    "html": "HTML, which goes as it is",
}
"""Every kind of warning, and what it says."""

_SCIENTIFIC = re.compile(r"[+-]?\d(?:[.,]\d+[eE][+-]?\d+|[eE]\+\d+)")
_ZEROS = re.compile(r"[1-9]\d{14}00+")
_FORMULA = re.compile(r"=.|[+@-][\w.]*[A-Za-z][\w.]*\(|[+@-].*\|.*!")
_HTML = re.compile(r"&(?:[A-Za-z]{2,8}|#\d{2,5}|#x[0-9A-Fa-f]{2,4});|</?(?:br|p|div|span|a|b|i|font)\b[^>]*>")
_EMAIL = re.compile(r"[^@\s,;:<>()\"]+@[^@\s,;:<>()\"]+\.[^@\s,;:<>()\".]+")
_SEPARATORS = re.compile(r"[\s,;|<>()]+|:::")
_PLACEHOLDERS = frozenset(
    {
        *("null", "(null)", "<null>", "[null]", "\\n", "nil", "none", "nan", "nat", "undefined", "n/a", "n.a.", "#n/a"),
        *("#ref!", "#value!", "#div/0!", "#name?", "#null!", "#num!", "#na", "#error!", "#calc!", "#spill!", "#field!"),
        *("[object object]", "#nv", "#wert!", "#bezug!"),
    }
)
_NAMES = frozenset({"Nan", "Null", "Nil", "None"})
"""Placeholders that are also names of people and places, as those are written."""
_TRAIL = (
    r"[\u0080-\u00bf\u0152\u0153\u0160\u0161\u0178\u017d\u017e\u0192"
    r"\u02c6\u02dc\u2013-\u203a\u20ac\u2122]"
)
"""What the second byte of a character of UTF-8 is in Windows-1252."""
_MOJIBAKE = re.compile(
    rf"[ÂÃ]{_TRAIL}|[ÄÅ]{_TRAIL}(?=\w)|(?:[ÐÑ]{_TRAIL}){{2}}|â€|â[‚„]{_TRAIL}|ï[»¿]{_TRAIL}|ðŸ|[√├┬][^\x00-\x7f]|\ufffd"
)
_TOTAL = re.compile(
    r"(?:(?:grand|sub)[ -]?)?totals?(?: (?:rows|records|customers|contacts|count|amount))?\W*[\d.,]*\W*"
    r"|(?:zwischen|gesamt)?summen?:?|(?:ins)?gesamt:?|total g[ée]n[ée]ral|totale|totaal|suma|razem|итого:?"
    r"|合計|合计|总计",
    re.IGNORECASE,
)
_TOTAL_OF = re.compile(r"(?:grand |sub)?totals?\b|summe\b|итого\b", re.IGNORECASE)
_FOOTER = re.compile(
    r"(?:report )?(?:generated|created|printed|exported|produced|downloaded|last updated)\b(?: by| on| at|:)"
    r"|report (?:generated|created|run|date|total|filters?|as of)\b|copyright\b|©|\(c\) |page \d+|seite \d+"
    r"|confidential\b|end of (?:report|file|list|export)\b|filtered by\b|as of[: ]|powered by\b"
    r"|\(?\d[\d,.]* (?:rows?|records?|results?|contacts|customers|entries)\b|(?:cash|accrual) basis\b"
    r"|erstellt (?:am|von)\b|stand:? ?\d|(?:mon|tues|wednes|thurs|fri|satur|sun)day,? |[-=*_]{3,}$",
    re.IGNORECASE,
)


class RowWarning(msgspec.Struct, frozen=True, kw_only=True):
    """One kind of warning about the rows of an input.

    Attributes:
        kind: Short name: rounded, long_number, hashes, several_emails, no_email, placeholder, total_row, footer,
            mojibake, similar_name, formula, no_value or html.
        message: What it says, as the end of a sentence.
        count: Cells or rows that have it.
        rows: Numbers of the first rows that have it.
        column: The column of the first; empty: it is about the whole row.
        value: The beginning of the first cell.
    """

    kind: str
    message: str
    count: int
    rows: tuple[int, ...]
    column: str
    value: str

    @property
    def sentence(self) -> str:
        """One line with the rows, the first cell and what it says."""
        numbers = ", ".join(map(str, self.rows))
        many = len(self.rows) > 1 or self.count > len(self.rows)
        more = f" and more, {self.count:,} in all" if self.count > len(self.rows) else ""
        where = f"`{printable(self.column, 100)}`: " if self.column else ""
        first = "first " if many else ""
        return f"row{'s' * many} {numbers}{more}: {self.message} ({first}{where}{printable(self.value)})"


class WarningCounter:
    """Counts warnings by kind; memory does not grow with the rows."""

    def __init__(self) -> None:
        self._rows: dict[str, list[int]] = {}
        self._first: dict[str, tuple[str, str]] = {}
        self._counts: dict[str, int] = {}

    def add(self, kind: str, row: int, column: str, value: str) -> None:
        """Counts one.

        Args:
            kind: One of `KINDS`.
            row: Number of the row.
            column: Its column; empty for a whole row.
            value: The cell.
        """
        if kind not in self._counts:
            self._rows[kind], self._counts[kind], self._first[kind] = [], 0, (column, excerpt(value))
        self._counts[kind] += 1
        rows = self._rows[kind]
        if len(rows) < KEPT and row not in rows:
            rows.append(row)

    @property
    def found(self) -> list[RowWarning]:
        """The warnings, in the order of `KINDS`."""
        return [
            RowWarning(
                kind=kind,
                message=message,
                count=self._counts[kind],
                rows=tuple(self._rows[kind]),
                column=self._first[kind][0],
                value=self._first[kind][1],
            )
            for kind, message in KINDS.items()
            if kind in self._counts
        ]


def cell_warnings(name: str, column: Column | None, cell: Any) -> Iterator[str]:
    """The kinds of warnings that a cell has.

    Args:
        name: Of its column.
        column: The column; None when it names no field.
        cell: Text without blanks at its ends, or a value of JSON.
    """
    if isinstance(cell, str):
        yield from _text_warnings(name, column, cell)
    elif isinstance(cell, int | float | Decimal) and not isinstance(cell, bool):
        number = cell if isinstance(cell, Decimal) else Decimal(repr(cell))
        exponent = number.as_tuple().exponent
        if isinstance(exponent, int) and exponent > 0 and not _is_amount(column):
            yield "rounded"
        elif number.is_finite() and len(number.as_tuple().digits) > _EXACT_DIGITS:
            yield "long_number"


def _text_warnings(name: str, column: Column | None, text: str) -> Iterator[str]:
    first = text[:1]
    if first.isdigit() or first in "+-":
        if is_scientific(text) or _ZEROS.fullmatch(text):
            yield "rounded"
        elif _is_amount(column) and sum(map(str.isdigit, text.lstrip("+-0."))) > _EXACT_DIGITS:
            yield "long_number"
    if first == "#" and len(text) > 2 and not text.strip("#"):
        yield "hashes"
    elif len(text) < 20 and text.casefold() in _PLACEHOLDERS and text not in _NAMES:
        if column is None or text not in column.rule.values:
            yield "placeholder"
    elif name.rpartition(".")[2] == "email" and not _EMAIL.fullmatch(text):
        emails = [one for one in _SEPARATORS.split(text) if _EMAIL.fullmatch(one)]
        yield "several_emails" if len(emails) > 1 else "no_email"
    elif first in "=+-@" and _FORMULA.match(text):
        yield "formula"
    if not text.isascii() and _MOJIBAKE.search(text):
        yield "mojibake"
    if ("&" in text or "<" in text) and _HTML.search(text):
        yield "html"


def _is_amount(column: Column | None) -> bool:
    return column is not None and column.rule.kind in ("number", "integer")


def row_warnings(cells: Sequence[Any]) -> Iterator[tuple[str, str]]:
    """The kinds of warnings that a whole row has, with the cell that shows it.

    Args:
        cells: As they stand in the input.
    """
    filled = [str(cell) for cell in cells if cell is not None and str(cell).strip()]
    first = filled[0].strip() if filled else ""
    for cell in cells:
        if type(cell) is LostFormula:
            yield "no_value", cell.place
    if _TOTAL.fullmatch(first) or (len(filled) == 1 and _TOTAL_OF.match(first)):
        yield "total_row", first
    elif len(filled) == 1 and _FOOTER.match(first):
        yield "footer", first


def is_scientific(text: str) -> bool:
    """Whether a text is a number as a spreadsheet writes long ones: `1.23E+11`."""
    return _SCIENTIFIC.fullmatch(text) is not None


def folded(name: str) -> str:
    """A name as it is compared for similarity: without letter case, invisible characters and double blanks."""
    if not name.isascii():
        normal = unicodedata.normalize("NFKC", name).translate(dict.fromkeys(map(ord, INVISIBLE)))
        name = unicodedata.normalize("NFKC", normal.casefold())
    return " ".join(name.casefold().split())
