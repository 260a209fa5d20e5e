"""Another bulk layer, of public names only: what `bulk.push` needs of the client is open to everybody."""

from __future__ import annotations

import ast
import asyncio
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest
from support.client import client_of

from zoho_async import Limits, OutcomeUnknownError, Zoho, ZohoError, operations
from zoho_async.fake import FakeZoho
from zoho_async.transport import hooks

# -- the layer: creates that are in a journal before they are sent, and are never sent twice


class Journaled:
    """The dispatch hook of one row."""

    def __init__(self, journal: dict[str, str], key: str) -> None:
        self.throttle_count = 0
        self._journal = journal
        self._key = key

    async def before_send(self) -> None:
        if self._journal.get(self._key) == "sent":
            raise RuntimeError("it may have been executed")
        self._journal[self._key] = "sent"

    def on_rejected(self) -> None:
        self.throttle_count += 1
        self._journal[self._key] = "rejected"


async def create_all(resource: Any, rows: Iterable[dict[str, Any]], journal: dict[str, str]) -> None:
    """Creates a record for every row that the journal does not know yet."""
    place, organization_id = hooks.origin(resource)
    (create,) = (one for one in operations() if one.id == "books.contacts.create")
    for row in rows:
        key = f"{place} {organization_id} {row['contact_name']}"
        if key in journal:
            continue
        try:
            sent = await hooks.send(resource, create, body=row, hook=Journaled(journal, key), priority=True)
        except OutcomeUnknownError:
            journal[key] = "unknown"
        except ZohoError as error:
            journal[key] = f"failed: {error.message}"
        else:
            journal[key] = sent.data.contact_id


# -- and its proof

CREATE = "books.contacts.create"


async def test_a_layer_of_public_names_sends_every_row_once(fake: FakeZoho, zoho: Zoho) -> None:
    fake.script(CREATE, ["pass", "429:1070", "pass", "reset_after", "pass", "status:400"])
    journal: dict[str, str] = {}
    rows = [{"contact_name": name} for name in "ABCDE"]
    await create_all(zoho.books.contacts, rows, journal)
    await create_all(zoho.books.contacts, rows, journal)
    outcomes = list(journal.values())
    assert set(journal) == {f"{fake.url} {fake.organization_id} {name}" for name in "ABCDE"}
    assert (outcomes[2], outcomes[4].partition(":")[0]) == ("unknown", "failed")
    assert [outcomes[0], outcomes[1], outcomes[3]] == [
        one["contact_id"] for one in fake.organization().contacts.values() if one["contact_name"] != "C"
    ]
    assert fake.created() == dict.fromkeys("ABCD", 1)
    # One attempt was rejected for a limit, and sent again.
    assert fake.requests(CREATE) == 6


async def test_the_client_takes_a_hook_too(fake: FakeZoho, zoho: Zoho) -> None:
    """What the hook raises ends the call, of which nothing is sent."""

    class Refusing:
        throttle_count = 0

        async def before_send(self) -> None:
            raise LookupError("not now")

        def on_rejected(self) -> None:
            raise AssertionError("nothing was sent")

    (create,) = (one for one in operations() if one.id == CREATE)
    with pytest.raises(LookupError, match="not now"):
        await zoho.send(create, body={"contact_name": "A"}, hook=Refusing())
    assert fake.requests() == 0


async def test_a_call_with_priority_goes_before_those_that_wait(fake: FakeZoho) -> None:
    (create,) = (one for one in operations() if one.id == CREATE)
    async with client_of(fake, limits=Limits(per_minute=None, concurrency=1)) as zoho, asyncio.TaskGroup() as group:
        for name, priority in (("A", False), ("B", False), ("C", True)):
            group.create_task(zoho.send(create, body={"contact_name": name}, priority=priority))
    assert list(fake.created()) == ["A", "C", "B"]


@pytest.mark.parametrize("call", [hooks.origin, lambda one: hooks.send(one, operations()[0])])
async def test_what_is_no_resource_is_a_type_error(call: Any) -> None:
    with pytest.raises(TypeError, match="is no resource of a client"):
        await call("books.contacts")


def test_bulk_itself_uses_no_private_name_of_a_client() -> None:
    bulk = Path(hooks.__file__).parents[1] / "bulk"
    for file in bulk.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            name = node.attr if isinstance(node, ast.Attribute) else getattr(node, "value", None)
            assert name != "_transport", f"{file}:{getattr(node, 'lineno', 0)}"
