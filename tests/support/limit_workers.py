"""Processes that share limits, and a server that counts what all of them do."""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import Any, ClassVar

from support.profiles import sized
from zoho_async.fake import FakeZoho

SERVER_WINDOW, WINDOW = sized((1.0, 1.01), (3.0, 3.01))
RATE = sized(10, 24)

LEAST, FAIR = 0.9, 0.25
"""Part of what fits that is made, and difference from the mean: where a machine has the time to measure it."""
MEASURED = sized(False, True)
"""Elsewhere every process makes so many calls, however long it takes; `test_limit_record.py` has the exact shares for
ten minutes of a clock of its own."""
ATTEMPTS = 3
"""To measure it: one is enough, for a machine where other work goes on delays the others."""
LONG = 60.0
"""Seconds in which a loaded machine comes to everything."""

SCRIPT = Path(__file__).with_name("limit_worker.py")


class Worker:
    """One process of `limit_worker.py`."""

    started: ClassVar[list[Worker]] = []

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self.process = process
        self.started.append(self)

    @classmethod
    async def ready(cls, fake: FakeZoho, **options: Any) -> Worker:
        """Start a process that waits for `go`."""
        given = {"url": fake.url, "token": fake.access_token, "organization": fake.organization_id, **options}
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            "-P",  # not `support.secrets` for the `secrets` of the library
            str(SCRIPT),
            json.dumps(given),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        worker = cls(process)
        assert process.stdout is not None
        assert await process.stdout.readline() == b"ready\n"
        return worker

    @classmethod
    async def start(cls, fake: FakeZoho, **options: Any) -> Worker:
        """Start a process that calls at once."""
        worker = await cls.ready(fake, **options)
        worker.go()
        return worker

    def go(self) -> None:
        """Let it begin to call."""
        assert self.process.stdin is not None
        self.process.stdin.write(b"\n")

    async def ended(self) -> dict[str, Any]:
        """What it printed at its end."""
        out, _ = await self.process.communicate()
        assert self.process.returncode == 0
        result: dict[str, Any] = json.loads(out)
        assert result["errors"] == [], result
        return result

    async def kill(self) -> None:
        """SIGKILL."""
        if self.process.returncode is None:
            self.process.kill()
        await self.process.communicate()

    @classmethod
    async def kill_all(cls) -> None:
        """End those that a test which has failed left behind."""
        for worker in cls.started:
            await worker.kill()
        cls.started.clear()


async def counts(fake: FakeZoho, several: list[dict[str, Any]]) -> tuple[list[int], float]:
    """Run processes side by side; how many calls each made, and seconds that one was in flight."""
    workers = [await Worker.ready(fake, **options) for options in several]
    for worker in workers:
        worker.go()
    ended = [await worker.ended() for worker in workers]
    made = [one["calls"] for one in ended]
    return made, sum(one["in_flight"] for one in ended) / max(1, sum(made))


def fitting(rate: int, seconds: float, window: float, in_flight: float) -> float:
    """Calls that fit into some seconds: each counts from its start until a window after its end."""
    return rate * seconds / (window + in_flight)


def most(fake: FakeZoho) -> int:
    """The most calls that the server has seen in any window."""
    return fake.limits[fake.organization_id].most_in_window
