"""How many stateful calls a second FakeZoho serves on one core: create, get, update and list of contacts.

    python benchmarks/fake_throughput.py [--calls N] [--connections N] [--least N]

The server is a process of its own, kept on one core where the system allows that; the client that asks it speaks bare
HTTP over plain sockets, so that it is the server that is measured. Prints one line of JSON; with --least the exit code
is 1 when the server is slower.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import subprocess
import sys
import time
from collections import Counter
from typing import Any


async def _exchange(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, request: bytes) -> bytes:
    writer.write(request)
    head = await reader.readuntil(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0])
    body = await reader.readexactly(length)
    if not head.startswith(b"HTTP/1.1 20"):
        raise RuntimeError(f"refused: {body[:200]!r}")
    return body


async def _worker(number: int, calls: int, ready: dict[str, Any], done: Counter[str]) -> None:
    host, port = ready["url"].removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    fixed = f"Host: x\r\nAuthorization: Zoho-oauthtoken {ready['access_token']}\r\nContent-Type: application/json\r\n"

    async def ask(method: str, path: str, body: dict[str, Any] | None = None) -> bytes:
        data = json.dumps(body).encode() if body is not None else b""
        head = f"{method} /books/v3{path} HTTP/1.1\r\n{fixed}Content-Length: {len(data)}\r\n\r\n"
        done[method] += 1
        return await _exchange(reader, writer, head.encode() + data)

    address = {"address": "4900 Hopyard Rd", "city": "Pleasanton", "zip": "94588"}
    at = 0
    while done.total() < calls:
        at += 1
        persons = [{"first_name": "Will", "email": f"w{number}.{at}@bowman.invalid"}]
        made = await ask(
            "POST",
            "/contacts",
            {"contact_name": f"Bowman {number} {at}", "billing_address": address, "contact_persons": persons},
        )
        contact_id = made.partition(b'"contact_id":"')[2].partition(b'"')[0].decode()
        for step in range(4):
            await ask("GET", f"/contacts/{contact_id}")
            await ask("PUT", f"/contacts/{contact_id}", {"notes": f"{step}"})
        await ask("GET", f"/contacts?per_page=10&page={at}&sort_column=created_time")
    writer.close()
    await writer.wait_closed()


async def _measure(calls: int, connections: int, ready: dict[str, Any]) -> tuple[float, Counter[str]]:
    warm: Counter[str] = Counter()
    await asyncio.gather(*(_worker(1000 + each, 200, ready, warm) for each in range(connections)))
    done: Counter[str] = Counter()
    began = time.perf_counter()
    await asyncio.gather(*(_worker(each, calls, ready, done) for each in range(connections)))
    return time.perf_counter() - began, done


def main() -> int:
    """Start, measure, print; 1 when it is slower than asked for."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--calls", type=int, default=10_000)
    parser.add_argument("--connections", type=int, default=8)
    parser.add_argument("--least", type=float, default=0.0, help="calls a second")
    options = parser.parse_args()
    command = [sys.executable, "-m", "zoho_async.fake", "--per-minute", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
        try:
            pinned = _pin(server.pid)
            assert server.stdout is not None
            ready = json.loads(server.stdout.readline())
            seconds, done = asyncio.run(_measure(options.calls, options.connections, ready))
        finally:
            server.terminate()
    rate = done.total() / seconds
    result = {"calls": done.total(), "seconds": round(seconds, 2), "calls_a_second": round(rate), "one_core": pinned}
    print(json.dumps({**result, "methods": dict(done)}))
    return 1 if rate < options.least else 0


def _pin(pid: int) -> bool:
    """Keep the server on one core and ourselves on another; False where the system knows no such thing."""
    if not hasattr(os, "sched_setaffinity"):
        return False
    cores = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(pid, {cores[0]})
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[1]})
    return True


if __name__ == "__main__":
    sys.exit(main())
