"""What a mistyped name was probably meant to be, in one wording. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def did_you_mean(word: str, known: Iterable[str], *, most: int = 3, cutoff: float = 0.5) -> str:
    """A question that names the nearest words, without regard to case; empty when none is near.

    Args:
        word: What was written.
        known: What there is.
        most: How many words are named at most.
        cutoff: How alike they must be, 0 to 1.

    Returns:
        For example "did you mean `contacts`?".
    """
    from difflib import get_close_matches  # only for the message

    folded = {one.lower(): one for one in known}
    near = get_close_matches(word.lower(), folded, n=most, cutoff=cutoff)
    return f"did you mean {' or '.join(f'`{folded[one]}`' for one in near)}?" if near else ""
