"""The goals that the library's own ratios are held to."""

from __future__ import annotations

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .peers import OURS


@dataclass(frozen=True)
class Goal:
    """One limit.

    Attributes:
        what: The goal in words.
        measure: Name of the measure, and `value` in it.
        tolerance: Part of the limit by which a measurement may miss it.
        optional: Whether the measure may be missing, as instructions are without valgrind.
        aim: What the limit is to become; shown, not held.
    """

    what: str
    measure: str
    value: str
    at_most: float | None = None
    at_least: float | None = None
    tolerance: float = 0.0
    optional: bool = False
    aim: float | None = None

    def __post_init__(self) -> None:
        if (self.at_most is None) == (self.at_least is None):
            raise ValueError(f"{self.what}: either at_most or at_least")

    def met(self, measured: float) -> bool:
        """Whether a measurement is within the limit and its tolerance."""
        if self.at_most is not None:
            return measured <= self.at_most * (1 + self.tolerance)
        assert self.at_least is not None
        return measured >= self.at_least * (1 - self.tolerance)

    def reached(self, measured: float) -> bool:
        """Whether a measurement is within the aim; without one, within the limit itself."""
        if self.at_most is not None:
            return measured <= (self.at_most if self.aim is None else self.aim)
        assert self.at_least is not None
        return measured >= (self.at_least if self.aim is None else self.aim)

    def limit(self) -> str:
        """The limit in words."""
        words = f"at most {self.at_most:g}" if self.at_most is not None else f"at least {self.at_least:g}"
        return f"{words} ± {self.tolerance:.0%}" if self.tolerance else words


def read(path: Path) -> list[Goal]:
    """The goals of a TOML file."""
    return [Goal(**one) for one in tomllib.loads(path.read_text(encoding="utf-8"))["goals"]]


def value_of(goal: Goal, measures: Mapping[str, Any]) -> float | None:
    """What was measured for a goal."""
    value: float | None = measures.get(goal.measure, {}).get(OURS, {}).get(goal.value)
    return value


def missed(goals: Iterable[Goal], measures: Mapping[str, Any]) -> list[str]:
    """A line for each goal that is missed or could not be measured."""
    lines: list[str] = []
    for goal in goals:
        measured = value_of(goal, measures)
        if measured is None and not goal.optional:
            lines.append(f"{goal.what}: not measured ({goal.measure})")
        elif measured is not None and not goal.met(measured):
            lines.append(f"{goal.what}: {measured:g}, held to {goal.limit()}")
    return lines


def table(goals: Iterable[Goal], measures: Mapping[str, Any]) -> list[str]:
    """A Markdown table of goals and what was measured."""
    lines = ["| what | aim | measured | reached | held to |", "| --- | --- | --- | --- | --- |"]
    for goal in goals:
        measured = value_of(goal, measures)
        found = "not measured | " if measured is None else f"{measured:g} | {'yes' if goal.reached(measured) else 'no'}"
        aim = goal.aim if goal.aim is not None else goal.at_most if goal.at_most is not None else goal.at_least
        lines.append(f"| {goal.what} | {aim:g} | {found} | {goal.limit()} |")
    return lines
