"""What pushes intended, what the server did and what was reported, in order; and what must not be found in it."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, NamedTuple

import pytest

from zoho_async.bulk.results import RowOutcome
from zoho_async.bulk.state.journal import Journal
from zoho_async.fake import FakeZoho

WRITES = ("create", "update", "upsert")


class Entry(NamedTuple):
    """One event of a row, in the run that it belongs to."""

    run: int
    row: int
    kind: Literal["intent", "journal", "act", "report"]
    """`journal`: an intent has ended, in the state `what`, or was rolled back. `act`: the server executed a write."""
    what: str = ""


class History:
    """Writes down what happens while tests push; `run` is the number of the run under way."""

    def __init__(self) -> None:
        self.run = 0
        self.entries: list[Entry] = []

    def note(self, row: int, kind: Literal["intent", "journal", "act", "report"], what: str = "") -> None:
        self.entries.append(Entry(self.run, row, kind, what))

    def report(self, outcomes: Iterable[RowOutcome]) -> None:
        for one in outcomes:
            self.note(one.row.number, "report", f"{one.status} {one.action}")

    def watch(
        self,
        patch: pytest.MonkeyPatch,
        fake: FakeZoho,
        *,
        row_of_key: Callable[[str], int],
        row_of_write: Callable[[str, bytes, Sequence[Any]], int],
    ) -> None:
        """Writes down every intent, its end, and every write that the server executes.

        Args:
            patch: Ends it.
            fake: The server.
            row_of_key: Number of the row with a row key.
            row_of_write: Number of the row that a write is of, by its target, its body and the records it changed.
        """
        intend, settle, roll_back = Journal.record_intent, Journal.record_outcome, Journal.rollback_intent
        executed = fake.audit_log.record_execution

        async def record_intent(journal: Journal, key: str, *rest: Any, **options: Any) -> None:
            await intend(journal, key, *rest, **options)
            self.note(row_of_key(key), "intent", options["operation"])

        async def record_outcome(journal: Journal, key: str, state: Any, **options: Any) -> None:
            self.note(row_of_key(key), "journal", state)
            await settle(journal, key, state, **options)

        async def rollback_intent(journal: Journal, key: str) -> None:
            self.note(row_of_key(key), "journal", "rollback")
            await roll_back(journal, key)

        def record_execution(operation: str, target: str, body: bytes, touched: Iterable[Any], **options: Any) -> None:
            records = list(touched)
            if operation.rpartition(".")[2] in WRITES:
                self.note(row_of_write(target, body, records), "act", operation.rpartition(".")[2])
            executed(operation, target, body, records, **options)

        patch.setattr(Journal, "record_intent", record_intent)
        patch.setattr(Journal, "record_outcome", record_outcome)
        patch.setattr(Journal, "rollback_intent", rollback_intent)
        patch.setattr(fake.audit_log, "record_execution", record_execution)


def contradictions(entries: Iterable[Entry]) -> list[str]:
    """What does not fit together, one sentence each. Pure."""
    found: list[str] = []
    acts: dict[int, list[Entry]] = defaultdict(list)
    intended: dict[int, Entry] = {}
    acted_since_intent: set[int] = set()
    for entry in entries:
        run, row, kind, what = entry
        intent = intended.get(row)
        here = [one for one in acts[row] if one.run == run]
        match kind:
            case "intent":
                intended[row] = entry
                acted_since_intent.discard(row)
            case "act":
                if intent is None or intent.run != run or intent.what != what:
                    found.append(f"run {run}: row {row} was sent by {what} without an intent")
                acts[row].append(entry)
                acted_since_intent.add(row)
            case "journal":
                if what in ("rollback", "failed") and row in acted_since_intent and intent is not None:
                    found.append(f"run {run}: row {row} was executed, and its intent ended as {what}")
                if what == "done" and intent is not None and not acts[row]:
                    found.append(f"run {run}: row {row} is done in the journal and was never executed")
                if what != "unknown":
                    # The server may execute a write after its connection was lost.
                    intended.pop(row, None)
            case "report":
                status, _, action = what.partition(" ")
                if status == "failed" and here:
                    found.append(f"run {run}: row {row} was executed and reported as failed")
                if action in ("created", "updated") and not here:
                    found.append(f"run {run}: row {row} was reported as {action} and not executed")
                if action == "settled" and not acts[row]:
                    found.append(f"run {run}: row {row} was reported as settled and never executed")
    creates = {row: sum(one.what == "create" for one in ones) for row, ones in acts.items()}
    return found + [f"row {row} was created {times} times" for row, times in creates.items() if times > 1]
