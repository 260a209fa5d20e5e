"""Rows refused beside another one are known again when they stand alone."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

import pytest

from zoho_async import Zoho, bulk
from zoho_async.books.models import ContactCreate
from zoho_async.bulk.recovery.rejects import RejectsFile
from zoho_async.bulk.rows.options import Options
from zoho_async.bulk.rows.rejection_tags import carried_key, is_tag, sent_under, still_rejected, tag
from zoho_async.bulk.rows.resource import Destination
from zoho_async.bulk.rows.validate import RowReader
from zoho_async.bulk.source.files import Row, open_rows
from zoho_async.fake import FakeZoho

KEY = "cf_external_id"
UPSERT = Options(upsert_by=KEY)
MESSAGE = "is the same as another row of the input it came from; change or delete it"
ROW = Row(number=1, values={"contact_name": "A", KEY: "1"})


def refused(row: Row, options: Options) -> bool:
    return still_rejected(row, options, by_id=False)


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
def test_a_tag_is_of_what_the_row_says(values: Any, known: bool) -> None:
    tagged = Row(number=9, values=values, identity=tag(ROW))
    assert refused(tagged, UPSERT) is known


@pytest.mark.parametrize(
    ("options", "by_id", "known"),
    [
        (UPSERT, False, True),
        (Options(match_by="email"), False, True),
        (Options(on_existing="update"), False, True),
        (Options(on_name_taken="match"), False, True),
        (Options(), False, False),
        # Its record is left alone without it.
        (Options(upsert_by=KEY, on_existing="skip"), False, False),
        (Options(upsert_by=KEY, on_existing="fail"), False, False),
        (UPSERT, True, True),
    ],
)
def test_a_tag_counts_where_a_record_would_be_written_over(options: Options, by_id: bool, known: bool) -> None:
    tagged = Row(number=1, values=ROW.values, identity=tag(ROW))
    assert still_rejected(tagged, options, by_id=by_id) is known
    assert not still_rejected(ROW, options, by_id=by_id)


def test_tags_by_the_natural_key() -> None:
    natural = Options(on_existing="update")
    tagged = Row(number=1, values=ROW.values, identity=tag(ROW))
    assert (refused(tagged, natural), refused(tagged, Options())) == (True, False)
    by_id = Row(number=1, values={"contact_id": "7"}, identity=tag(Row(number=1, values={"contact_id": "7"})))
    reader = RowReader(Destination.named("books.contacts"), Options())
    assert [fault.rule for fault in reader.read(by_id).faults] == ["name_taken"]


def test_an_earlier_versions_tags_count() -> None:
    """They said what was the same, and held what the state called the row."""
    own = sorted((name, repr(cell)) for name, cell in ROW.values.items())
    found = hashlib.sha256(repr((KEY, own)).encode()).hexdigest()[:32]
    for identity in (
        f"duplicate-key:{found}:",
        f"duplicate-name:{found}:{'0' * 32}#2",
        f"duplicate-key:{found}:k=a\nb",
    ):
        assert is_tag(identity)
        for options in (UPSERT, Options(match_by="email"), Options(on_existing="update")):
            assert refused(Row(number=1, values=ROW.values, identity=identity), options)
    for identity in ("", "abc#2", f"{KEY}=1", sent_under(f"{KEY}=1")):
        assert not is_tag(identity)


@pytest.mark.parametrize("key", ["contact_name=A@customer", f"{KEY}=ä,;\n", "0" * 32 + "#1"])
def test_a_row_carries_the_key_it_was_sent_under(key: str) -> None:
    carried = sent_under(key)
    assert carried_key(carried) == carried_key(key) == key
    assert not set("=,;\n@") & set(carried.rstrip("="))
    assert carried_key("sent:A") == ""


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
        failed.add(row, reason="bad", identity=tag(row))
    (rejected,) = open_rows(failed.path)
    item = RowReader(Destination.named("books.contacts"), UPSERT).read(rejected)
    assert [(fault.path, fault.rule, fault.message) for fault in item.faults] == [(KEY, "duplicate", MESSAGE)]
    # With it, so that it goes into the next file as well.
    assert item.row_key == rejected.identity
    assert not RowReader(Destination.named("books.contacts"), Options()).read(rejected).faults


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
async def test_a_row_whose_invalid_duplicate_is_deleted_takes_its_place(
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


@pytest.mark.parametrize("mark", ["⟦0xE9⟧", "⟦unread⟧"])
@pytest.mark.parametrize("form", ["cell", "nested", "struct"])
def test_a_mark_of_an_earlier_version_fails_its_row(mark: str, form: str) -> None:
    forms: dict[str, tuple[Any, str]] = {
        "cell": ({"notes": "x", "contact_name": f"Caf{mark}"}, "contact_name"),
        "nested": ({"contact_name": "A", "billing_address": {"city": mark}}, "billing_address"),
        "struct": (ContactCreate(contact_name=f"Caf{mark}"), ""),
    }
    values, field = forms[form]
    item = RowReader(Destination.named("books.contacts"), Options()).read(Row(number=1, values=values))
    assert [(fault.path, fault.rule) for fault in item.faults] == [(field, "unreadable")]
    assert item.faults[0].message == f"holds {mark} in place of what could not be read; write the text itself"
