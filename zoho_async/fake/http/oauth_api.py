"""`/oauth/...`: the addresses of the accounts server: consent, tokens, revocation."""

from __future__ import annotations

import re
from urllib.parse import parse_qsl, urlencode

from zoho_async.fake.messages import FakeRequest, Reply, fault_reply, json_reply
from zoho_async.fake.refusals import Refusal, no_such_url
from zoho_async.fake.service import FakeService

TOKEN = "oauth.token"
"""Stands for the token endpoint in place of an operation id."""

_REDIRECT_URI = re.compile(r"https?://[!-~]{1,2000}")


def handle_oauth(service: FakeService, request: FakeRequest, own_url: str) -> Reply:
    """The reply of the accounts server; Refusal 404 for any other address."""
    address = f"{request.method} {'/'.join(request.segments)}"
    if address == "GET oauth/v2/auth":
        return _consent(service, request, own_url)
    if address == "POST oauth/v2/token":
        return _token(service, request, own_url)
    # Zoho's documents have both addresses.
    if address in ("POST oauth/v2/token/revoke", "POST oauth/v2/revoke/token"):
        return _revoke(service, request)
    raise no_such_url()


def _token(service: FakeService, request: FakeRequest, api_domain: str) -> Reply:
    request.operation_id = TOKEN
    service.audit_log.requests[TOKEN] += 1
    fault = request.fault = service.faults.take(TOKEN)
    if fault is not None and fault.refuses:
        return fault_reply(fault)
    status, body = service.accounts.token(_form(request), service.clock.time(), api_domain)
    if "access_token" in body:
        service.audit_log.executed[TOKEN] += 1
    return fault_reply(fault) if fault is not None and fault.replaces else json_reply(body, status)


def _revoke(service: FakeService, request: FakeRequest) -> Reply:
    request.operation_id = "oauth.revoke"
    service.audit_log.requests[request.operation_id] += 1
    known = service.accounts.revoke(_form(request).get("token", ""))
    return json_reply({"status": "success"} if known else {"error": "invalid_code"})


def _consent(service: FakeService, request: FakeRequest, accounts_server: str) -> Reply:
    """The consent page after the user has agreed: redirects the browser with a code."""
    query = request.query
    back = query.get("redirect_uri", "")
    if query.get("client_id") != service.client_id:
        raise Refusal(400, 2, "invalid_client")
    if query.get("response_type") != "code" or not _REDIRECT_URI.fullmatch(back):
        raise Refusal(400, 2, "invalid_redirect_uri")
    scopes = [part for part in query.get("scope", "").replace(",", " ").split() if part]
    code = service.accounts.issue_code(service.clock.time(), scopes=scopes, redirect_uri=back)
    sent = {"code": code, "location": service.data_center, "accounts-server": accounts_server}
    if "state" in query:
        sent["state"] = query["state"]
    return Reply(302, b"", {"Location": f"{back}{'&' if '?' in back else '?'}{urlencode(sent)}"})


def _form(request: FakeRequest) -> dict[str, str]:
    """Parameters of the query and of the form in the body."""
    form = dict(request.query)
    if request.form:
        form |= parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
    return form
