"""Authentication: a static token, or OAuth with one refresh at a time. The transport supplies the HTTP."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Protocol, Self

import msgspec

from zoho_async.errors import AuthError, ConfigError, LeaseError, UnavailableError

from .kept_tokens import KeptTokens, unsaved_code
from .token_budget import refresh_windows, seconds_left
from .token_response import is_denial, is_header_safe_token, parse, read_token, suggest_data_centers
from .token_stores import MemoryStore, Stored, Token, TokenStore, client_digest

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
    for the new one; short-lived tokens have shorter windows. A token that is still valid is used when its refresh
    fails. Zoho locks a refresh token after ten token requests in ten minutes; these are counted in the store, and no
    eleventh is sent (https://www.zoho.com/crm/developer/docs/api/v7/token-validity.html). While the store cannot be
    written (a read-only file system, a full disk) they are counted in this object, after one warning in the log.

    One object serves any number of event loops, one after another or in several threads.

    Args:
        client_id: Client id from Zoho's API console.
        client_secret: The client's secret.
        refresh_token: A refresh token of that client.
        store: Where tokens are kept; `MemoryStore()` by default. With a `FileStore` processes share one token.

    Raises:
        ValueError: One of the credentials is empty.
    """

    __slots__ = ("_code", "_credentials", "_failed", "_fetched", "_kept", "_redirect_uri", "_refreshing", "_token")

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

        A grant code is valid for minutes and for one use, so it is spent only after the store has been written once:
        a store that cannot keep the refresh token is a ConfigError. A store that already holds a refresh token of
        this client is used as it is.

        Args:
            client_id: Client id from Zoho's API console.
            client_secret: The client's secret.
            code: The grant code.
            store: Where the refresh token is kept; it exists nowhere else.
            redirect_uri: The client's redirect URI; empty for a self client.

        Returns:
            The `auth` of a client.

        Raises:
            ConfigError: The store's `durable` is False: it may lose the refresh token.
        """
        if not getattr(store, "durable", True):
            raise ConfigError(f"{store!r} is not durable, and the refresh token of a grant code exists nowhere else")
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
        self._kept = KeptTokens(store if store is not None else MemoryStore())
        self._code = code
        self._redirect_uri = redirect_uri
        self._fetched = False
        self._token: Token | None = None
        self._refreshing = False
        # A token whose refresh failed, and the seconds left at which it is tried again.
        self._failed = ("", 0.0)

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
        left = required = 0.0
        if token is not None:
            left = seconds_left(token, time.time())
            early, required = refresh_windows(token)
            retried_at = self._failed[1] if self._failed[0] == token.value else early
            if left > 0 and (left >= retried_at or (left >= required and self._refreshing)):
                return token
        try:
            return await self._refresh_token(token, None, accounts)
        except Exception as error:  # a valid token is used whatever prevents its refresh
            valid = self._still_valid()
            if valid is None:
                raise
            self._failed = (valid.value, required if left >= required else 0.0)
            kind = type(error).__name__
            self._kept.warn("refresh", f"an access token that is still valid could not be refreshed: {kind}")
            return valid

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
        return await self._refresh_token(failed, failed, accounts)

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
        async with self._kept.exclusive():
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
            self._token = None
            await self._kept.clear()

    async def find_data_center(self, accounts: AccountsServer) -> str | None:
        """Find the data center of the credentials by requesting a token from every other one than the client's.

        This sends the client secret and the refresh token to the accounts server of each, until one issues a token.
        Nothing else does so. It counts as one token request. A grant code is never sent.

        Args:
            accounts: The accounts server of the client.

        Returns:
            The name of the data center, for the option `data_center`; None when none accepts the credentials.

        Raises:
            AuthError: There is no refresh token, or the budget of token requests is used up.
            ConfigError: The store cannot be used, or holds tokens of another client.
        """
        async with self._kept.exclusive():
            credentials = await self._credentials()
            stored = await self._load(credentials)
            form = self._form(credentials, stored)
            if "refresh_token" not in form:
                raise AuthError("only a refresh token can be tried in several data centers, not a grant code")
            await self._kept.record_request(stored)
            for center in accounts.other_data_centers:
                try:
                    status, body = await accounts(_TOKEN_PATH, form, center)
                    read_token(status, body, 0.0)
                except (AuthError, UnavailableError):
                    continue
                return center
        return None

    async def _refresh_token(self, known: Token | None, refused: Token | None, accounts: AccountsServer) -> Token:
        """Replace a known token, which the API may have refused."""
        # A lock, not a shared task: when one caller is cancelled, the next one refreshes.
        failed = self._failed
        self._refreshing = True
        try:
            async with self._kept.exclusive() as unlocked:
                if refused is None and self._failed != failed and self._still_valid():
                    raise AuthError("another call's refresh failed while this one waited")
                credentials = await self._credentials()
                stored = await self._load(credentials)
                replaced = {self._kept.replaced, *(token.value for token in (known, refused) if token is not None)}
                for token in (stored.token, self._token):
                    if token is None or token.value in replaced:
                        continue
                    left = seconds_left(token, time.time())
                    if left > 0 and known is None:
                        self._token = token  # used if the request fails
                    if left > refresh_windows(token)[1]:
                        self._token = token
                        return token
                try:
                    self._token = await self._request(credentials, stored, accounts, unlocked)
                except LeaseError:
                    # Another process has taken the lock over; its token is as good.
                    token = (await self._load(credentials)).token
                    if token is None or token.value in replaced or seconds_left(token, time.time()) <= 0:
                        raise
                    self._token = token
                return self._token
        finally:
            self._refreshing = False

    def _still_valid(self) -> Token | None:
        token = self._token
        return token if token is not None and seconds_left(token, time.time()) > 0 else None

    async def _load(self, credentials: Credentials) -> Stored:
        # Fetched refresh tokens may rotate within the same client.
        refresh_token = "" if self._fetched else credentials.refresh_token
        return await self._kept.load(client_digest(credentials.client_id, refresh_token))

    async def _request(
        self, credentials: Credentials, stored: Stored, accounts: AccountsServer, unlocked: Exception | None
    ) -> Token:
        form = self._form(credentials, stored)
        spends_code = "code" in form
        if spends_code and unlocked is not None:
            raise unsaved_code(unlocked) from None
        now = time.time()
        await self._kept.record_request(stored, required=spends_code)
        try:
            status, body = await accounts(_TOKEN_PATH, form)
        except UnavailableError as error:
            # Retried and counted again: Zoho may have counted the first one.
            try:
                await self._kept.record_request(stored)
            except AuthError:
                raise error from None
            status, body = await accounts(_TOKEN_PATH, form)
        try:
            token = read_token(status, body, now)
        except AuthError as error:
            if is_denial(status, error.code):
                await self._kept.record_denial(stored)
            if error.code in ("invalid_client", "invalid_code") and accounts.other_data_centers:
                raise suggest_data_centers(error, accounts.other_data_centers) from None
            raise
        obtained = (parse(body).refresh_token or stored.refresh_token) if self._code else ""
        await self._kept.record_token(stored, token, obtained)
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
