"""From the samples of interleaved rounds to medians and ratios."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import median

Sample = Mapping[str, float]
Measure = dict[str, dict[str, float]]
"""Values by peer and by name."""


def summary(samples: Mapping[str, Sequence[Sample]], count: int, base: str) -> Measure:
    """What one call costs each peer, in the middle of all rounds.

    Args:
        samples: Wall and CPU seconds of each peer by round; a peer without samples is left out.
        count: Calls of one sample.
        base: The peer that others are compared with. Each round is compared by itself, so that other load, which
            troubles a whole round, cancels out.

    Returns:
        By peer: `ratio` of CPU time to the base, `speed` (its inverse), `cpu_us` and `wall_us` of one call, `rate` of
        calls a second, and the number of `rounds`.
    """
    measure: Measure = {}
    for name, own in samples.items():
        if not own:
            continue
        cpu, wall = median(one["cpu"] for one in own) / count, median(one["wall"] for one in own) / count
        values = {"cpu_us": cpu * 1e6, "wall_us": wall * 1e6, "rate": 1 / wall, "rounds": len(own)}
        pairs = [(one["cpu"], other["cpu"]) for one, other in zip(own, samples.get(base, ()), strict=False)]
        if pairs:
            values |= compared([one / other for one, other in pairs])
        measure[name] = values
    return measure


def compared(ratios: Sequence[float]) -> dict[str, float]:
    """The middle of ratios, and of their inverses."""
    return {"ratio": median(ratios), "speed": 1 / median(ratios)}


def counted(instructions: Mapping[str, float], base: str) -> Measure:
    """Instructions of one call by peer, and their ratio to the base."""
    of_base = instructions.get(base)
    return {
        name: {"instructions": count} | (compared([count / of_base]) if of_base else {})
        for name, count in instructions.items()
    }


def rounded(measure: Measure) -> Measure:
    """Four significant digits, so that results are small and differ only where it matters."""
    return {name: {key: float(f"{value:.4g}") for key, value in values.items()} for name, values in measure.items()}
