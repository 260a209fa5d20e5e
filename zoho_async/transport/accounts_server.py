"""Requests to the accounts server of a data center, which issues tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from zoho_async import errors
from zoho_async.auth.data_centers import DATA_CENTERS
from zoho_async.wire.encoding import EncodedRequest, target

from .config import TransportConfig
from .retry_policy import MISCONFIGURED, RESPONDED
from .shared_state import SharedState


def _is_here(address: str | None) -> bool:
    # Imported late: `import zoho_async` need not pay for them.
    from urllib.parse import urlsplit

    from .proxies import is_loopback

    return address is not None and is_loopback(urlsplit(address).hostname or "")


class HttpAccountsServer:
    """The accounts server, as `auth` uses it."""

    __slots__ = ("_settings", "_shared")

    def __init__(self, shared: SharedState, settings: TransportConfig) -> None:
        self._shared = shared
        self._settings = settings

    @property
    def other_data_centers(self) -> Sequence[str]:
        """The other data centers; none when the accounts server's address was configured."""
        return () if self._configured else [name for name in DATA_CENTERS if name != self._settings.data_center]

    @property
    def _configured(self) -> str | None:
        """The configured address; an API on this machine alone is a fake, which issues its own tokens."""
        settings = self._settings
        return settings.accounts_url or (settings.api_url if _is_here(settings.api_url) else None)

    async def __call__(self, path: str, form: Mapping[str, str], data_center: str | None = None) -> tuple[int, bytes]:
        """Post a form once and return status and body. Callers count every request, as Zoho does."""
        settings = self._settings
        http = self._shared.http()
        http.check_loop()
        base = self._configured or DATA_CENTERS[data_center or settings.data_center].accounts_url
        content = target("", form)[1:].encode()
        headers = {"Content-Type": "application/x-www-form-urlencoded", "Accept": "application/json"}
        request = EncodedRequest(method="POST", target=path, headers=headers, body=content)
        result = await http.send(base, request, request.headers, settings.timeout)
        outcome = result.outcome
        if outcome.sent == RESPONDED and outcome.status < 500:
            return outcome.status, result.body
        if outcome.sent == MISCONFIGURED:
            raise errors.ConfigError(f"accounts server: {outcome.detail}")
        detail = outcome.detail or f"HTTP {outcome.status}"
        raise errors.UnavailableError(f"accounts server: {detail}", status=outcome.status or None)
