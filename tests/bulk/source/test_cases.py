"""Files of other programs, each pushed as its folder in `tests/data/files` says, and the records read back.

`expected.json` of a case, its keys all optional: `args` after `push books contacts --from FILE`; `file` where it is not
the only `input*`; `stdin`; `mapping`; `needs` addresses that the fake answers; `before` bodies of records that are
there; `first` commands that run before; `exit` allowed codes; `records` that must have arrived; `count`, `others`;
`says`, `never_says`, `lines` of what is printed; `writes`; `warns` and `control`; `not_lost`; `either`.
"""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from support.client import client_of
from support.process import Cli

from zoho_async import Zoho
from zoho_async.fake import FakeZoho

CASES = Path(__file__).parents[2] / "data" / "files"
NAMES = sorted(path.name for path in CASES.iterdir() if path.is_dir())

Expected = dict[str, Any]


class Run(NamedTuple):
    """What a dry run and a push of one file did."""

    dry: str
    code: int
    printed: str
    writes: int
    records: list[Any]
    rejects: str
    lines: tuple[int, ...]
    """Lines that the dry run and the push printed."""


class Case:
    """One case against one fake."""

    def __init__(self, fake: FakeZoho, zoho: Zoho, folder: Path, expected: Expected) -> None:
        self.fake = fake
        self.zoho = zoho
        self.folder = folder
        self.expected = expected
        self.cli = Cli.against(fake, folder)

    async def run(self, file: str) -> Run:
        for address in self.expected.get("needs", []):
            assert (await self.zoho.request("GET", f"/books/v3/{address}")).status == 200
        for body in self.expected.get("before", []):
            await self.zoho.request("POST", "/books/v3/contacts", body=body)
        for command in self.expected.get("first", []):
            assert (await self.cli(*command)).code == 0
        before = self.writes
        dry = await self.push(file, "--dry-run")
        assert self.writes == before, "a dry run has written"
        ended = await self.push(file)
        rejects = "".join(path.read_text(encoding="utf-8-sig", errors="replace") for path in self.rejects())
        printed = "\n".join((dry.out, dry.err, ended.out, ended.err))
        records = await self.records()
        lines = tuple(len((one.out + one.err).splitlines()) for one in (dry, ended))
        return Run(dry.out + dry.err, ended.code, printed, self.writes - before, records, rejects, lines)

    async def push(self, file: str, *options: str) -> Any:
        source: tuple[str, ...] = ("--from", file)
        stdin = b""
        if self.expected.get("stdin"):
            source, stdin = ("--from", "-"), (self.folder / file).read_bytes()
        mapping = ("--map", self.expected["mapping"]) if "mapping" in self.expected else ()
        arguments = ("push", "books", "contacts", *source, *mapping, *self.expected.get("args", []), *options)
        return await self.cli(*arguments, "--per-minute", "0", stdin=stdin)

    @property
    def writes(self) -> int:
        return sum(1 for request in self.fake.received if request.method != "GET")

    async def records(self) -> list[Any]:
        listed = [row async for row in self.zoho.books.contacts.list()]
        answers = [await self.zoho.request("GET", f"/books/v3/contacts/{row.contact_id}") for row in listed]
        return [json.loads(answer.body)["contact"] for answer in answers]

    def rejects(self) -> list[Path]:
        return [path for path in self.folder.iterdir() if ".failed." in path.name]


def fits(expected: Any, actual: Any) -> bool:
    """Whether a value is what is expected of it; an object or a list may hold more."""
    if isinstance(expected, dict) and set(expected) == {"any"}:
        return any(fits(one, actual) for one in expected["any"])
    if isinstance(expected, dict) and set(expected) == {"has"}:
        return str(expected["has"]) in str(actual)
    if expected is None:
        return actual in (None, "", [], {})
    if isinstance(expected, dict):
        return isinstance(actual, dict) and all(fits(value, actual.get(key)) for key, value in expected.items())
    if isinstance(expected, list):
        return isinstance(actual, list) and all(any(fits(one, other) for other in actual) for one in expected)
    return bool(expected == actual and isinstance(expected, bool) == isinstance(actual, bool))


