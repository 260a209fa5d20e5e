"""Authentication: a static token, or OAuth with one refresh at a time. The transport supplies the HTTP."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, Self

import msgspec

from zoho_async.errors import AuthError, ConfigError, UnavailableError

from .token_response import is_header_safe_token, parse, read_token
from .token_stores import MemoryStore, Stored, Token, TokenStore, client_digest

REFRESH_EARLY_S = 300.0
"""In the last seconds of a token's life one call refreshes it while the others use it."""
REFRESH_REQUIRED_S = 60.0
"""In the last seconds of a token's life every call waits for the new one."""
TOKEN_REQUEST_BUDGET = 10
"""Token requests that Zoho allows per refresh token in `TOKEN_REQUEST_WINDOW_S`."""
TOKEN_REQUEST_WINDOW_S = 600.0
_TOKEN_PATH = "/oauth/v2/token"
_REVOKE_PATHS = ("/oauth/v2/token/revoke", "/oauth/v2/revoke/token")
"""Zoho's documents have both."""


class AccountsServer(Protocol):
    """Zoho's accounts server, as the transport offers it."""

    @property
    def other_data_centers(self) -> Sequence[str]:
        """Names of the other data centers; empty when the address was configured."""
        ...

    async def __call__(self, path: str, form: Mapping[str, str], data_center: str | None = None) -> tuple[int, bytes]:
        """Post a form.

        Args:
            path: Path on the accounts server.
            form: The fields of the form.
            data_center: Another data center than the client's.

        Returns:
            The status and the body.

        Raises:
            UnavailableError: There was no response.
        """
        ...


class Auth(Protocol):
    """Supplies access tokens to the transport.

    Any object with these methods can be the `auth` of a `Zoho`.
    """

    async def token(self, accounts: AccountsServer) -> Token:
        """Return a token that should be valid.

        Args:
            accounts: The accounts server to request one from.

        Raises:
            AuthError: There is none.
        """
        ...

    async def refresh(self, failed: Token, accounts: AccountsServer) -> Token:
        """Return another token than the one that the API refused.

        Args:
            failed: The refused token.
            accounts: The accounts server to request one from.

        Raises:
            AuthError: There is none.
        """
        ...

    def latest(self, token: Token) -> Token:
        """Return the newest known token, without a request.

        Args:
            token: Returned when no newer one is known.
        """
        ...


class StaticToken:
    """A fixed access token, which is not refreshed: once it has expired, calls raise AuthError.

    Args:
        value: The access token.

    Raises:
        ValueError: It is empty or not printable ASCII without blanks.
    """

    __slots__ = ("_token",)

    def __init__(self, value: str) -> None:
        if not is_header_safe_token(value):
            raise ValueError("an access token is printable ASCII without blanks")
        self._token = Token(value=value)

    async def token(self, accounts: AccountsServer) -> Token:
        """Return the token.

        Args:
            accounts: Not used.
        """
        return self._token

    async def refresh(self, failed: Token, accounts: AccountsServer) -> Token:
        """Always raises AuthError.

        Args:
            failed: The refused token.
            accounts: Not used.
        """
        raise AuthError("the access token was refused, and a static token cannot be refreshed")

    def latest(self, token: Token) -> Token:
        """Return the token.

        Args:
            token: Not used.
        """
        return self._token

    def __repr__(self) -> str:
        return "StaticToken(***)"


class Credentials(msgspec.Struct, frozen=True):
    """The credentials of an OAuth client. Its repr shows none of them.

    Args:
        client_id: Client id from Zoho's API console.
        client_secret: The client's secret.
        refresh_token: Empty when the token store holds one that was obtained for a grant code.
    """

    client_id: str
    client_secret: str
    refresh_token: str = ""

    def __repr__(self) -> str:
        return "Credentials(***)"


