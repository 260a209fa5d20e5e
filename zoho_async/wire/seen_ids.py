"""The ids of the rows that a long list has given so far, in little memory. Pure."""

from __future__ import annotations

from array import array
from typing import Any, Final

_SMALLEST: Final = 1 << 12
_LARGEST_ID: Final = (1 << 64) - 1
_MULTIPLIER: Final = 0x9E3779B97F4A7C15
"""Spreads numbers that follow one another; from Knuth's multiplicative hashing."""


class SeenIds:
    """A set of ids. Zoho's are numbers of at most 64 bits, which take 16 to 32 bytes each instead of 150."""

    __slots__ = ("_count", "_others", "_shift", "_table")

    def __init__(self) -> None:
        self._others: set[Any] = set()
        self._count = 0
        self._allocate(_SMALLEST)

    def _allocate(self, slots: int) -> None:
        self._table = array("Q", bytes(8 * slots))
        self._shift = 64 - (slots.bit_length() - 1)

    def add(self, row_id: Any) -> bool:
        """Add an id, or anything else by which rows are told apart; whether it is new."""
        number = _number(row_id)
        if not number:
            known = len(self._others)
            self._others.add(row_id)
            return len(self._others) > known
        if not self._insert(number):
            return False
        self._count += 1
        if 2 * self._count > len(self._table):
            numbers = self._table
            self._allocate(2 * len(numbers))
            for old in numbers:
                if old:
                    self._insert(old)
        return True

    def _insert(self, number: int) -> bool:
        table, last = self._table, len(self._table) - 1
        at = (number * _MULTIPLIER & _LARGEST_ID) >> self._shift
        while found := table[at]:
            if found == number:
                return False
            at = at + 1 if at < last else 0
        table[at] = number
        return True


def _number(row_id: Any) -> int:
    """The id as a number; 0 for what is none, or would not be the same text again."""
    if not isinstance(row_id, str) or len(row_id) > 20 or not row_id.isascii() or not row_id.isdecimal():
        return 0
    number = int(row_id)
    return number if row_id[0] != "0" and number <= _LARGEST_ID else 0
