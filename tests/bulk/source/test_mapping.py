"""Mappings: what they may say, how they are bound to a file, and what they make of its rows."""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.profiles import examples

from zoho_async import Zoho, bulk
from zoho_async.bulk import InputError, UnknownColumnError, open_rows, read_mapping
from zoho_async.bulk.source.mapping import parse_mapping
from zoho_async.bulk.source.reading import Reading
from zoho_async.bulk.source.templates import FUNCTIONS, Cell, parse_template
from zoho_async.fake import FakeZoho

Made = Callable[..., list[dict[str, Any]]]


@pytest.fixture
def made(tmp_path: Path) -> Made:
    """The rows that a mapping makes of a table."""

    def rows(mapping: str, table: str) -> list[dict[str, Any]]:
        (tmp_path / "a.csv").write_text(table, encoding="utf-8")
        (tmp_path / "m.toml").write_text(mapping, encoding="utf-8")
        return [row.values for row in open_rows(tmp_path / "a.csv", mapping=read_mapping(tmp_path / "m.toml"))]

    return rows


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("columns = 1", "[columns] must be a table"),
        ("[columns]\na = 1", "[columns] a must be a text or a list of texts"),
        ("colums = 1", "`colums` is not known; did you mean `columns`?"),
        ("[read]\nheader = 1\n[columns]\na = 'b'", "[read] `header` is not known; did you mean `header_row`?"),
        ("[read]\nheader_row = 0\n[columns]\na = 'b'", "header_row must be the number of a line, from 1"),
        ("[read]\ndecimal = ';'\n[columns]\na = 'b'", '[read] decimal must be "." or ","'),
        ("[read]\nseparator = '::'\n[columns]\na = 'b'", "separator must be one character"),
        ("[read]\nencoding = 'latin-99'\n[columns]\na = 'b'", "there is no encoding `latin-99`"),
        ("[fields]\na = 'b'", "[fields] a: it names no column: write {Column}, or put the text under [constants]"),
        ("[fields]\na = '{b'", "[fields] a: a brace is not closed"),
        ("[fields]\na = '{}'", "a pair of braces names no column"),
        ("[fields]\na = '{b|upcase}'", "there is no function `upcase`; there is first, digits"),
        ("ignore = ['a']", "maps nothing"),
        ("[columns]\na = 'c'\nb = 'c'", "two sources for one field: the column `a` and the column `b`"),
        ("[columns]\na = 'c'\n[constants]\nc = 'x'", "two sources for one field: the column `a` and [constants] `c`"),
        ("[columns]\na = 'c'\n[values.d]\nx = 'y'", "[values] has `d`, which no column or field fills"),
        ("[columns]\na = 'c'\n[values.c]\nX = 'y'\nx = 'z'", "has a word twice"),
        ("[columns]\na = 'c'\n[group]\nby = 'a'", "[group] needs by"),
        (
            "[fields]\n'a.b' = '{c}'\n[[fields.a]]\nb = '{d}'",
            "two sources for one field: [fields] `a.b` and [[fields.a]]",
        ),
        ("[[fields.a]]\nb = 1", "[[fields.a]] b must be a text or a list of texts"),
        ("a = ", "is no TOML"),
    ],
)
def test_a_mapping_that_is_not_possible_is_refused(text: str, word: str) -> None:
    with pytest.raises(InputError) as caught:
        parse_mapping(text, "m.toml")
    assert word in str(caught.value)


def test_a_file_or_preset_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="there is no such file"):
        read_mapping(tmp_path / "none.toml")
    with pytest.raises(InputError, match="there is no preset `xro`; did you mean `xero`"):
        read_mapping("xro")
    (tmp_path / "a.toml").write_bytes(b"[columns]\n\xfc = 'a'")
    with pytest.raises(InputError, match="is not UTF-8"):
        read_mapping(tmp_path / "a.toml")


@pytest.mark.parametrize("name", bulk.presets())
def test_every_preset_can_be_read_and_names_its_source(name: str) -> None:
    preset = read_mapping(name)
    assert preset.description
    assert preset.header_from
    assert (preset.product, preset.resource) == ("books", "contacts")
    known = {column.name for column in bulk.push_columns("books.contacts")} | {"currency_code", "owner_name", "*"}
    assert {target.replace("[1]", "[0]") for target in preset.targets if "[0]" in target or "[1]" in target} <= known
    assert {target for target in preset.targets if "[" not in target} <= known
    assert "contact_name" in preset.targets


def test_the_presets_are_those_that_are_promised() -> None:
    promised = "google-contacts hubspot outlook quickbooks-online shopify stripe xero zoho-books"
    assert bulk.presets() == tuple(promised.split())


