"""What a pull drops from a file: only records that Zoho says are deleted."""

from __future__ import annotations

import asyncio
import csv
import json
import sqlite3
import sys
from collections.abc import Callable
from contextlib import closing
from decimal import Decimal
from pathlib import Path
from typing import Any

import msgspec
import pytest
from support.client import client_of
from support.fault_server import Fault, FaultServer, Seen

from zoho_async import Limits, StaticToken, Zoho, bulk, errors
from zoho_async.bulk.pulling.deletions import too_many
from zoho_async.bulk.pulling.sqlite_copy import SqliteCopy
from zoho_async.fake import FakeZoho
from zoho_async.fake.handlers import customers, listing

GET = "books.contacts.get"
FORMATS = ["a.sqlite", "a.jsonl", "a.csv"]

Bend = Callable[[dict[str, Any]], None]


def seed(fake: FakeZoho, count: int) -> None:
    fake.seed({"contact_name": f"Name {number:04d}"} for number in range(count))


@pytest.fixture
def bend(monkeypatch: pytest.MonkeyPatch) -> Callable[[Bend | None], None]:
    """Changes the bodies of the fake's lists before they are sent."""
    list_rows = listing.list_rows
    chosen: list[Bend] = []

    def bent(*arguments: Any, **options: Any) -> Any:
        result = list_rows(*arguments, **options)
        body = dict(result.body)
        for each in chosen if "contacts" in body or "customers" in body else ():
            each(body)
        return msgspec.structs.replace(result, body=body)

    for module in (listing, customers):
        monkeypatch.setattr(module, "list_rows", bent)

    def choose(one: Bend | None) -> None:
        chosen[:] = [one] if one is not None else []

    return choose


def ids_in(path: Path) -> set[str]:
    if path.suffix == ".sqlite":
        with closing(sqlite3.connect(path)) as connection:
            return {record_id for (record_id,) in connection.execute("SELECT id FROM contacts")}
    if path.suffix == ".jsonl":
        return {json.loads(line, parse_int=str)["contact_id"] for line in path.read_text("utf-8").splitlines()}
    with path.open(encoding="utf-8-sig", newline="") as file:
        return {row["contact_id"] for row in csv.DictReader(file)}


