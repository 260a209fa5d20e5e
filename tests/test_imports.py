"""What an import costs: nothing that has not been asked for is loaded."""

from __future__ import annotations

import subprocess
import sys
from importlib.util import find_spec

import pytest

from zoho_async.schema.registry import PRODUCTS

HEAVY = ("aiohttp", "yarl", "email.utils", "urllib.parse", "random", "pathlib", "sqlite3", "typer")
FIRST_CALL = {f"zoho_async.{name}" for name in ("transport.http", "transport.watch", "wire.coercion", "wire.relaxed")}
WHEN_NEEDED = {
    f"zoho_async.{name}"
    for name in (
        "auth.oauth",
        "auth.token_stores",
        "schema.catalog",
        "schema.suggestions",
        "transport.hooks",
        "wire.multipart",
        "wire.raw_request",
        "wire.seen_ids",
    )
}


def loaded(program: str) -> set[str]:
    """The modules a fresh process has after running a program, beyond those of its start."""
    listing = "import asyncio, msgspec, sys\nbefore = set(sys.modules)\n"
    listing += f"{program}\nprint(*sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", listing], capture_output=True, text=True, check=True)
    return set(done.stdout.split())


def products(modules: set[str]) -> set[str]:
    return {name for name in PRODUCTS if any(one.startswith(f"zoho_async.{name}") for one in modules)}


def test_the_client_loads_no_product_and_nothing_heavy() -> None:
    modules = loaded("from zoho_async import Zoho, StaticToken\nZoho(StaticToken('t'), organization_id='1')")
    assert "zoho_async.client" in modules
    assert products(modules) == set()
    assert modules.isdisjoint(HEAVY), modules & set(HEAVY)
    assert modules.isdisjoint(FIRST_CALL), modules & FIRST_CALL


def test_the_name_of_the_client_loads_only_what_every_client_uses() -> None:
    modules = loaded("from zoho_async import Zoho")
    assert "zoho_async.client" in modules
    later = FIRST_CALL | WHEN_NEEDED
    assert modules.isdisjoint(later), modules & later
    assert all(find_spec(name) for name in later)


@pytest.mark.parametrize("product", PRODUCTS)
def test_one_product_loads_no_other_and_no_rules(product: str) -> None:
    program = "from zoho_async import Zoho, StaticToken\nzoho = Zoho(StaticToken('t'), organization_id='1')\n"
    resource = {"invoice": "contact_persons", "books": "contacts"}.get(product, "customers")
    modules = loaded(f"{program}zoho.{product}.{resource}\nimport zoho_async.{product}.models")
    assert products(modules) == {product}
    assert {f"zoho_async.{product}.{resource}", f"zoho_async.{product}.models"} <= modules
    assert f"zoho_async.{product}.rules" not in modules
    assert "aiohttp" not in modules
    others = {one for one in modules if one.startswith(f"zoho_async.{product}.")}
    assert others == {f"zoho_async.{product}.{name}" for name in (resource, "models")}


def test_operations_are_data_without_a_session() -> None:
    modules = loaded("import zoho_async\nassert len(zoho_async.operations()) == 118")
    assert products(modules) == set(PRODUCTS)
    assert "aiohttp" not in modules
