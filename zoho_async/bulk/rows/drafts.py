"""Drafts of mappings: what the columns of a file may mean, by their names."""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from zoho_async.bulk.errors import InputError
from zoho_async.bulk.source.files import RowFile, open_rows
from zoho_async.bulk.source.mapping import FileMapping, preset_hint
from zoho_async.bulk.source.reading import SEARCHED, Reading
from zoho_async.bulk.source.row import IGNORED
from zoho_async.bulk.source.text import comparable

from .columns import Columns
from .references import References
from .resource import Destination

_MEANINGS: Mapping[str, tuple[str, str]] = {
    "display": (
        "contact_name display_name",
        "display name, customer name, contact name, account name, client name, client, customer, kunde, kundenname, "
        "nom du client, cliente, customer full name, full name, name, vollständiger name",
    ),
    "company": (
        "company_name",
        "company, company name, associated company, organization, organisation, organization name, business name, "
        "firma, firmenname, unternehmen, société, raison sociale, empresa, razón social, azienda, bedrijf",
    ),
    "first": ("first_name", "first name, given name, forename, vorname, prénom, nombre, nome, voornaam"),
    "last": (
        "last_name",
        "last name, family name, surname, nachname, familienname, nom de famille, apellido, apellidos, "
        "cognome, achternaam",
    ),
    "email": (
        "email",
        "email, e-mail, mail, email address, e-mail address, emailid, e-mail-adresse, correo, "
        "correo electrónico, courriel, primary email",
    ),
    "phone": (
        "phone",
        "phone, phone number, telephone, tel, telefon, telefonnummer, teléfono, téléphone, telefono, "
        "work phone, business phone",
    ),
    "mobile": (
        "mobile",
        "mobile, mobile phone, mobile phone number, mobilephone, cell, cell phone, handy, mobil, móvil, "
        "portable, mobile number",
    ),
    "fax": ("fax", "fax, fax number, faxnummer"),
    "salutation": ("salutation", "salutation, anrede, civilité, tratamiento"),
    "designation": ("designation", "designation, job title, position, titel, fonction, cargo"),
    "department": ("department", "department, abteilung, service, departamento"),
    "street": (
        "address street",
        "street, address, address line 1, address1, street address, straße, strasse, adresse, dirección, "
        "indirizzo, addr",
    ),
    "attention": ("attention", "attention, attn, care of"),
    "street2": ("street2", "street 2, street2, address line 2, address2, adresszusatz"),
    "city": ("city", "city, town, ort, stadt, ville, ciudad, città, plaats"),
    "state": ("state", "state, province, region, state/province, state/region, bundesland, provincia, county"),
    "zip": (
        "zip",
        "zip, zip code, postal code, postcode, zip/postal code, plz, postleitzahl, code postal, "
        "código postal, cap, pincode",
    ),
    "country": ("country", "country, country/region, land, pays, país, paese, country code"),
    "website": ("website", "website, website url, web site, web, url, homepage, webseite, site web, web page"),
    "notes": ("notes", "notes, note, comment, comments, remarks, bemerkung, notizen, description, memo"),
    "terms": ("payment_terms", "payment terms, terms, zahlungsziel, payment term, net days, plazo"),
    "limit": ("credit_limit", "credit limit, kreditlimit, límite de crédito"),
    "currency": ("currency_code", "currency, currency code, währung, devise, moneda"),
    "vat": ("vat_reg_no", "vat, vat number, vat no, vat id, ust-id, ustid, ust-idnr"),
    "gst": ("gst_no", "gstin, gst no, gst number"),
    "sub type": ("customer_sub_type", "customer sub type, customer type"),
    "number": (
        "contact_number",
        "customer number, customer no, kundennummer, kundennr, account number, client id, customer id",
    ),
}
"""For each meaning the last words of the columns that take it, and the names that files give it."""
_WORDS = {comparable(word): meaning for meaning, (_, words) in _MEANINGS.items() for word in words.split(",")}
_SHIPPING = re.compile(r"^(shipping|ship\s*to|ship|delivery|liefer)\W*", re.IGNORECASE)
_BILLING = re.compile(
    r"^(billing|bill\s*to|bill|invoice|mailing|postal|default address|business|rechnungs?|address(?=\s))\W*",
    re.IGNORECASE,
)
_NEAR = 0.88


