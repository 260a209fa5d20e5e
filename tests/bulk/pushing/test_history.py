"""The checker of histories finds what must not happen."""

from __future__ import annotations

import pytest
from support.history import Entry, contradictions

INTENT, ACT = Entry(1, 1, "intent", "create"), Entry(1, 1, "act", "create")
ROLLED_BACK = "run 1: row 1 was executed, and its intent ended as rollback"
DONE, CREATED = Entry(1, 1, "journal", "done"), Entry(1, 1, "report", "done created")


@pytest.mark.parametrize(
    "entries",
    [
        [INTENT, ACT, DONE, CREATED],
        [INTENT, Entry(1, 1, "journal", "rollback"), Entry(1, 1, "report", "failed none")],
        [INTENT, ACT, Entry(1, 1, "journal", "unknown"), Entry(1, 1, "report", "unknown none")],
        [INTENT, ACT, Entry(2, 1, "report", "done settled")],
        [Entry(1, 1, "report", "done unchanged")],
    ],
)
def test_a_history_without_a_contradiction(entries: list[Entry]) -> None:
    assert contradictions(entries) == []


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([ACT, DONE], "run 1: row 1 was sent by create without an intent"),
        ([INTENT, Entry(2, 1, "act", "create")], "run 2: row 1 was sent by create without an intent"),
        ([INTENT, Entry(1, 1, "act", "update")], "run 1: row 1 was sent by update without an intent"),
        (
            [INTENT, ACT, Entry(1, 1, "journal", "rollback")],
            "run 1: row 1 was executed, and its intent ended as rollback",
        ),
        ([INTENT, ACT, Entry(1, 1, "journal", "failed")], "run 1: row 1 was executed, and its intent ended as failed"),
        ([INTENT, DONE], "run 1: row 1 is done in the journal and was never executed"),
        ([INTENT, ACT, Entry(1, 1, "report", "failed none")], "run 1: row 1 was executed and reported as failed"),
        ([CREATED], "run 1: row 1 was reported as created and not executed"),
        ([Entry(1, 1, "report", "done settled")], "run 1: row 1 was reported as settled and never executed"),
        ([INTENT, ACT, INTENT, ACT], "row 1 was created 2 times"),
    ],
)
def test_a_contradiction(entries: list[Entry], found: str) -> None:
    assert contradictions(entries) == [found]