def is_record(expected: Expected, record: Any) -> bool:
    """Whether a record is the expected one, its special keys included."""
    special = ("cf", "somewhere", "nowhere")
    plain = {key: value for key, value in expected.items() if key not in special}
    text = " ".join(texts(record))
    fields = record.get("custom_fields", [])
    custom = {one[key]: one["value"] for one in fields for key in ("api_name", "label") if key in one}
    return (
        fits(plain, record)
        and all(fits(value, custom.get(name)) for name, value in expected.get("cf", {}).items())
        and all(" ".join(one.split()) in text for one in expected.get("somewhere", []))
        and not any(one in text for one in expected.get("nowhere", []))
    )


def texts(value: Any) -> list[str]:
    """Every text of a record, its blanks made one."""
    if isinstance(value, dict):
        return [text for one in value.values() for text in texts(one)]
    if isinstance(value, list):
        return [text for one in value for text in texts(one)]
    return [" ".join(str(value).split())]


def faults(expected: Expected, run: Run) -> list[str]:
    """What did not happen as expected."""
    found: list[str] = []
    if "exit" in expected and run.code not in expected["exit"]:
        found.append(f"exit code {run.code}")
    if "records" in expected:
        missing = [one for one in expected["records"] if not any(is_record(one, record) for record in run.records)]
        found += [f"no such record: {one}" for one in missing]
        if not expected.get("others") and "count" not in expected and len(run.records) > len(expected["records"]):
            found.append(f"{len(run.records)} records")
    if "count" in expected and len(run.records) != expected["count"]:
        found.append(f"{len(run.records)} records")
    for patterns in expected.get("says", []):
        if not any(re.search(pattern, run.printed, re.IGNORECASE) for pattern in patterns):
            found.append(f"does not say {patterns}")
    found += [f"says {one}" for one in expected.get("never_says", []) if re.search(one, run.printed, re.IGNORECASE)]
    if "lines" in expected and max(run.lines) > expected["lines"]:
        found.append("says too much")
    if "writes" in expected and run.writes > expected["writes"]:
        found.append(f"{run.writes} writes")
    arrived = " ".join(text for record in run.records for text in texts(record))
    for alternatives in expected.get("not_lost", []):
        if not any(one in arrived + run.printed + run.rejects for one in alternatives.split("|")):
            found.append(f"lost {alternatives}")
    return found


async def case_of(fake: FakeZoho, zoho: Zoho, folder: Path, name: str) -> Case:
    shutil.copytree(CASES / name, folder)
    expected: Expected = json.loads((folder / "expected.json").read_text(encoding="utf-8"))
    return Case(fake, zoho, folder, expected)


def file_of(case: Case) -> str:
    return str(
        case.expected.get("file")
        or next(path.name for path in case.folder.iterdir() if path.stem == "input" or path.name.startswith("input."))
    )


@pytest.mark.parametrize("name", NAMES)
async def test_a_case_ends_as_expected(fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str) -> None:
    case = await case_of(fake, zoho, tmp_path / "case", name)
    expected = case.expected
    run = await case.run(file_of(case))
    assert faults(expected, run) == [], run.printed
    if "either" in expected:
        assert any(not faults({"others": True, **one}, run) for one in expected["either"]), run.printed
    if "warns" in expected:
        async with FakeZoho(per_minute=None) as other, client_of(other) as client:
            control = await case_of(other, client, tmp_path / "control", name)
            plain = await control.run(expected["control"])
        extra = set(run.dry.splitlines()) - set(plain.dry.splitlines())
        assert any(re.search(one, line, re.IGNORECASE) for one in ("warn", *expected["warns"]) for line in extra)
