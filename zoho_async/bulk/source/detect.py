"""Recognises what a file is by its first bytes; what cannot be read is refused with the way out."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path
from typing import Literal

from zoho_async.bulk.errors import InputError

from .content import Content

_ADDRESS = re.compile(r"([a-z][a-z0-9+.-]+):/+(.+)", re.IGNORECASE | re.DOTALL)

_SAVE = "save it as .xlsx or CSV, or export CSV,"
_SQLITE = b"SQLite format 3\0"
_PULLED = (
    "is an SQLite database that a pull wrote; write its records with `sqlite3 FILE 'SELECT coalesce(detail, row) FROM "
    "contacts WHERE deleted_at IS NULL' > FILE.jsonl`"
)
_BINARY = (
    (_SQLITE, "is an SQLite database; write the rows with `sqlite3 -header -csv FILE 'SELECT ...'` first"),
    (b"PAR1", "is a Parquet file; convert it to CSV or JSON Lines"),
    (b"ORC", "is an ORC file; convert it to CSV or JSON Lines"),
    (b"Obj\x01", "is an Avro file; convert it to CSV or JSON Lines"),
    (b"ARROW1", "is an Arrow file; convert it to CSV or JSON Lines"),
    (b"BZh", "is compressed with bzip2; decompress it"),
    (b"\xfd7zXZ\0", "is compressed with xz; decompress it"),
    (b"\x28\xb5\x2f\xfd", "is compressed with zstd; decompress it"),
    (b"7z\xbc\xaf\x27\x1c", "is a 7z archive; unpack it"),
    (b"Rar!\x1a\x07", "is a RAR archive; unpack it"),
    (b"%PDF-", "is a PDF document; export CSV or .xlsx where it comes from,"),
    (b"\x89PNG\r\n\x1a\n", "is a picture (PNG); export CSV or .xlsx where it comes from,"),
    (b"\xff\xd8\xff", "is a picture (JPEG); export CSV or .xlsx where it comes from,"),
    (b"GIF8", "is a picture (GIF); export CSV or .xlsx where it comes from,"),
    (b"{\\rtf", f"is a text document (RTF); {_SAVE}"),
    (b"bplist00", "is a property list of macOS; export CSV"),
)
_OLD_EXCEL = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_TEXTS = (
    (r"<\?xml.{0,400}<Workbook\b|<Workbook\b", "is an Excel 2003 XML workbook; open it in Excel and save it as .xlsx"),
    (r"(<\?xml[^>]*>\s*)?(<!--.*?-->\s*)?<(!doctype\s+html|html|head|body|table|meta)\b", "is an HTML page"),
    (r"<\?xml|<!DOCTYPE|<[A-Za-z][\w:.-]*[\s/>]", "is XML; export CSV, .xlsx or JSON"),
    (r"BEGIN:VCARD", "is a vCard file; import it into Google Contacts or Outlook and export CSV there,"),
    (r"BEGIN:VCALENDAR", "is a calendar; export contacts as CSV"),
    (r"!(HDR|CUST|VEND|CUSTNAMEDICT|TRNS|ACCNT|EMP|OTHERNAME)\b", "is an IIF file of QuickBooks Desktop; export CSV"),
    (r"!(Type|Account|Option)\b:?", "is a QIF file; export CSV"),
    (r"(version: \d+\s+)?dn::? ", "is an LDIF file; export CSV"),
    (r"(--[^\n]*\n\s*|/\*.*?\*/;?\s*)*(INSERT\s+INTO|CREATE\s+TABLE|DROP\s+TABLE)\b", "is an SQL script; export CSV"),
    (r"\|[^\n]*\|[ \t]*\n\|[\s:|-]+\|", "is a table of Markdown; export CSV"),
    (r"\[[\w .-]+\]\s*\n\s*[\w .-]+=", "is an INI or TOML file; export CSV"),
    (r"---\s*\n|%YAML|-\s+[\w\"'][^,;\t|\n]*:(\s|$)", "is YAML; convert it to JSON, or export CSV,"),
)

ContentKind = Literal["excel", "text"]


def refuse_address(path: Path) -> None:
    """Raises InputError for the address of a file elsewhere."""
    if found := _ADDRESS.fullmatch(str(path)):
        slashes = "/" * (3 if found[1].lower() == "file" else 2)
        raise InputError(
            f"{found[1]}:{slashes}{found[2]}: is an address (URL), which is not read; download the file first, or give "
            "its path"
        )


def kind_of(content: Content) -> ContentKind:
    """Whether it is an Excel workbook or may be text.

    Raises:
        InputError: It is something that cannot be read.
    """
    start = content.start(8192)
    if start.startswith((b"PK\x03\x04", b"PK\x05\x06")):
        return _zipped(content)
    if start.startswith(_OLD_EXCEL):
        raise _refused(content, _old_excel(content))
    if start.startswith(_SQLITE) and b"TABLE pulled_from" in content.start(1 << 20):
        raise _refused(content, _PULLED)
    for first, what in _BINARY:
        if start.startswith(first):
            raise _refused(content, what)
    return "text"


def check_format(content: Content, encoding: str) -> None:
    """Raises InputError for text of a format that is neither CSV nor JSON."""
    with content.text(encoding, errors="replace", newline=None) as file:
        head = file.read(4096).lstrip("\ufeff \t\r\n")
    if content.suffix in (".yaml", ".yml") and not head.startswith(("{", "[")):
        raise _refused(content, "is YAML; convert it to JSON, or export CSV,")
    for pattern, what in _TEXTS:
        if re.match(pattern, head, re.IGNORECASE | re.DOTALL):
            if what != "is an HTML page":
                raise _refused(content, what)
            named = f", although its name says {content.suffix}" if content.suffix in (".xls", ".xlsx", ".csv") else ""
            raise _refused(content, f"{what}{named}; open it in Excel and save it as .xlsx, or export CSV,")


def _refused(content: Content, what: str) -> InputError:
    joint = "" if what.endswith(",") else ","
    return InputError(f"{content.path}: {what.removesuffix(',')}{joint} and push that; CSV, JSON and .xlsx are read")


def _old_excel(content: Content) -> str:
    with content.open() as file:
        data = file.read(1 << 22)
    if "EncryptedPackage".encode("utf-16-le") in data:
        return "is an Excel workbook with a password; save it without one"
    if "WordDocument".encode("utf-16-le") in data:
        return f"is an old Word document (.doc); {_SAVE}"
    return "is an old Excel workbook (.xls); open it in Excel and save it as .xlsx"


def _zipped(content: Content) -> ContentKind:
    try:
        with content.open() as file, zipfile.ZipFile(file) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, EOFError, OSError, ValueError) as error:
        raise _refused(content, f"is a damaged .xlsx or zip file ({error}); get it again") from None
    if "xl/workbook.xml" in names:
        return "excel"
    if "xl/workbook.bin" in names:
        raise _refused(content, "is a binary Excel workbook (.xlsb); save it as .xlsx")
    if any(name.endswith(".iwa") or name.startswith("Index/") for name in names):
        raise _refused(content, "is an Apple Numbers file; export it as .xlsx or CSV")
    if "mimetype" in names or "content.xml" in names:
        raise _refused(content, f"is an OpenDocument file; {_SAVE}")
    if any(name.startswith("word/") for name in names):
        raise _refused(content, f"is a Word document; {_SAVE}")
    inside = f" with {names[0]!r} in it" if names else ""
    raise _refused(content, f"is a zip archive{inside}; unpack it")
