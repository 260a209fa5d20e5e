"""The command line with files of other programs: mappings, presets, drafts, standard input, columns."""

from __future__ import annotations

import csv
import gzip
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


CUSTOMERS = [["Firma", "Mail", "PLZ", "Limit"], ["Quillon", "ada@x.example", "01067", "5"], ["Peri", "", "02134", "x"]]
MAPPING = """
ignore = ["Mail"]
[read]
decimal = ","
skip_rows = ["Summe"]
[columns]
Firma = "contact_name"
Limit = "credit_limit"
[fields]
"billing_address.zip" = "{PLZ|unquoted}"
"""


@pytest.mark.parametrize("kind", ["csv", "csv with a title", "cp1252", "xlsx", "gz", "-", "- and jsonl", "json"])
async def test_rejects_are_corrected_and_pushed_with_the_same_mapping(fake: FakeZoho, cli: Cli, kind: str) -> None:
    table = "".join(";".join(row) + "\n" for row in CUSTOMERS)
    objects = [dict(zip(CUSTOMERS[0], row, strict=True)) for row in CUSTOMERS[1:]]
    mapping, name, stdin = MAPPING, "a.csv", b""
    content = table.encode()
    match kind:
        case "csv with a title":
            content = b"Customers\n\n" + content
            mapping = mapping.replace("[read]", "[read]\nheader_row = 3")
        case "cp1252":
            content = table.replace("Quillon", "Müller").replace("Peri", "Jäger").encode("cp1252")
            mapping = mapping.replace("[read]", '[read]\nencoding = "cp1252"\nseparator = ";"')
        case "xlsx":
            name, content = "a.xlsx", workbook(("Kunden", CUSTOMERS), ("Other", [["x"]]))
            mapping = mapping.replace("[read]", '[read]\nsheet = "Kunden"\nseparator = ";"')
        case "gz":
            name, content = "a.csv.gz", gzip.compress(content)
        case "-":
            name, stdin = "-", content
        case "- and jsonl":
            name, stdin = "-", "".join(json.dumps(one) + "\n" for one in objects).encode()
        case "json":
            name, content = "a.json", json.dumps(objects, indent=1).encode()
        case _:
            pass
    if name != "-":
        (cli.folder / name).write_bytes(content)
    (cli.folder / "m.toml").write_text(mapping)
    assert (await cli(*PUSH, "--from", name, "--map", "m.toml", stdin=stdin)).code == 3
    (rejects,) = cli.folder.glob("*.failed.*")
    encoding = "utf-8-sig" if rejects.suffix == ".csv" else "utf-8"
    text = rejects.read_text(encoding=encoding)
    assert "Firma" in text
    assert "credit_limit: must be a number" in text
    corrected = text.replace(";x;", ";7,5;").replace('"Limit":"x"', '"Limit":"7,5"').replace("02134", "'02135")
    rejects.write_text(corrected, encoding=encoding)
    again = await cli(*PUSH, "--from", rejects.name, "--map", "m.toml")
    assert again.code == 0, again.err
    contacts = sorted(fake.organization().contacts.values(), key=lambda one: str(one["credit_limit"]))
    assert [(one["credit_limit"], one["billing_address"]["zip"]) for one in contacts] == [(5, "01067"), (7.5, "02135")]


@pytest.mark.parametrize("name", ["a.csv", "a.csv.gz", "-"])
async def test_rejects_are_corrected_and_pushed_with_the_same_preset(fake: FakeZoho, cli: Cli, name: str) -> None:
    content = b"First Name,Last Name,Email,Company Name,Unknown\nAda,Quill,ada@x.example,Quillon,x\n,,,,y\n"
    stdin = content if name == "-" else b""
    if name != "-":
        (cli.folder / name).write_bytes(gzip.compress(content) if name.endswith(".gz") else content)
    assert (await cli(*PUSH, "--from", name, "--preset", "hubspot", stdin=stdin)).code == 3
    (rejects,) = cli.folder.glob("*.failed.csv")
    rejects.write_text(rejects.read_text().replace("\n,,,,y", "\nBo,Peri,,,y"))
    again = await cli(*PUSH, "--from", rejects.name, "--preset", "hubspot")
    assert again.code == 0, again.err
    assert sorted(fake.created()) == ["Bo Peri", "Quillon"]


WARNED = "Contact Name,Email,Notes\n Quillon A,ada@x.example;bo@x.example,x\nquillon a,,NULL\n"