def test_columns_fields_constants_and_values(made: Made) -> None:
    mapping = """
        ignore = ["Internal *"]
        [columns]
        "Firma (Name)" = ["contact_name", "company_name"]
        Land = "billing_address.country"
        [fields]
        "contact_persons[0].last_name" = ["{Last}, {First}", "{Mail|lower}"]
        [constants]
        contact_type = "customer"
        [values."billing_address.country"]
        "D" = "Germany"
    """
    table = "firma_name,LAND,First,Last,Mail,Internal 1,Internal 2\n"
    table += "A,d,Ada,Quill,,1,2\nB,Peru,,Quill,X@Y.example,,\nC,,,,X@Y,,\n"
    assert made(mapping, table) == [
        {
            "contact_name": "A",
            "company_name": "A",
            "billing_address.country": "Germany",
            "contact_persons[0].last_name": "Quill, Ada",
            "contact_type": "customer",
        },
        {
            "contact_name": "B",
            "company_name": "B",
            "billing_address.country": "Peru",
            "contact_persons[0].last_name": "Quill",
            "contact_type": "customer",
        },
        {
            "contact_name": "C",
            "company_name": "C",
            "billing_address.country": "",
            "contact_persons[0].last_name": "x@y",
            "contact_type": "customer",
        },
    ]


TOGETHER = """
    optional_columns = true
    [columns]
    Name = "contact_name"
    [[fields.billing_address]]
    city = "{City}"
    zip = "{Zip|unquoted}"
    [[fields.billing_address]]
    city = ["{Home City}", "{Home Town}"]
    zip = "{Home Zip}"
"""


def test_of_fields_that_are_filled_together_the_first_alternative_with_a_value_counts(
    made: Made, tmp_path: Path
) -> None:
    table = "Name,City,Zip,Home Town,Home Zip\nA,Ulm,,Bonn,53111\nB,,,Bonn,53111\nC,,'1,Bonn,1\nD,,,,\n"
    cities = [(row.get("billing_address.city"), row.get("billing_address.zip")) for row in made(TOGETHER, table)]
    assert cities == [("Ulm", ""), ("Bonn", "53111"), ("", "1"), (None, None)]
    source = open_rows(tmp_path / "a.csv", mapping=tmp_path / "m.toml")
    assert [row.number for row in source] == [1, 2, 3, 4]
    assert source.notes == (
        "line 2: 'Bonn' of `Home Town` left out",
        "line 2: '53111' of `Home Zip` left out",
        "line 4: 'Bonn' of `Home Town` left out",
    )
    assert source.mapped[1:] == (
        ("{City} or {Home Town}", "billing_address.city", "Ulm"),
        ("{Zip} or {Home Zip}", "billing_address.zip", "'1"),
    )


def test_the_first_value_of_a_field_is_that_of_a_column_that_the_file_has(tmp_path: Path) -> None:
    path, mapping = tmp_path / "a.csv", tmp_path / "m.toml"
    path.write_text("Associate,Mail\nQuillon,\n,a@x.example\n")
    mapping.write_text("[fields]\ncontact_name = ['{Company}', '{Associate}', '{Mail}']\n")
    assert open_rows(path, mapping=mapping).mapped == (("{Associate} or {Mail}", "contact_name", "Quillon"),)


@pytest.mark.parametrize(
    ("mapping", "word", "columns"),
    [
        ("[columns]\nName = 'contact_name'", "says nothing of the columns `City`, `Zip`", ("City", "Zip")),
        ("ignore = ['z*']\n[columns]\nName = 'contact_name'", "says nothing of the column `City`", ("City",)),
        ("ignore = ['*']\n[columns]\nNome = 'contact_name'", "there is no column `Nome`, which", ("Nome",)),
        ("ignore = ['*']\n[fields]\ncontact_name = '{Nome}'", "there is no column `Nome`, which", ("Nome",)),
    ],
)
def test_columns_that_do_not_fit_are_refused_all_named(
    tmp_path: Path, mapping: str, word: str, columns: tuple[str, ...]
) -> None:
    (tmp_path / "a.csv").write_text("Name,City,Zip\nA,B,C\n")
    with pytest.raises(UnknownColumnError, match=word) as caught:
        open_rows(tmp_path / "a.csv", mapping=parse_mapping(mapping, "m.toml"))
    assert caught.value.columns == columns