def draft_mapping(path: str | Path, resource: Any = "books.contacts", *, encoding: str | None = None) -> str:
    """Drafts a mapping from the header of a file: synonyms, and names that are near to a column's.

    Args:
        path: The file.
        resource: A client's resource, or its name such as `books.contacts`.
        encoding: Python's name of the file's encoding; None: UTF-8, or UTF-16 with a byte order mark.

    Returns:
        TOML for `read_mapping`. Columns whose meaning is not known stand in it as comments.

    Raises:
        InputError: The file cannot be read, or there is no such resource.
    """
    destination = Destination.named(resource) if isinstance(resource, str) else Destination.of(resource)
    destination.check_pushable()
    source = _opened(Path(path), encoding, destination)
    names = list(source.columns) or list(dict.fromkeys(column for column, _, _ in source.mapped))
    names = [name for name in names if name not in IGNORED]
    firsts = {column: first for column, _, first in source.mapped}
    found, unknown = _matched(names, destination.columns)
    fields = _fields(found, destination)
    preset = preset_hint(names, destination.name)
    lines = [
        *([f"# No mapping may be needed{preset}"] if preset else []),
        f"# Drafted from {Path(path).name}. Check every line; columns that it does not name are refused.",
        f"# The columns there are: zoho-async columns {destination.name.replace('.', ' ')}",
        f"product = {_quoted(destination.name.partition('.')[0])}",
        f"resource = {_quoted(destination.name.partition('.')[2])}",
        "# Columns that go nowhere; * stands for any text.",
        "ignore = []",
        *_reading_lines(source, encoding, found, firsts),
        "",
        "[columns]",
        *(f"{_quoted(column)} = {_quoted(field)}" for field, column in found.items()),
        *(f'# {_quoted(name)} = "..."{_example(firsts.get(name, ""))}' for name in unknown),
    ]
    if fields:
        lines += [
            "",
            "[fields]",
            *(f"{_quoted(field)} = [{', '.join(map(_quoted, made))}]" for field, made in fields.items()),
        ]
    return "\n".join(lines) + "\n"


def _opened(path: Path, encoding: str | None, destination: Destination) -> RowFile:
    """The file, its header found by common names, else the first line that makes a table."""
    every = [word.strip() for _, words in _MEANINGS.values() for word in words.split(",")]
    wanted: dict[str, tuple[str, ...]] = dict.fromkeys((*destination.columns.names(), *every), ("*",))
    search = FileMapping(name="draft", columns=wanted | {"*": ("*",)}, optional_columns=True)
    try:
        return open_rows(path, encoding=encoding, mapping=search)
    except InputError as error:
        if "is no header" not in str(error):
            raise
        first = error
    everything = {"*": ("*",)}
    for row in range(2, SEARCHED):
        mapping = FileMapping(name="draft", reading=Reading(header_row=row), columns=everything, optional_columns=True)
        try:
            source = open_rows(path, encoding=encoding, mapping=mapping)
        except InputError:
            continue
        if len(source.columns) > 1:
            return source
    raise first


def _matched(names: Sequence[str], columns: Columns) -> tuple[dict[str, str], list[str]]:
    """Field to column, each field once; and the columns without a field."""
    references = References(columns)
    known = [*columns.names(), *references.spellings.values()]
    spelled = {comparable(one): one for one in known}
    found: dict[str, str] = {}
    unknown: list[str] = []
    for name in names:
        # A label leads to its custom field when the file is pushed.
        label = name if re.match(r"cf[.:]", name, re.IGNORECASE) and references.is_label(name) else ""
        field = label or _field(name, known, spelled, found)
        if field:
            found[field] = name
        else:
            unknown.append(name)
    return found, unknown


