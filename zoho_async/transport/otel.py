"""Traces and metrics for OpenTelemetry (extra `otel`): `Zoho(auth, ..., observer=OpenTelemetry())`.

One span of kind client for every call, named by its operation, with an event for each attempt; the waits for tokens,
limits and retries are summed up in it. No span holds a value of a request, a token or a message of Zoho.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

try:
    from opentelemetry import context, metrics, trace
except ModuleNotFoundError as error:
    if error.name != "opentelemetry":
        raise
    message = "zoho_async.transport.otel needs opentelemetry-api: pip install 'zoho_async[otel]'"
    raise ModuleNotFoundError(message, name=error.name) from None
from opentelemetry.metrics import MeterProvider
from opentelemetry.trace import Span, SpanKind, StatusCode, TracerProvider

from zoho_async.errors import ZohoError
from zoho_async.schema.operation import Operation

__all__ = ["OpenTelemetry"]


class OpenTelemetry:
    """An observer that writes spans and metrics.

    Spans: `zoho.operation`, `zoho.organization_id`, `zoho.attempts`, `zoho.wait_seconds`, `zoho.code`,
    `http.request.method`, `http.response.status_code`, `error.type`. Metrics, by operation: `zoho.client.duration`
    and `zoho.client.wait` (histograms, seconds), `zoho.client.attempts` (a counter, also by status); by organisation:
    `zoho.quota.remaining` and `zoho.quota.limit` (gauges, calls of the day).

    Args:
        tracer_provider: Where spans go; None: the global provider.
        meter_provider: Where metrics go; None: the global provider.
    """

    def __init__(
        self, tracer_provider: TracerProvider | None = None, meter_provider: MeterProvider | None = None
    ) -> None:
        self._instruments = _Instruments(tracer_provider, meter_provider)

    def started(self, operation: Operation[Any], organization_id: str | None) -> _ObservedSpan:
        """Start the span of a call.

        Args:
            operation: What is called.
            organization_id: The organisation it works in.

        Returns:
            What ends the span.
        """
        return _ObservedSpan(self._instruments, operation, organization_id)


class _Instruments:
    """What spans and numbers are written to."""

    def __init__(self, tracer_provider: TracerProvider | None, meter_provider: MeterProvider | None) -> None:
        self.tracer = trace.get_tracer("zoho_async", tracer_provider=tracer_provider)
        meter = metrics.get_meter("zoho_async", meter_provider=meter_provider)
        self.duration = meter.create_histogram("zoho.client.duration", "s", "Duration of a call, waits included.")
        self.wait = meter.create_histogram("zoho.client.wait", "s", "Waits of a call for tokens, limits and retries.")
        self.attempts = meter.create_counter("zoho.client.attempts", "{request}", "HTTP requests.")
        self.remaining = meter.create_gauge("zoho.quota.remaining", "{call}", "Calls left of the day.")
        self.limit = meter.create_gauge("zoho.quota.limit", "{call}", "Calls of a day.")


class _ObservedSpan:
    """The span of one call."""

    def __init__(self, instruments: _Instruments, operation: Operation[Any], organization_id: str | None) -> None:
        self._instruments = instruments
        self._labels = {"zoho.operation": operation.id}
        self._organization = {"zoho.organization_id": organization_id or ""}
        self._waited = 0.0
        self._attempts = 0
        self._status = 0
        self._started = time.perf_counter()
        attributes = {**self._labels, **self._organization, "http.request.method": operation.method}
        self._span: Span = instruments.tracer.start_span(operation.id, kind=SpanKind.CLIENT, attributes=attributes)
        self._token = context.attach(trace.set_span_in_context(self._span))

    def waited(self, seconds: float) -> None:
        """See `zoho_async.transport.hooks.ObservedCall`."""
        self._waited += seconds

    def attempted(self, detail: str, status: int, seconds: float, headers: Mapping[str, str]) -> None:
        """See `zoho_async.transport.hooks.ObservedCall`."""
        self._attempts += 1
        self._status = status
        self._span.add_event("attempt", {"http.response.status_code": status, "zoho.seconds": seconds})
        self._instruments.attempts.add(1, {**self._labels, "http.response.status_code": status})
        for gauge, name in ((self._instruments.remaining, "remaining"), (self._instruments.limit, "limit")):
            with suppress(ValueError):
                gauge.set(int(headers.get(f"x-rate-limit-{name}", "")), self._organization)

    def ended(self, error: BaseException | None) -> None:
        """See `zoho_async.transport.hooks.ObservedCall`."""
        try:
            self._span.set_attributes({"zoho.attempts": self._attempts, "zoho.wait_seconds": self._waited})
            if self._status:
                self._span.set_attribute("http.response.status_code", self._status)
            labels: dict[str, str] = dict(self._labels)
            if error is not None:
                labels["error.type"] = type(error).__name__
                self._span.set_attribute("error.type", labels["error.type"])
                self._span.set_status(StatusCode.ERROR)
                if isinstance(error, ZohoError) and error.code is not None:
                    self._span.set_attribute("zoho.code", str(error.code))
            self._instruments.duration.record(time.perf_counter() - self._started, labels)
            self._instruments.wait.record(self._waited, self._labels)
        finally:
            self._span.end()
            context.detach(self._token)
