from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of

from zoho_async import Zoho, bulk, errors
from zoho_async.bulk.pulling import change_reader, listing
from zoho_async.bulk.pulling.id_index import SqliteIndex
from zoho_async.bulk.pulling.listing import ListPage, ListReader
from zoho_async.fake import FakeZoho

LIST = "books.contacts.list"
GET = "books.contacts.get"


def seed(fake: FakeZoho, count: int, **more: Any) -> None:
    fake.seed({"contact_name": f"Name {number:04d}", **more} for number in range(count))


class Copy:
    """A consumer that keeps the rows that it is given."""

    def __init__(self, resource: Any, state: Path, **options: Any) -> None:
        self.resource, self.state, self.options = resource, state, options
        self.rows: dict[str, dict[str, Any]] = {}
        self.records: dict[str, dict[str, Any]] = {}

    async def pull(self, **options: Any) -> list[bulk.Change]:
        found: list[bulk.Change] = []
        async with bulk.changes(self.resource, self.state, **{**self.options, **options}) as changes:
            async for change in changes:
                self.keep(change)
                found.append(change)
            await changes.commit()
        self.summary = changes.summary
        return found

    def keep(self, change: bulk.Change) -> None:
        if change.kind == "delete":
            self.rows.pop(change.id, None)
            self.records.pop(change.id, None)
            return
        assert change.row is not None
        self.rows[change.id] = json.loads(change.row)
        if change.record is not None:
            self.records[change.id] = json.loads(change.record)


@pytest.fixture
def copy(zoho: Zoho, tmp_path: Path) -> Copy:
    return Copy(zoho.books.contacts, tmp_path / "contacts.json")


async def test_a_first_run_hands_out_every_row_and_an_idle_one_none(fake: FakeZoho, copy: Copy) -> None:
    seed(fake, 930)
    assert len(await copy.pull()) == 930
    assert set(copy.rows) == set(fake.organization().contacts)
    assert copy.summary.complete
    assert copy.summary.calls == fake.requests() <= 5 + 5
    before = fake.requests()
    # All have one stamp: a whole page of known rows is enough.
    assert await copy.pull() == []
    assert fake.requests() - before == copy.summary.calls == 2
    state = json.loads(copy.state.read_bytes())
    assert (state["version"], state["resource"], state["organization_id"]) == (1, "books.contacts", "10234695")
    assert copy.state.stat().st_mode & 0o777 == 0o600
    assert copy.state.with_name("contacts.json.ids").stat().st_mode & 0o777 == 0o600


async def test_what_has_changed_is_handed_out_once(fake: FakeZoho, zoho: Zoho, copy: Copy) -> None:
    seed(fake, 450)
    await copy.pull()
    first, second, third, *_ = fake.organization().contacts
    await zoho.books.contacts.update(first, {"contact_name": "A"})
    await zoho.books.contacts.update(first, {"contact_name": "B"})
    (change,) = await copy.pull()
    assert (change.kind, change.id, change.record) == ("upsert", first, None)
    assert copy.rows[first]["contact_name"] == "B"
    # Within the same second.
    await zoho.books.contacts.update(first, {"contact_name": "C"})
    await zoho.books.contacts.delete(second)
    created = await zoho.books.contacts.create({"contact_name": "D"})
    fake.clock.advance(10_000)
    await zoho.books.contacts.update(third, {"contact_name": "E"})
    assert {(one.kind, one.id) for one in await copy.pull()} == {
        ("upsert", first),
        ("delete", second),
        ("upsert", created.contact_id),
        ("upsert", third),
    }
    assert set(copy.rows) == set(fake.organization().contacts)
    assert await copy.pull() == []


