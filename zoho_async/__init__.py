"""Async, typed client for contacts and customers in Zoho Books, Invoice, Expense and Billing.

    async with Zoho(OAuth(client_id, client_secret, refresh_token), organization_id="10234695") as zoho:
        contact = await zoho.books.contacts.create(ContactCreate(contact_name="Bowman and Co"))

Names are loaded on first use (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from zoho_async.auth.data_centers import DATA_CENTERS, DataCenter
    from zoho_async.auth.oauth import Credentials, OAuth, StaticToken
    from zoho_async.auth.token_stores import FileStore, MemoryStore, TokenStore
    from zoho_async.client import Zoho
    from zoho_async.errors import (
        AuthError,
        ConfigError,
        DeadlineError,
        DecodeError,
        DuplicateError,
        Fault,
        InvalidError,
        LeaseError,
        MassDeleteError,
        NotFoundError,
        OutcomeUnknownError,
        QuotaExceededError,
        RateLimitError,
        RefusedError,
        ScopeError,
        UnavailableError,
        ZohoError,
    )
    from zoho_async.fleet.files import FileLimiters
    from zoho_async.schema.catalog import operations, scopes
    from zoho_async.schema.custom_fields import custom_fields
    from zoho_async.schema.operation import Operation, Response
    from zoho_async.schema.validation import validate
    from zoho_async.transport.proxies import proxy_for
    from zoho_async.transport.rate_limiter import Limits, Quota
    from zoho_async.wire.encoding import to_builtins, to_json
    from zoho_async.wire.multipart import Upload
    from zoho_async.wire.pagination import Page, PageContext, Pages

    from . import bulk, errors

_MODULES = {
    "auth.data_centers": ("DATA_CENTERS", "DataCenter"),
    "auth.oauth": ("Credentials", "OAuth", "StaticToken"),
    "schema.catalog": ("operations", "scopes"),
    "client": ("Zoho",),
    "wire.encoding": ("to_builtins", "to_json"),
    "errors": (
        "AuthError",
        "ConfigError",
        "DeadlineError",
        "DecodeError",
        "DuplicateError",
        "Fault",
        "InvalidError",
        "LeaseError",
        "MassDeleteError",
        "NotFoundError",
        "OutcomeUnknownError",
        "QuotaExceededError",
        "RateLimitError",
        "RefusedError",
        "ScopeError",
        "UnavailableError",
        "ZohoError",
    ),
    "fleet.files": ("FileLimiters",),
    "schema.custom_fields": ("custom_fields",),
    "transport.proxies": ("proxy_for",),
    "transport.rate_limiter": ("Limits", "Quota"),
    "schema.operation": ("Operation", "Response"),
    "wire.pagination": ("Page", "PageContext", "Pages"),
    "auth.token_stores": ("FileStore", "MemoryStore", "TokenStore"),
    "wire.multipart": ("Upload",),
    "schema.validation": ("validate",),
}
_MODULE_OF = {name: module for module, names in _MODULES.items() for name in names}
_PACKAGES = frozenset({"bulk", "errors"})

__version__ = "0.1.0"
__all__ = [
    "DATA_CENTERS",
    "AuthError",
    "ConfigError",
    "Credentials",
    "DataCenter",
    "DeadlineError",
    "DecodeError",
    "DuplicateError",
    "Fault",
    "FileLimiters",
    "FileStore",
    "InvalidError",
    "LeaseError",
    "Limits",
    "MassDeleteError",
    "MemoryStore",
    "NotFoundError",
    "OAuth",
    "Operation",
    "OutcomeUnknownError",
    "Page",
    "PageContext",
    "Pages",
    "Quota",
    "QuotaExceededError",
    "RateLimitError",
    "RefusedError",
    "Response",
    "ScopeError",
    "StaticToken",
    "TokenStore",
    "UnavailableError",
    "Upload",
    "Zoho",
    "ZohoError",
    "bulk",
    "custom_fields",
    "errors",
    "operations",
    "proxy_for",
    "scopes",
    "to_builtins",
    "to_json",
    "validate",
]


def __getattr__(name: str) -> Any:
    module = _MODULE_OF.get(name)
    if module is not None:
        return getattr(import_module(f".{module}", __name__), name)
    if name in _PACKAGES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
