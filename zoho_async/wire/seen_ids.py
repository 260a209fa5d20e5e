"""The ids of the rows that a long list has given so far, in little memory. Pure."""

from __future__ import annotations

from array import array
from typing import Any, Final

_TABLES: Final = 64
"""Many small tables: one that grows is for a moment there twice."""
_SMALLEST: Final = 64
_LARGEST_ID: Final = (1 << 64) - 1
_MULTIPLIER: Final = 0x9E3779B97F4A7C15
"""Spreads numbers that follow one another; from Knuth's multiplicative hashing."""


class SeenIds:
    """A set of ids. Zoho's are numbers of at most 64 bits, which take 16 to 32 bytes each instead of 150."""

    __slots__ = ("_counts", "_others", "_tables")

    def __init__(self) -> None:
        self._others: set[Any] = set()
        self._counts = [0] * _TABLES
        self._tables = [array("Q", bytes(8 * _SMALLEST)) for _ in range(_TABLES)]

    def add(self, row_id: Any) -> bool:
        """Add an id, or anything else that identifies a row; whether it is new."""
        number = _number(row_id)
        if not number:
            known = len(self._others)
            self._others.add(row_id)
            return len(self._others) > known
        spread = number * _MULTIPLIER & _LARGEST_ID
        which = spread >> 58  # the high bits depend on every digit
        table = self._tables[which]
        if not _insert(table, number, spread):
            return False
        self._counts[which] += 1
        if 2 * self._counts[which] > len(table):
            self._tables[which] = larger = array("Q", bytes(16 * len(table)))
            for old in filter(None, table):
                _insert(larger, old, old * _MULTIPLIER & _LARGEST_ID)
        return True


def _insert(table: array[int], number: int, spread: int) -> bool:
    """Put a number at the first free slot after its own; False when it is there."""
    last = len(table) - 1
    at = spread >> 20 & last
    while found := table[at]:
        if found == number:
            return False
        at = (at + 1) & last
    table[at] = number
    return True


def _number(row_id: Any) -> int:
    """The id as a number; 0 for what is none, or would not be the same text again."""
    if not isinstance(row_id, str) or len(row_id) > 20 or not row_id.isascii() or not row_id.isdecimal():
        return 0
    number = int(row_id)
    return number if row_id[0] != "0" and number <= _LARGEST_ID else 0
