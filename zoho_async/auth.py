"""Tokens: a static one, or OAuth with one refresh at a time. No HTTP of its own: the way to post is handed in."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from typing import Protocol

import msgspec

from .errors import AuthError, UnavailableError
from .regions import trusted_api_url

Post = Callable[[str, Mapping[str, str]], Awaitable[tuple[int, bytes]]]
"""Posts a form to a path of the accounts server; returns status and body. Raises UnavailableError when it cannot."""

_LIFETIME = 3600.0
_SOON = 300.0
_NOW = 60.0
_BUDGET, _BUDGET_SECONDS = 10, 600.0


class Token(msgspec.Struct, frozen=True, kw_only=True):
    """An access token and what belongs to it. Its value is in no repr."""

    value: str
    expires_at: float = float("inf")
    """Unix time."""
    api_url: str | None = None
    """Where it is good for, when Zoho said so and the host is one of Zoho's."""

    def __repr__(self) -> str:
        return f"Token(***, expires_at={self.expires_at})"


class Auth(Protocol):
    """Where the transport gets its tokens."""

    async def token(self, post: Post) -> Token:
        """A token that should be good now. Raises AuthError."""
        ...

    async def refresh(self, failed: Token, post: Post) -> Token:
        """A token other than the one that was just refused. Raises AuthError when there is none."""
        ...


class StaticToken:
    """An access token somebody else looks after; when it is dead, calls raise AuthError."""

    __slots__ = ("_token",)

    def __init__(self, value: str) -> None:
        if not value or not value.isprintable() or not value.isascii() or " " in value:
            raise ValueError("an access token is printable ASCII without blanks")
        self._token = Token(value=value)

    async def token(self, post: Post) -> Token:
        return self._token

    async def refresh(self, failed: Token, post: Post) -> Token:
        raise AuthError("the access token was refused, and a static token cannot be renewed")

    def __repr__(self) -> str:
        return "StaticToken(***)"


class Stored(msgspec.Struct, kw_only=True):
    """What a store keeps for one refresh token: the current token and when tokens were asked for (unix times)."""

    token: Token | None = None
    requests: list[float] = []


class TokenStore(Protocol):
    """Where tokens are kept between refreshes, and the lock that lets one refresh happen at a time."""

    async def load(self) -> Stored: ...

    async def save(self, stored: Stored) -> None: ...

    def lock(self) -> AbstractAsyncContextManager[object]:
        """Held while a token is being refreshed, across everything that shares the store."""
        ...


class MemoryStore:
    """Tokens of this process only."""

    __slots__ = ("_lock", "_stored")

    def __init__(self) -> None:
        self._stored = Stored()
        self._lock = asyncio.Lock()

    async def load(self) -> Stored:
        return self._stored

    async def save(self, stored: Stored) -> None:
        self._stored = stored

    def lock(self) -> asyncio.Lock:
        return self._lock


