"""What the error of a call means for its row. Pure."""

from __future__ import annotations

from zoho_async.bulk.errors import RUN_ENDING_ERRORS, status_of
from zoho_async.bulk.results import NAME_TAKEN, Action
from zoho_async.errors import DuplicateError, NotFoundError, UnavailableError, ZohoError

from .row_state import RowEvent

TRIES = 3
"""How often a row is sent whose outcome stays unknown."""


def read_error_event(error: Exception, *, draining: bool) -> RowEvent:
    """What it means that a record could not be read. `draining`: nothing more is sent by this push."""
    if isinstance(error, RUN_ENDING_ERRORS):
        return "aborted"
    return "stopped" if draining and isinstance(error, UnavailableError) else "unsendable"


def write_error_event(
    error: Exception,
    *,
    released: bool,
    repeated: bool,
    action: Action,
    idempotent_by_key: bool,
    readable: bool,
    discoverable: bool,
    may_exist: bool,
    tries: int,
) -> RowEvent:
    """What it means that a write has ended in an error.

    `released`: its last attempt went to the wire and was not rejected. `repeated`: it follows, without a look-up, a
    call of unknown outcome. `may_exist`: an earlier call of unknown outcome may have made the record. `tries`: calls
    made, this one included. The others as in `lookup_event`.
    """
    if isinstance(error, RUN_ENDING_ERRORS) and not (released and error.sent is None):
        return "aborted"
    if not isinstance(error, ZohoError):
        return "unresolved" if released else "unsendable"
    if not released:
        return "refused"
    # A name that is taken may be taken by what the earlier call has made.
    taken = is_name_taken(error)
    if status_of(error) == "unknown" or (may_exist and taken):
        if taken and action == "updated":
            return "unresolved"
        return lookup_event(
            action=action,
            idempotent_by_key=idempotent_by_key,
            readable=readable,
            discoverable=discoverable,
            tries=tries,
        )
    if isinstance(error, NotFoundError) and action == "updated":
        return "deleted"
    return "unresolved" if repeated else "refused"


def lookup_event(
    *, action: Action, idempotent_by_key: bool, readable: bool, discoverable: bool, tries: int
) -> RowEvent:
    """How the outcome of a write can be found that is unknown.

    `idempotent_by_key`: Zoho recognises a repeated call by its key. `readable`: the record can be read alone.
    `discoverable`: a record that was made shows in a list, by its name or its key. `tries`: calls made.
    """
    if tries >= TRIES:
        return "unresolved"
    if action == "updated":
        return "readable" if readable else "discoverable"
    if idempotent_by_key:
        return "repeatable"
    return "discoverable" if discoverable else "unresolved"


def is_name_taken(error: ZohoError) -> bool:
    """Whether Zoho says that another record has the name."""
    return isinstance(error, DuplicateError) or str(error.code) == str(NAME_TAKEN)
