"""A web service on one client, whose limits are those of the workers that push and pull meanwhile.

REDIS_URL=redis://... uvicorn _fastapi_app:app --workers 4
"""

# /// script
# requires-python = ">=3.11"
# dependencies = ["zoho_async[redis]", "fastapi>=0.115", "uvicorn>=0.30"]
# ///

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from _settings import fleet_and_client
from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse

from zoho_async import (
    NotFoundError,
    OutcomeUnknownError,
    QuotaExceededError,
    RateLimitError,
    UnavailableError,
    ZohoError,
)
from zoho_async.books.contacts import CREATE
from zoho_async.transport.hooks import send

STATUS = {
    NotFoundError: 404,
    RateLimitError: 503,
    QuotaExceededError: 503,
    UnavailableError: 503,
    OutcomeUnknownError: 502,
}


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[dict[str, Any]]:
    """One client a process, not one a request."""
    async with fleet_and_client() as (_, zoho):
        # Nobody waits for a page for two minutes.
        yield {"zoho": zoho.with_options(max_wait=5, deadline=20)}


app = FastAPI(lifespan=lifespan)


@app.get("/contacts/{contact_id}")
async def contact(contact_id: str, request: Request) -> dict[str, str | None]:
    found = await request.state.zoho.books.contacts.get(contact_id)
    return {"id": found.contact_id, "name": found.contact_name}


@app.post("/contacts", status_code=201)
async def create(body: dict[str, Any], request: Request) -> dict[str, str | None]:
    # People wait for it: before the calls of pushes in all processes.
    made = (await send(request.state.zoho.books.contacts, CREATE, body=body, priority=True)).data
    return {"id": made.contact_id, "name": made.contact_name}


@app.exception_handler(ZohoError)
async def failed(request: Request, error: ZohoError) -> JSONResponse:
    status = next((code for kind, code in STATUS.items() if isinstance(error, kind)), 500)
    return JSONResponse({"error": type(error).__name__, "message": error.message, "sent": error.sent}, status)