class OAuth:
    """Access tokens from a refresh token, refreshed before they expire.

    In the last five minutes of a token's life one call refreshes it while others use it; in the last minute all wait
    for the new one. Zoho locks a refresh token after ten token requests in ten minutes; these are counted in the
    store, and no eleventh is sent (https://www.zoho.com/crm/developer/docs/api/v7/token-validity.html).

    Args:
        client_id: Client id from Zoho's API console.
        client_secret: The client's secret.
        refresh_token: A refresh token of that client.
        store: Where tokens are kept; `MemoryStore()` by default. With a `FileStore` processes share one token.

    Raises:
        ValueError: One of the credentials is empty.
    """

    __slots__ = ("_code", "_credentials", "_fetched", "_redirect_uri", "_refreshing", "_store", "_token")

    def __init__(
        self, client_id: str, client_secret: str, refresh_token: str, *, store: TokenStore | None = None
    ) -> None:
        given = {"client_id": client_id, "client_secret": client_secret, "refresh_token": refresh_token}
        for name, value in given.items():
            if not value:
                raise ValueError(f"OAuth: {name} is empty")
        fixed = Credentials(client_id, client_secret, refresh_token)

        async def credentials() -> Credentials:
            return fixed

        self._set_up(credentials, store, code="", redirect_uri="")

    @classmethod
    def from_callable(
        cls, credentials: Callable[[], Awaitable[Credentials]], *, store: TokenStore | None = None
    ) -> Self:
        """OAuth with credentials that are fetched for each token request, for example from a vault, and not kept.

        Args:
            credentials: An async function that returns the credentials.
            store: Where tokens are kept; `MemoryStore()` by default.

        Returns:
            The `auth` of a client.
        """
        auth = cls.__new__(cls)
        auth._set_up(credentials, store, code="", redirect_uri="")
        auth._fetched = True
        return auth

    @classmethod
    def from_code(
        cls, client_id: str, client_secret: str, code: str, *, store: TokenStore, redirect_uri: str = ""
    ) -> Self:
        """OAuth with a grant code, which the first call exchanges for a refresh token.

        A grant code is valid for minutes and for one use. A store that already holds a refresh token of this client
        is used as it is.

        Args:
            client_id: Client id from Zoho's API console.
            client_secret: The client's secret.
            code: The grant code.
            store: Where the refresh token is kept; it exists nowhere else.
            redirect_uri: The client's redirect URI; empty for a self client.

        Returns:
            The `auth` of a client.
        """
        auth = cls.__new__(cls)

        async def credentials() -> Credentials:
            return Credentials(client_id, client_secret)

        auth._set_up(credentials, store, code=code, redirect_uri=redirect_uri)
        return auth

    def _set_up(
        self,
        credentials: Callable[[], Awaitable[Credentials]],
        store: TokenStore | None,
        *,
        code: str,
        redirect_uri: str,
    ) -> None:
        self._credentials = credentials
        self._store: TokenStore = store if store is not None else MemoryStore()
        self._code = code
        self._redirect_uri = redirect_uri
        self._token: Token | None = None
        self._refreshing = False
        self._fetched = False

    def __repr__(self) -> str:
        return "OAuth(***)"

    async def token(self, accounts: AccountsServer) -> Token:
        """Return the current token, or a new one when it is about to expire.

        Args:
            accounts: The accounts server to request one from.

        Raises:
            AuthError: Zoho refuses to issue one, or the budget of token requests is used up.
            ConfigError: The store cannot be used, or holds tokens of another client.
            UnavailableError: The accounts server did not respond.
        """
        token = self._token
        left = _seconds_left(token) if token is not None else 0.0
        if token is None or left < REFRESH_REQUIRED_S:
            return await self._refresh_token(None if token is None else token.value, accounts)
        if left < REFRESH_EARLY_S and not self._refreshing:
            try:
                return await self._refresh_token(token.value, accounts)
            except (AuthError, UnavailableError):
                return token  # still valid for minutes
        return token

    async def refresh(self, failed: Token, accounts: AccountsServer) -> Token:
        """Return another token than the one that the API refused.

        Args:
            failed: The refused token. When another task or process has replaced it, that token is returned.
            accounts: The accounts server to request one from.

        Raises:
            AuthError: Zoho refuses to issue one, or the budget of token requests is used up.
            ConfigError: The store cannot be used, or holds tokens of another client.
            UnavailableError: The accounts server did not respond.
        """
        return await self._refresh_token(failed.value, accounts)

    def latest(self, token: Token) -> Token:
        """Return the newest known token, without a request.

        Args:
            token: Returned when no newer one is known.
        """
        return self._token or token

    async def revoke(self, accounts: AccountsServer) -> None:
        """Revoke the refresh token and clear the store. See `Zoho.revoke`.

        Args:
            accounts: The accounts server.

        Raises:
            AuthError: There is no refresh token, or Zoho refuses to revoke it.
        """
        credentials = await self._credentials()
        async with self._store.lock():
            stored = await self._load(credentials)
            token = credentials.refresh_token or stored.refresh_token
            if not token:
                raise AuthError("there is no refresh token to revoke")
            first, second = _REVOKE_PATHS
            status, body = await accounts(first, {"token": token})
            if status == 404:
                status, body = await accounts(second, {"token": token})
            if status >= 400 or parse(body).error is not None:
                raise AuthError(f"Zoho did not revoke the refresh token (HTTP {status})", status=status)
            await self._store.save(Stored())
            self._token = None

    async def _refresh_token(self, refused: str | None, accounts: AccountsServer) -> Token:
        # A lock, not a shared task: when one caller is cancelled, the next one refreshes.
        self._refreshing = True
        try:
            async with self._store.lock():
                credentials = await self._credentials()
                stored = await self._load(credentials)
                if (
                    stored.token is not None
                    and stored.token.value != refused
                    and _seconds_left(stored.token) > REFRESH_REQUIRED_S
                ):
                    self._token = stored.token
                    return stored.token
                self._token = await self._request(credentials, stored, accounts)
                return self._token
        finally:
            self._refreshing = False

    async def _load(self, credentials: Credentials) -> Stored:
        stored = await self._store.load()
        # Fetched refresh tokens may rotate within the same client.
        client = client_digest(credentials.client_id, "" if self._fetched else credentials.refresh_token)
        if stored.client and stored.client != client:
            raise ConfigError(
                f"{self._store!r} holds tokens of another client or refresh token; use one store for each"
            )
        stored.client = client
        return stored

    async def _request(self, credentials: Credentials, stored: Stored, accounts: AccountsServer) -> Token:
        now = time.time()
        recent = tuple(moment for moment in stored.requests if now - TOKEN_REQUEST_WINDOW_S < moment <= now)
        if len(recent) >= TOKEN_REQUEST_BUDGET:
            wait = recent[0] + TOKEN_REQUEST_WINDOW_S - now
            raise AuthError(
                f"{TOKEN_REQUEST_BUDGET} tokens were requested in the last ten minutes, Zoho's limit for one refresh "
                f"token; the next request is allowed in {wait:.0f} s. Likely causes: several processes without a "
                "shared store, or a refresh at every start"
            )
        form = self._form(credentials, stored)
        stored.requests = (*recent, now)
        await self._store.save(stored)
        try:
            status, body = await accounts(_TOKEN_PATH, form)
        except UnavailableError:
            # Retried and counted again: Zoho may have counted the first one.
            if len(stored.requests) >= TOKEN_REQUEST_BUDGET:
                raise
            stored.requests = (*stored.requests, time.time())
            await self._store.save(stored)
            status, body = await accounts(_TOKEN_PATH, form)
        try:
            token = read_token(status, body, now)
        except AuthError as error:
            center = await _find_data_center(error, form, accounts)
            if center is None:
                raise
            raise AuthError(
                f"{error}. The same credentials are valid in another data center: use data_center={center!r}",
                status=status,
                code=error.code,
            ) from None
        stored.token = token
        stored.refresh_token = parse(body).refresh_token or stored.refresh_token if self._code else ""
        await self._store.save(stored)
        return token

    def _form(self, credentials: Credentials, stored: Stored) -> dict[str, str]:
        form = {"client_id": credentials.client_id, "client_secret": credentials.client_secret}
        refresh_token = credentials.refresh_token or stored.refresh_token
        if refresh_token:
            return {"grant_type": "refresh_token", **form, "refresh_token": refresh_token}
        if not self._code:
            raise AuthError("there is no refresh token: the credentials hold none")
        form = {"grant_type": "authorization_code", **form, "code": self._code}
        return {**form, "redirect_uri": self._redirect_uri} if self._redirect_uri else form


async def _find_data_center(error: AuthError, form: Mapping[str, str], accounts: AccountsServer) -> str | None:
    """The data center where the credentials are valid, for an error that a wrong one causes.

    That error is `invalid_client` or `invalid_code`. A grant code is not tried, because it is valid for one use.
    """
    if error.code not in ("invalid_client", "invalid_code") or "refresh_token" not in form:
        return None
    for center in accounts.other_data_centers:
        try:
            status, body = await accounts(_TOKEN_PATH, form, center)
            read_token(status, body, 0.0)
        except (AuthError, UnavailableError):
            continue
        return center
    return None


def _seconds_left(token: Token) -> float:
    return float("inf") if token.expires_at is None else token.expires_at - time.time()