async def test_deletes_are_found_by_the_count_and_asked_for(fake: FakeZoho, copy: Copy) -> None:
    seed(fake, 450)
    await copy.pull()
    gone = list(fake.organization().contacts)[100:103]
    for contact_id in gone:
        fake.organization().remove(contact_id)
    assert await copy.pull(deletes="off") == []
    assert fake.requests(GET) == 0
    assert sorted(one.id for one in await copy.pull()) == gone
    assert fake.requests(GET) == 3
    assert await copy.pull() == []
    assert copy.summary.calls == 2


async def test_without_a_count_deletes_are_found_on_demand_and_once_a_day(
    fake: FakeZoho, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count(self: ListReader) -> None:
        return None

    monkeypatch.setattr(ListReader, "count", count)
    seed(fake, 450)
    await copy.pull()
    for deletes in ("now", "auto"):
        gone = next(iter(fake.organization().contacts))
        fake.organization().remove(gone)
        assert await copy.pull() == []
        if deletes == "auto":
            monkeypatch.setattr("time.time", lambda: 10**10)
        assert [one.id for one in await copy.pull(deletes=deletes)] == [gone]


async def test_a_list_that_hides_many_records_drops_nothing(
    fake: FakeZoho, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    seed(fake, 450)
    await copy.pull()
    page = ListReader.page

    async def hiding(self: ListReader, *arguments: Any) -> ListPage:
        found = await page(self, *arguments)
        shown = [record for record in found.records if int(record.id) % 10 >= 4]
        return ListPage(number=found.number, records=shown, size=found.size, more=found.more)

    monkeypatch.setattr(ListReader, "page", hiding)
    for _ in range(2):
        with pytest.raises(errors.MassDeleteError):
            await copy.pull(deletes="now")
    assert len(copy.rows) == 450
    monkeypatch.setattr(ListReader, "page", page)
    assert await copy.pull(deletes="now") == []


async def test_details_come_within_the_calls_of_each_run(fake: FakeZoho, zoho: Zoho, copy: Copy) -> None:
    seed(fake, 205)
    runs = 0
    while not runs or not copy.summary.complete:
        before = fake.requests()
        found = await copy.pull(details="changed", max_calls=20)
        assert fake.requests() - before == copy.summary.calls <= 20
        assert all(one.record is not None for one in found)
        assert copy.summary.pending == 205 - len(copy.records) or not copy.rows
        runs += 1
    assert runs < 16
    assert {one: record["contact_id"] for one, record in copy.records.items()} == {
        one: one for one in fake.organization().contacts
    }
    assert await copy.pull(details="changed") == []
    # The longest unchanged comes first.
    ids = list(fake.organization().contacts)[:3]
    for contact_id in ids:
        fake.clock.advance(10)
        await zoho.books.contacts.update(contact_id, {"notes": "x"})
    assert [one.id for one in await copy.pull(details="changed", max_calls=5)] == ids[:2]
    assert copy.summary.pending == 1


@pytest.mark.parametrize("max_calls", [3, 5])
async def test_few_calls_a_run_reach_everything(fake: FakeZoho, zoho: Zoho, copy: Copy, max_calls: int) -> None:
    seed(fake, 1300)
    for turn in range(3):
        for _ in range(60):
            await copy.pull(max_calls=max_calls)
            assert copy.summary.calls <= max_calls
            if copy.summary.complete:
                break
        assert copy.summary.complete
        assert {one: row["contact_name"] for one, row in copy.rows.items()} == {
            one: record["contact_name"] for one, record in fake.organization().contacts.items()
        }
        fake.clock.advance(1000)
        for contact_id in list(fake.organization().contacts)[::400]:
            fake.organization().remove(contact_id)
        for contact_id in list(fake.organization().contacts)[:700]:
            record = fake.organization().contacts[contact_id]
            stamp = fake.organization().stamp(fake.clock.now())
            fake.organization().put({**record, "contact_name": f"{contact_id} {turn}", "last_modified_time": stamp})


async def test_a_first_run_goes_on_at_its_page(fake: FakeZoho, copy: Copy) -> None:
    seed(fake, 1000)
    async with bulk.changes(copy.resource, copy.state) as changes:
        seen = 0
        async for change in changes:
            copy.keep(change)
            seen += 1
            if seen == 450:
                await changes.commit()
                break
    before = fake.requests()
    found = await copy.pull()
    assert len(found) == 550
    assert fake.requests() - before == 3 + 2
    assert set(copy.rows) == set(fake.organization().contacts)


async def test_a_first_run_with_details_goes_on_at_its_page_when_it_was_killed(
    fake: FakeZoho, zoho: Zoho, copy: Copy
) -> None:
    seed(fake, 1000)
    fake.script(LIST, ["pass"] * 5 + ["status:503"])
    # Nothing is handed out before all pages are read, and nothing is committed by the consumer.
    with pytest.raises(errors.UnavailableError):
        async with bulk.changes(zoho.with_options(retries=0).books.contacts, copy.state, details="changed") as changes:
            async for _ in changes:
                pytest.fail("no page is left to fail")
    before = fake.requests(LIST)
    found = await copy.pull(details="changed")
    assert {one.id for one in found} == set(fake.organization().contacts)
    # Two of five pages, the newest one and a count.
    assert fake.requests(LIST) - before == 2 + 2
    assert copy.state.stat().st_size < 50_000


async def test_pages_move_the_state_only_when_all_that_was_handed_out_is_committed(fake: FakeZoho, copy: Copy) -> None:
    seed(fake, 1000)
    async with bulk.changes(copy.resource, copy.state) as changes:
        async for _ in changes:
            pass
    assert len(await copy.pull()) == 1000


async def test_what_was_not_committed_comes_again(fake: FakeZoho, copy: Copy) -> None:
    seed(fake, 30)
    async with bulk.changes(copy.resource, copy.state) as changes:
        assert len([change async for change in changes]) == 30
    async with bulk.changes(copy.resource, copy.state) as changes:
        given = 0
        async for _ in changes:
            given += 1
            if given == 10:
                changes.commit()
    assert given == 30
    assert len(await copy.pull()) == 20
    assert await copy.pull() == []


async def test_a_lost_index_begins_again(fake: FakeZoho, copy: Copy) -> None:
    seed(fake, 30)
    await copy.pull()
    copy.state.with_name("contacts.json.ids").unlink()
    assert len(await copy.pull()) == 30
    copy.state.unlink()
    assert len(await copy.pull()) == 30


async def test_a_state_that_cannot_be_used_is_refused(fake: FakeZoho, zoho: Zoho, copy: Copy, tmp_path: Path) -> None:
    seed(fake, 1)
    await copy.pull()
    with pytest.raises(bulk.StateError, match=r"holds books\.contacts .*, not billing\.customers"):
        await Copy(zoho.billing.customers, copy.state).pull()
    for text, message in ((b"", "is not a state"), (b"{}", "is not a state"), (b'{"version": 9}', "newer")):
        document = json.loads(copy.state.read_bytes())
        other = tmp_path / "other.json"
        other.write_bytes(json.dumps({**document, "version": 9}).encode() if message == "newer" else text)
        with pytest.raises(bulk.StateError, match=message):
            await Copy(zoho.books.contacts, other).pull()
    async with bulk.changes(copy.resource, copy.state):
        with pytest.raises(bulk.StateError, match="another run is using this state"):
            await copy.pull()
    with pytest.raises(bulk.StateError, match=r"missing/a\.json: cannot be written: No such file"):
        await Copy(zoho.books.contacts, tmp_path / "missing" / "a.json").pull()
    with pytest.raises(bulk.InputError, match="no paged list"):
        bulk.changes(zoho.books.comments, tmp_path / "comments.json")


@pytest.mark.parametrize("product", ["billing", "expense"])
async def test_a_list_without_an_order_is_compared(fake: FakeZoho, zoho: Zoho, tmp_path: Path, product: str) -> None:
    seed(fake, 430)
    copy = Copy(getattr(zoho, product).customers, tmp_path / "state.json")
    assert len(await copy.pull()) == 430
    assert await copy.pull() == []
    assert (copy.summary.full_reads, copy.summary.calls) == (1, 4)
    first, second, *_ = fake.organization().contacts
    fake.organization().remove(first)
    await zoho.books.contacts.update(second, {"contact_name": "A"})
    assert {(one.kind, one.id) for one in await copy.pull()} == {("delete", first), ("upsert", second)}


async def test_our_own_changes_can_be_left_out(fake: FakeZoho, zoho: Zoho, copy: Copy) -> None:
    class Own:
        def wrote(self, record_id: str, modified: str) -> bool:
            return (record_id, modified) == written

    seed(fake, 30)
    await copy.pull()
    first, second, *_ = fake.organization().contacts
    fake.clock.advance(10)
    for contact_id in (first, second):
        await zoho.books.contacts.update(contact_id, {"contact_name": contact_id})
    written = (first, fake.organization().contacts[first]["last_modified_time"])
    assert [one.id for one in await copy.pull(own=Own())] == [second]
    assert await copy.pull() == []


@pytest.mark.parametrize("details", ["none", "changed"])
async def test_what_our_own_push_has_written_is_left_out(
    fake: FakeZoho, zoho: Zoho, copy: Copy, tmp_path: Path, details: Any
) -> None:
    seed(fake, 300)
    state = tmp_path / "push.state.sqlite"
    await copy.pull(details=details)
    fake.clock.advance(1000)
    pushed = {f"Name {number:04d}": {"contact_name": f"Name {number:04d}", "notes": "new"} for number in range(40)}
    pushed |= {f"Made {number}": {"contact_name": f"Made {number}"} for number in range(10)}

    async def push() -> None:
        rows = [*pushed.values()]
        async for outcome in bulk.push(zoho.books.contacts, rows, state=state, on_existing="update"):
            assert outcome.status == "done"

    await push()
    fake.clock.advance(10)
    by_name = {one["contact_name"]: one["contact_id"] for one in fake.organization().contacts.values()}
    made, updated = by_name["Made 3"], by_name["Name 0007"]
    for contact_id in (made, updated):
        await zoho.books.contacts.update(contact_id, {"company_name": "others"})
    before = fake.requests(GET)
    assert {one.id for one in await copy.pull(details=details, own=state)} == {made, updated}
    assert fake.requests(GET) - before == (2 if details == "changed" else 0)
    assert await copy.pull(details=details, own=state) == []
    # Pushed again over what others have changed: ours is the last change.
    fake.clock.advance(10)
    pushed["Made 3"]["company_name"] = "ours"
    await push()
    assert await copy.pull(details=details, own=str(state)) == []


async def test_what_our_own_push_has_written_is_left_out_of_a_list_without_an_order(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    copy = Copy(zoho.billing.customers, tmp_path / "state.json", own=tmp_path / "push.state.sqlite")
    rows = [{"display_name": f"Made {one}", "email": f"made{one}@a.test"} for one in range(5)]
    async for outcome in bulk.push(zoho.billing.customers, rows, state=copy.options["own"]):
        assert outcome.status == "done", outcome.reason
    seed(fake, 2)
    assert len(await copy.pull()) == 2


async def test_own_writes_are_those_of_a_state_file(fake: FakeZoho, copy: Copy, tmp_path: Path) -> None:
    with pytest.raises(bulk.InputError, match="there is no such state file"):
        await copy.pull(own=tmp_path / "none")
    (tmp_path / "other").write_text("something else" * 100)
    with pytest.raises(bulk.StateError, match="state file"):
        await copy.pull(own=tmp_path / "other")
    assert await copy.pull() == []


async def test_two_organisations_have_two_states(tmp_path: Path) -> None:
    async with FakeZoho(organizations=("1", "2"), per_minute=None) as fake:
        async with client_of(fake, organization_id="1") as zoho:
            await Copy(zoho.books.contacts, tmp_path / "state.json").pull()
        async with client_of(fake, organization_id="2") as zoho:
            with pytest.raises(bulk.StateError, match=r"of organisation 1 .*, not .* of 2 "):
                await Copy(zoho.books.contacts, tmp_path / "state.json").pull()


async def test_a_record_that_was_stored_but_not_committed_is_deleted_too(fake: FakeZoho, copy: Copy) -> None:
    seed(fake, 450)
    async with bulk.changes(copy.resource, copy.state) as changes:
        async for change in changes:
            copy.keep(change)
            break
    (stored,) = copy.rows
    fake.organization().remove(stored)
    await copy.pull()
    assert set(copy.rows) == set(fake.organization().contacts)


async def test_deletes_between_two_runs_hide_no_change_of_a_later_page(
    fake: FakeZoho, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count(self: ListReader) -> None:
        return None

    seed(fake, 1000)
    await copy.pull()
    # Nothing but the pages shows what is missing.
    monkeypatch.setattr(ListReader, "count", count)
    organization = fake.organization()
    fake.clock.advance(1000)
    for number, contact_id in enumerate(list(organization.contacts)[:700]):
        stamp = organization.stamp(fake.clock.now())
        changed = {"contact_name": f"changed {number}", "last_modified_time": stamp}
        organization.put({**organization.contacts[contact_id], **changed})
    first = await copy.pull(max_calls=2, deletes="off")
    assert len(first) == 400
    for change in first[:50]:
        organization.remove(change.id)
    await copy.pull(deletes="off")
    assert all(copy.rows[one]["contact_name"] == each["contact_name"] for one, each in organization.contacts.items())


async def test_a_stamp_of_the_future_hides_no_later_change(fake: FakeZoho, copy: Copy) -> None:
    seed(fake, 900)
    organization = fake.organization()
    first, *rest = organization.contacts
    organization.put({**organization.contacts[first], "last_modified_time": "2099-01-01T00:00:00+0530"})
    await copy.pull()
    fake.clock.advance(1000)
    for contact_id in rest[:450]:
        stamp = organization.stamp(fake.clock.now())
        changed = {"contact_name": f"changed {contact_id}", "last_modified_time": stamp}
        organization.put({**organization.contacts[contact_id], **changed})
    assert {one.id for one in await copy.pull()} == set(rest[:450])


@pytest.mark.parametrize("ended", ["on its first page", "on its second page", "killed before its details"])
async def test_a_reading_that_goes_on_is_not_ended_by_rows_that_it_has_shown_itself(
    fake: FakeZoho, zoho: Zoho, copy: Copy, monkeypatch: pytest.MonkeyPatch, ended: str
) -> None:
    for module in (listing, change_reader):
        monkeypatch.setattr(module, "PER_PAGE", 4)
    # The count of records is not asked for, which might lead to a reading of all.
    copy.options["deletes"] = "off"
    seed(fake, 3)
    await copy.pull()
    # All of it has the stamp of the watermark.
    changed, *_ = fake.organization().contacts.values()
    await zoho.books.contacts.update(changed["contact_id"], {"contact_name": "Changed"})
    fake.seed({"contact_name": f"Later {number}"} for number in range(6))
    details: Any = "changed" if "details" in ended else "none"
    if details == "changed":
        fake.script(LIST, ["pass", "status:503"])
        copy.resource = zoho.with_options(retries=0).books.contacts
        with pytest.raises(errors.UnavailableError):
            await copy.pull(details=details)
    else:
        async with bulk.changes(copy.resource, copy.state) as changes:
            handed_out = 0
            async for change in changes:
                copy.keep(change)
                handed_out += 1
                if handed_out == (4 if "first" in ended else 5):
                    changes.commit()
                    break
    fake.clock.advance(400)
    if "second" in ended:
        fake.seed({"contact_name": f"Last {number}"} for number in range(3))
    await copy.pull(details=details)
    await copy.pull(details=details)
    assert {row["contact_name"] for row in copy.rows.values()} == {
        record["contact_name"] for record in fake.organization().contacts.values()
    }


async def test_a_sweep_that_was_killed_does_not_vouch_for_a_record(fake: FakeZoho, copy: Copy) -> None:
    seed(fake, 450)
    await copy.pull()
    gone = next(iter(fake.organization().contacts))
    generation = json.loads(copy.state.read_bytes())["generation"]
    with closing(sqlite3.connect(copy.state.with_name("contacts.json.ids"))) as connection:
        # What a sweep leaves that was killed after it had seen the record.
        connection.execute("UPDATE pulled_ids SET generation = ? WHERE id = ?", (generation + 1, gone))
        connection.commit()
    fake.organization().remove(gone)
    assert [one.id for one in await copy.pull()] == [gone]


async def test_a_state_that_has_failed_keeps_no_more(
    fake: FakeZoho, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its index may say of a change that it was handed out, and it was not."""
    seed(fake, 3)
    put, calls = SqliteIndex.put, list[str]()

    def failing(index: SqliteIndex, record_id: str, *rest: Any) -> None:
        put(index, record_id, *rest)
        calls.append(record_id)
        if len(calls) == 2:
            raise sqlite3.OperationalError("disk I/O error")

    with monkeypatch.context() as patch:
        patch.setattr(SqliteIndex, "put", failing)
        async with bulk.changes(copy.resource, copy.state) as changes:
            with pytest.raises(bulk.StateError, match=r"cannot be read or written: disk I/O error"):
                async for change in changes:
                    copy.keep(change)
            with pytest.raises(bulk.StateError, match="no more of this run is kept"):
                await changes.commit()
    await copy.pull()
    assert set(copy.rows) == set(fake.organization().contacts)


@pytest.mark.parametrize(
    "options",
    [{"max_calls": 0}, {"max_deleted": 20}, {"max_deleted": -0.1}, {"details": "all"}, {"deletes": "never"}],
    ids=str,
)
async def test_options_out_of_range_are_refused(zoho: Zoho, tmp_path: Path, options: Any) -> None:
    (name,) = options
    with pytest.raises(bulk.InputError, match=rf"^{name}="):
        bulk.changes(zoho.books.contacts, tmp_path / "a.json", **options)
    options = {"details": "some"} if name == "details" else options
    with pytest.raises(bulk.InputError, match=rf"^{name}="):
        await bulk.pull(zoho.books.contacts, tmp_path / "a.sqlite", **options)


@pytest.mark.parametrize("resource", ["books.contacts", "billing.customers"])
async def test_too_few_calls_for_any_progress_are_refused(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, resource: str
) -> None:
    seed(fake, 201)
    product, _, name = resource.partition(".")
    copy = Copy(getattr(getattr(zoho, product), name), tmp_path / "a.json", max_calls=2)
    with pytest.raises(bulk.InputError, match="needs at least 3 calls"):
        await copy.pull()
    await copy.pull(max_calls=3)
    assert copy.rows


async def test_without_a_count_a_sweep_begins_where_the_known_records_end(
    fake: FakeZoho, copy: Copy, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def count(self: ListReader) -> None:
        return None

    monkeypatch.setattr(ListReader, "count", count)
    monkeypatch.setattr(change_reader, "PER_PAGE", 4)
    monkeypatch.setattr(listing, "PER_PAGE", 4)
    seed(fake, 60)
    await copy.pull()
    before = fake.requests()
    await copy.pull(deletes="now")
    # A page of changes, each page once, and a page of changes again.
    assert fake.requests() - before == 1 + 15 + 1
