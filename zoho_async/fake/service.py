"""What FakeZoho does with a request, without any HTTP: lets it in or not, hands it to its handler, counts."""

from __future__ import annotations

import re
import traceback
from collections import Counter, deque
from collections.abc import Iterable, Mapping
from importlib import import_module
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec

from zoho_async.fake.handlers.by_example import by_example
from zoho_async.fake.handlers.handler import Answer, Call, Handler, Refusal
from zoho_async.fake.rendering.shapes import SHAPES, Shape, shaped
from zoho_async.fake.world.clock import Clock
from zoho_async.fake.world.faults import Fault, Plan
from zoho_async.fake.world.ledger import Ledger
from zoho_async.fake.world.oauth import Accounts
from zoho_async.fake.world.quotas import Allowance
from zoho_async.fake.world.state import PLANS, Organization, Profile, Record
from zoho_async.schema.operation import Operation
from zoho_async.schema.registry import OPERATIONS, PRODUCTS

from .handlers import actions, addresses, comments, contact_persons, contacts, customers, documents, organizations
from .messages import Received, Reply, Request, error, faulty, refused
from .rendering import live
from .routing import Router

TOKEN = "oauth.token"
"""Stands for the token endpoint where an operation id is wanted."""

_HANDLERS: dict[str, Handler] = {
    **contacts.HANDLERS,
    **contact_persons.HANDLERS,
    **addresses.HANDLERS,
    **comments.HANDLERS,
    **documents.HANDLERS,
    **actions.HANDLERS,
    **customers.HANDLERS,
}
_PROBLEMS = 20
_ADDRESS = re.compile(r"https?://[!-~]{1,2000}")


