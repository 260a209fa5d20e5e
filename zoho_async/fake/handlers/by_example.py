"""Operations without behaviour of their own: the request is checked, the response is the documents' example. Pure."""

from __future__ import annotations

from zoho_async.fake.refusals import malformed, not_allowed, not_found
from zoho_async.fake.rendering.documented import documented_contacts, example_response

from . import bodies, checking
from .handler import HandlerCall, HandlerResult


def by_example(call: HandlerCall) -> HandlerResult:
    """Check path, parameters and body; return what the documents show.

    The contact must exist in this organisation or be one of the documents' examples, so that lines copied from them
    work unchanged. Other ids are checked for their form only.
    """
    operation = call.operation
    checking.check_path(call.path)
    contact_id = call.path.get("contact_id", call.path.get("customer_id"))
    stored = call.organization.contacts
    if contact_id is not None and contact_id not in stored and contact_id not in documented_contacts():
        raise not_found("Contact")
    checking.check_parameters(call)
    if operation.request is not None:
        body = bodies.read(call)
        if body.data is not None:
            checking.check_body(operation, body.data)
        elif not operation.body_optional:
            raise malformed()
        for file in body.files:
            if file.name not in operation.files:
                raise not_allowed(file.name)
    return HandlerResult(body=example_response(operation.id))
