"""What errors of calls mean for their rows."""

from __future__ import annotations

from typing import Any

import pytest

from zoho_async.bulk.pushing.write_policy import TRIES, read_error_event, write_error_event
from zoho_async.errors import (
    AuthError,
    DecodeError,
    DuplicateError,
    InvalidError,
    NotFoundError,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    UnavailableError,
    ZohoError,
)

LOST = OutcomeUnknownError("lost", sent=None)
BUSY = UnavailableError("busy", sent=True)
TAKEN = DuplicateError("taken", sent=True)
TAKEN_TOO = ZohoError("taken", code=3062, sent=True)
INVALID = InvalidError("invalid", sent=True)
NOT_FOUND = NotFoundError("not found", sent=True)
QUOTA = QuotaExceededError("used up", sent=True)
WAITING = {"released": False}
REPEATED = {"repeated": True, "may_exist": True, "idempotent_by_key": True}
UPDATED = {"action": "updated", "readable": True}


@pytest.mark.parametrize(
    ("error", "changed", "event"),
    [
        (LOST, {}, "discoverable"),
        (LOST, {"idempotent_by_key": True}, "repeatable"),
        (LOST, {"idempotent_by_key": True, "discoverable": False}, "repeatable"),
        (LOST, {"idempotent_by_key": True, "tries": TRIES}, "unresolved"),
        (LOST, {"tries": TRIES}, "unresolved"),
        (LOST, {"discoverable": False}, "unresolved"),
        (LOST, UPDATED, "readable"),
        (LOST, {"action": "updated"}, "discoverable"),
        (LOST, {**UPDATED, "idempotent_by_key": True}, "readable"),
        (LOST, {**UPDATED, "tries": TRIES}, "unresolved"),
        (LOST, REPEATED, "repeatable"),
        (UnavailableError("busy", sent=None), {}, "discoverable"),
        (BUSY, {}, "refused"),
        (BUSY, WAITING, "refused"),
        (BUSY, REPEATED, "unresolved"),
        (BUSY, {**REPEATED, **WAITING}, "refused"),
        (TAKEN, {}, "refused"),
        (TAKEN, {"may_exist": True}, "discoverable"),
        (TAKEN_TOO, {"may_exist": True}, "discoverable"),
        (TAKEN, REPEATED, "repeatable"),
        (TAKEN, {**UPDATED, "may_exist": True}, "unresolved"),
        (INVALID, {}, "refused"),
        (INVALID, {"may_exist": True, "tries": TRIES}, "refused"),
        (NOT_FOUND, {}, "refused"),
        (NOT_FOUND, UPDATED, "deleted"),
        (NOT_FOUND, {**UPDATED, **WAITING}, "refused"),
        (QUOTA, {}, "aborted"),
        (QUOTA, WAITING, "aborted"),
        (QUOTA, REPEATED, "aborted"),
        (AuthError("refused", sent=True), {}, "aborted"),
        (AuthError("lost on the way", sent=None), {}, "discoverable"),
        (AuthError("no token", sent=None), WAITING, "aborted"),
        (OSError("disk full"), {}, "unresolved"),
        (OSError("disk full"), WAITING, "unsendable"),
        (OSError("disk full"), {**REPEATED, **WAITING}, "unsendable"),
    ],
)
def test_an_error_of_a_write(error: Exception, changed: dict[str, Any], event: str) -> None:
    usual: dict[str, Any] = {
        "released": True,
        "repeated": False,
        "action": "created",
        "idempotent_by_key": False,
        "readable": False,
        "discoverable": True,
        "may_exist": False,
        "tries": 1,
    }
    assert write_error_event(error, **{**usual, **changed}) == event


@pytest.mark.parametrize(
    ("error", "draining", "event"),
    [
        (QUOTA, False, "aborted"),
        (RateLimitError("wait", sent=True), True, "aborted"),
        (BUSY, True, "stopped"),
        (BUSY, False, "unsendable"),
        (DecodeError("no contact in it", sent=True), True, "unsendable"),
        (LookupError("of ours"), False, "unsendable"),
    ],
)
def test_an_error_of_a_read(error: Exception, draining: bool, event: str) -> None:
    assert read_error_event(error, draining=draining) == event
