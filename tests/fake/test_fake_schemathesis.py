"""The specs and the clean shape agree: requests made by schemathesis from the specs, answers checked by it."""

from __future__ import annotations

import asyncio
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, Verbosity, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)
from support.profiles import examples

from zoho_async.fake import FakeZoho
from zoho_async.fake.rendering.shapes import Shape

PARTS = [("address_id", "address", {"address": "Main Street 1"}), ("comment_id", "comments", {"description": "Hello"})]
"""Ids of what hangs on a contact, and how to make it."""
NEVER_THERE = {"books.documents.get", "books.documents.update", "books.documents.delete"}
"""An upload's answer names no document, so that no id of one can be known from outside; refusals are all there is."""
SPECS = Path(__file__).parents[2] / "specs"
CHECKS: list[Any] = [not_a_server_error, response_schema_conformance, content_type_conformance, status_code_conformance]
SCHEMAS = [
    schemathesis.openapi.from_path(path) for path in sorted((SPECS / "books").glob("*.yaml")) if path.stem != "common"
]
OPERATIONS = {
    found.ok().definition.raw["operationId"]: found.ok() for schema in SCHEMAS for found in schema.get_all_operations()
}


@pytest.fixture(scope="module")
def fake() -> Iterator[FakeZoho]:
    with in_a_thread("clean") as running:
        yield running
        assert running.crashes == 0, "\n".join(running.problems)


@contextmanager
def in_a_thread(shape: Shape) -> Iterator[FakeZoho]:
    """A fake with a loop of its own, for schemathesis waits for its answers."""
    loop = asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    running = FakeZoho(shape=shape, per_minute=None, keep_received=0)
    try:
        asyncio.run_coroutine_threadsafe(running.start(), loop).result()
        try:
            yield running
        finally:
            asyncio.run_coroutine_threadsafe(running.close(), loop).result()
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


@pytest.mark.parametrize("operation_id", OPERATIONS)
@pytest.mark.parametrize("mode", list(schemathesis.GenerationMode), ids=lambda mode: mode.value)
def test_no_answer_is_outside_its_schema(fake: FakeZoho, operation_id: str, mode: schemathesis.GenerationMode) -> None:
    statuses = exchange(fake, operation_id, mode)
    assert statuses
    if mode is schemathesis.GenerationMode.POSITIVE and operation_id not in NEVER_THERE:
        assert statuses & {200, 201}, "it must be more than refusals that was checked"


def test_the_checks_find_what_is_outside() -> None:
    with in_a_thread("live") as live, pytest.raises(schemathesis.core.failures.FailureGroup):
        exchange(live, "books.contacts.get", schemathesis.GenerationMode.POSITIVE)


def exchange(fake: FakeZoho, operation_id: str, mode: schemathesis.GenerationMode) -> set[int]:
    """Send what schemathesis thinks of and check every answer; the statuses that came."""
    operation = OPERATIONS[operation_id]
    statuses: set[int] = set()
    with requests.Session() as session:
        session.trust_env = False

        @settings(
            max_examples=examples(15 if operation_id.startswith("books.contacts.") else 5),
            verbosity=Verbosity.quiet,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(case=operation.as_strategy(generation_mode=mode))
        def check(case: schemathesis.Case) -> None:
            aim(fake, case)
            case.query = {**(case.query or {}), "organization_id": fake.organization_id}
            headers = {"Authorization": f"Zoho-oauthtoken {fake.access_token}"}
            response = case.call(base_url=f"{fake.url}/books/v3", session=session, headers=headers)
            case.validate_response(response, checks=CHECKS)
            statuses.add(response.status_code)

        check()
    return statuses


def aim(fake: FakeZoho, case: schemathesis.Case) -> None:
    """Make it speak of a contact that exists, or nothing but 1002 would ever be answered."""
    contact_id = _some_contact(fake)
    if "contact_id" in (case.path_parameters or {}):
        case.path_parameters["contact_id"] = contact_id
    person = fake.organization().contacts[contact_id]["contact_persons"][0]["contact_person_id"]
    if "contact_person_id" in (case.path_parameters or {}):
        case.path_parameters["contact_person_id"] = person
    for name, path, body in PARTS:
        if name in (case.path_parameters or {}):
            case.path_parameters[name] = _made(fake, contact_id, path, body, name)
    if isinstance(case.body, dict) and case.operation.path == "/contacts/contactpersons":
        case.body["contact_id"] = contact_id
    if "reference_id" in (case.path_parameters or {}):
        case.path_parameters["reference_id"] = "77"
    if "contact_ids" in (case.query or {}):
        case.query["contact_ids"] = contact_id
    if "X-Unique-Identifier-Key" in (case.headers or {}):
        case.headers.update({"X-Unique-Identifier-Key": "cf_external_id", "X-Unique-Identifier-Value": "1"})


def _made(fake: FakeZoho, contact_id: str, path: str, body: dict[str, str], name: str) -> str:
    """The id of a part of the contact, made for the purpose."""
    place = f"{fake.url}/books/v3/contacts/{contact_id}/{path}"
    options: dict[str, Any] = {
        "params": {"organization_id": fake.organization_id},
        "headers": {"Authorization": f"Zoho-oauthtoken {fake.access_token}"},
        "timeout": 10,
    }
    requests.post(place, json=body, **options)
    found = re.findall(rf'"{name}":"(\d+)"', requests.get(place, **options).text)
    return str(found[-1])


def _some_contact(fake: FakeZoho) -> str:
    organization = fake.organization()
    found = organization.holding("cf_external_id", "1")
    kept = organization.contacts[found] if found is not None else {}
    if kept.get("zcrm_account_id") != "77" or not kept.get("contact_persons"):
        fake.reset()
        row = {"contact_name": "Bowman", "contact_persons": [{"first_name": "Will"}], "cf_external_id": "1"}
        found = fake.seed([{**row, "zcrm_account_id": "77"}])[0]["contact_id"]
    return str(found)
