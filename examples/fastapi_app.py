# /// script
# dependencies = ["zoho_async", "fastapi", "httpx"]
# ///
"""A FastAPI service with one client for its life: `uvicorn fastapi_app:app`. As a program it calls itself and ends."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Annotated, Any

import httpx
from _client import connect, unique
from fastapi import Body, Depends, FastAPI, HTTPException, Request

from zoho_async import Zoho, errors, to_builtins


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    # One client for all requests: they share its connections and its rate limiter.
    async with connect(deadline=20) as zoho:
        app.state.zoho = zoho
        yield


app = FastAPI(lifespan=lifespan)


def client(request: Request) -> Zoho:
    zoho: Zoho = request.app.state.zoho
    return zoho


@app.post("/contacts")
async def create(zoho: Annotated[Zoho, Depends(client)], name: Annotated[str, Body(embed=True)]) -> dict[str, str]:
    try:
        return {"id": (await zoho.books.contacts.create({"contact_name": name})).contact_id}
    except errors.DuplicateError as error:
        raise HTTPException(409, error.message) from None


@app.get("/contacts/{contact_id}")
async def read(zoho: Annotated[Zoho, Depends(client)], contact_id: str) -> Any:
    try:
        return to_builtins(await zoho.books.contacts.get(contact_id))
    except errors.NotFoundError as error:
        raise HTTPException(404, error.message) from None


async def main() -> None:
    transport = httpx.ASGITransport(app)
    async with lifespan(app), httpx.AsyncClient(transport=transport, base_url="http://service") as http:
        name = unique("Service Ltd")
        created = await http.post("/contacts", json={"name": name})
        again = await http.post("/contacts", json={"name": name})
        read = await http.get(f"/contacts/{created.json()['id']}")
        print(created.json(), again.status_code, read.json()["contact_name"])
        assert (created.status_code, again.status_code, read.json()["contact_name"]) == (200, 409, name)


if __name__ == "__main__":
    asyncio.run(main())
