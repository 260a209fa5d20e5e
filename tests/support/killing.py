"""A push that is killed again and again over a bad line, and what must hold of every such push."""

from __future__ import annotations

import asyncio
import random
import signal
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal

import msgspec
import pytest

from support.process import Cli, Ended, ended, until
from zoho_async.fake import FakeZoho

Phase = Literal["start", "check", "list", "write", "end"]

CONCURRENCY = 10
RUNS_TO_KILL = 6
"""So many runs for every kill: one may end by itself, over a line so bad, before it is killed."""
ENDING_RUNS = 6
"""So many runs may end with unknown rows; each settles what the one before it could not."""
FAULTS = ("reset_before", "reset_after", "torn", "status:503", "status:503_after", "html:502_after")
FAULT_RATE = 0.03
PER_PAGE = 200
LIST = "books.contacts.list"


class Kill(msgspec.Struct, frozen=True, kw_only=True):
    """When a run is killed: somewhere in a phase, or as soon as so much is written."""

    phase: Phase
    goal: int = 0
    """In `write`: this many rows are written."""
    expiring: bool = False
    """Every access token expires on the way to the goal."""


class Schedule(msgspec.Struct, frozen=True, kw_only=True):
    """How many kills there are of each phase."""

    start: int
    check: int
    list: int
    write: int
    end: int

    def kills(self, source: random.Random, rows: int, expiring: Sequence[int]) -> list[Kill]:
        """The kills in their order: those at the end last, the goals of the others spread over three fifths of the
        rows. `expiring`: those of the phase `write`, from 0, on whose way the tokens expire."""
        goals = [int(rows * 0.6 * (number + source.random()) / self.write) + 1 for number in range(self.write)]
        writes = iter(Kill(phase="write", goal=goal, expiring=number in expiring) for number, goal in enumerate(goals))
        phases: list[Phase] = ["write"] * self.write
        phases += [*["start"] * self.start, *["check"] * self.check, *["list"] * self.list]
        source.shuffle(phases)
        phases += ["end"] * self.end
        return [next(writes) if phase == "write" else Kill(phase=phase) for phase in phases]


class Bench:
    """One push, its fake and its folder. `written` counts the rows of the file that the target has by now."""

    def __init__(
        self, fake: FakeZoho, cli: Cli, options: Sequence[object], *, rows: int, written: Callable[[], int], seed: int
    ) -> None:
        self.fake, self.cli, self.rows, self.written = fake, cli, rows, written
        self.random = random.Random(seed)
        self.killed: list[Kill] = []
        self.push = (
            *("push", "books", "contacts", "--from", "a.csv", *options),
            *("--per-minute", "0", "--concurrency", CONCURRENCY, "--json"),
        )
        del cli.environment["ZOHO_ACCESS_TOKEN"]
        cli.environment |= {
            "ZOHO_CLIENT_ID": fake.client_id,
            "ZOHO_CLIENT_SECRET": fake.client_secret,
            "ZOHO_REFRESH_TOKEN": fake.refresh_token,
        }
        for fault in FAULTS:
            fake.chance("*", fault, FAULT_RATE / len(FAULTS))

    # -- kills

    async def kill(self, kills: Sequence[Kill]) -> None:
        """Starts runs and kills each, until all the kills are done."""
        runs = 0
        for kill in kills:
            if kill.phase == "end" and all(one.phase != "end" for one in self.killed):
                assert self.written() < self.rows, "nothing was left for the runs that come to the end"
            while not await self._killed(kill):
                runs += 1
                assert runs < len(kills) * (RUNS_TO_KILL - 1), "too many runs have ended by themselves"
            self.killed.append(kill)
        assert self.killed == list(kills)

    async def _killed(self, kill: Kill) -> bool:
        """Whether a run was still there to be killed when the moment had come."""
        before, touched = self._listed(), self._touched()
        process = await self.cli.start(*self.push)
        waiting = asyncio.ensure_future(process.wait())

        async def come(happened: Callable[[], bool], within: float) -> None:
            await until(lambda: waiting.done() or happened())
            await asyncio.wait([waiting], timeout=self.random.random() * within)

        match kill.phase:
            case "start":
                await come(lambda: True, 0.5)
            case "check":
                await come(lambda: self._touched() != touched, 0.7)
            case "list":
                pages = self.random.randrange(self._pages()) + 1
                await come(lambda: self._listed() >= before + pages, 0.01)
            case "write":
                goal = kill.goal
                if kill.expiring:
                    halfway = (self.written() + goal) // 2
                    goal = max(goal, halfway + 2 * CONCURRENCY)
                    await come(lambda: self.written() >= halfway, 0)
                    self.fake.expire_tokens()
                await come(lambda: self.written() >= goal, 0.01)
            case "end":
                await come(lambda: self.written() >= self.rows and self._listed() >= before + self._pages(), 0.3)
        if not waiting.done():
            process.kill()
        _, err = await process.communicate()
        assert b"Traceback" not in err, err.decode()
        return await waiting == -signal.SIGKILL

    def _listed(self) -> int:
        return self.fake.audit_log.requests[LIST]

    def _pages(self) -> int:
        return max(1, -(-len(self.fake.organization().contacts) // PER_PAGE))

    def _touched(self) -> Mapping[str, int]:
        """What shows that a run has opened its state."""
        return {path.name: path.stat().st_mtime_ns for path in self.cli.folder.glob("*.sqlite*")}

    # -- runs that nobody kills

    async def whole(self) -> Ended:
        """A run to its end."""
        result = await ended(await self.cli.start(*self.push))
        adds_up(result.json)
        return result

    async def settled(self) -> Ended:
        """Runs until none ends with unknown rows; the last of them."""
        for _ in range(ENDING_RUNS):
            before = self.requests()
            result = await self.whole()
            if result.code in (0, 3) and not result.json["unknown"]:
                # The client repeats some calls by itself and does not count them.
                assert self.requests() - before >= result.json["reads"] + result.json["writes"]
                return result
        pytest.fail(f"rows stay unknown: {result.json}")

    def requests(self) -> int:
        return sum(count for name, count in self.fake.audit_log.requests.items() if not name.startswith("oauth"))


def adds_up(summary: Mapping[str, Any]) -> None:
    """The totals of a run agree with each other."""
    parts = ("sent", "unchanged", "settled", "failed", "unknown")
    assert summary["rows"] == sum(summary[part] for part in parts), summary
    assert summary["sent"] == summary["created"] + summary["updated"], summary
    assert summary["failed"] + summary["unknown"] == sum(summary["kinds"].values()), summary