@pytest.mark.parametrize("name", FORMATS)
async def test_of_two_pulls_into_a_file_the_second_is_refused(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    async with FakeZoho(per_minute=None, latency=0.01) as fake, client_of(fake) as zoho:
        seed(fake, 450)
        begun = asyncio.Event()
        first = asyncio.create_task(bulk.pull(zoho.books.contacts, path, full=True, on_progress=lambda _: begun.set()))
        await begun.wait()
        before = fake.requests()
        link = tmp_path / f"link{path.suffix}"
        link.symlink_to(path)
        for other in (path, link):
            with pytest.raises(bulk.InputError, match="another pull is writing this file"):
                await bulk.pull(zoho.books.contacts, other, full=True)
        assert fake.requests() - before < 3
        await first
        assert ids_in(path) == set(fake.organization().contacts)
        link.unlink()
        assert [one.name for one in tmp_path.iterdir()] == [name]  # noqa: ASYNC240
        await bulk.pull(zoho.books.contacts, path, full=True)


async def test_the_lock_of_a_killed_pull_is_free(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    code = (
        "import os, pathlib, sys\n"
        "from zoho_async.bulk.pulling.target_lock import TargetLock\n"
        "TargetLock(pathlib.Path(sys.argv[1])).take()\n"
        "print('taken', flush=True)\n"
        "sys.stdin.read()\n"
    )
    pipe = asyncio.subprocess.PIPE
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", code, str(path), stdin=pipe, stdout=pipe)
    assert process.stdout is not None
    assert await process.stdout.readline() == b"taken\n"
    with pytest.raises(bulk.InputError, match="another pull is writing this file"):
        await bulk.pull(zoho.books.contacts, path)
    process.kill()
    await process.wait()
    await bulk.pull(zoho.books.contacts, path)
    assert [one.name for one in tmp_path.iterdir()] == ["a.jsonl"]  # noqa: ASYNC240


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("product", ["books", "billing"])
async def test_a_delete_while_pages_are_read_hides_no_other_record(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str, product: str
) -> None:
    seed(fake, 450)
    contacts = fake.organization().contacts
    resource = zoho.books.contacts if product == "books" else zoho.billing.customers
    path = tmp_path / name
    places = [3, -3, 200, 210, 30]

    def delete_one(_: bulk.PullSummary) -> None:
        if places:
            fake.organization().remove(list(contacts)[places.pop()])

    await bulk.pull(resource, path, full=True, on_progress=delete_one)
    assert len(contacts) < 450
    if product == "books":
        assert set(contacts) <= ids_in(path)
    else:
        text = path.read_bytes()
        assert [one for one in contacts if one.encode() not in text] == []


@pytest.mark.parametrize("name", FORMATS)
async def test_a_missing_record_is_asked_for_before_it_is_dropped(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, bend: Callable[[Bend | None], None], name: str
) -> None:
    seed(fake, 30)
    path = tmp_path / name
    await bulk.pull(zoho.books.contacts, path)
    hidden, deleted, *_ = fake.organization().contacts
    fake.organization().remove(deleted)
    bend(lambda body: body.update(contacts=[one for one in body["contacts"] if one["contact_id"] != hidden]))
    summary = await bulk.pull(zoho.books.contacts, path, full=True)
    # SQLite counts what the file has.
    assert (summary.records, summary.dropped) == (28 + path.match("*.sqlite"), 1)
    assert {one.path.rpartition("/")[2] for one in fake.received if one.operation == GET} == {hidden, deleted}
    assert ids_in(path) == set(fake.organization().contacts)


@pytest.mark.parametrize("name", FORMATS)
async def test_nothing_is_dropped_when_asking_fails(fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str) -> None:
    seed(fake, 5)
    path = tmp_path / name
    await bulk.pull(zoho.books.contacts, path)
    fake.organization().remove(next(iter(fake.organization().contacts)))
    fake.script(GET, ["status:503"] * 50)
    with pytest.raises(errors.UnavailableError):
        await bulk.pull(zoho.with_options(retries=0).books.contacts, path, full=True)
    assert len(ids_in(path)) == 5


@pytest.mark.parametrize("name", FORMATS)
async def test_values_out_of_every_range_are_kept(fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str) -> None:
    (record,) = fake.seed([{"contact_name": "A", "outstanding_receivable_amount": Decimal("1e400")}])
    fake.organization().put({**record, "last_modified_time": "9999-12-31T23:59:59-0700"})
    for full in (False, True):
        await bulk.pull(zoho.books.contacts, tmp_path / name, full=full)
    assert ids_in(tmp_path / name) == {record["contact_id"]}
    # It is in the file only now, and is to stay there.
    fake.organization().remove(record["contact_id"])
    fake.script(GET, "status:400")
    fake.seed([{"contact_name": f"B{number}"} for number in range(2)])
    await bulk.pull(zoho.books.contacts, tmp_path / name, full=True)
    assert len(ids_in(tmp_path / name)) == 3


FAULTY: dict[str, Bend] = {
    "empty": lambda body: body.update(contacts=[]),
    "null": lambda body: body.update(contacts=None),
    "no list": lambda body: body.update(contacts={}),
    "without ids": lambda body: body.update(contacts=[{"contact_name": "A"}] * len(body["contacts"])),
    "half": lambda body: body.update(contacts=body["contacts"][::2]),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("fault", FAULTY)
async def test_a_list_that_lacks_too_many_records_drops_nothing(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, bend: Callable[[Bend | None], None], name: str, fault: str
) -> None:
    seed(fake, 30)
    path = tmp_path / name
    await bulk.pull(zoho.books.contacts, path)
    bend(FAULTY[fault])
    with pytest.raises(errors.MassDeleteError, match=r"of 30 known ones; nothing was dropped"):
        await bulk.pull(zoho.books.contacts, path, full=True)
    assert len(ids_in(path)) == 30
    assert fake.requests(GET) == 0
    # Even a list that is believed drops only what Zoho says is not there.
    summary = await bulk.pull(zoho.books.contacts, path, full=True, max_deleted=1)
    assert summary.dropped == 0
    assert len(ids_in(path)) == 30


UNREADABLE: dict[str, Bend] = {
    **{name: FAULTY[name] for name in ("null", "no list", "without ids")},
    "nested": lambda body: body.update(contacts=[body["contacts"]]),
    "a null row": lambda body: body.update(contacts=[None, *body["contacts"][1:]]),
    "a row without an id": lambda body: body["contacts"][0].update(contact_id=""),
}


@pytest.mark.parametrize("name", ["a.jsonl", "a.sqlite"])
@pytest.mark.parametrize("fault", UNREADABLE)
async def test_a_list_that_cannot_be_read_is_no_whole_one(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, bend: Callable[[Bend | None], None], name: str, fault: str
) -> None:
    seed(fake, 3)
    bend(UNREADABLE[fault])
    assert not (await bulk.pull(zoho.books.contacts, tmp_path / name)).end_known


@pytest.mark.parametrize("name", FORMATS)
async def test_a_list_that_cannot_be_read_drops_nothing(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, bend: Callable[[Bend | None], None], name: str
) -> None:
    seed(fake, 30)
    path = tmp_path / name
    await bulk.pull(zoho.books.contacts, path)
    deleted = next(iter(fake.organization().contacts))
    fake.organization().remove(deleted)
    bend(UNREADABLE["a row without an id"])
    assert (await bulk.pull(zoho.books.contacts, path, full=True)).dropped == 0
    assert deleted in ids_in(path)
    bend(None)
    assert (await bulk.pull(zoho.books.contacts, path, full=True)).dropped == 1


async def test_an_empty_list_is_an_error_for_a_small_file_too(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, bend: Callable[[Bend | None], None]
) -> None:
    seed(fake, 2)
    path = tmp_path / "a.sqlite"
    await bulk.pull(zoho.books.contacts, path)
    contexts: list[dict[str, Any]] = [{"page_context": {"has_more_page": more}} for more in (False, True, None)]
    for context in (*contexts, {"page_context": None}):
        bend(lambda body, context=context: body.update(contacts=[], **context))  # type: ignore[misc]
        for full in (True, False):
            with pytest.raises(errors.MassDeleteError):
                await bulk.pull(zoho.books.contacts, path, full=full)
    assert len(ids_in(path)) == 2


@pytest.mark.parametrize("resource", ["billing.customers", "expense.customers"])
async def test_an_empty_list_in_the_documented_shape_is_an_error_too(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, bend: Callable[[Bend | None], None], resource: str
) -> None:
    seed(fake, 2)
    path = tmp_path / "a.sqlite"
    product, _, name = resource.partition(".")
    target = getattr(getattr(zoho, product), name)
    await bulk.pull(target, path)

    def empty(body: dict[str, Any]) -> None:
        body.update({key: [] for key in ("customers", "contacts") if key in body}, page_context=None)

    bend(empty)
    with pytest.raises(errors.MassDeleteError):
        await bulk.pull(target, path)


async def test_details_that_vanish_all_at_once_are_no_success(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    seed(fake, 30)
    path = tmp_path / "a.jsonl"
    await bulk.pull(zoho.books.contacts, path, details="all")
    before = path.read_bytes()
    contacts = fake.organization().contacts

    def delete_all(_: bulk.PullSummary) -> None:
        for one in list(contacts):
            fake.organization().remove(one)

    with pytest.raises(errors.MassDeleteError):
        await bulk.pull(zoho.books.contacts, path, details="all", on_progress=delete_all)
    assert path.read_bytes() == before


CONTEXTS: dict[str, Bend] = {
    "absent": lambda body: body.pop("page_context", None),
    "null": lambda body: body.update(page_context=None),
    "a list": lambda body: body.update(page_context=[{"page": 1, "has_more_page": False}]),
    "without has_more_page": lambda body: body.update(page_context={"page": 1, "per_page": 200}),
}


@pytest.mark.parametrize("name", FORMATS)
@pytest.mark.parametrize("context", CONTEXTS)
async def test_a_list_without_a_known_end_drops_nothing(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, bend: Callable[[Bend | None], None], name: str, context: str
) -> None:
    seed(fake, 430)
    path = tmp_path / name
    await bulk.pull(zoho.books.contacts, path)
    deleted = next(iter(fake.organization().contacts))
    fake.organization().remove(deleted)
    bend(CONTEXTS[context])
    summary = await bulk.pull(zoho.books.contacts, path, full=True)
    assert (summary.records, summary.dropped) == (429 + path.match("*.sqlite"), 0)
    assert not summary.end_known
    assert ids_in(path) == {deleted, *fake.organization().contacts}
    bend(None)
    summary = await bulk.pull(zoho.books.contacts, path, full=True)
    assert (summary.dropped, summary.end_known) == (1, True)
    assert ids_in(path) == set(fake.organization().contacts)


@pytest.mark.parametrize(
    ("missing", "known", "listed", "max_deleted", "expected"),
    [
        (0, 0, 0, 0.2, False),
        (0, 5, 5, 0.2, False),
        (10, 12, 2, 0.2, False),
        (11, 12, 1, 0.2, True),
        (20, 100, 80, 0.2, False),
        (21, 100, 79, 0.2, True),
        (1, 1, 0, 0.2, True),
        (11, 100, 89, 0.0, True),
        (10, 100, 90, 0.0, False),
        (100, 100, 0, 1.0, False),
    ],
)
def test_when_a_list_is_not_believed(missing: int, known: int, listed: int, max_deleted: float, expected: bool) -> None:
    assert too_many(missing, known, listed=listed, max_deleted=max_deleted) is expected


async def test_formulas_are_text_in_a_csv_file(fake: FakeZoho, zoho: Zoho, tmp_path: Path) -> None:
    names = ["=HYPERLINK(A1)", "@x", "'=x", "-1+1", "+49 30 123456", "plain"]
    fake.seed({"contact_name": name} for name in names)
    path = tmp_path / "a.csv"
    for _ in range(2):
        await bulk.pull(zoho.books.contacts, path)
        assert path.read_bytes().startswith(b"\xef\xbb\xbf")
        with path.open(encoding="utf-8-sig", newline="") as file:
            found = [row["contact_name"] for row in csv.DictReader(file)]
        assert sorted(found) == sorted(["'=HYPERLINK(A1)", "'@x", "''=x", "'-1+1", "+49 30 123456", "plain"])


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
async def test_a_file_beside_the_target_is_neither_followed_nor_replaced(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str
) -> None:
    seed(fake, 1)
    mine = tmp_path / "mine.txt"
    mine.write_text("my own")
    for place in (f"{name}.part", f".{name}.lock"):
        (tmp_path / place).symlink_to(mine)
    with pytest.raises(bulk.InputError, match="cannot be written"):
        await bulk.pull(zoho.books.contacts, tmp_path / name)
    (tmp_path / f".{name}.lock").unlink()
    await bulk.pull(zoho.books.contacts, tmp_path / name)
    assert mine.read_text() == "my own"
    assert not (tmp_path / name).is_symlink()
    assert (tmp_path / name).stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("failing", [1, 3])
async def test_what_could_not_be_written_comes_with_the_next_pull(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Nor is what was handed out, and not written, taken for written."""
    seed(fake, 5)
    store, stored = SqliteCopy.store, list[Any]()

    def failing_store(copy: SqliteCopy, change: Any) -> None:
        stored.append(change)
        if len(stored) == failing:
            raise sqlite3.OperationalError("database or disk is full")
        store(copy, change)

    monkeypatch.setattr("zoho_async.bulk.pulling.pull._COMMIT_EVERY", 2)
    with monkeypatch.context() as patch:
        patch.setattr(SqliteCopy, "store", failing_store)
        with pytest.raises(bulk.InputError, match=r"a\.sqlite: cannot be read or written: database or disk is full"):
            await bulk.pull(zoho.books.contacts, tmp_path / "a.sqlite")
    await bulk.pull(zoho.books.contacts, tmp_path / "a.sqlite")
    assert ids_in(tmp_path / "a.sqlite") == set(fake.organization().contacts)


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
async def test_an_earlier_file_that_cannot_be_read_is_not_taken_for_an_empty_one(
    fake: FakeZoho,
    zoho: Zoho,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    bend: Callable[[Bend | None], None],
    name: str,
) -> None:
    seed(fake, 3)
    await bulk.pull(zoho.books.contacts, tmp_path / name)
    earlier = (tmp_path / name).read_bytes()
    bend(lambda body: body["contacts"].pop())
    opened = Path.open

    def failing(path: Path, *arguments: Any, **options: Any) -> Any:
        if path.name == name:
            raise OSError(5, "Input/output error")
        return opened(path, *arguments, **options)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", failing)
        with pytest.raises(bulk.InputError, match=f"{name}: cannot be read or written: Input/output error"):
            await bulk.pull(zoho.books.contacts, tmp_path / name)
    assert (tmp_path / name).read_bytes() == earlier


STRANGE = {
    "a number without bounds": b"1e999999999999999999999",
    "a huge exponent": b"1e999999999",
    "an integer of 5,000 digits": b"9" * 5_000,
    "bytes that are not UTF-8": b'"\xff"',
    "half a character": b'"\\ud800"',
    "bytes of half a character": b'"\xed\xa0\x80"',
}


@pytest.mark.parametrize("details", ["none", "all"])
@pytest.mark.parametrize("name", FORMATS)
async def test_a_strange_value_of_one_row_does_not_end_a_pull(tmp_path: Path, name: str, details: Any) -> None:
    rows = {
        str(10**15 + number): b'{"contact_id":"%d","contact_name":"N","outstanding_receivable_amount":%b,"cf_a":%b}'
        % (10**15 + number, value, value)
        for number, value in enumerate(STRANGE.values())
    }

    def decide(seen: Seen) -> Fault:
        record_id = seen.target.partition("?")[0].rpartition("/")[2]
        if record_id in rows:
            return Fault("answer", body=b'{"code":0,"contact":%b}' % rows[record_id])
        context = b'{"page":1,"per_page":200,"has_more_page":false}'
        return Fault(
            "answer", body=b'{"code":0,"contacts":[%b],"page_context":%b}' % (b",".join(rows.values()), context)
        )

    async with (
        FaultServer(decide) as server,
        Zoho(StaticToken("t"), organization_id="1", api_url=server.url, limits=Limits(per_minute=None)) as zoho,
    ):
        for _ in range(2):
            await bulk.pull(zoho.books.contacts, tmp_path / name, details=details)
            assert ids_in(tmp_path / name) == set(rows)