class Service:
    """Organisations, accounts, limits, scripts and counts: everything of a FakeZoho but the socket."""

    def __init__(
        self,
        *,
        organizations: Iterable[str | Mapping[str, Any] | Profile],
        per_minute: int | None,
        per_day: int | None,
        concurrency: int | None,
        block_seconds: float | None,
        unique: Iterable[str],
        scopes: Iterable[str] | None,
        clock: Clock | None,
        keep_received: int,
        shape: Shape,
        data_center: str,
        seed: int,
        access_token: str | None,
    ) -> None:
        """See `FakeZoho`."""
        if shape not in SHAPES:
            raise ValueError(f"shape is one of {', '.join(SHAPES)}, not {shape!r}")
        self.shape: Shape = shape
        self.data_center = data_center
        self.clock = clock if clock is not None else Clock()
        self.accounts = Accounts(scopes, access_token)
        self.ledger = Ledger()
        self.crashes = 0
        """Faults of the fake itself; a test that finds any should fail and print `problems`."""
        self.problems: deque[str] = deque(maxlen=_PROBLEMS)
        """The last tracebacks of such faults."""
        self._limits = (per_minute, per_day, concurrency, block_seconds)
        self._unique = tuple(unique)
        self._organizations: dict[str, Organization] = {}
        for given in organizations:
            self.add_organization(given)
        if not self._organizations:
            raise ValueError("there must be an organization")
        self.organization_id = next(iter(self._organizations))
        self._received: deque[Received] = deque(maxlen=keep_received)
        self._faults = Plan(seed)
        self._router = _router()
        self._handlers: dict[str, Handler] = {**_HANDLERS, "books.organizations.list": self._listed}

    @property
    def client_id(self) -> str:
        """OAuth client id."""
        return self.accounts.client_id

    @property
    def client_secret(self) -> str:
        """OAuth client secret."""
        return self.accounts.client_secret

    @property
    def refresh_token(self) -> str:
        """A refresh token of that client."""
        return self.accounts.refresh_token

    @property
    def access_token(self) -> str:
        """A token that lives until `expire_tokens()`."""
        return self.accounts.access_token

    # -- state

    def organization(self, organization_id: str | None = None) -> Organization:
        """What one organisation holds (None: the first one); KeyError when there is no such organisation."""
        return self._organizations[organization_id if organization_id is not None else self.organization_id]

    @property
    def limits(self) -> dict[str, Allowance]:
        """The limits by organisation id; their numbers may be set at any time."""
        return {name: organization.limits for name, organization in self._organizations.items()}

    def seed(self, rows: Iterable[Mapping[str, Any]], organization_id: str | None = None) -> list[Record]:
        """Put contacts in without a call being counted; returns them as stored. See `contacts.seed` for the rows.

        ValueError names the first row that cannot be stored; the ones before it are in.
        """
        organization, now = self.organization(organization_id), self.clock.now()
        stored: list[Record] = []
        for number, row in enumerate(rows, 1):
            try:
                stored.append(contacts.seed(organization, row, now))
            except Refusal as refusal:
                raise ValueError(f"row {number}: {refusal.message}") from None
        return stored

    def add_organization(self, given: str | Mapping[str, Any] | Profile) -> Organization:
        """One more organisation, empty: an id, or `id`, `name`, `edition`, `plan`, `zone`, `currency_code` and so on.

        Its plan sets the daily limit and the calls in process unless the fake was given numbers. ValueError for an id
        that is taken, an unknown plan or a zone that is no offset.
        """
        profile = Profile(id=given) if isinstance(given, str) else _profile(given)
        if not profile.id or profile.id in self._organizations:
            raise ValueError(f"not a new organization id: {profile.id!r}")
        if profile.plan and profile.plan not in PLANS:
            raise ValueError(f"plan is one of {', '.join(PLANS)}, not {profile.plan!r}")
        per_minute, per_day, concurrency, block_seconds = self._limits
        plan_day, plan_concurrency = PLANS.get(profile.plan, (None, None))
        made = self._organizations[profile.id] = Organization(
            profile.id,
            number=len(self._organizations),
            allowance=Allowance(
                per_minute=per_minute,
                per_day=plan_day if per_day is None else per_day,
                concurrency=plan_concurrency if concurrency is None else concurrency,
                block_seconds=block_seconds,
            ),
            unique_fields=self._unique,
            profile=profile,
        )
        return made

    @property
    def organizations(self) -> dict[str, Organization]:
        """Every organisation by id."""
        return dict(self._organizations)

    def reset(self) -> None:
        """Everything as it was at the start: organisations empty and unspent, no faults, no counts, nothing received.

        Credentials and the clock stay; organisations added later stay too.
        """
        profiles = [organization.profile for organization in self._organizations.values()]
        self._organizations = {}
        for profile in profiles:
            self.add_organization(profile)
        self._faults.clear()
        self._received.clear()
        self.ledger = Ledger()
        self.accounts.requests = 0
        self.crashes = 0
        self.problems.clear()

    def expire_tokens(self) -> None:
        """Every access token is dead from now on, the static one too; refresh tokens live."""
        self.accounts.expire()

    def script(self, operation_id: str, faults: Iterable[Fault | str]) -> None:
        """Order faults: each of the next requests of this operation meets one, in turn, then all is well again.

        `*` stands for any operation without a script of its own, `oauth.token` for the token endpoint. Texts are
        read by `Fault.parse`. A request refused before it reaches its operation (credentials, limits) uses none up.
        """
        self._faults.script(operation_id, faults)

    def chance(self, operation_id: str, fault: Fault | str, probability: float) -> None:
        """Order a fault that befalls this part of the requests of an operation, from now on, unless a script does.

        `*` stands for every operation. The throws follow the fake's `seed`, so they are the same in every run that
        sends the same requests. ValueError when it is no fault, or no number from 0 to 1.
        """
        self._faults.chance(operation_id, fault, probability)

    def clear_faults(self) -> None:
        """No script and no chance is left."""
        self._faults.clear()

    # -- what happened

    @property
    def received(self) -> list[Received]:
        """The last requests, oldest first, at most `keep_received`."""
        return list(self._received)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """By operation id: `requests` that came in and those `acted` upon."""
        return self.ledger.summary()

    @property
    def token_requests(self) -> int:
        """How often the token endpoint was asked, refusals included."""
        return self.accounts.requests

    def requests(self, operation_id: str | None = None) -> int:
        """How many requests of this operation, or of all, came in, refused ones included."""
        came = self.ledger.requests
        return came.total() if operation_id is None else came[operation_id]

    def acts(self, operation_id: str) -> int:
        """How many requests of this operation were executed, answered or not."""
        return self.ledger.acted[operation_id]

    def created(self, field: str = "contact_name") -> Counter[str]:
        """How many contacts were created, by their value in `field`: the name, or a field without duplicates.

        What was seeded is not counted, and deleting takes nothing off. `ledger` has more.
        """
        return self.ledger.created(field)

    def stats(self) -> dict[str, Any]:
        """All counts as plain data, as `GET /_fake/stats` answers them."""
        return {
            "operations": self.ledger.summary(),
            "token_requests": self.token_requests,
            "repeated_bodies": len(self.ledger.repeated()),
            "crashes": self.crashes,
            "organizations": {
                name: {
                    "contacts": len(organization.contacts),
                    "most_in_a_minute": organization.limits.most_in_window,
                    "most_in_process": organization.limits.most_in_process,
                }
                for name, organization in self._organizations.items()
            },
        }

    # -- one request

    def refuses(self, request: Request) -> bool:
        """Whether the connection is to be refused before the body is read: an ordered fault, used up by this."""
        found = self._router.find(request.method, request.segments)
        is_token = request.path == "/oauth/v2/token"
        return (found is not None or is_token) and self._faults.refuses(TOKEN if found is None else found[0].id)

    def handle(self, request: Request, api_domain: str) -> Reply:
        """Answer a request. What it acted on is counted even when its `fault` then spoils the answer."""
        try:
            return self._answer(request, api_domain)
        except Refusal as refusal:
            return refused(refusal)
        except Exception as fault:  # noqa: BLE001 - a client gets Zoho's error shape and a test gets the count
            self.crashed(fault)
            return error(500, 1000, "An internal error occurred.")

    def crashed(self, fault: BaseException | None) -> None:
        """Count a fault of the fake itself."""
        self.crashes += 1
        self.problems.append("".join(traceback.format_exception(fault)) if fault is not None else "no answer in time")

    def note(self, request: Request, reply: Reply | None) -> None:
        """Remember a request; `reply` is None when the connection was cut instead."""
        if self._received.maxlen == 0:
            return
        headers = {
            name.lower(): "***" if name.lower() in ("authorization", "cookie") else value
            for name, value in request.headers.items()
        }
        secret = request.segments[0] == "oauth"
        self._received.append(
            Received(
                operation=request.operation_id,
                method=request.method,
                path=request.path,
                query={} if secret else request.query,
                headers=headers,
                body=b"" if secret else request.body,
                organization_id=request.organization_id,
                status=reply.status if reply is not None else None,
                code=reply.code if reply is not None else None,
            )
        )

    def _answer(self, request: Request, api_domain: str) -> Reply:
        segments = request.segments
        if segments[0] == "oauth":
            return self._accounts(request, api_domain)
        if not self._router.covers(segments):
            raise Refusal(404, 5, "Invalid URL Passed")
        found = self._router.find(request.method, segments)
        if found is not None:
            request.operation_id = found[0].id
            self.ledger.requests[request.operation_id] += 1
        scheme, _, token = request.headers.get("Authorization", "").partition(" ")
        if scheme.lower() != "zoho-oauthtoken" or not token:
            raise Refusal(401, 14, "Invalid value passed for authtoken.")
        scope = found[0].scope if found is not None else ""
        if not self.accounts.allows(token.strip(), scope, self.clock.time()):
            raise Refusal(401, 57, "You are not authorized to perform this operation")
        if found is None:
            raise Refusal(404, 5, "Invalid URL Passed")
        operation, path = found
        organization = self._wanted(operation, request)
        request.organization_id = organization.id
        return self._admitted(operation, path, organization, request)

    def _wanted(self, operation: Operation[Any], request: Request) -> Organization:
        parameter = operation.organization
        wanted = ""
        if parameter is not None:
            values = request.query if parameter.location == "query" else request.headers
            wanted = values.get(parameter.name, "")
        if not wanted:
            # The service silently takes the user's default organisation, a trap that tests should meet.
            return self._organizations[self.organization_id]
        organization = self._organizations.get(wanted)
        if organization is None:
            raise Refusal(400, 6041, f"This user is not associated with the CompanyID/CompanyName:{wanted}.")
        return organization

    def _admitted(
        self, operation: Operation[Any], path: dict[str, str], organization: Organization, request: Request
    ) -> Reply:
        now = self.clock.now()
        local = organization.local(now)
        allowance = organization.limits
        barred = allowance.admit(self.clock.time(), local.date())
        if barred is not None:
            return error(429, barred.code, barred.message, barred.retry_after)
        allowance.enter()
        request.allowance = allowance
        fault = self._faults.next(operation.id)
        request.fault = fault
        if fault is not None and fault.refuses:
            return faulty(fault)
        handler = self._handlers.get(operation.id, by_example)
        call = Call(
            operation=operation,
            organization=organization,
            path=path,
            query=request.query,
            headers=request.headers,
            body=request.body,
            form=request.form,
            now=now,
        )
        try:
            answer = handler(call)
        except Refusal as refusal:
            reply = refused(refusal)
        else:
            self._count(operation, organization, request, answer)
            headers = allowance.headers(local)
            if answer.content is not None:
                reply = Reply(answer.status, answer.content, headers, 0, answer.content_type)
            else:
                body = shaped(answer.body, operation, self.shape)
                reply = Reply(answer.status, live.encode(body), headers, 0)
        return faulty(fault) if fault is not None and fault.replaces else reply

    def _count(self, operation: Operation[Any], organization: Organization, request: Request, answer: Answer) -> None:
        body = request.body if operation.method != "GET" else b""
        target = f"{request.path} {request.headers.get('X-Unique-Identifier-Value', '')}".strip()
        self.ledger.act(operation.id, target, body, answer.touched, answer.created, organization.unique_fields)

    def _accounts(self, request: Request, api_domain: str) -> Reply:
        path = "/".join(request.segments)
        form = dict(request.query)
        if request.form:
            form |= parse_qsl(request.body.decode("utf-8", "replace"), keep_blank_values=True)
        if request.method == "GET" and path == "oauth/v2/auth":
            return self._consent(request, api_domain)
        if request.method == "POST" and path == "oauth/v2/token":
            request.operation_id = TOKEN
            self.ledger.requests[TOKEN] += 1
            fault = request.fault = self._faults.next(TOKEN)
            if fault is not None and fault.refuses:
                return faulty(fault)
            status, body = self.accounts.answer(form, self.clock.time(), api_domain)
            if "access_token" in body:
                self.ledger.acted[TOKEN] += 1
            reply = Reply(status, live.encode(body), {})
            return faulty(fault) if fault is not None and fault.replaces else reply
        # Two addresses are documented.
        if request.method == "POST" and path in ("oauth/v2/token/revoke", "oauth/v2/revoke/token"):
            request.operation_id = "oauth.revoke"
            self.ledger.requests[request.operation_id] += 1
            known = self.accounts.revoke(form.get("token", ""))
            return Reply(200, live.encode({"status": "success"} if known else {"error": "invalid_code"}), {})
        raise Refusal(404, 5, "Invalid URL Passed")

    def _consent(self, request: Request, accounts_server: str) -> Reply:
        """What the consent page does once the user has agreed: it sends the browser back with a code."""
        query = request.query
        back = query.get("redirect_uri", "")
        if query.get("client_id") != self.client_id:
            raise Refusal(400, 2, "invalid_client")
        if query.get("response_type") != "code" or not _ADDRESS.fullmatch(back):
            raise Refusal(400, 2, "invalid_redirect_uri")
        scopes = [part for part in query.get("scope", "").replace(",", " ").split() if part]
        code = self.accounts.issue_code(self.clock.time(), scopes=scopes, redirect_uri=back)
        sent = {"code": code, "location": self.data_center, "accounts-server": accounts_server}
        if "state" in query:
            sent["state"] = query["state"]
        return Reply(302, b"", {"Location": f"{back}{'&' if '?' in back else '?'}{urlencode(sent)}"})

    def _listed(self, call: Call) -> Answer:
        return organizations.listed(self._organizations.values(), self.organization_id)


def _profile(given: Mapping[str, Any] | Profile) -> Profile:
    try:
        return given if isinstance(given, Profile) else msgspec.convert(dict(given), Profile)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def _router() -> Router:
    operations: list[Operation[Any]] = [getattr(import_module(module), name) for module, name in OPERATIONS.values()]
    return Router((PRODUCTS[operation.product].root, operation) for operation in operations)