async def test_a_dry_run_shows_warnings_columns_and_changed_cells(cli: Cli) -> None:
    (cli.folder / "a.csv").write_text(WARNED)
    dry = await cli(*PUSH, "--from", "a.csv", "--dry-run")
    assert dry.code == 0, dry.err
    assert "  warning (several_emails): row 1: more than one e-mail in a cell" in dry.out
    assert "  warning (placeholder): row 2: a word that stands for an empty or wrong cell" in dry.out
    assert "  warning (similar_name): row 2: a name that differs from that of an earlier row" in dry.out
    assert "  Contact Name -> contact_name: Quillon A (1 cell changed)\n" in dry.out
    assert "  Email -> contact_persons[0].email: ada@x.example;bo@x.example\n" in dry.out
    assert "  cells that are written otherwise than they stand in the file: 1\n" in dry.out
    result = (await cli(*PUSH, "--from", "a.csv", "--dry-run", "--json")).json
    assert [(one["kind"], one["rows"]) for one in result["warnings"]] == [
        ("several_emails", [1]),
        ("placeholder", [2]),
        ("similar_name", [2]),
    ]
    assert result["columns"][0] == {
        "column": "Contact Name",
        "field": "contact_name",
        "first": "Quillon A",
        "changed": 1,
    }
    assert result["cells_changed"] == 1


async def test_strict_makes_warnings_errors(fake: FakeZoho, cli: Cli) -> None:
    (cli.folder / "a.csv").write_text(WARNED)
    dry = await cli(*PUSH, "--from", "a.csv", "--dry-run", "--strict")
    assert dry.code == 2
    assert "--strict, and there are warnings: several_emails 1, placeholder 1, similar_name 1" in dry.err
    assert "warning (placeholder)" in dry.out
    pushed = await cli(*PUSH, "--from", "a.csv", "--strict")
    assert pushed.code == 2
    assert "strict, and there are warnings: row 1: more than one e-mail" in pushed.err
    assert not fake.created()
    assert not list(cli.folder.glob("*.failed.*"))
    (cli.folder / "a.csv").write_text("contact_name\nQuillon\n")
    assert (await cli(*PUSH, "--from", "a.csv", "--strict", "--dry-run")).code == 0
    assert (await cli(*PUSH, "--from", "a.csv", "--strict")).code == 0


async def test_a_dry_run_writes_every_rows_decision(fake: FakeZoho, cli: Cli) -> None:
    (cli.folder / "first.csv").write_text("contact_name,notes\nB,=1+1\n")
    assert (await cli(*PUSH, "--from", "first.csv")).code == 0
    (cli.folder / "a.csv").write_text("contact_name,notes,credit_limit\n=A,x,\nB,y,\n@C,,x\n")
    dry = await cli(
        *PUSH, "--from", "a.csv", "--on-existing", "update", "--dry-run", "--to", "plan.csv", "--state", "b.db"
    )
    assert dry.code == 3
    text = (cli.folder / "plan.csv").read_text(encoding="utf-8-sig")
    rows = sorted(csv.DictReader(text.splitlines()), key=lambda row: row["row"])
    (record_id,) = fake.organization().contacts
    assert [(row["row"], row["line"], row["key"], row["decision"], row["record_id"]) for row in rows] == [
        ("1", "2", "'=A", "create", ""),
        ("2", "3", "B", "update", record_id),
        ("3", "4", "'@C", "invalid", ""),
    ]
    assert rows[1]["changes"] == 'notes: "=1+1" -> "y"'
    assert rows[2]["reason"].startswith("credit_limit: must be a number")


async def test_decisions_need_a_dry_run_and_a_file_of_their_own(cli: Cli) -> None:
    (cli.folder / "a.csv").write_text("contact_name\nA\n")
    assert (await cli(*PUSH, "--from", "a.csv", "--to", "plan.csv")).code == 2
    own = await cli(*PUSH, "--from", "a.csv", "--dry-run", "--to", "a.csv")
    assert (own.code, "is the input itself" in own.err) == (2, True)
    nowhere = await cli(*PUSH, "--from", "a.csv", "--dry-run", "--to", "none/plan.csv")
    assert (nowhere.code, "none/plan.csv: cannot be written" in nowhere.err) == (2, True)
    assert (cli.folder / "a.csv").read_text() == "contact_name\nA\n"


async def test_a_custom_field_that_a_fake_lacks_is_named_with_how_to_declare_it(fake: FakeZoho, cli: Cli) -> None:
    (cli.folder / "a.csv").write_text("contact_name,cf_region\nA,North\nB,North\n")
    for options in (["--dry-run"], []):
        refused = await cli(*PUSH, "--from", "a.csv", *options)
        assert refused.code == 2
        assert "`zoho-async fake --custom-field cf_region`" in refused.err
    assert not fake.created()
    async with FakeZoho(custom_fields=["cf_region"]) as other:
        pushed = await Cli.against(other, cli.folder)(*PUSH, "--from", "a.csv", "--state", "other.sqlite")
        assert (pushed.code, sorted(other.created())) == (0, ["A", "B"])
