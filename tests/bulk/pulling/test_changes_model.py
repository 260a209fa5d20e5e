"""Whatever happens between and during runs over changes: after a quiet one the copy equals the server, row for row."""

from __future__ import annotations

import asyncio
import json
import shutil
import sqlite3
import tempfile
from collections.abc import Coroutine
from contextlib import closing, suppress
from pathlib import Path
from typing import Any, ClassVar

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule
from support.client import client_of
from support.profiles import examples

from zoho_async import bulk, errors
from zoho_async.bulk.pulling import change_reader, listing, pull
from zoho_async.bulk.pulling.listing import CallBudget
from zoho_async.fake import FakeZoho
from zoho_async.fake.rendering.billing import billing_row
from zoho_async.fake.rendering.live import list_row
from zoho_async.fake.rendering.wire_format import encode

LIST = "books.contacts.list"
GET = "books.contacts.get"

ACTIONS = st.one_of(
    st.tuples(st.just("create"), st.integers(1, 6)),
    st.tuples(st.just("update"), st.integers(0, 40)),
    st.tuples(st.just("delete"), st.integers(0, 40)),
    st.tuples(st.just("advance"), st.sampled_from([1, 290, 400, 100_000])),
)
DURING = st.lists(st.tuples(st.integers(0, 20), ACTIONS), max_size=6)


class CopyOfContacts(RuleBasedStateMachine):
    product: ClassVar[str] = "books"

    def __init__(self) -> None:
        super().__init__()
        self.loop = asyncio.new_event_loop()
        # In memory where the system can: it makes hundreds of commits.
        memory = Path("/dev/shm")
        self.folder = Path(tempfile.mkdtemp(dir=memory if memory.is_dir() else None))
        self.patch = pytest.MonkeyPatch()
        for module in (listing, change_reader):
            self.patch.setattr(module, "PER_PAGE", 4)
        self.fake = self.run(FakeZoho(per_minute=None).__aenter__())
        self.zoho = client_of(self.fake, retries=0)
        self.resource = self.zoho.books.contacts if self.product == "books" else self.zoho.billing.customers
        self.copy: dict[str, Any] = {}
        self.made = 0
        self.calls = 0
        self.during: list[tuple[int, tuple[str, int]]] = []
        take = CallBudget.take

        def taken(budget: CallBudget) -> None:
            take(budget)
            # Before every call of a run: pages, counts and details.
            for number, action in self.during:
                if number == self.calls:
                    self.act(action)
            self.calls += 1

        self.patch.setattr(CallBudget, "take", taken)

    def run(self, work: Coroutine[Any, Any, Any]) -> Any:
        return self.loop.run_until_complete(work)

    def act(self, action: tuple[str, int]) -> None:
        kind, number = action
        organization = self.fake.organization()
        ids = list(organization.contacts)
        if kind == "create":
            names = range(self.made + 1, self.made + number + 1)
            self.made += number
            self.fake.seed({"contact_name": f"N{name}"} for name in names)
        elif kind == "advance":
            self.fake.clock.advance(number)
        elif ids and kind == "delete":
            organization.remove(ids[number % len(ids)])
        elif ids:
            record = organization.contacts[ids[number % len(ids)]]
            self.made += 1
            stamp = organization.stamp(self.fake.clock.now())
            organization.put({**record, "contact_name": f"N{self.made}", "last_modified_time": stamp})

    @initialize(count=st.integers(0, 15))
    def begin(self, count: int) -> None:
        self.act(("create", count))

    @rule(action=ACTIONS)
    def change(self, action: tuple[str, int]) -> None:
        self.act(action)

    @rule(
        during=DURING,
        stop_after=st.integers(1, 30),
        commit_every=st.integers(1, 5),
        max_calls=st.sampled_from([None, None, 3, 4, 6]),
        details=st.sampled_from(["none", "changed"]),
        faults=st.lists(st.tuples(st.sampled_from([LIST, GET]), st.integers(0, 6)), max_size=1),
        commits_at_the_end=st.booleans(),
    )
    def pull(
        self,
        during: list[tuple[int, tuple[str, int]]],
        stop_after: int,
        commit_every: int,
        max_calls: int | None,
        details: Any,
        faults: list[tuple[str, int]],
        commits_at_the_end: bool,
    ) -> None:
        self.during, self.calls = during, 0
        for operation, passed in faults:
            self.fake.script(operation, ["pass"] * passed + ["status:503"])
        before = self.fake.requests()
        try:
            self.run(self.pulled(stop_after, commit_every, max_calls, details, commits_at_the_end))
        except errors.UnavailableError:
            assert faults
        assert max_calls is None or self.fake.requests() - before <= max_calls
        self.during = []
        self.fake.clear_faults()

    async def pulled(
        self, stop_after: int, commit_every: int, max_calls: int | None, details: Any, commits_at_the_end: bool
    ) -> None:
        options: dict[str, Any] = {"max_calls": max_calls, "details": details, "max_deleted": 1}
        async with bulk.changes(self.resource, self.folder / "state.json", **options) as changes:
            seen = 0
            async for change in changes:
                if change.kind == "delete":
                    self.copy.pop(change.id, None)
                else:
                    assert change.row is not None
                    self.copy[change.id] = json.loads(change.row)
                seen += 1
                if seen % commit_every == 0:
                    changes.commit()
                if seen == stop_after:
                    return
            if commits_at_the_end:
                await changes.commit()

    def server(self) -> dict[str, Any]:
        organization = self.fake.organization()
        row = list_row if self.product == "books" else billing_row
        return {one: json.loads(encode(row(record, organization))) for one, record in organization.contacts.items()}

    async def quiet(self) -> None:
        await self.pulled(10**9, 1, None, "none", True)

    @rule()
    def a_quiet_run_makes_the_copy_equal(self) -> None:
        self.run(self.quiet())
        assert self.copy == self.server()

    def teardown(self) -> None:
        try:
            self.a_quiet_run_makes_the_copy_equal()
            calls = self.fake.requests()
            self.run(self.quiet())
            assert self.product != "books" or self.fake.requests() - calls <= 3
        finally:
            self.run(self.zoho.close())
            self.run(self.fake.__aexit__(None, None, None))
            self.patch.undo()
            self.loop.close()
            shutil.rmtree(self.folder)


