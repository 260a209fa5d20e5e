"""A Zoho on this machine, for tests and demos.

    async with FakeZoho() as fake:
        zoho = Zoho(StaticToken(fake.access_token), organization_id=fake.organization_id, api_url=fake.url)

It responds in the shape of the live service, keeps state, enforces the limits and counts every request.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zoho_async.fake.http.serve import serve
    from zoho_async.fake.http.server import FakeZoho
    from zoho_async.fake.world.clock import Clock
    from zoho_async.fake.world.faults import Fault

    from .messages import Received

__all__ = ["Clock", "FakeZoho", "Fault", "Received", "serve"]

_MODULES = {
    "Clock": "world.clock",
    "FakeZoho": "http.server",
    "Fault": "world.faults",
    "Received": "messages",
    "serve": "http.serve",
}


def __getattr__(name: str) -> object:
    # Lazy: the server imports aiohttp, which is slow.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
