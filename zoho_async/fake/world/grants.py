"""Tokens as Zoho's accounts server issues them. Pure: time is a parameter."""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

LIFETIME = 3600
"""Seconds that an access token is valid."""
LOCK_REQUESTS = 10
LOCK_WINDOW = 600.0
"""Token requests of one refresh token in `LOCK_WINDOW` seconds; more are refused until the window ends."""
SELF_CLIENT_CODE = 86_400.0
"""Seconds that `self_client_code` is valid; Zoho's are valid for at most ten minutes."""
LIVE_TOKENS = 10
"""Valid access tokens of one refresh token at a time; one more revokes the oldest."""

_EVERY_SCOPE: frozenset[str] = frozenset({"*"})


class Grant(msgspec.Struct, kw_only=True):
    """A refresh token: its scopes, its access tokens, its use."""

    scopes: frozenset[str]
    tokens: list[str] = msgspec.field(default_factory=list[str])
    window_start: float = float("-inf")
    requests: int = 0


class AuthorizationCode(msgspec.Struct, frozen=True, kw_only=True):
    """A one-time code waiting to be exchanged."""

    scopes: frozenset[str]
    redirect_uri: str
    expires: float


class AccessGrant(msgspec.Struct, frozen=True, kw_only=True):
    """A valid access token."""

    scopes: frozenset[str]
    expires: float


def scope_set(scopes: Iterable[str]) -> frozenset[str]:
    """Scopes as a set; one text has several of them separated by commas or blanks."""
    return frozenset(scopes.replace(",", " ").split() if isinstance(scopes, str) else scopes)


class OAuthServer:
    """One client of the accounts server with its tokens."""

    def __init__(self, scopes: Iterable[str] | None = None, access_token: str | None = None) -> None:
        """`scopes` are what the first refresh token and the static token may do; None is everything.

        `access_token`: the static token; None makes one up.
        """
        granted = _EVERY_SCOPE if scopes is None else scope_set(scopes)
        self.client_id = f"1000.{_random(15).upper()}"
        self.client_secret = _random(21)
        self.refresh_token = f"1000.{_random(16)}.{_random(16)}"
        self.access_token = access_token or f"1000.{_random(16)}.{_random(16)}"
        """A static token: valid until `expire()`."""
        self.requests = 0
        """Token requests so far, refused ones included."""
        self._grants: dict[str, Grant] = {self.refresh_token: Grant(scopes=granted)}
        self._access: dict[str, AccessGrant] = {self.access_token: AccessGrant(scopes=granted, expires=float("inf"))}
        self._codes: dict[str, AuthorizationCode] = {}
        self._scopes = None if scopes is None else granted
        self._self_client_code = ""

    def __repr__(self) -> str:
        return f"<OAuthServer {len(self._grants)} refresh tokens, {len(self._access)} access tokens>"

    def issue_code(
        self, now: float, *, scopes: Iterable[str] | None = None, redirect_uri: str = "", seconds: float = 120
    ) -> str:
        """A new one-time code, valid for `seconds`, as the consent page sends it to `redirect_uri`."""
        code = f"1000.{_random(16)}.{_random(16)}"
        granted = _EVERY_SCOPE if scopes is None else scope_set(scopes)
        self._codes[code] = AuthorizationCode(scopes=granted, redirect_uri=redirect_uri, expires=now + seconds)
        return code

    def self_client_code(self, now: float) -> str:
        """A one-time code as Zoho's API console generates it for a self client; a new one once it is spent."""
        known = self._codes.get(self._self_client_code)
        if known is None or now >= known.expires:
            self._self_client_code = self.issue_code(now, scopes=self._scopes, seconds=SELF_CLIENT_CODE)
        return self._self_client_code

    def expire(self) -> None:
        """Invalidate every access token, the static one too."""
        self._access.clear()
        for grant in self._grants.values():
            grant.tokens.clear()

    def revoke(self, token: str) -> bool:
        """Revoke a refresh token with all its access tokens, or one access token; False when it is not known."""
        grant = self._grants.pop(token, None)
        if grant is None:
            return self._access.pop(token, None) is not None
        for access in grant.tokens:
            self._access.pop(access, None)
        return True

    def allows(self, token: str, scope: str, now: float) -> bool:
        """Whether the token is valid and covers the scope, if one is named."""
        access = self._access.get(token)
        if access is None or now >= access.expires:
            return False
        if access.scopes is _EVERY_SCOPE or not scope or scope in access.scopes:
            return True
        service, _, rest = scope.partition(".")
        module = rest.partition(".")[0]
        return f"{service}.fullaccess.all" in access.scopes or f"{service}.{module}.ALL" in access.scopes

    def token(self, form: Mapping[str, str], now: float, api_domain: str) -> tuple[int, dict[str, Any]]:
        """Status and body for a token request. Errors have status 200, only the lock-out has 400."""
        self.requests += 1
        if form.get("client_id") != self.client_id:
            return 200, {"error": "invalid_client"}
        if form.get("client_secret") != self.client_secret:
            return 200, {"error": "invalid_client_secret"}
        kind = form.get("grant_type")
        if kind == "refresh_token":
            return self._refresh(form.get("refresh_token", ""), now, api_domain)
        if kind == "authorization_code":
            return self._exchange(form, now, api_domain)
        return 200, {"error": "unsupported_grant_type"}

    def _refresh(self, refresh_token: str, now: float, api_domain: str) -> tuple[int, dict[str, Any]]:
        grant = self._grants.get(refresh_token)
        if grant is None:
            return 200, {"error": "invalid_code"}
        if now >= grant.window_start + LOCK_WINDOW:
            grant.window_start, grant.requests = now, 0
        grant.requests += 1
        if grant.requests > LOCK_REQUESTS:
            text = "You have made too many requests continuously. Please try again after some time."
            return 400, {"error": "Access Denied", "error_description": text, "status": "failure"}
        return 200, self._issue(grant, now, api_domain)

    def _exchange(self, form: Mapping[str, str], now: float, api_domain: str) -> tuple[int, dict[str, Any]]:
        code = self._codes.get(form.get("code", ""))
        if code is None or now >= code.expires:
            return 200, {"error": "invalid_code"}
        if form.get("redirect_uri", "") != code.redirect_uri:
            return 200, {"error": "invalid_redirect_uri"}
        del self._codes[form["code"]]
        grant = Grant(scopes=code.scopes)
        refresh_token = f"1000.{_random(16)}.{_random(16)}"
        self._grants[refresh_token] = grant
        return 200, {**self._issue(grant, now, api_domain), "refresh_token": refresh_token}

    def _issue(self, grant: Grant, now: float, api_domain: str) -> dict[str, Any]:
        token = f"1000.{_random(16)}.{_random(16)}"
        self._access[token] = AccessGrant(scopes=grant.scopes, expires=now + LIFETIME)
        grant.tokens.append(token)
        while len(grant.tokens) > LIVE_TOKENS:
            self._access.pop(grant.tokens.pop(0), None)
        return {
            "access_token": token,
            "scope": " ".join(sorted(grant.scopes - _EVERY_SCOPE)) or "ZohoBooks.fullaccess.all",
            "api_domain": api_domain,
            "token_type": "Bearer",
            "expires_in": LIFETIME,
        }


def _random(size: int) -> str:
    return secrets.token_hex(size)
