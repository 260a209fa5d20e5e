"""Limits, tokens and leases that processes and machines share."""

from __future__ import annotations

from .files import FileLimiters
from .fleet import Fleet, FleetView
from .leases import Lease
from .redis_store import RedisStore

__all__ = ["FileLimiters", "Fleet", "FleetView", "Lease", "RedisStore"]
