"""The life of a row within a push: its states, the events that change them, and one table of transitions. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final, Literal, NamedTuple

RowState = Literal["planned", "intended", "sent", "throttled", "unknown", "resent", "done", "failed", "reconciled"]
"""`planned`: routed, nothing was sent. `intended`: its intent is in the journal. `sent`: its call is on the wire.
`throttled`: its call was not executed and waits for another attempt. `unknown`: a call of it, now or in an earlier run,
may have been executed. `resent`: on the wire again after an unknown outcome. `done`, `failed`, `reconciled`: final;
`reconciled` is what was unknown and turned out to be executed."""

RowEvent = Literal[
    "allowed",
    "recorded",
    "rejected",
    "stale",
    "stopped",
    "aborted",
    "accepted",
    "refused",
    "deleted",
    "repeatable",
    "readable",
    "discoverable",
    "unresolved",
    "unchanged",
    "unsendable",
]
"""`allowed`: the rate limiter admits its call. `recorded`: its intent is committed. `rejected`: its attempt was not
executed, for a limit, an expired token or want of a connection. `stale`: what it was planned from is too old to be
written. `stopped`: the push is asked to end before it is sent. `aborted`: an error that every other row would meet.
`accepted`, `refused`: Zoho has executed it, or not. `deleted`: its record no longer exists.
`repeatable`, `readable`, `discoverable`, `unresolved`: the outcome is unknown; it is found by sending the call again,
which Zoho recognises by its key; by reading the record; by reading a list; not at all.
`unchanged`: its record has all it says. `unsendable`: the row itself, or its record, does not allow a write."""

JournalEntry = Literal["", "intent", "rollback", "unknown", "failed", "done"]
"""What is written to the journal; `rollback` removes the row's intent, if it has one."""

Step = Literal["send", "wait", "plan", "leave", "repeat", "re-read", "defer", "report"]
"""`send`: go on to the wire. `wait`: for the next attempt. `plan`: route it again. `leave`: to the next run.
`repeat`: send the same call after a pause. `re-read`: route it again after a pause. `defer`: look it up later, together
with others. `report`: its outcome."""


class Transition(NamedTuple):
    """What an event leads to."""

    state: RowState
    journal: JournalEntry
    step: Step


TRANSITIONS: Final[Mapping[tuple[RowState, RowEvent], Transition]] = {
    ("planned", "allowed"): Transition("intended", "intent", "send"),
    ("planned", "stale"): Transition("planned", "", "plan"),
    ("planned", "deleted"): Transition("planned", "", "plan"),
    ("planned", "stopped"): Transition("planned", "", "leave"),
    ("planned", "aborted"): Transition("planned", "", "leave"),
    ("planned", "unchanged"): Transition("done", "", "report"),
    ("planned", "unsendable"): Transition("failed", "", "report"),
    ("planned", "refused"): Transition("failed", "failed", "report"),
    ("intended", "recorded"): Transition("sent", "", "send"),
    ("intended", "unsendable"): Transition("failed", "rollback", "report"),
    ("sent", "rejected"): Transition("throttled", "", "wait"),
    ("sent", "accepted"): Transition("done", "done", "report"),
    ("sent", "refused"): Transition("failed", "failed", "report"),
    ("sent", "deleted"): Transition("failed", "rollback", "report"),
    ("sent", "aborted"): Transition("planned", "rollback", "leave"),
    ("sent", "repeatable"): Transition("unknown", "unknown", "repeat"),
    ("sent", "readable"): Transition("unknown", "unknown", "re-read"),
    ("sent", "discoverable"): Transition("unknown", "unknown", "defer"),
    ("sent", "unresolved"): Transition("unknown", "unknown", "report"),
    ("throttled", "allowed"): Transition("sent", "", "send"),
    ("throttled", "stale"): Transition("planned", "rollback", "plan"),
    ("throttled", "stopped"): Transition("planned", "rollback", "leave"),
    ("throttled", "aborted"): Transition("planned", "rollback", "leave"),
    ("throttled", "unsendable"): Transition("failed", "rollback", "report"),
    ("throttled", "refused"): Transition("failed", "failed", "report"),
    ("unknown", "allowed"): Transition("resent", "intent", "send"),
    ("unknown", "stale"): Transition("unknown", "rollback", "defer"),
    ("unknown", "deleted"): Transition("unknown", "", "plan"),
    ("unknown", "stopped"): Transition("unknown", "rollback", "report"),
    ("unknown", "aborted"): Transition("unknown", "rollback", "report"),
    ("unknown", "unchanged"): Transition("reconciled", "", "report"),
    ("unknown", "unsendable"): Transition("unknown", "rollback", "report"),
    ("unknown", "refused"): Transition("unknown", "rollback", "report"),
    ("unknown", "unresolved"): Transition("unknown", "unknown", "report"),
    ("resent", "rejected"): Transition("unknown", "", "wait"),
    ("resent", "accepted"): Transition("done", "done", "report"),
    ("resent", "refused"): Transition("failed", "failed", "report"),
    ("resent", "deleted"): Transition("unknown", "rollback", "report"),
    ("resent", "aborted"): Transition("unknown", "rollback", "report"),
    ("resent", "repeatable"): Transition("unknown", "unknown", "repeat"),
    ("resent", "readable"): Transition("unknown", "unknown", "re-read"),
    ("resent", "discoverable"): Transition("unknown", "unknown", "defer"),
    ("resent", "unresolved"): Transition("unknown", "unknown", "report"),
}
"""The table. A pair that is not in it cannot happen. `docs/architecture.md` draws it."""


def next_state(state: RowState, event: RowEvent) -> Transition:
    """What an event leads to in a state; AssertionError for a pair that cannot happen."""
    transition = TRANSITIONS.get((state, event))
    assert transition is not None, f"a row that is {state} cannot be {event}"
    return transition
