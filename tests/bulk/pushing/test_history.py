"""The checker of histories finds what must not happen."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any

import pytest
from support.history import Entry, History, contradictions

from zoho_async import Zoho, bulk
from zoho_async.fake import FakeZoho
from zoho_async.transport import retry_policy

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
        [INTENT, Entry(1, 1, "journal", "unknown"), ACT, Entry(1, 1, "report", "unknown none")],
        [Entry(1, 1, "report", "done unchanged")],
    ],
)
def test_a_history_without_a_contradiction(entries: list[Entry]) -> None:
    assert contradictions(entries) == []


@pytest.mark.parametrize(
    ("entries", "found"),
    [
        ([INTENT, Entry(1, 1, "journal", "rollback"), ACT], "run 1: row 1 was sent by create without an intent"),
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


async def test_the_history_of_a_push(fake: FakeZoho, zoho: Zoho, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every write has its intent, the updates too, and every outcome is what the server did."""
    monkeypatch.setattr(retry_policy, "retry_delay", lambda *_: 0.001)
    fake.seed([{"contact_name": f"N{number}", "notes": "old"} for number in range(4)])
    fake.script("books.contacts.create", ["reset_after", "reset_before", "status:503_after"])
    fake.script("books.contacts.update", ["reset_before", "reset_after", "html_after"])
    history = History()
    history.watch(monkeypatch, fake, row_of_key=number_in, row_of_write=lambda _, body, touched: number_of(touched))
    given = [{"contact_name": f"N{number}", "notes": "new"} for number in range(8)]
    push = bulk.push(zoho.books.contacts, given, match_by="contact_name", pause=0)
    history.report([outcome async for outcome in push])
    assert contradictions(history.entries) == []
    assert Counter(one.kind for one in history.entries if one.kind in ("act", "report")) == {"act": 8, "report": 8}


def number_in(key: str) -> int:
    return int(key.removeprefix("contact_name=N")) + 1


def number_of(touched: Sequence[dict[str, Any]]) -> int:
    return int(touched[0]["contact_name"].removeprefix("N")) + 1
