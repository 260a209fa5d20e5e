"""Every format is recognised by its content; what is not read is refused with the true reason, in one sentence."""

from __future__ import annotations

import gzip
import io
import json
import zipfile
from pathlib import Path

import pytest
from support.xlsx import workbook

from zoho_async import Zoho, bulk
from zoho_async.bulk import InputError, open_rows
from zoho_async.bulk.source import excel_file
from zoho_async.bulk.source.text import comparable, strip_blanks

OLD_OFFICE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 600


def zipped(*names: str) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, "x")
    return file.getvalue()


@pytest.mark.parametrize(
    ("name", "content", "word"),
    [
        ("a.csv", b"SQLite format 3\0" + b"\0" * 100, "is an SQLite database"),
        ("a.csv", b"PAR1\x15\0PAR1", "is a Parquet file"),
        ("a.csv", b"Obj\x01\x02", "is an Avro file"),
        ("a.csv", b"BZh91AY", "compressed with bzip2"),
        ("a.csv", b"%PDF-1.7\n", "is a PDF document"),
        ("a.csv", zipped("customers.csv"), "is a zip archive with 'customers.csv' in it; unpack it"),
        ("a.xlsx", zipped("word/document.xml"), "is a Word document"),
        ("a.xlsx", zipped("xl/workbook.bin"), "is a binary Excel workbook (.xlsb)"),
        ("a.numbers", zipped("Index/Document.iwa"), "is an Apple Numbers file"),
        ("a.ods", zipped("mimetype", "content.xml"), "is an OpenDocument file"),
        ("a.xlsx", b"PK\x03\x04 cut off", "is a damaged .xlsx or zip file"),
        ("a.xls", OLD_OFFICE, "is an old Excel workbook (.xls)"),
        ("a.xlsx", OLD_OFFICE + "EncryptedPackage".encode("utf-16-le"), "is an Excel workbook with a password"),
        ("a.xls", b"<html><body><table>", "is an HTML page, although its name says .xls"),
        ("a.xls", b"\xef\xbb\xbf  <!DOCTYPE html>\n<html>", "is an HTML page"),
        ("a.xls", b'<?xml version="1.0"?>\n<Workbook xmlns="urn:x">', "is an Excel 2003 XML workbook"),
        ("a.csv", b'<?xml version="1.0"?><a/>', "is XML"),
        ("a.xml", "<?xml version='1.0' encoding='utf-16'?><a/>".encode("utf-16"), "is XML"),
        ("a.csv", b"BEGIN:VCARD\r\nVERSION:3.0\r\n", "is a vCard file"),
        ("a.iif", b"!CUST\tNAME\tBADDR1\nCUST\tA\tB\n", "is an IIF file of QuickBooks Desktop"),
        ("a.qif", b"!Type:Bank\nD1/1'24\n", "is a QIF file"),
        ("a.txt", b"- contact_name: A\n", "is YAML"),
        ("a.yml", b"contact_name: A\n", "is YAML"),
        ("a.txt", b"---\ncontact_name: A\n", "is YAML"),
        ("a.csv", b"| contact_name | notes |\n|---|:--|\n| A | x |\n", "is a table of Markdown"),
        ("a.ini", b"[customer]\ncontact_name = A\n", "is an INI or TOML file"),
        ("a.csv.gz", gzip.compress(gzip.compress(b"contact_name\nA\n", mtime=0), mtime=0), "is compressed twice"),
        ("a.json", b'{"code": 57, "message": "not authorized"}', 'is an answer without records: \'{"code": 57'),
        ("a.ldif", b"dn: cn=A\ncn: A\n", "is an LDIF file"),
        ("a.sql", b"-- dump\nINSERT INTO a VALUES (1);\n", "is an SQL script"),
        ("a.rtf", b"{\\rtf1 a}", "is a text document (RTF)"),
        ("a.csv.gz", gzip.compress(b"SQLite format 3\0", mtime=0), "is an SQLite database"),
        ("a.csv.gz", gzip.compress(b"contact_name\nA\n" * 100, mtime=0)[:-9], "its gzip compression is damaged"),
        ("a.json", b'{"contacts": [{"contact_name": "A"},]}', "the JSON document is broken (line 1, column"),
        ("a.json", b'[\n {"a": 1},\n {"a" 2}\n]', "the JSON document is broken (line 3, column 7"),
        ("a.json", b"[]", "holds no rows"),
        ("a.csv", b"Customers\nMine\n\na,b\n1,2\n3,4\n5,6\n7,8\n", "line 1 is no header: it has one cell where line 4"),
    ],
)
def test_what_is_not_read_is_refused_with_its_reason(tmp_path: Path, name: str, content: bytes, word: str) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError) as caught:
        open_rows(path)
    assert word in str(caught.value)
    assert str(caught.value).startswith(f"{path}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("address", ["https://example.test/a.csv", "s3://bucket/a.csv", "file:///tmp/a.csv"])
def test_an_address_is_refused_and_shown_whole(address: str) -> None:
    for given in (address, Path(address)):
        with pytest.raises(InputError, match=f"^{address}: is an address"):
            open_rows(given)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b'[{"contact_name": "A"}, {"contact_name": "B"}]'),
        ("a.json", b'[\n  {\n    "contact_name": "A"\n  },\n  {"contact_name": "B"}\n]\n'),
        ("a.jsonl", b'[\n  {"contact_name": "A"},\n  {"contact_name": "B"}\n]\n'),
        ("a.json", b'{"data": {"customers": [{"contact_name": "A"}, {"contact_name": "B"}]}}'),
        ("a", b'{"code": 0, "message": "success", "contacts": [{"contact_name": "A"}, {"contact_name": "B"}]}'),
        ("a.json", b'{\n "contacts": [\n  {"contact_name": "A"},\n  {"contact_name": "B"}\n ]\n}'),
        ("a.json", b'{"contact_name": "A"}\n{"contact_name": "B"}\n'),
        ("a.json", b'{\n "contact_name": "A"\n}\n{\n "contact_name": "B"\n}\n'),
        ("a.jsonl", b'{\n "contact_name": "A"\n}{"contact_name": "B"}'),
        ("a.jsonl.gz", gzip.compress(b'{"contact_name": "A"}\n{"contact_name": "B"}\n', mtime=0)),
        ("a.gz", gzip.compress(b"contact_name\nA\nB\n", mtime=0)),
        ("a.csv", b"sep=;\r\ncontact_name;notes\r\nA;\r\nB;\r\n"),
        ("a.csv", "sep=\t\ncontact_name\tnotes\nA\t\nB\t\n".encode("utf-16")),
        ("a.csv", b"# exported, by a tool\n# today\ncontact_name,notes,website\nA,,\nB,,\n"),
        ("a.csv", b"contact_name,,notes,\nA,,,\n,,,\n , ,\t,\nB,,,\n"),
        ("a.txt", workbook(("S", [["contact_name", None], ["A", None], [None, None], ["B", None]]))),
    ],
)
def test_a_format_is_read_whatever_the_name(tmp_path: Path, name: str, content: bytes) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    source = open_rows(path)
    assert [row.values["contact_name"] for row in source] == ["A", "B"]
    assert [row.number for row in source] == [1, 2]
    assert source.count == source.total == 2


