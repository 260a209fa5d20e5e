"""What a test controls and inspects in a FakeZoho: organisations, faults, tokens, counts. No request, no HTTP."""

from __future__ import annotations

import threading
import traceback
from collections import Counter, deque
from collections.abc import Callable, Collection, Iterable, Mapping
from functools import wraps
from typing import Any, Concatenate, ParamSpec, TypeVar

import msgspec

from zoho_async.fake.handlers import contact_records, settings
from zoho_async.fake.rendering.shapes import SHAPES, Shape
from zoho_async.fake.world.audit_log import AuditLog
from zoho_async.fake.world.clock import Clock
from zoho_async.fake.world.faults import Fault, FaultPlan
from zoho_async.fake.world.grants import OAuthServer
from zoho_async.fake.world.quotas import MINUTE, Allowance
from zoho_async.fake.world.state import PLANS, ContactRecord, Organization, OrganizationProfile
from zoho_async.schema.registry import OPERATIONS
from zoho_async.schema.suggestions import did_you_mean

from .messages import FakeRequest, Received, Reply
from .refusals import Refusal

_KEPT_PROBLEMS = 20
_COUNTED = frozenset({"oauth.token", "oauth.revoke", *OPERATIONS, *(operation.id for operation in settings.OPERATIONS)})
_FAULT_TARGETS = _COUNTED | {"*"}
"""What a fault can be set for."""
_S = TypeVar("_S", bound="FakeService")
_P = ParamSpec("_P")
_R = TypeVar("_R")


def synchronized(method: Callable[Concatenate[_S, _P], _R]) -> Callable[Concatenate[_S, _P], _R]:
    """The method under the service's lock: a test may run in another thread than the server."""

    @wraps(method)
    def call(self: _S, /, *args: _P.args, **options: _P.kwargs) -> _R:
        with self.lock:
            return method(self, *args, **options)

    return call


