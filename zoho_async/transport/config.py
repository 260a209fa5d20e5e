"""The settings of a client."""

from __future__ import annotations

import msgspec

from zoho_async.auth.oauth import Auth

from .rate_limiter import Limits


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
