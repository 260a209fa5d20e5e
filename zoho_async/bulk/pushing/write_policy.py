"""What an error of a write means for its row. Pure."""

from __future__ import annotations

from typing import Literal

from zoho_async.bulk.errors import status_of
from zoho_async.bulk.results import NAME_TAKEN, Action
from zoho_async.errors import DuplicateError, NotFoundError, ZohoError

Verdict = Literal["repeat", "read again", "put off", "undecided", "gone", "refused"]
"""`repeat`: send it again after a pause, Zoho recognises it. `read again`: read the record after a pause, and send what
still differs. `put off`: look it up later, with others. `undecided`: nobody can say whether it was done. `gone`: there
is no such record any more. `refused`: it was not done."""

TRIES = 3
"""How often a row is sent whose outcome stays unknown."""


def judge(
    error: ZohoError, *, action: Action, idempotent_by_key: bool, discoverable: bool, may_exist: bool, tries: int
) -> Verdict:
    """What to do about a row whose write has ended in an error.

    `idempotent_by_key`: Zoho knows a repeated call by its key. `discoverable`: a record that was made can be found by
    its name or its key. `may_exist`: an earlier call of unknown outcome may have made the record. `tries`: calls made.
    """
    # A name that is taken may be taken by what the earlier call has made.
    if status_of(error) == "unknown" or (may_exist and is_name_taken(error)):
        if tries >= TRIES:
            return "undecided"
        if action == "updated":
            return "undecided" if is_name_taken(error) else "read again"
        if idempotent_by_key:
            return "repeat"
        return "put off" if discoverable else "undecided"
    return "gone" if isinstance(error, NotFoundError) and action == "updated" else "refused"


def is_name_taken(error: ZohoError) -> bool:
    """Whether Zoho says that another record has the name."""
    return isinstance(error, DuplicateError) or str(error.code) == str(NAME_TAKEN)
