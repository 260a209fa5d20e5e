"""Responses of the token endpoint. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from zoho_async.errors import AuthError

from .data_centers import trusted_api_url
from .token_stores import Token

DEFAULT_LIFETIME_S = 3540.0
"""Seconds; for a token whose response names no lifetime: an hour, less a margin of a minute."""

ACCESS_DENIED = "Access Denied"
"""The error of a refresh token that is locked after too many token requests."""


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

    @classmethod
    def of(cls, fields: dict[str, Any]) -> TokenResponse:
        """The fields of a response, without texts that are none."""
        texts = ("access_token", "refresh_token", "error")
        known = {name: fields.get(name) for name in cls.__struct_fields__}
        known.update({name: None for name in texts if not isinstance(known[name], str)})
        domain = known["api_domain"]
        # What is no address is named in the error for an unknown one.
        known["api_domain"] = domain if domain is None or isinstance(domain, str) else str(domain)
        return cls(**known)


_EXPLANATIONS = {
    "invalid_code": "the refresh token or code is revoked, used, mistyped, or of another data center",
    "invalid_client": "the client id is unknown in this data center",
    "invalid_client_secret": "the client secret does not belong to the client id",
    "invalid_redirect_uri": "the redirect_uri is not the one the client was registered with",
    ACCESS_DENIED: "Zoho allows ten token requests in ten minutes; try again later. Programs that share a "
    "FileStore(path) as store=, or the variable ZOHO_TOKEN_FILE of from_env, share one token",
}


def parse(body: bytes) -> TokenResponse:
    """Decode a response of the accounts server; all fields are None when it is not JSON."""
    try:
        return TokenResponse.of(msgspec.json.decode(body, type=dict[str, Any]))
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return TokenResponse()


def read_token(status: int, body: bytes, now: float) -> Token:
    """The token in a response of the token endpoint, whose errors come with HTTP 200 too. Raises AuthError."""
    response = parse(body)
    api_url = trusted_api_url(response.api_domain) if response.api_domain else None
    if response.access_token and is_header_safe_token(response.access_token):
        lifetime = _lifetime(response)
        return Token(
            value=response.access_token,
            expires_at=now + lifetime,
            lifetime=lifetime,
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


def is_denial(status: int, code: int | str | None) -> bool:
    """Whether an error of the token endpoint means that there were too many token requests."""
    return status == 429 or str(code).lower().replace("_", " ") == ACCESS_DENIED.lower()


def suggest_data_centers(error: AuthError, centers: Sequence[str]) -> AuthError:
    """The same error for credentials that another data center may know."""
    return AuthError(
        f"{error}. For credentials of another data center set data_center= to it ({', '.join(centers)}); "
        "OAuth.find_data_center() tries them, and sends the client secret to each",
        status=error.status,
        code=error.code,
    )


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
