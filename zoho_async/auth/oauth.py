"""Tokens: a static one, or OAuth with one refresh at a time. No HTTP of its own: the way to post is handed in."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any, Protocol, Self

import msgspec

from zoho_async.errors import AuthError, ConfigError, LeaseError, UnavailableError

from .data_centers import trusted_api_url
from .token_stores import MemoryStore, Stored, Token, TokenStore, client_digest

_LIFETIME = 3600.0
_SOON = 300.0
_NOW = 60.0
_BUDGET, _BUDGET_SECONDS = 10, 600.0
_TOKEN_PATH = "/oauth/v2/token"
_REVOKE_PATHS = ("/oauth/v2/token/revoke", "/oauth/v2/revoke/token")
"""Both stand in Zoho's documents."""


class Accounts(Protocol):
    """The accounts server, as the transport offers it."""

    @property
    def others(self) -> Sequence[str]:
        """Names of the data centres that could be meant instead; empty when the address was configured."""
        ...

    async def __call__(self, path: str, form: Mapping[str, str], data_center: str | None = None) -> tuple[int, bytes]:
        """Posts a form; returns status and body. Raises UnavailableError when there is no answer."""
        ...


class Auth(Protocol):
    """Where the transport gets its tokens."""

    async def token(self, accounts: Accounts) -> Token:
        """A token that should be good now. Raises AuthError."""
        ...

    async def refresh(self, failed: Token, accounts: Accounts) -> Token:
        """A token other than the one that was just refused. Raises AuthError when there is none."""
        ...

    def latest(self, token: Token) -> Token:
        """The newest token at hand, `token` when there is no newer one. Asks nobody."""
        ...


def _travels(value: str) -> bool:
    return bool(value) and value.isascii() and value.isprintable() and " " not in value


class StaticToken:
    """An access token somebody else looks after; when it is dead, calls raise AuthError."""

    __slots__ = ("_token",)

    def __init__(self, value: str) -> None:
        if not _travels(value):
            raise ValueError("an access token is printable ASCII without blanks")
        self._token = Token(value=value)

    async def token(self, accounts: Accounts) -> Token:
        return self._token

    async def refresh(self, failed: Token, accounts: Accounts) -> Token:
        raise AuthError("the access token was refused, and a static token cannot be renewed")

    def latest(self, token: Token) -> Token:
        return self._token

    def __repr__(self) -> str:
        return "StaticToken(***)"


class Credentials(msgspec.Struct, frozen=True):
    """What tokens are asked for with. None of it is in its repr."""

    client_id: str
    client_secret: str
    refresh_token: str = ""
    """Empty when it comes from the grant code, or from the store that keeps what the grant code gave."""

    def __repr__(self) -> str:
        return "Credentials(***)"


class OAuth:
    """Access tokens from a refresh token, renewed before they die.

    In the last five minutes of a token's life the first call that comes renews it in passing while others go on
    with the old one; in the last minute all wait for the new one. Zoho locks a refresh token out after ten token
    requests in ten minutes: that budget is kept here (in the store, by all who share it), so it never has to.

    `store`: where tokens are kept, `MemoryStore()` unless named; with a `FileStore` processes share one token.
    """

    __slots__ = ("_code", "_credentials", "_fetched", "_redirect_uri", "_renewing", "_store", "_token")

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
        """Credentials that are fetched (from a vault, say) each time a token is asked for, and kept nowhere."""
        auth = cls.__new__(cls)
        auth._set_up(credentials, store, code="", redirect_uri="")
        auth._fetched = True
        return auth

    @classmethod
    def from_code(
        cls, client_id: str, client_secret: str, code: str, *, store: TokenStore, redirect_uri: str = ""
    ) -> Self:
        """The refresh token comes from a grant code, which the first call exchanges: it lives for minutes, once.

        The store keeps the refresh token, for nobody else has it; a store that has one already is used as it is.
        A self client needs no `redirect_uri`. Raises ConfigError for a store that is not durable.
        """
        if not getattr(store, "durable", True):
            raise ConfigError(f"{store!r} may lose what it is given, and the refresh token of a code is nowhere else")
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
        self._renewing = False
        self._fetched = False

    def __repr__(self) -> str:
        return "OAuth(***)"

    async def token(self, accounts: Accounts) -> Token:
        """The current token, or a new one when it is about to die."""
        token = self._token
        left = _seconds_left(token) if token is not None else 0.0
        if token is None or left < _NOW:
            return await self._renew(None if token is None else token.value, accounts)
        if left < _SOON and not self._renewing:
            try:
                return await self._renew(token.value, accounts)
            except (AuthError, UnavailableError):
                return token  # still good for minutes; the last minute will tell
        return token

    async def refresh(self, failed: Token, accounts: Accounts) -> Token:
        """A new token in place of the one that was refused, unless somebody has got one already."""
        return await self._renew(failed.value, accounts)

    def latest(self, token: Token) -> Token:
        """The newest token at hand."""
        return self._token or token

    async def revoke(self, accounts: Accounts) -> None:
        """Revokes the refresh token, so that nobody can use it any more. Raises AuthError when Zoho refuses."""
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
            if status >= 400 or _read(body).error is not None:
                raise AuthError(f"Zoho did not revoke the refresh token (HTTP {status})", status=status)
            await self._store.save(Stored())
            self._token = None

    async def _renew(self, dead: str | None, accounts: Accounts) -> Token:
        # A lock and not a shared task: when the one who refreshes is cancelled, the next in line takes over.
        self._renewing = True
        try:
            async with self._store.lock():
                credentials = await self._credentials()
                stored = await self._load(credentials)
                if stored.token is not None and stored.token.value != dead and _seconds_left(stored.token) > _NOW:
                    self._token = stored.token
                    return stored.token
                try:
                    self._token = await self._request(credentials, stored, accounts)
                except LeaseError:
                    # Another process has taken the lock over; its token is as good.
                    stored = await self._load(credentials)
                    if stored.token is None or stored.token.value == dead:
                        raise
                    self._token = stored.token
                return self._token
        finally:
            self._renewing = False

    async def _load(self, credentials: Credentials) -> Stored:
        stored = await self._store.load()
        # Credentials that are fetched may rotate; it is still the same client.
        client = client_digest(credentials.client_id, "" if self._fetched else credentials.refresh_token)
        if stored.client and stored.client != client:
            raise ConfigError(
                f"{self._store!r} holds tokens of another client or refresh token; give each its own store"
            )
        stored.client = client
        return stored

    async def _request(self, credentials: Credentials, stored: Stored, accounts: Accounts) -> Token:
        now = time.time()
        recent = tuple(moment for moment in stored.requests if now - _BUDGET_SECONDS < moment <= now)
        if len(recent) >= _BUDGET:
            wait = recent[0] + _BUDGET_SECONDS - now
            raise AuthError(
                f"{_BUDGET} tokens were asked for in the last ten minutes, which is all Zoho allows for one refresh "
                f"token; the next may be asked for in {wait:.0f} s. Something throws tokens away: several processes "
                "without a shared store, or a refresh at every start"
            )
        form = self._form(credentials, stored)
        stored.requests = (*recent, now)
        await self._store.save(stored)
        try:
            status, body = await accounts(_TOKEN_PATH, form)
        except UnavailableError:
            # Once more, and counted once more: Zoho may have counted what was not answered.
            if len(stored.requests) >= _BUDGET:
                raise
            stored.requests = (*stored.requests, time.time())
            await self._store.save(stored)
            status, body = await accounts(_TOKEN_PATH, form)
        try:
            token = read_token(status, body, now)
        except AuthError as error:
            center = await _elsewhere(error, form, accounts)
            if center is None:
                raise
            raise AuthError(
                f"{error}. The same credentials are good in another data centre: use data_center={center!r}",
                status=status,
                code=error.code,
            ) from None
        stored.token = token
        stored.refresh_token = _read(body).refresh_token or stored.refresh_token if self._code else ""
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


