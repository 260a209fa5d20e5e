"""The command line with files of other programs: mappings, presets, drafts, standard input, columns."""

from __future__ import annotations

import csv
import json
import tomllib

import pytest
from support.process import Cli
from support.xlsx import workbook

from zoho_async.fake import FakeZoho

PUSH = ("push", "books", "contacts", "--per-minute", "0")
EXPORT = """List of customers

Firma;Vorname;Nachname;Mail;Limit;Interna
Quillon;Ada;Quill;ada@x.example;1.200,50;x
;Bo;Quill;bo@x.example;;
;;;;5;
"""


async def test_an_export_is_drafted_planned_pushed_and_its_rejects_corrected(fake: FakeZoho, cli: Cli) -> None:
    (cli.folder / "a.csv").write_text(EXPORT, encoding="cp1252")
    draft = await cli("map", "a.csv", "books", "contacts", "--encoding", "cp1252")
    assert draft.code == 0, draft.err
    mapping = tomllib.loads(draft.out)
    assert mapping["read"] == {"encoding": "cp1252", "header_row": 3}
    assert mapping["columns"]["Mail"] == "contact_persons[0].email"
    assert mapping["fields"] == {"contact_name": ["{Firma}", "{Vorname} {Nachname}", "{Mail}"]}
    assert '# "Interna" = "..."  # x' in draft.out
    (cli.folder / "m.toml").write_text(draft.out, encoding="utf-8")
    refused = await cli(*PUSH, "--from", "a.csv", "--map", "m.toml", "--json")
    assert refused.code == 2
    assert refused.json["columns"] == ["Limit", "Interna"]
    text = draft.out.replace("ignore = []", 'ignore = ["Interna"]').replace(
        '# "Limit" = "..."', '"Limit" = "credit_limit"'
    )
    text = text.replace("header_row = 3", 'header_row = 3\ndecimal = ","')
    (cli.folder / "m.toml").write_text(text, encoding="utf-8")
    dry = await cli(*PUSH, "--from", "a.csv", "--map", "m.toml", "--dry-run")
    assert dry.code == 3
    assert "2 to create" in dry.out
    assert "Limit -> credit_limit: 1.200,50" in dry.out
    assert "columns that go nowhere: `Interna` ('x')" in dry.err
    result = await cli(*PUSH, "--from", "a.csv", "--map", "m.toml")
    assert (result.code, sorted(fake.created())) == (3, ["Bo Quill", "Quillon"])
    path = cli.folder / "a.failed.csv"
    path.write_text(path.read_text(encoding="utf-8-sig").replace(";;;;5;", "Third;;;;5;"), encoding="utf-8-sig")
    again = await cli(*PUSH, "--from", "a.failed.csv", "--map", "m.toml")
    assert again.code == 0, again.err
    assert sorted(fake.created()) == ["Bo Quill", "Quillon", "Third"]


async def test_mapping_and_preset_exclude_each_other_and_need_the_file(cli: Cli) -> None:
    both = await cli(*PUSH, "--from", "a.csv", "--map", "m.toml", "--preset", "xero")
    alone = await cli(*PUSH, "--retry", "1", "--preset", "xero")
    assert (both.code, alone.code) == (2, 2)
    assert "either one" in both.err


async def test_presets_are_listed_and_shown(cli: Cli) -> None:
    listed = await cli("presets")
    assert listed.code == 0
    assert "hubspot\n    HubSpot: contacts or companies" in listed.out
    shown = await cli("presets", "show", "shopify")
    assert tomllib.loads(shown.out)["product"] == "books"
    assert (await cli("presets", "show", "none")).code == 2


async def test_columns_have_type_limit_and_values(cli: Cli) -> None:
    result = await cli("columns", "books", "contacts")
    lines = {line.split()[0]: line.split(maxsplit=1)[1] for line in result.out.splitlines()}
    assert lines["contact_name"] == "string, required, at most 200 characters"
    assert lines["contact_type"] == "string, customer | vendor"
    every = await cli("columns", "billing", "customers", "--json")
    found = {one["name"]: one for one in map(json.loads, every.out.splitlines())}
    assert found["display_name"]["required"] is True
    assert (await cli("columns", "books", "nothing")).code == 2


@pytest.mark.parametrize("target", [("books", "contacts"), ("billing", "customers"), ("books", "contact_persons")])
async def test_a_template_is_a_header_that_is_accepted(cli: Cli, target: tuple[str, str]) -> None:
    header = (await cli("template", *target)).out
    (names,) = csv.reader([header])
    (cli.folder / "a.csv").write_text(header + "x" + "," * (len(names) - 1) + "\n")
    result = await cli("push", *target, "--from", "a.csv", "--dry-run")
    assert result.code in (0, 3), result.err
    assert "unknown column" not in result.err


async def test_standard_input_is_pushed_and_its_rejects_are_in_the_working_folder(fake: FakeZoho, cli: Cli) -> None:
    result = await cli(*PUSH, "--from", "-", stdin=b"contact_name,notes\nA,x\n,y\n")
    assert (result.code, fake.created()) == (3, {"A": 1})
    assert (cli.folder / "push.failed.csv").read_text().splitlines()[1].startswith(",y,2,")
    lines = await cli(*PUSH, "--from", "-", stdin=b'{"contact_name": "B"}\n{"contact_name": ""}\n')
    assert (lines.code, fake.created()["B"]) == (3, 1)
    assert (cli.folder / "push.failed.jsonl").exists()


async def test_rejects_of_a_workbook_are_csv_for_excel(cli: Cli) -> None:
    rows = [["contact_name", "notes"], ["Müller", 7.0], [None, "y"]]
    (cli.folder / "a.xlsx").write_bytes(workbook(("S", rows)))
    assert (await cli(*PUSH, "--from", "a.xlsx")).code == 3
    rejects = cli.folder / "a.failed.csv"
    assert rejects.read_bytes().startswith(b"\xef\xbb\xbfcontact_name,notes,zoho_row")
    rejects.write_text(rejects.read_text(encoding="utf-8-sig").replace("\n,y", "\nB,y"), encoding="utf-8-sig")
    assert (await cli(*PUSH, "--from", "a.failed.csv")).code == 0
    assert not list(cli.folder.glob("*.failed.failed*"))
