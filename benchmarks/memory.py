"""Peak memory of a client that reads a long list row by row.

    python benchmarks/memory.py [--rows 1000000]

The pages are made by a raw asyncio server in another process, from a row in the shape of the live service.
"""

from __future__ import annotations

import argparse
import asyncio
import resource
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import msgspec
from instructions import PAGE, record
from measuring import machine

PER_PAGE = 200


class Generated(asyncio.Protocol):
    """Answers with page after page of rows that differ in their ids."""

    row = b""
    pages = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport: Any = transport

    def data_received(self, data: bytes) -> None:
        number = int(data.partition(b"page=")[2].split(b"&")[0].split()[0]) if b"page=" in data else 1
        first = 4600000000000000000 + 2 * PER_PAGE * number
        rows = b",".join(self.row % str(first + 2 * at).encode() for at in range(PER_PAGE))
        more = b"true" if number < self.pages else b"false"
        body = b'{"code":0,"message":"success","contacts":[%s],"page_context":{"page":%d,"has_more_page":%s}}' % (
            rows,
            number,
            more,
        )
        head = b"HTTP/1.1 200 OK\r\nContent-Type: application/json;charset=UTF-8\r\nContent-Length: %d\r\n\r\n"
        self.transport.write(head % len(body) + body)


async def serve() -> None:
    """Print the port, then answer until the process is ended."""
    server = await asyncio.get_running_loop().create_server(Generated, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


async def read(port: int, rows: int) -> None:
    """Print the peak memory as rows go by."""
    from zoho_async import Limits, StaticToken, Zoho

    address, limits = f"http://127.0.0.1:{port}", Limits(per_minute=None)
    step = max(1, rows // 10)
    async with Zoho(StaticToken("t"), organization_id="1", api_url=address, limits=limits) as zoho:
        count = 0
        async for _ in zoho.books.contacts.list():
            count += 1
            if count % step == 0:
                peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
                print(f"{count:9,} rows  {peak:6.1f} MB", flush=True)
    assert count == rows, count


def main() -> None:
    """Prints a line for each tenth."""
    if sys.argv[1:2] == ["--serve"]:
        Generated.row, Generated.pages = Path(sys.argv[2]).read_bytes(), int(sys.argv[3])
        asyncio.run(serve())
        return
    if sys.argv[1:2] == ["--read"]:
        asyncio.run(read(int(sys.argv[2]), int(sys.argv[3])))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rows", type=int, default=1_000_000, help=f"a multiple of {PER_PAGE}")
    rows: int = parser.parse_args().rows
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(record(Path(name)))
        row = msgspec.json.decode((Path(name) / PAGE).read_bytes())["contacts"][0]
        template = Path(name) / "row"
        text = msgspec.json.encode({**row, "contact_id": "@"})
        template.write_bytes(text.replace(b"%", b"%%").replace(b'"@"', b'"%s"', 1))
        command = [sys.executable, __file__, "--serve", str(template), str(rows // PER_PAGE)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            try:
                assert server.stdout is not None
                port = server.stdout.readline().strip()
                subprocess.run([sys.executable, __file__, "--read", port, str(rows)], check=True)
            finally:
                server.terminate()


if __name__ == "__main__":
    main()
