"""What is wrong before any call is made: with the input, or with the file that keeps the state."""

from __future__ import annotations

from collections.abc import Sequence


class InputError(ValueError):
    """The input as a whole cannot be used: missing, empty, unreadable, or it has a column nobody knows."""


class UnknownColumnError(InputError):
    """The input has columns that name no field; `columns` lists them."""

    def __init__(self, text: str, columns: Sequence[str] = ()) -> None:
        super().__init__(text)
        self.columns = tuple(columns)


class StateError(RuntimeError):
    """The state file cannot be used: in use by another process, not ours, or written by a newer version."""
