"""How far a push is."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """How far a push is."""

    stage: Literal["check", "read", "write", "wait"]
    done: int = 0
    """In `check`: rows checked, in `read`: calls made, in `write`: rows with an outcome; all so far."""
    until: datetime | None = None
    """In `wait`: when it goes on."""
    why: str = ""