def test_one_object_is_one_row_and_an_answer_says_what_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('{\n "contact_name": "A",\n "contact_persons": [{"email": "a@b.example"}]\n}')
    assert [row.values["contact_name"] for row in open_rows(path)] == ["A"]
    path.write_text(json.dumps({"code": 0, "contact": {"contact_name": "A"}}))
    source = open_rows(path)
    assert [row.values for row in source] == [{"contact_name": "A"}]
    assert source.notes == ("the rows are those of `contact`; left out: `code`",)


def test_lines_of_a_document_are_those_where_its_objects_begin(tmp_path: Path) -> None:
    path = tmp_path / "a.json"
    path.write_text('[\n {"a": 1},\n\n {\n  "a": 1\n },\n {"a": 1}]')
    assert [row.line for row in open_rows(path)] == [2, 4, 7]
    path.write_text('{\n "a": 1\n}\n\n{\n  "a": 1\n }\n {"a": 1}')
    assert [row.line for row in open_rows(path)] == [1, 5, 8]


@pytest.mark.parametrize("second", ["{\n 'a': 1\n}", "[1]", '"a"', "{"])
def test_objects_over_several_lines_of_which_one_is_broken_are_refused(tmp_path: Path, second: str) -> None:
    path = tmp_path / "a.json"
    path.write_text('{\n "contact_name": "A"\n}\n' + second)
    with pytest.raises(InputError, match="the JSON document is broken"):
        open_rows(path)


