"""How large tests are: one Hypothesis profile for each of `make quick`, `make test` and `make soak`."""

from __future__ import annotations

from typing import TypeVar

from hypothesis import settings

T = TypeVar("T")

_STANDARD = 100
"""Examples of a property that sets no number of its own, in the profile `test`."""


def register() -> None:
    """Register the profiles and load `test`; `pytest --hypothesis-profile` chooses another."""
    settings.register_profile("test", derandomize=True, database=None, deadline=None, max_examples=_STANDARD)
    test = settings.get_profile("test")
    settings.register_profile("quick", test, max_examples=_STANDARD // 10)
    settings.register_profile("soak", test, derandomize=False, print_blob=True, max_examples=_STANDARD * 10)
    settings.load_profile("test")


def size() -> str:
    """The profile in force: `quick`, `test` or `soak`."""
    return settings.get_current_profile_name()


def examples(count: int) -> int:
    """The number of examples for a property: `count` in the profile `test`, in the others in proportion."""
    return max(1, count * settings.get_profile(size()).max_examples // _STANDARD)


def sized(small: T, big: T) -> T:
    """The size of a long test: `big` in `make soak`, `small` everywhere else."""
    return big if size() == "soak" else small
