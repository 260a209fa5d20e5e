"""Instructions of a push, its parts, and a bare loop of creates, counted by valgrind; other load does not change them.

    python benchmarks/push_instructions.py

The rows and bodies are those of `push_throughput.py`. Every number is the difference of 500 and 2,500 contacts, so that
starting up does not count. Reading and checking are a push that sends one row. FakeZoho is a
process of its own, which is not counted.
"""

from __future__ import annotations

import asyncio
import gc
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import push_throughput
from instructions import Counter
from measuring import Server, body, machine, server, write_csv

from zoho_async.bulk import open_rows

FEW, MANY = 500, 2_500
CONCURRENCY = 10
READ, CHECK, PUSH, LOOP = "reading the file", "and checking it", "the whole push", "bare creates"


async def run(what: str, count: int, folder: Path, fake: Server) -> None:
    """One case, in a process of its own."""
    file = folder / "customers.csv"
    if what == READ:
        for _ in open_rows(file):
            pass
    elif what in (CHECK, PUSH):
        state = Path(tempfile.mkdtemp(dir=folder)) / "state"
        await push_throughput.push(fake, file, CONCURRENCY, state, limit=1 if what == CHECK else None)
    else:
        await push_throughput.loop(fake, [body(number) for number in range(count)], CONCURRENCY)


def main() -> None:
    """Prints a line for each case."""
    if sys.argv[1:2] == ["--run"]:
        what, count, folder, ready = sys.argv[2:]
        gc.disable()  # it would run at other rows in each case
        asyncio.run(run(what, int(count), Path(folder), Server(json.loads(ready))))
        return
    print(machine(), flush=True)
    each: dict[str, float] = {}
    with server("--per-minute", "0") as fake, tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        counter = Counter(folder, 0)
        ready: dict[str, Any] = {
            "url": fake.url,
            "access_token": fake.token,
            "organization_id": fake.organization_id,
        }
        for what in (READ, CHECK, PUSH, LOOP):
            totals: list[int] = []
            for count in (FEW, MANY):
                write_csv(folder / "customers.csv", count)
                command = [__file__, "--run", what, str(count), name, json.dumps(ready)]
                fake.reset()
                if not totals:
                    subprocess.run([sys.executable, *command], env=counter.environment, check=True)  # writes bytecode
                    fake.reset()
                totals.append(counter.total(*command))
            each[what] = (totals[1] - totals[0]) / (MANY - FEW)
            print(f"{what:16} {each[what] / 1000:9,.0f} k a contact", flush=True)
    print(f"bare creates beside a push: {each[LOOP] / each[PUSH]:.2f}")


if __name__ == "__main__":
    main()
