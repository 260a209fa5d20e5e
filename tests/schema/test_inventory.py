"""Every operation of Zoho's documents is here, and no other: against facts extracted from the documents."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

from support.documented import SPECS

from codegen import endpoints, load
from zoho_async import operations

INVENTORY: list[dict[str, str]] = json.loads(
    Path(__file__).parents[1].joinpath("data", "inventory.json").read_text("utf-8")
)
PRODUCTS = {"000": "invoice", "001": "books", "003": "expense", "004": "billing"}
"""Which product a document describes."""


def documented() -> list[tuple[str, str, str]]:
    return sorted((PRODUCTS[it["document"]], it["method"], it["path"]) for it in INVENTORY)


def test_the_documents_have_117_operations() -> None:
    assert Counter(product for product, _, _ in documented()) == {"books": 97, "invoice": 6, "expense": 5, "billing": 9}
    assert len(set(documented())) == 117


def test_every_operation_of_the_documents_is_here_and_no_other() -> None:
    assert sorted((it.product, it.method, it.path) for it in operations() if not it.extra) == documented()


def test_what_is_beyond_the_documents_says_why() -> None:
    assert [it.id for it in operations() if it.extra] == ["books.organizations.list"]


def test_the_specs_name_the_section_they_come_from() -> None:
    named = [
        (source["document"], source["title"], operation.method, operation.path)
        for operation in _from_the_specs()
        if not operation.extra and (source := operation.node.value["x-source"])
    ]
    assert sorted(named) == sorted((it["document"], it["title"], it["method"], it["path"]) for it in INVENTORY)


def test_the_coverage_page_has_a_row_for_each() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "reference", "coverage.md").read_text("utf-8")
    rows = [line.split(" | ")[0].strip("| `") for line in page.splitlines() if line.startswith("| `")]
    assert sorted(rows) == sorted(it.id for it in operations())


def test_every_operation_has_a_conformance_test() -> None:
    folder = Path(__file__).parents[1] / "generated"
    text = "".join(path.read_text("utf-8") for path in sorted(folder.glob("test_*.py")))
    missing = [it.id for it in operations() if f'exchange(\n        "{it.id}",' not in text]
    assert not missing


def _from_the_specs() -> list[endpoints.Operation]:
    specs: Any = load.Specs(SPECS)
    return [endpoints.Operation(node) for document in specs.resources() for node in load.operations(document)]
