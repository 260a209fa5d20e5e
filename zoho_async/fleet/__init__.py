"""Limits, tokens and leases that processes and machines share, and jobs that stand on them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .files import FileLimiters
from .fleet import Fleet, FleetView
from .leases import Lease
from .redis_store import RedisStore

if TYPE_CHECKING:
    from .slices import Slice, pull_slice, push_slice, resource_lease

__all__ = [
    "FileLimiters",
    "Fleet",
    "FleetView",
    "Lease",
    "RedisStore",
    "Slice",
    "pull_slice",
    "push_slice",
    "resource_lease",
]
_WITH_BULK = frozenset({"Slice", "pull_slice", "push_slice", "resource_lease"})
"""Loaded late: limits alone do not need `bulk`."""


def __getattr__(name: str) -> Any:
    if name in _WITH_BULK:
        from . import slices

        return getattr(slices, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