def test_columns_of_one_name_are_refused_only_where_the_mapping_reads_them(tmp_path: Path) -> None:
    path, mapping = tmp_path / "a.csv", tmp_path / "m.toml"
    path.write_text("Name,Tag,Tag,Tag (2),Mail,Mail\nA,x,y,z,1,2\n")
    mapping.write_text("ignore = ['*']\n[columns]\nName = 'contact_name'\n")
    source = open_rows(path, mapping=mapping)
    assert [row.values for row in source] == [{"contact_name": "A"}]
    assert source.columns == ("Name", "Tag", "Tag (3)", "Tag (2)", "Mail", "Mail (2)")
    assert source.notes == (
        "columns that go nowhere: `Tag` ('x'), `Tag (3)` ('y'), `Tag (2)` ('z'), `Mail` ('1'), `Mail (2)` ('2')",
    )
    mapping.write_text("ignore = ['*']\n[columns]\nName = 'contact_name'\nMail = 'notes'\n")
    with pytest.raises(InputError, match="the header names `Mail` more than once"):
        open_rows(path, mapping=mapping)


def test_a_file_without_a_column_of_an_optional_mapping_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Colour,Shape\nred,round\n")
    with pytest.raises(InputError, match="has none of the columns of the mapping xero; it has `Colour`, `Shape`"):
        open_rows(tmp_path / "a.csv", mapping="xero")


def test_of_several_columns_one_is_enough(made: Made) -> None:
    mapping = "[fields]\ncontact_name = ['{Company}', '{Name}']"
    assert made(mapping, "Name,\nA,\n") == [{"contact_name": "A"}]


