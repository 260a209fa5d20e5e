"""Responses of the token endpoint. Pure."""

from __future__ import annotations

from typing import Any

import msgspec

from zoho_async.errors import AuthError

from .data_centers import trusted_api_url
from .token_stores import Token

DEFAULT_LIFETIME_S = 3540.0
"""Seconds; for a token whose response names no lifetime: an hour, less a margin of a minute."""


def is_header_safe_token(value: str) -> bool:
    """Whether it is printable ASCII without blanks."""
    return bool(value) and value.isascii() and value.isprintable() and " " not in value


class TokenResponse(msgspec.Struct):
    """The fields of a token response that are used."""

    access_token: str | None = None
    refresh_token: str | None = None
    api_domain: str | None = None
    expires_in: Any = None
    expires_in_sec: Any = None
    scope: Any = None
    error: str | None = None


_EXPLANATIONS = {
    "invalid_code": "the refresh token or code is revoked, used, mistyped, or of another data center",
    "invalid_client": "the client id is unknown in this data center",
    "invalid_client_secret": "the client secret does not belong to the client id",
    "invalid_redirect_uri": "the redirect_uri is not the one the client was registered with",
    "Access Denied": "Zoho allows ten token requests in ten minutes; try again later",
}


def parse(body: bytes) -> TokenResponse:
    """Decode a response of the accounts server; all fields are None when it is not JSON."""
    try:
        return msgspec.json.decode(body, type=TokenResponse, strict=False)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return TokenResponse()


def read_token(status: int, body: bytes, now: float) -> Token:
    """The token in a response of the token endpoint, whose errors come with HTTP 200 too. Raises AuthError."""
    response = parse(body)
    api_url = trusted_api_url(response.api_domain) if response.api_domain else None
    if response.access_token and is_header_safe_token(response.access_token):
        return Token(
            value=response.access_token,
            expires_at=now + _lifetime(response),
            api_url=api_url,
            unknown_api_url="" if api_url else (response.api_domain or ""),
            scopes=tuple(response.scope.replace(",", " ").split()) if isinstance(response.scope, str) else (),
        )
    if response.error is None:
        text = f"the response of the accounts server (HTTP {status}) contains no token"
        raise AuthError(text, status=status)
    explanation = _EXPLANATIONS.get(response.error)
    text = f"Zoho issues no access token: {response.error}" + (f" ({explanation})" if explanation else "")
    raise AuthError(text, status=status, code=response.error)


def _lifetime(response: TokenResponse) -> float:
    for value in (response.expires_in_sec, response.expires_in):
        try:
            seconds = 0.0 if value is None or isinstance(value, bool) else float(value)
        except (TypeError, ValueError, OverflowError):
            continue
        if 0 < seconds < float("inf"):
            # Some responses give milliseconds; no token is valid for a day.
            return seconds / 1000 if seconds > 86400 else seconds
    return DEFAULT_LIFETIME_S