class FakeService:
    """The state of a FakeZoho and the methods by which a test controls and inspects it."""

    def __init__(
        self,
        *,
        organizations: Iterable[str | Mapping[str, Any] | OrganizationProfile],
        per_minute: int | None,
        per_day: int | None,
        concurrency: int | None,
        block_seconds: float | None,
        unique: Iterable[str],
        custom_fields: Iterable[str],
        scopes: Iterable[str] | None,
        clock: Clock | None,
        keep_received: int,
        shape: Shape,
        data_center: str,
        seed: int,
        access_token: str | None,
        window: float = MINUTE,
    ) -> None:
        """See `FakeZoho`."""
        if shape not in SHAPES:
            raise ValueError(f"shape is one of {', '.join(SHAPES)}, not {shape!r}")
        self.lock = threading.RLock()
        self.shape: Shape = shape
        self.data_center = data_center
        self.clock = clock if clock is not None else Clock()
        self.accounts = OAuthServer(scopes, access_token)
        """The OAuth server: its credentials and tokens."""
        self.audit_log = AuditLog()
        """Counts of requests and executions."""
        self.faults = FaultPlan(seed)
        """The ordered faults."""
        self.crashes = 0
        """Errors of the fake itself; a test that finds any should fail and print `problems`."""
        self.problems: deque[str] = deque(maxlen=_KEPT_PROBLEMS)
        """The last tracebacks of such errors."""
        self._limits = (per_minute, per_day, concurrency, block_seconds, window)
        self._unique = tuple(unique)
        self._custom_fields = tuple(custom_fields)
        wrong = [name for name in (*self._unique, *self._custom_fields) if not name[3:] or not name.startswith("cf_")]
        if wrong:
            raise ValueError(f"custom field {wrong[0]!r}: its API name begins with cf_")
        self._organizations: dict[str, Organization] = {}
        for given in organizations:
            self.add_organization(given)
        if not self._organizations:
            raise ValueError("there must be an organization")
        self.organization_id = next(iter(self._organizations))
        self._received: deque[Received] = deque(maxlen=keep_received)

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
        """A token that is valid until `expire_tokens()`."""
        return self.accounts.access_token

    @property
    @synchronized
    def grant_code(self) -> str:
        """A one-time code of a self client, for `zoho-async login`; a new one once it is spent."""
        return self.accounts.self_client_code(self.clock.time())

    # -- organisations

    def organization(self, organization_id: str | None = None) -> Organization:
        """The records of one organisation.

        Args:
            organization_id: None: the first one.

        Returns:
            The organisation with its contacts, documents, comments and limits.

        Raises:
            KeyError: There is no such organisation.
        """
        return self._organizations[organization_id if organization_id is not None else self.organization_id]

    @property
    @synchronized
    def organizations(self) -> dict[str, Organization]:
        """Every organisation by id."""
        return dict(self._organizations)

    @property
    @synchronized
    def limits(self) -> dict[str, Allowance]:
        """The limits by organisation id; their numbers may be set at any time."""
        return {name: organization.limits for name, organization in self._organizations.items()}

    @synchronized
    def add_organization(self, given: str | Mapping[str, Any] | OrganizationProfile) -> Organization:
        """Add an empty organisation.

        Args:
            given: An id, or a mapping of `id`, `name`, `edition`, `plan`, `zone`, `currency_code`, `currency_symbol`.
                The plan sets the daily limit and the calls in process unless the fake was given numbers.

        Returns:
            The new organisation.

        Raises:
            ValueError: The id is empty or taken, the plan unknown, or the zone no offset such as `+05:30`.
        """
        profile = OrganizationProfile(id=given) if isinstance(given, str) else _profile(given)
        if not profile.id or profile.id in self._organizations:
            raise ValueError(f"not a new organization id: {profile.id!r}")
        if profile.plan and profile.plan not in PLANS:
            raise ValueError(f"plan is one of {', '.join(PLANS)}, not {profile.plan!r}")
        per_minute, per_day, concurrency, block_seconds, window = self._limits
        plan_day, plan_concurrency = PLANS.get(profile.plan, (None, None))
        made = self._organizations[profile.id] = Organization(
            profile.id,
            number=len(self._organizations),
            allowance=Allowance(
                per_minute=per_minute,
                per_day=plan_day if per_day is None else per_day,
                concurrency=plan_concurrency if concurrency is None else concurrency,
                block_seconds=block_seconds,
                window=window,
            ),
            unique_fields=self._unique,
            profile=profile,
        )
        for name in self._custom_fields:
            made.custom_field(name, "")
        return made

    @synchronized
    def seed(self, rows: Iterable[Mapping[str, Any]], organization_id: str | None = None) -> list[ContactRecord]:
        """Store contacts without a call being counted.

        Args:
            rows: Mappings of the fields of a create; also `contact_id`, ids of contact persons, `status`,
                `has_transaction`, `owner_id`, ids in CRM, outstanding amounts, times, and custom fields as `cf_...`
                keys. A stored contact is such a row.
            organization_id: None: the first organisation.

        Returns:
            The contacts as stored.

        Raises:
            ValueError: Names the first row that cannot be stored; the ones before it are stored.
        """
        organization, now = self.organization(organization_id), self.clock.now()
        stored: list[ContactRecord] = []
        for number, row in enumerate(rows, 1):
            try:
                stored.append(contact_records.seed(organization, row, now))
            except Refusal as refusal:
                raise ValueError(f"row {number}: {refusal.message}") from None
        return stored

    @synchronized
    def reset(self) -> None:
        """Restore the start: organisations empty and unused, no faults, no counts, nothing received.

        Credentials and the clock stay; organisations added later stay, empty.
        """
        profiles = [organization.profile for organization in self._organizations.values()]
        self._organizations = {}
        for profile in profiles:
            self.add_organization(profile)
        self.faults.clear()
        self._received.clear()
        self.audit_log = AuditLog()
        self.accounts.requests = 0
        self.crashes = 0
        self.problems.clear()

    # -- tokens and faults

    @synchronized
    def expire_tokens(self) -> None:
        """Invalidate every access token, the static one too; refresh tokens stay valid."""
        self.accounts.expire()

    @synchronized
    def script(self, operation_id: str, faults: Iterable[Fault | str] | Fault | str) -> None:
        """Order faults: each of the next requests of the operation has one, in turn.

        A request refused before it reaches its operation (credentials, limits) consumes none.

        Args:
            operation_id: `*`: any operation without a script of its own; `oauth.token`: the token endpoint.
            faults: Faults, or texts for `Fault.parse`; one alone needs no list.

        Raises:
            ValueError: One is no fault, or there is no such operation; none is ordered then.
        """
        _check_operation(operation_id, _FAULT_TARGETS)
        self.faults.script(operation_id, faults)

    @synchronized
    def chance(self, operation_id: str, fault: Fault | str, probability: float) -> None:
        """Order a fault for a part of the requests of an operation; a script goes first.

        The random numbers follow the fake's `seed`: the same in every run that sends the same requests.

        Args:
            operation_id: `*`: every operation.
            fault: A fault, or a text for `Fault.parse`.
            probability: From 0 to 1.

        Raises:
            ValueError: It is no fault or no probability, or there is no such operation.
        """
        _check_operation(operation_id, _FAULT_TARGETS)
        self.faults.chance(operation_id, fault, probability)

    @synchronized
    def clear_faults(self) -> None:
        """Remove every script and chance."""
        self.faults.clear()

    # -- what happened

    @property
    @synchronized
    def received(self) -> list[Received]:
        """The last requests, oldest first, at most `keep_received`."""
        return list(self._received)

    @property
    def ledger(self) -> AuditLog:
        """Former name of `audit_log`."""
        return self.audit_log

    @property
    @synchronized
    def counts(self) -> dict[str, dict[str, int]]:
        """By operation id: `requests` received and those `acted` on (executed)."""
        return self.audit_log.summary()

    @property
    def token_requests(self) -> int:
        """Requests at the token endpoint, refused ones included."""
        return self.accounts.requests

    @synchronized
    def requests(self, operation_id: str | None = None) -> int:
        """How many requests of this operation (None: of all) were received, refused ones included."""
        received = self.audit_log.requests
        if operation_id is not None:
            _check_operation(operation_id, _COUNTED)
        return received.total() if operation_id is None else received[operation_id]

    @synchronized
    def acts(self, operation_id: str) -> int:
        """How many requests of this operation were executed, whether or not the response arrived."""
        _check_operation(operation_id, _COUNTED)
        return self.audit_log.executed[operation_id]

    @synchronized
    def created(self, field: str = "contact_name") -> Counter[str]:
        """How many contacts were created by calls, by their value in a field; deleting subtracts nothing.

        Args:
            field: `contact_name` or a custom field without duplicates.

        Returns:
            Numbers of creates by value.
        """
        return self.audit_log.created(field)

    @synchronized
    def stats(self) -> dict[str, Any]:
        """All counts as plain data, as in `GET /_fake/stats`."""
        return {
            "operations": self.audit_log.summary(),
            "token_requests": self.token_requests,
            "repeated_bodies": len(self.audit_log.repeated()),
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

    # -- what the server records

    @synchronized
    def record_crash(self, error: BaseException | None) -> None:
        """Count an error of the fake itself; None: there was no response in time."""
        self.crashes += 1
        self.problems.append("".join(traceback.format_exception(error)) if error is not None else "no response in time")

    @synchronized
    def record_received(self, request: FakeRequest, reply: Reply | None) -> None:
        """Keep a request for `received`, without secrets; `reply` is None when the connection was cut."""
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

    def crashed(self, fault: BaseException | None) -> None:
        """Former name of `record_crash`.

        Args:
            fault: The error.
        """
        self.record_crash(fault)

    def note(self, request: FakeRequest, reply: Reply | None) -> None:
        """Former name of `record_received`.

        Args:
            request: What was received.
            reply: None when the connection was cut.
        """
        self.record_received(request, reply)


def _profile(given: Mapping[str, Any] | OrganizationProfile) -> OrganizationProfile:
    try:
        return given if isinstance(given, OrganizationProfile) else msgspec.convert(dict(given), OrganizationProfile)
    except msgspec.ValidationError as error:
        raise ValueError(str(error)) from None


def _check_operation(operation_id: str, known: Collection[str]) -> None:
    if operation_id not in known:
        hint = did_you_mean(operation_id, known) or f"possible are {', '.join(sorted(known))}"
        raise ValueError(f"there is no operation {operation_id!r}; {hint}")