class CopyOfCustomers(CopyOfContacts):
    """The same over a list that cannot be sorted."""

    product = "billing"


class StoppedError(Exception):
    """Ends a pull from its progress."""


class SqliteFileOfContacts(CopyOfContacts):
    """The same over the SQLite file of a pull, with the records read in full."""

    def __init__(self) -> None:
        super().__init__()
        self.path = self.folder / "a.sqlite"

    async def pulled(
        self, stop_after: int, commit_every: int, max_calls: int | None, details: Any, commits_at_the_end: bool
    ) -> None:
        def stop(summary: bulk.PullSummary) -> None:
            if summary.changed + summary.deleted >= stop_after:
                raise StoppedError

        self.patch.setattr(pull, "_COMMIT_EVERY", commit_every)
        options: dict[str, Any] = {"max_calls": max_calls, "details": details, "max_deleted": 1, "concurrency": 2}
        with suppress(StoppedError):
            await bulk.pull(self.resource, self.path, on_progress=stop, **options)

    async def quiet(self) -> None:
        await self.pulled(10**9, 1, None, "changed", True)
        with closing(sqlite3.connect(self.path)) as connection:
            rows = connection.execute("SELECT id, row, detail FROM contacts WHERE deleted_at IS NULL").fetchall()
            pending = connection.execute("SELECT count(*) FROM pulled_ids_books_contacts WHERE pending").fetchone()
        self.copy = {one: json.loads(row) for one, row, _ in rows}
        assert pending == (0,)
        contacts = self.fake.organization().contacts
        for one, _, detail in rows:
            record = json.loads(detail)
            for name in ("contact_name", "last_modified_time"):
                assert record[name] == contacts[one][name]


SETTINGS = settings(max_examples=examples(60), stateful_step_count=12)
CopyOfContacts.TestCase.settings = SETTINGS
CopyOfCustomers.TestCase.settings = SETTINGS
SqliteFileOfContacts.TestCase.settings = settings(max_examples=examples(15), stateful_step_count=10)
TestContacts = CopyOfContacts.TestCase
TestCustomers = CopyOfCustomers.TestCase
TestSqliteFile = SqliteFileOfContacts.TestCase
