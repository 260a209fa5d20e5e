"""The table of a row's life: every pair of state and event, and what holds of all of them."""

from __future__ import annotations

from itertools import product
from typing import get_args

import pytest

from zoho_async.bulk.pushing.row_state import TRANSITIONS, RowEvent, RowState, Transition, next_state

STATES: tuple[RowState, ...] = get_args(RowState)
EVENTS: tuple[RowEvent, ...] = get_args(RowEvent)
FINAL = ("done", "failed", "reconciled")
OUTCOME_UNKNOWN = ("repeatable", "readable", "discoverable", "unresolved")
ON_THE_WIRE = ("sent", "resent")

POSSIBLE: dict[str, set[str]] = {
    "planned": {"allowed", "stale", "deleted", "stopped", "aborted", "unchanged", "unsendable", "refused"},
    "intended": {"recorded", "unsendable"},
    "sent": {"rejected", "accepted", "refused", "deleted", "aborted", *OUTCOME_UNKNOWN},
    "throttled": {"allowed", "stale", "stopped", "aborted", "unsendable", "refused"},
    "unknown": {
        *("allowed", "stale", "deleted", "stopped", "aborted", "unchanged", "unsendable", "refused", "unresolved")
    },
    "resent": {"rejected", "accepted", "refused", "deleted", "aborted", *OUTCOME_UNKNOWN},
    "done": set(),
    "failed": set(),
    "reconciled": set(),
}


@pytest.mark.parametrize(("state", "event"), list(product(STATES, EVENTS)))
def test_every_pair_is_in_the_table_or_cannot_happen(state: RowState, event: RowEvent) -> None:
    if event in POSSIBLE[state]:
        assert next_state(state, event) == TRANSITIONS[state, event]
    else:
        assert (state, event) not in TRANSITIONS
        with pytest.raises(AssertionError, match=f"a row that is {state} cannot be {event}"):
            next_state(state, event)


def test_a_row_is_sent_only_with_its_intent_in_the_journal() -> None:
    """From `throttled` it is there already."""
    assert TRANSITIONS["planned", "allowed"] == Transition("intended", "intent", "send")
    assert TRANSITIONS["unknown", "allowed"] == Transition("resent", "intent", "send")
    assert {state for (state, _), to in TRANSITIONS.items() if to.state == "sent"} == {"intended", "throttled"}


def test_an_unknown_outcome_is_never_taken_for_a_no() -> None:
    for (state, event), to in TRANSITIONS.items():
        if event in OUTCOME_UNKNOWN:
            assert (to.state, to.journal) == ("unknown", "unknown"), (state, event)
        if state == "unknown":
            # Only what a response, or a record, says ends it; all else leaves it unknown.
            ends = {"allowed": "resent", "unchanged": "reconciled"}
            assert to.state == ends.get(event, "unknown"), (state, event)


def test_an_intent_that_was_not_executed_is_rolled_back() -> None:
    for state in ("intended", "throttled"):
        for event in POSSIBLE[state] - {"allowed", "recorded", "refused"}:
            assert TRANSITIONS[state, event].journal == "rollback", (state, event)  # type: ignore[index]


def test_a_call_on_the_wire_ends_only_by_what_became_of_it() -> None:
    for state in ON_THE_WIRE:
        assert not POSSIBLE[state] & {"stale", "stopped", "unsendable", "unchanged", "allowed"}


def test_what_is_final_is_reported() -> None:
    for to in TRANSITIONS.values():
        if to.state in FINAL:
            assert to.step == "report"
        if to.step == "leave":
            assert to.state == "planned"


def test_every_state_can_be_reached_and_left() -> None:
    assert {to.state for to in TRANSITIONS.values()} == set(STATES)
    assert {state for state, _ in TRANSITIONS} == set(STATES) - set(FINAL)
