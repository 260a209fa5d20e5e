"""What a client can be told."""

from __future__ import annotations

import msgspec

from zoho_async.auth.oauth import Auth

from .rate_limiter import Limits


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything about a client that `with_options()` can change. Meanings: see `Zoho`."""

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
