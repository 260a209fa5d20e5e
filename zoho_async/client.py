"""The client `Zoho`: its settings, the products, and calls by operation or by path."""

from __future__ import annotations

import builtins
import os
from collections.abc import Mapping
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, Unpack, cast, overload

import msgspec

from zoho_async.errors import AuthError, ConfigError
from zoho_async.schema.operation import Operation, Response
from zoho_async.transport.config import TransportConfig, check_config, unknown_option
from zoho_async.transport.rate_limiter import Limits, Quota, tightest
from zoho_async.transport.shared_state import SharedState
from zoho_async.transport.transport import Transport

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from aiohttp import ClientSession

    from zoho_async.auth.oauth import Auth
    from zoho_async.auth.token_stores import TokenStore
    from zoho_async.billing import Billing
    from zoho_async.books import Books
    from zoho_async.expense import Expense
    from zoho_async.invoice import Invoice
    from zoho_async.transport.config import ClientOptions, CopyOptions
    from zoho_async.transport.hooks import CallObserver, DispatchHook, Limiters

__all__ = ["Zoho"]

T = TypeVar("T")


class Zoho:
    """A client of Zoho's finance products for one organisation.

    Use it with `async with`, within one event loop. The HTTP session opens with the first call.

    Args:
        auth: `OAuth(...)` or `StaticToken(...)`.
        organization_id: The organisation to work in. Calls raise ConfigError without it, because Zoho would use the
            user's default organisation.
        data_center: Where the account is hosted: us, eu, in, au, jp, ca, cn, sa, uk or ae.
        limits: The calls this client may make; shared by all copies that work in the same organisation.
        limiters: Where these calls are counted; None: in this client. `FileLimiters` counts them for all processes of a
            host, `zoho_async.fleet` for many hosts.
        observer: Learns of every call, its attempts and waits; `zoho_async.transport.otel.OpenTelemetry()` is one.
        retries: Further attempts of a call, for reads and for writes that may be repeated.
        max_wait: Longest single wait for Zoho's rate limits in seconds; a longer one raises RateLimitError. None:
            unlimited.
        deadline: Seconds for a whole call, waits included; None: unlimited.
        timeout: Seconds without a byte, while sending too, after which an attempt counts as lost; it ends up to 0.5 s
            later. A whole response may take ten times as long, and be 64 MiB long.
        api_url: Address of the API instead of the data center's, for a fake or a proxy server.
        accounts_url: Address of the accounts server instead of the data center's. An `api_url` on this machine is one
            too.
        session: An aiohttp session of the caller's (proxy, TLS, tracing); it is not closed here.

    Raises:
        ConfigError: A setting is invalid.
        TypeError: `auth` is not an object with the methods of `OAuth`.
    """

    def __init__(
        self,
        auth: Auth,
        *,
        organization_id: str | int | None = None,
        data_center: str = "us",
        limits: Limits | None = None,
        limiters: Limiters | None = None,
        observer: CallObserver | None = None,
        retries: int = 3,
        max_wait: float | None = 120.0,
        deadline: float | None = None,
        timeout: float = 60.0,
        api_url: str | None = None,
        accounts_url: str | None = None,
        session: ClientSession | None = None,
    ) -> None:
        settings = TransportConfig(
            auth=auth,
            organization_id=None if organization_id is None else str(organization_id),
            data_center=data_center,
            limits=limits or Limits(),
            retries=retries,
            max_wait=max_wait,
            deadline=deadline,
            timeout=timeout,
            api_url=api_url,
            accounts_url=accounts_url,
        )
        check_config(settings)
        self._transport = Transport(settings, SharedState(session, limiters, observer))
        self._original = True

    @classmethod
    def from_env(
        cls,
        environ: Mapping[str, str] | None = None,
        *,
        store: TokenStore | None = None,
        **options: Unpack[ClientOptions],
    ) -> Self:
        """Create a client from environment variables.

        They are ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET and ZOHO_REFRESH_TOKEN, or ZOHO_ACCESS_TOKEN; and
        ZOHO_ORGANIZATION_ID, ZOHO_DATA_CENTER, ZOHO_API_URL, ZOHO_ACCOUNTS_URL and ZOHO_TOKEN_FILE.

        Args:
            environ: Used instead of the process's environment.
            store: Where OAuth keeps its tokens; None: the file that ZOHO_TOKEN_FILE names, else the memory.
            options: Keyword arguments of `Zoho`, used instead of the variables.

        Returns:
            The client.

        Raises:
            AuthError: There are no credentials.
            ConfigError: Some credentials are missing, or a setting is invalid.
        """
        env = os.environ if environ is None else environ
        given = dict(options)
        for name in ("organization_id", "data_center", "api_url", "accounts_url"):
            if (value := env.get(f"ZOHO_{name.upper()}")) and given.get(name) is None:
                given[name] = value
        auth = given.pop("auth", None) or _auth_from(env, store)
        return cls(cast("Auth", auth), **cast("Any", given))

    def with_options(self, **options: Unpack[CopyOptions]) -> Self:
        """Create a copy with other settings, which is cheap and need not be closed.

        It shares the session, and the rate limiter of every organisation that both work in.

        Args:
            options: Arguments of `Zoho` except `session`, `limiters` and `observer`. `limits` changes those of all
                clients of the organisation; `data_center` resets `api_url` and `accounts_url`.

        Returns:
            The copy.

        Raises:
            ConfigError: A setting is invalid.
            TypeError: There is no such argument.
        """
        if unknown := options.keys() - set(TransportConfig.__struct_fields__):
            raise unknown_option(unknown)
        given: dict[str, Any] = dict(options)
        if given.get("organization_id") is not None:
            given["organization_id"] = str(given["organization_id"])
        if "data_center" in given:
            given = {"api_url": None, "accounts_url": None, **given}  # addresses of the previous data center
        if "limits" in given:
            given["limits"] = given["limits"] or Limits()
        settings = msgspec.structs.replace(self._transport.settings, **given)
        check_config(settings)
        copy = object.__new__(type(self))
        copy._transport = Transport(settings, self._transport.shared)
        copy._original = False
        if "limits" in options:
            copy._transport.shared.change_limits(copy._transport.organization, settings.limits)
        return copy

    @cached_property
    def books(self) -> Books:
        """Zoho Books."""
        from .books import Books

        return Books(self._transport)

    @cached_property
    def invoice(self) -> Invoice:
        """Zoho Invoice."""
        from .invoice import Invoice

        return Invoice(self._transport)

    @cached_property
    def expense(self) -> Expense:
        """Zoho Expense."""
        from .expense import Expense

        return Expense(self._transport)

    @cached_property
    def billing(self) -> Billing:
        """Zoho Billing."""
        from .billing import Billing

        return Billing(self._transport)

    @property
    def organization_id(self) -> str | None:
        """The organisation this client works in."""
        return self._transport.settings.organization_id

    @property
    def quota(self) -> Quota:
        """What is known of the organisation's remaining calls, from Zoho's responses.

        With `Limits(per_product=True)`: that of the product with the fewest left.
        """
        return tightest([limiter.quota() for limiter in self._transport.limiters()])

    def drift(self) -> dict[str, dict[str, int]]:
        """Count the values that were not of the specified type, since the client was created.

        Returns:
            Numbers by operation id and path of the field.
        """
        return self._transport.shared.decoders.drift.by_operation()

    @overload
    async def send(
        self,
        operation: Operation[T],
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        type: None = None,
        to: None = None,
        hook: DispatchHook | None = None,
        priority: bool = False,
    ) -> Response[T]: ...

    @overload
    async def send(
        self,
        operation: str,
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        type: Any = None,
        to: str | PathLike[str] | None = None,
        hook: DispatchHook | None = None,
        priority: bool = False,
    ) -> Response[Any]: ...

    @overload
    async def send(
        self,
        operation: Operation[Any],
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        type: Any,
        to: None = None,
        hook: DispatchHook | None = None,
        priority: bool = False,
    ) -> Response[Any]: ...

    @overload
    async def send(
        self,
        operation: Operation[bytes],
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        type: None = None,
        to: str | PathLike[str],
        hook: DispatchHook | None = None,
        priority: bool = False,
    ) -> Response[Path]: ...

    async def send(
        self,
        operation: Operation[Any] | str,
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        type: Any = None,
        to: str | PathLike[str] | None = None,
        hook: DispatchHook | None = None,
        priority: bool = False,
    ) -> Response[Any]:
        """Execute an operation with values by the names that Zoho uses.

        Args:
            operation: One of `operations()`, or its id, such as `books.contacts.create`.
            path: Path parameters.
            query: Query parameters.
            headers: Header parameters.
            body: A request struct or a mapping.
            files: Paths, bytes or `Upload`s by the names in `operation.files`.
            type: A struct to decode the record or each row into, instead of the operation's own.
            to: Path to write a download to, in chunks, at most 1 GiB; it appears there when it is complete.
            hook: Takes part in the call. With one, nothing is sent again that may have been executed, not even an
                operation marked idempotent. See `zoho_async.transport.hooks`.
            priority: Whether the call goes before all others of the organisation that wait for the rate limiter; for a
                write that must follow soon upon what was read.

        Returns:
            The response; its `data` is what the operation's method returns (with `to`, the path).

        Raises:
            ConfigError: There is no operation of that id.
            InvalidError: Unknown or missing names, values out of range or unreadable files; nothing was sent.
            OSError: `to` cannot be written.
            TypeError: The body is of the wrong type.
            Exception: What the hook raises.
            ZohoError: As for every call, see `zoho_async.errors`.
        """
        if not isinstance(operation, Operation):
            from zoho_async.schema.catalog import find_operation  # most calls give the operation itself

            operation = find_operation(operation)
        return await self._transport.send(
            operation,
            path=path,
            query=query,
            headers=headers,
            body=body,
            files=files,
            type=type,
            to=to,
            hook=hook,
            priority=priority,
        )

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        type: builtins.type[T],
    ) -> Response[T]: ...

    @overload
    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        type: Any = None,
    ) -> Response[Any]: ...

    async def request(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        type: Any = None,
    ) -> Response[Any]:
        """Call a path that has no operation here.

        The organisation is added where the product expects it. Only GET is repeated when its outcome is unknown.

        Args:
            method: GET, POST, PUT, PATCH or DELETE.
            path: The whole path, for example `/books/v3/items`, without a query.
            query: Query parameters; None is not sent.
            headers: Headers; None is not sent.
            body: A value that is sent as JSON.
            type: Type to decode the whole response into.

        Returns:
            The response; its `data` is the whole JSON with exact numbers, or as `type`; bytes for another medium (HTML
            only when a GET's `Accept` header asks for it), and None for an answer without content (204).

        Raises:
            ConfigError: The method or the path is invalid.
            InvalidError: A header or the body cannot be sent.
            ZohoError: As for every call, see `zoho_async.errors`.
        """
        from zoho_async.wire.raw_request import raw_request  # rarely needed

        operation, request = raw_request(
            method, path, query=query, headers=headers, body=body, organization_id=self.organization_id
        )
        return await self._transport.perform(operation, request, type)

    async def revoke(self) -> None:
        """Revoke the refresh token, so that it issues no more access tokens.

        Raises:
            AuthError: Zoho refuses, or there is no refresh token.
            ConfigError: `auth` is not an `OAuth`.
        """
        auth = self._transport.settings.auth
        from zoho_async.auth.oauth import OAuth

        if not isinstance(auth, OAuth):
            raise ConfigError("only OAuth has a refresh token to revoke")
        await auth.revoke(self._transport.accounts)

    async def close(self) -> None:
        """Close the session, if this client opened it. Copies do not close it; closing twice is harmless."""
        if self._original:
            await self._transport.shared.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    def __repr__(self) -> str:
        settings = self._transport.settings
        return f"<Zoho organization_id={settings.organization_id} {settings.api_url or settings.data_center}>"


def _auth_from(env: Mapping[str, str], store: TokenStore | None) -> Auth:
    from zoho_async.auth.oauth import OAuth, StaticToken
    from zoho_async.auth.token_stores import FileStore

    names = ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN")
    missing = [name for name in names if not env.get(name)]
    if not missing:
        path = env.get("ZOHO_TOKEN_FILE") if store is None else None
        return OAuth(*(env[name] for name in names), store=FileStore(path) if path else store)
    if token := env.get("ZOHO_ACCESS_TOKEN"):
        return StaticToken(token)
    if len(missing) < len(names):
        raise ConfigError(f"incomplete credentials: {', '.join(missing)} not set")
    raise AuthError(f"no credentials: set {', '.join(names)}, or ZOHO_ACCESS_TOKEN")
