"""A push that is stopped while its window is closed: nothing more is called, forgotten or raised."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from zoho_async import Zoho, bulk
from zoho_async.bulk.pushing import call_control
from zoho_async.bulk.pushing.events import Event
from zoho_async.bulk.pushing.push import Push
from zoho_async.bulk.results import RowOutcome
from zoho_async.fake import FakeZoho

CREATE = "books.contacts.create"
OPEN, CLOSED = datetime(2026, 3, 4, 12, tzinfo=UTC), datetime(2026, 3, 4, 18, tzinfo=UTC)
WINDOW = "08:00-17:00"

CloseWhen = Callable[[Callable[[], bool]], None]


@pytest.fixture
def close_when(monkeypatch: pytest.MonkeyPatch) -> CloseWhen:
    """Sets from when on the window is closed; time passes as ever."""

    def set_it(closed: Callable[[], bool]) -> None:
        begun = datetime.now(UTC)

        def now() -> datetime:
            return (CLOSED if closed() else OPEN) + (datetime.now(UTC) - begun)

        monkeypatch.setattr(call_control, "local_now", now)

    return set_it


class Stopped:
    """A push that is stopped as soon as it waits."""

    def __init__(self, resource: Any, rows: list[dict[str, Any]], state: Path, **options: Any) -> None:
        self.events: list[Event] = []
        self.push: Push = bulk.push(
            resource, rows, state=state, window=WINDOW, pause=0, on_event=self._heard, **options
        )

    def _heard(self, event: Event) -> None:
        if event.stage == "wait":
            self.events.append(event)
            self.push.stop()

    async def run(self) -> list[RowOutcome]:
        return [outcome async for outcome in self.push]


def rows(count: int) -> list[dict[str, Any]]:
    return [{"contact_name": f"Name {number}"} for number in range(count)]


def states(state: Path, table: str = "journal") -> list[str]:
    connection = sqlite3.connect(state)
    try:
        return [one for (one,) in connection.execute(f"SELECT state FROM {table}")]
    finally:
        connection.close()


async def test_before_the_list_was_read(fake: FakeZoho, zoho: Zoho, tmp_path: Path, close_when: CloseWhen) -> None:
    close_when(lambda: True)
    stopped = Stopped(zoho.books.contacts, rows(20), tmp_path / "s")
    assert await stopped.run() == []
    assert fake.requests() == stopped.push.summary.reads == 0
    assert not stopped.push.summary.complete
    assert states(tmp_path / "s", "runs") == ["stopped"]
    assert [one.until for one in stopped.events] == [datetime(2026, 3, 5, 8, tzinfo=UTC)]


@pytest.mark.parametrize("count", [4, 200])
async def test_while_rows_are_written(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, close_when: CloseWhen, count: int
) -> None:
    """With 4 rows all are under way when it closes, and none is left in the input."""
    close_when(lambda: fake.acts(CREATE) > 0)
    stopped = Stopped(zoho.books.contacts, rows(count), tmp_path / "s", concurrency=4)
    outcomes = await stopped.run()
    written = fake.acts(CREATE)
    assert {outcome.status for outcome in outcomes} == {"done"}
    assert (len(outcomes), stopped.push.summary.writes) == (written, written)
    assert 0 < written < count
    assert fake.requests() == 1 + written
    assert not stopped.push.summary.complete
    assert states(tmp_path / "s", "runs") == ["stopped"]
    # What was not sent is on record as if its turn had not come.
    assert states(tmp_path / "s") == ["done"] * written
    # All that were under way wait for one moment, which is told once.
    assert len(stopped.events) == 1
    again = bulk.push(zoho.books.contacts, rows(count), state=tmp_path / "s")
    assert len([outcome async for outcome in again]) == count
    assert (again.summary.unchanged, again.summary.created) == (written, count - written)


async def test_before_an_unknown_outcome_was_looked_up(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, close_when: CloseWhen
) -> None:
    fake.script(CREATE, ["reset_after"])
    close_when(lambda: fake.acts(CREATE) > 0)
    stopped = Stopped(zoho.books.contacts, rows(1), tmp_path / "s")
    assert [outcome.status for outcome in await stopped.run()] == ["unknown"]
    assert fake.requests() == 2
    assert states(tmp_path / "s") == ["unknown"]
    again = bulk.push(zoho.books.contacts, rows(1), state=tmp_path / "s")
    assert [outcome.action async for outcome in again] == ["settled"]
    assert fake.created() == {"Name 0": 1}


async def test_before_the_list_was_read_again_for_deferred_rows(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, close_when: CloseWhen
) -> None:
    create = "expense.customers.create"
    fake.script(create, ["reset_after"])
    close_when(lambda: fake.acts(create) > 0)
    stopped = Stopped(zoho.expense.customers, rows(1), tmp_path / "s")
    (outcome,) = await stopped.run()
    assert outcome.status == "unknown"
    assert fake.requests() == 2
    assert states(tmp_path / "s") == ["unknown"]
