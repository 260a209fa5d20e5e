"""One clock for all processes of a host."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

_CLOCK: int = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Runs on while the machine sleeps, and is never set."""


def host_time() -> float:
    """Seconds since the machine started: the same for all its processes, and independent of the wall clock."""
    return time.clock_gettime(_CLOCK)


def boot_id() -> str:
    """Identifies the machine's start; empty where the system has no such name."""
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text(encoding="ascii").strip()
    except OSError:
        return ""


def moment_in(seconds: float | None) -> datetime | None:
    """The time so many seconds from now (aware, UTC); None for None."""
    return None if seconds is None else datetime.now(UTC) + timedelta(seconds=seconds)
