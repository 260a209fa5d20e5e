"""The command line in a process of its own."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

import msgspec

from zoho_async.fake import FakeZoho


class Ended(msgspec.Struct):
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return msgspec.json.decode(self.out)


class Cli:
    """Runs the command line in a process of its own, against the test's fake."""

    def __init__(self, folder: Path, environment: dict[str, str]) -> None:
        self.folder = folder
        self.environment = environment

    @classmethod
    def against(cls, fake: FakeZoho, folder: Path) -> Self:
        """With the static token of a fake."""
        return cls(
            folder,
            {
                "ZOHO_ACCESS_TOKEN": fake.access_token,
                "ZOHO_ORGANIZATION_ID": fake.organization_id,
                "ZOHO_API_URL": fake.url,
                "ZOHO_ACCOUNTS_URL": fake.url,
            },
        )

    async def start(
        self,
        *arguments: object,
        environment: Mapping[str, str] | None = None,
        stderr: int = asyncio.subprocess.PIPE,
    ) -> asyncio.subprocess.Process:
        clean = {name: value for name, value in os.environ.items() if not name.startswith(("ZOHO_", "XDG_"))}
        return await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "zoho_async.cli",
            *map(str, arguments),
            cwd=self.folder,
            env={
                **clean,
                "XDG_STATE_HOME": str(self.folder / "state"),
                **(self.environment if environment is None else environment),
            },
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=stderr,
        )

    async def __call__(self, *arguments: object, environment: Mapping[str, str] | None = None) -> Ended:
        process = await self.start(*arguments, environment=environment)
        return await ended(process)


async def ended(process: asyncio.subprocess.Process) -> Ended:
    out, err = await process.communicate()
    assert process.returncode is not None
    error = err.decode()
    assert "Traceback" not in error, error
    return Ended(process.returncode, out.decode(), error)


async def until(happened: Callable[[], bool]) -> None:
    """Waits until another process has come so far."""
    while not happened():  # noqa: ASYNC110 - there is no event across processes
        await asyncio.sleep(0.002)