class OAuth:
    """Access tokens from a refresh token, renewed before they die.

    In the last five minutes of a token's life the first call that comes renews it in passing while others go on
    with the old one; in the last minute all wait for the new one. Zoho locks a refresh token out after ten token
    requests in ten minutes: that budget is kept here, so it never has to.
    """

    __slots__ = ("_client_id", "_client_secret", "_refresh_token", "_renewing", "_store", "_token")

    def __init__(
        self, client_id: str, client_secret: str, refresh_token: str, *, store: TokenStore | None = None
    ) -> None:
        for name, value in (
            ("client_id", client_id),
            ("client_secret", client_secret),
            ("refresh_token", refresh_token),
        ):
            if not value:
                raise ValueError(f"OAuth: {name} is empty")
        self._client_id = client_id
        self._client_secret = client_secret
        self._refresh_token = refresh_token
        self._store: TokenStore = store if store is not None else MemoryStore()
        self._token: Token | None = None
        self._renewing = False

    def __repr__(self) -> str:
        return "OAuth(***)"

    async def token(self, post: Post) -> Token:
        """The current token, or a new one when it is about to die."""
        token = self._token
        left = token.expires_at - time.time() if token is not None else 0.0
        if token is None or left < _NOW:
            return await self._renew(None if token is None else token.value, post)
        if left < _SOON and not self._renewing:
            try:
                return await self._renew(token.value, post)
            except (AuthError, UnavailableError):
                return token  # still good for minutes; the last minute will tell
        return token

    async def refresh(self, failed: Token, post: Post) -> Token:
        """A new token in place of the one that was refused, unless somebody has got one already."""
        return await self._renew(failed.value, post)

    async def _renew(self, dead: str | None, post: Post) -> Token:
        # A lock and not a shared task: when the one who refreshes is cancelled, the next in line takes over.
        self._renewing = True
        try:
            async with self._store.lock():
                stored = await self._store.load()
                if stored.token is not None and stored.token.value != dead and _lives(stored.token):
                    self._token = stored.token
                    return stored.token
                self._token = await self._request(stored, post)
                return self._token
        finally:
            self._renewing = False

    async def _request(self, stored: Stored, post: Post) -> Token:
        now = time.time()
        recent = [moment for moment in stored.requests if now - _BUDGET_SECONDS < moment <= now]
        if len(recent) >= _BUDGET:
            wait = recent[0] + _BUDGET_SECONDS - now
            raise AuthError(
                f"{_BUDGET} tokens were asked for in the last ten minutes, which is all Zoho allows for one refresh "
                f"token; the next may be asked for in {wait:.0f} s. Something throws tokens away: several processes "
                "without a shared store, or a refresh at every start"
            )
        recent.append(now)
        await self._store.save(Stored(token=stored.token, requests=recent))
        status, body = await post(
            "/oauth/v2/token",
            {
                "grant_type": "refresh_token",
                "client_id": self._client_id,
                "client_secret": self._client_secret,
                "refresh_token": self._refresh_token,
            },
        )
        token = read_token(status, body, now)
        await self._store.save(Stored(token=token, requests=recent))
        return token


def _lives(token: Token) -> bool:
    return token.expires_at - time.time() > _NOW


class _Answer(msgspec.Struct):
    access_token: str | None = None
    api_domain: str | None = None
    expires_in: int | float | str | None = None
    expires_in_sec: int | float | str | None = None
    error: str | None = None


_HINTS = {
    "invalid_code": "the refresh token is revoked, mistyped, or of another data centre",
    "invalid_client": "the client id is unknown in this data centre",
    "invalid_client_secret": "the client secret does not belong to the client id",
    "Access Denied": "Zoho refuses more token requests for a while (ten in ten minutes are allowed)",
}


def read_token(status: int, body: bytes, now: float) -> Token:
    """The token in a token endpoint's answer. Pure. Raises AuthError; errors come with HTTP 200 as well."""
    try:
        answer = msgspec.json.decode(body, type=_Answer, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise AuthError(
            f"the accounts server answered {status} with something that is no token", status=status
        ) from None
    if answer.access_token:
        api_url = trusted_api_url(answer.api_domain) if answer.api_domain else None
        return Token(value=answer.access_token, expires_at=now + _lifetime(answer), api_url=api_url)
    reason = answer.error or "no reason given"
    hint = _HINTS.get(reason)
    text = f"Zoho gives no access token: {reason}" + (f" ({hint})" if hint else "")
    raise AuthError(text, status=status, code=answer.error)


def _lifetime(answer: _Answer) -> float:
    for value in (answer.expires_in_sec, answer.expires_in):
        try:
            seconds = float(value) if value is not None else 0.0
        except ValueError:
            continue
        if seconds > 0:
            # Older answers give milliseconds; no token lives for a day.
            return seconds / 1000 if seconds > 86400 else seconds
    return _LIFETIME - _NOW