def test_what_is_left_out_is_counted(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("# by a tool\ncontact_name,,notes,,\nA,,x,,\n,,,,\n,,,,\n")
    assert open_rows(path).notes == (
        "the header is line 2; left out before it: '# by a tool'",
        "2 rows without any value left out",
        "3 columns without a name and without any value left out",
    )


def test_cells_of_a_workbook_become_text_as_in_csv(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    header = ["whole", "fraction", "small", "long", "id", "yes", "text"]
    cells = [1067.0, 1200.5, 1e-7, 494210001, 460000000000099001, True, " Köln\u00a0"]
    path.write_bytes(workbook(("S", [header, cells])))
    (row,) = open_rows(path)
    assert row.values == {
        "whole": "1067",
        "fraction": "1200.5",
        "small": "0.0000001",
        "long": "494210001",
        # The digits are lost: an id in this form is refused.
        "id": "4.600000E+17",
        "yes": "true",
        "text": "Köln",
    }
    assert (row.number, row.line) == (1, 2)


def test_errors_of_a_workbook_are_text_and_formulas_without_a_value_are_named(tmp_path: Path) -> None:
    error = b'<c r="B2" t="e"><f>1/0</f><v>#DIV/0!</v></c>'
    empty = b'<c r="B3" t="str"><f>""</f><v></v></c>'
    formula = b'<c r="B4"><f>A4&amp;"x"</f></c>'
    rows = [["contact_name", "notes"], ["A", error], ["B", empty], ["C", formula]]
    (tmp_path / "a.xlsx").write_bytes(workbook(("Other", []), ("K", rows)))
    source = open_rows(tmp_path / "a.xlsx")
    assert [row.values["notes"] for row in source] == ["#DIV/0!", "", ""]
    assert source.notes == (
        "formulas without a value in the file, read as empty: B4; open it in a spreadsheet program and save it",
    )


@pytest.mark.parametrize(
    ("error", "formula"),
    [
        (b'<c r="B2" t="e"><v>#N/A</v></c>', b'<c r="B3"><f>A3</f><v /></c>'),
        (b'<c r="B2" t="e"><v>#N/A</v></c>', b'<c r="B3"><f>A3</f><v></v></c>'),
        (b'<c t="e"><v>#N/A</v></c>', b"<c><f>A3</f></c>"),
    ],
    ids=["as openpyxl writes them", "empty", "without places"],
)
def test_lost_cells_are_found_however_they_are_written(tmp_path: Path, error: bytes, formula: bytes) -> None:
    rows = [["contact_name", "notes"], ["A", error], ["B", formula]]
    (tmp_path / "a.xlsx").write_bytes(workbook(("S", rows)))
    source = open_rows(tmp_path / "a.xlsx")
    assert [row.values["notes"] for row in source] == ["#N/A", ""]
    assert [note.partition(";")[0] for note in source.notes] == [
        "formulas without a value in the file, read as empty: B3"
    ]


async def test_a_formula_without_a_value_is_a_warning_that_strict_makes_an_error(zoho: Zoho, tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook(("S", [["contact_name", "notes"], ["A", "x"], ["B", b'<c r="B3"><f>A3</f><v /></c>']])))
    plan = await bulk.plan(zoho.books.contacts, bulk.open_rows(path))
    assert [(one.kind, one.rows, one.value) for one in plan.warnings] == [("no_value", (2,), "'B3'")]
    with pytest.raises(
        InputError, match="strict, and there are warnings: row 2: a formula without a value in the file"
    ):
        await bulk.plan(zoho.books.contacts, bulk.open_rows(path), strict=True)


def test_the_first_visible_sheet_is_read_or_the_one_of_the_mapping(tmp_path: Path) -> None:
    path, mapping = tmp_path / "a.xlsx", tmp_path / "m.toml"
    rows = [["contact_name"], ["A"]]
    path.write_bytes(
        workbook(("Hidden", rows), ("Empty", []), ("One", rows), ("Two", [["n"], ["B"]]), hidden=["Hidden"])
    )
    source = open_rows(path)
    assert [row.values for row in source] == [{"contact_name": "A"}]
    assert source.notes == ("sheet `One` is read; left out: `Two`",)
    mapping.write_text('[read]\nsheet = "Two"\n[columns]\nn = "contact_name"\n')
    assert [row.values for row in open_rows(path, mapping=mapping)] == [{"contact_name": "B"}]
    mapping.write_text('[read]\nsheet = "Three"\n[columns]\nn = "contact_name"\n')
    with pytest.raises(InputError, match="there is no sheet `Three`; there is `Empty`, `One`, `Two`"):
        open_rows(path, mapping=mapping)


def test_a_sheet_without_a_table_is_named_with_the_others(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook(("Cover", [["About this file"]]), ("Data", [["contact_name"], ["A"]])))
    with pytest.raises(InputError, match="not one row; it is the sheet `Cover`; there is also `Data`: name one"):
        open_rows(path)


def test_without_calamine_the_extra_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> None:
        raise ModuleNotFoundError(name)

    monkeypatch.setattr(excel_file, "import_module", missing)
    path = tmp_path / "a.xlsx"
    path.write_bytes(workbook(("S", [["a"], ["b"]])))
    with pytest.raises(InputError, match=r"pip install 'zoho_async\[excel\]'"):
        open_rows(path)


@pytest.mark.parametrize(
    ("encoding", "word"),
    [
        ("cp1252", "Müller"),
        ("cp850", "Müller"),
        ("mac_roman", "Müller"),
        ("cp1251", "Иванов"),
        ("cp1250", "Łódź"),
        ("shift_jis", "ひらがな"),
        ("gb18030", "北京市朝阳区"),
        ("utf-16-le", "Müller"),
        ("utf-16-be", "Müller"),
    ],
)
def test_a_wrong_encoding_is_guessed_and_the_guess_reads_the_file(tmp_path: Path, encoding: str, word: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(f"contact_name,notes\n{word},plain words\n".encode(encoding))
    with pytest.raises(InputError) as caught:
        open_rows(path)
    assert f"--encoding {encoding}" in str(caught.value)
    (row,) = open_rows(path, encoding=encoding)
    assert row.values["contact_name"] == word


def test_an_unknown_encoding_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("contact_name\nA\n")
    for name in ("latin-99", "base64", "zip"):
        with pytest.raises(InputError, match="there is no encoding"):
            open_rows(path, encoding=name)


def test_a_byte_order_mark_counts_before_the_named_encoding(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes("contact_name\nMüller\n".encode("utf-8-sig"))
    assert [row.values for row in open_rows(path, encoding="cp1252")] == [{"contact_name": "Müller"}]


def test_blanks_of_every_kind_are_taken_off_the_ends_only() -> None:
    assert strip_blanks("\ufeff\u00a0 \u200b a\u200bb \u2060\t\u3000\n") == "a\u200bb"
    assert comparable("* Contact_Name (E-Mail)") == "contactnameemail"
    assert comparable("#") == "#"
