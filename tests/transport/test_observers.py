"""Observers learn of every call, and cannot change how it ends."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Mapping
from importlib import import_module
from typing import Any

import pytest
from opentelemetry import trace
from opentelemetry.sdk.metrics import MeterProvider
from opentelemetry.sdk.metrics.export import InMemoryMetricReader
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from zoho_async import DuplicateError, Limits, OutcomeUnknownError, StaticToken, Zoho
from zoho_async.fake import FakeZoho
from zoho_async.schema.operation import Operation
from zoho_async.transport.otel import OpenTelemetry


class Notes:
    """An observer that writes down what it learns; `raises`: every method but `started` fails."""

    def __init__(self, *, raises: bool = False) -> None:
        self.notes: list[Any] = []
        self._raises = raises

    def started(self, operation: Operation[Any], organization_id: str | None) -> Notes:
        self.notes.append((operation.id, organization_id))
        return self

    def waited(self, seconds: float) -> None:
        self.notes.append("waited")
        self._fail()

    def attempted(self, detail: str, status: int, seconds: float, headers: Mapping[str, str]) -> None:
        self.notes.append(status)
        self._fail()

    def ended(self, error: BaseException | None) -> None:
        self.notes.append(type(error).__name__)
        self._fail()

    def _fail(self) -> None:
        if self._raises:
            raise RuntimeError("of an observer")


@pytest.fixture
async def server() -> AsyncIterator[FakeZoho]:
    async with FakeZoho(per_minute=None) as running:
        yield running


def client(fake: FakeZoho, observer: Any, **options: Any) -> Zoho:
    return Zoho(
        StaticToken(fake.access_token),
        organization_id=fake.organization_id,
        api_url=fake.url,
        accounts_url=fake.url,
        limits=Limits(per_minute=None),
        observer=observer,
        **options,
    )


@pytest.mark.parametrize("raises", [False, True])
async def test_an_observer_learns_of_attempts_waits_and_the_end(server: FakeZoho, raises: bool) -> None:
    notes = Notes(raises=raises)
    server.script("books.contacts.create", ["429:1070:0"])
    async with client(server, notes) as zoho:
        await zoho.books.contacts.create({"contact_name": "A"})
        with pytest.raises(DuplicateError):
            await zoho.with_options(retries=0).books.contacts.create({"contact_name": "A"})
        server.script("books.contacts.create", ["status:503_after"])
        with pytest.raises(OutcomeUnknownError):
            await zoho.books.contacts.create({"contact_name": "B"})
    head = ("books.contacts.create", server.organization_id)
    assert notes.notes == [
        *(head, "waited", 429, "waited", "waited", 201, "NoneType"),
        *(head, "waited", 400, "DuplicateError"),
        *(head, "waited", 503, "OutcomeUnknownError"),
    ]
    assert server.created() == {"A": 1, "B": 1}


async def test_what_an_observer_raises_at_the_start_ends_the_call_before_it_is_sent(server: FakeZoho) -> None:
    class Broken(Notes):
        def started(self, operation: Operation[Any], organization_id: str | None) -> Notes:
            raise LookupError

    async with client(server, Broken()) as zoho:
        with pytest.raises(LookupError):
            await zoho.books.contacts.create({"contact_name": "A"})
    assert server.created() == {}


async def test_spans_and_metrics(server: FakeZoho) -> None:
    exporter, reader = InMemorySpanExporter(), InMemoryMetricReader()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    server.script("books.contacts.create", ["429:1070:0"])
    observer = OpenTelemetry(provider, MeterProvider([reader]))
    async with client(server, observer) as zoho:
        with provider.get_tracer("service").start_as_current_span("job") as job:
            await zoho.books.contacts.create({"contact_name": "Secret and Co"})
            with pytest.raises(DuplicateError):
                await zoho.books.contacts.create({"contact_name": "Secret and Co"})
            assert trace.get_current_span() is job, "each call leaves the context as it was"
    made, refused, outer = exporter.get_finished_spans()
    assert attributes(made) == {
        "zoho.operation": "books.contacts.create",
        "zoho.organization_id": server.organization_id,
        "zoho.attempts": 2,
        "http.request.method": "POST",
        "http.response.status_code": 201,
    }
    assert [event.attributes["http.response.status_code"] for event in made.events if event.attributes] == [429, 201]
    assert (attributes(refused)["error.type"], attributes(refused)["zoho.code"]) == ("DuplicateError", "3062")
    assert made.parent is not None
    assert made.parent.span_id == outer.context.span_id
    assert "Secret and Co" not in "".join(span.to_json() for span in (made, refused))
    assert server.access_token not in "".join(span.to_json() for span in (made, refused))
    found = metrics(reader)
    assert found["zoho.client.attempts"] == 3
    assert found["zoho.client.duration"] == found["zoho.client.wait"] == 2
    assert found["zoho.quota.limit"] > found["zoho.quota.remaining"] > 0


def attributes(span: ReadableSpan) -> dict[str, Any]:
    return {name: value for name, value in (span.attributes or {}).items() if name != "zoho.wait_seconds"}


def metrics(reader: InMemoryMetricReader) -> dict[str, float]:
    """Sums of values, of histograms the number of them."""
    found: dict[str, float] = {}
    data = reader.get_metrics_data()
    assert data is not None
    for metric in data.resource_metrics[0].scope_metrics[0].metrics:
        for point in metric.data.data_points:
            value = getattr(point, "value", None)
            found[metric.name] = found.get(metric.name, 0) + (point.count if value is None else value)
    return found


def test_without_opentelemetry_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "zoho_async.transport.otel")
    monkeypatch.setitem(sys.modules, "opentelemetry", None)
    with pytest.raises(ModuleNotFoundError, match=r"pip install 'zoho_async\[otel\]'"):
        import_module("zoho_async.transport.otel")
