"""The smallest update that makes a record what a row says, without losing anything the row does not name. Pure.

A merge repeated changes nothing, provided that the service applied the first one.
"""

from __future__ import annotations

from .compare import same
from .objects import Difference
from .record import Merged, merge

__all__ = ["Difference", "Merged", "merge", "same"]
