"""An accounts server as the auth module sees it: a callable that counts."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping


class AccountsServer:
    """Issues t1, t2 and so on, unless it has a `trouble` to raise or a `refusal` to answer with."""

    other_data_centers: tuple[str, ...] = ()

    def __init__(self, lifetime: float = 3600, delay: float = 0.0) -> None:
        self.asked = 0
        self.asked_in: list[str | None] = []
        """The data center of every request; None is the client's own."""
        self.requested = asyncio.Event()
        self.lifetime = lifetime
        self.delay = delay
        self.trouble: Exception | None = None
        self.refusal: tuple[int, bytes] | None = None

    async def __call__(self, path: str, form: Mapping[str, str], data_center: str | None = None) -> tuple[int, bytes]:
        assert path == "/oauth/v2/token"
        self.asked += 1
        self.asked_in.append(data_center)
        self.requested.set()
        await asyncio.sleep(self.delay)
        if self.trouble is not None:
            raise self.trouble
        if self.refusal is not None:
            return self.refusal
        more = b',"refresh_token":"obtained"' if form["grant_type"] == "authorization_code" else b""
        return 200, b'{"access_token":"t%d","expires_in":%d%s}' % (self.asked, self.lifetime, more)
