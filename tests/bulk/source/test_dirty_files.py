"""A hundred dirty files: each ends in one sentence before any call, or in one clear word for every bad row."""

from __future__ import annotations

import codecs
import csv
import io
import json
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.client import client_of
from support.process import Cli
from support.profiles import examples

from zoho_async import Zoho, bulk
from zoho_async.bulk.recovery.rejects import RejectsFile, rejects_path
from zoho_async.bulk.results import RowOutcome
from zoho_async.bulk.source.files import ADDED, ADDED_LINE
from zoho_async.fake import FakeZoho

HEAD = "contact_name,cf_external_id,notes\n"
FIRST = "Anna,K1,first\n"
LAST = "Zoe,K9,last\n"
KEYS = ("K1", "K9")


class Dirty(NamedTuple):
    """A file and what becomes of it: refused with a word, or the keys that arrive and the word of each bad row."""

    name: str
    content: str | bytes
    refused: str = ""
    good: tuple[str, ...] = ()
    bad: tuple[str, ...] = ()

    @property
    def data(self) -> bytes:
        return self.content if isinstance(self.content, bytes) else self.content.encode()


def table(
    label: str, middle: str | bytes, *, refused: str = "", bad: tuple[str, ...] = (), good: tuple[str, ...] = KEYS
) -> Dirty:
    """A CSV file whose first and last rows are good."""
    content = middle if isinstance(middle, bytes) else middle.encode()
    data = HEAD.encode() + FIRST.encode() + content + LAST.encode()
    return Dirty(f"{label}.csv", data, refused, () if refused else good, bad)


def lines(label: str, middle: str | bytes, *bad: str, refused: str = "", good: tuple[str, ...] = KEYS) -> Dirty:
    """A JSON Lines file whose first and last rows are good."""
    content = middle if isinstance(middle, bytes) else middle.encode()
    first, last = (f'{{"contact_name": "{name}", "cf_external_id": "{key}"}}\n'.encode() for name, key in PEOPLE)
    return Dirty(f"{label}.jsonl", first + content + b"\n" + last, refused, () if refused else good, bad)


def member(text: str) -> str:
    """A line that is good but for the members in `text`."""
    return f'{{"contact_name": "Mia", "cf_external_id": "K5", {text}}}'


PEOPLE = (("Anna", "K1"), ("Zoe", "K9"))
WHOLE = HEAD + FIRST + LAST
FIVE = ("K1", "K5", "K9")
BIG = "x" * 10_000_000
WIDE = [f"cf_wide_{number}" for number in range(2_000)]

