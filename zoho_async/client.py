"""The client: settings, the product namespaces, and the two ways around them."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar, overload

import msgspec

from zoho_async.auth.data_centers import DATA_CENTERS
from zoho_async.auth.oauth import Auth, OAuth, StaticToken
from zoho_async.auth.token_stores import TokenStore
from zoho_async.schema.operation import Operation, Response
from zoho_async.schema.registry import PRODUCTS
from zoho_async.transport.config import Settings
from zoho_async.transport.hooks import Limiters
from zoho_async.transport.rate_limiter import Limits, Quota, tightest
from zoho_async.transport.transport import Shared, Transport
from zoho_async.wire.encoding import Request, invalid, parameter_text, target, to_json, travels

from . import errors

if TYPE_CHECKING:
    from os import PathLike
    from pathlib import Path

    from aiohttp import ClientSession

    from .billing import Billing
    from .books import Books
    from .expense import Expense
    from .invoice import Invoice

T = TypeVar("T")


class Zoho:
    """One organisation's contacts and customers in Zoho's finance products.

    `auth`: `OAuth(...)` or `StaticToken(...)`.
    `organization_id`: the organisation to work in; Zoho would silently take the user's default one without it.
    `data_center`: us, eu, in, au, jp, ca, cn, sa or uk: where the account lives.
    `limits`: what this process allows itself; shared by everything that works in the same organisation.
    `limiters`: where limits are counted: None for this process alone, else a `FileLimiters` or those of a fleet.
    `retries`: extra attempts for reads and for writes that may be repeated.
    `max_wait`: the longest pause (seconds) Zoho may impose before a call gives up with RateLimitError; None: any.
    `deadline`: seconds for a whole call, waiting included; None: as long as it takes.
    `timeout`: seconds of silence after which an attempt counts as lost.
    `api_url`, `accounts_url`: other addresses than the data centre's, for a fake or a proxy of one's own.
    `session`: an aiohttp session of the caller's own (proxy, TLS, tracing); it is not closed here.

    Use it with `async with`, in the event loop it will work in. The session opens with the first call.
    Raises ConfigError at once for settings that cannot work.
    """

    __slots__ = ("_original", "_transport")

    def __init__(
        self,
        auth: Auth,
        *,
        organization_id: str | int | None = None,
        data_center: str = "us",
        limits: Limits | None = None,
        limiters: Limiters | None = None,
        retries: int = 3,
        max_wait: float | None = 120.0,
        deadline: float | None = None,
        timeout: float = 60.0,
        api_url: str | None = None,
        accounts_url: str | None = None,
        session: ClientSession | None = None,
    ) -> None:
        settings = Settings(
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
        _check(settings)
        self._transport = Transport(settings, Shared(session, limiters))
        self._original = True

    @classmethod
    def from_env(
        cls, environ: Mapping[str, str] | None = None, *, store: TokenStore | None = None, **options: Any
    ) -> Self:
        """A client from ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET and ZOHO_REFRESH_TOKEN, or ZOHO_ACCESS_TOKEN, with
        ZOHO_ORGANIZATION_ID, ZOHO_DATA_CENTER, ZOHO_API_URL and ZOHO_ACCOUNTS_URL.

        `store` is where OAuth keeps its tokens; `options` are those of the constructor and go before the environment.
        Raises AuthError when there are no credentials, ConfigError when some are missing or an address is none.
        """
        env = os.environ if environ is None else environ
        for name in ("organization_id", "data_center", "api_url", "accounts_url"):
            value = env.get(f"ZOHO_{name.upper()}")
            if value and options.get(name) is None:
                options[name] = value
        if "auth" in options:
            return cls(**options)
        return cls(_auth_from(env, store), **options)

    def with_options(self, **options: Any) -> Self:
        """A cheap copy with other settings: any keyword of the constructor but `session`, and `auth`.

        It shares the session, and the limiter of every organisation both work in; `limits=` changes those of the
        organisation for everybody who shares it. Closing it is not needed.
        Raises ConfigError for settings that cannot work, TypeError for names that are none.
        """
        unknown = options.keys() - set(Settings.__struct_fields__)
        if unknown:
            raise TypeError(f"with_options() knows no {', '.join(sorted(unknown))}")
        if options.get("organization_id") is not None:
            options["organization_id"] = str(options["organization_id"])
        if "data_center" in options:
            # The addresses belong to the data centre that is being left.
            options = {"api_url": None, "accounts_url": None, **options}
        if "limits" in options:
            options["limits"] = options["limits"] or Limits()
        settings = msgspec.structs.replace(self._transport.settings, **options)
        _check(settings)
        copy = object.__new__(type(self))
        copy._transport = Transport(settings, self._transport.shared)
        copy._original = False
        if "limits" in options:
            copy._transport.shared.change_limits(copy._transport.organization, settings.limits)
        return copy

    @property
    def books(self) -> Books:
        """Zoho Books."""
        from .books import Books

        return Books(self._transport)

    @property
    def invoice(self) -> Invoice:
        """Zoho Invoice."""
        from .invoice import Invoice

        return Invoice(self._transport)

    @property
    def expense(self) -> Expense:
        """Zoho Expense."""
        from .expense import Expense

        return Expense(self._transport)

    @property
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
        """What is left of the organisation's limits, as far as it is known from its answers.

        With `Limits(per_product=True)` it is that of the product with the least left: each counts by itself.
        """
        return tightest([limiter.quota() for limiter in self._transport.limiters()])

    def drift(self) -> dict[str, dict[str, int]]:
        """How often which field of which operation was not of the type the specs promise, since the client was made."""
        found: dict[str, dict[str, int]] = {}
        for (operation, path), count in self._transport.shared.decoders.drift.items():
            found.setdefault(operation, {})[path] = count
        return found

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
    ) -> Response[T]: ...

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
    ) -> Response[Path]: ...

    async def send(
        self,
        operation: Operation[Any],
        *,
        path: Mapping[str, Any] | None = None,
        query: Mapping[str, Any] | None = None,
        headers: Mapping[str, Any] | None = None,
        body: Any = None,
        files: Mapping[str, Any] | None = None,
        type: Any = None,
        to: str | PathLike[str] | None = None,
    ) -> Response[Any]:
        """Execute one of `operations()` with values by wire name; the answer with everything around it.

        `.data` is exactly what the operation's method returns; `type` decodes the record or row into a struct of the
        caller's. `files`: paths, bytes or `Upload`s by the names in `operation.files`. `to`: where a download is
        written, chunk by chunk; `.data` is then that path.
        Raises InvalidError for unknown or missing names, values out of range and unreadable files before anything is
        sent, OSError when `to` cannot be written, and what every call can raise (see `zoho_async.errors`).
        """
        return await self._transport.send(
            operation, path=path, query=query, headers=headers, body=body, files=files, type=type, to=to
        )

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
        """Anything else Zoho offers: a method and a whole path such as `/books/v3/items`.

        The organisation goes where the product wants it. `.data` is the whole answer, untyped (numbers exact) or as
        `type`. Only GET is ever repeated when its outcome is in doubt.
        """
        if not path.startswith("/") or "?" in path or "#" in path or {".", ".."} & set(path.split("/")):
            raise errors.ConfigError(f"{path!r} is no path: it begins with / and its query goes into query=")
        if method.upper() not in _METHODS:
            raise errors.ConfigError(f"{method!r} is none of {', '.join(_METHODS)}")
        from urllib.parse import quote  # 3 ms of import, which the first call pays

        method, path = method.upper(), quote(path, safe="/%:@!$&'()*+,;=~")
        product = next((one for one in PRODUCTS.values() if path.startswith(f"{one.root}/")), None)
        pairs = {name: parameter_text(value) for name, value in (query or {}).items() if value is not None}
        fields = {name: parameter_text(value) for name, value in (headers or {}).items() if value is not None}
        for name, value in fields.items():
            if not travels(value):
                fault = errors.Fault(path=name, rule="header", message="holds characters that a header cannot carry")
                raise invalid(f"{method} {path}", [fault], organization_id=self.organization_id)
        place = product.organization if product is not None else None
        if place is not None and self.organization_id is not None:
            (pairs if place.location == "query" else fields).setdefault(place.name, self.organization_id)
        content = None if body is None else to_json(body)
        if content is not None:
            fields.setdefault("Content-Type", "application/json")
        operation = Operation[Any](
            id=f"{method} {path}",
            product=product.name if product is not None else "",
            method=method,
            path=path,
            scope="",
            title="",
            kind="untyped",
            idempotent=method == "GET",
        )
        request = Request(method=method, target=target(path, pairs), headers=fields, body=content)
        return await self._transport.perform(operation, request, type)

    async def revoke(self) -> None:
        """Revoke the refresh token: no token can be had from it any more. Raises AuthError when Zoho refuses.

        ConfigError for an `auth` that has nothing to revoke.
        """
        auth = self._transport.settings.auth
        if not isinstance(auth, OAuth):
            raise errors.ConfigError("only OAuth has a refresh token to revoke")
        await auth.revoke(self._transport.accounts)

    async def close(self) -> None:
        """Close the session that this client opened. Twice is harmless; copies leave it to the original."""
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
        place = settings.api_url or settings.data_center
        return f"<Zoho organization_id={settings.organization_id} {place}>"


_METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")
_SAFE_ADDRESS = re.compile(
    r"(https://(\[[0-9a-fA-F:]+\]|[^/@:\s?#]+)|http://(127\.0\.0\.1|localhost|\[::1\]))(:(?P<port>\d{1,5}))?(/[^\s?#]*)?"
)


def _check(settings: Settings) -> None:
    if settings.data_center not in DATA_CENTERS:
        known = ", ".join(DATA_CENTERS)
        raise errors.ConfigError(f"data_center={settings.data_center!r}: there is no such data centre; known: {known}")
    for name in ("api_url", "accounts_url"):
        address: str | None = getattr(settings, name)
        found = None if address is None else _SAFE_ADDRESS.fullmatch(address)
        if address is not None and (found is None or int(found["port"] or 0) > 65535):
            raise errors.ConfigError(f"{name}={address!r}: tokens travel only over https, or over http on this machine")
    organization = settings.organization_id
    if organization is not None and not (organization.isascii() and organization.isalnum()):
        raise errors.ConfigError(f"organization_id={organization!r}: is the organisation's number")
    if not hasattr(settings.auth, "token"):
        raise TypeError("auth is an OAuth or a StaticToken, not a bare value")
    if settings.retries < 0 or settings.retries != int(settings.retries) or not settings.timeout > 0:
        raise errors.ConfigError("retries is a whole number that is not negative, timeout is more than 0")
    for name in ("max_wait", "deadline"):
        seconds: float | None = getattr(settings, name)
        if seconds is not None and not seconds >= 0:
            raise errors.ConfigError(f"{name} is a number of seconds that is not negative, or None")


def _auth_from(env: Mapping[str, str], store: TokenStore | None) -> Auth:
    names = ("ZOHO_CLIENT_ID", "ZOHO_CLIENT_SECRET", "ZOHO_REFRESH_TOKEN")
    missing = [name for name in names if not env.get(name)]
    if not missing:
        return OAuth(*(env[name] for name in names), store=store)
    token = env.get("ZOHO_ACCESS_TOKEN")
    if token:
        return StaticToken(token)
    if len(missing) < len(names):
        raise errors.ConfigError(f"incomplete credentials: {', '.join(missing)} not set")
    raise errors.AuthError(f"no credentials: set {', '.join(names)}, or ZOHO_ACCESS_TOKEN")
