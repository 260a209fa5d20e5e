"""Async, typed client for the contacts and customers of Zoho Books, Invoice, Expense and Billing.

    async with Zoho(OAuth(client_id, client_secret, refresh_token), organization_id="10234695") as zoho:
        contact = await zoho.books.contacts.create(ContactCreate(contact_name="Bowman and Co"))

Names are loaded when they are first used (PEP 562).
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from . import bulk, errors
    from .auth import Credentials, OAuth, StaticToken
    from .catalog import operations, scopes
    from .client import Zoho
    from .encoding import to_builtins, to_json
    from .errors import (
        AuthError,
        ConfigError,
        DeadlineError,
        DecodeError,
        DuplicateError,
        Fault,
        InvalidError,
        NotFoundError,
        OutcomeUnknownError,
        QuotaExceededError,
        RateLimitError,
        RefusedError,
        ScopeError,
        UnavailableError,
        ZohoError,
    )
    from .fields import custom_fields
    from .limits import Limits, Quota
    from .operation import Operation, Response
    from .paging import Page, PageContext, Pages
    from .stores import FileStore, MemoryStore, TokenStore
    from .uploads import Upload
    from .validation import validate

_MODULES = {
    "auth": ("Credentials", "OAuth", "StaticToken"),
    "catalog": ("operations", "scopes"),
    "client": ("Zoho",),
    "encoding": ("to_builtins", "to_json"),
    "errors": (
        "AuthError",
        "ConfigError",
        "DeadlineError",
        "DecodeError",
        "DuplicateError",
        "Fault",
        "InvalidError",
        "NotFoundError",
        "OutcomeUnknownError",
        "QuotaExceededError",
        "RateLimitError",
        "RefusedError",
        "ScopeError",
        "UnavailableError",
        "ZohoError",
    ),
    "fields": ("custom_fields",),
    "limits": ("Limits", "Quota"),
    "operation": ("Operation", "Response"),
    "paging": ("Page", "PageContext", "Pages"),
    "stores": ("FileStore", "MemoryStore", "TokenStore"),
    "uploads": ("Upload",),
    "validation": ("validate",),
}
_HOMES = {name: module for module, names in _MODULES.items() for name in names}
_PACKAGES = frozenset({"bulk", "errors"})

__version__ = "0.1.0"
__all__ = [
    "AuthError",
    "ConfigError",
    "Credentials",
    "DeadlineError",
    "DecodeError",
    "DuplicateError",
    "Fault",
    "FileStore",
    "InvalidError",
    "Limits",
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
    "scopes",
    "to_builtins",
    "to_json",
    "validate",
]


def __getattr__(name: str) -> Any:
    home = _HOMES.get(name)
    if home is not None:
        return getattr(import_module(f".{home}", __name__), name)
    if name in _PACKAGES:
        return import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
