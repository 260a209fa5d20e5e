"""Extracts which operations Zoho's documents describe: `python tests/data/inventory.py FOLDER`.

FOLDER holds the pages as text, their names beginning with their numbers. Writes `inventory.json` beside itself: facts
only (document, title, method, path). Every section of a page has a sample for curl, which names the method and the
address; a number in the address stands for an id, and is named after what stands before it, in the spelling of the
specs. The older edition (002) has nothing that 001 has not, which is checked here.
"""

from __future__ import annotations

import json
import re
import sys
from pathlib import Path
from typing import NamedTuple

IDS = {
    "contacts": "contact_id",
    "customers": "customer_id",
    "contactpersons": "contact_person_id",
    "address": "address_id",
    "bankaccount": "bank_account_id",
    "card": "card_id",
    "comments": "comment_id",
    "documents": "document_id",
    "reference": "reference_id",
    "tags": "tag_id",
    "taxinfo": "tax_info_id",
}
"""What the number after a segment of a path is."""

NEWER = ("000", "001", "003", "004")
OLDER = "002"

_SAMPLE = re.compile(r"curl --request (?P<method>[A-Z]+)\s*\\\s*--url '?(?P<url>https://[^\s']+)")
_OLDER_SAMPLE = re.compile(r"\$ curl (?P<url>https://\S+)(?:.*? -X (?P<method>[A-Z]+))?")
_SCOPE = re.compile(r"^OAuth Scope", re.MULTILINE)
_FURNITURE = re.compile(r"AI Tools|Open in |Open this page |Copy as |Copy this page |View as ")
"""Lines of buttons that stand between a section's title and its text."""


class Described(NamedTuple):
    """One section of a page."""

    document: str
    title: str
    method: str
    path: str


def described(document: str, text: str) -> list[Described]:
    """The operations of one page, in its order."""
    found: list[Described] = []
    scopes = list(_SCOPE.finditer(text))
    ends = [*(scope.start() for scope in scopes[1:]), len(text)]
    for scope, end in zip(scopes, ends, strict=True):
        samples = list(_SAMPLE.finditer(text, scope.end(), end))
        title = _title(text[: scope.start()])
        if len(samples) != 1:
            raise SystemExit(f"{document}: {title!r} has {len(samples)} samples for curl, not one")
        found.append(Described(document, title, samples[0]["method"], path_of(samples[0]["url"])))
    return found


def _title(before: str) -> str:
    """The first line behind the example or the sample that ends the section before, furniture aside."""
    title = ""
    for line in reversed(before.splitlines()):
        if line.startswith(("{", "}", "[", "]", "--", "curl ")):
            break
        if line.strip() and not _FURNITURE.match(line):
            title = line.strip()
    return title


def path_of(url: str) -> str:
    """The path below the product's root, ids named."""
    path = url.partition("?")[0].split("/", 3)[3]
    segments = path.split("/")[2:]  # behind the product and its version
    named = [
        "{" + IDS[before] + "}" if segment.isdecimal() or segment.startswith("{") else segment
        for before, segment in zip(["", *segments], segments, strict=False)
    ]
    return "/" + "/".join(named)


def older(text: str) -> set[tuple[str, str]]:
    """Method and path of what the older edition has."""
    return {(sample["method"] or "GET", path_of(sample["url"])) for sample in _OLDER_SAMPLE.finditer(text)}


def main(folder: Path) -> None:
    found: list[Described] = []
    for document in NEWER:
        found += described(document, _text(folder, document))
    known = {(it.method, it.path) for it in found if it.document == "001"}
    if beyond := older(_text(folder, OLDER)) - known:
        raise SystemExit(f"{OLDER} has what 001 has not: {sorted(beyond)}")
    lines = ",\n".join(f"  {json.dumps(it._asdict())}" for it in found)
    target = Path(__file__).with_name("inventory.json")
    target.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(found)} operations")


def _text(folder: Path, document: str) -> str:
    (page,) = folder.glob(f"{document}*.txt")
    return page.read_text(encoding="utf-8")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        raise SystemExit(__doc__)
    main(Path(sys.argv[1]))
