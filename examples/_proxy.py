"""A proxy server for plain HTTP on this machine, as companies have one, for `own_session.py`."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
from aiohttp import web


@asynccontextmanager
async def proxy() -> AsyncIterator[tuple[str, list[str]]]:
    """Runs it; gives its address and the list of what has passed through."""
    passed: list[str] = []

    async def forward(request: web.BaseRequest) -> web.Response:
        passed.append(f"{request.method} {request.url.path}")
        headers = {name: value for name, value in request.headers.items() if not name.lower().startswith("proxy-")}
        body = await request.read()
        async with session.request(request.method, request.url, data=body, headers=headers) as response:
            kind = response.headers.get("Content-Type", "application/json")
            return web.Response(status=response.status, body=await response.read(), headers={"Content-Type": kind})

    async with aiohttp.ClientSession() as session:
        runner = web.ServerRunner(web.Server(forward))
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        try:
            port = runner.addresses[0][1]
            yield f"http://127.0.0.1:{port}", passed
        finally:
            await runner.cleanup()