async def _elsewhere(error: AuthError, form: Mapping[str, str], accounts: Accounts) -> str | None:
    """The data centre where the same credentials are good, when the refusal looks like a wrong one.

    Zoho says no more than `invalid_client` or `invalid_code` then. A grant code is not tried: it is good for one use.
    """
    if error.code not in ("invalid_client", "invalid_code") or "refresh_token" not in form:
        return None
    for center in accounts.others:
        try:
            status, body = await accounts(_TOKEN_PATH, form, center)
            read_token(status, body, 0.0)
        except (AuthError, UnavailableError):
            continue
        return center
    return None


def _seconds_left(token: Token) -> float:
    return float("inf") if token.expires_at is None else token.expires_at - time.time()


class _Answer(msgspec.Struct):
    access_token: str | None = None
    refresh_token: str | None = None
    api_domain: str | None = None
    expires_in: Any = None
    expires_in_sec: Any = None
    scope: Any = None
    error: str | None = None


_HINTS = {
    "invalid_code": "the refresh token or code is revoked, used, mistyped, or of another data centre",
    "invalid_client": "the client id is unknown in this data centre",
    "invalid_client_secret": "the client secret does not belong to the client id",
    "invalid_redirect_uri": "the redirect_uri is not the one the client was registered with",
    "Access Denied": "Zoho refuses more token requests for a while (ten in ten minutes are allowed)",
}


def _read(body: bytes) -> _Answer:
    try:
        return msgspec.json.decode(body, type=_Answer, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return _Answer()


def read_token(status: int, body: bytes, now: float) -> Token:
    """The token in a token endpoint's answer. Pure. Raises AuthError; errors come with HTTP 200 as well."""
    answer = _read(body)
    if answer.access_token and _travels(answer.access_token):
        return Token(
            value=answer.access_token,
            expires_at=now + _lifetime(answer),
            api_url=trusted_api_url(answer.api_domain) if answer.api_domain else None,
            scopes=tuple(answer.scope.replace(",", " ").split()) if isinstance(answer.scope, str) else (),
        )
    if answer.error is None:
        text = f"the accounts server answered HTTP {status} with something that is no token"
        raise AuthError(text, status=status)
    hint = _HINTS.get(answer.error)
    text = f"Zoho gives no access token: {answer.error}" + (f" ({hint})" if hint else "")
    raise AuthError(text, status=status, code=answer.error)


def _lifetime(answer: _Answer) -> float:
    for value in (answer.expires_in_sec, answer.expires_in):
        try:
            seconds = 0.0 if value is None or isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            continue
        if 0 < seconds < float("inf"):
            # Older answers give milliseconds; no token lives for a day.
            return seconds / 1000 if seconds > 86400 else seconds
    return _LIFETIME - _NOW
