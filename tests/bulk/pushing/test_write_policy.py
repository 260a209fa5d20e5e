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
        (LOST, {"idempotent_by_key": True}, "repeat"),
        (LOST, {"idempotent_by_key": True, "discoverable": False}, "repeat"),
        (LOST, {"idempotent_by_key": True, "tries": TRIES}, "undecided"),
        (LOST, {"discoverable": False}, "undecided"),
        (LOST, {"action": "updated"}, "read again"),
        (LOST, {"action": "updated", "idempotent_by_key": True}, "read again"),
        (LOST, {"action": "updated", "tries": TRIES}, "undecided"),
        (UnavailableError("busy", sent=None), {}, "put off"),
        (BUSY, {}, "refused"),
        (BUSY, {"may_exist": True}, "refused"),
        (TAKEN, {}, "refused"),
        (TAKEN, {"may_exist": True}, "put off"),
        (TAKEN_TOO, {"may_exist": True}, "put off"),
        (TAKEN, {"may_exist": True, "idempotent_by_key": True}, "repeat"),
        (TAKEN, {"may_exist": True, "action": "updated"}, "undecided"),
        (BAD, {}, "refused"),
        (BAD, {"may_exist": True, "tries": TRIES}, "refused"),
        (GONE, {}, "refused"),
        (GONE, {"action": "updated"}, "gone"),
    ],
)
def test_the_verdict(error: ZohoError, changed: dict[str, Any], verdict: str) -> None:
    usual: dict[str, Any] = {
        "action": "created",
        "idempotent_by_key": False,
        "discoverable": True,
        "may_exist": False,
        "tries": 1,
    }
    assert judge(error, **{**usual, **changed}) == verdict
