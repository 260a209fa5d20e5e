"""The count of drift is bounded, whatever paths responses and requests have."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from zoho_async.schema.operation import Operation
from zoho_async.wire.decoding import Decoders
from zoho_async.wire.drift import DriftCounter


class Nested(msgspec.Struct):
    """A type that contains itself, as a caller may make one."""

    name: str = ""
    child: Nested | None = None
    children: list[Nested] = []


class Whole(msgspec.Struct):
    item: Nested | None = None


def operation(path: str) -> Operation[object]:
    """What `Zoho.request` makes of a path."""
    return Operation[object](
        id=f"GET {path}",
        product="books",
        method="GET",
        path=path,
        scope="",
        title="",
        kind="untyped",
        idempotent=True,
    )


def test_requests_of_many_records_count_as_one_path() -> None:
    decoders = Decoders()
    body = json.dumps({"code": 0, "item": {"name": 5}}).encode()
    for number in range(3000):
        decoders.decode(operation(f"/books/v3/items/46000000{number}/comments"), Whole, body, None)
    assert decoders.drift == {("GET /books/v3/items/{id}/comments", ".item.name"): 3000}


def test_paths_of_deep_records_are_short() -> None:
    decoders = Decoders()
    for letter in "abcdefghij":
        inner: dict[str, object] = {"name": 5}
        for _ in range(100):
            inner = {"name": 5, "child": inner, "children": [{"name": 7}]}
        body = json.dumps({"code": 0, "item": inner}).encode()
        decoders.decode(operation(f"/books/v3/{letter * 5}"), Whole, body, None)
    assert max(len(path) for _, path in decoders.drift) <= 200


def test_the_count_of_fields_is_bounded() -> None:
    drift = DriftCounter()
    for number in range(3000):
        drift.add(f"GET /books/v3/{'x' * number}", "name")
    assert len(drift) == 1001
    assert drift["other", "other"] == 2000


@pytest.mark.parametrize(
    ("operation_id", "counted"),
    [
        ("books.contacts.list", "books.contacts.list"),
        ("GET /books/v3/items", "GET /books/v3/items"),
        ("GET /billing/v1/items/98-a", "GET /billing/v1/items/{id}"),
        ("PUT /books/v3/1/2", "PUT /books/v3/{id}/{id}"),
    ],
)
def test_ids_in_paths_count_as_one(operation_id: str, counted: str) -> None:
    drift = DriftCounter()
    drift.add(operation_id, "contacts[3].tags[12]")
    assert drift == {(counted, "contacts[].tags[]"): 1}


@given(st.lists(st.tuples(st.text(), st.text()), max_size=50))
def test_nothing_is_lost_from_the_count(found: list[tuple[str, str]]) -> None:
    drift = DriftCounter()
    for operation_id, path in found:
        drift.add(operation_id, path)
    assert drift.total() == len(found)
