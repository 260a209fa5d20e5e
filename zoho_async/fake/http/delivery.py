"""How a reply leaves the server: whole, or spoiled on the wire by an ordered fault."""

from __future__ import annotations

import asyncio
import gzip
import socket
import struct
from typing import cast

from aiohttp import web

from zoho_async.fake.messages import Reply
from zoho_async.fake.world.faults import Fault

_DRIP_PIECES = 20


async def deliver(
    http: web.BaseRequest, reply: Reply, fault: Fault | None, closing: asyncio.Event
) -> web.StreamResponse:
    """Send a reply; a stalled one ends when the client gives up or the fake closes."""
    if fault is not None and fault.cuts:
        return await _cut(http, fault, reply, closing)
    if fault is not None and fault.kind == "drip":
        return await _drip(http, fault, reply)
    if fault is not None and fault.kind == "latency":
        await asyncio.sleep(fault.seconds)
    body, headers = reply.body, _response_headers(reply)
    if fault is not None and fault.kind == "gzip":
        body = gzip.compress(body, mtime=0)
        headers["Content-Encoding"] = "gzip"
    return web.Response(status=reply.status, body=body, headers=headers)


def abort(http: web.BaseRequest) -> None:
    """Reset the connection."""
    transport = http.transport
    if transport is not None:
        # Without lingering the client sees a reset instead of an orderly end.
        connection = cast("socket.socket", transport.get_extra_info("socket"))
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()


async def _cut(http: web.BaseRequest, fault: Fault, reply: Reply, closing: asyncio.Event) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers={"Content-Type": reply.content_type})
    if fault.kind == "stall":
        # Cancelled when the client gives up.
        await closing.wait()
    elif fault.kind == "torn":
        response.content_length = len(reply.body)
        await response.prepare(http)
        await response.write(reply.body[: len(reply.body) // 2])
    if fault.kind in ("reset", "refuse"):
        abort(http)
    elif http.transport is not None:
        http.transport.close()
    return response


async def _drip(http: web.BaseRequest, fault: Fault, reply: Reply) -> web.StreamResponse:
    response = web.StreamResponse(status=reply.status, headers=_response_headers(reply))
    response.content_length = len(reply.body)
    await response.prepare(http)
    step = max(1, -(-len(reply.body) // _DRIP_PIECES))
    for start in range(0, len(reply.body), step):
        await asyncio.sleep(fault.seconds / _DRIP_PIECES)
        await response.write(reply.body[start : start + step])
    await response.write_eof()
    return response


def _response_headers(reply: Reply) -> dict[str, str]:
    return {**reply.headers, "Content-Type": reply.content_type}
