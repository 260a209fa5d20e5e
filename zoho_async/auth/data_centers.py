"""Zoho's data centers and the hosts of their accounts servers and APIs."""

from __future__ import annotations

import msgspec


class DataCenter(msgspec.Struct, frozen=True, kw_only=True):
    """One data center. An account belongs to exactly one, and its tokens are valid only there.

    Args:
        name: Short name, for example `eu`.
        accounts_url: Address of the accounts server, which issues tokens.
        api_url: Address of the API.
    """

    name: str
    accounts_url: str
    api_url: str


def _center(name: str, accounts: str, api: str) -> DataCenter:
    return DataCenter(name=name, accounts_url=f"https://{accounts}", api_url=f"https://{api}")


DATA_CENTERS = {
    center.name: center
    for center in (
        _center("us", "accounts.zoho.com", "www.zohoapis.com"),
        _center("eu", "accounts.zoho.eu", "www.zohoapis.eu"),
        _center("in", "accounts.zoho.in", "www.zohoapis.in"),
        _center("au", "accounts.zoho.com.au", "www.zohoapis.com.au"),
        _center("jp", "accounts.zoho.jp", "www.zohoapis.jp"),
        _center("ca", "accounts.zohocloud.ca", "www.zohoapis.ca"),
        _center("cn", "accounts.zoho.com.cn", "www.zohoapis.com.cn"),
        _center("sa", "accounts.zoho.sa", "www.zohoapis.sa"),
        # These two are not in Zoho's documents; `api_url` and `accounts_url` override them.
        _center("uk", "accounts.zoho.uk", "www.zohoapis.uk"),
        _center("ae", "accounts.zoho.ae", "www.zohoapis.ae"),
    )
}


def trusted_api_url(domain: str) -> str | None:
    """The API address of a token response's `api_domain`; None when it is not a host of the table.

    Tokens are sent only to hosts of the table or to the configured one.
    """
    address = domain.rstrip("/")
    return address if any(address == center.api_url for center in DATA_CENTERS.values()) else None