def test_the_header_is_found_by_the_columns_of_the_mapping(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('List of; all\n""\nName;City\nA;B\n')
    mapping = parse_mapping("[columns]\nName = 'contact_name'\nCity = 'billing_address.city'", "m.toml")
    source = open_rows(tmp_path / "a.csv", mapping=mapping)
    assert [row.values["contact_name"] for row in source] == ["A"]
    assert (source.header_row, source.separator) == (3, ";")
    assert "the header is line 3; left out before it: 'List of'" in source.notes


def test_rows_are_skipped_by_their_first_text_and_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Name,City\nA,B\nTOTAL,\n,Total: 1\nTotality,C\n")
    mapping = "[read]\nskip_rows = ['TOTAL:', 'TOTAL']\n[columns]\nName = 'contact_name'\nCity = 'billing_address.city'"
    source = open_rows(tmp_path / "a.csv", mapping=parse_mapping(mapping, "m.toml"))
    assert source.count == 1
    assert "(skip_rows): line 3 ('TOTAL'), line 4 ('Total: 1'), line 5 ('Totality')" in source.notes[0]


@pytest.mark.parametrize(
    ("function", "text", "result"),
    [
        ("first", "a@b.example ::: c@d.example", "a@b.example"),
        ("first", "a@b.example; c@d.example", "a@b.example"),
        ("digits", "+49 (421) 1", "494211"),
        ("lower", "AbÄ", "abä"),
        ("upper", "abä", "ABÄ"),
        ("unquoted", "'02134", "02134"),
        ("after_colon", "Phone: (555) 1", "(555) 1"),
        ("after_colon", "Phone:(555) 1  Mobile:(555) 2", "(555) 1"),
        ("after_colon", "(555) 1", "(555) 1"),
        ("days", "Net 30", "30"),
        ("days", "net30", "30"),
        ("days", "30 Days", "30"),
        ("days", "20 DAYSAFTERBILLDATE", "20"),
        ("days", "20 OFFOLLOWINGMONTH", "20 OFFOLLOWINGMONTH"),
        ("days", "Due on Receipt", "0"),
        ("days", "End of month", "End of month"),
        ("amount", "EUR 1,200.00", "1200.00"),
        ("amount", "1,200", "1200"),
        ("amount", "$ -5.5", "-5.5"),
        ("amount", "1.200,00 €", "1.200,00 €"),
        ("amount", "call me", "call me"),
        ("amount", "1200 kr", "1200"),
        ("amount", "(1,200.00)", "(1,200.00)"),
        ("amount", "1200.00-", "1200.00-"),
        ("amount", "1.2M", "1.2M"),
        ("amount", "1200.00 Cr.", "1200.00 Cr."),
        ("not", "Yes", "false"),
        ("not", "0", "true"),
        ("not", "maybe", "maybe"),
        ("first_name", "Ada Maria Quill", "Ada Maria"),
        ("first_name", "Quill, Ada", "Ada"),
        ("first_name", "Quill", ""),
        ("first_name", "Quillon, Inc.", ""),
        ("last_name", "Quillon, Inc.", "Quillon, Inc."),
        ("first_name", "Ada Quill, Jr.", "Ada"),
        ("last_name", "Ada Quill, Jr.", "Quill, Jr."),
        ("first", " ; ", ""),
        ("first_value", "Quillon, Inc. ::: Peri; Sons", "Quillon, Inc."),
        ("first_value", ":::", ""),
        ("last_name", "Ada Maria Quill", "Quill"),
        ("last_name", "Quill, Ada", "Quill"),
        ("date_dmy", "4.3.2024", "2024-03-04"),
        ("date_mdy", "3/4/2024", "2024-03-04"),
        ("date_dmy", "31.2.2024", "31.2.2024"),
    ],
)
def test_functions(function: str, text: str, result: str) -> None:
    assert FUNCTIONS[function](text, Cell(Reading(), lambda part: None)) == result


def test_what_follows_a_further_label_is_left_out() -> None:
    left_out: list[str] = []
    cell = Cell(Reading(), left_out.append)
    assert FUNCTIONS["after_colon"]("Phone: (555) 1 Mobile: (555) 2 Fax: 3", cell) == "(555) 1"
    assert left_out == ["Mobile: (555) 2", "Fax: 3"]


def test_amounts_with_a_decimal_comma_only_where_the_mapping_says_so() -> None:
    cell = Cell(Reading(decimal=","), lambda part: None)
    assert FUNCTIONS["amount"]("1.234,56 €", cell) == "1234.56"
    assert FUNCTIONS["amount"]("1,234.56", cell) == "1,234.56"


def test_functions_can_follow_one_another_and_the_whole_text() -> None:
    cells = {"A": "x ::: Y", "B": ""}
    made = parse_template("{A|first|upper} {B}|lower")
    assert made.filled(lambda name: cells[name], lambda name: Cell(Reading(), lambda part: None)) == "x"


def test_values_that_are_left_out_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Name,Mail\n" + "A,x@y.example ::: z@y.example\n" * 12)
    mapping = parse_mapping("[columns]\nName = 'contact_name'\n[fields]\nemail = '{Mail|first}'", "m.toml")
    source = open_rows(tmp_path / "a.csv", mapping=mapping)
    for _ in range(2):
        assert len(list(source)) == 12
        assert source.notes[0] == "line 2: 'z@y.example' of `Mail` left out"
        assert source.notes[-1] == "2 more values left out"


GROUPED = """
    [columns]
    Name = "contact_name"
    City = "billing_address.city"
    Mail = "contact_persons[0].email"
    [group]
    by = "Id"
    into = "contact_persons"
"""


def test_adjacent_rows_of_one_key_are_one_record(tmp_path: Path) -> None:
    table = "Id,Name,City,Mail\n1,A,,a@x.example\n1,A,Bonn,\n1,Other,Bonn,c@x.example\n"
    table += ",B,,\n,C,,\n2,D,,d@x.example\n1,E,,\n"
    (tmp_path / "a.csv").write_text(table)
    source = open_rows(tmp_path / "a.csv", mapping=parse_mapping(GROUPED, "m.toml"))
    rows = list(source)
    assert rows[0].values == {
        "contact_name": "A",
        "billing_address.city": "Bonn",
        "contact_persons[0].email": "a@x.example",
        "contact_persons[1].email": "c@x.example",
    }
    assert rows[0].more == [["1", "A", "Bonn", ""], ["1", "Other", "Bonn", "c@x.example"]]
    assert [row.number for row in rows] == [1, 2, 3, 4, 5]
    assert source.count == source.total == 5
    assert "does not follow it; sort the file by that column" in rows[4].fault
    assert "line 4: 'Other' for `contact_name` left out: line 2, which it belongs to, has 'A'" in source.notes


def test_amounts_and_words_are_read_as_the_mapping_says(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Name;Limit;Portal\nA;1.234,56;Ja\nB;1,5;Nein\nC;1,234.56;ja\n")
    mapping = parse_mapping(
        "[read]\ndecimal = ','\nyes = ['Ja']\nno = ['Nein']\n"
        "[columns]\nName = 'contact_name'\nLimit = 'credit_limit'\nPortal = 'is_portal_enabled'",
        "m.toml",
    )
    source = open_rows(tmp_path / "a.csv", mapping=mapping)
    bulk.check("books.contacts", source)
    from zoho_async.bulk.rows.options import Options
    from zoho_async.bulk.rows.resource import Destination
    from zoho_async.bulk.rows.validate import RowReader

    target = Destination.named("books.contacts")
    items = [RowReader(target, Options.of(target)).read(row) for row in source]
    assert [str(one.body.get("credit_limit")) for one in items] == ["1234.56", "1.5", "None"]
    assert [one.body.get("is_portal_enabled") for one in items] == [True, False, True]
    assert "must be a number" in items[2].faults[0].message


def test_json_rows_are_mapped_by_their_paths(tmp_path: Path) -> None:
    (tmp_path / "a.jsonl").write_text('{"person": {"name": "A", "mails": ["a@x.example"]}, "vip": true}\n')
    mapping = parse_mapping(
        "ignore = ['vip']\n[columns]\n'person.name' = 'contact_name'\n'person.mails[0]' = 'email'", "m.toml"
    )
    source = open_rows(tmp_path / "a.jsonl", mapping=mapping)
    assert [row.values for row in source] == [{"contact_name": "A", "email": "a@x.example"}]


async def test_rejects_come_back_under_the_files_own_header_and_go_with_the_same_mapping(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(
        "Liste\n\nId;Nr;Name;Straße;Mail\n1;1;A;Ä 1;a@x.example\n2;2;;Ö 2;b@x.example\n2;3;;;c@x.example\n".encode(
            "cp1252"
        )
    )
    mapping = parse_mapping(
        "ignore = ['Nr']\n[read]\nencoding = 'cp1252'\nheader_row = 3\n"
        "[columns]\nName = 'contact_name'\n'Straße' = 'billing_address.address'\nMail = 'contact_persons[0].email'\n"
        "[group]\nby = 'Id'\ninto = 'contact_persons'",
        "m.toml",
    )

    async def pushed(source: bulk.RowFile) -> Path:
        async with bulk.push(zoho.books.contacts, source) as run, bulk.RejectsFile(source, run.summary) as rejects:
            async for outcome in run:
                rejects.record(outcome)
        return rejects.path

    rejects = await pushed(open_rows(path, mapping=mapping))
    with rejects.open(encoding="utf-8-sig", newline="") as file:
        rows = list(csv.reader(file, delimiter=";"))
    assert [row[:6] for row in rows] == [
        ["Id", "Nr", "Name", "Straße", "Mail", "zoho_row"],
        ["2", "2", "", "Ö 2", "b@x.example", "2"],
        ["2", "3", "", "", "c@x.example", "2"],
    ]
    text = rejects.read_text(encoding="utf-8-sig").replace("2;2;;", "2;2;B;", 1)
    rejects.write_text(text, encoding="utf-8-sig")
    assert await pushed(open_rows(rejects, mapping=mapping)) == rejects
    second = next(one for one in fake.organization().contacts.values() if one["contact_name"] == "B")
    assert second["billing_address"]["address"] == "Ö 2"
    assert [one["email"] for one in second["contact_persons"]] == ["b@x.example", "c@x.example"]


def test_a_value_for_which_another_column_came_first_is_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(
        "Company,First,Last,Name,Mail,Mail 2,Mail 3\n"
        "Quillon,Ada,Quill,Ada Quill,a@x.example,b@x.example,\n"
        ",Bo,Peri,Bo Peri,,c@x.example,c@x.example\n"
    )
    (tmp_path / "m.toml").write_text(
        '[fields]\ncontact_name = ["{Company}", "{Name}"]\n"contact_persons[0].first_name" = "{First}"\n'
        '"contact_persons[0].last_name" = "{Last}"\n"contact_persons[0].email" = ["{Mail}", "{Mail 2}", "{Mail 3}"]\n'
    )
    source = open_rows(tmp_path / "a.csv", mapping=tmp_path / "m.toml")
    first, second = source
    assert first.values["contact_persons[0].email"] == "a@x.example"
    assert second.values["contact_persons[0].email"] == "c@x.example"
    # What another field has too is not lost.
    assert source.notes == ("line 2: 'b@x.example' of `Mail 2` left out",)


@given(st.text(alphabet=" ,;:|'.-/&§30aA\n", min_size=1, max_size=12))
@settings(max_examples=examples(100))
def test_a_function_gives_a_text_whatever_the_cell(text: str) -> None:
    for function in FUNCTIONS.values():
        assert isinstance(function(text, Cell(Reading(), lambda part: None)), str)


def test_a_mapping_of_another_resource_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("Firm\nA\n")
    (tmp_path / "m.toml").write_text("product = 'billing'\nresource = 'customers'\n[columns]\nFirm = 'display_name'\n")
    source = open_rows(tmp_path / "a.csv", mapping=tmp_path / "m.toml")
    with pytest.raises(InputError, match=r"m\.toml is for billing customers, not for books contacts; make one"):
        bulk.check("books.contacts", source)
    bulk.check("billing.customers", source)
