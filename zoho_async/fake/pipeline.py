"""The stations of a request to an operation: authentication, organisation, limits, fault, handler, shape."""

from __future__ import annotations

from datetime import datetime
from importlib import import_module
from typing import Any

from zoho_async.fake.handlers.by_example import by_example
from zoho_async.fake.handlers.handler import Handler, HandlerCall, HandlerResult
from zoho_async.fake.rendering.shapes import shaped
from zoho_async.fake.rendering.wire_format import encode
from zoho_async.fake.world.state import Organization
from zoho_async.schema.operation import Operation
from zoho_async.schema.registry import OPERATIONS, PRODUCTS

from .handlers import (
    actions,
    addresses,
    comments,
    contact_persons,
    contacts,
    customers,
    documents,
    organizations,
    settings,
)
from .messages import FakeRequest, Reply, error_reply, fault_reply, refusal_reply
from .refusals import Refusal, no_such_url, not_authenticated, not_authorized, wrong_organization
from .routes import Router
from .service import FakeService

HANDLERS: dict[str, Handler] = {
    **contacts.HANDLERS,
    **contact_persons.HANDLERS,
    **addresses.HANDLERS,
    **comments.HANDLERS,
    **documents.HANDLERS,
    **actions.HANDLERS,
    **customers.HANDLERS,
    **settings.HANDLERS,
}
"""Operations with behaviour of their own; the others respond by example."""


class RequestPipeline:
    """Processes requests to the operations of the products."""

    def __init__(self, service: FakeService) -> None:
        self._service = service
        operations = [_load(module, name) for module, name in OPERATIONS.values()]
        operations += settings.OPERATIONS + organizations.OPERATIONS
        self.router = Router((PRODUCTS[operation.product].root, operation) for operation in operations)
        lists = {f"{product}.organizations.list": self._list_organizations for product in PRODUCTS}
        self._handlers: dict[str, Handler] = {**HANDLERS, **lists}

    def process(self, request: FakeRequest) -> Reply:
        """The reply to a request; Refusal when it is not admitted."""
        if not self.router.covers(request.segments):
            raise no_such_url()
        found = self.router.find(request.method, request.segments)
        if found is not None:
            request.operation_id = found[0].id
            self._service.audit_log.requests[request.operation_id] += 1
        self._authenticate(request, found[0].scope if found is not None else "")
        if found is None:
            raise no_such_url()
        operation, path = found
        organization = self._organization(operation, request)
        request.organization_id = organization.id
        now = self._service.clock.now()
        barred = self._admit(organization, request, now)
        if barred is not None:
            return barred
        fault = request.fault = self._service.faults.take(operation.id)
        if fault is not None and fault.refuses:
            return fault_reply(fault)
        call = HandlerCall(
            operation=operation,
            organization=organization,
            path=path,
            query=request.query,
            headers=request.headers,
            body=request.body,
            form=request.form,
            now=now,
        )
        reply = self._execute(call, request.path)
        return fault_reply(fault) if fault is not None and fault.replaces else reply

    def _authenticate(self, request: FakeRequest, scope: str) -> None:
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "zoho-oauthtoken" or not token:
            raise not_authenticated()
        if not self._service.accounts.allows(token.strip(), scope, self._service.clock.time()):
            raise not_authorized()

    def _organization(self, operation: Operation[Any], request: FakeRequest) -> Organization:
        parameter = operation.organization
        wanted = ""
        if parameter is not None:
            values = request.query if parameter.location == "query" else request.headers
            wanted = values.get(parameter.name, "")
        if not wanted:
            # Like the service: silently the user's default organisation.
            return self._service.organization()
        try:
            return self._service.organization(wanted)
        except KeyError:
            raise wrong_organization(wanted) from None

    def _admit(self, organization: Organization, request: FakeRequest, now: datetime) -> Reply | None:
        """The reply when a limit is reached; None, with the call counted, when it is admitted."""
        allowance = organization.limits
        barred = allowance.admit(self._service.clock.time(), organization.local(now).date())
        if barred is not None:
            return error_reply(429, barred.code, barred.message, barred.retry_after)
        allowance.enter()
        request.allowance = allowance
        return None

    def _execute(self, call: HandlerCall, path: str) -> Reply:
        operation, organization = call.operation, call.organization
        try:
            result = self._handlers.get(operation.id, by_example)(call)
        except Refusal as refusal:
            return refusal_reply(refusal)
        self._record(call, path, result)
        headers = organization.limits.headers(organization.local(call.now))
        if result.content is not None:
            return Reply(result.status, result.content, headers, 0, result.content_type)
        return Reply(result.status, encode(shaped(result.body, operation, self._service.shape)), headers, 0)

    def _record(self, call: HandlerCall, path: str, result: HandlerResult) -> None:
        self._service.audit_log.record_execution(
            call.operation.id,
            f"{path} {call.headers.get('X-Unique-Identifier-Value', '')}".strip(),
            call.body if call.operation.method != "GET" else b"",
            result.touched,
            created=result.created,
            unique_fields=call.organization.unique_fields,
        )

    def _list_organizations(self, call: HandlerCall) -> HandlerResult:
        service = self._service
        return organizations.list_organizations(service.organizations.values(), service.organization_id)


def _load(module: str, name: str) -> Operation[Any]:
    operation: Operation[Any] = getattr(import_module(module), name)
    return operation
