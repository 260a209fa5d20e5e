"""A header that cannot be meant is refused before any call, with what may be wrong with it."""

from __future__ import annotations

from pathlib import Path

import pytest

from zoho_async import Zoho, bulk
from zoho_async.bulk.rows.columns import header_hint
from zoho_async.fake import FakeZoho


@pytest.mark.parametrize(
    ("names", "hint"),
    [
        (["contact_name^notes^website"], "; if '^' separates its cells, a mapping must say so ([read] separator)"),
        (["contact_name~notes~website"], "; if '~' separates its cells, a mapping must say so ([read] separator)"),
        (["contact_name,notes"], "; each of its lines looks like one quoted cell: remove the outer quotes"),
        (["contact_name   notes"], "; if its columns have a fixed width, save it as CSV"),
        (["Quillon", "28195"], "; the first line looks like a row, not like a header: write one above it"),
        (["Quillon", "ada@x.example"], "; the first line looks like a row, not like a header: write one above it"),
        (["2026-11-28", "x"], "; the first line looks like a row, not like a header: write one above it"),
        (["CF.Region"], ""),
        (["Address 1 - City", "E-mail 2", "VAT"], ""),
    ],
)
def test_what_may_be_wrong_with_a_header(names: list[str], hint: str) -> None:
    assert header_hint(names) == hint


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("contact_name,notes,notes\nA,x,y\n", "the header names `notes` more than once; rename or delete all but one"),
        ("contact_name^notes^website\nA^x^y\n", r"if '\^' separates its cells, a mapping must say so"),
        ("Quillon,Bremen,28195\nPeri,Ulm,89073\n", "unknown column `28195`; the first line looks like a row"),
        (
            "Organization,First Name\nQuillon,Ada\n",
            "there is no column `contact_name`, which every record must have; it has `Organization`, `First Name`; "
            "`zoho-async map FILE` drafts a mapping",
        ),
        (
            "Customer,,Address\ncontact_name,notes,website\nA,x,y\n",
            "column 2 has no name in the header, .*header_row.*if it is not line 1",
        ),
    ],
)
async def test_such_a_file_is_refused_as_a_whole(tmp_path: Path, text: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    with pytest.raises(bulk.InputError, match=words):
        bulk.check("books.contacts", bulk.open_rows(tmp_path / "a.csv"))


@pytest.mark.parametrize(
    ("text", "options"),
    [("contact_id,notes\n46,x\n", {}), ("cf_id,notes\n1,x\n", {"match_by": "cf_id"}), ("name\nA\n", {})],
)
def test_rows_that_are_known_otherwise_need_no_name(tmp_path: Path, text: str, options: bulk.PushOptions) -> None:
    (tmp_path / "a.csv").write_text(text)
    bulk.check("books.contacts", bulk.open_rows(tmp_path / "a.csv"), **options)


async def test_without_credentials_columns_that_may_be_custom_fields_are_named(
    fake: FakeZoho, zoho: Zoho, tmp_path: Path
) -> None:
    (tmp_path / "a.csv").write_text("contact_name,Region (EU)\nA,North\n")
    source = bulk.open_rows(tmp_path / "a.csv")
    bulk.check("books.contacts", source)
    await bulk.plan("books.contacts", source)
    assert source.notes == (
        "no fields; without credentials it is not known whether they are custom fields: `Region (EU)`",
    )
    with pytest.raises(bulk.UnknownColumnError, match="no custom field of that label"):
        await bulk.plan(zoho.books.contacts, source)
