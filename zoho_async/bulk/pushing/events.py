"""The progress of a push."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

import msgspec


class Event(msgspec.Struct, frozen=True, kw_only=True):
    """Progress of a push.

    Attributes:
        stage: `check`: rows were checked. `read`: a call that reads is made. `write`: a row has its outcome. `wait`:
            the push waits for the next day's calls or its allowed hours.
        done: In `check` the rows checked, in `read` the calls made, in `write` the rows with an outcome; all so far.
        until: In `wait`, when it goes on.
        why: In `wait`, the reason.
    """

    stage: Literal["check", "read", "write", "wait"]
    done: int = 0
    until: datetime | None = None
    why: str = ""