def _field(name: str, known: Sequence[str], spelled: Mapping[str, str], taken: Iterable[str]) -> str:
    """The field that a column may mean; empty when none is left."""
    if re.fullmatch(r"cf_\w+", name):
        return name
    exact = spelled.get(comparable(name))
    if exact:
        return exact if exact not in taken else ""
    prefix = "shipping_address." if _SHIPPING.match(name) else "billing_address."
    bare = _BILLING.sub("", _SHIPPING.sub("", name))
    for word, within in ((name, ("", "contact_persons[0].", "billing_address.")), (bare, (prefix,))):
        meaning = _WORDS.get(comparable(word))
        if meaning is None:
            continue
        for last in _MEANINGS[meaning][0].split():
            field = next((one for where in within if (one := f"{where}{last}") in known and one not in taken), "")
            if field:
                return field
    near = difflib.get_close_matches(comparable(name), [*spelled, *_WORDS], n=1, cutoff=_NEAR)
    if near and near[0] not in spelled and comparable(name) not in _WORDS:
        return _field(near[0], known, spelled, taken)
    return spelled[near[0]] if near and near[0] in spelled and spelled[near[0]] not in taken else ""


def likely_field(name: str, columns: Columns) -> str:
    """The field that a column's name probably means, in any of some languages; empty when it is not known."""
    known = [*columns.names(), *References(columns).spellings.values()]
    return _field(name, known, {comparable(one): one for one in known}, ())


def _fields(found: Mapping[str, str], destination: Destination) -> dict[str, list[str]]:
    """How the name is made where no column gives it."""
    name = destination.natural.name
    if not name or name in found:
        return {}
    persons = [found.get(field) or found.get(f"contact_persons[0].{field}") for field in ("first_name", "last_name")]
    email = found.get("email") or found.get("contact_persons[0].email")
    made = [f"{{{found['company_name']}}}"] if "company_name" in found else []
    if any(persons):
        made.append(" ".join(f"{{{one}}}" for one in persons if one))
    if email:
        made.append(f"{{{email}}}")
    return {name: made} if made else {}


def _reading_lines(
    source: RowFile, encoding: str | None, found: Mapping[str, str], firsts: Mapping[str, str]
) -> list[str]:
    given: list[str] = []
    if encoding:
        given.append(f"encoding = {_quoted(source.encoding)}")
    if source.header_row > 1:
        given.append(f"header_row = {source.header_row}")
    if any(re.fullmatch(r"[\d.]*\d,\d{1,2}", firsts.get(column, "")) for column in found.values()):
        given.append('decimal = ","')
    return ["", "[read]", *given] if given else []


def _quoted(text: str) -> str:
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def _example(first: str) -> str:
    text = " ".join(first.split())
    return f"  # {text[:40]}" if text else ""


class ColumnInfo(msgspec.Struct, frozen=True, kw_only=True):
    """A column that rows of a resource may have.

    Attributes:
        name: Path of the field; lists have the place 0, any other is possible.
        kind: What its cells are: string, id, integer, number, boolean, date, datetime or any.
        required: Whether a new record must have it.
        max_length: Characters it may have; None: not documented.
        values: What it may be; empty: anything.
    """

    name: str
    kind: str
    required: bool = False
    max_length: int | None = None
    values: tuple[str, ...] = ()


def push_columns(resource: Any) -> list[ColumnInfo]:
    """Lists every column that rows of a resource may have, custom fields (`cf_...`) left out.

    Args:
        resource: A client's resource, or its name such as `books.contacts`.

    Returns:
        The columns, in the order of the specs; first the record's own id.

    Raises:
        InputError: There is no such resource, or it cannot be pushed.
    """
    destination = Destination.named(resource) if isinstance(resource, str) else Destination.of(resource)
    destination.check_pushable()
    made = [ColumnInfo(name=destination.record_id, kind="id")] if destination.record_id else []
    for name in destination.columns.names():
        column = destination.columns.column(name)
        if column is not None:
            rule = column.rule
            required = rule.required and len(column.path) == 1
            made.append(
                ColumnInfo(name=name, kind=rule.kind, required=required, max_length=rule.max_length, values=rule.values)
            )
    return made
