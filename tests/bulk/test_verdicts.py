"""What errors of writes mean for their rows."""

from __future__ import annotations

from typing import Any

import pytest

from zoho_async.bulk.pushing.write_policy import TRIES, judge
from zoho_async.errors import (
    DuplicateError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    UnavailableError,
    ZohoError,
)

LOST = OutcomeUnknownError("lost", sent=None)
BUSY = UnavailableError("busy", sent=True)
TAKEN = DuplicateError("taken", sent=True)
TAKEN_TOO = ZohoError("taken", code=3062, sent=True)
BAD = InvalidError("bad", sent=True)
GONE = NotFoundError("gone", sent=True)


@pytest.mark.parametrize(
    ("error", "changed", "verdict"),
    [
        (LOST, {}, "put off"),
        (LOST, {"recognised": True}, "repeat"),
        (LOST, {"recognised": True, "findable": False}, "repeat"),
        (LOST, {"recognised": True, "tries": TRIES}, "undecided"),
        (LOST, {"findable": False}, "undecided"),
        (LOST, {"action": "updated"}, "read again"),
        (LOST, {"action": "updated", "recognised": True}, "read again"),
        (LOST, {"action": "updated", "tries": TRIES}, "undecided"),
        (UnavailableError("busy", sent=None), {}, "put off"),
        (BUSY, {}, "refused"),
        (BUSY, {"perhaps_there": True}, "refused"),
        (TAKEN, {}, "refused"),
        (TAKEN, {"perhaps_there": True}, "put off"),
        (TAKEN_TOO, {"perhaps_there": True}, "put off"),
        (TAKEN, {"perhaps_there": True, "recognised": True}, "repeat"),
        (TAKEN, {"perhaps_there": True, "action": "updated"}, "undecided"),
        (BAD, {}, "refused"),
        (BAD, {"perhaps_there": True, "tries": TRIES}, "refused"),
        (GONE, {}, "refused"),
        (GONE, {"action": "updated"}, "gone"),
    ],
)
def test_the_verdict(error: ZohoError, changed: dict[str, Any], verdict: str) -> None:
    usual: dict[str, Any] = {
        "action": "created",
        "recognised": False,
        "findable": True,
        "perhaps_there": False,
        "tries": 1,
    }
    assert judge(error, **{**usual, **changed}) == verdict
