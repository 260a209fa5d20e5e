"""One peer in a process of its own: reads commands as lines of JSON, answers each with one line.

    python -m comparing.worker <peer> <url>
    python -m comparing.worker --once <peer> <url of a shape> <contact|page> <count>
    python -m comparing.worker --decode <peer> <recorded body> <contact|page> <count>

The last two run and end, for valgrind to count.
"""

from __future__ import annotations

import asyncio
import json
import resource
import signal
import sys
from collections.abc import Awaitable, Callable
from importlib.metadata import version
from pathlib import Path
from time import perf_counter, process_time
from typing import Any

from .peers import CLIENTS, JSON, ORGANIZATION, PEERS, Peer
from .responses import LIVE, SHAPES

MOST = 500
"""Requests at once that a client is made for."""
LONGEST = 240
"""Seconds of a run that is counted."""


def peak_megabytes() -> float:
    """The most memory this process has had; what stood in its parent is not counted where the system tells."""
    try:
        status = Path("/proc/self/status").read_text(encoding="ascii")
        return int(status.partition("VmHWM:")[2].split()[0]) / 1024
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


async def shared(call: Callable[[int], Awaitable[Any]], count: int, concurrency: int) -> None:
    """So many calls, by so many tasks."""
    numbers = iter(range(count))

    async def work() -> None:
        for number in numbers:
            await call(number)

    await asyncio.gather(*[work() for _ in range(concurrency)])


class Timed:
    """Wall and CPU seconds of a block."""

    def __enter__(self) -> Timed:
        self._cpu, self._wall = process_time(), perf_counter()
        return self

    def __exit__(self, *_: object) -> None:
        self.result = {"wall": perf_counter() - self._wall, "cpu": process_time() - self._cpu}


class Worker:
    """Runs the commands of one peer."""

    def __init__(self, name: str, url: str) -> None:
        self.name, self.url = name, url
        self.peer = PEERS[name]()
        self.shape = LIVE
        self.decoders: dict[str, tuple[Callable[[bytes], Any], bytes]] = {}

    async def open(self) -> dict[str, Any]:
        """Open the peer at the first shape that it can read."""
        versions = {name: version(name) for name in self.peer.packages}
        if self.name == JSON:
            return {"shape": LIVE, "versions": versions}
        failures: list[str] = []
        for shape in SHAPES:
            await self.peer.open(f"{self.url}/{shape}", MOST)
            try:
                await self.peer.contact()
                await self.peer.page(1)
            except Exception as error:  # noqa: BLE001
                failures.append(f"{shape}: {type(error).__name__}: {str(error)[:100]}")
                await self.peer.close()
                self.peer = PEERS[self.name]()
            else:
                self.shape = shape
                return {"shape": shape, "versions": versions, "failures": failures}
        raise ValueError("; ".join(failures))

    async def contact(self, concurrency: int, count: int) -> dict[str, float]:
        """Contacts by id. The first ones open the connections and are not timed."""

        async def call(_: int) -> None:
            await self.peer.contact()

        await shared(call, concurrency, concurrency)
        with Timed() as timed:
            await shared(call, count, concurrency)
        return timed.result

    async def page(self, concurrency: int, count: int) -> dict[str, float]:
        """Pages of 200 rows."""

        async def call(_: int) -> None:
            await self.peer.page(1)

        await shared(call, concurrency, concurrency)
        with Timed() as timed:
            await shared(call, count, concurrency)
        return timed.result

    async def organisations(self, organisations: int, count: int) -> dict[str, float]:
        """A contact of each organisation in turn, ten at once."""

        async def call(number: int) -> None:
            await self.peer.contact(str(int(ORGANIZATION) + number % organisations))

        await shared(call, organisations, 10)
        with Timed() as timed:
            await shared(call, count, 10)
        return timed.result

    async def rows(self, rows: int) -> dict[str, float]:
        """All rows of a list, of a client that has done nothing before."""
        await self.peer.open(f"{self.url}/{self.shape}-{-(-rows // 200)}", MOST)
        await self.peer.page(1)  # opens the connection, and imports what waits for it
        with Timed() as timed:
            seen = await self.peer.stream()
        await self.peer.close()
        if seen != rows:
            raise ValueError(f"{seen} rows of {rows}")
        return {**timed.result, "megabytes": peak_megabytes()}

    async def decode(self, path: str, kind: str, count: int) -> dict[str, float]:
        """Decoding of a recorded body, without HTTP."""
        if path not in self.decoders:
            decode = self.peer.decoder(kind)
            if decode is None:
                raise NotImplementedError("no decoder of its own")
            self.decoders[path] = decode, Path(path).read_bytes()  # noqa: ASYNC240
        decode, body = self.decoders[path]
        for _ in range(2):  # a decoder may learn from the first
            decode(body)
        with Timed() as timed:
            for _ in range(count):
                decode(body)
        return timed.result

    async def memory(self) -> dict[str, float]:
        """The peak so far."""
        return {"megabytes": peak_megabytes()}


async def answer_commands(name: str, url: str) -> None:
    """Answer until standard input ends."""
    worker = Worker(name, url)
    for line in iter(sys.stdin.readline, ""):
        command = json.loads(line)
        worker.shape = command.pop("shape", worker.shape)
        try:
            reply = await getattr(worker, command.pop("do"))(**command)
        except Exception as error:  # noqa: BLE001
            reply = {"failed": f"{type(error).__name__}: {str(error)[:300]}"}
        print(json.dumps(reply), flush=True)


async def once(peer: Peer, url: str, kind: str, count: int) -> None:
    """So many requests, ten at once."""
    await peer.open(url, 10)

    async def call(_: int) -> None:
        await (peer.contact() if kind == "contact" else peer.page(1))

    await shared(call, count, 10)
    await peer.close()


def decode_once(peer: Peer, path: Path, kind: str, count: int) -> None:
    """Decode a recorded body so many times."""
    decode, body = peer.decoder(kind), path.read_bytes()
    assert decode is not None
    for _ in range(count):
        decode(body)


def main() -> None:
    """See the module."""
    if sys.argv[1] in ("--once", "--decode"):
        signal.alarm(LONGEST)  # ends the process, also under valgrind
    if sys.argv[1] == "--once":
        asyncio.run(once(PEERS[sys.argv[2]](), sys.argv[3], sys.argv[4], int(sys.argv[5])))
    elif sys.argv[1] == "--decode":
        decode_once(PEERS[sys.argv[2]](), Path(sys.argv[3]), sys.argv[4], int(sys.argv[5]))
    else:
        assert sys.argv[1] in (*CLIENTS, JSON)
        asyncio.run(answer_commands(sys.argv[1], sys.argv[2]))


if __name__ == "__main__":
    main()
