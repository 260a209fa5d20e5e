"""The settings of a client."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import TYPE_CHECKING

import msgspec

from zoho_async.auth.data_centers import DATA_CENTERS
from zoho_async.errors import ConfigError

from .limits import Limits

if TYPE_CHECKING:
    from typing import TypedDict

    from aiohttp import ClientSession

    from zoho_async.auth.oauth import Auth

    from .hooks import CallObserver, Limiters

    class CopyOptions(TypedDict, total=False):
        """The arguments of `Zoho.with_options`. See `Zoho` for their meaning."""

        auth: Auth
        organization_id: str | int | None
        data_center: str
        limits: Limits | None
        retries: int
        max_wait: float | None
        deadline: float | None
        timeout: float
        api_url: str | None
        accounts_url: str | None

    class ClientOptions(CopyOptions, total=False):
        """The arguments of `Zoho`, as `Zoho.from_env` takes them."""

        limiters: Limiters | None
        observer: CallObserver | None
        session: ClientSession | None


_SAFE_ADDRESS = (
    r"(https://(\[[0-9a-fA-F:]+\]|[^/@:\s?#]+)|http://(127(\.\d{1,3}){3}|localhost|\[::1\]))"
    r"(:(?P<port>\d{1,5}))?(/[^\s?#]*)?"
)


class TransportConfig(msgspec.Struct, frozen=True, kw_only=True):
    """Every setting that `with_options()` can change. See `Zoho` for their meaning."""

    auth: Auth
    organization_id: str | None = None
    data_center: str = "us"
    limits: Limits = Limits()
    retries: int = 3
    max_wait: float | None = 120.0
    deadline: float | None = None
    timeout: float = 60.0
    api_url: str | None = None
    accounts_url: str | None = None


def check_config(settings: TransportConfig) -> None:
    """Raise ConfigError for an invalid setting, TypeError for an object that is no authentication."""
    if settings.data_center not in DATA_CENTERS:
        known = ", ".join(DATA_CENTERS)
        raise ConfigError(f"data_center={settings.data_center!r} does not exist; known: {known}")
    for name in ("api_url", "accounts_url"):
        address: str | None = getattr(settings, name)
        found = None if address is None else re.fullmatch(_SAFE_ADDRESS, address)
        if address is not None and (found is None or int(found["port"] or 0) > 65535):
            raise ConfigError(f"{name}={address!r}: tokens are sent only over https, or over http to this machine")
    organization = settings.organization_id
    if organization is not None and not (organization.isascii() and organization.isalnum()):
        raise ConfigError(f"organization_id={organization!r}: must be the organisation's number")
    if isinstance(settings.auth, type) or not hasattr(settings.auth, "token"):
        raise TypeError("auth must be an OAuth(...) or a StaticToken(...), not a plain value or a class")
    if settings.retries < 0 or settings.retries != int(settings.retries):
        raise ConfigError(f"retries={settings.retries} must be a whole number from 0")
    if not settings.timeout > 0:
        raise ConfigError(f"timeout={settings.timeout} must be a number of seconds above 0")
    for name in ("max_wait", "deadline"):
        seconds: float | None = getattr(settings, name)
        if seconds is not None and not seconds >= 0:
            raise ConfigError(f"{name}={seconds} must be a number of seconds from 0, or None")


def unknown_option(given: Iterable[str]) -> TypeError:
    """The error for arguments that `Zoho.with_options` does not have."""
    from zoho_async.schema.suggestions import did_you_mean  # only for the message

    hints = {name: did_you_mean(name, TransportConfig.__struct_fields__, most=1) for name in sorted(given)}
    listed = ", ".join(f"{name} ({hint})" if hint else name for name, hint in hints.items())
    return TypeError(f"with_options() has no argument {listed}")


def host_and_port(address: str) -> str:
    """Host and port of an address, for messages: it may hold a password."""
    from urllib.parse import urlsplit

    parts = urlsplit(address)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"
