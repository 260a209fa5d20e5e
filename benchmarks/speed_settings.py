"""What `zoho_async.speed.tune()`, isal and uvloop save: processor time of a page of 200 rows, ten requests at once.

    python benchmarks/speed_settings.py [--rounds 5] [--pages 200]

Needs `pip install "zoho_async[speed]"`; what is not installed is left out. The page is served by another process,
uncompressed and with gzip. Each measurement is a process of its own, all take turns, and the best round counts.
"""

from __future__ import annotations

import argparse
import asyncio
import gzip
import importlib.util
import subprocess
import sys
import tempfile
from pathlib import Path
from time import process_time

import instructions
from measuring import machine

SETTINGS = ("", "tune", "isal", "tune+isal", "uvloop", "tune+uvloop")


def prepare(settings: set[str]) -> None:
    """Make the settings, as docs/speed.md says."""
    if "tune" in settings:
        from zoho_async import speed

        assert speed.tune() or sys.platform != "linux"
    if "isal" in settings:
        import aiohttp
        from isal import isal_zlib

        aiohttp.set_zlib_backend(isal_zlib)


async def seconds_of(port: int, pages: int) -> float:
    """Processor time of so many pages, after some that are not counted."""
    await instructions.ours(port, instructions.PAGE, 20)
    start = process_time()
    await instructions.ours(port, instructions.PAGE, pages)
    return process_time() - start


def measure(settings: set[str], port: int, pages: int) -> None:
    """Print the microseconds of a page; runs in a process of its own."""
    prepare(settings)
    factory = None
    if "uvloop" in settings:
        import uvloop

        factory = uvloop.new_event_loop
    with asyncio.Runner(loop_factory=factory) as runner:
        print(runner.run(seconds_of(port, pages)) / pages * 1e6)


async def serve(folder: Path, encoding: str) -> None:
    """Print the port, then answer with the page until the process is ended."""
    page = (folder / instructions.PAGE).read_bytes()
    text = gzip.compress(page) if encoding == "gzip" else page
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Encoding: {encoding}\r\n"
    response = f"{head}Content-Length: {len(text)}\r\n\r\n".encode() + text
    instructions.Canned.responses = {b"/books/v3/contacts": response}
    server = await asyncio.get_running_loop().create_server(instructions.Canned, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def compared(folder: Path, rounds: int, pages: int) -> None:
    """Print a line for each encoding and settings."""
    asyncio.run(instructions.record(folder))
    environment = instructions.environment(str(folder / "bytecode"))
    for encoding in ("identity", "gzip"):
        command = [sys.executable, __file__, "--serve", encoding, str(folder)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as server:
            assert server.stdout is not None
            port = server.stdout.readline().strip()
            found: dict[str, list[float]] = {name: [] for name in SETTINGS if usable(name, encoding)}
            try:
                for _ in range(rounds):
                    for name, own in found.items():
                        one = [sys.executable, __file__, "--measure", name, port, str(pages)]
                        done = subprocess.run(one, env=environment, capture_output=True, text=True, check=True)
                        own.append(float(done.stdout))
            finally:
                server.terminate()
        for name, own in found.items():
            print(f"{encoding:8}  {name or 'as installed':12}  {min(own):5.0f} µs", flush=True)


def usable(name: str, encoding: str) -> bool:
    """Whether a setting is installed, and concerns the encoding."""
    needed = [part for part in name.split("+") if part in ("isal", "uvloop")]
    if "isal" in needed and encoding != "gzip":
        return False
    return all(importlib.util.find_spec(part) for part in needed)


def main() -> None:
    """Prints microseconds of a page."""
    if sys.argv[1:2] == ["--serve"]:
        asyncio.run(serve(Path(sys.argv[3]), sys.argv[2]))
        return
    if sys.argv[1:2] == ["--measure"]:
        measure(set(sys.argv[2].split("+")), int(sys.argv[3]), int(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("--rounds", type=int, default=5, help="measurements of each; 5")
    parser.add_argument("--pages", type=int, default=200, help="pages of a measurement; 200")
    given = parser.parse_args()
    print(machine(), flush=True)
    with tempfile.TemporaryDirectory() as name:
        compared(Path(name), given.rounds, given.pages)


if __name__ == "__main__":
    main()