DIRTY = [
    # What is no text in one encoding.
    table(
        "latin-1", "Müller,K5,\n".encode("latin-1"), refused="line 3 cannot be read as UTF-8 (byte 0xFC): save it as"
    ),
    table("two-encodings", "Müller,K4,\nSøren,K5,\n".encode("latin-1"), refused="lines 3, 4 cannot be read as UTF-8"),
    table("utf-16-inside", "Mia,K5,\n".encode("utf-16-le"), refused="lines 3, 4 cannot be read as UTF-8 (a zero byte)"),
    table("half-a-character", b"Mia,K5,\xe2\x82\n", refused="line 3 cannot be read as UTF-8 (byte 0xE2)"),
    table("surrogate-bytes", b"Mia,K5,\xed\xa0\x80\n", refused="line 3 cannot be read as UTF-8 (byte 0xED)"),
    table("zero-bytes", b"Mia\0,K5,\n", refused="line 3 cannot be read as UTF-8 (a zero byte)"),
    Dirty("only-zeros.csv", b"\0" * 100, "zero byte"),
    Dirty("utf-16-without-bom.csv", WHOLE.encode("utf-16-le"), "zero byte"),
    Dirty("utf-16-be-without-bom.csv", WHOLE.encode("utf-16-be"), "zero byte"),
    Dirty("utf-16.csv", WHOLE.encode("utf-16"), good=KEYS),
    Dirty("utf-16-be.csv", codecs.BOM_UTF16_BE + WHOLE.encode("utf-16-be"), good=KEYS),
    Dirty("utf-16-odd.csv", WHOLE.encode("utf-16") + b"x", "not valid UTF-16"),
    Dirty("utf-16-lone.csv", WHOLE.encode("utf-16") + b"\x00\xd8a\x00", "line 4 cannot be read as UTF-16 (0xD800)"),
    Dirty("utf-32.csv", WHOLE.encode("utf-32"), good=KEYS),
    Dirty(
        "utf-16.jsonl", '{"contact_name": "Ö", "cf_external_id": "K1"}\n{\n'.encode("utf-16"), "", ("K1",), ("JSON",)
    ),
    Dirty("picture.csv", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", "is a picture (PNG)"),
    Dirty("workbook.csv", b"PK\x03\x04\x14\0\x06\0", "is a damaged .xlsx or zip file"),
    table("bom-in-the-middle", "\ufeffMia,K5,\n", bad=()),
    Dirty("bom-twice.csv", codecs.BOM_UTF8 * 2 + WHOLE.encode(), good=KEYS),
    # What is no table.
    Dirty("empty.csv", b"", "the file is empty"),
    Dirty("blanks.csv", b" \t \r\n \n\n", "the file is empty"),
    Dirty("only-a-bom.csv", codecs.BOM_UTF8, "the file is empty"),
    Dirty("only-a-header.csv", HEAD, "a header but not one row"),
    Dirty("header-and-blanks.csv", HEAD + "\n\r\n\n", "a header but not one row"),
    Dirty("headers-twice.csv", "contact_name,cf_external_id,contact_name\nA,B,C\n", "`contact_name` more than once"),
    Dirty("headers-trimmed-twice.csv", "contact_name,cf_a, cf_a\nA,B,C\n", "`cf_a` more than once"),
    Dirty("headers-broken-twice.csv", '"cf\na","cf\na"\nA,B\n', "more than once"),
    Dirty("header-blank.csv", "contact_name,,cf_external_id\nA,B,C\n", "column 2 has no name"),
    Dirty("header-ends-early.csv", "contact_name,cf_external_id,\nA,B,C\n", "column 3 has no name"),
    Dirty("header-unclosed.csv", '"contact_name,cf_external_id\nA,B\n', "line 1"),
    Dirty("no-key.csv", "contact_name\nA\nB\n", "", (), ("cf_external_id: is required",) * 2),
    Dirty("no-name.csv", "cf_external_id\nK1\n", "", (), ("contact_name: is required",)),
    Dirty("nothing-known.csv", "a,b\n1,2\n", "", (), ("is no known field",)),
    Dirty("header-with-breaks.csv", '"contact\nname",cf_external_id\nA,K1\n', good=("K1",)),
    Dirty("header-with-cr.csv", '"contact\rname",cf_external_id\nA,K1\n', good=("K1",)),
    Dirty(
        "header-unknown-with-breaks.csv",
        'contact_name,cf_external_id,"un\nknown"\nA,K1,x\n',
        "",
        (),
        ("is no known field",),
    ),
    Dirty("list.json", b'[{"contact_name": "A", "cf_external_id": "K1"}]', good=("K1",)),
    Dirty("list-in-lines.json", '\n [\n{"contact_name": "A", "cf_external_id": "K1"}\n]', good=("K1",)),
    Dirty("list-broken.json", '[{"contact_name": "A"},\n{"contact_name": }]', "is broken (line 2, column 18"),
    # Rows of another shape.
    table("cells-missing", "Mia,K5\n", bad=("has 2 cells where the header has 3",)),
    table("cells-more", "Mia,K5,a,b,c\n", bad=("has 5 cells where the header has 3",)),
    table("cells-none", ",,\n"),
    table("cells-blank", '" ","\t","\u200b"\n'),
    table("another-separator", "Mia;K5;semicolons\n", bad=("has 1 cells",)),
    table("very-wide-row", "Mia,K5," + ",".join(WIDE) + "\n", bad=("has 2,002 cells",)),
    table("cells-empty-more", "Mia,K5,,,\n", good=FIVE),
    table("unclosed", 'Mia,K5,"open\n', refused="line 3: the row that begins there has a quoted cell that never ends"),
    table("quote-inside", 'Mia,K5,5" pipe\n', good=FIVE),
    table("quote-behind", 'Mia,K5,"5" pipe"\n', refused="line 3: the row that begins there has text behind a quoted"),
    table("header-again", HEAD, bad=()),
    Dirty("semicolons.csv", WHOLE.replace(",", ";"), good=KEYS),
    Dirty("tabs.csv", WHOLE.replace(",", "\t"), good=KEYS),
    Dirty("mac.csv", WHOLE.replace("\n", "\r"), good=KEYS),
    Dirty("windows.csv", WHOLE.replace("\n", "\r\n"), good=KEYS),
    Dirty("ends-mixed.csv", HEAD + FIRST.replace("\n", "\r") + "Mia,K5,\r\n" + LAST, good=FIVE),
    Dirty("no-last-end.csv", WHOLE.rstrip("\n"), good=KEYS),
    Dirty(
        "wide.csv", ",".join(["contact_name", "cf_external_id", *WIDE]) + "\nA,K1" + "," * 2_000 + "\n", good=("K1",)
    ),
    Dirty(
        "wide-unknown.csv",
        ",".join(["contact_name", *(f"x{i}" for i in range(2_000))]) + "\nA" + ",1" * 2_000 + "\n",
        "",
        (),
        ("is no known field",),
    ),
    # Cells.
    Dirty("breaks-in-cells.csv", f'{HEAD}{FIRST}Mia,K5,"a\r\nb\rc\n\nd"\n', good=("K1", "K5")),
    table("breaks-and-faults", '"","K\r5","a\r\nb\rc\n"\n', bad=("is required",)),
    table("carriage-return-failed", '"",K5,"a\rb"\n', bad=("is required",)),
    table("cell-10-mb", f"Mia,K5,{BIG}\n", bad=("has a cell of 10,000,000 characters",)),
    table("cell-20-mb", f"Mia,K5,{BIG}{BIG}\n", refused="a cell of more than 16,777,216 characters"),
    table("cell-100-kb", f"{'n' * 100_000},K5,\n", bad=("at most 200 characters",)),
    table("key-100-kb", f"Mia,{'k' * 100_000},\n", bad=("cf_external_id",)),
    table("key-9-kb", f"Mia,{'k' * 9_000},\n", bad=("cf_external_id",)),
    table("key-rounded", "Mia,4.6E+14,\n", bad=("was rounded by a spreadsheet",)),
    table("key-rounded-by-comma", 'Mia,"4,6e+14",\n', bad=("was rounded by a spreadsheet",)),
    table("key-with-break", '"Mia","K\n5",\n', bad=("must not begin or end with a blank or hold line breaks",)),
    table("key-twice", "Mia,K1,\n", bad=("is the same as in row 1",)),
    table("name-twice", "Anna,K5,\n", bad=("row 1 has it",)),
    table("formulas", '"=HYPERLINK(""http://x"")",K5,=1+1\n#REF!,K6,#N/A\n', bad=()),
    table("controls", "\x01\x02\x1b[31m,K5,\x7f\x85\u2028\u200b\n", bad=()),
    table("outside-the-plane", "😀𠜎,K😀,\u202e\n", bad=()),
    Dirty(
        "id-rounded.csv",
        "contact_name,cf_external_id,currency_id\nMia,K5,4.6E+14\nZoe,K9,\n",
        "",
        ("K9",),
        ("rounded",),
    ),
    Dirty(
        "numbers.csv",
        "contact_name,cf_external_id,credit_limit\nA,K1,NaN\nB,K2,Infinity\nC,K3,1e999\nD,K4,1.50\n"
        f'E,K5,"1,000"\nF,K6,{"9" * 5_000}\nG,K7,٣\n',
        "",
        ("K4",),
        ("credit_limit",) * 6,
    ),
    Dirty(
        "number-30-digits.csv",
        f"contact_name,cf_external_id,credit_limit\nA,K1,{'9' * 30}\nB,K2,{'9' * 60}.99\n",
        good=("K1", "K2"),
    ),
    # Lines.
    lines("line-broken", '{"contact_name": "Mia", "cf_ext', "is not valid JSON"),
    lines("line-split", '{"contact_name": "Mia",\n"cf_external_id": "K5"}', "is not valid JSON", "is not valid JSON"),
    lines("line-cr", '{"contact_name": "M\ria", "cf_external_id": "K5"}', "is not valid JSON", "is not valid JSON"),
    lines("line-list", '["contact_name", "Mia"]', "is not a JSON object"),
    lines("line-words", 'null\n"text"\n12\ntrue\nMia,K5', *["JSON"] * 5),
    lines("line-empty-object", "{}", "is required"),
    lines("line-two-objects", '{"contact_name": "A"} {"contact_name": "B"}', "is not valid JSON"),
    lines("line-comma-behind", member('"notes": ""') + ",", "is not valid JSON"),
    lines("line-blank", " \t\n\n", good=KEYS),
    lines("json-nan", member('"credit_limit": NaN'), "is not valid JSON"),
    lines("json-infinity", member('"credit_limit": -Infinity'), "is not valid JSON"),
    lines("json-1e999", member('"credit_limit": 1e999'), "credit_limit"),
    lines("json-1e-999999999", member('"credit_limit": 1e-999999999'), "credit_limit"),
    lines("json-huge-exponent", member(f'"credit_limit": 1e{"9" * 30}'), "JSON"),
    lines("json-huge-integer", member(f'"credit_limit": {"9" * 5_000}'), "JSON"),
    lines("json-long-integer", member(f'"payment_terms": {"9" * 30}'), "payment_terms"),
    lines("json-lone-surrogate", member('"notes": "\\ud800"'), "is not valid JSON"),
    lines("json-zero", member('"notes": "a\\u0000b"'), good=FIVE),
    lines("json-bom", "\ufeff" + member('"notes": "b"'), "is not valid JSON"),
    lines(
        "json-latin-1", member('"notes": "ü"').encode("latin-1"), refused="line 2 cannot be read as UTF-8 (byte 0xFC)"
    ),
    lines("json-key-twice", member('"notes": "a", "notes": "b"'), good=FIVE),
    lines("json-name-with-break", member('"a\\nb": "c"'), "is no known field"),
    lines("json-custom-with-break", member('"cf_a\\r\\nb": "c", "notes": ["x"]'), "notes"),
    lines("json-name-long", member(f'"{"n" * 1_000_000}": "c"'), "is no known field"),
    lines("json-key-number", '{"contact_name": "Mia", "cf_external_id": 46.5}', "cf_external_id"),
    lines("json-key-nested", '{"contact_name": "Mia", "cf_external_id": {"a": "b"}}', "cf_external_id"),
    lines("json-types", member('"contact_persons": "none", "billing_address": [1]'), "must be"),
    lines("json-deep", member(f'"notes": {"[" * 100_000}'), "is not valid JSON"),
    lines("json-deep-closed", member(f'"notes": {"[" * 100_000}{"]" * 100_000}'), "is not valid JSON"),
    lines("json-deep-objects", member('"a": ' + '{"a":' * 700 + "1" + "}" * 700), "is no known field"),
    lines("json-10-mb", member(f'"notes": "{BIG}"'), "notes"),
]


async def end(fake: FakeZoho, zoho: Zoho, path: Path) -> tuple[str, list[RowOutcome]]:
    """Pushes a file and checks what holds for every file; the sentence it is refused with, or its outcomes."""
    try:
        source = bulk.open_rows(path)
    except bulk.InputError as error:
        sentence = str(error)
        assert sentence.startswith(f"{path}: ")
        plain(sentence)
        assert fake.counts == {}
        return sentence, []
    outcomes: list[RowOutcome] = []
    with RejectsFile(source) as failed:
        async for outcome in bulk.push(zoho.books.contacts, source, upsert_by="cf_external_id"):
            outcomes.append(outcome)
            if outcome.status == "done":
                assert outcome.reason == ""
                assert outcome.record_id
            else:
                assert outcome.status == "failed"
                plain(outcome.reason)
                plain(outcome.sentence(str(path)))
                failed.add(
                    outcome.row, reason=outcome.reason, code=outcome.code, field=outcome.field, hint=outcome.hint
                )
    outcomes.sort(key=lambda outcome: outcome.row.number)
    assert [outcome.row.number for outcome in outcomes] == list(range(1, source.count + 1))
    assert fake.created("cf_external_id") == Counter(key(one) for one in outcomes if one.status == "done")
    assert set(fake.created("cf_external_id").values()) <= {1}
    bad = {outcome.row.number: outcome for outcome in outcomes if outcome.status == "failed"}
    assert failed.path.exists() is bool(bad)
    if bad:
        check_failed(failed.path, source, bad)
    return "", outcomes


def check_failed(path: Path, source: bulk.RowFile, bad: dict[int, RowOutcome]) -> None:
    """The file of failed rows can be opened again, and every row stands in it as it stood in the input."""
    again = bulk.open_rows(path)
    assert again.count == len(bad)
    for row in again:
        if source.format == "csv":
            place = again.columns.index(ADDED[0])
            was = bad[int(row.raw[place])].row.raw
            kept = [*row.raw[:place], *row.raw[place + len(ADDED) :]]
            assert kept == [*was, *[""] * (place - len(was))]
        else:
            told = json.loads(row.raw, parse_int=str)
            was = bad[int(told["zoho_row"])].row
            if ADDED_LINE in told:
                assert was.fault
                assert told[ADDED_LINE] == was.raw
            else:
                assert (row.values, row.fault) == (was.values, was.fault)


def plain(text: str) -> None:
    """A reason is one line for people."""
    assert text.strip()
    assert len(text.splitlines()) == 1, text[:500]
    assert text.isprintable(), text[:500]
    assert "Traceback" not in text
    assert "Error(" not in text
    assert len(text) < 5_000


def key(outcome: RowOutcome) -> str:
    return str(outcome.row.values["cf_external_id"])


@pytest.mark.parametrize("dirty", [pytest.param(one, id=one.name) for one in DIRTY])
async def test_a_dirty_file_ends_in_clear_words(fake: FakeZoho, zoho: Zoho, tmp_path: Path, dirty: Dirty) -> None:
    path = tmp_path / dirty.name
    path.write_bytes(dirty.data)
    sentence, outcomes = await end(fake, zoho, path)
    assert bool(sentence) == bool(dirty.refused), sentence
    assert dirty.refused in sentence
    reasons = [outcome.reason for outcome in outcomes if outcome.status == "failed"]
    assert len(reasons) == len(dirty.bad), reasons
    for reason, word in zip(reasons, dirty.bad, strict=True):
        assert word in reason
    if not dirty.refused:
        assert set(dirty.good) <= {key(outcome) for outcome in outcomes if outcome.status == "done"}


def test_they_are_a_hundred_with_names_of_their_own() -> None:
    assert len({dirty.name for dirty in DIRTY}) == len(DIRTY) >= 100


COLUMNS = ("contact_name", "cf_external_id", "notes", "credit_limit", "billing_address.city")
GOOD_TABLE = (
    ",".join(COLUMNS) + "\n" + "".join(f'"Name {i}",K{i},"a ""b""\nü",{i}.50,Roma\n' for i in range(6))
).encode()
GOOD_LINES = "".join(
    json.dumps(dict(zip(COLUMNS, (f"Name {i}", f"K{i}", 'a "b"\nü', i + 0.5, "Roma"), strict=True))) + "\n"
    for i in range(6)
).encode()
PIECES = [
    b'"',
    b"\r",
    b"\n",
    b",",
    b";",
    b"\t",
    b"\0",
    b"\xff",
    b"\xfe",
    b"\xc3",
    codecs.BOM_UTF8,
    b"{",
    b"[",
    b"\\",
    b"\\u",
    b"1e999",
    b"\xe2\x80\xa8",
    b" ",
    b"K1",
    b"4.6E+14",
    b"NaN",
    b"\x1b",
]

quickly = settings(
    max_examples=examples(25), suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
changes = st.lists(
    st.tuples(
        st.floats(0, 1, exclude_max=True),
        st.integers(0, 4),
        st.sampled_from(PIECES) | st.binary(min_size=1, max_size=3),
    ),
    min_size=1,
    max_size=4,
)


def replace(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    rejects_path(path).unlink(missing_ok=True)


async def fresh_end(path: Path, content: bytes) -> tuple[str, list[RowOutcome]]:
    """The end of one more file, in a Zoho of its own and with no failed rows of the file before."""
    replace(path, content)
    async with FakeZoho(per_minute=None) as fake, client_of(fake) as zoho:
        found = await end(fake, zoho, path)
        assert fake.crashes == 0
        return found


@pytest.mark.parametrize(("name", "good"), [("a.csv", GOOD_TABLE), ("a.jsonl", GOOD_LINES)])
async def test_the_file_that_is_changed_is_good(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path, name: str, good: bytes
) -> None:
    path = tmp_path / name
    path.write_bytes(good)
    _, outcomes = await end(fake, zoho, path)
    assert [outcome.status for outcome in outcomes] == ["done"] * 6


@pytest.mark.parametrize(("name", "good"), [("a.csv", GOOD_TABLE), ("a.jsonl", GOOD_LINES)])
@quickly
@given(changes=changes)
async def test_a_good_file_with_changed_bytes_ends_in_clear_words(
    tmp_path: Path, name: str, good: bytes, changes: list[tuple[float, int, bytes]]
) -> None:
    content = bytearray(good)
    for place, removed, piece in changes:
        start = int(place * len(content))
        content[start : start + removed] = piece
    await fresh_end(tmp_path / name, bytes(content))


@quickly
@given(rows=st.lists(st.tuples(*[st.text(max_size=12)] * len(COLUMNS)), min_size=1, max_size=6))
async def test_any_cells_of_a_table_end_in_clear_words(tmp_path: Path, rows: list[tuple[str, ...]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, quoting=csv.QUOTE_ALL)
    writer.writerows([COLUMNS, *rows])
    await fresh_end(tmp_path / "a.csv", text.getvalue().encode("utf-8", "surrogatepass"))


values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=6,
)
names = st.sampled_from([*COLUMNS, "contact_persons", "billing_address", "custom_fields", "tags"]) | st.text(max_size=8)


@quickly
@given(rows=st.lists(st.dictionaries(names, values, max_size=5), min_size=1, max_size=6), ascii=st.booleans())
async def test_any_members_of_lines_end_in_clear_words(tmp_path: Path, rows: list[dict[str, Any]], ascii: bool) -> None:
    keyed = [{"contact_name": f"Name {i}", "cf_external_id": f"K{i}", **row} for i, row in enumerate(rows)]
    text = "".join(json.dumps(row, ensure_ascii=ascii) + "\n" for row in keyed)
    await fresh_end(tmp_path / "a.jsonl", text.encode("utf-8", "surrogatepass"))


@pytest.fixture
def cli(fake: FakeZoho, tmp_path: Path) -> Cli:
    return Cli(
        tmp_path,
        {
            "ZOHO_ACCESS_TOKEN": fake.access_token,
            "ZOHO_ORGANIZATION_ID": fake.organization_id,
            "ZOHO_API_URL": fake.url,
            "ZOHO_ACCOUNTS_URL": fake.url,
        },
    )


@pytest.mark.parametrize(
    ("name", "code", "word"),
    [
        ("latin-1.csv", 2, "latin-1.csv: line 3 cannot be read as UTF-8 (byte 0xFC): save it as UTF-8 and try again"),
        ("wide-unknown.csv", 2, "wide-unknown.csv: unknown columns `x0`"),
        ("header-unknown-with-breaks.csv", 2, "unknown column `un\\nknown`"),
        ("unclosed.csv", 2, "unclosed.csv: line 3: the row that begins there has a quoted cell that never ends"),
        ("breaks-and-faults.csv", 3, "breaks-and-faults.csv row 2 (line 3): contact_name: is required"),
        ("numbers.csv", 3, "numbers.csv row 1 (line 2): credit_limit: must be a number"),
        ("json-deep.jsonl", 3, "json-deep.jsonl row 2 (line 2): is not valid JSON"),
        ("json-huge-exponent.jsonl", 3, "json-huge-exponent.jsonl row 2 (line 2): is not valid JSON"),
    ],
)
async def test_the_command_tells_it_on_the_screen(fake: FakeZoho, cli: Cli, name: str, code: int, word: str) -> None:
    dirty = next(one for one in DIRTY if one.name == name)
    (cli.folder / name).write_bytes(dirty.data)
    result = await cli(
        "push", "books", "contacts", "--per-minute", "0", "--upsert-by", "cf_external_id", "--from", name
    )
    assert result.code == code, result.err
    assert word in result.err
    assert all(len(line) < 5_000 for line in result.err.splitlines())
    assert set(fake.created("cf_external_id")) == set(dirty.good)
    assert rejects_path(cli.folder / name).exists() is (code == 3)
