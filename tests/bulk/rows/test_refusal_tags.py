"""Rows refused beside another one are known again when they stand alone."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from zoho_async import Zoho, bulk
from zoho_async.bulk.recovery.rejects import RejectsFile
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.refusal_tags import is_mark, mark, still_rejected, strip_tag
from zoho_async.bulk.rows.resource import Target
from zoho_async.bulk.rows.validate import RowReader
from zoho_async.bulk.source.files import Row, open_rows
from zoho_async.fake import FakeZoho

KEY = "cf_external_id"
UPSERT = Options(upsert_by=KEY)
MESSAGE = "is the same as another row of the input it came from; change or delete it"
ROW = Row(number=1, values={"contact_name": "A", KEY: "1"})


@pytest.mark.parametrize(
    ("values", "known"),
    [
        ({"contact_name": "A", KEY: "1"}, True),
        ({KEY: "1", "notes": "", "website": None, "contact_name": " A "}, True),
        ({"contact_name": "B", KEY: "1"}, False),
        ({"contact_name": "A", KEY: "2"}, False),
        ({"contact_name": "A"}, False),
        ({"contact_name": "A", KEY: 1}, False),
    ],
)
def test_a_mark_is_of_what_the_row_says(values: Any, known: bool) -> None:
    marked = Row(number=9, values=values, identity=mark(ROW, "key", UPSERT))
    assert (still_rejected(marked, UPSERT, "contact_name") is not None) is known


def test_a_mark_counts_for_what_is_the_same() -> None:
    by_key = Row(number=1, values=ROW.values, identity=mark(ROW, "key", UPSERT))
    by_name = Row(number=1, values=ROW.values, identity=mark(ROW, "name", UPSERT))
    matching = Options(upsert_by=KEY, on_name_taken="match")
    assert still_rejected(by_key, Options(match_by="email"), "contact_name") is None
    assert still_rejected(by_key, matching, "contact_name") is not None
    # Where names are only compared, they are so anew.
    assert still_rejected(by_name, UPSERT, "contact_name") is None
    fault = still_rejected(by_name, matching, "contact_name")
    assert fault is not None
    assert (fault.path, fault.rule, fault.message) == ("contact_name", "name_taken", MESSAGE)
    assert still_rejected(ROW, matching, "contact_name") is None


@pytest.mark.parametrize("identity", ["", "abc#2", "k=a:b\nc"])
def test_a_mark_holds_the_identity(identity: str) -> None:
    marked = mark(ROW, "name", UPSERT, identity)
    assert is_mark(marked)
    assert strip_tag(marked) == strip_tag(identity) == identity
    assert not is_mark(identity)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", f'contact_name;{KEY};notes\n"A; B";1;"x\ny"\n'),
        ("a.jsonl", f'{{"{KEY}":"1","contact_name":"A","credit_limit":1.10,"billing_address":{{"city":"X"}}}}\n'),
    ],
)
def test_it_survives_the_file_of_failed_rows(tmp_path: Path, name: str, content: str) -> None:
    path = tmp_path / name
    path.write_text(content)
    source = open_rows(path)
    (row,) = source
    with RejectsFile(source) as failed:
        failed.add(row, reason="bad", identity=mark(row, "key", UPSERT))
    (told,) = open_rows(failed.path)
    job = RowReader(Target.named("books.contacts"), UPSERT).read(told)
    assert [(fault.path, fault.rule, fault.message) for fault in job.faults] == [(KEY, "duplicate", MESSAGE)]
    # With it, so that it goes into the next file as well.
    assert job.identity == told.identity
    assert not RowReader(Target.named("books.contacts"), Options()).read(told).faults


async def test_a_row_that_led_to_the_record_of_another_is_known_as_well(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    contacts = zoho.books.contacts
    options: dict[str, Any] = {"upsert_by": KEY, "on_name_taken": "match", "state": tmp_path / "s"}
    async for one in bulk.push(contacts, [{"contact_name": "E", KEY: "2"}], **options):
        record_id = one.record_id
    # Somebody makes the record of another row of it.
    fields = [{"api_name": KEY, "value": ""}]
    await contacts.update(record_id, {"contact_name": "D", "custom_fields": fields})
    path = tmp_path / "a.csv"
    path.write_text(f"contact_name,{KEY},notes\nD,1,first\nE,2,second\n")
    for rule in ("ambiguous", "duplicate"):
        source = open_rows(path)
        with RejectsFile(source) as failed:
            push = bulk.push(contacts, source, **options)
            async for outcome in push:
                if outcome.status != "done":
                    failed.add(outcome.row, reason=outcome.reason, identity=outcome.identity)
        assert push.summary.kinds == {rule: 1}
        path = failed.path
    assert MESSAGE in path.read_text()
    (record,) = fake.organization().contacts.values()
    assert (record["contact_name"], record["notes"]) == ("D", "first")


@pytest.mark.parametrize("apart", [False, True], ids=["together", "many rows apart"])
async def test_a_row_whose_faulty_double_is_deleted_takes_its_place(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, apart: bool
) -> None:
    """The first row of a key was faulty; the second, refused for having the same key, stands alone in the next file."""
    between = [f"B{number},{number},\n" for number in range(100, 400)] if apart else []
    path = tmp_path / "a.csv"
    lines = ["A,1,not money\n", *between, "A,1,5\n", "C,2,5\n", "D,2,5\n"]
    path.write_text("".join([f"contact_name,{KEY},credit_limit\n", *lines]))
    source = open_rows(path)
    with RejectsFile(source) as failed:
        async for outcome in bulk.push(zoho.books.contacts, source, upsert_by=KEY):
            if outcome.status != "done":
                failed.add(outcome.row, reason=outcome.reason, identity=outcome.identity)
    wrong = list(open_rows(failed.path))
    assert [row.values["contact_name"] for row in wrong] == ["A", "A", "D"]
    lines = failed.path.read_text().splitlines(keepends=True)
    failed.path.write_text("".join(line for line in lines if "not money" not in line))
    outcomes = [one async for one in bulk.push(zoho.books.contacts, open_rows(failed.path), upsert_by=KEY)]
    # D is wrong still: C has been sent.
    assert {one.row.values["contact_name"]: one.action for one in outcomes} == {"A": "created", "D": "none"}
