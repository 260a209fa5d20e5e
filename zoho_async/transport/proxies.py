"""Proxies from the environment variables that curl reads."""

from __future__ import annotations

import os
import re

from zoho_async.errors import ConfigError

_HOST = re.compile(r"[0-9a-z._-]+|[0-9a-f:.]+(%[0-9a-z._~-]+)?", re.IGNORECASE)
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)


class Proxies:
    """The proxy of each address, from the environment at the time of creation."""

    __slots__ = ("_addresses", "_variables")

    def __init__(self) -> None:
        from urllib.request import getproxies_environment

        self._variables = getproxies_environment()
        self._addresses: dict[str, str | None] = {}

    def address(self, base: str) -> str | None:
        """The proxy for an API address; None for none. Raises ConfigError naming the variable when it is unusable."""
        if not self._variables:
            return None
        if base not in self._addresses:
            self._addresses[base] = self._find(base)
        return self._addresses[base]

    def _find(self, base: str) -> str | None:
        from urllib.parse import urlsplit
        from urllib.request import proxy_bypass_environment  # type: ignore[attr-defined]

        parts = urlsplit(base)
        # A proxy elsewhere would get the token, and reach another machine.
        if is_loopback(parts.hostname or "") or proxy_bypass_environment(parts.netloc, self._variables):
            return None
        for scheme in (parts.scheme, "all"):
            if value := self._variables.get(scheme):
                return proxy_address(_variable(scheme), value)
        return None


def proxy_for(address: str) -> str | None:
    """The proxy that a client would use for an address, from the environment variables that curl reads.

    Args:
        address: Scheme and host, for example `https://www.zohoapis.com`.

    Returns:
        Host and port of the proxy, without credentials; None when there is none.

    Raises:
        ConfigError: The variable holds no address of a proxy.
    """
    from urllib.parse import urlsplit

    found = Proxies().address(address)
    if found is None:
        return None
    parts = urlsplit(found)
    return f"{parts.hostname}:{parts.port or (443 if parts.scheme == 'https' else 80)}"


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself."""
    import ipaddress
    import socket

    host = host.rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        if ":" not in host:
            # Also the short forms, such as 127.1.
            address: ipaddress.IPv4Address | ipaddress.IPv6Address = ipaddress.IPv4Address(socket.inet_aton(host))
        else:
            address = ipaddress.IPv6Address(host)
    except (OSError, ValueError):
        return False
    address = getattr(address, "ipv4_mapped", None) or address
    # A connection to the unspecified address reaches this machine.
    return address.is_loopback or address.is_unspecified


def proxy_address(variable: str, value: str) -> str:
    """The URL of a proxy variable; without a scheme it is an HTTP proxy. Raises ConfigError without the value."""
    from ipaddress import IPv4Address
    from urllib.parse import urlsplit

    from yarl import URL

    text = value.strip()
    found = _SCHEME.match(text)
    scheme = found[1].lower() if found else "http"
    if scheme in ("socks", "socks4", "socks4a", "socks5", "socks5h"):
        raise ConfigError(
            f"{variable}: {scheme}:// proxies are not supported; set an http:// proxy, or pass a session with a "
            "connector for it"
        )
    text = text if found else f"http://{text}"
    try:
        parts = urlsplit(text)
        host = URL(text).raw_host or ""  # as aiohttp reads it
        is_usable = scheme in ("http", "https") and parts.port != 0 and bool(_HOST.fullmatch(host))
        host.encode("idna")
        if host.replace(".", "").isdecimal():
            IPv4Address(host)
        # A password with a slash, not percent-encoded, would be taken for a path.
        is_usable = is_usable and "@" not in f"{parts.path}{parts.query}{parts.fragment}" and not re.search(r"\s", text)
    except ValueError:
        is_usable = False
    if not is_usable:
        raise ConfigError(f"{variable} is not the address of a proxy, such as http://user:password@host:3128")
    return text


def _variable(scheme: str) -> str:
    names = (f"{scheme}_proxy", f"{scheme}_PROXY".upper())
    return next((name for name in names if os.environ.get(name)), names[1])
