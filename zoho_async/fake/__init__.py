"""A Zoho that runs on one's own machine: for tests, demos and trying things out.

    async with FakeZoho() as fake:
        zoho = Zoho(StaticToken(fake.access_token), organization_id=fake.organization_id, api_url=fake.url)

It answers in the shape the running service does, keeps state, enforces the limits and counts everything.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from .clock import Clock
    from .faults import Fault
    from .messages import Received
    from .server import FakeZoho
    from .serving import serve

__all__ = ["Clock", "FakeZoho", "Fault", "Received", "serve"]

_MODULES = {"Clock": "clock", "FakeZoho": "server", "Fault": "faults", "Received": "messages", "serve": "serving"}


def __getattr__(name: str) -> object:
    # The server needs aiohttp, which is slow to import; whoever only wants a clock need not wait for it.
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_MODULES[name]}"), name)
