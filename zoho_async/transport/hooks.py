"""What a bulk layer needs of a call besides the client's methods: a hook before it is sent, and its priority.

`bulk.push` stands on this module and on the client's public methods alone, so that another one can be written.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import msgspec

from zoho_async.schema.operation import Operation, Response

from .limits import Exhausted, Limits, Paused, Permit, Quota, Report

__all__ = [
    "CallObserver",
    "DispatchHook",
    "Exhausted",
    "Gatekeeper",
    "LeaseCheck",
    "Limiters",
    "Limits",
    "ObservedCall",
    "Paused",
    "Permit",
    "Quota",
    "Report",
    "guarded",
    "origin",
    "send",
]


class DispatchHook(Protocol):
    """Takes part in one call: before every attempt, and after each that was not executed.

    With a hook nothing is sent again that may have been executed, not even an operation marked idempotent: that is for
    the owner of the journal to decide.

    Example:
        A create that is on record before it is sent:

            class Journaled:
                throttle_count = 0

                async def before_send(self) -> None:
                    await journal.record_intent("row 7")

                def on_rejected(self) -> None:
                    self.throttle_count += 1

            await zoho.send(zoho_async.books.contacts.CREATE, body=body, hook=Journaled())
    """

    @property
    def throttle_count(self) -> int:
        """How often earlier calls for the same purpose were rejected for a limit.

        They count towards the nine rejections after which a call ends with RateLimitError.
        """
        ...

    async def before_send(self) -> None:
        """Awaited before every attempt, when the rate limiter has admitted it.

        Raises:
            Exception: Anything: it ends the call unchanged, and the attempt is not sent. An attempt that is sent is
                one for which this method has returned.
        """

    def on_rejected(self) -> None:
        """Called when an attempt was certainly not executed and the call waits for its next one.

        That is: rejected for a limit or an expired token, or never connected.

        Raises:
            Exception: Anything: it ends the call unchanged instead of another attempt.
        """


class ObservedCall(Protocol):
    """What an observer learns of one call. An exception of these methods is ignored: the call goes on."""

    def waited(self, seconds: float) -> None:
        """A wait for a token, for the rate limiter, or before another attempt has ended.

        Args:
            seconds: How long it took.
        """

    def attempted(self, detail: str, status: int, seconds: float, headers: Mapping[str, str]) -> None:
        """An attempt has ended.

        Args:
            detail: What happened, in words, without values of the request.
            status: HTTP status; 0 without a response.
            seconds: How long it took.
            headers: Those of the response.
        """

    def ended(self, error: BaseException | None) -> None:
        """The call has ended.

        Args:
            error: What it raises; None when it returns a response.
        """


class CallObserver(Protocol):
    """Observes the calls of a client: `Zoho(observer=...)`. `zoho_async.transport.otel` is one."""

    def started(self, operation: Operation[Any], organization_id: str | None) -> ObservedCall:
        """A call begins. Runs in the task of the call, as `ended` does.

        Args:
            operation: What is called.
            organization_id: The organisation it works in.

        Returns:
            What learns of this call.

        Raises:
            Exception: Anything: it ends the call before anything is sent.
        """
        ...


async def send(
    resource: Any,
    operation: Operation[Any],
    *,
    path: Mapping[str, Any] | None = None,
    query: Mapping[str, Any] | None = None,
    headers: Mapping[str, Any] | None = None,
    body: Any = None,
    type: Any = None,
    hook: DispatchHook | None = None,
    priority: bool = False,
) -> Response[Any]:
    """Executes an operation with the client that a resource belongs to; otherwise like `Zoho.send`.

    Args:
        resource: A client's resource such as `zoho.books.contacts`.
        operation: One of `zoho_async.operations()`.
        path: Values of the path, by wire name.
        query: Values of the query, by wire name.
        headers: Values of headers, by wire name.
        body: A request struct or a mapping.
        type: What the record or row is decoded into instead of the operation's own type.
        hook: Takes part in the call.
        priority: Whether the call goes before all others of the organisation that wait for the rate limiter.

    Returns:
        The response; `.data` is what the operation's method returns.

    Raises:
        TypeError: `resource` is no resource of a client.
        ZohoError: What every call can raise, see `zoho_async.errors`.
        Exception: What the hook raises.
    """
    response: Response[Any] = await _transport_of(resource).send(
        operation, path=path, query=query, headers=headers, body=body, type=type, hook=hook, priority=priority
    )
    return response


class LeaseCheck(Protocol):
    """The right to be the only one who works on something, such as `zoho_async.fleet.Lease`."""

    def check(self) -> None:
        """Make sure that it is still held.

        Raises:
            LeaseError: It is not.
        """


def guarded(resource: Any, check: Callable[[], None], *, max_wait: float | None = None) -> Any:
    """Makes a copy of a resource whose calls, reads too, are checked in the last moment before each attempt.

    Args:
        resource: A client's resource such as `zoho.books.contacts`.
        check: Called when rate limiter, token and hook have admitted the attempt. What it raises ends the call
            unchanged, and the attempt is not sent.
        max_wait: Longest single wait for a limit in seconds, where the client's own is longer; None: the client's.

    Returns:
        The copy; it shares the client's session and limits.

    Raises:
        TypeError: `resource` is no resource of a client.
    """
    transport = _transport_of(resource)
    settings = transport.settings
    if max_wait is not None and (settings.max_wait is None or settings.max_wait > max_wait):
        settings = msgspec.structs.replace(settings, max_wait=max_wait)
    return type(resource)(type(transport)(settings, transport.shared, (*transport.guards, check)))


def origin(resource: Any) -> tuple[str, str]:
    """Says which organisation the records of a resource belong to.

    Args:
        resource: A client's resource such as `zoho.books.contacts`.

    Returns:
        The API's address where one was configured, else the data centre; and the organisation's id.

    Raises:
        TypeError: `resource` is no resource of a client.
    """
    place, organization_id = _transport_of(resource).organization
    return str(place), str(organization_id)


def _transport_of(resource: Any) -> Any:
    transport = getattr(resource, "_transport", None)
    if transport is None:
        raise TypeError(f"{resource!r} is no resource of a client, such as zoho.books.contacts")
    return transport


class Gatekeeper(Protocol):
    """The rate limiter of one organisation."""

    async def acquire(self, max_pause: float | None = None, *, priority: bool = False) -> Permit:
        """Wait until a call may start, and count it. A cancelled wait counts nothing.

        Args:
            max_pause: Longest pause of the organisation to wait for, in seconds; None for no limit.
            priority: Whether to overtake all that wait without it.

        Raises:
            Exhausted: The daily quota is used up.
            Paused: The organisation is paused for more than `max_pause`.
            UnavailableError: What the limits are shared through cannot be reached.
        """
        ...

    def quota(self) -> Quota:
        """What is known in this process of the remaining calls."""
        ...

    def change(self, limits: Limits) -> None:
        """Set other limits; calls counted so far stay counted.

        Args:
            limits: The limits from now on.
        """


class Limiters(Protocol):
    """Where the limits of organisations are kept: in this process, on this host, or for many hosts."""

    def of(self, organization: tuple[str, ...], limits: Limits) -> Gatekeeper:
        """The gatekeeper of an organisation, the same one for every caller in this process.

        Args:
            organization: Identifies it: API address or data center, id, and the product if each counts separately.
            limits: Its limits, unless an earlier caller has set others; `Gatekeeper.change` sets them at any time.
        """
        ...
