"""Text of unknown origin, made fit for a sentence."""

from __future__ import annotations


def plain(text: str, most: int = 300) -> str:
    """The text on one line: what cannot be printed is escaped, and what is beyond `most` characters is left out."""
    short = text if len(text) <= most else f"{text[: most - 3]}..."
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in short)
