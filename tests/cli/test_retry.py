"""`push --retry`, and rows of the file of failed rows that are pushed again."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from support.process import Cli, until

from zoho_async.bulk.rows.rejection_tags import is_tag
from zoho_async.fake import FakeZoho

Write = Callable[[str, str], Path]
PUSH = ("push", "books", "contacts", "--per-minute", "0", "--concurrency", "1", "--json")
KEY = ("--upsert-by", "cf_external_id")
HEAD = "contact_name,cf_external_id\n"
SAME = "is the same as another row of the input it came from; change or delete it"


def calls(fake: FakeZoho) -> int:
    return sum(one["requests"] for name, one in fake.counts.items() if name.startswith("books."))


def names(fake: FakeZoho) -> list[str]:
    return sorted(one["contact_name"] for one in fake.organization().contacts.values())


def failed_rows(path: Path) -> dict[str, str]:
    """Reasons by the number of the row."""
    if not path.exists():
        return {}
    with path.open(encoding="utf-8", newline="") as file:
        return {one["zoho_row"]: one["zoho_reason"] for one in csv.DictReader(file)}


async def test_a_retry_takes_the_file_of_its_run_only(fake: FakeZoho, cli: Cli, write: Write) -> None:
    path = write("a.csv", HEAD + "A,1\n,2\n")
    assert (await cli(*PUSH, "--from", "a.csv", *KEY)).code == 3
    write("b.csv", HEAD + "Q,8\nR,9\n")
    before = calls(fake)
    for options in ((), ("--dry-run",)):
        result = await cli(*PUSH, "--from", "b.csv", *KEY, "--retry", "1", *options)
        assert (result.code, json.loads(result.err)["message"]) == (
            2,
            f"run 1 pushed {path}, not b.csv; push b.csv without --retry: what is done is skipped",
        )
    # Named in another way it is the same; mended in its place the row is pushed.
    write("a.csv", HEAD + "A,1\nB,2\n")
    (cli.folder / "link.csv").symlink_to(path)
    planned = await cli(*PUSH, "--from", "link.csv", *KEY, "--retry", "1", "--dry-run")
    assert (planned.code, planned.json["rows"], planned.json["create"]) == (0, 1, 1)
    assert calls(fake) == before + 2
    result = await cli(*PUSH, "--from", str(path), *KEY, "--retry", "1")
    assert (result.code, result.json["rows"], result.json["created"], names(fake)) == (0, 1, 1, ["A", "B"])
    (line, *_) = (await cli("runs", "--json")).out.splitlines()
    assert json.loads(line)["source"] == str(path)
    assert "  a.csv  " in (await cli("runs")).out


async def test_without_a_file_a_retry_takes_that_of_its_run(fake: FakeZoho, cli: Cli, write: Write) -> None:
    (cli.folder / "in").mkdir()
    path = write("in/a.csv", HEAD + "A,1\n,2\n")
    state = ("--state", "s")
    assert (await cli(*PUSH, "--from", "in/a.csv", *KEY, *state)).code == 3
    write("in/a.csv", HEAD + "A,1\nB,2\n")
    result = await cli(*PUSH, *KEY, "--retry", "1")
    assert result.code == 2
    assert "there is no state file zoho-" in result.err
    assert sorted(one.name for one in cli.folder.glob("*.sqlite")) == []
    result = await cli(*PUSH, *KEY, *state, "--retry", "1")
    assert (result.code, result.json["created"], result.json["file"], names(fake)) == (0, 1, str(path), ["A", "B"])
    assert not (cli.folder / "in" / "a.failed.csv").exists()
    path.unlink()
    result = await cli(*PUSH, *KEY, *state, "--retry", "1")
    assert (result.code, f"pushed {path}, and there is no such file" in result.err) == (2, True)
    result = await cli(*PUSH[:-1])
    assert (result.code, "--retry" in result.err) == (2, True)


@pytest.mark.parametrize("content", ["A,1\n,2\nC,3\nD,4\n", "A,1\n,2\n"])
async def test_rows_that_were_added_or_removed_are_no_retry(
    fake: FakeZoho, cli: Cli, write: Write, content: str
) -> None:
    write("a.csv", HEAD + "A,1\n,2\nC,3\n")
    assert (await cli(*PUSH, "--from", "a.csv", *KEY)).code == 3
    # A retry goes by the rows of the file too, not by those it has tried.
    assert (await cli(*PUSH, *KEY, "--retry", "1")).json["rows"] == 1
    before = calls(fake)
    write("a.csv", HEAD + content)
    for run in ("1", "2"):
        result = await cli(*PUSH, *KEY, "--retry", run)
        assert result.code == 2
        assert f"had 3 in run {run}: rows were added or removed since; push it without --retry" in result.err
    assert calls(fake) == before
    write("a.csv", HEAD + "A,1\nB,2\nC,3\n")
    assert (await cli(*PUSH, *KEY, "--retry", "2")).json["created"] == 1


async def test_a_run_that_did_not_try_every_row_is_not_retried(cli: Cli, write: Write) -> None:
    async with FakeZoho(per_day=8, per_minute=None, unique=["cf_external_id"]) as fake:
        cli.environment |= {"ZOHO_ACCESS_TOKEN": fake.access_token, "ZOHO_API_URL": fake.url}
        write("a.csv", HEAD + "".join(f"N{i},{i}\n" for i in range(20)))
        first = await cli(*PUSH, "--from", "a.csv", *KEY)
        assert first.code == 5
        tried = first.json["rows"]
        assert 0 < tried < 20
        for options in ((), ("--dry-run",)):
            result = await cli(*PUSH, *KEY, "--retry", "1", *options)
            assert (result.code, json.loads(result.err)["message"]) == (
                2,
                "run 1 ended before every row was tried; push the file again without --retry: what is done is skipped",
            )
        shown = await cli("runs", "show", "1")
        assert f"  {20 - tried} of 20 rows were not tried\n" in shown.out
        assert (await cli("runs", "show", "1", "--json")).json["untried"] == 20 - tried


async def test_a_run_that_was_killed_is_not_retried(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", HEAD + "A,1\n,2\n")
    fake.script("books.contacts.upsert", ["stall"])
    process = await cli.start(*PUSH, "--from", "a.csv", *KEY)
    await until(lambda: "books.contacts.upsert" in fake.counts)
    assert "is not known" not in (await cli("runs", "show", "1")).out
    process.kill()
    await process.communicate()
    result = await cli(*PUSH, *KEY, "--retry", "1")
    assert (result.code, "run 1 ended before every row was tried" in result.err) == (2, True)
    assert (await cli(*PUSH, "--from", "a.csv", *KEY)).json["failed"] == 1
    assert "how many rows were not tried is not known: it was killed" in (await cli("runs", "show", "1")).out


async def test_a_row_that_was_moved_is_not_sent_again(fake: FakeZoho, cli: Cli, write: Write) -> None:
    write("a.csv", HEAD + "A,1\nB,2\n")
    fake.script("books.contacts.upsert", ["pass", "status:400"])
    assert (await cli(*PUSH, "--from", "a.csv", *KEY)).json["failed"] == 1
    write("a.csv", HEAD + "B,2\nA,1\n")
    result = await cli(*PUSH, *KEY, "--retry", "1")
    assert (result.json["unchanged"], result.json["writes"], names(fake)) == (1, 0, ["A"])
    assert (await cli(*PUSH, "--from", "a.csv", *KEY)).json["created"] == 1
    assert set(fake.created("cf_external_id").values()) == {1}


@pytest.mark.parametrize("again", ["failed", "retry"])
async def test_a_corrected_row_of_unknown_outcome_is_not_created_twice(
    fake: FakeZoho, cli: Cli, write: Write, again: str
) -> None:
    rows = "contact_name,notes\nAlpha Gmbh,n\nBeta,n\n"
    write("a.csv", rows)
    # It is made and not answered, and cannot be read when it is looked up.
    fake.script("books.contacts.create", ["reset_after"])
    fake.script("books.contacts.get", ["status:400"])
    assert (await cli(*PUSH, "--from", "a.csv")).json["unknown"] == 1
    path = cli.folder / "a.failed.csv"
    if again == "failed":
        path.write_text(path.read_text().replace("Alpha Gmbh", "Alpha GmbH"))
        which = ("--from", path)
    else:
        write("a.csv", rows.replace("Alpha Gmbh", "Alpha GmbH"))
        which = ("--retry", 1)
    planned = await cli(*PUSH, *which, "--dry-run")
    assert (planned.json["unknown"], planned.json["writes"]) == (1, 0)
    result = await cli(*PUSH, *which)
    assert (result.code, result.json["unknown"], result.json["writes"]) == (3, 1, 0)
    assert "was `Alpha Gmbh` when the row was sent with unknown outcome" in json.loads(result.err)["message"]
    # As it was sent, it is found.
    if again == "failed":
        path = Path(result.json["failed_file"])
        path.write_text(path.read_text().replace("Alpha GmbH", "Alpha Gmbh"))
        which = ("--from", path)
    else:
        write("a.csv", rows)
    result = await cli(*PUSH, *which)
    assert (result.code, result.json["settled"], names(fake)) == (0, 1, ["Alpha Gmbh", "Beta"])


@pytest.mark.parametrize("again", ["failed", "retry"])
@pytest.mark.parametrize("options", [KEY, ("--match-by", "contact_name")])
async def test_a_duplicate_row_stays_rejected_until_it_is_corrected(
    fake: FakeZoho, cli: Cli, write: Write, again: str, options: tuple[str, ...]
) -> None:
    write("a.csv", "contact_name,cf_external_id,notes\nA,1,first\nA,1,second\n")
    first = await cli(*PUSH, "--from", "a.csv", *options)
    assert (first.code, first.json["kinds"]) == (3, {"duplicate": 1})
    path = cli.folder / "a.failed.csv"
    with path.open(encoding="utf-8", newline="") as file:
        assert [is_tag(row["zoho_identity"]) for row in csv.DictReader(file)] == [True]
    before = fake.acts("books.contacts.update")
    for run in (1, 2):
        which = ("--from", path) if again == "failed" else ("--retry", run)
        planned = await cli(*PUSH, *which, *options, "--dry-run")
        assert (planned.json["colliding"], planned.json["writes"]) == (1, 0)
        result = await cli(*PUSH, *which, *options)
        assert (result.code, result.json["kinds"], result.json["writes"]) == (3, {"duplicate": 1}, 0)
        assert json.loads(result.err)["message"].endswith(f"{options[1]}: {SAME}")
        path = Path(result.json["failed_file"])
        assert SAME in path.read_text()
    assert fake.acts("books.contacts.update") == before
    if again == "failed":
        path.write_text(path.read_text().replace("A,1,second", "B,2,second"))
        result = await cli(*PUSH, "--from", path, *options)
    else:
        write("a.csv", "contact_name,cf_external_id,notes\nA,1,first\nB,2,second\n")
        result = await cli(*PUSH, "--retry", 1, *options)
    assert (result.code, result.json["created"]) == (0, 1)
    found = {one["contact_name"]: one["notes"] for one in fake.organization().contacts.values()}
    assert found == {"A": "first", "B": "second"}


@pytest.mark.parametrize("again", ["failed", "retry"])
@pytest.mark.parametrize("policy", ["fail", "match"])
@pytest.mark.parametrize("options", [KEY, ()])
async def test_a_row_whose_name_another_has_stays_refused(
    fake: FakeZoho, cli: Cli, write: Write, again: str, policy: str, options: tuple[str, ...]
) -> None:
    write("a.csv", "contact_name,cf_external_id,notes\nA,1,first\nA,2,second\n")
    policies = ("--on-name-taken", policy)
    first = await cli(*PUSH, "--from", "a.csv", *options, *policies)
    assert (first.code, first.json["kinds"]) == (3, {"name_taken": 1})
    path = cli.folder / "a.failed.csv"
    which = ("--from", path) if again == "failed" else ("--retry", 1)
    result = await cli(*PUSH, *which, *options, *policies)
    assert (result.code, result.json["kinds"], result.json["writes"]) == (3, {"name_taken": 1}, 0)
    # What the hint says helps, the row as it is.
    suffix = ("--on-name-taken", "suffix:cf_external_id")
    assert (await cli(*PUSH, *which, *options, *suffix)).json["created"] == 1
    found = {one["contact_name"]: one["notes"] for one in fake.organization().contacts.values()}
    assert found == {"A": "first", "A (2)": "second"}


async def test_after_a_retry_the_failed_file_holds_what_remains(fake: FakeZoho, cli: Cli, write: Write) -> None:
    path = cli.folder / "a.failed.csv"
    write("a.csv", HEAD + "A,1\nB,2\n,3\n,4\nE,5\n")
    assert (await cli(*PUSH, "--from", "a.csv", *KEY)).json["failed"] == 2
    write("a.csv", HEAD + ",1\nB,2\n,3\n,4\nE,5\n")
    assert (await cli(*PUSH, "--from", "a.csv", *KEY)).json["failed"] == 3
    write("a.csv", HEAD + ",1\nB,2\nC,3\n,4\nE,5\n")
    # Of the older run, which row 1 did not trouble.
    result = await cli(*PUSH, *KEY, "--retry", "1")
    assert (result.json["created"], result.json["failed"], result.json["failed_before"]) == (1, 1, 1)
    assert sorted(failed_rows(path)) == ["1", "4"]
    write("a.csv", HEAD + ",1\nB,2\nC,3\nD,4\nE,5\n")
    result = await cli(*PUSH[:-1], *KEY, "--retry", "1")
    assert result.code == 0
    assert "failed rows: " in result.out
    assert "(from earlier runs: 1 row)" in result.out
    assert sorted(failed_rows(path)) == ["1"]
    write("a.csv", HEAD + "A,1\nB,2\nC,3\nD,4\nE,5\n")
    before = path.read_text()
    result = await cli(*PUSH, *KEY, "--retry", "2")
    assert (result.code, result.json["failed_file"], path.exists()) == (0, None, False)
    assert (cli.folder / result.json["kept_aside"]).read_text() == before
    assert set(fake.created("cf_external_id").values()) == {1}


async def test_a_retry_that_is_stopped_loses_no_failed_row(fake: FakeZoho, cli: Cli, write: Write) -> None:
    path = cli.folder / "a.failed.csv"
    write("a.csv", HEAD + "".join(f"N{i},{i}\n" for i in range(1, 9)))
    fake.script("books.contacts.upsert", ["status:400"] * 8)
    assert (await cli(*PUSH, "--from", "a.csv", *KEY)).json["failed"] == 8
    fake.script("books.contacts.upsert", ["pass", "status:400", "pass", *["429:45"] * 40])
    result = await cli(*PUSH, *KEY, "--retry", "1")
    assert (result.code, result.json["sent"], result.json["failed"]) == (5, 2, 1)
    assert (result.json["of"], result.json["input_rows"], result.json["failed_before"]) == (8, 8, 5)
    undone = sorted({str(i) for i in range(1, 9)} - {*fake.created("cf_external_id")})
    assert len(undone) == 6
    assert sorted(failed_rows(path)) == undone
    assert len({*failed_rows(path).values()}) == 1
    assert "  5 of 8 rows were not tried\n" in (await cli("runs", "show", "2")).out
    # Not even when somebody has taken the file away: what is done since is not undone, though.
    path.unlink()
    assert (await cli(*PUSH, *KEY, "--retry", "1")).code == 5
    assert sorted(failed_rows(path)) == undone
    fake.clear_faults()
    assert (await cli(*PUSH, *KEY, "--retry", "1")).json["sent"] == 6
    assert not path.exists()


async def test_the_plan_of_a_retry_is_what_it_does_to_the_call(fake: FakeZoho, cli: Cli, write: Write) -> None:
    fake.seed([{"contact_name": f"N{i}", "cf_external_id": f"{i}", "notes": "old"} for i in range(220)])
    long = "n" * 231
    rows = [f"{long if i < 3 else f'N{i}'},{i},new\n" for i in range(20)]
    rows += ["New,900,\n", ",901,\n", "N9,902,\n"]
    head = "contact_name,cf_external_id,notes\n"
    write("a.csv", head + "".join(rows))
    fake.script("books.contacts.update", ["pass"] * 5 + ["status:400"] * 4)
    first = await cli(*PUSH, "--from", "a.csv", *KEY)
    assert (first.code, first.json["failed"]) == (3, 3 + 4 + 2), first
    # Rows that are done have changed since as well; a retry lets them be.
    rows = [f"N{i},{i},newer\n" for i in range(20)] + ["New,900,x\n", "Newer,901,\n", "N9,902,\n"]
    write("a.csv", head + "".join(rows))
    for options in ((), ("--from", "a.csv")):
        state = {one.name: one.read_bytes() for one in cli.folder.glob("*.sqlite*")}
        before = calls(fake)
        planned = await cli(*PUSH, *options, *KEY, "--retry", "1", "--dry-run")
        assert calls(fake) - before == planned.json["reads_spent"]
        assert {one.name: one.read_bytes() for one in cli.folder.glob("*.sqlite*")} == state
        plan = planned.json
        before = calls(fake)
        pushed = (await cli(*PUSH, *options, *KEY, "--retry", "1")).json
        assert calls(fake) - before == plan["calls"] == pushed["reads"] + pushed["writes"]
        found: list[Any] = [pushed[name] for name in ("rows", "created", "updated", "unchanged", "failed", "writes")]
        numbers = [plan[name] for name in ("rows", "create", "update", "unchanged")]
        assert [*numbers, plan["faulty"] + plan["colliding"], plan["writes"]] == found
        assert found[0] == 9
    assert numbers[1:] == [0, 0, 8]
    result = await cli(*PUSH, *KEY, "--retry", "1", "--dry-run", environment={})
    assert result.code == 4
